//! What must hold when a change reaches AWS.

use super::super::schedule::Kind;
use super::{Call, Check, Checked, Invariant, OwnChange, Seen, budgets, is_of_capacity, is_published};
use crate::rules::{RESHARDS_A_DAY, Refusal, SWITCHES_A_DAY};
use crate::sim::time;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::ChangeKind;
use unthrottle_core::observation::{Minute, Status, Stream};
use unthrottle_core::policy::Permission;

/// The least seconds after its end that CloudWatch takes for a minute.
const PUBLISHED_AFTER: i64 = 60;

/// A change leaves sooner after its look was asked for, in seconds: see [`Invariant::FreshObservation`].
const FRESH: i64 = 3;

/// What loads that wander a little make of a bill, in USD an hour.
const A_CENT: f64 = 0.01;

/// Records of a minute that a full shard takes.
const FULL_SHARD: f64 = 60_000.0;

impl Check {
    pub(super) fn must_be_fresh(&self, call: &Call<'_>) -> Checked {
        let age = call.sent - call.seen.asked;
        let status = call.seen.observation.stream.as_ref().map(|stream| &stream.status);
        if age < FRESH && status == Some(&Status::Active) {
            return Ok(());
        }
        self.fails(
            Invariant::FreshObservation,
            format!("a change left {age} s after a look that saw the stream {status:?}"),
        )
    }

    pub(super) fn must_be_bounded(&self, call: &Call<'_>) -> Checked {
        let hour = Minute::of(time(call.sent)).plus(1 - 60)..;
        let shown: u32 = call.seen.observation.traffic.fleet_fixes.range(hour).map(|(_, count)| count).sum();
        let most = self.policy.max_changes_per_hour;
        if shown >= most {
            return self
                .fails(Invariant::Bounded, format!("a change after {shown} in the hour, and {most} are allowed"));
        }
        let prices = &self.policy.prices;
        let shards = |to: &u32| self.situation.usd_an_hour_for(prices, f64::from(*to));
        let (at_least, is_more) = match call.remedy {
            Remedy::ScaleShards { from, to, .. } => (shards(to), to > from),
            Remedy::SplitShard { to, .. } => (shards(to), true),
            Remedy::SwitchToOnDemand { .. } => (self.situation.usd_an_hour_on_demand(prices), true),
            _ => (0.0, false),
        };
        let allows = |permission| permission == Permission::Allow;
        let is_allowed = match call.remedy {
            Remedy::ScaleShards { to, .. } | Remedy::SplitShard { to, .. } => *to <= self.policy.max_shards,
            Remedy::SwitchToOnDemand { .. } => {
                allows(self.policy.on_demand) && call.before.open_shards < self.policy.max_shards
            }
            Remedy::EnableShardMetrics { .. } => allows(self.policy.diagnose),
            _ => true,
        };
        if !is_allowed {
            return self.fails(Invariant::Bounded, format!("{:?}, which is not allowed", call.remedy));
        }
        match self.policy.max_hourly_cost {
            Some(most) if is_more && at_least > most + A_CENT => {
                let remedy = call.remedy;
                self.fails(Invariant::Bounded, format!("{remedy:?} costs ${at_least} an hour, and ${most} is allowed"))
            }
            _ => Ok(()),
        }
    }

    /// A refusal must come of what the run could not know.
    pub(super) fn must_be_unforeseeable(&self, call: &Call<'_>, refusal: &Refusal) -> Checked {
        let seen = call.seen.observation.stream.as_ref();
        let is_as_seen =
            seen.is_some_and(|seen| (&seen.mode, seen.open_shards) == (&call.before.mode, call.before.open_shards));
        let is_unforeseeable = match refusal.code {
            "ResourceInUseException" => true,
            _ if !is_as_seen => true,
            "LimitExceededException" if refusal.is_of_a_quota() => {
                // They are kept for a minute: only a person's change is newer, or one whose memory a person has deleted, and
                // which was not done yet.
                let last = self.made.last().map(|made| made.done).max(self.changed_by_people.last().copied());
                call.limits_of.is_none_or(|read| Some(read) <= last)
            }
            "LimitExceededException" => !self.is_spent(call.remedy.kind(), call.seen),
            _ => false,
        };
        if is_unforeseeable {
            return Ok(());
        }
        self.fails(Invariant::NoIllegalCall, format!("{:?}: {refusal}; it was as the look saw it", call.remedy))
    }

    /// Whether our own changes have spent a daily budget of AWS's: these the reads show.
    fn is_spent(&self, kind: ChangeKind, seen: &Seen) -> bool {
        let (reshards, switches) = budgets(kind);
        let is_known = |made: &&OwnChange| !self.is_untagged_since(made) || is_published(made, seen);
        let made = self.made.iter().filter(|made| budgets(made.kind) == (reshards, switches)).filter(is_known).count();
        let before = if reshards { self.situation.reshards_before().len() } else { 0 };
        (reshards && made + before >= RESHARDS_A_DAY) || (switches && made >= SWITCHES_A_DAY)
    }

    /// The evidence of a run begins here. AWS tells nobody when a person has changed the stream: it shows only by the
    /// stream's not being as our last change left it.
    fn evidence_from(&self, before: &Stream) -> i64 {
        let last = self.made.last().filter(|last| !self.is_untagged_since(last));
        let is_external = last.is_some_and(|last| last.to != before.open_shards);
        // Nor does it show where people have changed it to what it was, as the run before this one saw it.
        let is_as_known = self.known_before.open_shards == before.open_shards;
        match () {
            () if is_external && is_as_known => self.known_before.settled,
            () if is_external => self.settled_by_anybody,
            () => self.settled,
        }
    }

    pub(super) fn must_be_next(&self, call: &Call<'_>) -> Checked {
        let Some(last) = self.made.iter().rev().find(|made| is_of_capacity(made.kind)) else { return Ok(()) };
        let full = (last.done + 59) / 60 * 60;
        let published = full + 60 + PUBLISHED_AFTER;
        if call.seen.asked >= published {
            return Ok(());
        }
        let (at, done) = (last.at, last.done);
        self.fails(
            Invariant::OneChangeAStep,
            format!(
                "{:?} by a observation of second {}; the change of second {at} was done at {done}, and no full minute after it \
                 was published before {published}",
                call.remedy, call.seen.asked
            ),
        )
    }

    pub(super) fn must_be_supported(&self, call: &Call<'_>) -> Checked {
        let since = self.evidence_from(call.before);
        let evidence = || {
            let first = usize::try_from((since + 59) / 60).unwrap_or_default();
            let end = usize::try_from((call.seen.asked - PUBLISHED_AFTER) / 60).unwrap_or_default();
            self.minutes[..end.min(self.minutes.len())].iter().skip(first)
        };
        let needs = |offered: u64| offered as f64 / FULL_SHARD / self.policy.target_utilization;
        let most = evidence().filter(|(_, refused)| *refused > 0).map(|(offered, _)| *offered).max();
        match *call.remedy {
            Remedy::ScaleShards { from, to, .. } => {
                // A reshard may open more than is needed where the quota leaves no room for its short-lived shards, and
                // shards that are told apart are not evenly loaded.
                let is_exact = self.situation.kind != Kind::NearQuota && !call.before.shows_shards();
                // One more: AWS reshards faster to a multiple of a quarter.
                let needed =
                    most.map_or(0, |offered| if is_exact { needs(offered).ceil() as u32 + 1 } else { u32::MAX });
                // A load that is back after two reshards of the day has outgrown them: twice what it needs.
                let is_back = self.reshards_made() >= 2 && evidence().any(|(_, refused)| *refused == 0);
                let needed = if is_back { needed.saturating_mul(2) } else { needed };
                let bound = needed.min(2 * from).min(self.policy.max_shards);
                if to <= bound {
                    return Ok(());
                }
                self.fails(
                    Invariant::Supported,
                    format!(
                        "{from} → {to} shards; the minutes since second {since} support {bound} ({most:?} records)"
                    ),
                )
            }
            Remedy::Restore { from, to, .. } => {
                let peak = self.minutes.iter().rev().take(60).map(|(offered, _)| *offered).max().unwrap_or_default();
                // The newest minutes are not published yet.
                let known = evidence().rev().take(55).map(|(offered, _)| *offered).max().unwrap_or_default();
                if f64::from(to) >= needs(known).floor() {
                    return Ok(());
                }
                self.fails(Invariant::Supported, format!("{from} → {to} shards, and the peak was {peak} records"))
            }
            _ if most.is_some() || call.remedy.is_undo() => Ok(()),
            _ => self.fails(
                Invariant::Supported,
                format!("{:?}, and nothing was refused since second {since}", call.remedy),
            ),
        }
    }

    pub(super) fn must_be_curable(&self, call: &Call<'_>) -> Checked {
        let splits = self.made.iter().filter(|made| made.kind == ChangeKind::Split).count();
        let is_legal = match (self.situation.kind, call.remedy.kind()) {
            // What people make of it may be curable.
            _ if !self.changed_by_people.is_empty() => true,
            // Two splits of a line show that it is one key, to those who remember them.
            (Kind::HotKey, ChangeKind::Split) => splits < 2 || self.untagged.is_some(),
            (Kind::HotKey | Kind::Bursts | Kind::OnDemand, _) => false,
            _ => true,
        };
        if is_legal {
            return Ok(());
        }
        self.fails(
            Invariant::Incurable,
            format!("{:?} on a stream that is {}, after {splits} splits", call.remedy, self.situation.kind),
        )
    }
}
