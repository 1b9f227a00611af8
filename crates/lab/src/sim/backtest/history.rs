//! A stream's past, and the bounds of the demand in it.

use super::load::Load;
use super::{ANY_SIZE, Before, KEYS};
use crate::rules::{MAX_SHARDS, WRITE_BYTES_A_SECOND, WRITE_RECORDS_A_SECOND};
use std::collections::BTreeMap;
use unthrottle_core::observation::Minute;

/// CloudWatch's data of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Passed {
    /// `IncomingBytes`: bytes of accepted records, keys included.
    pub bytes: f64,
    /// `IncomingRecords`: accepted records.
    pub records: f64,
    /// `WriteProvisionedThroughputExceeded`: refusals. Each refusal of a record counts.
    pub throttled: f64,
}

/// Seconds whose records a minute of CloudWatch can contain: its own, and one of the minute beside it.
const SECONDS_IN_A_MINUTE: f64 = 61.0;

/// Records that the largest stream accepts in a minute.
pub const MAX_RECORDS_A_MINUTE: f64 = SECONDS_IN_A_MINUTE * WRITE_RECORDS_A_SECOND as f64 * MAX_SHARDS as f64;

/// Bytes that the largest stream accepts in a minute.
pub const MAX_BYTES_A_MINUTE: f64 = SECONDS_IN_A_MINUTE * WRITE_BYTES_A_SECOND as f64 * MAX_SHARDS as f64;

/// Refusals that AWS can count in a minute, as this simulation takes it. AWS states no limit. Each record counts once
/// for each try, and a producer that tries each record once a second tries it 30 times in the Kinesis Producer
/// Library's 30 s. A larger number would let sums of a year overflow.
pub const MAX_THROTTLED_A_MINUTE: f64 = 30.0 * MAX_RECORDS_A_MINUTE;

impl Passed {
    /// The first of its numbers that no stream of AWS can have in a minute, by its metric, and the most that it can
    /// have.
    pub fn impossible(&self) -> Option<(&'static str, f64)> {
        let bounds = [
            ("IncomingBytes", self.bytes, MAX_BYTES_A_MINUTE),
            ("IncomingRecords", self.records, MAX_RECORDS_A_MINUTE),
            ("WriteProvisionedThroughputExceeded", self.throttled, MAX_THROTTLED_A_MINUTE),
        ];
        let beyond = bounds.into_iter().find(|(_, number, most)| !(0.0..=*most).contains(number));
        beyond.map(|(metric, _, most)| (metric, most))
    }
}

/// A stream's past, minute by minute. A minute without datapoints had no traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    first: Minute,
    pub(super) minutes: Vec<Passed>,
    known: usize,
    /// The changes of the stream's shards in the past, oldest first: the number from each minute on.
    changes: Vec<(Minute, u32)>,
}

/// The bounds of the records that producers had to write.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    /// Accepted records: the lower bound.
    pub at_least: f64,
    /// Accepted and refused records: the upper bound.
    pub at_most: f64,
    /// The lower bound of the busiest minute, in records a second.
    pub busiest_at_least: f64,
    /// The upper bound of the busiest minute, in records a second.
    pub busiest_at_most: f64,
}

impl History {
    /// The minutes from `first` up to, and not including, `end`. Ignores other minutes.
    pub fn of(first: Minute, end: Minute, known: &BTreeMap<Minute, Passed>) -> History {
        let minutes: Vec<Passed> =
            first.to(end.plus(-1)).map(|minute| known.get(&minute).copied().unwrap_or_default()).collect();
        let known = known.keys().filter(|minute| (first..end).contains(minute)).count();
        History { first, minutes, known, changes: vec![] }
    }

    /// The same with changes of the stream's shards: the number of shards from each minute on, oldest first.
    #[must_use]
    pub fn with_changes(self, changes: Vec<(Minute, u32)>) -> History {
        History { changes, ..self }
    }

    /// The shards that the stream had in a minute, by its number. `before`: those before the first change.
    pub(super) fn shards_in(&self, number: usize, before: u32) -> u32 {
        let minute = self.first.plus(number as i64);
        let begun = self.changes.iter().take_while(|(since, _)| *since <= minute);
        begun.last().map_or(before, |(_, shards)| *shards)
    }

    /// The first minute.
    pub fn first(&self) -> Minute {
        self.first
    }

    /// The data of each minute.
    pub fn minutes(&self) -> &[Passed] {
        &self.minutes
    }

    /// Minutes with a datapoint.
    pub fn known(&self) -> usize {
        self.known
    }

    /// Refusals.
    pub fn throttled(&self) -> f64 {
        self.minutes.iter().map(|passed| passed.throttled).sum()
    }

    /// The bounds of the offered load.
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

    /// The fewest shards that can have accepted the accepted records, up to the most shards of a stream at AWS.
    pub fn fewest_shards(&self) -> u32 {
        let needed = self.loads(1).map(|load| load.accepted / load.of_shard() / 60.0).fold(1.0, f64::max);
        // A minute of CloudWatch may contain a second of the next minute.
        ((needed - 1.0 / 60.0).ceil().max(1.0) as u32).min(MAX_SHARDS)
    }

    /// Minutes with more accepted records than this number of shards can accept.
    pub fn beyond(&self, shards: u32) -> usize {
        let is_beyond = |(number, load): &(usize, Load)| {
            let shards = self.shards_in(*number, shards);
            load.accepted > SECONDS_IN_A_MINUTE * load.of_shard() * f64::from(shards)
        };
        self.loads(shards).enumerate().filter(is_beyond).count()
    }

    /// The load of each minute, for a stream that had this number of shards before its first change.
    pub(super) fn loads(&self, shards: u32) -> impl Iterator<Item = Load> {
        let mut record_bytes = self.sizes().next().unwrap_or(ANY_SIZE);
        self.minutes.iter().enumerate().map(move |(number, passed)| {
            record_bytes = size(passed).unwrap_or(record_bytes);
            Load::of(passed, record_bytes, self.shards_in(number, shards))
        })
    }

    fn sizes(&self) -> impl Iterator<Item = u64> {
        self.minutes.iter().filter_map(size)
    }

    /// The fewest shards that would have refused nothing, up to the most shards of a stream at AWS.
    pub fn shards_without_throttling(&self, before: &Before) -> u32 {
        let full = self.loads(before.shards).map(|load| load.fastest() / load.of_shard()).fold(1.0, f64::max);
        // `as` saturates.
        let least = (full.ceil() as u32).min(MAX_SHARDS);
        let hottest = |shards: u32| f64::from(KEYS.div_ceil(shards)) / f64::from(KEYS);
        (least..MAX_SHARDS).find(|shards| full * hottest(*shards) <= 1.0).unwrap_or(MAX_SHARDS)
    }
}

/// Mean bytes of an accepted record; `None`: there is none.
fn size(passed: &Passed) -> Option<u64> {
    let mean = passed.bytes / passed.records;
    // A shard accepts no larger record in a second, and the simulation has no larger burst.
    (passed.records > 0.0 && mean.is_finite()).then(|| (mean.round() as u64).clamp(1, WRITE_BYTES_A_SECOND))
}
