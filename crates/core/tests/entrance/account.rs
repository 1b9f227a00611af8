//! An AWS account that answers each call as a test says, and remembers the calls.

use crate::common::Fixture;
use chrono::{DateTime, TimeDelta, Utc};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use unthrottle_core::decide::MissingData;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::TAG;
use unthrottle_core::observation::{Observation, Status};
use unthrottle_core::report::{AutoFix, Document};
use unthrottle_core::run::{Account, Answer, CallFailed, Container, CountedChange, Handled, Observed, Run, RunError};
use unthrottle_core::signal::{Signal, StreamArn};

/// How a call fails.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
    /// AWS does not answer.
    Silence,
    /// AWS's code and words.
    Says(&'static str, &'static str),
}

/// The account of one stream.
#[derive(Clone, Debug)]
pub struct Aws {
    /// The stream, and the policy and signal of a run.
    pub fixture: Fixture,
    pub now: DateTime<Utc>,
    pub elapsed: Duration,
    /// Calls that fail, each once: the name of the call, and how.
    pub fails: Vec<(&'static str, Failure)>,
    /// Calls that take time, each once: the name of the call, and milliseconds.
    pub takes: Vec<(&'static str, u64)>,
    /// The open shards that AWS names in its answer to a change. `None`: those of the stream.
    pub shards_before: Option<u32>,
    /// Another person changes the stream as soon as the tag is written.
    pub updates_after_tag: bool,
    /// The calls so far.
    pub calls: Vec<String>,
}

impl Aws {
    pub fn of(fixture: Fixture) -> Aws {
        let (now, elapsed) = (fixture.now, Duration::from_secs(1000));
        Aws {
            fixture,
            now,
            elapsed,
            fails: vec![],
            takes: vec![],
            shards_before: None,
            updates_after_tag: false,
            calls: vec![],
        }
    }

    pub fn failing(mut self, call: &'static str, failure: Failure) -> Aws {
        self.fails.push((call, failure));
        self
    }

    pub fn taking(mut self, call: &'static str, milliseconds: u64) -> Aws {
        self.takes.push((call, milliseconds));
        self
    }

    /// Seconds pass, and no traffic is published.
    pub fn pass(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
        self.elapsed += Duration::from_secs(seconds.unsigned_abs());
    }

    /// A run of the fixture's signal in this process.
    pub fn run_in(&mut self, container: &Container) -> Result<Handled, RunError<String>> {
        let signal = self.fixture.signal.clone();
        self.run_signal(container, &signal)
    }

    pub fn run_signal(&mut self, container: &Container, signal: &Signal) -> Result<Handled, RunError<String>> {
        let policy = self.fixture.policy.clone();
        let home = crate::common::home();
        let run = Run { signal, home: &home, policy: &policy, container, left_in_sweep: None, supported: None };
        at_once(run.handle(self))
    }

    /// A run in a process of its own. It must not fail.
    pub fn run(&mut self) -> Handled {
        self.run_in(&Container::default()).expect("no failure")
    }

    /// The names of the calls so far, without what they carried.
    pub fn names(&self) -> Vec<&str> {
        self.calls.iter().map(|call| call.split(' ').next().unwrap_or_default()).collect()
    }

    /// Makes a call: it takes its time, and may fail.
    fn call(&mut self, name: &'static str, what: &str) -> Result<(), CallFailed<String>> {
        self.calls.push(format!("{name} {what}").trim_end().to_owned());
        if let Some(at) = self.takes.iter().position(|(call, _)| *call == name) {
            let milliseconds = self.takes.remove(at).1;
            self.elapsed += Duration::from_millis(milliseconds);
        }
        let Some(at) = self.fails.iter().position(|(call, _)| *call == name) else { return Ok(()) };
        let (answer, error) = match self.fails.remove(at).1 {
            Failure::Silence => (None, format!("no answer to {name}")),
            Failure::Says(code, message) => {
                (Some(Answer { code: code.into(), message: message.into() }), code.to_owned())
            }
        };
        Err(CallFailed { answer, error })
    }
}

/// The result of a future that never waits.
pub fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the account answers at once"),
    }
}

impl Account for Aws {
    type Error = String;

    fn now(&self) -> DateTime<Utc> {
        self.now
    }

    fn elapsed(&self) -> Duration {
        self.elapsed
    }

    async fn observe(&mut self, _: &StreamArn) -> Result<Observed, String> {
        let asked_at = self.elapsed;
        self.call("observe", "").map_err(|failed| failed.error)?;
        let observation = Observation { observed_at: self.now, ..self.fixture.observation.clone() };
        Ok(Observed { observation, asked_at })
    }

    async fn complete(&mut self, _: &StreamArn, seen: &mut Observation, missing: MissingData) -> Result<(), String> {
        self.call("complete", "").map_err(|failed| failed.error)?;
        let fixture = Fixture { observation: seen.clone(), ..self.fixture.clone() };
        *seen = fixture.complete(missing).observation;
        Ok(())
    }

    async fn write_memory(&mut self, _: &StreamArn, text: &str, _: Option<Duration>) -> Result<(), CallFailed<String>> {
        self.call("tag", text)?;
        self.fixture.observation.tags.insert(TAG.into(), text.into());
        if self.updates_after_tag {
            self.fixture.observation.stream.as_mut().expect("a stream").status = Status::Updating;
        }
        Ok(())
    }

    async fn change(&mut self, _: &StreamArn, remedy: &Remedy) -> Result<Option<u32>, CallFailed<String>> {
        self.call("change", Remedy::code_of(remedy.kind()))?;
        let before = self.shards_before.unwrap_or(self.fixture.open_shards());
        let stream = self.fixture.observation.stream.as_mut().expect("a stream");
        stream.status = Status::Updating;
        Ok(Some(before))
    }

    async fn count_fix(&mut self, _: &StreamArn, change: CountedChange) -> AutoFix {
        let CountedChange { action, added_shards, at, is_resent } = change;
        let again = if is_resent { " again" } else { "" };
        let sent = self.call("count", &format!("{action} {added_shards} {}{again}", at.format("%H:%M:%S")));
        if sent.is_ok() { AutoFix::Confirmed } else { AutoFix::Unconfirmed }
    }

    async fn count_revert(&mut self, _: &StreamArn, _: DateTime<Utc>) {
        let _ = self.call("revert", "");
    }

    async fn notify(&mut self, document: &Document) {
        let _ = self.call("notify", document.code);
    }
}
