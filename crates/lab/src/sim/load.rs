//! The new records of producers, second by second. The load is an open loop: refusals of earlier records do not change
//! it.

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// A load as a function of time. Rates are records a second, times are seconds of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Load {
    /// One rate until a time, and another rate from then on.
    Step {
        /// Before.
        from: f64,
        /// After.
        to: f64,
        /// When.
        at: i64,
    },
    /// Grows by doubling, evenly within each doubling, and then stays constant.
    Growth {
        /// At the beginning.
        from: f64,
        /// The number of doublings.
        doublings: u32,
        /// Seconds of each doubling.
        each: i64,
    },
    /// Rises from midnight to noon and falls again, smoothly.
    Day {
        /// At midnight.
        low: f64,
        /// At noon.
        high: f64,
    },
    /// As [`Load::Day`], with less load on two days of seven: the third and the fourth, because a run begins on a
    /// Thursday.
    Week {
        /// At midnight.
        low: f64,
        /// At noon of a working day.
        high: f64,
        /// At noon of a Saturday or Sunday.
        weekend: f64,
    },
    /// High for the last seconds of each period.
    Pulse {
        /// Outside the pulses.
        low: f64,
        /// During a pulse.
        high: f64,
        /// Seconds from one pulse to the next.
        every: i64,
        /// Seconds of a pulse.
        lasts: i64,
        /// Seconds by which each pulse is later. No pulse ends in them.
        phase: i64,
    },
}

impl Load {
    /// Records a second, at a second of the run.
    pub fn at(self, second: i64) -> f64 {
        match self {
            Load::Step { from, to, at } => {
                if second < at {
                    from
                } else {
                    to
                }
            }
            Load::Growth { from, doublings, each } => {
                let all = i64::from(doublings) * each;
                let second = second.clamp(0, all);
                let (whole, part) = (second / each, (second % each) as f64 / each as f64);
                (0..whole).fold(from, |rate, _| 2.0 * rate) * (1.0 + part)
            }
            Load::Day { low, high } => {
                let of_day = second.rem_euclid(DAY) as f64 / DAY as f64;
                let x = 1.0 - (2.0 * of_day - 1.0).abs();
                // Flat at midnight and at noon. A sine would not be the same number on every machine.
                low + (high - low) * x * x * (3.0 - 2.0 * x)
            }
            Load::Week { low, high, weekend } => {
                let is_weekend = [2, 3].contains(&second.div_euclid(DAY).rem_euclid(7));
                Load::Day { low, high: if is_weekend { weekend } else { high } }.at(second)
            }
            Load::Pulse { low, high, every, lasts, phase } => {
                if second >= phase && (second - phase).rem_euclid(every) >= every - lasts { high } else { low }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_load_is_what_its_name_says() {
        let step = Load::Step { from: 10.0, to: 20.0, at: 5 };
        assert_eq!([step.at(4), step.at(5)], [10.0, 20.0]);
        let growth = Load::Growth { from: 10.0, doublings: 3, each: 100 };
        assert_eq!([0, 50, 100, 200, 300, 999].map(|second| growth.at(second)), [10.0, 15.0, 20.0, 40.0, 80.0, 80.0]);
        let day = Load::Day { low: 10.0, high: 30.0 };
        assert_eq!([0, 6, 12, 18, 24].map(|hour| day.at(hour * 3_600)), [10.0, 20.0, 30.0, 20.0, 10.0]);
        let week = Load::Week { low: 10.0, high: 30.0, weekend: 15.0 };
        let noons = (0..8).map(|day| week.at((24 * day + 12) * 3_600));
        assert_eq!(noons.collect::<Vec<_>>(), [30.0, 30.0, 15.0, 15.0, 30.0, 30.0, 30.0, 30.0]);
        let pulse = Load::Pulse { low: 1.0, high: 9.0, every: 60, lasts: 2, phase: 0 };
        assert_eq!([0, 57, 58, 59, 60].map(|second| pulse.at(second)), [1.0, 1.0, 9.0, 9.0, 1.0]);
        let later = Load::Pulse { low: 1.0, high: 9.0, every: 60, lasts: 2, phase: 7 };
        assert_eq!([5, 6, 64, 65, 66, 67].map(|second| later.at(second)), [1.0, 1.0, 1.0, 9.0, 9.0, 1.0]);
    }
}
