//! When calls begin: at most so often, however many wait.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A clock, and a way to wait for it. A test has one that does not take time.
pub(super) trait Time {
    /// The time since the clock began.
    fn now(&self) -> Duration;

    /// Waits for a time.
    fn sleep_until(&self, time: Duration) -> impl Future<Output = ()>;
}

/// The machine's clock.
pub(super) struct Machine(Instant);

impl Machine {
    pub fn new() -> Machine {
        Machine(Instant::now())
    }
}

impl Time for Machine {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep_until(&self, time: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep_until(self.0 + time)
    }
}

/// Turns, each at least a period after the one before. A turn that comes late does not let the next ones come early.
pub(super) struct Pace<T> {
    time: T,
    period: Duration,
    next: Mutex<Duration>,
}

impl<T: Time> Pace<T> {
    /// The first turn is at once. `per_second`: turns a second, at least 1.
    pub fn new(time: T, per_second: u32) -> Pace<T> {
        Pace { time, period: Duration::from_secs(1) / per_second.max(1), next: Mutex::default() }
    }

    /// Waits for a turn.
    pub async fn turn(&self) {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = next.max(self.time.now());
            *next = turn + self.period;
            turn
        };
        self.time.sleep_until(turn).await;
    }
}
