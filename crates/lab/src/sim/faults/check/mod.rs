//! The invariants that must hold under all faults. They use the world's own counters and the calls that reached AWS.
//! They share no code with the decisions.
//!
//! - here: the invariants, and the record of the events.
//! - `change`: the invariants of a change that reaches AWS.
//! - `told`: the invariants of what unthrottle says, and of what it gives back.
//! - `end`: the invariants at the end.

mod change;
mod end;
mod told;

use super::super::time;
use super::super::world::World;
use super::schedule::{Kind, Situation};
use crate::rules::Refusal;
use told::Told;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::ChangeKind;
use unthrottle_core::observation::{Minute, Observation, Stream};
use unthrottle_core::policy::{MODE_TAG, Policy};
use unthrottle_core::run::CountedChange;

/// The longest time between a datum and its change, in seconds. A run writes an intent within seconds of its change,
/// and two changes of unthrottle are minutes apart.
const SAME_CHANGE: i64 = 90;

/// An invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum Invariant {
    /// AWS refuses no call of unthrottle because of a rule that the reads of the same run show.
    ///
    /// `ResourceInUseException` is legal: the stream is the lock, and the run lost a race against a person or another
    /// run. A call is also legal if the stream has changed since the run read it. So is a call beyond a daily cap
    /// because of changes by people: AWS does not show these changes.
    NoIllegalCall,
    /// A change leaves less than three seconds after its observation began, and that observation saw the stream ACTIVE.
    #[strum(serialize = "fresh_look")]
    FreshObservation,
    /// Between two changes of capacity by unthrottle, the first has settled, and CloudWatch has published one full
    /// minute after it. A reshard needs no such minute where the new records alone fill the shards.
    OneChangeAStep,
    /// A target is no higher than the need of the minutes after the last change, by the load that was really offered. A
    /// target of a restore is no lower than this need.
    Supported,
    /// A change keeps to a person's bounds: its kind, its shards, the changes of an hour that its observation shows,
    /// and its cost in USD, by the new records. A switch to on-demand mode does not work around a maximum of shards.
    Bounded,
    /// On a stream that a person has opted out, no run changes the stream or writes the memory.
    OptedOut,
    /// No run changes the stream if capacity cannot cure the cause.
    Incurable,
    /// AutoFix counts each change at least once. It counts a change once only, if no crash and no lost answer disturbed
    /// the count.
    Counted,
    /// No run gives back capacity, by a restore or by a switch to provisioned mode, without a change of unthrottle that
    /// raised this stream. A memory alone is no proof: every tool that may tag streams can write one.
    GivenBack,
    /// A person gets a message once an hour while at least 1 % of the records is refused in every minute, from the 15th
    /// minute on. A run and CloudWatch get ten minutes more.
    LossTold,
    /// No sentence contradicts its own numbers: "N of M" means that N is at most M.
    OwnNumbers,
    /// After the last fault, the stream ends healed, or held for a reason that explains the throttling.
    Ending,
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// The invariant.
    pub invariant: Invariant,
    /// When, in seconds of the run.
    pub at: i64,
    /// The numbers, in words.
    pub why: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {:02}:{:02}: {}", self.invariant, self.at / 60, self.at % 60, self.why)
    }
}

/// The observation of a run.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub asked: i64,
    /// The additional age of its summary and tags, in seconds.
    pub stale: i64,
    pub observation: Observation,
}

/// A change that has reached AWS.
pub(super) struct Call<'a> {
    /// The run that made it.
    pub run: u64,
    /// The second at which the run sent it.
    pub sent: i64,
    pub seen: &'a Seen,
    pub remedy: &'a Remedy,
    /// The second at which AWS last gave the account's limits to the run's container; `None`: never.
    pub limits_of: Option<i64>,
    /// The stream before the change.
    pub before: &'a Stream,
    pub answer: &'a Result<Option<u32>, Refusal>,
    /// The second at which AWS finishes the change; `None`: nothing changed.
    pub done: Option<i64>,
}

/// A change of unthrottle that AWS carries out.
#[derive(Clone, Debug)]
struct OwnChange {
    run: u64,
    at: i64,
    done: i64,
    kind: ChangeKind,
    /// The shards after the change.
    to: u32,
    /// Whether a crash or a lost answer may have disturbed its count, or the confirmation of its count.
    is_touched: bool,
    /// Whether later runs may not see the change. Either another run wrote the memory at the same time, or no run could
    /// know the datum of a change before it.
    is_blurred: bool,
    counts: u32,
}

/// The record of all events so far.
#[derive(Clone, Debug)]
pub(super) struct Check {
    situation: Situation,
    policy: Policy,
    now: i64,
    /// For each minute: sent records, retries included, and refused records.
    minutes: Vec<(u64, u64)>,
    /// The end of the last change of capacity, by unthrottle and by anyone.
    settled: i64,
    settled_by_anyone: i64,
    /// The same of the newest change of the shards: a change of the capacity mode leaves them, and their minutes count.
    resharded_by_anyone: i64,
    made: Vec<OwnChange>,
    /// When people changed the capacity, deleted the tags, and switched unthrottle off.
    changed_by_people: Vec<i64>,
    untagged: Option<i64>,
    /// Whether a run wrote a memory that cannot contain the last change of capacity.
    is_lost: bool,
    /// The run that wrote the memory last. `known_before` is the stream as the writer before it saw it.
    writer: u64,
    known: Known,
    known_before: Known,
    off_since: Option<i64>,
    /// Changes of runs that AWS refused.
    refusals: u32,
    /// When a person made the stream anew, and the number of changes of unthrottle until then.
    recreated: Option<(i64, usize)>,
    /// When a person last replaced the memory.
    is_forged: bool,
    /// When strangers sent an AutoFix datum of no change.
    forged_fixes: Vec<i64>,
    told: Told,
}

/// The stream as the writer of a memory saw it.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    open_shards: u32,
    /// The end of the last change by anyone.
    settled: i64,
}

type Checked = Result<(), Broken>;

impl Check {
    pub(super) fn new(situation: &Situation) -> Check {
        Check {
            policy: situation.policy(),
            situation: situation.clone(),
            now: 0,
            minutes: vec![],
            settled: 0,
            settled_by_anyone: 0,
            resharded_by_anyone: 0,
            made: vec![],
            changed_by_people: vec![],
            untagged: None,
            is_lost: false,
            writer: 0,
            known: Known::default(),
            known_before: Known::default(),
            off_since: (situation.kind == Kind::OptedOut).then_some(-1),
            refusals: 0,
            recreated: None,
            is_forged: false,
            forged_fixes: vec![],
            told: Told::default(),
        }
    }

    /// Passes a second of the world.
    pub(super) fn pass(&mut self, world: &World) -> Checked {
        let minute = usize::try_from(self.now / 60).unwrap_or_default();
        self.minutes.resize(self.minutes.len().max(minute + 1), (0, 0));
        let last = world.last();
        self.minutes[minute].0 += last.accepted + last.throttled;
        self.minutes[minute].1 += last.throttled;
        self.now = world.now();
        if self.now % 60 == 0 { self.loss_must_be_told() } else { Ok(()) }
    }

    /// Records a person's change of the capacity; `done`: its end. `of_shards`: it is no change of the mode.
    pub(super) fn changed_by_person(&mut self, done: i64, of_shards: bool) {
        self.changed_by_people.push(self.now);
        self.settled_by_anyone = done;
        if of_shards {
            self.resharded_by_anyone = done;
        }
    }

    pub(super) fn untagged(&mut self) {
        (self.untagged, self.off_since) = (Some(self.now), None);
    }

    /// Records that a person has replaced the memory.
    pub(super) fn forged(&mut self) {
        (self.untagged, self.is_forged) = (Some(self.now), true);
    }

    /// Records that a stranger has sent an AutoFix datum. It looks like a reshard of unthrottle.
    pub(super) fn forged_fix(&mut self) {
        self.forged_fixes.push(self.now);
    }

    /// Records that a person has made the stream anew.
    pub(super) fn recreated(&mut self) {
        self.changed_by_person(self.now, true);
        self.untagged();
        self.recreated = Some((self.now, self.made.len()));
        // A change of the stream before is under way no longer, and the new stream has lost nothing yet.
        self.settled = self.settled.min(self.now);
        self.told.restart();
    }

    pub(super) fn switched(&mut self, is_off: bool) {
        self.off_since = if is_off { self.off_since.or(Some(self.now)) } else { None };
    }

    /// Records a crash of a run, or a lost answer to it.
    pub(super) fn touched(&mut self, run: u64) {
        self.made.iter_mut().filter(|made| made.run == run).for_each(|made| made.is_touched = true);
    }

    /// Records that the datum of a change announced at `at` was lost, or its answer.
    pub(super) fn datum_touched(&mut self, at: i64) {
        if let Some(made) = self.made_at(at) {
            made.is_touched = true;
        }
    }

    fn made_at(&mut self, at: i64) -> Option<&mut OwnChange> {
        let near = self.made.iter_mut().filter(|made| (made.at - at).abs() <= SAME_CHANGE);
        near.min_by_key(|made| (made.at - at).abs())
    }

    /// Changes of unthrottle that AWS has carried out.
    pub(super) fn changes(&self) -> usize {
        self.made.len()
    }

    /// Records that a run has written the memory. Tags have no compare-and-set. So a run that observed the stream
    /// before another run's change may overwrite the memory of that change.
    pub(super) fn written(&mut self, run: u64, seen: &Seen, answer: &Result<(), Refusal>) -> Checked {
        self.must_be_allowed(seen, "TagResource")?;
        self.is_lost |= !self.is_known(seen);
        if self.writer != run {
            self.known_before = self.known;
        }
        let open_shards = seen.observation.stream.as_ref().map_or(0, |stream| stream.open_shards);
        (self.writer, self.known) = (run, Known { open_shards, settled: self.resharded_by_anyone });
        let overwritten = self.made.last_mut().filter(|made| made.run != run && seen.asked - seen.stale <= made.at);
        overwritten.into_iter().for_each(|made| made.is_blurred = true);
        match answer {
            Ok(()) => Ok(()),
            Err(refusal) => self.fails(Invariant::NoIllegalCall, format!("TagResource: {refusal}")),
        }
    }

    /// Checks and records a change that reached AWS.
    pub(super) fn change(&mut self, call: &Call<'_>) -> Checked {
        self.must_be_fresh(call)?;
        self.must_be_allowed(call.seen, "a change")?;
        self.must_be_bounded(call)?;
        if let Err(refusal) = call.answer {
            self.refused();
            return self.must_be_unforeseeable(call, refusal);
        }
        let Some(done) = call.done else { return Ok(()) };
        let is_known = !self.is_lost && self.is_known(call.seen);
        let is_blurred = !is_known || self.writer != call.run;
        let kind = call.remedy.kind();
        self.must_be_ours_to_give_back(kind)?;
        if is_of_capacity(kind) {
            self.must_be_curable(call)?;
            if is_known {
                self.must_be_next(call)?;
                self.must_be_supported(call)?;
            }
            (self.settled, self.settled_by_anyone, self.is_lost) = (done, done, false);
            self.resharded_by_anyone = done;
        }
        let (_, to) = call.remedy.step();
        self.made.push(OwnChange {
            run: call.run,
            at: self.now,
            done,
            kind,
            to: to.number(),
            is_touched: false,
            is_blurred,
            counts: 0,
        });
        Ok(())
    }

    /// Records that AWS refused a change.
    pub(super) fn refused(&mut self) {
        self.refusals += 1;
    }

    fn must_be_allowed(&self, seen: &Seen, what: &str) -> Checked {
        match self.off_since {
            Some(since) if since < seen.asked - seen.stale => self.fails(
                Invariant::OptedOut,
                format!("{what} by an observation of second {}, and {MODE_TAG}=off since second {since}", seen.asked),
            ),
            _ => Ok(()),
        }
    }

    /// Reshards of the day so far, by unthrottle and by people, and those that strangers pretended.
    fn reshards_made(&self) -> usize {
        let made = self.made.iter().filter(|made| budgets(made.kind).0).count();
        made + self.situation.reshards_before().len() + self.changed_by_people.len() + self.forged_fixes.len()
    }

    /// Whether a run can know the last change of unthrottle. It cannot know the change if both hold: CloudWatch has not
    /// published its datum yet, and a person has deleted its memory or reverted it.
    fn is_known(&self, seen: &Seen) -> bool {
        let Some(last) = self.made.last() else { return true };
        let is_blurred = [self.untagged, self.changed_by_people.last().copied()];
        is_blurred.into_iter().flatten().all(|at| at < last.at - SAME_CHANGE) || is_published(last, seen)
    }

    /// Whether a person has deleted the memory of a change, or its intent.
    fn is_untagged_since(&self, made: &OwnChange) -> bool {
        self.untagged.is_some_and(|at| at >= made.at - SAME_CHANGE)
    }

    /// Checks and records AutoFix of a change that was announced at second `at`.
    pub(super) fn counted(&mut self, change: &CountedChange, at: i64) -> Checked {
        let action = change.action;
        // A person can make the change of an intent that was not carried out. No run can tell that change from its own.
        let is_a_persons = self.changed_by_people.iter().any(|by| *by >= at - SAME_CHANGE);
        // A forged memory can name a change whose datum is missing. A later run sends it, and it proves nothing.
        let is_of_a_forged_memory = self.is_forged && change.is_resent;
        let Some(made) = self.made_at(at) else {
            let why = format!("AutoFix {action} of second {at}, and nothing changed then");
            return if is_a_persons || is_of_a_forged_memory { Ok(()) } else { self.fails(Invariant::Counted, why) };
        };
        made.counts += 1;
        if made.counts == 1 || made.is_touched {
            return Ok(());
        }
        let why = format!("AutoFix {action} of second {at} for the {}th time; nothing touched it", made.counts);
        self.fails(Invariant::Counted, why)
    }

    fn fails(&self, invariant: Invariant, why: String) -> Checked {
        Err(Broken { invariant, at: self.now, why })
    }
}

/// Whether an observation shows the datum of a change.
fn is_published(made: &OwnChange, seen: &Seen) -> bool {
    let minute = Minute::of(time(made.at));
    made.counts > 0 && seen.observation.traffic.auto_fixes.range(minute.plus(-1)..=minute.plus(1)).next().is_some()
}

fn is_of_capacity(kind: ChangeKind) -> bool {
    use ChangeKind::{Restore, Scale, Split, Switch, SwitchBack, WarmUp};
    matches!(kind, Scale | Split | Switch | SwitchBack | Restore | WarmUp)
}

/// Whether a change of this kind spends a reshard, and a mode switch, of the day.
fn budgets(kind: ChangeKind) -> (bool, bool) {
    use ChangeKind::{Restore, Scale, Switch, SwitchBack};
    (matches!(kind, Scale | Restore), matches!(kind, Switch | SwitchBack))
}
