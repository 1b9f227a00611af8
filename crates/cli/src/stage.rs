//! The local account that a sample event is replayed on: what must be true for the decision that its name promises.

use super::CliError;
use super::replay::local_config;
use super::traffic::{Keys, RECORD_BYTES, Tally, Target};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::types::{MetricsName, StreamMode, StreamModeDetails, StreamStatus};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use serde_json::json;
use std::time::Duration;
use unthrottle::aws::Cause;
use unthrottle::aws::Clients;
use unthrottle_core::memory::{Change, ChangeKind, Memory, ShardMetrics, SplitHistory, TAG};
use unthrottle_core::observation::SHARD_METRICS;
use unthrottle_core::policy::{MAX_SHARDS_TAG, MODE_TAG, Permission, Policy};
use unthrottle_core::report::metric::{AUTO_FIX, NAMESPACE};
use unthrottle_core::signal::StreamArn;
use unthrottle_lab::local::{Clock, Commitment, Effect, Fault, LocalAccount, Options};

/// Seconds of traffic before the event: a whole minute of metrics, which is what a decision needs.
pub(super) const SECONDS_BEFORE: usize = 60;
/// Seconds of the same traffic after the change: what a shard keeps for a burst is used up in the first.
pub(super) const SECONDS_AFTER: usize = 20;
/// Each alone polls as often as a shard allows; together, three times as often.
const READERS: usize = 3;
/// Seconds on the account's clock. A change on the local account takes four; ten times that is stuck.
const ACTIVE_WITHIN: u32 = 40;
/// A stream that is being created for the whole of the replay.
const FOR_LONG: Duration = Duration::from_secs(600);

/// What goes through the stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// Nothing.
    None,
    /// A fifth of what two shards take.
    Light,
    /// Half as much again as two shards take.
    Even,
    /// Most of what two shards take, on the keys of one of four.
    HotRange,
    /// The same on a single key.
    OneKey,
    /// Three readers, each of which polls as often as a shard allows.
    Readers,
    /// Datapoints of CloudWatch's only, for what takes real minutes: of each minute, the newest first, what was accepted,
    /// what was refused, and how far readers were behind.
    Published(&'static [Published]),
}

/// What CloudWatch published of some minutes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Published {
    minutes: u32,
    records: f64,
    refused: f64,
    reads_refused: f64,
    iterator_age: fn(u32) -> Option<Duration>,
}

const UNREAD: fn(u32) -> Option<Duration> = |_| None;
const QUIET: Published =
    Published { minutes: 16, records: 6000.0, refused: 0.0, reads_refused: 0.0, iterator_age: UNREAD };

/// Half as much again as two shards take, in every minute.
const OVERLOAD: Load = Load::Published(&[Published { records: 120_000.0, refused: 60_000.0, ..QUIET }]);

/// What must be true.
pub(super) struct Stage {
    pub options: Options,
    pub shards: i32,
    pub load: Load,
    /// The stream exists.
    created: bool,
    on_demand: bool,
    monitored: Monitored,
    /// Tags of the stream, and its memory.
    tags: Vec<(&'static str, String)>,
    memory: Option<Memory>,
    /// Fields of its summary that the local account cannot make.
    summary: Option<serde_json::Value>,
    fault: Option<Fault>,
    /// A reshard by another operator is under way.
    resharding: bool,
    /// Changes of other streams that the AutoFix metric shows.
    fleet_fixes: u32,
    /// The event comes a second time, once the first change is done; the second decision counts.
    pub again: bool,
    pub setting: Option<Setting>,
}

/// A setting as a person would write it, and what it does.
type Setting = (&'static str, fn(&mut Policy));

/// When shard-level metrics are switched on.
#[derive(Clone, Copy, PartialEq)]
enum Monitored {
    Never,
    BeforeTraffic,
    AfterTraffic,
}

impl Stage {
    /// The stage of a sample whose file name promises `code`: `SITUATION__CODE.json`. Any other event finds a stream of
    /// two shards that is offered half as much again as it takes, by producers or, for GetRecords, by readers.
    /// `now`: where the account's clock begins.
    pub fn of(code: Option<&str>, reads: bool, now: DateTime<Utc>) -> Stage {
        let past = Past(now);
        let stage = Stage {
            options: Options { clock: Clock::standing_at(now), ..Options::default() },
            shards: 2,
            load: if reads { Load::Readers } else { Load::Even },
            created: true,
            on_demand: false,
            monitored: Monitored::Never,
            tags: vec![],
            memory: None,
            summary: None,
            fault: None,
            resharding: false,
            fleet_fixes: 0,
            again: false,
            setting: None,
        };
        match code.unwrap_or_default() {
            "split_shard" => Stage { shards: 4, monitored: Monitored::BeforeTraffic, load: Load::HotRange, ..stage },
            "hot_key" => Stage {
                shards: 4,
                load: Load::OneKey,
                memory: Some(past.remember(ChangeKind::Split, 4, 4, 60, |memory| {
                    let at = past.ago(60);
                    memory.split_histories = vec![SplitHistory { shard: 1, splits: 2, at }];
                })),
                ..stage
            },
            "enable_shard_metrics" => Stage {
                shards: 4,
                load: Load::HotRange,
                setting: Some(("UNTHROTTLE_DIAGNOSE=allow", |p| p.diagnose = Permission::Allow)),
                ..stage
            },
            "skew_suspected" => Stage { shards: 4, load: Load::HotRange, ..stage },
            "disable_shard_metrics" => Stage {
                monitored: Monitored::BeforeTraffic,
                load: Load::Light,
                memory: Some(past.remember(ChangeKind::EnableShardMetrics, 2, 2, 90, |memory| {
                    memory.shard_metrics = Some(ShardMetrics { on: Some([true; 3]), at: past.ago(90) });
                })),
                ..stage
            },
            "evidence_pending" => {
                Stage { shards: 4, load: Load::HotRange, monitored: Monitored::AfterTraffic, ..stage }
            }
            "micro_burst" => {
                Stage { shards: 1, load: Load::Published(&[Published { refused: 600.0, ..QUIET }]), ..stage }
            }
            "negligible" => Stage { load: Load::Published(&[Published { refused: 6.0, ..QUIET }]), ..stage },
            "unconfirmed" => Stage {
                load: Load::Published(&[
                    Published { minutes: 1, records: 120_000.0, refused: 60_000.0, ..QUIET },
                    QUIET,
                ]),
                setting: Some(("UNTHROTTLE_CONFIRM_MINUTES=2", |p| p.confirm_minutes = 2)),
                ..stage
            },
            "healthy" => Stage { load: Load::Light, ..stage },
            "consumer_slow" => Stage {
                load: Load::Published(&[Published { iterator_age: |_| Some(Duration::from_secs(13 * 3600)), ..QUIET }]),
                ..stage
            },
            "reader_catching_up" => Stage {
                load: Load::Published(&[Published {
                    reads_refused: 60.0,
                    iterator_age: |minute| Some(Duration::from_secs(600 + 30 * u64::from(minute))),
                    ..QUIET
                }]),
                ..stage
            },
            "uneven_reads" => Stage { load: Load::Published(&[Published { reads_refused: 60.0, ..QUIET }]), ..stage },
            "split_budget_spent" => {
                let refuse = |memory: Memory, _| memory.refuse(ChangeKind::Split, past.ago(120), true);
                Stage {
                    shards: 4,
                    monitored: Monitored::BeforeTraffic,
                    load: Load::HotRange,
                    memory: Some((0..2).fold(Memory::default(), refuse)),
                    ..stage
                }
            }
            "restore" => Stage {
                shards: 4,
                load: Load::Published(&[QUIET]),
                memory: Some(past.remember(ChangeKind::Scale, 2, 4, 120, |memory| {
                    memory.base = Some(2);
                    verified(memory);
                })),
                setting: Some(("UNTHROTTLE_RESTORE_AFTER_HOURS=1", |p| p.restore_after_hours = 1)),
                ..stage
            },
            "not_healed" => Stage {
                shards: 4,
                load: Load::HotRange,
                memory: Some(past.remember(ChangeKind::Scale, 2, 4, 20, |memory| {
                    verified(memory);
                    memory.change.iter_mut().for_each(|change| change.healed = None);
                })),
                ..stage
            },
            "tug_of_war" => Stage {
                load: OVERLOAD,
                memory: Some(past.remember(ChangeKind::External, 4, 2, 20, |memory| {
                    memory.reverts = vec![past.ago(180), past.ago(20)]
                })),
                ..stage
            },
            "fleet_limit" => Stage {
                load: OVERLOAD,
                fleet_fixes: 10,
                setting: Some(("UNTHROTTLE_MAX_CHANGES_PER_HOUR=10", |p| p.max_changes_per_hour = 10)),
                ..stage
            },
            "warm_up" => Stage {
                options: Options { commitment: Commitment::Enabled, ..stage.options.clone() },
                on_demand: true,
                ..stage
            },
            "on_demand_adapting" => Stage {
                on_demand: true,
                load: Load::Published(&[
                    Published { minutes: 8, records: 120_000.0, refused: 60_000.0, ..QUIET },
                    QUIET,
                ]),
                ..stage
            },
            "on_demand_ceiling" => Stage { load: OVERLOAD, on_demand: true, ..stage },
            "switch_to_on_demand" => {
                Stage { load: OVERLOAD, options: Options { shard_limit: 2, ..stage.options.clone() }, ..stage }
            }
            "at_account_quota" => Stage {
                load: OVERLOAD,
                options: Options { shard_limit: 2, ..stage.options.clone() },
                setting: Some(("UNTHROTTLE_ON_DEMAND=deny", |p| p.on_demand = Permission::Deny)),
                ..stage
            },
            "reshard_budget_spent" => Stage {
                load: OVERLOAD,
                memory: Some(past.remember(ChangeKind::Scale, 4, 2, 60, |memory| {
                    memory.reshards = (0..10).map(|n| past.ago(60 + 60 * n)).rev().collect();
                })),
                setting: Some(("UNTHROTTLE_ON_DEMAND=deny", |p| p.on_demand = Permission::Deny)),
                ..stage
            },
            "at_max_shards" => Stage { load: OVERLOAD, tags: vec![(MAX_SHARDS_TAG, "2".into())], ..stage },
            "at_max_cost" => Stage {
                load: OVERLOAD,
                setting: Some(("UNTHROTTLE_MAX_HOURLY_COST=0.01", |p| p.max_hourly_cost = Some(0.01))),
                ..stage
            },
            "switch_to_provisioned" => switched(past, json!({ "ChannelCount": 0, "QueueCount": 0 }), stage),
            "not_restorable" => switched(past, json!({ "ChannelCount": 0, "QueueCount": 1 }), stage),
            "just_looked" | "settling" => Stage { load: OVERLOAD, again: true, ..stage },
            "resharding" => Stage { load: OVERLOAD, resharding: true, ..stage },
            "stream_gone" => Stage { created: false, load: Load::None, ..stage },
            "not_ready" => {
                Stage { options: Options { create_time: FOR_LONG, ..stage.options.clone() }, load: Load::None, ..stage }
            }
            "opted_out" => Stage { load: OVERLOAD, tags: vec![(MODE_TAG, "off".into())], ..stage },
            "bad_policy_tag" => Stage { load: OVERLOAD, tags: vec![(MAX_SHARDS_TAG, "plenty".into())], ..stage },
            "bad_memory" => Stage { load: OVERLOAD, tags: vec![(TAG, "gone fishing".into())], ..stage },
            "refused" => {
                Stage { load: OVERLOAD, fault: Some(refuse("UpdateShardCount", "LimitExceededException")), ..stage }
            }
            "refused_lately" => {
                Stage { load: OVERLOAD, memory: Some(Memory::default().refuse(ChangeKind::Scale, now, true)), ..stage }
            }
            "cannot_remember" => {
                Stage { load: OVERLOAD, fault: Some(refuse("TagResource", "AccessDeniedException")), ..stage }
            }
            _ => stage,
        }
    }

    /// In words, for the one who watches.
    pub fn describe(&self) -> String {
        let said = |holds: bool, words: &str| holds.then(|| words.to_owned());
        let taken = u32::try_from(self.shards).is_ok_and(|shards| self.options.shard_limit <= shards);
        let parts = [
            said(!self.created, "no such stream"),
            said(self.created, &format!("{} shard{}", self.shards, if self.shards == 1 { "" } else { "s" })),
            said(self.options.create_time == FOR_LONG, "still being created"),
            said(self.on_demand, "in on-demand mode"),
            said(self.options.commitment == Commitment::Enabled, "the throughput commitment"),
            said(taken, "no room for more shards in the account"),
            said(self.monitored == Monitored::BeforeTraffic, "shard-level metrics on"),
            said(self.monitored == Monitored::AfterTraffic, "shard-level metrics on since a moment ago"),
            said(self.resharding, "a reshard by another operator under way"),
            said(self.fleet_fixes > 0, &format!("{} changes of other streams in this hour", self.fleet_fixes)),
            self.fault.as_ref().map(|fault| format!("AWS refuses {}", fault.operation)),
            self.summary.as_ref().map(|fields| format!("its summary with {fields}")),
            self.memory.as_ref().and_then(|memory| Some(format!("{TAG}={}", memory.encode().ok()?))),
            self.setting.map(|(setting, _)| setting.to_owned()),
        ];
        let tags = self.tags.iter().map(|(key, value)| format!("{key}={value}"));
        parts.into_iter().flatten().chain(tags).collect::<Vec<_>>().join(", ")
    }
}

/// What was before the time at which the account's clock begins.
#[derive(Clone, Copy)]
struct Past(DateTime<Utc>);

impl Past {
    /// The time `minutes` minutes ago.
    fn ago(self, minutes: i64) -> DateTime<Utc> {
        self.0 - TimeDelta::minutes(minutes)
    }

    /// The memory of a change of ours that was made and settled `minutes` minutes ago.
    fn remember(self, kind: ChangeKind, from: u32, to: u32, minutes: i64, more: impl FnOnce(&mut Memory)) -> Memory {
        let mut change = Change::intent(kind, from, to, self.ago(minutes));
        change.settled = Some(change.at + TimeDelta::minutes(1));
        let mut memory = Memory { change: Some(change), ..Memory::default() };
        more(&mut memory);
        memory
    }
}

/// Its change was found done, counted, and to have healed.
fn verified(memory: &mut Memory) {
    if let Some(change) = &mut memory.change {
        (change.published, change.healed) = (change.settled, change.settled);
    }
}

/// A stream that we switched to on-demand mode two days ago, calm since, with these fields of its summary.
fn switched(past: Past, summary: serde_json::Value, stage: Stage) -> Stage {
    let memory = past.remember(ChangeKind::Switch, 2, 2, 48 * 60, |memory| memory.was_provisioned = true);
    Stage {
        on_demand: true,
        load: Load::Published(&[QUIET]),
        memory: Some(memory),
        summary: Some(summary),
        setting: Some(("UNTHROTTLE_RESTORE_AFTER_HOURS=1", |p| p.restore_after_hours = 1)),
        ..stage
    }
}

fn refuse(operation: &str, code: &str) -> Fault {
    let effect = Effect::Error { status: 400, code: code.into(), message: "as this sample has it".into() };
    Fault { operation: operation.into(), skip: 0, times: u32::MAX, effect }
}

/// How large a stream is; [`Size::default`]: there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Open shards.
    pub shards: u32,
    /// Whether AWS sets them.
    pub is_on_demand: bool,
}

/// A stage that is set: an account, and its stream.
pub(super) struct Set<'a> {
    stage: Stage,
    account: LocalAccount,
    clients: Clients,
    /// For traffic: each call is made once, and takes as long as it takes.
    traffic: Client,
    stream: &'a StreamArn,
}

impl Set<'_> {
    /// Sets the stage on `account`, up to the traffic.
    pub async fn new(
        stage: Stage,
        account: LocalAccount,
        clients: Clients,
        stream: &StreamArn,
    ) -> Result<Set<'_>, CliError> {
        let config = local_config(account.url()).into_builder().retry_config(RetryConfig::disabled()).build();
        let set = Set { stage, account, clients, traffic: Client::new(&config), stream };
        if set.stage.created {
            set.create().await?;
        }
        Ok(set)
    }

    async fn create(&self) -> Result<(), CliError> {
        let kinesis = &self.clients.kinesis;
        let (name, arn) = (&self.stream.name, self.stream.to_string());
        let create = kinesis.create_stream().stream_name(name).shard_count(self.stage.shards).send().await;
        create.map_err(|e| failed("CreateStream", e))?;
        if self.stage.options.create_time == FOR_LONG {
            return Ok(());
        }
        self.wait_until_active().await?;
        if self.stage.on_demand {
            let mode = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build();
            let mode = mode.map_err(|e| failed("UpdateStreamMode", e))?;
            let switch = kinesis.update_stream_mode().stream_arn(&arn).stream_mode_details(mode).send().await;
            switch.map_err(|e| failed("UpdateStreamMode", e))?;
            self.wait_until_active().await?;
        }
        if self.stage.monitored == Monitored::BeforeTraffic {
            self.monitor().await?;
        }
        let memory = self.stage.memory.as_ref().map(Memory::encode).transpose().map_err(std::io::Error::other)?;
        for (key, value) in self.stage.tags.iter().cloned().chain(memory.map(|text| (TAG, text))) {
            let tag = kinesis.tag_resource().resource_arn(&arn).tags(key, value).send().await;
            tag.map_err(|e| failed("TagResource", e))?;
        }
        for _ in 0..self.stage.fleet_fixes {
            self.account.put_metric(NAMESPACE, AUTO_FIX, &[], self.account.now() - TimeDelta::minutes(10), 1.0);
        }
        if let Some(fields) = &self.stage.summary {
            self.account.describe_as(name, fields.clone());
        }
        Ok(())
    }

    async fn monitor(&self) -> Result<(), CliError> {
        let metrics = SHARD_METRICS.map(MetricsName::from).into();
        let enable = self.clients.kinesis.enable_enhanced_monitoring().stream_arn(self.stream.to_string());
        let enable = enable.set_shard_level_metrics(Some(metrics)).send().await;
        enable.map_err(|e| failed("EnableEnhancedMonitoring", e))?;
        self.wait_until_active().await.map(|_| ())
    }

    /// The clock of the account.
    pub fn clock(&self) -> &Clock {
        &self.stage.options.clock
    }

    /// The traffic of the last minutes, and what else must be so when the event comes. `None`: nothing was driven.
    pub async fn before(&self) -> Result<Option<Tally>, CliError> {
        // From a whole minute on, so that each minute of the traffic is one of the metrics.
        let now = self.clock().now();
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        self.clock().advance_to(if minute < now { minute + TimeDelta::minutes(1) } else { now })?;
        let tally = self.traffic(SECONDS_BEFORE).await?;
        if self.stage.monitored == Monitored::AfterTraffic {
            self.monitor().await?;
        }
        if self.stage.resharding {
            let call = self.clients.kinesis.update_shard_count().stream_arn(self.stream.to_string());
            let call = call.target_shard_count(self.stage.shards * 2);
            let call = call.scaling_type(aws_sdk_kinesis::types::ScalingType::UniformScaling).send().await;
            call.map_err(|e| failed("UpdateShardCount", e))?;
        }
        self.stage.fault.iter().for_each(|fault| self.account.add_fault(fault.clone()));
        Ok(tally)
    }

    /// The same traffic after the change.
    pub async fn after(&self) -> Result<Option<Tally>, CliError> {
        self.traffic(SECONDS_AFTER).await
    }

    async fn traffic(&self, seconds: usize) -> Result<Option<Tally>, CliError> {
        const QUARTER: u128 = u128::MAX / 4 + 1;
        let arn = self.stream.to_string();
        let stream = Target { client: &self.traffic, arn: &arn, clock: self.clock() };
        let write = |per_second, keys| stream.write(per_second, keys, seconds);
        Ok(Some(match self.stage.load {
            Load::None => return Ok(None),
            Load::Published(minutes) => {
                self.publish(minutes);
                return Ok(None);
            }
            Load::Light => write(40, Keys::all()).await?,
            Load::Even => write(300, Keys::all()).await?,
            Load::HotRange => write(150, Keys { first: QUARTER, width: QUARTER }).await?,
            Load::OneKey => write(150, Keys { first: QUARTER + 7, width: 1 }).await?,
            Load::Readers => stream.read(READERS, seconds).await?,
        }))
    }

    /// `seconds` seconds of the traffic in words, and the unit that is counted.
    pub fn load(&self, seconds: usize) -> (String, &'static str) {
        let written = |per_second: u32, keys: &str| {
            let records = format!("{per_second} records of {} KiB a second", RECORD_BYTES / 1024);
            (format!("{records} for {seconds} s{keys}"), "records")
        };
        match self.stage.load {
            Load::None => ("nothing".into(), "records"),
            Load::Published(_) => ("minutes as CloudWatch would show them, put there".into(), "records"),
            Load::Light => written(40, ""),
            Load::Even => written(300, ""),
            Load::HotRange => written(150, ", all for one shard"),
            Load::OneKey => written(150, ", all with one key"),
            Load::Readers => {
                (format!("{READERS} readers polling each shard five times a second for {seconds} s"), "calls")
            }
        }
    }

    fn publish(&self, stretches: &[Published]) {
        let stream = [("StreamName", self.stream.name.as_str())];
        let mut ago = 0;
        for stretch in stretches {
            for _ in 0..stretch.minutes {
                ago += 1;
                let at = self.account.now() - TimeDelta::minutes(i64::from(ago));
                let age = (stretch.iterator_age)(ago).map(|age| age.as_secs_f64() * 1000.0);
                let values = [
                    ("IncomingRecords", Some(stretch.records)),
                    ("IncomingBytes", Some(stretch.records * 1024.0)),
                    ("WriteProvisionedThroughputExceeded", Some(stretch.refused)),
                    ("ReadProvisionedThroughputExceeded", Some(stretch.reads_refused)),
                    ("GetRecords.IteratorAgeMilliseconds", age),
                ];
                for (metric, value) in values {
                    value.iter().for_each(|value| self.account.put_metric("AWS/Kinesis", metric, &stream, at, *value));
                }
            }
        }
    }

    /// Waits until the stream is ACTIVE, and gives its open shards; at once where it does not exist, or never will be.
    pub async fn active(&self) -> Result<Size, CliError> {
        let comes = self.stage.created && self.stage.options.create_time != FOR_LONG;
        if comes { self.wait_until_active().await } else { Ok(Size::default()) }
    }

    async fn wait_until_active(&self) -> Result<Size, CliError> {
        for _ in 0..ACTIVE_WITHIN {
            let call = self.clients.kinesis.describe_stream_summary().stream_arn(self.stream.to_string());
            let answer = call.send().await.map_err(|e| failed("DescribeStreamSummary", e))?;
            if let Some(summary) = answer.stream_description_summary()
                && *summary.stream_status() == StreamStatus::Active
            {
                return Ok(Size {
                    shards: u32::try_from(summary.open_shard_count()).unwrap_or(0),
                    is_on_demand: summary
                        .stream_mode_details()
                        .is_some_and(|m| m.stream_mode() == &StreamMode::OnDemand),
                });
            }
            self.clock().advance(Duration::from_secs(1))?;
        }
        Err(CliError::Late(format!("`{}` is not ACTIVE after {ACTIVE_WITHIN} s", self.stream.name)))
    }
}

fn failed(call: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> CliError {
    CliError::Aws { call, source: Cause::of(error) }
}
