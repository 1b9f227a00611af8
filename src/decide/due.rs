//! Whether a stream that nothing woke us for needs a look: told from its memory alone, so that a sweep costs the others
//! nothing.

use super::calm::{WATCHED_FOR, is_diagnosed, is_raised, unchanged_for};
use super::settle::{TRIED_EVERY, counted_by, is_to_heal};
use crate::memory::{ChangeKind, Memory, TAG};
use crate::observation::LOOKBACK_HOURS;
use crate::policy::{Mode, Policy};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// What a stream needs a look for; the first comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A change to verify, a receipt to check, something to switch off, or a memory that cannot be read: a person must know.
    Now,
    /// Something to give back, if the load allows it.
    Restore,
}

/// What a stream with these tags needs a look for, if for anything.
pub fn due(tags: &BTreeMap<String, String>, policy: &Policy, now: DateTime<Utc>) -> Option<Due> {
    let text = tags.get(TAG)?;
    // A stream whose policy cannot be read is looked at like any other, and then a person hears of it.
    let mode = policy.for_stream(tags, None).map_or(Some(policy.mode), |policy| policy.map(|policy| policy.mode));
    let mode = mode.filter(|mode| *mode != Mode::Off)?;
    let Ok(memory) = Memory::parse(text) else { return Some(Due::Now) };
    // What is only observed would be planned again at every sweep.
    let may_undo = mode == Mode::Heal;
    if has_unsettled(&memory, now) || (may_undo && has_watch(&memory, now)) {
        return Some(Due::Now);
    }
    (may_undo && has_restore(&memory, policy, now)).then_some(Due::Restore)
}

/// A change that is not known to be done, to have healed, or to be counted. After a day nothing of that can be told.
fn has_unsettled(memory: &Memory, now: DateTime<Utc>) -> bool {
    let owed = memory.owed.is_some_and(|(_, at)| now >= counted_by(at, memory.resent));
    let change = memory.change.as_ref().filter(|change| now - change.at < TimeDelta::hours(LOOKBACK_HOURS));
    // What AWS has refused was never made. A stream that throttles on is found by that.
    let change = change.filter(|_| !memory.is_change_refused());
    owed || change.is_some_and(|change| {
        let is_ours = !matches!(change.kind, ChangeKind::Theirs | ChangeKind::Lost);
        let is_uncounted = is_ours && change.counted.is_none() && now >= counted_by(change.at, change.sent);
        change.settled.is_none() || (is_to_heal(change.kind) && change.healed.is_none()) || is_uncounted
    })
}

fn has_watch(memory: &Memory, now: DateTime<Utc>) -> bool {
    let watch = memory.watch.filter(|watch| watch.metrics.is_some());
    watch.is_some_and(|watch| now - watch.at >= WATCHED_FOR || is_diagnosed(memory))
}

/// Something to take back, calm hours enough since the last change, and not tried of late.
fn has_restore(memory: &Memory, policy: &Policy, now: DateTime<Utc>) -> bool {
    let calm = TimeDelta::hours(unchanged_for(memory, i64::from(policy.restore_after_hours)));
    let is_raised = is_raised(memory) && memory.tried.is_none_or(|at| now - at >= TRIED_EVERY);
    let since = memory.change.as_ref().map(|change| change.settled.unwrap_or(change.at));
    policy.restore_after_hours > 0 && is_raised && since.is_none_or(|since| now - since >= calm)
}
