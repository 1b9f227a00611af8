//! Whether CloudWatch shows the AutoFix datum of a change, and when a missing one is sent again.

use super::phase::{RIVAL_WITHIN_MINUTES, has_rival};
use crate::memory::Change;
use crate::observation::{Minute, Traffic};
use chrono::{DateTime, TimeDelta, Utc};

/// A change whose AutoFix datum cannot be read after this time was never counted: CloudWatch shows a new datum within
/// one to three minutes. The datum may be that of another run, up to [`RIVAL_WITHIN_MINUTES`] younger, whose memory a
/// slower run has overwritten. With less time, one change would be counted twice.
const SHOWN_WITHIN: TimeDelta = TimeDelta::minutes(5 + RIVAL_WITHIN_MINUTES);

/// A datum that is sent later than this may take [`OLD_SHOWN_WITHIN`] to be shown (PutMetricData: "between 3 and 24
/// hours ago can take as much as 2 hours").
const OLD: TimeDelta = TimeDelta::hours(3);
/// See [`OLD`].
const OLD_SHOWN_WITHIN: TimeDelta = TimeDelta::minutes(125);

/// After this time a datum that is not shown is sent again. `at`: of the change; `resent`: when it was last sent again.
/// Each time that it was sent in vain, CloudWatch gets twice as long: it adds up what it is sent twice.
pub(super) fn publish_again_after(at: DateTime<Utc>, resent: Option<DateTime<Utc>>) -> DateTime<Utc> {
    let sent = resent.unwrap_or(at).max(at);
    sent + if sent - at > OLD { OLD_SHOWN_WITHIN } else { SHOWN_WITHIN.max(sent - at) }
}

/// Whether CloudWatch shows the AutoFix datum of a change announced at `at`. Two runs of one incident may both have
/// written an intent, seconds apart, and the datum has the time of the run whose call AWS accepted. So a neighbouring
/// minute counts.
pub(super) fn is_published(traffic: &Traffic, at: DateTime<Utc>) -> bool {
    let minute = Minute::of(at);
    traffic.auto_fixes.range(minute.plus(-1)..=minute.plus(1)).any(|(_, count)| *count > 0)
}

/// Whether no datum stands for this change: none of its own, and none of another run of the same incident.
pub(super) fn is_uncounted(traffic: &Traffic, change: &Change) -> bool {
    change.published.is_none() && !is_published(traffic, change.at) && !has_rival(traffic, change)
}
