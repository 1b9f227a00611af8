//! Which minutes CloudWatch has published. The metrics of writes and of reads come at different times, so each side has
//! a newest minute of its own.

use crate::decision::Side;
use crate::observation::{Minute, MinuteTraffic, Traffic};
use chrono::{DateTime, Utc};

/// A side that had data in each of this many minutes has traffic all the time, so a minute without data is late. With a
/// smaller number, a producer that writes now and then would look like one that never stops. With a larger number, the
/// writes of a young stream would look idle while they are late.
const STEADY_MINUTES: i64 = 5;

/// A stream with traffic all the time that shows no data for longer than this has stopped. CloudWatch has had delays of
/// most of an hour in public reports of incidents. A shorter time would take such a delay for an idle stream; a longer
/// time would hold a stopped stream as unknown.
const SILENCE_IS_UNKNOWN_MINUTES: i64 = 60;

/// The newest minute whose traffic of `side` is known. A side that lacks data while the other side has newer data is
/// late, as long as CloudWatch may still publish it.
pub(super) fn newest_of(side: Side, traffic: &Traffic, observed_at: DateTime<Utc>) -> Minute {
    let newest = traffic.newest(observed_at);
    let last = traffic.last_minute(|minute| has_data(side, minute));
    let is_late = |last: &Minute| *last >= Traffic::published_by(observed_at) && is_steady(side, traffic, *last);
    last.filter(is_late).unwrap_or(newest).min(newest)
}

/// The last minute with data, where the stream had data all the time and CloudWatch shows none since. `None`: the
/// newest minutes are known.
pub(super) fn silent_since(traffic: &Traffic, observed_at: DateTime<Utc>) -> Option<Minute> {
    let newest = traffic.newest(observed_at);
    let last = traffic.last_minute(|minute| *minute != MinuteTraffic::default())?;
    let is_silent = last < newest && newest <= last.plus(SILENCE_IS_UNKNOWN_MINUTES);
    let is_steady = [Side::Writes, Side::Reads].into_iter().any(|side| is_steady(side, traffic, last));
    (is_silent && is_steady).then_some(last)
}

/// Whether `side` had data in each of the minutes up to `last`.
fn is_steady(side: Side, traffic: &Traffic, last: Minute) -> bool {
    last.plus(1 - STEADY_MINUTES).to(last).all(|minute| has_data(side, &traffic.minute(minute)))
}

/// Whether CloudWatch shows something of `side` in this minute.
pub(super) fn has_data(side: Side, minute: &MinuteTraffic) -> bool {
    match side {
        Side::Writes => minute.incoming_records > 0.0 || minute.write_throttled > 0.0,
        Side::Reads => {
            minute.get_records_calls > 0.0 || minute.read_throttled > 0.0 || minute.iterator_age_ms.is_some()
        }
    }
}
