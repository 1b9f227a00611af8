//! What the checks use: one stream as the doctor read it.

use super::extras::{Key, Leases, OnDemandCost, Rights, Sample, ThrottledCalls};
use crate::observation::{Commitment, Limits, Shard, Stream};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A read, or why AWS did not answer it.
pub type Read<T> = Result<T, Unread>;

/// A read that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The IAM action of the call, such as `kinesis:ListShards`.
    pub action: &'static str,
    /// The error of the call.
    pub why: String,
    /// Whether AWS denied the call, so that a permission mends it.
    pub is_denied: bool,
}

/// One stream as the doctor read it.
#[derive(Clone, Debug)]
pub struct Readings {
    /// When the doctor began to read.
    pub read_at: DateTime<Utc>,
    /// The stream's summary.
    pub stream: Stream,
    /// The stream's tags.
    pub tags: Read<BTreeMap<String, String>>,
    /// The last 14 days by the hour.
    pub hours: Read<Series>,
    /// The last 3 hours by the minute.
    pub minutes: Read<Series>,
    /// The load of the last 14 days by the minute, without the other metrics. `None`: no check proposes fewer shards by
    /// the hour, so the doctor did not ask.
    pub all_minutes: Option<Read<Series>>,
    /// The open shards. Their traffic is not read.
    pub shards: Read<Vec<Shard>>,
    /// The fewest and the most shards that the stream may have had before now, while [`minutes`](Self::minutes) last.
    /// `None`: nothing was refused or read in them, so the doctor did not ask.
    pub shards_then: Option<Read<RangeInclusive<u32>>>,
    /// The registered consumers, with the events that they received.
    pub consumers: Read<Vec<Consumer>>,
    /// The alarms of the account and region on metrics of `AWS/Kinesis`.
    pub alarms: Read<Vec<Alarm>>,
    /// The stream's key. `None`: the stream is not encrypted, or AWS manages the key.
    pub key: Read<Option<Key>>,
    /// The mappings of Lambda functions to the stream and to its registered consumers.
    pub lambdas: Read<Vec<LambdaReader>>,
    /// The concurrency that all functions of the account without a reservation share.
    pub unreserved_concurrency: Read<u32>,
    /// How much of it the functions need that read the other streams of this run. 0: there are none, or the run is of
    /// one stream.
    pub unreserved_elsewhere: u32,
    /// The limits of the account.
    pub limits: Read<Limits>,
    /// Whether the account has the throughput commitment.
    pub commitment: Read<Commitment>,
    /// Whether a stack of unthrottle has rules or schedules in the account and region.
    pub is_deployed: Read<bool>,
    /// The actions of unthrottle that the role of its function may not take. Empty: none, or there is no function.
    pub denied_actions: Read<Vec<String>>,
    /// The throttled calls of the control plane.
    pub throttled_calls: Read<ThrottledCalls>,
    /// What all on-demand streams of this run cost together. `None`: not all of the account were read.
    pub on_demand: Option<OnDemandCost>,
    /// Some records of the stream. `None`: the doctor was not asked to read records.
    pub sample: Option<Read<Sample>>,
    /// The rights of a role. `None`: the doctor was not asked about one.
    pub rights: Option<Read<Rights>>,
    /// The leases of an application of the KCL. `None`: the doctor was not asked about one.
    pub leases: Option<Read<Leases>>,
}

/// A consumer that is registered for enhanced fan-out.
#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    /// The name.
    pub name: String,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// The events that it received in the last seven days (SubscribeToShardEvent.Success, SampleCount).
    pub events: f64,
    /// Its subscriptions that AWS refused in the last seven days (SubscribeToShard.RateExceeded, Sum).
    pub refused: f64,
    /// How far it was behind in the newest minutes, in milliseconds (SubscribeToShardEvent.MillisBehindLatest,
    /// Maximum). `None`: it received no event in them.
    pub behind_ms: Option<f64>,
}

/// A Lambda function that reads the stream: an event source mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct LambdaReader {
    /// The name of the function, with its alias or version if the mapping has one.
    pub function: String,
    /// The id of the mapping.
    pub uuid: String,
    /// The registered consumer that the mapping reads. `None`: it shares the throughput of the shards.
    pub consumer: Option<String>,
    /// Whether another mapping of the function reads a stream, too. CloudWatch counts the batches of all together.
    pub has_other_streams: bool,
    /// Whether the mapping filters records (FilterCriteria).
    pub filters: bool,
    /// AWS's `State`, such as `Enabled`.
    pub state: String,
    /// AWS's `LastProcessingResult`, such as `OK`. `None`: AWS gave none.
    pub last_result: Option<String>,
    /// How often a failed batch is tried again. -1: until its records expire.
    pub max_retries: i32,
    /// The age from which a record is not tried any more, in seconds. -1: until it expires.
    pub max_age_seconds: i32,
    /// The ARN of the destination of batches that are given up. `None`: they are lost.
    pub destination: Option<String>,
    /// Whether a failed batch is split in two (BisectBatchOnFunctionError).
    pub bisects: bool,
    /// Whether the function says which records failed (ReportBatchItemFailures).
    pub reports_failures: bool,
    /// Batches of one shard at the same time, 1–10 (ParallelizationFactor).
    pub factor: u32,
    /// How long to collect records for a batch, in seconds (MaximumBatchingWindowInSeconds).
    pub window_seconds: u32,
    /// The timeout of the function, in seconds.
    pub timeout_seconds: Read<u32>,
    /// The reserved concurrency of the function. `None`: it has none.
    pub reserved_concurrency: Read<Option<u32>>,
    /// The metrics of the function, of all its aliases and versions together.
    pub metrics: Read<LambdaMetrics>,
}

impl LambdaReader {
    /// Whether the mapping is not about to end. One that a person deletes has nothing to mend.
    pub(super) fn stays(&self) -> bool {
        self.state != "Deleting"
    }

    /// Whether the mapping takes throughput of the stream: one that is disabled does not.
    pub(super) fn reads(&self) -> bool {
        self.stays() && !self.state.starts_with("Disabl")
    }
}

/// 14 days of the metrics of a function (`AWS/Lambda`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LambdaMetrics {
    /// Invocations, by all callers.
    pub invocations: f64,
    /// Batches of records that came from streams (IteratorAge, SampleCount).
    pub batches: f64,
    /// Invocations that ended in an error.
    pub errors: f64,
    /// Invocations that were throttled.
    pub throttles: f64,
    /// The highest 95th percentile of an hour's durations, in milliseconds.
    pub longest_p95_ms: f64,
    /// The largest iterator age of each of the last whole hours, in milliseconds, the oldest first.
    pub ages_ms: Vec<f64>,
    /// Invocations that were throttled in those hours.
    pub throttles_of_ages: f64,
    /// The largest iterator age since the last whole hour began, in milliseconds. `None`: no batch came since then.
    pub newest_age_ms: Option<f64>,
}

/// An alarm on a metric of `AWS/Kinesis`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// The name of the alarm.
    pub name: String,
    /// The metric, such as `GetRecords.IteratorAgeMilliseconds`.
    pub metric: String,
    /// The stream. `None`: a Metrics Insights query over all streams.
    pub stream: Option<String>,
    /// Whether its actions are enabled.
    pub is_enabled: bool,
    /// Whether it has an action for the state ALARM, or a composite alarm with one names it.
    pub has_action: bool,
}

impl Alarm {
    /// Whether a person learns of the state ALARM.
    pub(super) fn acts(&self) -> bool {
        self.is_enabled && self.has_action
    }

    /// Whether the alarm watches this metric of this stream.
    pub(super) fn watches(&self, stream: &str, metrics: &[&str]) -> bool {
        metrics.contains(&self.metric.as_str()) && self.stream.as_deref().is_none_or(|name| name == stream)
    }
}

/// The metrics of a stream, period by period. A period without a datapoint had no traffic.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The length of a period, in seconds.
    pub period_seconds: f64,
    /// The length of the whole series, in seconds. It begins with the stream if the stream is younger.
    pub window_seconds: f64,
    /// The periods with datapoints, by their first second.
    pub points: BTreeMap<DateTime<Utc>, Point>,
}

/// The metrics of a stream in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Accepted bytes (IncomingBytes, Sum).
    pub incoming_bytes: f64,
    /// Accepted records (IncomingRecords, Sum).
    pub incoming_records: f64,
    /// Refused records (WriteProvisionedThroughputExceeded, Sum).
    pub write_throttled: f64,
    /// Records written by PutRecord (PutRecord.Bytes, SampleCount).
    pub put_record_count: f64,
    /// The largest record written by PutRecord, in bytes (PutRecord.Bytes, Maximum).
    pub largest_record_bytes: f64,
    /// Records in PutRecords calls (PutRecords.TotalRecords, Sum).
    pub batched_records: f64,
    /// PutRecords calls (PutRecords.TotalRecords, SampleCount).
    pub batches: f64,
    /// Records that failed inside AWS (PutRecords.FailedRecords, Sum).
    pub failed_records: f64,
    /// Refused GetRecords calls (ReadProvisionedThroughputExceeded, Sum).
    pub read_throttled: f64,
    /// Bytes that GetRecords returned (GetRecords.Bytes, Sum).
    pub get_records_bytes: f64,
    /// Answered GetRecords calls (GetRecords.Bytes, SampleCount).
    pub get_records_calls: f64,
    /// The age of the oldest record that a reader had not read, in milliseconds (GetRecords.IteratorAgeMilliseconds,
    /// Maximum).
    pub iterator_age_ms: Option<f64>,
}
