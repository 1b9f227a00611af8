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
pub(super) struct Metrics {
    series: BTreeMap<Series, BTreeMap<i64, Stat>>,
    /// The first minute of each stream that a test has made up.
    made_up: BTreeMap<String, i64>,
}

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
        let minutes = self.series.entry(series).or_default();
        minutes.entry(minute).or_default().merge(stat);
    }

    /// The minutes of a series with samples, oldest first.
    pub fn minutes(&self, series: &Series) -> impl Iterator<Item = (i64, &Stat)> {
        self.series.get(series).into_iter().flatten().map(|(minute, stat)| (*minute, stat))
    }

    /// The same for a minute that no traffic made. A metric of `AWS/Kinesis` gives its stream a past.
    pub fn add_made_up(&mut self, series: Series, minute: i64, stat: &Stat) {
        if let Some(stream) = series.dimensions.get("StreamName").filter(|_| series.namespace == "AWS/Kinesis") {
            let first = self.made_up.entry(stream.clone()).or_insert(minute);
            *first = minute.min(*first);
        }
        self.add(series, minute, stat);
    }

    /// Moves every sample `by` minutes into the past.
    pub fn age(&mut self, by: i64) {
        for minutes in self.series.values_mut() {
            *minutes = std::mem::take(minutes).into_iter().map(|(minute, stat)| (minute - by, stat)).collect();
        }
        self.made_up.values_mut().for_each(|minute| *minute -= by);
    }

    /// The first minute of a stream's metrics of `AWS/Kinesis` that a test has made up, in minutes of the epoch.
    pub fn first_made_up(&self, stream: &str) -> Option<i64> {
        self.made_up.get(stream).copied()
    }

    /// All series with samples.
    pub fn series(&self) -> impl Iterator<Item = &Series> {
        self.series.keys()
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
