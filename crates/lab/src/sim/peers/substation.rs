//! Substation's autoscaler (brexhq/substation, `cmd/aws/lambda/autoscale/main.go` at 28f1b349): two alarms on the used
//! share of the stream, and a cooldown in a tag.
//!
//! - Up if at least 0.7 is used in each of the last 5 minutes.
//! - Down if at most 0.35 is used in each of the last 60 minutes. A minute without a datapoint repeats the value of the
//!   minute before.
//! - ×2 below 5 shards, ×1.75 below 13, ×1.5 below 33, else ×1.25; down by the same factor.
//! - After a change, no change up for 3 minutes, and none down for 30.
//! - Lambda retries a failed function, so a refused change is tried twice more, after 1 and 2 more minutes.
//!
//! Its defects: it reads its tags for the fewest and the most shards, but never applies them. An alarm is not reset if
//! its change was refused three times or changes nothing. Such an alarm stays in ALARM, and notifies no more until the
//! load has gone.

use super::super::arena::Contender;
use super::super::delivery::{Delivery, DeliveryQuality};
use super::super::world::{By, World};
use super::{EVALUATED_EVERY, Fill, LAMBDA_RETRIES, Window, used};

/// Up: at least this share is used in each of the last five minutes.
const UP_FROM: f64 = 0.7;
/// See [`UP_FROM`].
const UP: Window = Window { period: 1, of: 5, confirm: 5, fill: Fill::Repeat };
/// Down: at most this share is used in each of the last sixty minutes. The threshold for up, less 0.35.
const DOWN_TO: f64 = UP_FROM - 0.35;
/// See [`DOWN_TO`].
const DOWN: Window = Window { period: 1, of: 60, confirm: 60, fill: Fill::Repeat };
/// Seconds after a change without a change up.
const UP_COOLDOWN: i64 = 3 * 60;
/// Seconds after a change without a change down.
const DOWN_COOLDOWN: i64 = 30 * 60;

/// Its calls after a change: the tag, two `PutMetricAlarm`, two `SetAlarmState`.
const CALLS_OF_A_CHANGE: u64 = 5;
/// Its calls after a notification: the tags. During a cooldown the same number again: `SetAlarmState`.
const CALLS_IF_NOTIFIED: u64 = 1;

/// Substation's autoscaler.
///
/// It sets an alarm that has notified to INSUFFICIENT_DATA. So CloudWatch evaluates the same minutes again, with the
/// new number of shards. The effect is a notification in every minute that breaches.
#[derive(Debug)]
pub struct Substation {
    /// The number of shards in the formulas of its alarms.
    shards: Option<u32>,
    /// Whether its change is under way. It writes the tag afterwards.
    is_waiting: bool,
    /// `LastScalingEvent`, in seconds of the run.
    scaled_at: Option<i64>,
    /// An alarm that stays in ALARM, because its change failed.
    stuck: Option<Stuck>,
    /// The alarm that is in ALARM, and that the function has not reset: `true` is up.
    raised: Option<bool>,
    /// The notifications on their way: `true` is up.
    notifications: Delivery<bool>,
}

/// See [`Substation`].
#[derive(Clone, Copy, Debug)]
struct Stuck {
    up: bool,
    /// The number of refusals.
    failures: usize,
    /// When Lambda tries again, in seconds of the run.
    again_at: Option<i64>,
}

impl Substation {
    /// Creates the autoscaler with this delivery of its alarms.
    pub fn new(delivery: DeliveryQuality, seed: u64) -> Substation {
        let notifications = Delivery::new(delivery, seed);
        Substation { shards: None, is_waiting: false, scaled_at: None, stuck: None, raised: None, notifications }
    }

    /// The shards after a step.
    fn step(shards: u32, up: bool) -> u32 {
        let factor = match shards {
            ..5 => 2.0,
            5..13 => 1.75,
            13..33 => 1.5,
            _ => 1.25,
        };
        let shards = f64::from(shards);
        if up { (shards * factor).floor() as u32 } else { (shards / factor).ceil() as u32 }
    }

    /// The direction that its alarms ask for: `true` is up.
    fn direction(world: &World, shards: u32) -> Option<bool> {
        let (cloudwatch, now) = (world.cloudwatch(), world.now());
        let share = |records| used(cloudwatch, records, 1, shards);
        if UP.is_breached(cloudwatch, now, |records| share(records) >= UP_FROM) {
            return Some(true);
        }
        DOWN.is_breached(cloudwatch, now, |records| share(records) <= DOWN_TO).then_some(false)
    }
}

impl Substation {
    /// Evaluates the alarms. A change to ALARM sends a notification, and Lambda tries a failed function again.
    fn evaluate(&mut self, world: &mut World, shards: u32) {
        let now = world.now();
        let direction = Substation::direction(world, shards);
        self.stuck.take_if(|stuck| direction != Some(stuck.up));
        self.raised.take_if(|raised| direction != Some(*raised));
        match (direction, self.stuck) {
            (Some(up), Some(stuck)) if stuck.again_at.is_some_and(|at| at <= now) => self.run(world, up),
            (Some(up), None) if self.raised != Some(up) => {
                self.raised = Some(up);
                self.notifications.send(now, up);
            }
            _ => {}
        }
    }

    /// Runs the function for a notification. It resets the alarm, unless its change fails.
    fn run(&mut self, world: &mut World, up: bool) {
        let now = world.now();
        world.called(CALLS_IF_NOTIFIED);
        let cooldown = if up { UP_COOLDOWN } else { DOWN_COOLDOWN };
        if self.scaled_at.is_some_and(|at| now - at < cooldown) {
            self.raised = None;
            return world.called(CALLS_IF_NOTIFIED);
        }
        let open = world.described().open_shards;
        let target = Substation::step(open, up);
        let failures = self.stuck.map_or(0, |stuck| stuck.failures);
        if target == open {
            self.stuck = Some(Stuck { up, failures, again_at: None });
        } else if world.update_shard_count(By::Policy, target).is_ok() {
            (self.is_waiting, self.shards, self.stuck, self.raised) = (true, Some(target), None, None);
        } else {
            let again_at = LAMBDA_RETRIES.get(failures).map(|delay| now + delay);
            self.stuck = Some(Stuck { up, failures: failures + 1, again_at });
        }
    }
}

impl Contender for Substation {
    fn pass(&mut self, world: &mut World) {
        let now = world.now();
        let shards = *self.shards.get_or_insert(world.open_shards());
        if self.is_waiting && !world.is_updating() {
            (self.is_waiting, self.scaled_at) = (false, Some(now));
            world.called(CALLS_OF_A_CHANGE);
        }
        if now % EVALUATED_EVERY == 0 && !self.is_waiting {
            self.evaluate(world, shards);
        }
        for up in self.notifications.arrived(now) {
            self.run(world, up);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::sim::account::Account;
    use crate::sim::keys::Keys;
    use crate::sim::world::Setup;

    /// The numbers of its factors: 5 → 8, 13 → 19, 33 → 41.
    #[test]
    fn its_steps_grow_smaller() {
        let up = [1, 2, 4, 5, 12, 13, 32, 33, 100].map(|shards| Substation::step(shards, true));
        assert_eq!(up, [2, 4, 8, 8, 21, 19, 48, 41, 125]);
        let down = [1, 2, 4, 5, 8, 13, 33].map(|shards| Substation::step(shards, false));
        assert_eq!(down, [1, 1, 2, 3, 5, 9, 27]);
    }

    #[test]
    fn it_scales_up_at_70_per_cent_and_down_after_a_quiet_hour() {
        // 65 % of four shards for ten minutes, 75 % for twenty, and a tenth of eight for four hours.
        let loads = [vec![2_600.0; 10], vec![3_000.0; 20], vec![800.0; 240]].concat();
        let mut world = World::new(fixture::setup(4), 1);
        let shards = fixture::minutes(&mut world, &mut Substation::new(DeliveryQuality::Reliable, 1), &loads);
        assert!(shards[..15].iter().all(|n| *n == 4), "five minutes must be published: {shards:?}");
        assert_eq!(shards[20], 8, "{shards:?}");
        // 800 records are 16 % of 5,000 and 27 % of 3,000. Of 2,000 they are 40 %, which is above the threshold.
        assert_eq!(fixture::counts(&shards[30..]), [8, 5, 3, 2]);
        let first = shards.iter().skip(30).position(|n| *n < 8).expect("down");
        assert!((60..=65).contains(&first), "{first}");
        assert_eq!(world.score().illegal_calls, 0);
    }

    #[test]
    fn after_three_refusals_it_tries_again_when_the_load_has_gone_and_returned() {
        let account = Account { shard_limit: 4, ..Account::default() };
        let mut world = World::new(Setup { account, ..fixture::setup(4) }, 1);
        let refused = |world: &World| world.score().refusals["LimitExceededException"];
        let mut substation = Substation::new(DeliveryQuality::Reliable, 1);
        fixture::minutes(&mut world, &mut substation, &[3_900.0; 240]);
        assert_eq!(refused(&world), 3);
        fixture::minutes(&mut world, &mut substation, &[vec![2_000.0; 30], vec![3_900.0; 60]].concat());
        assert_eq!(refused(&world), 6);
    }

    #[test]
    fn it_ignores_a_hot_key() {
        let setup = Setup { keys: Keys::with_a_hot_one(0.9, 20_000), ..fixture::setup(4) };
        let (mut world, mut substation) = (World::new(setup, 1), Substation::new(DeliveryQuality::Reliable, 1));
        for _ in 0..3_600 {
            world.pass(2_500.0);
            substation.pass(&mut world);
        }
        // One shard accepts 1,000 records, and the others 250: less than a third of the stream.
        assert_eq!(world.score().changes, 0);
        assert!(world.last().throttled > 1_000);
    }
}
