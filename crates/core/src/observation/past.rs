//! The traffic of the last two weeks, in means of five minutes: what the same minutes of earlier days needed.

use super::{Minute, MinuteTraffic};
use std::collections::BTreeMap;

/// How many days back the past is read, in days. Two weeks have each weekday twice. CloudWatch keeps five-minute data
/// for 63 days; more days would cost the same call, and show a load that people have since changed.
pub const PAST_DAYS: i64 = 14;

/// The minutes of one datapoint of the past.
pub const PAST_STEP_MINUTES: i64 = 5;

/// For how many hours a copy of the past is good. Forecasts look at the minutes of a day ago and earlier, so the newest
/// hours do not matter. CloudWatch charges for each metric of each read.
pub const PAST_GOOD_FOR_HOURS: i64 = 6;

/// The traffic of the last [`PAST_DAYS`] days.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// The mean minute of each five minutes with a datapoint, by the first of the five.
    means: BTreeMap<Minute, MinuteTraffic>,
}

impl Past {
    /// The mean minute of the five minutes that begin with `first`, to write to.
    pub fn mean_mut(&mut self, first: Minute) -> &mut MinuteTraffic {
        self.means.entry(first).or_default()
    }

    /// Drops the five minutes that begin before `first`.
    pub fn forget_before(&mut self, first: Minute) {
        while self.means.first_key_value().is_some_and(|(oldest, _)| *oldest < first) {
            self.means.pop_first();
        }
    }

    /// The mean minute of the five minutes that contain `minute`. `None`: CloudWatch has no datapoint, so that traffic
    /// is unknown.
    pub(crate) fn mean(&self, minute: Minute) -> Option<&MinuteTraffic> {
        self.means.get(&minute.floor(PAST_STEP_MINUTES))
    }
}
