//! The past of streams that a test has made up: metrics of minutes before a stream was created, and an account that is
//! made older.

use super::Account;
use super::lock;
use chrono::{DateTime, TimeDelta, Utc};

/// How often, and by how much, an account was made older.
#[derive(Debug, Default)]
pub(super) struct Shifts(Vec<(DateTime<Utc>, TimeDelta)>);

impl Shifts {
    /// All that happened until `now` is older by this time.
    pub fn add(&mut self, now: DateTime<Utc>, by: TimeDelta) {
        self.0.push((now, by));
    }

    /// When something happened, in the past as it is now.
    fn moved(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        self.0.iter().filter(|(when, _)| at <= *when).fold(at, |moved, (_, by)| moved - *by)
    }
}

impl Account {
    /// When something happened, in milliseconds of the epoch.
    pub fn happened_at(&self, millis: u64) -> i64 {
        let at = DateTime::from_timestamp_millis(i64::try_from(millis).unwrap_or(i64::MAX)).unwrap_or_default();
        lock(&self.shifts).moved(at).timestamp_millis()
    }

    /// When a stream, and the shards that it was created with, came to be, in milliseconds of the epoch: a minute
    /// before its first made-up metric at the latest. Traffic does not change the time.
    pub fn created_at(&self, stream: &str, millis: u64) -> i64 {
        let first = lock(&self.metrics).first_made_up(stream);
        let first = first.map_or(i64::MAX, |minute| (minute - 1) * 60_000);
        self.happened_at(millis).min(first)
    }
}
