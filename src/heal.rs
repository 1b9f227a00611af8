//! The five steps for one stream: signal → observe → decide → act → report.

use crate::act::{ActError, Aws};
use crate::callers::{Callers, Group};
use crate::clients::Clients;
use crate::clock::{Clock, SystemClock};
use crate::decide::{Decision, Foreign, Reason, Verdict, hold_unseen, triage};
use crate::observation::Observation;
use crate::observe::{Observer, ReadError};
use crate::policy::{Mode, Policy};
use crate::report::notice::Notices;
use crate::report::{AutoFix, Document, metric};
use crate::run::{self, Container, Failed, Ran, Run};
use crate::signal::{Home, Signal, SignalError, StreamArn};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::iter;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why an invocation failed. Nothing was changed, unless the error says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The event could not be understood.
    #[error("{0}")]
    Signal(#[from] SignalError),
    /// AWS could not be read.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// A call that changes something was not answered.
    #[error("{0}")]
    Act(#[from] ActError),
    /// The function does not know where it lives.
    #[error("`{function}` is not the ARN of a function: it must name the account and region to act in")]
    Homeless {
        /// What the runtime gave as the function's ARN.
        function: String,
    },
    /// A look of a sweep took longer than any should.
    #[error(
        "the look at `{stream}` took too long and was given up: AWS or the network is slow. The next look ends what it began"
    )]
    GivenUp {
        /// The stream.
        stream: String,
    },
    /// The streams that need a look were not found in the time that a sweep has.
    #[error("the streams that need a look were not found in time: AWS or the network is slow. Nothing was changed")]
    SweepTooSlow,
    /// Everything took too long for a safe change.
    #[error(
        "`{stream}` could not be looked at and changed within {} s, twice: AWS or the network is slow. Nothing was changed",
        run::LOOK_GOOD_FOR.as_secs()
    )]
    TooSlow {
        /// The stream.
        stream: String,
    },
}

impl Error {
    /// The stable code: the Lambda's `errorType`, and the `Reason` of its metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Signal(_) => "bad_event",
            Error::Read(_) => "read_failed",
            Error::Act(_) => "act_failed",
            Error::Homeless { .. } => "homeless",
            Error::TooSlow { .. } | Error::GivenUp { .. } | Error::SweepTooSlow => "too_slow",
        }
    }
}

/// What came of an invocation.
#[derive(Debug)]
pub struct Healing {
    /// The decision and what came of it.
    pub document: Document,
    /// Lines for the log that CloudWatch makes metrics of.
    pub lines: Vec<Value>,
    /// Whether AWS was read.
    pub looked: bool,
    /// Whether the stream stays as it is until a person does something.
    pub needs_person: bool,
    /// Whether a change of the stream is [under way](Verdict::is_under_way).
    pub is_under_way: bool,
    /// Whether a person is to be told.
    tell: bool,
}

/// Heals one stream at a time. One for each process: it remembers what it has just looked at.
#[derive(Debug)]
pub struct Healer {
    clock: Arc<dyn Clock>,
    clients: Clients,
    observer: Observer,
    policy: Policy,
    container: Container,
    callers: Mutex<Callers>,
    /// Lines of runs that failed or were given up.
    left: Mutex<Vec<Value>>,
    notices: Notices,
}

impl Healer {
    /// A healer that has looked at nothing yet, and goes by the machine's clock.
    pub fn new(clients: Clients, policy: Policy) -> Healer {
        Healer {
            clock: Arc::new(SystemClock),
            observer: Observer::new(clients.clone()),
            clients,
            policy,
            container: Container::default(),
            callers: Mutex::default(),
            left: Mutex::default(),
            notices: Notices::default(),
        }
    }

    /// The same on another clock: that of a local account. The account's limits that it keeps for a minute still age by the
    /// machine's clock.
    #[must_use]
    pub fn on(self, clock: impl Clock + 'static) -> Healer {
        Healer { clock: Arc::new(clock), ..self }
    }

    /// The clock that it goes by.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// An event, from its payload to its document. `home`: where we live.
    ///
    /// # Errors
    /// See [`Error`]. A hold is no error.
    pub async fn handle(&self, payload: &Value, home: &Home) -> Result<Healing, Error> {
        self.heal(&Signal::parse(payload, home)?, home).await
    }

    /// What it is allowed to do.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What it speaks to AWS by.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// Lines for the log, as [`Healing::lines`], of runs that have failed or were given up since they were last asked for.
    pub fn lines_of_failed_runs(&self) -> Vec<Value> {
        std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A signal, from its triage to its document.
    ///
    /// # Errors
    /// See [`Error`]. A hold is no error.
    pub async fn heal(&self, signal: &Signal, home: &Home) -> Result<Healing, Error> {
        self.heal_within(signal, home, None).await
    }

    /// The same as part of a sweep, which may change so many more streams; `None`: this one does not count, or no more.
    ///
    /// # Errors
    /// See [`Error`]. A hold is no error.
    pub async fn heal_within(
        &self,
        signal: &Signal,
        home: &Home,
        left_in_sweep: Option<&AtomicU32>,
    ) -> Result<Healing, Error> {
        let mut healing = self.five_steps(signal, home, left_in_sweep).await?;
        if healing.tell {
            healing
                .lines
                .extend(self.notices.tell(&self.clients.sns, &self.policy, &healing.document, self.clock.now()).await);
        }
        Ok(healing)
    }

    async fn five_steps(
        &self,
        signal: &Signal,
        home: &Home,
        left_in_sweep: Option<&AtomicU32>,
    ) -> Result<Healing, Error> {
        let held = triage(signal, &self.policy, home);
        self.count_caller(signal, held.as_ref());
        let held = held.or_else(|| self.container.just_looked(signal, self.clock.now()));
        let (None, Some(stream)) = (&held, signal.stream()) else {
            let decision = hold_unseen(held.unwrap_or(Reason::NotOurs(Foreign::NoStream)), &self.policy);
            let callers = signal.stream().map(|stream| self.callers().seen(stream)).unwrap_or_default();
            return Ok(Healing::unseen(signal, &decision, &callers));
        };
        let mut aws = Aws::new(self.clock(), &self.clients, &self.observer, stream, &self.left);
        let run = Run { signal, stream, policy: &self.policy, container: &self.container, left_in_sweep };
        let Ran { observation, mut decision } = run.go(&mut aws).await.map_err(|failed| match failed {
            Failed::Call(error) => error,
            Failed::TooSlow => Error::TooSlow { stream: stream.name.clone() },
        })?;
        decision.tell &= is_worth_telling(&decision);
        let (auto_fix, mut lines) = (aws.auto_fix, std::mem::take(&mut aws.lines));
        lines.extend(healed(stream, &decision, self.clock.now()));
        // Only now: a run that fails leaves them to the next.
        let callers = self.callers().take(stream);
        Ok(Healing::seen(signal, &observation, &decision, auto_fix, lines, &callers))
    }

    /// Counts the caller of a throttled call. Denied calls, our own, and those of other accounts are none.
    fn count_caller(&self, signal: &Signal, held: Option<&Reason>) {
        if let (Signal::Throttle(call), None | Some(Reason::ControlPlaneThrottled | Reason::TooManyReaders(_))) =
            (signal, held)
        {
            self.callers().add(call);
        }
    }

    fn callers(&self) -> MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// AWS may have made a hold of a change.
fn is_worth_telling(decision: &Decision) -> bool {
    matches!(&decision.verdict, Verdict::Act(_) | Verdict::Hold(Reason::Healthy { healed: Some(_) }))
        || needs_person(decision)
}

fn needs_person(decision: &Decision) -> bool {
    matches!(&decision.verdict, Verdict::Hold(reason) if reason.needs_a_person())
}

/// The metrics of a change that is known to have worked.
fn healed(stream: &StreamArn, decision: &Decision, now: DateTime<Utc>) -> Option<Value> {
    match &decision.verdict {
        Verdict::Hold(Reason::Healthy { healed: Some(healed) }) if decision.mode == Mode::Heal => {
            Some(metric::healed(stream, healed.took, now))
        }
        _ => None,
    }
}

impl Healing {
    /// The lines for the log where it was a look of a sweep, which counts what an invocation of its own would have.
    pub fn lines_of_sweep(&self, now: DateTime<Utc>) -> impl Iterator<Item = Value> {
        let Document { code, outcome, .. } = self.document;
        iter::once(metric::looked(code, outcome.is_hold(), self.needs_person, now)).chain(self.lines.iter().cloned())
    }

    fn unseen(signal: &Signal, decision: &Decision, callers: &Group) -> Healing {
        let document = Document::new(signal, None, decision, None).with_callers(decision, callers);
        Healing {
            document,
            lines: vec![],
            looked: false,
            needs_person: needs_person(decision),
            is_under_way: false,
            tell: decision.tell,
        }
    }

    fn seen(
        signal: &Signal,
        observation: &Observation,
        decision: &Decision,
        auto_fix: Option<AutoFix>,
        lines: Vec<Value>,
        callers: &Group,
    ) -> Healing {
        let document = Document::new(signal, observation.stream.as_ref(), decision, auto_fix);
        let document = document.with_callers(decision, callers).with_config(observation);
        Healing {
            document,
            lines,
            looked: true,
            needs_person: needs_person(decision),
            // What is only observed changes nothing that minutes could tell of.
            is_under_way: decision.mode == Mode::Heal && decision.verdict.is_under_way(),
            tell: decision.tell,
        }
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;
    use crate::local::{Effect, Fault, LocalAccount, Options};
    use crate::signal::{Ask, Call, Caller};
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_sdk_kinesis::config::{Credentials, SharedCredentialsProvider};
    use chrono::TimeDelta;

    fn home() -> Home {
        Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() }
    }

    fn stream() -> StreamArn {
        StreamArn::new("orders", &home()).expect("legal")
    }

    fn throttle(principal: &str, code: &str) -> Signal {
        let caller = Caller { principal: Some(principal.into()), ..Caller::default() };
        Signal::Throttle(Call {
            operation: "PutRecords".into(),
            error_code: Some(code.into()),
            caller,
            stream: Some(stream()),
            ..Call::default()
        })
    }

    /// An account whose stream of two shards is offered three times 1,000 records a second.
    async fn throttled() -> (LocalAccount, Healer) {
        let account = LocalAccount::start(Options::default()).await.expect("a free port");
        account.add_streams(["orders".to_owned()], 2, &[]).await;
        let credentials = Credentials::new("local", "local", None, None, "local");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(account.url())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let clients = Clients::new(&config);
        for ago in 1..=10 {
            let at = account.now() - TimeDelta::minutes(ago);
            for (metric, value) in [
                ("IncomingRecords", 120_000.0),
                ("IncomingBytes", 12_000_000.0),
                ("WriteProvisionedThroughputExceeded", 60_000.0),
            ] {
                account.put_metric("AWS/Kinesis", metric, &[("StreamName", "orders")], at, value);
            }
        }
        (account, Healer::new(clients, Policy::default()))
    }

    #[tokio::test]
    async fn callers_are_counted_through_failures_and_suppressed_signals_until_the_next_look() {
        const EXCEEDED: &str = "ProvisionedThroughputExceededException";
        let (account, healer) = throttled().await;
        let heal = async |signal: Signal| healer.heal(&signal, &home()).await;
        let callers = |healing: &Healing| {
            let callers = healing.document.callers.iter();
            callers.map(|c| (c.principal.clone().expect("named"), c.count)).collect::<Vec<_>>()
        };

        account.add_fault(Fault {
            operation: "DescribeStreamSummary".into(),
            skip: 0,
            times: 1,
            effect: Effect::Error { status: 400, code: "AccessDeniedException".into(), message: "a test".into() },
        });
        assert_eq!(heal(throttle("a", EXCEEDED)).await.expect_err("cannot look").code(), "read_failed");
        assert_eq!(heal(throttle("b", "AccessDenied")).await.expect("held").document.code, "access_denied");

        let acted = heal(throttle("a", EXCEEDED)).await.expect("healed");
        assert_eq!((acted.document.code, callers(&acted)), ("scale_shards", vec![("a".into(), 2)]));
        let most = " Of the refused calls that CloudTrail showed here, most: a (PutRecords, 2 calls).";
        assert!(
            acted.document.sentence.contains(&format!("{most} About $")),
            "the bill is the end: {:?}",
            acted.document
        );

        let suppressed = heal(throttle("c", EXCEEDED)).await.expect("held");
        assert_eq!((suppressed.document.code, callers(&suppressed)), ("just_looked", vec![("c".into(), 1)]));

        let ask = || Signal::Ask(Ask { stream: stream(), mode: None, message: None, undo: None });
        let asked = heal(ask()).await.expect("held");
        assert_eq!((asked.document.code, callers(&asked)), ("resharding", vec![("c".into(), 1)]));
        assert!(!asked.document.sentence.contains("refused calls"), "that is not why it holds");
        assert_eq!(callers(&heal(ask()).await.expect("held")), []);
    }
    #[tokio::test]
    async fn a_datum_that_cloudwatch_refuses_is_a_line_though_its_run_fails() {
        let (account, healer) = throttled().await;
        // One shard became two a quarter of an hour ago, and that was never counted.
        let at = (Utc::now() - TimeDelta::minutes(15)).format("%Y%m%dT%H%M%SZ");
        let tag = healer.clients().kinesis.tag_resource().resource_arn(stream().to_string());
        let memory = format!("v=1 change=scale/1/2/{at} done=30 scales=0");
        tag.tags(crate::memory::TAG, memory).send().await.expect("tagged");
        for (operation, status) in [("UpdateShardCount", 500), ("PutMetricData", 400)] {
            let effect = Effect::Error { status, code: "InternalFailure".into(), message: "a test".into() };
            account.add_fault(Fault { operation: operation.into(), skip: 0, times: 1, effect });
        }
        let failed = healer.heal(&throttle("a", "ProvisionedThroughputExceededException"), &home()).await;
        assert_eq!(failed.expect_err("not answered").code(), "act_failed");
        let lines = healer.lines_of_failed_runs();
        assert_eq!((lines.len(), &lines[0]["AutoFix"]), (1, &serde_json::json!(1)), "{lines:?}");
        assert!(healer.lines_of_failed_runs().is_empty());
    }
}
