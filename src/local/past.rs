//! A burst of seconds that stands for minutes of the past; see
//! [`live_past`](super::LocalAccount::live_past).

use std::time::{Duration, Instant, SystemTime};

use super::metrics::{epoch_seconds, minute_of};

/// Shares below this are rounding of the borders, no traffic: a whole minute's share of the
/// longest sensible past (a day within a second) is 7e-4.
const NEGLIGIBLE_SHARE: f64 = 1e-6;

/// What comes within this many seconds after the stretch is accounted nowhere: who drives traffic for just so long stops
/// a little late, and a straggler in the present would be the newest minute.
const GRACE: f64 = 0.25;

/// How a stretch of real time maps to whole minutes of the past.
pub(super) struct Past {
    began: Instant,
    /// Real seconds.
    within: f64,
    /// Epoch seconds that `began` maps to; the end of the stretch maps to a minute's start.
    start: f64,
    /// Seconds of past per real second.
    factor: f64,
}

impl Past {
    /// `None` when nothing would be mapped.
    pub fn begin(minutes: u32, within: Duration, began: Instant, now: SystemTime) -> Option<Self> {
        let span = f64::from(minutes) * 60.0;
        let within = within.as_secs_f64();
        (span > 0.0 && within > 0.0).then(|| Self {
            began,
            within,
            start: minute_of(now) as f64 * 60.0 - span,
            factor: span / within,
        })
    }

    /// The minutes that something that happens at `now` is accounted in, each with how many times
    /// it counts there; together, `factor` times. `None` once the stretch is over.
    pub fn spread(&self, now: Instant) -> Option<Vec<(i64, f64)>> {
        let elapsed = now.saturating_duration_since(self.began).as_secs_f64();
        if elapsed >= self.within + GRACE {
            return None;
        }
        if elapsed >= self.within {
            return Some(vec![]);
        }
        let second = elapsed.floor();
        let from = self.start + second * self.factor;
        let to = self.start + (second + 1.0).min(self.within) * self.factor;
        let minutes = (from / 60.0).floor() as i64..=(to / 60.0).floor() as i64;
        let share = |minute: i64| {
            let begin = minute as f64 * 60.0;
            (to.min(begin + 60.0) - from.max(begin)) / (to - from)
        };
        let spread = minutes
            .map(|minute| (minute, share(minute)))
            .filter(|(_, share)| *share > NEGLIGIBLE_SHARE)
            .map(|(minute, share)| (minute, share * self.factor));
        Some(spread.collect())
    }
}

/// Where something that happens now is accounted: in the current minute, once, or in the past.
pub(super) fn minutes_now(past: &Option<Past>) -> Vec<(i64, f64)> {
    past.as_ref()
        .and_then(|past| past.spread(Instant::now()))
        .unwrap_or_else(|| vec![((epoch_seconds(SystemTime::now()) / 60.0) as i64, 1.0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_at_any_moment_counts_factor_times_within_the_minutes_asked_for() {
        let now = SystemTime::now();
        let last = minute_of(now) - 1;
        for (minutes, millis) in [(10, 5_000), (10, 2_500), (3, 7_000), (60, 1_000), (7, 900)] {
            let within = Duration::from_millis(millis);
            let began = Instant::now();
            let past = Past::begin(minutes, within, began, now).expect("a stretch");
            let factor = f64::from(minutes) * 60_000.0 / millis as f64;
            for moment in (0..millis).step_by(100) {
                let moment = began + Duration::from_millis(moment);
                let spread = past.spread(moment).expect("within the stretch");
                let times: f64 = spread.iter().map(|(_, times)| times).sum();
                assert!((times / factor - 1.0).abs() < 1e-9, "{times} {factor}");
                let first = last + 1 - i64::from(minutes);
                assert!(spread.iter().all(|(m, _)| (first..=last).contains(m)));
            }
            assert_eq!(past.spread(began + within), Some(vec![]), "a straggler");
            assert!(past.spread(began + within + Duration::from_millis(250)).is_none());
        }
    }
}
