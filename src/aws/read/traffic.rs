//! Reads a stream's traffic and the function's own metrics, minute by minute: `GetMetricData`.

use super::{Cause, ReadError};
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::builders::MetricBuilder;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy, StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::ChangeKind;
use unthrottle_core::observation::{
    FanOut, LOOKBACK_HOURS, Minute, MinuteTraffic, PAST_STEP_MINUTES, Past, SHARD_METRICS, Traffic,
};
use unthrottle_core::report::metric;
use unthrottle_core::signal::StreamArn;

/// The period of each series, in seconds. Kinesis publishes its stream metrics once a minute, so a shorter period has
/// no more data. A longer period would hide in which minute a stream throttled.
const PERIOD: i32 = 60;

/// The minutes of one datapoint of the past.
const STEP: i32 = PAST_STEP_MINUTES as i32;

/// The series that show the load of the past: what was written, as AWS charges it, the bytes that were read, and
/// whether a reader worked off a backlog.
const OF_THE_PAST: [&str; 6] =
    ["incoming_bytes", "incoming_records", "put_record_bytes", "put_record_count", "get_bytes", "iterator_age"];

/// Seconds of an hour: the period of a query for a change of long ago.
const HOUR: i32 = 3600;

/// Seconds of a day: the period of a query for a change of an unknown time. With hours the answer could have more
/// datapoints than CloudWatch puts on a page.
const DAY: i32 = 86_400;

/// How long CloudWatch keeps datapoints of an hour or longer: 455 days (GetMetricStatistics's API reference).
const KEPT_FOR: TimeDelta = TimeDelta::days(455);

/// The dimension that names a registered consumer.
const CONSUMER_NAME: &str = "ConsumerName";

/// A series of `AWS/Kinesis` and the field for its values.
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

/// A metric that each shard also has, and the field for its values.
pub(super) struct WriteSeries {
    pub letter: &'static str,
    pub metric: &'static str,
    pub put: fn(&mut MinuteTraffic, f64),
}

/// One series for each of [`SHARD_METRICS`].
pub(super) const WRITE_SERIES: [WriteSeries; 3] = [
    WriteSeries { letter: "b", metric: SHARD_METRICS[0], put: |m, v| m.incoming_bytes = v },
    WriteSeries { letter: "r", metric: SHARD_METRICS[1], put: |m, v| m.incoming_records = v },
    WriteSeries { letter: "w", metric: SHARD_METRICS[2], put: |m, v| m.write_throttled = v },
];

/// The id of the series of AutoFix of all streams.
const FLEET: &str = "fleet";

/// The id of the series of shards that were added to all streams.
const SHARDS_ADDED: &str = "shards_added";

/// The id of the series of the stream's changes that another person or tool reverted.
const REVERTED: &str = "reverted";

/// The series of AutoFix of the stream: its id, the changes that it counts (`None`: all), and the field for the counts.
const AUTO_FIXES: [(&str, Option<ChangeKind>, Counts); 6] = [
    ("auto_fix", None, |t| &mut t.auto_fixes),
    ("reshard", Some(ChangeKind::Scale), |t| &mut t.reshards),
    ("reshard_ahead", Some(ChangeKind::ScaleAhead), |t| &mut t.reshards),
    ("restore", Some(ChangeKind::Restore), |t| &mut t.restores),
    ("mode_switch", Some(ChangeKind::Switch), |t| &mut t.mode_switches),
    ("mode_switch_back", Some(ChangeKind::SwitchBack), |t| &mut t.mode_switches),
];

type Counts = fn(&mut Traffic) -> &mut BTreeMap<Minute, u32>;

/// Reads the metrics of the last [`LOOKBACK_HOURS`], up to the last whole minute.
pub(super) async fn traffic(client: &Client, arn: &StreamArn, now: DateTime<Utc>) -> Result<Traffic, ReadError> {
    let mut traffic = Traffic::default();
    let queries = queries(&arn.name);
    let lookback = TimeDelta::hours(LOOKBACK_HOURS);
    read(client, arn, queries, lookback, now, |id, _, minute, value| put(&mut traffic, id, minute, value)).await?;
    Ok(traffic)
}

/// Reads the accepted load of the last `lookback` for forecasts, in steps of five minutes. It reads no refused records:
/// they come from retries, too.
pub(super) async fn past(
    client: &Client,
    arn: &StreamArn,
    lookback: TimeDelta,
    now: DateTime<Utc>,
) -> Result<Past, ReadError> {
    let mut past = Past::default();
    let all = SERIES.iter().filter(|series| OF_THE_PAST.contains(&series.id));
    let queries = all.map(|series| {
        let metric = Metric::builder().namespace("AWS/Kinesis").metric_name(series.metric);
        query_of(60 * STEP, series.id, series.statistic, metric, [dimension(metric::STREAM_NAME, &arn.name)])
    });
    read(client, arn, queries.collect(), lookback, now, |id, _, first, value| {
        if let Some(series) = SERIES.iter().find(|series| series.id == id) {
            // The mean minute has a part of a sum. The largest age of the minutes is an age of each.
            let minutes = if series.statistic == "Maximum" { 1.0 } else { f64::from(STEP) };
            (series.put)(past.mean_mut(first), value / minutes);
        }
    })
    .await?;
    Ok(past)
}

/// Whether AutoFix has a datum that the run of a change of this kind sent, announced at `at`; without a time, of the
/// last 15 months. Two runs of one incident may both announce a change, seconds apart, so a neighbouring minute
/// counts. The query has an hour's period, or a day's: CloudWatch keeps hours for 15 months, and minutes for 15 days.
/// It asks for the maximum: a datum that a later run sends again has only values below 1.
pub(super) async fn is_change_shown(
    client: &Client,
    arn: &StreamArn,
    kind: ChangeKind,
    at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<bool, ReadError> {
    let period = if at.is_some() { HOUR } else { DAY };
    let whole = |time: DateTime<Utc>| time.timestamp().div_euclid(i64::from(period)) * i64::from(period);
    let (first, last) = match at {
        Some(at) => (at - TimeDelta::minutes(1), at + TimeDelta::minutes(1)),
        None => (now - KEPT_FOR, now),
    };
    let dimensions = [dimension(metric::STREAM_NAME, &arn.name), dimension(metric::ACTION, Remedy::code_of(kind))];
    let query = query_of(period, "change", "Maximum", own(metric::AUTO_FIX), dimensions);
    let call = client.get_metric_data().metric_data_queries(query);
    let call = call.start_time(AwsTime::from_secs(whole(first)));
    let call = call.end_time(AwsTime::from_secs(whole(last) + i64::from(period)));
    let answer = call.send().await.map_err(|e| ReadError::new("GetMetricData", arn, e))?;
    let mut series = answer.metric_data_results().iter();
    if series.any(|series| !matches!(series.status_code(), Some(StatusCode::Complete | StatusCode::PartialData))) {
        return Err(incomplete(arn, "change"));
    }
    Ok(answer.metric_data_results().iter().flat_map(|series| series.values()).any(|most| *most >= 1.0))
}

/// How far the registered consumers of a stream are behind, minute by minute: of each consumer the largest value. A
/// search finds them, because no read names them without a call of its own. It finds a new consumer up to 15 minutes
/// late. The consumers of a linked account's stream of the same name do not count.
///
/// # Errors
/// AWS did not answer, or refused the call.
pub(super) async fn fan_out(
    client: &Client,
    arn: &StreamArn,
    now: DateTime<Utc>,
) -> Result<BTreeMap<Minute, FanOut>, ReadError> {
    let query = search("fan_out", CONSUMER_NAME, "SubscribeToShardEvent.MillisBehindLatest", &arn.name, "Maximum");
    let mut lags = BTreeMap::<Minute, FanOut>::new();
    let lookback = TimeDelta::hours(LOOKBACK_HOURS);
    read(client, arn, vec![query], lookback, now, |_, label, minute, behind_ms| {
        if found(label, arn).is_some() {
            lags.entry(minute).or_default().add(behind_ms);
        }
    })
    .await?;
    Ok(lags)
}

/// Runs `queries` from `lookback` ago up to the last whole minute. Calls `put` for each datapoint, with the id and the
/// label of its series, its minute and its value.
///
/// # Errors
/// AWS did not answer, refused the call, or could not read a series.
pub(super) async fn read(
    client: &Client,
    arn: &StreamArn,
    queries: Vec<MetricDataQuery>,
    lookback: TimeDelta,
    now: DateTime<Utc>,
    mut put: impl FnMut(&str, &str, Minute, f64),
) -> Result<(), ReadError> {
    let end = Minute::of(now).start();
    let start = end - lookback;
    let mut pages = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries))
        .start_time(AwsTime::from_secs(start.timestamp()))
        .end_time(AwsTime::from_secs(end.timestamp()))
        .scan_by(ScanBy::TimestampAscending)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| ReadError::new("GetMetricData", arn, e))?;
        for series in page.metric_data_results() {
            // If CloudWatch could not read a series, its values are unknown, not zero.
            if matches!(series.status_code(), Some(StatusCode::InternalError | StatusCode::Forbidden)) {
                return Err(incomplete(arn, series.id().unwrap_or_default()));
            }
            // A value that is no number is unknown as well.
            if series.values().iter().any(|value| !value.is_finite()) {
                return Err(incomplete(arn, series.id().unwrap_or_default()));
            }
            for (time, value) in series.timestamps().iter().zip(series.values()) {
                if let Some(time) = DateTime::from_timestamp(time.secs(), 0) {
                    let (id, label) = (series.id().unwrap_or_default(), series.label().unwrap_or_default());
                    put(id, label, Minute::of(time), *value);
                }
            }
        }
    }
    Ok(())
}

fn put(traffic: &mut Traffic, id: &str, minute: Minute, value: f64) {
    let counts = match AUTO_FIXES.iter().find(|(series, ..)| *series == id) {
        Some((_, _, field)) => Some(field(traffic)),
        None if id == FLEET => Some(&mut traffic.fleet_fixes),
        None if id == REVERTED => Some(&mut traffic.reverts),
        None if id == SHARDS_ADDED => Some(&mut traffic.shards_added),
        None => None,
    };
    if let Some(counts) = counts {
        let count = counts.entry(minute).or_default();
        // The cast also saturates. Any principal of the account may write to the metric, so a value may be of any size.
        *count = count.saturating_add(value as u32);
    } else if let Some(series) = SERIES.iter().find(|s| s.id == id) {
        (series.put)(traffic.minute_mut(minute), value);
    }
}

fn queries(stream: &str) -> Vec<MetricDataQuery> {
    let of_stream = || dimension(metric::STREAM_NAME, stream);
    let kinesis = SERIES.iter().map(|s| {
        query(s.id, s.statistic, Metric::builder().namespace("AWS/Kinesis").metric_name(s.metric), [of_stream()])
    });
    let auto_fixes = AUTO_FIXES.iter().map(|(id, kind, _)| {
        let action = kind.map(|kind| dimension(metric::ACTION, Remedy::code_of(kind)));
        query(id, "Sum", own(metric::AUTO_FIX), std::iter::once(of_stream()).chain(action))
    });
    let reverted = query(REVERTED, "Sum", own(metric::REVERTED), [of_stream()]);
    let fleet = query(FLEET, "Sum", own(metric::AUTO_FIX), []);
    let shards_added = query(SHARDS_ADDED, "Sum", own(metric::SHARDS_ADDED), []);
    kinesis.chain(auto_fixes).chain([reverted, fleet, shards_added]).collect()
}

/// A metric of the function itself.
fn own(name: &str) -> MetricBuilder {
    Metric::builder().namespace(metric::NAMESPACE).metric_name(name)
}

pub(super) fn query(
    id: &str,
    statistic: &str,
    metric: MetricBuilder,
    dimensions: impl IntoIterator<Item = Dimension>,
) -> MetricDataQuery {
    query_of(PERIOD, id, statistic, metric, dimensions)
}

/// `period`: seconds.
fn query_of(
    period: i32,
    id: &str,
    statistic: &str,
    metric: MetricBuilder,
    dimensions: impl IntoIterator<Item = Dimension>,
) -> MetricDataQuery {
    let metric = metric.set_dimensions(Some(dimensions.into_iter().collect())).build();
    let stat = MetricStat::builder().metric(metric).period(period).stat(statistic).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

/// The search for the series of a stream's metric, one for each value of the dimension `by`, minute by minute. In a
/// monitoring account of CloudWatch a search also covers the streams of linked accounts. CloudWatch documents its
/// filter `:aws.AccountId` for monitoring accounts only, and what the filter finds elsewhere is unknown. So each series
/// carries its account in its label, and [`found`] leaves out those of other accounts.
pub(super) fn search(id: &str, by: &str, metric: &str, stream: &str, statistic: &str) -> MetricDataQuery {
    let of_stream = metric::STREAM_NAME;
    let expression = format!(
        "SEARCH('{{AWS/Kinesis,{by},{of_stream}}} MetricName=\"{metric}\" {of_stream}=\"{stream}\"', '{statistic}', \
         {PERIOD})"
    );
    let label = format!("${{PROP('AccountId')}} ${{PROP('Dim.{by}')}}");
    MetricDataQuery::builder().id(id).expression(expression).label(label).build()
}

/// The value of the dimension that a [`search`] is about, from the label of a series. `None`: the series belongs to
/// another account. A label that names no account counts as this account's.
pub(super) fn found<'a>(label: &'a str, arn: &StreamArn) -> Option<&'a str> {
    let (account, value) = label.split_once(' ').unwrap_or(("", label));
    let is_account = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
    (!is_account || account == arn.home.account).then_some(value)
}

pub(super) fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}

fn incomplete(arn: &StreamArn, series: &str) -> ReadError {
    let error = format!("CloudWatch could not read the series `{series}`; the next check reads it again");
    ReadError::unusable("GetMetricData", &arn.name, Cause::of(std::io::Error::other(error)))
}
