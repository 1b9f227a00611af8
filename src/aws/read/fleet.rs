//! Finds the streams of the account that need a check, in a few calls for a fleet of any size.

use super::traffic::{dimension, query};
use super::{Clients, ReadError, too_many_pages};
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::{Metric, MetricDataQuery};
use aws_sdk_resourcegroupstagging::types::TagFilter;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use unthrottle_core::policy::Permission;
use unthrottle_core::report::metric::STREAM_NAME;

/// How far back to look for throttling without an alarm: the five minutes of a decision's window, and up to five
/// minutes that CloudWatch is late. A shorter time would miss a stream that throttles now. A longer time would also
/// find streams whose throttling has ended.
const RECENT: TimeDelta = TimeDelta::minutes(10);

/// The most pages of one listing. An alarm has at most a hundred contributors, and `GetResources` returns 100 streams a
/// page, so 1,000 pages are 100,000 streams. A smaller number could miss streams. Without a limit, an endless answer
/// would use up the function's time.
const MOST_PAGES: usize = 1000;

/// The metrics of a throttled stream: refused records, and refused calls of readers.
const REFUSED: [&str; 2] = ["WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded"];

/// In a monitoring account of CloudWatch a query also covers the streams of linked accounts. Their names would stand
/// for streams of this account (the query language's page of Metrics Insights).
const THIS_ACCOUNT: &str = "WHERE AWS.AccountId = CURRENT_ACCOUNT_ID() ";

/// The first letter of the id of a query, for each of [`REFUSED`].
const QUERY_LETTERS: [char; 2] = ['w', 'r'];

/// The most queries in one call of `GetMetricData`. AWS refuses a call with more; fewer would leave out streams.
const MOST_QUERIES: usize = 500;

/// The streams that are contributors of the alarm `name`.
///
/// # Errors
/// AWS did not answer, or refused the call.
pub(crate) async fn contributors(clients: &Clients, name: &str) -> Result<Vec<String>, ReadError> {
    const CALL: &str = "DescribeAlarmContributors";
    let mut streams = vec![];
    let mut token = None;
    for _ in 0..MOST_PAGES {
        let call = clients.cloudwatch.describe_alarm_contributors().alarm_name(name).set_next_token(token.take());
        let page = call.send().await.map_err(|e| ReadError::of(CALL, name, e))?;
        let names = page.alarm_contributors().iter().filter_map(|c| c.contributor_attributes()?.get(STREAM_NAME));
        streams.extend(names.cloned());
        token = page.next_token().filter(|token| !token.is_empty()).map(Into::into);
        if token.is_none() {
            return Ok(streams);
        }
    }
    Err(endless(CALL, name))
}

/// The ARN and the tags of every stream that has a tag `key`.
///
/// # Errors
/// AWS did not answer, or refused the call.
pub(crate) async fn tagged(clients: &Clients, key: &str) -> Result<Vec<(String, BTreeMap<String, String>)>, ReadError> {
    const CALL: &str = "GetResources";
    let mut streams = vec![];
    let mut token = None;
    for _ in 0..MOST_PAGES {
        let call = clients.tagging().get_resources().resource_type_filters("kinesis:stream").resources_per_page(100);
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

/// The streams that throttled in the last [`RECENT`], and how many records and calls AWS refused. Metrics Insights
/// charges for every stream of the account. `this_account_only`: whether the query leaves out linked accounts.
///
/// # Errors
/// AWS did not answer, or refused the call.
pub(crate) async fn queried(
    clients: &Clients,
    this_account_only: Permission,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, f64>, ReadError> {
    let account = if this_account_only == Permission::Allow { THIS_ACCOUNT } else { "" };
    let mut refused = BTreeMap::new();
    // CloudWatch accepts one Metrics Insights query in a call.
    for metric in REFUSED {
        let expression = format!(
            "SELECT SUM({metric}) FROM SCHEMA(\"AWS/Kinesis\", {STREAM_NAME}) {account}\
             GROUP BY {STREAM_NAME} ORDER BY SUM() DESC LIMIT 500"
        );
        let query = MetricDataQuery::builder().id("refused").expression(expression).period(60).build();
        for (_, stream, count) in sums(clients, vec![query], now).await? {
            *refused.entry(stream).or_default() += count;
        }
    }
    refused.retain(|_, count| *count > 0.0);
    Ok(refused)
}

/// How many records and calls each of these streams refused in the last [`RECENT`]. The sweep begins with the largest
/// number.
///
/// # Errors
/// AWS did not answer, or refused the call.
pub(crate) async fn severities(
    clients: &Clients,
    streams: &[String],
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, f64>, ReadError> {
    let of = |letter: char, metric: &str, place: usize| {
        let metric = Metric::builder().namespace("AWS/Kinesis").metric_name(metric);
        query(&format!("{letter}{place}"), "Sum", metric, [dimension(STREAM_NAME, &streams[place])])
    };
    let all = QUERY_LETTERS.into_iter().zip(REFUSED);
    let queries = all.flat_map(|(letter, metric)| (0..streams.len()).map(move |place| (letter, metric, place)));
    let queries = queries.take(MOST_QUERIES).map(|(letter, metric, place)| of(letter, metric, place)).collect();
    let mut refused = BTreeMap::new();
    for (id, _, sum) in sums(clients, queries, now).await? {
        let stream = id.trim_start_matches(QUERY_LETTERS).parse().ok().and_then(|place: usize| streams.get(place));
        if let Some(stream) = stream {
            *refused.entry(stream.clone()).or_default() += sum;
        }
    }
    Ok(refused)
}

/// The id, the label and the sum of each series over the last [`RECENT`].
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
    ReadError::unusable(call, of, too_many_pages(MOST_PAGES))
}
