//! The setting of a play: what is played, and what it came to.

#![allow(dead_code, reason = "each program uses its part")]

use std::collections::BTreeMap;
use std::time::Duration;
use unthrottle::Error;
use unthrottle_core::policy::Policy;

/// When in each minute the schedule sends its sweep.
pub const SWEEP_AT: Duration = Duration::from_secs(20);

/// What is played.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Seeds the pauses between the retries of the SDK.
    pub seed: u64,
    /// The account and region. The fleet is the same in all.
    pub account: String,
    pub region: String,
    /// Streams without work, of one shard each.
    pub idle: usize,
    /// Streams whose last change is long done.
    pub remembered: usize,
    /// Streams whose memory no version can read. Each sweep checks them, and nothing ends that.
    pub unreadable: usize,
    /// Streams that throttle, from the first minute on.
    pub throttled: usize,
    /// The minutes from the beginning of one throttled stream's load to that of the next. 0: all at once.
    pub minutes_apart: u32,
    pub policy: Policy,
    /// Runs of the function at the same time.
    pub concurrency: usize,
    pub round_trip: Duration,
    /// See [`InProcess::to`](crate::in_process::InProcess::to).
    pub tag_rate: Option<usize>,
    pub minutes: u32,
}

impl Default for Setting {
    fn default() -> Setting {
        Setting {
            seed: 1,
            account: "123456789012".into(),
            region: "us-east-1".into(),
            idle: 0,
            remembered: 0,
            unreadable: 0,
            throttled: 0,
            minutes_apart: 0,
            policy: Policy { fleet_alarms: ["writes", "reads", "behind"].map(Into::into).into(), ..Policy::default() },
            concurrency: 1000,
            round_trip: Duration::from_millis(20),
            tag_rate: None,
            minutes: 10,
        }
    }
}

/// A stream under load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Its shards at the beginning.
    pub shards: u32,
    /// Records a second.
    pub offered: f64,
}

/// The load of the `n`th throttled stream, one of four kinds: once to twice the capacity of one, two or four shards,
/// and one that needs two steps.
pub fn load(n: usize) -> Load {
    let (shards, offered) = [(1, 1400.0), (2, 2900.0), (4, 5600.0), (1, 2600.0)][n % 4];
    Load { shards, offered: offered + (n / 4) as f64 }
}

/// A change that a run made.
#[derive(Clone, Debug)]
pub struct Made {
    pub stream: String,
    /// Since the streams began to throttle.
    pub after: Duration,
    pub code: &'static str,
}

/// What a sweep came to.
#[derive(Clone, Debug)]
pub struct Swept {
    pub finding_calls: u32,
    pub looked: usize,
    pub left: usize,
    pub throttled: usize,
    /// The time of the runtime from its beginning to its answer.
    pub took: Duration,
    /// All calls during it, of other runs, too.
    pub calls: u64,
}

/// What the play came to.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// The attempts of each call that reached AWS, or its tag rate.
    pub calls: BTreeMap<String, u64>,
    pub metrics: u64,
    pub insights: u64,
    pub made: Vec<Made>,
    /// The decisions by code.
    pub codes: BTreeMap<&'static str, u64>,
    /// The failures by their words: of runs, and of checks in sweeps.
    pub failed: BTreeMap<String, u64>,
    pub runs: u64,
    /// Events that failed three times.
    pub lost: u64,
    /// The time of all runs together.
    pub busy: Duration,
    /// The longest wait of an event for a container.
    pub longest_wait: Duration,
    pub containers: usize,
    pub sweeps: Vec<Swept>,
    /// The longest time between two checks of a stream that needs one all the time.
    pub longest_gap: Duration,
    /// Streams that no check has seen, of those that need one.
    pub unseen: usize,
    /// The longest time from the beginning of a stream's load to its first check, and to its last change.
    pub longest_to_check: Duration,
    pub longest_to_change: Duration,
    /// The last minute, counted from the beginning, in which a stream refused records.
    pub throttled_until: u32,
    /// Streams that refused records in the last minute.
    pub still_throttled: usize,
    pub shards_before: u32,
    pub shards_after: u32,
    /// When each stream was checked, since the beginning.
    pub checks: BTreeMap<String, Vec<Duration>>,
}

/// The longest time without a check, from the first sweep on.
pub fn gap(checks: &[Duration], end: Duration) -> Duration {
    let bounds = std::iter::once(SWEEP_AT).chain(checks.iter().copied()).chain([end]);
    let bounds: Vec<Duration> = bounds.collect();
    bounds.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap_or_default()
}

/// An error without the names in it.
pub fn words(error: &Error) -> String {
    format!("{}: {}", error.code(), short(&error.to_string()))
}

/// The beginning and the end of an error, which say what failed and why.
pub fn short(error: &str) -> String {
    let error: Vec<&str> = error.split('`').step_by(2).collect();
    let error = error.join("…");
    let digits = error.find(" for stream ").or_else(|| error.find(" under account "));
    digits.map_or(error.clone(), |end| error[..end].to_owned())
}

pub fn throttled(n: usize) -> String {
    format!("throttled-{n:04}")
}

pub fn unreadable(n: usize) -> String {
    format!("unreadable-{n:04}")
}
