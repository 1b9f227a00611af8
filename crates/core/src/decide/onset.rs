//! Minutes that are not what they seem: a minute that CloudWatch has not published yet, one that is older than the
//! shards, and one in which the load began late.

use super::Case;
use super::history::History;
use super::lasting::{lasting, throttled_for_an_hour, throttled_now};
use super::published::silent_since;
use super::settle::{is_reshard, shards_at, shards_before};
use super::unpublished::is_published;
use crate::decision::{Reason, Remedy, Side};
use crate::memory::{Change, Memory};
use crate::observation::{CapacityMode, Minute, ShardsAt, Stream, Traffic};
use crate::signal::Signal;
use chrono::TimeDelta;

/// A change of capacity that takes longer than this is stuck, if the stream throttles meanwhile. AWS calls a reshard a
/// matter of minutes; the largest took most of an hour in public reports. A shorter time would report large reshards; a
/// longer time leaves a stream alone that loses records.
const STUCK_AFTER: TimeDelta = TimeDelta::hours(1);

/// A first minute after our own reshard that refuses less than this share may be the end of a wave of resends, 0–1. A
/// load that is too large refuses more, because producers send refused records again. With a smaller number, a wave
/// would cause the next reshard and the next wave; with a larger number, a load that needs a second step would wait.
const MAY_FALL: f64 = 0.3;

/// Records that are sent again after a reshard come within this time: a KPL learns of the new shards within a minute or
/// two, and one wave may cause another. After it, throttling that comes and goes is the load's. A shorter time could
/// answer a second wave with a reshard; a longer time would hold a stream that throttles every other minute.
const RESENT_WITHIN_MINUTES: i64 = 15;

impl Case<'_> {
    /// Holds while the newest minutes are unknown: CloudWatch is silent about a stream that had traffic all the time,
    /// or the stream is younger than the newest minute.
    pub(super) fn published(&mut self, stream: &Stream, newest: Minute) -> Result<(), Reason> {
        let silent_since = silent_since(&self.observation.traffic, self.observation.observed_at);
        self.decision.evidence.silent_since = silent_since.map(|minute| minute.end());
        let is_younger = stream.created_at.is_some_and(|created| created > newest.start());
        if silent_since.is_some() || is_younger { Err(Reason::EvidencePending) } else { Ok(()) }
    }

    /// Holds where another person or tool has resharded the stream since the window began: its minutes are of other
    /// shards.
    pub(super) fn same_shards(
        &mut self,
        stream: &Stream,
        window: &[Minute],
        history: &mut History,
    ) -> Result<(), Reason> {
        let Some(first) = window.first().filter(|_| stream.mode == CapacityMode::Provisioned) else { return Ok(()) };
        let then = shards_at(self.observation, shards_before(*first, stream), &mut self.missing);
        let Some(ShardsAt { count, are_open: false }) = then else { return Ok(()) };
        let change = Change::external_from(count, stream, self.now);
        let changed_at = change.at;
        history.memory.base = None;
        history.memory = history.memory.intend(change, history.phase.is_unmade());
        Err(Reason::Settling { changed_at, is_ours: false })
    }

    /// A verdict that nothing helps, or that keys are uneven, needs a throttled minute that is whole: CloudWatch has
    /// published a newer one. And it needs a minute in which the load did not just begin: the first throttled minute
    /// after calm ones shows only a part of the load. A verdict that a bound is in the way needs the second alone. More
    /// capacity, and a bound in its way, need a load that is not over.
    pub(super) fn whole_minutes(
        &mut self,
        remedy: Result<Remedy, Reason>,
        side: Side,
        (window, history): (&[Minute], &History),
    ) -> Result<Remedy, Reason> {
        use Reason::{HotKey, LargeRecords, MicroBurst, NothingAccepted, SkewSuspected, TooManyReaders, UnevenReads};
        let is_early = match &remedy {
            Ok(Remedy::EnableShardMetrics { .. })
            | Err(MicroBurst | SkewSuspected(_) | HotKey { .. } | UnevenReads)
            | Err(TooManyReaders(_) | NothingAccepted | LargeRecords) => !self.has_whole_minute(side, history),
            Ok(remedy) => remedy.adds_capacity() && self.is_over(side, window, history),
            Err(reason) => {
                is_bound(reason) && (self.is_over(side, window, history) || self.has_just_begun(side, history))
            }
        };
        if !is_early {
            return remedy;
        }
        self.decision.evidence.onset = Some(true);
        Err(Reason::EvidencePending)
    }

    /// Whether the load began in the newest minute.
    fn has_just_begun(&self, side: Side, history: &History) -> bool {
        let is_throttled = |minute: Minute| self.counts(side, &self.observation.traffic.minute(minute));
        let newest = self.newest_of(side);
        let mut earlier = self.window_up_to(newest, history).into_iter().filter(|minute| *minute < newest);
        !is_throttled(newest.plus(-1)) && !earlier.any(is_throttled)
    }

    /// Whether the window has a throttled minute that is whole, and in which the load did not just begin. A single
    /// throttled minute between calm ones is a burst. A minute below the floor is calm.
    fn has_whole_minute(&self, side: Side, history: &History) -> bool {
        let traffic = &self.observation.traffic;
        let is_throttled = |minute: Minute| self.counts(side, &traffic.minute(minute));
        let newest = self.newest_of(side);
        let window = self.window_up_to(newest, history);
        let mut whole = window.into_iter().filter(|minute| *minute < newest && is_throttled(*minute));
        whole.any(|minute| is_throttled(minute.plus(-1)) || !is_throttled(minute.plus(1)))
    }

    /// Whether the only throttled minute of the window is over: more capacity would not help it. The next minute shows
    /// whether it was a burst. CloudWatch may still publish refusals of the newest minute.
    fn is_over(&self, side: Side, window: &[Minute], history: &History) -> bool {
        let counts = window.iter().filter(|minute| self.counts(side, &self.observation.traffic.minute(**minute)));
        let newest = window.last().map(|newest| self.observation.traffic.minute(*newest));
        newest.is_some_and(|newest| side.refused(&newest) <= 0.0)
            && counts.count() == 1
            && !history.in_incident(self.now)
    }

    /// Records that a side loses records or calls for 15 minutes.
    pub(super) fn record_lasting_loss(&mut self) {
        let lasting = lasting(&self.observation.traffic, self.observation.observed_at);
        self.decision.evidence.lasting_refused_share = lasting.map(|lasting| lasting.share);
        self.decision.evidence.lasting_side = lasting.map(|lasting| lasting.side);
    }

    /// The hold of a stream whose status is UPDATING. A stream that throttles, and is UPDATING for over an hour, needs
    /// a person. AWS does not say since when a stream is UPDATING: our memory knows it of our own change. Of another
    /// change, throttling for an hour shows it.
    pub(super) fn resharding(&mut self, mut memory: Memory) -> Reason {
        let (traffic, observed_at) = (&self.observation.traffic, self.observation.observed_at);
        // The datum goes out once AWS has accepted the change. Without it, another person's change may be under way.
        let is_made = |change: &&Change| change.settled.is_none() && is_published(traffic, &memory, change.at);
        let own = memory.change.as_ref().filter(is_made).map(|change| change.at);
        let own = own.filter(|at| self.now - *at >= STUCK_AFTER);
        let stuck = if own.is_some() {
            throttled_now(traffic, observed_at)
        } else {
            throttled_for_an_hour(traffic, observed_at)
        };
        let evidence = &mut self.decision.evidence;
        evidence.updating_since = own.filter(|_| stuck.is_some());
        evidence.lasting_refused_share = evidence.lasting_refused_share.or(stuck.map(|lasting| lasting.share));
        evidence.lasting_side = evidence.lasting_side.or(stuck.map(|lasting| lasting.side));
        if self.record_notification_of(&Reason::Resharding, &mut memory) {
            // AWS may refuse the tag of a stream that is UPDATING. Then people get the message all the same.
            self.decision.memory = Some(memory);
        }
        Reason::Resharding
    }
}

/// Whether more capacity would help, and a limit of AWS or of a person is in the way.
fn is_bound(reason: &Reason) -> bool {
    use Reason::{AtAccountQuota, AtMaxCost, AtMaxShards, ReshardBudgetSpent, SplitBudgetSpent, TugOfWar};
    matches!(reason, AtMaxShards { .. } | AtMaxCost { .. } | AtAccountQuota(_) | TugOfWar)
        || matches!(reason, ReshardBudgetSpent(_) | SplitBudgetSpent(_))
}

/// The side that a signal reports. `None`: a person or the sweep asks, or the signal does not say.
pub(super) fn side_of(signal: &Signal) -> Option<Side> {
    const WRITES: [&str; 3] = ["Write", "PutRecord", "Incoming"];
    const READS: [&str; 2] = ["Read", "GetRecords"];
    let is_of = |names: &[&str], name: &str| names.iter().any(|known| name.starts_with(known));
    let are_all = |names: &[&str]| match signal {
        Signal::Throttle(call) => is_of(names, &call.operation),
        Signal::Alarm(alarm) => !alarm.metrics.is_empty() && alarm.metrics.iter().all(|name| is_of(names, name)),
        Signal::Ask(_) | Signal::Sweep(_) => false,
    };
    if are_all(&WRITES) { Some(Side::Writes) } else { are_all(&READS).then_some(Side::Reads) }
}

impl History {
    /// Holds where our own reshard is not verified, and the newest minute refused nothing, or is the first since the
    /// reshard and refused little: producers send records again that the old shards refused, and older KPLs send
    /// records again that landed on another shard than predicted. A second reshard would cause the next wave.
    pub(super) fn resends(&self, side: Side, traffic: &Traffic, window: &[Minute]) -> Result<(), Reason> {
        let Some(change) = self.unverified().filter(|change| is_reshard(change)) else { return Ok(()) };
        let Some(newest) = window.last() else { return Ok(()) };
        if self.evidence_from.is_some_and(|from| Minute::from(from).plus(RESENT_WITHIN_MINUTES) <= *newest) {
            return Ok(());
        }
        let share = side.refused_share(&traffic.minute(*newest));
        let may_fall = window.len() == 1 && share < MAY_FALL;
        if share <= 0.0 || may_fall { Err(Reason::Settling { changed_at: change.at, is_ours: true }) } else { Ok(()) }
    }
}
