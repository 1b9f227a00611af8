//! Everything that the doctor reads, in one place: what all streams of the account share is read once, and each stream
//! in ten calls at most, one more for the metrics of all Lambda functions that read it, and two for each function.
//! [`Asked`] adds a few.

mod account;
mod alarms;
mod consumers;
#[cfg(test)]
mod fake;
mod lambda;
mod leases;
mod metrics;
mod own;
mod rights;
mod sample;
mod throttled;
mod unread;

pub(super) use account::Account;
#[cfg(test)]
pub(super) use account::FUNCTION_CALLS_PER_SECOND;
pub(super) use leases::find_table;
#[cfg(test)]
pub(super) use throttled::MOST_PAGES;
pub(super) use unread::of_summary;

use super::clients::Clients;
use aws_sdk_kms::operation::describe_key::DescribeKeyError;
use chrono::{DateTime, Utc};
use std::ops::RangeInclusive;
use unread::{unread, unread_by_lambda};
use unthrottle::aws::ReadError;
use unthrottle::aws::read::{shards, stream};
use unthrottle_core::checks::{Key, Point, Read, Readings, Series, may_need_fewer_shards};
use unthrottle_core::hash_keys::tilings;
use unthrottle_core::observation::Stream;
use unthrottle_core::signal::StreamArn;

/// What a person asks the doctor to read beside.
#[derive(clap::Args, Default)]
pub(super) struct Asked {
    /// Read a few records of two shards, too: are they aggregated?
    #[arg(long, conflicts_with = "all")]
    pub sample: bool,
    #[arg(
        long,
        value_name = "ARN",
        conflicts_with = "all",
        value_parser = role,
        help = "The role of a producer or a consumer: has it the rights on the key that it needs?"
    )]
    pub role: Option<String>,
    #[arg(
        long,
        value_name = "TABLE",
        conflicts_with = "all",
        help = "The lease table of an application of the KCL that reads the stream. The \
                doctor watches it for 15 to 45 s: do its workers renew their leases?"
    )]
    pub kcl: Option<String>,
}

/// The IAM actions of the reads that the doctor always makes. A test compares them with the calls.
pub(super) const ACTIONS: [&str; 18] = [
    "cloudtrail:LookupEvents",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "events:ListTargetsByRule",
    "iam:SimulatePrincipalPolicy",
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

/// The further actions of `--sample`, `--role` and `--kcl`.
pub(super) const SAMPLE_ACTIONS: [&str; 3] = ["kinesis:GetRecords", "kinesis:GetShardIterator", "kms:Decrypt"];
pub(super) const ROLE_ACTIONS: [&str; 1] = ["kms:GetKeyPolicy"];
pub(super) const KCL_ACTIONS: [&str; 2] = ["dynamodb:ListTables", "dynamodb:Scan"];

/// The start of the ids and aliases of keys that AWS manages. They are never disabled or deleted.
const MANAGED_BY_AWS: &str = "alias/aws/";

/// Reads one stream. `None`: it does not exist any more. All reads that need no other run at the same time.
///
/// # Errors
/// The summary could not be read. Any other read that fails is part of the readings.
pub(super) async fn read(
    clients: &Clients,
    account: &Account,
    asked: &Asked,
    arn: &StreamArn,
    now: DateTime<Utc>,
) -> Result<Option<Readings>, ReadError> {
    let Some(stream) = stream::summary(&clients.kinesis, arn).await? else { return Ok(None) };
    let (tags, shards, hours, minutes, consumers, lambdas, key) = tokio::join!(
        async {
            stream::tags(&clients.kinesis, arn).await.map_err(|e| unread_by_lambda("kinesis:ListTagsForResource", &e))
        },
        async {
            shards::open_shards(&clients.kinesis, arn).await.map_err(|e| unread_by_lambda("kinesis:ListShards", &e))
        },
        metrics::hours(&clients.cloudwatch, &stream, now),
        metrics::minutes(&clients.cloudwatch, &stream, now),
        consumers::consumers(clients, &stream, now),
        lambda::readers(clients, account, &stream, now),
        key(clients, &stream),
    );
    let counts = |point: &Point| point.write_throttled + point.get_records_calls + point.read_throttled;
    let is_used = minutes.as_ref().is_ok_and(|minutes| minutes.total(counts) > 0.0);
    let (shards_then, sample, rights, leases) = tokio::join!(
        when(is_used.then(|| shards_then(clients, arn, &stream, now))),
        when(asked.sample.then(|| sample::sample(clients, &stream, &shards, now))),
        when(asked.role.as_ref().map(|role| rights::rights(clients, role, &stream, &key))),
        when(asked.kcl.as_ref().map(|table| leases::leases(&clients.dynamodb, table, &stream))),
    );
    let mut readings = Readings {
        read_at: now,
        stream,
        tags,
        hours,
        minutes,
        all_minutes: None,
        shards,
        shards_then,
        consumers,
        alarms: account.alarms.clone(),
        key,
        lambdas,
        unreserved_concurrency: account.unreserved_concurrency.clone(),
        unreserved_elsewhere: 0,
        limits: account.limits.clone(),
        commitment: account.commitment.clone(),
        is_deployed: account.is_deployed.clone(),
        denied_actions: account.denied_actions.clone(),
        throttled_calls: account.throttled_calls.clone(),
        on_demand: None,
        sample,
        rights,
        leases,
    };
    readings.all_minutes = all_minutes(clients, &readings).await;
    Ok(Some(readings))
}

/// The load of 14 days by the minute. `None`: no check proposes fewer shards by the hour.
async fn all_minutes(clients: &Clients, readings: &Readings) -> Option<Read<Series>> {
    let hours = readings.hours.as_ref().ok().filter(|_| may_need_fewer_shards(readings))?;
    Some(metrics::load_by_minute(&clients.cloudwatch, &readings.stream, hours, readings.read_at).await)
}

/// The fewest and the most shards that may have been open at one time since the minutes begin, or soon after the stream
/// was made. One reshard may undo another within the minutes, so the number of then and of now does not say it.
async fn shards_then(
    clients: &Clients,
    arn: &StreamArn,
    stream: &Stream,
    now: DateTime<Utc>,
) -> Read<RangeInclusive<u32>> {
    let at = stream.listed_from(metrics::first_minute(now)).min(now);
    let listed = shards::shards_since(&clients.kinesis, arn, at).await;
    let listed = listed.map_err(|error| unread_by_lambda("kinesis:ListShards", &error))?;
    let ranges = listed.iter().map(|past| (past.shard.first_hash_key, past.shard.last_hash_key));
    let all = u32::try_from(listed.len()).unwrap_or(u32::MAX);
    Ok(tilings(ranges).unwrap_or(all..=all))
}

/// The answer of a read that only some runs make.
async fn when<T>(read: Option<impl Future<Output = T>>) -> Option<T> {
    match read {
        Some(read) => Some(read.await),
        None => None,
    }
}

/// The stream's key. `None`: there is no key, or AWS manages it.
async fn key(clients: &Clients, stream: &Stream) -> Read<Option<Key>> {
    let Some(id) = stream.kms_key.as_deref().filter(|key| !key.contains(MANAGED_BY_AWS)) else { return Ok(None) };
    let answer = match clients.kms.describe_key().key_id(id).send().await {
        Err(error) if error.as_service_error().is_some_and(DescribeKeyError::is_not_found_exception) => {
            return Ok(Some(Key { arn: id.to_owned(), state: Key::NOT_FOUND.to_owned() }));
        }
        answer => answer.map_err(|e| unread("kms:DescribeKey", e))?,
    };
    let Some(key) = answer.key_metadata() else { return Ok(None) };
    let is_managed = key.key_manager().is_some_and(|by| by.as_str() == "AWS");
    let arn = key.arn().unwrap_or(id).to_owned();
    Ok(key.key_state().filter(|_| !is_managed).map(|state| Key { arn, state: state.as_str().to_owned() }))
}

/// The ARN of a role or user.
fn role(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "iam", "", account, name] if is_principal(name) && account.len() == 12 => Ok(text.to_owned()),
        ["arn", partition, "sts", "", account, session] => {
            let name = session.split('/').nth(1).unwrap_or("NAME");
            Err(format!("is a session of a role. The role is arn:{partition}:iam::{account}:role/{name}"))
        }
        _ => Err("must be the ARN of a role, such as arn:aws:iam::123456789012:role/reader".into()),
    }
}

fn is_principal(name: &str) -> bool {
    ["role/", "user/"].iter().any(|kind| name.strip_prefix(kind).is_some_and(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CloudWatch bills each metric of `GetMetricData`.
    #[test]
    fn the_page_of_the_doctor_says_how_many_metrics_a_stream_takes() {
        let page = include_str!("../../../../../docs/doctor.md").split_whitespace().collect::<Vec<_>>().join(" ");
        let says = format!(
            "{} metrics a stream, up to {} more for the minutes of 14 days, {} for each Lambda function that reads it, \
             and {} for each registered consumer",
            2 * metrics::METRICS.len(),
            metrics::LOAD.len(),
            lambda::METRICS.len(),
            consumers::METRICS.len()
        );
        assert!(page.contains(&says), "{says}");
    }
}
