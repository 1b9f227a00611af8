//! The streams that a person names, or all of the account and region.

use crate::CliError;
pub(crate) use crate::aws::denied;
use crate::aws::{called, refused};
use crate::nearest::nearest;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::describe_stream_summary::DescribeStreamSummaryError;
use aws_sdk_kinesis::types::StreamDescriptionSummary;
use unthrottle_core::signal::{Home, StreamArn};

/// The streams with these names or ARNs, each once.
///
/// # Errors
/// Bad usage if a text names no stream of this region: with the nearest names, if AWS lists them.
pub(crate) async fn named(client: &Client, texts: &[String]) -> Result<Vec<StreamArn>, CliError> {
    let mut streams: Vec<StreamArn> = vec![];
    for text in texts {
        let stream = find_stream(client, text).await?;
        if !streams.contains(&stream) {
            streams.push(stream);
        }
    }
    Ok(streams)
}

/// The shards of a stream that are open. AWS's type is signed, and a count is never negative.
pub(crate) fn open_shards(summary: &StreamDescriptionSummary) -> u32 {
    summary.open_shard_count().try_into().unwrap_or_default()
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

/// Asks AWS for the stream that `text` names in the account of the client.
///
/// # Errors
/// Bad usage if `text` names no stream of this region: with the nearest names, if AWS lists them.
pub(crate) async fn find_stream(kinesis: &Client, text: &str) -> Result<StreamArn, CliError> {
    let error = match look_up(kinesis, text).await? {
        Ok(stream) => return Ok(stream),
        Err(error) => error,
    };
    if let Some(why) = of_another_account(kinesis, text).await {
        return Err(why);
    }
    match error.as_service_error() {
        Some(answer) if answer.is_resource_not_found_exception() => Err(missing(kinesis, text).await),
        _ => Err(refused("DescribeStreamSummary", error)),
    }
}

/// That an ARN is of another account than the credentials. `None`: it is not, or no stream shows the account.
async fn of_another_account(kinesis: &Client, text: &str) -> Option<CliError> {
    let asked = StreamArn::parse(text)?;
    let streams = kinesis.list_streams().limit(1).send().await.ok()?;
    let here = StreamArn::parse(streams.stream_summaries().first()?.stream_arn())?.home;
    (asked.home.account != here.account).then(|| {
        CliError::Usage(format!(
            "`{text}` is of account {}, and the credentials are of account {}: use credentials of the account of the \
             stream",
            asked.home.account, here.account
        ))
    })
}

/// Asks AWS for the stream that `text` names in the account of the client. The inner error is AWS's answer.
///
/// # Errors
/// Bad usage if `text` cannot name a stream of this region.
async fn look_up(
    kinesis: &Client,
    text: &str,
) -> Result<Result<StreamArn, SdkError<DescribeStreamSummaryError>>, CliError> {
    let bad = || CliError::Usage(format!("`{text}` is not the name or the ARN of a Kinesis data stream"));
    let region = kinesis.config().region().map(|r| r.to_string()).unwrap_or_default();
    let anywhere = Home { partition: String::new(), region: region.clone(), account: String::new() };
    let asked = StreamArn::of_name_or_arn(text, &anywhere).ok_or_else(bad)?;
    if asked.home.region != region {
        let of = &asked.home.region;
        return Err(CliError::Usage(format!(
            "`{text}` is of region {of}, and the region set is {region}: give --region {of}"
        )));
    }
    let call = kinesis.describe_stream_summary();
    let call = if text.starts_with("arn:") { call.stream_arn(text) } else { call.stream_name(text) };
    let answer = match call.send().await {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(error)),
    };
    let arn = answer.stream_description_summary().map(|s| s.stream_arn().to_owned()).unwrap_or_default();
    let arn =
        StreamArn::parse(&arn).ok_or_else(|| CliError::Late(format!("AWS gave `{arn}` as the ARN of `{text}`")))?;
    Ok(Ok(arn))
}
