//! The peak load that a restore leaves shards for, and how even the keys are.

use super::Case;
use super::demand::{Offered, SHARD_READ_BYTES_PER_SECOND, shards_at};
use super::history::History;
use super::writes::FULL;
use crate::decision::Evidence;
use crate::observation::{LOOKBACK_HOURS, Minute};
use chrono::{DateTime, TimeDelta, Utc};

/// How many hours of yesterday an automatic restore looks ahead at least. Most loads follow the clock, so yesterday's
/// next hours are the best forecast. A restore that the load reverts within some hours saves little and throttles once
/// more. With a whole day, each restore would wait until its own incident is a day old.
const HOURS_AHEAD: i64 = 6;

/// CloudWatch usually publishes a minute within this time: it is one to three minutes late.
const PUBLISHED_WITHIN: TimeDelta = TimeDelta::minutes(3);

/// A minute cannot have taken more than this share of its shards' capacity. What took more had more shards. A little
/// above 1, since AWS lets a shard burst for some seconds, and counts a record in the minute in which it arrives.
const MOST_TAKEN: f64 = 1.1;

/// The busiest minute of some hours.
#[derive(Clone, Copy)]
pub(super) struct Peak {
    pub minute: Minute,
    /// Its load, in shards that would be full to the brim.
    pub full_shards: f64,
    /// The shards that the load needs at the target utilization.
    pub shards: u32,
    /// The hours that were looked at.
    pub hours: i64,
    /// When it no longer counts.
    pub until: DateTime<Utc>,
}

impl Peak {
    /// The peak in words.
    pub fn of_hours(&self) -> String {
        let last = if self.hours == 1 { "hour".to_owned() } else { format!("{} hours", self.hours) };
        let at = self.minute.start().format("%H:%M");
        format!("the peak of the last {last} (the load of {:.1} shards at {at} UTC)", self.full_shards)
    }

    pub fn record(&self, evidence: &mut Evidence) {
        evidence.peak_full_shards = Some(self.full_shards);
        evidence.peak_shards_needed = Some(self.shards);
        evidence.peak_minute = Some(self.minute.start());
        evidence.peak_counts_until = Some(self.until);
    }
}

/// The accepted load of a minute. What was refused then comes from retries, too.
fn accepted(case: &Case<'_>, minute: Minute) -> f64 {
    Offered::accepted_shards(&case.observation.traffic, minute)
}

/// The offered load of a minute. Nothing was refused in calm hours, so the retries are few.
fn offered(case: &Case<'_>, minute: Minute) -> f64 {
    Offered::in_minute(&case.observation.traffic, minute).shards().unwrap_or_default()
}

impl Case<'_> {
    /// The peak load of the last `hours`, written or read. `evenness`: the share of its capacity that a stream takes
    /// before the first of its shards is full.
    pub(super) fn peak(&self, newest: Minute, hours: i64, evenness: f64) -> Peak {
        self.busiest((newest.plus(1 - 60 * hours), newest), hours, offered, evenness)
    }

    /// The peak of the hours that come next, as yesterday shows them: at least as many as a restore waits for.
    pub(super) fn peak_ahead(&self, newest: Minute, hours: i64, evenness: f64) -> Peak {
        let first = newest.plus(1 - 60 * LOOKBACK_HOURS);
        let last = first.plus(60 * hours.max(HOURS_AHEAD) - 1).min(newest);
        self.busiest((first, last), LOOKBACK_HOURS, accepted, evenness)
    }

    /// The busiest of these minutes, which counts for `hours`.
    fn busiest(
        &self,
        (first, last): (Minute, Minute),
        hours: i64,
        load: fn(&Case<'_>, Minute) -> f64,
        evenness: f64,
    ) -> Peak {
        let full_shards = |minute: Minute| {
            let read = self.observation.traffic.minute(minute).get_records_bytes;
            load(self, minute).max(read / 60.0 / SHARD_READ_BYTES_PER_SECOND)
        };
        let minutes = first.to(last).map(|minute| (minute, full_shards(minute)));
        let (minute, full_shards) = minutes.max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap_or((last, 0.0));
        let shards = shards_at(full_shards / evenness, self.policy.target_utilization);
        Peak { minute, full_shards, shards, hours, until: minute.plus(60 * hours).end() + PUBLISHED_WITHIN }
    }

    /// How even the keys are, from 0 to 1: the most that the stream took while it throttled, as a share of what its
    /// shards could take then. Keys that were uneven then are uneven still. A minute that took less than [`FULL`] shows
    /// a burst or one key, and says nothing of a whole minute's load. `base`: the shards before our changes.
    pub(super) fn evenness(&self, newest: Minute, base: u32, history: &History) -> f64 {
        let traffic = &self.observation.traffic;
        let day = newest.plus(1 - 60 * LOOKBACK_HOURS).to(newest);
        let throttled = day.filter(|minute| traffic.minute(*minute).write_throttled > 0.0);
        let taken = throttled.map(|minute| {
            let shards = history.shards_in(minute, base).max(1);
            Offered::accepted_shards(traffic, minute) / f64::from(shards)
        });
        let whole = taken.filter(|taken| (FULL..=MOST_TAKEN).contains(taken));
        whole.reduce(f64::max).map_or(1.0, |taken| taken.min(1.0))
    }
}
