//! A decision, carried out: the intent into the stream's tag, then the change, then its AutoFix datum. What to do is decided;
//! here it is only done, or found to be impossible, by name.

use super::wire::{Answer, Look, Unmade, Wire};
use crate::decide::{Decision, Reason, Remedy, Verdict};
use crate::memory::{Memory, TAG};
use crate::observation::Observation;
use crate::policy::Mode;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// A change of capacity goes out only if the stream's summary was asked for less than this long ago: AWS's shortest
/// change takes about four seconds, so none can have begun and ended in between.
pub const LOOK_GOOD_FOR: Duration = Duration::from_secs(3);

/// The note of a hold is not begun with less time than this: a tag is written in far less.
const SHORTEST_CALL: Duration = Duration::from_millis(500);

/// An intent that this run has written, and the tag before it.
#[derive(Clone, Debug)]
pub(super) struct Intent {
    memory: Memory,
    remedy: Remedy,
    text: String,
    before: Option<String>,
    /// What is to be counted now that the intent says so.
    owed: Owed,
}

/// Data that a decision is to send once its memory is written: the memory says that they were.
#[derive(Clone, Debug, Default)]
struct Owed {
    uncounted: Vec<(&'static str, DateTime<Utc>)>,
    reverted: Option<DateTime<Utc>>,
}

impl Owed {
    fn of(decision: &Decision) -> Owed {
        Owed { uncounted: decision.uncounted.clone(), reverted: decision.reverted }
    }

    /// These, and those of `other` that are not among them.
    fn and(mut self, other: Owed) -> Owed {
        let news = other.uncounted.into_iter().filter(|datum| !self.uncounted.contains(datum)).collect::<Vec<_>>();
        self.uncounted.extend(news);
        Owed { reverted: self.reverted.or(other.reverted), ..self }
    }

    async fn send<W: Wire>(&self, wire: &mut W) {
        for (action, at) in &self.uncounted {
            wire.count(action, *at).await;
        }
        if let Some(at) = self.reverted {
            wire.count_reverted(at).await;
        }
    }
}

impl Intent {
    /// Takes our own intent out of a later look of the same run, so that it is not taken for another run's. On a stream
    /// that has changed meanwhile it stays: it may stand for the change of a run whose intent ours has overwritten.
    pub(super) fn pardon(&self, seen: &mut Observation) {
        let change = self.memory.change.as_ref();
        let unchanged = seen.stream.as_ref().zip(change).is_some_and(|(s, change)| change.is_undone(s));
        if unchanged && seen.tags.get(TAG) == Some(&self.text) {
            match &self.before {
                Some(before) => seen.tags.insert(TAG.into(), before.clone()),
                None => seen.tags.remove(TAG),
            };
        }
    }
}

/// Sends what was to be counted with an intent, where no decision is carried out after it.
pub(super) async fn settle<W: Wire>(intent: Option<Intent>, wire: &mut W) {
    if let Some(intent) = intent {
        intent.owed.send(wire).await;
    }
}

/// What came of carrying out a decision.
#[expect(clippy::large_enum_variant, reason = "one lives at a time, and not for long")]
pub(super) enum Acted {
    /// It is done; the decision's verdict says what AWS made of it.
    Done {
        decision: Decision,
        /// AWS's answer did not fit the look: the next signal must look again.
        surprised: bool,
    },
    /// The look has grown too old for a change: look again. Nothing but the intent was written.
    Stale(Intent),
}

/// Why a decision was not carried out.
enum Stop<E> {
    Hold(Reason),
    Stale(Box<Intent>),
    Fail(E),
}

/// Carries out `decision`, taken on `look`. `earlier`: the intent that this run has already written. Fails with a call
/// that AWS did not answer, or throttled to the end.
pub(super) async fn act<W: Wire>(
    wire: &mut W,
    look: &Look,
    decision: Decision,
    earlier: Option<Intent>,
) -> Result<Acted, W::Error> {
    if decision.mode != Mode::Heal {
        settle(earlier, wire).await;
        return Ok(Acted::Done { decision, surprised: false });
    }
    let mut actor = Actor { wire, look, owed: Owed::default(), surprised: false };
    match actor.carry_out(&decision, earlier).await {
        Ok(()) => Ok(Acted::Done { decision, surprised: actor.surprised }),
        Err(Stop::Hold(reason)) => {
            let decision = Decision { verdict: Verdict::Hold(reason), ..decision };
            Ok(Acted::Done { decision, surprised: actor.surprised })
        }
        Err(Stop::Stale(intent)) => Ok(Acted::Stale(*intent)),
        Err(Stop::Fail(error)) => Err(error),
    }
}

struct Actor<'a, W> {
    wire: &'a mut W,
    look: &'a Look,
    /// What is to be counted, because the memory in the tag says so.
    owed: Owed,
    surprised: bool,
}

impl<W: Wire> Actor<'_, W> {
    async fn carry_out(&mut self, decision: &Decision, earlier: Option<Intent>) -> Result<(), Stop<W::Error>> {
        self.owed = earlier.as_ref().map(|intent| intent.owed.clone()).unwrap_or_default();
        let done = match &decision.verdict {
            Verdict::Act(remedy) => self.heal(decision, remedy, earlier).await,
            Verdict::Hold(_) => self.note(decision).await,
        };
        // A look that could not note it finds it again.
        if !matches!(done, Err(Stop::Stale(_))) {
            self.owed.send(self.wire).await;
        }
        done
    }

    /// How old the look is.
    fn age(&self) -> Duration {
        self.wire.clock().saturating_sub(self.look.asked)
    }

    /// The intent, the change, its datum.
    async fn heal(
        &mut self,
        decision: &Decision,
        remedy: &Remedy,
        earlier: Option<Intent>,
    ) -> Result<(), Stop<W::Error>> {
        let intent = match earlier.filter(|e| e.remedy == *remedy) {
            Some(announced) => announced,
            None => self.announce(decision, remedy).await?,
        };
        self.owed = intent.owed.clone();
        if self.age() >= LOOK_GOOD_FOR {
            return Err(Stop::Stale(Box::new(intent)));
        }
        self.change(remedy, &intent.memory).await?;
        let at = intent.memory.change.map_or_else(|| self.wire.now(), |change| change.at);
        self.wire.count(Remedy::code_of(remedy.kind()), at).await;
        Ok(())
    }

    /// What a hold has found out. Only while the look is good: a later write could erase the intent of another run.
    async fn note(&mut self, decision: &Decision) -> Result<(), Stop<W::Error>> {
        let Some(memory) = &decision.memory else { return Ok(()) };
        let left = LOOK_GOOD_FOR.saturating_sub(self.age());
        if left < SHORTEST_CALL {
            return match decision.verdict {
                // What is not noted is found, and told, by the next look.
                Verdict::Hold(Reason::Healthy { .. }) => Err(Stop::Hold(Reason::Healthy { healed: None })),
                _ => Ok(()),
            };
        }
        self.remember(decision, memory, Some(left)).await?;
        self.owed = Owed::of(decision);
        Ok(())
    }

    /// Writes what a decision is to be remembered by. Where nobody knows whether it was written, a revert is counted all the
    /// same: a look that reads it in the memory takes it for told. What else is owed is looked for in the metric.
    async fn remember(
        &mut self,
        decision: &Decision,
        memory: &Memory,
        within: Option<Duration>,
    ) -> Result<String, Stop<W::Error>> {
        let written = self.write(memory, within).await;
        if matches!(written, Err(Stop::Fail(_))) {
            self.owed.reverted = self.owed.reverted.or(decision.reverted);
        }
        written
    }

    async fn announce(&mut self, decision: &Decision, remedy: &Remedy) -> Result<Intent, Stop<W::Error>> {
        let memory = decision.memory.clone().unwrap_or_default();
        let text = self.remember(decision, &memory, None).await?;
        let before = self.look.observation.tags.get(TAG).cloned();
        let owed = self.owed.clone().and(Owed::of(decision));
        Ok(Intent { memory, remedy: remedy.clone(), text, before, owed })
    }

    /// Writes the memory into the tag, and gives the tag's value.
    async fn write(&mut self, memory: &Memory, within: Option<Duration>) -> Result<String, Stop<W::Error>> {
        let text = memory.encode().map_err(|e| Stop::Hold(Reason::CannotRemember(e.to_string())))?;
        match self.wire.tag(&text, within).await {
            Ok(()) => Ok(text),
            // Still throttled after its retries: Lambda tries the whole run again.
            Err(Unmade { answer: Some(answer), error }) if answer.is_throttle() => Err(Stop::Fail(error)),
            Err(unmade) => Err(match stop(unmade) {
                Stop::Hold(Reason::Refused { code, message }) => {
                    Stop::Hold(Reason::CannotRemember(format!("{code}: {message}")))
                }
                other => other,
            }),
        }
    }

    async fn change(&mut self, remedy: &Remedy, memory: &Memory) -> Result<(), Stop<W::Error>> {
        let before = match self.wire.change(remedy).await {
            Ok(before) => before,
            Err(unmade) => {
                let stopped = stop(unmade);
                if let Stop::Hold(Reason::Refused { code, .. }) = &stopped {
                    let is_limit = code == "LimitExceededException";
                    self.write(&memory.refuse(remedy.kind(), self.wire.now(), is_limit), None).await?;
                }
                return Err(stopped);
            }
        };
        let (Remedy::ScaleShards { from, to, .. } | Remedy::Restore { from, to, .. }) = remedy else { return Ok(()) };
        self.surprised = before != Some(*from);
        // Somebody else has just made the same change.
        if before == Some(*to) { Err(Stop::Hold(Reason::Resharding)) } else { Ok(()) }
    }
}

impl Answer {
    fn is_throttle(&self) -> bool {
        matches!(self.code.as_str(), "LimitExceededException" | "ThrottlingException")
    }
}

/// What it means that a call was not made: an answer of AWS's is a hold, anything else is a failure.
fn stop<E>(Unmade { answer, error }: Unmade<E>) -> Stop<E> {
    match answer {
        None => Stop::Fail(error),
        Some(Answer { code, message }) => Stop::Hold(match code.as_str() {
            "ResourceInUseException" => Reason::Resharding,
            "ResourceNotFoundException" => Reason::StreamGone,
            _ => Reason::Refused { code, message },
        }),
    }
}
