//! The random numbers of a run, all from one seed.
//!
//! Each purpose has its own stream of numbers. So two policies with the same seed meet the same load and the same
//! delivery, even if they act differently.

use crate::rules::HashRange;
use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use std::fmt;

/// The hash keys of a producer.
pub const KEYS: u64 = 0;
/// The ripple on a load.
pub const RIPPLE: u64 = 1;
/// The delay of CloudWatch for a minute of Kinesis' metrics.
pub const PUBLISHED: u64 = 2;
/// The duration of a change at AWS.
pub const CHANGES: u64 = 3;
/// The time at which an on-demand stream splits a busy shard.
pub const GROWTH: u64 = 4;
/// The delay of CloudWatch for the datum of a change.
pub const RECEIPTS: u64 = 5;

/// The delivery of alarms and events.
pub const DELIVERY: u64 = 6;
/// The duration of calls in a fault schedule, and the order of the runs.
pub const CALLS: u64 = 7;
/// The second of the minute at which a load begins, and the load before it.
pub const ONSET: u64 = 8;
/// The time in which producers send records again after a reshard.
pub const RESENDS: u64 = 9;
/// The first fault schedule. Each schedule has a stream of numbers of its own.
pub const FAULTS: u64 = 1 << 32;
/// The settings of the first batch of fault schedules. Each batch has a stream of numbers of its own.
pub const SWARM: u64 = 1 << 40;
/// The further faults of the first schedule of a swarm.
pub const SWARM_FAULTS: u64 = 1 << 41;

/// Random numbers for one purpose.
pub struct Chance {
    numbers: ChaCha8Rng,
}

/// The place in the series. The generator itself shows nothing.
impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chance({})", self.numbers.get_word_pos())
    }
}

/// The same numbers from here on. The generator itself has no copy.
impl Clone for Chance {
    fn clone(&self) -> Chance {
        Chance { numbers: ChaCha8Rng::deserialize_state(&self.numbers.serialize_state()) }
    }
}

impl Chance {
    /// The numbers of `seed` for `purpose`, which is one of the constants above.
    pub fn new(seed: u64, purpose: u64) -> Chance {
        let mut numbers = ChaCha8Rng::seed_from_u64(seed);
        numbers.set_stream(purpose);
        Chance { numbers }
    }

    /// A number from 0 (included) to 1 (excluded).
    pub fn fraction(&mut self) -> f64 {
        // As many bits as an f64 holds exactly.
        (self.numbers.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&mut self, least: i64, most: i64) -> i64 {
        let width = (most - least + 1).max(1);
        least + (self.fraction() * width as f64) as i64
    }

    /// A hash key in `range`.
    pub fn hash_key(&mut self, range: HashRange) -> u128 {
        let number = u128::from(self.numbers.next_u64()) << 64 | u128::from(self.numbers.next_u64());
        match (range.last - range.first).checked_add(1) {
            Some(width) => range.first + number % width,
            None => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(seed: u64, purpose: u64) -> Vec<u64> {
        let mut chance = Chance::new(seed, purpose);
        (0..20).map(|_| chance.fraction().to_bits()).collect()
    }

    #[test]
    fn one_seed_gives_one_series_for_each_purpose() {
        assert_eq!(some(1, RIPPLE), some(1, RIPPLE));
        assert_ne!(some(1, RIPPLE), some(2, RIPPLE));
        assert_ne!(some(1, RIPPLE), some(1, CHANGES));
    }

    #[test]
    fn a_copy_goes_on_with_the_same_numbers() {
        let mut chance = Chance::new(1, RIPPLE);
        let _ = chance.fraction();
        let mut copy = chance.clone();
        assert_eq!(chance.hash_key(HashRange::ALL), copy.hash_key(HashRange::ALL));
        assert_eq!(chance.fraction().to_bits(), copy.fraction().to_bits());
    }

    #[test]
    fn both_ends_are_drawn_and_nothing_beyond() {
        let mut chance = Chance::new(1, CHANGES);
        let drawn: std::collections::BTreeSet<i64> = (0..200).map(|_| chance.between(3, 5)).collect();
        assert_eq!(drawn, [3, 4, 5].into());
        let range = HashRange { first: 10, last: 12 };
        assert!((0..200).all(|_| (10..=12).contains(&chance.hash_key(range))));
    }
}
