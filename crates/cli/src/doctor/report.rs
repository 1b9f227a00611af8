//! The findings of all streams: the JSON of the doctor.

use serde::Serialize;
use std::collections::BTreeMap;
use unthrottle_core::checks::{Finding, Status};
use unthrottle_core::observation::{CapacityMode, Stream};
use unthrottle_core::signal::StreamArn;

/// The findings of all streams.
#[derive(Serialize)]
pub(super) struct Report {
    /// The version of this format. New versions only add fields.
    version: u32,
    pub streams: Vec<Page>,
}

/// The findings of one stream.
#[derive(Serialize)]
pub(super) struct Page {
    pub name: String,
    pub arn: String,
    /// In the order of the table of checks.
    pub findings: Vec<Finding>,
    /// Why the stream could not be read. It has no findings then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a person sees beside the name.
    #[serde(skip)]
    pub about: String,
}

impl Report {
    pub fn new(streams: Vec<Page>) -> Report {
        Report { version: 1, streams }
    }
}

impl Page {
    pub fn of(stream: &Stream, findings: Vec<Finding>) -> Page {
        let mode = match stream.mode {
            CapacityMode::Provisioned => "provisioned",
            CapacityMode::OnDemand => "on-demand",
            CapacityMode::Unknown(_) => "unknown mode",
        };
        let shards = if stream.open_shards == 1 { "shard" } else { "shards" };
        let about = format!("{} {shards}, {mode}", stream.open_shards);
        Page { name: stream.name.clone(), arn: stream.arn.clone(), findings, error: None, about }
    }

    /// A stream that could not be read.
    pub fn unread(arn: &StreamArn, error: String) -> Page {
        let about = "not read".into();
        Page { name: arn.name.clone(), arn: arn.to_string(), findings: vec![], error: Some(error), about }
    }

    /// The number of findings of each status, the worst first.
    pub fn counts(&self) -> String {
        let mut counts = BTreeMap::<Status, usize>::new();
        self.findings.iter().for_each(|finding| *counts.entry(finding.status).or_default() += 1);
        let words: Vec<String> = counts.into_iter().rev().map(|(status, count)| format!("{count} {status}")).collect();
        words.join(", ")
    }
}
