//! The life of the last change, as the stream shows it.

use super::unpublished::is_published;
use crate::memory::{Change, ChangeKind, Memory};
use crate::observation::{Minute, Stream, Traffic};
use chrono::{DateTime, TimeDelta, Utc};

/// An intent older than this, whose stream is ACTIVE and as before, was never carried out. A run takes less than 30 s
/// (see the time limits of the clients), and a call that was announced leaves within seconds or not at all. The time is
/// less than the minute after which Lambda tries a failed run again, so that this try can make the change.
const INTENT_VOID_AFTER: TimeDelta = TimeDelta::seconds(45);

/// Two runs of one incident announce the same change within this many minutes: the second begins once the intent of the
/// first is void. With a larger number, a lost datum would stay lost beside the datum of a later change.
pub(super) const RIVAL_WITHIN_MINUTES: i64 = 3;

/// A change that settled longer ago than this, and was never verified, belongs to another incident.
pub(super) const INCIDENT: TimeDelta = TimeDelta::hours(1);

/// The life of the last change in the memory. Whether evidence counts again after it is another question:
/// [`History::settled`](super::history::History::settled).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The memory has no change.
    None,
    /// The intent is young, and the stream is as before: the change may be on its way.
    Announced {
        /// When the intent was written.
        at: DateTime<Utc>,
    },
    /// The change was never made: AWS refused it, or the stream is as before long after the intent.
    Void,
    /// AWS refused the change, and the stream is not as before: another run made a change like it, or the change
    /// settled before AWS refused the next attempt.
    MadeByAnotherRun,
    /// The change is made. It is verified or not.
    Done,
    /// Another person or tool has changed the stream since.
    External(OurChange),
    /// Only the AutoFix metric knows the change. The memory of it was lost.
    Lost,
}

/// What became of our change before another person or tool changed the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OurChange {
    /// AWS refused it.
    Refused,
    /// It was never made, and it was one of shard-level metrics: these are as before, and the shards are not.
    Void,
    /// It was not found done before this run.
    FoundDone,
    /// An earlier run found it done.
    Done,
}

impl Phase {
    /// The phase of the memory's change, on an ACTIVE `stream`.
    pub(super) fn of(memory: &Memory, stream: &Stream, traffic: &Traffic, now: DateTime<Utc>) -> Phase {
        let Some(change) = &memory.change else { return Phase::None };
        let is_published = is_published(traffic, memory, change.at);
        // Where two runs make the same change, AWS refuses one of them, and that one may write last. The datum shows
        // that the change was made.
        let is_refused = memory.is_change_refused() && !is_published;
        let is_overridden = change.is_overridden(stream);
        if change.settled.is_none() && change.is_undone(stream) {
            if !is_refused && now - change.at < INTENT_VOID_AFTER {
                return Phase::Announced { at: change.at };
            }
            if is_refused || !is_published {
                // That shard-level metrics are as before says nothing of the shards.
                let is_of_metrics =
                    matches!(change.kind, ChangeKind::EnableShardMetrics | ChangeKind::DisableShardMetrics);
                let is_external = is_of_metrics && is_overridden;
                return if is_external { Phase::External(OurChange::Void) } else { Phase::Void };
            }
        }
        match change.settled {
            None if is_refused && is_overridden => Phase::External(OurChange::Refused),
            _ if is_refused => Phase::MadeByAnotherRun,
            settled if is_overridden && !has_newer(traffic, change) => {
                Phase::External(if settled.is_some() { OurChange::Done } else { OurChange::FoundDone })
            }
            _ if change.kind == ChangeKind::Lost => Phase::Lost,
            _ => Phase::Done,
        }
    }

    /// Whether the last change was never made, so that AWS does not count it.
    pub(super) fn is_unmade(self) -> bool {
        self == Phase::Void
    }

    /// Whether the last change was not made by the run that announced it.
    pub(super) fn is_void(self) -> bool {
        matches!(self, Phase::Void | Phase::MadeByAnotherRun)
    }
}

/// Whether a change of this kind is made to stop throttling.
pub(super) fn is_to_heal(kind: ChangeKind) -> bool {
    matches!(kind, ChangeKind::Scale | ChangeKind::Split | ChangeKind::Switch | ChangeKind::WarmUp)
}

/// Whether the AutoFix metric shows the change of another run of the same incident. A run that was slower may have
/// overwritten its memory.
pub(super) fn has_rival(traffic: &Traffic, change: &Change) -> bool {
    let minute = Minute::of(change.at);
    traffic.auto_fixes.range(minute.plus(2)..=minute.plus(RIVAL_WITHIN_MINUTES)).next().is_some()
}

/// Whether the AutoFix metric knows of a change that the memory, overwritten or put back, does not.
fn has_newer(traffic: &Traffic, change: &Change) -> bool {
    traffic.auto_fixes.keys().next_back().is_some_and(|newest| *newest > Minute::of(change.at).plus(1))
}

/// Whether a change of this kind closes shards, so that readers have to find new ones. In on-demand mode AWS splits
/// shards by itself.
pub(super) fn moves_shards(kind: ChangeKind) -> bool {
    is_to_heal(kind) || kind == ChangeKind::Restore
}
