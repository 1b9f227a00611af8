//! AWS → [`Observation`]: everything that a decision rests on, in one round trip.

mod account;
pub(crate) mod fleet;
mod shards;
pub(crate) mod stream;
mod traffic;

use crate::clients::Clients;
use crate::decide::Wants;
use crate::observation::{Commitment, Limits, Observation, Stream};
use crate::signal::StreamArn;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use chrono::{DateTime, Utc};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a container's copy of the account's commitment is good. It lasts 24 hours at least, and one that has ended
/// since only lets AWS refuse a change.
const COMMITMENT_KEPT_FOR: Duration = Duration::from_secs(60 * 60);

/// A read that failed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("{call} of `{stream}` failed, nothing was changed: {source}{}", hint(.code.as_deref(), .call))]
pub struct ReadError {
    /// The call, such as `DescribeStreamSummary`.
    pub call: &'static str,
    /// The stream that it was for.
    pub stream: String,
    /// AWS's error code, if AWS answered.
    pub code: Option<String>,
    /// The SDK's error with its causes.
    pub source: Cause,
}

/// An SDK error, shown with all its causes.
#[derive(Debug)]
pub struct Cause(Box<dyn std::error::Error + Send + Sync>);

impl Cause {
    /// Keeps `error` whole.
    pub fn of(error: impl std::error::Error + Send + Sync + 'static) -> Cause {
        Cause(Box::new(error))
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first: &(dyn std::error::Error + 'static) = self.0.as_ref();
        let causes = std::iter::successors(Some(first), |error| error.source());
        let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
        // The SDK says "service error" for what its cause then says in AWS's own words.
        if texts.len() > 1 && texts[0] == "service error" {
            texts.remove(0);
        }
        texts.dedup();
        f.write_str(&texts.join(": "))
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

fn hint(code: Option<&str>, call: &str) -> String {
    match code {
        Some("AccessDeniedException" | "AccessDenied") => {
            format!(" (allow {call} to the function's role: template.yaml has the statement)")
        }
        _ => String::new(),
    }
}

impl ReadError {
    fn new<E>(call: &'static str, stream: &StreamArn, error: SdkError<E>) -> ReadError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        ReadError::of(call, &stream.name, error)
    }

    /// The failure of a call for something else than a stream.
    fn of<E>(call: &'static str, subject: &str, error: SdkError<E>) -> ReadError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let code = error.code().map(Into::into);
        ReadError { call, stream: subject.into(), code, source: Cause::of(error) }
    }
}

/// Reads streams, and keeps what it has read of the account for a while.
#[derive(Debug)]
pub struct Observer {
    clients: Clients,
    limits: tokio::sync::Mutex<Option<(Instant, Option<Limits>)>>,
    commitment: Mutex<Option<(Instant, Commitment)>>,
}

impl Observer {
    /// An observer that has seen nothing yet.
    pub fn new(clients: Clients) -> Observer {
        Observer { clients, limits: tokio::sync::Mutex::default(), commitment: Mutex::default() }
    }

    /// Looks at a stream: all reads at once.
    ///
    /// # Errors
    /// The first read that failed after its retries. A stream that is gone is no error.
    pub async fn look(&self, arn: &StreamArn, observed_at: DateTime<Utc>) -> Result<Observation, ReadError> {
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

    /// Reads what a decision wants beyond that, into `observation`.
    ///
    /// # Errors
    /// The first read that failed after its retries.
    pub async fn look_closer(
        &self,
        arn: &StreamArn,
        observation: &mut Observation,
        wants: Wants,
    ) -> Result<(), ReadError> {
        if wants.commitment {
            observation.commitment = Some(self.commitment(arn).await?);
        }
        if wants.shards {
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
