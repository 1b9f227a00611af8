//! Which minutes CloudWatch has published. The metrics of writes and of reads come at different times, so each side has
//! a newest minute of its own.

use crate::decision::Side;
use crate::observation::{LOOKBACK_HOURS, Minute, MinuteTraffic, Traffic};
use chrono::{DateTime, Utc};

/// How many minutes up to the last one with data show whether a side has traffic all the time. With fewer, a producer
/// that writes now and then would look like one that never stops. With more, the writes of a young stream would look
/// idle while they are late.
const STEADY_MINUTES: i64 = 5;

/// A side that had data in this many of the [`STEADY_MINUTES`] may have data that are late. A smaller number would wait
/// for data of a producer that wrote once; with a larger number, one idle minute would hide late data.
const OFTEN: usize = 3;

/// A stream that had data in this many of the [`STEADY_MINUTES`] has not stopped in silence: one minute without data is
/// a producer's pause or a lost datapoint.
const NEARLY_ALWAYS: usize = 4;

/// The data of writes may be this late while those of reads come. The data of a whole stream that come later are
/// unknown (see [`SILENCE_IS_UNKNOWN_MINUTES`]). A shorter time would take late writes for healthy ones; a longer time
/// delays "healthy" on a stream whose producers have stopped, and whose readers go on. Reads are late for no longer
/// than [`Traffic::published_by`] says: a reader that stops calling is news by itself, and this time would delay it.
const WRITES_ARE_LATE_MINUTES: i64 = 7;

/// A stream with traffic all the time that shows no data for longer than this has stopped. CloudWatch has had delays of
/// most of an hour in public reports of incidents. A shorter time would take such a delay for an idle stream; a longer
/// time would hold a stopped stream as unknown.
pub(crate) const SILENCE_IS_UNKNOWN_MINUTES: i64 = 60;

/// A stream that was silent for as long this many times within a day has batches, and one more silence is no news. A
/// silence that CloudWatch causes is filled later. With one, a pause of producers in the morning would make late data
/// of the evening look idle; with more, an hourly batch would be unknown for half of the day.
const SILENT_BEFORE: usize = 2;

/// The newest minute whose traffic of `side` is known. A side that lacks data while the other side has newer data is
/// late, as long as CloudWatch may still publish it.
pub(super) fn newest_of(side: Side, traffic: &Traffic, observed_at: DateTime<Utc>) -> Minute {
    let newest = traffic.newest(observed_at);
    let last = traffic.last_minute(|minute| has_data(side, minute));
    let earliest = match side {
        Side::Writes => newest.plus(-WRITES_ARE_LATE_MINUTES),
        Side::Reads => Traffic::published_by(observed_at),
    };
    let is_late = |last: &Minute| *last >= earliest && has_data_in(OFTEN, side, traffic, *last);
    last.filter(is_late).unwrap_or(newest).min(newest)
}

/// The last minute with data, where the stream had data all the time and CloudWatch shows none since. `None`: the
/// newest minutes are known, or the stream is often silent for as long.
pub(super) fn silent_since(traffic: &Traffic, observed_at: DateTime<Utc>) -> Option<Minute> {
    let newest = traffic.newest(observed_at);
    let last = traffic.last_minute(|minute| *minute != MinuteTraffic::default())?;
    let is_silent = last < newest && newest <= last.plus(SILENCE_IS_UNKNOWN_MINUTES);
    let mut sides = [Side::Writes, Side::Reads].into_iter();
    let is_steady = sides.any(|side| has_data_in(NEARLY_ALWAYS, side, traffic, last));
    (is_silent && is_steady && !is_often_silent(traffic, last, newest)).then_some(last)
}

/// Whether the day before `last` has [`SILENT_BEFORE`] silences as long as the one since.
fn is_often_silent(traffic: &Traffic, last: Minute, newest: Minute) -> bool {
    let day = traffic.since(last.plus(-60 * LOOKBACK_HOURS)).filter(|(_, minute)| *minute != MinuteTraffic::default());
    let shown: Vec<Minute> = day.map(|(minute, _)| minute).take_while(|minute| *minute <= last).collect();
    let silences = shown.windows(2).filter(|pair| pair[1].start() - pair[0].start() > newest.start() - last.start());
    silences.count() >= SILENT_BEFORE
}

/// Whether `side` had data in at least this many of the [`STEADY_MINUTES`] up to `last`.
fn has_data_in(minutes: usize, side: Side, traffic: &Traffic, last: Minute) -> bool {
    let shown = last.plus(1 - STEADY_MINUTES).to(last).filter(|minute| has_data(side, &traffic.minute(*minute)));
    shown.count() >= minutes
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_single_number_of_a_side_is_data_of_it_and_not_of_the_other() {
        let none = MinuteTraffic::default();
        for (side, minute) in [
            (Side::Writes, MinuteTraffic { incoming_records: 1.0, ..none }),
            (Side::Writes, MinuteTraffic { write_throttled: 1.0, ..none }),
            (Side::Reads, MinuteTraffic { get_records_calls: 1.0, ..none }),
            (Side::Reads, MinuteTraffic { read_throttled: 1.0, ..none }),
            (Side::Reads, MinuteTraffic { iterator_age_ms: Some(0.0), ..none }),
        ] {
            for other in [Side::Writes, Side::Reads] {
                assert_eq!(has_data(other, &minute), other == side, "{minute:?}");
                assert!(!has_data(other, &none));
            }
        }
    }
}
