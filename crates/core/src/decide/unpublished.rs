//! Whether CloudWatch shows the AutoFix datum of a change, and when a missing one is sent again.

use super::phase::{RIVAL_WITHIN_MINUTES, has_rival};
use crate::memory::{Change, Memory};
use crate::observation::{Minute, Traffic};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

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
/// minute counts, but not the datum of another reshard that the memory knows. Of two reshards of one minute, a single
/// datum is of the earlier: the later may have been refused.
pub(super) fn is_published(traffic: &Traffic, memory: &Memory, at: DateTime<Utc>) -> bool {
    let own = Minute::of(at);
    let count = |counts: &BTreeMap<Minute, u32>, minute| counts.get(&minute).copied().unwrap_or_default() as usize;
    let is_free = |minute: Minute| {
        let is_other = |other: &&DateTime<Utc>| Minute::of(**other) == minute && (minute != own || **other < at);
        let others = memory.reshards.iter().filter(is_other).count();
        let reshards = count(&traffic.reshards, minute) + count(&traffic.restores, minute);
        count(&traffic.auto_fixes, minute) > others.min(reshards)
    };
    [-1, 0, 1].into_iter().any(|by| is_free(own.plus(by)))
}

/// Whether no datum stands for the last change of the memory: none of its own, and none of another run of the same
/// incident.
pub(super) fn is_uncounted(traffic: &Traffic, memory: &Memory, change: &Change) -> bool {
    change.published.is_none() && !is_published(traffic, memory, change.at) && !has_rival(traffic, change)
}
