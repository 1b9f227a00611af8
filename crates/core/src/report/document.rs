//! The decision as a JSON document: the Lambda's answer, `--json`, and the log's field `decision`. Only additive
//! changes are made to it.

use super::metric::AutoFix;
use super::sentence;
use crate::callers::{CallerCount, Group};
use crate::checks::{Advice, advise};
use crate::cost::Prices;
use crate::decision::{Cost, Decision, Evidence, Outcome, Reason, Remedy, Verdict};
use crate::observation::{CapacityMode, Observation, Stream};
use crate::policy::{Policy, UnknownName, unknown_tags};
use crate::signal::{Caller, Signal};
use crate::text::{NAME, QUOTED, agent, plain};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The version of the document.
const VERSION: u8 = 1;

/// The document.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Document {
    /// The version of this format. Fields are only added.
    pub version: u8,
    /// The release of unthrottle that decided, such as `0.2.0`.
    pub unthrottle_version: &'static str,
    /// What the invocation came to.
    pub outcome: Outcome,
    /// The remedy's or the reason's stable code.
    pub code: &'static str,
    /// The stream as it was observed, before any change. `null`: the signal names no stream.
    pub stream: Option<StreamDocument>,
    /// Everything that AWS says of the stream before a change, as an export to restore it from. `null`: nothing is
    /// changed.
    pub config_before: Option<ConfigDocument>,
    /// What woke the function.
    pub signal: SignalDocument,
    /// The change that was made, or would be.
    pub remedy: Option<RemedyDocument>,
    /// The cost of the stream before and after that, at the load that it is to carry.
    pub cost: Option<Cost>,
    /// The numbers that the decision rests on.
    pub evidence: Evidence,
    /// The callers whose throttled calls this process has seen since it last observed the stream. The most throttled
    /// comes first.
    pub callers: Vec<CallerCount>,
    /// The setting or the tag that keeps unthrottle from the stream, in words. `null`: none does.
    pub opted_out_by: Option<String>,
    /// The stream's tags that look like a tag of unthrottle and are none.
    pub unknown_tags: Vec<UnknownName>,
    /// What a producer or a reader could do better: at most three, the most urgent first.
    pub advice: Vec<Advice>,
    /// How the AutoFix metric went out, where a change was counted.
    pub auto_fix: Option<AutoFix>,
    /// The command that undoes the change. `null`: nothing was changed.
    pub undo: Option<String>,
    /// For a person on call.
    pub sentence: String,
    /// How many bytes of the sentence are its end: the cost, and how to undo the change.
    #[serde(skip)]
    pub(super) end: usize,
}

/// A stream in a [`Document`]. `null`: not observed.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StreamDocument {
    /// The stream's name, such as `orders`.
    pub name: String,
    /// The stream's ARN, with account and region.
    pub arn: String,
    /// AWS's capacity mode.
    pub mode: Option<String>,
    /// AWS's stream status.
    pub status: Option<String>,
    /// Open shards.
    pub open_shards: Option<u32>,
}

/// A stream's configuration in a [`Document`].
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigDocument {
    /// AWS's capacity mode.
    pub(super) mode: String,
    /// Open shards.
    pub(super) open_shards: u32,
    /// Warm throughput in MiB/s, now.
    pub(super) warm_current_mibps: Option<u32>,
    /// Warm throughput in MiB/s, when the change under way is done.
    pub(super) warm_target_mibps: Option<u32>,
    /// How long a record is kept, hours.
    pub(super) retention_hours: u32,
    /// The KMS key of its encryption; `null`: none.
    pub(super) kms_key: Option<String>,
    /// The shard-level metrics that are on.
    pub(super) shard_level_metrics: BTreeSet<String>,
    /// Consumers registered for enhanced fan-out.
    pub(super) consumers: u32,
    /// The stream's tags, by key.
    pub(super) tags: BTreeMap<String, String>,
}

/// A signal in a [`Document`].
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignalDocument {
    /// `throttle`, `alarm`, `ask` or `sweep`.
    pub(super) kind: &'static str,
    /// The event's id.
    pub(super) id: Option<String>,
    /// When that happened.
    pub(super) time: Option<DateTime<Utc>>,
    /// The call that failed, or the alarm's name.
    pub(super) operation: Option<String>,
    /// The call's error code, or the alarm's state.
    pub(super) error_code: Option<String>,
    /// AWS's or the person's own words.
    pub(super) error_message: Option<String>,
    /// Who made the call.
    pub(super) caller: Option<CallerDocument>,
}

/// A caller in a [`SignalDocument`].
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CallerDocument {
    /// The ARN of the user or of the role session.
    pub(super) principal: Option<String>,
    /// The first product of the user agent.
    user_agent: Option<String>,
    source_ip: Option<String>,
}

/// A remedy in a [`Document`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum RemedyDocument {
    /// Open shards before and after; for `warm_up`, MiB/s.
    Step {
        /// Before.
        from: u32,
        /// After.
        to: u32,
    },
    /// A shard that is split.
    Split {
        /// The id of the shard that is split.
        shard: String,
        /// The first hash key of its second half, in decimal digits.
        at: String,
        /// Open shards before.
        from: u32,
        /// Open shards after.
        to: u32,
    },
    /// Capacity mode before and after.
    Mode {
        /// Before.
        from: String,
        /// After.
        to: String,
        /// The warm throughput given with it, MiB/s.
        #[serde(skip_serializing_if = "Option::is_none")]
        warm_mibps: Option<u32>,
    },
    /// Shard-level metrics that are switched on or off.
    Metrics {
        /// By AWS's names.
        metrics: Vec<&'static str>,
    },
}

impl Document {
    /// The document of a decision on `stream`. `None`: it was not observed, or does not exist.
    pub fn new(signal: &Signal, stream: Option<&Stream>, decision: &Decision, auto_fix: Option<AutoFix>) -> Document {
        let outcome = decision.outcome;
        let (text, end) = sentence::of(signal, stream, decision);
        let acted = match &decision.verdict {
            Verdict::Act(remedy) if outcome == Outcome::Acted => signal.stream().map(|stream| (remedy, stream)),
            _ => None,
        };
        Document {
            version: VERSION,
            unthrottle_version: crate::RELEASE,
            outcome,
            code: decision.verdict.code(),
            stream: StreamDocument::new(signal, stream),
            config_before: None,
            signal: SignalDocument::new(signal),
            remedy: match &decision.verdict {
                Verdict::Act(remedy) => Some(remedy.into()),
                Verdict::Hold(_) => None,
            },
            cost: decision.cost.clone(),
            evidence: decision.evidence.clone(),
            callers: vec![],
            opted_out_by: None,
            unknown_tags: vec![],
            advice: vec![],
            auto_fix,
            undo: acted.map(|(remedy, stream)| sentence::undo(remedy, stream, &decision.evidence)),
            sentence: text + &end,
            end: end.len(),
        }
    }

    /// The same, with the callers whose calls were throttled.
    #[must_use]
    pub fn with_callers(mut self, decision: &Decision, callers: &Group) -> Document {
        self.callers = callers.counts();
        let end = self.sentence.len() - self.end;
        self.sentence.insert_str(end, &sentence::most_refused(decision, callers));
        self
    }
}

impl Document {
    /// The same, with what opts the stream out, where it is opted out. `tags`: none, if they were not read.
    #[must_use]
    pub fn with_opt_out(mut self, decision: &Decision, policy: &Policy, tags: &BTreeMap<String, String>) -> Document {
        if decision.verdict == Verdict::Hold(Reason::OptedOut) {
            self.opted_out_by = policy.opted_out_by(tags);
        }
        self
    }

    /// The same, with advice on the stream as it was observed.
    #[must_use]
    pub fn with_advice(mut self, observation: &Observation, prices: &Prices) -> Document {
        self.advice = advise(observation, prices);
        self
    }

    /// The same, with the unknown tags, and with the configuration before the change, where there is one.
    #[must_use]
    pub fn with_config(mut self, observation: &Observation) -> Document {
        self.unknown_tags = unknown_tags(&observation.tags);
        let stream = observation.stream.as_ref().filter(|_| self.remedy.is_some());
        self.config_before = stream.map(|stream| ConfigDocument {
            mode: stream.mode.as_str().into(),
            open_shards: stream.open_shards,
            warm_current_mibps: stream.warm_throughput.map(|warm| warm.current_mibps),
            warm_target_mibps: stream.warm_throughput.map(|warm| warm.target_mibps),
            retention_hours: stream.retention_hours,
            kms_key: stream.kms_key.clone(),
            shard_level_metrics: stream.shard_metrics.clone(),
            consumers: stream.consumers,
            tags: observation.tags.clone(),
        });
        self
    }
}

impl StreamDocument {
    fn new(signal: &Signal, seen: Option<&Stream>) -> Option<StreamDocument> {
        let named = signal.stream()?;
        Some(StreamDocument {
            name: named.name.clone(),
            arn: named.to_string(),
            mode: seen.map(|s| s.mode.as_str().into()),
            status: seen.map(|s| s.status.as_str().into()),
            open_shards: seen.map(|s| s.open_shards),
        })
    }
}

impl SignalDocument {
    fn new(signal: &Signal) -> SignalDocument {
        let time = signal.time();
        let name = |text: &Option<String>| text.as_deref().map(|text| plain(text, NAME));
        let quoted = |text: &Option<String>| text.as_deref().map(|text| plain(text, QUOTED));
        match signal {
            Signal::Throttle(call) => SignalDocument {
                kind: "throttle",
                id: name(&call.id),
                time,
                operation: Some(plain(&call.operation, NAME)),
                error_code: name(&call.error_code),
                error_message: quoted(&call.error_message),
                caller: Some(CallerDocument::new(&call.caller)),
            },
            Signal::Alarm(alarm) => SignalDocument {
                kind: "alarm",
                id: name(&alarm.id),
                time,
                operation: Some(plain(&alarm.name, NAME)),
                error_code: Some(plain(&alarm.state, NAME)),
                error_message: quoted(&alarm.reason),
                caller: None,
            },
            Signal::Ask(ask) => SignalDocument { error_message: quoted(&ask.message), ..SignalDocument::bare("ask") },
            Signal::Sweep(_) => SignalDocument::bare("sweep"),
        }
    }
}

impl SignalDocument {
    /// A signal without an event.
    fn bare(kind: &'static str) -> SignalDocument {
        SignalDocument {
            kind,
            id: None,
            time: None,
            operation: None,
            error_code: None,
            error_message: None,
            caller: None,
        }
    }
}

impl CallerDocument {
    fn new(caller: &Caller) -> CallerDocument {
        let name = |text: &Option<String>| text.as_deref().map(|text| plain(text, NAME));
        CallerDocument {
            principal: name(&caller.principal),
            user_agent: caller.user_agent.as_deref().and_then(agent),
            source_ip: name(&caller.source_ip),
        }
    }
}

impl From<&Remedy> for RemedyDocument {
    fn from(remedy: &Remedy) -> RemedyDocument {
        let mode = |from: CapacityMode, to: CapacityMode, warm_mibps| RemedyDocument::Mode {
            from: from.as_str().to_owned(),
            to: to.as_str().to_owned(),
            warm_mibps,
        };
        match remedy.clone() {
            Remedy::ScaleShards { from, to, .. }
            | Remedy::ScaleAhead { from, to, .. }
            | Remedy::Restore { from, to, .. } => RemedyDocument::Step { from, to },
            Remedy::WarmUp { from_mibps, to_mibps, .. } => RemedyDocument::Step { from: from_mibps, to: to_mibps },
            Remedy::SplitShard { shard, at, from, to, .. } => {
                RemedyDocument::Split { shard, at: at.to_string(), from, to }
            }
            Remedy::SwitchToOnDemand { warm_mibps, .. } => {
                mode(CapacityMode::Provisioned, CapacityMode::OnDemand, warm_mibps)
            }
            Remedy::SwitchToProvisioned { .. } => mode(CapacityMode::OnDemand, CapacityMode::Provisioned, None),
            Remedy::EnableShardMetrics { metrics, .. } | Remedy::DisableShardMetrics { metrics, .. } => {
                RemedyDocument::Metrics { metrics }
            }
        }
    }
}
