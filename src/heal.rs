//! The five steps for one stream: signal → observe → decide → act → report.

use crate::act::{self, ActError, Acted};
use crate::callers::{Callers, Group};
use crate::clients::Clients;
use crate::decide::{Decision, Foreign, Reason, Verdict, Wants, decide, hold_unseen, suppress_for, triage};
use crate::observation::{Fleet, Minute, Observation};
use crate::observe::{Observer, ReadError};
use crate::policy::{Mode, Policy};
use crate::report::notice::Notices;
use crate::report::{AutoFix, Document, metric};
use crate::signal::{Home, Signal, SignalError, StreamArn};
use chrono::{DateTime, SubsecRound, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often a run looks before it gives up: once, and once more if the first look has grown old.
const LOOKS: usize = 2;

/// How many streams' looks a container remembers. Far more than throttle at once; past it, all are forgotten, which costs a look each.
const LOOKS_REMEMBERED: usize = 1000;

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
        act::LOOK_GOOD_FOR.as_secs()
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
    /// Whether a person is to be told.
    tell: bool,
}

/// Heals one stream at a time. One for each process: it remembers what it has just looked at.
#[derive(Debug)]
pub struct Healer {
    clients: Clients,
    observer: Observer,
    policy: Policy,
    looks: Mutex<HashMap<StreamArn, (DateTime<Utc>, &'static str)>>,
    callers: Mutex<Callers>,
    /// This process' changes, minute by minute.
    changes: Mutex<BTreeMap<Minute, u32>>,
    notices: Notices,
}

impl Healer {
    /// A healer that has looked at nothing yet.
    pub fn new(clients: Clients, policy: Policy) -> Healer {
        Healer {
            observer: Observer::new(clients.clone()),
            clients,
            policy,
            looks: Mutex::default(),
            callers: Mutex::default(),
            changes: Mutex::default(),
            notices: Notices::default(),
        }
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

    /// A signal, from its triage to its document.
    ///
    /// # Errors
    /// See [`Error`]. A hold is no error.
    pub async fn heal(&self, signal: &Signal, home: &Home) -> Result<Healing, Error> {
        self.heal_within(signal, home, None).await
    }

    /// The same as part of a sweep, which may change so many more streams.
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
            healing.lines.extend(self.notices.tell(&self.clients.sns, &self.policy, &healing.document).await);
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
        let held = held.or_else(|| self.just_looked(signal));
        let (None, Some(stream)) = (&held, signal.stream()) else {
            let decision = hold_unseen(held.unwrap_or(Reason::NotOurs(Foreign::NoStream)), &self.policy);
            let callers = signal.stream().map(|stream| self.callers().seen(stream)).unwrap_or_default();
            return Ok(Healing::unseen(signal, &decision, &callers));
        };
        let mut intent = None;
        for _ in 0..LOOKS {
            let mut look = self.observer.look(stream, Utc::now().trunc_subsecs(3)).await?;
            if let Some(intent) = &intent {
                act::Intent::pardon(intent, &mut look);
            }
            let mut decision = self.decide(signal, stream, &mut look.observation, left_in_sweep).await?;
            if intent.is_some() && matches!(decision.verdict, Verdict::Hold(_)) {
                // An intent is never taken back: it may stand for a change that another run is making.
                decision.write_nothing();
            }
            let reserved = is_change(&decision);
            let acted = act::act(&self.clients, stream, &look, decision, intent.take()).await;
            let is_made = matches!(&acted, Ok(Acted::Done { decision, .. }) if is_change(decision)) || acted.is_err();
            if reserved && !is_made {
                self.give_back(left_in_sweep);
            }
            match acted? {
                Acted::Stale(announced) => intent = Some(announced),
                Acted::Done { mut decision, auto_fix, mut lines, surprised } => {
                    decision.tell &= is_worth_telling(&decision);
                    lines.extend(healed(stream, &decision));
                    if !surprised {
                        self.looked(stream, decision.verdict.code());
                    }
                    // Only now: a run that fails leaves them to the next.
                    let callers = self.callers().take(stream);
                    return Ok(Healing::seen(signal, &look.observation, &decision, auto_fix, lines, &callers));
                }
            }
        }
        if let Some(intent) = intent {
            intent.settle(&self.clients, stream).await;
        }
        Err(Error::TooSlow { stream: stream.name.clone() })
    }

    /// Decides, and looks closer where the decision takes it: each look gives what was wanted, so there are few.
    async fn decide(
        &self,
        signal: &Signal,
        stream: &StreamArn,
        observation: &mut Observation,
        left_in_sweep: Option<&AtomicU32>,
    ) -> Result<Decision, Error> {
        loop {
            match self.decide_within(signal, observation, left_in_sweep) {
                Ok(decision) => return Ok(decision),
                Err(wants) => self.observer.look_closer(stream, observation, wants).await?,
            }
        }
    }

    /// Decides by what the fleet has left, and takes a change of it at once: other streams are decided meanwhile.
    fn decide_within(
        &self,
        signal: &Signal,
        observation: &mut Observation,
        left_in_sweep: Option<&AtomicU32>,
    ) -> Result<Decision, Wants> {
        let mut own = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Utc::now();
        let left = left_in_sweep.map(|left| left.load(Ordering::Relaxed));
        observation.fleet = Fleet { left_in_sweep: left, ..Fleet::of(&observation.traffic, &own, now) };
        let decision = decide(signal, observation, &self.policy, now)?;
        if is_change(&decision) {
            let minute = Minute::of(now);
            own.retain(|known, _| *known > minute.plus(-60));
            *own.entry(minute).or_default() += 1;
            left_in_sweep.inspect(|left| left.store(left.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed));
        }
        Ok(decision)
    }

    /// A change that was taken of what the fleet has left, and not made.
    fn give_back(&self, left_in_sweep: Option<&AtomicU32>) {
        let mut own = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut newest) = own.last_entry() {
            *newest.get_mut() = newest.get().saturating_sub(1);
        }
        left_in_sweep.inspect(|left| left.store(left.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed));
    }

    /// Holds a throttle signal that comes right after a look. A person's ask and an alarm always get their own.
    fn just_looked(&self, signal: &Signal) -> Option<Reason> {
        let Signal::Throttle(call) = signal else { return None };
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, code) = looks.get(call.stream.as_ref()?)?;
        (Utc::now() - *at < suppress_for(code)).then_some(Reason::JustLooked)
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

    fn looked(&self, stream: &StreamArn, code: &'static str) {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() >= LOOKS_REMEMBERED {
            looks.clear();
        }
        looks.insert(stream.clone(), (Utc::now(), code));
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

/// Whether the stream is changed, and not only would be.
fn is_change(decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::Act(_)) && decision.mode == Mode::Heal
}

/// The metrics of a change that is known to have worked.
fn healed(stream: &StreamArn, decision: &Decision) -> Option<Value> {
    match &decision.verdict {
        Verdict::Hold(Reason::Healthy { healed: Some(healed) }) if decision.mode == Mode::Heal => {
            Some(metric::healed(stream, healed.took, Utc::now()))
        }
        _ => None,
    }
}

impl Healing {
    fn unseen(signal: &Signal, decision: &Decision, callers: &Group) -> Healing {
        let document = Document::new(signal, None, decision, None).with_callers(decision, callers);
        Healing { document, lines: vec![], looked: false, needs_person: needs_person(decision), tell: decision.tell }
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
        Healing { document, lines, looked: true, needs_person: needs_person(decision), tell: decision.tell }
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;
    use crate::local::{Effect, Fault, LocalAccount, Options};
    use crate::signal::{Ask, Call, Caller};
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_sdk_kinesis::config::{Credentials, SharedCredentialsProvider};
    use std::time::{Duration, SystemTime};

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
        let credentials = Credentials::new("local", "local", None, None, "local");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(account.url())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let clients = Clients::new(&config);
        clients.kinesis.create_stream().stream_name("orders").shard_count(2).send().await.expect("created");
        for ago in 1..=10 {
            let at = SystemTime::now() - Duration::from_secs(60) * ago;
            for (metric, value) in [
                ("IncomingRecords", 120_000.0),
                ("IncomingBytes", 12_000_000.0),
                ("WriteProvisionedThroughputExceeded", 60_000.0),
            ] {
                account.put_metric("AWS/Kinesis", metric, &[("StreamName", "orders")], at, value);
            }
        }
        tokio::time::sleep(Options::default().create_time * 2).await;
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
}
