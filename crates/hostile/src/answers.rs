//! Any answer of CloudWatch to the handler of the Lambda, by the AWS SDK. Kinesis answers well, about a stream of two
//! shards without tags.

use crate::stream::{arn, home, is_safe, now};
use arbitrary::{Arbitrary, Unstructured};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::config::{AsyncSleep, Credentials, SharedAsyncSleep, SharedCredentialsProvider, Sleep};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use chrono::{DateTime, Utc};
use ciborium::Value as Cbor;
use serde_json::json;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use unthrottle::aws::Clients;
use unthrottle::handler::Handler;
use unthrottle_core::clock::{Clock, Wait};
use unthrottle_core::policy::Policy;
use unthrottle_core::signal::Signal;

/// Input that begins with this byte is the choice of series. Other input is CloudWatch's answer itself.
const CHOICE: u8 = 0;

/// The major type of a map, in the three highest bits of the first byte of CBOR (RFC 8949, section 3).
const MAP: u8 = 5;

/// The calls of Kinesis that change capacity.
const CHANGES: [&str; 5] =
    ["UpdateShardCount", "SplitShard", "UpdateStreamMode", "UpdateStreamWarmThroughput", "EnableEnhancedMonitoring"];

/// What CloudWatch answers, and the calls so far.
#[derive(Clone, Debug, Default)]
struct Aws(Arc<Mutex<(Vec<u8>, Vec<String>)>>);

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").and_then(|target| target.split_once('.'));
        let by_path = request.uri().rsplit('/').next().unwrap_or_default();
        let operation = target.map_or(by_path, |(_, operation)| operation).to_owned();
        let mut aws = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let body = match operation.as_str() {
            "GetMetricData" => aws.0.clone(),
            "PutMetricData" => vec![0xa0],
            operation => kinesis(operation).to_string().into_bytes(),
        };
        aws.1.push(operation);
        let mut answer = HttpResponse::new(StatusCode::try_from(200).expect("a status"), SdkBody::from(body));
        if target.is_none() {
            answer.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
        }
        HttpConnectorFuture::ready(Ok(answer))
    }
}

fn kinesis(operation: &str) -> serde_json::Value {
    let half = 1_u128 << 127;
    let shard = |id: &str, first: u128, last: u128| {
        json!({ "ShardId": id, "SequenceNumberRange": { "StartingSequenceNumber": "1" },
            "HashKeyRange": { "StartingHashKey": first.to_string(), "EndingHashKey": last.to_string() } })
    };
    match operation {
        "DescribeStreamSummary" => json!({ "StreamDescriptionSummary": {
            "StreamName": "orders", "StreamARN": arn().to_string(), "StreamStatus": "ACTIVE",
            "StreamModeDetails": { "StreamMode": "PROVISIONED" }, "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": 1_700_000_000, "EnhancedMonitoring": [{ "ShardLevelMetrics": [] }],
            "OpenShardCount": 2, "ConsumerCount": 0 } }),
        "ListTagsForResource" => json!({ "Tags": [] }),
        "DescribeLimits" => json!({ "ShardLimit": 500, "OpenShardCount": 2, "OnDemandStreamCount": 0,
            "OnDemandStreamCountLimit": 50 }),
        "ListShards" => json!({ "Shards": [shard("shardId-000000000000", 0, half - 1),
            shard("shardId-000000000001", half, u128::MAX)] }),
        "DescribeAccountSettings" => json!({ "MinimumThroughputBillingCommitment": { "Status": "DISABLED" } }),
        "UpdateShardCount" => json!({ "StreamName": "orders", "CurrentShardCount": 2, "TargetShardCount": 3 }),
        _ => json!({}),
    }
}

/// A clock that stands.
#[derive(Debug)]
struct Standing;

impl Clock for Standing {
    fn now(&self) -> DateTime<Utc> {
        now()
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep_until(&self, _: DateTime<Utc>) -> Wait<'_> {
        Box::pin(std::future::ready(()))
    }
}

/// No pause between two attempts of the SDK, and no end of its time limits: a pause is below a second, and every limit
/// of the clients is a second or more.
#[derive(Debug)]
struct Impatient;

impl AsyncSleep for Impatient {
    fn sleep(&self, duration: Duration) -> Sleep {
        if duration < Duration::from_secs(1) {
            Sleep::new(std::future::ready(()))
        } else {
            Sleep::new(std::future::pending())
        }
    }
}

/// The runtime, and the clients of one account.
struct Rig {
    runtime: Runtime,
    clients: Clients,
    aws: Aws,
}

static RIG: LazyLock<Mutex<Rig>> = LazyLock::new(|| {
    let aws = Aws::default();
    let connector = SharedHttpConnector::new(aws.clone());
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("key", "secret", None, None, "test")))
        .sleep_impl(SharedAsyncSleep::new(Impatient))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    Mutex::new(Rig { runtime, clients: Clients::new(&config), aws })
});

/// The ids that the handler asks for, and one that it does not know.
const IDS: [&str; 13] = [
    "incoming_bytes",
    "incoming_records",
    "write_throttled",
    "put_record_bytes",
    "put_record_count",
    "read_throttled",
    "get_bytes",
    "get_calls",
    "iterator_age",
    "auto_fix",
    "fleet",
    "shards_added",
    "unknown",
];

#[derive(Arbitrary, Debug)]
struct Series {
    id: u8,
    status: u8,
    /// Minutes ago, and a value for each.
    points: Vec<(i16, Number)>,
    /// The answer has fewer values than times.
    lacks_a_value: bool,
}

#[derive(Arbitrary, Debug)]
enum Number {
    Count(u32),
    Any(f64),
    Time(f64),
}

/// An answer of the right form with any content.
fn chosen(input: &[u8]) -> arbitrary::Result<Vec<u8>> {
    let (series, token) = <(Vec<Series>, Option<String>)>::arbitrary(&mut Unstructured::new(input))?;
    let text = |text: &str| Cbor::Text(text.into());
    let results = series.iter().map(|series| {
        let time = |(ago, number): &(i16, Number)| {
            let seconds = match number {
                Number::Time(seconds) => *seconds,
                _ => now().timestamp() as f64 - 60.0 * f64::from(*ago),
            };
            Cbor::Tag(1, Box::new(Cbor::Float(seconds)))
        };
        let value = |(_, number): &(i16, Number)| match number {
            Number::Count(count) => Cbor::Float(f64::from(*count)),
            Number::Any(number) | Number::Time(number) => Cbor::Float(*number),
        };
        let status = ["Complete", "PartialData", "InternalError", "Forbidden", "x"][usize::from(series.status % 5)];
        let count = series.points.len() - usize::from(series.lacks_a_value && !series.points.is_empty());
        Cbor::Map(vec![
            (text("Id"), text(IDS[usize::from(series.id) % IDS.len()])),
            (text("Label"), text("label")),
            (text("StatusCode"), text(status)),
            (text("Timestamps"), Cbor::Array(series.points.iter().map(time).collect())),
            (text("Values"), Cbor::Array(series.points.iter().take(count).map(value).collect())),
        ])
    });
    let mut fields = vec![(text("MetricDataResults"), Cbor::Array(results.collect()))];
    fields.extend(token.map(|token| (text("NextToken"), Cbor::Text(token))));
    let mut bytes = vec![];
    ciborium::into_writer(&Cbor::Map(fields), &mut bytes).map_err(|_| arbitrary::Error::IncorrectFormat)?;
    Ok(bytes)
}

/// Whether a series of this answer has a value that is no number.
fn has_no_number(answer: &Cbor) -> bool {
    let field = |of: &Cbor, key: &str| {
        let fields = of.as_map()?.iter().rev();
        fields.into_iter().find(|(name, _)| name.as_text() == Some(key)).map(|(_, value)| value.clone())
    };
    let series = field(answer, "MetricDataResults").and_then(|all| all.into_array().ok()).unwrap_or_default();
    let mut values = series.iter().filter_map(|one| field(one, "Values")?.into_array().ok()).flatten();
    values.any(|value| value.as_float().is_some_and(|number| !number.is_finite()))
}

pub(crate) fn check(input: &[u8]) {
    let body = match input.split_first() {
        Some((&CHOICE, choice)) => chosen(choice).ok(),
        _ => Some(input.to_vec()),
    };
    let Some(body) = body else { return };
    let is_map = body.first().is_some_and(|first| first >> 5 == MAP);
    let is_unknown = ciborium::from_reader::<Cbor, _>(body.as_slice()).is_ok_and(|answer| has_no_number(&answer));
    let rig = RIG.lock().unwrap_or_else(PoisonError::into_inner);
    *rig.aws.0.lock().unwrap_or_else(PoisonError::into_inner) = (body, vec![]);
    let handler = Handler::new(rig.clients.clone(), Policy::default()).on(Standing);
    let reply = rig.runtime.block_on(handler.run(&Signal::Sweep(arn()), &home()));
    let calls = std::mem::take(&mut rig.aws.0.lock().unwrap_or_else(PoisonError::into_inner).1);
    let changes: Vec<usize> = (0..calls.len()).filter(|at| CHANGES.contains(&calls[*at].as_str())).collect();
    assert!(changes.len() <= 1, "more than one change: {calls:?}");
    if let Some(at) = changes.first() {
        assert!(is_map && reply.is_ok(), "an answer that cannot be read made a change: {calls:?}");
        assert!(calls[..*at].iter().any(|call| call == "TagResource"), "a change without an intent: {calls:?}");
    }
    assert!(!is_unknown || reply.is_err(), "a value that is no number was taken for one: {calls:?}");
    if let Ok(reply) = reply {
        is_safe(&reply.document);
    }
}
