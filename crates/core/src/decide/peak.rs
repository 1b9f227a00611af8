//! The peak load that a restore leaves shards for, and how even the keys are.

use super::Case;
use super::demand::{Offered, shards_at};
use super::history::History;
use super::writes::FULL;
use crate::decision::Evidence;
use crate::observation::{LOOKBACK_HOURS, Minute, MinuteTraffic, SHARD_READ_BYTES_PER_SECOND};
use chrono::{DateTime, TimeDelta, Utc};

/// How many hours of yesterday an automatic restore looks ahead at least. Most loads follow the clock, so yesterday's
/// next hours are the best forecast. A restore that the load reverts within some hours saves little and throttles once
/// more. With a whole day, each restore would wait until its own incident is a day old.
pub(super) const HOURS_AHEAD: i64 = 6;

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
    /// When the last minute that needs as many shards, or all that there are, no longer counts.
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

/// The load of one minute.
#[derive(Clone, Copy)]
struct Loaded {
    minute: Minute,
    /// See [`Peak::full_shards`].
    full_shards: f64,
    /// See [`Peak::shards`].
    shards: u32,
}

/// The busiest of the first `window` minutes. A minute counts for `hours`. A later minute that needs as many shards
/// counts once the window reaches it, if an earlier one still counts until then. `newest`: where there is no minute.
fn busiest(minutes: &[Loaded], window: usize, hours: i64, all: u32, newest: Minute) -> Peak {
    let idle = Loaded { minute: newest, full_shards: 0.0, shards: 1 };
    let peak = minutes.iter().take(window).max_by(|a, b| a.full_shards.total_cmp(&b.full_shards));
    let peak = peak.copied().unwrap_or(idle);
    let needed = peak.shards.min(all);
    let mut last = (0, peak.minute);
    for (at, loaded) in minutes.iter().enumerate() {
        if at >= window && at > last.0 + window {
            break;
        }
        if loaded.shards >= needed {
            last = (at, loaded.minute);
        }
    }
    let until = last.1.plus(60 * hours).end() + PUBLISHED_WITHIN;
    Peak { minute: peak.minute, full_shards: peak.full_shards, shards: peak.shards, hours, until }
}

impl Case<'_> {
    /// The peak load of the last `hours`, written or read. `evenness`: the share of its capacity that a stream takes
    /// before the first of its shards is full. `all`: this number of shards is in the way of an undo, whatever the peak
    /// needs beyond.
    pub(super) fn peak(&self, newest: Minute, hours: i64, evenness: f64, all: u32) -> Peak {
        let minutes = self.loads((newest.plus(1 - 60 * hours), newest), offered, evenness);
        busiest(&minutes, minutes.len(), hours, all, newest)
    }

    /// The accepted peak of a day, in which the stream may have throttled.
    pub(super) fn peak_of_day(&self, newest: Minute, evenness: f64, all: u32) -> Peak {
        let minutes = self.loads((newest.plus(1 - 60 * LOOKBACK_HOURS), newest), accepted, evenness);
        busiest(&minutes, minutes.len(), LOOKBACK_HOURS, all, newest)
    }

    /// The peak of the hours that come next, as yesterday shows them: at least as many as a restore waits for.
    pub(super) fn peak_ahead(&self, newest: Minute, hours: i64, evenness: f64, all: u32) -> Peak {
        let first = newest.plus(1 - 60 * LOOKBACK_HOURS);
        let minutes = self.loads((first, newest), accepted, evenness);
        let ahead = usize::try_from(60 * hours.max(HOURS_AHEAD)).unwrap_or(usize::MAX);
        busiest(&minutes, ahead, LOOKBACK_HOURS, all, newest)
    }

    /// The loads of these minutes.
    fn loads(&self, (first, last): (Minute, Minute), load: fn(&Case<'_>, Minute) -> f64, evenness: f64) -> Vec<Loaded> {
        let loaded = |minute: Minute| {
            let read = self.observation.traffic.minute(minute).get_records_bytes;
            let full_shards = load(self, minute).max(read / 60.0 / SHARD_READ_BYTES_PER_SECOND);
            let shards = shards_at(full_shards / evenness, self.policy.target_utilization);
            Loaded { minute, full_shards, shards }
        };
        first.to(last).map(loaded).collect()
    }

    /// How even the keys are, from 0 to 1: the most that the stream took while it throttled, as a share of what its
    /// shards could take then. Keys that were uneven then are uneven still. A minute that took less than [`FULL`] shows
    /// a burst or one key, and says nothing of a whole minute's load. `base`: the shards before our changes.
    pub(super) fn evenness(&self, newest: Minute, base: u32, history: &History) -> f64 {
        self.evenness_where(newest, base, history, |minute| minute.write_throttled > 0.0)
    }

    /// The same, where only these minutes show how even the keys are.
    pub(super) fn evenness_where(
        &self,
        newest: Minute,
        base: u32,
        history: &History,
        shows: impl Fn(&MinuteTraffic) -> bool,
    ) -> f64 {
        let traffic = &self.observation.traffic;
        let day = newest.plus(1 - 60 * LOOKBACK_HOURS).to(newest);
        let throttled = day.filter(|minute| shows(&traffic.minute(*minute)));
        let taken = throttled.map(|minute| {
            let shards = history.shards_in(minute, base).max(1);
            Offered::accepted_shards(traffic, minute) / f64::from(shards)
        });
        let whole = taken.filter(|taken| (FULL..=MOST_TAKEN).contains(taken));
        whole.reduce(f64::max).map_or(1.0, |taken| taken.min(1.0))
    }
}
