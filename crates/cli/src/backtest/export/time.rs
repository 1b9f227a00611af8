//! The times in exports: those of the AWS CLI, of boto3, of the console, and of spreadsheets.

use chrono::{DateTime, NaiveDateTime, Utc};

/// Times without a time zone. They are in UTC, as the console shows them if it is set to UTC.
const WITHOUT_ZONE: [&str; 7] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
];

/// The largest number of seconds: the year 5138. A larger number is in milliseconds.
const MOST_SECONDS: f64 = 100_000_000_000.0;

/// The time that a text names.
///
/// # Errors
/// It is in no known form, with the forms that are known.
pub(super) fn read(text: &str) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return of_number(number).ok_or_else(|| wrong(text));
    }
    // RFC 3339, and the same with a space, as Python prints it.
    if let Ok(time) = DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1)) {
        return Ok(time.to_utc());
    }
    let naive = WITHOUT_ZONE.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    naive.map(|time| time.and_utc()).ok_or_else(|| wrong(text))
}

/// Seconds or milliseconds since 1970.
pub(super) fn of_number(number: f64) -> Option<DateTime<Utc>> {
    let seconds = if number >= MOST_SECONDS { number / 1000.0 } else { number };
    // The cast saturates, and chrono refuses what is out of its range.
    (number >= 0.0).then(|| DateTime::from_timestamp(seconds as i64, 0)).flatten()
}

fn wrong(text: &str) -> String {
    let hint = if text.matches('/').count() == 2 { ". The month and the day cannot be told apart" } else { "" };
    format!(
        "`{text}` is not a time: it must be as 2026-11-20T13:04:00Z, 2026/11/20 13:04:00, 20.11.2026 13:04, or \
         seconds since 1970{hint}"
    )
}

/// Whether a cell is meant as a time, and not as the name of a column.
pub(super) fn is_meant(text: &str) -> bool {
    text.trim_start().starts_with(|c: char| c.is_ascii_digit())
}
