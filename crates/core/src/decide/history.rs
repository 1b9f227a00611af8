//! What the memory says about now: from when evidence counts, what is left of AWS's budgets, and what is still to be published
//! or undone.

use super::phase::{INCIDENT, OurChange, Phase, REBUILT_SETTLES_AFTER, is_to_heal, newer, settled_at};
use super::unpublished::{is_published, publish_again_after};
use crate::decision::{Healed, Reason, Remedy};
use crate::memory::{Change, ChangeKind, Memory, MemoryError, ShardMetrics, SplitHistory, TAG};
use crate::observation::{CapacityMode, LOOKBACK_HOURS, Minute, Observation, SHARD_METRICS, Stream, Traffic};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use std::collections::BTreeMap;

/// A memory from further in the future than clocks differ was not written by us.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// How often a stream is checked only because its shards might be restored. Load that needs the shards may stay for months.
pub(super) const RESTORE_TRIED_EVERY: TimeDelta = TimeDelta::hours(1);

/// AWS's caps in any 24 hours: `UpdateShardCount` ten times (its API reference), `UpdateStreamMode` twice.
pub(super) const RESHARDS_A_DAY: usize = 10;
const SWITCHES_A_DAY: usize = 2;

/// The wait after one refusal. AWS's rate limits are per second, so a minute is plenty.
const REFUSED_ONCE: TimeDelta = TimeDelta::seconds(60);
/// The wait after two refusals in a row. Then the limit is a quota or a daily cap (the message cannot tell), and asking again
/// soon only makes noise.
const REFUSED_TWICE: TimeDelta = TimeDelta::hours(1);

/// The memory, read in the light of what the stream is now.
pub(super) struct History {
    /// As it should be written.
    pub memory: Memory,
    /// The memory, or its last change, was gone, and is rebuilt from our own metrics.
    pub is_rebuilt: bool,
    /// The life of the last change.
    phase: Phase,
    /// Evidence from before this never counts.
    pub evidence_from: Option<DateTime<Utc>>,
    /// Changes that are done, and whose AutoFix datum is missing.
    pub unpublished: Vec<(&'static str, DateTime<Utc>)>,
    /// When this run found that a change of ours was reverted.
    pub reverted: Option<DateTime<Utc>>,
}

/// What is remembered of a stream.
pub(super) struct Recalled {
    pub memory: Memory,
    /// It, or its last change, was gone, and is rebuilt from our own metrics.
    is_rebuilt: bool,
    /// When the loss was found, if no run has recorded it: whoever removed the tag reverted the last change with it, as
    /// Terraform does.
    reverted: Option<DateTime<Utc>>,
}

/// The memory on the stream. Where the tag or its last change is gone, it is rebuilt from our own metrics.
pub(super) fn recall(observation: &Observation) -> Result<Recalled, MemoryError> {
    let text = observation.tags.get(TAG);
    let mut memory = text.map(|text| Memory::parse(text)).transpose()?.unwrap_or_default();
    let Traffic { auto_fixes, reshards, mode_switches, reverts, .. } = &observation.traffic;
    let known: Vec<Minute> = memory.reverts.iter().map(|at| Minute::of(*at)).collect();
    memory.reverts.extend(reverts.keys().filter(|minute| !known.contains(minute)).map(|minute| minute.start()));
    memory.reverts.sort_unstable();
    let Some(newest) = auto_fixes.keys().next_back().filter(|_| memory.change.is_none()) else {
        return Ok(Recalled { memory, is_rebuilt: false, reverted: None });
    };
    let is_new = memory.reverts.iter().all(|at| Minute::of(*at) < *newest);
    let reverted = is_new.then(|| revert_found_at(observation.observed_at));
    memory.reverts.extend(reverted);
    memory.switches = times(mode_switches, SWITCHES_A_DAY);
    memory.reshards = times(reshards, RESHARDS_A_DAY);
    let mut change = Change::intent(ChangeKind::Lost, 0, 0, newest.start());
    change.settled = Some(newest.start() + REBUILT_SETTLES_AFTER);
    Ok(Recalled { memory: memory.intend(change, false), is_rebuilt: true, reverted })
}

/// The time of a revert that is found at `now`: before the minute of any change that the same run makes, so that the two can
/// be told apart.
fn revert_found_at(now: DateTime<Utc>) -> DateTime<Utc> {
    Minute::of(now).plus(-1).start()
}

/// When each published change was made, to the minute; `most` of each minute.
fn times(counts: &BTreeMap<Minute, u32>, most: usize) -> Vec<DateTime<Utc>> {
    counts.iter().flat_map(|(minute, count)| (0..*count).take(most).map(|_| minute.start())).collect()
}

impl History {
    /// Reads the recalled memory against an ACTIVE `stream`. Holds while a change of ours may be under way.
    pub fn of(
        recalled: Recalled,
        observation: &Observation,
        stream: &Stream,
        now: DateTime<Utc>,
    ) -> Result<History, Reason> {
        let Recalled { memory, is_rebuilt, reverted } = recalled;
        let traffic = &observation.traffic;
        let phase = Phase::of(&memory, stream, traffic, now);
        let mut history = History { memory, is_rebuilt, phase, evidence_from: None, unpublished: vec![], reverted };
        history.publish_earlier(traffic, now);
        let Some(at) = history.memory.change.as_ref().map(|change| change.at) else { return Ok(history) };
        if at > now + CLOCKS_DIFFER {
            return Err(Reason::BadMemory(format!("its last change is of {at}, which is yet to come")));
        }
        match phase {
            Phase::None => {}
            Phase::Announced => return Err(Reason::Settling { changed_at: at }),
            Phase::Void => history.forget_void(stream, traffic, now),
            Phase::MadeByAnotherRun => {
                history.settle(now);
                history.count_evidence(traffic);
                history.forget(stream, now);
            }
            Phase::Done | Phase::Lost => {
                history.find_done(traffic, now);
                history.count_evidence(traffic);
                history.publish_last(stream, now);
                history.forget(stream, now);
            }
            Phase::External(OurChange::Refused) => history.yield_to_external(stream, traffic, false, now),
            Phase::External(OurChange::Void) => {
                history.forget_void(stream, traffic, now);
                history.yield_to_external(stream, traffic, false, now);
            }
            Phase::External(OurChange::FoundDone | OurChange::Done) => {
                history.find_done(traffic, now);
                history.yield_to_external(stream, traffic, phase == Phase::External(OurChange::Done), now);
            }
        }
        Ok(history)
    }

    /// The last change was found done: it settles, AWS accepts changes again, and its datum may be there.
    fn find_done(&mut self, traffic: &Traffic, now: DateTime<Utc>) {
        if self.settle(now) {
            self.memory.refused = None;
        }
        if let Some(change) = self.memory.change.as_mut().filter(|change| is_published(traffic, change.at)) {
            change.published.get_or_insert(now.trunc_subsecs(0));
        }
    }

    /// Records when the last change settled. Gives whether that is new.
    fn settle(&mut self, now: DateTime<Utc>) -> bool {
        let Some(change) = self.memory.change.as_mut().filter(|change| change.settled.is_none()) else { return false };
        change.settled = Some(settled_at(change.at, now));
        change.after = None;
        true
    }

    /// From when evidence counts: since the last change settled, or since a change that only the metric knows.
    fn count_evidence(&mut self, traffic: &Traffic) {
        let Some(change) = &self.memory.change else { return };
        self.evidence_from = newer(traffic, change).max(change.settled);
    }

    /// The last change was never made.
    fn forget_void(&mut self, stream: &Stream, traffic: &Traffic, now: DateTime<Utc>) {
        let Some(change) = &self.memory.change else { return };
        self.evidence_from = newer(traffic, change).max(change.after);
        self.phase = Phase::Void;
        self.forget(stream, now);
    }

    /// The datum of the last change is missing: it is published now.
    fn publish_last(&mut self, stream: &Stream, now: DateTime<Utc>) {
        let Some(change) = &mut self.memory.change else { return };
        let is_recent = now - change.at < TimeDelta::hours(LOOKBACK_HOURS);
        let is_missing = change.published.is_none() && now > publish_again_after(change.at, change.resent);
        if is_missing && is_recent && change.is_done(stream) {
            change.resent = Some(now.trunc_subsecs(0));
            self.unpublished.push((Remedy::code_of(change.kind), change.at));
        }
    }

    /// The datum of the change before the last is there by now, or is sent. It stays in the memory until it is found: a run
    /// that dies before it sends what it recorded leaves it to a later run.
    fn publish_earlier(&mut self, traffic: &Traffic, now: DateTime<Utc>) {
        let Some((kind, at)) = self.memory.unpublished else { return };
        if is_published(traffic, at) || now - at >= TimeDelta::hours(LOOKBACK_HOURS) {
            (self.memory.unpublished, self.memory.resent) = (None, None);
        } else if now > publish_again_after(at, self.memory.resent) {
            self.memory.resent = Some(now.trunc_subsecs(0));
            self.unpublished.push((Remedy::code_of(kind), at));
        }
    }

    /// Another person or tool has changed the stream's capacity since: the capacity is theirs now. Evidence restarts, the
    /// budgets stay, and there is nothing of ours to restore.
    fn yield_to_external(&mut self, stream: &Stream, traffic: &Traffic, was_done: bool, now: DateTime<Utc>) {
        let Some(ours) = self.memory.change.take() else { return };
        let external = ours.external(stream, now);
        let is_recent = now - ours.at < TimeDelta::hours(LOOKBACK_HOURS);
        if is_recent && self.is_reverted(&ours, stream) {
            self.reverted = Some(revert_found_at(now));
            self.memory.reverts.extend(self.reverted);
        }
        if was_done && ours.published.is_none() && is_recent && ours.kind != ChangeKind::External {
            (self.memory.unpublished, self.memory.resent) = (Some((ours.kind, ours.at)), ours.resent);
            self.publish_earlier(traffic, now);
        }
        self.memory.base = None;
        self.evidence_from = external.settled;
        self.memory = self.memory.intend(external, false);
        self.phase = Phase::External(OurChange::Done);
        self.forget(stream, now);
    }

    /// Whether somebody went back to what was before our change, or before the incident.
    fn is_reverted(&self, ours: &Change, stream: &Stream) -> bool {
        let to_base = self.memory.base.is_some_and(|base| stream.open_shards <= base);
        match ours.kind {
            ChangeKind::Restore | ChangeKind::SwitchBack | ChangeKind::External | ChangeKind::Lost => false,
            // A stream that comes back from on-demand mode keeps the shards that it has grown to.
            ChangeKind::Switch => true,
            ChangeKind::Scale | ChangeKind::Split => ours.is_undone(stream) || to_base,
            ChangeKind::WarmUp | ChangeKind::EnableShardMetrics | ChangeKind::DisableShardMetrics => {
                stream.mode == CapacityMode::Provisioned && (to_base || self.memory.was_provisioned)
            }
        }
    }

    /// What we did, and is no longer so: undone by us or by somebody, or never done.
    fn forget(&mut self, stream: &Stream, now: DateTime<Utc>) {
        let Memory { change: Some(change), shard_metrics, was_provisioned, switches, base, .. } = &mut self.memory
        else {
            return;
        };
        let provisioned = stream.mode == CapacityMode::Provisioned;
        if *was_provisioned && provisioned {
            *was_provisioned = false;
            let is_external = !self.phase.is_void() && change.kind != ChangeKind::SwitchBack;
            // AWS counts a person's switch, too.
            switches.extend(is_external.then(|| now.trunc_subsecs(0)));
        }
        *base = base.filter(|base| !provisioned || stream.open_shards > *base);
        let Some(ours @ ShardMetrics { on: Some(_), at }) = *shard_metrics else { return };
        let is_off = |metric: &str| stream.metrics_off().any(|off| off == metric);
        if self.phase.is_void() && change.kind == ChangeKind::EnableShardMetrics && at == change.at {
            *shard_metrics = None;
        } else if ours.names().all(is_off) {
            *shard_metrics = Some(ShardMetrics { on: None, at: change.at });
        }
    }

    /// Holds until the first full minute after the last change is published.
    pub fn settled(&self, newest: Minute) -> Result<(), Reason> {
        match (&self.memory.change, self.evidence_from) {
            (Some(change), Some(from)) if newest < Minute::from(from) => {
                Err(Reason::Settling { changed_at: change.at })
            }
            _ => Ok(()),
        }
    }

    /// Whether the last change waits to be verified, and no minute after it is known to be published whole: only one that has
    /// a newer one is.
    pub fn is_unproven(&self, newest: Minute) -> Option<DateTime<Utc>> {
        let change = self.unverified()?;
        let first = self.evidence_from.map(Minute::from)?;
        (newest <= first).then_some(change.at)
    }

    /// Notes, once an hour, that something is in the way of giving the stream back, so that no sweep asks again before.
    pub fn record_restore_tried(&mut self, now: DateTime<Utc>) {
        if self.memory.restore_tried.is_none_or(|at| now - at >= RESTORE_TRIED_EVERY) {
            self.memory.restore_tried = Some(now.trunc_subsecs(0));
        }
    }

    /// The hold `reason`, or what a person must know instead: a change of ours did not help, and nothing is left to try.
    pub fn in_vain(&self, reason: Reason, now: DateTime<Utc>) -> Reason {
        let change = self.unverified().filter(|change| change.settled.is_some_and(|settled| now - settled < INCIDENT));
        match (change, &reason) {
            (Some(change), Reason::SkewSuspected(_) | Reason::MicroBurst | Reason::UnevenReads) => {
                Reason::NotHealed { change: Box::new(change.clone()), why: Box::new(reason) }
            }
            _ => reason,
        }
    }

    /// Whether the last change is one of ours, and the stream is as it left it; or as it was, where it was never made.
    pub fn last_is_done(&self, stream: &Stream) -> bool {
        let change = self.memory.change.as_ref();
        change
            .is_some_and(|change| if self.phase.is_void() { change.is_undone(stream) } else { change.is_done(stream) })
    }

    /// How often somebody has taken a change of ours back in the last 24 hours.
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

    /// Whether the last change was seen to stop the throttling.
    pub fn is_healed(&self) -> bool {
        !self.phase.is_void() && self.memory.change.as_ref().is_some_and(|change| change.healed.is_some())
    }

    /// The last change, if it was to stop throttling and nobody has seen yet whether it did.
    fn unverified(&self) -> Option<&Change> {
        let change = self.memory.change.as_ref()?;
        (!self.phase.is_void() && is_to_heal(change.kind) && change.healed.is_none()).then_some(change)
    }

    /// The stream is healthy: notes that the last change worked, if it was waiting to be verified, and the stream is
    /// still as it left it.
    pub fn verify(&mut self, traffic: &Traffic, stream: &Stream, newest: Minute, now: DateTime<Utc>) -> Option<Healed> {
        let is_ours = |c: &&Change| c.is_done(stream) && now - c.at < TimeDelta::hours(LOOKBACK_HOURS);
        let change = self.unverified().filter(is_ours)?;
        let (from, to, kind) = (change.from, change.to, change.kind);
        let since = change.since.unwrap_or(change.at);
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

    /// Whether AWS has said today that there will be no more of these: by two refusals in a row for a limit. What only
    /// helps a diagnosis, or goes back, is not worth a second try.
    pub fn is_refused(&self, kind: ChangeKind, now: DateTime<Utc>) -> bool {
        use ChangeKind::{DisableShardMetrics, EnableShardMetrics, Restore, SwitchBack};
        let dispensable = matches!(kind, EnableShardMetrics | DisableShardMetrics | SwitchBack | Restore);
        let last = self.memory.refused.filter(|r| r.kind == kind && now - r.at < TimeDelta::hours(LOOKBACK_HOURS));
        last.is_some_and(|r| r.count >= 2 || dispensable)
    }

    /// Whether the memory of the last 24 hours is rebuilt from a metric: the lines are not in that.
    pub fn is_lost(&self, now: DateTime<Utc>) -> bool {
        let day = TimeDelta::hours(LOOKBACK_HOURS);
        let change = self.memory.change.as_ref();
        self.is_rebuilt || change.is_some_and(|change| change.kind == ChangeKind::Lost && now - change.at < day)
    }

    /// The hot lines of the last 24 hours.
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
        let mut change = Change::intent(remedy.kind(), from, to, now);
        let at = change.at;
        let last = self.memory.change.as_ref();
        let same = self.in_incident(now).then(|| last?.since).flatten();
        change.since = Some(same.unwrap_or(since));
        change.after = self.evidence_from.filter(|t| now - *t < TimeDelta::hours(LOOKBACK_HOURS));
        let mut memory = self.memory.intend(change, self.phase.is_void());
        let ours = last.is_some_and(|c| if self.phase.is_void() { c.is_undone(stream) } else { c.is_done(stream) });
        match remedy {
            // A split is not taken back: merged again, its heat would be, too.
            Remedy::SplitShard { .. } => memory.base = memory.base.filter(|_| ours),
            Remedy::ScaleShards { .. } => memory.base = Some(memory.base.filter(|_| ours).unwrap_or(from)),
            Remedy::SwitchToOnDemand { .. } => {
                memory.base = Some(memory.base.filter(|_| ours).unwrap_or(from));
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
