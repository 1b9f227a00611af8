//! `GetMetricData`: the stream's traffic and our own AutoFix, minute by minute.

use super::ReadError;
use crate::decide::Remedy;
use crate::observation::{LOOKBACK_HOURS, Minute, MinuteTraffic, Traffic};
use crate::report::metric;
use crate::signal::StreamArn;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// Seconds. Kinesis publishes its stream metrics once a minute.
const PERIOD: i32 = 60;

/// A series of `AWS/Kinesis` and where its values go.
struct Series {
    id: &'static str,
    metric: &'static str,
    statistic: &'static str,
    put: fn(&mut MinuteTraffic, f64),
}

const SERIES: [Series; 9] = [
    Series { id: "incoming_bytes", metric: "IncomingBytes", statistic: "Sum", put: |m, v| m.incoming_bytes = v },
    Series { id: "incoming_records", metric: "IncomingRecords", statistic: "Sum", put: |m, v| m.incoming_records = v },
    Series {
        id: "write_throttled",
        metric: "WriteProvisionedThroughputExceeded",
        statistic: "Sum",
        put: |m, v| m.write_throttled = v,
    },
    Series { id: "put_record_bytes", metric: "PutRecord.Bytes", statistic: "Sum", put: |m, v| m.put_record_bytes = v },
    Series {
        id: "put_record_count",
        metric: "PutRecord.Bytes",
        statistic: "SampleCount",
        put: |m, v| m.put_record_count = v,
    },
    Series {
        id: "read_throttled",
        metric: "ReadProvisionedThroughputExceeded",
        statistic: "Sum",
        put: |m, v| m.read_throttled = v,
    },
    Series { id: "get_bytes", metric: "GetRecords.Bytes", statistic: "Sum", put: |m, v| m.get_records_bytes = v },
    Series {
        id: "get_calls",
        metric: "GetRecords.Bytes",
        statistic: "SampleCount",
        put: |m, v| m.get_records_calls = v,
    },
    Series {
        id: "iterator_age",
        metric: "GetRecords.IteratorAgeMilliseconds",
        statistic: "Maximum",
        put: |m, v| m.iterator_age_ms = Some(v),
    },
];

const AUTO_FIX: &str = "auto_fix";
const MODE_SWITCH: &str = "mode_switch";

/// What CloudWatch has published of the last day, up to the last whole minute.
pub(super) async fn traffic(client: &Client, arn: &StreamArn, now: DateTime<Utc>) -> Result<Traffic, ReadError> {
    let end = Minute::of(now).start();
    let start = end - TimeDelta::hours(LOOKBACK_HOURS);
    let mut pages = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries(&arn.name)))
        .start_time(AwsTime::from_secs(start.timestamp()))
        .end_time(AwsTime::from_secs(end.timestamp()))
        .scan_by(ScanBy::TimestampAscending)
        .into_paginator()
        .send();
    let mut traffic = Traffic::default();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| ReadError::new("GetMetricData", arn, e))?;
        for series in page.metric_data_results() {
            // A series that CloudWatch could not read is unknown, and unknown is not zero.
            if matches!(series.status_code(), Some(StatusCode::InternalError | StatusCode::Forbidden)) {
                return Err(incomplete(arn, series.id().unwrap_or_default()));
            }
            for (time, value) in series.timestamps().iter().zip(series.values()) {
                if let Some(time) = DateTime::from_timestamp(time.secs(), 0) {
                    put(&mut traffic, series.id().unwrap_or_default(), Minute::of(time), *value);
                }
            }
        }
    }
    Ok(traffic)
}

fn put(traffic: &mut Traffic, id: &str, minute: Minute, value: f64) {
    let add = |counts: &mut BTreeMap<Minute, u32>| {
        let count = counts.entry(minute).or_default();
        // The cast saturates, too: anybody may write to our metric.
        *count = count.saturating_add(value as u32);
    };
    match id {
        AUTO_FIX => add(&mut traffic.auto_fixes),
        MODE_SWITCH => add(&mut traffic.mode_switches),
        _ => {
            if let Some(series) = SERIES.iter().find(|s| s.id == id) {
                (series.put)(traffic.minute_mut(minute), value);
            }
        }
    }
}

fn queries(stream: &str) -> Vec<MetricDataQuery> {
    let of_stream = dimension(metric::STREAM_NAME, stream);
    let kinesis = SERIES.iter().map(|s| {
        query(s.id, s.statistic, Metric::builder().namespace("AWS/Kinesis").metric_name(s.metric), [of_stream.clone()])
    });
    let ours = || Metric::builder().namespace(metric::NAMESPACE).metric_name(metric::AUTO_FIX);
    let switch = dimension(metric::ACTION, Remedy::SWITCH_TO_ON_DEMAND);
    let ours = [
        query(AUTO_FIX, "Sum", ours(), [of_stream.clone()]),
        query(MODE_SWITCH, "Sum", ours(), [of_stream.clone(), switch]),
    ];
    kinesis.chain(ours).collect()
}

fn query<const N: usize>(
    id: &str,
    statistic: &str,
    metric: aws_sdk_cloudwatch::types::builders::MetricBuilder,
    dimensions: [Dimension; N],
) -> MetricDataQuery {
    let metric = metric.set_dimensions(Some(dimensions.into())).build();
    let stat = MetricStat::builder().metric(metric).period(PERIOD).stat(statistic).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}

fn incomplete(arn: &StreamArn, series: &str) -> ReadError {
    let source = super::Cause::of(std::io::Error::other(format!("CloudWatch could not read the series `{series}`")));
    ReadError { call: "GetMetricData", stream: arn.name.clone(), code: None, source }
}
