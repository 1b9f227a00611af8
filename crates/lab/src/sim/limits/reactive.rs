//! Sees what is really offered, as soon as CloudWatch publishes the minute, and then does the most that AWS lets it do.

use super::UniformShards;
use crate::sim::arena::Contender;
use crate::sim::workloads::Workload;
use crate::sim::world::{By, World};
use unthrottle_core::observation::Minute;

/// The share of the refused records that a doubling must take away: one key's load stays, however many shards there are.
const CLEARLY: f64 = 0.1;

/// Doubles the shards as long as the newest published minute was throttled and its busiest second did not fit into those
/// that there are, one reshard right after the other. It knows the new records of each second from the retries, and needs
/// neither a second minute nor a look at what the last change did. It does nothing before a throttle, and takes nothing back.
#[derive(Debug)]
pub struct Reactive {
    shards_model: UniformShards,
    /// New records in the busiest second of the minutes that are over and not yet published; the oldest first.
    busiest: Vec<(Minute, u64)>,
    /// The same of the minute so far.
    so_far: u64,
}

impl Reactive {
    /// Of a stream under this workload.
    pub fn new(workload: &Workload, seed: u64) -> Reactive {
        Reactive { shards_model: UniformShards::of(workload, seed), busiest: vec![], so_far: 0 }
    }

    /// The new records in the busiest second of the newest published minute, if it was throttled.
    fn seen(&mut self, world: &World) -> Option<f64> {
        let (newest, counts) = world.cloudwatch().minutes(world.now()).next()?;
        self.busiest.retain(|(minute, _)| *minute >= newest);
        let (_, records) = self.busiest.first().filter(|(minute, _)| *minute == newest)?;
        (counts.throttled > 0).then_some(*records as f64)
    }

    /// The most shards up to double that AWS opens now, if what they refuse is clearly less than what those that there are do.
    fn target(&mut self, world: &World, records: f64) -> Option<u32> {
        let open = world.open_shards();
        let target =
            (open + 1..=open.saturating_mul(2)).rev().find(|target| world.may_be_resharded(*target).is_ok())?;
        let (now, then) = (self.shards_model.refused(open, records), self.shards_model.refused(target, records));
        (then < now * (1.0 - CLEARLY)).then_some(target)
    }
}

impl Contender for Reactive {
    fn pass(&mut self, world: &mut World) {
        self.so_far = self.so_far.max(world.last().offered);
        if world.now() % 60 == 0 {
            self.busiest.push((Minute::of(world.time()).plus(-1), std::mem::take(&mut self.so_far)));
        }
        if world.is_updating() {
            return;
        }
        if let Some(records) = self.seen(world)
            && let Some(target) = self.target(world, records)
        {
            // It was asked for what AWS allows.
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
    fn it_acts_on_the_first_published_minute_and_then_at_once() {
        let workload = Workload { hours: 2, ..Workload::named("step-3.5").expect("known") };
        let score = run(&workload, Policies::Reactive, 1);
        // The first throttled minute is published one to three minutes after its end, and two doublings follow each other.
        let healed = score.heal_seconds_longest.expect("throttled");
        assert_eq!((score.changes, score.incidents, score.illegal_calls), (2, 1, 0));
        assert!((60 + 60 + 2 * 22..=60 + 180 + 2 * 46 + 30).contains(&healed), "{healed}");
    }

    #[test]
    fn it_opens_no_shards_that_take_nothing_away() {
        let hot = Workload { hours: 2, ..Workload::named("hot-key").expect("known") };
        assert!(run(&hot, Policies::Reactive, 1).changes <= 1);
        let bursts = Workload { hours: 2, ..Workload::named("bursts").expect("known") };
        assert_eq!(run(&bursts, Policies::Reactive, 1).changes, 2, "for a second of six times the load");
    }
}
