//! Every interleaving of a small scene: two runs of the Lambda, one person and the clock on one stream.
//!
//! - here: the search, and what it counts.
//! - `node`: a state, the steps that lead on from it, and which states are the same.
//! - `scene`: the scenes.
//!
//! The runs are the product's own entrance, [`unthrottle_core::run::Run::handle`], which a channel stops at each AWS
//! call. The world, the calls and the invariants are those of the random schedules.
//!
//! # Why a search of our own
//!
//! - A model checker for threads, such as shuttle or loom, controls locks and atomics. A run has none that another run
//!   sees: AWS is all that they share. It also plays each interleaving from its beginning, and cannot tell that two of
//!   them have met.
//! - stateright needs states that can be copied and compared. A future is neither. It counts states, and not the
//!   interleavings that they stand for.
//!
//! A run is a function of AWS's answers. So a state keeps the answers instead of the future, and a new future that gets
//! them stops at the same call. What remains is a search in depth that remembers the states it has met: one function.
//!
//! # What is left out, and why no failure is lost by it
//!
//! - **The way of an answer.** A call is one step: AWS carries it out, and the run gets its answer and goes on to its
//!   next call. What a run does between two calls touches nothing that it shares, so its moment makes no difference.
//!   The clock is the exception: it may go on while a call waits to be carried out, as long as its client waits. An
//!   answer that comes seconds after AWS carried out its call is left to the random schedules.
//! - **States that are met again.** Two paths meet if they lead to the same world, the same record of the invariants
//!   and the same queue of Lambda, and each run that is under way got the same answers at the same seconds. All that
//!   follows is a function of these. Reads change nothing, so their order among each other makes no difference. A run
//!   that is over counts by what it did. A state that is met again adds its number of interleavings, and is not
//!   searched again.
//! - **The time that a lost answer costs.** The run goes on at once instead of after its patience. It then ends, or
//!   sends its datum, and takes no decision by the time.
//! - **More clock.** The clock has the steps of its scene, not any number of seconds. The random schedules have those.

mod node;
mod scene;

pub use scene::{Scene, scenes};

use super::super::check::Broken;
use super::super::flaw::Flaw;
use node::{Key, Node, Step};
use std::collections::BTreeMap;

/// What a search has covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Explored {
    /// Interleavings: the ways from the beginning of the scene to an end of it.
    pub interleavings: u128,
    /// Different states.
    pub states: u64,
    /// Steps between states, each of them played once.
    pub steps: u64,
    /// Different states in which both runs and the person are done. Each is played on until the stream is healed or
    /// held.
    pub ends: u64,
    /// The time of the stream that was played after these, in seconds.
    pub seconds: u64,
    /// Changes of unthrottle that AWS carried out since the beginning of the scene, in the end that has most of them.
    pub most_changes: u64,
}

/// An interleaving that breaks an invariant.
#[derive(Clone, Debug)]
pub struct Fails {
    /// The invariant, and the numbers.
    pub broken: Broken,
    /// The steps of the interleaving.
    pub steps: Vec<String>,
    /// The calls, and what followed.
    pub trace: Vec<String>,
}

/// Plays all interleavings of a scene. Each call of a run is answered, refused, answered by 5xx or never, or the
/// container dies before it or after it.
///
/// `progress` gets the number of states whenever the search has met a new one.
///
/// # Errors
/// The first interleaving that breaks an invariant.
pub fn explore(scene: &Scene, progress: impl Fn(u64)) -> Result<Explored, Box<Fails>> {
    explore_with(scene, Flaw::None, progress)
}

/// The same with runs that have a defect.
pub(in crate::sim::faults) fn explore_with(
    scene: &Scene,
    flaw: Flaw,
    progress: impl Fn(u64),
) -> Result<Explored, Box<Fails>> {
    let mut search = Search { known: BTreeMap::new(), explored: Explored::default(), progress };
    let found = Node::first(scene, flaw).map_err(Found::here).and_then(|first| search.all_after(&first));
    match found {
        Ok(interleavings) => Ok(Explored { interleavings, states: search.states(), ..search.explored }),
        Err(Found { broken, mut steps }) => {
            steps.reverse();
            let trace = node::trace(scene, flaw, &steps);
            Err(Box::new(Fails { broken, steps: steps.iter().map(ToString::to_string).collect(), trace }))
        }
    }
}

/// The states so far, each with the number of interleavings from it to an end.
struct Search<P> {
    known: BTreeMap<Key, u128>,
    explored: Explored,
    progress: P,
}

/// A broken invariant, and the steps to it, the last one first.
struct Found {
    broken: Broken,
    steps: Vec<Step>,
}

impl Found {
    fn here(broken: Broken) -> Found {
        Found { broken, steps: vec![] }
    }

    fn after(mut self, step: Step) -> Found {
        self.steps.push(step);
        self
    }
}

impl<P: Fn(u64)> Search<P> {
    /// The states so far, and the first one.
    fn states(&self) -> u64 {
        1 + self.known.len() as u64
    }

    /// Plays everything that can follow `node`, and counts its interleavings. It calls itself once for each step of an
    /// interleaving, which are about 30.
    fn all_after(&mut self, node: &Node<'_>) -> Result<u128, Found> {
        if node.is_over() {
            let played = node.end().map_err(Found::here)?;
            self.explored.ends += 1;
            self.explored.seconds += played.seconds;
            self.explored.most_changes = self.explored.most_changes.max(played.changes);
            return Ok(1);
        }
        let mut interleavings = 0;
        for step in node.steps() {
            let next = node.after(step).map_err(|broken| Found::here(broken).after(step))?;
            self.explored.steps += 1;
            let key = next.key();
            interleavings += match self.known.get(&key) {
                Some(known) => *known,
                None => {
                    let counted = self.all_after(&next).map_err(|found| found.after(step))?;
                    self.known.insert(key, counted);
                    (self.progress)(self.states());
                    counted
                }
            };
        }
        Ok(interleavings)
    }
}

#[cfg(test)]
mod tests;
