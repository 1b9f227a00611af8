//! The one entrance: what one signal comes to. The Lambda, the simulator and the fault schedules all call
//! [`Run::handle`], each with its own [`Account`].

mod account;
mod apply;
mod container;

pub use account::{Account, Answer, CallFailed, CountedChange, Observed};
pub use apply::OBSERVATION_GOOD_FOR;
pub use container::Container;

use crate::callers::Group;
use crate::decide::{MissingData, decide, hold_unobserved, triage};
use crate::decision::{Decision, Foreign, Outcome, Reason, Verdict};
use crate::observation::{Fleet, Observation, Supported};
use crate::policy::Policy;
use crate::report::{AutoFix, Document};
use crate::signal::{Home, Signal, StreamArn};
use apply::{Applied, Intent, apply, publish};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often a run observes the stream: once, and once more if the first observation is too old for a change. A third
/// time would only help where AWS or the network is slow, and there each change is a risk.
const OBSERVATIONS: usize = 2;

/// One signal, and what bounds the run that it starts.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What woke the function.
    pub signal: &'a Signal,
    /// The account and region that the function acts in.
    pub home: &'a Home,
    /// What the function may do.
    pub policy: &'a Policy,
    /// What this process remembers.
    pub container: &'a Container,
    /// How many more streams the sweep of this run may change. `None`: the run is not part of a sweep, or this sweep
    /// has changed this stream before.
    pub left_in_sweep: Option<&'a AtomicU32>,
    /// What the memory tags of all streams showed at the beginning of the sweep of this run. `None`: the run is not
    /// part of a sweep, or the sweep could not read the tags.
    pub supported: Option<Supported>,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Handled {
    /// The decision, and what AWS made of it.
    pub decision: Decision,
    /// The same as a document.
    pub document: Document,
    /// Whether AWS was read.
    pub is_observed: bool,
}

/// Why a run came to nothing.
#[derive(Debug)]
pub enum RunError<E> {
    /// A call failed.
    Call(E),
    /// The stream was observed twice, and each observation was too old for a change, or for the plan that a person
    /// asked for. Nothing was changed.
    TooSlow,
}

impl Run<'_> {
    /// Triage, observation, decision, its calls and its report, in this order. An observation that is too old for its
    /// change is made anew.
    ///
    /// # Errors
    /// See [`RunError`]. A hold is no error.
    pub async fn handle<A: Account>(&self, account: &mut A) -> Result<Handled, RunError<A::Error>> {
        let held = triage(self.signal, self.policy, self.home);
        self.container.count_caller(self.signal, held.as_ref());
        let held = held.or_else(|| self.container.just_observed(self.signal, account.now()));
        let (None, Some(stream)) = (&held, self.signal.stream()) else {
            let reason = held.unwrap_or(Reason::NotOurs(Foreign::NoStream));
            return Ok(self.report(account, hold_unobserved(reason, self.policy), None, None).await);
        };
        let mut intent: Option<Intent> = None;
        for _ in 0..OBSERVATIONS {
            let (observed, decision) = match self.observe_and_decide(account, stream, intent.as_ref()).await {
                Ok(decided) => decided,
                Err(error) => {
                    publish(intent, account, stream).await;
                    return Err(RunError::Call(error));
                }
            };
            match self.apply(account, stream, &observed, decision, intent.take()).await.map_err(RunError::Call)? {
                Applied::TooLate(announced) => intent = announced,
                Applied::Done { decision, auto_fix, .. } => {
                    return Ok(self.report(account, decision, Some(&observed.observation), auto_fix).await);
                }
            }
        }
        publish(intent, account, stream).await;
        Err(RunError::TooSlow)
    }

    /// Observes and decides. `earlier`: the intent that this run has written before.
    async fn observe_and_decide<A: Account>(
        &self,
        account: &mut A,
        stream: &StreamArn,
        earlier: Option<&Intent>,
    ) -> Result<(Observed, Decision), A::Error> {
        let mut observed = account.observe(stream).await?;
        if let Some(intent) = earlier {
            intent.ignore_own_intent(&mut observed.observation);
        }
        let mut decision = loop {
            match self.decide(account, &mut observed.observation) {
                Ok(decision) => break decision,
                // Each read gives what was missing, so there are few.
                Err(missing) => account.complete(stream, &mut observed.observation, missing).await?,
            }
        };
        if earlier.is_some() && matches!(decision.verdict, Verdict::Hold(_)) {
            // An intent is never removed: it may stand for a change that another run is making.
            decision.write_nothing();
        }
        Ok((observed, decision))
    }

    /// Decides by what the fleet may still change. A change is reserved at once: other streams are decided meanwhile.
    fn decide<A: Account>(&self, account: &A, seen: &mut Observation) -> Result<Decision, MissingData> {
        let mut own = self.container.changes();
        let now = account.now();
        let left = self.left_in_sweep.map(|left| left.load(Ordering::Relaxed));
        seen.fleet = Fleet { left_in_sweep: left, ..Fleet::of_all(&seen.traffic, &own, self.supported, now) };
        let decision = decide(self.signal, seen, self.policy, now)?;
        if decision.outcome == Outcome::Acted {
            container::reserve(&mut own, added_shards(&decision), now, self.left_in_sweep);
        }
        Ok(decision)
    }

    /// Carries a decision out, and gives back what it reserved and did not use.
    async fn apply<A: Account>(
        &self,
        account: &mut A,
        stream: &StreamArn,
        observed: &Observed,
        decision: Decision,
        earlier: Option<Intent>,
    ) -> Result<Applied, A::Error> {
        let (is_reserved, added_shards) = (decision.outcome == Outcome::Acted, added_shards(&decision));
        let has_topic = self.policy.topic_arn.is_some();
        let applied = apply(account, stream, observed, decision, has_topic, earlier).await;
        if is_reserved && applied.as_ref().is_ok_and(|applied| !applied.is_change()) {
            self.container.give_back(added_shards, self.left_in_sweep);
        }
        if let Ok(Applied::Done { decision, is_surprise: false, .. }) = &applied {
            self.container.observed(stream, account.now(), decision.verdict.code());
        }
        applied
    }

    /// Reports a decision, and notifies. `seen`: the observation, where the stream was observed. The callers of an
    /// observed stream are counted anew. A run that fails never comes here, so its callers stay for the next run.
    async fn report<A: Account>(
        &self,
        account: &mut A,
        decision: Decision,
        seen: Option<&Observation>,
        auto_fix: Option<AutoFix>,
    ) -> Handled {
        let callers = match (self.signal.stream(), seen) {
            (Some(stream), Some(_)) => self.container.take_callers(stream),
            (Some(stream), None) => self.container.callers_of(stream),
            (None, _) => Group::default(),
        };
        let stream = seen.and_then(|seen| seen.stream.as_ref());
        let document = Document::new(self.signal, stream, &decision, auto_fix).with_callers(&decision, &callers);
        let none = BTreeMap::new();
        let document = document.with_opt_out(&decision, self.policy, seen.map_or(&none, |seen| &seen.tags));
        let document = match seen {
            Some(seen) => document.with_config(seen).with_advice(seen, &self.policy.prices),
            None => document,
        };
        if decision.notify {
            account.notify(&document).await;
        }
        Handled { decision, document, is_observed: seen.is_some() }
    }
}

/// The shards that a decision adds.
fn added_shards(decision: &Decision) -> u32 {
    if let Verdict::Act(remedy) = &decision.verdict { remedy.added_shards() } else { 0 }
}
