//! Why a call of AWS's failed.

use aws_sdk_kinesis::error::{ErrorMetadata, ProvideErrorMetadata, SdkError};
use unthrottle_core::denial::{Denial, Denier};
use unthrottle_core::report::Denied;
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

impl AwsError {
    /// The action that AWS denied, and its words. `None`: the call failed for another reason.
    pub fn denied(&self) -> Option<Denied> {
        match self {
            AwsError::Read(error) => error.denied(),
            AwsError::Apply(_) => None,
        }
    }
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

    /// The action that AWS denied, and its words. `None`: the call failed for another reason.
    pub(crate) fn denied(&self) -> Option<Denied> {
        let action = self.denial.as_ref()?.action.clone();
        Some(Denied { action, why: self.source.to_string() })
    }

    /// The failure of a call whose answer cannot be used.
    pub(crate) fn unusable(call: &'static str, subject: &str, source: Cause) -> ReadError {
        ReadError { call, stream: subject.into(), denial: None, source }
    }
}

/// An SDK error, shown with all its causes. AWS's answer is shown as `CODE: message`.
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
        let mut texts: Vec<String> =
            causes.map(|cause| cause.downcast_ref().map_or_else(|| cause.to_string(), in_words)).collect();
        // For a code that its model does not name, the SDK says no more than "unhandled error" before the answer.
        let last = texts.pop();
        texts.retain(|text| !text.starts_with("unhandled error"));
        texts.extend(last);
        // The SDK says "service error" for what its cause then says in AWS's own words.
        if texts.len() > 1 && texts[0] == "service error" {
            texts.remove(0);
        }
        texts.dedup();
        f.write_str(&texts.join(": "))
    }
}

/// AWS's answer in its own words.
fn in_words(answer: &ErrorMetadata) -> String {
    match (answer.code(), answer.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => "an answer without a code and a message".to_owned(),
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataError;
    use aws_sdk_kinesis::operation::describe_stream_summary::DescribeStreamSummaryError;
    use aws_sdk_kinesis::types::error::AccessDeniedException;

    #[test]
    fn an_answer_of_aws_is_its_code_and_its_message() {
        let answer = |code: Option<&str>, message: Option<&str>| {
            let answer = ErrorMetadata::builder().custom("aws_request_id", "1");
            let answer = code.into_iter().fold(answer, |answer, code| answer.code(code));
            let answer = message.into_iter().fold(answer, |answer, message| answer.message(message));
            Cause::of(GetMetricDataError::generic(answer.build())).to_string()
        };
        assert_eq!(answer(Some("AccessDeniedException"), Some("User: u")), "AccessDeniedException: User: u");
        assert_eq!((answer(Some("Slow"), None), answer(None, Some("slow"))), ("Slow".into(), "slow".into()));
        assert_eq!(answer(None, None), "an answer without a code and a message");
        let known = AccessDeniedException::builder().message("User: u").build();
        let known = Cause::of(DescribeStreamSummaryError::AccessDeniedException(known)).to_string();
        assert_eq!(known, "AccessDeniedException: User: u");
    }
}
