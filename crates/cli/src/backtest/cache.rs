//! The cache of days that were read from CloudWatch. These days do not change any more.

use crate::{CliError, files};
use chrono::NaiveDate;
use etcetera::BaseStrategy as _;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use unthrottle_core::observation::Minute;
use unthrottle_core::signal::StreamArn;
use unthrottle_lab::sim::backtest::Passed;

/// The minutes of a day.
pub(super) type Day = BTreeMap<Minute, Passed>;

/// A file for each day of one stream. Without a folder the cache keeps nothing.
#[derive(Debug)]
pub(super) struct Cache {
    folder: Option<PathBuf>,
    stream: String,
}

/// The content of a file. The first line is this as JSON, and the second line is the MD5 of the first.
#[derive(Serialize, Deserialize, PartialEq)]
struct Content {
    stream: String,
    day: NaiveDate,
    /// The minute since 1970, bytes, records, refused records.
    minutes: Vec<(i64, f64, f64, f64)>,
}

impl Cache {
    /// The cache of `stream`: in `folder`, or in the cache folder of the user.
    ///
    /// # Errors
    /// The user has no cache folder.
    pub fn of(stream: &StreamArn, folder: Option<&Path>) -> Result<Cache, CliError> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => etcetera::choose_base_strategy()
                .map_err(|e| {
                    CliError::Usage(format!("the cache folder of the user is unknown ({e}): give --cache FOLDER"))
                })?
                .cache_dir()
                .join("unthrottle"),
        };
        // A stream can have the name `..`.
        let name = format!("stream-{}", stream.name);
        let own = [&stream.home.partition, &stream.home.account, &stream.home.region, &name];
        let folder = own.iter().fold(folder.join("backtest"), |folder, part| folder.join(part));
        Ok(Cache { folder: Some(folder), stream: stream.to_string() })
    }

    /// A cache that keeps nothing.
    pub fn none(stream: &StreamArn) -> Cache {
        Cache { folder: None, stream: stream.to_string() }
    }

    fn path(&self, day: NaiveDate) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{day}.json")))
    }

    /// A day from the cache. `None`: read the day again. A damaged file is reported on standard error.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn get(&self, day: NaiveDate) -> Result<Option<Day>, CliError> {
        let Some(path) = self.path(day) else { return Ok(None) };
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CliError::File { path, source }),
        };
        let day = self.parse(&text, day);
        if day.is_none() {
            eprintln!("unthrottle: {}: damaged, and read anew", path.display());
        }
        Ok(day)
    }

    /// `None`: the file is damaged, or is not for this day and stream.
    fn parse(&self, text: &str, day: NaiveDate) -> Option<Day> {
        let (json, digest) = text.split_once('\n')?;
        if digest.trim_end() != digest_of(json) {
            return None;
        }
        let content: Content = serde_json::from_str(json).ok()?;
        if content.stream != self.stream || content.day != day {
            return None;
        }
        let minute = |(minute, bytes, records, throttled)| {
            let minute = Minute::of(chrono::DateTime::from_timestamp(60 * minute, 0)?);
            Some((minute, Passed { bytes, records, throttled }))
        };
        content.minutes.into_iter().map(minute).collect()
    }

    /// Keeps a day.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put(&self, day: NaiveDate, minutes: &Day) -> Result<(), CliError> {
        let Some(path) = self.path(day) else { return Ok(()) };
        let minute = |(minute, passed): (&Minute, &Passed)| {
            (minute.start().timestamp() / 60, passed.bytes, passed.records, passed.throttled)
        };
        let content = Content { stream: self.stream.clone(), day, minutes: minutes.iter().map(minute).collect() };
        let error = |source: std::io::Error| CliError::Unwritten { path: path.clone(), source };
        let json = serde_json::to_string(&content).map_err(|e| error(e.into()))?;
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(error)?;
        files::write(&path, &format!("{json}\n{}\n", digest_of(&json)))
    }
}

fn digest_of(json: &str) -> String {
    format!("{:032x}", u128::from_be_bytes(Md5::digest(json).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str) -> StreamArn {
        StreamArn::parse(&format!("arn:aws:kinesis:us-east-1:123456789012:stream/{name}")).expect("an ARN")
    }

    #[test]
    fn a_day_is_kept_and_a_damaged_one_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = |name: &str| Cache::of(&stream(name), Some(folder.path())).expect("a folder");
        let day = NaiveDate::from_ymd_opt(2026, 11, 20).expect("a day");
        let first = Minute::of(day.and_time(chrono::NaiveTime::MIN).and_utc());
        let minutes: Day = (0..1_440)
            .map(|n| (first.plus(n), Passed { bytes: 500.0 * n as f64, records: n as f64, throttled: 7.0 }))
            .collect();
        let orders = cache("orders");
        assert_eq!(orders.get(day).expect("readable"), None);
        orders.put(day, &minutes).expect("written");
        assert_eq!(orders.get(day).expect("readable"), Some(minutes.clone()));
        assert_eq!(cache("clicks").get(day).expect("readable"), None);
        assert_eq!(orders.get(day.succ_opt().expect("a day")).expect("readable"), None);

        let path = orders.path(day).expect("a file");
        let text = std::fs::read_to_string(&path).expect("readable");
        // Another day's file, one cut short, one with another digit, no text.
        let other = path.with_file_name("2026-11-21.json");
        std::fs::copy(&path, &other).expect("copied");
        assert_eq!(orders.get(day.succ_opt().expect("a day")).expect("readable"), None);
        for damaged in [text[..text.len() / 2].to_owned(), text.replacen('7', "8", 1), String::new(), "\u{0}\n".into()]
        {
            std::fs::write(&path, damaged).expect("written");
            assert_eq!(orders.get(day).expect("readable"), None);
        }
    }
}
