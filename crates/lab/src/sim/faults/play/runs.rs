//! The runs of the Lambda: each continues by a step whenever its call is answered.

use super::super::check::{Broken, Seen};
use super::super::invocation::{Call, Channel, Container, Ended, Failed, Invocation};
use super::super::schedule::{Delivery, ExtraSignal, Trouble};
use super::Play;
use super::calls::Pending;
use crate::sim::alarm::AlarmMetric;
use crate::sim::ours::{AGAIN_EVERY, STAYS_FOR, SWEEP_AT, SWEEP_EVERY, alarm_signal, throttle_signal};
use crate::sim::time;
use crate::sim::world::{self, arn};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use unthrottle_core::decide::pending;
use unthrottle_core::decision::Decision;
use unthrottle_core::signal::{Ask, Signal};

/// The most runs at once: the reserved concurrency that docs/operations.md recommends.
const CONTAINERS: usize = 5;

/// Seconds until Lambda tries a failed run again, for the first and the second retry (Lambda's page on asynchronous
/// invocation).
const TRIED_AGAIN_AFTER: [i64; 2] = [60, 120];

/// The throttled call that CloudTrail reports.
const REFUSED: world::Event = world::Event { operation: "PutRecord", code: "ProvisionedThroughputExceededException" };

/// An invocation of the function that is on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) at: i64,
    pub(super) trigger: Trigger,
    pub(super) tries: usize,
}

/// The cause of an invocation, with the second in which it happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trigger {
    Throttle(i64),
    Alarm(i64, bool),
    Ask,
    Sweep,
    /// One more check of the sweep that began at this second.
    Again(i64),
}

/// A run of the Lambda, and its call that is under way.
pub(super) struct Run {
    pub(super) id: u64,
    pub(super) job: Job,
    pub(super) future: Pin<Box<dyn Future<Output = Result<Ended, Failed>>>>,
    pub(super) channel: Channel,
    pub(super) container: Rc<Container>,
    pub(super) seen: Option<Seen>,
    pub(super) pending: Option<Pending>,
}

/// The result of a step.
enum Step {
    Waits,
    Moved,
    Over,
}

impl Play {
    /// Sends the signals of the alarm and the schedule, and begins runs.
    pub(super) fn wake(&mut self, now: i64) {
        if let Some(is_raised) = self.alarm.pass(self.world.cloudwatch(), now) {
            let job = Job { at: now, trigger: Trigger::Alarm(now, is_raised), tries: 0 };
            let delivery = (!self.deliveries.is_empty()).then(|| self.deliveries.remove(0));
            self.queue.extend(match delivery {
                None => vec![job],
                Some(Delivery::Lost) => vec![],
                Some(Delivery::Twice) => vec![job; 2],
                Some(Delivery::Late(by)) => vec![Job { at: now + by, ..job }],
            });
            self.count_trouble(delivery.map(|_| "signal"));
        }
        if now % SWEEP_EVERY == SWEEP_AT {
            self.queue.push(Job { at: now, trigger: Trigger::Sweep, tries: 0 });
        }
        self.begin_due(now);
    }

    /// Begins the runs whose time has come.
    pub(super) fn begin_due(&mut self, now: i64) {
        while let Some(next) = self.queue.iter().position(|job| job.at <= now) {
            let job = self.queue.remove(next);
            self.begin(job, now);
        }
    }

    fn begin(&mut self, job: Job, now: i64) {
        let is_pending = || self.alarm.is_raised() || pending(self.world.tags(), &self.policy, time(now)).is_some();
        if matches!(job.trigger, Trigger::Sweep) && !is_pending() {
            return;
        }
        if self.runs.len() >= CONTAINERS {
            // Lambda keeps the event, at first for a second.
            self.queue.push(Job { at: now + 1, ..job });
            return;
        }
        self.played.runs += 1;
        let id = self.played.runs;
        // Each second container that is started is of the older release.
        let container =
            self.idle.pop().unwrap_or_else(|| Rc::new(Container::new(self.has_older && id.is_multiple_of(2))));
        self.trace(|_| format!("run {id} begins: {:?}", job.trigger));
        let run = self.invoke(id, job, container);
        self.runs.push(run);
    }

    /// A run that has made no call yet.
    pub(super) fn invoke(&self, id: u64, job: Job, container: Rc<Container>) -> Run {
        let channel = Channel::default();
        let invocation = Invocation {
            channel: channel.clone(),
            signal: job.trigger.signal(),
            policy: self.policy.clone(),
            container: container.clone(),
            flaw: self.flaw,
        };
        Run { id, job, future: Box::pin(invocation.run()), channel, container, seen: None, pending: None }
    }

    /// Continues the runs in turn, each by a step, until all of them wait.
    pub(super) fn go_on(&mut self) -> Result<(), Broken> {
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
        let Some(mut pending) = run.pending.take() else { return self.poll(run) };
        if pending.carried_out_at.first().is_some_and(|at| *at <= now) {
            pending.carried_out_at.remove(0);
            let is_dead = pending.trouble == Some(Trouble::CrashBefore);
            if !is_dead {
                self.carry_out(run, &mut pending)?;
            }
            if is_dead || pending.trouble == Some(Trouble::CrashAfter) {
                self.crash(run);
                return Ok(Step::Over);
            }
        } else if pending.answered_at <= now {
            run.channel.answer(pending.answer);
            return self.poll(run);
        } else {
            run.pending = Some(pending);
            return Ok(Step::Waits);
        }
        run.pending = Some(pending);
        Ok(Step::Moved)
    }

    /// Continues a run to its next call, or to its end.
    fn poll(&mut self, run: &mut Run) -> Result<Step, Broken> {
        match self.resume(run)? {
            ControlFlow::Continue(call) => {
                run.pending = call.map(|call| self.send(call));
                Ok(Step::Moved)
            }
            ControlFlow::Break(()) => Ok(Step::Over),
        }
    }

    /// Continues a run, and returns its next call. A run that breaks off is over.
    pub(super) fn resume(&mut self, run: &mut Run) -> Result<ControlFlow<(), Option<Call>>, Broken> {
        run.channel.set_now(self.world.now());
        match run.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => Ok(ControlFlow::Continue(run.channel.taken())),
            Poll::Ready(came) => {
                self.idle.push(run.container.clone());
                self.trace(|_| {
                    format!("run {} ends: {:?}", run.id, came.as_ref().map(|ended| &ended.decision.verdict))
                });
                match &came {
                    Ok(ended) => self.check.said(ended.is_notified, &ended.sentence)?,
                    Err(_) => self.check.said_nothing(),
                }
                match came {
                    Ok(Ended { decision, .. }) if run.seen.is_some() => {
                        self.stay(run, &decision);
                        self.last = Some(decision.verdict);
                    }
                    Ok(_) => {}
                    // A person sees the error. A sweep continues with its next stream.
                    Err(_) if matches!(run.job.trigger, Trigger::Ask | Trigger::Sweep | Trigger::Again(_)) => {}
                    Err(_) => self.try_again(run),
                }
                Ok(ControlFlow::Break(()))
            }
        }
    }

    /// Plans the next check of a sweep that stays with a change under way.
    fn stay(&mut self, run: &Run, decision: &Decision) {
        let began = match run.job.trigger {
            Trigger::Sweep => run.job.at,
            Trigger::Again(began) => began,
            _ => return,
        };
        let at = run.job.at + AGAIN_EVERY;
        if decision.is_under_way() && at < began + STAYS_FOR {
            self.queue.push(Job { at, trigger: Trigger::Again(began), tries: 0 });
        }
    }

    pub(super) fn crash(&mut self, run: &Run) {
        self.trace(|_| format!("run {} dies", run.id));
        self.check.touched(run.id);
        self.check.said_nothing();
        if !matches!(run.job.trigger, Trigger::Ask) {
            self.try_again(run);
        }
    }

    fn try_again(&mut self, run: &Run) {
        let Job { trigger, tries, .. } = run.job;
        // The retry of a sweep that has stayed begins the sweep from the start.
        let trigger = if matches!(trigger, Trigger::Again(_)) { Trigger::Sweep } else { trigger };
        if let Some(after) = TRIED_AGAIN_AFTER.get(tries) {
            self.queue.push(Job { at: self.world.now() + after, trigger, tries: tries + 1 });
        }
    }
}

impl Trigger {
    pub(super) fn of(signal: ExtraSignal, now: i64) -> Trigger {
        match signal {
            ExtraSignal::Throttle(ago) => Trigger::Throttle(now - ago),
            ExtraSignal::Alarm(ago) => Trigger::Alarm(now - ago, true),
            ExtraSignal::Ask => Trigger::Ask,
            ExtraSignal::Sweep => Trigger::Sweep,
        }
    }

    fn signal(self) -> Signal {
        match self {
            Trigger::Alarm(at, is_raised) => alarm_signal(&arn(), time(at), AlarmMetric::Writes, is_raised),
            Trigger::Ask => {
                Signal::Ask(Ask { stream: arn(), mode: None, message: None, undo: None, plan: None, plan_from: None })
            }
            Trigger::Sweep | Trigger::Again(_) => Signal::Sweep(arn()),
            Trigger::Throttle(at) => throttle_signal(&arn(), time(at), REFUSED),
        }
    }
}
