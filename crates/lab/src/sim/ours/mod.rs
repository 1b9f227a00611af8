//! unthrottle in the simulated account: the Lambda's own triage and `run`. The alarms, CloudTrail's events and the
//! sweep wake it. A call takes no time here, and AWS answers each call.
//!
//! - here: a deployment, its sweep and its runs.
//! - `account`: the simulated account, as a run calls it.
//! - `signals`: the events that wake the function.

mod account;
mod signals;
#[cfg(test)]
mod tests;

pub(super) use account::{call, call_failed};
pub(super) use signals::{alarm_signal, throttle_signal};

use super::alarm::{Alarm, AlarmMetric};
use super::arena::Contender;
use super::delivery::{Delivery, DeliveryQuality, EVENT_AFTER};
use super::world::{World, arn, home};
use account::SimulatedAccount;
use chrono::TimeDelta;
use futures_util::FutureExt as _;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use unthrottle_core::decide::{Pending, is_turn_to_look_ahead, pending};
use unthrottle_core::decision::{Decision, Outcome};
use unthrottle_core::policy::Policy;
use unthrottle_core::run::{Container, Handled, Run, RunError};
use unthrottle_core::signal::{Signal, StreamArn};

/// Seconds from one sweep to the next: the default of `SweepMinutes` in `template.yaml`.
pub(super) const SWEEP_EVERY: i64 = 60;

/// The first sweep of a run, in seconds. A schedule does not begin with the minutes that CloudWatch counts, so this is
/// no whole minute.
pub(super) const SWEEP_AT: i64 = 17;

/// Seconds from one check to the next of a sweep that stays with a change that is under way.
pub const AGAIN_EVERY: i64 = 15;

/// The longest time that a sweep stays, in seconds: until the next one begins.
pub(super) const STAYS_FOR: i64 = SWEEP_EVERY;

/// The containers that share the runs of the function: the `ReservedConcurrency` that docs/operations.md recommends.
const CONTAINERS: usize = 5;

/// A deployed unthrottle, for one stream.
#[derive(Debug)]
pub(crate) struct Ours {
    policy: Policy,
    alarms: [Alarm; 3],
    /// Signals on their way.
    signals: Delivery<Signal>,
    /// The name that tells this stream from the other streams of the deployment.
    stream: StreamArn,
    container: Rc<Container>,
    sweep: Rc<Sweep>,
    /// Whether the newest check of the sweep left something under way.
    is_under_way: bool,
    /// Whether the newest sweep has changed the stream. A stream counts once against the bound of a sweep.
    is_changed: bool,
    /// The number of times of each decision, by its code.
    decided: BTreeMap<&'static str, u64>,
}

/// The newest sweep of a deployment.
#[derive(Debug, Default)]
struct Sweep {
    /// Its time, in seconds of the run.
    at: Cell<i64>,
    /// The changes that the sweep may still make.
    left: AtomicU32,
}

impl Ours {
    /// Creates a deployment with these settings and this delivery of its signals.
    pub fn new(policy: Policy, delivery: DeliveryQuality, seed: u64) -> Ours {
        Ours {
            alarms: [AlarmMetric::Writes, AlarmMetric::Reads, AlarmMetric::Age]
                .map(|metric| Alarm::on(metric, &policy)),
            signals: Delivery::new(delivery, seed),
            stream: arn(),
            policy,
            container: Rc::default(),
            sweep: Rc::default(),
            is_under_way: false,
            is_changed: false,
            decided: BTreeMap::new(),
        }
    }

    /// Creates one deployment for several streams. They share five containers and one sweep.
    pub fn fleet(policy: &Policy, delivery: DeliveryQuality, seed: u64, streams: u32) -> Vec<Ours> {
        let containers: [Rc<Container>; CONTAINERS] = Default::default();
        let sweep = Rc::default();
        let ours = |n| Ours {
            stream: StreamArn { name: format!("{}-{n}", arn().name), ..arn() },
            container: Rc::clone(&containers[n % CONTAINERS]),
            sweep: Rc::clone(&sweep),
            ..Ours::new(policy.clone(), delivery, seed + n as u64)
        };
        (0..streams as usize).map(ours).collect()
    }

    /// Passes a signal to the one entrance. Returns the decision; `None`: a call failed.
    fn handle(&mut self, world: &mut World, signal: &Signal) -> Option<Decision> {
        let handled = self.run(world, signal);
        let code = handled.as_ref().map_or_else(|code| *code, |decision| decision.verdict.code());
        world.mark(code);
        *self.decided.entry(code).or_default() += 1;
        let evidence = handled.as_ref().ok().map(|decision| &decision.evidence);
        if let Some((at, load)) = evidence.and_then(|known| known.expected_at.zip(known.expected_full_shards)) {
            world.expect(at, load);
        }
        handled.ok()
    }

    /// Whether the tags of the stream show that it needs a check.
    fn is_pending(&self, world: &World) -> bool {
        let (now, next) = (world.time(), Some(world.time() + TimeDelta::seconds(SWEEP_EVERY)));
        match pending(world.tags(), &self.policy, now) {
            Some(Pending::Foresight) => is_turn_to_look_ahead(&self.stream.name, now, next),
            other => other.is_some(),
        }
    }

    /// Checks the stream as part of the sweep.
    fn check(&mut self, world: &mut World) {
        let decision = self.handle(world, &Signal::Sweep(self.stream.clone()));
        self.is_changed |= decision.as_ref().is_some_and(|decision| decision.outcome == Outcome::Acted);
        self.is_under_way = decision.is_some_and(|decision| decision.is_under_way());
    }

    /// Returns the decision, or the code of the failed call.
    fn run(&self, world: &mut World, signal: &Signal) -> Result<Decision, &'static str> {
        let is_new = matches!(signal, Signal::Sweep(_)) && !self.is_changed;
        let left_in_sweep = is_new.then_some(&self.sweep.left);
        // No principal forges metrics here, so the metrics alone bound the changes.
        let run = Run {
            signal,
            home: &home(),
            policy: &self.policy,
            container: &self.container,
            left_in_sweep,
            supported: None,
        };
        match run.handle(&mut SimulatedAccount(world)).now_or_never() {
            Some(Ok(Handled { decision, .. })) => Ok(decision),
            Some(Err(RunError::Call(refusal))) => Err(refusal.code),
            Some(Err(RunError::TooSlow)) | None => Err("too_slow"),
        }
    }
}

impl Contender for Ours {
    fn pass(&mut self, world: &mut World) {
        let now = world.now();
        for alarm in &mut self.alarms {
            if let Some(is_raised) = alarm.pass(world.cloudwatch(), now) {
                self.signals.send(now, alarm_signal(&self.stream, world.time(), alarm.metric(), is_raised));
            }
        }
        for event in world.events() {
            self.signals.send(now + EVENT_AFTER, throttle_signal(&self.stream, world.time(), *event));
        }
        for signal in self.signals.arrived(now) {
            self.handle(world, &signal);
        }
        let since = now - self.sweep.at.get();
        let is_again = self.is_under_way && since < STAYS_FOR && since % AGAIN_EVERY == 0;
        if now % SWEEP_EVERY == SWEEP_AT {
            if self.sweep.at.replace(now) != now {
                self.sweep.left.store(self.policy.max_changes_per_sweep, Ordering::Relaxed);
            }
            (self.is_under_way, self.is_changed) = (false, false);
            if self.alarms.iter().any(Alarm::is_raised) || self.is_pending(world) {
                self.check(world);
            }
        } else if is_again {
            self.check(world);
        }
    }
}
