//! GetMetricData: several queries, page by page.

use super::search::Search;
use super::series::{MetricStat, RequestedSeries, Window};
use super::{Answer, invalid_query, token};
use crate::local::insights::{Insights, is_query};
use crate::local::metrics::Metrics;
use crate::local::protocol::{Refusal, field, text, timestamp};
use chrono::{DateTime, Utc};
use ciborium::Value as Cbor;
use serde::Deserialize;
use std::collections::HashSet;

/// Queries of one request ([quotas]).
///
/// [quotas]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
const MAX_QUERIES: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetMetricData {
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
    /// The period of the expression, in seconds.
    period: Option<i64>,
    return_data: Option<bool>,
}

/// Answers page by page, with at most `most` datapoints each. The token is the number of datapoints on earlier pages.
/// The datapoints of all series come together in the order of their times, which AWS does not document. A query with
/// datapoints on later pages is `PartialData`.
pub(super) fn get_metric_data(
    metrics: &Metrics,
    input: &GetMetricData,
    account: &str,
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
    let asked = queries.iter().map(|query| Ok((query, query.asked(metrics, account, &window, now)?)));
    let asked = asked.collect::<Result<Vec<_>, Refusal>>()?;
    let asked: Vec<_> = asked.iter().flat_map(|(query, all)| all.iter().map(move |asked| (query, asked))).collect();
    let is_ascending = input.scan_by.as_deref() == Some("TimestampAscending");
    let series: Vec<Vec<(f64, f64)>> = asked.iter().map(|(_, asked)| asked.datapoints(metrics, &window)).collect();
    let skip = token(input.next_token.as_deref())?;
    let page_size = input.max_datapoints.unwrap_or(most).clamp(1, most);
    let all: usize = series.iter().map(Vec::len).sum();
    let (before, after) =
        (first_of_all(&series, skip, is_ascending), first_of_all(&series, skip + page_size, is_ascending));
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
    if skip + page_size < all {
        answer.push(field("NextToken", text(&(skip + page_size).to_string())));
    }
    answer.push(field("Messages", Cbor::Array(vec![])));
    Ok(Cbor::Map(answer))
}

/// The number of datapoints of each series among the first `first` datapoints of all series, by time.
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

impl Query {
    /// The series of the query.
    fn asked(
        &self,
        metrics: &Metrics,
        account: &str,
        window: &Window,
        now: DateTime<Utc>,
    ) -> Result<Vec<RequestedSeries>, Refusal> {
        match (&self.metric_stat, &self.expression) {
            (Some(stat), None) => {
                let label = self.label.clone().unwrap_or_else(|| stat.metric.metric_name.clone());
                Ok(vec![RequestedSeries::new(stat.metric.series(), label, &stat.stat, stat.period)?])
            }
            (None, Some(expression)) if is_query(expression) => {
                let query = Insights::parse(expression).ok_or_else(|| {
                    invalid_query(format!(
                        "the local account supports only the SQL SELECT SUM|MAX(METRIC) FROM \
                         SCHEMA(\"NAMESPACE\", DIMENSION) [WHERE AWS.AccountId = CURRENT_ACCOUNT_ID()] GROUP BY \
                         DIMENSION [ORDER BY SUM|MAX() DESC|ASC] [LIMIT 1…500]: '{expression}' of query '{}'",
                        self.id
                    ))
                })?;
                query.asked(metrics, window, self.period, now)
            }
            (None, Some(expression)) => {
                let search = Search::parse(expression).ok_or_else(|| {
                    invalid_query(format!(
                        "the local account supports only the expression SEARCH('{{NAMESPACE,DIMENSION,…}} \
                         MetricName=\"…\" DIMENSION=\"…\"', 'STATISTIC', PERIOD): '{expression}' of query '{}'",
                        self.id
                    ))
                })?;
                search.asked(metrics, self.label.as_deref(), account)
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
