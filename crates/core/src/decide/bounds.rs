//! The bounds of a change: a person's maxima, AWS's quotas and budgets, the cost, and the fleet.

use super::MissingData;
use super::cost::cost;
use super::demand::fast_target;
use super::short_lived::KeptBoundaries;
use super::writes::Throttled;
use crate::decision::{AwsLimit, Bound, Cost, FleetBound, NoSwitch, Reason, Remedy};
use crate::memory::ChangeKind;
use crate::observation::Fleet;
use crate::policy::Policy;

/// The containers that may change streams before the metric shows their changes: the default of the stack's reserved
/// concurrency. Each may add its part of the hourly bound to what the metric shows.
const CONTAINERS: u32 = 5;

/// Why a stream cannot get one more shard.
pub(super) enum NoHeadroom {
    /// A person's bound. unthrottle never works around it.
    Persons(Reason),
    /// A limit of AWS's.
    Aws(AwsLimit),
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
    /// The step towards `needed` shards that every bound allows. Sets `missing` where the step depends on the hash keys
    /// of the shards.
    pub(super) fn scale(&self, needed: u32, missing: &mut MissingData) -> Result<Remedy, NoHeadroom> {
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
        let most = self.most_affordable(from, top);
        if most <= from {
            return Err(NoHeadroom::Persons(self.too_expensive(&to(from + 1))));
        }
        let wanted = fast_target(from, self.ample(needed).min(most), most);
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

/// The bound of the fleet that `remedy` would exceed, in the hour or in the sweep that this run belongs to.
pub(super) fn fleet(fleet: Fleet, policy: &Policy, remedy: &Remedy) -> Option<FleetBound> {
    let max = policy.max_changes_per_hour;
    let of_container = max.div_ceil(CONTAINERS);
    let known = fleet.changes_last_hour.saturating_add(fleet.own_unpublished);
    // Undo actions leave half of the hour to what stops throttling.
    let in_an_hour = if remedy.is_undo() { max.div_ceil(2) } else { max };
    if known >= in_an_hour {
        return Some(FleetBound::Hour(max));
    }
    if fleet.left_in_sweep == Some(0) {
        return Some(FleetBound::Sweep(policy.max_changes_per_sweep));
    }
    (fleet.own_unpublished >= of_container).then_some(FleetBound::Container(of_container))
}

/// Whether this cost is above a person's maximum of USD an hour. A change that saves money never is.
pub(super) fn is_too_expensive(cost: &Cost, max: f64) -> bool {
    cost.after_usd_per_hour > max && cost.after_usd_per_hour > cost.before_usd_per_hour
}
