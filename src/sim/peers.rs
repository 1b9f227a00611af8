//! What people use instead of unthrottle, by their own rules.

use super::arena::Contender;
use super::delivery::EVENT_AFTER;
use super::shard::{BYTES_A_SECOND, Counts, RECORDS_A_SECOND};
use super::world::{By, World};
use std::collections::VecDeque;

/// The shards that the stream begins with, and nothing else.
#[derive(Debug)]
pub struct Static;

impl Contender for Static {
    fn pass(&mut self, _: &mut World) {}
}

/// The folk rule: a function on every throttle event, which doubles the shards. It asks how many there are, and calls; what
/// AWS refuses is the next event's affair. No cooldown, no bound, no memory, nothing taken back. CloudTrail tells only of
/// calls that failed as a whole: here every second with a refused record makes an event, which is the rule's best case.
#[derive(Debug, Default)]
pub struct Doubling {
    /// When the events on their way arrive, in seconds of the run.
    events: VecDeque<i64>,
}

impl Contender for Doubling {
    fn pass(&mut self, world: &mut World) {
        let now = world.now();
        if world.last().throttled > 0 || !world.events().is_empty() {
            self.events.push_back(now + EVENT_AFTER);
        }
        while self.events.pop_front_if(|at| *at <= now).is_some() {
            let open = world.described().open_shards;
            // Refused or not: there is nothing that the rule would do about it.
            let _ = world.update_shard_count(By::Policy, open.saturating_mul(2));
        }
    }
}

/// Substation's autoscaler (brexhq/substation, `cmd/aws/lambda/autoscale/main.go` at 28f1b349): two alarms on the stream's
/// utilisation, and a cooldown in a tag. Its tags for the fewest and the most shards are read and never applied.
///
/// An alarm that has told is set to INSUFFICIENT_DATA, so that CloudWatch looks at the same minutes again, under the new
/// number of shards: it is as if it told every minute that is breached.
#[derive(Debug, Default)]
pub struct Substation {
    /// The number of shards that its alarms are written for.
    shards: Option<u32>,
    /// Its change is under way. The tag is written after it.
    is_waiting: bool,
    /// `LastScalingEvent`, in seconds of the run.
    scaled_at: Option<i64>,
}

/// More than this share of the stream in each of the last [`UP_MINUTES`]: up.
const UP_FROM: f64 = 0.7;
/// See [`UP_FROM`].
const UP_MINUTES: usize = 5;
/// At most this share in each of the last [`DOWN_MINUTES`]: down. The threshold for up less 0.35.
const DOWN_TO: f64 = UP_FROM - 0.35;
/// See [`DOWN_TO`].
const DOWN_MINUTES: usize = 60;
/// Seconds after a change in which it does not go up again.
const UP_COOLDOWN: i64 = 3 * 60;
/// Seconds after a change in which it does not go down.
const DOWN_COOLDOWN: i64 = 30 * 60;

impl Substation {
    /// The shards that it goes to from so many.
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

    /// What its alarms say: `true` is up.
    fn told(&self, world: &World, shards: u32) -> Option<bool> {
        let cloudwatch = world.cloudwatch();
        let share = |counts: Counts| {
            let bytes = (counts.accepted * cloudwatch.record_bytes()) as f64 / BYTES_A_SECOND as f64;
            bytes.max(counts.accepted as f64 / RECORDS_A_SECOND as f64) / 60.0 / f64::from(shards)
        };
        // FILL(REPEAT): a minute that is missing is as the one before it.
        let mut known = cloudwatch.minutes(world.now()).map(|(minute, counts)| (minute, share(counts))).peekable();
        let (mut minute, mut shares) = (known.peek()?.0, Vec::with_capacity(DOWN_MINUTES));
        while shares.len() < DOWN_MINUTES {
            let Some((at, share)) = known.peek() else { break };
            if *at > minute {
                known.next();
                continue;
            }
            shares.push(*share);
            minute = minute.plus(-1);
        }
        let all = |minutes: usize, is: fn(&f64) -> bool| shares.len() >= minutes && shares[..minutes].iter().all(is);
        if all(UP_MINUTES, |share| *share >= UP_FROM) {
            return Some(true);
        }
        all(DOWN_MINUTES, |share| *share <= DOWN_TO).then_some(false)
    }
}

impl Contender for Substation {
    fn pass(&mut self, world: &mut World) {
        let now = world.now();
        let shards = *self.shards.get_or_insert(world.open_shards());
        if self.is_waiting && !world.is_updating() {
            (self.is_waiting, self.scaled_at) = (false, Some(now));
        }
        if now % 60 != 0 || self.is_waiting {
            return;
        }
        let Some(up) = self.told(world, shards) else { return };
        let cooldown = if up { UP_COOLDOWN } else { DOWN_COOLDOWN };
        if self.scaled_at.is_some_and(|at| now - at < cooldown) {
            return;
        }
        let open = world.described().open_shards;
        let target = Substation::step(open, up);
        if target != open && world.update_shard_count(By::Policy, target).is_ok() {
            (self.is_waiting, self.shards) = (true, Some(target));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::CapacityMode;
    use crate::sim::keys::Keys;
    use crate::sim::retry::Retry;
    use crate::sim::rules::Account;
    use crate::sim::world::Setup;

    /// Shards at the end of each minute, of a stream of four that is offered so many records a second.
    fn minutes(contender: &mut dyn Contender, loads: &[f64]) -> (Vec<u32>, World) {
        let setup = Setup {
            shards: 4,
            mode: CapacityMode::Provisioned,
            keys: Keys::even(20_000),
            record_bytes: 500,
            retry: Retry::never(),
            account: Account::default(),
        };
        let mut world = World::new(setup, 1);
        let mut shards = vec![];
        for load in loads {
            for _ in 0..60 {
                world.pass(*load);
                contender.pass(&mut world);
            }
            shards.push(world.open_shards());
        }
        (shards, world)
    }

    #[test]
    fn a_static_stream_stays_as_it_is() {
        let (shards, world) = minutes(&mut Static, &[2_000.0, 9_000.0, 9_000.0]);
        assert_eq!(shards, [4, 4, 4]);
        assert_eq!((world.score().changes, world.score().calls), (0, 0));
    }

    #[test]
    fn each_event_doubles_and_those_meanwhile_are_refused() {
        let (shards, world) = minutes(&mut Doubling::default(), &[2_000.0, 6_000.0, 6_000.0, 6_000.0]);
        // 4 → 8 is enough for 6,000 a second. The reshard takes 14 + 2 · 4 s and 16 more at most, in which an event a second
        // is refused; those of the last five seconds before it was done come after it, and the first doubles again.
        assert_eq!(shards, [4, 8, 16, 16]);
        let score = world.score();
        assert_eq!(score.changes, 2);
        let while_updating = score.refusals["ResourceInUseException"];
        assert!((18..=42).contains(&while_updating), "{score:?}");
    }

    /// The numbers of peers.md: 5 → 8, 13 → 19, 33 → 41.
    #[test]
    fn substation_goes_by_steps_that_grow_smaller() {
        let up = [1, 2, 4, 5, 12, 13, 32, 33, 100].map(|shards| Substation::step(shards, true));
        assert_eq!(up, [2, 4, 8, 8, 21, 19, 48, 41, 125]);
        let down = [1, 2, 4, 5, 8, 13, 33].map(|shards| Substation::step(shards, false));
        assert_eq!(down, [1, 1, 2, 3, 5, 9, 27]);
    }

    #[test]
    fn substation_goes_up_at_seven_tenths_and_down_after_a_calm_hour() {
        // 65 % of four shards for ten minutes, 75 % for twenty, and a tenth of eight for four hours.
        let loads = [vec![2_600.0; 10], vec![3_000.0; 20], vec![800.0; 240]].concat();
        let (shards, world) = minutes(&mut Substation::default(), &loads);
        assert!(shards[..15].iter().all(|n| *n == 4), "five minutes must be published: {shards:?}");
        assert_eq!(shards[20], 8, "{shards:?}");
        let down: Vec<u32> = shards[30..].iter().copied().fold(vec![], |mut steps: Vec<u32>, n| {
            if steps.last() != Some(&n) {
                steps.push(n);
            }
            steps
        });
        // 800 of 5,000 is 16 %, of 3,000 27 %; of 2,000 it is 40 %, which is not calm.
        assert_eq!(down, [8, 5, 3, 2]);
        let first = shards.iter().skip(30).position(|n| *n < 8).expect("down");
        assert!((60..=65).contains(&first), "{first}");
        assert_eq!(world.score().illegal_calls, 0);
    }

    #[test]
    fn substation_does_not_see_that_one_key_is_hot() {
        let setup = Setup {
            shards: 4,
            mode: CapacityMode::Provisioned,
            keys: Keys::with_a_hot_one(0.9, 20_000),
            record_bytes: 500,
            retry: Retry::never(),
            account: Account::default(),
        };
        let (mut world, mut substation) = (World::new(setup, 1), Substation::default());
        for _ in 0..3_600 {
            world.pass(2_500.0);
            substation.pass(&mut world);
        }
        // A shard takes 1,000 of them and the others 250: less than a third of the stream.
        assert_eq!(world.score().changes, 0);
        assert!(world.last().throttled > 1_000);
    }

    #[test]
    fn a_hot_key_makes_it_double_until_aws_has_had_enough() {
        let setup = Setup {
            shards: 1,
            mode: CapacityMode::Provisioned,
            keys: Keys::with_a_hot_one(1.0, 1),
            record_bytes: 500,
            retry: Retry::never(),
            account: Account::default(),
        };
        let mut world = World::new(setup, 1);
        let mut doubling = Doubling::default();
        // The reshards take 2 s for each of 1,023 new shards and half a minute each; then AWS only refuses.
        for _ in 0..3_600 {
            world.pass(1_500.0);
            doubling.pass(&mut world);
        }
        assert_eq!(world.open_shards(), 1_024, "ten times a day");
        assert_eq!(world.score().changes, 10);
        assert!(world.score().refusals["LimitExceededException"] > 1_000);
        assert_eq!(world.last().throttled, 500, "and nothing is gained");
    }
}
