//! The alarms on metrics of `AWS/Kinesis`: `DescribeAlarms`, once for all streams.
//!
//! `DescribeAlarmsForMetric` would take two calls a stream, and finds neither metric math nor Metrics Insights.

use super::metrics::NAMESPACE;
use super::unread::unread;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{AlarmType, Dimension, MetricAlarm};
use unthrottle_core::checks::{Alarm, Read};

/// Alarms of one answer, the most that AWS gives.
const PER_PAGE: i32 = 100;

pub(super) async fn alarms(client: &Client) -> Read<Vec<Alarm>> {
    let call = client.describe_alarms().alarm_types(AlarmType::MetricAlarm).max_records(PER_PAGE);
    let mut pages = call.into_paginator().send();
    let mut alarms = vec![];
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| unread("cloudwatch:DescribeAlarms", e))?;
        alarms.extend(page.metric_alarms().iter().flat_map(watched));
    }
    Ok(alarms)
}

/// What one alarm watches: a metric, the metrics of its math, or a Metrics Insights query over all streams.
fn watched(alarm: &MetricAlarm) -> Vec<Alarm> {
    let name = alarm.alarm_name().unwrap_or_default();
    let of = |metric: &str, stream| Alarm { name: name.into(), metric: metric.into(), stream };
    let mut found = vec![];
    if let (Some(NAMESPACE), Some(metric)) = (alarm.namespace(), alarm.metric_name()) {
        found.extend(stream(alarm.dimensions()).map(|stream| of(metric, Some(stream))));
    }
    for query in alarm.metrics() {
        let metric = query.metric_stat().and_then(|stat| stat.metric()).filter(|m| m.namespace() == Some(NAMESPACE));
        if let Some(metric) = metric {
            found.extend(stream(metric.dimensions()).map(|s| of(metric.metric_name().unwrap_or_default(), Some(s))));
        }
        found.extend(query.expression().and_then(of_all_streams).map(|metric| of(metric, None)));
    }
    found
}

fn stream(dimensions: &[Dimension]) -> Option<String> {
    dimensions.iter().find(|d| d.name() == Some("StreamName")).and_then(|d| d.value()).map(str::to_owned)
}

/// The metric of a Metrics Insights query over all streams: `SELECT SUM(METRIC) FROM SCHEMA("AWS/Kinesis",
/// StreamName)`.
fn of_all_streams(expression: &str) -> Option<&str> {
    let (select, from) = expression.split_once(" FROM ")?;
    let (_, metric) = select.trim().strip_prefix("SELECT")?.split_once('(')?;
    let is_of_all = from.contains("\"AWS/Kinesis\"") && from.contains("StreamName") && !from.contains("StreamName =");
    is_of_all.then(|| metric.trim_end_matches(')').trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_over_all_streams_gives_its_metric_and_other_expressions_give_none() {
        let query = "SELECT SUM(WriteProvisionedThroughputExceeded) FROM SCHEMA(\"AWS/Kinesis\", StreamName) GROUP BY \
                     StreamName ORDER BY SUM() DESC LIMIT 500";
        assert_eq!(of_all_streams(query), Some("WriteProvisionedThroughputExceeded"));
        let query = "SELECT MAX(\"GetRecords.IteratorAgeMilliseconds\") FROM SCHEMA(\"AWS/Kinesis\", StreamName)";
        assert_eq!(of_all_streams(query), Some("GetRecords.IteratorAgeMilliseconds"));
        assert_eq!(of_all_streams("SELECT MAX(A) FROM SCHEMA(\"AWS/SQS\", QueueName)"), None);
        assert_eq!(of_all_streams("m1 / m2"), None);
    }
}
