//! A decision, carried out: the intent into the stream's tag, then the change, then its AutoFix datum. The decision
//! says what to do. This file only does it, or names what AWS made impossible.

use super::account::{Account, Answer, CallFailed, CountedChange, Observed};
use crate::decide::{held_by_aws, is_notified};
use crate::decision::{Decision, DeniedChange, Outcome, Reason, Remedy, Verdict};
use crate::denial::Denial;
use crate::memory::{ChangeKind, Memory, Planned, TAG};
use crate::observation::Observation;
use crate::report::AutoFix;
use crate::signal::StreamArn;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// A change goes out only if the stream's summary was asked for less than this long ago. AWS's shortest change takes
/// about four seconds, so no other change can have begun and ended in between.
pub const OBSERVATION_GOOD_FOR: Duration = Duration::from_secs(3);

/// The action that writes the tag.
const TAG_ACTION: &str = "kinesis:TagResource";

/// The memory of a hold is not written with less time left than this. A tag is written in far less.
const SHORTEST_CALL: Duration = Duration::from_millis(500);

/// A refusal for a quota of the account has these words, of shards ("This request would exceed the shard limit for the
/// account") as well as of streams (terraform-provider-aws issue 38094: "This request would exceed the limit on the
/// number of On-Demand streams"). The next observation reads the account's limits. Only a rate and a daily cap have the
/// same text.
const QUOTA: &str = "would exceed";

/// An intent that this run has written, and the tag before it.
#[derive(Clone, Debug)]
pub(super) struct Intent {
    memory: Memory,
    remedy: Remedy,
    text: String,
    before: Option<String>,
    /// What is to be published, because the intent says that it was.
    unpublished: Unpublished,
}

/// The data that a decision sends once its memory is written: the memory says that they were sent.
#[derive(Clone, Debug, Default)]
struct Unpublished {
    fixes: Vec<CountedChange>,
    revert: Option<DateTime<Utc>>,
}

impl Unpublished {
    fn of(decision: &Decision, seen: &Observation) -> Unpublished {
        if decision.unpublished.is_empty() {
            return Unpublished { revert: decision.reverted, ..Unpublished::default() };
        }
        let known = seen.tags.get(TAG).and_then(|text| Memory::parse(text).ok());
        let memories = || decision.memory.iter().chain(&known);
        let fix = |(action, at): &(&'static str, DateTime<Utc>)| CountedChange {
            action,
            added_shards: memories().find_map(|memory| added_at(memory, *at)).unwrap_or_default(),
            at: *at,
            is_resent: true,
        };
        Unpublished { fixes: decision.unpublished.iter().map(fix).collect(), revert: decision.reverted }
    }

    /// These, and those of `other` that are not among them.
    fn and(mut self, other: Unpublished) -> Unpublished {
        let new = other.fixes.into_iter().filter(|fix| !self.fixes.contains(fix)).collect::<Vec<_>>();
        self.fixes.extend(new);
        Unpublished { revert: self.revert.or(other.revert), ..self }
    }

    /// Sends the data. Gives how the first AutoFix datum went out.
    async fn send<A: Account>(&self, account: &mut A, stream: &StreamArn) -> Option<AutoFix> {
        let mut first = None;
        for fix in &self.fixes {
            let sent = account.count_fix(stream, *fix).await;
            first.get_or_insert(sent);
        }
        if let Some(at) = self.revert {
            account.count_revert(stream, at).await;
        }
        first
    }
}

/// The shards that the change of a memory added, if it was announced at `at`. The memory keeps only the kind of the
/// change before it, so its shards are not counted where its datum was lost.
fn added_at(memory: &Memory, at: DateTime<Utc>) -> Option<u32> {
    let change = memory.change.as_ref().filter(|change| change.at == at)?;
    let is_added = matches!(change.kind, ChangeKind::Scale | ChangeKind::ScaleAhead | ChangeKind::Split);
    Some(change.to.shards()?.saturating_sub(change.from.shards()?)).filter(|_| is_added)
}

impl Intent {
    /// Removes our own intent from a later observation of the same run, so that it does not look like the intent of
    /// another run. On a stream that has changed since, the intent stays: it may stand for the change of a run whose
    /// intent ours has overwritten.
    pub(super) fn ignore_own_intent(&self, seen: &mut Observation) {
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

/// Publishes what an intent says was published, where no decision is carried out after it.
pub(super) async fn publish<A: Account>(
    intent: Option<Intent>,
    account: &mut A,
    stream: &StreamArn,
) -> Option<AutoFix> {
    intent?.unpublished.send(account, stream).await
}

/// What carrying out a decision came to.
#[expect(clippy::large_enum_variant, reason = "one lives at a time, and not for long")]
pub(super) enum Applied {
    /// The decision is carried out. Its verdict says what AWS made of it.
    Done {
        decision: Decision,
        /// How the first AutoFix datum went out: that of this change, or of an earlier one.
        auto_fix: Option<AutoFix>,
        /// AWS's answer did not fit the observation, so the next signal must observe again.
        is_surprise: bool,
    },
    /// The observation is too old for a change. Only the intent was written. `None`: nothing was.
    TooLate(Option<Intent>),
}

impl Applied {
    /// Whether the stream was changed.
    pub(super) fn is_change(&self) -> bool {
        matches!(self, Applied::Done { decision: Decision { verdict: Verdict::Act(_), .. }, .. })
    }
}

/// Why a decision was not carried out.
enum Stop<E> {
    Hold(Reason),
    /// A hold that people got a message about within the last hour.
    Repeated(Reason),
    TooLate(Box<Intent>),
    /// The plan that a person asked for could not be recorded.
    Unplanned,
    Fail(E),
}

/// Carries out `decision`, which was made on `observed`. `has_topic`: people can get messages. `earlier`: the intent
/// that this run has written before. Fails with a call that AWS did not answer, or that AWS throttled after all
/// retries.
pub(super) async fn apply<A: Account>(
    account: &mut A,
    stream: &StreamArn,
    observed: &Observed,
    decision: Decision,
    has_topic: bool,
    earlier: Option<Intent>,
) -> Result<Applied, A::Error> {
    let has_forecast = decision.outcome == Outcome::Planned && decision.memory.is_some();
    if !decision.may_change() && !has_forecast {
        let auto_fix = publish(earlier, account, stream).await;
        return Ok(Applied::Done { decision, auto_fix, is_surprise: false });
    }
    let mut applying = Applying {
        account,
        stream,
        observed,
        unpublished: Unpublished::default(),
        auto_fix: None,
        is_surprise: false,
        is_unrecorded: false,
    };
    let done = applying.carry_out(&decision, earlier).await;
    let Applying { auto_fix, is_surprise, is_unrecorded, .. } = applying;
    let mut decision = decision;
    if is_unrecorded || matches!(done, Err(Stop::Hold(Reason::CannotRemember(_)))) {
        // The run that records it counts it.
        decision.evidence.forecast_was_right = None;
    }
    match done {
        Ok(()) => Ok(Applied::Done { decision, auto_fix, is_surprise }),
        Err(Stop::Hold(reason)) => {
            Ok(Applied::Done { decision: held_by_aws(decision, reason, has_topic), auto_fix, is_surprise })
        }
        Err(Stop::Repeated(reason)) => {
            Ok(Applied::Done { decision: held_by_aws(decision, reason, false), auto_fix, is_surprise })
        }
        Err(Stop::TooLate(intent)) => Ok(Applied::TooLate(Some(*intent))),
        Err(Stop::Unplanned) => Ok(Applied::TooLate(None)),
        Err(Stop::Fail(error)) => Err(error),
    }
}

/// A decision that is being carried out.
struct Applying<'a, A> {
    account: &'a mut A,
    stream: &'a StreamArn,
    observed: &'a Observed,
    /// What is to be published, because the memory in the tag says that it was.
    unpublished: Unpublished,
    /// How the first AutoFix datum went out.
    auto_fix: Option<AutoFix>,
    is_surprise: bool,
    /// The memory of a hold was not written, so a later run finds the same again.
    is_unrecorded: bool,
}

impl<A: Account> Applying<'_, A> {
    async fn carry_out(&mut self, decision: &Decision, earlier: Option<Intent>) -> Result<(), Stop<A::Error>> {
        self.unpublished = earlier.as_ref().map(|intent| intent.unpublished.clone()).unwrap_or_default();
        let done = match &decision.verdict {
            Verdict::Act(remedy) if decision.may_change() => self.heal(decision, remedy, earlier).await,
            // A plan for an expected load is recorded, so that no other run notifies of it again.
            Verdict::Act(_) | Verdict::Hold(_) => self.record(decision).await,
        };
        // An observation that could not be recorded is made again.
        if !matches!(done, Err(Stop::TooLate(_))) {
            let sent = self.unpublished.send(self.account, self.stream).await;
            self.auto_fix = self.auto_fix.or(sent);
        }
        done
    }

    /// How old the observation is.
    fn age(&self) -> Duration {
        self.account.elapsed().saturating_sub(self.observed.asked_at)
    }

    /// The intent, the change, its datum.
    async fn heal(
        &mut self,
        decision: &Decision,
        remedy: &Remedy,
        earlier: Option<Intent>,
    ) -> Result<(), Stop<A::Error>> {
        let intent = match earlier.filter(|e| e.remedy == *remedy) {
            Some(announced) => announced,
            None => self.announce(decision, remedy).await?,
        };
        self.unpublished = intent.unpublished.clone();
        if self.age() >= OBSERVATION_GOOD_FOR {
            return Err(Stop::TooLate(Box::new(intent)));
        }
        self.change(decision, remedy, &intent.memory).await?;
        let at = intent.memory.change.map_or_else(|| self.account.now(), |change| change.at);
        self.auto_fix = Some(self.account.count_fix(self.stream, CountedChange::of(remedy, at)).await);
        Ok(())
    }

    /// Records what a hold has found, as long as the observation is good: a later write could erase the intent of
    /// another run.
    async fn record(&mut self, decision: &Decision) -> Result<(), Stop<A::Error>> {
        let Some(memory) = &decision.memory else { return Ok(()) };
        let left = OBSERVATION_GOOD_FOR.saturating_sub(self.age());
        if left < SHORTEST_CALL {
            self.is_unrecorded = true;
            return match decision.verdict {
                // Without a record, the next run finds it and notifies.
                _ if self.is_new_plan(memory) => Err(Stop::Unplanned),
                Verdict::Hold(Reason::Healthy { .. }) => Err(Stop::Hold(Reason::Healthy { healed: None })),
                _ => Ok(()),
            };
        }
        match self.remember(decision, memory, Some(left)).await {
            // AWS may refuse the tag of a stream that is UPDATING.
            Err(Stop::Hold(Reason::Resharding)) if self.is_new_plan(memory) => return Err(Stop::Unplanned),
            written => written?,
        };
        self.unpublished = Unpublished::of(decision, &self.observed.observation);
        Ok(())
    }

    /// Whether `memory` has another plan than the tag. No later run knows what a person asked for.
    fn is_new_plan(&self, memory: &Memory) -> bool {
        let now = self.account.now();
        let running = |plan: Option<Planned>| plan.filter(|plan| plan.is_running(now));
        let known = self.observed.observation.tags.get(TAG).and_then(|text| Memory::parse(text).ok());
        running(memory.planned) != running(known.and_then(|known| known.planned))
    }

    /// Writes the memory of a decision. A write without an answer counts the revert all the same: a run that reads the
    /// revert in the memory takes it for counted. The metric shows whether the other data were sent.
    async fn remember(
        &mut self,
        decision: &Decision,
        memory: &Memory,
        within: Option<Duration>,
    ) -> Result<String, Stop<A::Error>> {
        let written = self.write(memory, within).await;
        if matches!(written, Err(Stop::Fail(_))) {
            self.unpublished.revert = self.unpublished.revert.or(decision.reverted);
        }
        written
    }

    async fn announce(&mut self, decision: &Decision, remedy: &Remedy) -> Result<Intent, Stop<A::Error>> {
        let memory = decision.memory.clone().unwrap_or_default();
        let text = self.remember(decision, &memory, None).await?;
        let before = self.observed.observation.tags.get(TAG).cloned();
        let unpublished = self.unpublished.clone().and(Unpublished::of(decision, &self.observed.observation));
        Ok(Intent { memory, remedy: remedy.clone(), text, before, unpublished })
    }

    /// Writes the memory into the tag, and gives the tag's value.
    async fn write(&mut self, memory: &Memory, within: Option<Duration>) -> Result<String, Stop<A::Error>> {
        let text = memory.encode().map_err(|e| Stop::Hold(Reason::CannotRemember(e.to_string())))?;
        match self.account.write_memory(self.stream, &text, within).await {
            Ok(()) => Ok(text),
            // Still throttled after its retries: Lambda tries the whole run again.
            Err(CallFailed { answer: Some(answer), error }) if answer.is_throttle() => Err(Stop::Fail(error)),
            Err(failed) => Err(match stop(failed) {
                Stop::Hold(Reason::Refused { code, message }) => {
                    let denial = Denial::of(&code, &message, TAG_ACTION);
                    let why = denial.map_or(message, |denial| denial.to_string());
                    Stop::Hold(Reason::CannotRemember(format!("{code}: {why}")))
                }
                other => other,
            }),
        }
    }

    async fn change(&mut self, decision: &Decision, remedy: &Remedy, memory: &Memory) -> Result<(), Stop<A::Error>> {
        let before = match self.account.change(self.stream, remedy).await {
            Ok(before) => before,
            Err(failed) => return Err(self.refused(stop(failed), decision, remedy, memory).await?),
        };
        let (Remedy::ScaleShards { from, to, .. }
        | Remedy::ScaleAhead { from, to, .. }
        | Remedy::Restore { from, to, .. }) = remedy
        else {
            return Ok(());
        };
        self.is_surprise = before != Some(*from);
        // Another person or tool has just made the same change.
        if before == Some(*to) { Err(Stop::Hold(Reason::Resharding)) } else { Ok(()) }
    }

    /// Records in the memory that AWS refused the change. Where people get a message, it also records that, or finds
    /// that they got it within the last hour.
    async fn refused(
        &mut self,
        stopped: Stop<A::Error>,
        decision: &Decision,
        remedy: &Remedy,
        memory: &Memory,
    ) -> Result<Stop<A::Error>, Stop<A::Error>> {
        let Stop::Hold(Reason::Refused { code, message }) = &stopped else { return Ok(stopped) };
        let now = self.account.now();
        let is_limit = code == "LimitExceededException" && !message.contains(QUOTA);
        let mut refused = memory.refuse(remedy.kind(), now, is_limit);
        let reason = match Denial::of(code, message, remedy.action()) {
            Some(denial) => Reason::ChangeDenied(Box::new(DeniedChange { remedy: remedy.clone(), denial })),
            None => Reason::Refused { code: code.clone(), message: message.clone() },
        };
        let is_lasting = decision.evidence.lasting_refused_share.is_some();
        let stopped = if is_notified(&refused, &reason, is_lasting, now) {
            Stop::Repeated(reason)
        } else {
            if reason.needs_person() || is_lasting {
                refused.record_notified((&reason).into(), now);
            }
            Stop::Hold(reason)
        };
        self.write(&refused, None).await?;
        Ok(stopped)
    }
}

impl Answer {
    fn is_throttle(&self) -> bool {
        matches!(self.code.as_str(), "LimitExceededException" | "ThrottlingException")
    }
}

/// What a failed call means: an answer of AWS's is a hold, anything else is a failure.
fn stop<E>(CallFailed { answer, error }: CallFailed<E>) -> Stop<E> {
    match answer {
        None => Stop::Fail(error),
        Some(Answer { code, message }) => Stop::Hold(match code.as_str() {
            "ResourceInUseException" => Reason::Resharding,
            "ResourceNotFoundException" => Reason::StreamGone,
            _ => Reason::Refused { code, message },
        }),
    }
}
