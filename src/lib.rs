//! A self-healing Lambda for throttled Amazon Kinesis Data Streams: the function, and every AWS call that it makes.
//!
//! An event passes these files, in this order:
//!
//! 1. `bin/bootstrap.rs` reads the settings, builds the clients once, and takes the events.
//! 2. [`handler`] gives one event to the one entrance, [`unthrottle_core::run::Run::handle`], with [`aws`] as its
//!    account. There the signal is triaged, the stream observed, the decision made and carried out, and the report
//!    written.
//! 3. [`sweep`] does that for each stream that needs a check.
//!
//! What to do about a stream is decided in [`unthrottle_core`], and not here.

pub mod aws;
mod clock;
mod error;
pub mod handler;
pub mod settings;
pub mod sweep;

pub use clock::SystemClock;
pub use error::Error;
