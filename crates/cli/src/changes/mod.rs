//! The changes that unthrottle made to a stream, as its memory tag and the metric AutoFix show them.

mod shards;

pub(crate) use shards::{ShardsOverTime, Step};

use crate::CliError;
use crate::aws::{called, clock};
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use chrono::{DateTime, TimeDelta, Utc};
use strum::VariantNames as _;
use unthrottle::aws::Clients;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::{Memory, MemoryError, TAG};
use unthrottle_core::report::metric::{ACTION, AUTO_FIX, NAMESPACE, STREAM_NAME};
use unthrottle_core::signal::StreamArn;

/// A datapoint of the metric AutoFix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Counted {
    /// The start of its period.
    pub at: DateTime<Utc>,
    /// The remedy's code.
    pub action: &'static str,
    /// How many changes the period has.
    pub count: f64,
}

/// The memory of a stream. The inner error: its tag cannot be read.
///
/// # Errors
/// AWS's answer.
pub(crate) async fn memory(clients: &Clients, stream: &StreamArn) -> Result<Result<Memory, MemoryError>, CliError> {
    let answer = clients.kinesis.list_tags_for_resource().resource_arn(stream.to_string()).send().await;
    let answer = called("ListTagsForResource", answer)?;
    let tag = answer.tags().iter().find(|tag| tag.key() == TAG).and_then(|tag| tag.value());
    Ok(tag.map_or_else(|| Ok(Memory::default()), Memory::parse))
}

/// The changes that the metric AutoFix shows: one entry for each action and period of `period` seconds.
///
/// # Errors
/// AWS's answer.
pub(crate) async fn counted(
    cloudwatch: &aws_sdk_cloudwatch::Client,
    stream: &StreamArn,
    days: i64,
    period: i32,
) -> Result<Vec<Counted>, CliError> {
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let query = |(place, action): (usize, &&str)| {
        let metric = Metric::builder().namespace(NAMESPACE).metric_name(AUTO_FIX);
        let metric = metric.dimensions(dimension(STREAM_NAME, &stream.name)).dimensions(dimension(ACTION, action));
        let stat = MetricStat::builder().metric(metric.build()).period(period).stat("Sum").build();
        MetricDataQuery::builder().id(format!("a{place}")).metric_stat(stat).build()
    };
    let now = clock().now();
    let call = cloudwatch.get_metric_data();
    let call = call.set_metric_data_queries(Some(Remedy::VARIANTS.iter().enumerate().map(query).collect()));
    let call = call.start_time(AwsTime::from_secs((now - TimeDelta::days(days)).timestamp()));
    let mut pages = call.end_time(AwsTime::from_secs(now.timestamp())).into_paginator().send();
    let mut changes = vec![];
    while let Some(page) = pages.next().await {
        let page = called("GetMetricData", page)?;
        for series in page.metric_data_results() {
            let place = series.id().and_then(|id| id.strip_prefix('a')?.parse::<usize>().ok());
            let Some(action) = place.and_then(|place| Remedy::VARIANTS.get(place)) else { continue };
            for (time, count) in series.timestamps().iter().zip(series.values()).filter(|(_, count)| **count > 0.0) {
                let at = DateTime::from_timestamp(time.secs(), 0).unwrap_or_default();
                changes.push(Counted { at, action, count: *count });
            }
        }
    }
    Ok(changes)
}
