//! unthrottle under faults. Signals are duplicated, late, reordered and lost. Several runs check one stream at once.
//! Containers crash between any two calls, replies get lost, AWS refuses and fails, reads are stale, and people change
//! the stream. After every step, the invariants must hold.
//!
//! - `schedule`: the faults, drawn from a seed. A schedule is data that a person can read and shorten.
//! - `flaw`: defects of a run, to show that the checks find them.
//! - `invocation`: one run of the Lambda, in single AWS calls.
//! - `older`: a container of an older release.
//! - `play`: a schedule, second by second and call by call.
//! - `play::every`: all interleavings of a small scene, instead of some of a large one.
//! - [`check`]: the invariants. They use the world's own counters, and none of the code that decides.
//! - `shrink`: the shortest schedule that still fails.

pub mod check;
mod flaw;
mod invocation;
mod older;
mod play;
mod schedule;
mod shrink;

pub use check::Broken;
pub use play::{ATTEMPT, Explored, Fails, PATIENCE, Played, Scene, explore, play, scenes, trace};
pub use schedule::{BATCH, Schedule, Swarm};
pub use shrink::shrink;

#[cfg(test)]
mod tests;
