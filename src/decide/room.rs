//! How far a stream may be scaled: what a person allows, what AWS allows, and what it costs.

use super::bill::cost;
use super::demand::fast_target;
use super::diagnosis::Throttled;
use super::verdict::{Bound, Cost, NoRoom, Reason, Remedy};
use crate::memory::ChangeKind;

/// Why not one shard more is possible.
pub(super) enum Full {
    /// A person's bound: never worked around.
    OfOurs(Reason),
    /// A limit of AWS's.
    OfAws(NoRoom),
}

impl From<Full> for Reason {
    fn from(full: Full) -> Reason {
        match full {
            Full::OfOurs(reason) => reason,
            Full::OfAws(limit) => limit.into(),
        }
    }
}

impl From<NoRoom> for Reason {
    fn from(limit: NoRoom) -> Reason {
        match limit {
            NoRoom::AccountQuota => Reason::AtAccountQuota,
            NoRoom::ReshardBudget | NoRoom::Double => Reason::ReshardBudgetSpent,
        }
    }
}

impl Throttled<'_> {
    /// The step towards `needed` shards that every bound allows.
    pub(super) fn scale(&self, needed: u32) -> Result<Remedy, Full> {
        let from = self.stream.open_shards;
        let max = self.policy.max_shards;
        if from >= max {
            return Err(Full::OfOurs(Reason::AtMaxShards { max }));
        }
        if !self.history.budget(ChangeKind::Scale, self.traffic(), self.now).1 {
            return Err(Full::OfAws(NoRoom::ReshardBudget));
        }
        let to = |to| Remedy::ScaleShards { from, to, partial: None };
        let double = from.saturating_mul(2);
        let top = max.min(double);
        // What a stream costs rises with its shards.
        let most = (from + 1..=top).take_while(|n| self.affordable(&to(*n)).is_ok()).last();
        let most = most.ok_or_else(|| Full::OfOurs(self.too_dear()))?;
        let wanted = fast_target(from, needed.min(most), most);
        let fits = |to: &u32| self.limits().is_none_or(|l| opened_on_the_way(from, *to) <= l.shards_left());
        let to = (from + 1..=wanted).rev().find(fits).ok_or(Full::OfAws(NoRoom::AccountQuota))?;
        let bound = match to {
            to if to >= needed => None,
            to if to < wanted => Some(Bound::AccountQuota),
            _ if most < top => Some(Bound::MaxCost),
            _ if max < double => Some(Bound::MaxShards),
            _ => Some(Bound::Double),
        };
        Ok(Remedy::ScaleShards { from, to, partial: bound })
    }

    /// Holds a remedy that would cost more than the person's maximum, and more than now.
    pub(super) fn affordable(&self, remedy: &Remedy) -> Result<(), Reason> {
        let Some(max) = self.settings.max_hourly_cost else { return Ok(()) };
        let Cost { before_usd_per_hour: before, after_usd_per_hour: after } =
            cost(remedy, self.observation, self.stream, self.settings, self.window);
        if after > max && after > before { Err(Reason::AtMaxCost { max }) } else { Ok(()) }
    }

    fn too_dear(&self) -> Reason {
        Reason::AtMaxCost { max: self.settings.max_hourly_cost.unwrap_or_default() }
    }
}

/// Shards that a reshard opens on its way, beyond those that are open: short-lived ones count towards the account's
/// quota (UpdateShardCount's documentation). Each boundary between the old shards and each between the new ones is cut
/// before the pieces are merged: 2 → 3 goes over 4, as was observed.
pub(super) fn opened_on_the_way(from: u32, to: u32) -> u32 {
    to.saturating_sub(greatest_common_divisor(from, to))
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::opened_on_the_way;

    #[test]
    fn a_reshard_opens_short_lived_shards_too() {
        assert_eq!(opened_on_the_way(2, 3), 2, "2 → 4 → 3 was observed");
        assert_eq!(opened_on_the_way(4, 8), 4, "doubling splits each shard once");
        assert_eq!(opened_on_the_way(8, 10), 8);
        assert_eq!(opened_on_the_way(8, 11), 10);
        assert_eq!(opened_on_the_way(1, 2), 1);
    }
}
