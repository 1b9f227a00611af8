//! A state of a scene, and the steps that lead on from it.

use super::super::super::check::{Broken, Seen};
use super::super::super::flaw::Flaw;
use super::super::super::invocation::{Answer, Call};
use super::super::super::schedule::{Event, Schedule, Trouble};
use super::super::calls::{Pending, patience, second};
use super::super::runs::{Job, Run, Trigger};
use super::super::{Play, Played};
use super::Scene;
use crate::sim::time;
use md5::{Digest as _, Md5};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::{Context, Waker};
use unthrottle_core::observation::Stream;

/// What a state has in common with every state that is the same: 128 bits, so that two of a billion states differ.
pub(super) type Key = [u8; 16];

/// A step of a scene.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A run begins.
    Begin(usize),
    /// AWS answers the first of the reads of an observation. They are made at the same time, in any order.
    Read(usize, Part),
    /// The call of a run is carried out and answered, or fails.
    Call(usize, Option<Trouble>),
    /// The person acts.
    Person,
    /// Time passes.
    Clock(i64),
}

/// A read of an observation. The metrics and the limits come with the last one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Summary,
    Tags,
}

/// A run of the scene. The answers are all that it is made of: see the module's description.
#[derive(Clone)]
struct Lane {
    id: u64,
    job: Job,
    began: i64,
    answers: Vec<(i64, Rc<Answer>)>,
    seen: Option<Rc<Seen>>,
    phase: Phase,
    /// Of all that the run has seen, until it is over.
    key: Key,
}

#[derive(Clone)]
enum Phase {
    Waits,
    Calls(Rc<Call>, i64, Half),
    Over,
}

/// The reads of an observation that are answered.
#[derive(Clone)]
enum Half {
    Nothing,
    Summary(Rc<Stream>),
    Tags(Rc<BTreeMap<String, String>>),
}

/// A state.
pub(super) struct Node<'a> {
    scene: &'a Scene,
    play: Play,
    lanes: Vec<Lane>,
    /// How many of the person's actions, and of the clock's steps, are over.
    acted: usize,
    ticked: usize,
    /// The changes that AWS carried out in the scene's past.
    changed_before: usize,
}

/// What can become of a call. A client that sends a call twice, and a call that only takes long, are left to the
/// random schedules and to the clock.
fn fates(call: &Call) -> &'static [Option<Trouble>] {
    use Trouble::{AnswerLost, CrashAfter, CrashBefore, Failed, Refused};
    match call {
        // A read changes nothing, so its container may as well die after it.
        Call::Observe => &[None, Some(CrashAfter), Some(AnswerLost), Some(Refused)],
        Call::Complete(..) => &[None, Some(CrashAfter), Some(AnswerLost)],
        Call::Tag { .. } | Call::Change(_) => {
            &[None, Some(CrashBefore), Some(CrashAfter), Some(AnswerLost), Some(Failed), Some(Refused)]
        }
        Call::Count(_) | Call::CountReverted(_) => {
            &[None, Some(CrashBefore), Some(CrashAfter), Some(AnswerLost), Some(Failed)]
        }
    }
}

impl Lane {
    /// The run has ended. What it saw makes no difference any more: what it did is in the world, in the record of the
    /// invariants, and in Lambda's queue.
    fn ended(&mut self) {
        (self.phase, self.key, self.answers, self.seen) = (Phase::Over, Key::default(), vec![], None);
    }
}

/// The key of a state after something has happened.
fn then(key: Key, what: fmt::Arguments<'_>) -> Key {
    Md5::new().chain_update(key).chain_update(what.to_string()).finalize().into()
}

impl<'a> Node<'a> {
    /// The beginning: the scene's past, without alarm and sweep, so that the first runs are those of the scene.
    pub(super) fn first(scene: &'a Scene, flaw: Flaw) -> Result<Node<'a>, Broken> {
        Node::begin(scene, flaw, None)
    }

    fn begin(scene: &'a Scene, flaw: Flaw, trace: Option<Vec<String>>) -> Result<Node<'a>, Broken> {
        let schedule = Schedule { seed: scene.seed, situation: scene.situation.clone(), entries: vec![] };
        let mut play = Play { trace, ..Play::new(&schedule, flaw) };
        let mut past = scene.past.iter().peekable();
        while play.world.now() < scene.start {
            play.tick()?;
            let now = play.world.now();
            while let Some(entry) = past.next_if(|entry| entry.at <= now) {
                play.apply_event(&entry.event);
            }
            play.begin_due(now);
            play.go_on()?;
        }
        (play.runs, play.queue, play.idle) = (vec![], vec![], vec![]);
        let lane = |(id, signal)| Lane {
            id,
            job: Job { at: scene.start, trigger: Trigger::of(signal, scene.start), tries: 0 },
            began: scene.start,
            answers: vec![],
            seen: None,
            phase: Phase::Waits,
            key: Key::default(),
        };
        let lanes: Vec<Lane> = (play.played.runs + 1..).zip(scene.signals).map(lane).collect();
        play.played.runs += lanes.len() as u64;
        let changed_before = play.check.changes();
        Ok(Node { scene, play, lanes, acted: 0, ticked: 0, changed_before })
    }

    /// Whether both runs and the person are done.
    pub(super) fn is_over(&self) -> bool {
        self.acted == self.scene.people.len() && self.lanes.iter().all(|lane| matches!(lane.phase, Phase::Over))
    }

    /// Two nodes with one key are the same state. Nothing else of a play changes during a scene, except what is made
    /// of the world again.
    pub(super) fn key(&self) -> Key {
        let lanes: Vec<Key> = self.lanes.iter().map(|lane| lane.key).collect();
        let Play { world, check, last, .. } = &self.play;
        let (world, queue) = (world.state(), self.play.queued());
        let steps = (self.acted, self.ticked);
        then(Key::default(), format_args!("{lanes:?} {steps:?} {queue:?} {last:?} {check:?} {world}"))
    }

    /// The steps that can come next.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = vec![];
        for (n, lane) in self.lanes.iter().enumerate() {
            match &lane.phase {
                Phase::Waits => steps.push(Step::Begin(n)),
                Phase::Calls(call, _, Half::Nothing) if matches!(**call, Call::Observe) => {
                    steps.extend([Step::Read(n, Part::Summary), Step::Read(n, Part::Tags)]);
                }
                Phase::Calls(call, ..) => steps.extend(fates(call).iter().map(|fate| Step::Call(n, *fate))),
                Phase::Over => {}
            }
        }
        if self.acted < self.scene.people.len() {
            steps.push(Step::Person);
        }
        let tick = self.scene.ticks.get(self.ticked).filter(|tick| self.may_pass(**tick));
        steps.extend(tick.map(|tick| Step::Clock(*tick)));
        steps
    }

    /// Whether no client gives up its call within this number of seconds.
    fn may_pass(&self, seconds: i64) -> bool {
        let until = self.play.world.now() + seconds;
        self.lanes.iter().all(|lane| match &lane.phase {
            Phase::Calls(call, sent, _) => until <= sent + patience(call),
            Phase::Waits | Phase::Over => true,
        })
    }

    /// The state after a step.
    pub(super) fn after(&self, step: Step) -> Result<Node<'a>, Broken> {
        let mut next = Node { play: self.play.fork(), lanes: self.lanes.clone(), scene: self.scene, ..*self };
        next.take(step)?;
        Ok(next)
    }

    fn take(&mut self, step: Step) -> Result<(), Broken> {
        let now = self.play.world.now();
        match step {
            Step::Begin(n) => {
                let lane = &mut self.lanes[n];
                (lane.began, lane.key) = (now, then(lane.key, format_args!("{now}")));
                let run = self.play.invoke(lane.id, lane.job, self.scene.container(n));
                self.play.trace(|_| format!("run {} begins", run.id));
                self.go_on(n, run)
            }
            Step::Read(n, part) => {
                self.read(n, part);
                Ok(())
            }
            Step::Call(n, fate) => self.call(n, fate),
            Step::Person => {
                self.play.apply_event(&Event::Person(self.scene.people[self.acted]));
                self.acted += 1;
                Ok(())
            }
            Step::Clock(seconds) => {
                for _ in 0..seconds {
                    self.play.tick()?;
                }
                self.ticked += 1;
                Ok(())
            }
        }
    }

    /// The first answered read of an observation.
    fn read(&mut self, n: usize, part: Part) {
        let lane = &mut self.lanes[n];
        let Phase::Calls(_, _, half) = &mut lane.phase else { return };
        (*half, lane.key) = match part {
            Part::Summary => {
                let stream = self.play.world.stream();
                let key = then(lane.key, format_args!("{stream:?}"));
                (Half::Summary(Rc::new(stream)), key)
            }
            Part::Tags => {
                let tags = self.play.world.tags().clone();
                let key = then(lane.key, format_args!("{tags:?}"));
                (Half::Tags(Rc::new(tags)), key)
            }
        };
    }

    fn call(&mut self, n: usize, fate: Option<Trouble>) -> Result<(), Broken> {
        let now = self.play.world.now();
        let mut run = self.run(n);
        let Phase::Calls(call, sent, half) = self.lanes[n].phase.clone() else { return Ok(()) };
        let is_lost = fate == Some(Trouble::AnswerLost);
        let is_carried_out = !matches!(fate, Some(Trouble::CrashBefore | Trouble::Failed));
        let mut pending = Pending {
            call: (*call).clone(),
            trouble: fate,
            sent,
            carried_out_at: vec![],
            answered_at: now,
            is_cut: is_lost,
            answer: Answer::Silence,
        };
        if matches!(pending.call, Call::Observe) {
            let seen = self.seen(sent, &half, fate);
            pending.answer = if is_lost { Answer::Silence } else { Answer::Seen(Box::new(seen.observation.clone())) };
            self.play
                .trace(|_| format!("run {}: {}", run.id, super::super::calls::brief(&pending.call, &pending.answer)));
            run.seen = Some(seen);
        } else if is_carried_out {
            self.play.carry_out(&mut run, &mut pending)?;
        } else if let Call::Count(change) = &pending.call {
            self.play.check.datum_touched(second(change.at));
        }
        if matches!(fate, Some(Trouble::CrashBefore | Trouble::CrashAfter)) {
            self.play.crash(&run);
            self.lanes[n].ended();
            return Ok(());
        }
        let lane = &mut self.lanes[n];
        lane.key = then(lane.key, format_args!("{now} {:?}", pending.answer));
        lane.answers.push((now, Rc::new(pending.answer.clone())));
        lane.seen = run.seen.clone().map(Rc::new);
        run.channel.answer(pending.answer);
        self.go_on(n, run)
    }

    /// The observation whose first read was answered before.
    fn seen(&mut self, sent: i64, half: &Half, fate: Option<Trouble>) -> Seen {
        let mut observation = self.play.world.observe();
        observation.observed_at = time(sent);
        match half {
            Half::Nothing => {}
            Half::Summary(stream) => observation.stream = Some((**stream).clone()),
            Half::Tags(tags) => observation.tags = (**tags).clone(),
        }
        if fate == Some(Trouble::Refused) {
            observation.limits = None;
        }
        Seen { asked: sent, stale: 0, observation }
    }

    /// Continues a run to its next call, or to its end.
    fn go_on(&mut self, n: usize, mut run: Run) -> Result<(), Broken> {
        match self.play.resume(&mut run)? {
            ControlFlow::Continue(Some(call)) => {
                self.lanes[n].phase = Phase::Calls(Rc::new(call), self.play.world.now(), Half::Nothing);
            }
            ControlFlow::Continue(None) | ControlFlow::Break(()) => self.lanes[n].ended(),
        }
        Ok(())
    }

    /// The run of a lane, which has got all its answers and waits for the next one.
    fn run(&self, n: usize) -> Run {
        let lane = &self.lanes[n];
        let mut run = self.play.invoke(lane.id, lane.job, self.scene.container(n));
        let poll = |run: &mut Run, at| {
            run.channel.set_now(at);
            let _ = run.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            run.channel.taken()
        };
        poll(&mut run, lane.began);
        for (at, answer) in &lane.answers {
            run.channel.answer((**answer).clone());
            poll(&mut run, *at);
        }
        run.seen = lane.seen.as_deref().cloned();
        run
    }

    /// Plays on without faults until the stream is healed or held: Lambda's retries, the alarm and the sweep. All
    /// containers are new.
    pub(super) fn end(&self) -> Result<Played, Broken> {
        let mut play = self.play.fork();
        play.finish()?;
        play.played.changes -= self.changed_before as u64;
        Ok(play.played)
    }
}

/// The calls of an interleaving and what follows it, in words.
pub(super) fn trace(scene: &Scene, flaw: Flaw, steps: &[Step]) -> Vec<String> {
    let Ok(mut node) = Node::begin(scene, flaw, Some(vec![])) else { return vec![] };
    // The caller knows the result.
    if steps.iter().try_for_each(|step| node.take(*step)).is_ok() && node.is_over() {
        let _ = node.play.finish();
    }
    node.play.trace.unwrap_or_default()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Begin(n) => write!(f, "run {} begins", n + 1),
            Step::Read(n, Part::Summary) => write!(f, "run {} reads the summary", n + 1),
            Step::Read(n, Part::Tags) => write!(f, "run {} reads the tags", n + 1),
            Step::Call(n, None) => write!(f, "run {} is answered", n + 1),
            Step::Call(n, Some(trouble)) => write!(f, "the call of run {}: {trouble}", n + 1),
            Step::Person => f.write_str("the person acts"),
            Step::Clock(seconds) => write!(f, "{seconds} s pass"),
        }
    }
}
