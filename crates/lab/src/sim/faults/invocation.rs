//! One run of the Lambda for one stream: the Lambda's own `run`, with an account whose calls wait for an answer. The
//! run pauses at each call. Meanwhile other runs continue, or the run is dropped, which is a crash.

use super::super::ours::call_failed;
use super::super::time;
use super::super::world::home;
use super::flaw::Flaw;
use super::older;
use crate::rules::Refusal;
use chrono::{DateTime, Utc};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::AtomicU32;
use std::task::Poll;
use std::time::Duration;
use unthrottle_core::decide::MissingData;
use unthrottle_core::decision::{Decision, Remedy};
use unthrottle_core::memory::{Memory, TAG};
use unthrottle_core::observation::{Limits, Minute, Observation};
use unthrottle_core::policy::{MODE_TAG, Policy};
use unthrottle_core::report::{AutoFix, Document};
use unthrottle_core::run::{self, Account, CallFailed, CountedChange, Handled, Observed, Run, RunError};
use unthrottle_core::signal::{Signal, StreamArn};

/// An AWS call.
#[derive(Clone, Debug)]
pub(super) enum Call {
    /// Summary, tags, metrics and limits, all at once.
    Observe,
    /// The data that a decision misses.
    Complete(Box<Observation>, MissingData),
    /// `TagResource` of the memory.
    Tag {
        text: String,
        /// The longest wait for an answer; `None`: the client's own timeout.
        within: Option<Duration>,
    },
    /// The change.
    Change(Remedy),
    /// `PutMetricData` of AutoFix and ShardsAdded.
    Count(CountedChange),
    /// `PutMetricData` of Reverted.
    CountReverted(DateTime<Utc>),
}

/// The answer to a call.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Seen(Box<Observation>),
    Done,
    /// The open shards before the change, if AWS's answer has them.
    Changed(Option<u32>),
    Refused(Refusal),
    /// No answer, or a 5xx: AWS may have carried out the call.
    Silence,
}

/// The channel between a run and AWS, with one call that waits for its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Channel(Rc<RefCell<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    now: i64,
    call: Option<Call>,
    answer: Option<Answer>,
}

impl Channel {
    /// The time, in seconds of the run.
    fn now(&self) -> i64 {
        self.0.borrow().now
    }

    pub(super) fn set_now(&self, now: i64) {
        self.0.borrow_mut().now = now;
    }

    /// Removes and returns the call that the run has made since the last answer.
    pub(super) fn taken(&self) -> Option<Call> {
        self.0.borrow_mut().call.take()
    }

    pub(super) fn answer(&self, answer: Answer) {
        self.0.borrow_mut().answer = Some(answer);
    }

    async fn call(&self, call: Call) -> Answer {
        self.0.borrow_mut().call = Some(call);
        poll_fn(|_| self.0.borrow_mut().answer.take().map_or(Poll::Pending, Poll::Ready)).await
    }
}

/// A warm container. A crash deletes the container and all that it remembers.
#[derive(Debug, Default)]
pub(super) struct Container {
    remembers: run::Container,
    /// The time of its last request for the account's limits, and AWS's answer.
    limits: Cell<Option<(i64, Option<Limits>)>>,
    /// Whether its code is an older release.
    is_older: bool,
}

impl Container {
    /// A new container.
    pub(super) fn new(is_older: bool) -> Container {
        Container { is_older, ..Container::default() }
    }

    /// The time of AWS's last answer with the account's limits; `None`: there was none.
    pub(super) fn limits_of(&self) -> Option<i64> {
        self.limits.get().filter(|(_, limits)| limits.is_some()).map(|(read, _)| read)
    }

    /// The limits for an observation at second `asked`; `read`: AWS's answer at this second.
    fn limits(&self, asked: i64, read: Option<Limits>) -> Option<Limits> {
        let is_good = |(at, limits): &(i64, Option<Limits>)| asked - at < seconds(Limits::good_for(*limits));
        let kept = self.limits.get().filter(is_good).unwrap_or((asked, read));
        self.limits.set(Some(kept));
        kept.1
    }
}

/// Whole seconds.
pub(super) fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// The failure of a run. Lambda tries the run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// A read failed.
    Read,
    /// A write had no answer, or stayed throttled.
    Act,
    /// The stream was observed twice, and each observation was too old for a change.
    TooSlow,
}

/// A run, from its signal to its decision.
pub(super) struct Invocation {
    pub(super) channel: Channel,
    pub(super) signal: Signal,
    pub(super) policy: Rc<Policy>,
    pub(super) container: Rc<Container>,
    pub(super) flaw: Flaw,
}

impl Invocation {
    /// Runs the one entrance. A sweep of one stream may still make all its changes.
    pub(super) async fn run(self) -> Result<Ended, Failed> {
        let Invocation { channel, signal, policy, container, flaw } = self;
        let policy = &flaw.allow(&policy);
        let left = AtomicU32::new(policy.max_changes_per_sweep);
        let left_in_sweep = matches!(signal, Signal::Sweep(_)).then_some(&left);
        let mut account =
            Flawed { channel: &channel, container: &container, flaw, written: String::new(), is_notified: false };
        let forgetful = run::Container::default();
        let container = if flaw == Flaw::IgnoresHourlyChanges { &forgetful } else { &container.remembers };
        let run = Run { signal: &signal, home: &home(), policy, container, left_in_sweep, supported: None };
        match run.handle(&mut account).await {
            Ok(Handled { decision, document, .. }) => {
                let sentence = match flaw {
                    Flaw::Misspeaks => "arena: the load needs 3 of its 2 shards.".into(),
                    _ => document.sentence,
                };
                Ok(Ended { decision, sentence, is_notified: account.is_notified })
            }
            Err(RunError::Call(failed)) => Err(failed),
            Err(RunError::TooSlow) => Err(Failed::TooSlow),
        }
    }
}

/// What a run came to.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) decision: Decision,
    pub(super) sentence: String,
    /// Whether a person got a message.
    pub(super) is_notified: bool,
}

/// The account of a run with a defect.
struct Flawed<'a> {
    channel: &'a Channel,
    container: &'a Container,
    flaw: Flaw,
    /// The memory as the run last wrote it.
    written: String,
    is_notified: bool,
}

impl Account for Flawed<'_> {
    type Error = Failed;

    fn now(&self) -> DateTime<Utc> {
        time(self.channel.now())
    }

    fn elapsed(&self) -> Duration {
        if self.flaw == Flaw::StaleObservation {
            Duration::ZERO
        } else {
            Duration::from_secs(self.channel.now().unsigned_abs())
        }
    }

    async fn observe(&mut self, _: &StreamArn) -> Result<Observed, Failed> {
        let (asked_at, second) = (self.elapsed(), self.channel.now());
        let Answer::Seen(seen) = self.channel.call(Call::Observe).await else { return Err(Failed::Read) };
        let mut observation = *seen;
        observation.limits = self.container.limits(second, observation.limits);
        if let Some(tag) = observation.tags.get_mut(TAG).filter(|_| self.container.is_older) {
            *tag = if *tag == older::written(&self.written) { self.written.clone() } else { older::read(tag) };
        }
        match self.flaw {
            Flaw::Forgetful => drop(observation.tags.remove(TAG)),
            Flaw::DeafToTags => drop(observation.tags.remove(MODE_TAG)),
            Flaw::IgnoresHourlyChanges => observation.traffic.fleet_fixes.clear(),
            Flaw::BelievesTags => believe(&mut observation),
            Flaw::ForgetsReshards => forget_reshards(&mut observation),
            Flaw::IgnoresShardQuota => observation.limits.iter_mut().for_each(|limits| limits.shard_limit = u32::MAX),
            Flaw::InflatesTraffic => {
                let newest = observation.traffic.newest(observation.observed_at);
                for minute in newest.plus(-INFLATED_MINUTES).to(newest) {
                    let minute = observation.traffic.minute_mut(minute);
                    for number in
                        [&mut minute.incoming_records, &mut minute.incoming_bytes, &mut minute.write_throttled]
                    {
                        *number *= 3.0;
                    }
                }
            }
            _ => {}
        }
        Ok(Observed { observation, asked_at })
    }

    async fn complete(&mut self, _: &StreamArn, seen: &mut Observation, missing: MissingData) -> Result<(), Failed> {
        let is_believed = self.flaw == Flaw::BelievesTags && missing.change_shown.is_some();
        let call = Call::Complete(Box::new(seen.clone()), missing);
        let Answer::Seen(closer) = self.channel.call(call).await else { return Err(Failed::Read) };
        *seen = *closer;
        if is_believed {
            seen.is_change_shown = Some(true);
        }
        Ok(())
    }

    async fn write_memory(
        &mut self,
        _: &StreamArn,
        text: &str,
        within: Option<Duration>,
    ) -> Result<(), CallFailed<Failed>> {
        text.clone_into(&mut self.written);
        if matches!(self.flaw, Flaw::NoIntent | Flaw::Idle) {
            return Ok(());
        }
        let text = if self.container.is_older { older::written(text) } else { text.to_owned() };
        match self.channel.call(Call::Tag { text, within }).await {
            Answer::Refused(refusal) => Err(refused(refusal)),
            Answer::Done => Ok(()),
            _ => Err(SILENCE),
        }
    }

    async fn change(&mut self, _: &StreamArn, remedy: &Remedy) -> Result<Option<u32>, CallFailed<Failed>> {
        let mut remedy = remedy.clone();
        match (self.flaw, &mut remedy) {
            (Flaw::Idle, remedy) => return Ok(Some(remedy.step().0.number())),
            (Flaw::Doubles, Remedy::ScaleShards { from, to, .. }) => *to = 2 * *from,
            (Flaw::Triples, Remedy::ScaleShards { from, to, .. }) => *to = 3 * *from,
            (Flaw::CountsFirst, remedy) => {
                let intent = Memory::parse(&self.written).ok().and_then(|memory| memory.change);
                let at = intent.map_or_else(|| time(self.channel.now()), |intent| intent.at);
                self.channel.call(Call::Count(CountedChange::of(remedy, at))).await;
            }
            _ => {}
        }
        match self.channel.call(Call::Change(remedy)).await {
            Answer::Changed(before) => Ok(before),
            Answer::Refused(refusal) => Err(refused(refusal)),
            _ => Err(SILENCE),
        }
    }

    async fn count_fix(&mut self, _: &StreamArn, change: CountedChange) -> AutoFix {
        let times = match self.flaw {
            Flaw::CountsNever | Flaw::CountsFirst | Flaw::Idle => 0,
            Flaw::CountsTwice => 2,
            _ => 1,
        };
        for _ in 0..times {
            self.channel.call(Call::Count(change)).await;
        }
        AutoFix::Confirmed
    }

    async fn count_revert(&mut self, _: &StreamArn, at: DateTime<Utc>) {
        self.channel.call(Call::CountReverted(at)).await;
    }

    async fn notify(&mut self, _: &Document) {
        self.is_notified = self.flaw != Flaw::Silent;
    }
}

/// Adds the data of the change in the memory.
fn believe(observation: &mut Observation) {
    let memory = observation.tags.get(TAG).and_then(|tag| Memory::parse(tag).ok());
    let Some(change) = memory.and_then(|memory| memory.change) else { return };
    let traffic = &mut observation.traffic;
    for counts in [&mut traffic.auto_fixes, &mut traffic.reshards, &mut traffic.mode_switches] {
        counts.entry(Minute::of(change.at)).or_insert(1);
    }
}

fn forget_reshards(observation: &mut Observation) {
    observation.traffic.reshards.clear();
    let Some(tag) = observation.tags.get_mut(TAG) else { return };
    let Ok(mut memory) = Memory::parse(tag) else { return };
    memory.reshards.clear();
    if let Ok(text) = memory.encode() {
        *tag = text;
    }
}

/// Minutes that [`Flaw::InflatesTraffic`] falsifies: more than the window of a decision.
const INFLATED_MINUTES: i64 = 30;

/// AWS may have carried out the call.
const SILENCE: CallFailed<Failed> = CallFailed { answer: None, error: Failed::Act };

fn refused(refusal: Refusal) -> CallFailed<Failed> {
    CallFailed { answer: call_failed(refusal).answer, error: Failed::Act }
}
