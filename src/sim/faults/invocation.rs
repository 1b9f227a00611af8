//! One run of the Lambda for one stream, as the five steps of `heal` and the calls of `act`, in their order. What is AWS's
//! goes over a [`Wire`]: between any two calls the run stands still, and others may run, or it may be dropped, which is a
//! crash. The decision is the crate's own [`decide`]; nothing about policy is written a second time.

use super::super::ours::outcome;
use super::super::rules::Refusal;
use super::super::time;
use super::super::world::home;
use crate::decide::{Decision, Reason, Remedy, Verdict, Wants, decide, suppress_for, triage};
use crate::memory::{Memory, TAG};
use crate::observation::{Fleet, Limits, Minute, Observation};
use crate::policy::{MODE_TAG, Mode, Policy};
use crate::signal::Signal;
use chrono::{DateTime, TimeDelta, Utc};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// How often a run looks: `heal`'s `LOOKS`.
const LOOKS: usize = 2;

/// How long a look is good for a change, in seconds: `act`'s `LOOK_GOOD_FOR`.
pub(super) const LOOK_GOOD_FOR: i64 = 3;

/// How long a container's copy of the account's limits is good, in seconds, and how long it takes it that AWS would not
/// tell: `observe`'s `LIMITS_KEPT_FOR` and `LIMITS_UNKNOWN_FOR`.
const LIMITS_KEPT_FOR: i64 = 60;
/// See [`LIMITS_KEPT_FOR`].
const LIMITS_UNKNOWN_FOR: i64 = 5;

/// A call of AWS's.
#[derive(Clone, Debug)]
pub(super) enum Call {
    /// Summary, tags, metrics and limits, all at once.
    Look,
    /// What a decision wants beyond that.
    LookCloser(Box<Observation>, Wants),
    /// `TagResource` of the memory.
    Tag {
        text: String,
        /// Given up after so many seconds; `None`: when the client gives up.
        within: Option<i64>,
    },
    /// The change.
    Change(Remedy),
    /// `PutMetricData` of AutoFix.
    Count(&'static str, DateTime<Utc>),
    /// `PutMetricData` of Reverted.
    CountReverted(DateTime<Utc>),
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Seen(Box<Observation>),
    Done,
    /// The shards that were open before, where AWS tells.
    Changed(Option<u32>),
    Refused(Refusal),
    /// Nothing, or a 5xx: nobody knows whether it was carried out.
    Silence,
}

/// Between a run and AWS: a call that waits for its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Wire(Rc<RefCell<Line>>);

#[derive(Debug, Default)]
struct Line {
    now: i64,
    call: Option<Call>,
    answer: Option<Answer>,
}

impl Wire {
    /// Seconds of the virtual time.
    fn now(&self) -> i64 {
        self.0.borrow().now
    }

    pub(super) fn set_now(&self, now: i64) {
        self.0.borrow_mut().now = now;
    }

    /// The call that the run has made since the last answer.
    pub(super) fn taken(&self) -> Option<Call> {
        self.0.borrow_mut().call.take()
    }

    pub(super) fn answer(&self, answer: Answer) {
        self.0.borrow_mut().answer = Some(answer);
    }

    async fn call(&self, call: Call) -> Answer {
        self.0.borrow_mut().call = Some(call);
        poll_fn(|_| self.0.borrow_mut().answer.take().map_or(Poll::Pending, Poll::Ready)).await
    }
}

/// What a container remembers from one run to the next. One that crashes forgets it.
#[derive(Debug, Default)]
pub(super) struct Container {
    /// When the stream was last looked at, and what came of it.
    looked: Option<(i64, &'static str)>,
    /// Its own changes, minute by minute.
    changes: BTreeMap<Minute, u32>,
    limits: Option<(i64, Option<Limits>)>,
}

impl Container {
    /// When AWS told it the account's limits, if it did.
    pub(super) fn limits_of(&self) -> Option<i64> {
        self.limits.filter(|(_, limits)| limits.is_some()).map(|(read, _)| read)
    }
}

/// A run that failed: Lambda tries it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// AWS could not be read.
    Read,
    /// A call that writes was not answered, or throttled to the end.
    Act,
    /// Everything took too long, twice.
    TooSlow,
}

/// What a run does wrong, so that the checks can be seen to find it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumIter)]
pub(super) enum Flaw {
    #[default]
    None,
    /// Changes the stream on a look of any age.
    OldLook,
    /// Does not write its intent.
    NoIntent,
    /// Does not read the memory.
    Forgetful,
    /// Counts each change twice.
    CountsTwice,
    /// Counts no change, and none that is missing.
    CountsNever,
    /// Counts before it changes.
    CountsFirst,
    /// Does not read the tag that switches it off.
    DeafToTags,
    /// Scales to twice the shards, whatever is needed.
    Doubles,
    /// Scales to three times the shards.
    Triples,
    /// Changes nothing.
    Idle,
}

/// A run, from its signal to what came of it.
pub(super) struct Invocation {
    pub(super) wire: Wire,
    pub(super) signal: Signal,
    pub(super) policy: Rc<Policy>,
    pub(super) container: Rc<RefCell<Container>>,
    pub(super) flaw: Flaw,
}

struct Look {
    seen: Observation,
    asked: i64,
}

/// An intent that this run has written, and the tag before it: `act::Intent`.
struct Intent {
    memory: Memory,
    remedy: Remedy,
    text: String,
    before: Option<String>,
    owed: Owed,
}

/// Data that the memory says were sent: `act::Owed`.
#[derive(Clone, Default)]
struct Owed {
    uncounted: Vec<(&'static str, DateTime<Utc>)>,
    reverted: Option<DateTime<Utc>>,
}

impl Owed {
    fn of(decision: &Decision) -> Owed {
        Owed { uncounted: decision.uncounted.clone(), reverted: decision.reverted }
    }
}

impl Intent {
    /// `act::Intent::pardon`.
    fn pardon(&self, look: &mut Look) {
        let change = self.memory.change.as_ref();
        let unchanged = look.seen.stream.as_ref().zip(change).is_some_and(|(s, change)| change.is_undone(s));
        let tags = &mut look.seen.tags;
        if unchanged && tags.get(TAG) == Some(&self.text) {
            match &self.before {
                Some(before) => tags.insert(TAG.into(), before.clone()),
                None => tags.remove(TAG),
            };
        }
    }
}

impl Invocation {
    /// `Healer::five_steps`.
    pub(super) async fn run(self) -> Result<Verdict, Failed> {
        if let Some(held) = triage(&self.signal, &self.policy, &home()).or_else(|| self.just_looked()) {
            return Ok(Verdict::Hold(held));
        }
        let mut intent = None::<Intent>;
        for _ in 0..LOOKS {
            let mut look = self.look().await?;
            if let Some(intent) = &intent {
                intent.pardon(&mut look);
            }
            let mut decision = self.decide(&mut look).await?;
            if intent.is_some() && matches!(decision.verdict, Verdict::Hold(_)) {
                decision.write_nothing();
            }
            let reserved = is_change(&decision);
            let mut actor = Actor { wire: &self.wire, owed: Owed::default(), surprised: false, flaw: self.flaw };
            let acted = actor.carry_out(&look, &decision, intent.take()).await;
            let is_made = matches!(acted, Ok(()) | Err(Stop::Fail));
            if reserved && !is_made {
                self.give_back();
            }
            let verdict = match acted {
                Ok(()) => decision.verdict,
                Err(Stop::Hold(reason)) => Verdict::Hold(reason),
                Err(Stop::Fail) => return Err(Failed::Act),
                Err(Stop::Stale(announced)) => {
                    intent = Some(*announced);
                    continue;
                }
            };
            if !actor.surprised {
                self.container.borrow_mut().looked = Some((self.wire.now(), verdict.code()));
            }
            return Ok(verdict);
        }
        if let Some(Intent { owed, .. }) = intent {
            Actor { wire: &self.wire, owed: Owed::default(), surprised: false, flaw: self.flaw }.send(&owed).await;
        }
        Err(Failed::TooSlow)
    }

    /// `Healer::just_looked`.
    fn just_looked(&self) -> Option<Reason> {
        let (at, code) = self.container.borrow().looked.filter(|_| matches!(self.signal, Signal::Throttle(_)))?;
        (TimeDelta::seconds(self.wire.now() - at) < suppress_for(code)).then_some(Reason::JustLooked)
    }

    /// `Observer::look`.
    async fn look(&self) -> Result<Look, Failed> {
        let asked = self.wire.now();
        let Answer::Seen(seen) = self.wire.call(Call::Look).await else { return Err(Failed::Read) };
        let mut seen = *seen;
        let mut container = self.container.borrow_mut();
        let kept = container.limits.filter(|(read, limits)| {
            asked - read < if limits.is_some() { LIMITS_KEPT_FOR } else { LIMITS_UNKNOWN_FOR }
        });
        let (read, limits) = kept.unwrap_or((asked, seen.limits));
        (container.limits, seen.limits) = (Some((read, limits)), limits);
        match self.flaw {
            Flaw::Forgetful => drop(seen.tags.remove(TAG)),
            Flaw::DeafToTags => drop(seen.tags.remove(MODE_TAG)),
            _ => {}
        }
        Ok(Look { seen, asked })
    }

    /// `Healer::decide`.
    async fn decide(&self, look: &mut Look) -> Result<Decision, Failed> {
        loop {
            match self.decide_within(&mut look.seen) {
                Ok(decision) => return Ok(decision),
                Err(wants) => {
                    let call = Call::LookCloser(Box::new(look.seen.clone()), wants);
                    let Answer::Seen(seen) = self.wire.call(call).await else { return Err(Failed::Read) };
                    look.seen = *seen;
                }
            }
        }
    }

    /// `Healer::decide_within`; a sweep of one stream has all its changes left.
    fn decide_within(&self, seen: &mut Observation) -> Result<Decision, Wants> {
        let now = time(self.wire.now());
        let own = &mut self.container.borrow_mut().changes;
        let left_in_sweep = matches!(self.signal, Signal::Sweep(_)).then_some(self.policy.max_changes_per_sweep);
        seen.fleet = Fleet { left_in_sweep, ..Fleet::of(&seen.traffic, own, now) };
        let mut decision = decide(&self.signal, seen, &self.policy, now)?;
        self.flaw.spoil(&mut decision);
        if is_change(&decision) {
            let minute = Minute::of(now);
            own.retain(|known, _| *known > minute.plus(-60));
            *own.entry(minute).or_default() += 1;
        }
        Ok(decision)
    }

    /// `Healer::give_back`.
    fn give_back(&self) {
        if let Some(mut newest) = self.container.borrow_mut().changes.last_entry() {
            *newest.get_mut() = newest.get().saturating_sub(1);
        }
    }
}

impl Flaw {
    fn spoil(self, decision: &mut Decision) {
        match (self, &mut decision.verdict) {
            (Flaw::Doubles, Verdict::Act(Remedy::ScaleShards { from, to, .. })) => *to = 2 * *from,
            (Flaw::Triples, Verdict::Act(Remedy::ScaleShards { from, to, .. })) => *to = 3 * *from,
            (Flaw::CountsNever, _) => decision.uncounted.clear(),
            (Flaw::Idle, Verdict::Act(_)) => {
                decision.write_nothing();
                decision.verdict = Verdict::Hold(Reason::Healthy { healed: None });
            }
            _ => {}
        }
    }
}

/// Whether the stream is changed, and not only would be.
fn is_change(decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::Act(_)) && decision.mode == Mode::Heal
}

/// Why a decision was not carried out: `act::Stop`.
enum Stop {
    Hold(Reason),
    Stale(Box<Intent>),
    Fail,
}

/// `act::Actor`.
struct Actor<'a> {
    wire: &'a Wire,
    owed: Owed,
    surprised: bool,
    flaw: Flaw,
}

impl Actor<'_> {
    /// `Actor::carry_out`.
    async fn carry_out(&mut self, look: &Look, decision: &Decision, earlier: Option<Intent>) -> Result<(), Stop> {
        if decision.mode != Mode::Heal {
            return Ok(());
        }
        let done = match &decision.verdict {
            Verdict::Act(remedy) => self.heal(look, decision, remedy, earlier).await,
            Verdict::Hold(_) => {
                self.owed = earlier.map(|intent| intent.owed).unwrap_or_default();
                self.note(look, decision).await
            }
        };
        if !matches!(done, Err(Stop::Stale(_))) {
            let owed = std::mem::take(&mut self.owed);
            self.send(&owed).await;
        }
        done
    }

    /// `Actor::send`.
    async fn send(&self, owed: &Owed) {
        for (action, at) in &owed.uncounted {
            self.wire.call(Call::Count(action, *at)).await;
        }
        if let Some(at) = owed.reverted {
            self.wire.call(Call::CountReverted(at)).await;
        }
    }

    /// `Actor::heal`: the intent, the change, its datum.
    async fn heal(
        &mut self,
        look: &Look,
        decision: &Decision,
        remedy: &Remedy,
        earlier: Option<Intent>,
    ) -> Result<(), Stop> {
        let intent = match earlier.filter(|e| e.remedy == *remedy) {
            Some(announced) => announced,
            None => self.announce(look, decision, remedy).await?,
        };
        self.owed = intent.owed.clone();
        if self.wire.now() - look.asked >= LOOK_GOOD_FOR && self.flaw != Flaw::OldLook {
            return Err(Stop::Stale(Box::new(intent)));
        }
        let at = intent.memory.change.as_ref().map_or_else(|| time(self.wire.now()), |change| change.at);
        let datum = Call::Count(Remedy::code_of(remedy.kind()), at);
        if self.flaw == Flaw::CountsFirst {
            self.wire.call(datum.clone()).await;
        }
        self.change(remedy, &intent.memory).await?;
        if !matches!(self.flaw, Flaw::CountsNever | Flaw::CountsFirst) {
            self.wire.call(datum.clone()).await;
        }
        if self.flaw == Flaw::CountsTwice {
            self.wire.call(datum).await;
        }
        Ok(())
    }

    /// `Actor::note`. In whole seconds a look that is not over has time for one more call.
    async fn note(&mut self, look: &Look, decision: &Decision) -> Result<(), Stop> {
        let Some(memory) = &decision.memory else { return Ok(()) };
        let left = LOOK_GOOD_FOR - (self.wire.now() - look.asked);
        if left <= 0 {
            return match decision.verdict {
                Verdict::Hold(Reason::Healthy { .. }) => Err(Stop::Hold(Reason::Healthy { healed: None })),
                _ => Ok(()),
            };
        }
        self.write(memory, Some(left)).await?;
        self.owed = Owed::of(decision);
        Ok(())
    }

    /// `Actor::announce`.
    async fn announce(&self, look: &Look, decision: &Decision, remedy: &Remedy) -> Result<Intent, Stop> {
        let memory = decision.memory.clone().unwrap_or_default();
        let text = if self.flaw == Flaw::NoIntent { String::new() } else { self.write(&memory, None).await? };
        let before = look.seen.tags.get(TAG).cloned();
        Ok(Intent { memory, remedy: remedy.clone(), text, before, owed: Owed::of(decision) })
    }

    /// `Actor::write`.
    async fn write(&self, memory: &Memory, within: Option<i64>) -> Result<String, Stop> {
        let text = memory.encode().map_err(|e| Stop::Hold(Reason::CannotRemember(e.to_string())))?;
        match self.wire.call(Call::Tag { text: text.clone(), within }).await {
            Answer::Done => Ok(text),
            Answer::Refused(refusal) if refusal.code != "LimitExceededException" => {
                Err(Stop::Hold(Reason::CannotRemember(refusal.to_string())))
            }
            _ => Err(Stop::Fail),
        }
    }

    /// `Actor::change`.
    async fn change(&mut self, remedy: &Remedy, memory: &Memory) -> Result<(), Stop> {
        let answer = match self.wire.call(Call::Change(remedy.clone())).await {
            Answer::Changed(current) => Ok(current),
            Answer::Refused(refusal) => Err(refusal),
            _ => return Err(Stop::Fail),
        };
        self.surprised = matches!(answer, Ok(Some(current)) if current != remedy.step().0);
        let made = outcome(remedy, &answer);
        if let Err(Reason::Refused { code, .. }) = &made {
            let now = time(self.wire.now());
            self.write(&memory.refuse(remedy.kind(), now, code == "LimitExceededException"), None).await?;
        }
        made.map_err(Stop::Hold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_good_for_as_long_as_the_lambda_takes_it() {
        assert_eq!(LOOK_GOOD_FOR as u64, crate::act::LOOK_GOOD_FOR.as_secs());
    }
}
