//! unthrottle while everything goes wrong: signals are duplicated, late, reordered and lost, several runs look after one
//! stream at once, containers die between any two calls, answers get lost, AWS refuses and fails, reads are stale, and
//! people change the stream. What must hold all the same is checked after every step.
//!
//! - [`schedule`]: what goes wrong, drawn from a seed; data that can be read, and cut down.
//! - `invocation`: one run of the Lambda, in single AWS calls.
//! - [`mod@play`]: a schedule, second by second and call by call.
//! - [`check`]: what must hold, told from the world's own counters and not by the code that decides.
//! - [`mod@shrink`]: the shortest schedule that still fails.

pub mod check;
mod invocation;
pub mod play;
pub mod schedule;
pub mod shrink;

pub use check::Broken;
pub use play::{ATTEMPT, PATIENCE, Played, play, trace};
pub use schedule::Schedule;
pub use shrink::shrink;

#[cfg(test)]
mod tests;
