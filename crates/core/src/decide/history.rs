//! What the memory says about now: from when evidence counts, what is left of AWS's budgets, and what the next change
//! records.

use super::phase::{INCIDENT, Phase, is_to_heal, moves_shards};
use super::unpublished::is_published;
use crate::decision::{Healed, Reason, Remedy};
use crate::memory::{Change, ChangeKind, Memory, RESHARDS_A_DAY, SWITCHES_A_DAY, ShardMetrics, SplitHistory};
use crate::observation::{LOOKBACK_HOURS, Minute, SHARD_METRICS, Stream, Traffic};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use std::collections::BTreeMap;

/// How often a stream is checked only because its shards might be restored. Load that needs the shards may stay for
/// months.
pub(super) const RESTORE_TRIED_EVERY: TimeDelta = TimeDelta::hours(1);

/// Where the memory does not say when an incident began, its throttling is looked for from this long before the change
/// on. A change is made for minutes that CloudWatch publishes up to three minutes late. A shorter time would miss them;
/// a longer one would find the throttling of an earlier incident.
const THROTTLED_BEFORE: TimeDelta = TimeDelta::minutes(5);

/// The wait after one refusal. AWS's rate limits are per second, so a minute is plenty.
const REFUSED_ONCE: TimeDelta = TimeDelta::seconds(60);
/// The wait after two refusals in a row. Then the limit is a quota or a daily cap (the message cannot tell), and asking
/// again soon only makes noise.
const REFUSED_TWICE: TimeDelta = TimeDelta::hours(1);

/// The memory, read in the light of what the stream is now.
pub(super) struct History {
    /// As it should be written.
    pub memory: Memory,
    /// The memory, or its last change, was gone, and is rebuilt from our own metrics.
    pub is_rebuilt: bool,
    /// The life of the last change.
    pub phase: Phase,
    /// Evidence from before this never counts.
    pub evidence_from: Option<DateTime<Utc>>,
    /// Changes that are done, and whose AutoFix datum is missing.
    pub unpublished: Vec<(&'static str, DateTime<Utc>)>,
    /// When this run found that a change of ours was reverted.
    pub reverted: Option<DateTime<Utc>>,
}

impl History {
    /// Holds until the first full minute after the last change is published.
    pub fn settled(&self, newest: Minute) -> Result<(), Reason> {
        match (&self.memory.change, self.evidence_from) {
            (Some(change), Some(from)) if newest < Minute::from(from) => {
                Err(Reason::Settling { changed_at: change.at })
            }
            _ => Ok(()),
        }
    }

    /// When the last change was announced, where it waits for its verification and no full minute after it is
    /// published. A minute is surely full once CloudWatch has published a newer one.
    pub fn is_unproven(&self, newest: Minute) -> Option<DateTime<Utc>> {
        let change = self.unverified()?;
        let first = self.evidence_from.map(Minute::from)?;
        (newest <= first).then_some(change.at)
    }

    /// Records, once an hour, that something prevents a restore, so that no sweep checks it again before.
    pub fn record_restore_tried(&mut self, now: DateTime<Utc>) {
        if self.memory.restore_tried.is_none_or(|at| now - at >= RESTORE_TRIED_EVERY) {
            self.memory.restore_tried = Some(now.trunc_subsecs(0));
        }
    }

    /// The hold `reason`, or what a person must know instead: a change of ours did not help, and nothing is left to
    /// try.
    pub fn in_vain(&self, reason: Reason, now: DateTime<Utc>) -> Reason {
        let change = self.unverified().filter(|change| change.settled.is_some_and(|settled| now - settled < INCIDENT));
        match (change, &reason) {
            (Some(change), Reason::SkewSuspected(_) | Reason::MicroBurst | Reason::UnevenReads) => {
                Reason::NotHealed { change: Box::new(change.clone()), why: Box::new(reason) }
            }
            _ => reason,
        }
    }

    /// Whether the stream is as our last change left it, or as before where that change was never made.
    pub fn last_is_done(&self, stream: &Stream) -> bool {
        let change = self.memory.change.as_ref();
        change
            .is_some_and(|change| if self.phase.is_void() { change.is_undone(stream) } else { change.is_done(stream) })
    }

    /// How often another person or tool reverted our changes in the last 24 hours.
    pub fn reverts(&self, now: DateTime<Utc>) -> usize {
        let day = TimeDelta::hours(LOOKBACK_HOURS);
        self.memory.reverts.iter().filter(|at| now - **at < day).count()
    }

    /// Whether throttling now belongs to the incident of the last change.
    pub fn in_incident(&self, now: DateTime<Utc>) -> bool {
        let watched =
            self.memory.change.as_ref().filter(|c| !self.phase.is_void() && c.kind == ChangeKind::EnableShardMetrics);
        let change = self.unverified().or(watched);
        change.and_then(|change| change.settled).is_some_and(|settled| now - settled < INCIDENT)
    }

    /// Whether a run verified the last change.
    pub fn is_healed(&self) -> bool {
        !self.phase.is_void() && self.memory.change.as_ref().is_some_and(|change| change.healed.is_some())
    }

    /// The last change, if it was made to stop throttling and no run has verified it.
    pub fn unverified(&self) -> Option<&Change> {
        let change = self.memory.change.as_ref()?;
        (!self.phase.is_void() && is_to_heal(change.kind) && change.healed.is_none()).then_some(change)
    }

    /// The changes of ours in the last 24 hours that closed shards, oldest first: when each was announced, and when it
    /// had settled. Of earlier reshards the memory keeps only the first time, and of earlier splits none.
    pub fn moved_shards(&self) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let last = self.memory.change.as_ref().filter(|change| moves_shards(change.kind));
        let is_earlier = |at: &&DateTime<Utc>| self.memory.change.as_ref().is_none_or(|change| change.at != **at);
        let earlier = self.memory.reshards.iter().filter(is_earlier).map(|at| (*at, *at));
        let last = last.filter(|_| !self.phase.is_void()).and_then(|change| Some((change.at, change.settled?)));
        let mut moved: Vec<_> = earlier.chain(last).collect();
        moved.sort_unstable();
        moved
    }

    /// The stream is healthy. Records that the last change worked, if it waits for its verification and the stream is
    /// still as it left it.
    pub fn verify(&mut self, traffic: &Traffic, stream: &Stream, newest: Minute, now: DateTime<Utc>) -> Option<Healed> {
        let is_ours = |c: &&Change| c.is_done(stream) && now - c.at < TimeDelta::hours(LOOKBACK_HOURS);
        let change = self.unverified().filter(is_ours)?;
        let (from, to, kind) = (change.from, change.to, change.kind);
        let since = change.since.unwrap_or(change.at - THROTTLED_BEFORE);
        let first = Minute::of(since).max(newest.plus(-60 * LOOKBACK_HOURS));
        let last = first.to(newest).rev().find(|minute| traffic.minute(*minute).is_throttled());
        let took = last?.end() - since;
        let change = self.memory.change.as_mut()?;
        (change.healed, change.since) = (Some(now.trunc_subsecs(0)), None);
        Some(Healed { from, to, kind, took })
    }

    /// Changes of this kind in the last 24 hours, and whether AWS allows another. A memory may have lost some that the
    /// AutoFix metric still knows of: the larger number counts.
    pub fn budget(&self, kind: ChangeKind, traffic: &Traffic, now: DateTime<Utc>) -> (usize, bool) {
        let sum = |counts: &BTreeMap<Minute, u32>| counts.values().fold(0_u32, |sum, n| sum.saturating_add(*n));
        let (times, metric, cap) = match kind {
            ChangeKind::Scale | ChangeKind::Restore | ChangeKind::Lost | ChangeKind::External => {
                (&self.memory.reshards, sum(&traffic.reshards), RESHARDS_A_DAY)
            }
            ChangeKind::Switch | ChangeKind::SwitchBack => {
                (&self.memory.switches, sum(&traffic.mode_switches), SWITCHES_A_DAY)
            }
            // AWS has no cap on these.
            ChangeKind::Split
            | ChangeKind::WarmUp
            | ChangeKind::EnableShardMetrics
            | ChangeKind::DisableShardMetrics => {
                return (0, !self.is_refused(kind, now));
            }
        };
        let void = self.memory.change.as_ref().filter(|_| self.phase.is_void()).map(|c| c.at);
        let day = TimeDelta::hours(LOOKBACK_HOURS);
        let spent = times.iter().filter(|t| now - **t < day && Some(**t) != void).count();
        let spent = spent.max(usize::try_from(metric).unwrap_or(usize::MAX));
        (spent, spent < cap && !self.is_refused(kind, now))
    }

    /// Whether AWS allows no more changes of this kind today: it refused two in a row for a limit. A change that only
    /// helps a diagnosis, or undoes another, gets no second attempt.
    pub fn is_refused(&self, kind: ChangeKind, now: DateTime<Utc>) -> bool {
        use ChangeKind::{DisableShardMetrics, EnableShardMetrics, Restore, SwitchBack};
        let dispensable = matches!(kind, EnableShardMetrics | DisableShardMetrics | SwitchBack | Restore);
        let last = self.memory.refused.filter(|r| r.kind == kind && now - r.at < TimeDelta::hours(LOOKBACK_HOURS));
        last.is_some_and(|r| r.count >= 2 || dispensable)
    }

    /// Whether the memory of the last 24 hours is rebuilt from a metric, which does not show splits.
    pub fn is_lost(&self, now: DateTime<Utc>) -> bool {
        let is_recent = |change: &Change| now - change.at < TimeDelta::hours(LOOKBACK_HOURS);
        self.is_rebuilt || (self.phase == Phase::Lost && self.memory.change.as_ref().is_some_and(is_recent))
    }

    /// The split histories of the last 24 hours.
    pub fn split_histories(&self, now: DateTime<Utc>) -> Vec<SplitHistory> {
        let splits = self.memory.split_histories.iter().copied();
        splits.filter(|split| now - split.at < TimeDelta::hours(LOOKBACK_HOURS)).collect()
    }

    /// Holds for a while after AWS refused a change.
    pub fn not_refused_lately(&self, now: DateTime<Utc>) -> Result<(), Reason> {
        let Some(refused) = self.memory.refused else { return Ok(()) };
        let until = refused.at + if refused.count >= 2 { REFUSED_TWICE } else { REFUSED_ONCE };
        if now < until { Err(Reason::RefusedLately { until }) } else { Ok(()) }
    }

    /// The memory that announces `remedy`; `since`: when the first throttled minute seen began.
    pub fn intend(
        &self,
        remedy: &Remedy,
        stream: &Stream,
        traffic: &Traffic,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Memory {
        let (from, to) = remedy.step();
        let mut change = Change::intent(remedy.kind(), from.number(), to.number(), now);
        let at = change.at;
        let last = self.memory.change.as_ref();
        let same = self.in_incident(now).then(|| last?.since).flatten();
        change.since = Some(same.unwrap_or(since));
        change.after = self.evidence_from.filter(|t| now - *t < TimeDelta::hours(LOOKBACK_HOURS));
        let mut memory = self.memory.intend(change, self.phase.is_void());
        let is_ours = self.last_is_done(stream);
        match remedy {
            // A split is not undone: a merge would bring its load back to one shard.
            Remedy::SplitShard { .. } => memory.base = memory.base.filter(|_| is_ours),
            Remedy::ScaleShards { .. } => {
                memory.base = Some(memory.base.filter(|_| is_ours).unwrap_or(stream.open_shards))
            }
            Remedy::SwitchToOnDemand { .. } => {
                memory.base = Some(memory.base.filter(|_| is_ours).unwrap_or(stream.open_shards));
                memory.was_provisioned = true;
            }
            Remedy::EnableShardMetrics { metrics, .. } => {
                let on = SHARD_METRICS.map(|metric| metrics.contains(&metric));
                memory.shard_metrics = Some(ShardMetrics { on: Some(on), at });
            }
            // Found done, it is forgotten.
            Remedy::SwitchToProvisioned { .. }
            | Remedy::DisableShardMetrics { .. }
            | Remedy::WarmUp { .. }
            | Remedy::Restore { .. } => {}
        }
        let is_missing = |c: &&Change| !self.phase.is_void() && c.published.is_none() && !is_published(traffic, c.at);
        if let Some(earlier) = last.filter(|c| c.is_done(stream)).filter(is_missing) {
            (memory.unpublished, memory.resent) = (Some((earlier.kind, earlier.at)), earlier.resent);
        }
        memory
    }
}
