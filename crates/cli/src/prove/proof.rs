//! The proof: what the steps saw, as a file.

use super::record::Answer;
use super::step::{Finding, Verdict};
use crate::{CliError, files};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The name of the file.
pub(super) const FILE: &str = "proof.json";

/// The version of the format. Fields are only added.
const VERSION: u8 = 1;

/// What the steps of `unthrottle prove` saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Proof {
    /// The version of this format.
    pub version: u8,
    /// The version of unthrottle.
    pub unthrottle: String,
    /// The region.
    pub region: String,
    /// The endpoint, if it is not AWS's own.
    pub endpoint_url: Option<String>,
    /// How many times as fast as the machine's the clock of the account was said to be. 1: AWS.
    pub pace: u32,
    /// When the proof began.
    pub began: DateTime<Utc>,
    /// The steps, in the order in which they ended.
    pub steps: Vec<Done>,
}

/// What a step saw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    /// The name of the step.
    pub step: String,
    /// What it did.
    pub about: String,
    /// The most that it costs at list prices, in USD.
    pub cost_usd: f64,
    /// When it began, by the clock of the account.
    pub began: DateTime<Utc>,
    /// How long it took in the account, in seconds, with its cleaning.
    pub seconds: f64,
    /// One for each of its facts.
    pub findings: Vec<Finding>,
    /// Times that it measured.
    pub measured: Measured,
    /// Answers of AWS, without ids of accounts and callers.
    pub answers: Vec<Answer>,
    /// Resources that it could not delete, with the reason.
    pub left: Vec<String>,
}

/// Times that a step measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// From the call of `UpdateShardCount` to ACTIVE.
    #[serde(default)]
    pub reshards: Vec<Reshard>,
    /// From the end of a minute to its datapoint.
    #[serde(default)]
    pub metric_lags: Vec<Lag>,
}

/// A reshard.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Reshard {
    /// Shards before.
    pub from: u32,
    /// Shards after.
    pub to: u32,
    /// Seconds in the account.
    pub seconds: f64,
}

/// The lag of a minute of a metric.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lag {
    /// The metric of `AWS/Kinesis`.
    pub metric: String,
    /// The minute.
    pub minute: DateTime<Utc>,
    /// Seconds in the account.
    pub seconds: f64,
}

impl Done {
    /// Whether the step need not run again.
    pub fn is_settled(&self) -> bool {
        let is_settled = |finding: &Finding| matches!(finding.verdict, Verdict::Seen | Verdict::Different);
        self.left.is_empty() && self.findings.iter().all(is_settled)
    }
}

impl Proof {
    /// Nothing is done yet.
    pub fn new(region: &str, endpoint_url: Option<&str>, pace: u32, began: DateTime<Utc>) -> Proof {
        let unthrottle = env!("CARGO_PKG_VERSION").to_owned();
        let (region, endpoint_url) = (region.to_owned(), endpoint_url.map(str::to_owned));
        Proof { version: VERSION, unthrottle, region, endpoint_url, pace, began, steps: vec![] }
    }

    /// Reads a proof.
    ///
    /// # Errors
    /// The file cannot be read, or is no proof of this version.
    pub fn read(path: &Path) -> Result<Proof, CliError> {
        let text = files::read(path, files::MOST_JSON)?;
        let json = &mut serde_json::Deserializer::from_str(&text);
        let proof: Proof = serde_path_to_error::deserialize(json).map_err(|error| {
            let (field, problem) = (error.path().to_string(), error.into_inner().to_string());
            CliError::Scenario {
                path: path.into(),
                field,
                problem: format!("no proof of `unthrottle prove`: {problem}"),
            }
        })?;
        if proof.version != VERSION {
            let problem = format!("this unthrottle knows version {VERSION}, and the file has {}", proof.version);
            return Err(CliError::Scenario { path: path.into(), field: "version".into(), problem });
        }
        Ok(proof)
    }

    /// Takes what a step saw, in place of what it saw before.
    pub fn take(&mut self, done: Done) {
        self.steps.retain(|other| other.step != done.step);
        self.steps.push(done);
    }

    /// What steps could not delete is deleted now. Returns whether that is news.
    pub fn nothing_is_left(&mut self) -> bool {
        self.steps.iter_mut().map(|done| !std::mem::take(&mut done.left).is_empty()).fold(false, std::ops::BitOr::bitor)
    }

    /// Writes the proof and its page.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), CliError> {
        let json = serde_json::to_string_pretty(self).map_err(std::io::Error::from)?;
        files::write(&folder.join(FILE), &format!("{json}\n"))?;
        files::write(&folder.join(super::page::FILE), &super::page::of(self))
    }

    /// All findings with the step of each.
    pub fn findings(&self) -> impl Iterator<Item = (&Done, &Finding)> {
        self.steps.iter().flat_map(|done| done.findings.iter().map(move |finding| (done, finding)))
    }
}
