//! The numbers that a decision rests on.

use super::foreseen::{ExpectedBy, ForesightBound, ForesightHeld};
use crate::memory::{ChangeKind, Size};
pub(crate) use crate::observation::BACKLOG_MILLISECONDS;
use crate::observation::{Minute, MinuteTraffic};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Serialize;

/// A reader whose age grows or falls by less than this share of the time neither gains nor loses: the ages of minutes
/// differ as much. A smaller number takes that noise for a speed; a larger number hides a slow loss.
pub(crate) const STEADY: f64 = 0.1;

/// The side of a stream whose throughput is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Producers: PutRecord and PutRecords.
    Writes,
    /// Consumers: GetRecords.
    Reads,
}

impl Side {
    /// The records or GetRecords calls that AWS refused in a minute.
    pub(crate) fn refused(self, minute: &MinuteTraffic) -> f64 {
        match self {
            Side::Writes => minute.write_throttled,
            Side::Reads => minute.read_throttled,
        }
    }

    /// The records that AWS accepted in a minute, or the GetRecords calls that it answered.
    pub(crate) fn served(self, minute: &MinuteTraffic) -> f64 {
        match self {
            Side::Writes => minute.incoming_records.max(0.0),
            Side::Reads => minute.get_records_calls.max(0.0),
        }
    }

    /// The refused share of a minute, 0–1.
    pub(crate) fn refused_share(self, minute: &MinuteTraffic) -> f64 {
        let refused = self.refused(minute);
        if refused > 0.0 { refused / (refused + self.served(minute)) } else { 0.0 }
    }
}

/// What a stream needs shards for, where that is not its load alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NeededFor {
    /// Its widest shard is full. A reshard makes all shards equal.
    EqualWidth,
    /// Many of its shards are hot. With as many equal shards they come down to the target utilization.
    HotShards,
    /// Its only shard refused most records for 15 minutes, which is no burst.
    Outage,
}

/// A change that stopped the throttling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Healed {
    /// The stream's size before.
    pub from: Size,
    /// The stream's size after.
    pub to: Size,
    /// What was done.
    pub kind: ChangeKind,
    /// From the start of the first throttled minute to the end of the last.
    pub took: TimeDelta,
}

/// The numbers that a decision rests on, each with its unit in its name. A number that was not read is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// When AWS was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<DateTime<Utc>>,
    /// The start of the newest minute that CloudWatch has published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_minute: Option<DateTime<Utc>>,
    /// The minutes that are evidence: after the last change settled, at most the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_minutes: Option<u32>,
    /// The side whose throughput is exceeded, where that is confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_side: Option<Side>,
    /// Throttled minutes in the window. A minute counts when its refused share reaches the floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_minutes: Option<u32>,
    /// Records refused in the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_throttled_records: Option<f64>,
    /// The highest share of records refused in a minute of the window, 0–1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_throttled_share: Option<f64>,
    /// GetRecords calls refused in the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_throttled_calls: Option<f64>,
    /// The highest share of GetRecords calls refused in a minute of the window, 0–1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_throttled_share: Option<f64>,
    /// Accepted and refused records of the busiest throttled minute, per second. Retries count again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered_records_per_second: Option<f64>,
    /// The same in bytes as AWS charges them. Absent when no record's size is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered_bytes_per_second: Option<f64>,
    /// The accepted load of the throttled minute that accepted most, as a share of what all open shards take: 1 is
    /// full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_utilization: Option<f64>,
    /// Whether retries of refused records count as offered (always, where offered load is given).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered_includes_retries: Option<bool>,
    /// Bytes read in the busiest throttled minute, per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub get_records_bytes_per_second: Option<f64>,
    /// GetRecords calls to each open shard in the busiest throttled minute, per second: answered and refused ones,
    /// retries again. AWS answers five.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub get_records_calls_per_shard_per_second: Option<f64>,
    /// The pollers of one call a second to each shard that make this number of calls, where calls are too many. It is
    /// no number of readers: one reader in a tight loop makes as many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub implied_pollers: Option<u32>,
    /// The share of the target's capacity that the load may use, 0–1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_utilization: Option<f64>,
    /// The shards that the load needs at that utilization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards_needed: Option<u32>,
    /// What the shards are needed for, where the load alone needs fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards_needed_for: Option<NeededFor>,
    /// The shards that the bytes of the load need alone. It is there where records are small: their number fills the
    /// shards, and their bytes would fill less than a fifth of them. Producers that aggregate need no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards_needed_if_aggregated: Option<u32>,
    /// The mean size of an accepted record in a throttled minute. It is there above 1 MiB, which is more than a shard
    /// takes in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_record_bytes: Option<f64>,
    /// What the shard-level metrics for a diagnosis would cost in a month, USD. It is there when a person denies them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard_metrics_usd_per_month: Option<f64>,
    /// The peak that a restore has to leave shards for: its load, in shards that would be full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_full_shards: Option<f64>,
    /// The shards that this peak needs at the target utilization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_shards_needed: Option<u32>,
    /// The start of the minute of this peak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_minute: Option<DateTime<Utc>>,
    /// When the last minute that needs as many shards, or all open shards, no longer counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_counts_until: Option<DateTime<Utc>>,
    /// The age of the oldest record read in the newest minutes, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterator_age_milliseconds: Option<f64>,
    /// By how much that age grows in a minute, seconds. 60: the slowest reader stands still. Below 0: it gains ground.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterator_age_growth_seconds_per_minute: Option<f64>,
    /// The age has just risen by more than the time that passed: a new reader, or an error of the metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterator_age_jumped: Option<bool>,
    /// How far the slowest registered consumer is behind, milliseconds. The age of the oldest record read counts it,
    /// too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fan_out_behind_milliseconds: Option<f64>,
    /// The registered consumers whose delay CloudWatch does not show. It is there when a restore waits for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumers_of_unknown_delay: Option<u32>,
    /// The end of the last minute that shows a reader, where the newest minutes show none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader_unseen_since: Option<DateTime<Utc>>,
    /// How far the slowest reader was behind in that minute, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_known_age_milliseconds: Option<f64>,
    /// A restore waits for a reader that is not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_waits_for_unseen_reader: Option<bool>,
    /// When readers stopped after a change of ours, whatever the decision is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readers_stopped_since: Option<DateTime<Utc>>,
    /// Hours until unread records are deleted, at the speed of the slowest reader; where it neither gains nor loses
    /// ground, or is not seen, if it stops now. It is there when that reader is more than half the retention behind,
    /// and does not gain ground.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_loss_in_hours: Option<f64>,
    /// Reshards of ours in the last 24 hours; AWS allows ten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reshards_last_24_hours: Option<u32>,
    /// Switches of capacity mode by us in the last 24 hours; AWS allows two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode_switches_last_24_hours: Option<u32>,
    /// The shard that is offered most, where shard-level metrics show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hottest_shard: Option<String>,
    /// The load offered to this shard in the busiest throttled minute, as a share of what a shard takes: 1 is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hottest_shard_utilization: Option<f64>,
    /// Shards that are offered more than the target utilization in that minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_shards: Option<u32>,
    /// Splits in the history of the hottest shard within 24 hours. Each left nearly all the load in one child.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnostic_splits: Option<u32>,
    /// The shard that a producer's error message names as throttled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named_shard: Option<String>,
    /// The least that the throughput commitment costs the account, USD an hour. It is there when a person may want to
    /// buy it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commitment_usd_per_hour: Option<f64>,
    /// The cost of the stream in on-demand mode at this load, USD an hour. It is there when a person may want to change
    /// the mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_demand_usd_per_hour: Option<f64>,
    /// The cost of the stream in provisioned mode with the shards that the load needs, USD an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioned_usd_per_hour: Option<f64>,
    /// Warm throughput of an on-demand stream that the load needs, MiB/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_mibps_needed: Option<u32>,
    /// Shards that the account may still open. Absent: AWS did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_shards_left: Option<u32>,
    /// The tag was gone, and the memory was rebuilt from the AutoFix metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_lost: Option<bool>,
    /// How often another person or tool reverted a change of ours in the last 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes_taken_back: Option<u32>,
    /// The share of records or calls that AWS refused in the last 15 minutes, 0–1. It is there when the loss lasts:
    /// when a person must know of it, whatever the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasting_refused_share: Option<f64>,
    /// The side that the lasting loss is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasting_side: Option<Side>,
    /// Since when the status is UPDATING, where the change is ours and takes longer than an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updating_since: Option<DateTime<Utc>>,
    /// No throttled minute is whole yet, so the load may have begun within the newest ones: the next minute shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onset: Option<bool>,
    /// The end of the last minute with data, where CloudWatch shows none since, though the stream had traffic nearly
    /// all the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<DateTime<Utc>>,
    /// The start of the last throttled minute of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_throttled_minute: Option<DateTime<Utc>>,
    /// The share of all hash keys that the widest shard has, 0–1. It is there when the shards are not of equal width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub widest_shard_share: Option<f64>,
    /// The load that the shards are counted for, records per second, where it is less than the offered load: producers
    /// send refused records again, and each attempt counts as offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_records_per_second: Option<f64>,
    /// The same in bytes as AWS charges them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_bytes_per_second: Option<f64>,
    /// How often the stream's producers try a record at most, where that shows the least that the load can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    /// Changes in the last hour, as the AutoFix metric and this process count them. It is there where the tags of the
    /// streams show too few of them, so that they do not all count against the bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet_changes_counted: Option<u32>,
    /// Changes in the last hour that the tags of the streams show, where that number bounds the changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet_changes_supported: Option<u32>,
    /// Shards added in the last 24 hours, as the ShardsAdded metric and this process count them. It is there where the
    /// tags of the streams show too few of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet_shards_counted: Option<u32>,
    /// Shards added in the last 24 hours that the tags of the streams show at most, where that number bounds them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet_shards_supported: Option<u32>,
    /// What an expected load rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_by: Option<ExpectedBy>,
    /// The load that is expected, in shards that would be full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_full_shards: Option<f64>,
    /// The start of the minute for which it is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_at: Option<DateTime<Utc>>,
    /// The earlier days that show it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expected_days: Vec<NaiveDate>,
    /// Why nothing is changed for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foresight_held: Option<ForesightHeld>,
    /// The bound that holds it, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foresight_bound: Option<ForesightBound>,
    /// Until when forecasts wait, after wrong ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foresight_waits_until: Option<DateTime<Utc>>,
    /// Whether the last forecast was right. It is there in the run that checked the forecast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast_was_right: Option<bool>,
    /// How many forecasts in a row were wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecasts_wrong: Option<u32>,
    /// The fewest shards that a person has planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned_shards: Option<u32>,
    /// Until when they are planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned_until: Option<DateTime<Utc>>,
    /// From the first throttled minute's start to the last one's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_heal_seconds: Option<i64>,
}

impl Evidence {
    /// The newest published minute.
    pub fn newest(&self) -> Option<Minute> {
        self.newest_minute.map(Minute::of)
    }

    /// Whether AWS refused anything in the window, also where that is over or below the floor.
    pub fn has_refused(&self) -> bool {
        let refused = [self.write_throttled_records, self.read_throttled_calls];
        refused.into_iter().flatten().any(|refused| refused > 0.0)
    }

    /// Records that the load is this share of what is offered, 0–1.
    pub(crate) fn record_load(&mut self, share: f64) {
        self.load_records_per_second = self.offered_records_per_second.map(|records| records * share);
        self.load_bytes_per_second = self.offered_bytes_per_second.map(|bytes| bytes * share);
    }

    /// Whether a part of the offered load counts as retries by an assumed number of tries. Where the number is known,
    /// the load is known as well.
    pub(crate) fn is_load_cut(&self) -> bool {
        self.load_records_per_second.is_some() && self.tries.is_none()
    }

    /// Drops what a decision about writes rests on, where the decision is about reads. What was refused stays.
    pub(crate) fn forget_writes(&mut self) {
        (self.offered_records_per_second, self.offered_bytes_per_second) = (None, None);
        (self.load_records_per_second, self.load_bytes_per_second, self.tries) = (None, None, None);
        (self.offered_includes_retries, self.accepted_utilization) = (None, None);
        (self.shards_needed, self.shards_needed_for, self.mean_record_bytes) = (None, None, None);
        self.shards_needed_if_aggregated = None;
        (self.hottest_shard, self.hottest_shard_utilization, self.named_shard) = (None, None, None);
        (self.busy_shards, self.diagnostic_splits, self.widest_shard_share) = (None, None, None);
        self.shard_metrics_usd_per_month = None;
    }

    /// Records the last minute that shows a reader, and how far it was behind then, milliseconds.
    pub(crate) fn record_unseen_reader(&mut self, last: Minute, age: f64) {
        self.reader_unseen_since = Some(last.end());
        self.last_known_age_milliseconds = Some(age);
    }

    /// How far readers are behind, milliseconds. `None`: that is no backlog.
    pub fn backlog_milliseconds(&self) -> Option<f64> {
        self.iterator_age_milliseconds.filter(|age| *age > BACKLOG_MILLISECONDS)
    }
}
