//! Each diagnosis on the wire: a local account that is really throttled, real SDK clients, and the handler that the
//! Lambda runs. The clock of the account stands until a test moves it.

#[path = "common/aws.rs"]
mod aws;
#[path = "common/fixture.rs"]
mod fixture;

use aws::{STREAM, STREAM_ARN, noon};
use aws_sdk_kinesis::types::{MetricsName, ScalingType, StreamMode, StreamModeDetails};
use chrono::{DurationRound, TimeDelta};
use fixture::{ALWAYS, Fixture};
use serde_json::{Value, json};
use unthrottle_core::memory::ChangeKind;
use unthrottle_core::observation::SHARD_METRICS;
use unthrottle_core::policy::Permission;
use unthrottle_lab::local::{Clock, Commitment, Options};

/// Seconds of traffic. A decision needs a minute of metrics.
const TRAFFIC: usize = 60;

impl Fixture {
    /// An account with one stream. The clock stands at noon.
    async fn standing(shards: i32, options: Options) -> Fixture {
        Fixture::with(shards, Options { clock: Clock::standing_at(noon()), ..options }).await
    }

    async fn new(shards: i32) -> Fixture {
        Fixture::standing(shards, Options::default()).await
    }

    async fn committed(shards: i32) -> Fixture {
        Fixture::standing(shards, Options { commitment: Commitment::Enabled, ..Options::default() }).await
    }

    fn clock(&self) -> &Clock {
        self.account.clock()
    }

    /// A person switches the shard-level metrics on.
    async fn monitored(self) -> Fixture {
        let metrics = SHARD_METRICS.map(MetricsName::from);
        let enable = self.aws.kinesis.enable_enhanced_monitoring().stream_name(STREAM);
        enable.set_shard_level_metrics(Some(metrics.into())).send().await.expect("switched on");
        self.aws.active(STREAM).await;
        self
    }

    async fn on_demand(self) -> Fixture {
        let mode = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().expect("complete");
        let switch = self.aws.kinesis.update_stream_mode().stream_arn(STREAM_ARN).stream_mode_details(mode);
        switch.send().await.expect("switched");
        self.aws.active(STREAM).await;
        self
    }

    /// A whole minute of this many records of 10 KiB a second, with these hash keys; how many were accepted and how
    /// many throttled.
    async fn drive(&self, per_second: usize, hash_key: impl Fn(usize) -> u128) -> (usize, usize) {
        let minute = self.clock().now().duration_trunc(TimeDelta::minutes(1)).expect("in range");
        self.clock().advance_to(minute + TimeDelta::minutes(1)).expect("forwards");
        self.aws.offer(STREAM, per_second, TRAFFIC, hash_key).await
    }

    /// The same for three minutes. A verdict that no change helps, or that keys are uneven, needs a throttled minute
    /// that is whole, and in which the load did not just begin.
    async fn drive_on(&self, per_second: usize, hash_key: impl Fn(usize) -> u128) -> (usize, usize) {
        let (mut accepted, mut throttled) = (0, 0);
        for _ in 0..3 {
            let minute = self.drive(per_second, &hash_key).await;
            (accepted, throttled) = (accepted + minute.0, throttled + minute.1);
        }
        (accepted, throttled)
    }

    /// The same for one minute of a stream of one shard. AWS refuses many more records of another producer: six
    /// attempts of each record do not explain them, and even then the load needs three shards.
    async fn drive_more_than_double(&self) -> (usize, usize) {
        let (accepted, throttled) = self.drive(200, everywhere).await;
        let (minute, of_stream) = (self.clock().now() - TimeDelta::minutes(1), [("StreamName", STREAM)]);
        let refused = 60.0 * 520.0;
        self.account.put_metric("AWS/Kinesis", "WriteProvisionedThroughputExceeded", &of_stream, minute, refused);
        (accepted, throttled)
    }

    /// The document of a new container's decision when a person asks.
    async fn document(&self) -> Value {
        serde_json::to_value(self.ask().await.document).expect("JSON")
    }

    /// The same, with this outcome and code.
    async fn expect(&self, outcome: &str, code: &str) -> Value {
        let document = self.document().await;
        assert_eq!((&document["outcome"], &document["code"]), (&json!(outcome), &json!(code)), "{document:#}");
        document
    }

    /// Twenty minutes pass.
    async fn later(&self) {
        self.later_by(TimeDelta::minutes(20)).await;
    }

    /// Twenty minutes pass, and a run finds the last change done. A change that is no reshard settles then: AWS shows
    /// the time of a reshard only.
    async fn found_done(&self) {
        self.later().await;
        self.expect("held", "settling").await;
    }

    async fn later_by(&self, time: TimeDelta) {
        self.aws.active(STREAM).await;
        self.clock().advance(time.to_std().expect("positive")).expect("a clock that stands");
    }
}

/// Hash keys spread over the `n`th quarter of the range.
fn in_quarter(n: u128) -> impl Fn(usize) -> u128 {
    let quarter = u128::MAX / 4 + 1;
    move |i| n * quarter + scattered(i) * (quarter / 1000)
}

fn everywhere(i: usize) -> u128 {
    scattered(i) * (u128::MAX / 1000)
}

/// The numbers below 1000, in an order that keeps neighbours apart.
fn scattered(i: usize) -> u128 {
    (i * 617 % 1000) as u128
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_shard_among_idle_ones_is_split_and_throttles_no_more() {
    let fixture = Fixture::new(4).await.monitored().await;
    let (_, throttled) = fixture.drive(170, in_quarter(2)).await;
    assert!(throttled > 0, "the hot shard really throttles");
    let document = fixture.expect("acted", "split_shard").await;
    let remedy = &document["remedy"];
    assert_eq!(
        (&remedy["shard"], &remedy["from"], &remedy["to"]),
        (&json!("shardId-000000000002"), &json!(4), &json!(5))
    );
    assert_eq!(remedy["at"], json!((u128::MAX / 8 * 5 + 5).to_string()), "the middle of the third quarter");
    assert!(document["cost"]["after_usd_per_hour"].as_f64() > document["cost"]["before_usd_per_hour"].as_f64());
    assert_eq!(fixture.aws.auto_fix(&[("StreamName", STREAM), ("Action", "split_shard")]).await, 1.0);

    fixture.later().await;
    let (accepted, throttled) = fixture.drive(170, in_quarter(2)).await;
    assert!(accepted > 0 && throttled == 0, "{throttled} throttled after the split");
    fixture.expect("healed", "healthy").await;
    assert_eq!(fixture.calls("Kinesis.UpdateShardCount"), 0, "no reshard was spent on it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_key_is_split_twice_at_most_and_then_held_by_name() {
    let fixture = Fixture::new(4).await.monitored().await;
    for _ in 0..2 {
        assert!(fixture.drive(170, |_| 12345).await.1 > 0);
        fixture.expect("acted", "split_shard").await;
        fixture.later().await;
    }
    for _ in 0..2 {
        assert!(fixture.drive_on(170, |_| 12345).await.1 > 0, "no split helps one key");
        let document = fixture.expect("held", "hot_key").await;
        assert_eq!(document["evidence"]["diagnostic_splits"], 2);
        fixture.later().await;
    }
    assert_eq!(fixture.aws.summary(STREAM).await.open_shard_count, 6);
    assert_eq!(fixture.calls("Kinesis.SplitShard"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_short_everywhere_is_scaled_though_its_shards_are_seen() {
    let fixture = Fixture::new(2).await.monitored().await;
    assert!(fixture.drive(300, everywhere).await.1 > 0);
    let document = fixture.expect("acted", "scale_shards").await;
    assert_eq!(document["evidence"]["busy_shards"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skewed_stream_gets_shard_metrics_where_you_allow_them_and_only_for_as_long_as_needed() {
    let fixture = Fixture::new(4).await;
    fixture.drive_on(170, in_quarter(1)).await;
    fixture.expect("held", "skew_suspected").await;

    let fixture = fixture.policy(|p| p.diagnose = Permission::Allow);
    fixture.expect("acted", "enable_shard_metrics").await;
    fixture.found_done().await;
    fixture.drive(170, in_quarter(1)).await;
    fixture.expect("acted", "split_shard").await;
    fixture.later().await;
    fixture.drive(170, in_quarter(1)).await;
    fixture.expect("healed", "healthy").await;
    fixture.expect("acted", "disable_shard_metrics").await;
    let summary = fixture.aws.active(STREAM).await;
    assert!(summary.enhanced_monitoring().iter().all(|on| on.shard_level_metrics().is_empty()), "{summary:?}");
    fixture.found_done().await;
    fixture.drive(50, everywhere).await;
    fixture.expect("held", "healthy").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_many_shards_is_searched_in_one_call() {
    let fixture = Fixture::new(160).await.monitored().await;
    let fixture = fixture.policy(|p| (p.max_shards, p.max_shards_ceiling) = (200, 200));
    assert!(fixture.drive(170, |i| scattered(i) * (u128::MAX / 160_000 - 1)).await.1 > 0);
    fixture.account.reset_calls();
    let document = fixture.expect("acted", "split_shard").await;
    assert_eq!(document["remedy"]["shard"], "shardId-000000000000");
    assert_eq!(fixture.calls("CloudWatch.GetMetricData"), 2, "the stream's, and one search");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_monitoring_account_the_shards_of_a_linked_stream_of_this_name_do_not_count() {
    let fixture = Fixture::new(160).await.monitored().await;
    let fixture = fixture.policy(|p| (p.max_shards, p.max_shards_ceiling) = (200, 200));
    assert!(fixture.drive(170, |i| scattered(i) * (u128::MAX / 160_000 - 1)).await.1 > 0);
    let at = fixture.account.now() - TimeDelta::minutes(1);
    let of_shard = [("StreamName", STREAM), ("ShardId", "shardId-000000000007")];
    for metric in SHARD_METRICS {
        fixture.account.put_linked_metric(metric, &of_shard, at, 6e7);
    }
    let document = fixture.expect("acted", "split_shard").await;
    assert_eq!(document["remedy"]["shard"], "shardId-000000000000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_on_demand_stream_of_an_account_with_the_commitment_is_warmed_up() {
    let fixture = Fixture::committed(2).await.on_demand().await;
    assert!(fixture.drive(300, everywhere).await.1 > 0);
    let document = fixture.expect("acted", "warm_up").await;
    assert_eq!((&document["remedy"]["from"], &document["remedy"]["to"]), (&json!(2), &json!(4)));
    fixture.found_done().await;
    assert_eq!(fixture.drive_on(300, everywhere).await.1, 0, "warm at once");
    fixture.expect("healed", "healthy").await;
    let warm = fixture.aws.summary(STREAM).await.warm_throughput.expect("known");
    assert_eq!((warm.current_mibps, warm.target_mibps), (Some(4), Some(4)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commitment_that_is_coming_to_its_end_still_warms_and_an_absent_one_does_not() {
    for (commitment, code) in
        [(Commitment::EnabledUntilEarliestAllowedEnd, "warm_up"), (Commitment::Absent, "on_demand_adapting")]
    {
        let fixture = Fixture::standing(1, Options { commitment, ..Options::default() }).await.on_demand().await;
        assert!(fixture.drive(170, everywhere).await.1 > 0);
        assert_eq!(fixture.document().await["code"], code);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_needs_more_than_double_leaps_to_on_demand_with_warm_throughput_in_one_call() {
    let fixture = Fixture::committed(1).await;
    assert!(fixture.drive_more_than_double().await.1 > 0);
    let document = fixture.expect("acted", "switch_to_on_demand").await;
    assert_eq!(document["remedy"], json!({ "from": "PROVISIONED", "to": "ON_DEMAND", "warm_mibps": 3 }));
    assert_eq!(fixture.calls("Kinesis.UpdateStreamWarmThroughput"), 0);
    fixture.found_done().await;
    assert_eq!(fixture.drive_on(200, everywhere).await.1, 0);
    fixture.expect("healed", "healthy").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_to_on_demand_is_undone_after_hours_without_throttling_when_nothing_needs_it() {
    let fixture = Fixture::standing(2, Options { shard_limit: 2, ..Options::default() }).await;
    let fixture = fixture.policy(|p| p.restore_after_hours = 1);
    assert!(fixture.drive(300, everywhere).await.1 > 0);
    fixture.expect("acted", "switch_to_on_demand").await;
    fixture.found_done().await;
    fixture.drive_on(150, everywhere).await;
    fixture.expect("healed", "healthy").await;
    fixture.later_by(TimeDelta::hours(36)).await;
    fixture.account.describe_as(STREAM, json!({ "QueueCount": 1 }));
    fixture.drive(50, everywhere).await;
    fixture.expect("held", "not_restorable").await;
    fixture.account.describe_as(STREAM, json!({ "QueueCount": null }));
    fixture.expect("held", "not_restorable").await;
    fixture.account.describe_as(STREAM, json!({ "QueueCount": 0, "ChannelCount": 1 }));
    fixture.expect("held", "not_restorable").await;
    fixture.account.describe_as(STREAM, json!({ "QueueCount": 0, "ChannelCount": 0 }));
    fixture.expect("acted", "switch_to_provisioned").await;
    let mode = fixture.aws.active(STREAM).await.stream_mode_details.expect("a mode");
    assert_eq!(mode.stream_mode, StreamMode::Provisioned);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_aws_refuses_is_held_by_name_and_remembered() {
    let hot = Fixture::new(4).await.monitored().await;
    let hot = expect_refusals(hot, "SplitShard", ChangeKind::Split, async |f| {
        f.drive(170, in_quarter(0)).await;
    });
    let warm = Fixture::committed(1).await.on_demand().await;
    let warm = expect_refusals(warm, "UpdateStreamWarmThroughput", ChangeKind::WarmUp, async |f| {
        f.drive(170, everywhere).await;
    });
    let leap = Fixture::committed(1).await;
    let leap = expect_refusals(leap, "UpdateStreamMode", ChangeKind::Switch, async |f| {
        f.drive_more_than_double().await;
    });
    let skew = Fixture::new(4).await.policy(|p| p.diagnose = Permission::Allow);
    let skew = expect_refusals(skew, "EnableEnhancedMonitoring", ChangeKind::EnableShardMetrics, async |f| {
        f.drive_on(170, in_quarter(0)).await;
    });
    tokio::join!(hot, warm, leap, skew);
}

/// `operation` is the remedy of the fixture's stream under this load.
async fn expect_refusals(fixture: Fixture, operation: &str, kind: ChangeKind, load: impl AsyncFn(&Fixture)) {
    load(&fixture).await;
    fixture.refuse(operation, 1, "ResourceInUseException");
    fixture.expect("held", "resharding").await;
    fixture.later().await;
    load(&fixture).await;
    for (code, limits) in [("ValidationException", 0), ("LimitExceededException", 1)] {
        fixture.refuse(operation, 1, code);
        let document = fixture.document().await;
        assert_eq!(document["code"], "refused", "{operation} {code}: {document:#}");
        let refused = fixture.aws.memory(STREAM_ARN).await.and_then(|memory| memory.refused).expect("remembered");
        assert_eq!((refused.kind, refused.minutes), (kind, limits), "{operation} {code}");
        assert_eq!(fixture.document().await["code"], "refused_lately");
        if kind == ChangeKind::EnableShardMetrics {
            break; // Not worth a second try.
        }
        fixture.later().await;
        load(&fixture).await;
    }
    assert_eq!(fixture.aws.auto_fix(&[]).await, 0.0, "{operation}: nothing was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reshard_budget_that_others_have_spent_shows_by_the_refusal_of_aws() {
    let fixture = Fixture::new(2).await;
    for n in 0..10 {
        let target = if n % 2 == 0 { 3 } else { 2 };
        let update = fixture.aws.kinesis.update_shard_count().stream_name(STREAM).target_shard_count(target);
        update.scaling_type(ScalingType::UniformScaling).send().await.expect("one of ten");
        fixture.aws.active(STREAM).await;
    }
    // Evidence is of the shards of today.
    fixture.later().await;
    assert!(fixture.drive(300, everywhere).await.1 > 0);
    let document = fixture.expect("held", "refused").await;
    assert!(document["sentence"].as_str().is_some_and(|s| s.contains("LimitExceededException")), "{document:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_that_cannot_be_read_shows_by_the_refusal_of_aws() {
    let fixture = Fixture::standing(2, Options { shard_limit: 3, ..Options::default() }).await;
    fixture.refuse("DescribeLimits", ALWAYS, "LimitExceededException");
    assert!(fixture.drive(300, everywhere).await.1 > 0);
    let document = fixture.expect("held", "refused").await;
    assert!(document["sentence"].as_str().is_some_and(|s| s.contains("shard limit")), "{document:#}");
}
