//! A stream's past from CloudWatch: whole days before today, and today so far.

use super::cache::{Cache, Day};
use crate::CliError;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use unthrottle::aws::Cause;
use unthrottle_core::observation::Minute;
use unthrottle_core::signal::StreamArn;
use unthrottle_lab::sim::backtest::{History, Passed};

type Field = fn(&mut Passed) -> &mut f64;

/// The metrics, and where their values go. A call gives 100,800 datapoints, and 15 days of all three have 64,800: one call.
const METRICS: [(&str, Field); 3] = [
    ("IncomingBytes", |passed| &mut passed.bytes),
    ("IncomingRecords", |passed| &mut passed.records),
    ("WriteProvisionedThroughputExceeded", |passed| &mut passed.throttled),
];

/// Minutes of the present that are left out: CloudWatch publishes them one to three minutes late.
const UNPUBLISHED: i64 = 5;

/// How long a day must be over before it is kept: what CloudWatch still adds to it is late by minutes, so an hour is ample.
const FINISHED_AFTER: TimeDelta = TimeDelta::hours(1);

/// What was read, and from where.
pub(super) struct Past {
    pub history: History,
    /// Days that were kept from before.
    pub kept: usize,
}

/// The last `days` days before today, and today so far; CloudWatch is asked from the first day on that is not kept.
///
/// # Errors
/// The cache cannot be used, or AWS failed. What was read until then is kept.
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
    let first = all.first().map_or(first_of(today), |day| first_of(*day));
    Ok(Past { history: History::of(first, end, &known), kept })
}

fn first_of(day: NaiveDate) -> Minute {
    Minute::of(day.and_time(NaiveTime::MIN).and_utc())
}

/// Minutes as they come, page by page. Each day is kept as soon as all of it is there.
struct Reading<'a> {
    cache: &'a Cache,
    now: DateTime<Utc>,
    /// The first day that is not kept yet.
    next: NaiveDate,
    /// Up to, and not including, this minute all three series are there.
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
            let page = page.map_err(|error| failed(Cause::of(error)))?;
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
        // A series that CloudWatch could not read is unknown, and unknown is not zero.
        if matches!(series.status_code(), Some(StatusCode::InternalError | StatusCode::Forbidden)) {
            return Err(failed(Cause::of(std::io::Error::other(format!("CloudWatch could not read {metric}")))));
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

    /// Keeps the days that are complete, and over for long enough.
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

fn failed(source: Cause) -> CliError {
    CliError::Aws { call: "GetMetricData", source }
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
