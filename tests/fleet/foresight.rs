//! Shards before the load, on the wire: forecasts that are made, recorded and checked, and shards that are planned.

use crate::aws::{STREAM, STREAM_ARN};
use crate::fixture::{Fixture, home, still};
use crate::fleet::{decisions, lines_of};
use serde_json::json;
use unthrottle_core::decision::Outcome;
use unthrottle_core::policy::{FORESIGHT_TAG, Foresight};

/// A stream of four shards in foresight that took `per_second` records a second in the last hour.
async fn foreseen(per_second: f64, tag: &str) -> Fixture {
    let fixture = Fixture::on(still(), per_second, 4, 60).await.policy(|p| p.foresight = Foresight::Act);
    fixture.aws.tag(STREAM_ARN, FORESIGHT_TAG, tag).await;
    fixture
}

#[tokio::test]
async fn a_sweep_adds_shards_to_a_stream_that_stays_high_and_counts_the_change() {
    let fixture = foreseen(3_300.0, "act").await;
    let found = fixture.sweep().await;
    assert_eq!(decisions(&found), [(STREAM, Outcome::Acted, "scale_ahead")], "{}", found.document.sentence);
    assert_eq!(json!(found.document.decisions[0].remedy), json!({ "from": 4, "to": 6 }));
    assert_eq!(fixture.shards().await, 6);
    assert_eq!(fixture.aws.auto_fix(&[("StreamName", STREAM), ("Action", "scale_ahead")]).await, 1.0);
    let memory = fixture.aws.memory(STREAM_ARN).await.expect("a memory");
    assert_eq!((memory.base, memory.aheads.len(), memory.reshards.len()), (Some(4), 1, 1));
    fixture.later(10, 3_300.0).await;
    let found = fixture.sweep().await;
    assert_eq!(decisions(&found), [(STREAM, Outcome::Held, "healthy")], "{}", found.document.sentence);
    assert_eq!(fixture.calls("Kinesis.UpdateShardCount"), 1);
}

#[tokio::test]
async fn a_deployment_without_foresight_does_not_look_at_the_stream() {
    let fixture = foreseen(3_300.0, "act").await.policy(|p| p.foresight = Foresight::Off);
    fixture.account.reset_calls();
    assert_eq!(fixture.sweep().await.document.looked, 0);
    assert_eq!(fixture.calls("Tagging.GetResources"), 1, "it does not even ask for these streams");
}

#[tokio::test]
async fn a_stream_that_observes_is_planned_once_and_its_forecast_is_checked() {
    // It rises by 25 records a second in each minute: 92 % of four shards within 20 minutes.
    let fixture = foreseen(2_400.0, "observe").await;
    (1..=30).for_each(|ago| fixture.offer(STREAM, 3_400.0 - 25.0 * ago as f64, 4, ago..=ago));
    let found = fixture.sweep().await;
    assert_eq!(decisions(&found), [(STREAM, Outcome::Planned, "scale_ahead")], "{}", found.document.sentence);
    assert_eq!((fixture.shards().await, fixture.calls("Kinesis.UpdateShardCount")), (4, 0));
    assert_eq!(decisions(&fixture.sweep().await), [(STREAM, Outcome::Held, "healthy")], "once is enough");
    fixture.later(8, 3_800.0).await;
    let found = fixture.sweep().await;
    assert_eq!(found.document.decisions[0].evidence.forecast_was_right, Some(true), "{}", found.document.sentence);
    assert_eq!(lines_of(&found.lines, "ForesightRight").len(), 1);
    let again = fixture.sweep().await;
    assert_eq!(lines_of(&again.lines, "ForesightRight").len(), 0, "each forecast counts once");
}

#[tokio::test]
async fn planned_shards_are_reached_kept_and_given_back() {
    let fixture = Fixture::on(still(), 900.0, 2, 60).await.policy(|p| p.restore_after_hours = 1);
    let until = fixture.now() + chrono::TimeDelta::hours(3);
    let ask = json!({ "stream": STREAM, "at_least": 7, "until": until.to_rfc3339() });
    let asked = fixture.handler().handle(&ask, &home()).await.expect("a decision");
    assert_eq!((asked.document.code, fixture.shards().await), ("scale_ahead", 4), "{}", asked.document.sentence);
    fixture.later(5, 900.0).await;
    fixture.sweep().await;
    fixture.later(5, 900.0).await;
    fixture.sweep().await;
    assert_eq!(fixture.shards().await, 7, "the sweep goes on");
    for _ in 0..8 {
        fixture.later(15, 900.0).await;
        fixture.sweep().await;
    }
    assert_eq!(fixture.shards().await, 7, "an hour without throttling, and kept");
    for _ in 0..12 {
        fixture.later(15, 900.0).await;
        fixture.sweep().await;
    }
    assert_eq!(fixture.shards().await, 2, "given back after the plan");
}

#[tokio::test]
async fn a_plan_above_the_maximum_changes_nothing_and_says_why() {
    let fixture = Fixture::on(still(), 900.0, 2, 60).await;
    let until = fixture.now() + chrono::TimeDelta::hours(3);
    let ask = json!({ "stream": STREAM, "at_least": 101, "until": until.to_rfc3339() });
    let asked = fixture.handler().handle(&ask, &home()).await.expect("a decision");
    assert_eq!(asked.document.code, "not_planned");
    assert!(asked.document.sentence.contains("the maximum of the stream is 100"), "{}", asked.document.sentence);
    assert_eq!((fixture.shards().await, fixture.calls("Kinesis.TagResource")), (2, 0));
}

#[tokio::test]
async fn the_past_of_a_stream_is_read_once_in_six_hours() {
    let fixture = foreseen(2_000.0, "act").await;
    let handler = fixture.handler();
    let ask = json!({ "stream": STREAM });
    // Each look reads the present. The first one also reads the past.
    for (minutes, calls) in [(0, 2), (5, 1), (349, 1), (5, 1), (1, 2), (5, 1)] {
        fixture.later(minutes, 2_000.0).await;
        fixture.account.reset_calls();
        let asked = handler.handle(&ask, &home()).await.expect("a decision");
        assert_eq!(asked.document.code, "healthy", "{}", asked.document.sentence);
        assert_eq!(fixture.calls("CloudWatch.GetMetricData"), calls, "after {minutes} minutes");
    }
}

#[tokio::test]
async fn a_backlog_that_a_reader_worked_off_yesterday_is_no_load_of_today() {
    for (age, code) in [(500.0, "scale_ahead"), (3_600_000.0, "healthy")] {
        let fixture = foreseen(2_000.0, "act").await;
        fixture.account.describe_as(STREAM, json!({ "StreamCreationTimestamp": 0 }));
        // Yesterday from now on, readers got 97 % of the bytes that four shards give.
        (1_300..=1_480).for_each(|ago| {
            fixture.offer(STREAM, 2_000.0, 4, ago..=ago);
            let at = fixture.now() - chrono::TimeDelta::minutes(ago);
            let bytes = if ago < 1_440 { 60.0 * 0.97 * 4.0 * 2_097_152.0 } else { 1.0 };
            for (metric, value) in [("GetRecords.Bytes", bytes), ("GetRecords.IteratorAgeMilliseconds", age)] {
                fixture.account.put_metric("AWS/Kinesis", metric, &[("StreamName", STREAM)], at, value);
            }
        });
        let asked = fixture.handler().handle(&json!({ "stream": STREAM }), &home()).await.expect("a decision");
        assert_eq!(asked.document.code, code, "{}", asked.document.sentence);
    }
}

#[tokio::test]
async fn the_pasts_of_a_hundred_streams_are_kept() {
    let fixture = foreseen(2_000.0, "act").await;
    let names = || (0..100).map(|n| format!("stream-{n}"));
    fixture.account.add_streams(names(), 4, &[(FORESIGHT_TAG, "act")]).await;
    names().for_each(|name| fixture.offer(&name, 2_000.0, 4, 1..=40));
    let handler = fixture.handler();
    for calls in [200, 100] {
        fixture.account.reset_calls();
        for name in names() {
            // The looks of this test come faster than AWS's rates allow.
            fixture.account.forget_rates();
            handler.handle(&json!({ "stream": name }), &home()).await.expect("a decision");
        }
        assert_eq!(fixture.calls("CloudWatch.GetMetricData"), calls);
        fixture.later(5, 2_000.0).await;
        names().for_each(|name| fixture.offer(&name, 2_000.0, 4, 1..=5));
    }
}
