//! Time as an argument: what time it is, and how a sweep waits.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use std::fmt::Debug;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What time it is, and waiting. The Lambda has the [`SystemClock`]; a local account brings one that its owner moves.
pub trait Clock: Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;

    /// Time since some moment, which no correction of the machine's time moves: how old a read is.
    fn elapsed(&self) -> Duration;

    /// Waits until `then`; an earlier time than now is no wait.
    fn sleep_until(&self, then: DateTime<Utc>) -> BoxFuture<'_, ()>;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn elapsed(&self) -> Duration {
        static BEGIN: OnceLock<Instant> = OnceLock::new();
        BEGIN.get_or_init(Instant::now).elapsed()
    }

    fn sleep_until(&self, then: DateTime<Utc>) -> BoxFuture<'_, ()> {
        let left = (then - Utc::now()).to_std().unwrap_or_default();
        Box::pin(tokio::time::sleep(left))
    }
}
