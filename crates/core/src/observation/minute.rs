//! A minute of CloudWatch.

use chrono::{DateTime, TimeDelta, Utc};
use std::fmt;

/// A whole minute of UTC, counted from the epoch. Each datapoint of CloudWatch starts on a whole minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(i64);

impl Minute {
    /// The minute that contains `time`.
    pub fn of(time: DateTime<Utc>) -> Minute {
        Minute(time.timestamp().div_euclid(60))
    }

    /// The first minute that begins at `time` or later.
    pub(crate) fn from(time: DateTime<Utc>) -> Minute {
        let minute = Minute::of(time);
        if minute.start() == time { minute } else { minute.plus(1) }
    }

    /// The first moment of this minute.
    pub fn start(self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(self.0)
    }

    /// The first moment after this minute.
    pub fn end(self) -> DateTime<Utc> {
        self.plus(1).start()
    }

    /// The whole steps of `minutes` from this minute to a later one. 0 where that one is earlier.
    pub(crate) fn steps_to(self, later: Minute, minutes: i64) -> usize {
        usize::try_from((later.0 - self.0).div_euclid(minutes)).unwrap_or_default()
    }

    /// The minute that starts `minutes` later. A negative number means earlier.
    #[must_use]
    pub fn plus(self, minutes: i64) -> Minute {
        Minute(self.0 + minutes)
    }

    /// The minute at which the whole step of `minutes` minutes begins that contains this minute.
    pub(crate) fn floor(self, minutes: i64) -> Minute {
        Minute(self.0.div_euclid(minutes) * minutes)
    }

    /// Every minute from this minute to `last`, both included.
    pub fn to(self, last: Minute) -> impl DoubleEndedIterator<Item = Minute> {
        (self.0..=last.0).map(Minute)
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.start().format("%H:%M"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn a_minute_runs_from_its_start_to_its_end() {
        let minute = Minute::of(at(125));
        assert_eq!((minute.start(), minute.end()), (at(120), at(180)));
        assert_eq!(Minute::from(at(120)), minute);
        assert_eq!(Minute::from(at(121)), minute.plus(1));
        assert_eq!(minute.to(minute.plus(2)).count(), 3);
    }
}
