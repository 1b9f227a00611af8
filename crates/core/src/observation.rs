//! One stream as AWS describes it at one moment: its summary, its tags, its traffic and the account's limits.
//!
//! An observation is never up to date. CloudWatch publishes a minute 1–3 minutes late, and the stream may have changed
//! since the call. So each observation carries the time of the call.

mod fan_out;
mod fleet;
mod minute;
mod past;
mod shard_load;
mod shards_at;

pub use fan_out::FanOut;
pub use fleet::{Fleet, OwnChanges, Supported};
pub use minute::Minute;
pub use past::{PAST_DAYS, PAST_GOOD_FOR_HOURS, PAST_STEP_MINUTES, Past};
pub(crate) use shard_load::*;
pub use shards_at::ShardsAt;

use chrono::{DateTime, TimeDelta, Utc};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long after its end CloudWatch publishes a minute at the latest. CloudWatch documents no number; 1–3 minutes were
/// observed. An older minute without a datapoint had no traffic. A smaller number would take an unpublished minute for
/// an idle one. A larger number only delays "healthy" on a stream whose producers have stopped.
pub(crate) const PUBLISHED_WITHIN_MINUTES: i64 = 5;

/// How far back an observation reads traffic, in hours. AWS's budgets of changes run over 24 hours. unthrottle also
/// rebuilds a lost memory from the AutoFix metric of this time. A shorter time would miss changes that AWS still
/// counts; a longer time would read data that no decision uses.
pub const LOOKBACK_HOURS: i64 = 24;

/// The shard-level metrics that show which shard is hot, by AWS's names.
pub const SHARD_METRICS: [&str; 3] = ["IncomingBytes", "IncomingRecords", "WriteProvisionedThroughputExceeded"];

/// More shards than this cannot be told apart: a search of CloudWatch's gives at most 500 series. With a smaller
/// number, larger streams would never be diagnosed. With a larger one, a hot shard could be missing from the answer.
pub const SHARDS_TOLD_APART: u32 = 500;

/// AWS's name for all shard-level metrics together, which are seven.
const ALL_SHARD_METRICS: &str = "ALL";

/// Everything that a decision uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// When the function called AWS for the stream's summary.
    pub observed_at: DateTime<Utc>,
    /// The stream's summary. `None`: the stream does not exist.
    pub stream: Option<Stream>,
    /// The stream's tags.
    pub tags: BTreeMap<String, String>,
    /// The minutes that CloudWatch has published.
    pub traffic: Traffic,
    /// The account's limits. `None`: AWS throttled `DescribeLimits`, which allows one call a second to the whole
    /// account. AWS then refuses a change that is above a limit.
    pub limits: Option<Limits>,
    /// The open shards and their traffic. `None`: not read, because only some decisions use them. Without shard-level
    /// metrics their traffic is empty.
    pub shards: Option<Vec<Shard>>,
    /// The shards of earlier times, where a decision asked for them.
    pub shards_at: BTreeMap<DateTime<Utc>, ShardsAt>,
    /// Whether AutoFix has a datum that the run of the last change in the memory sent. `None`: not read.
    pub is_change_shown: Option<bool>,
    /// The traffic of the last two weeks. `None`: not read, because only forecasts use it.
    pub past: Option<Arc<Past>>,
    /// Whether the account has the throughput commitment. `None`: not read.
    pub commitment: Option<Commitment>,
    /// The function's changes in the whole account and region.
    pub fleet: Fleet,
}

impl Observation {
    /// The same without the minutes of an earlier stream of this name. CloudWatch's metrics are metrics of the name.
    pub(crate) fn since_creation(&self) -> Cow<'_, Observation> {
        let created = self.stream.as_ref().and_then(|stream| stream.created_at).map(Minute::from);
        match created.filter(|first| self.traffic.minutes.first_key_value().is_some_and(|(oldest, _)| oldest < first)) {
            None => Cow::Borrowed(self),
            Some(first) => {
                let mut own = self.clone();
                own.traffic.minutes = own.traffic.minutes.split_off(&first);
                own.traffic.fan_out = own.traffic.fan_out.map(|mut lags| lags.split_off(&first));
                Cow::Owned(own)
            }
        }
    }
}

/// A stream's summary (`DescribeStreamSummary`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The name, such as `orders`.
    pub name: String,
    /// The ARN, such as `arn:aws:kinesis:us-east-1:123456789012:stream/orders`.
    pub arn: String,
    /// Whether AWS accepts a change now.
    pub status: Status,
    /// Who sets the number of shards.
    pub mode: CapacityMode,
    /// Open shards. Not valid while the stream is not ACTIVE.
    pub open_shards: u32,
    /// How long the stream keeps a record.
    pub retention_hours: u32,
    /// Consumers registered for enhanced fan-out.
    pub consumers: u32,
    /// The enabled shard-level metrics, by AWS's names.
    pub shard_metrics: BTreeSet<String>,
    /// Only on-demand streams have warm throughput, and only in accounts with the throughput commitment.
    pub warm_throughput: Option<WarmThroughput>,
    /// Whether AWS itself distributes the records over the shards (RecordDistributionStrategy AUTO). Then no key is
    /// hot.
    pub spreads_records: bool,
    /// Channels that deliver the stream's data. `None`: AWS did not give the number.
    pub channels: Option<u32>,
    /// Queues on the stream. `None`: AWS did not give the number.
    pub queues: Option<u32>,
    /// The KMS key that encrypts the records. `None`: the records are not encrypted.
    pub kms_key: Option<String>,
    /// When the stream was created. A stream that is made anew under an old name has a new time. `None`: AWS did not
    /// give the time.
    pub created_at: Option<DateTime<Utc>>,
}

/// The shards of a new stream open within this time after its StreamCreationTimestamp, which has whole seconds in some
/// answers. With less time, AWS would list no shard; more time would skip a reshard of a stream that is seconds old.
const CREATED_WITHIN: TimeDelta = TimeDelta::seconds(1);

impl Stream {
    /// This time, or soon after the creation of a younger stream: before that, AWS lists no shard of it.
    pub fn listed_from(&self, time: DateTime<Utc>) -> DateTime<Utc> {
        self.created_at.map_or(time, |created| time.max(created + CREATED_WITHIN))
    }

    /// What the stream takes, in full shards: its warm throughput (a shard takes 1 MiB/s), or what its shards take.
    pub(crate) fn capacity(&self) -> f64 {
        f64::from(self.warm_throughput.map_or(self.open_shards, |warm| warm.current_mibps).max(1))
    }

    /// Whether all of [`SHARD_METRICS`] are enabled.
    pub fn shows_shards(&self) -> bool {
        self.metrics_off().next().is_none()
    }

    /// The [`SHARD_METRICS`] that are not enabled.
    pub(crate) fn metrics_off(&self) -> impl Iterator<Item = &'static str> {
        let all = self.shard_metrics.contains(ALL_SHARD_METRICS);
        SHARD_METRICS.into_iter().filter(move |metric| !all && !self.shard_metrics.contains(*metric))
    }

    /// How many shard-level metrics are enabled, 0–7. AWS charges each of them for each shard.
    pub fn shard_metric_count(&self) -> u32 {
        let all = self.shard_metrics.contains(ALL_SHARD_METRICS);
        if all { 7 } else { u32::try_from(self.shard_metrics.len()).unwrap_or(7) }
    }

    /// The region in the ARN. Empty if the ARN has no region.
    pub fn region(&self) -> &str {
        self.arn.split(':').nth(3).unwrap_or_default()
    }
}

/// The traffic that an on-demand stream accepts at once, in MiB/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmThroughput {
    /// The warm throughput now.
    pub current_mibps: u32,
    /// The warm throughput after the change that is under way.
    pub target_mibps: u32,
}

/// Whether the account has the minimum-throughput billing commitment (On-demand Advantage). Warm throughput needs it.
/// unthrottle never buys the commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commitment {
    /// The account has the commitment.
    Enabled,
    /// The account has no commitment, or AWS does not mention one.
    Disabled,
}

/// An open shard.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// The id, such as `shardId-000000000003`.
    pub id: String,
    /// The shard that a reshard closed to open this shard (ParentShardId).
    pub parent: Option<String>,
    /// The first of the hash keys whose records go to this shard.
    pub first_hash_key: u128,
    /// The last of these hash keys, which belongs to the shard.
    pub last_hash_key: u128,
    /// The shard's [`SHARD_METRICS`], minute by minute. A minute without a datapoint had no traffic, if CloudWatch has
    /// published that minute of the stream.
    pub traffic: Traffic,
}

impl Shard {
    /// The share of all hash keys that belong to the shard, 0–1.
    pub(crate) fn share(&self) -> f64 {
        // The counts of keys need more bits than a u128 has, and the share needs far fewer.
        (self.last_hash_key.saturating_sub(self.first_hash_key) as f64 + 1.0) / 2.0_f64.powi(128)
    }

    /// The number in a shard's id. The memory stores this number instead of the id.
    pub fn number_in(id: &str) -> Option<u64> {
        id.strip_prefix("shardId-")?.parse().ok()
    }
}

/// AWS's `StreamStatus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// AWS is creating the stream. It has no shards yet.
    Creating,
    /// AWS is deleting the stream.
    Deleting,
    /// AWS accepts a change.
    Active,
    /// A change is under way. AWS refuses a second change.
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
    /// The owner sets the number of shards.
    Provisioned,
    /// AWS sets the number of shards.
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

/// The limits of the account in this region (`DescribeLimits`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Shards that the account may have open.
    pub shard_limit: u32,
    /// Open shards of provisioned streams. Shards of on-demand streams do not count.
    pub open_shards: u32,
    /// Streams in on-demand mode.
    pub on_demand_streams: u32,
    /// Streams that may be in on-demand mode.
    pub on_demand_stream_limit: u32,
}

impl Limits {
    /// How long a container may use its copy of the limits: 60 s, or 5 s if AWS throttled the call.
    ///
    /// The limits change by support ticket and by reshards of other streams, so a much older copy would be wrong.
    /// `DescribeLimits` allows one call a second to the whole account, so much shorter times would throttle it.
    pub fn good_for(limits: Option<Limits>) -> Duration {
        Duration::from_secs(if limits.is_some() { 60 } else { 5 })
    }

    /// How many more shards the account may open.
    pub fn shards_left(&self) -> u32 {
        self.shard_limit.saturating_sub(self.open_shards)
    }
}

/// One minute of the traffic of a stream or a shard, as CloudWatch counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MinuteTraffic {
    /// Accepted bytes (IncomingBytes, Sum).
    pub incoming_bytes: f64,
    /// Accepted records (IncomingRecords, Sum).
    pub incoming_records: f64,
    /// Refused records (WriteProvisionedThroughputExceeded, Sum).
    pub write_throttled: f64,
    /// Bytes written by PutRecord (PutRecord.Bytes, Sum).
    pub put_record_bytes: f64,
    /// Records written by PutRecord (PutRecord.Bytes, SampleCount).
    pub put_record_count: f64,
    /// Refused GetRecords calls (ReadProvisionedThroughputExceeded, Sum).
    pub read_throttled: f64,
    /// Bytes that GetRecords returned (GetRecords.Bytes, Sum).
    pub get_records_bytes: f64,
    /// Answered GetRecords calls (GetRecords.Bytes, SampleCount).
    pub get_records_calls: f64,
    /// The largest age of the last record of a GetRecords call, in milliseconds (GetRecords.IteratorAgeMilliseconds,
    /// Maximum).
    pub iterator_age_ms: Option<f64>,
}

impl MinuteTraffic {
    /// Whether AWS refused a record or a GetRecords call.
    pub fn is_throttled(&self) -> bool {
        self.write_throttled > 0.0 || self.read_throttled > 0.0
    }
}

/// The metrics of a stream that CloudWatch has published in the last [`LOOKBACK_HOURS`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traffic {
    minutes: BTreeMap<Minute, MinuteTraffic>,
    /// The function's changes of the stream (AutoFix of the stream).
    pub auto_fixes: BTreeMap<Minute, u32>,
    /// The function's changes of all streams (AutoFix without dimensions).
    pub fleet_fixes: BTreeMap<Minute, u32>,
    /// The shards that the function added to all streams (ShardsAdded without dimensions).
    pub shards_added: BTreeMap<Minute, u32>,
    /// The changes of the stream that raised its shards (`UpdateShardCount`).
    pub reshards: BTreeMap<Minute, u32>,
    /// The changes of the stream that restored its shards (`UpdateShardCount`).
    pub restores: BTreeMap<Minute, u32>,
    /// The changes of the stream that switched the capacity mode.
    pub mode_switches: BTreeMap<Minute, u32>,
    /// The changes of the stream that another person or tool reverted (Reverted of the stream).
    pub reverts: BTreeMap<Minute, u32>,
    /// The registered consumers of the stream. `None`: it has none, or CloudWatch did not answer.
    pub fan_out: Option<BTreeMap<Minute, FanOut>>,
}

impl Traffic {
    /// The traffic of a minute. A minute without a datapoint had no traffic, if it is not newer than
    /// [`Traffic::newest`].
    pub fn minute(&self, minute: Minute) -> MinuteTraffic {
        self.minutes.get(&minute).copied().unwrap_or_default()
    }

    /// The traffic of a minute, to write to.
    pub fn minute_mut(&mut self, minute: Minute) -> &mut MinuteTraffic {
        self.minutes.entry(minute).or_default()
    }

    /// The minutes with a datapoint from `first` on, the oldest first.
    pub(crate) fn since(&self, first: Minute) -> impl Iterator<Item = (Minute, MinuteTraffic)> {
        self.minutes.range(first..).map(|(minute, traffic)| (*minute, *traffic))
    }

    /// The newest minute that CloudWatch has surely published, with or without a datapoint.
    pub(crate) fn published_by(observed_at: DateTime<Utc>) -> Minute {
        Minute::of(observed_at).plus(-1 - PUBLISHED_WITHIN_MINUTES)
    }

    /// The last minute whose traffic fits.
    pub(crate) fn last_minute(&self, fits: impl Fn(&MinuteTraffic) -> bool) -> Option<Minute> {
        self.minutes.iter().rev().find(|(_, traffic)| fits(traffic)).map(|(minute, _)| *minute)
    }

    /// The newest minute with known traffic. CloudWatch has a datapoint of the minute, or would have published one by
    /// now. The traffic of newer minutes is unknown, not zero.
    pub fn newest(&self, observed_at: DateTime<Utc>) -> Minute {
        let published = Traffic::published_by(observed_at);
        self.minutes.keys().next_back().map_or(published, |newest| (*newest).max(published))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn minute(number: i64) -> Minute {
        Minute::of(at(60 * number))
    }

    #[test]
    fn a_minute_newer_than_the_newest_datapoint_is_unknown_for_five_minutes() {
        let now = at(100 * 60 + 30);
        let mut traffic = Traffic::default();
        assert_eq!(traffic.newest(now), minute(94), "a minute without a datapoint is idle five minutes after its end");
        traffic.minute_mut(minute(98)).incoming_records = 1.0;
        assert_eq!(traffic.newest(now), minute(98));
        assert_eq!(traffic.newest(now + TimeDelta::minutes(10)), minute(104));
    }
}
