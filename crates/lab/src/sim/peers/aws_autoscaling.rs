//! AWS's sample of an autoscaler (aws-samples/kinesis-auto-scaling, `golang/scale.go` and `kinesis_scaling_cf.yaml` at
//! e1e52f8): two metric-math alarms on periods of 5 minutes, and a function that rewrites them.
//!
//! - Up if at least 0.75 is used in 5 of 5 periods (25 minutes): twice the shards.
//! - Down if less than 0.25 is used in 57 of 60 periods (285 of 300 minutes): half of the shards, rounded down, at
//!   least one. The stream has no reader here, so no iterator age prevents this. An alarm for one shard never breaches.
//! - After a change, the function rewrites both alarms for the new number and resets them: they evaluate the same past
//!   again.
//! - After any refusal by AWS, the function resets the alarm. The alarm notifies again in the next minute, without end.
//!
//! Its defects: the alarms contain the number of shards. After a change by another tool or person, they measure a
//! stream that no longer exists. Five quiet hours are enough for one halving after another, a minute apart. It has no
//! bounds.

use super::super::arena::Contender;
use super::super::delivery::DeliveryQuality;
use super::super::world::{By, World};
use super::{Alarm, Fill, Window};

/// Five of five periods of five minutes (`SCALE_UP_EVALUATION_PERIOD`, `SCALE_UP_DATAPOINTS_REQUIRED`).
const UP: Window = Window { period: 5, of: 5, confirm: 5, fill: Fill::Zero };
/// The least used share in these periods (`SCALE_UP_THRESHOLD`).
const UP_FROM: f64 = 0.75;
/// 57 of 60 periods of five minutes (`SCALE_DOWN_EVALUATION_PERIOD`, `SCALE_DOWN_DATAPOINTS_REQUIRED`).
const DOWN: Window = Window { period: 5, of: 60, confirm: 57, fill: Fill::Zero };
/// The used share in these periods is less than this (`SCALE_DOWN_THRESHOLD`).
const DOWN_BELOW: f64 = 0.25;

/// Its calls around a change that AWS accepts: the alarm's tags, two `PutMetricAlarm`, two `SetAlarmState`, one
/// `DescribeAlarms`, two `TagResource`.
const CALLS_OF_A_CHANGE: u64 = 8;
/// Its calls around a change that AWS refuses: the alarm's tags, `SetAlarmState`, a metric of the failure.
const CALLS_OF_A_REFUSAL: u64 = 3;

/// The sample, deployed as its template has it.
#[derive(Debug)]
pub struct AwsAutoscaling {
    /// The number of shards in the formulas of its alarms.
    shards: Option<u32>,
    up: Alarm,
    down: Alarm,
}

impl AwsAutoscaling {
    /// Creates the sample with this delivery of its alarms.
    pub fn new(delivery: DeliveryQuality, seed: u64) -> AwsAutoscaling {
        let up = Alarm::new(UP, |share| share >= UP_FROM, (delivery, seed));
        AwsAutoscaling { shards: None, up, down: Alarm::new(DOWN, |share| share < DOWN_BELOW, (delivery, !seed)) }
    }

    fn scale(&mut self, world: &mut World, up: bool) {
        let open = world.described().open_shards;
        let target = if up { open.saturating_mul(2) } else { (open / 2).max(1) };
        if world.update_shard_count(By::Policy, target).is_ok() {
            self.shards = Some(target);
            self.up.reset();
            self.down.reset();
            world.called(CALLS_OF_A_CHANGE);
        } else {
            if up { &mut self.up } else { &mut self.down }.reset();
            world.called(CALLS_OF_A_REFUSAL);
        }
    }
}

impl Contender for AwsAutoscaling {
    fn pass(&mut self, world: &mut World) {
        let shards = *self.shards.get_or_insert(world.open_shards());
        if self.up.is_newly_raised(world, shards) {
            self.scale(world, true);
        } else if shards > 1 && self.down.is_newly_raised(world, shards) {
            self.scale(world, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::sim::account::Account;
    use crate::sim::world::Setup;

    fn reliable() -> AwsAutoscaling {
        AwsAutoscaling::new(DeliveryQuality::Reliable, 1)
    }

    #[test]
    fn it_doubles_after_25_minutes_at_three_quarters() {
        let mut world = World::new(fixture::setup(4), 1);
        // 70 % of four shards, then 80 %, then more than their capacity: 4,000 records a second are half of eight
        // shards.
        let loads = [vec![2_800.0; 60], vec![3_200.0; 60], vec![9_000.0; 60]].concat();
        let shards = fixture::minutes(&mut world, &mut reliable(), &loads);
        let steps = fixture::steps(&shards);
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 8, 16], "{steps:?}");
        // A period with 70 % in two of its minutes has 76 %. So 23 minutes may be enough, and CloudWatch publishes them
        // late.
        assert!((60 + 23..=60 + 29).contains(&steps[1].0), "{steps:?}");
        assert!((120 + 23..=120 + 29).contains(&steps[2].0), "{steps:?}");
    }

    #[test]
    fn a_quiet_afternoon_halves_the_shards_twice() {
        let mut world = World::new(fixture::setup(8), 1);
        // 40 % of eight shards, then 10 %: 20 % of four, and 40 % of two.
        let loads = [vec![3_200.0; 60], vec![800.0; 600]].concat();
        let shards = fixture::minutes(&mut world, &mut reliable(), &loads);
        let steps = fixture::steps(&shards);
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [8, 4, 2], "{steps:?}");
        assert!((60 + 283..=60 + 289).contains(&steps[1].0), "{steps:?}");
        // For four shards the same 285 minutes are quiet, except those that the first period shares with the time
        // before.
        assert!(steps[2].0 - steps[1].0 <= 5, "{steps:?}");
    }

    #[test]
    fn half_of_an_odd_number_rounds_down_to_at_least_one() {
        let mut world = World::new(fixture::setup(5), 1);
        let shards = fixture::minutes(&mut world, &mut reliable(), &[10.0; 320]);
        assert_eq!(fixture::counts(&shards), [5, 2, 1]);
        assert_eq!(world.score().illegal_calls, 0, "the alarm that is written for one shard is silent");
    }

    #[test]
    fn an_external_change_of_the_shards_makes_its_alarm_blind() {
        let (mut world, mut peer) = (World::new(fixture::setup(4), 1), reliable());
        let up = fixture::minutes(&mut world, &mut peer, &[3_900.0; 32]);
        assert_eq!(up.last(), Some(&8));
        let _ = world.update_shard_count(By::Others, 4).expect("legal");
        let shards = fixture::minutes(&mut world, &mut peer, &[9_000.0; 240]);
        assert_eq!(shards.last(), Some(&4), "full, and half of the eight in its formula");
        assert!(world.last().throttled > 4_000);
    }

    #[test]
    fn it_repeats_a_refused_change_every_minute() {
        let account = Account { shard_limit: 4, ..Account::default() };
        let mut world = World::new(Setup { account, ..fixture::setup(4) }, 1);
        let shards = fixture::minutes(&mut world, &mut reliable(), &[3_900.0; 90]);
        assert_eq!(fixture::counts(&shards), [4]);
        let refused = world.score().refusals["LimitExceededException"];
        assert!((90 - 29..=90 - 25).contains(&refused), "{refused}");
    }
}
