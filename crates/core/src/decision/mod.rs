//! What a decision can be. Every path out of [`decide`](crate::decide::decide) is a variant here. Each variant has a
//! stable snake_case code: the metric dimension, the log field, the JSON value and the word in the documents.

mod evidence;
mod foreseen;
mod reason;
mod remedy;

pub(crate) use evidence::{BACKLOG_MILLISECONDS, STEADY};
pub use evidence::{Evidence, Healed, NeededFor, Side};
pub use foreseen::{ExpectedBy, ForesightBound, ForesightHeld};
pub(crate) use foreseen::{WRONG_IN_A_ROW, waits_times};
pub use reason::{
    Ceiling, DeniedChange, FleetBound, Foreign, HotKeyEvidence, NoDiagnosis, NoSwitch, ReadCall, Reason, SplitBudget,
};
pub use remedy::{AwsLimit, Bound, Remedy};

use crate::memory::Memory;
use crate::policy::Mode;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// What to do about one stream, and why.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Decision {
    /// Act or hold.
    pub verdict: Verdict,
    /// What it comes to: a change, a plan, a hold, or a change that is verified.
    pub outcome: Outcome,
    /// Whether people get a message. The sender may drop it, where this process has sent the same within an hour and no
    /// memory records that.
    pub notify: bool,
    /// The numbers that the verdict rests on.
    pub evidence: Evidence,
    /// What the stream costs before and after the remedy.
    pub cost: Option<Cost>,
    /// After how many hours without throttling the change is undone by itself; 0: never.
    pub restore_after_hours: u32,
    /// What the function may do. In [`Mode::Observe`] the verdict is reported, and nothing is changed or written.
    pub mode: Mode,
    /// What the settings and the stream's tag allow. `mode` is stricter where a person asks for a plan.
    pub allowed: Mode,
    /// Whether this is the plan that a person sees before a question. With a yes, the change is made.
    pub is_before_consent: bool,
    /// The memory to write, where it differs from the one that was read. For an act: the intent.
    pub memory: Option<Memory>,
    /// The code and the time of each change of ours that is done, and whose AutoFix datum is missing: to be published
    /// now. Two runs that find the same at once may both publish it, since a tag cannot be compared and set.
    pub unpublished: Vec<(&'static str, DateTime<Utc>)>,
    /// When this run found that a change of ours was reverted: to be published once the memory is written.
    pub reverted: Option<DateTime<Utc>>,
}

/// What an invocation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// The stream was changed.
    Acted,
    /// The stream was left as it is.
    Held,
    /// The stream would have been changed, but the function may only observe.
    Planned,
    /// An earlier change stopped the throttling, and this run verified it.
    Healed,
}

impl Outcome {
    /// The outcome of a verdict in this mode.
    pub(crate) fn of(verdict: &Verdict, mode: Mode) -> Outcome {
        match verdict {
            Verdict::Act(_) if mode == Mode::Heal => Outcome::Acted,
            Verdict::Act(_) => Outcome::Planned,
            Verdict::Hold(Reason::Healthy { healed: Some(_) }) => Outcome::Healed,
            Verdict::Hold(_) => Outcome::Held,
        }
    }

    /// Whether the stream was left as it is.
    pub fn is_hold(self) -> bool {
        matches!(self, Outcome::Held | Outcome::Healed)
    }
}

impl Decision {
    /// Whether the function may change and write anything. In the other modes it only reports.
    pub(crate) fn may_change(&self) -> bool {
        self.mode == Mode::Heal
    }

    /// Leaves the stream's memory, and what is published with it, as they are.
    pub fn write_nothing(&mut self) {
        (self.memory, self.reverted) = (None, None);
        self.evidence.forecast_was_right = None;
        self.unpublished.clear();
    }

    /// Whether the stream stays as it is until a person acts, or loses records or calls for long, whatever the hold.
    pub fn needs_person(&self) -> bool {
        let is_lasting = self.evidence.lasting_refused_share.is_some();
        matches!(&self.verdict, Verdict::Hold(reason) if reason.needs_person() || is_lasting)
    }

    /// Whether the next minutes will show more: a change was made, or is not done, or is not verified. In
    /// [`Mode::Observe`] the minutes show nothing of ours.
    pub fn is_under_way(&self) -> bool {
        use Reason::{EvidencePending, Resharding, Settling};
        let waits = matches!(&self.verdict, Verdict::Hold(Resharding | Settling { .. } | EvidencePending));
        self.outcome == Outcome::Acted || (waits && self.may_change())
    }
}

/// The cost of a stream before and after a remedy, each at the load that it takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cost {
    /// USD an hour before the remedy.
    pub before_usd_per_hour: f64,
    /// USD an hour after the remedy.
    pub after_usd_per_hour: f64,
    /// The region and the month of the list prices, such as `us-east-1 2026-09`.
    pub prices: String,
}

/// Act or hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Change the stream.
    Act(Remedy),
    /// Leave it as it is, by name.
    Hold(Reason),
}

impl Verdict {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Verdict::Act(remedy) => remedy.into(),
            Verdict::Hold(reason) => reason.into(),
        }
    }
}
