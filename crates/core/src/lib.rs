//! The core of unthrottle: what it decides, what it remembers and what it says, as pure functions.
//!
//! Nothing here knows an AWS client, a runtime, the machine's clock or randomness, and the compiler keeps it so:
//! `Cargo.toml` names no crate that has one. Time comes in as an argument. The Lambda and the simulator both call
//! [`run`].
//!
//! ```text
//! signal  →  observation  →  decide  →  run::apply  →  report
//! ```

pub mod callers;
pub mod checks;
pub mod clock;
pub mod cost;
pub mod decide;
pub mod decision;
pub mod denial;
pub mod hash_keys;
pub mod memory;
pub mod observation;
pub mod policy;
pub mod report;
pub mod run;
pub mod signal;
pub mod text;
pub mod words;

/// The release of unthrottle, such as `0.2.0`. Every crate of the workspace has the same.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");
