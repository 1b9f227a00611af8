//! Why a call of AWS's failed.

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use unthrottle_core::denial::{Denial, Denier};
use unthrottle_core::signal::StreamArn;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// AWS could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// AWS did not answer a call that changes something, or throttled it after all retries.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// A call that changes something, and that AWS did not answer, or throttled after all retries.
#[derive(Debug, thiserror::Error)]
#[error("{call} of `{stream}` failed, {effect}: {source}")]
pub struct ApplyError {
    /// The call, such as `UpdateShardCount`.
    pub call: &'static str,
    /// The stream.
    pub stream: String,
    /// What that means for the stream.
    pub effect: &'static str,
    /// The SDK's error with its causes.
    pub source: Cause,
}

/// A read that failed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("{call} of `{stream}` failed, nothing was changed: {source}{}", hint(.denial.as_ref()))]
pub struct ReadError {
    /// The call, such as `DescribeStreamSummary`.
    pub call: &'static str,
    /// The stream that it was for.
    pub stream: String,
    /// What denied the call, if AWS denied it.
    pub denial: Option<Denial>,
    /// The SDK's error with its causes.
    pub source: Cause,
}

/// What a person can do about a denied read.
fn hint(denial: Option<&Denial>) -> String {
    match denial {
        None => String::new(),
        Some(denial @ Denial { by: Denier::Denies(_), .. }) => format!(" ({denial}. {})", denial.cure()),
        Some(denial) => format!(" ({denial}. {}: template.yaml has the statement)", denial.cure()),
    }
}

/// The IAM action of a read.
fn action(call: &str) -> String {
    let service = match call {
        "GetResources" => "tag",
        "GetMetricData" | "DescribeAlarmContributors" => "cloudwatch",
        _ => "kinesis",
    };
    format!("{service}:{call}")
}

impl ReadError {
    pub(crate) fn new<E>(call: &'static str, stream: &StreamArn, error: SdkError<E>) -> ReadError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        ReadError::of(call, &stream.name, error)
    }

    /// The failure of a call for something else than a stream.
    pub(crate) fn of<E>(call: &'static str, subject: &str, error: SdkError<E>) -> ReadError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let message = error.message().unwrap_or_default();
        let denial = error.code().and_then(|code| Denial::of(code, message, &action(call)));
        ReadError { call, stream: subject.into(), denial, source: Cause::of(error) }
    }

    /// The failure of a call whose answer cannot be used.
    pub(crate) fn unusable(call: &'static str, subject: &str, source: Cause) -> ReadError {
        ReadError { call, stream: subject.into(), denial: None, source }
    }
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
