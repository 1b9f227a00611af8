//! The datapoints of a query: a metric, its minutes and its statistic.

use super::{Dimension, invalid_query};
use crate::local::metrics::{Metrics, Series, Stat};
use crate::local::protocol::Refusal;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricStat {
    pub(super) metric: Metric,
    /// Seconds.
    pub(super) period: i64,
    pub(super) stat: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metric {
    namespace: String,
    pub(super) metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
}

impl Metric {
    pub(super) fn series(&self) -> Series {
        let value = |dimension: &Dimension| dimension.value.clone().unwrap_or_default();
        let dimensions = self.dimensions.iter().map(|d| (d.name.clone(), value(d)));
        Series { namespace: self.namespace.clone(), name: self.metric_name.clone(), dimensions: dimensions.collect() }
    }
}

/// The requested minutes from `start` (inclusive) to `end` (exclusive). Minutes of `AWS/…` metrics count only before
/// `unpublished`.
pub(in crate::local) struct Window {
    pub start: i64,
    pub(super) end: i64,
    pub(super) unpublished: i64,
}

impl Window {
    /// The last `minutes` minutes before `end`, the first unpublished minute.
    pub fn until(end: i64, minutes: i64) -> Self {
        Self { start: end - minutes, end, unpublished: end }
    }

    /// The requested samples of a series, oldest first.
    fn samples<'a>(&self, metrics: &'a Metrics, series: &Series) -> impl Iterator<Item = (i64, &'a Stat)> {
        let is_aws = series.namespace.starts_with("AWS/");
        let end = if is_aws { self.end.min(self.unpublished) } else { self.end };
        metrics.minutes(series).filter(move |(minute, _)| (self.start..end).contains(minute))
    }

    /// All requested samples together; `None`: there are none.
    pub fn total(&self, metrics: &Metrics, series: &Series) -> Option<Stat> {
        let samples = self.samples(metrics, series).map(|(_, stat)| stat.clone());
        samples.reduce(|mut total, stat| {
            total.merge(&stat);
            total
        })
    }
}

/// One series that a query asks for. A search may ask for many.
pub(in crate::local) struct RequestedSeries {
    series: Series,
    pub(super) label: String,
    period: i64,
    statistic: fn(&Stat) -> f64,
}

impl RequestedSeries {
    /// `period`: seconds.
    pub fn new(series: Series, label: String, stat: &str, period: i64) -> Result<Self, Refusal> {
        if period < 60 || period % 60 != 0 {
            return Err(invalid_query(format!(
                "the local account keeps whole minutes: Period {period} must be a multiple of 60"
            )));
        }
        Ok(Self { series, label, period: period / 60, statistic: statistic(stat)? })
    }

    /// The datapoints, oldest first: the first second of each period, and the value. Periods count from the window's
    /// start. A period without samples has no datapoint.
    pub(super) fn datapoints(&self, metrics: &Metrics, window: &Window) -> Vec<(f64, f64)> {
        let mut periods = BTreeMap::<i64, Stat>::new();
        for (minute, samples) in window.samples(metrics, &self.series) {
            let begin = minute - (minute - window.start) % self.period;
            periods.entry(begin).or_default().merge(samples);
        }
        let points = periods.into_iter().map(|(minute, stat)| (minute as f64 * 60.0, (self.statistic)(&stat)));
        points.filter(|(_, value)| !value.is_nan()).collect()
    }
}

fn statistic(name: &str) -> Result<fn(&Stat) -> f64, Refusal> {
    match name {
        "Sum" => Ok(|stat| stat.sum),
        "SampleCount" => Ok(|stat| stat.count),
        "Average" => Ok(|stat| stat.sum / stat.count),
        "Minimum" => Ok(|stat| stat.minimum),
        "Maximum" => Ok(|stat| stat.maximum),
        // Without single samples, this percentile is known only where all samples are equal.
        "p95" => Ok(|stat| if stat.minimum == stat.maximum { stat.maximum } else { f64::NAN }),
        _ => Err(invalid_query(format!(
            "the local account keeps no single samples and does not support the statistic '{name}'"
        ))),
    }
}
