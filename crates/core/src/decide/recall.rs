//! The memory, read against what the stream is now: whether the last change is made, void or overridden, and what of it
//! is still to be published.

use super::MissingData;
use super::forged::forget_times_to_come;
use super::history::History;
use super::phase::{OurChange, Phase};
use super::settle::{RETRIES_DRAIN, USUALLY_SETTLED_WITHIN, before_change, is_reshard, shards_at};
use super::unpublished::{is_published, is_uncounted, publish_again_after};
use crate::decision::{Reason, Remedy};
use crate::memory::{Change, ChangeKind, Memory, MemoryError, SWITCHES_A_DAY, ShardMetrics, Size, TAG};
use crate::observation::{CapacityMode, LOOKBACK_HOURS, Minute, Observation, Stream, Traffic};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// A memory from further in the future than clocks differ was not written by us. The clocks of machines differ by
/// seconds, and five minutes leave room for a bad one.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

/// What is remembered of a stream.
pub(super) struct Recalled {
    pub memory: Memory,
    /// It, or its last change, was gone, and is rebuilt from our own metrics.
    is_rebuilt: bool,
    /// When the loss was found, if no run has recorded it: whoever removed the tag reverted the last change with it, as
    /// Terraform does.
    reverted: Option<DateTime<Utc>>,
}

/// The memory on the stream. Where the tag or its last change is gone, it is rebuilt from our own metrics. Sets
/// `missing` where AWS must say whether the stream is as the lost change left it.
pub(super) fn recall(
    observation: &Observation,
    stream: &Stream,
    missing: &mut MissingData,
) -> Result<Recalled, MemoryError> {
    let text = observation.tags.get(TAG);
    let memory = text.map(|text| Memory::parse(text)).transpose()?;
    // A stream that was deleted and made anew under its name has no history. Its tags may be copies.
    let created_at = stream.created_at.unwrap_or(DateTime::UNIX_EPOCH);
    let is_older = |memory: &Memory| memory.change.as_ref().is_some_and(|change| change.at < created_at);
    let mut memory = memory.filter(|memory| !is_older(memory)).unwrap_or_default();
    forget_times_to_come(&mut memory, observation.observed_at + CLOCKS_DIFFER);
    // A change needs a minute of traffic, so the minute of the creation has no change.
    let since = Minute::from(created_at);
    remember_reverts(&mut memory, observation, since, missing);
    let newest = observation.traffic.auto_fixes.range(since..).next_back().map(|(minute, _)| *minute);
    let has_lost = newest.filter(|newest| has_lost(&memory, *newest, &observation.traffic));
    if has_lost.is_some() || newest.is_some_and(|newest| is_lost_since_before(&memory, newest)) {
        rebuild(&mut memory, observation, since, missing);
    }
    let Some(newest) = has_lost else { return Ok(Recalled { memory, is_rebuilt: false, reverted: None }) };
    let is_new = memory.reverts.iter().all(|at| Minute::of(*at) < newest);
    let is_reverted = is_new && is_lost_change_reverted(observation, stream, newest, missing);
    let reverted = is_reverted.then(|| revert_found_at(observation.observed_at));
    memory.reverts.extend(reverted);
    if memory.change.is_none() {
        memory = memory.intend(Change::intent(ChangeKind::Lost, 0, 0, newest.start()), false);
    }
    Ok(Recalled { memory, is_rebuilt: true, reverted })
}

/// The budgets of a lost memory, as the metrics show our changes since this minute. Any principal that may call
/// PutMetricData can write there, so reshards count only where AWS shows other shards before them.
fn rebuild(memory: &mut Memory, observation: &Observation, since: Minute, missing: &mut MissingData) {
    let Traffic { reshards, restores, mode_switches, .. } = &observation.traffic;
    // AWS counts the switches of an earlier stream of this name, too.
    memory.switches = published_times(mode_switches.iter(), SWITCHES_A_DAY);
    memory.reshards = published_times(reshards.range(since..), 1);
    memory.reshards.extend(published_times(restores.range(since..), 1));
    memory.reshards.sort_unstable();
    if memory.reshards.first().is_some_and(|first| !is_changed_since(observation, *first, missing)) {
        memory.reshards.clear();
    }
}

/// The reverts that only the metric shows: whoever reverted our change deleted the memory or put an older one back.
/// They count where the metric shows changes that the memory does not know as well, and AWS other shards before those.
fn remember_reverts(memory: &mut Memory, observation: &Observation, since: Minute, missing: &mut MissingData) {
    let Traffic { auto_fixes, reshards, reverts, .. } = &observation.traffic;
    let is_new = |minute: &&Minute| memory.reverts.iter().all(|at| Minute::of(*at) != **minute);
    let new: Vec<Minute> = reverts.range(since..).map(|(minute, _)| minute).filter(is_new).copied().collect();
    let is_unknown = |minute: &&Minute| memory.reshards.iter().all(|at| Minute::of(*at) != **minute);
    // A memory without a change does not know our splits either.
    let data = if memory.change.is_none() { auto_fixes } else { reshards };
    let first = data.range(since..).map(|(minute, _)| minute).find(is_unknown).copied();
    let (Some(last), Some(first)) = (new.last(), first) else { return };
    let is_real = first <= *last && is_changed_since(observation, first.start(), missing);
    memory.reverts.extend(new.into_iter().filter(|minute| is_real && *minute >= first).map(Minute::start));
    memory.reverts.sort_unstable();
}

/// Whether AWS shows other shards before the change that was announced at `at`. A time before the stream has none.
fn is_changed_since(observation: &Observation, at: DateTime<Utc>, missing: &mut MissingData) -> bool {
    shards_at(observation, before_change(at), missing).is_some_and(|before| before.count > 0 && !before.are_open)
}

/// Whether the memory lost the change of the datum of `minute`. A memory may be lost before CloudWatch shows the datum.
/// A run then takes our reshard for another's, and remembers only that.
fn has_lost(memory: &Memory, minute: Minute, traffic: &Traffic) -> bool {
    let Some(change) = &memory.change else { return true };
    let knows_none = memory.reshards.is_empty() && memory.switches.is_empty();
    let counts = [&traffic.reshards, &traffic.restores, &traffic.mode_switches];
    let is_budgeted = counts.iter().any(|counts| counts.contains_key(&minute));
    change.kind == ChangeKind::External && knows_none && is_budgeted && minute <= Minute::of(change.at)
}

/// Whether the memory was rebuilt before CloudWatch showed the datum of `minute`, so that it lacks that change.
fn is_lost_since_before(memory: &Memory, minute: Minute) -> bool {
    memory.change.as_ref().is_some_and(|change| change.kind == ChangeKind::Lost && Minute::of(change.at) < minute)
}

/// Whether another person or tool reverted the last change, and only the datum of `minute` is left of it. A tag that is
/// gone alone is no revert: Terraform deletes the tags that it does not know, and leaves the shards.
fn is_lost_change_reverted(
    observation: &Observation,
    stream: &Stream,
    minute: Minute,
    missing: &mut MissingData,
) -> bool {
    let Traffic { reshards, restores, mode_switches, .. } = &observation.traffic;
    let is_provisioned = stream.mode == CapacityMode::Provisioned;
    if mode_switches.contains_key(&minute) {
        return is_provisioned;
    }
    // A restore leaves fewer shards by itself.
    if !is_provisioned || (restores.contains_key(&minute) && !reshards.contains_key(&minute)) {
        return false;
    }
    let before = shards_at(observation, before_change(minute.start()), missing);
    // A stream that still has the shards from before was never changed: a stranger may have written the datum.
    before.is_some_and(|before| !before.are_open && stream.open_shards <= before.count)
}

/// The time of a revert that is found at `now`: before the minute of any change that the same run makes, so that the
/// two can be told apart.
fn revert_found_at(now: DateTime<Utc>) -> DateTime<Utc> {
    Minute::of(now).plus(-1).start()
}

/// When each published change was made, to the minute; `most` of each minute.
fn published_times<'a>(counts: impl Iterator<Item = (&'a Minute, &'a u32)>, most: usize) -> Vec<DateTime<Utc>> {
    counts.flat_map(|(minute, count)| (0..*count).take(most).map(|_| minute.start())).collect()
}

/// Whether the shards show that a change was made. Before it the stream had those that the memory names, or even fewer
/// if shards were added: the reshard before it may have ended seconds earlier. Sets `missing` where AWS was not asked.
fn is_shown_by_shards(change: &Change, observation: &Observation, missing: &mut MissingData) -> bool {
    if !is_reshard(change) {
        return true;
    }
    let Some(before) = shards_at(observation, before_change(change.at), missing) else { return false };
    let (count, from, to) = (Size::Shards(before.count), change.from, change.to);
    count == from || (before.count > 0 && count.number() < from.number() && from.number() < to.number())
}

impl History {
    /// Reads the recalled memory against an ACTIVE `stream`. Holds while a change of ours may be under way.
    pub fn of(
        recalled: Recalled,
        observation: &Observation,
        stream: &Stream,
        now: DateTime<Utc>,
        missing: &mut MissingData,
    ) -> Result<History, Reason> {
        let Recalled { memory, is_rebuilt, reverted } = recalled;
        let traffic = &observation.traffic;
        let phase = Phase::of(&memory, stream, traffic, now);
        let mut history = History { memory, is_rebuilt, phase, evidence_from: None, unpublished: vec![], reverted };
        history.publish_earlier(traffic, now);
        if let Some(Change { at, .. }) = history.memory.change
            && at > now + CLOCKS_DIFFER
        {
            return Err(Reason::BadMemory(format!("its last change is of {at}, which is yet to come")));
        }
        match phase {
            Phase::None => {}
            Phase::Announced { at } => return Err(Reason::Settling { changed_at: at, is_ours: true }),
            Phase::Void => history.forget_void(stream, now),
            Phase::MadeByAnotherRun => {
                history.settle(now);
                history.restart_evidence();
                history.forget(stream, true, now);
            }
            Phase::Done | Phase::Lost => {
                history.find_lost_done(stream, now);
                history.find_done(traffic, now);
                history.restart_evidence();
                history.publish_last(observation, stream, now, missing);
                history.forget(stream, false, now);
            }
            Phase::External(OurChange::Refused) => history.yield_to_external(stream, traffic, false, now),
            Phase::External(OurChange::Void) => {
                history.forget_void(stream, now);
                history.yield_to_external(stream, traffic, false, now);
            }
            Phase::External(OurChange::FoundDone | OurChange::Done) => {
                history.find_done(traffic, now);
                history.yield_to_external(stream, traffic, phase == Phase::External(OurChange::Done), now);
            }
        }
        Ok(history)
    }

    /// A lost change of an on-demand stream was done long ago if it is older than any change takes. AWS sets the shards
    /// of such a stream, so they show no time.
    fn find_lost_done(&mut self, stream: &Stream, now: DateTime<Utc>) {
        let is_lost = |change: &&mut Change| change.kind == ChangeKind::Lost && change.settled.is_none();
        let Some(change) = self.memory.change.as_mut().filter(is_lost) else { return };
        let settled = change.at + USUALLY_SETTLED_WITHIN;
        change.settled = Some(settled).filter(|at| *at <= now && stream.mode == CapacityMode::OnDemand);
    }

    /// The last change was found done: it settles, AWS accepts changes again, and its datum may be there.
    fn find_done(&mut self, traffic: &Traffic, now: DateTime<Utc>) {
        if self.settle(now) {
            self.memory.refused = None;
        }
        let is_shown = |change: &Change| is_published(traffic, &self.memory, change.at);
        let is_shown = self.memory.change.as_ref().is_some_and(is_shown);
        if let Some(change) = self.memory.change.as_mut().filter(|_| is_shown) {
            change.published.get_or_insert(now.trunc_subsecs(0));
        }
    }

    /// Records when the last change settled. Gives whether that is new.
    fn settle(&mut self, now: DateTime<Utc>) -> bool {
        let Some(change) = self.memory.change.as_mut().filter(|change| change.settled.is_none()) else { return false };
        change.settled = Some(now.trunc_subsecs(0));
        change.after = None;
        true
    }

    /// Evidence counts since the last change settled. After a reshard, the records that wait for a retry come first.
    fn restart_evidence(&mut self) {
        let Some(change) = &self.memory.change else { return };
        let drain = if is_reshard(change) { RETRIES_DRAIN } else { TimeDelta::zero() };
        self.evidence_from = change.settled.map(|settled| settled + drain);
    }

    /// The last change was never made.
    fn forget_void(&mut self, stream: &Stream, now: DateTime<Utc>) {
        let Some(change) = &self.memory.change else { return };
        self.evidence_from = change.after;
        self.forget(stream, true, now);
    }

    /// The datum of the last change is missing: it is published now. It counts the change, and allows no restore. AWS
    /// must show a reshard as well: the shards of then were those from before it. A newer datum is of a change that the
    /// memory does not know, and most likely of this one: two runs of one incident may each have announced it.
    fn publish_last(
        &mut self,
        observation: &Observation,
        stream: &Stream,
        now: DateTime<Utc>,
        missing: &mut MissingData,
    ) {
        let Some(change) = &self.memory.change else { return };
        let is_recent = now - change.at < TimeDelta::hours(LOOKBACK_HOURS);
        let is_late = now > publish_again_after(change.at, change.resent);
        let is_missing = change.is_done(stream) && is_uncounted(&observation.traffic, &self.memory, change);
        if is_late && is_recent && is_missing && is_shown_by_shards(change, observation, missing) {
            self.unpublished.push((Remedy::code_of(change.kind), change.at));
            self.memory.change = Some(Change { resent: Some(now.trunc_subsecs(0)), ..change.clone() });
        }
    }

    /// The datum of the change before the last is there by now, or is sent. It stays in the memory until it is found: a
    /// run that dies before it sends what it recorded leaves it to a later run.
    fn publish_earlier(&mut self, traffic: &Traffic, now: DateTime<Utc>) {
        let Some((kind, at)) = self.memory.unpublished else { return };
        // Each change has a time of its own. No run writes the last one twice.
        let last = self.memory.change.as_ref().filter(|change| change.kind != ChangeKind::External);
        let is_last = last.is_some_and(|change| change.at <= at);
        if is_last || is_published(traffic, &self.memory, at) || now - at >= TimeDelta::hours(LOOKBACK_HOURS) {
            (self.memory.unpublished, self.memory.resent) = (None, None);
        } else if now > publish_again_after(at, self.memory.resent) {
            self.memory.resent = Some(now.trunc_subsecs(0));
            self.unpublished.push((Remedy::code_of(kind), at));
        }
    }

    /// Another person or tool has changed the stream's capacity since: the capacity is theirs now. Evidence restarts,
    /// the budgets stay, and there is nothing of ours to restore.
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
        self.memory = self.memory.intend(external, false);
        self.restart_evidence();
        self.forget(stream, false, now);
    }

    /// Whether the other person or tool went back to the state before our change, or before the incident.
    fn is_reverted(&self, ours: &Change, stream: &Stream) -> bool {
        let to_base = self.memory.base.is_some_and(|base| stream.open_shards <= base);
        match ours.kind {
            ChangeKind::Restore | ChangeKind::SwitchBack | ChangeKind::External | ChangeKind::Lost => false,
            // A stream that comes back from on-demand mode keeps the shards that it has grown to.
            ChangeKind::Switch => true,
            ChangeKind::Scale | ChangeKind::ScaleAhead | ChangeKind::Split => ours.is_undone(stream) || to_base,
            ChangeKind::WarmUp | ChangeKind::EnableShardMetrics | ChangeKind::DisableShardMetrics => {
                stream.mode == CapacityMode::Provisioned && (to_base || self.memory.was_provisioned)
            }
        }
    }

    /// Forgets what we did and is no longer so: another run, person or tool undid it, or it was never made (`is_void`).
    fn forget(&mut self, stream: &Stream, is_void: bool, now: DateTime<Utc>) {
        let Memory { change: Some(change), shard_metrics, was_provisioned, switches, base, .. } = &mut self.memory
        else {
            return;
        };
        let provisioned = stream.mode == CapacityMode::Provisioned;
        if *was_provisioned && provisioned {
            *was_provisioned = false;
            let is_external = !is_void && change.kind != ChangeKind::SwitchBack;
            // AWS counts a person's switch, too.
            switches.extend(is_external.then(|| now.trunc_subsecs(0)));
        }
        *base = base.filter(|base| !provisioned || stream.open_shards > *base);
        let Some(ours @ ShardMetrics { on: Some(_), at }) = *shard_metrics else { return };
        let is_off = |metric: &str| stream.metrics_off().any(|off| off == metric);
        if is_void && change.kind == ChangeKind::EnableShardMetrics && at == change.at {
            *shard_metrics = None;
        } else if ours.names().all(is_off) {
            *shard_metrics = Some(ShardMetrics { on: None, at: change.at });
        }
    }
}
