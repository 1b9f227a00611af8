//! The product: what to do about a stream, as a pure function. It knows no AWS client, no runtime, no clock and no
//! randomness, so the same input always gives the same output, and a person can replay any decision.

mod bill;
mod calm;
mod demand;
mod diagnosis;
mod due;
mod heat;
mod on_demand;
mod reads;
mod room;
mod settle;
mod triage;
mod verdict;

pub use due::{Due, due};
pub use triage::triage;
pub use verdict::{
    Bound, Ceiling, Cost, Decision, Evidence, FleetBound, Foreign, Healed, HotKeyShown, NoRoom, NoSwitch, ReadCall,
    Reason, Remedy, Side, SplitBudget, Unseen, Verdict,
};

use crate::memory::Lineage;
use crate::observation::{CapacityMode, Minute, MinuteTraffic, Observation, Shard, Status, Stream};
use crate::policy::{Mode, Policy, StreamPolicy};
use crate::signal::Signal;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use diagnosis::Throttled;
use heat::Heat;
use settle::History;

/// A stream is throttled now if one of this many newest minutes was: one alone may be only half published.
const RECENT_MINUTES: usize = 2;

/// What a decision takes beyond the first look: most take nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Wants {
    /// [`Observation::shards`].
    pub shards: bool,
    /// [`Observation::commitment`].
    pub commitment: bool,
}

/// Who has been told of a hold has an hour to do something before the next message.
pub const TOLD_FOR: TimeDelta = TimeDelta::hours(1);

/// So many changes of ours taken back within 24 hours are no accident.
const REVERTS: usize = 2;

/// The containers that may change streams before the metric shows their changes: the default of the stack's reserved
/// concurrency. Each may add its part of the hourly bound to what the metric shows.
const CONTAINERS: u32 = 5;

/// Decides what to do about the observed stream, from the signal, what is true, what is allowed and the time.
/// [`triage`] has found that it takes a look.
///
/// # Errors
/// It takes a closer look: read what is wanted, and ask again.
pub fn decide(
    signal: &Signal,
    observation: &Observation,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<Decision, Wants> {
    let mut case = Case {
        signal,
        observation,
        policy,
        now,
        decision: Decision {
            verdict: Verdict::Hold(Reason::StreamGone),
            evidence: Evidence { observed_at: Some(observation.observed_at), ..Evidence::default() },
            cost: None,
            tell: false,
            restore_after_hours: policy.restore_after_hours,
            mode: policy.mode.min(signal.mode().unwrap_or(policy.mode)),
            memory: None,
            uncounted: vec![],
            reverted: None,
        },
        wants: Wants::default(),
    };
    let verdict = case.judge();
    if case.wants != Wants::default() {
        return Err(case.wants);
    }
    case.decision.verdict = match verdict {
        Ok(remedy) => Verdict::Act(remedy),
        Err(reason) => {
            // What was held before the memory was read is told by the process that holds it.
            let is_early = matches!(reason, Reason::BadPolicyTag(_) | Reason::BadMemory(_));
            case.decision.tell |= is_early && policy.topic_arn.is_some();
            Verdict::Hold(reason)
        }
    };
    if case.decision.mode != Mode::Heal {
        case.decision.write_nothing();
        if let Verdict::Hold(Reason::Healthy { healed }) = &mut case.decision.verdict {
            // What cannot be noted would be news at every look.
            (*healed, case.decision.tell) = (None, false);
        }
    }
    Ok(case.decision)
}

/// A decision without a look: held from the signal alone.
pub fn hold_unseen(reason: Reason, policy: &Policy) -> Decision {
    Decision {
        evidence: Evidence::default(),
        cost: None,
        tell: policy.topic_arn.is_some() && reason.needs_a_person(),
        restore_after_hours: policy.restore_after_hours,
        mode: policy.mode,
        memory: None,
        uncounted: vec![],
        reverted: None,
        verdict: Verdict::Hold(reason),
    }
}

struct Case<'a> {
    signal: &'a Signal,
    observation: &'a Observation,
    policy: &'a Policy,
    now: DateTime<Utc>,
    decision: Decision,
    wants: Wants,
}

impl<'a> Case<'a> {
    /// The table of the documents, in its order: `Err` is a hold, by name.
    fn judge(&mut self) -> Result<Remedy, Reason> {
        let stream = self.stream()?;
        let policy = self.allowed()?;
        self.decision.mode = policy.mode;
        let recalled = settle::recall(self.observation).map_err(|e| Reason::BadMemory(e.to_string()))?;
        if stream.status == Status::Updating {
            return Err(Reason::Resharding);
        }
        let settle::Recalled { memory: known, lost, .. } = recalled.clone();
        let mut history = History::of(recalled, self.observation, stream, self.now)?;
        let remedy = self.weigh(stream, &policy, &mut history).map_err(|reason| self.exhausted(reason, &history));
        let held = remedy.as_ref().err().cloned();
        let by_hand = self.signal.undo().is_some();
        let unwatch = |reason| calm::unwatch_in_hold(reason, stream, &history, self.now);
        let remedy = remedy.or_else(|reason| if by_hand { Err(reason) } else { unwatch(reason) });
        // What a person asks for by hand is not held back for the fleet's sake, and a plan changes nothing.
        let is_bounded = policy.mode == Mode::Heal && !by_hand;
        let remedy = remedy.and_then(|remedy| match self.within_fleet(&remedy) {
            // What is only taken back waits without a word.
            Err(_) if is_bounded && remedy.takes_back() => Err(held.unwrap_or(Reason::Healthy { healed: None })),
            Err(reason) if is_bounded => Err(reason),
            _ => Ok(remedy),
        });
        if matches!(remedy, Err(Reason::Negligible | Reason::ConsumerSlow { .. })) {
            self.note_tried(&mut history);
        }
        self.decision.tell = self.policy.topic_arn.is_some() && self.is_news(&remedy, &mut history);
        (self.decision.uncounted, self.decision.reverted) = (history.uncounted.clone(), history.reverted);
        self.decision.memory = match &remedy {
            Ok(remedy) => {
                self.decision.cost = Some(self.cost(remedy, stream, &history));
                let traffic = &self.observation.traffic;
                let mut memory = history.intend(remedy, stream, traffic, self.since(&history), self.now);
                if let (Remedy::SplitShard { shard, partial: None, .. }, Some(change)) = (remedy, &memory.change) {
                    memory.lineages = self.lines(shard, &history, change.at);
                }
                Some(memory)
            }
            Err(_) => (lost || history.memory != known).then_some(history.memory),
        };
        remedy
    }

    /// Whether a person is to hear of it: of every change and of every healing, and of a hold that needs one once an hour,
    /// which the memory notes.
    fn is_news(&self, remedy: &Result<Remedy, Reason>, history: &mut History) -> bool {
        let reason = match remedy {
            Ok(_) | Err(Reason::Healthy { healed: Some(_) }) => return true,
            Err(reason) if !reason.needs_a_person() => return false,
            Err(reason) => reason,
        };
        let code: &'static str = reason.into();
        let told = history.memory.told.as_ref().filter(|(_, at)| self.now - *at < TOLD_FOR);
        if told.is_some_and(|(told, _)| told == code) {
            return false;
        }
        history.memory.told = Some((code.into(), self.now.trunc_subsecs(0)));
        true
    }

    fn stream(&self) -> Result<&'a Stream, Reason> {
        let stream = self.observation.stream.as_ref().ok_or(Reason::StreamGone)?;
        match (&stream.status, &stream.mode) {
            (Status::Deleting, _) => Err(Reason::StreamGone),
            (Status::Creating | Status::Unknown(_), _) | (_, CapacityMode::Unknown(_)) => Err(Reason::NotReady),
            (Status::Active | Status::Updating, _) => Ok(stream),
        }
    }

    fn allowed(&self) -> Result<StreamPolicy, Reason> {
        let policy = self.policy.for_stream(&self.observation.tags, self.signal.mode());
        policy.map_err(|e| Reason::BadPolicyTag(e.to_string()))?.ok_or(Reason::OptedOut)
    }

    /// From the evidence to a remedy or a reason.
    fn weigh(&mut self, stream: &Stream, policy: &StreamPolicy, history: &mut History) -> Result<Remedy, Reason> {
        let newest = self.observation.traffic.newest(self.observation.observed_at);
        self.note(history, newest);
        reads::note(&self.observation.traffic, stream, newest, &mut self.decision.evidence);
        history.settled(newest)?;
        let window = self.window(history.evidence_from, newest);
        let side = match self.throttled_side(&window, history) {
            Ok(side) => side,
            Err(Quiet::Hold(reason)) => return Err(reason),
            Err(Quiet::Stopped) => {
                if let Some(undo) = self.signal.undo() {
                    return self.undo_by_hand(undo, stream, policy, history, newest);
                }
                return match self.healthy(newest, stream, history) {
                    Reason::Healthy { healed: None } => self.undo(stream, policy, history, newest),
                    reason => Err(reason),
                };
            }
        };
        if self.signal.undo().is_some() {
            return Err(Reason::NotRestorable("it is throttled now".into()));
        }
        history.not_refused_lately(self.now)?;
        let throttled = Throttled {
            observation: self.observation,
            stream,
            history,
            settings: self.policy,
            policy,
            window: &window,
            newest,
            named_shard: self.signal.named_shard(),
            now: self.now,
        };
        let remedy = throttled.remedy(side, &mut self.decision.evidence, &mut self.wants);
        match remedy {
            Ok(raise) if raise.raises() && history.reverts(self.now) >= REVERTS => Err(Reason::TugOfWar),
            decided => decided,
        }
    }

    /// A change of ours did not help, and a hold of this name is all that is left: that is what a person must know.
    fn exhausted(&self, reason: Reason, history: &History) -> Reason {
        match (history.in_vain(self.now), &reason) {
            (Some(change), Reason::SkewSuspected(_) | Reason::MicroBurst | Reason::UnevenReads) => {
                Reason::NotHealed { change: Box::new(change.clone()), why: Box::new(reason) }
            }
            _ => reason,
        }
    }

    /// Whether the fleet has changes left, in the hour and in the sweep that this look belongs to.
    fn within_fleet(&self, remedy: &Remedy) -> Result<(), Reason> {
        let (fleet, policy) = (self.observation.fleet, self.policy);
        let max = policy.max_changes_per_hour;
        let a_container = max.div_ceil(CONTAINERS);
        let known = fleet.changes_last_hour.saturating_add(fleet.unseen_of_ours);
        // What is only taken back leaves half of the hour to what is to heal.
        let in_an_hour = if remedy.takes_back() { max.div_ceil(2) } else { max };
        let bound = match () {
            () if known >= in_an_hour => FleetBound::Hour(max),
            () if fleet.left_in_sweep == Some(0) => FleetBound::Sweep(policy.max_changes_per_sweep),
            () if fleet.unseen_of_ours >= a_container => FleetBound::Container(a_container),
            () => return Ok(()),
        };
        Err(Reason::FleetLimit(bound))
    }

    /// The lines of hot shards once `shard` is split.
    fn lines(&self, shard: &str, history: &History, at: DateTime<Utc>) -> Vec<Lineage> {
        let window = self.window(history.evidence_from, self.observation.traffic.newest(self.observation.observed_at));
        let shards = self.observation.shards.as_deref().unwrap_or_default();
        let heat = Heat::of(shards, &self.observation.traffic, &window);
        let known = history.lines(self.now);
        let mut lines = heat.and_then(|heat| heat.other_lines(heat.load(shard)?, &known)).unwrap_or(known);
        let splits = self.decision.evidence.diagnostic_splits.unwrap_or_default() + 1;
        lines.extend(Shard::number_in(shard).map(|shard| Lineage { shard, splits, at }));
        lines
    }

    fn cost(&mut self, remedy: &Remedy, stream: &Stream, history: &History) -> Cost {
        // What on-demand mode costs depends on it.
        self.wants.commitment |= stream.mode == CapacityMode::OnDemand && self.observation.commitment.is_none();
        self.bill(remedy, stream, history)
    }

    fn bill(&self, remedy: &Remedy, stream: &Stream, history: &History) -> Cost {
        let newest = self.observation.traffic.newest(self.observation.observed_at);
        let window = self.window(history.evidence_from, newest);
        bill::cost(remedy, self.observation, stream, self.policy, &window)
    }

    /// The newest minutes that are evidence, oldest first.
    fn window(&self, from: Option<DateTime<Utc>>, newest: Minute) -> Vec<Minute> {
        let first = newest.plus(1 - i64::from(self.policy.window_minutes));
        from.map_or(first, |from| first.max(Minute::from(from))).to(newest).collect()
    }

    /// Whose throughput is exceeded now. Writes come first: what is not written is lost, what is not read waits.
    fn throttled_side(&mut self, window: &[Minute], history: &History) -> Result<Side, Quiet> {
        let needed = if history.in_incident(self.now) { 1 } else { self.policy.confirm_minutes };
        let minutes: Vec<MinuteTraffic> = window.iter().map(|m| self.observation.traffic.minute(*m)).collect();
        let mut quiet = Quiet::Stopped;
        for side in [Side::Writes, Side::Reads] {
            let seen = Throttling::seen(side, &minutes, self.policy.floor);
            seen.note(side, &mut self.decision.evidence);
            if !seen.recent {
                continue;
            }
            if seen.recent_at_floor && seen.minutes >= needed {
                self.decision.evidence.throttled_minutes = Some(seen.minutes);
                self.decision.evidence.throttled_side = Some(side);
                return Ok(side);
            }
            let hold = match seen.minutes {
                minutes if seen.recent_at_floor => Reason::Unconfirmed { minutes, needed },
                _ => Reason::Negligible,
            };
            if !matches!(quiet, Quiet::Hold(Reason::Unconfirmed { .. })) {
                quiet = Quiet::Hold(hold);
            }
        }
        Err(quiet)
    }

    /// No throttling in the newest minutes: not known yet, over, or over but for a reader that is far behind.
    fn healthy(&mut self, newest: Minute, stream: &Stream, history: &mut History) -> Reason {
        if self.signal.time().is_some_and(|time| time >= newest.end()) {
            return Reason::EvidencePending;
        }
        if let Some(hours_left) = self.decision.evidence.data_loss_in_hours {
            return Reason::ConsumerSlow { hours_left };
        }
        if let Some(changed_at) = history.is_unproven(newest) {
            return Reason::Settling { changed_at };
        }
        let healed = history.verify(&self.observation.traffic, stream, newest, self.now);
        self.decision.evidence.time_to_heal_seconds = healed.map(|h| h.took.num_seconds());
        Reason::Healthy { healed }
    }

    fn note(&mut self, history: &History, newest: Minute) {
        let window = self.window(history.evidence_from, newest).len();
        let evidence = &mut self.decision.evidence;
        evidence.newest_minute = Some(newest.start());
        evidence.window_minutes = u32::try_from(window).ok();
        evidence.memory_lost = history.lost.then_some(true);
        evidence.changes_taken_back = u32::try_from(history.reverts(self.now)).ok().filter(|reverts| *reverts > 0);
        let spent = |kind| u32::try_from(history.budget(kind, &self.observation.traffic, self.now).0).ok();
        evidence.reshards_last_24_hours = spent(crate::memory::ChangeKind::Scale);
        evidence.mode_switches_last_24_hours = spent(crate::memory::ChangeKind::Switch);
    }

    /// When the first throttled minute of the window began.
    fn since(&self, history: &History) -> DateTime<Utc> {
        let newest = self.observation.traffic.newest(self.observation.observed_at);
        let window = self.window(history.evidence_from, newest);
        let first = window.into_iter().find(|minute| self.observation.traffic.minute(*minute).is_throttled());
        first.unwrap_or(newest).start()
    }
}

/// Why neither side is throttled enough to act.
enum Quiet {
    Stopped,
    Hold(Reason),
}

/// What the window shows of one side.
struct Throttling {
    /// Throttled at all in the newest minutes.
    recent: bool,
    /// Throttled in the newest minutes, by a share that reaches the floor.
    recent_at_floor: bool,
    /// Minutes whose share reaches the floor.
    minutes: u32,
    /// Refused records or calls.
    refused: f64,
    /// The highest share of a minute.
    share: f64,
}

impl Throttling {
    fn seen(side: Side, minutes: &[MinuteTraffic], floor: f64) -> Throttling {
        let refused = |m: &MinuteTraffic| match side {
            Side::Writes => (m.write_throttled, m.incoming_records),
            Side::Reads => (m.read_throttled, m.get_records_calls),
        };
        let shares = minutes.iter().map(refused).map(|(refused, served)| match refused {
            none if none <= 0.0 => 0.0,
            some => some / (some + served.max(0.0)),
        });
        let at_floor = |share| share > 0.0 && share >= floor;
        Throttling {
            recent: minutes.iter().rev().take(RECENT_MINUTES).any(|m| refused(m).0 > 0.0),
            recent_at_floor: shares.clone().rev().take(RECENT_MINUTES).any(at_floor),
            minutes: shares.clone().map(|share| u32::from(at_floor(share))).sum(),
            refused: minutes.iter().map(|m| refused(m).0).sum(),
            share: shares.fold(0.0, f64::max),
        }
    }

    fn note(&self, side: Side, evidence: &mut Evidence) {
        let most = evidence.throttled_minutes.unwrap_or(0).max(self.minutes);
        evidence.throttled_minutes = Some(most);
        match side {
            Side::Writes => {
                evidence.write_throttled_records = Some(self.refused);
                evidence.write_throttled_share = Some(self.share);
            }
            Side::Reads => {
                evidence.read_throttled_calls = Some(self.refused);
                evidence.read_throttled_share = Some(self.share);
            }
        }
    }
}

/// How long a throttle signal is answered by the look just made. A storm is thousands of events a second, and the
/// metrics change once a minute: half a minute loses nothing. After `evidence_pending` the answer may come any second,
/// but a look each would exceed AWS's call rates: ten seconds.
pub fn suppress_for(code: &str) -> TimeDelta {
    TimeDelta::seconds(if code == "evidence_pending" { 10 } else { 30 })
}
