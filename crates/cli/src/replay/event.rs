//! A file that `unthrottle replay` is given: an event, or a scenario that names one.

use super::scenario::Scenario;
use crate::aws::local_home;
use crate::{CliError, files};
use serde_json::Value;
use std::path::{Path, PathBuf};
use unthrottle_core::signal::{self, Home, Signal, StreamArn};

/// The name of the stream that a sweep finds on the local account. The sample events use the same name.
const SWEPT: &str = "orders";

/// An event with its files.
pub(super) struct Event {
    /// The file that a person gave.
    pub given: PathBuf,
    /// The file that holds the event.
    path: PathBuf,
    pub payload: Value,
    /// Where the given file is a scenario.
    scenario: Option<Scenario>,
}

impl Event {
    /// Reads an event file or a scenario file.
    ///
    /// # Errors
    /// A file cannot be read or understood.
    pub fn read(given: &Path) -> Result<Event, CliError> {
        let text = files::read(given, files::MOST_JSON)?;
        let json = json(&text, given)?;
        let event = if Scenario::is_one(&json) {
            let scenario = Scenario::parse(&text, given)?;
            let path = scenario.event.clone();
            Event {
                given: given.into(),
                payload: self::json(&files::read(&path, files::MOST_JSON)?, &path)?,
                path,
                scenario: Some(scenario),
            }
        } else {
            Event { given: given.into(), path: given.into(), payload: json, scenario: None }
        };
        event.signal(&local_home()).map(|_| event)
    }

    /// The scenario that was given, or the one that names this event.
    ///
    /// # Errors
    /// See [`Scenario::naming`].
    pub fn scenario(&self) -> Result<Option<Scenario>, CliError> {
        match &self.scenario {
            Some(scenario) => Ok(Some(scenario.clone())),
            None if files::is_stdin(&self.path) => Ok(None),
            None => Scenario::naming(&self.path),
        }
    }

    /// Refuses a scenario: a world cannot be built on an account of AWS.
    ///
    /// # Errors
    /// The given file is a scenario.
    pub fn without_world(&self) -> Result<&Event, CliError> {
        if self.scenario.is_none() {
            return Ok(self);
        }
        let (given, event) = (self.given.display(), self.path.display());
        Err(CliError::Usage(format!("{given}: a scenario needs the local account. For your account, give {event}")))
    }

    /// The signal. A sweep becomes the signal of the one stream that it finds on a local account.
    pub fn signal(&self, home: &Home) -> Result<Signal, CliError> {
        let bad = |source| CliError::Event { path: files::name(&self.path), source };
        match signal::Event::parse(&self.payload, home).map_err(bad)? {
            signal::Event::One(signal) => Ok(*signal),
            signal::Event::Sweep { .. } => {
                let stream = StreamArn::new(SWEPT, home);
                stream.map(Signal::Sweep).ok_or_else(|| CliError::Usage(format!("`{SWEPT}` is no stream's name")))
            }
        }
    }

    /// The account and region that the event comes from. An event that names none comes from the local account.
    ///
    /// # Errors
    /// The event cannot be understood.
    pub fn home(&self) -> Result<Home, CliError> {
        let local = local_home();
        let signal = self.signal(&local)?;
        let (account, region) = signal.origin();
        let partition = match region {
            Some(region) if region.starts_with("cn-") => "aws-cn",
            Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
            Some(region) if region.starts_with("eusc-") => "aws-eusc",
            _ => "aws",
        };
        Ok(Home {
            partition: partition.into(),
            region: region.map_or(local.region, str::to_owned),
            account: account.map_or(local.account, str::to_owned),
        })
    }
}

fn json(text: &str, path: &Path) -> Result<Value, CliError> {
    serde_json::from_str(text).map_err(|source| CliError::Json { path: files::name(path), source })
}

/// Whether readers, not producers, are throttled.
pub(super) fn is_read(signal: &Signal) -> bool {
    matches!(signal, Signal::Throttle(call) if call.operation == "GetRecords")
}
