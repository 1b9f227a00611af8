//! The bounds of a change: a person's maxima, AWS's quotas and budgets, the cost, and the fleet.

use super::MissingData;
use super::cost::cost;
use super::demand::fast_target;
use super::short_lived::KeptBoundaries;
use super::writes::Throttled;
use crate::decision::{AwsLimit, Bound, Cost, Evidence, FleetBound, ForesightBound, NoSwitch, Reason, Remedy};
use crate::memory::ChangeKind;
use crate::observation::Fleet;
use crate::policy::{Mode, Policy};

/// Why a stream cannot get one more shard.
pub(super) enum NoHeadroom {
    /// A person's bound. unthrottle never works around it.
    Persons(Reason),
    /// A limit of AWS's.
    Aws(AwsLimit),
}

impl NoHeadroom {
    /// The bound by name, for a stream that nothing throttles.
    pub(super) fn name(&self) -> ForesightBound {
        match self {
            NoHeadroom::Persons(Reason::AtMaxCost { .. }) => ForesightBound::MaxCost,
            NoHeadroom::Persons(_) => ForesightBound::MaxShards,
            NoHeadroom::Aws(AwsLimit::AccountQuota) => ForesightBound::AccountQuota,
            NoHeadroom::Aws(AwsLimit::ReshardBudget | AwsLimit::Double) => ForesightBound::ReshardBudget,
        }
    }
}

impl AwsLimit {
    /// The hold where on-demand mode does not help either.
    pub(super) fn without(self, switch: NoSwitch) -> Reason {
        match self {
            AwsLimit::AccountQuota => Reason::AtAccountQuota(switch),
            AwsLimit::ReshardBudget | AwsLimit::Double => Reason::ReshardBudgetSpent(switch),
        }
    }
}

impl Throttled<'_> {
    /// The step towards `needed` shards that every bound allows. `is_cut`: a part of the offered load counts as
    /// retries. Sets `missing` where the step depends on the hash keys of the shards.
    pub(super) fn scale(&self, needed: u32, is_cut: bool, missing: &mut MissingData) -> Result<Remedy, NoHeadroom> {
        let from = self.stream.open_shards;
        let max = self.policy.max_shards;
        if from >= max {
            return Err(NoHeadroom::Persons(Reason::AtMaxShards { max }));
        }
        if !self.history.budget(ChangeKind::Scale, self.now).1 {
            return Err(NoHeadroom::Aws(AwsLimit::ReshardBudget));
        }
        let to = |to| Remedy::ScaleShards { from, to, partial: None };
        let double = from.saturating_mul(2);
        let top = max.min(double);
        let affordable = self.most_affordable(from, top);
        if affordable <= from {
            return Err(NoHeadroom::Persons(self.too_expensive(&to(from + 1))));
        }
        let most = self.most_of_fleet(from, affordable);
        // A load that may be a little above the capacity doubles no stream only because AWS is faster then.
        let fast = if is_cut { most.min(double.saturating_sub(1)) } else { most };
        let wanted = fast_target(from, self.ample(needed).min(most), fast);
        let left = self.limits().map_or(u32::MAX, |l| l.shards_left());
        // At worst, no boundary of the new shards is one of the old shards.
        let tight = left < most.saturating_sub(1);
        missing.shards |= tight && self.observation.shards.is_none();
        let shards = self.observation.shards.as_deref().unwrap_or_default();
        let kept = tight.then(|| KeptBoundaries::of(shards, most));
        let fits = |to: &u32| kept.as_ref().is_none_or(|kept| to - from <= left && kept.opened_on_the_way(*to) <= left);
        // A little more than wanted may open fewer short-lived shards: doubling opens none.
        let to = (wanted..=most).find(fits).or_else(|| (from + 1..wanted).rev().find(fits));
        let to = to.ok_or(NoHeadroom::Aws(AwsLimit::AccountQuota))?;
        let bound = match to {
            to if to >= needed => None,
            to if to < wanted => Some(Bound::AccountQuota),
            _ if most < affordable => Some(Bound::MaxAddedShards),
            _ if most < top => Some(Bound::MaxCost),
            _ if max < double => Some(Bound::MaxShards),
            _ => Some(Bound::Double),
        };
        Ok(Remedy::ScaleShards { from, to, partial: bound })
    }

    /// The target where every bound allows it. A load that outgrows one healed change after the other would spend the
    /// day's reshards in small steps. Within one incident each step is as large as the load that the metrics show.
    fn ample(&self, needed: u32) -> u32 {
        if self.history.is_outgrown(self.now) { needed.saturating_mul(2) } else { needed }
    }

    /// The most shards up to `top` that the person's maximum of cost allows, or `from`. The cost of a stream rises with
    /// its shards, so a binary search finds them.
    fn most_affordable(&self, from: u32, top: u32) -> u32 {
        let (mut most, mut beyond) = (from, top.saturating_add(1));
        while beyond.saturating_sub(most) > 1 {
            let middle = most + (beyond - most) / 2;
            let scale = Remedy::ScaleShards { from, to: middle, partial: None };
            if self.affordable(&scale).is_ok() { most = middle } else { beyond = middle }
        }
        most
    }

    /// The most shards up to `top` that the fleet's bound of added shards allows. Where it allows none, [`fleet`] holds
    /// the step. A plan adds no shards, so the bound does not cut it.
    fn most_of_fleet(&self, from: u32, top: u32) -> u32 {
        match shards_left(self.observation.fleet, self.settings) {
            left if left > 0 && self.policy.mode == Mode::Heal => top.min(from.saturating_add(left)),
            _ => top,
        }
    }

    /// Holds a remedy that makes the stream cost more than now and more than the person's maximum.
    pub(super) fn affordable(&self, remedy: &Remedy) -> Result<(), Reason> {
        let Some(max) = self.settings.max_hourly_cost else { return Ok(()) };
        let cost = cost(remedy, self.observation, self.stream, self.settings, self.window);
        if is_too_expensive(&cost, max) { Err(self.too_expensive(remedy)) } else { Ok(()) }
    }

    fn too_expensive(&self, remedy: &Remedy) -> Reason {
        let cost = cost(remedy, self.observation, self.stream, self.settings, self.window);
        let max = self.settings.max_hourly_cost.unwrap_or_default();
        Reason::AtMaxCost { max, would_be: cost.after_usd_per_hour }
    }
}

/// The bound of the fleet that `remedy` would exceed, in the hour, in the day, or in the sweep of this run.
pub(super) fn fleet(fleet: Fleet, policy: &Policy, remedy: &Remedy) -> Option<FleetBound> {
    let (max, of) = (policy.max_changes_per_hour, policy.containers());
    // Undo actions, and changes for expected loads, leave half of the bounds to what stops throttling.
    let is_ahead = matches!(remedy, Remedy::ScaleAhead { .. });
    let in_an_hour = if remedy.is_undo() || is_ahead { max.div_ceil(2) } else { max };
    if fleet.changes_within(max) >= in_an_hour {
        return Some(FleetBound::Hour(max));
    }
    let adds_shards = remedy.added_shards() > 0;
    let kept = if is_ahead { policy.max_added_shards.div_ceil(2) } else { 0 };
    if adds_shards && shards_left(fleet, policy).saturating_sub(kept) < remedy.added_shards() {
        return Some(FleetBound::AddedShards(policy.max_added_shards));
    }
    if fleet.left_in_sweep == Some(0) {
        return Some(FleetBound::Sweep(policy.max_changes_per_sweep));
    }
    let share = max.div_ceil(of);
    if fleet.own_unpublished >= share {
        return Some(FleetBound::Container { share, of });
    }
    // A container's first step may be as large as what is left. Only further steps wait for the metric.
    let share = policy.max_added_shards.div_ceil(of);
    (adds_shards && fleet.own_shards_unpublished >= share).then_some(FleetBound::ContainerShards { share, of })
}

/// Records the counts of the fleet's metrics that no tag supports.
pub(super) fn record_unsupported(fleet: Fleet, policy: &Policy, evidence: &mut Evidence) {
    if let Some((counted, supported)) = fleet.unsupported_changes(policy.max_changes_per_hour) {
        (evidence.fleet_changes_counted, evidence.fleet_changes_supported) = (Some(counted), Some(supported));
    }
    if let Some((counted, supported)) = fleet.unsupported_shards(policy.max_added_shards) {
        (evidence.fleet_shards_counted, evidence.fleet_shards_supported) = (Some(counted), Some(supported));
    }
}

/// The shards that may still be added in these 24 hours.
fn shards_left(fleet: Fleet, policy: &Policy) -> u32 {
    policy.max_added_shards.saturating_sub(fleet.shards_within(policy.max_added_shards))
}

/// Whether this cost is above a person's maximum of USD an hour. A change that saves money never is.
pub(super) fn is_too_expensive(cost: &Cost, max: f64) -> bool {
    cost.after_usd_per_hour > max && cost.after_usd_per_hour > cost.before_usd_per_hour
}
