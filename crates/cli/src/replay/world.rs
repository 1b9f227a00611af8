//! The world that an event meets, as a scenario file describes it: the stream with its load and its past, and the
//! account.

use super::remembered::Remembered;
use super::traffic::{Keys, RECORD_BYTES};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;
use unthrottle_core::memory::TAG;
use unthrottle_lab::local::Commitment;

/// Everything that is true when the event comes. A field that a file leaves out has the default that stands here.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct World {
    /// What the stream is doing. Default: `active`.
    pub stream: StreamState,
    /// The capacity mode of the stream. Default: `provisioned`.
    pub mode: StreamMode,
    /// Open shards, from 1. Default: 2.
    pub shards: u32,
    /// When shard-level metrics were enabled. Default: `off`.
    pub shard_metrics: ShardMetricsState,
    /// What producers or readers do. Default: producers write half as much again as two shards take.
    pub load: Load,
    /// Tags of the stream. Default: none.
    pub tags: BTreeMap<String, String>,
    /// What unthrottle remembers of the stream. Default: nothing, and no memory tag.
    pub memory: Option<Remembered>,
    /// Fields of DescribeStreamSummary that the local account cannot make, such as `QueueCount`. Default: none.
    pub summary: Option<serde_json::Map<String, serde_json::Value>>,
    /// The account around the stream.
    pub account: AccountLimits,
    /// A call that AWS refuses each time. Default: none.
    pub refuses: Option<RefusedCall>,
    /// Settings of unthrottle, by the names of the environment variables. Default: those of the environment.
    pub settings: BTreeMap<String, String>,
}

impl Default for World {
    fn default() -> World {
        World {
            stream: StreamState::Active,
            mode: StreamMode::Provisioned,
            shards: 2,
            shard_metrics: ShardMetricsState::Off,
            load: Load::Writes(Writes { records_per_second: 300, keys: KeyRange::All, minutes: one_minute() }),
            tags: BTreeMap::new(),
            memory: None,
            summary: None,
            account: AccountLimits::default(),
            refuses: None,
            settings: BTreeMap::new(),
        }
    }
}

/// What the stream is doing when the event comes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StreamState {
    /// It is ready.
    Active,
    /// It does not exist.
    Absent,
    /// AWS is still creating it, for the whole of the replay.
    Creating,
    /// Another person or tool is doubling its shards.
    Resharding,
}

/// Who sets the number of shards.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StreamMode {
    /// The owner of the stream.
    Provisioned,
    /// AWS.
    OnDemand,
}

/// When shard-level metrics were enabled. A minute without them has no evidence of a hot shard.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ShardMetricsState {
    /// Never.
    Off,
    /// Before the traffic, so that they show it.
    BeforeTraffic,
    /// After the traffic, so that they do not show it yet.
    AfterTraffic,
}

/// What goes through the stream.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Load {
    /// Nothing.
    None,
    /// Producers write, over HTTP.
    Writes(Writes),
    /// Readers read, over HTTP.
    Reads(Reads),
    /// Nothing is sent: CloudWatch gets these datapoints. For a past of more than a minute. Newest stretch first.
    Published(Vec<Published>),
}

/// How long the load of the event lasts by default, in minutes. The newest minute is enough for a change.
fn one_minute() -> usize {
    1
}

/// The longest load of HTTP calls, in minutes. Each takes seconds of the machine's time. Longer pasts are
/// [`Load::Published`].
const LONGEST_LOAD: usize = 5;

/// Producers with records of [`RECORD_BYTES`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Writes {
    /// Records a second, 1–500: one PutRecords call takes 500. A shard takes 1 MiB a second, about 102 of these
    /// records.
    pub records_per_second: usize,
    /// The keys of the records.
    pub keys: KeyRange,
    /// For how many minutes before the event, 1–5. Default: 1. A verdict that no change helps needs 3: one in which the
    /// load begins, one that shows it, and a newer one.
    #[serde(default = "one_minute")]
    pub minutes: usize,
}

/// Which hash keys the records have.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeyRange {
    /// All, evenly.
    All,
    /// Those of the second of four equal shards, evenly.
    SecondQuarter,
    /// A single one.
    One,
}

/// Readers of all shards.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reads {
    /// Readers, 1–5: a shard gives five iterators a second. One reader alone polls as often as AWS allows to all.
    pub readers: usize,
    /// For how many minutes before the event, 1–5. Default: 1. See [`Writes::minutes`].
    #[serde(default = "one_minute")]
    pub minutes: usize,
}

/// A stretch of equal minutes, as CloudWatch published them.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Published {
    /// How many minutes. Default: 16, more than any window of a decision by default.
    pub minutes: u32,
    /// Records that the stream accepted in each minute. Default: 6,000, a twentieth of what two shards take.
    pub records: f64,
    /// Records that the stream refused in each minute. Default: 0.
    pub refused: f64,
    /// The size of a record in KiB. Default: 1.
    pub record_kib: f64,
    /// Calls of readers that the stream refused in each minute. Default: 0.
    pub reads_refused: f64,
    /// How far the slowest reader is behind. Default: no reader.
    pub iterator_age: Option<IteratorAge>,
}

impl Default for Published {
    fn default() -> Published {
        Published {
            minutes: 16,
            records: 6_000.0,
            refused: 0.0,
            record_kib: 1.0,
            reads_refused: 0.0,
            iterator_age: None,
        }
    }
}

/// The age of the oldest record that is not read yet.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IteratorAge {
    /// Seconds, now.
    pub seconds: u32,
    /// Seconds by which the age falls in a minute: the reader catches up. Default: 0.
    #[serde(default)]
    pub falls_by: u32,
}

impl IteratorAge {
    /// The age at a past minute, in milliseconds.
    pub fn milliseconds(self, minutes_ago: u32) -> f64 {
        f64::from(self.seconds + self.falls_by * minutes_ago) * 1_000.0
    }
}

/// Limits of the account, and what else happens in it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AccountLimits {
    /// The quota of shards of all provisioned streams. Default: 500.
    pub shard_limit: u32,
    /// Whether the account has the throughput commitment that warm throughput needs. Default: false.
    pub throughput_commitment: bool,
    /// Changes of other streams by unthrottle in the last hour, as the AutoFix metric shows them. Default: 0.
    pub changes_of_other_streams: u32,
}

impl Default for AccountLimits {
    fn default() -> AccountLimits {
        AccountLimits { shard_limit: 500, throughput_commitment: false, changes_of_other_streams: 0 }
    }
}

impl AccountLimits {
    pub fn commitment(self) -> Commitment {
        if self.throughput_commitment { Commitment::Enabled } else { Commitment::Disabled }
    }
}

/// A call that AWS refuses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefusedCall {
    /// The operation, such as `UpdateShardCount`.
    pub operation: String,
    /// The error code, such as `LimitExceededException`.
    pub code: String,
    /// AWS's words. Default: that the sample has it so.
    pub message: Option<String>,
}

impl World {
    /// The world of an event that no scenario names: more load than two shards take. `reads`: the load comes from
    /// readers.
    pub fn without_scenario(reads: bool) -> World {
        let load = if reads { Load::Reads(Reads { readers: 3, minutes: 3 }) } else { World::default().load };
        World { load, ..World::default() }
    }

    /// The first value that cannot be used: its field, and the problem.
    pub fn problem(&self, now: DateTime<Utc>) -> Option<(&'static str, String)> {
        let memory = self.memory.as_ref().and_then(|memory| memory.to_memory(now).encode().err());
        let load = match &self.load {
            Load::Writes(writes) if !(1..=500).contains(&writes.records_per_second) => {
                Some(("world.load.writes.records_per_second", "must be a number from 1 to 500".to_owned()))
            }
            Load::Reads(reads) if !(1..=5).contains(&reads.readers) => {
                Some(("world.load.reads.readers", "must be a number from 1 to 5".to_owned()))
            }
            Load::Writes(Writes { minutes, .. }) | Load::Reads(Reads { minutes, .. })
                if !(1..=LONGEST_LOAD).contains(minutes) =>
            {
                Some(("world.load", format!("minutes must be a number from 1 to {LONGEST_LOAD}")))
            }
            _ => None,
        };
        if self.shards == 0 {
            return Some(("world.shards", "must be 1 or more".into()));
        }
        load.or_else(|| Some(("world.memory", memory?.to_string())))
    }

    /// The world in words, for the person who watches. `now`: when the clock of the account begins.
    pub fn describe(&self, now: DateTime<Utc>) -> String {
        let said = |holds: bool, words: &str| holds.then(|| words.to_owned());
        let is_created = self.stream != StreamState::Absent;
        let memory = self.memory.as_ref().and_then(|memory| memory.to_memory(now).encode().ok());
        let others = self.account.changes_of_other_streams;
        let parts = [
            said(!is_created, "no such stream"),
            said(is_created, &shards(self.shards)),
            said(self.stream == StreamState::Creating, "still being created"),
            said(self.mode == StreamMode::OnDemand, "in on-demand mode"),
            said(self.account.throughput_commitment, "the throughput commitment"),
            said(self.account.shard_limit <= self.shards, "no room for more shards in the account"),
            said(self.shard_metrics == ShardMetricsState::BeforeTraffic, "shard-level metrics on"),
            said(self.shard_metrics == ShardMetricsState::AfterTraffic, "shard-level metrics on since a moment ago"),
            said(self.stream == StreamState::Resharding, "a reshard by another operator under way"),
            said(others > 0, &format!("{others} changes of other streams in this hour")),
            self.refuses.as_ref().map(|call| format!("AWS refuses {}", call.operation)),
            self.summary.clone().map(|fields| format!("its summary with {}", serde_json::Value::Object(fields))),
            memory.map(|memory| format!("{TAG}={memory}")),
        ];
        let named = self.settings.iter().chain(&self.tags).map(|(name, value)| format!("{name}={value}"));
        parts.into_iter().flatten().chain(named).collect::<Vec<_>>().join(", ")
    }
}

impl Load {
    /// Seconds of traffic before the event: whole minutes of metrics.
    pub fn seconds_before(&self) -> usize {
        match self {
            Load::None | Load::Published(_) => 60,
            Load::Writes(Writes { minutes, .. }) | Load::Reads(Reads { minutes, .. }) => minutes * 60,
        }
    }

    /// `seconds` seconds of this load in words, and the unit that is counted.
    pub fn describe(&self, seconds: usize) -> (String, &'static str) {
        match self {
            Load::None => ("nothing".into(), "records"),
            Load::Published(_) => ("minutes as CloudWatch would show them, put there".into(), "records"),
            Load::Writes(Writes { records_per_second, keys, .. }) => {
                let records = format!("{records_per_second} records of {} KiB a second", RECORD_BYTES / 1024);
                (format!("{records} for {seconds} s{}", keys.describe()), "records")
            }
            Load::Reads(Reads { readers, .. }) => {
                (format!("{readers} readers polling each shard five times a second for {seconds} s"), "calls")
            }
        }
    }
}

impl KeyRange {
    /// The keys themselves.
    pub fn keys(self) -> Keys {
        const QUARTER: u128 = u128::MAX / 4 + 1;
        match self {
            KeyRange::All => Keys::all(),
            KeyRange::SecondQuarter => Keys { first: QUARTER, width: QUARTER },
            KeyRange::One => Keys { first: QUARTER + 7, width: 1 },
        }
    }

    fn describe(self) -> &'static str {
        match self {
            KeyRange::All => "",
            KeyRange::SecondQuarter => ", all for one shard",
            KeyRange::One => ", all with one key",
        }
    }
}

/// A number of shards in words.
pub(super) fn shards(number: u32) -> String {
    format!("{number} shard{}", if number == 1 { "" } else { "s" })
}
