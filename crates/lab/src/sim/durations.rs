//! How long AWS takes for a change, in the simulated account.

use super::chance::Chance;

/// The shortest that a reshard takes, in seconds: 2 → 3 was seen to take 14.
const SHORTEST_RESHARD: i64 = 14;

/// What a reshard takes for each shard that it opens on the way, in seconds. One split takes "around 30 seconds" (a comment in
/// amazon-kinesis-scaling-utils) and large streams "a few minutes" (AWS): shards are worked on together, so that a
/// hundred new ones take three minutes and more.
const RESHARD_PER_SHARD: i64 = 2;

/// What chance adds to a reshard, in seconds at most: to the 30 of a single split.
const RESHARD_LONGER: i64 = 16;

/// Seconds that a switch of the capacity mode takes: about four were seen.
const SWITCH: i64 = 4;

/// Switching shard-level metrics shows the stream as UPDATING for "seconds" (seen): taken to be as long as a switch.
const MONITORING: i64 = 4;

/// Seconds that a reshard takes. `opened`: the shards that it opens on its way.
pub(super) fn reshard_seconds(opened: u32, chance: &mut Chance) -> i64 {
    SHORTEST_RESHARD + RESHARD_PER_SHARD * i64::from(opened) + chance.between(0, RESHARD_LONGER)
}

/// Seconds that such a reshard takes at most.
pub(super) fn longest_reshard(opened: u32) -> i64 {
    SHORTEST_RESHARD + RESHARD_PER_SHARD * i64::from(opened) + RESHARD_LONGER
}

/// Seconds that a switch of the capacity mode takes.
pub(super) fn switch_seconds() -> i64 {
    SWITCH
}

/// Seconds that switching shard-level metrics takes.
pub(super) fn monitoring_seconds() -> i64 {
    MONITORING
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::chance::CHANGES;

    #[test]
    fn one_shard_takes_less_than_a_minute_and_a_hundred_a_few() {
        let mut chance = Chance::new(1, CHANGES);
        for _ in 0..100 {
            assert!((14..=32).contains(&reshard_seconds(1, &mut chance)));
            assert!((180..=240).contains(&reshard_seconds(100, &mut chance)));
        }
    }
}
