//! Reads metrics of many streams: `GetMetricData` with as many queries a call as CloudWatch takes.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::error::SdkError;
use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataError;
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode};
use chrono::{DateTime, Utc};
use unthrottle_core::report::metric::STREAM_NAME;

/// The most queries in one call of `GetMetricData`. AWS refuses a call with more; fewer would take more calls.
const MOST_QUERIES: usize = 500;

/// A series of CloudWatch's.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub namespace: &'static str,
    pub metric: &'static str,
    pub statistic: &'static str,
    pub dimensions: Vec<(&'static str, String)>,
}

impl Query {
    /// A metric of a stream, as Kinesis publishes it.
    pub fn of_stream(metric: &'static str, statistic: &'static str, stream: &str) -> Query {
        let dimensions = vec![(STREAM_NAME, stream.to_owned())];
        Query { namespace: "AWS/Kinesis", metric, statistic, dimensions }
    }

    fn built(&self, place: usize, period_seconds: i32) -> MetricDataQuery {
        let of = |(name, value): &(&str, String)| Dimension::builder().name(*name).value(value).build();
        let dimensions = self.dimensions.iter().map(of).collect();
        let metric = Metric::builder().namespace(self.namespace).metric_name(self.metric);
        let metric = metric.set_dimensions(Some(dimensions)).build();
        let stat = MetricStat::builder().metric(metric).period(period_seconds).stat(self.statistic).build();
        MetricDataQuery::builder().id(format!("m{place}")).metric_stat(stat).build()
    }
}

/// A series that CloudWatch could not read. Its values are unknown, not zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unread {
    /// The place of its query.
    pub place: usize,
    pub is_denied: bool,
}

/// Reads the datapoints of `queries` from `start` up to `end`. Calls `put` for each, with the place of its query. A
/// series that CloudWatch could not read has no datapoint: `put` is not called, and the answer names it.
///
/// # Errors
/// AWS did not answer, or refused the call.
pub(crate) async fn read(
    client: &Client,
    queries: &[Query],
    period_seconds: i32,
    (start, end): (DateTime<Utc>, DateTime<Utc>),
    mut put: impl FnMut(usize, DateTime<Utc>, f64),
) -> Result<Vec<Unread>, SdkError<GetMetricDataError>> {
    let mut unread = vec![];
    for (part, queries) in queries.chunks(MOST_QUERIES).enumerate() {
        let first = part * MOST_QUERIES;
        let built = queries.iter().enumerate().map(|(n, query)| query.built(first + n, period_seconds));
        let call = client.get_metric_data().set_metric_data_queries(Some(built.collect()));
        let call = call.start_time(AwsTime::from_secs(start.timestamp())).end_time(AwsTime::from_secs(end.timestamp()));
        let mut pages = call.scan_by(ScanBy::TimestampAscending).into_paginator().send();
        while let Some(page) = pages.next().await {
            for series in page?.metric_data_results() {
                let Some(place) = series.id().and_then(|id| id.strip_prefix('m')?.parse().ok()) else { continue };
                match series.status_code() {
                    Some(StatusCode::Forbidden) => unread.push(Unread { place, is_denied: true }),
                    Some(StatusCode::InternalError) => unread.push(Unread { place, is_denied: false }),
                    _ => {}
                }
                for (time, value) in series.timestamps().iter().zip(series.values()) {
                    if let Some(time) = DateTime::from_timestamp(time.secs(), 0) {
                        put(place, time, *value);
                    }
                }
            }
        }
    }
    Ok(unread)
}
