//! Memories that unthrottle did not write. Any principal who may tag a stream can write its memory, so a change is
//! undone only if the AutoFix metric has a datum of the run that made it. A datum that a later run has sent again is no
//! proof: that run only read the memory.

use super::Case;
use super::history::History;
use super::restore::utc;
use crate::decision::{Reason, Remedy};
use crate::memory::{ChangeKind, Memory};
use chrono::{DateTime, Utc};

/// Forgets what this memory says of times after `latest`: unthrottle did not write that. A refusal or reverts to come
/// would hold the stream for years, and a message to come would keep every other message back.
pub(super) fn forget_times_to_come(memory: &mut Memory, latest: DateTime<Utc>) {
    memory.refused.take_if(|refused| refused.at > latest);
    memory.reverts.retain(|at| *at <= latest);
    memory.levels.retain(|at| *at <= latest);
    memory.forecast.take_if(|forecast| forecast.at > latest);
    memory.forget_notifications(|(_, at)| *at > latest);
    for at in [&mut memory.restore_tried, &mut memory.resent] {
        at.take_if(|at| *at > latest);
    }
    if let Some(change) = &mut memory.change {
        for at in [&mut change.settled, &mut change.healed, &mut change.resent, &mut change.published] {
            at.take_if(|at| *at > latest);
        }
    }
}

impl Case<'_> {
    /// Holds a restore or a switch back where no run that made the change of the memory has sent its AutoFix datum. A
    /// person who gives the number of shards relies on no memory.
    pub(super) fn shown(&mut self, remedy: Remedy, history: &mut History) -> Result<Remedy, Reason> {
        let is_undo = matches!(remedy, Remedy::Restore { .. } | Remedy::SwitchToProvisioned { .. });
        let has_number = self.signal.undo().is_some_and(|undo| undo.to.is_some());
        if !is_undo || has_number {
            return Ok(remedy);
        }
        let memory = &history.memory;
        let last = memory.change.as_ref().map(|change| (change.kind, change.at));
        // Where the last change was never made, the one before it counts. The memory has its time for a day. After that
        // any change of this kind counts.
        let is_other = |at: &&DateTime<Utc>| Some(**at) != last.map(|(_, at)| at) && !memory.restores.contains(at);
        let before = |times: &[DateTime<Utc>]| times.iter().rev().find(is_other).copied();
        let change = match last {
            Some((kind, at)) if !history.phase.is_void() => (kind, Some(at)),
            _ if memory.was_provisioned => (ChangeKind::Switch, before(&memory.switches)),
            _ => {
                let at = before(&memory.reshards);
                let is_ahead = at.is_some_and(|at| memory.aheads.contains(&at));
                (if is_ahead { ChangeKind::ScaleAhead } else { ChangeKind::Scale }, at)
            }
        };
        match self.observation.is_change_shown {
            Some(true) => Ok(remedy),
            Some(false) => {
                history.record_restore_tried(self.now);
                let at = change.1.map(|at| format!(" at {}", utc(at))).unwrap_or_default();
                Err(Reason::NotRestorable(format!(
                    "its memory names a change{at} that the AutoFix metric does not show, or shows only because a \
                     later run read that memory, so unthrottle may not have made it"
                )))
            }
            None => {
                self.missing.change_shown = Some(change);
                Err(Reason::EvidencePending)
            }
        }
    }
}
