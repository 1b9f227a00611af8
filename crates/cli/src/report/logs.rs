//! What the log lines of the function say: the changes that were made, with their cost, and those that mode `observe`
//! would have made.

use super::document::Planned;
use crate::CliError;
use crate::runbook;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A change, as a log line or the memory tag has it, to the second.
#[derive(Clone, Debug)]
pub(super) struct Logged {
    pub at: DateTime<Utc>,
    pub action: String,
    pub from: Option<u32>,
    pub to: Option<u32>,
    /// The change of the cost, USD an hour.
    pub usd_per_hour: Option<f64>,
}

/// The decisions of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct OfStream {
    pub made: Vec<Logged>,
    pub planned: Vec<Planned>,
    /// The times of all decisions.
    pub times: Vec<DateTime<Utc>>,
}

/// The decisions by stream. `None`: no log was given.
pub(super) type Logs = Option<BTreeMap<String, OfStream>>;

/// Reads the log lines of these files.
///
/// # Errors
/// A file cannot be read, or has no decision.
pub(super) fn read(paths: &[PathBuf]) -> Result<Logs, CliError> {
    if paths.is_empty() {
        return Ok(None);
    }
    let mut streams: BTreeMap<String, OfStream> = BTreeMap::new();
    for path in paths {
        for document in runbook::read(path)? {
            let Some(name) = document["stream"]["name"].as_str() else { continue };
            let at = runbook::when(&document).parse::<DateTime<Utc>>();
            let Ok(at) = at else { continue };
            let of = streams.entry(name.to_owned()).or_default();
            of.times.push(at);
            match document["outcome"].as_str() {
                Some("acted") => of.made.push(logged(&document, at)),
                Some("planned") => of.planned.push(planned(&document, at)),
                _ => {}
            }
        }
    }
    Ok(Some(streams))
}

fn logged(document: &Value, at: DateTime<Utc>) -> Logged {
    let number = |field: &str| document["remedy"][field].as_u64().and_then(|number| u32::try_from(number).ok());
    let cost = |field: &str| document["cost"][field].as_f64();
    let usd_per_hour =
        cost("after_usd_per_hour").zip(cost("before_usd_per_hour")).map(|(after, before)| after - before);
    Logged { at, action: text(document, "code"), from: number("from"), to: number("to"), usd_per_hour }
}

fn planned(document: &Value, at: DateTime<Utc>) -> Planned {
    Planned { at, action: text(document, "code"), sentence: text(document, "sentence") }
}

fn text(document: &Value, field: &str) -> String {
    document[field].as_str().unwrap_or_default().to_owned()
}
