//! The findings of all streams: the JSON of the doctor.

use chrono::{DateTime, Utc};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use unthrottle_core::checks::{Finding, Status};
use unthrottle_core::observation::{CapacityMode, Stream};
use unthrottle_core::policy::DOCTOR_SKIP_TAG;
use unthrottle_core::signal::StreamArn;

/// The findings of all streams.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Report {
    /// The version of this format. New versions only add fields.
    version: u32,
    pub streams: Vec<Page>,
    /// When the doctor ended, by the clock of the account.
    pub read_at: DateTime<Utc>,
}

/// The findings of one stream.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Page {
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
    pub fn new(streams: Vec<Page>, read_at: DateTime<Utc>) -> Report {
        Report { version: 1, streams, read_at }
    }

    /// The errors of streams that could not be read, each once, with the number of the streams.
    pub fn errors(&self) -> Vec<(&str, usize)> {
        let mut errors: Vec<(&str, usize)> = vec![];
        for error in self.streams.iter().filter_map(|page| page.error.as_deref()) {
            match errors.iter_mut().find(|(seen, _)| *seen == error) {
                Some((_, count)) => *count += 1,
                None => errors.push((error, 1)),
            }
        }
        errors
    }
}

impl Report {
    /// The streams, the worst first.
    pub fn worst_first(&self) -> Vec<&Page> {
        let mut pages: Vec<&Page> = self.streams.iter().collect();
        let rank = |page: &Page| (page.error.is_some(), page.count(Status::Fail), page.count(Status::Warn));
        pages.sort_by(|a, b| {
            let money = |page: &Page| page.usd_per_month().unwrap_or_default();
            rank(b).cmp(&rank(a)).then(money(b).total_cmp(&money(a))).then(a.name.cmp(&b.name))
        });
        pages
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

    /// The number of findings with this status.
    pub fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|finding| finding.status == status).count()
    }

    /// The findings that are not ok, the worst first.
    pub fn open(&self) -> Vec<&Finding> {
        let mut open: Vec<&Finding> = self.findings.iter().filter(|finding| finding.status != Status::Ok).collect();
        open.sort_by_key(|finding| Reverse(finding.status));
        open
    }

    /// The largest amount of a finding, in USD a month. Findings may be about the same money, so there is no sum.
    pub fn usd_per_month(&self) -> Option<f64> {
        self.findings.iter().filter_map(|finding| finding.usd_per_month).reduce(f64::max)
    }

    /// The number of findings of each status, the worst first, with the codes of those that are not ok. Without a
    /// finding, why there is none.
    pub fn counts(&self) -> String {
        if self.findings.is_empty() {
            return format!("No check was made: the tag {DOCTOR_SKIP_TAG} leaves all of them out.");
        }
        let mut codes = BTreeMap::<Status, Vec<&str>>::new();
        self.findings.iter().for_each(|finding| codes.entry(finding.status).or_default().push(finding.code));
        let words = codes.into_iter().rev().map(|(status, codes)| match status {
            Status::Ok => format!("{} ok", codes.len()),
            status => format!("{} {status} ({})", codes.len(), codes.join(", ")),
        });
        words.collect::<Vec<_>>().join(", ")
    }
}
