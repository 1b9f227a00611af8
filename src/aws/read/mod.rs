//! AWS → [`Observation`]: everything that a decision rests on, in one round trip.

mod account;
pub(crate) mod fleet;
mod shards;
pub mod stream;
mod traffic;

use super::Clients;
pub(super) use super::error::{Cause, ReadError};
use chrono::{DateTime, Utc};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use unthrottle_core::decide::MissingData;
use unthrottle_core::observation::{Commitment, Limits, Observation, Stream};
use unthrottle_core::signal::StreamArn;

/// How long a container's copy of the account's commitment is good. It lasts 24 hours at least, and one that has ended
/// since only lets AWS refuse a change.
const COMMITMENT_KEPT_FOR: Duration = Duration::from_secs(60 * 60);

/// Reads streams, and keeps what it has read of the account for a while.
#[derive(Debug)]
pub struct Reader {
    clients: Clients,
    limits: tokio::sync::Mutex<Option<(Instant, Option<Limits>)>>,
    commitment: Mutex<Option<(Instant, Commitment)>>,
}

impl Reader {
    /// A reader that has read nothing yet.
    pub fn new(clients: Clients) -> Reader {
        Reader { clients, limits: tokio::sync::Mutex::default(), commitment: Mutex::default() }
    }

    /// Observes a stream: all reads at once.
    ///
    /// # Errors
    /// The first read that failed after its retries. A stream that does not exist is no error.
    pub(super) async fn observe(&self, arn: &StreamArn, observed_at: DateTime<Utc>) -> Result<Observation, ReadError> {
        let (summary, tags, traffic, limits) = tokio::join!(
            stream::summary(&self.clients.kinesis, arn),
            stream::tags(&self.clients.kinesis, arn),
            traffic::traffic(&self.clients.cloudwatch, arn, observed_at),
            self.limits(arn),
        );
        let seen = Observation { observed_at, ..Observation::default() };
        let Some(summary) = summary? else { return Ok(seen) };
        let (tags, traffic, limits) = (tags?, traffic?, limits?);
        Ok(Observation { stream: Some(summary), tags, traffic, limits, ..seen })
    }

    /// Reads what a decision misses beyond that, into `observation`.
    ///
    /// # Errors
    /// The first read that failed after its retries.
    pub(super) async fn complete(
        &self,
        arn: &StreamArn,
        observation: &mut Observation,
        missing: MissingData,
    ) -> Result<(), ReadError> {
        if missing.commitment {
            observation.commitment = Some(self.commitment(arn).await?);
        }
        if missing.shards {
            let mut open = shards::open_shards(&self.clients.kinesis, arn).await?;
            // Without these metrics a search finds nothing, and each name costs money.
            if observation.stream.as_ref().is_some_and(Stream::shows_shards) {
                shards::measure(&self.clients.cloudwatch, arn, &mut open, observation.observed_at).await?;
            }
            observation.shards = Some(open);
        }
        Ok(())
    }

    async fn commitment(&self, arn: &StreamArn) -> Result<Commitment, ReadError> {
        let kept = self.commitment.lock().ok().and_then(|kept| *kept);
        if let Some((_, commitment)) = kept.filter(|(read, _)| read.elapsed() < COMMITMENT_KEPT_FOR) {
            return Ok(commitment);
        }
        let commitment = account::commitment(&self.clients.kinesis, arn).await?;
        if let Ok(mut kept) = self.commitment.lock() {
            *kept = Some((Instant::now(), commitment));
        }
        Ok(commitment)
    }

    async fn limits(&self, arn: &StreamArn) -> Result<Option<Limits>, ReadError> {
        // Held while it reads: AWS allows one such call a second, and the looks of a sweep begin together.
        let mut kept = self.limits.lock().await;
        if let Some((_, limits)) = kept.filter(|(read, limits)| read.elapsed() < Limits::good_for(*limits)) {
            return Ok(limits);
        }
        let limits = account::limits(&self.clients.kinesis, arn).await?;
        *kept = Some((Instant::now(), limits));
        Ok(limits)
    }
}
