//! The streams that a person names, or all of the account and region.

use crate::CliError;
use crate::aws::{called, look_up};
use crate::nearest::nearest;
use aws_sdk_kinesis::Client;
use unthrottle_core::signal::StreamArn;

/// The streams with these names or ARNs, each once.
///
/// # Errors
/// Bad usage if a text names no stream of the region: with the nearest names, if AWS lists them.
pub(crate) async fn named(client: &Client, texts: &[String]) -> Result<Vec<StreamArn>, CliError> {
    let mut streams: Vec<StreamArn> = vec![];
    for text in texts {
        let found = look_up(client, text).await?;
        if found.as_ref().is_err_and(|e| e.as_service_error().is_some_and(|e| e.is_resource_not_found_exception())) {
            return Err(missing(client, text).await);
        }
        let stream = called("DescribeStreamSummary", found)?;
        if !streams.contains(&stream) {
            streams.push(stream);
        }
    }
    Ok(streams)
}

async fn missing(client: &Client, text: &str) -> CliError {
    let all = all(client).await.unwrap_or_default();
    let name = text.rsplit('/').next().unwrap_or(text);
    let near = nearest(name, all.iter().map(|stream| stream.name.as_str()));
    let hint = match near.is_empty() {
        true => "The account has no stream in this region, or does not list them to you".to_owned(),
        false => format!("The nearest: {}", near.join(", ")),
    };
    CliError::Usage(format!("there is no stream `{text}` in this region. {hint}"))
}

/// All streams of the account and region.
///
/// # Errors
/// AWS did not list them, or there are none.
pub(crate) async fn all(client: &Client) -> Result<Vec<StreamArn>, CliError> {
    let mut pages = client.list_streams().into_paginator().send();
    let mut streams = vec![];
    while let Some(page) = pages.next().await {
        let page = called("ListStreams", page)?;
        streams.extend(page.stream_summaries().iter().filter_map(|summary| StreamArn::parse(summary.stream_arn())));
    }
    if streams.is_empty() {
        return Err(CliError::Missing("the account has no stream in this region".into()));
    }
    Ok(streams)
}
