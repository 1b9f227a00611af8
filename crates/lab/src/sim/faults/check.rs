//! What must hold, whatever goes wrong. It is told from the world's own counters and from the calls that reached AWS, and
//! shares nothing with the code that decides.

use super::super::time;
use super::super::world::World;
use super::schedule::{Kind, MANY_SHARDS, Situation};
use crate::rules::{RESHARDS_A_DAY, Refusal, SWITCHES_A_DAY};
use unthrottle_core::decision::{Reason, Remedy, Verdict};
use unthrottle_core::memory::ChangeKind;
use unthrottle_core::observation::{CapacityMode, Minute, Observation, Status, Stream};
use unthrottle_core::policy::{MODE_TAG, Permission, Policy};

/// The least seconds after its end that CloudWatch takes for a minute.
const PUBLISHED_AFTER: i64 = 60;

/// A change leaves sooner after its look was asked for, in seconds: see [`Invariant::FreshLook`].
const FRESH: i64 = 3;

/// A datum belongs to the change that it is nearest to, in seconds: an intent is written within seconds of its change, and
/// two changes of ours are minutes apart.
const SAME_CHANGE: i64 = 90;

/// What loads that wander a little make of a bill, in USD an hour.
const A_CENT: f64 = 0.01;

/// Records of a minute that a full shard takes.
const FULL_SHARD: f64 = 60_000.0;

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
    FreshLook,
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
    pub look: Observation,
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
struct Made {
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
    made: Vec<Made>,
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

    fn made_at(&mut self, at: i64) -> Option<&mut Made> {
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
        let open_shards = seen.look.stream.as_ref().map_or(0, |stream| stream.open_shards);
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
            return self.must_be_weather(call, refusal);
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
        self.made.push(Made { run: call.run, at: self.now, done, kind, to, is_touched: false, is_blurred, counts: 0 });
        Ok(())
    }

    /// AWS has refused a change.
    pub(super) fn refused(&mut self) {
        self.refusals += 1;
    }

    fn must_be_fresh(&self, call: &Call<'_>) -> Checked {
        let age = call.sent - call.seen.asked;
        let status = call.seen.look.stream.as_ref().map(|stream| &stream.status);
        if age < FRESH && status == Some(&Status::Active) {
            return Ok(());
        }
        self.fails(Invariant::FreshLook, format!("a change left {age} s after a look that saw the stream {status:?}"))
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

    fn must_be_bounded(&self, call: &Call<'_>) -> Checked {
        let hour = Minute::of(time(call.sent)).plus(1 - 60)..;
        let shown: u32 = call.seen.look.traffic.fleet_fixes.range(hour).map(|(_, count)| count).sum();
        let most = self.policy.max_changes_per_hour;
        if shown >= most {
            return self
                .fails(Invariant::Bounded, format!("a change after {shown} in the hour, and {most} are allowed"));
        }
        let prices = &self.policy.prices;
        let shards = |to: &u32| self.situation.usd_an_hour_for(prices, f64::from(*to));
        let (at_least, is_more) = match call.remedy {
            Remedy::ScaleShards { from, to, .. } => (shards(to), to > from),
            Remedy::SplitShard { to, .. } => (shards(to), true),
            Remedy::SwitchToOnDemand { .. } => (self.situation.usd_an_hour_on_demand(prices), true),
            _ => (0.0, false),
        };
        let allows = |permission| permission == Permission::Allow;
        let is_allowed = match call.remedy {
            Remedy::ScaleShards { to, .. } | Remedy::SplitShard { to, .. } => *to <= self.policy.max_shards,
            Remedy::SwitchToOnDemand { .. } => {
                allows(self.policy.on_demand) && call.before.open_shards < self.policy.max_shards
            }
            Remedy::EnableShardMetrics { .. } => allows(self.policy.diagnose),
            _ => true,
        };
        if !is_allowed {
            return self.fails(Invariant::Bounded, format!("{:?}, which is not allowed", call.remedy));
        }
        match self.policy.max_hourly_cost {
            Some(most) if is_more && at_least > most + A_CENT => {
                let remedy = call.remedy;
                self.fails(Invariant::Bounded, format!("{remedy:?} costs ${at_least} an hour, and ${most} is allowed"))
            }
            _ => Ok(()),
        }
    }

    /// A refusal must come of what the run could not know.
    fn must_be_weather(&self, call: &Call<'_>, refusal: &Refusal) -> Checked {
        let seen = call.seen.look.stream.as_ref();
        let is_as_seen =
            seen.is_some_and(|seen| (&seen.mode, seen.open_shards) == (&call.before.mode, call.before.open_shards));
        let is_weather = match refusal.code {
            "ResourceInUseException" => true,
            _ if !is_as_seen => true,
            "LimitExceededException" if refusal.is_of_a_quota() => {
                // They are kept for a minute: only a person's change is newer, or one whose memory a person has deleted, and
                // which was not done yet.
                let last = self.made.last().map(|made| made.done).max(self.changed_by_people.last().copied());
                call.limits_of.is_none_or(|read| Some(read) <= last)
            }
            "LimitExceededException" => !self.is_spent(call.remedy.kind(), call.seen),
            _ => false,
        };
        if is_weather {
            return Ok(());
        }
        self.fails(Invariant::NoIllegalCall, format!("{:?}: {refusal}; it was as the look saw it", call.remedy))
    }

    /// Whether our own changes have spent a daily budget of AWS's: these the reads show.
    fn is_spent(&self, kind: ChangeKind, seen: &Seen) -> bool {
        let (reshards, switches) = budgets(kind);
        let is_known = |made: &&Made| !self.is_untagged_since(made) || is_published(made, seen);
        let made = self.made.iter().filter(|made| budgets(made.kind) == (reshards, switches)).filter(is_known).count();
        let before = if reshards { self.situation.reshards_before().len() } else { 0 };
        (reshards && made + before >= RESHARDS_A_DAY) || (switches && made >= SWITCHES_A_DAY)
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
    fn is_untagged_since(&self, made: &Made) -> bool {
        self.untagged.is_some_and(|at| at >= made.at - SAME_CHANGE)
    }

    /// The evidence of a run begins here. AWS tells nobody when a person has changed the stream: it shows only by the
    /// stream's not being as our last change left it.
    fn evidence_from(&self, before: &Stream) -> i64 {
        let last = self.made.last().filter(|last| !self.is_untagged_since(last));
        let is_theirs = last.is_some_and(|last| last.to != before.open_shards);
        // Nor does it show where people have changed it to what it was, as the run before this one saw it.
        let is_as_known = self.known_before.open_shards == before.open_shards;
        match () {
            () if is_theirs && is_as_known => self.known_before.settled,
            () if is_theirs => self.settled_by_anybody,
            () => self.settled,
        }
    }

    fn must_be_next(&self, call: &Call<'_>) -> Checked {
        let Some(last) = self.made.iter().rev().find(|made| is_of_capacity(made.kind)) else { return Ok(()) };
        let full = (last.done + 59) / 60 * 60;
        let published = full + 60 + PUBLISHED_AFTER;
        if call.seen.asked >= published {
            return Ok(());
        }
        let (at, done) = (last.at, last.done);
        self.fails(
            Invariant::OneChangeAStep,
            format!(
                "{:?} by a look of second {}; the change of second {at} was done at {done}, and no full minute after it \
                 was published before {published}",
                call.remedy, call.seen.asked
            ),
        )
    }

    fn must_be_supported(&self, call: &Call<'_>) -> Checked {
        let since = self.evidence_from(call.before);
        let evidence = || {
            let first = usize::try_from((since + 59) / 60).unwrap_or_default();
            let end = usize::try_from((call.seen.asked - PUBLISHED_AFTER) / 60).unwrap_or_default();
            self.minutes[..end.min(self.minutes.len())].iter().skip(first)
        };
        let needs = |offered: u64| offered as f64 / FULL_SHARD / self.policy.target_utilization;
        let most = evidence().filter(|(_, refused)| *refused > 0).map(|(offered, _)| *offered).max();
        match *call.remedy {
            Remedy::ScaleShards { from, to, .. } => {
                // A reshard may open more than is needed where the quota leaves no room for its short-lived shards, and
                // shards that are told apart are not evenly loaded.
                let is_exact = self.situation.kind != Kind::NearQuota && !call.before.shows_shards();
                // One more: AWS reshards faster to a multiple of a quarter.
                let needed =
                    most.map_or(0, |offered| if is_exact { needs(offered).ceil() as u32 + 1 } else { u32::MAX });
                // A load that is back after two reshards of the day has outgrown them: twice what it needs.
                let is_back = self.reshards_made() >= 2 && evidence().any(|(_, refused)| *refused == 0);
                let needed = if is_back { needed.saturating_mul(2) } else { needed };
                let bound = needed.min(2 * from).min(self.policy.max_shards);
                if to <= bound {
                    return Ok(());
                }
                self.fails(
                    Invariant::Supported,
                    format!(
                        "{from} → {to} shards; the minutes since second {since} support {bound} ({most:?} records)"
                    ),
                )
            }
            Remedy::Restore { from, to, .. } => {
                let peak = self.minutes.iter().rev().take(60).map(|(offered, _)| *offered).max().unwrap_or_default();
                // The newest minutes are not published yet.
                let known = evidence().rev().take(55).map(|(offered, _)| *offered).max().unwrap_or_default();
                if f64::from(to) >= needs(known).floor() {
                    return Ok(());
                }
                self.fails(Invariant::Supported, format!("{from} → {to} shards, and the peak was {peak} records"))
            }
            _ if most.is_some() || call.remedy.is_undo() => Ok(()),
            _ => self.fails(
                Invariant::Supported,
                format!("{:?}, and nothing was refused since second {since}", call.remedy),
            ),
        }
    }

    fn must_be_curable(&self, call: &Call<'_>) -> Checked {
        let splits = self.made.iter().filter(|made| made.kind == ChangeKind::Split).count();
        let is_legal = match (self.situation.kind, call.remedy.kind()) {
            // What people make of it may be curable.
            _ if !self.changed_by_people.is_empty() => true,
            // Two splits of a line show that it is one key, to those who remember them.
            (Kind::HotKey, ChangeKind::Split) => splits < 2 || self.untagged.is_some(),
            (Kind::HotKey | Kind::Bursts | Kind::OnDemand, _) => false,
            _ => true,
        };
        if is_legal {
            return Ok(());
        }
        self.fails(
            Invariant::Incurable,
            format!("{:?} on a stream that is {}, after {splits} splits", call.remedy, self.situation.kind),
        )
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

    /// Whether a run's last word may be another after a while, so that the end is not seen yet.
    pub(super) fn waits(last: Option<&Verdict>) -> bool {
        matches!(last, Some(Verdict::Hold(Reason::OnDemandAdapting | Reason::RefusedLately { .. })))
    }

    /// All is over, with the stream in this capacity mode; `last`: what came of the last run that looked.
    pub(super) fn ended(&self, last: Option<&Verdict>, mode: &CapacityMode) -> Checked {
        for (n, made) in self.made.iter().enumerate().filter(|(_, made)| made.counts == 0) {
            // What nobody may look at, or nobody can know of any more, is not counted. A memory has room for one datum that
            // is owed: where that of the next change is missing, too, it takes the place.
            let is_beyond = made.is_blurred
                || self.made.get(n + 1).is_some_and(|next| next.is_touched)
                || self.off_since.is_some()
                || self.is_untagged_since(made)
                || self.changed_by_people.iter().any(|by| *by >= made.at);
            if !(made.is_touched && is_beyond) {
                return self
                    .fails(Invariant::Counted, format!("{} of second {} was never counted", made.kind, made.at));
            }
        }
        let newest = self.minutes.iter().rev().take(3);
        let (offered, refused) = newest.fold((0, 0), |(o, r), (offered, refused)| (o + offered, r + refused));
        let is_healed = refused as f64 <= self.policy.floor * offered as f64;
        let is_held = last.is_some_and(|verdict| match self.off_since {
            Some(_) => *verdict == Verdict::Hold(Reason::OptedOut),
            None => self.is_held_by_name(verdict, mode),
        });
        if is_healed || is_held {
            return Ok(());
        }
        let code = last.map_or("nothing", |verdict| verdict.code());
        self.fails(
            Invariant::Ending,
            format!("{refused} of {offered} records are refused at the end, and the last word is {code}"),
        )
    }

    /// Whether a throttled stream may end with this hold: its name fits what is the matter with the stream.
    fn is_held_by_name(&self, verdict: &Verdict, mode: &CapacityMode) -> bool {
        use Reason as R;
        let Verdict::Hold(reason) = verdict else { return false };
        let Situation { kind, max_shards, changes_an_hour, usd_an_hour, .. } = self.situation;
        // Shards of people's are not equal, and loads are what they make of the stream.
        let is_peoples = !self.changed_by_people.is_empty();
        let is_uneven =
            kind == Kind::HotKey || is_peoples || self.made.iter().any(|made| made.kind == ChangeKind::Split);
        match reason {
            // Capacity cures none of these: the producer is to change.
            R::HotKey { .. } | R::SplitBudgetSpent(_) | R::NotHealed { .. } => is_uneven,
            // Minutes tell bursts from uneven keys only where shards are told apart.
            R::SkewSuspected(_) => is_uneven || kind == Kind::Bursts,
            R::MicroBurst => kind == Kind::Bursts || is_peoples,
            // The limits of a person and of AWS.
            R::AtMaxShards { .. } => max_shards < MANY_SHARDS,
            R::FleetLimit(_) => changes_an_hour < Policy::default().max_changes_per_hour,
            R::AtMaxCost { .. } => usd_an_hour.is_some(),
            R::AtAccountQuota(_) => kind == Kind::NearQuota,
            // Two refusals in a row stand for it, too.
            R::ReshardBudgetSpent(_) => self.reshards_made() >= RESHARDS_A_DAY / 2 || self.refusals > 1,
            // AWS's growth takes 15 minutes, and the pause after two refusals an hour: the run goes on for longer.
            R::OnDemandAdapting | R::OnDemandCeiling(_) => *mode == CapacityMode::OnDemand,
            R::Refused { .. } | R::RefusedLately { .. } => self.refusals > 0,
            // A person takes our changes back.
            R::TugOfWar => is_peoples || self.untagged.is_some(),
            _ => false,
        }
    }

    fn fails(&self, invariant: Invariant, why: String) -> Checked {
        Err(Broken { invariant, at: self.now, why })
    }
}

/// Whether a look shows the datum of a change.
fn is_published(made: &Made, seen: &Seen) -> bool {
    let minute = Minute::of(time(made.at));
    made.counts > 0 && seen.look.traffic.auto_fixes.range(minute.plus(-1)..=minute.plus(1)).next().is_some()
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
