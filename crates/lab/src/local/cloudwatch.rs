//! CloudWatch: PutMetricData, GetMetricData, ListMetrics and DescribeAlarmContributors.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use chrono::{DateTime, Utc};
use ciborium::Value as Cbor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::alarms::describe_contributors;
use super::connection::Line;
use super::insights::{Insights, is_query};
use super::metrics::{Metrics, Series, Stat, epoch_seconds, minute_of};
use super::protocol::{Protocol, Refusal, field, refuse, text, timestamp};
use super::service::{Call, unknown};
use super::{Account, lock};

/// Limits are from the quotas and the API reference:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html>
const MAX_METRICS_PER_PUT: usize = 1000;
const MAX_DIMENSIONS: usize = 30;
const MAX_VALUES: usize = 150;
const MAX_QUERIES: usize = 500;
const MAX_SEARCHED: usize = 500;
const METRICS_PER_PAGE: usize = 500;

/// Datapoints older than two weeks, or more than two hours ahead, are refused.
const OLDEST: f64 = 14.0 * 24.0 * 3600.0;
const NEWEST: f64 = 2.0 * 3600.0;

/// How far back ListMetrics looks: two weeks.
const LISTED_MINUTES: i64 = 14 * 24 * 60;

pub(super) type Answer = Result<Cbor, Refusal>;

fn invalid(message: impl Into<String>) -> Refusal {
    refuse("InvalidParameterValueException", message)
}

/// What GetMetricData calls an invalid request.
pub(super) fn invalid_query(message: impl Into<String>) -> Refusal {
    refuse("ValidationError", message)
}

/// Answers one HTTP request for an operation.
pub(super) async fn serve(
    account: Arc<Account>,
    line: Line,
    protocol: Protocol,
    operation: String,
    request: Request,
) -> Response {
    let input = protocol.input_of(request).await;
    let call = Call { account: account.clone(), line, service: "CloudWatch", operation: operation.clone() };
    let render = move |answer| match answer {
        Ok(answer) => protocol.render(answer),
        Err(refusal) => protocol.render_error(&refusal),
    };
    call.answer(render, async move { perform(&account, &operation, input?) }).await
}

fn perform(account: &Account, operation: &str, input: Value) -> Answer {
    let now = account.now();
    match operation {
        "PutMetricData" => put_metric_data(&mut lock(&account.metrics), parse(input)?, now),
        "GetMetricData" => {
            let unpublished = unpublished_since(account.options.metric_lag, now);
            get_metric_data(
                &lock(&account.metrics),
                &parse(input)?,
                unpublished,
                now,
                account.options.datapoints_per_page,
            )
        }
        "ListMetrics" => list_metrics(&lock(&account.metrics), &parse(input)?, now),
        "DescribeAlarmContributors" => {
            let end = unpublished_since(account.options.metric_lag, now).min(minute_of(now) + 1);
            describe_contributors(&lock(&account.fleet_alarms), &lock(&account.metrics), &parse(input)?, end)
        }
        _ => Err(unknown("CloudWatch", operation)),
    }
}

// ---- PutMetricData ----

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutMetricData {
    namespace: String,
    #[serde(default)]
    metric_data: Vec<Datum>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Datum {
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    /// Epoch seconds.
    timestamp: Option<f64>,
    value: Option<f64>,
    values: Option<Vec<f64>>,
    counts: Option<Vec<f64>>,
    statistic_values: Option<StatisticSet>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Dimension {
    name: String,
    value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatisticSet {
    sample_count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
}

/// All of a request's datapoints, or none.
fn put_metric_data(metrics: &mut Metrics, input: PutMetricData, now: DateTime<Utc>) -> Answer {
    if input.namespace.is_empty() || input.namespace.starts_with("AWS/") {
        return Err(invalid(format!(
            "The value '{}' for parameter Namespace is invalid: it must not be empty or begin \
             with 'AWS/'.",
            input.namespace
        )));
    }
    if input.metric_data.len() > MAX_METRICS_PER_PUT {
        return Err(invalid(format!(
            "The collection MetricData must not have a size greater than {MAX_METRICS_PER_PUT}."
        )));
    }
    let data: Vec<(Series, i64, Stat)> = input
        .metric_data
        .into_iter()
        .map(|datum| datum.checked(&input.namespace, epoch_seconds(now)))
        .collect::<Result<_, _>>()?;
    for (series, minute, stat) in data {
        metrics.add(series, minute, &stat);
    }
    Ok(Cbor::Map(vec![]))
}

impl Datum {
    fn checked(self, namespace: &str, now: f64) -> Result<(Series, i64, Stat), Refusal> {
        let stat = self.stat()?;
        let name = self.metric_name;
        if self.dimensions.len() > MAX_DIMENSIONS {
            return Err(invalid(format!("Metric {name} has more than {MAX_DIMENSIONS} dimensions.")));
        }
        let timestamp = self.timestamp.unwrap_or(now);
        if !(now - OLDEST..=now + NEWEST).contains(&timestamp) {
            return Err(invalid(format!(
                "The timestamp {timestamp} of metric {name} is more than two weeks in the past or \
                 two hours in the future."
            )));
        }
        let dimensions = dimensions_of(self.dimensions)?;
        let series = Series { namespace: namespace.to_owned(), name, dimensions };
        Ok((series, (timestamp / 60.0).floor() as i64, stat))
    }

    /// The samples, in whichever of the three ways they are given.
    fn stat(&self) -> Result<Stat, Refusal> {
        match (self.value, &self.values, &self.statistic_values) {
            (Some(value), None, None) => Ok(Stat::of(value, 1.0)),
            (None, None, Some(set)) => {
                Ok(Stat { sum: set.sum, count: set.sample_count, minimum: set.minimum, maximum: set.maximum })
            }
            (None, Some(values), None) => self.stat_of(values),
            (None, None, None) => {
                Err(refuse("MissingRequiredParameterException", format!("Metric {} has no value.", self.metric_name)))
            }
            _ => Err(refuse(
                "InvalidParameterCombinationException",
                format!("Metric {} must have one of Value, Values and StatisticValues.", self.metric_name),
            )),
        }
    }

    fn stat_of(&self, values: &[f64]) -> Result<Stat, Refusal> {
        let once = vec![1.0; values.len()];
        let counts = self.counts.as_ref().unwrap_or(&once);
        if !(1..=MAX_VALUES).contains(&values.len()) || counts.len() != values.len() {
            return Err(invalid(format!(
                "Metric {} must have 1 to {MAX_VALUES} Values, and as many Counts or none.",
                self.metric_name
            )));
        }
        let mut stat = Stat::default();
        for (value, count) in values.iter().zip(counts) {
            stat.merge(&Stat::of(*value, *count));
        }
        Ok(stat)
    }
}

/// The set of dimensions that identifies a metric.
fn dimensions_of(dimensions: Vec<Dimension>) -> Result<BTreeMap<String, String>, Refusal> {
    dimensions
        .into_iter()
        .map(|dimension| match dimension.value {
            Some(value) if !value.is_empty() => Ok((dimension.name, value)),
            _ => Err(invalid(format!("The dimension {} must have a value.", dimension.name))),
        })
        .collect()
}

// ---- GetMetricData ----

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetMetricData {
    metric_data_queries: Vec<Query>,
    /// Epoch seconds.
    start_time: f64,
    end_time: f64,
    next_token: Option<String>,
    scan_by: Option<String>,
    max_datapoints: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Query {
    id: String,
    label: Option<String>,
    metric_stat: Option<MetricStat>,
    expression: Option<String>,
    /// Of the expression, in seconds.
    period: Option<i64>,
    return_data: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricStat {
    metric: Metric,
    /// Seconds.
    period: i64,
    stat: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    namespace: String,
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
}

/// The minutes from `start` (inclusive) to `end` (exclusive) that are asked for; minutes of
/// `AWS/…` metrics count only before `unpublished`.
pub(super) struct Window {
    pub start: i64,
    end: i64,
    unpublished: i64,
}

impl Window {
    /// So many minutes before `end`, which is the first that is not published.
    pub fn until(end: i64, minutes: i64) -> Self {
        Self { start: end - minutes, end, unpublished: end }
    }

    /// The samples of a series that are asked for, oldest first.
    fn samples<'a>(&self, metrics: &'a Metrics, series: &Series) -> impl Iterator<Item = (i64, &'a Stat)> {
        let is_aws = series.namespace.starts_with("AWS/");
        let end = if is_aws { self.end.min(self.unpublished) } else { self.end };
        metrics.minutes(series).filter(move |(minute, _)| (self.start..end).contains(minute))
    }

    /// All of them together; `None` when there are none.
    pub fn total(&self, metrics: &Metrics, series: &Series) -> Option<Stat> {
        let samples = self.samples(metrics, series).map(|(_, stat)| stat.clone());
        samples.reduce(|mut total, stat| {
            total.merge(&stat);
            total
        })
    }
}

/// The first minute of an `AWS/…` metric that cannot be read yet.
fn unpublished_since(lag: Duration, now: DateTime<Utc>) -> i64 {
    if lag.is_zero() {
        return i64::MAX;
    }
    ((epoch_seconds(now) - lag.as_secs_f64()) / 60.0).floor() as i64
}

/// Answers page by page, at most `most` datapoints each; the token is how many were given before. The series come side by
/// side in the order of their times, which AWS does not document. A query whose datapoints don't all fit is `PartialData`.
fn get_metric_data(
    metrics: &Metrics,
    input: &GetMetricData,
    unpublished: i64,
    now: DateTime<Utc>,
    most: usize,
) -> Answer {
    check_queries(&input.metric_data_queries)?;
    let window = Window {
        start: (input.start_time / 60.0).floor() as i64,
        end: (input.end_time / 60.0).ceil() as i64,
        unpublished,
    };
    if window.start >= window.end {
        return Err(invalid_query("StartTime must be less than EndTime"));
    }
    let queries = &input.metric_data_queries;
    let asked = queries.iter().map(|query| Ok((query, query.asked(metrics, &window, now)?)));
    let asked = asked.collect::<Result<Vec<_>, Refusal>>()?;
    let asked: Vec<_> = asked.iter().flat_map(|(query, all)| all.iter().map(move |asked| (query, asked))).collect();
    let is_ascending = input.scan_by.as_deref() == Some("TimestampAscending");
    let series: Vec<Vec<(f64, f64)>> = asked.iter().map(|(_, asked)| asked.datapoints(metrics, &window)).collect();
    let skip = token(input.next_token.as_deref())?;
    let room = input.max_datapoints.unwrap_or(most).clamp(1, most);
    let all: usize = series.iter().map(Vec::len).sum();
    let (before, after) = (first_of_all(&series, skip, is_ascending), first_of_all(&series, skip + room, is_ascending));
    let mut results = Vec::new();
    for ((query, asked), (mut points, (from, to))) in
        asked.iter().zip(series.into_iter().zip(before.into_iter().zip(after)))
    {
        if !is_ascending {
            points.reverse();
        }
        if query.return_data != Some(false) {
            results.push(query.result(&asked.label, &points[from..to], to == points.len()));
        }
    }
    let mut answer = vec![field("MetricDataResults", Cbor::Array(results))];
    if skip + room < all {
        answer.push(field("NextToken", text(&(skip + room).to_string())));
    }
    answer.push(field("Messages", Cbor::Array(vec![])));
    Ok(Cbor::Map(answer))
}

/// How many datapoints of each series are among the first so many of all, by their times.
fn first_of_all(series: &[Vec<(f64, f64)>], first: usize, is_ascending: bool) -> Vec<usize> {
    let points =
        series.iter().enumerate().flat_map(|(place, points)| points.iter().map(move |(time, _)| (*time, place)));
    let mut points: Vec<(f64, usize)> = points.collect();
    points.sort_by(|(a, _), (b, _)| if is_ascending { a.total_cmp(b) } else { b.total_cmp(a) });
    let mut counts = vec![0; series.len()];
    for (_, place) in points.into_iter().take(first) {
        counts[place] += 1;
    }
    counts
}

fn check_queries(queries: &[Query]) -> Result<(), Refusal> {
    if !(1..=MAX_QUERIES).contains(&queries.len()) {
        return Err(invalid_query(format!("The collection MetricDataQueries must have 1 to {MAX_QUERIES} entries.")));
    }
    let mut ids = HashSet::new();
    for query in queries {
        if !query.id.starts_with(|first: char| first.is_ascii_lowercase()) {
            return Err(invalid_query(format!(
                "The value '{}' for parameter Id must begin with a lowercase letter.",
                query.id
            )));
        }
        if !ids.insert(&query.id) {
            return Err(invalid_query(format!("The Id '{}' is not unique.", query.id)));
        }
    }
    let insights = queries.iter().filter(|query| query.expression.as_deref().is_some_and(is_query));
    if insights.count() > 1 {
        return Err(invalid_query("A GetMetricData call can have only one Metrics Insights query"));
    }
    Ok(())
}

/// One series that a query asks for: a search may ask for many.
pub(super) struct Asked {
    series: Series,
    label: String,
    period: i64,
    statistic: fn(&Stat) -> f64,
}

impl Query {
    /// The series that the query asks for.
    fn asked(&self, metrics: &Metrics, window: &Window, now: DateTime<Utc>) -> Result<Vec<Asked>, Refusal> {
        match (&self.metric_stat, &self.expression) {
            (Some(stat), None) => {
                let label = self.label.clone().unwrap_or_else(|| stat.metric.metric_name.clone());
                Ok(vec![Asked::new(stat.metric.series(), label, &stat.stat, stat.period)?])
            }
            (None, Some(expression)) if is_query(expression) => {
                let query = Insights::parse(expression).ok_or_else(|| {
                    invalid_query(format!(
                        "the local account queries by no SQL but SELECT SUM|MAX(METRIC) FROM \
                         SCHEMA(\"NAMESPACE\", DIMENSION) GROUP BY DIMENSION [ORDER BY SUM|MAX() DESC|ASC] \
                         [LIMIT 1…500]: '{expression}' of query '{}'",
                        self.id
                    ))
                })?;
                query.asked(metrics, window, self.period, now)
            }
            (None, Some(expression)) => {
                let search = Search::parse(expression).ok_or_else(|| {
                    invalid_query(format!(
                        "the local account computes no expressions but SEARCH('{{NAMESPACE,DIMENSION,…}} \
                         MetricName=\"…\" DIMENSION=\"…\"', 'STATISTIC', PERIOD): '{expression}' of query '{}'",
                        self.id
                    ))
                })?;
                search.asked(metrics, self.label.as_deref())
            }
            _ => Err(invalid_query(format!("The query '{}' must have one of MetricStat and Expression.", self.id))),
        }
    }

    fn result(&self, label: &str, points: &[(f64, f64)], complete: bool) -> Cbor {
        let times = points.iter().map(|(time, _)| timestamp(*time)).collect();
        let values = points.iter().map(|(_, value)| Cbor::Float(*value));
        let status = match complete {
            true => "Complete",
            false => "PartialData",
        };
        Cbor::Map(vec![
            field("Id", text(&self.id)),
            field("Label", text(label)),
            field("Timestamps", Cbor::Array(times)),
            field("Values", Cbor::Array(values.collect())),
            field("StatusCode", text(status)),
        ])
    }
}

impl Asked {
    /// `period`: seconds.
    pub fn new(series: Series, label: String, stat: &str, period: i64) -> Result<Self, Refusal> {
        if period < 60 || period % 60 != 0 {
            return Err(invalid_query(format!(
                "the local account keeps whole minutes: Period {period} must be a multiple of 60"
            )));
        }
        Ok(Self { series, label, period: period / 60, statistic: statistic(stat)? })
    }

    /// The datapoints, oldest first: the second that each begins with, and its value. Periods are
    /// counted from the window's start; those without samples have no datapoint.
    fn datapoints(&self, metrics: &Metrics, window: &Window) -> Vec<(f64, f64)> {
        let mut periods = BTreeMap::<i64, Stat>::new();
        for (minute, samples) in window.samples(metrics, &self.series) {
            let begin = minute - (minute - window.start) % self.period;
            periods.entry(begin).or_default().merge(samples);
        }
        periods.into_iter().map(|(minute, stat)| (minute as f64 * 60.0, (self.statistic)(&stat))).collect()
    }
}

/// `SEARCH('{AWS/Kinesis,ShardId,StreamName} MetricName="IncomingBytes" StreamName="orders"', 'Sum', 60)`: every series
/// with exactly these dimensions, and these values. Of the search syntax, what unthrottle uses.
struct Search {
    namespace: String,
    dimensions: BTreeSet<String>,
    filters: BTreeMap<String, String>,
    statistic: String,
    period: i64,
}

impl Search {
    fn parse(expression: &str) -> Option<Self> {
        let inner = expression.trim().strip_prefix("SEARCH(")?.strip_suffix(')')?;
        let (search, rest) = inner.trim().strip_prefix('\'')?.split_once('\'')?;
        let (statistic, period) = rest.trim().strip_prefix(',')?.rsplit_once(',')?;
        let statistic = statistic.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        let (schema, filters) = search.trim().strip_prefix('{')?.split_once('}')?;
        let mut schema = schema.split(',').map(|name| name.trim().to_owned());
        let filter = |word: &str| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.strip_prefix('"')?.strip_suffix('"')?.to_owned()))
        };
        Some(Self {
            namespace: schema.next()?,
            dimensions: schema.collect(),
            filters: filters.split_whitespace().map(filter).collect::<Option<_>>()?,
            statistic: statistic.to_owned(),
            period: period.trim().parse().ok()?,
        })
    }

    /// At most 500 series, as on AWS; `label` may have `${PROP('Dim.NAME')}` in it.
    fn asked(&self, metrics: &Metrics, label: Option<&str>) -> Result<Vec<Asked>, Refusal> {
        let found = metrics.series().filter(|series| self.finds(series)).take(MAX_SEARCHED);
        let label_of = |series: &Series| {
            let default = || series.dimensions.values().cloned().collect::<Vec<_>>().join(" ");
            label.map_or_else(default, |label| {
                let fill = |text: String, (name, value): (&String, &String)| {
                    text.replace(&format!("${{PROP('Dim.{name}')}}"), value)
                };
                series.dimensions.iter().fold(label.to_owned(), fill)
            })
        };
        found.map(|series| Asked::new(series.clone(), label_of(series), &self.statistic, self.period)).collect()
    }

    fn finds(&self, series: &Series) -> bool {
        let matches = |(name, value): (&String, &String)| match name.as_str() {
            "MetricName" => series.name == *value,
            name => series.dimensions.get(name) == Some(value),
        };
        series.namespace == self.namespace
            && series.dimensions.keys().eq(self.dimensions.iter())
            && self.filters.iter().all(matches)
    }
}

impl Metric {
    fn series(&self) -> Series {
        let value = |dimension: &Dimension| dimension.value.clone().unwrap_or_default();
        let dimensions = self.dimensions.iter().map(|d| (d.name.clone(), value(d)));
        Series { namespace: self.namespace.clone(), name: self.metric_name.clone(), dimensions: dimensions.collect() }
    }
}

fn statistic(name: &str) -> Result<fn(&Stat) -> f64, Refusal> {
    match name {
        "Sum" => Ok(|stat| stat.sum),
        "SampleCount" => Ok(|stat| stat.count),
        "Average" => Ok(|stat| stat.sum / stat.count),
        "Minimum" => Ok(|stat| stat.minimum),
        "Maximum" => Ok(|stat| stat.maximum),
        _ => Err(invalid_query(format!("the local account keeps no samples, so it has no statistic '{name}'"))),
    }
}

// ---- ListMetrics ----

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListMetrics {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    next_token: Option<String>,
}

fn list_metrics(metrics: &Metrics, input: &ListMetrics, now: DateTime<Utc>) -> Answer {
    let oldest = (epoch_seconds(now) / 60.0) as i64 - LISTED_MINUTES;
    let skip = token(input.next_token.as_deref())?;
    let wanted = metrics
        .series()
        .filter(|series| input.matches(series) && metrics.minutes(series).any(|(minute, _)| minute >= oldest));
    let mut wanted = wanted.skip(skip);
    let page = wanted.by_ref().take(METRICS_PER_PAGE).map(describe);
    let mut answer = vec![field("Metrics", Cbor::Array(page.collect()))];
    if wanted.next().is_some() {
        let next = skip + METRICS_PER_PAGE;
        answer.push(field("NextToken", text(&next.to_string())));
    }
    Ok(Cbor::Map(answer))
}

impl ListMetrics {
    fn matches(&self, series: &Series) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        same(&self.namespace, &series.namespace)
            && same(&self.metric_name, &series.name)
            && self.dimensions.iter().all(|wanted| {
                let value = series.dimensions.get(&wanted.name);
                value.is_some_and(|value| same(&wanted.value, value))
            })
    }
}

fn describe(series: &Series) -> Cbor {
    let dimensions = series
        .dimensions
        .iter()
        .map(|(name, value)| Cbor::Map(vec![field("Name", text(name)), field("Value", text(value))]));
    Cbor::Map(vec![
        field("Namespace", text(&series.namespace)),
        field("MetricName", text(&series.name)),
        field("Dimensions", Cbor::Array(dimensions.collect())),
    ])
}

// ---- Inputs ----

fn parse<T: DeserializeOwned>(input: Value) -> Result<T, Refusal> {
    serde_json::from_value(input).map_err(|error| invalid_query(error.to_string()))
}

/// How many entries were given before.
pub(super) fn token(token: Option<&str>) -> Result<usize, Refusal> {
    token.map_or(Ok(0), |token| {
        let skip = token.parse();
        skip.map_err(|_| refuse("InvalidNextToken", format!("Invalid NextToken {token}")))
    })
}
