//! The shards that a person has planned.

use super::super::Case;
use super::super::history::History;
use super::super::restore::utc;
use crate::decision::{ExpectedBy, Reason, Remedy};
use crate::memory::{Memory, Planned};
use crate::observation::{CapacityMode, Minute, Stream};
use crate::policy::StreamPolicy;
use chrono::TimeDelta;

/// The longest plan, in days. A longer one is a typing error, or a larger stream: then a person sets its shards. A
/// shorter maximum could refuse a sale that takes a month.
const LONGEST_DAYS: i64 = 31;

impl Case<'_> {
    /// Records the plan that a person asks for in `memory`. It replaces the plan before it. A plan that is over is
    /// forgotten.
    ///
    /// # Errors
    /// The hold of a plan that cannot be kept.
    pub(in crate::decide) fn plan(
        &mut self,
        stream: &Stream,
        policy: &StreamPolicy,
        memory: &mut Memory,
    ) -> Result<(), Reason> {
        let now = self.now;
        memory.planned = memory.planned.filter(|planned| now < planned.until);
        let Some(plan @ Planned { at_least, until }) = self.signal.plan() else { return Ok(()) };
        let max = policy.max_shards;
        let why = if until <= now {
            format!("it ends at {}, and that is over", utc(until))
        } else if until - now > TimeDelta::days(LONGEST_DAYS) {
            format!("it ends at {}, and a plan may last {LONGEST_DAYS} days", utc(until))
        } else if at_least > max {
            format!("it names {at_least} shards, and the maximum of the stream is {max}")
        } else if stream.mode != CapacityMode::Provisioned {
            "the stream is in on-demand mode, where AWS sets the shards".into()
        } else {
            memory.planned = Some(plan);
            // Whatever this run finds next, the plan is kept.
            self.decision.memory = Some(memory.clone());
            return Ok(());
        };
        Err(Reason::NotPlanned(why))
    }

    /// The plan that counts now.
    pub(super) fn planned_now(&self, history: &History) -> Option<Planned> {
        history.memory.planned.filter(|planned| self.now < planned.until)
    }

    /// The fewest shards that a plan keeps now. 1: there is no plan.
    pub(in crate::decide) fn planned_shards(&self, history: &History) -> u32 {
        self.planned_now(history).map_or(1, |planned| planned.at_least)
    }

    /// The step towards the planned shards.
    pub(super) fn planned_step(
        &mut self,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
        newest: Minute,
    ) -> Option<Remedy> {
        let planned = self.planned_now(history)?;
        let evidence = &mut self.decision.evidence;
        (evidence.planned_shards, evidence.planned_until) = (Some(planned.at_least), Some(planned.until));
        if planned.at_least <= stream.open_shards {
            return None;
        }
        self.decision.evidence.expected_by = Some(ExpectedBy::Plan);
        if let Some(held) = self.held_by_today(history) {
            self.decision.evidence.foresight_held = Some(held);
            return None;
        }
        self.step(planned.at_least, stream, policy, history, newest)
    }
}
