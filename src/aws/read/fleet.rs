//! The streams of the account that need a look, found in a few calls whatever the size of the fleet.

use super::super::Clients;
use super::traffic::{dimension, query};
use super::{Cause, ReadError};
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::{Metric, MetricDataQuery};
use aws_sdk_resourcegroupstagging::types::TagFilter;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use unthrottle_core::report::metric::STREAM_NAME;

/// How far back throttling is looked for where no alarm tells of it: the window of a decision, and what CloudWatch is late.
const RECENT: TimeDelta = TimeDelta::minutes(10);

/// More pages than this no index has: a hundred contributors are an alarm's most, and a stream's memory is one of 100 a page.
const MOST_PAGES: usize = 1000;

/// What a throttled stream's metrics are called: refused records, and refused calls of readers.
const REFUSED: [&str; 2] = ["WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded"];

/// What the ids of queries for them begin with.
const METRIC_LETTERS: [char; 2] = ['w', 'r'];

/// The metrics that one call of GetMetricData may name.
const MOST_QUERIES: usize = 500;

/// The streams whose throttling, or whatever else it watches, has raised the alarm `name`.
pub(crate) async fn contributors(clients: &Clients, name: &str) -> Result<Vec<String>, ReadError> {
    let mut streams = vec![];
    let mut token = None;
    for _ in 0..MOST_PAGES {
        let call = clients.cloudwatch.describe_alarm_contributors().alarm_name(name).set_next_token(token.take());
        let page = call.send().await.map_err(|e| ReadError::of("DescribeAlarmContributors", name, e))?;
        let names = page.alarm_contributors().iter().filter_map(|c| c.contributor_attributes()?.get(STREAM_NAME));
        streams.extend(names.cloned());
        token = page.next_token().filter(|token| !token.is_empty()).map(Into::into);
        if token.is_none() {
            return Ok(streams);
        }
    }
    Err(endless("DescribeAlarmContributors", name))
}

/// The ARN and the tags of every stream that has a tag `key`.
pub(crate) async fn tagged(clients: &Clients, key: &str) -> Result<Vec<(String, BTreeMap<String, String>)>, ReadError> {
    const CALL: &str = "GetResources";
    let mut streams = vec![];
    let mut token = None;
    for _ in 0..MOST_PAGES {
        let call = clients.tagging.get_resources().resource_type_filters("kinesis:stream").resources_per_page(100);
        let call = call.tag_filters(TagFilter::builder().key(key).build()).set_pagination_token(token.take());
        let page = call.send().await.map_err(|e| ReadError::of(CALL, key, e))?;
        for resource in page.resource_tag_mapping_list() {
            let tags = resource.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned()));
            streams.extend(resource.resource_arn().map(|arn| (arn.to_owned(), tags.collect())));
        }
        token = page.pagination_token().filter(|token| !token.is_empty()).map(Into::into);
        if token.is_none() {
            return Ok(streams);
        }
    }
    Err(endless(CALL, key))
}

/// The streams that CloudWatch Metrics Insights shows throttled of late, and how much. It charges for every stream of the
/// account.
pub(crate) async fn queried(clients: &Clients, now: DateTime<Utc>) -> Result<BTreeMap<String, f64>, ReadError> {
    let mut refused = BTreeMap::new();
    // One such query a call.
    for metric in REFUSED {
        let expression = format!(
            "SELECT SUM({metric}) FROM SCHEMA(\"AWS/Kinesis\", {STREAM_NAME}) GROUP BY {STREAM_NAME} ORDER BY SUM() DESC LIMIT 500"
        );
        let query = MetricDataQuery::builder().id("refused").expression(expression).period(60).build();
        for (_, stream, count) in sums(clients, vec![query], now).await? {
            *refused.entry(stream).or_default() += count;
        }
    }
    refused.retain(|_, count| *count > 0.0);
    Ok(refused)
}

/// How much of late each of these streams refused: to begin with the worst.
pub(crate) async fn severities(
    clients: &Clients,
    streams: &[String],
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, f64>, ReadError> {
    let of = |letter: char, metric: &str, place: usize| {
        let metric = Metric::builder().namespace("AWS/Kinesis").metric_name(metric);
        query(&format!("{letter}{place}"), "Sum", metric, [dimension(STREAM_NAME, &streams[place])])
    };
    let all = METRIC_LETTERS.into_iter().zip(REFUSED);
    let queries = all.flat_map(|(letter, metric)| (0..streams.len()).map(move |place| (letter, metric, place)));
    let queries = queries.take(MOST_QUERIES).map(|(letter, metric, place)| of(letter, metric, place)).collect();
    let mut refused = BTreeMap::new();
    for (id, _, sum) in sums(clients, queries, now).await? {
        let stream = id.trim_start_matches(METRIC_LETTERS).parse().ok().and_then(|place: usize| streams.get(place));
        if let Some(stream) = stream {
            *refused.entry(stream.clone()).or_default() += sum;
        }
    }
    Ok(refused)
}

/// The id, the label and the sum of each series.
async fn sums(
    clients: &Clients,
    queries: Vec<MetricDataQuery>,
    now: DateTime<Utc>,
) -> Result<Vec<(String, String, f64)>, ReadError> {
    let mut sums = vec![];
    let call = clients.cloudwatch.get_metric_data().set_metric_data_queries(Some(queries));
    let call =
        call.start_time(AwsTime::from_secs((now - RECENT).timestamp())).end_time(AwsTime::from_secs(now.timestamp()));
    let mut pages = call.into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| ReadError::of("GetMetricData", "the fleet", e))?;
        for series in page.metric_data_results() {
            let (id, label) = (series.id().unwrap_or_default(), series.label().unwrap_or_default());
            sums.push((id.to_owned(), label.to_owned(), series.values().iter().sum()));
        }
    }
    Ok(sums)
}

fn endless(call: &'static str, of: &str) -> ReadError {
    ReadError { call, stream: of.into(), code: None, source: Cause::of(std::io::Error::other("it has no end")) }
}
