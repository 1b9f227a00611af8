//! The shards that a person has planned.

use super::super::Case;
use super::super::history::History;
use super::super::restore::utc;
use crate::decision::{ExpectedBy, ForesightHeld, Reason, Remedy};
use crate::memory::{Memory, Planned};
use crate::observation::{CapacityMode, Minute, Stream};
use crate::policy::StreamPolicy;
use chrono::{DateTime, TimeDelta, Utc};

/// The longest plan, in days. A longer one is a typing error, or a larger stream: then a person sets its shards. A
/// shorter maximum could refuse a sale that takes a month.
const LONGEST_DAYS: i64 = 31;

/// A plan of this number of shards ends the plan before it: every stream has one shard.
const ENDS_A_PLAN: u32 = 1;

/// A plan begins at once. The clock of who asks may be ahead by this time. With less, a schedule could be refused; with
/// more, shards would come long before they are planned.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(5);

impl Case<'_> {
    /// Records the plan that a person asks for in `memory`. Of two plans the larger number of shards and the later end
    /// count. A plan that is over is forgotten, and so is one that is longer than a plan may be: unthrottle did not
    /// write it.
    ///
    /// # Errors
    /// The hold of a plan that cannot be kept.
    pub(in crate::decide) fn plan(
        &mut self,
        stream: &Stream,
        policy: &StreamPolicy,
        memory: &mut Memory,
    ) -> Result<(), Reason> {
        memory.planned = memory.planned.filter(|planned| planned.is_running(self.now));
        let taken = self.take_plan(stream, policy, memory);
        if let Some(Planned { at_least, until }) = memory.planned.filter(|_| stream.mode == CapacityMode::Provisioned) {
            let evidence = &mut self.decision.evidence;
            (evidence.planned_shards, evidence.planned_until) = (Some(at_least), Some(until));
        }
        taken
    }

    fn take_plan(&mut self, stream: &Stream, policy: &StreamPolicy, memory: &mut Memory) -> Result<(), Reason> {
        let Some((plan @ Planned { at_least, until }, from)) = self.signal.plan() else { return Ok(()) };
        let (now, max) = (self.now, policy.max_shards);
        let why = if let Some(from) = from.filter(|from| *from > now + CLOCKS_DIFFER) {
            format!(
                "it begins at {}, and a plan begins at once: ask then, or let `unthrottle plan` make a schedule",
                utc(from)
            )
        } else if until <= now {
            format!("it ends at {}, and that is over", utc(until))
        } else if !plan.is_running(now) {
            format!("it ends at {}, and a plan may last {LONGEST_DAYS} days", utc(until))
        } else if at_least > max {
            format!("it names {at_least} shards, and the maximum of the stream is {max}")
        } else if stream.mode != CapacityMode::Provisioned {
            "the stream is in on-demand mode, where AWS sets the shards".into()
        } else {
            memory.planned = plan.beside(memory.planned);
            // Whatever this run finds next, the plan is kept.
            self.decision.memory = Some(memory.clone());
            return Ok(());
        };
        Err(Reason::NotPlanned(why))
    }

    /// The plan that counts now.
    pub(super) fn planned_now(&self, history: &History) -> Option<Planned> {
        history.memory.planned.filter(|planned| planned.is_running(self.now))
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
        let planned = self.planned_now(history).filter(|planned| planned.at_least > stream.open_shards)?;
        self.decision.evidence.expected_by = Some(ExpectedBy::Plan);
        if let Some(held) = self.held_by_today(history) {
            self.decision.evidence.foresight_held = Some(held);
            return None;
        }
        self.step(planned.at_least, stream, policy, history, newest)
    }
    /// The step towards the planned shards where the stream would be held by `decided`, and neither throttling nor a
    /// change under way is the reason. Where something allows no step, that is the hold, unless a person must know of
    /// `decided`.
    pub(in crate::decide) fn or_planned(
        &mut self,
        decided: Result<Remedy, Reason>,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &History,
    ) -> Result<Remedy, Reason> {
        let newest = self.newest();
        let is_settled = history.settled(newest).is_ok() && history.is_unproven(newest).is_none();
        let is_behind = stream.mode == CapacityMode::Provisioned && self.planned_shards(history) > stream.open_shards;
        let reason = match decided {
            Err(reason) if is_behind && is_settled && leaves_time(&reason) && self.signal.undo().is_none() => reason,
            decided => return decided,
        };
        let before = self.decision.evidence.clone();
        match self.planned_step(stream, policy, history, newest) {
            Some(step) => Ok(step),
            None if reason.needs_person() => {
                self.decision.evidence = before;
                Err(reason)
            }
            None => Err(Reason::PlanNotReached),
        }
    }

    /// The hold of a step ahead of the load that the bounds of the fleet do not allow.
    pub(in crate::decide) fn held_by_fleet(&mut self) -> Reason {
        let evidence = &mut self.decision.evidence;
        evidence.foresight_held = Some(ForesightHeld::Fleet);
        match evidence.expected_by {
            Some(ExpectedBy::Plan) => Reason::PlanNotReached,
            _ => Reason::Healthy { healed: None },
        }
    }
}

/// Whether a stream that is held for this reason may get its planned shards: nothing throttles that more shards could
/// help, and the next minutes decide nothing.
fn leaves_time(reason: &Reason) -> bool {
    use Reason as R;
    matches!(
        reason,
        R::Healthy { healed: None }
            | R::Negligible
            | R::Unconfirmed { .. }
            | R::ConsumerSlow { .. }
            | R::SkewSuspected(_)
            | R::MicroBurst
            | R::LargeRecords
            | R::UnevenReads
            | R::TooManyReaders(_)
            | R::ReaderCatchingUp
    )
}

impl Planned {
    /// Whether the plan counts at `now`: it is not over, and not longer than a plan may be.
    pub(crate) fn is_running(&self, now: DateTime<Utc>) -> bool {
        now < self.until && self.until - now <= TimeDelta::days(LONGEST_DAYS)
    }

    /// This plan beside the one that `runs`. A smaller or shorter plan takes nothing from it. `None`: it ends it.
    fn beside(self, runs: Option<Planned>) -> Option<Planned> {
        let all = runs.map_or(self, |runs| Planned {
            at_least: self.at_least.max(runs.at_least),
            until: self.until.max(runs.until),
        });
        (self.at_least > ENDS_A_PLAN).then_some(all)
    }
}
