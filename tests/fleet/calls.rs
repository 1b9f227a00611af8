//! How many AWS calls one run makes at most: a plain one, and one that needs everything that a run can read.

use crate::aws::{STREAM, STREAM_ARN};
use crate::fixture::{Fixture, ask};
use crate::fleet::throttled;
use crate::notify::TOPIC;
use aws_sdk_kinesis::types::MetricsName;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use unthrottle_core::observation::SHARD_METRICS;

/// Two shards with half again the load that they take, and a topic.
async fn plain() -> Fixture {
    Fixture::under(3000.0, 2, 10).await.policy(|p| p.topic_arn = Some(TOPIC.into()))
}

/// Four shards with ten times their load, so that a leap to on-demand mode is in question, a registered consumer,
/// shard-level metrics that show each shard full, and a topic.
async fn fullest() -> Fixture {
    let fixture = Fixture::under(40_000.0, 4, 10).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    let register = fixture.aws.kinesis.register_stream_consumer().stream_arn(STREAM_ARN).consumer_name("billing");
    register.send().await.expect("registered");
    let enable = fixture.aws.kinesis.enable_enhanced_monitoring().stream_name(STREAM);
    let metrics = SHARD_METRICS.map(MetricsName::from);
    enable.set_shard_level_metrics(Some(metrics.into())).send().await.expect("switched on");
    fixture.later(1, 40_000.0).await;
    for at in (1..=10).map(|ago| fixture.now() - TimeDelta::minutes(ago)) {
        for shard in (0..4).map(|number| format!("shardId-{number:012}")) {
            let of_shard = [("StreamName", STREAM), ("ShardId", shard.as_str())];
            for (metric, value) in SHARD_METRICS.into_iter().zip([6e6, 60_000.0, 540_000.0]) {
                fixture.account.put_metric("AWS/Kinesis", metric, &of_shard, at, value);
            }
        }
    }
    fixture
}

/// The outcome's code and the calls of a run.
async fn calls_of(fixture: &Fixture) -> (&'static str, BTreeMap<String, u64>) {
    fixture.account.reset_calls();
    let document = fixture.ask().await.document;
    (document.code, fixture.account.calls().into_iter().collect())
}

#[tokio::test]
async fn a_plain_run_that_acts_and_notifies_makes_nine_calls_and_eight_while_the_limits_are_known() {
    let fixture = plain().await;
    let (code, calls) = calls_of(&fixture).await;
    assert_eq!((code, calls.values().sum::<u64>()), ("scale_shards", 9), "{calls:?}");

    let fixture = plain().await;
    fixture.account.add_streams([throttled(0)], 2, &[]).await;
    let handler = fixture.handler();
    ask(&handler, &throttled(0)).await;
    fixture.account.reset_calls();
    assert_eq!(ask(&handler, STREAM).await.document.code, "scale_shards");
    let calls = fixture.account.calls();
    assert_eq!(calls.values().sum::<u64>(), 8, "{calls:?}");
}

#[tokio::test]
async fn the_fullest_run_that_acts_makes_twelve_calls() {
    let (code, calls) = calls_of(&fullest().await).await;
    assert_eq!((code, calls.values().sum::<u64>()), ("scale_shards", 12), "{calls:?}");
    let one_by_one = calls.iter().filter(|(call, _)| *call != "CloudWatch.GetMetricData");
    assert!(one_by_one.clone().all(|(_, times)| *times == 1), "{calls:?}");
    assert_eq!(calls["CloudWatch.GetMetricData"], 3, "the stream's, its consumers', and its shards'");
}

#[tokio::test]
async fn the_fullest_run_that_holds_makes_ten_calls() {
    let fixture = fullest().await.policy(|p| p.max_hourly_cost = Some(0.01));
    let (code, calls) = calls_of(&fixture).await;
    assert_eq!((code, calls.values().sum::<u64>()), ("at_max_cost", 10), "{calls:?}");
}
