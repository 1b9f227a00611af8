//! The metric store: statistics by series and minute.

use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// The identity of a metric. The exact set of dimensions belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Series {
    pub namespace: String,
    pub name: String,
    pub dimensions: BTreeMap<String, String>,
}

/// The statistics of the samples in one or several minutes.
#[derive(Debug, Clone)]
pub(super) struct Stat {
    pub sum: f64,
    pub count: f64,
    pub minimum: f64,
    pub maximum: f64,
}

/// All series of the account. Minutes are whole minutes since the epoch.
#[derive(Default)]
pub(super) struct Metrics(BTreeMap<Series, BTreeMap<i64, Stat>>);

impl Series {
    pub fn new(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            dimensions: dimensions.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        }
    }
}

impl Default for Stat {
    fn default() -> Self {
        Self { sum: 0.0, count: 0.0, minimum: f64::INFINITY, maximum: f64::NEG_INFINITY }
    }
}

impl Stat {
    /// `times` samples of one value.
    pub fn of(value: f64, times: f64) -> Self {
        Self { sum: value * times, count: times, minimum: value, maximum: value }
    }

    /// The same samples, this many times.
    pub fn repeated(self, times: f64) -> Self {
        Self { sum: self.sum * times, count: self.count * times, ..self }
    }

    /// Adds the samples of another statistic.
    pub fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.count += other.count;
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
    }
}

impl Metrics {
    /// Adds samples to a minute.
    pub fn add(&mut self, series: Series, minute: i64, stat: &Stat) {
        let minutes = self.0.entry(series).or_default();
        minutes.entry(minute).or_default().merge(stat);
    }

    /// The minutes of a series with samples, oldest first.
    pub fn minutes(&self, series: &Series) -> impl Iterator<Item = (i64, &Stat)> {
        self.0.get(series).into_iter().flatten().map(|(minute, stat)| (*minute, stat))
    }

    /// Moves every sample `by` minutes into the past.
    pub fn age(&mut self, by: i64) {
        for minutes in self.0.values_mut() {
            *minutes = std::mem::take(minutes).into_iter().map(|(minute, stat)| (minute - by, stat)).collect();
        }
    }

    /// The first minute with a sample of a stream's metric of `AWS/Kinesis`, in minutes of the epoch.
    pub fn first_minute(&self, stream: &str) -> Option<i64> {
        let is_of_stream = |series: &&Series| {
            series.namespace == "AWS/Kinesis" && series.dimensions.get("StreamName").is_some_and(|name| name == stream)
        };
        let series = self.0.iter().filter(|(series, _)| is_of_stream(series));
        series.filter_map(|(_, minutes)| minutes.keys().min().copied()).min()
    }

    /// All series with samples.
    pub fn series(&self) -> impl Iterator<Item = &Series> {
        self.0.keys()
    }
}

/// Seconds since the epoch.
pub(super) fn epoch_seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp_micros() as f64 / 1e6
}

/// The minute of a time.
pub(super) fn minute_of(time: DateTime<Utc>) -> i64 {
    time.timestamp().div_euclid(60)
}
