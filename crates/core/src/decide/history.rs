//! What the memory says about now: from when evidence counts, what is left of AWS's budgets, and what the next change
//! records.

use super::phase::{INCIDENT, Phase, is_to_heal, moves_shards};
use super::unpublished::is_uncounted;
use crate::decision::{Healed, Reason, Remedy};
use crate::memory::{Change, ChangeKind, Memory, RESHARDS_A_DAY, SWITCHES_A_DAY, ShardMetrics, SplitHistory};
use crate::observation::{LOOKBACK_HOURS, Minute, SHARD_METRICS, Stream, Traffic};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// How often a stream is checked only because its shards might be restored. Load that needs the shards may stay for
/// months.
pub(super) const RESTORE_TRIED_EVERY: TimeDelta = TimeDelta::hours(1);

/// Where the memory does not say when an incident began, its throttling is looked for from this long before the change
/// on. A change is made for minutes that CloudWatch publishes up to three minutes late. A shorter time would miss them;
/// a longer one would find the throttling of an earlier incident.
const THROTTLED_BEFORE: TimeDelta = TimeDelta::minutes(5);

/// Two reverts within 24 hours mean that another tool or person reverts on purpose. One may be an accident.
const REVERTS_ON_PURPOSE: usize = 2;

/// The wait after one refusal. AWS's rate limits are per second, so a minute is plenty.
const REFUSED_ONCE: TimeDelta = TimeDelta::seconds(60);
/// The wait after two refusals in a row. A rate that other callers use up is free again within minutes. With less time,
/// the attempts would add to the calls of a busy account; with more, a stream would wait for a rate that is long free.
const REFUSED_TWICE: TimeDelta = TimeDelta::minutes(5);

/// Refusals for a limit that go on for as many minutes are for the cap of a day: AWS's call rates are per second, and
/// rates and caps have the same text (`LimitExceededException`). A shorter time would take a busy minute of the account
/// for a spent day; a longer time delays the switch to on-demand mode.
const SPENT_AFTER_MINUTES: u32 = 15;

/// The first two reshards of a day go to the needed shards and no further. A load that needs a third has grown since
/// the first. From then on a reshard goes to twice the need: AWS allows ten a day, and eight doublings are more than
/// any day's growth.
const SMALL_STEPS: usize = 2;

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
                Err(Reason::Settling { changed_at: change.at, is_ours: change.kind != ChangeKind::External })
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
            (
                Some(change),
                Reason::SkewSuspected(_) | Reason::MicroBurst | Reason::LargeRecords | Reason::UnevenReads,
            ) => Reason::NotHealed { change: Box::new(change.clone()), why: Box::new(reason) },
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

    /// Holds where another tool or person reverts our changes on purpose.
    pub fn not_reverted_on_purpose(&self, now: DateTime<Utc>) -> Result<(), Reason> {
        if self.reverts(now) >= REVERTS_ON_PURPOSE { Err(Reason::TugOfWar) } else { Ok(()) }
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

    /// Whether the load has outgrown [`SMALL_STEPS`] verified changes of shards within 24 hours, one above the other. A
    /// restore is no growth, and neither is the first step up from the shards before the incident: the load comes back.
    pub fn is_outgrown(&self, now: DateTime<Utc>) -> bool {
        let day = TimeDelta::hours(LOOKBACK_HOURS);
        let is_growth = |at: &&DateTime<Utc>| now - **at < day && !self.memory.restores.contains(at);
        let from = self.memory.change.as_ref().and_then(|change| change.from.shards());
        let is_above = self.memory.base.is_some_and(|base| Some(base) < from);
        self.is_healed() && is_above && self.memory.reshards.iter().filter(is_growth).count() >= SMALL_STEPS
    }

    /// The shards that the stream had in a minute of the last 24 hours, as far as the memory knows; `base`: before the
    /// first change of that time. Between the first change and the last one it is at most this number.
    pub fn shards_in(&self, minute: Minute, base: u32) -> u32 {
        let is_before = |at: DateTime<Utc>| minute.start() < at;
        let last = self.memory.change.as_ref().filter(|_| !self.phase.is_void());
        let sizes = last.and_then(|change| Some((change.at, change.from.shards()?, change.to.shards()?)));
        let Some((at, from, to)) = sizes else { return base };
        let first = self.memory.reshards.first().copied().unwrap_or(at).min(at);
        if is_before(first) {
            base
        } else if is_before(at) {
            from.max(base)
        } else {
            to.max(base)
        }
    }

    /// When AWS allows the next reshard, by the reshards that the memory knows.
    pub fn next_reshard(&self) -> Option<DateTime<Utc>> {
        Some(*self.memory.reshards.first()? + TimeDelta::hours(LOOKBACK_HOURS))
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
        // A lost change is known by its time alone, too.
        let known = self.memory.change.as_ref().filter(|change| change.kind != ChangeKind::Lost);
        let is_earlier = |at: &&DateTime<Utc>| known.is_none_or(|change| change.at != **at);
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
        self.learn_tries(traffic, newest);
        let change = self.memory.change.as_mut()?;
        (change.healed, change.since) = (Some(now.trunc_subsecs(0)), None);
        Some(Healed { from, to, kind, took })
    }

    /// Changes of this kind in the last 24 hours, and whether AWS allows another. Only the memory counts: any principal
    /// of the account may write to the AutoFix metric. A memory that is lost is rebuilt from the metric before.
    pub fn budget(&self, kind: ChangeKind, now: DateTime<Utc>) -> (usize, bool) {
        let (times, cap) = match kind {
            ChangeKind::Scale
            | ChangeKind::ScaleAhead
            | ChangeKind::Restore
            | ChangeKind::Lost
            | ChangeKind::External => (&self.memory.reshards, RESHARDS_A_DAY),
            ChangeKind::Switch | ChangeKind::SwitchBack => (&self.memory.switches, SWITCHES_A_DAY),
            // AWS has no cap on these.
            ChangeKind::Split
            | ChangeKind::WarmUp
            | ChangeKind::EnableShardMetrics
            | ChangeKind::DisableShardMetrics => {
                return (0, !self.is_refused(kind, now));
            }
        };
        let void = self.memory.change.as_ref().filter(|_| self.phase.is_unmade()).map(|c| c.at);
        let day = TimeDelta::hours(LOOKBACK_HOURS);
        let spent = times.iter().filter(|t| now - **t < day && Some(**t) != void).count();
        (spent, spent < cap && !self.is_refused(kind, now))
    }

    /// Whether AWS allows no more changes of this kind today: it refused them for a limit for [`SPENT_AFTER_MINUTES`].
    /// A change that only helps a diagnosis, or undoes another, gets no second attempt.
    pub fn is_refused(&self, kind: ChangeKind, now: DateTime<Utc>) -> bool {
        use ChangeKind::{DisableShardMetrics, EnableShardMetrics, Restore, SwitchBack};
        let dispensable = matches!(kind, EnableShardMetrics | DisableShardMetrics | SwitchBack | Restore);
        let last = self.memory.refused.filter(|r| r.kind == kind && now - r.at < TimeDelta::hours(LOOKBACK_HOURS));
        last.is_some_and(|r| r.minutes >= SPENT_AFTER_MINUTES || dispensable)
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
        let until = refused.at + if refused.minutes >= 2 { REFUSED_TWICE } else { REFUSED_ONCE };
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
        let is_ahead = matches!(remedy, Remedy::ScaleAhead { .. });
        change.since = Some(same.unwrap_or(since)).filter(|_| !is_ahead);
        change.after = self.evidence_from.filter(|t| now - *t < TimeDelta::hours(LOOKBACK_HOURS));
        let mut memory = self.memory.intend(change, self.phase.is_unmade());
        let is_ours = self.last_is_done(stream);
        match remedy {
            // A split is not undone: a merge would bring its load back to one shard.
            Remedy::SplitShard { .. } => memory.base = memory.base.filter(|_| is_ours),
            Remedy::ScaleShards { .. } | Remedy::ScaleAhead { .. } => {
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
        let is_missing =
            |c: &&Change| !self.phase.is_void() && c.is_done(stream) && is_uncounted(traffic, &self.memory, c);
        if let Some(earlier) = last.filter(is_missing) {
            (memory.unpublished, memory.resent) = (Some((earlier.kind, earlier.at)), earlier.resent);
        }
        memory
    }
}
