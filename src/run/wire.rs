//! How a run speaks to AWS: the Lambda by the SDK, the simulated account in virtual time.

use crate::decide::{Remedy, Wants};
use crate::observation::Observation;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// What a look saw.
pub(crate) struct Look {
    pub observation: Observation,
    /// When the stream's summary was asked for, by [`Wire::clock`].
    pub asked: Duration,
}

/// A call that AWS refused, or did not answer.
pub(crate) struct Unmade<E> {
    /// What AWS said. `None`: silence or a 5xx, which leave open whether the call was carried out.
    pub answer: Option<Answer>,
    /// The same as an error.
    pub error: E,
}

/// An error of AWS's that says that nothing was changed.
pub(crate) struct Answer {
    /// Its code, such as `LimitExceededException`.
    pub code: String,
    /// Its words.
    pub message: String,
}

/// AWS, as a run for one stream speaks to it. The retries are the wire's.
pub(crate) trait Wire {
    /// Why a call did not work.
    type Error;

    /// The time of day.
    fn now(&self) -> DateTime<Utc>;

    /// A clock that nobody sets: time since some moment.
    fn clock(&self) -> Duration;

    /// Reads the stream's summary, tags and metrics, and the account's limits.
    async fn look(&mut self) -> Result<Look, Self::Error>;

    /// Reads what a decision wants beyond that, into `seen`.
    async fn look_closer(&mut self, seen: &mut Observation, wants: Wants) -> Result<(), Self::Error>;

    /// Writes the memory's tag. `within`: it is given up after so long; `None`: after as long as any call.
    async fn tag(&mut self, text: &str, within: Option<Duration>) -> Result<(), Unmade<Self::Error>>;

    /// Changes the stream, with a single attempt. Gives the shards that were open before, where AWS tells.
    async fn change(&mut self, remedy: &Remedy) -> Result<Option<u32>, Unmade<Self::Error>>;

    /// Sends the AutoFix datum of a change whose intent was written at `at`, with a single attempt. What becomes of it is
    /// read by a later look.
    async fn count(&mut self, action: &'static str, at: DateTime<Utc>);

    /// Sends the Reverted datum of a change of ours that was found to be taken back at `at`, as [`Wire::count`] does.
    async fn count_reverted(&mut self, at: DateTime<Utc>);
}
