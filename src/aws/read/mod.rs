//! AWS → [`Observation`]: reads everything that a decision uses, in one round trip, and in one more where a decision
//! misses data or the stream has registered consumers.

pub mod account;
pub(crate) mod fleet;
mod past;
pub mod shards;
pub mod stream;
mod traffic;

use super::Clients;
pub(super) use super::error::{Cause, ReadError};
use chrono::{DateTime, Utc};
use past::Pasts;
use shards::Listed;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use unthrottle_core::decide::MissingData;
use unthrottle_core::observation::{Commitment, FanOut, Limits, Minute, Observation, Shard, ShardsAt, Stream};
use unthrottle_core::signal::StreamArn;

/// How long a container may use its copy of the account's commitment. A commitment lasts at least 24 hours. If it has
/// ended, AWS refuses the change, so an hour is safe. A shorter time would only add calls; a longer time would add
/// refused changes.
const COMMITMENT_KEPT_FOR: Duration = Duration::from_secs(60 * 60);

/// Reads streams. Keeps the account's limits and commitment for a while, because all streams share them. Their age
/// counts from the elapsed time that the caller gives with each read.
#[derive(Debug)]
pub struct Reader {
    clients: Clients,
    limits: tokio::sync::Mutex<Option<(Duration, Option<Limits>)>>,
    commitment: Mutex<Option<(Duration, Commitment)>>,
    pasts: Pasts,
}

impl Reader {
    /// A reader without any data of the account.
    pub fn new(clients: Clients) -> Reader {
        Reader { clients, limits: tokio::sync::Mutex::default(), commitment: Mutex::default(), pasts: Pasts::default() }
    }

    /// Observes a stream. All reads run at the same time. `elapsed`: the time since some moment, which never goes back.
    ///
    /// # Errors
    /// The first read that failed after its retries. A stream that does not exist is not an error.
    pub(super) async fn observe(
        &self,
        arn: &StreamArn,
        observed_at: DateTime<Utc>,
        elapsed: Duration,
    ) -> Result<Observation, ReadError> {
        let (summary, tags, traffic, limits) = tokio::join!(
            self.summary(arn, observed_at),
            stream::tags(&self.clients.kinesis, arn),
            traffic::traffic(&self.clients.cloudwatch, arn, observed_at),
            self.limits(arn, elapsed),
        );
        let observation = Observation { observed_at, ..Observation::default() };
        let Some((summary, fan_out)) = summary? else { return Ok(observation) };
        let (tags, mut traffic, limits) = (tags?, traffic?, limits?);
        traffic.fan_out = fan_out;
        Ok(Observation { stream: Some(summary), tags, traffic, limits, ..observation })
    }

    /// The stream's summary, and how far its registered consumers are behind. Only a stream that has consumers costs
    /// the second call, which runs beside the other reads. AWS allows 50 searches a second to the whole account, and
    /// one for each stream of a sweep would use them up. No change for producers depends on it. A call that fails
    /// therefore leaves the delay unknown, and an unknown delay prevents a restore.
    async fn summary(
        &self,
        arn: &StreamArn,
        observed_at: DateTime<Utc>,
    ) -> Result<Option<(Stream, Option<BTreeMap<Minute, FanOut>>)>, ReadError> {
        let Some(summary) = stream::summary(&self.clients.kinesis, arn).await? else { return Ok(None) };
        let fan_out = match summary.consumers {
            0 => None,
            _ => traffic::fan_out(&self.clients.cloudwatch, arn, observed_at).await.ok(),
        };
        Ok(Some((summary, fan_out)))
    }

    /// Reads the missing data of a decision into `observation`: the commitment, the shards and the AutoFix datum at the
    /// same time. `elapsed`: as in [`Reader::observe`].
    ///
    /// # Errors
    /// The first read that failed after its retries.
    pub(super) async fn complete(
        &self,
        arn: &StreamArn,
        elapsed: Duration,
        observation: &mut Observation,
        missing: MissingData,
    ) -> Result<(), ReadError> {
        // While the shard-level metrics are disabled they have no data, but CloudWatch charges for each query.
        let with_metrics = observation.stream.as_ref().is_some_and(Stream::shows_shards);
        let observed_at = observation.observed_at;
        let (commitment, (shards_at, shards), is_change_shown, past) = tokio::try_join!(
            async { if missing.commitment { self.commitment(arn, elapsed).await.map(Some) } else { Ok(None) } },
            self.shards(arn, missing, with_metrics, observed_at),
            self.is_change_shown(arn, missing, observed_at),
            async {
                let read = self.pasts.read(&self.clients.cloudwatch, arn, observed_at);
                if missing.past { read.await.map(Some) } else { Ok(None) }
            },
        )?;
        observation.commitment = commitment.or(observation.commitment);
        observation.shards_at.extend(shards_at);
        observation.shards = shards.or(observation.shards.take());
        observation.past = past.or(observation.past.take());
        observation.is_change_shown = is_change_shown.or(observation.is_change_shown);
        Ok(())
    }

    /// The shards of the time that the decision asks about, and the shards that are open now, where it misses them.
    async fn shards(
        &self,
        arn: &StreamArn,
        missing: MissingData,
        with_metrics: bool,
        observed_at: DateTime<Utc>,
    ) -> Result<(Option<(DateTime<Utc>, ShardsAt)>, Option<Vec<Shard>>), ReadError> {
        let (mut then, mut open) = (None, None);
        if let Some(at) = missing.shards_at {
            let Listed { open: still_open, closed } = shards::shards_at(&self.clients.kinesis, arn, at).await?;
            let shards = ShardsAt::of(still_open.len(), closed);
            then = Some((at, shards));
            open = shards.are_open.then_some(still_open);
        }
        if !missing.shards && (open.is_none() || with_metrics) {
            return Ok((then, None));
        }
        let mut open = match open {
            Some(open) => open,
            None => shards::open_shards(&self.clients.kinesis, arn).await?,
        };
        if with_metrics {
            shards::measure(&self.clients.cloudwatch, arn, &mut open, observed_at).await?;
        }
        Ok((then, Some(open)))
    }

    /// Whether AutoFix shows the change that the decision asks about.
    async fn is_change_shown(
        &self,
        arn: &StreamArn,
        missing: MissingData,
        observed_at: DateTime<Utc>,
    ) -> Result<Option<bool>, ReadError> {
        let Some((kind, at)) = missing.change_shown else { return Ok(None) };
        traffic::is_change_shown(&self.clients.cloudwatch, arn, kind, at, observed_at).await.map(Some)
    }

    async fn commitment(&self, arn: &StreamArn, elapsed: Duration) -> Result<Commitment, ReadError> {
        let kept = self.commitment.lock().ok().and_then(|kept| *kept);
        if let Some((_, commitment)) = kept.filter(|(read, _)| elapsed.saturating_sub(*read) < COMMITMENT_KEPT_FOR) {
            return Ok(commitment);
        }
        let commitment = account::commitment(&self.clients.kinesis, arn).await?;
        if let Ok(mut kept) = self.commitment.lock() {
            *kept = Some((elapsed, commitment));
        }
        Ok(commitment)
    }

    async fn limits(&self, arn: &StreamArn, elapsed: Duration) -> Result<Option<Limits>, ReadError> {
        // The lock is held during the call. AWS allows one such call a second, and the checks of a sweep start
        // together.
        let mut kept = self.limits.lock().await;
        if let Some((_, limits)) =
            kept.filter(|(read, limits)| elapsed.saturating_sub(*read) < Limits::good_for(*limits))
        {
            return Ok(limits);
        }
        let limits = account::limits(&self.clients.kinesis, arn).await?;
        *kept = Some((elapsed, limits));
        Ok(limits)
    }
}

/// The cause of a read that AWS did not finish within `pages` pages.
fn too_many_pages(pages: usize) -> Cause {
    Cause::of(std::io::Error::other(format!("AWS sent more than {pages} pages")))
}
