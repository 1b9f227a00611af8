//! The time of the account that the steps run in.

use chrono::{DateTime, TimeDelta, Utc};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The account's clock. On AWS it is the machine's. A local account can have a faster one: see `--pace`.
#[derive(Debug)]
pub(super) struct Time {
    pace: u32,
    /// The account's time at an instant of the machine.
    anchor: Mutex<(DateTime<Utc>, Instant)>,
}

impl Time {
    /// A clock that shows the machine's time now, and then runs this many times as fast. 0 counts as 1.
    pub fn new(pace: u32) -> Time {
        Time { pace: pace.max(1), anchor: Mutex::new((Utc::now(), Instant::now())) }
    }

    /// The account's time.
    pub fn now(&self) -> DateTime<Utc> {
        let (time, at) = *self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        time + TimeDelta::from_std(self.since(at)).unwrap_or_default()
    }

    /// Corrects a faster clock by the time in an answer. The answer was on its way, so the account's clock is never
    /// behind it. The machine's own clock stays.
    pub fn answered_at(&self, time: DateTime<Utc>) {
        if self.pace > 1 && time > self.now() {
            *self.anchor.lock().unwrap_or_else(PoisonError::into_inner) = (time, Instant::now());
        }
    }

    /// The time in the account since an instant of the machine.
    pub fn since(&self, at: Instant) -> Duration {
        at.elapsed().saturating_mul(self.pace)
    }

    /// The machine's time in which this time passes in the account.
    pub fn of_machine(&self, time: Duration) -> Duration {
        time / self.pace
    }

    /// Waits until this time has passed in the account.
    pub async fn sleep(&self, time: Duration) {
        tokio::time::sleep(self.of_machine(time)).await;
    }
}
