//! One run for one stream: its looks, its decision, and its calls in their order. It speaks to AWS over a [`Wire`], and
//! so the simulated account runs the very code that the Lambda runs. It knows no AWS client, no runtime and no clock.

mod act;
mod container;
mod wire;

pub use act::LOOK_GOOD_FOR;
pub(crate) use container::Container;
pub(crate) use wire::{Answer, Look, Unmade, Wire};

use crate::decide::{Decision, Verdict, Wants, decide};
use crate::observation::{Fleet, Observation};
use crate::policy::{Mode, Policy};
use crate::signal::{Signal, StreamArn};
use act::{Acted, Intent, act, settle};
use std::sync::atomic::{AtomicU32, Ordering};

/// How often a run looks before it gives up: once, and once more if the first look has grown old.
const LOOKS: usize = 2;

/// A run that begins.
pub(crate) struct Run<'a> {
    /// What woke it.
    pub signal: &'a Signal,
    /// The stream that it is for.
    pub stream: &'a StreamArn,
    /// What it is allowed to do.
    pub policy: &'a Policy,
    /// Where it runs.
    pub container: &'a Container,
    /// How many more streams the sweep may change that it is part of; `None`: it is part of none, or the stream has counted.
    pub left_in_sweep: Option<&'a AtomicU32>,
}

/// What came of it.
pub(crate) struct Ran {
    /// What it saw last.
    pub observation: Observation,
    /// What it decided, and what AWS made of that.
    pub decision: Decision,
}

/// Why nothing came of it.
pub(crate) enum Failed<E> {
    /// A call.
    Call(E),
    /// Everything took too long for a safe change, twice.
    TooSlow,
}

impl Run<'_> {
    /// Looks, decides and acts.
    pub(crate) async fn go<W: Wire>(&self, wire: &mut W) -> Result<Ran, Failed<W::Error>> {
        let mut intent: Option<Intent> = None;
        for _ in 0..LOOKS {
            let (look, decision) = match self.look(wire, intent.as_ref()).await {
                Ok(decided) => decided,
                Err(failed) => {
                    settle(intent, wire).await;
                    return Err(failed);
                }
            };
            let reserved = is_change(&decision);
            let acted = act(wire, &look, decision, intent.take()).await;
            let is_made = matches!(&acted, Ok(Acted::Done { decision, .. }) if is_change(decision)) || acted.is_err();
            if reserved && !is_made {
                self.container.give_back(self.left_in_sweep);
            }
            match acted.map_err(Failed::Call)? {
                Acted::Stale(announced) => intent = Some(announced),
                Acted::Done { decision, surprised } => {
                    if !surprised {
                        self.container.looked(self.stream, wire.now(), decision.verdict.code());
                    }
                    return Ok(Ran { observation: look.observation, decision });
                }
            }
        }
        settle(intent, wire).await;
        Err(Failed::TooSlow)
    }

    /// Looks and decides; `earlier`: the intent that this run has already written.
    async fn look<W: Wire>(
        &self,
        wire: &mut W,
        earlier: Option<&Intent>,
    ) -> Result<(Look, Decision), Failed<W::Error>> {
        let mut look = wire.look().await.map_err(Failed::Call)?;
        if let Some(intent) = earlier {
            intent.pardon(&mut look.observation);
        }
        let mut decision = self.decide(wire, &mut look.observation).await?;
        if earlier.is_some() && matches!(decision.verdict, Verdict::Hold(_)) {
            // An intent is never taken back: it may stand for a change that another run is making.
            decision.write_nothing();
        }
        Ok((look, decision))
    }

    /// Decides, and looks closer where the decision takes it: each look gives what was wanted, so there are few.
    async fn decide<W: Wire>(&self, wire: &mut W, seen: &mut Observation) -> Result<Decision, Failed<W::Error>> {
        loop {
            match self.decide_within(wire, seen) {
                Ok(decision) => return Ok(decision),
                Err(wants) => wire.look_closer(seen, wants).await.map_err(Failed::Call)?,
            }
        }
    }

    /// Decides by what the fleet has left, and takes a change of it at once: other streams are decided meanwhile.
    fn decide_within<W: Wire>(&self, wire: &W, seen: &mut Observation) -> Result<Decision, Wants> {
        let mut own = self.container.changes();
        let now = wire.now();
        let left = self.left_in_sweep.map(|left| left.load(Ordering::Relaxed));
        seen.fleet = Fleet { left_in_sweep: left, ..Fleet::of(&seen.traffic, &own, now) };
        let decision = decide(self.signal, seen, self.policy, now)?;
        if is_change(&decision) {
            container::take(&mut own, now, self.left_in_sweep);
        }
        Ok(decision)
    }
}

/// Whether the stream is changed, and not only would be.
fn is_change(decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::Act(_)) && decision.mode == Mode::Heal
}
