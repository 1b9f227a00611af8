//! The metrics of a stream: 14 days by the hour and 3 hours by the minute, in one `GetMetricData` each.

use super::unread::unread;
use crate::metrics;
pub(super) use crate::metrics::Query;
use aws_sdk_cloudwatch::Client;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use unthrottle_core::checks::{Point, Read, Series, Unread};
use unthrottle_core::observation::Stream;

const ACTION: &str = "cloudwatch:GetMetricData";
pub(super) const NAMESPACE: &str = "AWS/Kinesis";
const MINUTE: TimeDelta = TimeDelta::minutes(1);
const HOUR: TimeDelta = TimeDelta::hours(1);

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
    series(client, stream, MINUTE, (first_minute(now), minute), now).await
}

/// The beginning of [`minutes`].
pub(super) fn first_minute(now: DateTime<Utc>) -> DateTime<Utc> {
    now.duration_trunc(MINUTE).unwrap_or(now) - HOUR * 3
}

async fn series(
    client: &Client,
    stream: &Stream,
    period: TimeDelta,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Read<Series> {
    let queries = METRICS.map(|(metric, statistic, _)| Query::of_stream(metric, statistic, &stream.name));
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
    between: (DateTime<Utc>, DateTime<Utc>),
    put: impl FnMut(usize, DateTime<Utc>, f64),
) -> Read<()> {
    let failed = metrics::read(client, queries, period_seconds, between, put).await;
    match failed.map_err(|error| unread(ACTION, error))?.first() {
        None => Ok(()),
        Some(&metrics::Unread { place, is_denied }) => Err(Unread {
            action: ACTION,
            why: format!("CloudWatch could not read {}", queries[place].metric),
            is_denied,
        }),
    }
}
