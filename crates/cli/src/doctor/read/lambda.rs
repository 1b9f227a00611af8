//! The Lambda functions that read streams: `ListEventSourceMappings` once for all streams, and for each function of a
//! stream its timeout, its concurrency and 14 days of its metrics.

use super::account::Account;
use super::metrics::{Query, read};
use super::unread::unread;
use crate::doctor::clients::Clients;
use crate::doctor::pace::{Machine, Pace};
use aws_sdk_lambda::types::{EventSourceMappingConfiguration, FunctionResponseType};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use unthrottle_core::checks::{LambdaMetrics, LambdaReader, Read, Unread, unqualified};
use unthrottle_core::observation::Stream;

const NAMESPACE: &str = "AWS/Lambda";

/// Hours in which an age must have grown: the last whole ones. A single slow hour is no trend.
const AGE_HOURS: i64 = 4;

/// The metrics of a function, in the order of their values in [`put`].
const METRICS: [(&str, &str); 6] = [
    ("Invocations", "Sum"),
    ("Errors", "Sum"),
    ("Throttles", "Sum"),
    ("Duration", "p95"),
    ("IteratorAge", "SampleCount"),
    ("IteratorAge", "Maximum"),
];

/// The services whose streams make the batches that Lambda's IteratorAge counts (monitoring-metrics-types.html).
const OF_STREAMS: [&str; 2] = ["kinesis", "dynamodb"];

/// The mappings of an account and region.
#[derive(Clone, Debug, Default)]
pub(in crate::doctor) struct Mappings {
    /// Those that read Kinesis streams, by the ARN of the stream. A mapping of a registered consumer belongs to the
    /// consumer's stream.
    of_kinesis: BTreeMap<String, Vec<EventSourceMappingConfiguration>>,
    /// How many mappings to streams each function has, by the name of the function.
    to_streams: BTreeMap<String, usize>,
}

/// All mappings of the account and region that read streams.
pub(super) async fn mappings(clients: &Clients) -> Read<Mappings> {
    let mut pages = clients.lambda.list_event_source_mappings().into_paginator().send();
    let mut mappings = Mappings::default();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| unread("lambda:ListEventSourceMappings", e))?;
        for mapping in page.event_source_mappings() {
            let source = mapping.event_source_arn().unwrap_or_default();
            let stream = source.split_once("/consumer/").map_or(source, |(stream, _)| stream);
            let service = stream.split(':').nth(2).unwrap_or_default();
            if OF_STREAMS.contains(&service) {
                *mappings.to_streams.entry(unqualified(&function_of(mapping)).to_owned()).or_default() += 1;
            }
            if service == "kinesis" {
                mappings.of_kinesis.entry(stream.to_owned()).or_default().push(mapping.clone());
            }
        }
    }
    Ok(mappings)
}

/// The concurrency that the functions without a reservation share.
pub(super) async fn unreserved_concurrency(clients: &Clients) -> Read<u32> {
    const ACTION: &str = "lambda:GetAccountSettings";
    let answer = clients.lambda.get_account_settings().send().await.map_err(|e| unread(ACTION, e))?;
    let limit = answer.account_limit().and_then(|limit| limit.unreserved_concurrent_executions());
    let why = || Unread { action: ACTION, why: "AWS gave no number".into(), is_denied: false };
    limit.and_then(|limit| limit.try_into().ok()).ok_or_else(why)
}

/// The functions that read a stream.
pub(super) async fn readers(
    clients: &Clients,
    account: &Account,
    stream: &Stream,
    now: DateTime<Utc>,
) -> Read<Vec<LambdaReader>> {
    let mappings = account.mappings.as_ref().map_err(Clone::clone)?;
    let of_stream = mappings.of_kinesis.get(&stream.arn).map(Vec::as_slice).unwrap_or_default();
    let mut readers = join_all(of_stream.iter().map(|mapping| reader(clients, &account.functions, mapping, now))).await;
    for reader in &mut readers {
        reader.has_other_streams =
            mappings.to_streams.get(unqualified(&reader.function)).is_some_and(|count| *count > 1);
    }
    Ok(readers)
}

/// The function of a mapping, with its alias or version: arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME or
/// …:NAME:ALIAS
fn function_of(mapping: &EventSourceMappingConfiguration) -> String {
    let arn = mapping.function_arn().unwrap_or_default();
    arn.splitn(7, ':').nth(6).unwrap_or(arn).to_owned()
}

async fn reader(
    clients: &Clients,
    pace: &Pace<Machine>,
    mapping: &EventSourceMappingConfiguration,
    now: DateTime<Utc>,
) -> LambdaReader {
    let arn = mapping.function_arn().unwrap_or_default();
    let function = function_of(mapping);
    let name = unqualified(&function).to_owned();
    let (timeout_seconds, reserved_concurrency, metrics) =
        tokio::join!(timeout(clients, pace, arn), reserved(clients, pace, &name), metrics(clients, name.clone(), now));
    let number = |number: Option<i32>, default: u32| number.and_then(|n| n.try_into().ok()).unwrap_or(default);
    LambdaReader {
        function,
        uuid: mapping.uuid().unwrap_or_default().to_owned(),
        consumer: mapping.event_source_arn().and_then(consumer_of),
        has_other_streams: false,
        filters: mapping.filter_criteria().is_some_and(|criteria| !criteria.filters().is_empty()),
        state: mapping.state().unwrap_or_default().to_owned(),
        last_result: mapping.last_processing_result().map(str::to_owned),
        max_retries: mapping.maximum_retry_attempts().unwrap_or(-1),
        max_age_seconds: mapping.maximum_record_age_in_seconds().unwrap_or(-1),
        destination: mapping.destination_config().and_then(|c| c.on_failure()?.destination()).map(str::to_owned),
        bisects: mapping.bisect_batch_on_function_error().unwrap_or(false),
        reports_failures: mapping.function_response_types().contains(&FunctionResponseType::ReportBatchItemFailures),
        factor: number(mapping.parallelization_factor(), 1).max(1),
        window_seconds: number(mapping.maximum_batching_window_in_seconds(), 0),
        timeout_seconds,
        reserved_concurrency,
        metrics,
    }
}

/// The name of the registered consumer in an ARN: `…:stream/NAME/consumer/NAME:TIME`.
fn consumer_of(arn: &str) -> Option<String> {
    let (_, consumer) = arn.split_once("/consumer/")?;
    Some(consumer.split(':').next().unwrap_or(consumer).to_owned())
}

async fn timeout(clients: &Clients, pace: &Pace<Machine>, arn: &str) -> Read<u32> {
    const ACTION: &str = "lambda:GetFunctionConfiguration";
    pace.turn().await;
    let answer = clients.lambda.get_function_configuration().function_name(arn).send().await;
    let timeout = answer.map_err(|e| unread(ACTION, e))?.timeout();
    let why = || Unread { action: ACTION, why: "AWS gave no timeout".into(), is_denied: false };
    timeout.and_then(|seconds| seconds.try_into().ok()).ok_or_else(why)
}

async fn reserved(clients: &Clients, pace: &Pace<Machine>, name: &str) -> Read<Option<u32>> {
    pace.turn().await;
    let answer = clients.lambda.get_function_concurrency().function_name(name).send().await;
    let answer = answer.map_err(|e| unread("lambda:GetFunctionConcurrency", e))?;
    Ok(answer.reserved_concurrent_executions().and_then(|n| n.try_into().ok()))
}

async fn metrics(clients: &Clients, name: String, now: DateTime<Utc>) -> Read<LambdaMetrics> {
    let of_function = || vec![("FunctionName", name.clone())];
    let query = |(metric, statistic)| Query { namespace: NAMESPACE, metric, statistic, dimensions: of_function() };
    let hour = TimeDelta::hours(1);
    let this_hour = now.duration_trunc(hour).unwrap_or(now);
    let window = (this_hour - TimeDelta::days(14), this_hour + hour);
    // The hour that has begun is not whole.
    let is_of_ages = |time: &DateTime<Utc>| (this_hour - hour * AGE_HOURS as i32..this_hour).contains(time);
    let (mut metrics, mut ages) = (LambdaMetrics::default(), BTreeMap::new());
    read(&clients.cloudwatch, &METRICS.map(query), 3_600, window, |place, time, value| match place {
        0 => metrics.invocations += value,
        1 => metrics.errors += value,
        2 => {
            metrics.throttles += value;
            metrics.throttles_of_ages += if is_of_ages(&time) { value } else { 0.0 };
        }
        3 => metrics.longest_p95_ms = metrics.longest_p95_ms.max(value),
        4 => metrics.batches += value,
        _ => {
            if is_of_ages(&time) {
                ages.insert(time, value);
            }
            if time >= this_hour - hour {
                let newest = metrics.newest_age_ms.map_or(value, |age| age.max(value));
                metrics.newest_age_ms = Some(newest);
            }
        }
    })
    .await?;
    metrics.ages_ms = ages.into_values().collect();
    Ok(metrics)
}
