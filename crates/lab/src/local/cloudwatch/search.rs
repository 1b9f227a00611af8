//! A search: a query for many series.

use super::series::RequestedSeries;
use crate::local::insights::LINKED_ACCOUNT;
use crate::local::metrics::{Metrics, Series};
use crate::local::protocol::Refusal;
use std::collections::{BTreeMap, BTreeSet};

/// Series of one search ([quotas]).
///
/// [quotas]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
const MAX_SEARCHED: usize = 500;

/// `SEARCH('{AWS/Kinesis,ShardId,StreamName} MetricName="IncomingBytes" StreamName="orders"', 'Sum', 60)`: every series
/// with exactly these dimensions, and these values, also of linked accounts. This is the part of the search syntax that
/// unthrottle uses. The filter `:aws.AccountId` is not part of it: AWS documents it for monitoring accounts only.
pub(super) struct Search {
    namespace: String,
    dimensions: BTreeSet<String>,
    filters: BTreeMap<String, String>,
    statistic: String,
    period: i64,
}

impl Search {
    pub(super) fn parse(expression: &str) -> Option<Self> {
        let inner = expression.trim().strip_prefix("SEARCH(")?.strip_suffix(')')?;
        let (search, rest) = inner.trim().strip_prefix('\'')?.split_once('\'')?;
        let (statistic, period) = rest.trim().strip_prefix(',')?.rsplit_once(',')?;
        let statistic = statistic.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        let (schema, filters) = search.trim().strip_prefix('{')?.split_once('}')?;
        let mut schema = schema.split(',').map(|name| name.trim().to_owned());
        let filter = |word: &str| {
            let (name, value) = word.split_once('=').filter(|(name, _)| !name.starts_with(':'))?;
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

    /// The series that the search finds: at most 500, as on AWS. `label` may contain `${PROP('Dim.NAME')}` and
    /// `${PROP('AccountId')}`. `account`: this account.
    pub(super) fn asked(
        &self,
        metrics: &Metrics,
        label: Option<&str>,
        account: &str,
    ) -> Result<Vec<RequestedSeries>, Refusal> {
        let found = metrics.series().filter(|series| self.finds(series)).take(MAX_SEARCHED);
        let label_of = |series: &Series| {
            let default = || series.dimensions.values().cloned().collect::<Vec<_>>().join(" ");
            label.map_or_else(default, |label| {
                let fill = |text: String, (name, value): (&String, &String)| {
                    text.replace(&format!("${{PROP('Dim.{name}')}}"), value)
                };
                let owner = series.dimensions.get(LINKED_ACCOUNT).map_or(account, String::as_str);
                series.dimensions.iter().fold(label.replace("${PROP('AccountId')}", owner), fill)
            })
        };
        found
            .map(|series| RequestedSeries::new(series.clone(), label_of(series), &self.statistic, self.period))
            .collect()
    }

    fn finds(&self, series: &Series) -> bool {
        let matches = |(name, value): (&String, &String)| match name.as_str() {
            "MetricName" => series.name == *value,
            name => series.dimensions.get(name) == Some(value),
        };
        series.namespace == self.namespace
            && series.dimensions.keys().filter(|name| *name != LINKED_ACCOUNT).eq(self.dimensions.iter())
            && self.filters.iter().all(matches)
    }
}
