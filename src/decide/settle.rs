//! What the memory says about now: whether a change of ours is under way, done, void or taken back, from when
//! evidence counts, and what is left of AWS's budgets.

use super::verdict::{Healed, Reason, Remedy};
use crate::memory::{Change, ChangeKind, Lineage, Memory, MemoryError, TAG, Watch};
use crate::observation::{CapacityMode, LOOKBACK_HOURS, Minute, Observation, SHARD_METRICS, Stream, Traffic};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use std::collections::BTreeMap;

/// An intent older than this whose stream is ACTIVE and still at `from` was never carried out: a run takes less than 30 s
/// (see the time limits of the clients), and a call that was announced leaves within seconds or not at all. It is less than the minute after which
/// Lambda tries a failed run again, so that this try can make the change. An intent that AWS refused is void at once.
const INTENT_VOID_AFTER: TimeDelta = TimeDelta::seconds(45);

/// A change that is found done later than this is taken to have settled then. AWS says that on-demand splits within
/// 15 minutes and reshards take "a few minutes"; later evidence is surely from after the change.
const SETTLED_WITHIN: TimeDelta = TimeDelta::minutes(15);

/// A change whose AutoFix datum is not to be read after this long was never counted. CloudWatch shows a new datum
/// within one to three minutes.
const COUNTED_WITHIN: TimeDelta = TimeDelta::minutes(5);

/// A datum that is sent this late may take [`OLD_COUNTED_WITHIN`] to be shown (PutMetricData: "between 3 and 24 hours
/// ago can take as much as 2 hours").
const OLD: TimeDelta = TimeDelta::hours(3);
/// See [`OLD`].
const OLD_COUNTED_WITHIN: TimeDelta = TimeDelta::minutes(125);

/// A memory from further in the future than clocks differ was not written by us.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// After a rebuilt memory's newest AutoFix, evidence counts from this long after it.
const LOST_SETTLES: TimeDelta = TimeDelta::minutes(5);

/// A change that settled longer ago than this, and was never seen to heal, is another incident's.
const INCIDENT: TimeDelta = TimeDelta::hours(1);

/// How often a stream is looked at only because it might be given back: load that needs the shards may stay for months.
pub(super) const TRIED_EVERY: TimeDelta = TimeDelta::hours(1);

/// AWS's caps in any 24 hours: `UpdateShardCount` ten times, `UpdateStreamMode` twice.
pub(super) const RESHARDS_A_DAY: usize = 10;
const SWITCHES_A_DAY: usize = 2;

/// After one refusal: AWS's rate limits are per second, so a minute is plenty.
const REFUSED_ONCE: TimeDelta = TimeDelta::seconds(60);
/// After two in a row it is a quota or a daily cap (the message cannot tell), and asking again soon only makes noise.
const REFUSED_TWICE: TimeDelta = TimeDelta::hours(1);

/// The memory, read in the light of what the stream is now.
pub(super) struct History {
    /// As it should be written.
    pub memory: Memory,
    /// The tag was gone.
    pub lost: bool,
    /// The change in the memory was never made by us.
    void: bool,
    /// Evidence from before this never counts.
    pub evidence_from: Option<DateTime<Utc>>,
    /// Done changes without an AutoFix datum.
    pub uncounted: Vec<(&'static str, DateTime<Utc>)>,
    /// When a change of ours is found to be taken back, if it is only now.
    pub reverted: Option<DateTime<Utc>>,
}

/// What is remembered of a stream.
#[derive(Clone)]
pub(super) struct Recalled {
    pub memory: Memory,
    /// It, or its last change, was gone, and is rebuilt from our own metrics.
    pub lost: bool,
    /// When the loss was found, if it is news: with the memory the last change was taken back, as Terraform does it.
    reverted: Option<DateTime<Utc>>,
}

/// The memory on the stream; or, where the tag or its last change is gone, one rebuilt from our own metrics.
pub(super) fn recall(observation: &Observation) -> Result<Recalled, MemoryError> {
    let text = observation.tags.get(TAG);
    let mut memory = text.map(|text| Memory::parse(text)).transpose()?.unwrap_or_default();
    let Traffic { auto_fixes, reshards, mode_switches, reverts, .. } = &observation.traffic;
    let known: Vec<Minute> = memory.reverts.iter().map(|at| Minute::of(*at)).collect();
    memory.reverts.extend(reverts.keys().filter(|minute| !known.contains(minute)).map(|minute| minute.start()));
    memory.reverts.sort_unstable();
    let Some(newest) = auto_fixes.keys().next_back().filter(|_| memory.change.is_none()) else {
        return Ok(Recalled { memory, lost: false, reverted: None });
    };
    let is_news = memory.reverts.iter().all(|at| Minute::of(*at) < *newest);
    let reverted = is_news.then(|| found_at(observation.observed_at));
    memory.reverts.extend(reverted);
    memory.switches = times(mode_switches, SWITCHES_A_DAY);
    memory.reshards = times(reshards, RESHARDS_A_DAY);
    let mut change = Change::intent(ChangeKind::Lost, 0, 0, newest.start());
    change.settled = Some(newest.start() + LOST_SETTLES);
    Ok(Recalled { memory: memory.intend(change, false), lost: true, reverted })
}

/// The time of a revert that is found at `now`: before the minute of any change that the same look makes, so that the two
/// can be told apart.
fn found_at(now: DateTime<Utc>) -> DateTime<Utc> {
    Minute::of(now).plus(-1).start()
}

/// When each counted change was made, to the minute; of each minute at most so many.
fn times(counts: &BTreeMap<Minute, u32>, most: usize) -> Vec<DateTime<Utc>> {
    counts.iter().flat_map(|(minute, count)| (0..*count).take(most).map(|_| minute.start())).collect()
}

impl History {
    /// Reads the recalled memory against an ACTIVE `stream`; holds while a change of ours may be under way.
    pub fn of(
        Recalled { memory, lost, reverted }: Recalled,
        observation: &Observation,
        stream: &Stream,
        now: DateTime<Utc>,
    ) -> Result<History, Reason> {
        let mut history = History { memory, lost, void: false, evidence_from: None, uncounted: vec![], reverted };
        history.settle_debt(&observation.traffic, now);
        let is_refused = history.memory.is_change_refused();
        let Some(change) = &mut history.memory.change else { return Ok(history) };
        if change.at > now + CLOCKS_DIFFER {
            return Err(Reason::BadMemory(format!("its last change is of {}, which is yet to come", change.at)));
        }
        let counted = is_counted(&observation.traffic, change.at);
        // Of two runs that make the same change, the one that is refused may write last: the datum is the other's.
        history.void = is_refused && !counted;
        let seen_done = change.settled.is_some();
        if change.settled.is_none() {
            let at_from = change.is_undone(stream);
            if at_from && !history.void && now - change.at < INTENT_VOID_AFTER {
                return Err(Reason::Settling { changed_at: change.at });
            }
            // Neither what it was nor what it was to be: somebody else has changed it since.
            if history.void && !at_from && change.is_overridden(stream) {
                history.void = false;
                history.yield_to_theirs(stream, &observation.traffic, false, now);
                return Ok(history);
            }
            if at_from && (history.void || !counted) {
                history.void = true;
                // That metrics are as they were says nothing of the shards.
                let of_metrics = matches!(change.kind, ChangeKind::Watch | ChangeKind::Unwatch);
                let is_theirs = of_metrics && change.is_overridden(stream);
                history.evidence_from = newer(&observation.traffic, change).max(change.after);
                history.forget(stream, now);
                if is_theirs {
                    history.void = false;
                    history.yield_to_theirs(stream, &observation.traffic, false, now);
                }
                return Ok(history);
            }
            change.settled = Some(now.trunc_subsecs(0).min(change.at + SETTLED_WITHIN));
            change.after = None;
            if !history.void {
                history.memory.refused = None;
            }
        }
        if counted && !history.void {
            change.counted.get_or_insert(now.trunc_subsecs(0));
        }
        if !history.void && newer(&observation.traffic, change).is_none() && change.is_overridden(stream) {
            history.yield_to_theirs(stream, &observation.traffic, seen_done, now);
            return Ok(history);
        }
        history.evidence_from = newer(&observation.traffic, change).max(change.settled);
        let is_due = now > counted_by(change.at, change.sent) && now - change.at < TimeDelta::hours(LOOKBACK_HOURS);
        if is_due && !history.void && change.counted.is_none() && change.is_done(stream) {
            change.sent = Some(now.trunc_subsecs(0));
            history.uncounted.push((Remedy::code_of(change.kind), change.at));
        }
        history.forget(stream, now);
        Ok(history)
    }

    /// Somebody else has changed the stream's capacity since: it is theirs now. Evidence restarts, the budgets stay,
    /// and there is nothing of ours to restore.
    fn yield_to_theirs(&mut self, stream: &Stream, traffic: &Traffic, seen_done: bool, now: DateTime<Utc>) {
        let Some(ours) = self.memory.change.take() else { return };
        let theirs = ours.of_theirs(stream, now);
        let is_recent = now - ours.at < TimeDelta::hours(LOOKBACK_HOURS);
        if is_recent && self.is_taken_back(&ours, stream) {
            self.reverted = Some(found_at(now));
            self.memory.reverts.extend(self.reverted);
        }
        if seen_done && ours.counted.is_none() && is_recent && ours.kind != ChangeKind::Theirs {
            (self.memory.owed, self.memory.resent) = (Some((ours.kind, ours.at)), ours.sent);
            self.settle_debt(traffic, now);
        }
        self.memory.base = None;
        self.evidence_from = theirs.settled;
        self.memory = self.memory.intend(theirs, false);
        self.forget(stream, now);
    }

    /// Whether somebody went back to what was before our change, or before the incident.
    fn is_taken_back(&self, ours: &Change, stream: &Stream) -> bool {
        let to_base = self.memory.base.is_some_and(|base| stream.open_shards <= base);
        match ours.kind {
            ChangeKind::Restore | ChangeKind::Back | ChangeKind::Theirs | ChangeKind::Lost => false,
            // A stream that comes back from on-demand mode keeps the shards that it has grown to.
            ChangeKind::Switch => true,
            ChangeKind::Scale | ChangeKind::Split => ours.is_undone(stream) || to_base,
            ChangeKind::Warm | ChangeKind::Watch | ChangeKind::Unwatch => {
                stream.mode == CapacityMode::Provisioned && (to_base || self.memory.was_provisioned)
            }
        }
    }

    /// What we did, and is no longer so: undone by us or by somebody, or never done.
    fn forget(&mut self, stream: &Stream, now: DateTime<Utc>) {
        let Memory { change: Some(change), watch, was_provisioned, switches, base, .. } = &mut self.memory else {
            return;
        };
        let provisioned = stream.mode == CapacityMode::Provisioned;
        if *was_provisioned && provisioned {
            *was_provisioned = false;
            let is_theirs = !self.void && change.kind != ChangeKind::Back;
            // AWS counts a person's switch, too.
            switches.extend(is_theirs.then(|| now.trunc_subsecs(0)));
        }
        *base = base.filter(|base| !provisioned || stream.open_shards > *base);
        let Some(Watch { metrics, at }) = watch else { return };
        let is_off = |metric: &str| stream.metrics_off().any(|off| off == metric);
        if metrics.is_none() {
            return;
        }
        if self.void && change.kind == ChangeKind::Watch && *at == change.at {
            *watch = None;
        } else if watch.iter().flat_map(Watch::ours).all(is_off) {
            *watch = Some(Watch { metrics: None, at: change.at });
        }
    }

    /// The change before the last: its datum is there by now, or is sent, and stays owed until it is found: a run that dies
    /// before it has sent what it noted leaves it to a later one.
    fn settle_debt(&mut self, traffic: &Traffic, now: DateTime<Utc>) {
        let Some((kind, at)) = self.memory.owed else { return };
        if is_counted(traffic, at) || now - at >= TimeDelta::hours(LOOKBACK_HOURS) {
            (self.memory.owed, self.memory.resent) = (None, None);
        } else if now > counted_by(at, self.memory.resent) {
            self.memory.resent = Some(now.trunc_subsecs(0));
            self.uncounted.push((Remedy::code_of(kind), at));
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
    pub fn tried(&mut self, now: DateTime<Utc>) {
        if self.memory.tried.is_none_or(|at| now - at >= TRIED_EVERY) {
            self.memory.tried = Some(now.trunc_subsecs(0));
        }
    }

    /// The change that was to stop the throttling of now, and has settled.
    pub fn in_vain(&self, now: DateTime<Utc>) -> Option<&Change> {
        self.unverified().filter(|change| change.settled.is_some_and(|settled| now - settled < INCIDENT))
    }

    /// Whether the last change is one of ours, and the stream is as it left it; or as it was, where it was never made.
    pub fn last_is_done(&self, stream: &Stream) -> bool {
        let change = self.memory.change.as_ref();
        change.is_some_and(|change| if self.void { change.is_undone(stream) } else { change.is_done(stream) })
    }

    /// How often somebody has taken a change of ours back in the last 24 hours.
    pub fn reverts(&self, now: DateTime<Utc>) -> usize {
        let day = TimeDelta::hours(LOOKBACK_HOURS);
        self.memory.reverts.iter().filter(|at| now - **at < day).count()
    }

    /// Whether throttling now belongs to the incident of the last change.
    pub fn in_incident(&self, now: DateTime<Utc>) -> bool {
        let watched = self.memory.change.as_ref().filter(|c| !self.void && c.kind == ChangeKind::Watch);
        let change = self.unverified().or(watched);
        change.and_then(|change| change.settled).is_some_and(|settled| now - settled < INCIDENT)
    }

    /// Whether the last change was seen to stop the throttling.
    pub fn is_healed(&self) -> bool {
        !self.void && self.memory.change.as_ref().is_some_and(|change| change.healed.is_some())
    }

    /// The last change, if it was to stop throttling and nobody has seen yet whether it did.
    fn unverified(&self) -> Option<&Change> {
        let change = self.memory.change.as_ref()?;
        (!self.void && is_to_heal(change.kind) && change.healed.is_none()).then_some(change)
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
            ChangeKind::Scale | ChangeKind::Restore | ChangeKind::Lost | ChangeKind::Theirs => {
                (&self.memory.reshards, sum(&traffic.reshards), RESHARDS_A_DAY)
            }
            ChangeKind::Switch | ChangeKind::Back => {
                (&self.memory.switches, sum(&traffic.mode_switches), SWITCHES_A_DAY)
            }
            // AWS has no cap on these.
            ChangeKind::Split | ChangeKind::Warm | ChangeKind::Watch | ChangeKind::Unwatch => {
                return (0, !self.is_refused(kind, now));
            }
        };
        let void = self.memory.change.as_ref().filter(|_| self.void).map(|c| c.at);
        let day = TimeDelta::hours(LOOKBACK_HOURS);
        let spent = times.iter().filter(|t| now - **t < day && Some(**t) != void).count();
        let spent = spent.max(usize::try_from(metric).unwrap_or(usize::MAX));
        (spent, spent < cap && !self.is_refused(kind, now))
    }

    /// Whether AWS has said today that there will be no more of these: by two refusals in a row for a limit. What only
    /// helps a diagnosis, or goes back, is not worth a second try.
    pub fn is_refused(&self, kind: ChangeKind, now: DateTime<Utc>) -> bool {
        use ChangeKind::{Back, Restore, Unwatch, Watch};
        let dispensable = matches!(kind, Watch | Unwatch | Back | Restore);
        let last = self.memory.refused.filter(|r| r.kind == kind && now - r.at < TimeDelta::hours(LOOKBACK_HOURS));
        last.is_some_and(|r| r.count >= 2 || dispensable)
    }

    /// Whether the memory of the last 24 hours is rebuilt from a metric: the lines are not in that.
    pub fn is_lost(&self, now: DateTime<Utc>) -> bool {
        let day = TimeDelta::hours(LOOKBACK_HOURS);
        let change = self.memory.change.as_ref();
        self.lost || change.is_some_and(|change| change.kind == ChangeKind::Lost && now - change.at < day)
    }

    /// The hot lines of the last 24 hours.
    pub fn lines(&self, now: DateTime<Utc>) -> Vec<Lineage> {
        let lines = self.memory.lineages.iter().copied();
        lines.filter(|line| now - line.at < TimeDelta::hours(LOOKBACK_HOURS)).collect()
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
        let mut memory = self.memory.intend(change, self.void);
        let ours = last.is_some_and(|c| if self.void { c.is_undone(stream) } else { c.is_done(stream) });
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
                memory.watch = Some(Watch { metrics: Some(on), at });
            }
            // Found done, it is forgotten.
            Remedy::SwitchToProvisioned { .. }
            | Remedy::DisableShardMetrics { .. }
            | Remedy::WarmUp { .. }
            | Remedy::Restore { .. } => {}
        }
        let is_owed = |c: &&Change| !self.void && c.counted.is_none() && !is_counted(traffic, c.at);
        if let Some(owed) = last.filter(|c| c.is_done(stream)).filter(is_owed) {
            (memory.owed, memory.resent) = (Some((owed.kind, owed.at)), owed.sent);
        }
        memory
    }
}

/// When the AutoFix datum of a change of `at` is missing, if it is not found by then. Each time that it was `sent` in vain,
/// CloudWatch gets twice as long: it adds up what it is sent twice.
pub(super) fn counted_by(at: DateTime<Utc>, sent: Option<DateTime<Utc>>) -> DateTime<Utc> {
    let sent = sent.unwrap_or(at).max(at);
    sent + if sent - at > OLD { OLD_COUNTED_WITHIN } else { COUNTED_WITHIN.max(sent - at) }
}

/// Whether a change of this kind is made to stop throttling.
pub(super) fn is_to_heal(kind: ChangeKind) -> bool {
    matches!(kind, ChangeKind::Scale | ChangeKind::Split | ChangeKind::Switch | ChangeKind::Warm)
}

/// Whether the AutoFix datum of a change announced at `at` is to be read. Two runs of one incident may both have written an intent,
/// seconds apart, and the datum carries the time of the one whose call AWS accepted: a neighbouring minute counts.
fn is_counted(traffic: &Traffic, at: DateTime<Utc>) -> bool {
    let minute = Minute::of(at);
    traffic.auto_fixes.range(minute.plus(-1)..=minute.plus(1)).any(|(_, count)| *count > 0)
}

/// From when evidence counts because of a change that the AutoFix metric knows of and the memory, overwritten or put
/// back by somebody, does not.
fn newer(traffic: &Traffic, change: &Change) -> Option<DateTime<Utc>> {
    let newest = traffic.auto_fixes.keys().next_back()?;
    (*newest > Minute::of(change.at).plus(1)).then(|| newest.start() + LOST_SETTLES)
}
