//! The Kinesis Scaling Utility (awslabs/amazon-kinesis-scaling-utils at 23ba220, `auto/StreamMonitor.java`,
//! `StreamScaler.java`): a process that reads CloudWatch every 45 s. It has the numbers of its README, and scales for
//! writes. Its own check refuses settings that count shards, as the README's do; the model leaves this check out.
//!
//! - Of the last 15 minutes, those above 75 % are high and those below 25 % are low. Five high minutes: one shard more.
//!   Otherwise, fifteen low minutes: one shard less, at least one.
//! - No change up for 15 minutes after a change up, and none down for 60 minutes after a change down. Neither blocks
//!   the other.
//! - It compares with the shards that it counted: every ten minutes, and after its own changes.
//! - If `UpdateShardCount` refuses a change as illegal or as too much, it makes the change by hand. From the lowest
//!   hash key on, it splits and merges until every shard has its part, one change at a time. It does nothing else until
//!   the stream is ACTIVE again.
//!
//! Its defects: a minute without a datapoint is low, even one that is not published yet. By hand it exceeds AWS's daily
//! cap: 4 → 5 takes seven changes. If it is stopped, the shards are uneven. It tries a refused change by hand ten
//! times, which is one call here. Then, as after any other error, it begins anew at the next check.

use super::super::arena::Contender;
use super::super::shard::OpenShard;
use super::super::world::{By, World};
use super::used;
use crate::rules::Refusal;
use unthrottle_core::observation::{Minute, Status};

/// Seconds from one check to the next (`checkInterval`).
const EVERY: i64 = 45;
/// A minute with more than this share is high.
const HIGH: f64 = 0.75;
/// High minutes that make it scale up.
const UP_AFTER: usize = 5;
/// Seconds after a change up without another change up.
const UP_COOLDOWN: i64 = 15 * 60;
/// A minute with less than this share is low.
const LOW: f64 = 0.25;
/// Low minutes that make it scale down: all minutes that it checks.
const DOWN_AFTER: usize = 15;
/// Seconds after a change down without another change down.
const DOWN_COOLDOWN: i64 = 60 * 60;
/// Seconds after which it counts the shards again (`refreshShardsNumberAfterMin`).
const COUNTS_EVERY: i64 = 10 * 60;
/// Seconds from its first check of a change to the second. After that it checks every second.
const CHECKS_AFTER: i64 = 20;

/// Metrics that it reads in a check: bytes and records, of `PutRecord` and of `PutRecords`.
const METRICS: u64 = 4;

/// Shards have the same width if their widths differ by less than this part of all hash keys.
const SAME_WIDTH: u128 = u128::MAX / 1_000_000_000;

/// A change under way.
#[derive(Clone, Copy, Debug)]
struct Change {
    up: bool,
    target: u32,
    /// Whether it makes the change by splits and merges.
    by_hand: bool,
    /// The second at which it checks whether the stream is ACTIVE.
    checks_at: i64,
}

/// One of the changes by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The shard, and the first hash key of the second half.
    Split(String, u128),
    /// Two neighbours.
    Merge(String, String),
}

/// The utility's monitor of one stream.
#[derive(Debug, Default)]
pub struct ScalingUtils {
    /// The shards that it compares with, and the second at which it counted them.
    counted: Option<(u32, i64)>,
    /// The second of its next check.
    checks_at: i64,
    /// The last change down and the last change up, in seconds of the run.
    scaled_at: [Option<i64>; 2],
    change: Option<Change>,
}

impl ScalingUtils {
    fn count(&mut self, world: &mut World) -> u32 {
        let open = world.described().open_shards;
        self.counted = Some((open, world.now()));
        open
    }

    /// The direction that the last fifteen minutes ask for: `true` is up.
    fn direction(world: &mut World, shards: u32) -> Option<bool> {
        world.called(METRICS);
        let (cloudwatch, now) = (world.cloudwatch(), world.now());
        // The run has no past: minutes before the run are not missing.
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

    /// Begins to wait for a change. The first check finds the change under way.
    fn wait(world: &mut World, change: Change) -> Change {
        let _ = world.described();
        Change { checks_at: world.now() + CHECKS_AFTER, ..change }
    }

    /// Waits for the end of a change. By hand, it then makes the next step.
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

/// The next step towards this number of shards of one width. It changes the lowest shard with a wrong width, together
/// with the shard above it. `None`: all widths are right.
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

    /// A stream that has spent the ten reshards of the day.
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
    fn it_adds_a_shard_after_five_minutes_above_75_per_cent() {
        let mut world = World::new(fixture::setup(4), 1);
        // 75 % is not above the threshold; 80 % of four shards are 64 % of five.
        let loads = [vec![3_000.0; 30], vec![3_200.0; 60]].concat();
        let shards = fixture::minutes(&mut world, &mut ScalingUtils::default(), &loads);
        let steps = fixture::steps(&shards);
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 5], "{steps:?}");
        assert!((30 + 6..=30 + 10).contains(&steps[1].0), "{steps:?}");
        let score = world.score();
        // In 90 minutes: a check every 45 s reads four metrics and the stream.
        assert!((115 * 5..=125 * 5 + 60).contains(&score.calls), "{score:?}");
        assert_eq!((score.changes, score.illegal_calls), (1, 0));
    }

    #[test]
    fn it_adds_one_shard_every_15_minutes() {
        let mut world = World::new(fixture::setup(4), 1);
        let shards = fixture::minutes(&mut world, &mut ScalingUtils::default(), &[9_000.0; 66]);
        let steps = fixture::steps(&shards);
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 5, 6, 7, 8], "{steps:?}");
        for pair in steps[1..].windows(2) {
            assert!((15..=18).contains(&(pair[1].0 - pair[0].0)), "{steps:?}");
        }
    }

    #[test]
    fn it_removes_a_shard_after_15_quiet_minutes_and_the_next_an_hour_later() {
        let mut world = World::new(fixture::setup(4), 1);
        let loads = [vec![2_000.0; 30], vec![600.0; 180]].concat();
        let shards = fixture::minutes(&mut world, &mut ScalingUtils::default(), &loads);
        let steps = fixture::steps(&shards);
        // 15 % of four shards, 20 % of three; 30 % of two are not low.
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [4, 3, 2], "{steps:?}");
        // Unpublished minutes are also low: it acts when it has seen twelve to fourteen low minutes.
        assert!((30 + 14..=30 + 17).contains(&steps[1].0), "{steps:?}");
        assert!((60..=63).contains(&(steps[2].0 - steps[1].0)), "{steps:?}");
    }

    #[test]
    fn silent_minutes_are_low() {
        let mut world = World::new(fixture::setup(4), 1);
        let loads = [vec![2_800.0; 30], vec![0.0; 20]].concat();
        let shards = fixture::minutes(&mut world, &mut ScalingUtils::default(), &loads);
        assert_eq!(fixture::counts(&shards), [4, 3]);
    }

    #[test]
    fn it_makes_a_refused_change_by_hand() {
        let mut world = spent(4);
        let mut peer = ScalingUtils::default();
        let shards = fixture::minutes(&mut world, &mut peer, &[3_500.0; 14]);
        // 4 → 5: a fifth is cut off the first shard. Each of the other three is cut so that its lower part completes a
        // fifth.
        assert_eq!(shards.last(), Some(&5), "{shards:?}");
        assert!(widths(&world).iter().all(|width| (width - 0.2).abs() < 1e-6), "{:?}", widths(&world));
        let score = world.score();
        assert_eq!((score.changes, score.illegal_calls), (4 + 3, 1), "{score:?}");
    }

    #[test]
    fn by_hand_it_makes_even_shards_from_any_number_to_any_number() {
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
    fn by_hand_it_also_scales_down() {
        let mut world = spent(4);
        let shards = fixture::minutes(&mut world, &mut ScalingUtils::default(), &[300.0; 30]);
        assert_eq!(shards.last(), Some(&3), "{shards:?}");
        assert!(widths(&world).iter().all(|width| (width - 1.0 / 3.0).abs() < 1e-6), "{:?}", widths(&world));
        assert_eq!(world.score().changes, 2 + 3);
    }
}
