//! Whether a forecast was right.

use super::super::Case;
use super::super::history::History;
use super::forecast::FULL_AT;
use crate::decision::waits_times;
use crate::memory::Forecast;
use crate::observation::{Minute, Stream};
use chrono::{DateTime, TimeDelta, Utc};

/// A forecast is checked this long after it was made, in minutes. It is for the next [`HORIZON_MINUTES`]; a load that
/// comes a little later still needed the shards.
///
/// [`HORIZON_MINUTES`]: super::forecast::HORIZON_MINUTES
const CHECKED_AFTER_MINUTES: i64 = 60;

/// A forecast that is still not checked after as many minutes is given up: CloudWatch shows nothing that could check
/// it. CloudWatch is up to three minutes late, and a sweep may come once an hour. With a shorter time a forecast would
/// replace one that is not checked, and a row of wrong ones would never count; with a longer one, a gap in the metrics
/// would switch foresight off.
const GIVEN_UP_AFTER_MINUTES: i64 = 2 * CHECKED_AFTER_MINUTES + 5;

/// Until when no other forecast may be acted on: an hour after the last, and twice as long after each wrong one from
/// the second in a row on. A forecast that is not checked by then is waited for. `None`: one may be acted on `now`.
pub(super) fn waits_until(last: Option<Forecast>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let Forecast { at, wrong, shards } = last?;
    let after = |minutes| Some(at + TimeDelta::minutes(minutes)).filter(|until| now < *until);
    after(CHECKED_AFTER_MINUTES * i64::from(waits_times(wrong)))
        .or_else(|| after(GIVEN_UP_AFTER_MINUTES).filter(|_| shards.is_some()))
}

impl Case<'_> {
    /// Checks the last forecast: right as soon as a minute would have filled the shards from before, wrong an hour
    /// after it where none has.
    pub(in crate::decide) fn check_forecast(&mut self, stream: &Stream, history: &mut History, newest: Minute) {
        let evenness = self.evenness_known(stream, history, newest);
        let Some(last) = &mut history.memory.forecast else { return };
        let Some(shards) = last.shards else { return };
        let first = Minute::of(last.at);
        let full = FULL_AT * f64::from(shards) * evenness;
        let traffic = &self.observation.traffic;
        let is_full = |minute: Minute| {
            let minute = traffic.minute(minute);
            minute.is_throttled() || minute.taken_shards() > full
        };
        let is_right = first.to(newest).any(is_full);
        if !is_right && newest < first.plus(CHECKED_AFTER_MINUTES) {
            return;
        }
        last.shards = None;
        last.wrong = if is_right { 0 } else { last.wrong.saturating_add(1) };
        self.decision.evidence.forecast_was_right = Some(is_right);
        self.decision.evidence.forecasts_wrong = Some(last.wrong).filter(|wrong| *wrong > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_that_nothing_checks_is_given_up_after_two_hours_and_five_minutes() {
        let at = DateTime::UNIX_EPOCH;
        let last = |shards, wrong| Some(Forecast { at, shards, wrong });
        let waits = |last, minutes| waits_until(last, at + TimeDelta::minutes(minutes)).is_some();
        assert_eq!((waits(last(None, 0), 59), waits(last(None, 0), 60)), (true, false));
        assert_eq!((waits(last(Some(4), 0), 124), waits(last(Some(4), 0), 125)), (true, false));
        assert_eq!((waits(last(Some(4), 3), 239), waits(last(Some(4), 3), 240)), (true, false));
        assert_eq!((waits(last(None, 8), 128 * 60 - 1), waits(last(None, 9), 128 * 60)), (true, false));
        assert!(!waits(None, 0));
    }
}
