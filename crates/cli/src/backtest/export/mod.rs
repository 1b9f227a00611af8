//! Reads the past of a stream from the exports of CloudWatch: the console's CSV, and the JSON of `aws cloudwatch
//! get-metric-data` and `get-metric-statistics`. The rows may stand in any order, and in several files.

mod console;
mod json;
mod time;

use std::collections::BTreeMap;
use unthrottle_core::observation::Minute;
use unthrottle_lab::sim::backtest::Passed;

/// A metric that the past consists of, each as its Sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Metric {
    Bytes,
    Records,
    Throttled,
}

impl Metric {
    const ALL: [Metric; 3] = [Metric::Bytes, Metric::Records, Metric::Throttled];

    /// The name at AWS.
    fn name(self) -> &'static str {
        match self {
            Metric::Bytes => "IncomingBytes",
            Metric::Records => "IncomingRecords",
            Metric::Throttled => "WriteProvisionedThroughputExceeded",
        }
    }

    /// The metric that a label or an id names. A person may have changed the label, such as to `orders
    /// incoming_bytes`.
    fn in_text(text: &str) -> Option<Metric> {
        let letters: String = text.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
        Metric::ALL.into_iter().find(|metric| letters.contains(&metric.name().to_lowercase()))
    }
}

/// What cannot be used, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The line, from 1. `None`: it is about the whole file, or all files.
    pub line: Option<u64>,
    pub problem: String,
}

impl Problem {
    fn of(problem: impl Into<String>) -> Problem {
        Problem { line: None, problem: problem.into() }
    }
}

/// The datapoints of the exports.
#[derive(Debug, Default)]
pub(super) struct Points(BTreeMap<Metric, BTreeMap<Minute, f64>>);

impl Points {
    /// Adds the datapoints of a file: JSON if it begins with a bracket, else CSV.
    ///
    /// # Errors
    /// The first thing in the file that cannot be used.
    pub fn add(&mut self, text: &str) -> Result<(), Problem> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with(['{', '[']) { json::read(text, self) } else { console::read(text, self) }
    }

    /// Records that an export has the metric, also if it has no datapoint.
    fn knows(&mut self, metric: Metric) {
        self.0.entry(metric).or_default();
    }

    /// Adds a datapoint. The same one may come twice, where two exports overlap.
    fn put(&mut self, metric: Metric, minute: Minute, value: f64) -> Result<(), String> {
        let name = metric.name();
        if !(value.is_finite() && value >= 0.0) {
            return Err(format!("{name} is {value}, and must be a number from 0 on"));
        }
        match self.0.entry(metric).or_default().insert(minute, value) {
            Some(before) if before != value => Err(format!(
                "{name} of {} is {before} and {value}: export one stream, with one period",
                minute.start().format("%Y-%m-%dT%H:%MZ")
            )),
            _ => Ok(()),
        }
    }

    /// The rows, the oldest first. A row without a datapoint of a metric had none of it.
    ///
    /// # Errors
    /// An export of a metric is missing, or there is no datapoint.
    pub fn rows(mut self) -> Result<BTreeMap<Minute, Passed>, Problem> {
        let missing: Vec<&str> =
            Metric::ALL.iter().filter(|metric| !self.0.contains_key(metric)).map(|metric| metric.name()).collect();
        if !missing.is_empty() {
            let missing = missing.join(" and ");
            return Err(Problem::of(format!("no export has {missing}: export its Sum, too, in this or another file")));
        }
        let mut take = |metric| self.0.remove(&metric).unwrap_or_default();
        let (bytes, records, throttled) = (take(Metric::Bytes), take(Metric::Records), take(Metric::Throttled));
        let minutes: std::collections::BTreeSet<Minute> =
            bytes.keys().chain(records.keys()).chain(throttled.keys()).copied().collect();
        if minutes.is_empty() {
            return Err(Problem::of("the exports have no datapoint"));
        }
        let of = |series: &BTreeMap<Minute, f64>, minute| series.get(minute).copied().unwrap_or_default();
        let row = |minute: &Minute| Passed {
            bytes: of(&bytes, minute),
            records: of(&records, minute),
            throttled: of(&throttled, minute),
        };
        Ok(minutes.iter().map(|minute| (*minute, row(minute))).collect())
    }
}

#[cfg(test)]
mod tests;
