//! The Kinesis Scaling Utility (awslabs/amazon-kinesis-scaling-utils at 23ba220, `auto/StreamMonitor.java`,
//! `StreamScaler.java`): a process that reads CloudWatch every 45 s. With the numbers of its README, on what is written;
//! its own check refuses settings that count shards, as these do, and is left out.
//!
//! - Of the last 15 minutes those with more than 75 % are high and those with less than 25 % low. Five high ones: one shard
//!   more; else fifteen low ones: one less, at least one.
//! - Not up for 15 minutes after it went up, not down for 60 after it went down. Neither blocks the other.
//! - It measures against the shards that it counted: every ten minutes, and after a change of its own.
//! - What `UpdateShardCount` refuses as illegal or as too much, it does by hand: from the lowest hash key on, it splits and
//!   merges until every shard has its part, one change at a time. It does nothing else until the stream is ACTIVE again.
//!
//! Its defects: a minute without a datapoint is low, also one that is not published yet; by hand it goes past AWS's daily cap,
//! 4 → 5 in seven changes, and where it is stopped, the shards are uneven. A refusal of a change by hand is tried ten times,
//! which is one call here; then, as after any other error, it begins anew at the next look.

use super::super::arena::Contender;
use super::super::shard::OpenShard;
use super::super::world::{By, World};
use super::used;
use crate::rules::Refusal;
use unthrottle_core::observation::{Minute, Status};

/// Seconds from one look to the next (`checkInterval`).
const EVERY: i64 = 45;
/// More of the stream than this in a minute: high.
const HIGH: f64 = 0.75;
/// So many high minutes: up.
const UP_AFTER: usize = 5;
/// Seconds after it went up in which it does not go up.
const UP_COOLDOWN: i64 = 15 * 60;
/// Less of the stream than this in a minute: low.
const LOW: f64 = 0.25;
/// So many low minutes, of as many: down.
const DOWN_AFTER: usize = 15;
/// Seconds after it went down in which it does not go down.
const DOWN_COOLDOWN: i64 = 60 * 60;
/// Seconds after which it counts the shards again (`refreshShardsNumberAfterMin`).
const COUNTS_EVERY: i64 = 10 * 60;
/// It looks whether a change is done at once, then after so many seconds, then every second.
const CHECKS_AFTER: i64 = 20;

/// Metrics that it reads in a look: bytes and records, of `PutRecord` and of `PutRecords`.
const METRICS: u64 = 4;

/// Shards whose widths differ by less than this part of all hash keys are as wide as each other.
const SAME_WIDTH: u128 = u128::MAX / 1_000_000_000;

/// A change that is made.
#[derive(Clone, Copy, Debug)]
struct Change {
    up: bool,
    target: u32,
    /// By splits and merges.
    by_hand: bool,
    /// When it looks whether the stream is ACTIVE, in seconds of the run.
    checks_at: i64,
}

/// One of the changes by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The shard, and the hash key that the second half begins with.
    Split(String, u128),
    /// Two neighbours.
    Merge(String, String),
}

/// The utility's monitor of one stream.
#[derive(Debug, Default)]
pub struct ScalingUtils {
    /// The shards that it measures against, and when it counted them, in seconds of the run.
    counted: Option<(u32, i64)>,
    /// When it looks next.
    checks_at: i64,
    /// When it last went down, and up.
    scaled_at: [Option<i64>; 2],
    change: Option<Change>,
}

impl ScalingUtils {
    fn count(&mut self, world: &mut World) -> u32 {
        let open = world.described().open_shards;
        self.counted = Some((open, world.now()));
        open
    }

    /// What the last fifteen minutes say: `true` is up.
    fn direction(world: &mut World, shards: u32) -> Option<bool> {
        world.called(METRICS);
        let (cloudwatch, now) = (world.cloudwatch(), world.now());
        // The run has no past: minutes before it are not missing.
        let minutes = DOWN_AFTER.min((now / 60) as usize);
        let first = Minute::of(world.time()).plus(-(minutes as i64));
        let known = cloudwatch.minutes(now).take_while(|(minute, _)| *minute >= first);
        let shares: Vec<f64> = known.map(|(_, counts)| used(cloudwatch, counts.accepted, 1, shards)).collect();
        let low = shares.iter().filter(|share| **share < LOW).count() + minutes.saturating_sub(shares.len());
        if shares.iter().filter(|share| **share > HIGH).count() >= UP_AFTER {
            return Some(true);
        }
        (low >= DOWN_AFTER).then_some(false)
    }

    fn check(&mut self, world: &mut World) {
        let now = world.now();
        self.checks_at = now + EVERY;
        let shards = match self.counted {
            Some((shards, at)) if now - at <= COUNTS_EVERY => shards,
            _ => self.count(world),
        };
        let direction = ScalingUtils::direction(world, shards);
        let open = world.described().open_shards;
        let Some(up) = direction else { return };
        let cooldown = if up { UP_COOLDOWN } else { DOWN_COOLDOWN };
        let target = if up { open.saturating_add(1) } else { open.saturating_sub(1) };
        if target < 1 || self.scaled_at[usize::from(up)].is_some_and(|at| now - at < cooldown) {
            return;
        }
        let change = Change { up, target, by_hand: true, checks_at: now };
        self.change = match world.update_shard_count(By::Policy, target) {
            Ok(_) => Some(ScalingUtils::wait(world, Change { by_hand: false, ..change })),
            Err(Refusal { code: "InvalidArgumentException" | "LimitExceededException", .. }) => Some(change),
            Err(_) => None,
        };
    }

    /// A change has begun: its first look finds it under way.
    fn wait(world: &mut World, change: Change) -> Change {
        let _ = world.described();
        Change { checks_at: world.now() + CHECKS_AFTER, ..change }
    }

    /// Waits until its change is done; by hand, it goes on to the next one.
    fn continue_change(&mut self, world: &mut World, change: Change) {
        let now = world.now();
        if now < change.checks_at {
            return;
        }
        if world.described().status == Status::Updating {
            self.change = Some(Change { checks_at: now + 1, ..change });
            return;
        }
        let step = if change.by_hand { next_step(world.listed(), change.target) } else { None };
        let made = match step {
            None => return self.finish(world, change.up),
            Some(Step::Split(id, at)) => world.split_shard(By::Policy, &id, at),
            Some(Step::Merge(id, next)) => world.merge_shards(By::Policy, &id, &next),
        };
        self.change = made.is_ok().then(|| ScalingUtils::wait(world, change));
        self.checks_at = now + EVERY;
    }

    fn finish(&mut self, world: &mut World, up: bool) {
        let now = world.now();
        self.change = None;
        self.scaled_at[usize::from(up)] = Some(now);
        self.checks_at = now + EVERY;
        self.count(world);
    }
}

/// What it does next to have so many shards of one width: it makes the lowest that is not as wide as that from itself and
/// the one above it. `None`: there is nothing left to do.
fn next_step(shards: &[OpenShard], target: u32) -> Option<Step> {
    let width = u128::MAX / u128::from(target.max(1));
    let width_of = |shard: &OpenShard| shard.range.last - shard.range.first;
    let at = shards.iter().position(|shard| width_of(shard).abs_diff(width) > SAME_WIDTH)?;
    let (shard, id) = (&shards[at], shards[at].id());
    if width_of(shard) > width {
        return Some(Step::Split(id, shard.range.first + width));
    }
    let above = shards.get(at + 1)?;
    let both = above.range.last - shard.range.first;
    if both > width.saturating_add(SAME_WIDTH) {
        return Some(Step::Split(above.id(), shard.range.first + width));
    }
    Some(Step::Merge(id, above.id()))
}

impl Contender for ScalingUtils {
    fn pass(&mut self, world: &mut World) {
        match self.change {
            Some(change) => self.continue_change(world, change),
            None if world.now() >= self.checks_at => self.check(world),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    /// A stream whose ten reshards of the day are spent.
    fn spent(shards: u32) -> World {
        let mut world = World::new(fixture::setup(shards), 1);
        for n in 0..10 {
            let _ = world.update_shard_count(By::Others, shards + 1 - n % 2).expect("legal");
            (0..60).for_each(|_| world.pass(500.0 * f64::from(shards)));
        }
        assert_eq!(world.open_shards(), shards);
        world
    }

    fn widths(world: &World) -> Vec<f64> {
        let width = |shard: &OpenShard| (shard.range.last - shard.range.first) as f64 / u128::MAX as f64;
        world.shards().iter().map(width).collect()
    }

    #[test]
    fn it_adds_a_shard_after_five_minutes_above_three_quarters() {
        let mut world = World::new(fixture::setup(4), 1);
        // 75 % is not above it; 80 % are 64 % of five.
        let loads = [vec![3_000.0; 30], vec![3_200.0; 60]].concat();
        let shards = fixture::minutes(&mut world, &mut ScalingUtils::default(), &loads);
        let steps = fixture::steps(&shards);
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 5], "{steps:?}");
        assert!((30 + 6..=30 + 10).contains(&steps[1].0), "{steps:?}");
        let score = world.score();
        // Of 90 minutes: a look every 45 s reads four metrics and the stream.
        assert!((115 * 5..=125 * 5 + 60).contains(&score.calls), "{score:?}");
        assert_eq!((score.changes, score.illegal_calls), (1, 0));
    }

    #[test]
    fn it_goes_on_a_shard_at_a_time_every_quarter_of_an_hour() {
        let mut world = World::new(fixture::setup(4), 1);
        let shards = fixture::minutes(&mut world, &mut ScalingUtils::default(), &[9_000.0; 66]);
        let steps = fixture::steps(&shards);
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 5, 6, 7, 8], "{steps:?}");
        for pair in steps[1..].windows(2) {
            assert!((15..=18).contains(&(pair[1].0 - pair[0].0)), "{steps:?}");
        }
    }

    #[test]
    fn it_takes_one_back_after_fifteen_calm_minutes_and_the_next_an_hour_later() {
        let mut world = World::new(fixture::setup(4), 1);
        let loads = [vec![2_000.0; 30], vec![600.0; 180]].concat();
        let shards = fixture::minutes(&mut world, &mut ScalingUtils::default(), &loads);
        let steps = fixture::steps(&shards);
        // 15 % of four, 20 % of three; 30 % of two are not low.
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 3, 2], "{steps:?}");
        // Minutes that are not published yet are low as well: it acts when twelve to fourteen of them have been seen.
        assert!((30 + 14..=30 + 17).contains(&steps[1].0), "{steps:?}");
        assert!((60..=63).contains(&(steps[2].0 - steps[1].0)), "{steps:?}");
    }

    #[test]
    fn silence_is_low() {
        let mut world = World::new(fixture::setup(4), 1);
        let loads = [vec![2_800.0; 30], vec![0.0; 20]].concat();
        let shards = fixture::minutes(&mut world, &mut ScalingUtils::default(), &loads);
        assert_eq!(fixture::counts(&shards), [4, 3]);
    }

    #[test]
    fn what_is_refused_it_does_by_hand() {
        let mut world = spent(4);
        let mut peer = ScalingUtils::default();
        let shards = fixture::minutes(&mut world, &mut peer, &[3_500.0; 14]);
        // 4 → 5: a fifth is cut off the first; each of the other three is cut so that its lower part completes a fifth.
        assert_eq!(shards.last(), Some(&5), "{shards:?}");
        assert!(widths(&world).iter().all(|width| (width - 0.2).abs() < 1e-6), "{:?}", widths(&world));
        let score = world.score();
        assert_eq!((score.changes, score.illegal_calls), (4 + 3, 1), "{score:?}");
    }

    #[test]
    fn by_hand_it_comes_to_even_shards_from_any_number_to_any() {
        for (from, to) in [(1, 3), (2, 9), (3, 2), (7, 3), (9, 1)] {
            let mut world = World::new(fixture::setup(from), 1);
            let mut steps = 0;
            while let Some(step) = next_step(world.listed(), to) {
                match step {
                    Step::Split(id, at) => world.split_shard(By::Policy, &id, at),
                    Step::Merge(id, next) => world.merge_shards(By::Policy, &id, &next),
                }
                .expect("legal");
                (0..60).for_each(|_| world.pass(0.0));
                steps += 1;
            }
            assert_eq!(world.open_shards(), to, "from {from}");
            assert!(widths(&world).iter().all(|width| (width * f64::from(to) - 1.0).abs() < 1e-6), "{from} to {to}");
            assert!(steps <= 2 * (from + to), "{from} to {to} in {steps}");
        }
    }

    #[test]
    fn by_hand_it_also_goes_down() {
        let mut world = spent(4);
        let shards = fixture::minutes(&mut world, &mut ScalingUtils::default(), &[300.0; 30]);
        assert_eq!(shards.last(), Some(&3), "{shards:?}");
        assert!(widths(&world).iter().all(|width| (width - 1.0 / 3.0).abs() < 1e-6), "{:?}", widths(&world));
        assert_eq!(world.score().changes, 2 + 3);
    }
}
