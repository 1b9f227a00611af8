//! A stream that is not throttled: what of our own doing is to be undone.

use super::Case;
use super::bounds::is_too_expensive;
use super::demand::{Offered, SHARD_READ_BYTES_PER_SECOND, shards_at};
use super::history::{History, RESHARDS_A_DAY};
use super::writes::FULL;
use crate::decision::{Bound, Reason, Remedy};
use crate::memory::{ChangeKind, Memory};
use crate::observation::{CapacityMode, LOOKBACK_HOURS, Minute, Stream};
use crate::policy::{Permission, StreamPolicy};
use crate::signal::Undo;
use chrono::{DateTime, TimeDelta, Utc};

/// Metrics stay on for so long without a diagnosis: skew that throttles now and then has an hour to show itself, and a
/// person to look at the shards.
pub(super) const METRICS_ON_FOR: TimeDelta = TimeDelta::hours(1);

/// Hours from one restore to the next. The peak of the calm hours is known whatever the shards, so only what the last one
/// throttles is waited for: most batches of producers come within an hour.
const RESTORED_FOR: i64 = 1;

/// Reshards of a day that giving shards back leaves untouched: the next load may need them.
const RESHARDS_KEPT: usize = 2;

impl Case<'_> {
    /// No throttling, and no change of ours that waits to be verified: what is left to undo.
    pub(super) fn undo(
        &mut self,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &mut History,
        newest: Minute,
    ) -> Result<Remedy, Reason> {
        let undone = self.undo_when_due(stream, policy, history, newest);
        if undone.is_err() {
            self.record_restore_tried(history);
        }
        undone
    }

    /// Something is in the way of giving the stream back, if there is anything to give back.
    pub(super) fn record_restore_tried(&self, history: &mut History) {
        if self.policy.restore_after_hours > 0 && is_raised(&history.memory) {
            history.record_restore_tried(self.now);
        }
    }

    fn undo_when_due(
        &mut self,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
    ) -> Result<Remedy, Reason> {
        const HEALTHY: Reason = Reason::Healthy { healed: None };
        let after = if is_diagnosed(&history.memory) { TimeDelta::zero() } else { METRICS_ON_FOR };
        if let Some(unwatch) = metrics_off(stream, history, self.now, after) {
            history.not_refused_lately(self.now)?;
            return Ok(unwatch);
        }
        let hours = i64::from(self.policy.restore_after_hours);
        if hours == 0 || !self.is_calm(history, newest, hours) {
            return Err(HEALTHY);
        }
        if self.is_switch_due(stream, policy, history) {
            return self.switch_back(stream, policy, history, newest, hours);
        }
        let Some(base) = history.memory.base.filter(|_| stream.mode == CapacityMode::Provisioned) else {
            return Err(HEALTHY);
        };
        // What stands in the way of giving shards back is no news: they are given back when it has gone.
        let is_free = history.last_is_done(stream) && self.no_restore(stream, history, true).is_none();
        if !is_free {
            return Err(HEALTHY);
        }
        self.restore(stream, policy, newest, hours, base).map_err(|_| HEALTHY)
    }

    /// A person missing the last change of ours taken back: the same checks, but for the calm hours, the day after a split, and
    /// the reshards kept for more load.
    pub(super) fn undo_by_hand(
        &mut self,
        undo: Undo,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
    ) -> Result<Remedy, Reason> {
        let unwatch = metrics_off(stream, history, self.now, TimeDelta::zero());
        if let Some(unwatch) = unwatch.filter(|_| undo.to.is_none()) {
            return Ok(unwatch);
        }
        let hours = i64::from(self.policy.restore_after_hours).max(1);
        if stream.mode == CapacityMode::OnDemand {
            let is_ours = history.memory.was_provisioned;
            return if is_ours && undo.to.is_none() {
                self.switch_back(stream, policy, history, newest, hours)
            } else {
                not_restorable("it is in on-demand mode, and unthrottle has not switched it there")
            };
        }
        let last = history.memory.change.as_ref().filter(|change| change.is_done(stream) && change.to > change.from);
        let before = history.memory.base.or(last.map(|change| change.from));
        let Some(target) = undo.to.or(before.filter(|_| history.last_is_done(stream))) else {
            return not_restorable("no change of ours is left to take back; give the number of shards");
        };
        if target >= stream.open_shards {
            return not_restorable(&format!("it has {} shards, and shards are only taken back", stream.open_shards));
        }
        if let Some(why) = self.no_restore(stream, history, false) {
            return Err(Reason::NotRestorable(why));
        }
        self.restore(stream, policy, newest, hours, target).map_err(Reason::NotRestorable)
    }

    /// Whether nothing was throttled for so many hours, and nothing of ours changed for as long as that needs.
    fn is_calm(&self, history: &History, newest: Minute, hours: i64) -> bool {
        let first = newest.plus(1 - 60 * hours);
        let is_quiet = first.to(newest).all(|minute| !self.observation.traffic.minute(minute).is_throttled());
        let unchanged = newest.plus(1 - 60 * unchanged_for(&history.memory, hours));
        is_quiet && history.evidence_from.is_none_or(|from| from <= unchanged.start())
    }

    /// What stands in the way of giving shards back, whatever their number.
    fn no_restore(&self, stream: &Stream, history: &History, is_automatic: bool) -> Option<String> {
        let (spent, allowed) = history.budget(ChangeKind::Restore, &self.observation.traffic, self.now);
        let kept = if is_automatic { RESHARDS_KEPT } else { 0 };
        let behind = self.decision.evidence.backlog_milliseconds();
        match () {
            () if behind.is_some() => Some("its readers are behind".into()),
            () if !allowed => Some("AWS allows no more reshards of it today".into()),
            () if spent + kept >= RESHARDS_A_DAY => Some(format!(
                "{spent} of the {RESHARDS_A_DAY} reshards of a day are spent, and two are kept for more load"
            )),
            () if is_automatic && !history.split_histories(self.now).is_empty() => {
                Some("a hot shard of it was split today".into())
            }
            () if stream.open_shards < 2 => Some("it has one shard".into()),
            () => None,
        }
    }

    /// The step from the open shards down towards `target`: no further than AWS, the peak of so many hours, and the
    /// person's minimum allow. `Err`: why not one.
    fn restore(
        &self,
        stream: &Stream,
        policy: &StreamPolicy,
        newest: Minute,
        hours: i64,
        target: u32,
    ) -> Result<Remedy, String> {
        let from = stream.open_shards;
        let floors = [
            (target, None),
            (from.div_ceil(2), Some(Bound::Half)),
            (self.peak(newest, hours, self.evenness(newest, target)), Some(Bound::Peak)),
            (policy.min_shards, Some(Bound::MinShards)),
        ];
        // Of equal floors the first is the one that is said.
        let highest = floors.into_iter().rev().max_by_key(|(shards, _)| *shards);
        let (to, partial) = highest.unwrap_or((from, None));
        let left = self.observation.limits.map_or(u32::MAX, |limits| limits.shards_left());
        if to >= from {
            let hours = if hours == 1 { "hour".to_owned() } else { format!("{hours} hours") };
            return Err(format!("the peak of the last {hours}, or your minimum, needs all that it has"));
        }
        // On the way down no more are opened than there will be.
        if to > left {
            return Err(format!(
                "the account's quota has room for {left} shards, and {to} may be opened on the way down"
            ));
        }
        Ok(Remedy::Restore { from, to, partial })
    }

    /// The shards that the peak of so many hours needs, written or read, where each takes the share `even` of what it
    /// could before the first of them is full.
    fn peak(&self, newest: Minute, hours: i64, even: f64) -> u32 {
        let traffic = &self.observation.traffic;
        let full = newest.plus(1 - 60 * hours).to(newest).map(|minute| {
            let read = traffic.minute(minute).get_records_bytes / 60.0 / SHARD_READ_BYTES_PER_SECOND;
            Offered::in_minute(traffic, minute).shards().unwrap_or_default().max(read)
        });
        shards_at(full.fold(0.0, f64::max) / even, self.policy.target_utilization)
    }

    /// How even the keys are, from 0 to 1: the most that the stream took at `base` shards while it throttled, as a share of
    /// what they could take. Keys that were uneven then are uneven still. A minute that took less than [`FULL`] shows a
    /// burst or one key, and says nothing of a whole minute's load.
    fn evenness(&self, newest: Minute, base: u32) -> f64 {
        let traffic = &self.observation.traffic;
        let day = newest.plus(1 - 60 * LOOKBACK_HOURS).to(newest);
        let throttled = day.filter(|minute| traffic.minute(*minute).write_throttled > 0.0);
        let taken = throttled.map(|minute| Offered::accepted_shards(traffic, minute) / f64::from(base.max(1)));
        taken.filter(|taken| *taken >= FULL).reduce(f64::max).map_or(1.0, |taken| taken.min(1.0))
    }

    fn is_switch_due(&self, stream: &Stream, policy: &StreamPolicy, history: &History) -> bool {
        let ours = history.memory.was_provisioned && stream.mode == CapacityMode::OnDemand;
        // AWS allows two switches a day, and one of them is a person's: none of ours may be less than a day old.
        let (spent, _) = history.budget(ChangeKind::Switch, &self.observation.traffic, self.now);
        ours && policy.on_demand == Permission::Allow && spent == 0
    }

    fn switch_back(
        &self,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
        hours: i64,
    ) -> Result<Remedy, Reason> {
        let back = Remedy::SwitchToProvisioned { shards: stream.open_shards };
        match self.hindrance(&back, stream, policy, history, newest, hours) {
            None => Ok(back),
            Some(why) => Err(Reason::NotRestorable(why)),
        }
    }

    /// What stands in the way of provisioned mode. What AWS does not say stands in the way, too.
    fn hindrance(
        &self,
        back: &Remedy,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
        hours: i64,
    ) -> Option<String> {
        let traffic = &self.observation.traffic;
        let needed = self.peak(newest, hours, 1.0);
        let open = stream.open_shards;
        let count = |what: &str, count: Option<u32>| match count {
            Some(0) => None,
            Some(some) => Some(format!("it has {what} ({some}), which need on-demand mode")),
            None => Some(format!("AWS does not say whether it has {what}")),
        };
        let hindrances = [
            count("channels", stream.channels),
            count("queues", stream.queues),
            (open == 0).then(|| "its number of shards is not known".to_owned()),
            (open < policy.min_shards)
                .then(|| format!("it would keep {open} shards, below the minimum of {}", policy.min_shards)),
            (needed > open).then(|| format!("its peak needs {needed} shards, and it would keep {open}")),
            (open > policy.max_shards)
                .then(|| format!("it would keep {open} shards, above the maximum of {}", policy.max_shards)),
            match self.observation.limits {
                Some(limits) if limits.shards_left() < open => {
                    Some(format!("the account's quota has room for {} shards, and it has {open}", limits.shards_left()))
                }
                Some(_) => None,
                None => Some("AWS does not say how many shards the account may open".to_owned()),
            },
            (!history.budget(ChangeKind::SwitchBack, traffic, self.now).1)
                .then(|| "AWS has refused it in the last 24 hours".to_owned()),
            self.policy.max_hourly_cost.and_then(|max| {
                let cost = self.cost_of(back, stream, history);
                let after = cost.after_usd_per_hour;
                is_too_expensive(&cost, max)
                    .then(|| format!("it would cost ${after} an hour, above the maximum of ${max}"))
            }),
        ];
        hindrances.into_iter().flatten().next()
    }
}

/// The shard-level metrics that we switched on `after` ago or longer, and are still on: off again.
fn metrics_off(stream: &Stream, history: &History, now: DateTime<Utc>, after: TimeDelta) -> Option<Remedy> {
    let watch = history.memory.shard_metrics.filter(|watch| now - watch.at >= after)?;
    let is_on = |metric: &&str| !stream.metrics_off().any(|off| off == *metric);
    let metrics: Vec<_> = watch.names().filter(is_on).collect();
    let is_refused = history.is_refused(ChangeKind::DisableShardMetrics, now);
    (!metrics.is_empty() && !is_refused).then_some(Remedy::DisableShardMetrics { shards: stream.open_shards, metrics })
}

/// For how many hours nothing of ours may have changed, where nothing was throttled for `calm` hours.
pub(super) fn unchanged_for(memory: &Memory, calm: i64) -> i64 {
    let is_restored = memory.change.as_ref().is_some_and(|change| change.kind == ChangeKind::Restore);
    if is_restored { calm.min(RESTORED_FOR) } else { calm }
}

/// Whether there may be something to give back.
pub(super) fn is_raised(memory: &Memory) -> bool {
    memory.base.is_some() || memory.was_provisioned
}

/// Whether the metrics that we switched on have shown a shard to split.
pub(super) fn is_diagnosed(memory: &Memory) -> bool {
    memory.shard_metrics.is_some_and(|watch| memory.split_histories.iter().any(|line| line.at >= watch.at))
}

/// The same where a decision holds, and does not wait for something that is to come: metrics cost money.
pub(super) fn switch_metrics_off_in_hold(
    reason: Reason,
    stream: &Stream,
    history: &History,
    now: DateTime<Utc>,
) -> Result<Remedy, Reason> {
    use Reason::{EvidencePending, Healthy, RefusedLately, Resharding, Settling, Unconfirmed};
    match reason {
        Resharding | Settling { .. } | EvidencePending | Unconfirmed { .. } | RefusedLately { .. } => Err(reason),
        Healthy { healed: Some(_) } => Err(reason),
        _ => metrics_off(stream, history, now, METRICS_ON_FOR).ok_or(reason),
    }
}

fn not_restorable(why: &str) -> Result<Remedy, Reason> {
    Err(Reason::NotRestorable(why.into()))
}
