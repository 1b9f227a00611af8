//! Metrics Insights: the part of its SQL that unthrottle uses.

use super::cloudwatch::{RequestedSeries, Window, invalid_query};
use super::metrics::{Metrics, Series, Stat, minute_of};
use super::protocol::Refusal;
use chrono::{DateTime, Utc};

/// The most series of an answer, and the most series that a query analyses ([quotas]). A query ignores any others.
///
/// [quotas]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-metrics-insights-limits.html
const MAX_SERIES: usize = 500;
const MAX_ANALYSED: usize = 10_000;

/// The lookback of a query. Alarms have three hours. For GetMetricData, AWS's newest service model has two weeks.
const MAX_MINUTES: i64 = 3 * 60;

/// `SELECT SUM(METRIC) FROM SCHEMA("NAMESPACE", DIMENSION) WHERE AWS.AccountId = CURRENT_ACCOUNT_ID() GROUP BY
/// DIMENSION ORDER BY SUM() DESC LIMIT 500`. `MAX` may replace `SUM`. The clauses WHERE, ORDER BY and LIMIT are
/// optional. Without WHERE, the query also covers the streams of linked accounts.
pub(super) struct Insights {
    statistic: &'static str,
    metric: String,
    namespace: String,
    dimension: String,
    /// Whether the query leaves out linked accounts.
    is_of_this_account: bool,
    order: Option<Order>,
    limit: usize,
}

/// The name of the account in a query.
const ACCOUNT_ID: &str = "AWS.AccountId";

/// The dimension that marks a series of a linked account. In AWS the account is no dimension, and no metric has this
/// name. Reads that name the dimensions of a series therefore never find it, as in AWS.
pub(super) const LINKED_ACCOUNT: &str = "@linked account";

/// The order of the series.
struct Order {
    value: fn(&Stat) -> f64,
    descending: bool,
}

/// Whether an expression is a Metrics Insights query.
pub(super) fn is_query(expression: &str) -> bool {
    expression.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("SELECT"))
}

impl Insights {
    /// The metric of the query.
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// Whether it compares maxima, and no sums.
    pub fn is_maximum(&self) -> bool {
        self.statistic == "Maximum"
    }

    pub fn parse(expression: &str) -> Option<Self> {
        let words = words(expression)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ["SELECT", function, "(", metric, ")", "FROM", "SCHEMA", "(", namespace, ",", dimension, ")", rest @ ..] =
            &words[..]
        else {
            return None;
        };
        let (is_of_this_account, rest) = match rest {
            ["WHERE", ACCOUNT_ID, "=", "CURRENT_ACCOUNT_ID", "(", ")", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let ["GROUP", "BY", group, rest @ ..] = rest else { return None };
        let (order, rest) = match rest {
            ["ORDER", "BY", by, "(", ")", direction, rest @ ..] if ["ASC", "DESC"].contains(direction) => {
                (Some(Order { value: value_of(by)?, descending: *direction == "DESC" }), rest)
            }
            ["ORDER", "BY", by, "(", ")", rest @ ..] => (Some(Order { value: value_of(by)?, descending: false }), rest),
            rest => (None, rest),
        };
        let limit = match rest {
            [] => MAX_SERIES,
            ["LIMIT", limit] => limit.parse().ok().filter(|limit| (1..=MAX_SERIES).contains(limit))?,
            _ => return None,
        };
        let statistic = match *function {
            "SUM" => "Sum",
            "MAX" => "Maximum",
            _ => return None,
        };
        (group == dimension).then(|| Self {
            statistic,
            metric: (*metric).to_owned(),
            namespace: (*namespace).to_owned(),
            dimension: (*dimension).to_owned(),
            is_of_this_account,
            order,
            limit,
        })
    }

    /// The series with datapoints in the window. Each label is the value of the group's dimension. `period`: seconds.
    pub fn asked(
        &self,
        metrics: &Metrics,
        window: &Window,
        period: Option<i64>,
        now: DateTime<Utc>,
    ) -> Result<Vec<RequestedSeries>, Refusal> {
        let Some(period) = period else {
            return Err(invalid_query("A Metrics Insights query must have a Period"));
        };
        if window.start < minute_of(now) - MAX_MINUTES {
            return Err(invalid_query("A Metrics Insights query must start within the last 3 hours"));
        }
        let found = metrics.series().filter_map(|series| Some((series, self.group_of(series)?))).take(MAX_ANALYSED);
        let mut found: Vec<(&Series, &String, Stat)> =
            found.filter_map(|(series, group)| Some((series, group, window.total(metrics, series)?))).collect();
        if let Some(Order { value, descending }) = self.order {
            found.sort_by(|(.., a), (.., b)| {
                let (first, second) = if descending { (b, a) } else { (a, b) };
                value(first).total_cmp(&value(second))
            });
        }
        found.truncate(self.limit);
        let asked = |(series, group, _): (&Series, &String, _)| {
            RequestedSeries::new(series.clone(), group.clone(), self.statistic, period)
        };
        found.into_iter().map(asked).collect()
    }

    /// The value of the group's dimension, for a series that the query analyses.
    fn group_of<'a>(&self, series: &'a Series) -> Option<&'a String> {
        let is_linked = series.dimensions.contains_key(LINKED_ACCOUNT);
        let dimensions = series.dimensions.len() - usize::from(is_linked);
        let same = series.namespace == self.namespace && series.name == self.metric && dimensions == 1;
        series.dimensions.get(&self.dimension).filter(|_| same && !(is_linked && self.is_of_this_account))
    }
}

fn value_of(function: &str) -> Option<fn(&Stat) -> f64> {
    match function {
        "SUM" => Some(|stat| stat.sum),
        "MAX" => Some(|stat| stat.maximum),
        _ => None,
    }
}

/// The words of an expression. Each bracket, each comma and each equals sign is a word. A word has letters, digits and
/// underscores. A word in double quotes may have any characters, and loses its quotes.
fn words(expression: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for (index, part) in expression.split('"').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
            continue;
        }
        let spaced = part.replace('(', " ( ").replace(')', " ) ").replace(',', " , ").replace('=', " = ");
        words.extend(spaced.split_whitespace().map(str::to_owned));
        // Other names with a dot need quotes.
        let is_bare = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_(),=".contains(c);
        if !part.replace(ACCOUNT_ID, "").chars().all(is_bare) {
            return None;
        }
    }
    expression.matches('"').count().is_multiple_of(2).then_some(words)
}
