//! The stream that a command writes to, and why it cannot.

use crate::CliError;
use crate::aws::{AwsArgs, failed};
use aws_sdk_kinesis::config::SharedCredentialsProvider;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::describe_stream_summary::DescribeStreamSummaryError as Refused;
use aws_sdk_kinesis::types::{StreamDescriptionSummary, StreamStatus};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::time::Duration;
use unthrottle::aws::Cause;
use unthrottle_core::signal::{Home, StreamArn};
use unthrottle_writer::config::Credentials;
use unthrottle_writer::{DEFAULT_RECORD_BYTES, Target, client};

/// The longest wait for a reply, besides the time that the bytes of a request need. A longer wait would use up the time
/// of a record.
const ATTEMPT: Duration = Duration::from_secs(10);

/// A stream that takes records.
pub(crate) struct Stream {
    /// Its name or ARN, as the user gave it.
    pub target: Target,
    /// A client whose calls are single attempts.
    pub client: aws_sdk_kinesis::Client,
    /// The most bytes of a record.
    pub record_bytes: usize,
    /// What AWS says about it; `None`: the caller may not ask.
    pub summary: Option<StreamDescriptionSummary>,
}

/// The values of a file that name the stream and the account, each with its place, such as
/// ``put.yaml:3: `output.aws_kinesis.stream_name` ``. `None`: the value is not from a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct OfFile {
    pub stream: Option<String>,
    pub region: Option<String>,
    pub endpoint: Option<String>,
    pub credentials: Option<String>,
}

impl OfFile {
    /// The error that a value caused, with the place of the value.
    pub fn caused(place: &Option<String>, error: CliError) -> CliError {
        match place {
            Some(place) => CliError::Value { place: place.clone(), source: Box::new(error) },
            None => error,
        }
    }
}

/// The stream that a person names by its name or its ARN. A name is one of this region.
///
/// # Errors
/// It is neither.
pub(super) fn named(text: &str, region: &str) -> Result<StreamArn, CliError> {
    let anywhere = Home { partition: String::new(), region: region.to_owned(), account: String::new() };
    let bad = || CliError::Usage(format!("`{text}` is not the name or the ARN of a Kinesis data stream"));
    StreamArn::of_name_or_arn(text, &anywhere).ok_or_else(bad)
}

/// Finds the stream that `text` names, and makes sure that it takes records.
///
/// # Errors
/// Bad usage if `text` names no stream of the region. There is no such stream, it is being created or deleted, or the
/// account or the endpoint cannot be asked. An error that a value of a file causes names its place.
pub(crate) async fn find(
    text: &str,
    aws: &AwsArgs,
    credentials: Option<&Credentials>,
    of_file: &OfFile,
) -> Result<Stream, CliError> {
    let config = aws.config().await.map_err(|error| match error {
        // Nothing else of the configuration can be missing: no server answers at the endpoint.
        CliError::Missing(_) => OfFile::caused(&of_file.endpoint, error),
        error => error,
    })?;
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let mut builder = aws_sdk_kinesis::config::Builder::from(&config);
    if let Some(given) = credentials {
        let (id, secret, token) = (&given.access_key_id, &given.secret_access_key, given.session_token.clone());
        let given = aws_sdk_kinesis::config::Credentials::new(id, secret, token, None, "--config");
        builder.set_credentials_provider(Some(SharedCredentialsProvider::new(given)));
    }
    let named = named(text, &region)?;
    if named.home.region != region {
        let of = named.home.region;
        let problem = format!("`{text}` is of region {of}, and the region set is {region}: give --region {of}");
        let place = if of_file.region.is_some() { &of_file.region } else { &of_file.stream };
        return Err(OfFile::caused(place, CliError::Usage(problem)));
    }
    let target = if text.starts_with("arn:") { Target::Arn(text.into()) } else { Target::Name(text.into()) };
    let call = aws_sdk_kinesis::Client::from_conf(builder.clone().build()).describe_stream_summary();
    let call = match &target {
        Target::Name(name) => call.stream_name(name),
        Target::Arn(arn) => call.stream_arn(arn),
    };
    let endpoint = endpoint_of(config.endpoint_url(), &region);
    let nothing = || OfFile::caused(&of_file.endpoint, foreign(&endpoint, "it has no stream"));
    let summary = match call.send().await {
        Ok(answer) => Some(answer.stream_description_summary.ok_or_else(nothing)?),
        Err(error) => unreadable(text, (&endpoint, &region), of_file, error)?,
    };
    if let Some(summary) = &summary {
        let takes = must_take_records(text, summary.stream_status());
        takes.map_err(|error| OfFile::caused(&of_file.stream, error))?;
    }
    let kib = summary.as_ref().and_then(|summary| summary.max_record_size_in_kib());
    let record_bytes = kib.and_then(|kib| usize::try_from(kib).ok()).map_or(DEFAULT_RECORD_BYTES, |kib| kib << 10);
    Ok(Stream { target, client: client(&builder, ATTEMPT), record_bytes, summary })
}

/// The endpoint in words.
fn endpoint_of(url: Option<&str>, region: &str) -> String {
    url.map_or_else(|| format!("Kinesis in {region}"), str::to_owned)
}

fn foreign(endpoint: &str, answer: &str) -> CliError {
    CliError::Missing(format!("{endpoint} does not answer as Kinesis does. Check --endpoint-url. The answer: {answer}"))
}

fn must_take_records(stream: &str, status: &StreamStatus) -> Result<(), CliError> {
    let (now, then) = match status {
        StreamStatus::Creating => ("is being created", "Try again when it is ACTIVE"),
        StreamStatus::Deleting => ("is being deleted", "Nothing was written"),
        _ => return Ok(()),
    };
    Err(CliError::Missing(format!("the stream `{stream}` {now}. {then}")))
}

/// Without the permission to ask, the default limits hold. Every other failure would meet the records, too.
fn unreadable(
    stream: &str,
    (endpoint, region): (&str, &str),
    of_file: &OfFile,
    error: SdkError<Refused, HttpResponse>,
) -> Result<Option<StreamDescriptionSummary>, CliError> {
    let code = error.code().unwrap_or_default();
    if code.starts_with("AccessDenied") {
        return Ok(None);
    }
    let is_foreign = match &error {
        SdkError::ServiceError(refused) => code.is_empty() && !refused.raw().status().is_server_error(),
        SdkError::ResponseError(_) => true,
        _ => false,
    };
    let (place, problem) = match code {
        "ResourceNotFoundException" => {
            let none = format!("there is no stream `{stream}` at {endpoint}, region {region}");
            (&of_file.stream, CliError::Missing(format!("{none}. Check the name, --region and --profile")))
        }
        code if code.starts_with("ExpiredToken") => {
            let expired = format!("the credentials have expired ({code}). Sign in again, or give other ones");
            (&of_file.credentials, CliError::Missing(format!("{expired}. Nothing was written")))
        }
        _ if is_foreign => (&of_file.endpoint, foreign(endpoint, &Cause::of(error).to_string())),
        _ if matches!(&error, SdkError::DispatchFailure(failed) if failed.is_io()) => {
            let none = format!("no connection to {endpoint}: {}", Cause::of(error));
            (&of_file.endpoint, CliError::Missing(none))
        }
        code => {
            // UnrecognizedClientException: there is no such key. InvalidSignatureException: its secret is another one.
            let is_denied = ["UnrecognizedClient", "InvalidSignature"].iter().any(|start| code.starts_with(start));
            let place = if is_denied { &of_file.credentials } else { &None };
            (place, failed("DescribeStreamSummary", Cause::of(error)))
        }
    };
    Err(OfFile::caused(place, problem))
}
