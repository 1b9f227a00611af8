//! When a verdict can be expected.

use super::Seen;
use crate::decide::SILENCE_IS_UNKNOWN_MINUTES;
use crate::observation::{Minute, PUBLISHED_WITHIN_MINUTES};
use chrono::{DateTime, TimeDelta, Utc};

/// Minutes until a change shows in CloudWatch at the latest: the first whole minute after it, which CloudWatch
/// publishes one to three minutes after its end (the user guide of Kinesis says no more than "a minute").
const SHOWN_AFTER: i64 = 4;

/// Minutes that a reshard under way may still take, for most streams.
const RESHARD: i64 = 1;

/// The time at which a change of this moment shows, to the minute.
fn shown(changed_at: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = changed_at.timestamp().rem_euclid(60);
    changed_at + TimeDelta::seconds(if seconds == 0 { 0 } else { 60 - seconds }) + TimeDelta::minutes(SHOWN_AFTER)
}

/// That a verdict comes about then. Empty: the time of the observation is not known.
fn about(then: Option<DateTime<Utc>>) -> String {
    then.map(|then| format!(" A verdict can be expected about {} UTC.", then.format("%H:%M"))).unwrap_or_default()
}

/// After a change at `changed_at`. If it should show by now, the next minutes do.
pub(super) fn after_change(changed_at: DateTime<Utc>, seen: &Seen<'_>) -> String {
    let next = seen.evidence.observed_at.map(|now| now + TimeDelta::minutes(1));
    about(Some(next.map_or_else(|| shown(changed_at), |next| next.max(shown(changed_at)))))
}

/// After a change of another person or tool that was found only now, so that its own time is not known.
pub(super) fn after_found_change() -> String {
    format!(" A verdict can be expected about {SHOWN_AFTER} minutes after that change.")
}

/// After the first minutes of a stream that was created at `created`.
pub(super) fn after_creation(created: DateTime<Utc>) -> String {
    // A minute without traffic is known when CloudWatch would have published it.
    about(Some(Minute::of(created).plus(2 + PUBLISHED_WITHIN_MINUTES).start()))
}

/// When a stream that is silent since then counts as one that has stopped.
pub(super) fn stopped(since: DateTime<Utc>) -> DateTime<Utc> {
    since + TimeDelta::minutes(SILENCE_IS_UNKNOWN_MINUTES + PUBLISHED_WITHIN_MINUTES)
}

/// After a change that is under way.
pub(super) fn after_reshard(seen: &Seen<'_>) -> String {
    about(seen.evidence.observed_at.map(|now| shown(now + TimeDelta::minutes(RESHARD))))
}

/// After the next minute that CloudWatch publishes.
pub(super) fn after_next_minute(seen: &Seen<'_>) -> String {
    let next = seen.evidence.newest().map(|minute| minute.plus(1).end() + TimeDelta::minutes(SHOWN_AFTER - 1));
    let soon = seen.evidence.observed_at.map(|now| now + TimeDelta::minutes(1));
    about(next.zip(soon).map(|(next, soon)| next.max(soon)))
}

/// After a restore that is made now.
pub(super) fn after_restore(now: Option<DateTime<Utc>>) -> String {
    let then = now.map(|now| shown(now + TimeDelta::minutes(RESHARD)));
    then.map(|then| format!(" Whether the rest is enough shows about {} UTC.", then.format("%H:%M")))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_in_the_first_whole_minute_after_it() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        assert_eq!(shown(at(0)), at(240));
        assert_eq!(shown(at(1)), at(300));
        assert_eq!(after_restore(Some(at(1))), " Whether the rest is enough shows about 00:06 UTC.");
        assert_eq!(after_restore(None), "");
    }
}
