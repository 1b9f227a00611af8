//! A stream's past, and what is known of the demand in it.

use super::load::Load;
use super::{ANY_SIZE, Before, KEYS};
use crate::rules::{MAX_SHARDS, WRITE_BYTES_A_SECOND};
use std::collections::BTreeMap;
use unthrottle_core::observation::Minute;

/// What CloudWatch has of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Passed {
    /// `IncomingBytes`: of accepted records, keys included.
    pub bytes: f64,
    /// `IncomingRecords`: accepted.
    pub records: f64,
    /// `WriteProvisionedThroughputExceeded`: refused records, each as often as it was.
    pub throttled: f64,
}

/// A stream's past, minute by minute. A minute without datapoints had no traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    first: Minute,
    pub(super) minutes: Vec<Passed>,
    known: usize,
}

/// What is known of what producers had to write, and of what the stream did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    /// Accepted records: what was offered at least.
    pub at_least: f64,
    /// Accepted and refused ones: what was offered at most.
    pub at_most: f64,
    /// The same of the busiest minute, in records a second.
    pub busiest_at_least: f64,
    /// See [`Demand::busiest_at_least`].
    pub busiest_at_most: f64,
}

impl History {
    /// From the first minute up to, and not including, `end`. Minutes outside are left out.
    pub fn of(first: Minute, end: Minute, known: &BTreeMap<Minute, Passed>) -> History {
        let minutes: Vec<Passed> =
            first.to(end.plus(-1)).map(|minute| known.get(&minute).copied().unwrap_or_default()).collect();
        let known = known.keys().filter(|minute| (first..end).contains(minute)).count();
        History { first, minutes, known }
    }

    /// Its first minute.
    pub fn first(&self) -> Minute {
        self.first
    }

    /// What each minute had.
    pub fn minutes(&self) -> &[Passed] {
        &self.minutes
    }

    /// Minutes with a datapoint.
    pub fn known(&self) -> usize {
        self.known
    }

    /// Refused records.
    pub fn throttled(&self) -> f64 {
        self.minutes.iter().map(|passed| passed.throttled).sum()
    }

    /// What was offered, as far as it is known.
    pub fn demand(&self) -> Demand {
        let busiest = |of: fn(&Passed) -> f64| self.minutes.iter().map(of).fold(0.0, f64::max) / 60.0;
        let accepted: f64 = self.minutes.iter().map(|passed| passed.records).sum();
        Demand {
            at_least: accepted,
            at_most: accepted + self.throttled(),
            busiest_at_least: busiest(|passed| passed.records),
            busiest_at_most: busiest(|passed| passed.records + passed.throttled),
        }
    }

    /// The fewest shards that can have accepted what was accepted.
    pub fn fewest_shards(&self) -> u32 {
        let needed = self.loads(1).map(|load| load.accepted / load.of_shard() / 60.0).fold(1.0, f64::max);
        // A minute of CloudWatch's may have a second of the next one in it.
        (needed - 1.0 / 60.0).ceil().max(1.0) as u32
    }

    /// Minutes in which more was accepted than so many shards take.
    pub fn beyond(&self, shards: u32) -> usize {
        let is_beyond = |load: &Load| load.accepted > 61.0 * load.of_shard() * f64::from(shards);
        self.loads(shards).filter(is_beyond).count()
    }

    /// What is sent in each minute, if the stream had so many shards.
    pub(super) fn loads(&self, shards: u32) -> impl Iterator<Item = Load> {
        let mut record_bytes = self.sizes().next().unwrap_or(ANY_SIZE);
        self.minutes.iter().map(move |passed| {
            record_bytes = size(passed).unwrap_or(record_bytes);
            Load::of(passed, record_bytes, shards)
        })
    }

    fn sizes(&self) -> impl Iterator<Item = u64> {
        self.minutes.iter().filter_map(size)
    }

    /// The fewest shards that would have refused nothing; at most as many as AWS scales a stream to.
    pub fn shards_without_throttling(&self, before: &Before) -> u32 {
        let full = self.loads(before.shards).map(|load| load.fastest() / load.of_shard()).fold(1.0, f64::max);
        // The cast saturates.
        let least = (full.ceil() as u32).min(MAX_SHARDS);
        let hottest = |shards: u32| f64::from(KEYS.div_ceil(shards)) / f64::from(KEYS);
        (least..MAX_SHARDS).find(|shards| full * hottest(*shards) <= 1.0).unwrap_or(MAX_SHARDS)
    }
}

/// Mean bytes of an accepted record; of none, `None`.
fn size(passed: &Passed) -> Option<u64> {
    let mean = passed.bytes / passed.records;
    // A shard takes no larger one in a second, and the simulation knows no other burst.
    (passed.records > 0.0 && mean.is_finite()).then(|| (mean.round() as u64).clamp(1, WRITE_BYTES_A_SECOND))
}
