//! Calls that AWS refuses, loses, delays or breaks off.

use crate::aws::{STREAM, STREAM_ARN, TOO_MUCH_FOR_TWO};
use crate::fixture::{ALWAYS, Fixture, live};
use crate::lambda::within;
use crate::{ask, is_write, throttle};
use chrono::{TimeDelta, Utc};
use std::time::Duration;
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG};
use unthrottle_lab::local::{Effect, Options};

#[tokio::test]
async fn a_refused_change_is_tried_once_and_remembered() {
    let fixture = Fixture::throttled().await;
    fixture.refuse("UpdateShardCount", 1, "LimitExceededException");
    let mut container = fixture.container().await;
    let run = container.invoke(&ask()).await;
    assert_eq!((run.outcome(), run.code()), ("held", "refused"), "{:#}", run.document());
    assert!(run.document()["sentence"].as_str().expect("a sentence").contains("says the test"));
    let refused = fixture.aws.memory(STREAM_ARN).await.expect("a memory").refused.expect("a refusal");
    assert_eq!((refused.kind, refused.minutes), (ChangeKind::Scale, 1));

    assert_eq!(container.invoke(&ask()).await.code(), "refused_lately");
    assert_eq!(container.invoke(&throttle()).await.outcome(), "held");
    assert_eq!(fixture.calls("Kinesis.UpdateShardCount"), 1);
    fixture.assert_unchanged(2).await;
}

#[tokio::test]
async fn a_change_that_aws_refused_twice_is_not_tried_again_within_five_minutes() {
    let fixture = Fixture::throttled().await;
    let ago = |minutes| Utc::now() - TimeDelta::minutes(minutes);
    let memory = Memory::default().intend(Change::intent(ChangeKind::Scale, 2, 4, ago(9)), false);
    let memory = memory.refuse(ChangeKind::Scale, ago(4), true).refuse(ChangeKind::Scale, ago(3), true);
    fixture.aws.tag(STREAM_ARN, TAG, &memory.encode().expect("fits")).await;
    let (run, calls) = fixture.calls_of(fixture.container().await.invoke(&throttle())).await;
    assert_eq!((run.outcome(), run.code()), ("held", "refused_lately"));
    assert!(!calls.keys().any(|call| is_write(call)), "{calls:?}");
    fixture.assert_unchanged(2).await;
}

#[tokio::test]
async fn a_memory_that_cannot_be_written_is_no_change() {
    let fixture = Fixture::throttled().await;
    fixture.refuse("TagResource", ALWAYS, "AccessDeniedException");
    let run = fixture.container().await.invoke(&throttle()).await;
    assert_eq!((run.outcome(), run.code()), ("held", "cannot_remember"));
    assert_eq!(fixture.calls("Kinesis.UpdateShardCount"), 0);
    fixture.assert_unchanged(2).await;
}

#[tokio::test]
async fn a_tag_that_stays_throttled_is_an_error_and_no_change() {
    let fixture = Fixture::throttled().await;
    fixture.refuse("TagResource", ALWAYS, "LimitExceededException");
    let run = fixture.container().await.invoke(&throttle()).await;
    let (kind, message) = run.error();
    assert_eq!(kind, "act_failed");
    assert!(message.contains("TagResource of `orders` failed, nothing was changed"), "{message}");
    assert_eq!((fixture.calls("Kinesis.TagResource"), fixture.calls("Kinesis.UpdateShardCount")), (3, 0));
    fixture.assert_unchanged(2).await;
}

#[tokio::test]
async fn account_limits_that_cannot_be_read_do_not_prevent_a_change() {
    let fixture = Fixture::throttled().await;
    fixture.refuse("DescribeLimits", ALWAYS, "LimitExceededException");
    let run = fixture.container().await.invoke(&throttle()).await;
    assert_eq!((run.outcome(), run.code()), ("acted", "scale_shards"));
    assert_eq!(run.document()["evidence"].get("account_shards_left"), None);
    assert_eq!(fixture.aws.active(STREAM).await.open_shard_count, 4);
}

#[tokio::test]
async fn a_refusal_for_the_quota_of_shards_is_none_for_a_rate() {
    let fixture = Fixture::with(2, Options { shard_limit: 2, ..live() }).await;
    fixture.load(TOO_MUCH_FOR_TWO);
    fixture.refuse("DescribeLimits", ALWAYS, "LimitExceededException");
    let run = fixture.container().await.invoke(&throttle()).await;
    assert_eq!((run.outcome(), run.code()), ("held", "refused"));
    let sentence = run.document()["sentence"].as_str().expect("a sentence").to_owned();
    assert!(sentence.contains("would exceed the shard limit"), "{sentence}");
    let refused = fixture.aws.memory(STREAM_ARN).await.and_then(|memory| memory.refused).expect("remembered");
    assert_eq!(refused.minutes, 0, "no part of a row that would spend the day");
}

#[tokio::test]
async fn an_external_change_between_observation_and_change_is_found_and_not_counted() {
    let fixture = Fixture::throttled().await;
    fixture.fault("UpdateShardCount", 0, 1, Effect::Hold);
    let mut container = fixture.container().await;
    let other_person = async {
        while fixture.account.hanging() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fixture.aws.reshard(STREAM, 3).await.expect("the stream is ACTIVE");
        fixture.account.release();
    };
    let event = throttle();
    let (run, ()) = tokio::join!(container.invoke(&event), within(Duration::from_secs(20), "a change", other_person));
    assert_eq!((run.outcome(), run.code()), ("held", "resharding"));
    fixture.aws.active(STREAM).await;
    fixture.assert_unchanged(3).await;
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_an_error_and_the_next_observation_finds_it() {
    let fixture = Fixture::throttled().await;
    fixture.fault("UpdateShardCount", 0, 1, Effect::DropAfter);
    let mut container = fixture.container().await;
    let run = container.invoke(&throttle()).await;
    let (kind, message) = run.error();
    assert_eq!(kind, "act_failed");
    assert!(message.contains("UpdateShardCount of `orders` failed, whether it was carried out shows"), "{message}");

    assert_eq!(container.invoke(&throttle()).await.code(), "resharding", "Lambda tries the event again");
    fixture.aws.active(STREAM).await;
    assert_eq!(container.invoke(&ask()).await.code(), "settling");
    assert_eq!((fixture.calls("Kinesis.UpdateShardCount"), fixture.shards().await), (1, 4));
}

#[tokio::test]
async fn an_observation_that_fails_is_an_error_and_no_change() {
    for operation in ["DescribeStreamSummary", "ListTagsForResource", "GetMetricData", "DescribeLimits"] {
        let fixture = Fixture::throttled().await;
        let effect = Effect::Error { status: 500, code: "InternalFailure".into(), message: "says the test".into() };
        fixture.fault(operation, 0, ALWAYS, effect);
        let (run, calls) = fixture.calls_of(fixture.container().await.invoke(&throttle())).await;
        let (kind, message) = run.error();
        assert_eq!(kind, "read_failed");
        assert!(message.contains(&format!("{operation} of `orders` failed, nothing was changed")), "{message}");
        assert!(!calls.keys().any(|call| is_write(call)), "{calls:?}");
    }
}

/// The client gives the attempt up after three seconds. The observation is then too old for a change: the run observes
/// once more.
#[tokio::test]
async fn a_read_that_hangs_is_tried_again() {
    let fixture = Fixture::throttled().await;
    fixture.fault("DescribeStreamSummary", 0, 1, Effect::HangBefore);
    let run = fixture.container().await.invoke(&throttle()).await;
    assert_eq!((run.outcome(), run.code()), ("acted", "scale_shards"));
    assert!(fixture.calls("Kinesis.DescribeStreamSummary") >= 3, "the lost one, another attempt, another observation");
    assert_eq!(fixture.calls("Kinesis.UpdateShardCount"), 1);
}
