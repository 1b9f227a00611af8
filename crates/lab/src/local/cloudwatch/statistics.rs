//! GetMetricStatistics: one metric, with one or several statistics.

use super::series::{RequestedSeries, Window};
use super::{Answer, Dimension, invalid};
use crate::local::metrics::{Metrics, Series};
use crate::local::protocol::{field, refuse, text, timestamp};
use ciborium::Value as Cbor;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The most datapoints of an answer (API reference).
const MAX_DATAPOINTS: i64 = 1_440;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetMetricStatistics {
    namespace: String,
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    /// Epoch seconds.
    start_time: f64,
    end_time: f64,
    /// Seconds.
    period: i64,
    #[serde(default)]
    statistics: Vec<String>,
    #[serde(default)]
    extended_statistics: Vec<String>,
}

/// Answers with the datapoints, oldest first. AWS promises no order.
pub(super) fn get_metric_statistics(metrics: &Metrics, input: &GetMetricStatistics, unpublished: i64) -> Answer {
    let window = Window {
        start: (input.start_time / 60.0).floor() as i64,
        end: (input.end_time / 60.0).ceil() as i64,
        unpublished,
    };
    if window.start >= window.end {
        return Err(invalid("The parameter StartTime must be less than the parameter EndTime."));
    }
    let asked = (window.end - window.start) * 60 / input.period.max(1);
    if asked > MAX_DATAPOINTS {
        let message = format!(
            "You have requested up to {asked} datapoints, which exceeds the limit of {MAX_DATAPOINTS}. You may reduce \
             the datapoints requested by increasing Period, or decreasing the time range."
        );
        return Err(refuse("InvalidParameterCombinationException", message));
    }
    let statistics: Vec<&String> = input.statistics.iter().chain(&input.extended_statistics).collect();
    if statistics.is_empty() {
        return Err(refuse("MissingRequiredParameterException", "Statistics or ExtendedStatistics must be given."));
    }
    let value = |dimension: &Dimension| dimension.value.clone().unwrap_or_default();
    let series = Series {
        namespace: input.namespace.clone(),
        name: input.metric_name.clone(),
        dimensions: input.dimensions.iter().map(|d| (d.name.clone(), value(d))).collect(),
    };
    let mut points = BTreeMap::<i64, Vec<(Cbor, Cbor)>>::new();
    for statistic in statistics {
        let requested = RequestedSeries::new(series.clone(), String::new(), statistic, input.period)?;
        for (time, value) in requested.datapoints(metrics, &window) {
            points.entry(time as i64).or_default().push(field(statistic, Cbor::Float(value)));
        }
    }
    let unit = unit_of(&input.metric_name);
    let points = points.into_iter().map(|(time, mut fields)| {
        fields.insert(0, field("Timestamp", timestamp(time as f64)));
        fields.push(field("Unit", text(unit)));
        Cbor::Map(fields)
    });
    let points = Cbor::Array(points.collect());
    Ok(Cbor::Map(vec![field("Label", text(&input.metric_name)), field("Datapoints", points)]))
}

/// The unit of a metric, by its name.
fn unit_of(metric: &str) -> &'static str {
    match metric {
        name if name.ends_with("Bytes") => "Bytes",
        name if name.ends_with("Milliseconds") || name.ends_with("Latency") => "Milliseconds",
        _ => "Count",
    }
}
