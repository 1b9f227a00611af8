//! One AWS call of a run: its duration, its trouble, and AWS's answer.

use super::super::check::{self, Broken, Seen};
use super::super::invocation::{Answer, Call, seconds};
use super::super::schedule::{CallKind, TROUBLE_ENDS, Trouble};
use super::Play;
use super::runs::Run;
use crate::rules::Refusal;
use crate::sim::chance::Chance;
use crate::sim::ours;
use crate::sim::time;
use crate::sim::world::By;
use chrono::{DateTime, Utc};
use unthrottle_core::memory::TAG;

/// Durations of calls without trouble, in seconds. Real calls take a tenth of a second. With longer calls, more events
/// happen between two calls.
const TAKES: [i64; 6] = [0, 0, 0, 1, 1, 2];

/// The timeouts of the clients, in seconds: of a call with its retries, of the single attempt of a change, and of a
/// datum. `tests/model.rs` compares these numbers with those of the Lambda.
pub const PATIENCE: (i64, i64, i64) = (6, 1, 3);

/// Seconds from one attempt to the next.
pub const ATTEMPT: i64 = 3;

/// A call under way.
pub(super) struct Pending {
    pub(super) call: Call,
    pub(super) trouble: Option<Trouble>,
    pub(super) sent: i64,
    /// The seconds at which AWS carries it out: one, or two for a call that the client sends twice.
    pub(super) carried_out_at: Vec<i64>,
    pub(super) answered_at: i64,
    /// Whether the client times out before the answer.
    pub(super) is_cut: bool,
    pub(super) answer: Answer,
}

impl Play {
    /// Sends a call: draws its duration, and takes its trouble from the schedule.
    pub(super) fn send(&mut self, call: Call) -> Pending {
        let on = kind(&call);
        let found = self.troubles.iter().position(|(of, _)| *of == on);
        let trouble = found.map(|n| self.troubles.remove(n).1);
        self.count_trouble(trouble.map(Trouble::name));
        let patience = patience(&call);
        let slow = TAKES[usize::try_from(self.chance.between(0, TAKES.len() as i64 - 1)).unwrap_or_default()];
        let usual = if self.world.now() < TROUBLE_ENDS { slow } else { 0 };
        let takes = match trouble {
            Some(Trouble::Slow(seconds)) => seconds,
            Some(Trouble::AnswerLost | Trouble::Failed) => patience + 1,
            Some(Trouble::Twice) => ATTEMPT + usual,
            _ => usual.min(patience),
        };
        let sent = self.world.now();
        let first = sent + self.chance.between(0, takes.min(patience));
        let carried_out_at = match trouble {
            Some(Trouble::Failed) => vec![],
            Some(Trouble::Twice) if ATTEMPT <= patience => vec![sent, sent + ATTEMPT],
            _ => vec![first],
        };
        if let (Some(Trouble::Failed), Call::Count(change)) = (trouble, &call) {
            self.check.datum_touched(second(change.at));
        }
        let answered_at = sent + takes.min(patience);
        Pending { call, trouble, sent, carried_out_at, answered_at, is_cut: takes > patience, answer: Answer::Silence }
    }

    /// Carries out a call that reaches AWS.
    pub(super) fn carry_out(&mut self, run: &mut Run, pending: &mut Pending) -> Result<(), Broken> {
        let is_refused = pending.trouble == Some(Trouble::Refused);
        let refusal = || Refusal::new("LimitExceededException", "Rate exceeded for the account.");
        let answer = match &pending.call {
            Call::Complete(..) if is_refused => Answer::Silence,
            Call::Tag { .. } if is_refused => Answer::Refused(refusal()),
            Call::Change(_) if is_refused => {
                self.check.refused();
                Answer::Refused(refusal())
            }
            Call::Observe => {
                let seen = self.observation(pending);
                run.seen = Some(seen.clone());
                Answer::Seen(Box::new(seen.observation))
            }
            Call::Complete(observation, missing) => {
                let mut observation = observation.clone();
                self.world.complete(&mut observation, *missing);
                Answer::Seen(observation)
            }
            Call::Tag { text, .. } => {
                let answer = self.world.tag(By::Policy, TAG, text);
                if let Some(seen) = &run.seen {
                    self.check.written(run.id, seen, &answer)?;
                }
                answer.map_or_else(Answer::Refused, |()| Answer::Done)
            }
            Call::Change(remedy) => {
                let before = self.world.stream();
                let answer = ours::call(&mut self.world, remedy);
                let done = self.world.updating_until().filter(|_| answer.is_ok());
                if let Some(seen) = &run.seen {
                    let limits_of = run.container.limits_of();
                    let (run, sent, before, answer) = (run.id, pending.sent, &before, &answer);
                    self.check.change(&check::Call { run, sent, seen, remedy, limits_of, before, answer, done })?;
                }
                answer.map_or_else(Answer::Refused, Answer::Changed)
            }
            // If CloudWatch refuses the datum, the log line of the run still has it.
            Call::Count(change) => {
                self.world.count(*change);
                self.check.counted(change, second(change.at))?;
                if pending.is_cut {
                    self.check.datum_touched(second(change.at));
                }
                Answer::Done
            }
            Call::CountReverted(at) => {
                self.world.count_reverted(*at);
                Answer::Done
            }
        };
        if pending.is_cut && matches!(pending.call, Call::Change(_)) {
            self.check.touched(run.id);
        }
        self.past.record(&self.world);
        self.trace(|_| format!("run {}: {}", run.id, brief(&pending.call, &answer)));
        pending.answer = if pending.is_cut { Answer::Silence } else { answer };
        Ok(())
    }

    /// Observes the stream. The four reads of an observation happen at different moments.
    fn observation(&mut self, pending: &Pending) -> Seen {
        let now = self.world.now();
        let stale = if let Some(Trouble::Stale(seconds)) = pending.trouble { seconds } else { 0 };
        let mut observation = self.world.observe();
        observation.observed_at = time(pending.sent);
        let moment = |chance: &mut Chance| chance.between(pending.sent, now) - stale;
        observation.stream = Some(self.past.at(moment(&mut self.chance)).1.clone());
        observation.tags = self.past.at(moment(&mut self.chance)).2.clone();
        if pending.trouble == Some(Trouble::Refused) {
            observation.limits = None;
        }
        Seen { asked: pending.sent, stale, observation }
    }
}

/// The longest wait for an answer, in seconds.
pub(super) fn patience(call: &Call) -> i64 {
    match call {
        Call::Tag { within: Some(within), .. } => seconds(*within),
        Call::Change(_) => PATIENCE.1,
        Call::Count(..) | Call::CountReverted(_) => PATIENCE.2,
        _ => PATIENCE.0,
    }
}

fn kind(call: &Call) -> CallKind {
    match call {
        Call::Observe => CallKind::Observe,
        Call::Complete(..) => CallKind::Complete,
        Call::Tag { .. } => CallKind::Tag,
        Call::Change(_) => CallKind::Change,
        Call::Count(..) | Call::CountReverted(_) => CallKind::Count,
    }
}

/// A call and its answer in one line of the trace.
pub(super) fn brief(call: &Call, answer: &Answer) -> String {
    match (call, answer) {
        (Call::Observe, Answer::Seen(observation)) => {
            let stream = observation.stream.as_ref().map(|s| (s.status.as_str(), s.mode.as_str(), s.open_shards));
            let fixes: Vec<String> = observation.traffic.auto_fixes.keys().map(ToString::to_string).collect();
            let newest = observation.traffic.newest(observation.observed_at);
            format!("look: {stream:?} up to {newest}, AutoFix {}; {:?}", fixes.join(" "), observation.tags)
        }
        (Call::Complete(_, missing), _) => format!("{missing:?}"),
        _ => format!("{call:?} → {answer:?}"),
    }
}

/// The second of the run at a time.
pub(super) fn second(at: DateTime<Utc>) -> i64 {
    (at - time(0)).num_seconds()
}
