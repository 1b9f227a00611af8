//! Epsagon's autoscaler (epsagon/kinesis-autoscaler, `kinesis_autoscaler/*.py` and `examples/stream_subscription.yml` at
//! a866ff4): two metric-math alarms on periods of 5 minutes, and a function that rewrites them.
//!
//! - Up if at least 0.75 is used in one period: ×2 up to 3 shards, ×1.5 up to 50, else ×1.25, rounded up.
//! - Down if at most 0.25 is in 288 of 288 (24 hours): to where the busiest period of them uses half, and not below half of
//!   the shards, rounded up. Never at one shard.
//! - If the stream has not the shards that the alarm is written for, it only rewrites the alarms.
//! - After a change both are rewritten for the new number and reset: they look at the same past again.
//! - What AWS refuses is tried twice more, after 1 and 2 more minutes, as Lambda does with a function that fails.
//!
//! Its defects: no cooldown, and it does not ask whether the stream is UPDATING, so that it falls over its own change where
//! the step is small; an alarm whose change was refused three times stays in ALARM and tells no more. No bounds.

use super::super::arena::Contender;
use super::super::world::{By, World};
use super::{Alarm, Fill, LAMBDA_RETRIES, Window, used};

/// One period of five minutes.
const UP: Window = Window { period: 5, of: 1, confirm: 1, fill: Fill::Zero };
/// At least so much of the stream in it.
const UP_FROM: f64 = 0.75;
/// A day of them.
const DOWN: Window = Window { period: 5, of: 288, confirm: 288, fill: Fill::Zero };
/// At most so much in each of them.
const DOWN_TO: f64 = 0.25;

/// Its calls to rewrite the alarms: one `DescribeAlarms`, two `PutMetricAlarm`, two `SetAlarmState`.
const CALLS_OF_A_REWRITE: u64 = 5;

/// What an alarm has told.
#[derive(Clone, Copy, Debug)]
struct Notification {
    up: bool,
    /// The shards in its formula.
    shards: u32,
    /// How often the function has failed at it.
    failures: usize,
    /// When the function looks at it, in seconds of the run.
    at: i64,
}

/// Epsagon's autoscaler.
#[derive(Debug)]
pub struct Epsagon {
    /// The number of shards that its alarms are written for.
    shards: Option<u32>,
    up: Alarm,
    down: Alarm,
    notifications: Vec<Notification>,
}

impl Default for Epsagon {
    fn default() -> Epsagon {
        let (up, down) = (Alarm::new(UP, |share| share >= UP_FROM), Alarm::new(DOWN, |share| share <= DOWN_TO));
        Epsagon { shards: None, up, down, notifications: vec![] }
    }
}

impl Epsagon {
    /// The shards that it goes up to from so many.
    fn above(shards: u32) -> u32 {
        let factor = match shards {
            ..=3 => 2.0,
            4..=50 => 1.5,
            _ => 1.25,
        };
        (f64::from(shards) * factor).ceil() as u32
    }

    /// The shards that it goes down to from so many, of which the busiest period of the day uses this share.
    fn below(shards: u32, busiest: f64) -> u32 {
        shards.div_ceil(2).max((2.0 * f64::from(shards) * busiest).ceil() as u32)
    }

    fn target(world: &mut World, open: u32, up: bool) -> u32 {
        if up {
            return Epsagon::above(open);
        }
        world.called(1);
        let cloudwatch = world.cloudwatch();
        let busiest = DOWN.sums(cloudwatch, world.now()).flatten().max().unwrap_or_default();
        Epsagon::below(open, used(cloudwatch, busiest, DOWN.period, open))
    }

    /// The function, called with what an alarm has told.
    fn run(&mut self, world: &mut World, notification: Notification) {
        let open = world.described().open_shards;
        if open != notification.shards {
            return self.rewrite(world, open);
        }
        let target = Epsagon::target(world, open, notification.up);
        if target == open {
            return;
        }
        if world.update_shard_count(By::Policy, target).is_ok() {
            self.rewrite(world, target);
        } else if let Some(delay) = LAMBDA_RETRIES.get(notification.failures) {
            self.notifications.push(Notification {
                failures: notification.failures + 1,
                at: notification.at + delay,
                ..notification
            });
        }
    }

    fn rewrite(&mut self, world: &mut World, shards: u32) {
        self.shards = Some(shards);
        self.up.reset();
        self.down.reset();
        world.called(CALLS_OF_A_REWRITE);
    }
}

impl Contender for Epsagon {
    fn pass(&mut self, world: &mut World) {
        let (now, shards) = (world.now(), *self.shards.get_or_insert(world.open_shards()));
        let notification = |up| Notification { up, shards, failures: 0, at: now };
        if self.up.is_newly_raised(world, shards) {
            self.notifications.push(notification(true));
        }
        // Its actions are switched off for one shard: it tells, and nobody hears it.
        if self.down.is_newly_raised(world, shards) && shards > 1 {
            self.notifications.push(notification(false));
        }
        let pending: Vec<Notification> =
            self.notifications.extract_if(.., |notification| notification.at <= now).collect();
        for notification in pending {
            self.run(world, notification);
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
    fn its_steps_up_grow_smaller_and_those_down_go_by_use() {
        let up = [1, 3, 4, 5, 50, 51, 100].map(Epsagon::above);
        assert_eq!(up, [2, 6, 6, 8, 75, 64, 125]);
        // Half of 20 is the least; 0.2 of them are 4, which are half of 8; 0.3 would be half of 12.
        assert_eq!([0.2, 0.3].map(|busiest| Epsagon::below(20, busiest)), [10, 12]);
        assert_eq!([2, 3, 5].map(|shards| Epsagon::below(shards, 0.0)), [1, 2, 3], "half, rounded up");
    }

    #[test]
    fn it_goes_up_after_five_minutes_at_three_quarters() {
        let mut world = World::new(fixture::setup(4), 1);
        // 70 % of four shards, then 80 %, which are 53 % of six.
        let loads = [vec![2_800.0; 30], vec![3_200.0; 60]].concat();
        let shards = fixture::minutes(&mut world, &mut Epsagon::default(), &loads);
        let steps = fixture::steps(&shards);
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 6], "{steps:?}");
        // A period of which two minutes have 70 % has 76 %.
        assert!((30 + 3..=30 + 9).contains(&steps[1].0), "{steps:?}");
    }

    #[test]
    fn it_goes_down_after_a_calm_day_and_that_day_counts_twice() {
        let mut world = World::new(fixture::setup(8), 1);
        // A tenth of eight is a fifth of four and 40 % of two.
        let shards = fixture::minutes(&mut world, &mut Epsagon::default(), &[800.0; 25 * 60]);
        let steps = fixture::steps(&shards);
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [8, 4, 2], "{steps:?}");
        assert!((24 * 60..=24 * 60 + 4).contains(&steps[1].0), "{steps:?}");
        assert!(steps[2].0 - steps[1].0 <= 4, "{steps:?}");
    }

    #[test]
    fn what_aws_refuses_three_times_it_never_tries_again() {
        let account = Account { shard_limit: 4, ..Account::default() };
        let mut world = World::new(Setup { account, ..fixture::setup(4) }, 1);
        let shards = fixture::minutes(&mut world, &mut Epsagon::default(), &[3_900.0; 240]);
        assert_eq!(fixture::counts(&shards), [4]);
        assert_eq!(world.score().refusals["LimitExceededException"], 3);
    }

    #[test]
    fn it_falls_over_its_own_change_where_the_step_is_small() {
        let mut world = World::new(fixture::setup(52), 1);
        // 98 % of 52 shards are 78 % of 65, so that the alarm tells again while they are opened, which takes two minutes.
        let shards = fixture::minutes(&mut world, &mut Epsagon::default(), &[51_000.0; 40]);
        assert_eq!(fixture::counts(&shards), [52, 65, 82]);
        assert!(world.score().refusals["ResourceInUseException"] >= 1);
    }
}
