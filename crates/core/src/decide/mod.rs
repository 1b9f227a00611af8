//! The product: what to do about a stream, as a pure function. The same input always gives the same output, so a person
//! can replay any decision.

mod bounds;
mod cost;
mod demand;
mod foresight;
mod forged;
mod history;
mod hot_shards;
mod lag;
mod lasting;
mod metrics_off;
mod missing;
mod on_demand;
mod onset;
mod peak;
mod pending;
mod phase;
mod published;
mod readers;
mod reads;
mod recall;
mod record_size;
mod restore;
mod settle;
mod short_lived;
mod sides;
mod subject;
mod throttling;
mod triage;
mod tries;
mod unpublished;
mod window;
mod writes;

pub use missing::MissingData;
pub use pending::{Pending, is_turn_to_look_ahead, pending};
pub(crate) use published::SILENCE_IS_UNKNOWN_MINUTES;
pub use triage::triage;

use crate::decision::{Cost, Decision, Evidence, Outcome, Reason, Remedy, Side, Verdict};
use crate::memory::{ChangeKind, Memory, SplitHistory};
use crate::observation::{CapacityMode, Minute, Observation, Status, Stream};
use crate::policy::{Mode, Policy, StreamPolicy};
use crate::signal::Signal;
use chrono::{DateTime, TimeDelta, Utc};
use history::History;
use onset::side_of;
use throttling::Quiet;
use writes::Throttled;

/// The same hold of the same stream is notified once in this time. A person needs about an hour to act, and a message
/// every five minutes would be switched off.
pub const NOTIFY_AGAIN_AFTER: TimeDelta = TimeDelta::hours(1);

/// Decides what to do about the observed stream. Call this after [`triage`] returned `None`.
///
/// # Errors
/// Data that the decision misses: read it, and decide again.
pub fn decide(
    signal: &Signal,
    observation: &Observation,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<Decision, MissingData> {
    let observation = &*observation.since_creation();
    let mode = policy.mode.min(policy.asked(signal.mode()).unwrap_or(policy.mode));
    let evidence = Evidence { observed_at: Some(observation.observed_at), ..Evidence::default() };
    let decision = Decision { evidence, ..undecided(policy, mode) };
    let missing = MissingData::default();
    let mut case =
        Case { signal, observation, policy, now, decision, missing, is_repeated: false, is_forecast_only: false };
    let verdict = case.evaluate();
    if case.missing != MissingData::default() {
        return Err(case.missing);
    }
    let Case { mut decision, is_repeated, is_forecast_only, .. } = case;
    decision.verdict = verdict.map_or_else(Verdict::Hold, Verdict::Act);
    if !decision.may_change() {
        decision.write_nothing();
        if let Verdict::Hold(Reason::Healthy { healed } | Reason::ReadersStopped { healed, .. }) = &mut decision.verdict
        {
            // Without a record, every run would notify again.
            *healed = None;
        }
    }
    if is_forecast_only {
        // With a yes, nothing is changed either.
        (decision.mode, decision.is_before_consent) = (Mode::Observe, false);
    }
    Ok(concluded(decision, policy.topic_arn.is_some() && !is_repeated))
}

/// Holds from the signal alone, without an observation.
pub fn hold_unobserved(reason: Reason, policy: &Policy) -> Decision {
    let decision = Decision { verdict: Verdict::Hold(reason), ..undecided(policy, policy.mode) };
    concluded(decision, policy.topic_arn.is_some())
}

/// The same decision where AWS's answer to a call made a hold of it. `may_notify`: there is a topic, and the memory
/// does not show the same message within the last hour. A memory that AWS refuses to write shows none, so the sender
/// has to remember that message.
pub fn held_by_aws(decision: Decision, reason: Reason, may_notify: bool) -> Decision {
    concluded(Decision { verdict: Verdict::Hold(reason), ..decision }, may_notify)
}

/// The codes of messages that are about no refused load: readers that are behind or have stopped, and a plan. Such a
/// message does not say that a loss lasts.
const NOT_OF_A_LOSS: [&str; 4] = ["consumer_slow", "readers_stopped", "not_planned", "plan_not_reached"];

/// Whether people got a message about this hold within the last hour, as far back as the memory knows. `is_lasting`: a
/// loss lasts. The name of such a hold may change from minute to minute, and it is one message an hour all the same.
pub(crate) fn is_notified(memory: &Memory, reason: &Reason, is_lasting: bool, now: DateTime<Utc>) -> bool {
    // Two, so that holds that take turns do not notify at each turn.
    let mut notified = memory.notifications().filter(|(_, at)| now - *at < NOTIFY_AGAIN_AFTER);
    let is_of_a_loss = is_lasting && !reason.needs_person();
    notified.any(|(code, _)| code == <&str>::from(reason) || (is_of_a_loss && !NOT_OF_A_LOSS.contains(&code.as_str())))
}

fn undecided(policy: &Policy, mode: Mode) -> Decision {
    Decision {
        verdict: Verdict::Hold(Reason::StreamGone),
        outcome: Outcome::Held,
        notify: false,
        evidence: Evidence::default(),
        cost: None,
        restore_after_hours: policy.restore_after_hours,
        mode,
        allowed: policy.mode,
        is_before_consent: policy.is_before_consent,
        memory: None,
        unpublished: vec![],
        reverted: None,
    }
}

/// The one place that says what a verdict comes to, and whether people get a message: of each change, each plan, each
/// verified change, and each hold that needs a person. `may_notify`: there is a topic, and the memory does not show the
/// same message within the last hour.
fn concluded(decision: Decision, may_notify: bool) -> Decision {
    let outcome = Outcome::of(&decision.verdict, decision.mode);
    let notify = may_notify && (outcome != Outcome::Held || decision.needs_person());
    Decision { outcome, notify, ..decision }
}

/// What a decision is made from, and what it has found so far.
struct Case<'a> {
    signal: &'a Signal,
    observation: &'a Observation,
    policy: &'a Policy,
    now: DateTime<Utc>,
    decision: Decision,
    missing: MissingData,
    /// People got a message about this hold within the last hour.
    is_repeated: bool,
    /// The change is for an expected load of a stream that only observes what is expected.
    is_forecast_only: bool,
}

impl<'a> Case<'a> {
    /// The questions in their order. `Err` is a hold, by name.
    fn evaluate(&mut self) -> Result<Remedy, Reason> {
        let (stream, policy) = self.subject()?;
        self.decision.mode = policy.mode;
        let unasked = self.policy.for_stream(&self.observation.tags, None).ok().flatten();
        self.decision.allowed = unasked.map_or(policy.mode, |unasked| unasked.mode);
        let recalled = recall::recall(self.observation, stream, &mut self.missing);
        let mut recalled = recalled.map_err(|e| Reason::BadMemory(e.to_string()))?;
        let known = recalled.memory.clone();
        self.plan(stream, &policy, &mut recalled.memory)?;
        if stream.status == Status::Updating {
            return Err(self.resharding(recalled.memory));
        }
        let history = History::of(recalled, self.observation, stream, self.now, &mut self.missing);
        // The run that announced the change writes the memory now, so this one records no message, and sends none.
        self.is_repeated = matches!(history, Err(Reason::Settling { .. }));
        let mut history = history?;
        let remedy = self.remedy(stream, &policy, &mut history);
        let remedy = remedy.map_err(|reason| history.in_vain(reason, self.now));
        let remedy = self.or_planned(remedy, stream, &policy, &history);
        let held = remedy.as_ref().err().cloned();
        let remedy = self.switch_metrics_off(remedy, stream, &history);
        let remedy = self.within_fleet(remedy, held);
        if matches!(remedy, Err(Reason::Negligible | Reason::ConsumerSlow { .. } | Reason::ReadersStopped { .. })) {
            self.record_restore_tried(&mut history);
        }
        self.record_notification(&remedy, &mut history);
        (self.decision.unpublished, self.decision.reverted) = (history.unpublished.clone(), history.reverted);
        self.decision.memory = match &remedy {
            Ok(remedy) => {
                self.decision.cost = Some(self.cost(remedy, stream, &history));
                Some(self.remembered(remedy, stream, &policy, &mut history))
            }
            Err(_) => (history.is_rebuilt || history.memory != known).then_some(history.memory),
        };
        remedy
    }

    /// From the evidence to a remedy or a reason.
    fn remedy(&mut self, stream: &Stream, policy: &StreamPolicy, history: &mut History) -> Result<Remedy, Reason> {
        let newest = self.newest();
        let first = newest.plus(1 - i64::from(self.policy.window_minutes));
        history.pin(self.observation, stream, (first, newest), &mut self.missing);
        self.record_evidence(history, newest);
        self.watch_readers(newest, history);
        self.published(stream, newest)?;
        self.check_forecast(stream, history, newest);
        if let Some(remedy) = self.certain_step(stream, policy, history) {
            return Ok(remedy);
        }
        match self.throttled_side(history) {
            Ok(side) => {
                let remedy = self.remedy_for_both(side, stream, policy, history);
                self.or_stopped(remedy, newest, stream, history)
            }
            Err(Quiet::Hold(_)) if self.signal.undo().is_some() => Err(self.undo_while_throttled()),
            Err(Quiet::Hold(reason)) => {
                let level = self.or_level(reason, stream, policy, history, newest);
                self.or_stopped(level, newest, stream, history)
            }
            Err(Quiet::Stopped) => {
                history.settled(newest)?;
                if let Some(undo) = self.signal.undo() {
                    let remedy = self.undo_by_hand(undo, stream, policy, history, newest)?;
                    return self.shown(remedy, history);
                }
                match self.healthy(newest, stream, history) {
                    Reason::Healthy { healed: None } => {
                        if let Some(ahead) = self.ahead(stream, policy, history, newest) {
                            return Ok(ahead);
                        }
                        let remedy = self.undo(stream, policy, history, newest)?;
                        self.shown(remedy, history)
                    }
                    reason => Err(reason),
                }
            }
        }
    }

    /// The throttled stream, and what a diagnosis of it rests on: these minutes, up to the newest.
    fn throttled<'b>(
        &self,
        stream: &'b Stream,
        policy: &'b StreamPolicy,
        history: &'b History,
        (window, newest): (&'b [Minute], Minute),
    ) -> Throttled<'b>
    where
        'a: 'b,
    {
        let (observation, settings, now) = (self.observation, self.policy, self.now);
        let named_shard = self.signal.named_shard();
        Throttled { observation, stream, history, settings, policy, window, newest, named_shard, now }
    }

    /// What would stop the throttling of `side`.
    fn remedy_for(
        &mut self,
        side: Side,
        stream: &Stream,
        policy: &StreamPolicy,
        history: &mut History,
    ) -> Result<Remedy, Reason> {
        if self.signal.undo().is_some() {
            return Err(self.undo_while_throttled());
        }
        history.not_refused_lately(self.now)?;
        let window = self.window(history);
        self.same_shards(stream, &window, history)?;
        history.resends(side, &self.observation.traffic, &window)?;
        let throttled = self.throttled(stream, policy, history, (&window, self.newest_of(side)));
        let remedy = throttled.remedy(side, &mut self.decision.evidence, &mut self.missing);
        let remedy = remedy.and_then(|remedy| {
            if remedy.adds_capacity() {
                history.not_reverted_on_purpose(self.now)?;
            }
            Ok(remedy)
        });
        self.whole_minutes(remedy, side, (&window, history))
    }

    /// No throttling in the newest minutes: not known yet, over, or over for producers while a reader falls behind.
    fn healthy(&mut self, newest: Minute, stream: &Stream, history: &mut History) -> Reason {
        let reported = side_of(self.signal).map_or(newest, |side| self.newest_of(side));
        let is_pending = self.signal.time().is_some_and(|time| time >= reported.end());
        if is_pending && !lag::is_answer(self.signal, &self.decision.evidence) {
            return Reason::EvidencePending;
        }
        self.after_change(newest, stream, history)
    }

    /// In a hold, shard-level metrics that we switched on for a diagnosis are switched off: they cost money.
    fn switch_metrics_off(
        &self,
        remedy: Result<Remedy, Reason>,
        stream: &Stream,
        history: &History,
    ) -> Result<Remedy, Reason> {
        match remedy {
            Err(reason) if self.signal.undo().is_none() => {
                let evidence = &self.decision.evidence;
                metrics_off::switch_metrics_off_in_hold(reason, evidence, stream, history, self.now)
            }
            remedy => remedy,
        }
    }

    /// Holds a change where the fleet may make no more. A person's own undo is not bounded, and a plan changes nothing.
    /// `held`: the hold in which an undo action was found.
    fn within_fleet(&mut self, remedy: Result<Remedy, Reason>, held: Option<Reason>) -> Result<Remedy, Reason> {
        let remedy = remedy?;
        if !self.decision.may_change() || self.signal.undo().is_some() {
            return Ok(remedy);
        }
        match bounds::fleet(self.observation.fleet, self.policy, &remedy) {
            None => Ok(remedy),
            Some(_) if matches!(remedy, Remedy::ScaleAhead { .. }) => Err(self.held_by_fleet()),
            // Undo actions above the hourly limit are skipped without a notification.
            Some(_) if remedy.is_undo() => Err(held.unwrap_or(Reason::Healthy { healed: None })),
            Some(bound) => Err(Reason::FleetLimit(bound)),
        }
    }

    /// Records in the memory that people get a message about this hold, or finds that they got it within the last hour.
    fn record_notification(&mut self, remedy: &Result<Remedy, Reason>, history: &mut History) {
        if let Err(reason) = remedy {
            self.record_notification_of(reason, &mut history.memory);
        }
    }

    /// The same in this memory. Gives whether a message is due.
    fn record_notification_of(&mut self, reason: &Reason, memory: &mut Memory) -> bool {
        let is_lasting = self.decision.evidence.lasting_refused_share.is_some();
        if self.policy.topic_arn.is_none() || !(reason.needs_person() || is_lasting) {
            return false;
        }
        self.is_repeated = is_notified(memory, reason, is_lasting, self.now);
        if !self.is_repeated {
            memory.record_notified(reason.into(), self.now);
        }
        !self.is_repeated
    }

    /// The memory that announces `remedy`.
    fn intent(&self, remedy: &Remedy, stream: &Stream, history: &History) -> Memory {
        let since = self.throttled_since(history);
        let mut memory = history.intend(remedy, stream, &self.observation.traffic, since, self.now);
        if let (Remedy::SplitShard { shard, partial: None, .. }, Some(change)) = (remedy, &memory.change) {
            memory.split_histories = self.split_histories_after(shard, history, change.at);
        }
        memory
    }

    /// The split histories after splitting `shard`.
    fn split_histories_after(&self, shard: &str, history: &History, at: DateTime<Utc>) -> Vec<SplitHistory> {
        let splits = self.decision.evidence.diagnostic_splits.unwrap_or_default() + 1;
        let shards = self.observation.shards.as_deref().unwrap_or_default();
        let (traffic, known) = (&self.observation.traffic, history.split_histories(self.now));
        hot_shards::after_split(shards, traffic, &self.window(history), known, shard, splits, at)
    }

    fn cost(&mut self, remedy: &Remedy, stream: &Stream, history: &History) -> Cost {
        // The price of on-demand mode depends on it.
        self.missing.commitment |= stream.mode == CapacityMode::OnDemand && self.observation.commitment.is_none();
        self.cost_of(remedy, stream, history)
    }

    fn cost_of(&self, remedy: &Remedy, stream: &Stream, history: &History) -> Cost {
        cost::cost(remedy, self.observation, stream, self.policy, &self.window(history))
    }

    fn record_evidence(&mut self, history: &History, newest: Minute) {
        let window = self.window(history).len();
        let evidence = &mut self.decision.evidence;
        evidence.newest_minute = Some(newest.start());
        evidence.window_minutes = u32::try_from(window).ok();
        evidence.memory_lost = history.is_rebuilt.then_some(true);
        evidence.changes_taken_back = u32::try_from(history.reverts(self.now)).ok().filter(|reverts| *reverts > 0);
        let spent = |kind| u32::try_from(history.budget(kind, self.now).0).ok();
        evidence.reshards_last_24_hours = spent(ChangeKind::Scale);
        evidence.mode_switches_last_24_hours = spent(ChangeKind::Switch);
        bounds::record_unsupported(self.observation.fleet, self.policy, evidence);
    }
}
