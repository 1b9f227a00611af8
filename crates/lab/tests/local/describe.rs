//! Descriptions of streams and of the account: summaries, limits, tags, and the time that changes take.

use crate::cloudwatch::sums;
use crate::fixture::{LocalFixture, code, code_and_message, mode, query_in};
use aws_sdk_kinesis::types::{MetricsName, ScalingType, StreamMode, StreamStatus};
use std::time::Duration;

#[tokio::test]
async fn a_summary_has_the_fields_that_aws_sends() {
    let fixture = LocalFixture::new().await;
    let create = fixture.kinesis.create_stream().stream_name("orders").shard_count(2);
    create.send().await.expect("created");
    let summary = fixture.summary("orders").await;
    assert_eq!(summary.stream_status, StreamStatus::Creating);
    // Absent: the SDK fills in a zero.
    assert_eq!(summary.open_shard_count, 0);
    fixture.active("orders").await;
    let summary = fixture.summary("orders").await;
    assert_eq!(summary.open_shard_count, 2);
    assert_eq!(summary.max_record_size_in_kib, Some(1024));
    assert_eq!(summary.channel_count, Some(0));
    assert_eq!(summary.stream_mode_details, Some(mode(StreamMode::Provisioned)));
    assert_eq!(summary.stream_arn, fixture.account.stream_arn("orders"));
}

#[tokio::test]
async fn a_summary_shows_the_fields_that_a_test_sets() {
    let fixture = LocalFixture::new().await;
    fixture.on_demand_stream("orders").await;
    assert_eq!(fixture.summary("orders").await.channel_count, Some(0));
    let strategy = fixture.summary("orders").await.record_distribution_strategy.expect("shown");
    assert_eq!(strategy.as_str(), "USER_PARTITION_KEY");
    fixture
        .account
        .describe_as("orders", serde_json::json!({ "ChannelCount": 2, "RecordDistributionStrategy": "AUTO" }));
    let summary = fixture.summary("orders").await;
    assert_eq!(
        (summary.channel_count, summary.record_distribution_strategy.expect("shown").as_str()),
        (Some(2), "AUTO")
    );
    fixture.account.describe_as("orders", serde_json::json!({ "ChannelCount": null }));
    assert_eq!(fixture.summary("orders").await.channel_count, None);
}

#[tokio::test]
async fn describe_limits_counts_provisioned_shards_only_once_a_second() {
    let fixture = LocalFixture::new().await;
    fixture.stream("a", 3).await;
    fixture.on_demand_stream("b").await;
    let limits = fixture.kinesis.describe_limits().send().await.expect("limits");
    assert_eq!((limits.shard_limit, limits.open_shard_count), (500, 3));
    assert_eq!(limits.on_demand_stream_count, 1);
    assert_eq!(limits.on_demand_stream_count_limit, 50);
    let again = fixture.kinesis.describe_limits().send().await;
    assert_eq!(code(again), "LimitExceededException");
    fixture.pass(Duration::from_secs(1));
    fixture.kinesis.describe_limits().send().await.expect("limits");
}

#[tokio::test]
async fn enabling_shard_metrics_updates_the_stream() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let enable = fixture.kinesis.enable_enhanced_monitoring().stream_name("orders");
    let enable = enable.shard_level_metrics(MetricsName::IncomingBytes);
    enable.clone().send().await.expect("enabled");
    assert_eq!(fixture.summary("orders").await.stream_status, StreamStatus::Updating);
    assert_eq!(code(enable.send().await), "ResourceInUseException");
    fixture.active("orders").await;
}

#[tokio::test]
async fn tags_are_kept_through_every_change() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    fixture.tag("orders", "unthrottle.mode", "heal").await.expect("tagged");
    fixture.tag("orders", "unthrottle.memory", "a=1 _./=+-%@").await.expect("tagged");
    fixture.reshard("orders", 2).await.expect("a change");
    fixture.tag("orders", "unthrottle.mode", "off").await.expect("tagged while UPDATING");
    fixture.active("orders").await;
    let list = fixture.kinesis.list_tags_for_resource();
    let list = list.resource_arn(fixture.account.stream_arn("orders")).send().await;
    let list = list.expect("tags");
    let tags: Vec<_> = list.tags().iter().map(|tag| (tag.key.as_str(), tag.value.as_deref())).collect();
    assert_eq!(tags, [("unthrottle.memory", Some("a=1 _./=+-%@")), ("unthrottle.mode", Some("off"))]);
}

#[tokio::test]
async fn tags_that_aws_would_not_take_are_refused() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let long = "x".repeat(257);
    for (key, value) in [("a:b", ""), ("a", "b:c"), ("a", "{}"), ("a", &long), ("aws:a", "")] {
        let (code, _) = fixture.tag("orders", key, value).await.expect_err("refused");
        assert_eq!(code, "InvalidArgumentException", "{key} {value}");
    }
    fixture.tag("orders", "a", &"x".repeat(256)).await.expect("256 characters");
    for number in 1..50 {
        fixture.tag("orders", &format!("t{number}"), "").await.expect("50 tags");
    }
    let (code, _) = fixture.tag("orders", "b", "").await.expect_err("the 51st tag");
    assert_eq!(code, "InvalidArgumentException");
    fixture.tag("orders", "a", "replaced").await.expect("at 50 tags");
}

#[tokio::test]
async fn control_plane_calls_are_throttled_by_operation() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    fixture.pass(Duration::from_secs(1));
    let describe = fixture.kinesis.describe_stream_summary().stream_name("orders");
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..25 {
        calls.spawn(describe.clone().send());
    }
    let answers = calls.join_all().await.into_iter();
    let refused: Vec<_> = answers.filter_map(Result::err).map(code_and_message).collect();
    assert_eq!(refused.len(), 5);
    let message = "Rate exceeded for stream orders under account 123456789012.";
    assert_eq!(refused[0], ("LimitExceededException".into(), message.into()));

    let mut refused = 0;
    for _ in 0..6 {
        let list = fixture.kinesis.list_tags_for_stream().stream_name("orders");
        refused += usize::from(list.send().await.is_err());
    }
    assert_eq!(refused, 1);
}

#[tokio::test]
async fn a_stream_is_created_encrypted_and_deleted_in_the_accounts_time() {
    let fixture = LocalFixture::new().await;
    let create = fixture.kinesis.create_stream().stream_name("orders").shard_count(1);
    create.send().await.expect("created");
    fixture.pass(Duration::from_millis(499));
    assert_eq!(fixture.summary("orders").await.stream_status, StreamStatus::Creating);
    fixture.pass(Duration::from_millis(1));
    assert_eq!(fixture.summary("orders").await.stream_status, StreamStatus::Active);
    let encrypt = fixture.kinesis.start_stream_encryption().stream_name("orders").key_id("alias/aws/kinesis");
    encrypt.encryption_type(aws_sdk_kinesis::types::EncryptionType::Kms).send().await.expect("encrypted");
    fixture.pass(Duration::from_millis(3_999));
    assert_eq!(fixture.summary("orders").await.stream_status, StreamStatus::Updating);
    fixture.pass(Duration::from_millis(1));
    assert_eq!(fixture.summary("orders").await.key_id.as_deref(), Some("alias/aws/kinesis"));
    fixture.kinesis.delete_stream().stream_name("orders").send().await.expect("deleted");
    assert_eq!(fixture.summary("orders").await.stream_status, StreamStatus::Deleting);
    fixture.pass(Duration::from_millis(500));
    let gone = fixture.kinesis.describe_stream_summary().stream_name("orders").send().await;
    assert_eq!(code(gone), "ResourceNotFoundException");
}

#[tokio::test]
async fn a_stream_deleted_twice_and_created_again_stays() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    for _ in 0..2 {
        fixture.kinesis.delete_stream().stream_name("orders").send().await.expect("deleted");
        fixture.pass(Duration::from_millis(300));
    }
    fixture.stream("orders", 2).await;
    fixture.pass(Duration::from_secs(60));
    assert_eq!(fixture.summary("orders").await.open_shard_count, 2);
}

#[tokio::test]
async fn time_that_passes_takes_metrics_and_budgets_along() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 2).await;
    for n in 0..10 {
        fixture.reshard("orders", if n % 2 == 0 { 3 } else { 2 }).await.expect("one of ten");
        fixture.active("orders").await;
    }
    let eleventh = || async {
        let update = fixture.kinesis.update_shard_count().stream_name("orders").target_shard_count(3);
        update.scaling_type(ScalingType::UniformScaling).send().await
    };
    assert_eq!(code(eleventh().await), "LimitExceededException");
    fixture.put_metric("Any", "Thing", &[], 1.0);
    let thing = || query_in("Any", "m", "Thing", "Sum", &[], 60);
    assert_eq!(sums(&fixture, thing()).await.expect("there")[0].1, 1.0);
    fixture.pass(Duration::from_secs(25 * 3600));
    assert_eq!(sums(&fixture, thing()).await.expect("there")[0].1, 0.0, "more than an hour ago");
    eleventh().await.expect("a new day");
}

#[tokio::test]
async fn traffic_does_not_change_when_a_stream_was_created_and_a_made_up_past_does() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let created = async || fixture.summary("orders").await.stream_creation_timestamp.secs();
    let before = created().await;
    fixture.put_numbered("orders", 1..2, 10).await;
    assert_eq!(created().await, before);
    let hour_ago = fixture.account.now() - chrono::TimeDelta::hours(1);
    fixture.account.put_metric("AWS/Kinesis", "IncomingBytes", &[("StreamName", "orders")], hour_ago, 1.0);
    assert!(created().await < hour_ago.timestamp());
    let made_up = created().await;
    fixture.pass(Duration::from_secs(3600));
    assert_eq!(created().await, made_up);
}
