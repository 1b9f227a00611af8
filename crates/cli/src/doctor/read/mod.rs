//! Everything that the doctor reads, in one place: what all streams of the account share is read once, and each stream
//! in eight calls, and three more for each Lambda function that reads it.

mod account;
mod alarms;
mod consumers;
mod lambda;
mod metrics;
mod unread;

pub(super) use account::Account;

use super::clients::Clients;
use chrono::{DateTime, Utc};
use unread::{unread, unread_by_lambda};
use unthrottle::aws::ReadError;
use unthrottle::aws::read::{shards, stream};
use unthrottle_core::checks::{Read, Readings};
use unthrottle_core::observation::Stream;
use unthrottle_core::signal::StreamArn;

/// The IAM actions of the doctor's reads. A test compares them with the calls.
pub(super) const ACTIONS: [&str; 15] = [
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "kinesis:DescribeAccountSettings",
    "kinesis:DescribeLimits",
    "kinesis:DescribeStreamSummary",
    "kinesis:ListShards",
    "kinesis:ListStreamConsumers",
    "kinesis:ListStreams",
    "kinesis:ListTagsForResource",
    "kms:DescribeKey",
    "lambda:GetAccountSettings",
    "lambda:GetFunctionConcurrency",
    "lambda:GetFunctionConfiguration",
    "lambda:ListEventSourceMappings",
    "tag:GetResources",
];

/// The start of the ids and aliases of keys that AWS manages. They are never disabled or deleted.
const MANAGED_BY_AWS: &str = "alias/aws/";

/// Reads one stream. `None`: it does not exist any more. All reads that need no other run at the same time.
///
/// # Errors
/// The summary could not be read. Any other read that fails is part of the readings.
pub(super) async fn read(
    clients: &Clients,
    account: &Account,
    arn: &StreamArn,
    now: DateTime<Utc>,
) -> Result<Option<Readings>, ReadError> {
    let Some(stream) = stream::summary(&clients.kinesis, arn).await? else { return Ok(None) };
    let (tags, shards, hours, minutes, consumers, lambdas, key_state) = tokio::join!(
        async {
            stream::tags(&clients.kinesis, arn).await.map_err(|e| unread_by_lambda("kinesis:ListTagsForResource", &e))
        },
        async {
            shards::open_shards(&clients.kinesis, arn).await.map_err(|e| unread_by_lambda("kinesis:ListShards", &e))
        },
        metrics::hours(&clients.cloudwatch, &stream, now),
        metrics::minutes(&clients.cloudwatch, &stream, now),
        consumers::consumers(clients, &stream, now),
        lambda::readers(clients, &account.mappings, &stream, now),
        key_state(clients, &stream),
    );
    let commitment = account.commitment.clone();
    let (limits, alarms, is_deployed) = (account.limits.clone(), account.alarms.clone(), account.is_deployed.clone());
    Ok(Some(Readings {
        read_at: now,
        stream,
        tags,
        hours,
        minutes,
        shards,
        consumers,
        alarms,
        key_state,
        lambdas,
        unreserved_concurrency: account.unreserved_concurrency.clone(),
        limits,
        commitment,
        is_deployed,
    }))
}

/// The state of the stream's key. `None`: there is no key, or AWS manages it.
async fn key_state(clients: &Clients, stream: &Stream) -> Read<Option<String>> {
    let Some(key) = stream.kms_key.as_deref().filter(|key| !key.contains(MANAGED_BY_AWS)) else { return Ok(None) };
    let answer = clients.kms.describe_key().key_id(key).send().await.map_err(|e| unread("kms:DescribeKey", e))?;
    let Some(key) = answer.key_metadata() else { return Ok(None) };
    let is_managed = key.key_manager().is_some_and(|by| by.as_str() == "AWS");
    Ok(key.key_state().filter(|_| !is_managed).map(|state| state.as_str().to_owned()))
}
