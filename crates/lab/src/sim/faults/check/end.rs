//! The invariants at the end.

use super::super::schedule::{Kind, MANY_SHARDS, Situation};
use super::{Check, Checked, Invariant};
use crate::rules::RESHARDS_A_DAY;
use unthrottle_core::decision::{Reason, Verdict};
use unthrottle_core::memory::ChangeKind;
use unthrottle_core::observation::CapacityMode;
use unthrottle_core::policy::Policy;

/// Seconds between a change and a datum that may be that of a rival run of the same incident: three minutes, and the
/// seconds that a minute of CloudWatch does not show. With less, the check would demand a datum that would count twice.
const RIVAL: i64 = 4 * 60;

impl Check {
    /// Whether the last decision may change by itself after a while. Then the schedule continues.
    pub(in crate::sim::faults) fn waits(last: Option<&Verdict>) -> bool {
        matches!(last, Some(Verdict::Hold(Reason::OnDemandAdapting | Reason::RefusedLately { .. })))
    }

    /// Checks the end, with the stream in this capacity mode; `last`: the decision of the last run that observed the
    /// stream.
    pub(in crate::sim::faults) fn ended(&self, last: Option<&Verdict>, mode: &CapacityMode) -> Checked {
        for (n, made) in self.made.iter().enumerate().filter(|(_, made)| made.counts == 0) {
            // Some changes are never counted: no run may check the stream, or no run can know the change. A memory also
            // has space for one unpublished datum, and the datum of the next change replaces it.
            let is_beyond = made.is_blurred
                || self.made.get(n + 1).is_some_and(|next| next.is_touched)
                || self.off_since.is_some()
                || self.is_untagged_since(made)
                // No run can tell a stranger's datum from its own, or from that of a rival run.
                || self.forged_fixes.iter().any(|at| (at - made.at).abs() <= RIVAL)
                || self.changed_by_people.iter().any(|by| *by >= made.at);
            if !(made.is_touched && is_beyond) {
                return self
                    .fails(Invariant::Counted, format!("{} of second {} was never counted", made.kind, made.at));
            }
        }
        let newest = self.minutes.iter().rev().take(3);
        let (offered, refused) = newest.fold((0, 0), |(o, r), (offered, refused)| (o + offered, r + refused));
        let is_healed = refused as f64 <= self.policy.floor * offered as f64;
        let is_held = last.is_some_and(|verdict| match self.off_since {
            Some(_) => *verdict == Verdict::Hold(Reason::OptedOut),
            None => self.is_held_by_name(verdict, mode),
        });
        if is_healed || is_held {
            return Ok(());
        }
        let code = last.map_or("nothing", |verdict| verdict.code());
        self.fails(
            Invariant::Ending,
            format!("{refused} of {offered} records are refused at the end, and the last word is {code}"),
        )
    }

    /// Whether a throttled stream may end with this hold: its reason must explain the throttling.
    fn is_held_by_name(&self, verdict: &Verdict, mode: &CapacityMode) -> bool {
        use Reason as R;
        let Verdict::Hold(reason) = verdict else { return false };
        let Situation { kind, max_shards, changes_an_hour, usd_an_hour, .. } = self.situation;
        // A person's change makes uneven shards, and any load.
        let is_external = !self.changed_by_people.is_empty();
        let is_uneven =
            kind == Kind::HotKey || is_external || self.made.iter().any(|made| made.kind == ChangeKind::Split);
        match reason {
            // Capacity cures none of these: the producer must change.
            R::HotKey { .. } | R::SplitBudgetSpent(_) | R::NotHealed { .. } => is_uneven,
            // Only shard metrics tell bursts from uneven keys.
            R::SkewSuspected(_) => is_uneven || kind == Kind::Bursts,
            R::MicroBurst => kind == Kind::Bursts || is_external,
            // The limits of a person and of AWS.
            R::AtMaxShards { .. } => max_shards < MANY_SHARDS,
            R::FleetLimit(_) => changes_an_hour < Policy::default().max_changes_per_hour,
            R::AtMaxCost { .. } => usd_an_hour.is_some(),
            R::AtAccountQuota(_) => kind == Kind::NearQuota,
            // Two refusals in a row also lead to this hold.
            R::ReshardBudgetSpent(_) => self.reshards_made() >= RESHARDS_A_DAY / 2 || self.refusals > 1,
            // AWS's growth takes 15 minutes, and the pause after two refusals an hour. The schedule continues for
            // longer than both.
            R::OnDemandAdapting | R::OnDemandCeiling(_) => *mode == CapacityMode::OnDemand,
            R::Refused { .. } | R::RefusedLately { .. } => self.refusals > 0,
            // A person reverts unthrottle's changes.
            R::TugOfWar => is_external || self.untagged.is_some(),
            _ => false,
        }
    }
}
