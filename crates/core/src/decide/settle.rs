//! Since when evidence counts after a reshard, as exactly as AWS tells: `ListShards` with `AT_TIMESTAMP` says which
//! shards were open at a time.

use super::MissingData;
use super::history::History;
use crate::memory::{Change, ChangeKind};
use crate::observation::{CapacityMode, Minute, Observation, ShardsAt, Stream};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// For this long after a reshard, producers send records again that the old shards refused. SDKs wait up to 20 s
/// between attempts (AWS SDKs and Tools Reference Guide, "Retry behavior"). With less time, these records would look
/// like load; with more, evidence would count a minute later.
pub(super) const RETRIES_DRAIN: TimeDelta = TimeDelta::seconds(30);

/// The clock of a run may be ahead of AWS's by seconds, and AWS may split a shard within seconds. With less time, AWS
/// would list the shards from after the change; more time would count another person's reshard just before it.
const BEFORE_CHANGE: TimeDelta = TimeDelta::seconds(5);

/// A change that was announced longer than this before the window has most likely settled before it: AWS calls a
/// reshard a matter of minutes. The number only chooses the time that AWS is asked about.
pub(super) const USUALLY_SETTLED_WITHIN: TimeDelta = TimeDelta::minutes(15);

/// The time at which the shards must be the shards of today, so that `minute` and all later minutes are evidence.
/// Before its creation the stream had none.
pub(super) fn shards_before(minute: Minute, stream: &Stream) -> DateTime<Utc> {
    stream.listed_from(minute.start() - RETRIES_DRAIN)
}

/// A time at which the shards are those from before the change that was announced at `at`.
pub(super) fn before_change(at: DateTime<Utc>) -> DateTime<Utc> {
    at - BEFORE_CHANGE
}

/// The shards that were open at `at`. Sets `missing` where AWS was not asked.
pub(super) fn shards_at(observation: &Observation, at: DateTime<Utc>, missing: &mut MissingData) -> Option<ShardsAt> {
    let known = observation.shards_at.get(&at).copied();
    missing.shards_at = missing.shards_at.or(known.is_none().then_some(at));
    known
}

impl History {
    /// Counts evidence from the moment at which AWS shows that the last reshard was done. Without an answer, evidence
    /// counts from the run that found it done. `first`: the first minute of the window; `newest`: the last.
    pub fn pin(
        &mut self,
        observation: &Observation,
        stream: &Stream,
        (first, newest): (Minute, Minute),
        missing: &mut MissingData,
    ) {
        let Some(change) = self.memory.change.as_ref().filter(|change| is_reshard(change)) else { return };
        let is_open = stream.mode != CapacityMode::Provisioned || self.phase.is_void();
        let is_newest_evidence = self.evidence_from.is_none_or(|from| Minute::from(from) <= newest);
        if is_open || is_newest_evidence {
            return;
        }
        let is_old = change.at + USUALLY_SETTLED_WITHIN < first.start();
        let at = shards_before(if is_old { first } else { newest }, stream);
        // Before our call the shards, or the mode, were others. When another person or tool made its call is not known.
        let ours = if change.kind == ChangeKind::External { change.after } else { Some(change.at) };
        if ours.is_some_and(|ours| at <= ours) {
            return;
        }
        if shards_at(observation, at, missing).is_some_and(|then| then.are_open) {
            self.settled_by(at);
        }
    }

    /// The shards are the same since `at`.
    fn settled_by(&mut self, at: DateTime<Utc>) {
        self.evidence_from = Some(at + RETRIES_DRAIN);
        // Another person's change was made before it was found, and the memory counts times from when it was found.
        if let Some(change) = self.memory.change.as_mut().filter(|change| change.kind != ChangeKind::External) {
            change.settled = Some(at.trunc_subsecs(0));
        }
    }
}

/// Whether a change opens and closes shards.
pub(super) fn is_reshard(change: &Change) -> bool {
    matches!(
        change.kind,
        ChangeKind::Scale
            | ChangeKind::ScaleAhead
            | ChangeKind::Split
            | ChangeKind::Restore
            | ChangeKind::External
            | ChangeKind::Lost
    )
}
