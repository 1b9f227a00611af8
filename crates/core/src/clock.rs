//! Time as an argument: what time it is, and how a sweep waits.

use chrono::{DateTime, Utc};
use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

/// A wait that a [`Clock`] gives.
pub type Wait<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// What time it is, and waiting. The Lambda has the machine's clock; a local account brings one that its owner moves.
pub trait Clock: Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;

    /// The time since some moment, which no correction of the machine's time moves. It tells how old a read is.
    fn elapsed(&self) -> Duration;

    /// Waits until `then`. A time before now is no wait.
    fn sleep_until(&self, then: DateTime<Utc>) -> Wait<'_>;
}
