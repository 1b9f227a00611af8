//! The time of the account that the steps run in.

use super::account::is_partly_aws;
use crate::CliError;
use crate::aws::clock;
use aws_config::SdkConfig;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use unthrottle_lab::local::Clock;

/// How old the time in an answer can be: a second that began, and a slow network. A larger difference is one of clocks.
const ON_THE_WAY: TimeDelta = TimeDelta::seconds(10);

/// The account's clock. On AWS it is the machine's, corrected by the time in AWS's answers. A local account can have a
/// faster one.
#[derive(Debug)]
pub(super) struct Time {
    pace: u32,
    clock: Mutex<Clock>,
}

impl Time {
    /// A clock that shows `now`, and then runs this many times as fast as the machine's. 0 counts as 1.
    pub fn new(now: DateTime<Utc>, pace: u32) -> Time {
        Time { pace: pace.max(1), clock: Mutex::new(Clock::like(now, pace)) }
    }

    /// The clock of the account whose configuration was loaded last. `pace`: the user says how fast it is.
    ///
    /// # Errors
    /// The user says it of AWS. Each step would then wait too short for AWS, and measure too long times.
    pub fn of_account(pace: Option<u32>, config: &SdkConfig) -> Result<Arc<Time>, CliError> {
        if pace.is_some() && is_partly_aws(config) {
            let problem = "--pace is for an account with a faster clock, and this command would call AWS";
            return Err(CliError::Usage(problem.into()));
        }
        let clock = clock();
        Ok(Arc::new(Time::new(clock.now(), pace.unwrap_or(clock.pace()))))
    }

    /// How many times as fast as the machine's clock it runs.
    pub fn pace(&self) -> u32 {
        self.pace
    }

    /// The account's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).now()
    }

    /// Corrects the clock by the time in an answer: the whole second in which AWS sent it. A faster account sends the
    /// machine's time, which is not its own.
    pub fn answered_at(&self, time: DateTime<Utc>) {
        let now = self.now();
        if self.pace == 1 && (time > now || now - time > ON_THE_WAY) {
            *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Clock::like(time, 1);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_answer_corrects_a_wrong_clock_and_not_one_that_is_right() {
        let begin = Utc::now();
        let time = Time::new(begin, 1);
        time.answered_at(begin - TimeDelta::seconds(2));
        assert!(time.now() >= begin);
        for wrong_by in [120, -120] {
            let (time, sent) = (Time::new(Utc::now(), 1), begin + TimeDelta::seconds(wrong_by));
            time.answered_at(sent);
            assert!((sent..sent + TimeDelta::seconds(60)).contains(&time.now()), "{wrong_by}");
        }
    }

    #[test]
    fn a_faster_clock_waits_shorter_and_is_not_corrected() {
        let begin = Utc::now() - TimeDelta::hours(5);
        let time = Time::new(begin, 3_600);
        assert_eq!(time.of_machine(Duration::from_secs(7_200)), Duration::from_secs(2));
        time.answered_at(Utc::now() + TimeDelta::days(400));
        time.answered_at(begin - TimeDelta::days(400));
        assert!((begin..begin + TimeDelta::days(100)).contains(&time.now()));
    }
}
