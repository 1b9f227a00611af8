//! An account whose clock stands at noon until a test moves it, and the SDK clients that the Lambda and the command
//! line use. No client tries a call again.

use crate::aws::{config, noon};
use aws_sdk_cloudwatch::types as cw;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    PutRecordsRequestEntry, ScalingType, ShardIteratorType, StreamDescriptionSummary, StreamMode, StreamModeDetails,
    StreamStatus,
};
use chrono::{DateTime, TimeDelta, Utc};
use std::fmt::Debug;
use std::time::Duration;
use unthrottle_lab::local::{Clock, Effect, Fault, LocalAccount, Options};

/// The longest wait for an event: a bound, and no pace.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct LocalFixture {
    pub account: LocalAccount,
    pub kinesis: aws_sdk_kinesis::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub tagging: aws_sdk_resourcegroupstagging::Client,
    pub sns: aws_sdk_sns::Client,
    pub eventbridge: aws_sdk_eventbridge::Client,
    pub scheduler: aws_sdk_scheduler::Client,
}

/// The clock stands at noon.
pub fn still() -> Options {
    Options { clock: Clock::standing_at(noon()), ..Options::default() }
}

impl LocalFixture {
    pub async fn new() -> LocalFixture {
        LocalFixture::with(still()).await
    }

    pub async fn with(options: Options) -> LocalFixture {
        let account = LocalAccount::start(options).await.expect("a free port");
        let config = config(account.url()).into_builder().retry_config(RetryConfig::disabled()).build();
        LocalFixture {
            kinesis: aws_sdk_kinesis::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            tagging: aws_sdk_resourcegroupstagging::Client::new(&config),
            sns: aws_sdk_sns::Client::new(&config),
            eventbridge: aws_sdk_eventbridge::Client::new(&config),
            scheduler: aws_sdk_scheduler::Client::new(&config),
            account,
        }
    }

    pub async fn stream(&self, name: &str, shards: i32) {
        let create = self.kinesis.create_stream().stream_name(name);
        create.shard_count(shards).send().await.expect("created");
        self.active(name).await;
    }

    pub async fn on_demand_stream(&self, name: &str) {
        let create = self.kinesis.create_stream().stream_name(name);
        let create = create.stream_mode_details(mode(StreamMode::OnDemand));
        create.send().await.expect("created");
        self.active(name).await;
    }

    pub async fn summary(&self, name: &str) -> StreamDescriptionSummary {
        let describe = self.kinesis.describe_stream_summary();
        let answer = describe.stream_name(name).send().await.expect("a stream");
        answer.stream_description_summary.expect("a summary")
    }

    /// Lets the time of a change pass, slowly enough for DescribeStreamSummary's 20 calls a second.
    pub async fn active(&self, name: &str) {
        while self.summary(name).await.stream_status != StreamStatus::Active {
            self.pass(Duration::from_millis(500));
        }
    }

    pub fn pass(&self, time: Duration) {
        self.account.clock().advance(time).expect("a clock that stands");
    }

    /// The current minute of the epoch.
    pub fn minute(&self) -> i64 {
        self.account.now().timestamp() / 60
    }

    /// Puts a sample into a metric, now.
    pub fn put_metric(&self, namespace: &str, name: &str, dimensions: &[(&str, &str)], value: f64) {
        self.account.put_metric(namespace, name, dimensions, self.account.now(), value);
    }

    pub async fn reshard(&self, name: &str, target: i32) -> Result<(i32, i32), (String, String)> {
        let update = self.kinesis.update_shard_count().stream_name(name);
        let update = update.target_shard_count(target);
        let answer = update.scaling_type(ScalingType::UniformScaling).send().await;
        let answer = answer.map_err(code_and_message)?;
        assert_eq!(answer.stream_arn.as_deref(), Some(self.account.stream_arn(name).as_str()));
        let counts = (answer.current_shard_count, answer.target_shard_count);
        Ok((counts.0.unwrap_or(-1), counts.1.unwrap_or(-1)))
    }

    pub async fn switch(&self, name: &str, to: StreamMode) -> Result<(), (String, String)> {
        let update = self.kinesis.update_stream_mode();
        let update = update.stream_arn(self.account.stream_arn(name));
        let answer = update.stream_mode_details(mode(to)).send().await;
        answer.map(|_| ()).map_err(code_and_message)
    }

    /// Puts this many one-byte records with one-byte keys; returns how many were throttled.
    pub async fn put(&self, name: &str, key: &str, records: usize) -> usize {
        let put = self.kinesis.put_records().stream_name(name);
        let answer = put.set_records(Some(vec![record(key, 1); records])).send();
        let answer = answer.await.expect("an answer");
        answer.failed_record_count.unwrap_or_default() as usize
    }

    pub async fn tag(&self, name: &str, key: &str, value: &str) -> Result<(), (String, String)> {
        let tag = self.kinesis.tag_resource().tags(key, value);
        let answer = tag.resource_arn(self.account.stream_arn(name)).send().await;
        answer.map(|_| ()).map_err(code_and_message)
    }

    /// The statistic of a stream's metric, by minute, oldest first.
    pub async fn minutes(&self, name: &str, metric: &str, stat: &str) -> Vec<(i64, f64)> {
        let query = query("m1", metric, stat, &[("StreamName", name)]);
        self.datapoints(query, self.minute() - 60, self.minute() + 1).await
    }

    pub async fn datapoints(&self, query: cw::MetricDataQuery, from: i64, to: i64) -> Vec<(i64, f64)> {
        let get = self.cloudwatch.get_metric_data().metric_data_queries(query);
        let get = get.start_time(at(from)).end_time(at(to));
        let get = get.scan_by(cw::ScanBy::TimestampAscending);
        let answer = get.send().await.expect("metric data");
        let result = &answer.metric_data_results()[0];
        assert_eq!(result.status_code, Some(cw::StatusCode::Complete));
        points(result)
    }

    pub async fn total(&self, name: &str, metric: &str) -> f64 {
        let minutes = self.minutes(name, metric, "Sum").await;
        minutes.iter().map(|(_, value)| value).sum()
    }

    pub async fn iterator(&self, name: &str, kind: ShardIteratorType) -> Option<String> {
        let iterator = self.kinesis.get_shard_iterator().stream_name(name).shard_id("shardId-000000000000");
        iterator.shard_iterator_type(kind).send().await.expect("an iterator").shard_iterator
    }

    /// The data of the records that a reader with this iterator gets, and its next iterator.
    pub async fn read(&self, iterator: Option<String>) -> (Vec<Vec<u8>>, Option<String>) {
        let answer = self.kinesis.get_records().set_shard_iterator(iterator).send().await.expect("records");
        let data = answer.records.into_iter().map(|record| record.data.into_inner());
        (data.collect(), answer.next_shard_iterator)
    }

    pub async fn put_numbered(&self, name: &str, numbers: std::ops::Range<u8>, bytes: usize) {
        for number in numbers {
            let put = self.kinesis.put_record().stream_name(name).partition_key("k");
            put.data(Blob::new(vec![number; bytes])).send().await.expect("taken");
            self.pass(Duration::from_secs(1));
        }
    }
}

pub fn mode(mode: StreamMode) -> StreamModeDetails {
    let details = StreamModeDetails::builder().stream_mode(mode);
    details.build().expect("complete")
}

pub fn record(key: &str, bytes: usize) -> PutRecordsRequestEntry {
    let entry = PutRecordsRequestEntry::builder().partition_key(key);
    entry.data(Blob::new(vec![b'x'; bytes])).build().expect("complete")
}

pub fn at(minute: i64) -> aws_sdk_cloudwatch::primitives::DateTime {
    aws_sdk_cloudwatch::primitives::DateTime::from_secs(minute * 60)
}

pub fn time(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

pub fn query(id: &str, metric: &str, stat: &str, dimensions: &[(&str, &str)]) -> cw::MetricDataQuery {
    query_in("AWS/Kinesis", id, metric, stat, dimensions, 60)
}

pub fn query_in(
    namespace: &str,
    id: &str,
    metric: &str,
    stat: &str,
    dimensions: &[(&str, &str)],
    period: i32,
) -> cw::MetricDataQuery {
    let dimensions = dimensions.iter().map(|(name, value)| {
        let dimension = cw::Dimension::builder().name(*name);
        dimension.value(*value).build()
    });
    let metric = cw::Metric::builder()
        .namespace(namespace)
        .metric_name(metric)
        .set_dimensions(Some(dimensions.collect()))
        .build();
    let stat = cw::MetricStat::builder().metric(metric).period(period).stat(stat);
    cw::MetricDataQuery::builder().id(id).metric_stat(stat.build()).build()
}

pub fn points(result: &cw::MetricDataResult) -> Vec<(i64, f64)> {
    let minutes = result.timestamps().iter().map(|time| time.secs() / 60);
    minutes.zip(result.values().iter().copied()).collect()
}

pub fn fault(operation: &str, skip: u32, times: u32, effect: Effect) -> Fault {
    Fault { operation: operation.into(), skip, times, effect }
}

pub fn code_and_message<E: ProvideErrorMetadata + Debug, R: Debug>(error: SdkError<E, R>) -> (String, String) {
    let code = error.code().unwrap_or_else(|| panic!("no service error: {error:?}"));
    (code.into(), error.message().unwrap_or_default().into())
}

/// The code of an error that must be one.
pub fn code<T: Debug, E: ProvideErrorMetadata + Debug, R: Debug>(answer: Result<T, SdkError<E, R>>) -> String {
    code_and_message(answer.expect_err("an error")).0
}

/// Waits for `event`, but not for ever.
pub async fn within<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("no event within {PATIENCE:?}"))
}

/// A request as no SDK sends it: status and body of the answer.
pub async fn post(url: &str, target: &str, body: String) -> (String, String) {
    use std::io::{Read, Write};
    let host = url.trim_start_matches("http://").to_owned();
    let length = body.len();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Amz-Target: {target}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let exchange = move || {
        let mut connection = std::net::TcpStream::connect(host)?;
        connection.write_all(request.as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::task::spawn_blocking(exchange).await.expect("no panic");
    let answer = answer.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).expect("a status");
    (status.into(), body.into())
}
