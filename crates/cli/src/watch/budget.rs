//! A bound of AWS calls a minute: what the last 60 seconds have used, and how long to wait for more.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The time that the bound is about.
const MINUTE: Duration = Duration::from_secs(60);

/// The calls of the last minute, and how many there may be.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// The most calls in any 60 seconds.
    pub per_minute: u32,
    /// The calls since the beginning.
    pub all: u32,
    spent: VecDeque<(Instant, u32)>,
}

impl Budget {
    pub fn new(per_minute: u32) -> Budget {
        Budget { per_minute, all: 0, spent: VecDeque::new() }
    }

    /// Records calls that ended at `now`.
    pub fn spend(&mut self, calls: u32, now: Instant) {
        if calls > 0 {
            self.all = self.all.saturating_add(calls);
            self.spent.push_back((now, calls));
        }
    }

    /// The calls of the last 60 seconds.
    pub fn used(&mut self, now: Instant) -> u32 {
        while self.spent.front().is_some_and(|(at, _)| now.duration_since(*at) >= MINUTE) {
            self.spent.pop_front();
        }
        self.spent.iter().map(|(_, calls)| calls).sum()
    }

    /// How long to wait until `calls` more are allowed. Zero: they are allowed now. `calls` must not be more than
    /// [`Budget::per_minute`], or the wait is over when nothing is spent.
    pub fn wait_for(&mut self, calls: u32, now: Instant) -> Duration {
        let mut used = self.used(now);
        for (at, spent) in &self.spent {
            if used + calls <= self.per_minute {
                break;
            }
            used -= spent;
            if used + calls <= self.per_minute || used == 0 {
                return (*at + MINUTE).duration_since(now);
            }
        }
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_calls_than_the_bound() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut budget = Budget::new(10);
        assert_eq!(budget.wait_for(10, start), Duration::ZERO);
        budget.spend(4, start);
        budget.spend(4, after(20));
        assert_eq!(budget.wait_for(2, after(20)), Duration::ZERO);
        assert_eq!(budget.wait_for(3, after(20)), Duration::from_secs(40), "the first four are a minute old then");
        assert_eq!(budget.wait_for(7, after(20)), Duration::from_secs(60));
        assert_eq!((budget.used(after(59)), budget.used(after(60)), budget.used(after(80))), (8, 4, 0));
    }
}
