//! The metrics of a stream: 14 days by the hour and 3 hours by the minute, in one `GetMetricData` each.

use super::unread::unread;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use unthrottle_core::checks::{Point, Read, Series, Unread};
use unthrottle_core::observation::Stream;

const ACTION: &str = "cloudwatch:GetMetricData";
pub(super) const NAMESPACE: &str = "AWS/Kinesis";
const MINUTE: TimeDelta = TimeDelta::minutes(1);
const HOUR: TimeDelta = TimeDelta::hours(1);

/// A series of CloudWatch's.
pub(super) struct Query {
    pub namespace: &'static str,
    pub metric: &'static str,
    pub statistic: &'static str,
    pub dimensions: Vec<(&'static str, String)>,
}

type Field = fn(&mut Point, f64);

/// The metrics of a stream, and the fields for their values.
const METRICS: [(&str, &str, Field); 12] = [
    ("IncomingBytes", "Sum", |p, v| p.incoming_bytes = v),
    ("IncomingRecords", "Sum", |p, v| p.incoming_records = v),
    ("WriteProvisionedThroughputExceeded", "Sum", |p, v| p.write_throttled = v),
    ("PutRecord.Bytes", "SampleCount", |p, v| p.put_record_count = v),
    ("PutRecord.Bytes", "Maximum", |p, v| p.largest_record_bytes = v),
    ("PutRecords.TotalRecords", "Sum", |p, v| p.batched_records = v),
    ("PutRecords.TotalRecords", "SampleCount", |p, v| p.batches = v),
    ("PutRecords.FailedRecords", "Sum", |p, v| p.failed_records = v),
    ("ReadProvisionedThroughputExceeded", "Sum", |p, v| p.read_throttled = v),
    ("GetRecords.Bytes", "Sum", |p, v| p.get_records_bytes = v),
    ("GetRecords.Bytes", "SampleCount", |p, v| p.get_records_calls = v),
    ("GetRecords.IteratorAgeMilliseconds", "Maximum", |p, v| p.iterator_age_ms = Some(v)),
];

/// The last 14 days by the hour. The hour that has begun is part of it.
pub(super) async fn hours(client: &Client, stream: &Stream, now: DateTime<Utc>) -> Read<Series> {
    let hour = now.duration_trunc(HOUR).unwrap_or(now);
    series(client, stream, HOUR, (hour - TimeDelta::days(14), hour + HOUR), now).await
}

/// The last 3 hours by the minute, up to the last whole one.
pub(super) async fn minutes(client: &Client, stream: &Stream, now: DateTime<Utc>) -> Read<Series> {
    let minute = now.duration_trunc(MINUTE).unwrap_or(now);
    series(client, stream, MINUTE, (minute - HOUR * 3, minute), now).await
}

async fn series(
    client: &Client,
    stream: &Stream,
    period: TimeDelta,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Read<Series> {
    let of_stream = || vec![("StreamName", stream.name.clone())];
    let queries = METRICS.map(|(metric, statistic, _)| Query {
        namespace: NAMESPACE,
        metric,
        statistic,
        dimensions: of_stream(),
    });
    // CloudWatch's metrics are metrics of the name. What is older than the stream belongs to another one.
    let first = stream.created_at.map_or(start, |created| created.max(start));
    let seconds = |length: TimeDelta| length.num_milliseconds() as f64 / 1_000.0;
    let window_seconds = seconds(end.min(now) - first).max(0.0);
    let mut series = Series { period_seconds: seconds(period), window_seconds, ..Series::default() };
    read(client, &queries, period.num_seconds() as i32, (start, end), |place, time, value| {
        if time + period > first {
            METRICS[place].2(series.points.entry(time).or_default(), value);
        }
    })
    .await?;
    Ok(series)
}

/// Reads `queries`. Calls `put` for each datapoint, with the place of its query.
pub(super) async fn read(
    client: &Client,
    queries: &[Query],
    period_seconds: i32,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
    mut put: impl FnMut(usize, DateTime<Utc>, f64),
) -> Read<()> {
    let mut pages = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries.iter().enumerate().map(|(n, q)| q.built(n, period_seconds)).collect()))
        .start_time(AwsTime::from_secs(start.timestamp()))
        .end_time(AwsTime::from_secs(end.timestamp()))
        .scan_by(ScanBy::TimestampAscending)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| unread(ACTION, e))?;
        for series in page.metric_data_results() {
            let place = series.id().and_then(|id| id.strip_prefix('m')?.parse::<usize>().ok());
            let Some((place, query)) = place.and_then(|place| Some((place, queries.get(place)?))) else { continue };
            // CloudWatch could not read the series. Its values are unknown, not zero.
            if matches!(series.status_code(), Some(StatusCode::InternalError | StatusCode::Forbidden)) {
                let why = format!("CloudWatch could not read {}", query.metric);
                let is_denied = series.status_code() == Some(&StatusCode::Forbidden);
                return Err(Unread { action: ACTION, why, is_denied });
            }
            for (time, value) in series.timestamps().iter().zip(series.values()) {
                if let Some(time) = DateTime::from_timestamp(time.secs(), 0) {
                    put(place, time, *value);
                }
            }
        }
    }
    Ok(())
}

impl Query {
    fn built(&self, place: usize, period_seconds: i32) -> MetricDataQuery {
        let of = |(name, value): &(&str, String)| Dimension::builder().name(*name).value(value).build();
        let dimensions = self.dimensions.iter().map(of).collect();
        let metric = Metric::builder().namespace(self.namespace).metric_name(self.metric);
        let metric = metric.set_dimensions(Some(dimensions)).build();
        let stat = MetricStat::builder().metric(metric).period(period_seconds).stat(self.statistic).build();
        MetricDataQuery::builder().id(format!("m{place}")).metric_stat(stat).build()
    }
}
