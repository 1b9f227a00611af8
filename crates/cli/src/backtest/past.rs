//! Reads the past of a stream from CloudWatch: whole days before today, and today up to now.

use super::cache::{Cache, Day};
use crate::CliError;
use crate::aws::{called, failed};
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use unthrottle::aws::Cause;
use unthrottle_core::observation::Minute;
use unthrottle_core::signal::StreamArn;
use unthrottle_core::words::count;
use unthrottle_lab::sim::backtest::{History, Passed};

const CALL: &str = "GetMetricData";

type Field = fn(&mut Passed) -> &mut f64;

/// The metrics, and the fields of their values. A call gives 100,800 datapoints. 15 days of all three metrics have
/// 64,800, so one call is enough.
const METRICS: [(&str, Field); 3] = [
    ("IncomingBytes", |passed| &mut passed.bytes),
    ("IncomingRecords", |passed| &mut passed.records),
    ("WriteProvisionedThroughputExceeded", |passed| &mut passed.throttled),
];

/// The newest minutes are not read: CloudWatch publishes a minute one to three minutes late. Fewer than three would
/// read unpublished minutes as zero.
const UNPUBLISHED: i64 = 5;

/// How long after its end a day may be kept. CloudWatch adds late values for some minutes. A shorter time could keep a
/// day without them; a longer time would read yesterday more often.
const FINISHED_AFTER: TimeDelta = TimeDelta::hours(1);

/// The past, and its source.
pub(super) struct Past {
    pub history: History,
    /// How many days came from the cache.
    pub kept: usize,
}

/// Reads the last `days` days before today, and today up to now. CloudWatch is read from the first day on that the
/// cache does not have.
///
/// # Errors
/// The cache cannot be used, or AWS failed. The cache keeps the days that were read before the failure.
pub(super) async fn read(
    client: &Client,
    stream: &StreamArn,
    days: u64,
    cache: &Cache,
    now: DateTime<Utc>,
) -> Result<Past, CliError> {
    let today = now.date_naive();
    let all: Vec<NaiveDate> = (1..=days).rev().filter_map(|ago| today.checked_sub_days(Days::new(ago))).collect();
    let mut known = BTreeMap::new();
    let mut missing = None;
    let mut kept = 0;
    for day in &all {
        match cache.get(*day)? {
            Some(minutes) => {
                kept += 1;
                known.extend(minutes);
            }
            None => missing = missing.or(Some(*day)),
        }
    }
    let end = Minute::of(now).plus(-UNPUBLISHED);
    let from = missing.unwrap_or(today);
    if first_of(from) < end {
        let mut reading = Reading { cache, now, next: from, until: first_of(from), minutes: Day::new() };
        let done = reading.all(client, stream, end).await;
        if done.is_err() && reading.next > from {
            eprintln!("unthrottle: what was read up to {} is kept: run it again to go on from there", reading.next);
        }
        done?;
        known.extend(reading.minutes);
    }
    if let Some((minute, (metric, most))) = known.iter().find_map(|(at, passed)| Some((at, passed.impossible()?))) {
        return Err(CliError::Late(format!(
            "CloudWatch gave a {metric} above {} for the minute {minute} UTC of {}: no stream of AWS takes that much",
            count(most),
            minute.start().date_naive()
        )));
    }
    let first = all.first().map_or(first_of(today), |day| first_of(*day));
    Ok(Past { history: History::of(first, end, &known), kept })
}

fn first_of(day: NaiveDate) -> Minute {
    Minute::of(day.and_time(NaiveTime::MIN).and_utc())
}

/// The read at work, page by page. Each day goes into the cache as soon as it is complete.
struct Reading<'a> {
    cache: &'a Cache,
    now: DateTime<Utc>,
    /// The first day that the cache does not have yet.
    next: NaiveDate,
    /// All three series are complete before this minute.
    until: Minute,
    minutes: Day,
}

impl Reading<'_> {
    async fn all(&mut self, client: &Client, stream: &StreamArn, end: Minute) -> Result<(), CliError> {
        let mut pages = client
            .get_metric_data()
            .set_metric_data_queries(Some(queries(&stream.name)))
            .start_time(AwsTime::from_secs(self.until.start().timestamp()))
            .end_time(AwsTime::from_secs(end.start().timestamp()))
            .scan_by(ScanBy::TimestampAscending)
            .into_paginator()
            .send();
        let mut until = [self.until; METRICS.len()];
        while let Some(page) = pages.next().await {
            let page = called(CALL, page)?;
            for series in page.metric_data_results() {
                self.add(series, end, &mut until)?;
            }
            self.until = until.into_iter().min().unwrap_or(end);
            self.keep()?;
        }
        self.until = end;
        self.keep()
    }

    fn add(&mut self, series: &MetricDataResult, end: Minute, until: &mut [Minute]) -> Result<(), CliError> {
        let place = series.id().and_then(|id| id.strip_prefix('m')?.parse::<usize>().ok());
        let Some((place, (metric, value))) = place.and_then(|place| Some((place, METRICS.get(place)?))) else {
            return Ok(());
        };
        // CloudWatch could not read the series. Its values are unknown, not zero.
        if matches!(series.status_code(), Some(StatusCode::InternalError | StatusCode::Forbidden)) {
            let why = std::io::Error::other(format!("CloudWatch could not read {metric}"));
            return Err(failed(CALL, Cause::of(why)));
        }
        for (time, sum) in series.timestamps().iter().zip(series.values()) {
            let Some(minute) = DateTime::from_timestamp(time.secs(), 0).map(Minute::of) else { continue };
            *value(self.minutes.entry(minute).or_default()) = sum.max(0.0);
            until[place] = until[place].max(minute.plus(1));
        }
        if series.status_code() == Some(&StatusCode::Complete) {
            until[place] = end;
        }
        Ok(())
    }

    /// Keeps the days that are complete and ended long enough ago.
    fn keep(&mut self) -> Result<(), CliError> {
        while let Some(after) = self.next.succ_opt().filter(|after| first_of(*after) <= self.until) {
            if first_of(after).start() + FINISHED_AFTER > self.now {
                break;
            }
            let minutes = self.minutes.range(first_of(self.next)..first_of(after));
            self.cache.put(self.next, &minutes.map(|(minute, passed)| (*minute, *passed)).collect())?;
            self.next = after;
        }
        Ok(())
    }
}

fn queries(stream: &str) -> Vec<MetricDataQuery> {
    let of_stream = Dimension::builder().name("StreamName").value(stream).build();
    let query = |(place, (name, _)): (usize, &(&str, _))| {
        let metric = Metric::builder().namespace("AWS/Kinesis").metric_name(*name).dimensions(of_stream.clone());
        let stat = MetricStat::builder().metric(metric.build()).period(60).stat("Sum").build();
        MetricDataQuery::builder().id(format!("m{place}")).metric_stat(stat).build()
    };
    METRICS.iter().enumerate().map(query).collect()
}
