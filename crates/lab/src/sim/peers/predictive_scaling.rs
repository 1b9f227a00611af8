//! Predictive scaling of AWS (the user guide of Application Auto Scaling, "Predictive scaling"), as a custom resource
//! would use it for a stream.
//!
//! - It needs 24 hours of data. Every six hours it forecasts the load of each of the next 48 hours.
//! - Five minutes before an hour begins, the capacity becomes what the forecast of this hour needs at 70 % utilization.
//! - A forecast never scales in.
//!
//! AWS does not say how its model works. Here an hour gets the busiest minute of the same hour of yesterday and of the
//! same weekday of last week. This favours the peer: it looks at the peak where AWS looks at means.
//!
//! Its defects: nothing that comes for the first time is forecast, and no shards are taken away again.

use super::super::arena::Contender;
use super::super::world::{By, World};
use super::{EVALUATED_EVERY, used};
use crate::sim::time;
use std::collections::BTreeMap;
use unthrottle_core::observation::Minute;

/// The seconds of an hour.
const HOUR: i64 = 3_600;
/// Hours of data before the first forecast, and from an hour to the same hour of the next day.
const DAY_HOURS: i64 = 24;
/// Hours from an hour to the same hour of the next week.
const WEEK_HOURS: i64 = 7 * DAY_HOURS;
/// Hours from one forecast to the next.
const FORECAST_EVERY_HOURS: i64 = 6;
/// Hours that a forecast has.
const FORECAST_HOURS: i64 = 48;
/// Seconds before an hour at which its capacity is set (`SchedulingBufferTime`, its default).
const BUFFER: i64 = 300;
/// The utilization of a shard that the forecast is for, 0–1. The examples of AWS's user guide have 0.7 for a load.
const TARGET: f64 = 0.7;
/// Minutes that may be published at once: CloudWatch publishes a minute up to three minutes late.
const LATE_MINUTES: usize = 5;

/// Predictive scaling, in the mode "forecast and scale".
#[derive(Debug, Default)]
pub struct PredictiveScaling {
    /// The busiest minute of each hour of the run, in full shards.
    peaks: BTreeMap<i64, f64>,
    /// The forecast of each hour, in full shards.
    forecast: BTreeMap<i64, f64>,
}

impl PredictiveScaling {
    /// Takes the published minutes into the peaks of their hours.
    fn learn(&mut self, world: &World) {
        let cloudwatch = world.cloudwatch();
        for (minute, counts) in cloudwatch.minutes(world.now()).take(LATE_MINUTES) {
            let hour = hour_of(minute);
            let peak = self.peaks.entry(hour).or_default();
            *peak = peak.max(used(cloudwatch, counts.accepted, 1, 1));
        }
    }

    /// Forecasts the next hours from `hour` on.
    fn forecast(&mut self, hour: i64) {
        let known = |ago: i64| self.peaks.get(&ago).copied();
        let of = |at: i64| {
            // The second day ahead has no yesterday yet, and takes the day before.
            let yesterday = known(at - DAY_HOURS).or_else(|| known(at - 2 * DAY_HOURS));
            [yesterday, known(at - WEEK_HOURS)].into_iter().flatten().reduce(f64::max)
        };
        self.forecast = (hour..hour + FORECAST_HOURS).filter_map(|at| Some((at, of(at)?))).collect();
    }
}

/// The hour of the run that has this minute.
fn hour_of(minute: Minute) -> i64 {
    (minute.start() - time(0)).num_seconds().div_euclid(HOUR)
}

impl Contender for PredictiveScaling {
    fn pass(&mut self, world: &mut World) {
        let now = world.now();
        if now % EVALUATED_EVERY != 0 {
            return;
        }
        self.learn(world);
        if now % (FORECAST_EVERY_HOURS * HOUR) == 0 && now >= DAY_HOURS * HOUR {
            self.forecast(now / HOUR);
        }
        let Some(load) = self.forecast.get(&((now + BUFFER) / HOUR)).copied() else { return };
        let open = world.open_shards();
        let wanted = (load / TARGET).ceil() as u32;
        if wanted > open && !world.is_updating() {
            // A refused change is tried again in the next minute.
            let _ = world.update_shard_count(By::Policy, wanted.min(open.saturating_mul(2)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    /// Days of 20 quiet hours and 4 busy ones, in minutes.
    fn days(busy: &[f64]) -> Vec<f64> {
        busy.iter().flat_map(|busy| [vec![1_000.0; 20 * 60], vec![*busy; 4 * 60]].concat()).collect()
    }

    #[test]
    fn the_second_day_has_its_shards_before_the_load_comes_and_keeps_them() {
        let mut world = World::new(fixture::setup(4), 1);
        let shards = fixture::minutes(&mut world, &mut PredictiveScaling::default(), &days(&[4_000.0, 4_000.0, 500.0]));
        // 4,000 records a second need ⌈4 ÷ 0.7⌉ shards, five minutes before the hour begins.
        assert_eq!(fixture::counts(&shards), [4, 6]);
        let (changed, _) = fixture::steps(&shards)[1];
        let begins = (DAY_HOURS + 20) * 60;
        assert!((begins - 6..=begins - 4).contains(&(changed as i64)), "{changed}");
        assert_eq!(world.score().illegal_calls, 0);
    }

    #[test]
    fn a_load_that_comes_for_the_first_time_is_not_forecast() {
        let mut world = World::new(fixture::setup(4), 1);
        fixture::minutes(&mut world, &mut PredictiveScaling::default(), &days(&[1_000.0, 6_000.0]));
        assert_eq!(world.open_shards(), 4);
        assert!(world.last().throttled > 0);
    }

    #[test]
    fn more_than_double_takes_several_steps() {
        let mut world = World::new(fixture::setup(2), 1);
        let setup = fixture::minutes(&mut world, &mut PredictiveScaling::default(), &days(&[2_000.0]));
        assert_eq!(fixture::counts(&setup), [2]);
        let mut scaling = PredictiveScaling::default();
        scaling.forecast.insert(30, 7.0);
        let shards = fixture::minutes(&mut world, &mut scaling, &[100.0; 7 * 60]);
        assert_eq!(fixture::counts(&shards), [2, 4, 8, 10]);
    }
}
