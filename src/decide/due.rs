//! Whether a stream that nothing woke us for needs a look: told from its memory alone, so that a sweep costs the others
//! nothing.

use super::calm::{WATCHED_FOR, is_diagnosed};
use super::settle::{COUNTED_WITHIN, is_to_heal};
use crate::memory::{ChangeKind, Memory, TAG};
use crate::observation::LOOKBACK_HOURS;
use crate::policy::{MODE_TAG, Mode, Policy};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// Whether a stream with these tags has a change to verify, a receipt to check, something to switch off, or a restore due.
/// A memory that cannot be read is due: a person must know.
pub fn is_due(tags: &BTreeMap<String, String>, policy: &Policy, now: DateTime<Utc>) -> bool {
    let is_off = policy.mode == Mode::Off || tags.get(MODE_TAG).is_some_and(|mode| mode == "off");
    let Some(text) = tags.get(TAG).filter(|_| !is_off) else { return false };
    let Ok(memory) = Memory::parse(text) else { return true };
    has_unsettled(&memory, now) || has_watch(&memory, now) || has_restore(&memory, policy, now)
}

/// A change that is not known to be done, to have healed, or to be counted. After a day nothing of that can be told.
fn has_unsettled(memory: &Memory, now: DateTime<Utc>) -> bool {
    let is_owed = |at: DateTime<Utc>| now - at >= COUNTED_WITHIN;
    let owed = memory.owed.is_some_and(|(_, at)| is_owed(at));
    let change = memory.change.as_ref().filter(|change| now - change.at < TimeDelta::hours(LOOKBACK_HOURS));
    owed || change.is_some_and(|change| {
        let is_ours = !matches!(change.kind, ChangeKind::Theirs | ChangeKind::Lost);
        let is_uncounted = is_ours && change.counted.is_none() && is_owed(change.at);
        change.settled.is_none() || (is_to_heal(change.kind) && change.healed.is_none()) || is_uncounted
    })
}

fn has_watch(memory: &Memory, now: DateTime<Utc>) -> bool {
    let watch = memory.watch.filter(|watch| watch.metrics.is_some());
    watch.is_some_and(|watch| now - watch.at >= WATCHED_FOR || is_diagnosed(memory))
}

/// Something to take back, and calm hours enough since the last change.
fn has_restore(memory: &Memory, policy: &Policy, now: DateTime<Utc>) -> bool {
    let calm = TimeDelta::hours(i64::from(policy.restore_after_hours));
    let is_raised = memory.base.is_some() || memory.was_provisioned;
    let since = memory.change.as_ref().map(|change| change.settled.unwrap_or(change.at));
    policy.restore_after_hours > 0 && is_raised && since.is_none_or(|since| now - since >= calm)
}
