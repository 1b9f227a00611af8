//! A step of a proof: what it expects, what it costs, and what it saw.

use super::context::Context;
use super::trouble::Tried;
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};
use unthrottle_core::cost::{BillingMode, Load, Prices, Shape};

/// How an expectation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Verdict {
    /// AWS did what was expected.
    Seen,
    /// AWS did something else.
    Different,
    /// The account or the caller does not have what the step needs.
    NotAvailable,
    /// The step broke off.
    Failed,
}

/// An open fact: what unthrottle assumes of AWS, without a confirmation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fact {
    /// The id in docs/limits.md.
    pub id: &'static str,
    /// What AWS is expected to do, as docs/limits.md has it.
    pub expected: &'static str,
    /// What the expectation rests on: a page of AWS, a recording, or nothing.
    pub source: &'static str,
}

/// What a fact turned out to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// The id of the fact.
    pub fact: String,
    /// What was expected.
    pub expected: String,
    /// What the expectation rests on. Empty: a proof of an earlier version.
    #[serde(default)]
    pub source: String,
    /// Whether AWS did it.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
}

/// What a step pays for, in full hours: AWS bills a part of an hour as an hour.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Use {
    /// Shards that its streams have at once, with the short-lived ones of a reshard.
    pub shards: u32,
    /// Records of up to 25 KB that it offers.
    pub records: u64,
    /// USD besides Kinesis, at list prices.
    pub other_usd: f64,
    /// USD for each stream of the account, at list prices. `other_usd` has the first ones.
    pub each_stream_usd: f64,
}

impl Use {
    /// The cost at list prices, in USD, in an account with this many streams.
    pub fn usd(&self, prices: &Prices, streams: usize) -> f64 {
        let records_per_second = self.records as f64 / 3_600.0;
        let load = Load { records_per_second, bytes_per_second: records_per_second * 100.0, ..Load::default() };
        let shape = Shape {
            mode: BillingMode::Provisioned,
            shards: self.shards,
            consumers: 0,
            retention_hours: 24,
            shard_metrics: 0,
            load,
        };
        prices.per_hour(&shape) + self.other_usd.max(self.each_stream_usd * streams as f64)
    }
}

/// A step. Steps are independent: each has streams of its own.
pub(super) struct Step {
    /// The name on the command line.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What it can settle.
    pub facts: &'static [Fact],
    /// The longest time that it usually takes on AWS, in minutes.
    pub minutes: u32,
    /// What it pays for.
    pub uses: Use,
    /// Whether its trail also records the writes to streams of others.
    pub records_all_writes: bool,
    /// The flag without which it does nothing.
    pub flag: Option<&'static str>,
    /// Does it. The findings go into the context.
    pub run: for<'a> fn(&'a Context) -> LocalBoxFuture<'a, Tried<()>>,
}
