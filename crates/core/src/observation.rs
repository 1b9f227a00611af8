//! What is true of one stream, as read from AWS at one moment.
//!
//! Distrust it: CloudWatch is one to three minutes behind, and the stream may have changed since it was asked for.
//! That is why the moment travels with it.

use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// How long after its end a minute may still be unpublished. CloudWatch documents no figure; one to three minutes
/// are seen. A minute this old without a datapoint had no traffic. Shorter would take an unpublished minute for an
/// idle one; longer only delays "healthy" on a stream whose producers have stopped.
const PUBLISHED_WITHIN_MINUTES: i64 = 5;

/// How far back traffic is read, in hours: the budgets that AWS sets run over 24 hours, and a lost memory is rebuilt
/// from the AutoFix metric of that time.
pub const LOOKBACK_HOURS: i64 = 24;

/// The shard-level metrics that tell a hot shard from an idle one, by AWS's names.
pub const SHARD_METRICS: [&str; 3] = ["IncomingBytes", "IncomingRecords", "WriteProvisionedThroughputExceeded"];

/// AWS's name for all shard-level metrics together.
const ALL_SHARD_METRICS: &str = "ALL";

/// A whole minute of UTC, counted from the epoch. CloudWatch's datapoints start on these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(i64);

impl Minute {
    /// The minute that `time` lies in.
    pub fn of(time: DateTime<Utc>) -> Minute {
        Minute(time.timestamp().div_euclid(60))
    }

    /// The first minute that begins at `time` or later.
    pub fn from(time: DateTime<Utc>) -> Minute {
        let minute = Minute::of(time);
        if minute.start() == time { minute } else { minute.plus(1) }
    }

    /// Its first moment.
    pub fn start(self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(self.0)
    }

    /// The first moment after it.
    pub fn end(self) -> DateTime<Utc> {
        self.plus(1).start()
    }

    /// The minute `minutes` later (or earlier, when negative).
    #[must_use]
    pub fn plus(self, minutes: i64) -> Minute {
        Minute(self.0 + minutes)
    }

    /// Every minute from this one to `last`, both included.
    pub fn to(self, last: Minute) -> impl DoubleEndedIterator<Item = Minute> {
        (self.0..=last.0).map(Minute)
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.start().format("%H:%M"))
    }
}

/// Everything that a decision rests on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// When the stream's summary was asked for.
    pub observed_at: DateTime<Utc>,
    /// `None`: there is no such stream.
    pub stream: Option<Stream>,
    /// The stream's tags.
    pub tags: BTreeMap<String, String>,
    /// What CloudWatch has published.
    pub traffic: Traffic,
    /// `None`: AWS would not say (`DescribeLimits` allows one call a second to the whole account), so its own
    /// refusal is the bound.
    pub limits: Option<Limits>,
    /// Its open shards and their traffic. `None`: not read, since only some decisions take it.
    pub shards: Option<Vec<Shard>>,
    /// Whether the account has the throughput commitment. `None`: not read.
    pub commitment: Option<Commitment>,
    /// What has been changed in the whole account and region.
    pub fleet: Fleet,
}

impl Fleet {
    /// The changes of the hour before `now`: what the metric shows, and this process' `own`, minute by minute, beyond it.
    pub fn of(traffic: &Traffic, own: &BTreeMap<Minute, u32>, now: DateTime<Utc>) -> Fleet {
        let hour = Minute::of(now).plus(1 - 60)..;
        let shown = |minute: &Minute| traffic.fleet_fixes.get(minute).copied().unwrap_or_default();
        let unseen = own.range(hour.clone()).map(|(minute, count)| count.saturating_sub(shown(minute)));
        let add = |sum: u32, count: u32| sum.saturating_add(count);
        Fleet {
            changes_last_hour: traffic.fleet_fixes.range(hour).map(|(_, count)| *count).fold(0, add),
            own_unpublished: unseen.fold(0, add),
            left_in_sweep: None,
        }
    }
}

/// Changes of ours in the account and region, whichever streams they were of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// In the last hour, as the AutoFix metric shows them. It is minutes behind.
    pub changes_last_hour: u32,
    /// This process' own in that hour, beyond what the metric shows.
    pub own_unpublished: u32,
    /// How many more the sweep that this look belongs to may make; `None`: it belongs to none.
    pub left_in_sweep: Option<u32>,
}

/// A stream's summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Whether it can be changed now.
    pub status: Status,
    /// How its capacity is set.
    pub mode: CapacityMode,
    /// Open shards. Means nothing while the stream is not ACTIVE.
    pub open_shards: u32,
    /// How long a record is kept.
    pub retention_hours: u32,
    /// Consumers registered for enhanced fan-out.
    pub consumers: u32,
    /// The shard-level metrics that are switched on, by AWS's names.
    pub shard_metrics: BTreeSet<String>,
    /// On-demand streams of accounts with the throughput commitment only.
    pub warm_throughput: Option<WarmThroughput>,
    /// Whether AWS spreads the records over the shards itself (RecordDistributionStrategy AUTO): then no key is hot.
    pub spreads_records: bool,
    /// Channels that deliver its data. `None`: AWS did not say.
    pub channels: Option<u32>,
    /// Queues on it. `None`: AWS did not say.
    pub queues: Option<u32>,
    /// The KMS key that its records are encrypted with. `None`: they are not.
    pub kms_key: Option<String>,
}

impl Stream {
    /// Whether the shard-level metrics that a diagnosis takes are switched on.
    pub fn shows_shards(&self) -> bool {
        self.metrics_off().next().is_none()
    }

    /// Those of [`SHARD_METRICS`] that are switched off.
    pub fn metrics_off(&self) -> impl Iterator<Item = &'static str> {
        let all = self.shard_metrics.contains(ALL_SHARD_METRICS);
        SHARD_METRICS.into_iter().filter(move |metric| !all && !self.shard_metrics.contains(*metric))
    }

    /// How many shard-level metrics are switched on, each of which is billed for each shard. There are seven.
    pub fn shard_metric_count(&self) -> u32 {
        let all = self.shard_metrics.contains(ALL_SHARD_METRICS);
        if all { 7 } else { u32::try_from(self.shard_metrics.len()).unwrap_or(7) }
    }

    /// The region in its ARN; empty if that has none.
    pub fn region(&self) -> &str {
        self.arn.split(':').nth(3).unwrap_or_default()
    }
}

/// What an on-demand stream is ready to take at once, in MiB a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmThroughput {
    /// Now.
    pub current_mibps: u32,
    /// When the change under way is done.
    pub target_mibps: u32,
}

/// Whether the account has the minimum-throughput billing commitment (On-demand Advantage), which is what warm
/// throughput takes. It is never bought here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commitment {
    /// It has, for now.
    Enabled,
    /// It has not, or AWS does not mention it.
    Disabled,
}

/// An open shard.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// Such as `shardId-000000000003`.
    pub id: String,
    /// The shard that it was split off.
    pub parent: Option<String>,
    /// The hash keys that it takes, from the first to the last.
    pub first_hash_key: u128,
    /// See `first_hash_key`.
    pub last_hash_key: u128,
    /// Its part of [`SHARD_METRICS`], minute by minute. A minute without a datapoint had none, if its stream's was
    /// published.
    pub traffic: Traffic,
}

impl Shard {
    /// The number in a shard's id, by which the memory names it.
    pub fn number_in(id: &str) -> Option<u64> {
        id.strip_prefix("shardId-")?.parse().ok()
    }
}

/// AWS's `StreamStatus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Being made; it has no shards yet.
    Creating,
    /// Being deleted.
    Deleting,
    /// Ready for a change.
    Active,
    /// A change is under way; AWS refuses a second one.
    Updating,
    /// A status that this version does not know.
    Unknown(String),
}

impl Status {
    /// AWS's spelling.
    pub fn as_str(&self) -> &str {
        match self {
            Status::Creating => "CREATING",
            Status::Deleting => "DELETING",
            Status::Active => "ACTIVE",
            Status::Updating => "UPDATING",
            Status::Unknown(status) => status,
        }
    }
}

/// AWS's `StreamMode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CapacityMode {
    /// The number of shards is set by its owner.
    Provisioned,
    /// The number of shards is set by AWS.
    OnDemand,
    /// A mode that this version does not know.
    Unknown(String),
}

impl CapacityMode {
    /// AWS's spelling.
    pub fn as_str(&self) -> &str {
        match self {
            CapacityMode::Provisioned => "PROVISIONED",
            CapacityMode::OnDemand => "ON_DEMAND",
            CapacityMode::Unknown(mode) => mode,
        }
    }
}

/// What the account may have in this region (`DescribeLimits`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Shards that the account may have open.
    pub shard_limit: u32,
    /// Shards open in provisioned streams; those of on-demand streams do not count.
    pub open_shards: u32,
    /// Streams in on-demand mode.
    pub on_demand_streams: u32,
    /// Streams that may be in on-demand mode.
    pub on_demand_stream_limit: u32,
}

impl Limits {
    /// How long a container's copy is good. They change by ticket and by other streams' reshards; `DescribeLimits` allows
    /// one call a second to the whole account. Those that AWS would not tell are asked for again soon: its rate is per
    /// second.
    pub fn good_for(told: Option<Limits>) -> Duration {
        Duration::from_secs(if told.is_some() { 60 } else { 5 })
    }

    /// Shards that can still be opened.
    pub fn shards_left(&self) -> u32 {
        self.shard_limit.saturating_sub(self.open_shards)
    }
}

/// One minute of a stream's traffic, as CloudWatch counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MinuteTraffic {
    /// Bytes accepted (IncomingBytes).
    pub incoming_bytes: f64,
    /// Records accepted (IncomingRecords).
    pub incoming_records: f64,
    /// Records refused (WriteProvisionedThroughputExceeded).
    pub write_throttled: f64,
    /// Bytes written by PutRecord (PutRecord.Bytes, Sum).
    pub put_record_bytes: f64,
    /// Records written by PutRecord (PutRecord.Bytes, SampleCount).
    pub put_record_count: f64,
    /// GetRecords calls refused (ReadProvisionedThroughputExceeded).
    pub read_throttled: f64,
    /// Bytes read (GetRecords.Bytes, Sum).
    pub get_records_bytes: f64,
    /// GetRecords calls answered (GetRecords.Bytes, SampleCount).
    pub get_records_calls: f64,
    /// How old the last record read was, at most; milliseconds (GetRecords.IteratorAgeMilliseconds, Maximum).
    pub iterator_age_ms: Option<f64>,
}

impl MinuteTraffic {
    /// Whether anything was refused.
    pub fn is_throttled(&self) -> bool {
        self.write_throttled > 0.0 || self.read_throttled > 0.0
    }
}

/// What CloudWatch has published of a stream in the last [`LOOKBACK_HOURS`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    minutes: BTreeMap<Minute, MinuteTraffic>,
    /// How many changes of ours each minute saw (AutoFix of the stream).
    pub auto_fixes: BTreeMap<Minute, u32>,
    /// How many changes of ours each minute saw on all streams (AutoFix without dimensions).
    pub fleet_fixes: BTreeMap<Minute, u32>,
    /// Those of the stream that called `UpdateShardCount`.
    pub reshards: BTreeMap<Minute, u32>,
    /// Those of the stream that switched the capacity mode.
    pub mode_switches: BTreeMap<Minute, u32>,
    /// The minutes of those of the stream that somebody took back (Reverted of the stream).
    pub reverts: BTreeMap<Minute, u32>,
}

impl Traffic {
    /// The traffic of a minute. One without a datapoint had none, if it is not newer than [`Traffic::newest`].
    pub fn minute(&self, minute: Minute) -> MinuteTraffic {
        self.minutes.get(&minute).copied().unwrap_or_default()
    }

    /// The same, to be filled in.
    pub fn minute_mut(&mut self, minute: Minute) -> &mut MinuteTraffic {
        self.minutes.entry(minute).or_default()
    }

    /// The newest minute of which something is known: the newest with a datapoint of any metric, or the newest so
    /// old that it would have been published. Newer ones are unknown, not zero.
    pub fn newest(&self, observed_at: DateTime<Utc>) -> Minute {
        let surely = Minute::of(observed_at).plus(-1 - PUBLISHED_WITHIN_MINUTES);
        self.minutes.keys().next_back().map_or(surely, |newest| (*newest).max(surely))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn a_minute_runs_from_its_start_to_its_end() {
        let minute = Minute::of(at(125));
        assert_eq!((minute.start(), minute.end()), (at(120), at(180)));
        assert_eq!(Minute::from(at(120)), minute);
        assert_eq!(Minute::from(at(121)), minute.plus(1));
        assert_eq!(minute.to(minute.plus(2)).count(), 3);
    }

    #[test]
    fn a_minute_newer_than_the_newest_datapoint_is_unknown_until_it_is_old() {
        let now = at(100 * 60 + 30);
        let mut traffic = Traffic::default();
        assert_eq!(traffic.newest(now), Minute(94), "five minutes after its end a silent minute was idle");
        traffic.minute_mut(Minute(98)).incoming_records = 1.0;
        assert_eq!(traffic.newest(now), Minute(98));
        assert_eq!(traffic.newest(now + TimeDelta::minutes(10)), Minute(104));
    }
}
