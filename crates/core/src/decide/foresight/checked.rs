//! Whether a forecast was right.

use super::super::Case;
use super::super::demand::Offered;
use super::super::history::History;
use super::forecast::FULL_AT;
use crate::memory::Forecast;
use crate::observation::{Minute, Stream};
use chrono::{DateTime, TimeDelta, Utc};

/// A forecast is checked this long after it was made, in minutes. It is for the next [`HORIZON_MINUTES`]; a load that
/// comes a little later still needed the shards.
///
/// [`HORIZON_MINUTES`]: super::forecast::HORIZON_MINUTES
const CHECKED_AFTER_MINUTES: i64 = 60;

/// After this number of wrong forecasts in a row the next one waits longer. One may be an accident.
pub(super) const WRONG_IN_A_ROW: u32 = 2;

/// The wait doubles at most this often: 128 hours. More would switch foresight off in silence.
const MOST_DOUBLINGS: u32 = 7;

/// When the next forecast may be acted on: an hour after the last, and twice as long after each wrong one from the
/// second in a row on.
pub(super) fn waits_until(last: Option<Forecast>) -> Option<DateTime<Utc>> {
    let Forecast { at, wrong, .. } = last?;
    let doublings = if wrong >= WRONG_IN_A_ROW { (wrong + 1 - WRONG_IN_A_ROW).min(MOST_DOUBLINGS) } else { 0 };
    Some(at + TimeDelta::minutes(CHECKED_AFTER_MINUTES << doublings))
}

impl Case<'_> {
    /// Checks the last forecast: right as soon as a minute would have filled the shards from before, wrong an hour
    /// after it where none has.
    pub(in crate::decide) fn check_forecast(&mut self, stream: &Stream, history: &mut History, newest: Minute) {
        let evenness = self.evenness(newest, history.memory.base.unwrap_or(stream.open_shards), history);
        let Some(last) = &mut history.memory.forecast else { return };
        let Some(shards) = last.shards else { return };
        let first = Minute::of(last.at);
        let full = FULL_AT * f64::from(shards) * evenness;
        let traffic = &self.observation.traffic;
        let is_full = |minute: Minute| {
            let minute = traffic.minute(minute);
            minute.is_throttled() || Offered::taken_shards(&minute) > full
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
