//! Faults, the count of calls, and requests that no SDK sends.

use crate::cloudwatch::datum;
use crate::fixture::{LocalFixture, code, code_and_message, fault, post, within};
use crate::sns::TOPIC;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::types::{ScalingType, StreamStatus};
use unthrottle_lab::local::Effect;

#[tokio::test]
async fn a_reply_lost_after_the_change_leaves_the_change_made() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    fixture.account.add_fault(fault("UpdateShardCount", 0, 1, Effect::DropAfter));
    let update = fixture.kinesis.update_shard_count().stream_name("orders").target_shard_count(2);
    let update = update.scaling_type(ScalingType::UniformScaling);
    let lost = update.send().await.expect_err("no reply");
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
    assert_eq!(fixture.summary("orders").await.stream_status, StreamStatus::Updating);
    fixture.active("orders").await;
    assert_eq!(fixture.summary("orders").await.open_shard_count, 2);
}

#[tokio::test]
async fn a_request_lost_on_the_way_changes_nothing() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    fixture.account.add_fault(fault("UpdateShardCount", 1, 1, Effect::DropBefore));
    fixture.reshard("orders", 1).await.expect("the first passes");
    let update = fixture.kinesis.update_shard_count().stream_name("orders").target_shard_count(2);
    let update = update.scaling_type(ScalingType::UniformScaling);
    let lost = update.send().await.expect_err("no reply");
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
    assert_eq!(fixture.summary("orders").await.stream_status, StreamStatus::Active);
    fixture.reshard("orders", 2).await.expect("the third passes");
}

#[tokio::test]
async fn faults_answer_with_any_error_for_as_many_calls_as_asked() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let error = |status, code: &str| Effect::Error { status, code: code.into(), message: "on demand".into() };
    let limit = error(400, "LimitExceededException");
    fixture.account.add_fault(fault("DescribeLimits", 0, 2, limit));
    for _ in 0..2 {
        let limits = fixture.kinesis.describe_limits().send().await;
        let expected = ("LimitExceededException".into(), "on demand".into());
        assert_eq!(code_and_message(limits.expect_err("a fault")), expected);
    }
    fixture.kinesis.describe_limits().send().await.expect("the third");

    fixture.account.add_fault(fault("PutMetricData", 0, 1, error(500, "InternalServiceFault")));
    let put = fixture.cloudwatch.put_metric_data().namespace("unthrottle");
    let put = put.metric_data(datum("m").value(1.0).build());
    let failed = put.clone().send().await.expect_err("a fault");
    assert!(failed.into_service_error().is_internal_service_fault());
    fixture.account.add_fault(fault("PutMetricData", 0, 1, Effect::DropAfter));
    let lost = put.send().await.expect_err("no reply");
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
    let list = fixture.cloudwatch.list_metrics().send().await.expect("a list");
    assert_eq!(list.metrics().len(), 1);
}

#[tokio::test]
async fn a_delayed_call_is_carried_out_even_if_its_client_gives_up() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    fixture.account.add_fault(fault("TagResource", 0, 1, Effect::HangAfter));
    tokio::select! {
        answer = fixture.tag("orders", "a", "b") => panic!("it hangs: {answer:?}"),
        () = within(async { while fixture.account.hanging() == 0 { tokio::task::yield_now().await } }) => {}
    }
    let list = fixture.kinesis.list_tags_for_resource();
    let list = list.resource_arn(fixture.account.stream_arn("orders")).send().await;
    assert_eq!(list.expect("tags").tags().len(), 1);
}

#[tokio::test]
async fn every_attempt_is_counted() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    fixture.account.reset_calls();
    fixture.account.add_fault(fault("UpdateShardCount", 1, 1, Effect::DropBefore));
    let _ = fixture.reshard("orders", 100).await;
    let update = fixture.kinesis.update_shard_count().stream_name("orders").target_shard_count(2);
    let _ = update.scaling_type(ScalingType::UniformScaling).send().await;
    fixture.minutes("orders", "IncomingRecords", "Sum").await;
    let calls: Vec<_> = fixture.account.calls().into_iter().collect();
    let expected = [("CloudWatch.GetMetricData", 1), ("Kinesis.UpdateShardCount", 2)];
    assert_eq!(calls, expected.map(|(name, count)| (name.to_string(), count)));
}

#[tokio::test]
async fn a_dropped_account_stops_serving() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let describe = fixture.kinesis.describe_stream_summary().stream_name("orders");
    drop(fixture.account);
    // The server gets the signal to stop at once, and may end a moment later.
    let lost = within(async {
        loop {
            if let Err(lost) = describe.clone().send().await {
                return lost;
            }
        }
    });
    let lost = lost.await;
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused() {
    let fixture = LocalFixture::new().await;
    let url = fixture.account.url();
    let kinesis = "Kinesis_20131202.CreateStream";
    let cloudwatch = "GraniteServiceVersion20100801.PutMetricData";
    for (target, body) in [(kinesis, "{"), (kinesis, "[]"), (cloudwatch, "{")] {
        let (status, answer) = post(url, target, body.into()).await;
        assert_eq!(status, "400", "{target} {body}");
        assert!(answer.contains("SerializationException"), "{answer}");
    }
    let (status, answer) = post(url, "DynamoDB_20120810.GetItem", "{}".into()).await;
    assert_eq!(status, "404");
    assert!(answer.contains("serves Kinesis, CloudWatch"), "{answer}");
}

#[tokio::test]
async fn faults_hit_these_services_too() {
    let fixture = LocalFixture::new().await;
    fixture.account.add_rule("watch", &[]);
    let fault = |operation: &str, effect| fault(operation, 0, 1, effect);
    let error = |code: &str| Effect::Error { status: 400, code: code.into(), message: "a <fault>".into() };
    fixture.account.add_fault(fault("Publish", error("AuthorizationError")));
    fixture.account.add_fault(fault("Publish", Effect::DropAfter));
    fixture.account.add_fault(fault("GetResources", error("ThrottledException")));
    fixture.account.add_fault(fault("DisableRule", error("ConcurrentModificationException")));
    fixture.account.add_fault(fault("ListSchedules", error("AccessDeniedException")));
    let publish = || fixture.sns.publish().topic_arn(TOPIC).message("message").send();
    let refused = code_and_message(publish().await.expect_err("an error"));
    assert_eq!(refused, ("AuthorizationError".into(), "a <fault>".into()));
    assert!(fixture.account.published().is_empty());
    publish().await.expect_err("a cut connection");
    assert_eq!(fixture.account.published().len(), 1, "it was carried out");
    publish().await.expect("no fault is left");
    assert_eq!(code(fixture.tagging.get_resources().send().await), "ThrottledException");
    let disable = || fixture.eventbridge.disable_rule().name("watch").send();
    assert_eq!(code(disable().await), "ConcurrentModificationException");
    assert!(fixture.account.is_enabled("watch"));
    disable().await.expect("no fault is left");
    assert_eq!(code(fixture.scheduler.list_schedules().send().await), "AccessDeniedException");
}
