//! ListMetrics.

use super::{Answer, Dimension, token};
use crate::local::insights::LINKED_ACCOUNT;
use crate::local::metrics::{Metrics, Series, epoch_seconds};
use crate::local::protocol::{field, text};
use chrono::{DateTime, Utc};
use ciborium::Value as Cbor;
use serde::Deserialize;

/// Metrics of one page (API reference).
const METRICS_PER_PAGE: usize = 500;

/// The lookback of ListMetrics: two weeks.
const LISTED_MINUTES: i64 = 14 * 24 * 60;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListMetrics {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    next_token: Option<String>,
}

pub(super) fn list_metrics(metrics: &Metrics, input: &ListMetrics, now: DateTime<Utc>) -> Answer {
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
        !series.dimensions.contains_key(LINKED_ACCOUNT)
            && same(&self.namespace, &series.namespace)
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
