//! PutMetricData.

use super::{Answer, Dimension, invalid};
use crate::local::metrics::{Metrics, Series, Stat, epoch_seconds};
use crate::local::protocol::{Refusal, refuse};
use chrono::{DateTime, Utc};
use ciborium::Value as Cbor;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The most data of one request ([quotas]).
///
/// [quotas]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
const MAX_METRICS_PER_PUT: usize = 1000;
/// The most dimensions of one metric (quotas, as above).
const MAX_DIMENSIONS: usize = 30;
/// The most values of one datum (API reference of PutMetricData).
const MAX_VALUES: usize = 150;

/// CloudWatch refuses datapoints older than two weeks, or more than two hours ahead.
const OLDEST: f64 = 14.0 * 24.0 * 3600.0;
const NEWEST: f64 = 2.0 * 3600.0;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutMetricData {
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
struct StatisticSet {
    sample_count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
}

/// Stores all datapoints of a request, or none.
pub(super) fn put_metric_data(metrics: &mut Metrics, input: PutMetricData, now: DateTime<Utc>) -> Answer {
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

    /// The samples, in one of the three forms that a request may have.
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
