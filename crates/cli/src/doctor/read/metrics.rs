//! The metrics of a stream: 14 days by the hour, 3 hours by the minute, and the load of 14 days by the minute where a
//! check may propose fewer shards. Each is one `GetMetricData`.

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

const DAYS: TimeDelta = TimeDelta::days(14);

type Field = fn(&mut Point, f64);
type Value = fn(&Point) -> f64;
type Metric = (&'static str, &'static str, Field);

/// The metrics of a stream, and the fields for their values.
pub(super) const METRICS: [Metric; 12] = [
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

/// The metrics of [`METRICS`] that make the load. CloudWatch keeps minutes for 15 days, and gives 100,800 datapoints a
/// call (API reference of GetMetricData): these take 80,640. AWS also limits the datapoints a second, so a metric
/// without a value in an hour is left out.
pub(super) const LOAD: [(&str, Value); 4] = [
    ("IncomingBytes", |p| p.incoming_bytes),
    ("IncomingRecords", |p| p.incoming_records),
    ("WriteProvisionedThroughputExceeded", |p| p.write_throttled),
    ("GetRecords.Bytes", |p| p.get_records_bytes),
];

/// The last 14 days by the hour. The hour that has begun is part of it.
pub(super) async fn hours(client: &Client, stream: &Stream, now: DateTime<Utc>) -> Read<Series> {
    let hour = now.duration_trunc(HOUR).unwrap_or(now);
    series(client, stream, &METRICS, HOUR, (hour - DAYS, hour + HOUR), now).await
}

/// The load of the last 14 days by the minute, up to the last whole one. `hours`: the same days by the hour.
pub(super) async fn load_by_minute(
    client: &Client,
    stream: &Stream,
    hours: &Series,
    now: DateTime<Utc>,
) -> Read<Series> {
    let minute = now.duration_trunc(MINUTE).unwrap_or(now);
    let has_values = |metric: &str| LOAD.iter().any(|(name, value)| *name == metric && hours.total(value) > 0.0);
    let is_load = |(metric, statistic, _): &&Metric| *statistic == "Sum" && has_values(metric);
    let load: Vec<Metric> = METRICS.iter().filter(is_load).copied().collect();
    series(client, stream, &load, MINUTE, (minute - DAYS, minute), now).await
}

/// The last 3 hours by the minute, up to the last whole one.
pub(super) async fn minutes(client: &Client, stream: &Stream, now: DateTime<Utc>) -> Read<Series> {
    let minute = now.duration_trunc(MINUTE).unwrap_or(now);
    series(client, stream, &METRICS, MINUTE, (first_minute(now), minute), now).await
}

/// The beginning of [`minutes`].
pub(super) fn first_minute(now: DateTime<Utc>) -> DateTime<Utc> {
    now.duration_trunc(MINUTE).unwrap_or(now) - HOUR * 3
}

async fn series(
    client: &Client,
    stream: &Stream,
    metrics: &[Metric],
    period: TimeDelta,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Read<Series> {
    let query = |(metric, statistic, _): &Metric| Query::of_stream(metric, statistic, &stream.name);
    let queries: Vec<Query> = metrics.iter().map(query).collect();
    // CloudWatch's metrics are metrics of the name. What is older than the stream belongs to another one.
    let first = stream.created_at.map_or(start, |created| created.max(start));
    let seconds = |length: TimeDelta| length.num_milliseconds() as f64 / 1_000.0;
    let window_seconds = seconds(end.min(now) - first).max(0.0);
    let mut series = Series { period_seconds: seconds(period), window_seconds, ..Series::default() };
    if queries.is_empty() {
        return Ok(series);
    }
    read(client, &queries, period.num_seconds() as i32, (start, end), |place, time, value| {
        if time + period > first {
            metrics[place].2(series.points.entry(time).or_default(), value);
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
    let failed = read_each(client, queries, period_seconds, between, put).await?;
    failed.into_iter().next().map_or(Ok(()), |(_, unread)| Err(unread))
}

/// The same. Gives the queries that CloudWatch could not read, by their places.
pub(super) async fn read_each(
    client: &Client,
    queries: &[Query],
    period_seconds: i32,
    between: (DateTime<Utc>, DateTime<Utc>),
    put: impl FnMut(usize, DateTime<Utc>, f64),
) -> Read<Vec<(usize, Unread)>> {
    let failed = metrics::read(client, queries, period_seconds, between, put).await;
    let why = |place: usize| format!("CloudWatch could not read {}", queries[place].metric);
    let of = |failed: metrics::Unread| {
        (failed.place, Unread { action: ACTION, why: why(failed.place), is_denied: failed.is_denied })
    };
    Ok(failed.map_err(|error| unread(ACTION, error))?.into_iter().map(of).collect())
}
