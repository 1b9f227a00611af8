//! Reads the past of a stream from a CSV file.

use crate::CliError;
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::path::Path;
use unthrottle_core::observation::Minute;
use unthrottle_lab::sim::backtest::{History, Passed};

const COLUMNS: [&str; 4] = ["timestamp", "incoming_bytes", "incoming_records", "write_throttled"];

/// The longest past in days: a year. A row that is later than that has a wrong timestamp, and the simulation of all
/// seconds before it would take hours.
const MOST_DAYS: i64 = 366;

/// The largest number of seconds: the year 5138. A larger number is in milliseconds.
const MOST_SECONDS: i64 = 100_000_000_000;

/// Reads a file. The past begins with the whole hour of the first row. A minute without a row had no traffic.
///
/// # Errors
/// The file cannot be read, or has a line that cannot be used. The error names the first such line.
pub(crate) fn read(path: &Path) -> Result<History, CliError> {
    let text = std::fs::read(path).map_err(|source| CliError::File { path: path.to_owned(), source })?;
    let known = rows(&text);
    let known = known.map_err(|Problem { line, problem }| CliError::Line { path: path.to_owned(), line, problem })?;
    let (Some((first, _)), Some((last, _))) = (known.first_key_value(), known.last_key_value()) else {
        return Err(CliError::Line { path: path.to_owned(), line: 1, problem: "no row is in the file".into() });
    };
    let hour = first.start().duration_trunc(TimeDelta::hours(1)).map_or(*first, Minute::of);
    Ok(History::of(hour, last.plus(1), &known))
}

#[derive(Debug)]
struct Problem {
    line: u64,
    problem: String,
}

fn rows(text: &[u8]) -> Result<BTreeMap<Minute, Passed>, Problem> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text);
    let mut known = BTreeMap::new();
    let mut record = csv::StringRecord::new();
    let mut is_first = true;
    while read_record(&mut reader, &mut record, text)? {
        let wrong = |problem: String| Problem { line: line(text, record.position()), problem };
        if std::mem::take(&mut is_first) && is_header(&record).map_err(wrong)? {
            continue;
        }
        let (minute, passed) = row(&record).map_err(wrong)?;
        let last = known.last_key_value().map(|(minute, _)| *minute);
        if last == Some(minute) {
            return Err(wrong(format!("the minute {} is there twice", name(minute))));
        }
        if let Some(last) = last.filter(|last| *last > minute) {
            return Err(wrong(format!("{} stands after {}: rows must be in order", name(minute), name(last))));
        }
        let first: Minute = known.first_key_value().map_or(minute, |(first, _)| *first);
        if minute > first.plus(MOST_DAYS * 24 * 60) {
            return Err(wrong(format!("{} is more than {MOST_DAYS} days after the first row", name(minute))));
        }
        known.insert(minute, passed);
    }
    Ok(known)
}

fn read_record(reader: &mut csv::Reader<&[u8]>, record: &mut csv::StringRecord, text: &[u8]) -> Result<bool, Problem> {
    let read = reader.read_record(record);
    read.map_err(|error| Problem { line: line(text, error.position()), problem: format!("not CSV: {error}") })
}

/// The line of a record, from 1. The count of the reader does not include empty lines before the record.
fn line(text: &[u8], position: Option<&csv::Position>) -> u64 {
    let begin = position.map_or(0, |position| usize::try_from(position.byte()).unwrap_or(usize::MAX)).min(text.len());
    let (before, after) = text.split_at(begin);
    let empty = after.iter().take_while(|byte| byte.is_ascii_whitespace());
    1 + before.iter().chain(empty).filter(|byte| **byte == b'\n').count() as u64
}

/// Whether a line is the header: its first cell is neither a time nor a number.
///
/// # Errors
/// It is a header with other columns.
fn is_header(record: &csv::StringRecord) -> Result<bool, String> {
    let first = record.get(0).unwrap_or_default().trim_start_matches('\u{feff}');
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
    let time = time(record.get(0).unwrap_or_default().trim_start_matches('\u{feff}'))?;
    let cell = |place: usize| record.get(place).unwrap_or_default();
    let number = |place: usize| {
        let text = cell(place);
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| format!("{} is `{text}`, and must be a number from 0 on", COLUMNS[place]))
    };
    let passed = Passed { bytes: number(1)?, records: number(2)?, throttled: number(3)? };
    if passed.records == 0.0 && passed.bytes > 0.0 {
        return Err("bytes without records".into());
    }
    Ok((Minute::of(time), passed))
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
mod tests {
    use super::*;

    fn wrong(text: &str) -> (u64, String) {
        match rows(text.as_bytes()) {
            Err(Problem { line, problem }) => (line, problem),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_kinds_of_time_are_read_with_a_header_and_without() {
        let text = "timestamp,incoming_bytes,incoming_records,write_throttled\n\
                    2026-11-20T13:04:00Z,1000,2,0\n2026-11-20T15:05:59+02:00, 2000 , 4,1.5\n";
        let known = rows(text.as_bytes()).expect("right");
        let passed: Vec<Passed> = known.values().copied().collect();
        assert_eq!(passed[1], Passed { bytes: 2000.0, records: 4.0, throttled: 1.5 });
        let minutes: Vec<String> = known.keys().map(|minute| name(*minute)).collect();
        assert_eq!(minutes, ["2026-11-20T13:04Z", "2026-11-20T13:05Z"]);
        let seconds = rows(b"1795179840,1000,2,0\n").expect("right");
        assert_eq!(seconds.keys().next(), known.keys().next());
        assert!(rows("\u{feff}timestamp,incoming_bytes,incoming_records,write_throttled\n".as_bytes()).is_ok());
    }

    #[test]
    fn a_bad_row_is_an_error_with_its_line_and_what_would_be_right() {
        let right = "1795179840,1000,2,0\n";
        for (text, line, says) in [
            ("time,bytes,records,throttled\n", 1, "must be `timestamp,incoming_bytes"),
            ("timestamp,incoming_bytes,incoming_records\n", 1, "must be `timestamp"),
            ("1795179840,1000,2\n", 1, "3 columns"),
            ("1795179840,1000,2,0,\n", 1, "5 columns"),
            ("1795179840,-1,2,0\n", 1, "incoming_bytes is `-1`"),
            ("1795179840,1000,many,0\n", 1, "incoming_records is `many`"),
            ("1795179840,1000,2,NaN\n", 1, "write_throttled is `NaN`"),
            ("1795179840,1000,0,0\n", 1, "bytes without records"),
            ("1795179840000,1000,2,0\n", 1, "milliseconds"),
            ("2026-11-20 13:04,1000,2,0\n", 1, "must be as 2026-11-20T13:04:00Z"),
            ("-5,1000,2,0\n", 1, "timestamp is `-5`"),
            (&format!("{right}\n{right}"), 3, "2026-11-20T13:04Z is there twice"),
            (&format!("{right}1795179839,1000,2,0\n"), 2, "stands after"),
            (&format!("{right}1895179840,1000,2,0\n"), 2, "more than 366 days"),
            (
                &format!("{right}timestamp,incoming_bytes,incoming_records,write_throttled\n"),
                2,
                "timestamp is `timestamp`",
            ),
        ] {
            let (at, problem) = wrong(text);
            assert_eq!(at, line, "{text:?}: {problem}");
            assert!(problem.contains(says), "{text:?}: {problem}");
        }
        assert!(matches!(rows(b"1795179840,1000,2,\xff\n"), Err(Problem { line: 1, .. })));
    }
}
