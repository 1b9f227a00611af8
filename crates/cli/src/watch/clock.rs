//! The handler of `watch` goes by the clock of the account: a local account may run faster than the machine.

use crate::account_clock::AccountClock;
use chrono::{DateTime, Utc};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use unthrottle_core::clock::{Clock, Wait};

impl Clock for AccountClock {
    fn now(&self) -> DateTime<Utc> {
        AccountClock::now(self)
    }

    fn elapsed(&self) -> Duration {
        static BEGIN: OnceLock<Instant> = OnceLock::new();
        BEGIN.get_or_init(Instant::now).elapsed() * self.pace()
    }

    fn sleep_until(&self, then: DateTime<Utc>) -> Wait<'_> {
        let left = (then - AccountClock::now(self)).to_std().unwrap_or_default();
        Box::pin(tokio::time::sleep(left / self.pace()))
    }
}
