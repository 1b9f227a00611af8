//! The durations of AWS's changes in the simulated account.

use super::chance::Chance;
use crate::rules::{HashRange, opened_by};

/// The shortest reshard, in seconds: a reshard 2 → 3 took 14 s.
const SHORTEST_RESHARD: i64 = 14;

/// Seconds that a reshard takes for each shard that it opens. One split takes "around 30 seconds" (a comment in
/// amazon-kinesis-scaling-utils), and large streams take "a few minutes" (AWS). AWS opens shards in parallel, so that a
/// hundred new shards take three minutes and more.
const RESHARD_PER_SHARD: i64 = 2;

/// The most seconds that chance adds to a reshard: up to the 30 s of a single split.
const RESHARD_LONGER: i64 = 16;

/// Seconds of a switch of the capacity mode: about four were seen.
const SWITCH: i64 = 4;

/// Seconds in which the stream is UPDATING after a switch of shard-level metrics. "Seconds" were seen, so this number
/// is that of a mode switch.
const MONITORING: i64 = 4;

/// Seconds of a reshard that opens `opened` shards on its way.
pub(super) fn reshard_seconds(opened: u32, chance: &mut Chance) -> i64 {
    SHORTEST_RESHARD + RESHARD_PER_SHARD * i64::from(opened) + chance.between(0, RESHARD_LONGER)
}

/// The most seconds of such a reshard.
pub(super) fn longest_reshard(opened: u32) -> i64 {
    SHORTEST_RESHARD + RESHARD_PER_SHARD * i64::from(opened) + RESHARD_LONGER
}

/// Seconds of a reshard of a stream with even shards, at least and at most.
pub fn expected_reshard(from: u32, to: u32) -> (i64, i64) {
    let opened = opened_by(&HashRange::uniform(from), to);
    (longest_reshard(opened) - RESHARD_LONGER, longest_reshard(opened))
}

/// Seconds of a switch of the capacity mode.
pub(super) fn switch_seconds() -> i64 {
    SWITCH
}

/// Seconds of a switch of shard-level metrics.
pub(super) fn monitoring_seconds() -> i64 {
    MONITORING
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::chance::CHANGES;

    #[test]
    fn one_new_shard_takes_under_a_minute_and_a_hundred_take_minutes() {
        let mut chance = Chance::new(1, CHANGES);
        for _ in 0..100 {
            assert!((14..=32).contains(&reshard_seconds(1, &mut chance)));
            assert!((180..=240).contains(&reshard_seconds(100, &mut chance)));
        }
    }
}
