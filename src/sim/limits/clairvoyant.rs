//! Knows the load of the whole run, and has planned for it: first as few refused records as AWS's limits allow, then as few
//! shard-hours, then as few changes.

use super::Room;
use crate::observation::CapacityMode;
use crate::sim::arena::{Contender, loads};
use crate::sim::rules::{RESHARDS_A_DAY, longest_reshard, opened_by};
use crate::sim::workloads::Workload;
use crate::sim::world::{By, World};

/// The plan changes shards at most once in so many seconds: finer plans save a few shard-minutes, and take longer to find.
const SLOT: i64 = 5 * 60;

/// Slots of a day.
const DAY: usize = 24 * 3_600 / SLOT as usize;

/// What a refused record a second is worth against an open shard: more than any plan can save.
const REFUSED: f64 = 1e6;

/// What a change is worth, in shard-slots: enough that none is made for nothing.
const CHANGE: f64 = 1e-3;

/// A plan of shard counts, all uniform, and whoever carries it out. A stream in on-demand mode it switches to provisioned
/// mode first.
#[derive(Debug)]
pub struct Clairvoyant {
    /// Shards of each slot.
    plan: Vec<u32>,
}

impl Clairvoyant {
    /// Plans for a workload.
    pub fn new(workload: &Workload, seed: u64) -> Clairvoyant {
        let mut room = Room::of(workload, seed);
        let seconds: Vec<f64> = loads(workload, seed).collect();
        let peaks: Vec<f64> =
            seconds.chunks(SLOT as usize).map(|slot| slot.iter().copied().fold(0.0, f64::max)).collect();
        let most = most_needed(&mut room, workload, &peaks);
        Clairvoyant { plan: Planner::new(&mut room, &peaks, most).plan(workload.shards) }
    }

    /// Shards at that second of the run.
    fn at(&self, second: i64) -> Option<u32> {
        let slot = usize::try_from(second / SLOT).ok()?;
        self.plan.get(slot).or(self.plan.last()).copied()
    }

    /// The shards to have soon: a reshard that adds some must be done when they are needed.
    fn due(&self, world: &World) -> Option<u32> {
        let (now, open) = (world.now(), world.open_shards());
        let planned = self.at(now)?;
        let next = self.at(now / SLOT * SLOT + SLOT)?;
        let begins = SLOT - now % SLOT;
        let is_time = next > planned && begins <= longest_reshard(opened_by(open, next));
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
        } else if let Some(due) = self.due(world)
            && due != world.open_shards()
            && world.may_be_resharded(due).is_ok()
        {
            let _ = world.update_shard_count(By::Policy, due);
        }
    }
}

/// More shards than these take no more of the highest peak.
fn most_needed(room: &mut Room, workload: &Workload, peaks: &[f64]) -> u32 {
    let peak = peaks.iter().copied().fold(0.0, f64::max);
    let quota = workload.account.shard_limit.saturating_sub(workload.account.other_shards);
    let all = ((peak / room.of_a_shard).ceil() as u32).max(workload.shards);
    // Uneven keys need more than the mean says; what a single key has no number of shards takes.
    let candidates = (all..=all.saturating_mul(2)).map(|shards| (shards, room.refused(shards, peak)));
    let best = candidates.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    best.map_or(all, |(shards, _)| shards).min(quota).max(workload.shards)
}

/// The cheapest way to each number of shards with each number of changes, slot by slot.
struct Planner {
    /// What each number of shards costs in each slot: by slot, then by shards, of which the first is none.
    costs: Vec<Vec<f64>>,
}

/// The cheapest ways after a slot: by changes so far, then by shards.
type Ways = Vec<Vec<Way>>;

/// What it costs to come here, and from how many shards.
#[derive(Clone, Copy)]
struct Way {
    cost: f64,
    from: usize,
}

impl Planner {
    fn new(room: &mut Room, peaks: &[f64], most: u32) -> Planner {
        let mut cost = |shards: u32, peak: f64| match shards {
            0 => f64::INFINITY,
            _ => f64::from(shards) + REFUSED * room.refused(shards, peak),
        };
        Planner { costs: peaks.iter().map(|peak| (0..=most).map(|shards| cost(shards, *peak)).collect()).collect() }
    }

    /// The shards of each slot, planned day by day. AWS counts 24 hours back from each change: what comes too early the
    /// next day waits.
    fn plan(&self, first: u32) -> Vec<u32> {
        let mut plan: Vec<u32> = vec![];
        for day in self.costs.chunks(DAY) {
            let open = plan.last().copied().unwrap_or(first);
            plan.extend(plan_of_a_day(day, open as usize));
        }
        plan
    }
}

/// At most as many changes as AWS carries out in a day, from `open` shards on.
fn plan_of_a_day(costs: &[Vec<f64>], open: usize) -> Vec<u32> {
    let most = costs.first().map_or(0, Vec::len);
    let mut before = vec![vec![Way { cost: f64::INFINITY, from: open }; most]; RESHARDS_A_DAY + 1];
    if let Some(way) = before[0].get_mut(open) {
        way.cost = 0.0;
    }
    let mut days_ways: Vec<Ways> = vec![];
    for (slot, costs) in costs.iter().enumerate() {
        // The stream is as it is when the day begins.
        let after = step(&before, costs, slot > 0);
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

/// One slot: stay, or come from anything from half to double.
fn step(before: &Ways, costs: &[f64], may_change: bool) -> Ways {
    let most = costs.len();
    let mut after = before.clone();
    for changes in 0..before.len() {
        for shards in 1..most {
            let mut best = Way { from: shards, ..before[changes][shards] };
            let froms = if may_change && changes > 0 { shards.div_ceil(2)..(2 * shards + 2).min(most) } else { 0..0 };
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

/// From the end of the cheapest way to its beginning.
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
