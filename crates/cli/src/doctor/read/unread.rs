//! A read that failed → what the checks say about it.

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use unthrottle::aws::{Cause, ReadError};
use unthrottle_core::checks::Unread;
use unthrottle_core::denial::Denial;

/// The failure of a call.
pub(super) fn unread<E>(action: &'static str, error: SdkError<E>) -> Unread
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let message = error.message().unwrap_or_default();
    let is_denied = error.code().and_then(|code| Denial::of(code, message, action)).is_some();
    // AWS's own words, where it answered.
    let answered = error.code().zip(error.message()).map(|(code, message)| format!("{code}: {message}"));
    let why = answered.unwrap_or_else(|| why(error));
    Unread { action, why: why.trim_end_matches('.').to_owned(), is_denied }
}

/// The reason of a failure without a message of AWS's. The SDK's words about a body that it cannot read say nothing to
/// a person; the status does.
fn why<E>(error: SdkError<E>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let code = error.code().map(str::to_owned);
    let status = error.raw_response().map(|response| response.status().as_u16());
    match (code, status) {
        (Some(code), _) => code,
        (None, Some(status)) => format!("the server answered with HTTP {status} and no error code"),
        (None, None) => Cause::of(error).to_string(),
    }
}

/// The failure of a stream's summary, without which no check is made: AWS's words, and what to allow.
pub(in crate::doctor) fn of_summary(error: &ReadError) -> String {
    let source = error.source.to_string();
    match error.denial.is_some() {
        true => denied(&format!("kinesis:{}", error.call), &source),
        false => format!("{} failed: {source}", error.call),
    }
}

/// A denied call without which there are no findings.
pub(in crate::doctor) fn denied(action: &str, source: &str) -> String {
    format!(
        "AWS denied {action}: {}. Allow {action} to this principal; `unthrottle doctor --policy` prints the whole policy",
        source.trim_end_matches('.')
    )
}

/// The failure of a read that the Lambda makes, too.
pub(super) fn unread_by_lambda(action: &'static str, error: &ReadError) -> Unread {
    Unread { action, why: error.source.to_string(), is_denied: error.denial.is_some() }
}
