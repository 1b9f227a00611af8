//! The Lambda functions that read streams: `ListEventSourceMappings` once for all streams, and for each function of a
//! stream its timeout and its concurrency. One `GetMetricData` has 14 days of the metrics of all these functions.

use super::account::Account;
use super::metrics::{Query, read_each};
use super::unread::unread;
use crate::doctor::clients::Clients;
use crate::doctor::pace::{Machine, Pace};
use aws_sdk_lambda::types::{EventSourceMappingConfiguration, FunctionResponseType};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use unthrottle_core::checks::{LambdaMetrics, LambdaReader, Read, Unread, unqualified};
use unthrottle_core::observation::Stream;

const NAMESPACE: &str = "AWS/Lambda";
const LIST: &str = "lambda:ListEventSourceMappings";

/// Hours in which an age must have grown: the last whole ones. A single slow hour is no trend.
const AGE_HOURS: i64 = 4;

/// The metrics of a function, in the order of their values in [`put`].
pub(super) const METRICS: [(&str, &str); 6] = [
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
        let page = page.map_err(|e| unread(LIST, e))?;
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
    let functions = Functions::read(clients, &account.functions, of_stream, now).await;
    let has_others = |name: &str| mappings.to_streams.get(name).is_some_and(|mappings| *mappings > 1);
    let readers = of_stream.iter().map(|mapping| reader(mapping, &functions, has_others));
    Ok(readers.collect())
}

/// What belongs to the functions of some mappings, and not to the mappings. Each is read once.
struct Functions {
    /// By the ARN of the mapping, because an alias keeps the timeout of its version.
    timeouts: BTreeMap<String, Read<u32>>,
    /// By the name of the function.
    reserved: BTreeMap<String, Read<Option<u32>>>,
    /// By the name of the function.
    metrics: BTreeMap<String, Read<LambdaMetrics>>,
}

impl Functions {
    async fn read(
        clients: &Clients,
        pace: &Pace<Machine>,
        mappings: &[EventSourceMappingConfiguration],
        now: DateTime<Utc>,
    ) -> Functions {
        let arns: BTreeSet<&str> = mappings.iter().filter_map(|mapping| mapping.function_arn()).collect();
        let names = mappings.iter().map(|mapping| unqualified(&function_of(mapping)).to_owned());
        let names: Vec<String> = names.collect::<BTreeSet<_>>().into_iter().collect();
        let (timeouts, reserved, metrics) = tokio::join!(
            join_all(arns.into_iter().map(|arn| async move { (arn.to_owned(), timeout(clients, pace, arn).await) })),
            join_all(names.iter().map(|name| async move { (name.clone(), reserved(clients, pace, name).await) })),
            metrics(clients, &names, now),
        );
        let (timeouts, reserved) = (timeouts.into_iter().collect(), reserved.into_iter().collect());
        Functions { timeouts, reserved, metrics: names.iter().cloned().zip(metrics).collect() }
    }
}

/// The answer for this function. A mapping has a function, whatever AWS leaves out.
fn of<T: Clone>(reads: &BTreeMap<String, Read<T>>, function: &str) -> Read<T> {
    let unread = Unread { action: LIST, why: "AWS named no function".into(), is_denied: false };
    reads.get(function).cloned().unwrap_or(Err(unread))
}

/// The function of a mapping, with its alias or version: arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME or
/// …:NAME:ALIAS
fn function_of(mapping: &EventSourceMappingConfiguration) -> String {
    let arn = mapping.function_arn().unwrap_or_default();
    arn.splitn(7, ':').nth(6).unwrap_or(arn).to_owned()
}

/// The reader of a mapping. `has_others`: whether the function of this name has further mappings.
fn reader(
    mapping: &EventSourceMappingConfiguration,
    functions: &Functions,
    has_others: impl Fn(&str) -> bool,
) -> LambdaReader {
    let function = function_of(mapping);
    let name = unqualified(&function);
    let number = |number: Option<i32>, default: u32| number.and_then(|n| n.try_into().ok()).unwrap_or(default);
    LambdaReader {
        uuid: mapping.uuid().unwrap_or_default().to_owned(),
        consumer: mapping.event_source_arn().and_then(consumer_of),
        has_other_streams: has_others(name),
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
        timeout_seconds: of(&functions.timeouts, mapping.function_arn().unwrap_or_default()),
        reserved_concurrency: of(&functions.reserved, name),
        metrics: of(&functions.metrics, name),
        function,
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

/// 14 days of the metrics of these functions, in their order. A series that CloudWatch could not read leaves its
/// function unread.
async fn metrics(clients: &Clients, functions: &[String], now: DateTime<Utc>) -> Vec<Read<LambdaMetrics>> {
    let of_function = |name: &String| {
        let dimensions = vec![("FunctionName", name.clone())];
        METRICS.map(|(metric, statistic)| Query {
            namespace: NAMESPACE,
            metric,
            statistic,
            dimensions: dimensions.clone(),
        })
    };
    let queries: Vec<Query> = functions.iter().flat_map(of_function).collect();
    let hour = TimeDelta::hours(1);
    let this_hour = now.duration_trunc(hour).unwrap_or(now);
    let window = (this_hour - TimeDelta::days(14), this_hour + hour);
    let mut all = vec![Hours::default(); functions.len()];
    let put = |place: usize, time, value| all[place / METRICS.len()].put(place % METRICS.len(), time, value, this_hour);
    let failed = match read_each(&clients.cloudwatch, &queries, 3_600, window, put).await {
        Ok(failed) => failed,
        Err(unread) => return vec![Err(unread); functions.len()],
    };
    let mut read: Vec<Read<LambdaMetrics>> = all.into_iter().map(|hours| Ok(hours.metrics())).collect();
    for (place, unread) in failed {
        read[place / METRICS.len()] = Err(unread);
    }
    read
}

/// The metrics of a function, with its ages by the hour.
#[derive(Clone, Default)]
struct Hours {
    metrics: LambdaMetrics,
    ages: BTreeMap<DateTime<Utc>, f64>,
}

impl Hours {
    /// Adds a value of the metric at this place of [`METRICS`]. `this_hour`: the hour that has begun, which is not
    /// whole.
    fn put(&mut self, place: usize, time: DateTime<Utc>, value: f64, this_hour: DateTime<Utc>) {
        let (metrics, hour) = (&mut self.metrics, TimeDelta::hours(1));
        let is_of_ages = (this_hour - hour * AGE_HOURS as i32..this_hour).contains(&time);
        match place {
            0 => metrics.invocations += value,
            1 => metrics.errors += value,
            2 => {
                metrics.throttles += value;
                metrics.throttles_of_ages += if is_of_ages { value } else { 0.0 };
            }
            3 => metrics.longest_p95_ms = metrics.longest_p95_ms.max(value),
            4 => metrics.batches += value,
            _ => {
                if is_of_ages {
                    self.ages.insert(time, value);
                }
                if time >= this_hour - hour {
                    metrics.newest_age_ms = Some(metrics.newest_age_ms.map_or(value, |age| age.max(value)));
                }
            }
        }
    }

    fn metrics(self) -> LambdaMetrics {
        LambdaMetrics { ages_ms: self.ages.into_values().collect(), ..self.metrics }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::read::fake::Fake;
    use unthrottle_lab::local::{LocalAccount, Options};

    const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function";

    /// Lambda with these functions.
    async fn lambda() -> Fake {
        Fake::start(|request| {
            let path = request.split(' ').nth(1).unwrap_or_default();
            if path.ends_with("/concurrency") {
                return r#"{"ReservedConcurrentExecutions":7}"#.into();
            }
            format!(r#"{{"Timeout":{}}}"#, if path.contains("live") { 60 } else { 30 })
        })
        .await
    }

    fn mapping(function: &str) -> EventSourceMappingConfiguration {
        EventSourceMappingConfiguration::builder().function_arn(format!("{ARN}:{function}")).build()
    }

    /// A function may have a mapping for the shards and one for a consumer, and an alias has a timeout of its own.
    #[tokio::test]
    async fn each_function_is_read_once_and_the_metrics_of_all_take_one_call() {
        let account = LocalAccount::start(Options::default()).await.expect("a free port");
        let fake = lambda().await;
        let mut clients = Clients::new(&crate::aws::local_config(account.url()));
        clients.lambda = aws_sdk_lambda::Client::new(&crate::aws::local_config(&fake.url));
        let now = account.now();
        for (function, errors) in [("f", 3.0), ("g", 5.0)] {
            let dimensions = [("FunctionName", function)];
            account.put_metric(NAMESPACE, "Errors", &dimensions, now - TimeDelta::hours(2), errors);
        }
        let pace = Pace::new(Machine::new(), 1_000);
        let mappings = ["f", "f", "f:live", "g"].map(mapping);
        let functions = Functions::read(&clients, &pace, &mappings, now).await;
        let readers: Vec<LambdaReader> = mappings.iter().map(|of| reader(of, &functions, |name| name == "f")).collect();
        let errors = readers.iter().map(|reader| reader.metrics.as_ref().map(|metrics| metrics.errors));
        assert_eq!(errors.collect::<Vec<_>>(), [Ok(3.0), Ok(3.0), Ok(3.0), Ok(5.0)]);
        let timeouts: Vec<_> = readers.iter().map(|reader| reader.timeout_seconds.clone()).collect();
        assert_eq!(timeouts, [Ok(30), Ok(30), Ok(60), Ok(30)]);
        assert!(readers.iter().all(|reader| reader.reserved_concurrency == Ok(Some(7))), "{readers:#?}");
        assert_eq!(
            readers.iter().map(|reader| reader.has_other_streams).collect::<Vec<_>>(),
            [true, true, true, false]
        );
        let of = |end: &str| fake.requests().iter().filter(|request| request.contains(end)).count();
        assert_eq!((of("/configuration"), of("/concurrency")), (3, 2), "{:?}", fake.requests());
        assert_eq!(account.calls().get("CloudWatch.GetMetricData"), Some(&1));
    }
}
