//! A schedule, played: the world second by second, and in each second the runs call by call.

use super::super::alarm::{Alarm, Watched};
use super::super::chance::{CALLS, Chance};
use super::super::load::Load;
use super::super::ours::{self, AGAIN_EVERY, STAYS_FOR, SWEEP_AT, SWEEP_EVERY, alarm_signal, throttle_signal};
use super::super::time;
use super::super::world::{self, By, World, arn};
use super::check::{self, Broken, Check, Seen};
use super::invocation::{Answer, Call, Container, Failed, Flaw, Invocation, Line, seconds};
use super::schedule::{
    Deed, Delivery, ENDS, Event, Hint, Kind, LATEST, On, Schedule, Situation, TROUBLE_ENDS, Trouble,
};
use crate::rules::Refusal;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use unthrottle_core::decide::pending;
use unthrottle_core::decision::{Decision, Verdict};
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG};
use unthrottle_core::observation::{CapacityMode, Stream};
use unthrottle_core::policy::{MODE_TAG, Policy};
use unthrottle_core::signal::{Ask, Signal};

/// Runs at once: the default of the stack's reserved concurrency.
const CONTAINERS: usize = 5;

/// Lambda tries a failed run again after so many seconds, and then again (its page on asynchronous invocation).
const TRIED_AGAIN_AFTER: [i64; 2] = [60, 120];

/// Seconds that a call takes that nothing delays. Real ones take a tenth of one: longer ones let more happen in between.
const TAKES: [i64; 6] = [0, 0, 0, 1, 1, 2];

/// The clients give up after so many seconds: a call with its retries, the single attempt of a change, and that of a datum
/// (`clients`).
pub const PATIENCE: (i64, i64, i64) = (6, 1, 3);

/// From one attempt to the next, in seconds.
pub const ATTEMPT: i64 = 3;

/// What CloudTrail tells of.
const REFUSED: world::Event = world::Event { operation: "PutRecord", code: "ProvisionedThroughputExceededException" };

/// What a schedule came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Runs of the Lambda.
    pub runs: u64,
    /// Changes that AWS carried out for them.
    pub changes: u64,
    /// What went wrong, by its name.
    pub troubles: BTreeMap<&'static str, u64>,
    /// The last word on the stream, by its code.
    pub ended: &'static str,
}

/// Plays a schedule to its end.
///
/// # Errors
/// The first invariant that does not hold.
pub fn play(schedule: &Schedule) -> Result<Played, Broken> {
    play_with(schedule, Flaw::None)
}

/// What happens in it, call by call, each with its time: for a person who looks into a failure.
pub fn retell(schedule: &Schedule) -> Vec<String> {
    let mut play = Play::new(schedule, Flaw::None);
    play.log = Some(vec![]);
    // How it ends is known.
    let _ = play.run(schedule);
    play.log.unwrap_or_default()
}

/// The same with runs that do something wrong.
pub(super) fn play_with(schedule: &Schedule, flaw: Flaw) -> Result<Played, Broken> {
    let mut play = Play::new(schedule, flaw);
    play.run(schedule)?;
    Ok(play.played)
}

/// What is on its way to the function.
#[derive(Clone, Copy, Debug)]
struct Job {
    at: i64,
    wakes: Wakes,
    tries: usize,
}

/// A signal, with the second that it tells of.
#[derive(Clone, Copy, Debug)]
enum Wakes {
    Throttle(i64),
    Alarm(i64, bool),
    Ask,
    Sweep,
    /// The sweep that began then stays.
    Again(i64),
}

/// A run of the Lambda, and its call that is under way.
struct Run {
    id: u64,
    job: Job,
    future: Pin<Box<dyn Future<Output = Result<Decision, Failed>>>>,
    line: Line,
    container: Rc<Container>,
    seen: Option<Seen>,
    pending: Option<Pending>,
}

/// A call under way.
struct Pending {
    call: Call,
    trouble: Option<Trouble>,
    sent: i64,
    /// When AWS carries it out: once, or again.
    carried_out_at: Vec<i64>,
    answered_at: i64,
    /// The client has given up by then.
    is_cut: bool,
    answer: Answer,
}

/// What has become of a run.
enum Step {
    Waits,
    Moved,
    Over,
}

struct Play {
    world: World,
    load: Load,
    policy: Rc<Policy>,
    flaw: Flaw,
    alarm: Alarm,
    past: Past,
    chance: Chance,
    check: Check,
    /// What will go wrong with the next calls, and with the next words of the alarm.
    troubles: Vec<(On, Trouble)>,
    deliveries: Vec<Delivery>,
    queue: Vec<Job>,
    idle: Vec<Rc<Container>>,
    runs: Vec<Run>,
    last: Option<Verdict>,
    played: Played,
    /// What has happened, in words; `None`: nobody wants to know.
    log: Option<Vec<String>>,
}

impl Play {
    fn new(schedule: &Schedule, flaw: Flaw) -> Play {
        let situation = &schedule.situation;
        let policy = situation.policy();
        let mut world = World::new(situation.setup(), schedule.seed);
        remember(&mut world, situation);
        Play {
            past: Past(vec![(0, world.stream(), world.tags().clone())]),
            load: situation.offered(),
            flaw,
            alarm: Alarm::on(Watched::Writes, &policy),
            policy: Rc::new(policy),
            chance: Chance::new(schedule.seed, CALLS),
            check: Check::new(situation),
            world,
            troubles: vec![],
            deliveries: vec![],
            queue: vec![],
            idle: vec![],
            runs: vec![],
            last: None,
            played: Played::default(),
            log: None,
        }
    }

    fn run(&mut self, schedule: &Schedule) -> Result<(), Broken> {
        let mut entries = schedule.entries.iter().peekable();
        while self.world.now() < ENDS || !self.is_over() {
            self.pass();
            let now = self.world.now();
            while let Some(entry) = entries.next_if(|entry| entry.at <= now) {
                self.happens(&entry.event);
            }
            if now == TROUBLE_ENDS {
                (self.troubles, self.deliveries) = (vec![], vec![]);
            }
            self.wake(now);
            self.go_on()?;
        }
        self.ended()?;
        self.played.changes = self.check.changes() as u64;
        self.played.ended = self.last.as_ref().map_or("nothing", Verdict::code);
        Ok(())
    }

    /// Whether the stream is healed or held by name. One that is neither is given more time, and that ends, too.
    fn is_over(&self) -> bool {
        let now = self.world.now();
        now >= LATEST || (now % 60 == 0 && !Check::waits(self.last.as_ref()) && self.ended().is_ok())
    }

    fn ended(&self) -> Result<(), Broken> {
        self.check.ended(self.last.as_ref(), &self.world.stream().mode)
    }

    fn tell(&mut self, what: impl FnOnce(&World) -> String) {
        if let Some(log) = &mut self.log {
            let now = self.world.now();
            log.push(format!("{:02}:{:02}  {}", now / 60, now % 60, what(&self.world)));
        }
    }

    fn pass(&mut self) {
        self.world.pass(self.load.at(self.world.now()));
        self.check.pass(&self.world);
        if self.past.is_stream_changed(&self.world) {
            self.past.note(&self.world);
            self.tell(|world| format!("the stream is {:?} with {} shards", world.stream().status, world.open_shards()));
        }
    }

    fn happens(&mut self, event: &Event) {
        self.tell(|_| event.to_string());
        let now = self.world.now();
        match event {
            Event::Signal(hint) => self.queue.push(Job { at: now, wakes: Wakes::of(*hint, now), tries: 0 }),
            Event::Alarm(delivery) => self.deliveries.push(*delivery),
            Event::Next(on, trouble) => self.troubles.push((*on, *trouble)),
            Event::Person(deed) => self.does(*deed),
        }
    }

    /// What a person does; where AWS refuses it, nothing.
    fn does(&mut self, deed: Deed) {
        let open = self.world.open_shards();
        let mode = match self.world.stream().mode {
            CapacityMode::Provisioned => CapacityMode::OnDemand,
            _ => CapacityMode::Provisioned,
        };
        let world = &mut self.world;
        let done = match deed {
            Deed::Double => world.update_shard_count(By::Others, 2 * open).is_ok(),
            Deed::Halve => world.update_shard_count(By::Others, open.div_ceil(2)).is_ok(),
            Deed::AddOne => world.update_shard_count(By::Others, open + 1).is_ok(),
            Deed::SwitchMode => world.update_stream_mode(By::Others, mode).is_ok(),
            Deed::Untag => {
                world.untag();
                self.check.untagged();
                false
            }
            Deed::SwitchOff | Deed::SwitchOn => {
                let is_off = deed == Deed::SwitchOff;
                if !is_off {
                    world.untag_one(MODE_TAG);
                } else if world.tag(By::Others, MODE_TAG, "off").is_err() {
                    return;
                }
                self.check.switched(is_off);
                false
            }
        };
        if let Some(until) = self.world.updating_until().filter(|_| done) {
            self.check.changed_by_person(until);
        }
        self.past.note(&self.world);
        *self.played.troubles.entry("person").or_default() += 1;
    }

    /// What the alarm and the schedule send, and the runs that begin.
    fn wake(&mut self, now: i64) {
        if let Some(is_raised) = self.alarm.pass(self.world.cloudwatch(), now) {
            let job = Job { at: now, wakes: Wakes::Alarm(now, is_raised), tries: 0 };
            let delivery = (!self.deliveries.is_empty()).then(|| self.deliveries.remove(0));
            self.queue.extend(match delivery {
                None => vec![job],
                Some(Delivery::Lost) => vec![],
                Some(Delivery::Twice) => vec![job; 2],
                Some(Delivery::Late(by)) => vec![Job { at: now + by, ..job }],
            });
            self.went_wrong(delivery.map(|_| "signal"));
        }
        if now % SWEEP_EVERY == SWEEP_AT {
            self.queue.push(Job { at: now, wakes: Wakes::Sweep, tries: 0 });
        }
        while let Some(next) = self.queue.iter().position(|job| job.at <= now) {
            let job = self.queue.remove(next);
            self.begin(job, now);
        }
    }

    fn begin(&mut self, job: Job, now: i64) {
        let is_due = || self.alarm.is_raised() || pending(self.world.tags(), &self.policy, time(now)).is_some();
        if matches!(job.wakes, Wakes::Sweep) && !is_due() {
            return;
        }
        if self.runs.len() >= CONTAINERS {
            // Lambda keeps it for a second, at first.
            self.queue.push(Job { at: now + 1, ..job });
            return;
        }
        self.played.runs += 1;
        let (line, container) = (Line::default(), self.idle.pop().unwrap_or_default());
        let invocation = Invocation {
            line: line.clone(),
            signal: job.wakes.signal(),
            policy: self.policy.clone(),
            container: container.clone(),
            flaw: self.flaw,
        };
        let (id, future) = (self.played.runs, Box::pin(invocation.run()));
        self.tell(|_| format!("run {id} begins: {:?}", job.wakes));
        self.runs.push(Run { id, job, future, line, container, seen: None, pending: None });
    }

    /// Lets the runs go on, each by a step and then the next, until all of them wait.
    fn go_on(&mut self) -> Result<(), Broken> {
        if self.runs.is_empty() {
            return Ok(());
        }
        if self.runs.len() > 1 {
            let first = self.chance.between(0, self.runs.len() as i64 - 1);
            self.runs.rotate_left(usize::try_from(first).unwrap_or_default());
        }
        loop {
            let mut is_moved = false;
            for mut run in std::mem::take(&mut self.runs) {
                let step = self.step(&mut run)?;
                is_moved |= !matches!(step, Step::Waits);
                if !matches!(step, Step::Over) {
                    self.runs.push(run);
                }
            }
            if !is_moved {
                return Ok(());
            }
        }
    }

    fn step(&mut self, run: &mut Run) -> Result<Step, Broken> {
        let now = self.world.now();
        let Some(mut pending) = run.pending.take() else { return Ok(self.poll(run)) };
        if pending.carried_out_at.first().is_some_and(|at| *at <= now) {
            pending.carried_out_at.remove(0);
            if pending.trouble == Some(Trouble::CrashBefore) {
                return Ok(self.crash(run));
            }
            self.carry_out(run, &mut pending)?;
            if pending.trouble == Some(Trouble::CrashAfter) {
                return Ok(self.crash(run));
            }
        } else if pending.answered_at <= now {
            run.line.answer(pending.answer);
            return Ok(self.poll(run));
        } else {
            run.pending = Some(pending);
            return Ok(Step::Waits);
        }
        run.pending = Some(pending);
        Ok(Step::Moved)
    }

    /// Lets a run go on to its next call, or to its end.
    fn poll(&mut self, run: &mut Run) -> Step {
        run.line.set_now(self.world.now());
        match run.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => {
                run.pending = run.line.taken().map(|call| self.send(call));
                Step::Moved
            }
            Poll::Ready(came) => {
                self.idle.push(run.container.clone());
                self.tell(|_| format!("run {} ends: {:?}", run.id, came.as_ref().map(|decision| &decision.verdict)));
                match came {
                    Ok(decision) if run.seen.is_some() => {
                        self.stay(run, &decision);
                        self.last = Some(decision.verdict);
                    }
                    Ok(_) => {}
                    // A person sees the error, and a sweep goes on with the next stream.
                    Err(_) if matches!(run.job.wakes, Wakes::Ask | Wakes::Sweep | Wakes::Again(_)) => {}
                    Err(_) => self.try_again(run),
                }
                Step::Over
            }
        }
    }

    /// A sweep looks again at what is under way.
    fn stay(&mut self, run: &Run, decision: &Decision) {
        let began = match run.job.wakes {
            Wakes::Sweep => run.job.at,
            Wakes::Again(began) => began,
            _ => return,
        };
        let at = run.job.at + AGAIN_EVERY;
        if decision.is_under_way() && at < began + STAYS_FOR {
            self.queue.push(Job { at, wakes: Wakes::Again(began), tries: 0 });
        }
    }

    fn crash(&mut self, run: &Run) -> Step {
        self.tell(|_| format!("run {} dies", run.id));
        self.check.touched(run.id);
        if !matches!(run.job.wakes, Wakes::Ask) {
            self.try_again(run);
        }
        Step::Over
    }

    fn try_again(&mut self, run: &Run) {
        let Job { wakes, tries, .. } = run.job;
        // Of a sweep that has stayed, all is tried again.
        let wakes = if matches!(wakes, Wakes::Again(_)) { Wakes::Sweep } else { wakes };
        if let Some(after) = TRIED_AGAIN_AFTER.get(tries) {
            self.queue.push(Job { at: self.world.now() + after, wakes, tries: tries + 1 });
        }
    }

    fn went_wrong(&mut self, what: Option<&'static str>) {
        if let Some(what) = what {
            *self.played.troubles.entry(what).or_default() += 1;
        }
    }

    /// A call leaves: how long it takes, and what goes wrong with it.
    fn send(&mut self, call: Call) -> Pending {
        let on = kind(&call);
        let found = self.troubles.iter().position(|(of, _)| *of == on);
        let trouble = found.map(|n| self.troubles.remove(n).1);
        self.went_wrong(trouble.map(Trouble::name));
        let patience = match &call {
            Call::Tag { within: Some(within), .. } => seconds(*within),
            Call::Change(_) => PATIENCE.1,
            Call::Count(..) | Call::CountReverted(_) => PATIENCE.2,
            _ => PATIENCE.0,
        };
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
        if let (Some(Trouble::Failed), Call::Count(_, at)) = (trouble, &call) {
            self.check.datum_touched(second(*at));
        }
        let answered_at = sent + takes.min(patience);
        Pending { call, trouble, sent, carried_out_at, answered_at, is_cut: takes > patience, answer: Answer::Silence }
    }

    /// A call reaches AWS.
    fn carry_out(&mut self, run: &mut Run, pending: &mut Pending) -> Result<(), Broken> {
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
                let seen = self.look(pending);
                run.seen = Some(seen.clone());
                Answer::Seen(Box::new(seen.look))
            }
            Call::Complete(look, wants) => {
                let mut look = look.clone();
                self.world.complete(&mut look, *wants);
                Answer::Seen(look)
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
            // Where CloudWatch refuses it, it is made of a line of the log.
            Call::Count(action, at) => {
                self.world.count(action, *at);
                self.check.counted(action, second(*at))?;
                if pending.is_cut {
                    self.check.datum_touched(second(*at));
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
        self.past.note(&self.world);
        self.tell(|_| format!("run {}: {}", run.id, brief(&pending.call, &answer)));
        pending.answer = if pending.is_cut { Answer::Silence } else { answer };
        Ok(())
    }

    /// The four reads of a look are made at moments of their own.
    fn look(&mut self, pending: &Pending) -> Seen {
        let now = self.world.now();
        let stale = if let Some(Trouble::Stale(seconds)) = pending.trouble { seconds } else { 0 };
        let mut look = self.world.observe();
        look.observed_at = time(pending.sent);
        let moment = |chance: &mut Chance| chance.between(pending.sent, now) - stale;
        look.stream = Some(self.past.at(moment(&mut self.chance)).1.clone());
        look.tags = self.past.at(moment(&mut self.chance)).2.clone();
        if pending.trouble == Some(Trouble::Refused) {
            look.limits = None;
        }
        Seen { asked: pending.sent, stale, look }
    }
}

impl Wakes {
    fn of(hint: Hint, now: i64) -> Wakes {
        match hint {
            Hint::Throttle(ago) => Wakes::Throttle(now - ago),
            Hint::Alarm(ago) => Wakes::Alarm(now - ago, true),
            Hint::Ask => Wakes::Ask,
            Hint::Sweep => Wakes::Sweep,
        }
    }

    fn signal(self) -> Signal {
        match self {
            Wakes::Alarm(at, is_raised) => alarm_signal(&arn(), time(at), Watched::Writes, is_raised),
            Wakes::Ask => Signal::Ask(Ask { stream: arn(), mode: None, message: None, undo: None }),
            Wakes::Sweep | Wakes::Again(_) => Signal::Sweep(arn()),
            Wakes::Throttle(at) => throttle_signal(&arn(), time(at), REFUSED),
        }
    }
}

fn kind(call: &Call) -> On {
    match call {
        Call::Observe => On::Look,
        Call::Complete(..) => On::CloserLook,
        Call::Tag { .. } => On::Tag,
        Call::Change(_) => On::Change,
        Call::Count(..) | Call::CountReverted(_) => On::Count,
    }
}

/// A call and its answer in a line.
fn brief(call: &Call, answer: &Answer) -> String {
    match (call, answer) {
        (Call::Observe, Answer::Seen(look)) => {
            let stream = look.stream.as_ref().map(|s| (s.status.as_str(), s.mode.as_str(), s.open_shards));
            let fixes: Vec<String> = look.traffic.auto_fixes.keys().map(ToString::to_string).collect();
            let newest = look.traffic.newest(look.observed_at);
            format!("look: {stream:?} up to {newest}, AutoFix {}; {:?}", fixes.join(" "), look.tags)
        }
        (Call::Complete(_, wants), _) => format!("{wants:?}"),
        _ => format!("{call:?} → {answer:?}"),
    }
}

/// The second of the run at `at`.
fn second(at: DateTime<Utc>) -> i64 {
    (at - time(0)).num_seconds()
}

/// What unthrottle did to the stream before the run, in its tag, in CloudWatch, and in AWS's own books.
fn remember(world: &mut World, situation: &Situation) {
    if situation.kind == Kind::OptedOut {
        let _ = world.tag(By::Others, MODE_TAG, "off");
    }
    let (before, shards) = (situation.reshards_before(), situation.shards);
    let mut memory = Memory::default();
    for ago in &before {
        let mut change = Change::intent(ChangeKind::Scale, shards.div_ceil(2), shards, time(-ago));
        let later = |seconds| Some(change.at + TimeDelta::seconds(seconds));
        (change.settled, change.published, change.healed) = (later(30), later(180), later(300));
        world.counted_before("scale_shards", *ago);
        memory = memory.intend(change, false);
    }
    if situation.kind == Kind::Raised {
        memory.base = Some(shards / 2);
    }
    if let (false, Ok(text)) = (before.is_empty(), memory.encode()) {
        let _ = world.tag(By::Policy, TAG, &text);
        world.resharded_before(&before);
    }
}

/// The summary and the tags of the last few moments, each with the second since which they were so.
struct Past(Vec<(i64, Stream, BTreeMap<String, String>)>);

impl Past {
    /// As many as changes of the stream and writes of its tags may lie within the age of a stale read.
    const KEPT: usize = 16;

    fn is_stream_changed(&self, world: &World) -> bool {
        let newest = self.0.last().map(|(_, stream, _)| (stream.status.as_str() == "UPDATING", stream.open_shards));
        newest != Some((world.is_updating(), world.open_shards()))
    }

    fn note(&mut self, world: &World) {
        if self.0.len() >= Past::KEPT {
            self.0.remove(0);
        }
        self.0.push((world.now(), world.stream(), world.tags().clone()));
    }

    /// As it was at that second.
    fn at(&self, second: i64) -> &(i64, Stream, BTreeMap<String, String>) {
        let after = self.0.partition_point(|(since, ..)| *since <= second);
        &self.0[after.saturating_sub(1)]
    }
}
