//! One event → one document.

use crate::aws::read::Reader;
use crate::aws::{AwsAccount, Clients, Notifier};
use crate::clock::SystemClock;
use crate::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::iter;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use unthrottle_core::clock::Clock;
use unthrottle_core::decision::{Decision, Verdict};
use unthrottle_core::observation::Supported;
use unthrottle_core::policy::Policy;
use unthrottle_core::report::{Document, metric};
use unthrottle_core::run::{Container, Handled, Run, RunError};
use unthrottle_core::signal::{Home, Signal};

/// What an invocation came to.
#[derive(Debug)]
pub struct Reply {
    /// The decision, and what AWS made of it.
    pub decision: Decision,
    /// The same as a document.
    pub document: Document,
    /// Whether AWS was read.
    pub is_observed: bool,
    /// Lines for the log, from which CloudWatch makes metrics.
    pub lines: Vec<Value>,
}

/// Handles the events of one process. It remembers what it has just observed, and what it has read of the account.
#[derive(Debug)]
pub struct Handler {
    clock: Arc<dyn Clock>,
    clients: Clients,
    reader: Reader,
    policy: Policy,
    container: Container,
    notifier: Notifier,
    lines_of_failed_runs: Mutex<Vec<Value>>,
    /// When CloudWatch last answered a sweep of this process about every stream.
    fleet_asked_at: Mutex<Option<DateTime<Utc>>>,
}

impl Handler {
    /// A handler that has observed nothing yet, and goes by the machine's clock.
    pub fn new(clients: Clients, policy: Policy) -> Handler {
        Handler {
            clock: Arc::new(SystemClock),
            reader: Reader::new(clients.clone()),
            clients,
            policy,
            container: Container::default(),
            notifier: Notifier::default(),
            lines_of_failed_runs: Mutex::default(),
            fleet_asked_at: Mutex::default(),
        }
    }

    /// The same on another clock, such as that of a local account.
    #[must_use]
    pub fn on(self, clock: impl Clock + 'static) -> Handler {
        Handler { clock: Arc::new(clock), ..self }
    }

    /// The clock that it goes by.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// What it may do.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The clients by which it calls AWS.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Handles an event. `home`: the account and region of this function.
    ///
    /// # Errors
    /// See [`Error`]. A hold is no error.
    pub async fn handle(&self, payload: &Value, home: &Home) -> Result<Reply, Error> {
        self.run(&Signal::parse(payload, home)?, home).await
    }

    /// Handles a signal.
    ///
    /// # Errors
    /// See [`Error`]. A hold is no error.
    pub async fn run(&self, signal: &Signal, home: &Home) -> Result<Reply, Error> {
        self.run_in_sweep(signal, home, None, None).await
    }

    /// Handles a signal as part of a sweep. `left_in_sweep`: how many more streams the sweep may change. `None`: this
    /// stream does not count. `supported`: the changes that the tags of all streams showed. `None`: they were not read.
    ///
    /// # Errors
    /// See [`Error`]. A hold is no error.
    pub async fn run_in_sweep(
        &self,
        signal: &Signal,
        home: &Home,
        left_in_sweep: Option<&AtomicU32>,
        supported: Option<Supported>,
    ) -> Result<Reply, Error> {
        let mut account = AwsAccount {
            clock: self.clock(),
            clients: &self.clients,
            reader: &self.reader,
            notifier: &self.notifier,
            policy: &self.policy,
            lines: vec![],
            lines_of_failed_runs: &self.lines_of_failed_runs,
        };
        let run = Run { signal, home, policy: &self.policy, container: &self.container, left_in_sweep, supported };
        let handled = run.handle(&mut account).await.map_err(|error| match error {
            RunError::Call(error) => Error::Aws(error),
            RunError::TooSlow => Error::TooSlow { stream: signal.stream().map(|s| s.name.clone()).unwrap_or_default() },
        })?;
        let mut lines = std::mem::take(&mut account.lines);
        lines.extend(line_of_healed(signal, &handled.decision, self.clock.now()));
        lines.extend(line_of_forecast(signal, &handled.decision, self.clock.now()));
        let Handled { decision, document, is_observed } = handled;
        Ok(Reply { decision, document, is_observed, lines })
    }

    /// Whether no sweep of this process has asked CloudWatch about every stream within this time.
    pub(crate) fn is_fleet_unasked_for(&self, time: TimeDelta) -> bool {
        let asked = *self.fleet_asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        // The machine's time may have been set back.
        asked.is_none_or(|at| now - at >= time || now < at)
    }

    /// Records that CloudWatch has answered about every stream.
    pub(crate) fn record_fleet_asked(&self) {
        *self.fleet_asked_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.now());
    }

    /// The lines for the log of runs that failed, or were given up, since the last call of this function.
    pub fn lines_of_failed_runs(&self) -> Vec<Value> {
        std::mem::take(&mut *self.lines_of_failed_runs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The metrics of a change that this run verified.
fn line_of_healed(signal: &Signal, decision: &Decision, now: DateTime<Utc>) -> Option<Value> {
    match (&decision.verdict, signal.stream()) {
        (Verdict::Hold(reason), Some(stream)) => reason.healed().map(|healed| metric::healed(stream, healed.took, now)),
        _ => None,
    }
}

/// The metric of a forecast that this run checked.
fn line_of_forecast(signal: &Signal, decision: &Decision, now: DateTime<Utc>) -> Option<Value> {
    Some(metric::forecast(signal.stream()?, decision.evidence.forecast_was_right?, now))
}

impl Reply {
    /// The lines for the log where the run was part of a sweep: it counts what an invocation of its own would count.
    pub fn lines_in_sweep(&self, now: DateTime<Utc>) -> impl Iterator<Item = Value> {
        let held = self.document.outcome.is_hold();
        let checked = metric::checked(self.document.code, held, self.decision.needs_person(), now);
        iter::once(checked).chain(self.lines.iter().cloned())
    }
}
