//! A stream that is not throttled: which of our own changes are to be undone, and whether they can be.

use super::Case;
use super::bounds::is_too_expensive;
use super::foresight::is_worth_a_reshard;
use super::history::History;
use super::lag::unknown_consumers;
use super::metrics_off::{METRICS_ON_FOR, is_diagnosed, metrics_off};
use super::peak::Peak;
use crate::decision::{Bound, Evidence, Reason, Remedy};
use crate::memory::{ChangeKind, Memory, Planned, RESHARDS_A_DAY};
use crate::observation::{CapacityMode, LOOKBACK_HOURS, Minute, Stream};
use crate::policy::{Permission, StreamPolicy};
use crate::signal::Undo;
use crate::words::{are, count, many, time};
use chrono::{DateTime, TimeDelta, Utc};

/// Hours from one restore to the next. The peak load is known whatever the shards, so the wait is only for what the
/// last restore throttles: most batches of producers come within an hour.
const HOURS_AFTER_RESTORE: i64 = 1;

/// Reshards of a day that an automatic restore leaves unused: the next load may need them.
const RESHARDS_KEPT: usize = 2;

const HEALTHY: Reason = Reason::Healthy { healed: None };

/// Who wants a restore, and so what may prevent it.
#[derive(Clone, Copy, PartialEq)]
enum Wish {
    /// The hours without throttling that the operator set are over.
    Automatic,
    /// A person asks for it.
    ByHand,
    /// A person asks for it, whatever the load.
    Forced,
}

impl Case<'_> {
    /// No throttling, and no change of ours that waits for its verification: what is left to undo.
    pub(super) fn undo(
        &mut self,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &mut History,
        newest: Minute,
    ) -> Result<Remedy, Reason> {
        let undone = self.pending_undo(stream, policy, history, newest);
        if undone.is_err() {
            self.record_restore_tried(history);
        }
        undone
    }

    /// Records that something prevents a restore, if there is anything to restore.
    pub(super) fn record_restore_tried(&self, history: &mut History) {
        if self.policy.restore_after_hours > 0 && is_raised(&history.memory) {
            history.record_restore_tried(self.now);
        }
    }

    fn pending_undo(
        &mut self,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
    ) -> Result<Remedy, Reason> {
        let after = if is_diagnosed(&history.memory) { TimeDelta::zero() } else { METRICS_ON_FOR };
        if let Some(metrics_off) = metrics_off(stream, history, self.now, after) {
            history.not_refused_lately(self.now)?;
            return Ok(metrics_off);
        }
        let hours = self.calm_hours(policy, history);
        if hours == 0 || !self.is_without_throttling(history, newest, hours) {
            return Err(HEALTHY);
        }
        if self.is_switch_pending(stream, policy, history) {
            return self.switch_back(stream, policy, history, newest, Wish::Automatic);
        }
        let base = history.memory.base.filter(|_| stream.mode == CapacityMode::Provisioned).ok_or(HEALTHY)?;
        // A reason against a restore is no news: the shards are restored when the reason has gone.
        let is_kept = self.is_kept_for_throttles(policy, history);
        let prevents = self.prevents_restore(stream, history, newest, Wish::Automatic);
        if !history.last_is_done(stream) || is_kept || prevents.is_some() {
            return Err(HEALTHY);
        }
        let evenness = self.evenness(newest, base, history);
        let open = stream.open_shards;
        let calm = self.peak(newest, hours, evenness, open);
        let ahead = self.peak_ahead(newest, hours, evenness, open);
        let peak = if ahead.shards > calm.shards { ahead } else { calm };
        let kept = self.kept_for_later(stream, policy, history, newest, calm.full_shards);
        let restore = self.restore(stream, policy, history, (base, kept), Some(peak)).map_err(|_| HEALTHY)?;
        if is_worth_a_reshard(&restore, policy, base) { Ok(restore) } else { Err(HEALTHY) }
    }

    /// A person asks to undo the last change. The checks of the load and of AWS's limits are the same. An undo by hand
    /// does not wait for hours without throttling, or for a day after a split or our switch, does not look at
    /// yesterday's next hours, and may use the reshards kept for more load. Shard-level metrics that are on because of
    /// us go off first. A forced undo does not look at the load, at the readers or at a plan at all: it ends the plan.
    pub(super) fn undo_by_hand(
        &mut self,
        undo: Undo,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
    ) -> Result<Remedy, Reason> {
        if let Some(off) = metrics_off(stream, history, self.now, TimeDelta::zero()).filter(|_| undo.to.is_none()) {
            return Ok(off);
        }
        let wish = if undo.force { Wish::Forced } else { Wish::ByHand };
        if stream.mode == CapacityMode::OnDemand {
            return if history.memory.was_provisioned && undo.to.is_none() {
                self.switch_back(stream, policy, history, newest, wish)
            } else {
                not_restorable("it is in on-demand mode, and unthrottle has not switched it there")
            };
        }
        let last = history.memory.change.as_ref().filter(|change| change.is_done(stream) && change.to > change.from);
        let before = history.memory.base.or(last.and_then(|change| change.from.shards()));
        let Some(target) = undo.to.or(before.filter(|_| history.last_is_done(stream))) else {
            return not_restorable("no change of ours is left to undo; give the number of shards with --to");
        };
        if target >= stream.open_shards {
            let open = many(stream.open_shards, "shard");
            return not_restorable(&format!("it has {open}, and a restore only removes shards"));
        }
        if let Some(why) = self.prevents_restore(stream, history, newest, wish) {
            return Err(Reason::NotRestorable(why));
        }
        let hours = i64::from(self.policy.restore_after_hours).max(1);
        let peak = || self.peak(newest, hours, self.evenness(newest, target, history), stream.open_shards);
        let peak = (wish != Wish::Forced).then(peak);
        let kept = if wish == Wish::Forced { 1 } else { self.planned_shards(history) };
        self.restore(stream, policy, history, (target, kept), peak).map_err(Reason::NotRestorable)
    }

    /// A person asks to undo a change of a stream that is throttled. Fewer shards would refuse more.
    pub(super) fn undo_while_throttled(&self) -> Reason {
        let Evidence { write_throttled_records, read_throttled_calls, window_minutes, .. } = self.decision.evidence;
        let records = write_throttled_records.unwrap_or_default();
        let refused = match records > 0.0 {
            true => many(records.round() as u64, "record"),
            false => many(read_throttled_calls.unwrap_or_default().round() as u64, "GetRecords call"),
        };
        let minutes = many(window_minutes.unwrap_or_default(), "minute");
        Reason::NotRestorable(format!(
            "it is throttled now ({refused} refused in {minutes}), and fewer shards refuse more. Try again after two \
             minutes without throttling; --force does not change that"
        ))
    }

    /// Whether nothing was throttled for `hours`, and nothing of ours changed for as long as a restore needs.
    fn is_without_throttling(&self, history: &History, newest: Minute, hours: i64) -> bool {
        let first = newest.plus(1 - 60 * hours);
        let is_quiet = first.to(newest).all(|minute| !self.observation.traffic.minute(minute).is_throttled());
        let unchanged = newest.plus(1 - 60 * unchanged_for(&history.memory, hours));
        is_quiet && history.evidence_from.is_none_or(|from| from <= unchanged.start())
    }

    /// What prevents a restore, whatever the number of shards.
    fn prevents_restore(&mut self, stream: &Stream, history: &History, newest: Minute, wish: Wish) -> Option<String> {
        let (spent, is_allowed) = history.budget(ChangeKind::Restore, self.now);
        let behind = self.decision.evidence.backlog_milliseconds().filter(|_| wish != Wish::Forced);
        if let Some(behind) = behind {
            return Some(format!(
                "its readers are behind ({}), and that backlog stays on the old shards. Try again when they have \
                 caught up, or use --force",
                time(behind)
            ));
        }
        if let Some(refused) = history.memory.refused.filter(|_| history.is_refused(ChangeKind::Restore, self.now)) {
            let again = refused.at + TimeDelta::hours(LOOKBACK_HOURS);
            return Some(format!("AWS refused a restore at {}; try again after {}", utc(refused.at), utc(again)));
        }
        if !is_allowed {
            let again = history.next_reshard().map_or_else(|| "24 hours".into(), utc);
            return Some(format!(
                "AWS allows {RESHARDS_A_DAY} reshards in 24 hours, and {spent} are spent; try again after {again}"
            ));
        }
        let is_automatic = wish == Wish::Automatic;
        if is_automatic && spent + RESHARDS_KEPT >= RESHARDS_A_DAY {
            return Some(format!("{RESHARDS_KEPT} reshards of a day are kept for more load"));
        }
        if is_automatic && !history.split_histories(self.now).is_empty() {
            return Some("a hot shard of it was split today".into());
        }
        if stream.open_shards < 2 {
            return Some("it has one shard".into());
        }
        if wish == Wish::Forced { None } else { self.unknown_readers(stream, newest) }
    }

    /// The readers whose delay is unknown, which prevent a restore: a reader that is behind would read its backlog from
    /// fewer shards. A person may know better.
    fn unknown_readers(&mut self, stream: &Stream, newest: Minute) -> Option<String> {
        let unknown = unknown_consumers(&self.observation.traffic, stream, newest);
        if unknown > 0 {
            self.decision.evidence.consumers_of_unknown_delay = Some(unknown);
            return Some(format!(
                "CloudWatch does not show how far {unknown} of its {} registered consumers are behind. Deregister a \
                 consumer that no longer reads, or use --force",
                stream.consumers
            ));
        }
        let (last, age) = self.unseen_poller(newest)?;
        let evidence = &mut self.decision.evidence;
        evidence.record_unseen_reader(last, age);
        evidence.restore_waits_for_unseen_reader = Some(true);
        Some(format!(
            "its reader was {} behind when CloudWatch last showed it, until {}, and may be behind still. Try again \
             when it reads, or use --force",
            time(age),
            utc(last.end())
        ))
    }

    /// The step from the open shards down towards `target`. AWS's half, the peak, and the person's minimum bound it.
    /// `kept`: the shards that a plan, or the coming hours, need. `peak`: `None` where a person forces it. `Err`: why
    /// there is no step.
    fn restore(
        &mut self,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        (target, kept): (u32, u32),
        peak: Option<Peak>,
    ) -> Result<Remedy, String> {
        let from = stream.open_shards;
        if policy.min_shards >= from {
            let (minimum, from) = (many(policy.min_shards, "shard"), count(from.into()));
            return Err(format!("your minimum is {minimum}, and it has {from}"));
        }
        let floors = [
            (target, None),
            (from.div_ceil(2), Some(Bound::Half)),
            (peak.map_or(1, |peak| peak.shards), Some(Bound::Peak)),
            (kept, Some(Bound::Kept)),
            (policy.min_shards, Some(Bound::MinShards)),
        ];
        // Of equal floors the sentence names the first.
        let highest = floors.into_iter().rev().max_by_key(|(shards, _)| *shards);
        let (to, partial) = highest.unwrap_or((from, None));
        if let Some(peak) = peak {
            peak.record(&mut self.decision.evidence);
        }
        if kept >= from {
            return Err(self.kept_by_plan(history, from));
        }
        if to >= from {
            let from = many(from, "shard");
            let needs_all = |peak: Peak| format!("{} needs all {from}; {}", peak.of_hours(), by_hand_after(peak));
            return Err(peak.map_or_else(|| format!("it has {from}"), needs_all));
        }
        let left = self.observation.limits.map_or(u32::MAX, |limits| limits.shards_left());
        // On the way down AWS opens no more shards than there will be.
        if to > left {
            let (left, to) = (many(left, "shard"), count(to.into()));
            return Err(format!("the account's quota has room for {left}, and AWS may open {to} on the way down"));
        }
        Ok(Remedy::Restore { from, to, partial })
    }

    /// Why a stream of `open` shards keeps them all for a plan, or for the coming hours. Only a person learns of it,
    /// and for a person only a plan counts.
    fn kept_by_plan(&self, history: &History, open: u32) -> String {
        match history.memory.planned {
            Some(Planned { at_least, until }) => format!(
                "at least {} planned until {}, and it has {}. Try again then, or use --force, which ends the plan",
                are(at_least.into(), "shard"),
                utc(until),
                count(open.into())
            ),
            None => format!("the next hours need its {}", many(open, "shard")),
        }
    }

    fn is_switch_pending(&self, stream: &Stream, policy: &StreamPolicy, history: &History) -> bool {
        let is_ours = history.memory.was_provisioned && stream.mode == CapacityMode::OnDemand;
        // AWS allows two switches a day, and one of them is a person's: none of ours may be less than a day old.
        let (spent, _) = history.budget(ChangeKind::Switch, self.now);
        is_ours && policy.on_demand == Permission::Allow && spent == 0
    }

    fn switch_back(
        &self,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
        wish: Wish,
    ) -> Result<Remedy, Reason> {
        let back = Remedy::SwitchToProvisioned { shards: stream.open_shards };
        // AWS allows two switches a day. A load that comes every day would find too few shards, and no switch left.
        // Keys that were uneven before the switch are uneven after it.
        let open = stream.open_shards;
        let evenness = || self.evenness(newest, history.memory.base.unwrap_or(open), history);
        let is_looked_at = wish != Wish::Forced;
        let peak = is_looked_at.then(|| self.peak_of_day(newest, evenness(), open.saturating_add(1)));
        let again = if wish == Wish::Automatic { None } else { peak.map(by_hand_after) };
        let obstacle = self.obstacle_of_stream(stream, policy, peak, again);
        match obstacle.or_else(|| self.obstacle_of_limits(&back, stream, history)) {
            None => Ok(back),
            Some(why) => Err(Reason::NotRestorable(why)),
        }
    }

    /// What of the stream itself prevents provisioned mode. What AWS does not say prevents it, too.
    fn obstacle_of_stream(
        &self,
        stream: &Stream,
        policy: &StreamPolicy,
        peak: Option<Peak>,
        again: Option<String>,
    ) -> Option<String> {
        let open = stream.open_shards;
        let of_on_demand = |what: &str, number: Option<u32>| match number {
            Some(0) => None,
            Some(some) => Some(format!("it has {what} ({some}), which need on-demand mode")),
            None => Some(format!("AWS does not say whether it has {what}")),
        };
        let would_keep = |why: &str| Some(format!("it would keep {}, {why}", many(open, "shard")));
        let sources = of_on_demand("channels", stream.channels).or_else(|| of_on_demand("queues", stream.queues));
        if let Some(why) = sources {
            return Some(why);
        }
        if open == 0 {
            return Some("its number of shards is not known".into());
        }
        if open < policy.min_shards {
            return would_keep(&format!("below the minimum of {}", count(policy.min_shards.into())));
        }
        if let Some(peak) = peak.filter(|peak| peak.shards > open) {
            let needed = count(peak.shards.into());
            let again = again.unwrap_or_else(|| format!("it counts until {}", utc(peak.until)));
            return would_keep(&format!("and {} needs {needed}; {again}", peak.of_hours()));
        }
        if open > policy.max_shards {
            return would_keep(&format!("above the maximum of {}", count(policy.max_shards.into())));
        }
        None
    }

    /// What of the account, of AWS or of the cost prevents provisioned mode.
    fn obstacle_of_limits(&self, back: &Remedy, stream: &Stream, history: &History) -> Option<String> {
        let open = stream.open_shards;
        let Some(limits) = self.observation.limits else {
            return Some("AWS does not say how many shards the account may open".into());
        };
        if limits.shards_left() < open {
            let (left, open) = (many(limits.shards_left(), "shard"), count(open.into()));
            return Some(format!("the account's quota has room for {left}, and it has {open}"));
        }
        if !history.budget(ChangeKind::SwitchBack, self.now).1 {
            return Some("AWS has refused it in the last 24 hours".into());
        }
        let max = self.policy.max_hourly_cost?;
        let cost = self.cost_of(back, stream, history);
        let after = cost.after_usd_per_hour;
        is_too_expensive(&cost, max).then(|| format!("it would cost ${after} an hour, above the maximum of ${max}"))
    }
}

/// What a person can do about a peak that is in the way.
fn by_hand_after(peak: Peak) -> String {
    format!("try again after {}, or use --force", utc(peak.until))
}

/// A time as a person reads it.
pub(super) fn utc(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// For how many hours nothing of ours may have changed before a restore, where nothing was throttled for `hours`.
pub(super) fn unchanged_for(memory: &Memory, hours: i64) -> i64 {
    let is_restored = memory.change.as_ref().is_some_and(|change| change.kind == ChangeKind::Restore);
    if is_restored { hours.min(HOURS_AFTER_RESTORE) } else { hours }
}

/// Whether there may be something to restore.
pub(super) fn is_raised(memory: &Memory) -> bool {
    memory.base.is_some() || memory.was_provisioned
}

fn not_restorable(why: &str) -> Result<Remedy, Reason> {
    Err(Reason::NotRestorable(why.into()))
}
