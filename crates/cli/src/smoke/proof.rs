//! What CloudWatch counted of a load, beside the writer's own count, and what unthrottle says that it did.

use crate::account_clock::AccountClock;
use crate::aws::called;
use crate::screen::{EVERY, StatusLine};
use crate::{CliError, auto_fix};
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use unthrottle_core::report::metric::STREAM_NAME;
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
    pub clock: AccountClock,
    pub stream: String,
    /// The account's time at the start of the load.
    pub since: DateTime<Utc>,
}

impl Witness {
    /// Waits until CloudWatch has counted as many records as the writer, or must have published the last minute.
    ///
    /// # Errors
    /// CloudWatch cannot be read.
    pub async fn wait_for(&self, stats: &Stats) -> Result<Proof, CliError> {
        let from = self.since.duration_trunc(TimeDelta::minutes(1)).unwrap_or(self.since);
        let to = self.clock.now() + TimeDelta::minutes(1);
        let until = to + PUBLISHED_WITHIN;
        let mut line = StatusLine::new();
        loop {
            let proof = self.read(from, to, stats).await?;
            if proof.agrees || self.clock.now() >= until {
                return Ok(proof);
            }
            let mut left = (READ_EVERY / self.pace()).to_std().unwrap_or_default();
            while left > Duration::ZERO {
                let seconds = ((until - self.clock.now()) / self.pace()).num_seconds().max(0);
                line.show(&format!("waits for the last minute in CloudWatch, up to {seconds} s more; Ctrl-C skips it"));
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
        for (_, action, count) in auto_fix::changes(&self.cloudwatch, &self.stream, (from, to), 60).await? {
            *proof.auto_fix.entry(action).or_default() += count as u64;
        }
        Ok(proof)
    }

    /// The sums of [`METRICS`].
    async fn sums(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<[f64; 2], CliError> {
        let stream = Dimension::builder().name(STREAM_NAME).value(&self.stream).build();
        let query = |(place, name): (usize, &str)| {
            let metric = Metric::builder().namespace("AWS/Kinesis").metric_name(name).dimensions(stream.clone());
            let stat = MetricStat::builder().metric(metric.build()).period(60).stat("Sum").build();
            MetricDataQuery::builder().id(format!("m{place}")).metric_stat(stat).build()
        };
        let call = self.cloudwatch.get_metric_data();
        let call = call.set_metric_data_queries(Some(METRICS.into_iter().enumerate().map(query).collect()));
        let call = call.start_time(AwsTime::from_secs(from.timestamp())).end_time(AwsTime::from_secs(to.timestamp()));
        let mut pages = call.into_paginator().send();
        let mut sums = [0.0, 0.0];
        while let Some(page) = pages.next().await {
            for series in called("GetMetricData", page)?.metric_data_results() {
                let sum = if series.id() == Some("m0") { &mut sums[0] } else { &mut sums[1] };
                *sum += series.values().iter().sum::<f64>();
            }
        }
        Ok(sums)
    }
}
