//! The one entrance: what one signal comes to. The Lambda, the simulator and the fault schedules all call
//! [`Run::handle`], each with its own [`Account`].

mod account;
mod apply;
mod container;

pub use account::{Account, Answer, CallFailed, Observed};
pub use apply::OBSERVATION_GOOD_FOR;
pub use container::Container;

use crate::callers::Group;
use crate::decide::{MissingData, decide, hold_unobserved, triage};
use crate::decision::{Decision, Foreign, Outcome, Reason, Verdict};
use crate::observation::{Fleet, Observation};
use crate::policy::Policy;
use crate::report::{AutoFix, Document};
use crate::signal::{Home, Signal, StreamArn};
use apply::{Applied, Intent, apply, publish};
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
    /// The stream was observed twice, and each observation was too old for a change. Nothing was changed.
    TooSlow,
}

impl Run<'_> {
    /// Triage, observation, decision, its calls and its report, in this order.
    ///
    /// # Errors
    /// See [`RunError`]. A hold is no error.
    pub async fn handle<A: Account>(&self, account: &mut A) -> Result<Handled, RunError<A::Error>> {
        let held = triage(self.signal, self.policy, self.home);
        self.container.count_caller(self.signal, held.as_ref());
        let held = held.or_else(|| self.container.just_observed(self.signal, account.now()));
        let handled = match (held, self.signal.stream()) {
            (None, Some(stream)) => self.heal(account, stream).await?,
            (None, None) => self.hold(Reason::NotOurs(Foreign::NoStream)),
            (Some(reason), _) => self.hold(reason),
        };
        if handled.decision.notify {
            account.notify(&handled.document).await;
        }
        Ok(handled)
    }

    /// Observes, decides and applies. An observation that is too old for its change is made anew.
    async fn heal<A: Account>(&self, account: &mut A, stream: &StreamArn) -> Result<Handled, RunError<A::Error>> {
        let mut intent: Option<Intent> = None;
        for _ in 0..OBSERVATIONS {
            let (observed, decision) = match self.observe(account, stream, intent.as_ref()).await {
                Ok(decided) => decided,
                Err(error) => {
                    publish(intent, account, stream).await;
                    return Err(RunError::Call(error));
                }
            };
            let is_reserved = decision.outcome == Outcome::Acted;
            let applied = apply(account, stream, &observed, decision, intent.take()).await;
            if is_reserved && applied.as_ref().is_ok_and(|applied| !applied.is_change()) {
                self.container.give_back(self.left_in_sweep);
            }
            match applied.map_err(RunError::Call)? {
                Applied::TooLate(announced) => intent = Some(announced),
                Applied::Done { decision, auto_fix, is_surprise } => {
                    if !is_surprise {
                        self.container.observed(stream, account.now(), decision.verdict.code());
                    }
                    return Ok(self.report(stream, &observed.observation, decision, auto_fix));
                }
            }
        }
        publish(intent, account, stream).await;
        Err(RunError::TooSlow)
    }

    /// Observes and decides. `earlier`: the intent that this run has written before.
    async fn observe<A: Account>(
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
        seen.fleet = Fleet { left_in_sweep: left, ..Fleet::of(&seen.traffic, &own, now) };
        let decision = decide(self.signal, seen, self.policy, now)?;
        if decision.outcome == Outcome::Acted {
            container::reserve(&mut own, now, self.left_in_sweep);
        }
        Ok(decision)
    }

    /// Holds without an observation.
    fn hold(&self, reason: Reason) -> Handled {
        let decision = hold_unobserved(reason, self.policy);
        let callers = self.signal.stream().map_or_else(Group::default, |stream| self.container.callers_of(stream));
        let document = Document::new(self.signal, None, &decision, None).with_callers(&decision, &callers);
        Handled { decision, document, is_observed: false }
    }

    /// Reports a decision on an observed stream. A run that fails never comes here, so its callers stay for the next.
    fn report(&self, stream: &StreamArn, seen: &Observation, decision: Decision, auto_fix: Option<AutoFix>) -> Handled {
        let callers = self.container.take_callers(stream);
        let document = Document::new(self.signal, seen.stream.as_ref(), &decision, auto_fix);
        let document = document.with_callers(&decision, &callers).with_config(seen);
        Handled { decision, document, is_observed: true }
    }
}
