//! The answer of a sweep: what it found and did, as a document and a sentence.

use super::Document;
use super::metric::{AUTO_FIX, NAMESPACE, SHARDS_ADDED};
use crate::decision::Outcome;
use crate::words::{count, many};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// The streams that an alarm names at most ("A maximum of 100 contributors can be in ALARM state": the CloudWatch user
/// guide's limits of alarms).
pub const MOST_CONTRIBUTORS: usize = 100;

/// What a sweep found and did.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SweepDocument {
    /// The version of this format. Fields are only added.
    pub version: u8,
    /// The release of unthrottle that swept, such as `0.2.0`.
    pub unthrottle_version: &'static str,
    /// Always `swept`.
    pub outcome: &'static str,
    /// Streams that have raised a fleet alarm (throttled, or a reader far behind), or that a query shows throttled.
    pub throttled: usize,
    /// Fleet alarms that name no more streams, though more streams may have raised them.
    pub full_alarms: Vec<String>,
    /// Streams that carry a memory.
    pub remembered: usize,
    /// The streams among them with something to verify, to publish, to switch off or to restore.
    pub due: usize,
    /// Streams that were checked.
    pub looked: usize,
    /// Further checks of the streams among them whose change was under way.
    pub again: usize,
    /// Streams that were changed.
    pub changed: usize,
    /// Streams whose last change was found to have worked.
    pub healed: usize,
    /// What could not be read or done, and why. The others went on.
    pub failed: Vec<Failure>,
    /// Streams that need a check, for which no time was left. The next sweep finds them again.
    pub left: Vec<String>,
    /// Why the sweep also asked CloudWatch about every stream, which CloudWatch charges for. `null`: it did not.
    pub queried: Option<Queried>,
    /// Counts of the fleet's metrics that the streams' tags do not support. `null`: there are none.
    pub unsupported: Option<Unsupported>,
    /// Requests that the search for these streams took, retries included.
    pub finding_calls: u32,
    /// One for each check. The streams that were changed come first, and the checks of one stream are in their order.
    pub decisions: Vec<Document>,
    /// For a person.
    pub sentence: String,
}

/// Why a sweep asks CloudWatch Metrics Insights about every stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Queried {
    /// No fleet alarm is set.
    NoAlarm,
    /// A fleet alarm could not be read.
    AlarmFailed,
    /// A fleet alarm names [`MOST_CONTRIBUTORS`].
    AlarmFull,
}

/// What a metric of the fleet counts, and what the memory tags of all streams show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unsupported {
    /// The metric.
    pub metric: &'static str,
    /// Its count: changes in an hour, or shards in 24 hours.
    pub counted: u32,
    /// The changes or shards that the tags show.
    pub supported: u32,
}

/// What failed in a sweep.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// The stream, alarm or index.
    pub of: String,
    /// The stable code of the error.
    pub code: &'static str,
    /// What happened.
    pub error: String,
    /// What AWS denied, if it did. `error` names the role of the function, and a person who runs the sweep has another.
    #[serde(skip)]
    pub denied: Option<Denied>,
}

/// A read that AWS denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The action, such as `cloudwatch:GetMetricData`.
    pub action: String,
    /// AWS's answer.
    pub why: String,
}

/// What a sweep found and did, from which its document is made.
#[derive(Debug, Default)]
pub struct Findings {
    /// Streams that have raised a fleet alarm, or that a query shows throttled.
    pub throttled: usize,
    /// Fleet alarms that name [`MOST_CONTRIBUTORS`].
    pub full_alarms: Vec<String>,
    /// Streams that carry a memory.
    pub remembered: usize,
    /// Those of them with pending work.
    pub due: usize,
    /// What could not be read or done.
    pub failed: Vec<Failure>,
    /// Why throttled streams were also found by a query that CloudWatch charges for.
    pub queried: Option<Queried>,
    /// One document for each check, in the order in which the checks ended.
    pub decisions: Vec<Document>,
    /// Streams for which no time was left.
    pub left: Vec<String>,
    /// The names of the streams that were changed.
    pub changed: BTreeSet<String>,
    /// Requests that the search for these streams took, retries included.
    pub finding_calls: u32,
}

/// The name of a document's stream.
fn name(document: &Document) -> &str {
    document.stream.as_ref().map_or("", |stream| &stream.name)
}

impl SweepDocument {
    /// The document of what a sweep found and did.
    pub fn new(findings: Findings) -> SweepDocument {
        let Findings { throttled, full_alarms, remembered, due, failed, queried, .. } = findings;
        let Findings { mut decisions, mut left, changed, finding_calls, .. } = findings;
        left.sort_unstable();
        let is_changed = |document: &Document| changed.contains(name(document));
        decisions.sort_by_cached_key(|document| (Reverse(is_changed(document)), name(document).to_owned()));
        let looked = decisions.chunk_by(|one, next| name(one) == name(next)).count();
        let mut document = SweepDocument {
            version: 1,
            unthrottle_version: crate::RELEASE,
            outcome: "swept",
            throttled,
            full_alarms,
            remembered,
            due,
            looked,
            again: decisions.len() - looked,
            changed: changed.len(),
            healed: decisions.iter().filter(|document| document.outcome == Outcome::Healed).count(),
            failed,
            left,
            queried,
            unsupported: unsupported(&decisions),
            finding_calls,
            decisions,
            sentence: String::new(),
        };
        document.sentence = document.sentence();
        document
    }

    fn sentence(&self) -> String {
        let SweepDocument { throttled, remembered, due, looked, changed, healed, failed, left, .. } = self;
        let held_back = self.decisions.iter().filter(|document| document.code == "fleet_limit").count();
        let need = if *due == 1 || *remembered == 1 { "needs" } else { "need" };
        let mut text = format!(
            "sweep: {} in alarm, {due} of {} {need} a check. Checked {looked}, changed {changed}, healed {healed}.",
            many(*throttled, "stream"),
            many(*remembered, "remembered stream")
        );
        if self.again > 0 {
            let times = many(self.again, "time");
            text += &format!(" It stayed, and checked again {times} the streams whose change was under way.");
        }
        if held_back > 0 {
            text += &format!(" Not changed, because you allow no more at once: {held_back} (the worst came first).");
        }
        if !self.full_alarms.is_empty() {
            text += &format!(
                " An alarm names at most {} streams, so others may throttle: {}.",
                MOST_CONTRIBUTORS,
                self.full_alarms.join(", ")
            );
        }
        if !failed.is_empty() {
            let of: Vec<&str> = failed.iter().map(|failure| failure.of.as_str()).take(5).collect();
            text += &format!(" Failed: {} ({}).", failed.len(), of.join(", "));
        }
        if !left.is_empty() {
            let it = if left.len() == 1 { "it" } else { "them" };
            text += &format!(" No time was left for {}: the next sweep finds {it} again.", many(left.len(), "stream"));
        }
        text += self.queried.map_or("", Queried::words);
        if let Some(Unsupported { metric, counted, supported }) = self.unsupported {
            let [counted, supported] = [counted, supported].map(|number| count(number.into()));
            text += &format!(
                " The metric {metric} counts {counted}, and the streams' tags show {supported}: check who may call \
                 cloudwatch:PutMetricData for the namespace {NAMESPACE}."
            );
        }
        text
    }
}

impl Queried {
    fn words(self) -> &'static str {
        match self {
            Queried::NoAlarm => NO_FLEET_ALARM,
            Queried::AlarmFailed => ALARM_FAILED,
            Queried::AlarmFull => ALARM_FULL,
        }
    }
}

/// The first count of the checks that no tag supports: of changes, or else of shards.
fn unsupported(decisions: &[Document]) -> Option<Unsupported> {
    let evidence = || decisions.iter().map(|document| &document.evidence);
    let changes = evidence().find_map(|e| Some((AUTO_FIX, e.fleet_changes_counted?, e.fleet_changes_supported?)));
    let shards = || evidence().find_map(|e| Some((SHARDS_ADDED, e.fleet_shards_counted?, e.fleet_shards_supported?)));
    changes.or_else(shards).map(|(metric, counted, supported)| Unsupported { metric, counted, supported })
}

/// A sweep without fleet alarms costs money: it asks CloudWatch for the metrics of every stream.
const NO_FLEET_ALARM: &str = " No fleet alarm is set (UNTHROTTLE_FLEET_ALARMS), so the sweep asked CloudWatch \
    about every stream: about $0.02 for 1,000 streams.";

/// An alarm that cannot be read hides its streams, and asking about every stream costs money at each sweep.
const ALARM_FAILED: &str = " A fleet alarm could not be read, so the sweep asked CloudWatch twice about every stream, \
    at about $0.01 for 1,000 streams each time. If AWS denied it, allow cloudwatch:DescribeAlarmContributors.";

/// A full alarm hides further streams.
const ALARM_FULL: &str = " So the sweep asked CloudWatch twice about every stream, at about $0.01 for 1,000 streams \
    each time. It does so every 30 minutes.";
