//! The function's changes over all streams of the account and region, as far as one run can know them.

use super::{LOOKBACK_HOURS, Minute, Traffic};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// The part of a bound that counts without support by tags may use up: one in four. Tags show fewer changes than were
/// made: a tag may be deleted, and a stream may be split again and again in an hour. A smaller part would take such
/// real changes for forged ones. With a larger part, forged data stop more than a quarter of the changes.
const UNSUPPORTED_PART: u32 = 4;

/// The changes of one process, minute by minute.
#[derive(Clone, Debug, Default)]
pub struct OwnChanges {
    /// The changes.
    pub changes: BTreeMap<Minute, u32>,
    /// The shards that these changes added.
    pub shards: BTreeMap<Minute, u32>,
}

/// What the memory tags of all streams show. Each change is in its stream's tag before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supported {
    /// When the tags were read.
    pub at: DateTime<Utc>,
    /// Changes in the hour before.
    pub changes_last_hour: u32,
    /// Shards that were added in the 24 hours before, at most: a tag has only the size of the last change.
    pub shards_last_day: u32,
}

/// The function's changes in the account and region, over all streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// Changes in the last hour, from the AutoFix metric. The metric is 1–3 minutes late.
    pub changes_last_hour: u32,
    /// Changes of this process in that hour that the metric does not show yet.
    pub own_unpublished: u32,
    /// Shards added in the last 24 hours, from the ShardsAdded metric, which is as late.
    pub shards_last_day: u32,
    /// Shards that this process added in that time and that the metric does not show yet.
    pub own_shards_unpublished: u32,
    /// What the tags of all streams show, with the changes of this process since the tags were read. `None`: the
    /// observation is not part of a sweep, or the sweep could not read the tags. The metrics alone then count.
    pub supported: Option<Supported>,
    /// How many more streams this sweep may change. `None`: the observation is not part of a sweep, or this sweep has
    /// changed this stream before.
    pub left_in_sweep: Option<u32>,
}

impl Fleet {
    /// Counts the changes of the hour before `now`. `own`: the changes of this process, minute by minute. A change that
    /// the metric shows does not count twice.
    pub fn of(traffic: &Traffic, own: &BTreeMap<Minute, u32>, now: DateTime<Utc>) -> Fleet {
        let hour = Minute::of(now).plus(1 - 60);
        Fleet {
            changes_last_hour: sum_since(&traffic.fleet_fixes, hour),
            own_unpublished: unpublished_since(own, &traffic.fleet_fixes, hour),
            ..Fleet::default()
        }
    }

    /// The same with the shards of the 24 hours before `now`, and with what the tags show.
    pub fn of_all(traffic: &Traffic, own: &OwnChanges, supported: Option<Supported>, now: DateTime<Utc>) -> Fleet {
        let day = Minute::of(now).plus(1 - 60 * LOOKBACK_HOURS);
        let with_own = |supported: Supported| {
            let since = |counts| sum_since(counts, Minute::of(supported.at));
            Supported {
                changes_last_hour: supported.changes_last_hour.saturating_add(since(&own.changes)),
                shards_last_day: supported.shards_last_day.saturating_add(since(&own.shards)),
                ..supported
            }
        };
        Fleet {
            shards_last_day: sum_since(&traffic.shards_added, day),
            own_shards_unpublished: unpublished_since(&own.shards, &traffic.shards_added, day),
            supported: supported.map(with_own),
            ..Fleet::of(traffic, &own.changes, now)
        }
    }

    /// The changes of the last hour that count against a bound of `max`.
    pub(crate) fn changes_within(&self, max: u32) -> u32 {
        within_support(self.changes(), self.supported.map(|supported| supported.changes_last_hour), max)
    }

    /// The shards of the last 24 hours that count against a bound of `max`.
    pub(crate) fn shards_within(&self, max: u32) -> u32 {
        within_support(self.shards(), self.supported.map(|supported| supported.shards_last_day), max)
    }

    /// The changes of the last hour that are counted, and those that tags support, where fewer count against a bound of
    /// `max`.
    pub(crate) fn unsupported_changes(&self, max: u32) -> Option<(u32, u32)> {
        let supported = self.supported.filter(|_| self.changes_within(max) < self.changes())?;
        Some((self.changes(), supported.changes_last_hour))
    }

    /// The same of the shards of the last 24 hours.
    pub(crate) fn unsupported_shards(&self, max: u32) -> Option<(u32, u32)> {
        let supported = self.supported.filter(|_| self.shards_within(max) < self.shards())?;
        Some((self.shards(), supported.shards_last_day))
    }

    fn changes(&self) -> u32 {
        self.changes_last_hour.saturating_add(self.own_unpublished)
    }

    fn shards(&self) -> u32 {
        self.shards_last_day.saturating_add(self.own_shards_unpublished)
    }
}

/// What counts against a bound of `max`: the count of a metric, up to what the tags support and a part of the bound
/// more. Any principal that may call PutMetricData may write to the metric.
fn within_support(counted: u32, supported: Option<u32>, max: u32) -> u32 {
    supported.map_or(counted, |supported| counted.min(supported.saturating_add(max / UNSUPPORTED_PART)))
}

fn sum_since(counts: &BTreeMap<Minute, u32>, first: Minute) -> u32 {
    counts.range(first..).fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

/// The counts of `own` beyond those of `published`, minute by minute.
fn unpublished_since(own: &BTreeMap<Minute, u32>, published: &BTreeMap<Minute, u32>, first: Minute) -> u32 {
    let published = |minute: &Minute| published.get(minute).copied().unwrap_or_default();
    own.range(first..).fold(0, |sum, (minute, count)| sum.saturating_add(count.saturating_sub(published(minute))))
}
