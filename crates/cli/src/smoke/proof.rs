//! What CloudWatch counted of a load, beside the writer's own count, and what unthrottle says that it did.

use crate::CliError;
use crate::aws::called;
use crate::changes::counted;
use crate::metrics::{self, Query};
use crate::screen::{EVERY, StatusLine, print_note};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use unthrottle_lab::local::Clock;
use unthrottle_writer::Stats;

/// How late CloudWatch publishes the minutes of Kinesis, at most: one to three minutes were observed, and AWS documents
/// none. Later minutes count as missing.
const PUBLISHED_WITHIN: TimeDelta = TimeDelta::minutes(3);

/// The time from one read to the next. A read costs $0.00002.
const READ_EVERY: TimeDelta = TimeDelta::seconds(10);

/// The metrics that count records, of all producers of a stream.
const METRICS: [&str; 2] = ["IncomingRecords", "WriteProvisionedThroughputExceeded"];

/// A load, as CloudWatch and unthrottle saw it.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Proof {
    /// Records of all producers that the stream accepted in the minutes of the load.
    pub accepted: u64,
    /// Records of all producers that it refused.
    pub refused: u64,
    /// Whether both are what the writer counted itself.
    pub agrees: bool,
    /// How often the account's metrics show each record: 1 at AWS. `accepted` and `refused` count it once.
    pub pace: u32,
    /// The changes that the metric AutoFix shows, by the remedy's code.
    pub auto_fix: BTreeMap<&'static str, u64>,
}

/// The account's CloudWatch, and the stream of the load.
pub(super) struct Witness {
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub clock: Clock,
    pub stream: String,
    /// The account's time at the start of the load.
    pub since: DateTime<Utc>,
}

impl Witness {
    /// Waits until CloudWatch has counted as many records as the writer, or must have published the last minute. Shows
    /// the wait in `line`, or once as a note where no terminal shows it.
    ///
    /// # Errors
    /// CloudWatch cannot be read.
    pub async fn wait_for(&self, stats: &Stats, line: &mut StatusLine) -> Result<Proof, CliError> {
        let from = self.since.duration_trunc(TimeDelta::minutes(1)).unwrap_or(self.since);
        let to = self.clock.now() + TimeDelta::minutes(1);
        let until = to + PUBLISHED_WITHIN;
        let mut is_said = line.is_on_terminal();
        loop {
            // Asked before the read: the last read is one that could see every minute.
            let is_last = self.clock.now() >= until;
            let proof = self.read(from, to, stats).await?;
            if proof.agrees || is_last {
                return Ok(proof);
            }
            let mut left = (READ_EVERY / self.pace()).to_std().unwrap_or_default();
            while left > Duration::ZERO {
                let seconds = ((until - self.clock.now()) / self.pace()).num_seconds().max(0);
                let waits = format!("waits for the last minute in CloudWatch, up to {seconds} s more; Ctrl-C skips it");
                if !std::mem::replace(&mut is_said, true) {
                    print_note(&waits);
                }
                line.show(&waits);
                let nap = left.min(EVERY);
                tokio::time::sleep(nap).await;
                left -= nap;
            }
            line.clear();
        }
    }

    fn pace(&self) -> i32 {
        i32::try_from(self.clock.pace()).unwrap_or(i32::MAX)
    }

    async fn read(&self, from: DateTime<Utc>, to: DateTime<Utc>, stats: &Stats) -> Result<Proof, CliError> {
        let [accepted, refused] = self.sums(from, to).await?;
        let pace = self.clock.pace();
        let each = |sum: f64| (sum / f64::from(pace)).round() as u64;
        let (accepted, refused) = (each(accepted), each(refused));
        let agrees = (accepted, refused) == (stats.accepted, stats.refused);
        let mut proof = Proof { accepted, refused, agrees, pace, auto_fix: BTreeMap::new() };
        for change in counted(&self.cloudwatch, &self.stream, (from, to), 60).await? {
            *proof.auto_fix.entry(change.action).or_default() += change.count as u64;
        }
        Ok(proof)
    }

    /// The sums of [`METRICS`].
    async fn sums(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<[f64; 2], CliError> {
        let queries = METRICS.map(|metric| Query::of_stream(metric, "Sum", &self.stream));
        let mut sums = [0.0, 0.0];
        let read = metrics::read(&self.cloudwatch, &queries, 60, (from, to), |place, _, value| sums[place] += value);
        called("GetMetricData", read.await)?;
        Ok(sums)
    }
}
