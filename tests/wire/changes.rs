//! Runs that change the stream, and runs that leave it alone.

use crate::aws::{EASY, STREAM, STREAM_ARN, TOO_MUCH_FOR_TWO};
use crate::fixture::{Fixture, live};
use crate::{ask, is_write, throttle, total};
use aws_sdk_kinesis::types::{StreamMode, StreamStatus};
use chrono::{DurationRound, TimeDelta, Utc};
use serde_json::{Value, json};
use unthrottle_core::memory::ChangeKind;
use unthrottle_lab::local::{Clock, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_stream_is_scaled_end_to_end() {
    let minute = Utc::now().duration_trunc(TimeDelta::minutes(1)).expect("in range");
    let clock = Clock::standing_at(minute - TimeDelta::seconds(90));
    let fixture = Fixture::with(2, Options { clock: clock.clone(), ..live() }).await;
    let mut container = fixture.container().await;
    clock.advance_to(minute - TimeDelta::minutes(1)).expect("forwards");
    let everywhere = |n: usize| (n * 617 % 1000) as u128 * (u128::MAX / 1000);
    let (accepted, throttled) = fixture.aws.offer(STREAM, 300, 60, everywhere).await;
    assert!(accepted > 0 && throttled > 0, "{accepted} accepted, {throttled} throttled");
    clock.run().expect("from the past");
    // unthrottle expects CloudWatch to publish a minute within five. Older datapoints cause no change.
    assert!(
        fixture.account.now() - minute < TimeDelta::minutes(4),
        "a minute of traffic took this machine four minutes"
    );

    let (run, calls) = fixture.calls_of(container.invoke(&throttle())).await;

    let document = run.document();
    assert_eq!((run.outcome(), run.code()), ("acted", "scale_shards"), "{document:#}");
    assert_eq!(document["remedy"], json!({ "from": 2, "to": 4 }), "{document:#}");
    assert_eq!(document["auto_fix"], "confirmed");
    let stream =
        json!({ "name": STREAM, "arn": STREAM_ARN, "mode": "PROVISIONED", "status": "ACTIVE", "open_shards": 2 });
    assert_eq!(document["stream"], stream, "as it was seen");
    assert_eq!(fixture.aws.summary(STREAM).await.stream_status, StreamStatus::Updating);
    assert_eq!(fixture.aws.active(STREAM).await.open_shard_count, 4);

    for dimensions in [&[][..], &[("StreamName", STREAM)], &[("StreamName", STREAM), ("Action", "scale_shards")]] {
        assert_eq!(fixture.aws.auto_fix(dimensions).await, 1.0, "{dimensions:?}");
    }
    let memory = fixture.aws.memory(STREAM_ARN).await.expect("a memory");
    let change = memory.change.expect("a change");
    assert_eq!((change.kind, change.from.number(), change.to.number()), (ChangeKind::Scale, 2, 4));
    assert_eq!(memory.base, Some(2));

    let line = run.decision_line();
    assert_eq!(line["decision"], *document);
    assert_eq!(line["message"], document["sentence"]);
    assert!(line["requestId"].is_string(), "{line:#}");
    assert!(total(&calls) <= 8, "{calls:?}");
    let cost = run.cost_line();
    assert_eq!(cost["AwsCalls"], total(&calls), "{calls:?}");
    assert_eq!((&cost["Looked"], &cost["Held"], &cost["ColdStart"]), (&json!(1), &json!(0), &json!(1)));
    assert_eq!(cost["Reason"], "scale_shards");
    assert!(cost["DurationMs"].as_f64().is_some_and(|ms| ms > 0.0), "{cost:#}");
    assert_eq!(cost["_aws"]["CloudWatchMetrics"], metrics_of_a_first_change(), "zeros are no metrics");
    assert_eq!(run.auto_fix_lines().len(), 0, "CloudWatch has the datum");
}

/// The metrics in the line of the first run of a container, which observed a stream and changed it. `Held` and
/// `NeedsPerson` are zero, and CloudWatch charges for a metric of zeros.
fn metrics_of_a_first_change() -> Value {
    let directive = |dimensions: Value, metrics: &[(&str, &str)]| {
        let metrics = metrics.iter().map(|(name, unit)| json!({ "Name": name, "Unit": unit }));
        json!({ "Namespace": "Unthrottle", "Dimensions": dimensions, "Metrics": metrics.collect::<Value>() })
    };
    json!([
        directive(json!([[]]), &[("DurationMs", "Milliseconds")]),
        directive(json!([[]]), &[("AwsCalls", "Count"), ("ColdStart", "Count")]),
        directive(json!([[], ["Reason"]]), &[("Looked", "Count")]),
    ])
}

#[tokio::test]
async fn a_run_after_a_change_finds_it_under_way_and_then_settling_and_changes_nothing() {
    let fixture = Fixture::throttled().await;
    let mut container = fixture.container().await;
    assert_eq!(container.invoke(&ask()).await.outcome(), "acted");

    assert_eq!(container.invoke(&ask()).await.code(), "resharding");
    fixture.aws.active(STREAM).await;
    for _ in 0..3 {
        assert_eq!(container.invoke(&ask()).await.code(), "settling");
    }
    let mut other = fixture.container().await;
    assert_eq!(other.invoke(&throttle()).await.code(), "settling");

    assert_eq!(fixture.calls("Kinesis.UpdateShardCount"), 1);
    assert_eq!(fixture.shards().await, 4);
    assert_eq!(fixture.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0);
}

#[tokio::test]
async fn a_healthy_stream_is_left_alone_in_five_calls() {
    let fixture = Fixture::under(EASY, 2).await;
    let mut container = fixture.container().await;
    let (run, calls) = fixture.calls_of(container.invoke(&throttle())).await;
    assert_eq!((run.outcome(), run.code()), ("held", "healthy"));
    assert!(total(&calls) <= 5 && !calls.keys().any(|call| is_write(call)), "{calls:?}");
    assert_eq!(run.cost_line()["AwsCalls"], total(&calls), "{calls:?}");
    fixture.assert_unchanged(2).await;
}

#[tokio::test]
async fn a_run_that_changes_a_throttled_stream_makes_at_most_eight_calls_and_one_that_holds_it_six() {
    let fixture = Fixture::throttled().await;
    let mut container = fixture.container_with(&[("UNTHROTTLE_MAX_SHARDS", "2")]).await;
    let (held, calls) = fixture.calls_of(container.invoke(&throttle())).await;
    assert_eq!((held.outcome(), held.code()), ("held", "at_max_shards"), "{:#}", held.document());
    assert!(total(&calls) <= 6 && calls["Kinesis.ListShards"] == 1, "{calls:?}");

    let fixture = Fixture::throttled().await;
    let (acted, calls) = fixture.calls_of(fixture.container().await.invoke(&throttle())).await;
    assert_eq!((acted.outcome(), acted.code()), ("acted", "scale_shards"), "{:#}", acted.document());
    assert!(total(&calls) <= 8 && calls["Kinesis.ListShards"] == 1, "{calls:?}");

    // Another person's reshard is remembered: the hold writes a tag.
    let fixture = Fixture::throttled().await;
    fixture.aws.reshard(STREAM, 3).await.expect("the stream is ACTIVE");
    fixture.aws.active(STREAM).await;
    let mut container = fixture.container().await;
    let (held, calls) = fixture.calls_of(container.invoke(&throttle())).await;
    assert_eq!((held.outcome(), held.code()), ("held", "settling"), "{:#}", held.document());
    assert!(total(&calls) <= 6 && calls["Kinesis.TagResource"] == 1, "{calls:?}");
}

#[tokio::test]
async fn a_stream_of_an_account_without_shards_left_is_switched_to_on_demand() {
    let fixture = Fixture::with(2, Options { shard_limit: 2, ..live() }).await;
    fixture.load(TOO_MUCH_FOR_TWO);
    let run = fixture.container().await.invoke(&throttle()).await;
    assert_eq!((run.outcome(), run.code()), ("acted", "switch_to_on_demand"), "{:#}", run.document());
    assert_eq!(run.document()["remedy"], json!({ "from": "PROVISIONED", "to": "ON_DEMAND" }));
    let mode = fixture.aws.active(STREAM).await.stream_mode_details.expect("a mode").stream_mode;
    assert_eq!(mode, StreamMode::OnDemand);
    assert_eq!(fixture.calls("Kinesis.UpdateShardCount"), 0);
    assert_eq!(fixture.aws.auto_fix(&[("StreamName", STREAM), ("Action", "switch_to_on_demand")]).await, 1.0);
}

#[tokio::test]
async fn in_observe_mode_a_change_is_planned_and_nothing_is_written() {
    let fixture = Fixture::throttled().await;
    let mut container = fixture.container_with(&[("UNTHROTTLE_MODE", "observe")]).await;
    let (run, calls) = fixture.calls_of(container.invoke(&throttle())).await;
    assert_eq!((run.outcome(), run.code()), ("planned", "scale_shards"));
    assert_eq!(run.document()["remedy"], json!({ "from": 2, "to": 4 }));
    assert!(!calls.is_empty() && !calls.keys().any(|call| is_write(call)), "{calls:?}");
    assert_eq!(fixture.aws.memory(STREAM_ARN).await, None);
    fixture.assert_unchanged(2).await;
}
