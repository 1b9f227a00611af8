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
    /// The same as loads alone, once it is condensed.
    loads: Loads,
}

/// The load of each five minutes in full shards, from `first` on. A negative one is unknown.
#[derive(Clone, Debug, Default, PartialEq)]
struct Loads {
    first: Option<Minute>,
    all: Vec<f32>,
}

/// A load that is unknown.
const UNKNOWN: f32 = -1.0;

impl Loads {
    fn of(means: &BTreeMap<Minute, MinuteTraffic>) -> Loads {
        let first = means.keys().next().copied();
        let mut all = vec![];
        for (minute, mean) in means {
            let step = first.map_or(0, |first| first.steps_to(*minute, PAST_STEP_MINUTES));
            all.resize(step, UNKNOWN);
            all.push(mean.taken_shards() as f32);
        }
        Loads { first, all }
    }

    fn load(&self, minute: Minute) -> Option<f64> {
        let first = self.first.filter(|first| *first <= minute)?;
        let load = self.all.get(first.steps_to(minute, PAST_STEP_MINUTES)).copied()?;
        (load >= 0.0).then(|| f64::from(load))
    }
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

    /// The same past as loads alone, in a thirtieth of the memory: 16 KiB for two weeks. It takes no more traffic.
    #[must_use]
    pub fn condensed(self) -> Past {
        Past { loads: Loads::of(&self.means), means: BTreeMap::new() }
    }

    /// The mean load of the five minutes that contain `minute`, in full shards. `None`: CloudWatch has no datapoint, so
    /// that load is unknown.
    pub(crate) fn load(&self, minute: Minute) -> Option<f64> {
        let first = minute.floor(PAST_STEP_MINUTES);
        self.means.get(&first).map(MinuteTraffic::taken_shards).or_else(|| self.loads.load(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condensed_past_has_the_same_loads_and_the_same_gaps() {
        let at = |minutes| Minute::of(chrono::DateTime::UNIX_EPOCH).plus(minutes);
        let mut past = Past::default();
        for (step, records) in [(100, 60_000.0), (101, 0.0), (104, 90_000.0)] {
            *past.mean_mut(at(5 * step)) = MinuteTraffic { incoming_records: records, ..MinuteTraffic::default() };
        }
        let condensed = past.clone().condensed();
        let loads = |past: &Past| [99, 100, 101, 102, 104, 105].map(|step| past.load(at(5 * step + 3)));
        assert_eq!(loads(&condensed), [None, Some(1.0), Some(0.0), None, Some(1.5), None]);
        assert_eq!(loads(&past), loads(&condensed));
        assert_eq!(Past::default().condensed().load(at(0)), None);
    }

    #[test]
    fn a_backlog_that_a_reader_worked_off_is_no_load_of_the_past() {
        let first = Minute::of(chrono::DateTime::UNIX_EPOCH);
        let read = |age| {
            let mut past = Past::default();
            let (get_records_bytes, iterator_age_ms) = (60.0 * 2.0 * 2_097_152.0, Some(age));
            *past.mean_mut(first) = MinuteTraffic { get_records_bytes, iterator_age_ms, ..MinuteTraffic::default() };
            past.condensed().load(first)
        };
        assert_eq!((read(500.0), read(3_600_000.0)), (Some(2.0), Some(0.0)));
    }
}
