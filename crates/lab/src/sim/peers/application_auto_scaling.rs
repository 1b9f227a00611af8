//! AWS's sample of a custom resource of Application Auto Scaling (aws-samples/aws-application-auto-scaling-kinesis,
//! `index.py` and `cloudformation/custom-application-autoscaling-kinesis.yaml`, 2020-04): two alarms on accepted
//! records, two step-scaling policies, and a function that sets the shards and rewrites the alarms.
//!
//! - Out: one more shard if a minute has more than 80 % of the records of the shards' capacity; up to eight shards.
//! - In: one shard less if each of three periods of 5 minutes has fewer records than the same threshold; down to one
//!   shard.
//! - Until the first change the thresholds are 1,000 and 700 records, as published, for any number of shards.
//! - After a change, 600 s pass before the next change in the same direction. Application Auto Scaling acts again and
//!   again on an alarm that stays in ALARM (its user guide, "How step scaling works"). So a refused change is tried
//!   every minute.
//!
//! Its defects: it ignores bytes. 1.7 % of a single shard makes it grow once. It compares the threshold of 60 s with
//! the records of 300 s, so that it scales in below 16 %. Its thresholds are those of its own last change, even after
//! external changes.

use super::super::arena::Contender;
use super::super::world::{By, World};
use super::{EVALUATED_EVERY, Fill, Window};
use crate::rules::WRITE_RECORDS_A_SECOND;

/// A minute with more records than the threshold.
const OUT: Window = Window { period: 1, of: 1, confirm: 1, fill: Fill::Nothing };
/// The threshold before the first change, in records of a minute.
const OUT_FROM: u64 = 1_000;
/// Three periods of five minutes with fewer records than the threshold.
const IN: Window = Window { period: 5, of: 3, confirm: 3, fill: Fill::Nothing };
/// The threshold before the first change, in records of five minutes.
const IN_BELOW: u64 = 700;
/// Seconds from the end of a change to the next change in the same direction (`Cooldown`).
const COOLDOWN: i64 = 600;
/// `MaxCapacity`.
const MOST_SHARDS: u32 = 8;

/// Its calls for a change, without the change itself: it describes the stream, and reads and writes its parameter.
const CALLS_OF_A_TRY: u64 = 3;
/// Its calls after a change that AWS accepts: it rewrites two alarms.
const CALLS_OF_A_REWRITE: u64 = 2;

/// The sample, deployed as its template has it.
#[derive(Debug, Default)]
pub struct ApplicationAutoScaling {
    /// The number of shards in the formulas of its alarms. `None`: the alarms as they were deployed.
    shards: Option<u32>,
    /// The direction of the change under way: `true` is out.
    waits_for: Option<bool>,
    /// The end of the last change in and of the last change out, in seconds of the run.
    done_at: [Option<i64>; 2],
}

impl ApplicationAutoScaling {
    /// 80 % of the records that its shards accept in a minute. Before the first change: the deployed threshold.
    fn threshold(&self, deployed: u64) -> u64 {
        self.shards.map_or(deployed, |shards| u64::from(shards) * WRITE_RECORDS_A_SECOND * 60 * 80 / 100)
    }

    /// The direction of an alarm that is in ALARM.
    fn alarm(&self, world: &World) -> Option<bool> {
        let (cloudwatch, now) = (world.cloudwatch(), world.now());
        if OUT.is_breached(cloudwatch, now, |records| records > self.threshold(OUT_FROM)) {
            return Some(true);
        }
        IN.is_breached(cloudwatch, now, |records| records < self.threshold(IN_BELOW)).then_some(false)
    }

    fn scale(&mut self, world: &mut World, out: bool) {
        // Application Auto Scaling reads the capacity in any case.
        let open = world.described().open_shards;
        let target = if out { open.saturating_add(1) } else { open.saturating_sub(1) };
        if target < 1 || out && target > MOST_SHARDS {
            return;
        }
        world.called(CALLS_OF_A_TRY);
        if world.update_shard_count(By::Policy, target).is_ok() {
            world.called(CALLS_OF_A_REWRITE);
            (self.shards, self.waits_for) = (Some(target), Some(out));
        }
    }
}

impl Contender for ApplicationAutoScaling {
    fn pass(&mut self, world: &mut World) {
        let now = world.now();
        if !world.is_updating()
            && let Some(out) = self.waits_for.take()
        {
            self.done_at[usize::from(out)] = Some(now);
        }
        if now % EVALUATED_EVERY != 0 || self.waits_for.is_some() {
            return;
        }
        let Some(out) = self.alarm(world) else { return };
        if self.done_at[usize::from(out)].is_none_or(|at| now - at >= COOLDOWN) {
            self.scale(world, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::sim::account::Account;
    use crate::sim::world::Setup;

    #[test]
    fn it_scales_out_once_without_need_and_in_below_16_per_cent() {
        let mut world = World::new(fixture::setup(4), 1);
        // 700 records a second are 42,000 a minute: more than 1,000. In five minutes they are 210,000. That is less
        // than 80 % of the capacity of five shards in a minute, 240,000, and more than that of four shards, 192,000.
        let shards = fixture::minutes(&mut world, &mut ApplicationAutoScaling::default(), &[700.0; 240]);
        let steps = fixture::steps(&shards);
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 5, 4], "{steps:?}");
        assert!((1..=5).contains(&steps[1].0), "{steps:?}");
        assert!((15..=19).contains(&steps[2].0), "{steps:?}");
    }

    #[test]
    fn it_adds_a_shard_every_ten_minutes_up_to_eight() {
        let mut world = World::new(fixture::setup(4), 1);
        let shards = fixture::minutes(&mut world, &mut ApplicationAutoScaling::default(), &[20_000.0; 120]);
        let steps = fixture::steps(&shards);
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 5, 6, 7, 8], "{steps:?}");
        for pair in steps[1..].windows(2) {
            assert!((10..=13).contains(&(pair[1].0 - pair[0].0)), "{steps:?}");
        }
        assert_eq!(world.score().illegal_calls, 0);
    }

    #[test]
    fn it_ignores_bytes() {
        let mut world = World::new(Setup { record_bytes: 2_048, ..fixture::setup(4) }, 1);
        // Five shards take 2,560 records of 2 KiB a second: 64 % of their records.
        let shards = fixture::minutes(&mut world, &mut ApplicationAutoScaling::default(), &[4_000.0; 120]);
        assert_eq!(fixture::counts(&shards), [4, 5]);
        assert!(world.last().throttled.abs_diff(4_000 - 2_560) < 20, "{:?}", world.last());
    }

    #[test]
    fn it_repeats_a_refused_change_every_minute() {
        let account = Account { shard_limit: 4, ..Account::default() };
        let mut world = World::new(Setup { account, ..fixture::setup(4) }, 1);
        fixture::minutes(&mut world, &mut ApplicationAutoScaling::default(), &[3_900.0; 60]);
        let refused = world.score().refusals["LimitExceededException"];
        assert!((60 - 4..=60 - 1).contains(&refused), "{refused}");
    }
}
