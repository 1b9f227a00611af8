//! Knows the load of the whole run and plans for it. The plan has the fewest refused records that `UpdateShardCount`
//! and AWS's limits allow, then the fewest shard-hours, then the fewest changes.

use super::UniformShards;
use crate::rules::RESHARDS_A_DAY;
use crate::sim::arena::{Contender, loads};
use crate::sim::workloads::Workload;
use crate::sim::world::{By, World};
use unthrottle_core::observation::CapacityMode;

/// The plan changes shards at most once in this time, in seconds. Finer plans save a few shard-minutes, and take longer
/// to find. Coarser plans hold shards that no load needs.
const SLOT: i64 = 5 * 60;

/// Slots of a day.
const DAY: usize = 24 * 3_600 / SLOT as usize;

/// The cost of a refused record a second, in open shards: more than any plan can save.
const REFUSED: f64 = 1e6;

/// The cost of a change, in shard-slots: high enough that the plan has no useless change.
const CHANGE: f64 = 1e-3;

/// A plan of shard counts, all uniform, and its execution. A stream in on-demand mode is first switched to provisioned
/// mode.
#[derive(Debug)]
pub struct Clairvoyant {
    /// Shards of each slot.
    plan: Vec<u32>,
}

impl Clairvoyant {
    /// Plans for a workload.
    pub fn new(workload: &Workload, seed: u64) -> Clairvoyant {
        let mut shards_model = UniformShards::of(workload, seed);
        let seconds: Vec<f64> = loads(workload, seed).collect();
        let peaks: Vec<f64> =
            seconds.chunks(SLOT as usize).map(|slot| slot.iter().copied().fold(0.0, f64::max)).collect();
        let most = most_needed(&mut shards_model, workload, &peaks);
        Clairvoyant {
            plan: Planner::new(&mut shards_model, &peaks, most).plan(workload.shards, workload.spent_before()),
        }
    }

    /// The planned shards at a second of the run.
    fn at(&self, second: i64) -> Option<u32> {
        let slot = usize::try_from(second / SLOT).ok()?;
        self.plan.get(slot).or(self.plan.last()).copied()
    }

    /// The shards to have now. A reshard that adds shards must be finished when the next slot begins.
    fn wanted(&self, world: &World) -> Option<u32> {
        let (now, open) = (world.now(), world.open_shards());
        let planned = self.at(now)?;
        let next = self.at(now / SLOT * SLOT + SLOT)?;
        let begins = SLOT - now % SLOT;
        let is_time = next > planned && begins <= world.times().reshard(open, next).1;
        Some(if is_time { next } else { planned })
    }
}

impl Contender for Clairvoyant {
    fn pass(&mut self, world: &mut World) {
        if world.is_updating() {
            return;
        }
        if *world.mode() == CapacityMode::OnDemand {
            let _ = world.update_stream_mode(By::Policy, CapacityMode::Provisioned);
        } else if let Some(wanted) = self.wanted(world)
            && wanted != world.open_shards()
            && world.may_be_resharded(wanted).is_ok()
        {
            let _ = world.update_shard_count(By::Policy, wanted);
        }
    }
}

/// The fewest shards that accept as much of the highest peak as any larger number.
fn most_needed(shards_model: &mut UniformShards, workload: &Workload, peaks: &[f64]) -> u32 {
    let peak = peaks.iter().copied().fold(0.0, f64::max);
    let quota = workload.account.shard_limit.saturating_sub(workload.account.other_shards);
    let all = ((peak / shards_model.of_a_shard).ceil() as u32).max(workload.shards);
    // Uneven keys need more shards than the mean says. No number of shards accepts the load of a single hot key.
    let candidates = (all..=all.saturating_mul(2)).map(|shards| (shards, shards_model.refused(shards, peak)));
    let best = candidates.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let best = best.map_or(all, |(shards, _)| shards);
    // A reshard to the same number changes nothing, so shards of unequal width become equal only by another number.
    let other = best + u32::from(workload.ranges.is_some());
    other.min(quota).max(workload.shards)
}

/// The cheapest way to each number of shards with each number of changes, slot by slot.
struct Planner {
    /// The cost of each number of shards in each slot: by slot, then by shards. The first entry stands for zero shards.
    costs: Vec<Vec<f64>>,
    /// The cost of the records that the shards at the beginning refuse in each slot, where these shards are not of
    /// equal width. The first reshard makes them equal.
    at_first: Option<Vec<f64>>,
}

/// The cheapest ways after a slot: by the number of changes, then by shards.
type Ways = Vec<Vec<Way>>;

/// The cost of a way, and the shards before.
#[derive(Clone, Copy)]
struct Way {
    cost: f64,
    from: usize,
}

impl Planner {
    fn new(shards_model: &mut UniformShards, peaks: &[f64], most: u32) -> Planner {
        let mut cost = |shards: u32, peak: f64| match shards {
            0 => f64::INFINITY,
            _ => f64::from(shards) + REFUSED * shards_model.refused(shards, peak),
        };
        let costs = peaks.iter().map(|peak| (0..=most).map(|shards| cost(shards, *peak)).collect()).collect();
        let at_first = |peak: &f64| Some(REFUSED * shards_model.refused_at_first(*peak)?);
        Planner { costs, at_first: peaks.iter().map(at_first).collect() }
    }

    /// The shards of each slot, planned day by day. `spent`: the seconds, before the run, of reshards that AWS still
    /// counts.
    /// AWS counts 24 hours back from each change, so a change that comes too early on the next day waits.
    fn plan(&self, first: u32, spent: impl Iterator<Item = i64>) -> Vec<u32> {
        let slot_of_day = |second: i64| usize::try_from((DAY as i64 * SLOT + second) / SLOT + 1).unwrap_or_default();
        let (mut plan, mut free_from): (Vec<u32>, Vec<usize>) = (vec![], spent.map(slot_of_day).collect());
        for (number, day) in self.costs.chunks(DAY).enumerate() {
            // A plan cannot reshard to the number that is open, so the same number means the same shards.
            let at_first = self.at_first.as_ref().filter(|_| plan.iter().all(|shards| *shards == first));
            let at_first = at_first.and_then(|costs| costs.chunks(DAY).nth(number));
            let open = plan.last().copied().unwrap_or(first);
            let left =
                |slot: usize| RESHARDS_A_DAY.saturating_sub(free_from.iter().filter(|free| **free > slot).count());
            plan.extend(plan_of_a_day(day, open as usize, left, at_first));
            free_from.clear();
        }
        plan
    }
}

/// The plan of a day that begins with `open` shards. `changes`: the most changes by the end of each slot. `at_first`:
/// the cost of the records that are refused in each slot until the first change, where shards are not of equal width.
fn plan_of_a_day(
    costs: &[Vec<f64>],
    open: usize,
    changes: impl Fn(usize) -> usize,
    at_first: Option<&[f64]>,
) -> Vec<u32> {
    let most = costs.first().map_or(0, Vec::len);
    let mut before = vec![vec![Way { cost: f64::INFINITY, from: open }; most]; RESHARDS_A_DAY + 1];
    if let Some(way) = before[0].get_mut(open) {
        way.cost = 0.0;
    }
    let mut days_ways: Vec<Ways> = vec![];
    for (slot, costs) in costs.iter().enumerate() {
        // The first slot of a day keeps the shards of the day before.
        let mut after = step(&before, costs, if slot > 0 { changes(slot) } else { 0 });
        if let (Some(cost), Some(way)) = (at_first.and_then(|costs| costs.get(slot)), after[0].get_mut(open)) {
            way.cost = before[0][open].cost + open as f64 + cost;
        }
        days_ways.push(after.clone());
        before = after;
    }
    let ends = before
        .iter()
        .enumerate()
        .flat_map(|(changes, ways)| ways.iter().enumerate().map(move |(shards, way)| (way.cost, changes, shards)));
    let Some((_, changes, shards)) = ends.min_by(|a, b| a.0.total_cmp(&b.0)) else { return vec![] };
    back(&days_ways, changes, shards)
}

/// One slot: keep the shards, or change to any number from half to double. `may_make`: the most changes so far.
fn step(before: &Ways, costs: &[f64], may_make: usize) -> Ways {
    let most = costs.len();
    let mut after = before.clone();
    for changes in 0..before.len() {
        for shards in 1..most {
            let mut best = Way { from: shards, ..before[changes][shards] };
            let may_change = (1..=may_make).contains(&changes);
            let froms = if may_change { shards.div_ceil(2)..(2 * shards + 2).min(most) } else { 0..0 };
            for from in froms.filter(|from| *from != shards) {
                let cost = before[changes - 1][from].cost + CHANGE;
                if cost < best.cost {
                    best = Way { cost, from };
                }
            }
            after[changes][shards] = Way { cost: best.cost + costs[shards], ..best };
        }
    }
    after
}

/// The plan, from the end of the cheapest way back to its beginning.
fn back(ways: &[Ways], mut changes: usize, mut shards: usize) -> Vec<u32> {
    let mut plan = Vec::with_capacity(ways.len());
    for ways in ways.iter().rev() {
        plan.push(u32::try_from(shards).unwrap_or(u32::MAX));
        let from = ways[changes][shards].from;
        if from != shards {
            (changes, shards) = (changes - 1, from);
        }
    }
    plan.reverse();
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::arena::run;
    use crate::sim::{Policies, load::Load};

    /// The slots in which the plan changes, with the new number of shards.
    fn changes(plan: &[u32]) -> Vec<(usize, u32)> {
        (1..plan.len()).filter(|slot| plan[*slot] != plan[slot - 1]).map(|slot| (slot, plan[slot])).collect()
    }

    fn plan(load: Load) -> Vec<u32> {
        let quiet = Workload::named("calm").expect("known");
        Clairvoyant::new(&Workload { load, ripple: 0.0, ..quiet }, 1).plan
    }

    #[test]
    fn the_plan_has_shards_before_the_load_comes_and_drops_them_at_once_after_it() {
        // A load for 3.8 shards until 01:00, then for 9. Keys are a little uneven, so the plan has 10 shards at 01:00,
        // and half of them in the slot before.
        let planned = plan(Load::Step { from: 3_800.0, to: 9_000.0, at: 3_600 });
        assert_eq!(changes(&planned), [(11, 5), (12, 10)]);
        let pulse = plan(Load::Pulse { low: 3_800.0, high: 5_500.0, every: 12 * 3_600, lasts: 1_800, phase: 0 });
        let up = pulse.iter().filter(|shards| **shards == 6).count();
        assert_eq!((changes(&pulse).len(), up), (3, 12), "half an hour twice: {:?}", changes(&pulse));
    }

    #[test]
    fn the_plan_keeps_to_the_daily_cap_and_makes_the_changes_that_save_most() {
        let pulse = Load::Pulse { low: 1_800.0, high: 3_800.0, every: 3_600, lasts: 600, phase: 0 };
        let planned = plan(pulse);
        assert!(changes(&planned).len() <= RESHARDS_A_DAY, "{:?}", changes(&planned));
        let costs = vec![vec![f64::INFINITY, 9.0, 2.0, 3.0]; 3];
        assert_eq!(plan_of_a_day(&costs, 3, |_| 1, None), [3, 2, 2]);
        assert_eq!(plan_of_a_day(&costs, 3, |_| 0, None), [3, 3, 3]);
        assert_eq!(plan_of_a_day(&costs, 3, |slot| usize::from(slot > 1), None), [3, 3, 2], "one more is free by then");
    }

    #[test]
    fn reshards_of_the_day_before_are_free_again_a_day_later() {
        let score = run(&Workload::named("budget").expect("known"), Policies::Clairvoyant, 1);
        assert_eq!((score.is_healed, score.illegal_calls), (true, 0), "{score:?}");
    }

    #[test]
    fn nothing_is_refused_where_the_future_is_known() {
        for name in ["step-3.5", "spikes", "large-records"] {
            let workload = Workload { hours: 4, ..Workload::named(name).expect("known") };
            let score = run(&workload, Policies::Clairvoyant, 3);
            assert_eq!((score.throttled, score.illegal_calls), (0, 0), "{name}");
        }
    }
}
