//! The readers of files from outside, for tests with hostile input (`crates/hostile`). The command line does not use
//! this module.

use crate::backtest::{export, file};
use crate::runbook;
use serde_json::Value;
use unthrottle_lab::sim::backtest::History;

/// The past in a CSV file of `backtest`.
///
/// # Errors
/// The number of the first line that cannot be used, from 1, and why.
pub fn csv(text: &[u8]) -> Result<History, (u64, String)> {
    file::past(text, None).map(|past| past.history).map_err(|problem| (problem.line, problem.problem))
}

/// The past in an export of CloudWatch.
///
/// # Errors
/// What the text lacks, or what in it cannot be used.
pub fn export(text: &str) -> Result<History, String> {
    export::past(text).map(|past| past.history)
}

/// The decision documents in a text, such as a log.
///
/// # Errors
/// The text begins as JSON and is none.
pub fn documents(text: &str) -> Result<Vec<Value>, serde_json::Error> {
    runbook::documents::of(text)
}

/// The entry of an incident with these documents.
pub fn incident(documents: &[Value]) -> String {
    runbook::markdown(documents)
}
