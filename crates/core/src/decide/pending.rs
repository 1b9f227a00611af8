//! Whether a stream that no event names needs a check. The memory alone tells, so the other streams of a sweep cost
//! nothing.

use super::NOTIFY_AGAIN_AFTER;
use super::history::RESTORE_TRIED_EVERY;
use super::metrics_off::{METRICS_ON_FOR, is_diagnosed};
use super::phase::is_to_heal;
use super::readers::STOPPED;
use super::restore::{is_raised, unchanged_for};
use super::unpublished::publish_again_after;
use crate::memory::{ChangeKind, Memory, Planned, TAG};
use crate::observation::LOOKBACK_HOURS;
use crate::policy::{Foresight, Mode, Policy};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// What a stream needs a check for. A sweep takes them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pending {
    /// A change to verify, a datum to look for, metrics to switch off, or a memory that cannot be read: a person must
    /// know.
    Now,
    /// Shards to restore, if the load allows it.
    Restore,
    /// A load that may be expected, or shards that a person has planned.
    Foresight,
}

/// How often a stream is looked at only because a load may be expected or planned, in minutes. CloudWatch charges for
/// each look. A forecast is for 20 minutes, so a shorter time would cost more and see no more; a longer one would be
/// late.
const LOOKS_AHEAD_EVERY: i64 = 5;

/// Whether it is the turn of this stream to be looked at for [`Pending::Foresight`], in a sweep at `now`. The next
/// sweep begins at `next`. The turns of the streams are spread over the minutes. `next`: `None` is unknown, and then
/// each sweep looks at it.
pub fn is_turn_to_look_ahead(stream: &str, now: DateTime<Utc>, next: Option<DateTime<Utc>>) -> bool {
    let Some(next) = next else { return true };
    let place = stream.bytes().fold(0, |place, byte| (31 * place + i64::from(byte)) % LOOKS_AHEAD_EVERY);
    let minute = |time: DateTime<Utc>| time.timestamp().div_euclid(60);
    (minute(now)..minute(next)).any(|minute| (minute + place).rem_euclid(LOOKS_AHEAD_EVERY) == 0)
}

/// The pending work of a stream with these tags. `None`: there is none.
pub fn pending(tags: &BTreeMap<String, String>, policy: &Policy, now: DateTime<Utc>) -> Option<Pending> {
    // A stream whose policy tag cannot be read is checked like any other, and the check notifies.
    let mode = policy.for_stream(tags, None).map_or(Some(policy.mode), |policy| policy.map(|policy| policy.mode));
    let mode = mode.filter(|mode| *mode != Mode::Off)?;
    let is_foreseen = policy.for_stream(tags, None).ok().flatten().is_some_and(|p| p.foresight != Foresight::Off);
    let foreseen = |is_planned: bool| (is_foreseen || is_planned).then_some(Pending::Foresight);
    let Some(text) = tags.get(TAG) else { return foreseen(false) };
    let Ok(memory) = Memory::parse(text) else { return Some(Pending::Now) };
    // In observe mode every sweep would plan the same undo again.
    let may_undo = mode == Mode::Heal;
    if is_unfinished(&memory, now) || has_readers_to_watch(&memory, now) || (may_undo && has_metrics_on(&memory, now)) {
        return Some(Pending::Now);
    }
    let planned = memory.planned.filter(|planned| may_undo && planned.is_running(now));
    if planned.is_some_and(|planned| has_next_step(&memory, planned, now)) {
        return Some(Pending::Now);
    }
    let is_restore = may_undo && has_restore(&memory, policy, now);
    is_restore.then_some(Pending::Restore).or(foreseen(planned.is_some()))
}

/// The next step of a plan is made within this time after the one before, unless something allows none. With less time,
/// a plan of several steps would wait for its turn between them; with more, every sweep would look at a plan that a
/// bound holds.
const NEXT_STEP_WITHIN: TimeDelta = TimeDelta::minutes(15);

/// Whether a step of this plan has just settled, and is not the last one.
fn has_next_step(memory: &Memory, planned: Planned, now: DateTime<Utc>) -> bool {
    let Some(change) = memory.change.as_ref().filter(|change| change.kind == ChangeKind::ScaleAhead) else {
        return false;
    };
    let is_new = change.settled.is_some_and(|settled| now - settled < NEXT_STEP_WITHIN);
    is_new && change.to.shards().is_some_and(|shards| shards < planned.at_least)
}

/// Whether the last change is not known to be done, verified and published. After a day no metric shows any of that.
fn is_unfinished(memory: &Memory, now: DateTime<Utc>) -> bool {
    let earlier = memory.unpublished.is_some_and(|(_, at)| now >= publish_again_after(at, memory.resent));
    let change = memory.change.as_ref().filter(|change| now - change.at < TimeDelta::hours(LOOKBACK_HOURS));
    // A change that AWS refused was never made. An alarm finds a stream that throttles on.
    let change = change.filter(|_| !memory.is_change_refused());
    earlier
        || change.is_some_and(|change| {
            let is_ours = !matches!(change.kind, ChangeKind::External | ChangeKind::Lost);
            let is_missing =
                is_ours && change.published.is_none() && now >= publish_again_after(change.at, change.resent);
            change.settled.is_none() || (is_to_heal(change.kind) && change.healed.is_none()) || is_missing
        })
}

/// Whether readers may not have followed our last change to its new shards, or are known to have stopped after it. A
/// message about them is repeated once an hour.
fn has_readers_to_watch(memory: &Memory, now: DateTime<Utc>) -> bool {
    let change = memory.change.as_ref().filter(|change| now - change.at < TimeDelta::hours(LOOKBACK_HOURS));
    let is_watched = change.and_then(|change| change.readers_until).is_some_and(|until| now < until);
    let mut stopped = memory.notifications().filter(|(code, _)| code == STOPPED);
    is_watched || (change.is_some() && stopped.any(|(_, at)| now - *at >= NOTIFY_AGAIN_AFTER))
}

/// Whether shard-level metrics that we switched on can be switched off.
fn has_metrics_on(memory: &Memory, now: DateTime<Utc>) -> bool {
    let metrics = memory.shard_metrics.filter(|metrics| metrics.on.is_some());
    metrics.is_some_and(|metrics| now - metrics.at >= METRICS_ON_FOR || is_diagnosed(memory))
}

/// Whether shards may be restored: enough hours have passed since the last change, and no run has tried it lately.
fn has_restore(memory: &Memory, policy: &Policy, now: DateTime<Utc>) -> bool {
    let unchanged = TimeDelta::hours(unchanged_for(memory, i64::from(policy.restore_after_hours)));
    let is_raised = is_raised(memory) && memory.restore_tried.is_none_or(|at| now - at >= RESTORE_TRIED_EVERY);
    let since = memory.change.as_ref().map(|change| change.settled.unwrap_or(change.at));
    policy.restore_after_hours > 0 && is_raised && since.is_none_or(|since| now - since >= unchanged)
}
