//! A self-healing Lambda for throttled Amazon Kinesis Data Streams.
//!
//! Something says that a stream may be throttled; every invocation then does the same five steps:
//!
//! ```text
//! signal  →  observe  →  decide  →  act  →  report
//! ```
//!
//! - [`signal`]: what woke us, parsed. An event is only a hint: nothing is decided from it alone.
//! - [`observe`]: what is true now, read from AWS in one round trip, as an [`observation`].
//! - [`decide`]: a pure function of signal, observation, [`policy`] and time. It holds by name, or
//!   names the one change that would stop the throttling.
//! - [`act`]: carries the decision out, blindly. The intent is written into the stream's [`memory`]
//!   (a tag) before the change.
//! - [`report`]: the decision as document, metric, log line and sentence; all four agree.
//!
//! [`heal`] is these five steps for one stream, in the order that `run` gives them, and [`sweep`] is them for all that need
//! a look; [`callers`] counts who was throttled meanwhile, and [`cost`] says what a stream costs. `signal`, `observation`,
//! `policy`, `memory`, `decide`, `run` and `cost` know no AWS client, no runtime, no clock and no randomness: time comes in
//! as an argument.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod act;
pub mod callers;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clients;
pub mod clock;
pub mod cost;
pub mod decide;
pub mod heal;
#[cfg(feature = "cli")]
pub mod local;
pub mod memory;
pub mod observation;
pub mod observe;
pub mod policy;
pub mod report;
#[cfg(feature = "sim")]
pub mod rules;
mod run;
pub mod settings;
pub mod signal;
#[cfg(feature = "sim")]
pub mod sim;
pub mod sweep;
