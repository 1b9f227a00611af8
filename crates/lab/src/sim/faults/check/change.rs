//! The invariants of a change that reaches AWS.

use super::super::schedule::Kind;
use super::{Call, Check, Checked, Invariant, OwnChange, Seen, budgets, is_of_capacity, is_published};
use crate::rules::{RESHARDS_A_DAY, Refusal, SWITCHES_A_DAY};
use crate::sim::time;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::ChangeKind;
use unthrottle_core::observation::{Minute, Status, Stream};
use unthrottle_core::policy::Permission;

/// Seconds from the end of a minute until CloudWatch publishes it, at least.
const PUBLISHED_AFTER: i64 = 60;

/// The most seconds between the beginning of an observation and its change: see [`Invariant::FreshObservation`].
const FRESH: i64 = 3;

/// The tolerance of a cost, in USD an hour: loads vary a little. With less, a legal change would break the invariant.
const COST_TOLERANCE: f64 = 0.01;

/// Records of a minute that a full shard takes.
const FULL_SHARD: f64 = 60_000.0;

/// The metrics show at most this many times the load that a stream really has, where refused records of a reshard's
/// minute are tried again. With less, a legal step would break the invariant; with more, an illegal step would not.
const SURELY_NOT_MORE: f64 = 1.25;

/// The second in which CloudWatch has published a full minute after the second `done`, at the earliest.
fn full_minute_published(done: i64) -> i64 {
    (done + 59) / 60 * 60 + 60 + PUBLISHED_AFTER
}

impl Check {
    /// Changes of unthrottle on the stream that is there now: all of them, or those since a person made it anew.
    pub(super) fn made_on_this_stream(&self) -> &[OwnChange] {
        &self.made[self.recreated.map_or(0, |(_, made)| made)..]
    }

    /// Reshards of unthrottle before the schedule, which a stream that was made anew does not have.
    pub(super) fn reshards_before(&self) -> usize {
        if self.recreated.is_some() { 0 } else { self.situation.reshards_before().len() }
    }

    pub(super) fn must_be_fresh(&self, call: &Call<'_>) -> Checked {
        let age = call.sent - call.seen.asked;
        let status = call.seen.observation.stream.as_ref().map(|stream| &stream.status);
        if age < FRESH && status == Some(&Status::Active) {
            return Ok(());
        }
        self.fails(
            Invariant::FreshObservation,
            format!("a change left {age} s after an observation that saw the stream {status:?}"),
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
            Some(most) if is_more && at_least > most + COST_TOLERANCE => {
                let remedy = call.remedy;
                self.fails(Invariant::Bounded, format!("{remedy:?} costs ${at_least} an hour, and ${most} is allowed"))
            }
            _ => Ok(()),
        }
    }

    /// A refusal is legal only if the run could not foresee it.
    pub(super) fn must_be_unforeseeable(&self, call: &Call<'_>, refusal: &Refusal) -> Checked {
        let seen = call.seen.observation.stream.as_ref();
        let is_as_seen =
            seen.is_some_and(|seen| (&seen.mode, seen.open_shards) == (&call.before.mode, call.before.open_shards));
        let is_unforeseeable = match refusal.code {
            "ResourceInUseException" => true,
            _ if !is_as_seen => true,
            // The shards of the observation are those of the stream before.
            _ if self.recreated.is_some_and(|(at, _)| at >= call.seen.asked - call.seen.stale) => true,
            "LimitExceededException" if refusal.is_of_a_quota() => {
                // A container keeps the limits for a minute. So only a change that ended since can explain the refusal:
                // a person's, or one whose memory a person has deleted.
                call.limits_of.is_none_or(|read| read <= self.settled_by_anyone)
            }
            "LimitExceededException" => !self.is_spent(call.remedy.kind(), call.seen),
            _ => false,
        };
        if is_unforeseeable {
            return Ok(());
        }
        self.fails(Invariant::NoIllegalCall, format!("{:?}: {refusal}; the stream was as observed", call.remedy))
    }

    /// Whether unthrottle's own changes have spent a daily cap of AWS. The memory shows these changes. Of a memory that
    /// is deleted, the AutoFix metric shows them. A memory that a person has replaced shows nothing, and the metric
    /// alone may be forged: then AWS's refusal tells.
    fn is_spent(&self, kind: ChangeKind, seen: &Seen) -> bool {
        if self.is_forged {
            return false;
        }
        let (reshards, switches) = budgets(kind);
        let is_known = |made: &&OwnChange| !self.is_untagged_since(made) || is_published(made, seen);
        // AWS counts the changes of a new stream from its creation.
        let made = self.made_on_this_stream().iter().filter(|made| budgets(made.kind) == (reshards, switches));
        let made = made.filter(is_known).count();
        let before = if reshards { self.reshards_before() } else { 0 };
        (reshards && made + before >= RESHARDS_A_DAY) || (switches && made >= SWITCHES_A_DAY)
    }

    /// The first second of a run's evidence. AWS does not report a person's change. A run finds such a change only if
    /// the stream differs from the state after the last change.
    fn evidence_from(&self, before: &Stream) -> i64 {
        // With a stranger's datum, a run may take a person's change for one of its own.
        if !self.forged_fixes.is_empty() {
            return self.settled;
        }
        let last = self.made.last().filter(|last| !self.is_untagged_since(last));
        let is_external = last.is_some_and(|last| last.to != before.open_shards);
        // The run does not see a person's change back to the state that the run before has seen.
        let is_as_known = self.known_before.open_shards == before.open_shards;
        match (is_external, is_as_known) {
            (false, _) => self.settled,
            (true, true) => self.known_before.settled,
            (true, false) => self.resharded_by_anyone,
        }
    }

    pub(super) fn must_be_next(&self, call: &Call<'_>) -> Checked {
        let Some(last) = self.made_on_this_stream().iter().rev().find(|made| is_of_capacity(made.kind)) else {
            return Ok(());
        };
        let published = full_minute_published(last.done);
        if call.seen.asked >= published || self.is_certain(call) {
            return Ok(());
        }
        let (at, done) = (last.at, last.done);
        self.fails(
            Invariant::OneChangeAStep,
            format!(
                "{:?} by an observation of second {}; the change of second {at} was done at {done}, and no full \
                 minute after it was published before {published}",
                call.remedy, call.seen.asked
            ),
        )
    }

    /// Whether a step is due before the last one has shown its effect: the new records alone fill the shards.
    fn is_certain(&self, call: &Call<'_>) -> bool {
        matches!(call.remedy, Remedy::ScaleShards { from, .. }
            if self.situation.new_records_a_second() >= f64::from(*from) * FULL_SHARD / 60.0)
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
        // A step before that evidence is supported by the load itself.
        let is_early = call.seen.asked < full_minute_published(since);
        let new = (60.0 * SURELY_NOT_MORE * self.situation.new_records_a_second()) as u64;
        let most = if is_early && self.is_certain(call) { most.max(Some(new)) } else { most };
        match *call.remedy {
            Remedy::ScaleShards { from, to, .. } => {
                // A reshard may open more shards than needed if the quota has no headroom for its short-lived shards.
                // Shards that were split by shard metrics have uneven loads.
                let is_exact = self.situation.kind != Kind::NearQuota && !call.before.shows_shards();
                // One more: AWS reshards faster to a multiple of a quarter.
                let needed =
                    most.map_or(0, |offered| if is_exact { needs(offered).ceil() as u32 + 1 } else { u32::MAX });
                // A load that returns after two reshards of the day may get twice the shards that it needs.
                let is_back = self.reshards_made() >= 2 && evidence().any(|(_, refused)| *refused == 0);
                let needed = if is_back { needed.saturating_mul(2) } else { needed };
                // A reshard makes the shards equal that a person has split by hand. AWS does nothing without one more.
                let is_uneven = !self.changed_by_people.is_empty();
                let needed = if is_uneven { needed.max(from + 2) } else { needed };
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
                // CloudWatch has not published the newest minutes yet.
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
            // A person's change may make the throttling curable.
            _ if !self.changed_by_people.is_empty() => true,
            // Two splits of the same split history show that one key is hot, if the memory of the splits exists.
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
