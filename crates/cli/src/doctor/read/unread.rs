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
    let why = answered.unwrap_or_else(|| Cause::of(error).to_string());
    Unread { action, why: why.trim_end_matches('.').to_owned(), is_denied }
}

/// The failure of a read that the Lambda makes, too.
pub(super) fn unread_by_lambda(action: &'static str, error: &ReadError) -> Unread {
    Unread { action, why: error.source.to_string(), is_denied: error.denial.is_some() }
}
