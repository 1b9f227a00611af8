//! On-demand mode: the stream is in on-demand mode from the beginning, and only AWS scales it.
//!
//! - It accepts at least 4 MB/s (AWS's page on quotas), and at least the capacity of its shards so far.
//! - AWS splits a shard with more than 500 KB/s within 15 minutes, so that the stream accepts twice its peak (AWS's
//!   page on capacity modes). The splits are in [`world`](super::super::world).
//!
//! There are no merges: AWS documents no figure for the merges of an idle stream. AWS also promises twice the peak of
//! 30 days, which is longer than any run.
//!
//! Its documented defects: AWS refuses more than twice the peak until shards are split, and a single hot key always.

use super::super::arena::Contender;
use super::super::world::{Setup, World};
use unthrottle_core::observation::CapacityMode;

/// "4 MB/s" of a new on-demand stream, in shards of 1 MiB/s: new streams have four shards.
const FEWEST_SHARDS: u32 = 4;

/// An on-demand stream.
#[derive(Debug)]
pub struct OnDemand;

impl OnDemand {
    /// The same stream in on-demand mode.
    pub fn setup(setup: Setup) -> Setup {
        Setup { mode: CapacityMode::OnDemand, shards: setup.shards.max(FEWEST_SHARDS), ..setup }
    }
}

impl Contender for OnDemand {
    fn pass(&mut self, _: &mut World) {}
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::sim::keys::Keys;

    fn world(setup: Setup) -> World {
        World::new(OnDemand::setup(setup), 1)
    }

    #[test]
    fn it_begins_with_at_least_four_shards() {
        assert_eq!([1, 4, 9].map(|shards| world(fixture::setup(shards)).open_shards()), [4, 4, 9]);
    }

    #[test]
    fn it_takes_twice_its_peak_and_more_than_that_a_quarter_of_an_hour_later() {
        let mut world = world(fixture::setup(4));
        let quiet = fixture::minutes(&mut world, &mut OnDemand, &[1_900.0; 60]);
        assert_eq!(quiet.last(), Some(&4), "475 records a second in each shard");
        fixture::minutes(&mut world, &mut OnDemand, &[3_900.0; 1]);
        assert_eq!(world.score().throttled, 0, "twice as much fits at once");
        fixture::minutes(&mut world, &mut OnDemand, &[5_900.0; 1]);
        assert!(world.score().throttled > 60 * 1_500, "three times as much does not");
        let shards = fixture::minutes(&mut world, &mut OnDemand, &[5_900.0; 60]);
        assert!(shards[..3].iter().all(|count| *count == 4), "{shards:?}");
        assert!(shards[16] >= 8, "each of the four is split within 15 minutes: {shards:?}");
        // In 12 shards, each has 492 records a second. More splits give up to 16 shards.
        assert!((12..=16).contains(&shards[59]), "{shards:?}");
        assert_eq!(world.last().throttled, 0);
        let score = world.score();
        assert_eq!((score.changes, score.calls), (0, 0), "no call");
    }

    #[test]
    fn it_does_not_cure_a_hot_key_and_merges_nothing() {
        let mut world = world(Setup { keys: Keys::with_a_hot_one(0.5, 20_000), ..fixture::setup(4) });
        let shards = fixture::minutes(&mut world, &mut OnDemand, &[3_000.0; 120]);
        assert!(shards.last() > Some(&4), "it splits the shard that the key is in: {shards:?}");
        assert!(world.last().throttled.abs_diff(500) < 20, "and the key has 1,500 a second as before");
        let quiet = fixture::minutes(&mut world, &mut OnDemand, &[100.0; 120]);
        assert_eq!(quiet.last(), shards.last());
    }
}
