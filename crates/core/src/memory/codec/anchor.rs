//! Times in the tag: most of them are seconds before or after the last change.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

/// ISO 8601 without the characters that a tag must not have.
pub(super) const TIME: &str = "%Y%m%dT%H%M%SZ";

/// When the last change was announced. The tag gives most times in seconds before or after it.
#[derive(Clone, Copy)]
pub(super) struct Anchor(pub Option<DateTime<Utc>>);

impl Anchor {
    /// The time `text` seconds before the change.
    pub(super) fn before(self, text: &str) -> Option<DateTime<Utc>> {
        self.0?.checked_sub_signed(seconds(text)?)
    }

    /// The time `text` seconds after the change.
    pub(super) fn after(self, text: &str) -> Option<DateTime<Utc>> {
        self.0?.checked_add_signed(seconds(text)?)
    }

    /// A time, or signed seconds after the change.
    pub(super) fn moment(self, text: &str) -> Option<DateTime<Utc>> {
        let after = || self.0?.checked_add_signed(TimeDelta::try_seconds(i64::from(text.parse::<i32>().ok()?))?);
        time(text).or_else(after)
    }

    /// Seconds from `time` to the change.
    pub(super) fn seconds_before(self, time: DateTime<Utc>) -> Option<i64> {
        Some((self.0? - time).num_seconds().max(0))
    }

    /// Seconds from the change to `time`.
    pub(super) fn seconds_after(self, time: DateTime<Utc>) -> Option<i64> {
        Some((time - self.0?).num_seconds().max(0))
    }

    /// Seconds from the change to `time`; negative, where `time` is before it.
    pub(super) fn signed(self, time: DateTime<Utc>) -> Option<i64> {
        Some((time - self.0?).num_seconds())
    }

    /// As [`Anchor::moment`] reads it.
    pub(super) fn write_moment(self, moment: DateTime<Utc>) -> String {
        self.signed(moment).map_or_else(|| moment.format(TIME).to_string(), |seconds| seconds.to_string())
    }
}

/// The items of a list in one value. `None`: the list is empty, or has a time and no change to count it from.
pub(super) fn list(items: impl Iterator<Item = Option<String>>, separator: &str) -> Option<String> {
    let items = items.collect::<Option<Vec<_>>>()?;
    (!items.is_empty()).then(|| items.join(separator))
}

/// Exactly `N` parts of a value.
pub(super) fn parts<const N: usize>(value: &str, separator: char) -> Option<[&str; N]> {
    value.split(separator).collect::<Vec<_>>().try_into().ok()
}

pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    // Four digits of year: no sum of such a time and a tag's seconds leaves the calendar.
    let time = NaiveDateTime::parse_from_str(text, TIME).ok()?.and_utc();
    (text.len() == "20261120T170440Z".len()).then_some(time)
}

pub(super) fn seconds(text: &str) -> Option<TimeDelta> {
    TimeDelta::try_seconds(i64::from(text.parse::<u32>().ok()?))
}
