//! Epsagon's autoscaler (epsagon/kinesis-autoscaler, `kinesis_autoscaler/*.py` and `examples/stream_subscription.yml`
//! at a866ff4): two metric-math alarms on periods of 5 minutes, and a function that rewrites them.
//!
//! - Up if at least 0.75 is used in one period: ×2 up to 3 shards, ×1.5 up to 50, else ×1.25, rounded up.
//! - Down if at most 0.25 is used in 288 of 288 periods (24 hours). The target is twice the shards that the busiest
//!   period uses, at least half of the shards, rounded up. One shard stays.
//! - If the stream does not have the number of shards in the alarm's formula, the function only rewrites the alarms.
//! - After a change, the function rewrites both alarms for the new number and resets them: they evaluate the same past
//!   again.
//! - Lambda retries a failed function, so a refused change is tried twice more, after 1 and 2 more minutes.
//!
//! Its defects: it has no cooldown, and does not check whether the stream is UPDATING. With small steps it collides
//! with its own change. An alarm stays in ALARM after three refusals, and notifies no more. It has no bounds.

use super::super::arena::Contender;
use super::super::delivery::DeliveryQuality;
use super::super::world::{By, World};
use super::{Alarm, Fill, LAMBDA_RETRIES, Window, used};

/// One period of five minutes.
const UP: Window = Window { period: 5, of: 1, confirm: 1, fill: Fill::Zero };
/// The least used share in this period.
const UP_FROM: f64 = 0.75;
/// A day of such periods.
const DOWN: Window = Window { period: 5, of: 288, confirm: 288, fill: Fill::Zero };
/// The most used share in each of these periods.
const DOWN_TO: f64 = 0.25;

/// Its calls to rewrite the alarms: one `DescribeAlarms`, two `PutMetricAlarm`, two `SetAlarmState`.
const CALLS_OF_A_REWRITE: u64 = 5;

/// A notification of an alarm.
#[derive(Clone, Copy, Debug)]
struct Notification {
    up: bool,
    /// The number of shards in the alarm's formula.
    shards: u32,
    /// The number of failures of the function.
    failures: usize,
    /// The second at which the function runs.
    at: i64,
}

/// Epsagon's autoscaler.
#[derive(Debug)]
pub struct Epsagon {
    /// The number of shards in the formulas of its alarms.
    shards: Option<u32>,
    up: Alarm,
    down: Alarm,
    notifications: Vec<Notification>,
}

impl Epsagon {
    /// Creates the autoscaler with this delivery of its alarms.
    pub fn new(delivery: DeliveryQuality, seed: u64) -> Epsagon {
        let up = Alarm::new(UP, |share| share >= UP_FROM, (delivery, seed));
        let down = Alarm::new(DOWN, |share| share <= DOWN_TO, (delivery, !seed));
        Epsagon { shards: None, up, down, notifications: vec![] }
    }

    /// The shards after a step up.
    fn above(shards: u32) -> u32 {
        let factor = match shards {
            ..=3 => 2.0,
            4..=50 => 1.5,
            _ => 1.25,
        };
        (f64::from(shards) * factor).ceil() as u32
    }

    /// The shards after a step down. `busiest`: the used share in the busiest period of the day.
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

    /// Runs the function for a notification.
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
        // For one shard its actions are disabled: the alarm's notification has no effect.
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
    fn its_steps_up_grow_smaller_and_its_steps_down_follow_the_used_share() {
        let up = [1, 3, 4, 5, 50, 51, 100].map(Epsagon::above);
        assert_eq!(up, [2, 6, 6, 8, 75, 64, 125]);
        // At least half of 20 shards stay. A busiest share of 0.2 uses 4 shards, which needs 8; 0.3 uses 6, which needs
        // 12.
        assert_eq!([0.2, 0.3].map(|busiest| Epsagon::below(20, busiest)), [10, 12]);
        assert_eq!([2, 3, 5].map(|shards| Epsagon::below(shards, 0.0)), [1, 2, 3], "half, rounded up");
    }

    #[test]
    fn it_scales_up_after_five_minutes_at_75_per_cent() {
        let mut world = World::new(fixture::setup(4), 1);
        // 70 % of four shards, then 80 %, which are 53 % of six shards.
        let loads = [vec![2_800.0; 30], vec![3_200.0; 60]].concat();
        let shards = fixture::minutes(&mut world, &mut Epsagon::new(DeliveryQuality::Reliable, 1), &loads);
        let steps = fixture::steps(&shards);
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 6], "{steps:?}");
        // A period with 70 % in two of its minutes has 76 %.
        assert!((30 + 3..=30 + 9).contains(&steps[1].0), "{steps:?}");
    }

    #[test]
    fn it_scales_down_after_a_quiet_day_and_this_day_counts_twice() {
        let mut world = World::new(fixture::setup(8), 1);
        // A tenth of eight shards is a fifth of four and 40 % of two.
        let shards = fixture::minutes(&mut world, &mut Epsagon::new(DeliveryQuality::Reliable, 1), &[800.0; 25 * 60]);
        let steps = fixture::steps(&shards);
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [8, 4, 2], "{steps:?}");
        assert!((24 * 60..=24 * 60 + 4).contains(&steps[1].0), "{steps:?}");
        assert!(steps[2].0 - steps[1].0 <= 4, "{steps:?}");
    }

    #[test]
    fn after_three_refusals_it_never_tries_again() {
        let account = Account { shard_limit: 4, ..Account::default() };
        let mut world = World::new(Setup { account, ..fixture::setup(4) }, 1);
        let shards = fixture::minutes(&mut world, &mut Epsagon::new(DeliveryQuality::Reliable, 1), &[3_900.0; 240]);
        assert_eq!(fixture::counts(&shards), [4]);
        assert_eq!(world.score().refusals["LimitExceededException"], 3);
    }

    #[test]
    fn it_collides_with_its_own_change_if_the_step_is_small() {
        let mut world = World::new(fixture::setup(52), 1);
        // 98 % of 52 shards are 78 % of 65. So the alarm notifies again during the reshard, which takes two minutes.
        let shards = fixture::minutes(&mut world, &mut Epsagon::new(DeliveryQuality::Reliable, 1), &[51_000.0; 40]);
        assert_eq!(fixture::counts(&shards), [52, 65, 82]);
        assert!(world.score().refusals["ResourceInUseException"] >= 1);
    }
}
