//! What must hold, whatever goes wrong. It is told from the world's own counters and from the calls that reached AWS, and
//! shares nothing with the code that decides.
//!
//! - here: the invariants, and the record of what happened.
//! - `change`: what must hold when a change reaches AWS.
//! - `end`: what must hold when all is over.

mod change;
mod end;

use super::super::time;
use super::super::world::World;
use super::schedule::{Kind, Situation};
use crate::rules::Refusal;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::ChangeKind;
use unthrottle_core::observation::{Minute, Observation, Stream};
use unthrottle_core::policy::{MODE_TAG, Policy};

/// A datum belongs to the change that it is nearest to, in seconds: an intent is written within seconds of its change, and
/// two changes of ours are minutes apart.
const SAME_CHANGE: i64 = 90;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum Invariant {
    /// AWS refuses no call of ours by a rule that the reads of that run show to be broken.
    ///
    /// `ResourceInUseException` is a race that was lost to a person or to another run: the stream is the lock, and this is
    /// how it works. Nor is a call illegal if the stream was no longer as the run had read it, nor one that went over a
    /// daily cap because of people's changes: AWS tells nobody of these.
    NoIllegalCall,
    /// A change leaves less than three seconds after its look was asked for, and that look saw the stream ACTIVE.
    #[strum(serialize = "fresh_look")]
    FreshObservation,
    /// Between two changes of capacity by us, the first has settled and one full minute after it was published.
    OneChangeAStep,
    /// A target is no higher than the minutes after the last change need, by what the stream was really offered; and no
    /// lower, where it goes down.
    Supported,
    /// A change is within what a person allows: its kind, its shards, in an hour the changes that its look shows, and USD, by
    /// the records that are new. A maximum of shards is not worked around by a switch to on-demand mode.
    Bounded,
    /// Nothing is changed, and no memory is written, on a stream that a person has opted out.
    OptedOut,
    /// Nothing is changed where capacity cannot cure the cause.
    Incurable,
    /// AutoFix counts each change at least once, and only once where no crash and no lost answer touched it.
    Counted,
    /// When nothing goes wrong any more, the stream ends healed, or held by a name that says what stands in the way.
    Ending,
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// Which.
    pub invariant: Invariant,
    /// When, in seconds of the run.
    pub at: i64,
    /// The numbers.
    pub why: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {:02}:{:02}: {}", self.invariant, self.at / 60, self.at % 60, self.why)
    }
}

/// A look that a run rests on.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub asked: i64,
    /// How old its summary and tags were beyond that, in seconds.
    pub stale: i64,
    pub observation: Observation,
}

/// A change that has reached AWS.
pub(super) struct Call<'a> {
    /// Which run made it.
    pub run: u64,
    /// When it was sent.
    pub sent: i64,
    pub seen: &'a Seen,
    pub remedy: &'a Remedy,
    /// When AWS told its container the account's limits, if it did.
    pub limits_of: Option<i64>,
    /// The stream as it was then.
    pub before: &'a Stream,
    pub answer: &'a Result<Option<u32>, Refusal>,
    /// When AWS will be done with it; `None`: nothing was changed.
    pub done: Option<i64>,
}

/// A change of ours that AWS carries out.
#[derive(Debug)]
struct OwnChange {
    run: u64,
    at: i64,
    done: i64,
    kind: ChangeKind,
    /// The shards that it leaves.
    to: u32,
    /// A crash or a lost answer may have kept it from being counted, or from being seen to be.
    is_touched: bool,
    /// Something hides it: the memory that another run wrote at the same time, or the datum of a change before it that could not be known.
    is_blurred: bool,
    counts: u32,
}

/// What has happened so far.
#[derive(Debug)]
pub(super) struct Check {
    situation: Situation,
    policy: Policy,
    now: i64,
    /// Records offered in each minute, retries again, and those of them that were refused.
    minutes: Vec<(u64, u64)>,
    /// When the last change of capacity was done, of ours and of anybody.
    settled: i64,
    settled_by_anybody: i64,
    made: Vec<OwnChange>,
    /// When people changed its capacity, deleted its tags, and switched it off.
    changed_by_people: Vec<i64>,
    untagged: Option<i64>,
    /// A memory was written that cannot know of the last change of capacity.
    is_lost: bool,
    /// The run that wrote the memory last, and what the one before it knew.
    writer: u64,
    known: Known,
    known_before: Known,
    off_since: Option<i64>,
    /// Changes that AWS has refused.
    refusals: u32,
}

/// The stream as a run that wrote the memory saw it.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    open_shards: u32,
    /// When the last change of anybody was done.
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
            settled_by_anybody: 0,
            made: vec![],
            changed_by_people: vec![],
            untagged: None,
            is_lost: false,
            writer: 0,
            known: Known::default(),
            known_before: Known::default(),
            off_since: (situation.kind == Kind::OptedOut).then_some(-1),
            refusals: 0,
        }
    }

    /// A second of the world has passed.
    pub(super) fn pass(&mut self, world: &World) {
        let minute = usize::try_from(self.now / 60).unwrap_or_default();
        self.minutes.resize(self.minutes.len().max(minute + 1), (0, 0));
        let last = world.last();
        self.minutes[minute].0 += last.accepted + last.throttled;
        self.minutes[minute].1 += last.throttled;
        self.now = world.now();
    }

    /// A person has changed the capacity, and AWS is done with it then.
    pub(super) fn changed_by_person(&mut self, done: i64) {
        self.changed_by_people.push(self.now);
        self.settled_by_anybody = done;
    }

    pub(super) fn untagged(&mut self) {
        (self.untagged, self.off_since) = (Some(self.now), None);
    }

    pub(super) fn switched(&mut self, is_off: bool) {
        self.off_since = if is_off { self.off_since.or(Some(self.now)) } else { None };
    }

    /// A container has died, or an answer to this run was lost.
    pub(super) fn touched(&mut self, run: u64) {
        self.made.iter_mut().filter(|made| made.run == run).for_each(|made| made.is_touched = true);
    }

    /// A datum of a change announced at `at` was lost, or its answer was.
    pub(super) fn datum_touched(&mut self, at: i64) {
        if let Some(made) = self.made_at(at) {
            made.is_touched = true;
        }
    }

    fn made_at(&mut self, at: i64) -> Option<&mut OwnChange> {
        let near = self.made.iter_mut().filter(|made| (made.at - at).abs() <= SAME_CHANGE);
        near.min_by_key(|made| (made.at - at).abs())
    }

    /// How many changes of ours AWS has carried out.
    pub(super) fn changes(&self) -> usize {
        self.made.len()
    }

    /// A run has written the memory. A tag cannot be compared and set: where it looked before another run's change, it may
    /// have overwritten what that knew.
    pub(super) fn written(&mut self, run: u64, seen: &Seen, answer: &Result<(), Refusal>) -> Checked {
        self.must_be_allowed(seen, "TagResource")?;
        self.is_lost |= !self.is_known(seen);
        if self.writer != run {
            self.known_before = self.known;
        }
        let open_shards = seen.observation.stream.as_ref().map_or(0, |stream| stream.open_shards);
        (self.writer, self.known) = (run, Known { open_shards, settled: self.settled_by_anybody });
        let overwritten = self.made.last_mut().filter(|made| made.run != run && seen.asked - seen.stale <= made.at);
        overwritten.into_iter().for_each(|made| made.is_blurred = true);
        match answer {
            Ok(()) => Ok(()),
            Err(refusal) => self.fails(Invariant::NoIllegalCall, format!("TagResource: {refusal}")),
        }
    }

    /// A change has reached AWS.
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
        if is_of_capacity(kind) {
            self.must_be_curable(call)?;
            if is_known {
                self.must_be_next(call)?;
                self.must_be_supported(call)?;
            }
            (self.settled, self.settled_by_anybody, self.is_lost) = (done, done, false);
        }
        let (_, to) = call.remedy.step();
        self.made.push(OwnChange {
            run: call.run,
            at: self.now,
            done,
            kind,
            to,
            is_touched: false,
            is_blurred,
            counts: 0,
        });
        Ok(())
    }

    /// AWS has refused a change.
    pub(super) fn refused(&mut self) {
        self.refusals += 1;
    }

    fn must_be_allowed(&self, seen: &Seen, what: &str) -> Checked {
        match self.off_since {
            Some(since) if since < seen.asked - seen.stale => self.fails(
                Invariant::OptedOut,
                format!("{what} by a look of second {}, and {MODE_TAG}=off since second {since}", seen.asked),
            ),
            _ => Ok(()),
        }
    }

    /// Reshards of the day so far, ours and people's.
    fn reshards_made(&self) -> usize {
        let made = self.made.iter().filter(|made| budgets(made.kind).0).count();
        made + self.situation.reshards_before().len() + self.changed_by_people.len()
    }

    /// Whether the last change of ours can be known at all: not while its datum is not published yet, and a person has
    /// deleted the memory of it, or taken the change back, so that it looks as if it had never been made.
    fn is_known(&self, seen: &Seen) -> bool {
        let Some(last) = self.made.last() else { return true };
        let is_blurred = [self.untagged, self.changed_by_people.last().copied()];
        is_blurred.into_iter().flatten().all(|at| at < last.at - SAME_CHANGE) || is_published(last, seen)
    }

    /// Whether a person has deleted the memory of a change, or the intent of it.
    fn is_untagged_since(&self, made: &OwnChange) -> bool {
        self.untagged.is_some_and(|at| at >= made.at - SAME_CHANGE)
    }

    /// AutoFix of a change that was announced at second `at` has reached CloudWatch.
    pub(super) fn counted(&mut self, action: &str, at: i64) -> Checked {
        // An intent without a change, and a person who does the same: nobody can tell that from a change of ours.
        let is_a_persons = self.changed_by_people.iter().any(|by| *by >= at - SAME_CHANGE);
        let Some(made) = self.made_at(at) else {
            let why = format!("AutoFix {action} of second {at}, and nothing was changed then");
            return if is_a_persons { Ok(()) } else { self.fails(Invariant::Counted, why) };
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

/// Whether a look shows the datum of a change.
fn is_published(made: &OwnChange, seen: &Seen) -> bool {
    let minute = Minute::of(time(made.at));
    made.counts > 0 && seen.observation.traffic.auto_fixes.range(minute.plus(-1)..=minute.plus(1)).next().is_some()
}

fn is_of_capacity(kind: ChangeKind) -> bool {
    use ChangeKind::{Restore, Scale, Split, Switch, SwitchBack, WarmUp};
    matches!(kind, Scale | Split | Switch | SwitchBack | Restore | WarmUp)
}

/// Whether a change of this kind spends reshards, and switches, of the day.
fn budgets(kind: ChangeKind) -> (bool, bool) {
    use ChangeKind::{Restore, Scale, Switch, SwitchBack};
    (matches!(kind, Scale | Restore), matches!(kind, Switch | SwitchBack))
}
