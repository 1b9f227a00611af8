//! The streams that a person names, or all of the account and region.

use super::read::denied;
use crate::CliError;
use crate::aws::{failed, is_missing, look_up, missing};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use unthrottle::aws::Cause;
use unthrottle_core::denial::Denial;
use unthrottle_core::signal::StreamArn;

/// The streams with these names or ARNs, each once.
///
/// # Errors
/// Bad usage if a text names no stream of the region: with the nearest names, if AWS lists them.
pub(crate) async fn named(client: &Client, texts: &[String]) -> Result<Vec<StreamArn>, CliError> {
    let mut streams: Vec<StreamArn> = vec![];
    for text in texts {
        let found = look_up(client, text).await?;
        if found.as_ref().is_err_and(is_missing) {
            return Err(missing(client, text).await);
        }
        let stream = found.map_err(|error| refused("DescribeStreamSummary", error))?;
        if !streams.contains(&stream) {
            streams.push(stream);
        }
    }
    Ok(streams)
}

/// The failure of a call without which there is no stream to read. A denied one names the action to allow.
fn refused<E>(call: &'static str, error: SdkError<E>) -> CliError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let (action, message) = (format!("kinesis:{call}"), error.message().unwrap_or_default().to_owned());
    let is_denied = error.code().and_then(|code| Denial::of(code, &message, &action)).is_some();
    if is_denied { CliError::Partly(denied(&action, &message)) } else { failed(call, Cause::of(error)) }
}

/// All streams of the account and region.
///
/// # Errors
/// AWS did not list them, or there are none.
pub(crate) async fn all(client: &Client) -> Result<Vec<StreamArn>, CliError> {
    let mut pages = client.list_streams().into_paginator().send();
    let mut streams = vec![];
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| refused("ListStreams", error))?;
        streams.extend(page.stream_summaries().iter().filter_map(|summary| StreamArn::parse(summary.stream_arn())));
    }
    if streams.is_empty() {
        return Err(CliError::Missing("the account has no stream in this region".into()));
    }
    Ok(streams)
}
