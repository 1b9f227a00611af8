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

/// Finds the stream that `text` names, and makes sure that it takes records.
///
/// # Errors
/// Bad usage if `text` names no stream of the region. There is no such stream, it is being created or deleted, or the
/// account or the endpoint cannot be asked.
pub(crate) async fn find(text: &str, aws: &AwsArgs, credentials: Option<&Credentials>) -> Result<Stream, CliError> {
    let config = aws.config().await?;
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let mut builder = aws_sdk_kinesis::config::Builder::from(&config);
    if let Some(given) = credentials {
        let (id, secret, token) = (&given.access_key_id, &given.secret_access_key, given.session_token.clone());
        let given = aws_sdk_kinesis::config::Credentials::new(id, secret, token, None, "--config");
        builder.set_credentials_provider(Some(SharedCredentialsProvider::new(given)));
    }
    let anywhere = Home { partition: String::new(), region: region.clone(), account: String::new() };
    let bad = || CliError::Usage(format!("`{text}` is not the name or the ARN of a Kinesis data stream"));
    let named = StreamArn::of_name_or_arn(text, &anywhere).ok_or_else(bad)?;
    if named.home.region != region {
        let of = named.home.region;
        let problem = format!("`{text}` is of region {of}, and the region set is {region}: give --region {of}");
        return Err(CliError::Usage(problem));
    }
    let target = if text.starts_with("arn:") { Target::Arn(text.into()) } else { Target::Name(text.into()) };
    let call = aws_sdk_kinesis::Client::from_conf(builder.clone().build()).describe_stream_summary();
    let call = match &target {
        Target::Name(name) => call.stream_name(name),
        Target::Arn(arn) => call.stream_arn(arn),
    };
    let nothing = || foreign(&endpoint_of(config.endpoint_url(), &region), "it has no stream");
    let summary = match call.send().await {
        Ok(answer) => Some(answer.stream_description_summary.ok_or_else(nothing)?),
        Err(error) => unreadable(text, &region, config.endpoint_url(), error)?,
    };
    if let Some(summary) = &summary {
        must_take_records(text, summary.stream_status())?;
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
    region: &str,
    endpoint: Option<&str>,
    error: SdkError<Refused, HttpResponse>,
) -> Result<Option<StreamDescriptionSummary>, CliError> {
    let code = error.code().unwrap_or_default();
    if code.starts_with("AccessDenied") {
        return Ok(None);
    }
    let endpoint = endpoint_of(endpoint, region);
    let is_foreign = match &error {
        SdkError::ServiceError(refused) => code.is_empty() && !refused.raw().status().is_server_error(),
        SdkError::ResponseError(_) => true,
        _ => false,
    };
    Err(match code {
        "ResourceNotFoundException" => CliError::Missing(format!(
            "there is no stream `{stream}` at {endpoint}, region {region}. Check the name, --region and --profile"
        )),
        code if code.starts_with("ExpiredToken") => CliError::Missing(format!(
            "the credentials have expired ({code}). Sign in again, or give other ones. Nothing was written"
        )),
        _ if is_foreign => foreign(&endpoint, &Cause::of(error).to_string()),
        _ if matches!(&error, SdkError::DispatchFailure(failed) if failed.is_io()) => {
            CliError::Missing(format!("no connection to {endpoint}: {}", Cause::of(error)))
        }
        _ => failed("DescribeStreamSummary", Cause::of(error)),
    })
}
