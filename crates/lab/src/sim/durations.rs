//! The durations of AWS's changes and the delays of CloudWatch in the simulated account.

use super::chance::Chance;
use crate::rules::{HashRange, opened_by};

/// Seconds that a reshard takes for each shard that it opens. One split takes "around 30 seconds" (a comment in
/// amazon-kinesis-scaling-utils), and large streams take "a few minutes" (AWS). AWS opens shards in parallel, so that a
/// hundred new shards take three minutes and more.
const RESHARD_PER_SHARD: i64 = 2;

/// Seconds of a switch of the capacity mode: about four were seen.
const SWITCH: i64 = 4;

/// Seconds in which the stream is UPDATING after a switch of shard-level metrics. "Seconds" were seen, so this number
/// is that of a mode switch.
const MONITORING: i64 = 4;

/// The times of an account that `unthrottle prove` can measure, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The shortest reshard, without 2 s for each shard that it opens.
    pub shortest_reshard: i64,
    /// The most that chance adds to a reshard.
    pub reshard_longer: i64,
    /// From the end of a minute to its datapoint, at least and at most.
    pub metric_lag: (i64, i64),
}

impl Default for Times {
    /// A reshard 2 → 3 took 14 s, and single splits take up to 30 s. AWS documents no figure for the delay of
    /// CloudWatch. One to three minutes are typical.
    fn default() -> Times {
        Times { shortest_reshard: 14, reshard_longer: 16, metric_lag: (60, 180) }
    }
}

impl Times {
    /// Takes measured reshards: shards before, shards after, and seconds. The fastest and the slowest of them become
    /// the bounds. Without a measurement the times stay.
    #[must_use]
    pub fn with_reshards(self, measured: impl IntoIterator<Item = (u32, u32, f64)>) -> Times {
        let own = |(from, to, seconds): (u32, u32, f64)| {
            seconds.round() as i64 - RESHARD_PER_SHARD * i64::from(opened_by(&HashRange::uniform(from), to))
        };
        match bounds(measured.into_iter().map(own)) {
            // Every reshard takes some time.
            Some((least, most)) => {
                let least = least.max(1);
                Times { shortest_reshard: least, reshard_longer: (most - least).max(0), ..self }
            }
            None => self,
        }
    }

    /// Takes measured delays of minutes, in seconds. Without a measurement the times stay.
    #[must_use]
    pub fn with_metric_lags(self, measured: impl IntoIterator<Item = f64>) -> Times {
        let bounds = bounds(measured.into_iter().map(|seconds| (seconds.round() as i64).max(0)));
        Times { metric_lag: bounds.unwrap_or(self.metric_lag), ..self }
    }

    /// Seconds of a reshard that opens `opened` shards on its way.
    pub(super) fn reshard_seconds(self, opened: u32, chance: &mut Chance) -> i64 {
        self.shortest_reshard + RESHARD_PER_SHARD * i64::from(opened) + chance.between(0, self.reshard_longer)
    }

    /// The most seconds of such a reshard.
    pub(super) fn longest_reshard(self, opened: u32) -> i64 {
        self.shortest_reshard + RESHARD_PER_SHARD * i64::from(opened) + self.reshard_longer
    }

    /// Seconds of a reshard of a stream with even shards, at least and at most.
    pub fn reshard(self, from: u32, to: u32) -> (i64, i64) {
        let longest = self.longest_reshard(opened_by(&HashRange::uniform(from), to));
        (longest - self.reshard_longer, longest)
    }
}

fn bounds(numbers: impl Iterator<Item = i64>) -> Option<(i64, i64)> {
    numbers.map(|number| (number, number)).reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
}

/// Seconds of a switch of the capacity mode.
pub(super) fn switch_seconds() -> i64 {
    SWITCH
}

/// Seconds of a switch of shard-level metrics.
pub(super) fn monitoring_seconds() -> i64 {
    MONITORING
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::chance::CHANGES;

    #[test]
    fn one_new_shard_takes_under_a_minute_and_a_hundred_take_minutes() {
        let (times, mut chance) = (Times::default(), Chance::new(1, CHANGES));
        for _ in 0..100 {
            assert!((14..=32).contains(&times.reshard_seconds(1, &mut chance)));
            assert!((180..=240).contains(&times.reshard_seconds(100, &mut chance)));
        }
    }

    #[test]
    fn measured_times_replace_the_built_in_ones_and_nothing_else() {
        let times = Times::default();
        assert_eq!(times.with_reshards([]).with_metric_lags([]), times);
        // 1 → 2 opens one shard, 4 → 8 opens four.
        let measured = times.with_reshards([(1, 2, 42.4), (4, 8, 58.0)]);
        assert_eq!(measured, Times { shortest_reshard: 40, reshard_longer: 10, ..times });
        assert_eq!(measured.reshard(1, 2), (42, 52));
        assert_eq!(times.with_metric_lags([95.0, 71.6]), Times { metric_lag: (72, 95), ..times });
    }
}
