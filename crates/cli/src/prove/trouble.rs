//! Why a step could not do its work.

use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use unthrottle::aws::Cause;
use unthrottle_core::denial::Denial;

/// Why a step ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The account, the machine or a flag does not give what the step needs.
    #[error("{0}")]
    NotAvailable(String),
    /// The endpoint does not have an operation that the step needs.
    #[error("this endpoint does not have {0}, which the step needs")]
    NotServed(String),
    /// The caller may not call an operation that the step needs.
    #[error("{0}")]
    Denied(String),
    /// A call failed, or an expected state did not come.
    #[error("{0}")]
    Failed(String),
}

/// A result of a part of a step.
pub(super) type Tried<T> = Result<T, Trouble>;

/// Codes of endpoints that do not have an operation: LocalStack, moto, and the local account.
const NOT_SERVED: [&str; 5] =
    ["UnknownOperationException", "InvalidAction", "NotImplemented", "NotImplementedException", "UnknownOperation"];

/// An error answer of AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The error code.
    pub code: String,
    /// AWS's words.
    pub message: String,
}

/// Codes that refuse the rate of calls. The last one is that of a stream's key.
const TOO_FAST: [&str; 11] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "PriorRequestNotComplete",
    "SlowDown",
    "KMSThrottlingException",
];

/// The words of a refused rate, in lower case. Kinesis has a code for rates, quotas and limits of a day alike, so only
/// the words tell them apart.
const OF_RATE: [&str; 2] = ["rate exceeded", "too many requests"];

/// The code of a shard that is full. Its words are those of a rate.
const SHARD_IS_FULL: &str = "ProvisionedThroughputExceededException";

/// Codes of CloudWatch, CloudTrail and other services for a quota of the account.
const OF_QUOTA: [&str; 4] =
    ["LimitExceeded", "LimitExceededFault", "ServiceQuotaExceededException", "MaximumNumberOfTrailsExceededException"];

impl Refusal {
    /// Whether AWS refused the rate of calls, which says nothing of the call.
    pub fn is_of_rate(&self) -> bool {
        let message = self.message.to_ascii_lowercase();
        let has_words = || OF_RATE.iter().any(|words| message.contains(words));
        TOO_FAST.contains(&self.code.as_str()) || self.code != SHARD_IS_FULL && has_words()
    }

    /// Whether the account is at a quota: "This request would exceed the shard limit for the account".
    pub fn is_of_quota(&self) -> bool {
        let has_words = || self.message.contains("would exceed") && self.message.contains("account");
        OF_QUOTA.contains(&self.code.as_str()) || has_words()
    }

    /// Whether the refusal is one of the account, and not of the call.
    pub fn is_of_account(&self) -> bool {
        self.is_of_rate() || self.is_of_quota()
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.message.as_str() {
            "" => write!(f, "{}", self.code),
            message => write!(f, "{}: {message}", self.code),
        }
    }
}

/// Whether moto has no code for the operation: the server of its own then answers HTTP 500.
fn is_of_moto(response: &HttpResponse) -> bool {
    let server = response.headers().get("server").unwrap_or_default();
    response.status().as_u16() == 500 && server.starts_with("Werkzeug/")
}

/// The answer, or AWS's refusal of the call. Refusals are what a step is there to see.
///
/// # Errors
/// AWS gave no such answer: the network failed, AWS had an internal error, the endpoint does not have the operation, or
/// the caller may not call it.
pub(super) fn answered<T, E>(call: &str, answer: Result<T, SdkError<E, HttpResponse>>) -> Tried<Result<T, Refusal>>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let error = match answer {
        Ok(answer) => return Ok(Ok(answer)),
        Err(error) => error,
    };
    let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    // A gateway's page, such as a 502 or 503, says nothing of the operation. The call may even have been carried out.
    let is_unknown_path = matches!(status, 404 | 405 | 501) && code.is_empty();
    if NOT_SERVED.contains(&code) || is_unknown_path || error.raw_response().is_some_and(is_of_moto) {
        return Err(Trouble::NotServed(call.to_owned()));
    }
    // A key that denies Kinesis has a code of its own, and says nothing of this caller.
    if let Some(denial) = Denial::of(code, message, call).filter(|_| !code.starts_with("KMS")) {
        return Err(Trouble::Denied(format!("AWS denied {call}: {denial}. The message: {message}")));
    }
    if status >= 500 && !code.is_empty() {
        return Err(Trouble::Failed(format!("{call} failed: {code}: {message}")));
    }
    if code.is_empty() {
        return Err(Trouble::Failed(format!("{call} failed: {}", Cause::of(error))));
    }
    Ok(Err(Refusal { code: code.to_owned(), message: message.to_owned() }))
}

/// A builder of the SDK that lacks a field.
pub(super) fn unbuilt(error: impl std::error::Error) -> Trouble {
    Trouble::Failed(error.to_string())
}

/// The answer of a call that must work.
///
/// # Errors
/// As [`answered`], and AWS's refusal.
pub(super) fn done<T, E>(call: &str, answer: Result<T, SdkError<E, HttpResponse>>) -> Tried<T>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    answered(call, answer)?.map_err(|refusal| refused(call, &refusal))
}

/// The failure of a call that AWS refused, and that must work.
pub(super) fn refused(call: &str, refusal: &Refusal) -> Trouble {
    Trouble::Failed(format!("AWS refused {call}: {refusal}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_kinesis::operation::delete_stream::DeleteStreamError;

    /// What an answer without an error code of AWS is taken for.
    fn of(status: u16, kind: &'static str, server: &'static str) -> Trouble {
        let mut response = HttpResponse::new(status.try_into().expect("a status"), "<html></html>".into());
        response.headers_mut().insert("content-type", kind);
        response.headers_mut().insert("server", server);
        let error = SdkError::<DeleteStreamError, _>::response_error("not JSON", response);
        answered::<(), _>("DeleteStream", Err(error)).expect_err("no answer of AWS")
    }

    #[test]
    fn only_an_unknown_path_says_that_an_endpoint_does_not_have_an_operation() {
        let (page, gateway) = ("text/html", "awselb/2.0");
        for status in [404, 405, 501] {
            assert!(matches!(of(status, page, gateway), Trouble::NotServed(_)), "{status}");
        }
        for status in [200, 301, 400, 403, 429, 500, 502, 503, 504] {
            for kind in [page, "text/html; charset=utf-8", "application/json"] {
                assert!(matches!(of(status, kind, gateway), Trouble::Failed(_)), "{status} {kind}");
            }
        }
        assert!(matches!(of(500, page, "Werkzeug/3.1.3 Python/3.12.3"), Trouble::NotServed(_)));
        assert!(matches!(of(503, page, "Werkzeug/3.1.3 Python/3.12.3"), Trouble::Failed(_)));
    }

    fn refusal(code: &str, message: &str) -> Refusal {
        Refusal { code: code.into(), message: message.into() }
    }

    #[test]
    fn a_rate_a_quota_and_a_full_shard_are_told_apart() {
        let rate = "Rate exceeded for stream orders under account 123456789012.";
        let quota = "This request would exceed the shard limit for the account 123456789012 in us-east-1.";
        for (code, message, is_of_rate, is_of_quota) in [
            ("LimitExceededException", rate, true, false),
            ("Throttling", "Rate exceeded", true, false),
            ("ThrottlingException", "", true, false),
            ("KMSThrottlingException", "", true, false),
            ("LimitExceededException", quota, false, true),
            ("LimitExceeded", "The maximum number of alarms was reached", false, true),
            ("ProvisionedThroughputExceededException", "Rate exceeded for shard shardId-000000000000", false, false),
            ("LimitExceededException", "UpdateShardCount cannot scale up over double", false, false),
            ("InvalidArgumentException", "", false, false),
        ] {
            let refusal = refusal(code, message);
            assert_eq!((refusal.is_of_rate(), refusal.is_of_quota()), (is_of_rate, is_of_quota), "{refusal}");
            assert_eq!(refusal.is_of_account(), is_of_rate || is_of_quota, "{refusal}");
        }
    }
}
