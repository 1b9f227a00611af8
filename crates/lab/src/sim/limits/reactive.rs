//! Knows the offered load as soon as CloudWatch publishes its minute, and then makes the largest change that AWS
//! allows.

use super::UniformShards;
use crate::sim::arena::Contender;
use crate::sim::shard::OpenShard;
use crate::sim::workloads::Workload;
use crate::sim::world::{By, World};
use unthrottle_core::observation::Minute;

/// The share of refused records that a doubling must remove. The load of one hot key stays with any number of shards.
/// With a smaller share, the limit would double for noise; with a larger one, it would ignore uneven keys.
const CLEARLY: f64 = 0.1;

/// Doubles the shards while the newest published minute was throttled and its busiest second did not fit in the open
/// shards, one reshard right after the other.
///
/// It tells new records from retries and resends, second by second. So it needs no second minute and no check of its
/// last change. It does nothing before a throttle, and restores nothing.
#[derive(Debug)]
pub struct Reactive {
    shards_model: UniformShards,
    /// New records in the busiest second of each minute that is over and not yet published; the oldest first.
    busiest: Vec<(Minute, f64)>,
    /// The same number for the current minute.
    so_far: f64,
}

impl Reactive {
    /// A policy for a stream under this workload.
    pub fn new(workload: &Workload, seed: u64) -> Reactive {
        Reactive { shards_model: UniformShards::of(workload, seed), busiest: vec![], so_far: 0.0 }
    }

    /// The new records in the busiest second of the newest published minute, if it was throttled.
    fn seen(&mut self, world: &World) -> Option<f64> {
        let (newest, counts) = world.cloudwatch().minutes(world.now()).next()?;
        self.busiest.retain(|(minute, _)| *minute >= newest);
        let (_, records) = self.busiest.first().filter(|(minute, _)| *minute == newest)?;
        (counts.throttled > 0).then_some(*records)
    }

    /// The largest number of shards, up to double, that AWS opens now. `None`: it refuses hardly fewer records than the
    /// open shards.
    fn target(&mut self, world: &World, records: f64) -> Option<u32> {
        let open = world.open_shards();
        let target =
            (open + 1..=open.saturating_mul(2)).rev().find(|target| world.may_be_resharded(*target).is_ok())?;
        // The open shards may be of unequal width.
        let over = |shard: &OpenShard| (shard.share * records - self.shards_model.of_a_shard).max(0.0);
        let now: f64 = world.shards().iter().map(over).sum();
        let then = self.shards_model.refused(target, records);
        (then < now * (1.0 - CLEARLY)).then_some(target)
    }
}

impl Contender for Reactive {
    fn pass(&mut self, world: &mut World) {
        self.so_far = self.so_far.max(world.new_records());
        if world.now() % 60 == 0 {
            self.busiest.push((Minute::of(world.time()).plus(-1), std::mem::take(&mut self.so_far)));
        }
        if world.is_updating() {
            return;
        }
        if let Some(records) = self.seen(world)
            && let Some(target) = self.target(world, records)
        {
            // `may_be_resharded` has found a target that AWS allows.
            let _ = world.update_shard_count(By::Policy, target);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sim::Policies;
    use crate::sim::arena::run;
    use crate::sim::workloads::Workload;

    #[test]
    fn the_limit_acts_on_the_first_published_minute_and_then_at_once() {
        let workload = Workload { hours: 2, ..Workload::named("step-3.5").expect("known") };
        let score = run(&workload, Policies::Reactive, 1);
        // CloudWatch publishes the first throttled minute one to three minutes after its end. Then two doublings follow
        // each other.
        let healed = score.heal_seconds_longest.expect("throttled");
        assert_eq!((score.changes, score.incidents, score.illegal_calls), (2, 1, 0));
        assert!((60 + 60 + 2 * 22..=60 + 180 + 2 * 46 + 30).contains(&healed), "{healed}");
    }

    #[test]
    fn the_limit_opens_no_shards_that_remove_no_refusals() {
        let hot = Workload { hours: 2, ..Workload::named("hot-key").expect("known") };
        assert!(run(&hot, Policies::Reactive, 1).changes <= 1);
        let bursts = Workload { hours: 2, ..Workload::named("bursts").expect("known") };
        assert_eq!(run(&bursts, Policies::Reactive, 1).changes, 2, "for a second of six times the load");
    }
}
