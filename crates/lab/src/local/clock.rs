//! The clock of a local account.

use super::lock;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};
use unthrottle_core::clock::{self, Wait};

/// The clock of a [`LocalAccount`](super::LocalAccount): the machine's clock, the same but faster, that of the async
/// runtime, or a clock that stands still until its owner moves it. Clones are the same clock.
///
/// Everything in the account uses this clock: shard capacity, the duration of changes, rates of calls, the daily caps,
/// retention, and the times of metrics, alarms, records and tags.
///
/// ```
/// # use chrono::{TimeDelta, Utc};
/// use unthrottle_lab::local::Clock;
/// let clock = Clock::standing_at(Utc::now() - TimeDelta::minutes(10));
/// clock.advance(std::time::Duration::from_secs(600))?;
/// clock.run()?; // From here on it is the machine's clock.
/// # Ok::<(), unthrottle_lab::local::ClockError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Hands>>);

#[derive(Clone, Copy, Debug)]
enum Hands {
    /// The machine's clock.
    Real,
    StandingAt(DateTime<Utc>),
    /// The clock of the async runtime: at `since` it showed `from`.
    Runtime {
        from: DateTime<Utc>,
        since: tokio::time::Instant,
    },
    /// The machine's clock, faster: at `since` it showed `from`.
    Paced {
        from: DateTime<Utc>,
        since: Instant,
        pace: u32,
    },
}

/// The reason why a clock did not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// The time lies before the clock's time. The stored data of an account would then lie in its future.
    #[error("the clock of the local account stands at {from} and cannot be moved back to {to}")]
    Backwards {
        /// The clock's time.
        from: DateTime<Utc>,
        /// The requested time.
        to: DateTime<Utc>,
    },
    /// chrono has no such time.
    #[error(
        "the clock of the local account stands at {from} and cannot be moved on by {by:?}: the time is out of range"
    )]
    TooFar {
        /// The clock's time.
        from: DateTime<Utc>,
        /// The requested step.
        by: Duration,
    },
    /// The machine's clock cannot be moved.
    #[error("the local account uses the machine's clock, which cannot be moved: start it with a standing clock")]
    Real,
}

impl Clock {
    /// The machine's clock.
    pub fn real() -> Clock {
        Clock(Arc::new(Mutex::new(Hands::Real)))
    }

    /// A clock that stands at `time` until its owner moves it.
    pub fn standing_at(time: DateTime<Utc>) -> Clock {
        Clock(Arc::new(Mutex::new(Hands::StandingAt(time))))
    }

    /// A clock that shows the machine's time now, and then runs this many times as fast. 0 counts as 1.
    pub fn paced(pace: u32) -> Clock {
        Clock::like(Utc::now(), pace)
    }

    /// A clock that shows `now`, and then runs this many times as fast as the machine's: the clock of an account in
    /// another process. 0 counts as 1.
    pub fn like(now: DateTime<Utc>, pace: u32) -> Clock {
        let paced = Hands::Paced { from: now, since: Instant::now(), pace: pace.max(1) };
        Clock(Arc::new(Mutex::new(paced)))
    }

    /// A clock that shows `now`, and goes with the timers of the async runtime. A runtime whose time is paused moves
    /// them on as soon as every task waits: days pass in seconds, and a slow machine changes nothing.
    ///
    /// # Panics
    /// Not within a runtime whose time is enabled.
    pub fn of_runtime(now: DateTime<Utc>) -> Clock {
        let runtime = Hands::Runtime { from: now, since: tokio::time::Instant::now() };
        Clock(Arc::new(Mutex::new(runtime)))
    }

    /// How many times as fast as the machine's clock it runs. A clock that stands counts as the machine's.
    pub fn pace(&self) -> u32 {
        match *lock(&self.0) {
            Hands::Paced { pace, .. } => pace,
            Hands::Real | Hands::StandingAt(_) | Hands::Runtime { .. } => 1,
        }
    }

    /// The time now.
    pub fn now(&self) -> DateTime<Utc> {
        match *lock(&self.0) {
            Hands::Paced { from, since, pace } => {
                let passed = TimeDelta::from_std(since.elapsed().saturating_mul(pace)).unwrap_or(TimeDelta::MAX);
                from.checked_add_signed(passed).unwrap_or(from)
            }
            Hands::Runtime { from, since } => {
                let passed = TimeDelta::from_std(since.elapsed()).unwrap_or(TimeDelta::MAX);
                from.checked_add_signed(passed).unwrap_or(from)
            }
            Hands::Real => Utc::now(),
            Hands::StandingAt(time) => time,
        }
    }

    /// Moves the clock on by a step.
    ///
    /// # Errors
    /// The clock is the machine's, or chrono has no such time.
    pub fn advance(&self, by: Duration) -> Result<(), ClockError> {
        let mut hands = lock(&self.0);
        let Hands::StandingAt(from) = *hands else { return Err(ClockError::Real) };
        let to = TimeDelta::from_std(by).ok().and_then(|by| from.checked_add_signed(by));
        *hands = Hands::StandingAt(to.ok_or(ClockError::TooFar { from, by })?);
        Ok(())
    }

    /// Moves the clock to `time`.
    ///
    /// # Errors
    /// The clock is the machine's, or `time` is earlier than the clock's time.
    pub fn advance_to(&self, time: DateTime<Utc>) -> Result<(), ClockError> {
        let mut hands = lock(&self.0);
        match *hands {
            Hands::Real | Hands::Paced { .. } | Hands::Runtime { .. } => Err(ClockError::Real),
            Hands::StandingAt(from) if time < from => Err(ClockError::Backwards { from, to: time }),
            Hands::StandingAt(_) => {
                *hands = Hands::StandingAt(time);
                Ok(())
            }
        }
    }

    /// Changes a standing clock to the machine's clock, for programs that know no other clock.
    ///
    /// # Errors
    /// The clock stands in the machine's future.
    pub fn run(&self) -> Result<(), ClockError> {
        let mut hands = lock(&self.0);
        let to = Utc::now();
        match *hands {
            Hands::StandingAt(from) if to < from => return Err(ClockError::Backwards { from, to }),
            _ => *hands = Hands::Real,
        }
        Ok(())
    }
}

/// The default is the machine's clock.
impl Default for Clock {
    fn default() -> Clock {
        Clock::real()
    }
}

/// A wait on a standing clock moves the clock, and ends at once.
impl clock::Clock for Clock {
    fn now(&self) -> DateTime<Utc> {
        Clock::now(self)
    }

    fn elapsed(&self) -> Duration {
        match *lock(&self.0) {
            Hands::Real | Hands::Paced { .. } => machine_elapsed(),
            Hands::Runtime { since, .. } => since.elapsed(),
            Hands::StandingAt(time) => (time - DateTime::UNIX_EPOCH).to_std().unwrap_or_default(),
        }
    }

    fn sleep_until(&self, then: DateTime<Utc>) -> Wait<'_> {
        match self.advance_to(then) {
            Err(ClockError::Real) => {
                let left = (then - Clock::now(self)).to_std().unwrap_or_default();
                Box::pin(tokio::time::sleep(left / self.pace()))
            }
            // Another task has moved the clock beyond `then`: the wait has ended.
            Ok(()) | Err(ClockError::Backwards { .. } | ClockError::TooFar { .. }) => Box::pin(std::future::ready(())),
        }
    }
}

/// The time since the first call, by a clock of the machine that never goes back.
fn machine_elapsed() -> Duration {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGIN.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use unthrottle_core::clock::Clock as _;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_180_000, 0).expect("in range")
    }

    #[test]
    fn a_clock_stands_until_it_is_moved_and_copies_are_one_clock() {
        let clock = Clock::standing_at(noon());
        clock.clone().advance(Duration::from_millis(1_500)).expect("forwards");
        assert_eq!(clock.now(), noon() + TimeDelta::milliseconds(1_500));
        clock.advance_to(noon() + TimeDelta::hours(1)).expect("forwards");
        assert_eq!(clock.now(), noon() + TimeDelta::hours(1));
    }

    #[test]
    fn a_clock_refuses_to_move_back_and_keeps_its_time() {
        let clock = Clock::standing_at(noon());
        let error = clock.advance_to(noon() - TimeDelta::seconds(1)).expect_err("backwards");
        assert_eq!(error, ClockError::Backwards { from: noon(), to: noon() - TimeDelta::seconds(1) });
        assert!(error.to_string().contains("cannot be moved back to"), "{error}");
        assert_eq!(clock.now(), noon());
        assert!(matches!(clock.advance(Duration::MAX), Err(ClockError::TooFar { .. })));
        assert_eq!(clock.now(), noon());
    }

    #[test]
    fn the_machines_clock_cannot_be_moved() {
        let clock = Clock::real();
        assert_eq!(clock.advance(Duration::from_secs(1)), Err(ClockError::Real));
        assert_eq!(clock.advance_to(noon()), Err(ClockError::Real));
    }

    #[test]
    fn a_clock_in_the_past_can_run_and_a_clock_in_the_future_cannot() {
        let before = Utc::now();
        let clock = Clock::standing_at(before - TimeDelta::minutes(10));
        clock.run().expect("from the past");
        assert!(clock.now() >= before);
        let future = Clock::standing_at(Utc::now() + TimeDelta::hours(1));
        assert!(matches!(future.run(), Err(ClockError::Backwards { .. })));
    }

    #[tokio::test]
    async fn a_paced_clock_runs_faster_and_its_waits_are_shorter() {
        let (clock, before) = (Clock::paced(1000), Instant::now());
        let begin = clock.now();
        clock.sleep_until(begin + TimeDelta::seconds(10)).await;
        assert!(clock.now() >= begin + TimeDelta::seconds(10));
        // A wait of 10 s would be far beyond any delay of the machine.
        assert!(before.elapsed() < Duration::from_secs(9));
        assert_eq!(clock.advance(Duration::from_secs(1)), Err(ClockError::Real), "only the machine moves it");
        assert_eq!(clock.pace(), 1000);
    }

    #[tokio::test]
    async fn a_wait_on_a_clock_that_stands_moves_it() {
        let clock = Clock::standing_at(noon());
        clock.sleep_until(noon() + TimeDelta::hours(5)).await;
        assert_eq!(clock.now(), noon() + TimeDelta::hours(5));
        clock.sleep_until(noon()).await;
        assert_eq!(clock.now(), noon() + TimeDelta::hours(5), "it was over already");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_of_the_runtime_goes_with_its_timers_and_cannot_be_moved() {
        let clock = Clock::of_runtime(noon());
        clock::Clock::sleep_until(&clock, noon() + TimeDelta::hours(24)).await;
        assert_eq!(clock.now(), noon() + TimeDelta::hours(24));
        assert_eq!(clock::Clock::elapsed(&clock), Duration::from_secs(24 * 3600));
        assert_eq!(clock.advance(Duration::from_secs(1)), Err(ClockError::Real));
        assert_eq!(clock.pace(), 1);
    }
}
