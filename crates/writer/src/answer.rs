//! The SDK's answer to PutRecords, in the words of the buffer. Another call that fails says so in the same words.

use crate::request::{Answer, Fate};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::put_records::{PutRecordsError, PutRecordsOutput};
use aws_sdk_kinesis::types::PutRecordsResultEntry;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::error::Error as _;
use std::io;

/// Error codes of records and of requests that another attempt can cure (API reference, PutRecords: common errors and
/// the `ErrorCode` of a record).
const RETRYABLE: [&str; 11] = [
    "ProvisionedThroughputExceededException",
    "InternalFailure",
    "InternalFailureException",
    "KMSThrottlingException",
    "LimitExceededException",
    "RequestExpired",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
];

/// What the SDK's answer means for the records of the request. `is_large`: a slow connection may be the cause if no
/// reply comes.
pub(crate) fn read(answer: Result<PutRecordsOutput, Failed<PutRecordsError>>, is_large: bool) -> Answer {
    match answer {
        Ok(output) => Answer::Records(output.records.into_iter().map(fate).collect()),
        Err(error) if is_large && is_timeout(&error) => Answer::Unknown(
            "no reply in time. A slow connection needs smaller requests: put has --max-batch-bytes for that".into(),
        ),
        Err(error) => failure(&error),
    }
}

/// A request without an answer to its records.
type Failed<E> = SdkError<E, HttpResponse>;

/// What an entry of the answer says. AWS sets either a sequence number or an error code.
fn fate(entry: PutRecordsResultEntry) -> Fate {
    match (entry.error_code, entry.sequence_number) {
        (None, Some(_)) => Fate::Accepted { shard: entry.shard_id.unwrap_or_default() },
        (None, None) => Fate::Unknown,
        (Some(code), _) => {
            let message = entry.error_message.unwrap_or_default();
            let shard = entry.shard_id.or_else(|| named_shard(&message));
            let cause = format!("{code}: {message}");
            if RETRYABLE.contains(&code.as_str()) { Fate::Refused { shard, cause } } else { Fate::Never { cause } }
        }
    }
}

/// The shard that an error message names: "Rate exceeded for shard shardId-000000000000 in stream …".
fn named_shard(message: &str) -> Option<String> {
    let place = message.find("shardId-")?;
    let digits = message[place + "shardId-".len()..].bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| message[place..place + "shardId-".len() + digits].to_owned())
}

/// What a failed request means. Never [`Answer::Records`].
pub(crate) fn failure<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &Failed<E>) -> Answer {
    let text = DisplayErrorContext(error).to_string();
    match error {
        SdkError::ServiceError(refused) => {
            let (status, error) = (refused.raw().status(), refused.err());
            let code = error.code().unwrap_or_default();
            let cause = match (code, error.message()) {
                ("", _) => format!("HTTP status {status}"),
                (code, message) => format!("{code}: {}", message.unwrap_or("no message")),
            };
            // A server error says nothing about the records: the failure may come after the write.
            if status.is_server_error() {
                Answer::Unknown(cause)
            } else if RETRYABLE.contains(&code) || status.as_u16() == 429 {
                Answer::NotDone(cause)
            } else {
                Answer::Fatal(cause)
            }
        }
        SdkError::ResponseError(_) => Answer::Unknown(format!("a reply that cannot be read: {text}")),
        SdkError::ConstructionFailure(_) => Answer::Fatal(root_cause(error)),
        SdkError::DispatchFailure(_) if has_no_credentials(error) => {
            Answer::Fatal(format!("no credentials: {}", root_cause(error)))
        }
        SdkError::DispatchFailure(failed) if is_not_sent(failed.as_connector_error()) => {
            Answer::NotSent(format!("no connection: {}", root_cause(error)))
        }
        error if is_timeout(error) => Answer::Unknown("no reply in time".into()),
        // The request may have arrived before the failure.
        _ => Answer::Unknown(format!("the connection broke: {}", root_cause(error))),
    }
}

/// Whether the request may have arrived, and no reply came in time.
fn is_timeout<E>(error: &Failed<E>) -> bool {
    match error {
        SdkError::TimeoutError(_) => true,
        SdkError::DispatchFailure(failed) => failed.is_timeout() && !is_not_sent(failed.as_connector_error()),
        _ => false,
    }
}

/// Whether the SDK found no credentials to sign the request with. Nothing was sent then.
fn has_no_credentials(error: &dyn std::error::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether the connection could not be made, so that AWS has no byte of the request. The errors of the HTTP client have
/// no types for this, only texts: of its pool ("client error (Connect)"), and of its wait for a connection.
fn is_not_sent(error: Option<&aws_sdk_kinesis::error::ConnectorError>) -> bool {
    let mut cause = error.and_then(|error| error.source());
    while let Some(error) = cause {
        let refused = error.downcast_ref::<io::Error>().map(io::Error::kind);
        let text = error.to_string();
        let texts = ["(Connect)", "connect error", "dns error", "HTTP connect timeout"];
        let is_connect = texts.iter().any(|part| text.contains(part));
        if refused == Some(io::ErrorKind::ConnectionRefused) || is_connect {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The innermost error, which names the system's reason.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_kinesis::error::ErrorMetadata;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    #[test]
    fn the_shard_of_a_refusal_comes_from_its_message() {
        let message = "Rate exceeded for shard shardId-000000000012 in stream orders under account 123456789012.";
        assert_eq!(named_shard(message).as_deref(), Some("shardId-000000000012"));
        assert_eq!(named_shard("Internal service failure."), None);
        assert_eq!(named_shard("shardId-"), None);
    }

    #[test]
    fn a_result_is_a_sequence_number_or_an_error_and_anything_else_is_unknown() {
        let entry = PutRecordsResultEntry::builder;
        let accepted = entry().sequence_number("1").shard_id("shardId-000000000000").build();
        assert_eq!(fate(accepted), Fate::Accepted { shard: "shardId-000000000000".into() });
        assert_eq!(fate(entry().build()), Fate::Unknown);
        let refused = entry().error_code("ProvisionedThroughputExceededException").error_message("x shardId-7 y");
        assert!(matches!(fate(refused.build()), Fate::Refused { shard: Some(shard), .. } if shard == "shardId-7"));
        assert!(matches!(fate(entry().error_code("AccessDenied").build()), Fate::Never { .. }));
    }

    /// What a request that failed with this status and code means.
    fn failed(status: u16, code: &str) -> Answer {
        let error = PutRecordsError::generic(ErrorMetadata::builder().code(code).message("why").build());
        let status = StatusCode::try_from(status).expect("a status");
        failure(&SdkError::service_error(error, HttpResponse::new(status, SdkBody::empty())))
    }

    #[test]
    fn every_code_that_another_attempt_can_cure_is_sent_again_and_no_other() {
        let codes = [
            "ProvisionedThroughputExceededException",
            "InternalFailure",
            "InternalFailureException",
            "KMSThrottlingException",
            "LimitExceededException",
            "RequestExpired",
            "RequestTimeout",
            "RequestTimeoutException",
            "ServiceUnavailable",
            "Throttling",
            "ThrottlingException",
        ];
        let refused = |code| fate(PutRecordsResultEntry::builder().error_code(code).error_message("why").build());
        for code in codes {
            let cause = format!("{code}: why");
            assert_eq!(failed(400, code), Answer::NotDone(cause.clone()));
            assert_eq!(refused(code), Fate::Refused { shard: None, cause });
        }
        for code in
            ["AccessDeniedException", "KMSDisabledException", "ResourceNotFoundException", "ValidationException"]
        {
            let cause = format!("{code}: why");
            assert_eq!(failed(400, code), Answer::Fatal(cause.clone()));
            assert_eq!(refused(code), Fate::Never { cause });
        }
        assert_eq!(failed(500, "InternalFailure"), Answer::Unknown("InternalFailure: why".into()), "maybe written");
        assert_eq!(failed(503, ""), Answer::Unknown("HTTP status 503".into()));
        assert_eq!(failed(429, ""), Answer::NotDone("HTTP status 429".into()));
    }

    #[test]
    fn a_reply_that_does_not_come_names_the_remedy_where_the_request_is_large() {
        let late = |is_large| match read(Err(SdkError::timeout_error("late")), is_large) {
            Answer::Unknown(cause) => cause,
            other => panic!("{other:?}"),
        };
        assert_eq!(late(false), "no reply in time");
        assert!(late(true).ends_with("--max-batch-bytes for that"), "{}", late(true));
    }
}
