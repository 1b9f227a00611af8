//! The AWS account as a run sees it: the Lambda reaches it by the SDK, the simulator in virtual time.

use crate::decide::MissingData;
use crate::decision::Remedy;
use crate::observation::Observation;
use crate::report::{AutoFix, Document};
use crate::signal::StreamArn;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// An observation, and how old it is.
#[derive(Clone, Debug)]
pub struct Observed {
    /// What AWS said.
    pub observation: Observation,
    /// When the stream's summary was asked for, by [`Account::elapsed`].
    pub asked_at: Duration,
}

/// A call that AWS refused, or did not answer.
#[derive(Debug)]
pub struct CallFailed<E> {
    /// What AWS said. `None`: silence or a 5xx, which leave open whether AWS carried the call out.
    pub answer: Option<Answer>,
    /// The error that the run fails with, where AWS's answer is no hold.
    pub error: E,
}

/// An error of AWS's that says that nothing was changed.
#[derive(Debug)]
pub struct Answer {
    /// Its code, such as `LimitExceededException`.
    pub code: String,
    /// AWS's own words.
    pub message: String,
}

/// A change that the metrics of the function count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedChange {
    /// The remedy's code.
    pub action: &'static str,
    /// The shards that it added.
    pub added_shards: u32,
    /// When the intent of the change was written.
    pub at: DateTime<Utc>,
    /// A later run sends the datum again, because a memory names the change. That run has not made the change.
    pub is_resent: bool,
}

impl CountedChange {
    /// The change that `remedy` makes; `at`: when its intent was written.
    pub fn of(remedy: &Remedy, at: DateTime<Utc>) -> CountedChange {
        let (action, added_shards) = (Remedy::code_of(remedy.kind()), remedy.added_shards());
        CountedChange { action, added_shards, at, is_resent: false }
    }
}

/// The calls that a run makes. Each implementation retries and times out by itself.
#[expect(
    async_fn_in_trait,
    reason = "each caller names its own type, so the compiler knows whether its futures are Send"
)]
pub trait Account {
    /// Why a call failed.
    type Error;

    /// The time of day.
    fn now(&self) -> DateTime<Utc>;

    /// The time since some moment. No correction of the time of day moves it.
    fn elapsed(&self) -> Duration;

    /// Reads the stream's summary, its tags and metrics, and the account's limits.
    async fn observe(&mut self, stream: &StreamArn) -> Result<Observed, Self::Error>;

    /// Reads what a decision misses beyond that, into `seen`.
    async fn complete(
        &mut self,
        stream: &StreamArn,
        seen: &mut Observation,
        missing: MissingData,
    ) -> Result<(), Self::Error>;

    /// Writes the memory's tag. `within`: the call is given up after this time; `None`: after the time of any call.
    async fn write_memory(
        &mut self,
        stream: &StreamArn,
        text: &str,
        within: Option<Duration>,
    ) -> Result<(), CallFailed<Self::Error>>;

    /// Changes the stream, with a single attempt. Gives the open shards before the change, where AWS names them.
    async fn change(&mut self, stream: &StreamArn, remedy: &Remedy) -> Result<Option<u32>, CallFailed<Self::Error>>;

    /// Sends the AutoFix datum of a change, and in the same call the shards that it added, with a single attempt. A
    /// later run reads whether CloudWatch has the datum. A datum that is sent again is no proof of the change.
    async fn count_fix(&mut self, stream: &StreamArn, change: CountedChange) -> AutoFix;

    /// Sends the Reverted datum of a change that another person or tool reverted, found at `at`.
    async fn count_revert(&mut self, stream: &StreamArn, at: DateTime<Utc>);

    /// Sends a document to people. A failure is not an error: the next document goes out all the same.
    async fn notify(&mut self, document: &Document);
}
