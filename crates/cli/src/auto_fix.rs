//! The metric AutoFix: what unthrottle says that it changed.

use crate::CliError;
use crate::aws::called;
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use chrono::{DateTime, Utc};
use strum::VariantNames as _;
use unthrottle_core::decision::Remedy;
use unthrottle_core::report::metric::{ACTION, AUTO_FIX, NAMESPACE, STREAM_NAME};

/// The changes of a stream between two times: the start of the period, the remedy's code, and the count. `period`:
/// seconds.
pub(crate) async fn changes(
    cloudwatch: &aws_sdk_cloudwatch::Client,
    stream: &str,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    period: i32,
) -> Result<Vec<(DateTime<Utc>, &'static str, f64)>, CliError> {
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let query = |(place, action): (usize, &&str)| {
        let metric = Metric::builder().namespace(NAMESPACE).metric_name(AUTO_FIX);
        let metric = metric.dimensions(dimension(STREAM_NAME, stream)).dimensions(dimension(ACTION, action));
        let stat = MetricStat::builder().metric(metric.build()).period(period).stat("Sum").build();
        MetricDataQuery::builder().id(format!("a{place}")).metric_stat(stat).build()
    };
    let call = cloudwatch.get_metric_data();
    let call = call.set_metric_data_queries(Some(Remedy::VARIANTS.iter().enumerate().map(query).collect()));
    let call = call.start_time(AwsTime::from_secs(from.timestamp())).end_time(AwsTime::from_secs(to.timestamp()));
    let mut pages = call.into_paginator().send();
    let mut changes = vec![];
    while let Some(page) = pages.next().await {
        let page = called("GetMetricData", page)?;
        for series in page.metric_data_results() {
            let place = series.id().and_then(|id| id.strip_prefix('a')?.parse::<usize>().ok());
            let Some(action) = place.and_then(|place| Remedy::VARIANTS.get(place)) else { continue };
            for (time, count) in series.timestamps().iter().zip(series.values()).filter(|(_, count)| **count > 0.0) {
                changes.push((DateTime::from_timestamp(time.secs(), 0).unwrap_or_default(), *action, *count));
            }
        }
    }
    Ok(changes)
}
