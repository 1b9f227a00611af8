//! The period of a file's rows: the minutes that each row counts.

use std::collections::BTreeMap;
use unthrottle_core::observation::Minute;
use unthrottle_core::words::many;
use unthrottle_lab::sim::backtest::Passed;

/// The periods that a row can have, in minutes. They divide an hour, as the periods of CloudWatch's consoles do. A sum
/// over more than an hour hides the load of its minutes.
const PERIODS: [u32; 12] = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60];

/// This number of equal gaps in a row that are longer than the shortest are another period, and no pause of the
/// traffic. With fewer, a few short pauses of the same length would be refused; with more, a part of a file in another
/// period would be taken for traffic with pauses.
const MANY_ALIKE: usize = 5;

/// The minutes that each row of a file counts, and how they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    pub minutes: u32,
    /// Whether `--period` names them. Otherwise they follow from the times of the rows.
    pub is_given: bool,
}

impl Period {
    /// The period of rows that begin at these minutes, in their order.
    ///
    /// # Errors
    /// The times do not show the period.
    pub fn of(rows: impl Iterator<Item = Minute>) -> Result<Period, String> {
        const GIVE: &str = "give --period MINUTES";
        let minutes: Vec<i64> = rows.map(|row| row.start().timestamp() / 60).collect();
        let gaps: Vec<u64> = minutes.windows(2).map(|pair| pair[1].abs_diff(pair[0])).collect();
        let (Some(least), Some(most)) = (gaps.iter().min(), gaps.iter().max()) else {
            return Err(format!("one row does not show how many minutes it counts: {GIVE}"));
        };
        let step = gaps.iter().fold(0, |step, gap| common(step, *gap));
        let many_alike = gaps.chunk_by(|a, b| a == b).find(|alike| alike.len() >= MANY_ALIKE && alike[0] != step);
        if let Some(alike) = many_alike {
            return Err(format!(
                "the rows are {} apart at some times and {} at others, {} times in a row: each row must count the \
                 same minutes. If rows are missing where there was no traffic, {GIVE}",
                many(step, "minute"),
                alike[0],
                alike.len()
            ));
        }
        if step == 1 {
            return Ok(Period { minutes: 1, is_given: false });
        }
        // Where traffic pauses, rows are missing. More missing rows than rows are no pauses.
        let is_shown = 2 * gaps.iter().filter(|gap| **gap == step).count() >= gaps.len();
        let known = PERIODS.iter().find(|minutes| u64::from(**minutes) == step).filter(|_| is_shown);
        let apart = if least == most { least.to_string() } else { format!("{least} to {most}") };
        known.map(|minutes| Period { minutes: *minutes, is_given: false }).ok_or_else(|| {
            format!("the rows are {apart} minutes apart, and do not show how many minutes each of them counts: {GIVE}")
        })
    }

    /// The rows as minutes: each minute of a row gets the same part of its sums.
    ///
    /// # Errors
    /// A row begins before the one before it ends. The error has the minute of the later row.
    pub fn spread(self, rows: &BTreeMap<Minute, Passed>) -> Result<BTreeMap<Minute, Passed>, (Minute, String)> {
        let parts = f64::from(self.minutes);
        let mut minutes = BTreeMap::new();
        for (first, sum) in rows {
            let part =
                Passed { bytes: sum.bytes / parts, records: sum.records / parts, throttled: sum.throttled / parts };
            for minute in (0..self.minutes).map(|later| first.plus(later.into())) {
                if minutes.insert(minute, part).is_some() {
                    let problem = format!("the row begins within the {} minutes of the row before it", self.minutes);
                    return Err((*first, problem));
                }
            }
        }
        Ok(minutes)
    }
}

/// The value of `--period`.
///
/// # Errors
/// No row has this period.
pub(crate) fn minutes(text: &str) -> Result<u32, String> {
    let known = text.parse().ok().filter(|minutes| PERIODS.contains(minutes));
    known.ok_or_else(|| format!("must be one of {}", PERIODS.map(|minutes| minutes.to_string()).join(", ")))
}

/// The greatest common divisor.
fn common(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(minutes: &[i64]) -> Result<u32, String> {
        let first = Minute::of(chrono::DateTime::UNIX_EPOCH);
        Period::of(minutes.iter().map(|minute| first.plus(*minute))).map(|period| period.minutes)
    }

    #[test]
    fn rows_show_their_period_or_are_refused() {
        assert_eq!(of(&[0, 1, 2, 3]), Ok(1));
        assert_eq!(of(&[0, 5, 10, 15]), Ok(5));
        assert_eq!(of(&[0, 5, 10, 40, 45]), Ok(5), "a pause");
        assert_eq!(of(&[0, 60, 120]), Ok(60));
        assert_eq!(of(&[0, 7, 15, 16]), Ok(1), "only minutes fit");
        for (unclear, says) in [
            (&[0][..], "one row"),
            (&[0, 10, 25, 50], "10 to 25 minutes apart"),
            (&[0, 5, 20, 35, 50], "5 to 15 minutes apart"),
            (&[0, 7, 14], "7 minutes apart"),
            (&[0, 1_440, 2_880], "1440 minutes apart"),
            (&[0, 1, 2, 3, 8, 13, 18, 23, 28], "1 minute apart at some times and 5 at others, 5 times in a row"),
        ] {
            let error = of(unclear).expect_err("unclear");
            assert!(error.contains(says) && error.contains("give --period"), "{error}");
        }
    }

    #[test]
    fn the_minutes_of_a_row_share_its_sums() {
        let first = Minute::of(chrono::DateTime::UNIX_EPOCH);
        let sum = Passed { bytes: 500.0, records: 50.0, throttled: 5.0 };
        let five = Period { minutes: 5, is_given: true };
        let minutes = five.spread(&BTreeMap::from([(first, sum), (first.plus(5), sum)])).expect("no overlap");
        let part = Passed { bytes: 100.0, records: 10.0, throttled: 1.0 };
        assert_eq!((minutes.len(), minutes.values().all(|minute| *minute == part)), (10, true));
        let overlap = five.spread(&BTreeMap::from([(first, sum), (first.plus(4), sum)]));
        assert!(matches!(overlap, Err((minute, _)) if minute == first.plus(4)), "{overlap:?}");
    }
}
