//! Reads the past of a stream from the exports of CloudWatch: the console's CSV, and the JSON of `aws cloudwatch
//! get-metric-data` and `get-metric-statistics`. The rows may stand in any order, and in several files.

mod console;
mod json;
mod time;

use super::file::{FilePast, MOST_BYTES, MOST_DAYS, of_sums, possible};
use super::period::Period;
use crate::{CliError, files};
use chrono::DateTime;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
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

/// Reads the exports. `period`: the minutes of a row; `None`: the times of the rows must show them.
///
/// # Errors
/// A file cannot be read or used, or together they do not have all that the past needs.
pub(super) fn read(paths: &[PathBuf], period: Option<u32>) -> Result<FilePast, CliError> {
    let mut points = Points::default();
    for path in paths {
        let text = files::read(path, MOST_BYTES)?;
        points.add(&text).map_err(|problem| problem.of_file(path))?;
    }
    points.past(period).map_err(|problem| CliError::Usage(format!("--export: {problem}")))
}

/// The past in the text of one export.
///
/// # Errors
/// The text cannot be used, or does not have all that the past needs.
pub(crate) fn past(text: &str) -> Result<FilePast, String> {
    let mut points = Points::default();
    points.add(text).map_err(|problem| problem.problem)?;
    points.past(None)
}

/// What cannot be used, and where.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    /// The line, from 1. `None`: it is about the whole file, or all files.
    line: Option<u64>,
    problem: String,
}

impl Problem {
    fn of_file(self, path: &Path) -> CliError {
        let (path, problem) = (files::name(path), self.problem);
        match self.line {
            Some(line) => CliError::Line { path, line, problem },
            None => CliError::Usage(format!("{}: {problem}", path.display())),
        }
    }

    fn of(problem: impl Into<String>) -> Problem {
        Problem { line: None, problem: problem.into() }
    }
}

/// The datapoints of the exports.
#[derive(Debug, Default)]
struct Points(BTreeMap<Metric, BTreeMap<Minute, f64>>);

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

    /// The past that they show.
    ///
    /// # Errors
    /// Together they do not have all that the past needs.
    fn past(self, period: Option<u32>) -> Result<FilePast, String> {
        let rows = self.rows().map_err(|problem| problem.problem)?;
        let period = match period {
            Some(minutes) => Period { minutes, is_given: true },
            None => Period::of(rows.keys().copied())?,
        };
        of_sums(&rows, period, |_| 0).map_err(|problem| problem.problem)
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
        let minutes: BTreeSet<Minute> = bytes.keys().chain(records.keys()).chain(throttled.keys()).copied().collect();
        if minutes.is_empty() {
            return Err(Problem::of("the exports have no datapoint"));
        }
        let of = |series: &BTreeMap<Minute, f64>, minute: &Minute| series.get(minute).copied().unwrap_or_default();
        let row = |minute: &Minute| Passed {
            bytes: of(&bytes, minute),
            records: of(&records, minute),
            throttled: of(&throttled, minute),
        };
        let rows: BTreeMap<Minute, Passed> = minutes.iter().map(|minute| (*minute, row(minute))).collect();
        let first = rows.keys().next().copied().unwrap_or(Minute::of(DateTime::UNIX_EPOCH));
        for (minute, row) in &rows {
            let at = || minute.start().format("%Y-%m-%dT%H:%MZ");
            if *minute > first.plus(MOST_DAYS * 24 * 60) {
                return Err(Problem::of(format!("{} is more than {MOST_DAYS} days after the first row", at())));
            }
            possible(row).map_err(|problem| Problem::of(format!("{}: {problem}", at())))?;
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests;
