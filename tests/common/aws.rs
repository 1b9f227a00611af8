//! AWS as a person sees it through the SDKs: the state of a stream, its traffic, and the metric `AutoFix`.

#![allow(dead_code, reason = "each test binary uses its part")]

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudwatch::types as cw;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ScalingType, StreamDescriptionSummary, StreamStatus};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use unthrottle_core::memory::{Memory, TAG};
use unthrottle_lab::local::LocalAccount;

pub const STREAM: &str = "orders";
pub const STREAM_ARN: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/orders";

/// The longest wait for any state: a bound, and no pace. The changes of the emulators take a few seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// The time between two observations of a stream: AWS allows 20 DescribeStreamSummary calls a second in an account.
const BETWEEN_OBSERVATIONS: Duration = Duration::from_millis(150);

/// What a producer offers in a second, in records of 100 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub accepted: f64,
    pub throttled: f64,
}

/// 3,000 records a second offered to two shards: four carry it at 75 %.
pub const TOO_MUCH_FOR_TWO: Load = Load { accepted: 2000.0, throttled: 1000.0 };
pub const EASY: Load = Load { accepted: 500.0, throttled: 0.0 };

const RECORD_BYTES: usize = 100;

pub struct Aws {
    pub kinesis: aws_sdk_kinesis::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// `None`: another emulator, which goes by the machine's clock.
    local: Option<LocalAccount>,
}

impl Aws {
    pub fn at(url: &str) -> Aws {
        let config = config(url).into_builder().retry_config(RetryConfig::disabled()).build();
        Aws {
            kinesis: aws_sdk_kinesis::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            local: None,
        }
    }

    /// A local account.
    pub fn of(account: &LocalAccount) -> Aws {
        Aws { local: Some(account.clone()), ..Aws::at(account.url()) }
    }

    /// The time in the account.
    pub fn now(&self) -> DateTime<Utc> {
        self.local.as_ref().map_or_else(Utc::now, LocalAccount::now)
    }

    /// Lets a change come closer to its end. A clock that stands advances. In a local account on the machine's clock
    /// the change ends at once. Another emulator takes its own time.
    async fn moment(&self) {
        match &self.local {
            Some(account) if account.clock().advance(BETWEEN_OBSERVATIONS).is_ok() => {}
            Some(account) => account.finish_changes().await,
            None => tokio::time::sleep(BETWEEN_OBSERVATIONS).await,
        }
    }

    /// Creates the stream, and waits until it is ACTIVE.
    pub async fn create(&self, stream: &str, shards: i32) {
        let create = self.kinesis.create_stream().stream_name(stream).shard_count(shards);
        create.send().await.expect("created");
        self.active(stream).await;
    }

    pub async fn summary(&self, stream: &str) -> StreamDescriptionSummary {
        let answer = self.kinesis.describe_stream_summary().stream_name(stream).send().await;
        answer.expect("a stream").stream_description_summary.expect("a summary")
    }

    /// Waits until the stream is ACTIVE.
    pub async fn active(&self, stream: &str) -> StreamDescriptionSummary {
        let observe = async {
            loop {
                let summary = self.summary(stream).await;
                if summary.stream_status == StreamStatus::Active {
                    return summary;
                }
                self.moment().await;
            }
        };
        tokio::time::timeout(PATIENCE, observe).await.expect("the change ends")
    }

    /// A reshard by another operator; the error is AWS's code.
    pub async fn reshard(&self, stream: &str, to: i32) -> Result<(), String> {
        let update = self.kinesis.update_shard_count().stream_name(stream).target_shard_count(to);
        let answer = update.scaling_type(ScalingType::UniformScaling).send().await;
        answer.map(|_| ()).map_err(|error| error.code().expect("an answer").to_owned())
    }

    /// Offers `per_second` records of 10 KiB with these hash keys in each of `seconds` seconds of the account's clock,
    /// which must stand. Gives the number of accepted and of throttled records. `per_second` is at most 500, the limit
    /// of a call.
    pub async fn offer(
        &self,
        stream: &str,
        per_second: usize,
        seconds: usize,
        hash_key: impl Fn(usize) -> u128,
    ) -> (usize, usize) {
        let clock = self.local.as_ref().expect("a local account").clock();
        let (mut accepted, mut throttled) = (0, 0);
        for second in 0..seconds {
            let record = |n: usize| {
                let entry = PutRecordsRequestEntry::builder().partition_key("key").data(Blob::new([b'x'; 10 * 1024]));
                entry.explicit_hash_key(hash_key(n).to_string()).build().expect("complete")
            };
            let records = (second * per_second..(second + 1) * per_second).map(record).collect();
            let put = self.kinesis.put_records().stream_name(stream).set_records(Some(records));
            let refused = put.send().await.expect("an answer").failed_record_count.unwrap_or_default() as usize;
            accepted += per_second - refused;
            throttled += refused;
            clock.advance(Duration::from_secs(1)).expect("a clock that stands");
        }
        (accepted, throttled)
    }

    pub async fn tag(&self, stream_arn: &str, key: &str, value: &str) {
        let tag = self.kinesis.tag_resource().resource_arn(stream_arn).tags(key, value);
        tag.send().await.expect("tagged");
    }

    pub async fn tags(&self, stream_arn: &str) -> BTreeMap<String, String> {
        let answer = self.kinesis.list_tags_for_resource().resource_arn(stream_arn).send().await.expect("tags");
        let tags = answer.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().unwrap_or_default().to_owned()));
        tags.collect()
    }

    /// The memory of the stream.
    pub async fn memory(&self, stream_arn: &str) -> Option<Memory> {
        let tags = self.tags(stream_arn).await;
        tags.get(TAG).map(|text| Memory::parse(text).expect("a memory that can be read"))
    }

    /// The sum of AutoFix in the last day and the coming hour, by minute, with exactly these dimensions.
    pub async fn auto_fixes(&self, dimensions: &[(&str, &str)]) -> Vec<(DateTime<Utc>, f64)> {
        self.counts("AutoFix", dimensions).await
    }

    /// The same of another metric of unthrottle.
    pub async fn counts(&self, metric: &str, dimensions: &[(&str, &str)]) -> Vec<(DateTime<Utc>, f64)> {
        let dimensions =
            dimensions.iter().map(|(name, value)| cw::Dimension::builder().name(*name).value(*value).build());
        let metric = cw::Metric::builder().namespace("Unthrottle").metric_name(metric);
        let metric = metric.set_dimensions(Some(dimensions.collect())).build();
        let stat = cw::MetricStat::builder().metric(metric).period(60).stat("Sum").build();
        let query = cw::MetricDataQuery::builder().id("m1").metric_stat(stat).build();
        let now = self.now().duration_trunc(TimeDelta::minutes(1)).expect("in range");
        let time = |at: DateTime<Utc>| aws_sdk_cloudwatch::primitives::DateTime::from_secs(at.timestamp());
        let get = self.cloudwatch.get_metric_data().metric_data_queries(query);
        let get = get.start_time(time(now - TimeDelta::days(1))).end_time(time(now + TimeDelta::hours(1)));
        let answer = get.send().await.expect("metric data");
        let [result] = answer.metric_data_results() else { panic!("one query, one result: {answer:?}") };
        let minutes = result.timestamps().iter();
        let minutes = minutes.map(|t| DateTime::from_timestamp(t.secs(), 0).expect("in range"));
        minutes.zip(result.values().iter().copied()).collect()
    }

    /// How many changes CloudWatch has counted with exactly these dimensions.
    pub async fn auto_fix(&self, dimensions: &[(&str, &str)]) -> f64 {
        self.auto_fixes(dimensions).await.into_iter().map(|(_, sum)| sum).sum()
    }
}

/// The configuration for SDK clients of the account at `url`. It does not depend on the environment.
pub fn config(url: &str) -> SdkConfig {
    let credentials = Credentials::new("key", "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// Where clocks that stand begin: a whole hour.
pub fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_176_000, 0).expect("in range")
}

/// The `AWS/Kinesis` datapoints of a load that lasted `minutes` whole minutes before `now`: metric, time and value.
pub fn datapoints(load: Load, minutes: i64, now: DateTime<Utc>) -> Vec<(&'static str, DateTime<Utc>, f64)> {
    let now = now.duration_trunc(TimeDelta::minutes(1)).expect("in range");
    let of_minute = |ago: i64| {
        let at = now - TimeDelta::minutes(ago);
        let records = load.accepted * 60.0;
        [
            ("IncomingRecords", at, records),
            ("IncomingBytes", at, records * RECORD_BYTES as f64),
            ("WriteProvisionedThroughputExceeded", at, load.throttled * 60.0),
        ]
    };
    (1..=minutes).flat_map(of_minute).collect()
}

/// The root of the workspace. The tests of three packages include this file.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).expect("a workspace")
}

/// The sample event of this name in `events/`.
pub fn sample(name: &str) -> Value {
    let path = root().join("events").join(name).with_extension("json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
