//! Each diagnosis on the wire: a local account that is really throttled, real SDK clients, and the handler that the
//! Lambda runs. The clock of the account stands until a test moves it.

#[path = "common/aws.rs"]
mod aws;

use aws::{Aws, STREAM, STREAM_ARN, noon};
use aws_sdk_kinesis::types::{MetricsName, ScalingType, StreamMode, StreamModeDetails};
use chrono::{DurationRound, TimeDelta};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use unthrottle::aws::Clients;
use unthrottle::handler::Handler;
use unthrottle_core::memory::ChangeKind;
use unthrottle_core::observation::SHARD_METRICS;
use unthrottle_core::policy::{Permission, Policy};
use unthrottle_core::signal::Home;
use unthrottle_lab::local::{Clock, Commitment, Effect, Fault, LocalAccount, Options};

/// Seconds of traffic: a minute of metrics, which is what a decision needs.
const TRAFFIC: usize = 60;

struct Stage {
    account: LocalAccount,
    aws: Aws,
    policy: Policy,
}

impl Stage {
    /// An account with one stream.
    async fn with(shards: i32, options: Options) -> Stage {
        let options = Options { clock: Clock::standing_at(noon()), ..options };
        let account = LocalAccount::start(options).await.expect("a free port");
        let aws = Aws::of(&account);
        aws.create(STREAM, shards).await;
        Stage { account, aws, policy: Policy::default() }
    }

    fn clock(&self) -> &Clock {
        self.account.clock()
    }

    async fn new(shards: i32) -> Stage {
        Stage::with(shards, Options::default()).await
    }

    async fn committed(shards: i32) -> Stage {
        Stage::with(shards, Options { commitment: Commitment::Enabled, ..Options::default() }).await
    }

    fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Stage {
        change(&mut self.policy);
        self
    }

    /// Somebody switches the shard-level metrics on.
    async fn monitored(self) -> Stage {
        let metrics = SHARD_METRICS.map(MetricsName::from);
        let enable = self.aws.kinesis.enable_enhanced_monitoring().stream_name(STREAM);
        enable.set_shard_level_metrics(Some(metrics.into())).send().await.expect("switched on");
        self.aws.active(STREAM).await;
        self
    }

    async fn on_demand(self) -> Stage {
        let mode = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build().expect("complete");
        let switch = self.aws.kinesis.update_stream_mode().stream_arn(STREAM_ARN).stream_mode_details(mode);
        switch.send().await.expect("switched");
        self.aws.active(STREAM).await;
        self
    }

    /// A whole minute of this many records of 10 KiB a second, with these hash keys; how many were accepted and how many
    /// throttled.
    async fn drive(&self, per_second: usize, hash_key: impl Fn(usize) -> u128) -> (usize, usize) {
        let minute = self.clock().now().duration_trunc(TimeDelta::minutes(1)).expect("in range");
        self.clock().advance_to(minute + TimeDelta::minutes(1)).expect("forwards");
        self.aws.offer(STREAM, per_second, TRAFFIC, hash_key).await
    }

    /// What the handler decides when a person asks. A new container each time: it remembers nothing, so it reads the
    /// account's limits again, and AWS allows one such call a second.
    async fn ask(&self) -> Value {
        self.clock().advance(Duration::from_secs(1)).expect("a clock that stands");
        let clients = Clients::new(&unthrottle_cli::local_config(self.account.url()));
        let home = Home::of_arn(STREAM_ARN).expect("an ARN");
        let handler = Handler::new(clients, self.policy.clone()).on(self.clock().clone());
        let healing = handler.handle(&json!({ "stream": STREAM }), &home).await;
        serde_json::to_value(healing.expect("a decision").document).expect("JSON")
    }

    /// The same, and it is this.
    async fn expect(&self, outcome: &str, code: &str) -> Value {
        let document = self.ask().await;
        assert_eq!((&document["outcome"], &document["code"]), (&json!(outcome), &json!(code)), "{document:#}");
        document
    }

    /// Twenty minutes pass.
    async fn later(&self) {
        self.later_by(TimeDelta::minutes(20)).await;
    }

    async fn later_by(&self, time: TimeDelta) {
        self.aws.active(STREAM).await;
        self.clock().advance(time.to_std().expect("positive")).expect("a clock that stands");
    }

    fn refuse(&self, operation: &str, code: &str) {
        let effect = Effect::Error { status: 400, code: code.into(), message: "says the test".into() };
        self.account.add_fault(Fault { operation: operation.into(), skip: 0, times: 1, effect });
    }

    fn calls(&self) -> BTreeMap<String, u64> {
        self.account.calls()
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

/// The numbers below 1000 in an order in which few neighbours are close.
fn scattered(i: usize) -> u128 {
    (i * 617 % 1000) as u128
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_shard_among_idle_ones_is_split_and_throttles_no_more() {
    let stage = Stage::new(4).await.monitored().await;
    let (_, throttled) = stage.drive(170, in_quarter(2)).await;
    assert!(throttled > 0, "the hot shard really throttles");
    let document = stage.expect("acted", "split_shard").await;
    let remedy = &document["remedy"];
    assert_eq!(
        (&remedy["shard"], &remedy["from"], &remedy["to"]),
        (&json!("shardId-000000000002"), &json!(4), &json!(5))
    );
    assert_eq!(remedy["at"], json!((u128::MAX / 8 * 5 + 5).to_string()), "the middle of the third quarter");
    assert!(document["cost"]["after_usd_per_hour"].as_f64() > document["cost"]["before_usd_per_hour"].as_f64());
    assert_eq!(stage.aws.auto_fix(&[("StreamName", STREAM), ("Action", "split_shard")]).await, 1.0);

    stage.later().await;
    let (accepted, throttled) = stage.drive(170, in_quarter(2)).await;
    assert!(accepted > 0 && throttled == 0, "{throttled} throttled after the split");
    stage.expect("healed", "healthy").await;
    assert_eq!(stage.calls().get("Kinesis.UpdateShardCount"), None, "no reshard was spent on it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_key_is_split_twice_at_most_and_then_held_by_name() {
    let stage = Stage::new(4).await.monitored().await;
    for _ in 0..2 {
        assert!(stage.drive(170, |_| 12345).await.1 > 0);
        stage.expect("acted", "split_shard").await;
        stage.later().await;
    }
    for _ in 0..2 {
        assert!(stage.drive(170, |_| 12345).await.1 > 0, "no split helps one key");
        let document = stage.expect("held", "hot_key").await;
        assert_eq!(document["evidence"]["diagnostic_splits"], 2);
        stage.later().await;
    }
    assert_eq!(stage.aws.summary(STREAM).await.open_shard_count, 6);
    assert_eq!(stage.calls()["Kinesis.SplitShard"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_short_everywhere_is_scaled_though_its_shards_are_seen() {
    let stage = Stage::new(2).await.monitored().await;
    assert!(stage.drive(300, everywhere).await.1 > 0);
    let document = stage.expect("acted", "scale_shards").await;
    assert_eq!(document["evidence"]["busy_shards"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skewed_stream_is_looked_at_closer_where_that_is_allowed_and_no_longer_than_needed() {
    let stage = Stage::new(4).await;
    stage.drive(170, in_quarter(1)).await;
    stage.expect("held", "skew_suspected").await;

    let stage = stage.policy(|p| p.diagnose = Permission::Allow);
    stage.expect("acted", "enable_shard_metrics").await;
    stage.later().await;
    stage.drive(170, in_quarter(1)).await;
    stage.expect("acted", "split_shard").await;
    stage.later().await;
    stage.drive(170, in_quarter(1)).await;
    stage.expect("healed", "healthy").await;
    stage.expect("acted", "disable_shard_metrics").await;
    let summary = stage.aws.active(STREAM).await;
    assert!(summary.enhanced_monitoring().iter().all(|on| on.shard_level_metrics().is_empty()), "{summary:?}");
    stage.later().await;
    stage.drive(50, everywhere).await;
    stage.expect("held", "healthy").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_many_shards_is_searched_in_one_call() {
    let stage = Stage::new(160).await.monitored().await;
    let stage = stage.policy(|p| (p.max_shards, p.max_shards_ceiling) = (200, 200));
    assert!(stage.drive(170, |i| scattered(i) * (u128::MAX / 160_000 - 1)).await.1 > 0);
    stage.account.reset_calls();
    let document = stage.expect("acted", "split_shard").await;
    assert_eq!(document["remedy"]["shard"], "shardId-000000000000");
    assert_eq!(stage.calls()["CloudWatch.GetMetricData"], 2, "the stream's, and one search");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_on_demand_stream_of_an_account_with_the_commitment_is_warmed_up() {
    let stage = Stage::committed(2).await.on_demand().await;
    assert!(stage.drive(300, everywhere).await.1 > 0);
    let document = stage.expect("acted", "warm_up").await;
    assert_eq!((&document["remedy"]["from"], &document["remedy"]["to"]), (&json!(2), &json!(4)));
    stage.later().await;
    assert_eq!(stage.drive(300, everywhere).await.1, 0, "warm at once");
    stage.expect("healed", "healthy").await;
    let warm = stage.aws.summary(STREAM).await.warm_throughput.expect("known");
    assert_eq!((warm.current_mibps, warm.target_mibps), (Some(4), Some(4)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commitment_that_is_coming_to_its_end_still_warms_and_an_absent_one_does_not() {
    for (commitment, code) in
        [(Commitment::EnabledUntilEarliestAllowedEnd, "warm_up"), (Commitment::Absent, "on_demand_adapting")]
    {
        let stage = Stage::with(1, Options { commitment, ..Options::default() }).await.on_demand().await;
        assert!(stage.drive(170, everywhere).await.1 > 0);
        assert_eq!(stage.ask().await["code"], code);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_needs_more_than_double_leaps_to_on_demand_with_warm_throughput_in_one_call() {
    let stage = Stage::committed(1).await;
    assert!(stage.drive(200, everywhere).await.1 > 0);
    let document = stage.expect("acted", "switch_to_on_demand").await;
    assert_eq!(document["remedy"], json!({ "from": "PROVISIONED", "to": "ON_DEMAND", "warm_mibps": 3 }));
    assert_eq!(stage.calls().get("Kinesis.UpdateStreamWarmThroughput"), None);
    stage.later().await;
    assert_eq!(stage.drive(200, everywhere).await.1, 0);
    stage.expect("healed", "healthy").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_we_switched_to_on_demand_goes_back_when_it_was_calm_and_nothing_needs_it() {
    let stage = Stage::with(2, Options { shard_limit: 2, ..Options::default() }).await;
    let stage = stage.policy(|p| p.restore_after_hours = 1);
    assert!(stage.drive(300, everywhere).await.1 > 0);
    stage.expect("acted", "switch_to_on_demand").await;
    stage.later_by(TimeDelta::hours(36)).await;
    stage.account.describe_as(STREAM, json!({ "QueueCount": 1 }));
    stage.drive(50, everywhere).await;
    stage.expect("held", "not_restorable").await;
    stage.account.describe_as(STREAM, json!({ "QueueCount": null }));
    stage.expect("held", "not_restorable").await;
    stage.account.describe_as(STREAM, json!({ "QueueCount": 0, "ChannelCount": 1 }));
    stage.expect("held", "not_restorable").await;
    stage.account.describe_as(STREAM, json!({ "QueueCount": 0, "ChannelCount": 0 }));
    stage.expect("acted", "switch_to_provisioned").await;
    let mode = stage.aws.active(STREAM).await.stream_mode_details.expect("a mode");
    assert_eq!(mode.stream_mode, StreamMode::Provisioned);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_aws_refuses_is_held_by_name_and_remembered() {
    let hot = async {
        let stage = Stage::new(4).await.monitored().await;
        stage.drive(170, in_quarter(0)).await;
        what_aws_refuses(&stage, "SplitShard", ChangeKind::Split).await;
    };
    let warm = async {
        let stage = Stage::committed(1).await.on_demand().await;
        stage.drive(170, everywhere).await;
        what_aws_refuses(&stage, "UpdateStreamWarmThroughput", ChangeKind::WarmUp).await;
    };
    let leap = async {
        let stage = Stage::committed(1).await;
        stage.drive(200, everywhere).await;
        what_aws_refuses(&stage, "UpdateStreamMode", ChangeKind::Switch).await;
    };
    let skew = async {
        let stage = Stage::new(4).await.policy(|p| p.diagnose = Permission::Allow);
        stage.drive(170, in_quarter(0)).await;
        what_aws_refuses(&stage, "EnableEnhancedMonitoring", ChangeKind::EnableShardMetrics).await;
    };
    tokio::join!(hot, warm, leap, skew);
}

/// On a stage where `operation` is the remedy.
async fn what_aws_refuses(stage: &Stage, operation: &str, kind: ChangeKind) {
    stage.refuse(operation, "ResourceInUseException");
    stage.expect("held", "resharding").await;
    stage.later().await;
    stage.drive(170, in_quarter(0)).await;
    for (code, limits) in [("ValidationException", 0), ("LimitExceededException", 1)] {
        stage.refuse(operation, code);
        let document = stage.ask().await;
        assert_eq!(document["code"], "refused", "{operation} {code}: {document:#}");
        let refused = stage.aws.memory(STREAM_ARN).await.and_then(|memory| memory.refused).expect("remembered");
        assert_eq!((refused.kind, refused.count), (kind, limits), "{operation} {code}");
        assert_eq!(stage.ask().await["code"], "refused_lately");
        if kind == ChangeKind::EnableShardMetrics {
            break; // Not worth a second try.
        }
        stage.later().await;
        stage.drive(200, in_quarter(0)).await;
    }
    assert_eq!(stage.aws.auto_fix(&[]).await, 0.0, "{operation}: nothing was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_days_reshards_that_others_have_spent_are_found_by_awss_refusal() {
    let stage = Stage::new(2).await;
    for n in 0..10 {
        let target = if n % 2 == 0 { 3 } else { 2 };
        let update = stage.aws.kinesis.update_shard_count().stream_name(STREAM).target_shard_count(target);
        update.scaling_type(ScalingType::UniformScaling).send().await.expect("one of ten");
        stage.aws.active(STREAM).await;
    }
    assert!(stage.drive(300, everywhere).await.1 > 0);
    let document = stage.expect("held", "refused").await;
    assert!(document["sentence"].as_str().is_some_and(|s| s.contains("LimitExceededException")), "{document:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_that_aws_would_not_tell_is_found_by_its_refusal() {
    let stage = Stage::with(2, Options { shard_limit: 3, ..Options::default() }).await;
    let effect = Effect::Error { status: 400, code: "LimitExceededException".into(), message: "slow down".into() };
    stage.account.add_fault(Fault { operation: "DescribeLimits".into(), skip: 0, times: 99, effect });
    assert!(stage.drive(300, everywhere).await.1 > 0);
    let document = stage.expect("held", "refused").await;
    assert!(document["sentence"].as_str().is_some_and(|s| s.contains("shard limit")), "{document:#}");
}
