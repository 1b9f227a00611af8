//! The fixture of the core's tests: one stream, its traffic and a signal, in a few words.

#![allow(dead_code, unused_imports, unused_macros, reason = "each test binary uses its part")]

#[macro_use]
mod rows;
mod fixture;
mod memory;
mod traffic;

pub use fixture::{Fixture, IDLE, MAX_SHARDS_OF_ACCOUNT, bursts, one_hot, reading};
pub use memory::{metrics_on_for, raised, scaled, settled, split_history};
pub use traffic::{HOUR, MIB, offered};

use chrono::{DateTime, TimeDelta, Utc};
use unthrottle_core::observation::Minute;
use unthrottle_core::signal::Home;

/// The account and region of every test.
pub fn home() -> Home {
    Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() }
}

/// 17:05:30 on the day of the samples.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_194_330, 0).expect("in range")
}

pub fn seconds_ago(seconds: i64) -> DateTime<Utc> {
    now() - TimeDelta::seconds(seconds)
}

pub fn minutes_ago(minutes: i64) -> DateTime<Utc> {
    now() - TimeDelta::minutes(minutes)
}

pub fn hours_ago(hours: i64) -> DateTime<Utc> {
    now() - TimeDelta::hours(hours)
}

/// The newest published minute: 17:03.
pub fn newest() -> Minute {
    Minute::of(now()).plus(-2)
}
