//! What a check found.

use super::fix::Fix;
use super::readings::Unread;
use serde::Serialize;
use serde_json::{Map, Value};

/// The consumers, functions or shards that a finding names, and gives a command for. A person looks at the first few.
pub(super) const NAMED: usize = 3;

/// The numbers that a finding stands on, by name. The name has the unit.
pub type Evidence = Map<String, Value>;

/// How bad a finding is, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Status {
    /// Nothing is wrong.
    Ok,
    /// The check could not be made, because a read failed or the stream is too young.
    Unknown,
    /// The stream works, and something about it costs money or will hurt later.
    Warn,
    /// Data is lost or late, or will be.
    Fail,
}

/// The part of a stream's life that a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::Display, strum::EnumIter)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Group {
    /// Shards, ranges and quotas.
    Capacity,
    /// Who writes, and how.
    Producers,
    /// Who reads, and how.
    Consumers,
    /// Consumers that are Lambda functions.
    Lambda,
    /// Encryption and rights.
    Security,
    /// What the stream costs, and what it could cost.
    Cost,
    /// unthrottle itself.
    Unthrottle,
}

/// One line of the doctor's page.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// The check, such as `put-record`.
    pub code: &'static str,
    /// The group of the check.
    pub group: Group,
    /// How bad it is.
    pub status: Status,
    /// The numbers that the finding stands on.
    pub evidence: Evidence,
    /// What the finding costs, in USD a month of 730 hours. `None`: it is not about money.
    pub usd_per_month: Option<f64>,
    /// What was seen, and what it means.
    pub sentence: String,
    /// What mends it. A command stands on a line of its own, and a line that begins with `#` is for the person. Without
    /// a command it is a sentence. `None`: there is nothing to do.
    pub fix: Option<String>,
    /// The page that the check stands on.
    pub source: &'static str,
}

/// What a check says, before the table adds its code, group and source.
pub(super) struct Verdict {
    pub status: Status,
    pub evidence: Evidence,
    pub usd_per_month: Option<f64>,
    pub sentence: String,
    pub fix: Option<String>,
}

/// What a check says, or the read that it misses.
pub(super) type Answer = Result<Verdict, Unread>;

impl Verdict {
    fn new(status: Status, sentence: impl Into<String>, fix: Option<String>) -> Verdict {
        Verdict { status, evidence: Evidence::new(), usd_per_month: None, sentence: sentence.into(), fix }
    }

    pub fn ok(sentence: impl Into<String>) -> Verdict {
        Verdict::new(Status::Ok, sentence, None)
    }

    pub fn unknown(sentence: impl Into<String>, fix: impl Into<String>) -> Verdict {
        Verdict::new(Status::Unknown, sentence, Some(fix.into()))
    }

    pub fn warn(sentence: impl Into<String>, fix: impl Into<String>) -> Verdict {
        Verdict::new(Status::Warn, sentence, Some(fix.into()))
    }

    pub fn fail(sentence: impl Into<String>, fix: impl Into<String>) -> Verdict {
        Verdict::new(Status::Fail, sentence, Some(fix.into()))
    }

    /// Adds a number, a word or a list to the evidence. Numbers keep three digits after the point.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Verdict {
        let value = match value.into() {
            Value::Number(n) if n.is_f64() => Value::from(rounded(n.as_f64().unwrap_or_default(), 1_000.0)),
            value => value,
        };
        self.evidence.insert(name.to_owned(), value);
        self
    }

    /// What the fix costs in a month, in USD. `None`: nothing, or it is not known.
    pub fn fix_costs(self, usd_per_month: Option<f64>) -> Verdict {
        match usd_per_month {
            Some(cost) => self.with("fix_usd_per_month", rounded(cost, 100.0)),
            None => self,
        }
    }

    /// What the finding costs in a month, in USD.
    pub fn costs(mut self, usd_per_month: f64) -> Verdict {
        self.usd_per_month = Some(rounded(usd_per_month, 100.0));
        self
    }

    /// The finding of a check whose read failed.
    pub fn unread(unread: &Unread) -> Verdict {
        let Unread { action, why, is_denied } = unread;
        let verdict = if *is_denied {
            let fix = Fix::note(format!("allow {action} to this principal; all that the doctor needs:"));
            let fix = fix.and_run("unthrottle doctor --policy");
            Verdict::unknown(format!("AWS denied {action}."), fix)
        } else {
            Verdict::unknown(format!("{action} failed: {why}."), "run the doctor again")
        };
        verdict.with("action", *action).with("is_denied", *is_denied)
    }
}

fn rounded(value: f64, steps: f64) -> f64 {
    let rounded = (value * steps).round() / steps;
    // JSON has no infinity. No metric of AWS's is so large. The sum of no numbers is -0.
    if rounded.is_finite() { rounded + 0.0 } else { 0.0 }
}
