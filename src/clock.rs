//! The machine's clock.

use chrono::{DateTime, Utc};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use unthrottle_core::clock::{Clock, Wait};

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

    fn sleep_until(&self, then: DateTime<Utc>) -> Wait<'_> {
        let left = (then - Utc::now()).to_std().unwrap_or_default();
        Box::pin(tokio::time::sleep(left))
    }
}
