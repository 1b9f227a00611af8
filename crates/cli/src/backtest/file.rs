//! Reads the past of a stream from a CSV file.

use super::period::Period;
use crate::{CliError, files};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::path::Path;
use unthrottle_core::observation::Minute;
use unthrottle_core::words::{count, many};
use unthrottle_lab::sim::backtest::{History, Passed};

const COLUMNS: [&str; 4] = ["timestamp", "incoming_bytes", "incoming_records", "write_throttled"];

/// The longest past in days: a year. A row that is later than that has a wrong timestamp, and the simulation of all
/// seconds before it would take hours.
pub(super) const MOST_DAYS: i64 = 366;

/// The largest number of seconds: the year 5138. A larger number is in milliseconds.
const MOST_SECONDS: i64 = 100_000_000_000;

/// The most bytes of a file: more than a year of rows of 100 bytes, one a minute. Without a bound, `/dev/zero` would
/// fill the memory.
pub(super) const MOST_BYTES: u64 = 64 << 20;

/// The largest record, in bytes: 10 MiB (`MaxRecordSizeInKiB`, API reference of UpdateMaxRecordSize).
const MOST_RECORD_BYTES: f64 = 10.0 * 1_048_576.0;

/// A past from a file.
#[derive(Debug)]
pub(crate) struct FilePast {
    pub history: History,
    pub period: Period,
    /// The minutes of the history before the first row.
    pub before: usize,
}

/// Reads a file, or standard input for `-`. The past begins with the whole hour of the first row. Minutes without a row
/// had no traffic. `period`: the minutes of a row; `None`: the times of the rows must show them.
///
/// # Errors
/// The file cannot be read, or has a line that cannot be used. The error names the first such line.
pub(crate) fn read(path: &Path, period: Option<u32>) -> Result<FilePast, CliError> {
    let text = files::read(path, MOST_BYTES)?;
    past(text.as_bytes(), period).map_err(|Problem { line, problem }| CliError::Line {
        path: files::name(path),
        line,
        problem,
    })
}

/// The past in the text of a file.
///
/// # Errors
/// The first line that cannot be used.
pub(crate) fn past(text: &[u8], period: Option<u32>) -> Result<FilePast, Problem> {
    let Rows { sums, lines } = rows(text)?;
    let Some(last) = lines.values().last().copied() else {
        return Err(Problem { line: 1, problem: "no row is in the file".into() });
    };
    let period = match period {
        Some(minutes) => Period { minutes, is_given: true },
        None => Period::of(sums.keys().copied()).map_err(|problem| Problem { line: last, problem })?,
    };
    of_sums(&sums, period, |minute| lines.get(minute).copied().unwrap_or(last))
}

/// The past of these rows. `at`: the line of the row that begins at a minute.
///
/// # Errors
/// A row begins within the row before it, or has more than AWS can take.
pub(super) fn of_sums(
    sums: &BTreeMap<Minute, Passed>,
    period: Period,
    at: impl Fn(&Minute) -> u64,
) -> Result<FilePast, Problem> {
    let known = period.spread(sums).map_err(|(minute, problem)| Problem { line: at(&minute), problem })?;
    for (minute, sum) in sums {
        let part = known.get(minute).copied().unwrap_or_default();
        if let Some((metric, most)) = part.impossible() {
            return Err(Problem { line: at(minute), problem: beyond(metric, sum, most, period) });
        }
    }
    let first = sums.keys().next().copied().unwrap_or_else(|| Minute::of(DateTime::UNIX_EPOCH));
    let hour = first.start().duration_trunc(TimeDelta::hours(1)).map_or(first, Minute::of);
    let end = known.keys().next_back().map_or(first, |minute| minute.plus(1));
    let before = hour.to(first.plus(-1)).count();
    Ok(FilePast { history: History::of(hour, end, &known), period, before })
}

/// That a row has more than AWS can take.
fn beyond(metric: &str, sum: &Passed, most_a_minute: f64, period: Period) -> String {
    let (place, number) = match metric {
        "IncomingBytes" => (1, sum.bytes),
        "IncomingRecords" => (2, sum.records),
        _ => (3, sum.throttled),
    };
    let most = most_a_minute * f64::from(period.minutes);
    format!(
        "{} is {}, and the largest stream of AWS has at most {} in {}",
        COLUMNS[place],
        count(number),
        count(most),
        many(period.minutes, "minute")
    )
}

/// A line that cannot be used, and why.
#[derive(Debug)]
pub(crate) struct Problem {
    pub line: u64,
    pub problem: String,
}

/// The rows of a file, by the minute at which each begins.
#[derive(Debug, Default)]
struct Rows {
    sums: BTreeMap<Minute, Passed>,
    lines: BTreeMap<Minute, u64>,
}

fn rows(text: &[u8]) -> Result<Rows, Problem> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text);
    let mut known = Rows::default();
    let mut record = csv::StringRecord::new();
    let mut is_first = true;
    let mut counted = Counted::default();
    while read_record(&mut reader, &mut record, text, &mut counted)? {
        let line = counted.line(text, record.position());
        let wrong = |problem: String| Problem { line, problem };
        if std::mem::take(&mut is_first) && is_header(&record).map_err(wrong)? {
            continue;
        }
        let (minute, passed) = row(&record).map_err(wrong)?;
        let last = known.sums.last_key_value().map(|(minute, _)| *minute);
        if last == Some(minute) {
            return Err(wrong(format!("the minute {} is there twice", name(minute))));
        }
        if let Some(last) = last.filter(|last| *last > minute) {
            return Err(wrong(format!("{} stands after {}: rows must be in order", name(minute), name(last))));
        }
        let first: Minute = known.sums.first_key_value().map_or(minute, |(first, _)| *first);
        if minute > first.plus(MOST_DAYS * 24 * 60) {
            return Err(wrong(format!("{} is more than {MOST_DAYS} days after the first row", name(minute))));
        }
        known.sums.insert(minute, passed);
        known.lines.insert(minute, line);
    }
    Ok(known)
}

fn read_record(
    reader: &mut csv::Reader<&[u8]>,
    record: &mut csv::StringRecord,
    text: &[u8],
    counted: &mut Counted,
) -> Result<bool, Problem> {
    let read = reader.read_record(record);
    read.map_err(|error| Problem { line: counted.line(text, error.position()), problem: format!("not CSV: {error}") })
}

/// Counts the lines of a text once, up to each record.
#[derive(Default)]
struct Counted {
    bytes: usize,
    lines: u64,
}

impl Counted {
    /// The line of a record, from 1. The count of the reader does not include empty lines before the record.
    fn line(&mut self, text: &[u8], position: Option<&csv::Position>) -> u64 {
        let begin = position.map_or(0, |position| usize::try_from(position.byte()).unwrap_or(usize::MAX));
        let after = text.get(begin..).unwrap_or_default();
        let begin = begin + after.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let passed = text.get(self.bytes..begin).unwrap_or_default();
        self.lines += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.bytes = self.bytes.max(begin);
        1 + self.lines
    }
}

/// Whether a line is the header: its first cell is neither a time nor a number.
///
/// # Errors
/// It is a header with other columns.
fn is_header(record: &csv::StringRecord) -> Result<bool, String> {
    let first = record.get(0).unwrap_or_default();
    if time(first).is_ok() || first.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return Ok(false);
    }
    let heads: Vec<&str> = std::iter::once(first).chain(record.iter().skip(1)).collect();
    if heads == COLUMNS {
        return Ok(true);
    }
    Err(format!("the columns are `{}`, and must be `{}`", heads.join(","), COLUMNS.join(",")))
}

fn row(record: &csv::StringRecord) -> Result<(Minute, Passed), String> {
    if record.len() != COLUMNS.len() {
        return Err(format!("{} columns, and must be {}: {}", record.len(), COLUMNS.len(), COLUMNS.join(",")));
    }
    let time = time(record.get(0).unwrap_or_default())?;
    let cell = |place: usize| record.get(place).unwrap_or_default();
    let number = |place: usize| {
        let text = cell(place);
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| format!("{} is `{text}`, and must be a number from 0 on", COLUMNS[place]))
    };
    let passed = Passed { bytes: number(1)?, records: number(2)?, throttled: number(3)? };
    possible(&passed)?;
    Ok((Minute::of(time), passed))
}

/// Checks that records have the bytes that AWS allows.
///
/// # Errors
/// They have fewer or more.
pub(super) fn possible(passed: &Passed) -> Result<(), String> {
    if passed.records == 0.0 && passed.bytes > 0.0 {
        return Err("bytes without records".into());
    }
    if passed.bytes < passed.records {
        return Err(format!(
            "incoming_bytes is {} and incoming_records is {}: a record has at least 1 byte. Are the columns swapped?",
            passed.bytes, passed.records
        ));
    }
    if passed.bytes > MOST_RECORD_BYTES * passed.records {
        return Err(format!(
            "incoming_bytes is {} and incoming_records is {}: a record has at most 10 MiB",
            passed.bytes, passed.records
        ));
    }
    Ok(())
}

/// A time in RFC 3339, or seconds since 1970.
fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let wrong = || format!("timestamp is `{text}`, and must be as 2026-11-20T13:04:00Z, or seconds since 1970");
    match text.parse::<i64>() {
        Ok(seconds) if seconds >= MOST_SECONDS => {
            Err(format!("timestamp is `{text}`: milliseconds? It must be seconds since 1970"))
        }
        Ok(seconds) if seconds >= 0 => DateTime::from_timestamp(seconds, 0).ok_or_else(wrong),
        _ => DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).map_err(|_| wrong()),
    }
}

fn name(minute: Minute) -> String {
    minute.start().format("%Y-%m-%dT%H:%MZ").to_string()
}

#[cfg(test)]
mod tests;
