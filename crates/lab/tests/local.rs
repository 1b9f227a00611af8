//! The local account, spoken to by the SDK clients that the Lambda uses. Its clock stands until a test moves it.


#[path = "common/aws.rs"]
mod aws;
#[path = "common/lab.rs"]
mod lab;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws::{Aws, noon};
use aws_sdk_cloudwatch::types as cw;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{
    MetricsName, MinimumThroughputBillingCommitmentOutputStatus as Commitment, PutRecordsRequestEntry, ScalingType,
    ShardIteratorType, StreamDescriptionSummary, StreamMode, StreamModeDetails, StreamStatus,
};
use chrono::{DateTime, TimeDelta, Utc};
use lab::{code, code_and_message, within};
use unthrottle_lab::local::{self, Clock, Effect, Fault, LocalAccount, Options};

// ---- The laboratory ----

struct Lab {
    account: LocalAccount,
    kinesis: aws_sdk_kinesis::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
}

/// Begins at noon.
fn still() -> Options {
    Options { clock: Clock::standing_at(noon()), ..Options::default() }
}

async fn lab() -> Lab {
    lab_with(still()).await
}

async fn lab_with(options: Options) -> Lab {
    let account = LocalAccount::start(options).await.expect("a free port");
    let credentials = Credentials::new("key", "secret", None, None, "test");
    let kinesis = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(credentials.clone())
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(account.url())
        .build();
    let cloudwatch = aws_sdk_cloudwatch::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(credentials)
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(account.url())
        .build();
    Lab {
        account,
        kinesis: aws_sdk_kinesis::Client::from_conf(kinesis),
        cloudwatch: aws_sdk_cloudwatch::Client::from_conf(cloudwatch),
    }
}

impl Lab {
    async fn stream(&self, name: &str, shards: i32) {
        let create = self.kinesis.create_stream().stream_name(name);
        create.shard_count(shards).send().await.expect("created");
        self.active(name).await;
    }

    async fn on_demand_stream(&self, name: &str) {
        let create = self.kinesis.create_stream().stream_name(name);
        let create = create.stream_mode_details(mode(StreamMode::OnDemand));
        create.send().await.expect("created");
        self.active(name).await;
    }

    async fn summary(&self, name: &str) -> StreamDescriptionSummary {
        let describe = self.kinesis.describe_stream_summary();
        let answer = describe.stream_name(name).send().await.expect("a stream");
        answer.stream_description_summary.expect("a summary")
    }

    /// Lets the time of a change pass, slowly enough for DescribeStreamSummary's 20 calls a second.
    async fn active(&self, name: &str) {
        while self.summary(name).await.stream_status != StreamStatus::Active {
            self.pass(Duration::from_millis(500));
        }
    }

    fn pass(&self, time: Duration) {
        self.account.clock().advance(time).expect("a clock that stands");
    }

    /// The minute of the epoch that it is.
    fn minute(&self) -> i64 {
        self.account.now().timestamp() / 60
    }

    /// Puts a sample into a metric, now.
    fn put_metric(&self, namespace: &str, name: &str, dimensions: &[(&str, &str)], value: f64) {
        self.account.put_metric(namespace, name, dimensions, self.account.now(), value);
    }

    async fn reshard(&self, name: &str, target: i32) -> Result<(i32, i32), (String, String)> {
        let update = self.kinesis.update_shard_count().stream_name(name);
        let update = update.target_shard_count(target);
        let answer = update.scaling_type(ScalingType::UniformScaling).send().await;
        let answer = answer.map_err(code_and_message)?;
        assert_eq!(answer.stream_arn.as_deref(), Some(self.account.stream_arn(name).as_str()));
        let counts = (answer.current_shard_count, answer.target_shard_count);
        Ok((counts.0.unwrap_or(-1), counts.1.unwrap_or(-1)))
    }

    async fn switch(&self, name: &str, to: StreamMode) -> Result<(), (String, String)> {
        let update = self.kinesis.update_stream_mode();
        let update = update.stream_arn(self.account.stream_arn(name));
        let answer = update.stream_mode_details(mode(to)).send().await;
        answer.map(|_| ()).map_err(code_and_message)
    }

    /// Puts so many one-byte records with one-byte keys; returns how many were throttled.
    async fn put(&self, name: &str, key: &str, records: usize) -> usize {
        let put = self.kinesis.put_records().stream_name(name);
        let answer = put.set_records(Some(vec![record(key, 1); records])).send();
        let answer = answer.await.expect("an answer");
        answer.failed_record_count.unwrap_or_default() as usize
    }

    async fn tag(&self, name: &str, key: &str, value: &str) -> Result<(), (String, String)> {
        let tag = self.kinesis.tag_resource().tags(key, value);
        let answer = tag.resource_arn(self.account.stream_arn(name)).send().await;
        answer.map(|_| ()).map_err(code_and_message)
    }

    /// The statistic of a stream's metric, by minute, oldest first.
    async fn minutes(&self, name: &str, metric: &str, stat: &str) -> Vec<(i64, f64)> {
        let query = query("m1", metric, stat, &[("StreamName", name)]);
        self.datapoints(query, self.minute() - 60, self.minute() + 1).await
    }

    async fn datapoints(&self, query: cw::MetricDataQuery, from: i64, to: i64) -> Vec<(i64, f64)> {
        let get = self.cloudwatch.get_metric_data().metric_data_queries(query);
        let get = get.start_time(at(from)).end_time(at(to));
        let get = get.scan_by(cw::ScanBy::TimestampAscending);
        let answer = get.send().await.expect("metric data");
        let result = &answer.metric_data_results()[0];
        assert_eq!(result.status_code, Some(cw::StatusCode::Complete));
        points(result)
    }

    async fn total(&self, name: &str, metric: &str) -> f64 {
        let minutes = self.minutes(name, metric, "Sum").await;
        minutes.iter().map(|(_, value)| value).sum()
    }
}

fn mode(mode: StreamMode) -> StreamModeDetails {
    let details = StreamModeDetails::builder().stream_mode(mode);
    details.build().expect("complete")
}

fn record(key: &str, bytes: usize) -> PutRecordsRequestEntry {
    let entry = PutRecordsRequestEntry::builder().partition_key(key);
    entry.data(Blob::new(vec![b'x'; bytes])).build().expect("complete")
}

fn at(minute: i64) -> aws_sdk_cloudwatch::primitives::DateTime {
    aws_sdk_cloudwatch::primitives::DateTime::from_secs(minute * 60)
}

fn time(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

fn query(id: &str, metric: &str, stat: &str, dimensions: &[(&str, &str)]) -> cw::MetricDataQuery {
    query_in("AWS/Kinesis", id, metric, stat, dimensions, 60)
}

fn query_in(
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

fn points(result: &cw::MetricDataResult) -> Vec<(i64, f64)> {
    let minutes = result.timestamps().iter().map(|time| time.secs() / 60);
    minutes.zip(result.values().iter().copied()).collect()
}

fn fault(operation: &str, skip: u32, times: u32, effect: Effect) -> Fault {
    Fault { operation: operation.into(), skip, times, effect }
}

// ---- Naming a stream ----

#[tokio::test]
async fn a_stream_is_reached_by_its_arn_alone() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    let arn = lab.account.stream_arn("orders");
    let kinesis = &lab.kinesis;

    let describe = kinesis.describe_stream_summary().stream_arn(&arn);
    describe.send().await.expect("DescribeStreamSummary");
    let describe = kinesis.describe_stream().stream_arn(&arn);
    describe.send().await.expect("DescribeStream");
    let list = kinesis.list_shards().stream_arn(&arn);
    list.send().await.expect("ListShards");
    let put = kinesis.put_record().stream_arn(&arn).partition_key("k");
    put.data(Blob::new("x")).send().await.expect("PutRecord");
    let put = kinesis.put_records().stream_arn(&arn);
    put.records(record("k", 1)).send().await.expect("PutRecords");
    let list = kinesis.list_tags_for_stream().stream_arn(&arn);
    list.send().await.expect("ListTagsForStream");
    let increase = kinesis.increase_stream_retention_period().stream_arn(&arn);
    increase.retention_period_hours(48).send().await.expect("Increase…");
    let iterator = kinesis.get_shard_iterator().stream_arn(&arn);
    let iterator = iterator.shard_id("shardId-000000000000");
    let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon);
    let iterator = iterator.send().await.expect("GetShardIterator").shard_iterator;
    let get = kinesis.get_records().stream_arn(&arn).set_shard_iterator(iterator);
    assert_eq!(get.send().await.expect("GetRecords").records.len(), 2);
    let update = kinesis.update_shard_count().stream_arn(&arn).target_shard_count(2);
    let update = update.scaling_type(ScalingType::UniformScaling);
    update.send().await.expect("UpdateShardCount");
    lab.active("orders").await;
    let delete = kinesis.delete_stream().stream_arn(&arn);
    delete.send().await.expect("DeleteStream");
}

#[tokio::test]
async fn a_name_and_an_arn_that_disagree_are_refused() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    let describe = lab.kinesis.describe_stream_summary().stream_name("invoices");
    let answer = describe.stream_arn(lab.account.stream_arn("orders")).send().await;
    assert_eq!(code(answer), "InvalidArgumentException");
}

#[tokio::test]
async fn an_arn_of_another_account_is_an_unrecognized_client() {
    let lab = lab().await;
    let arn = "arn:aws:kinesis:us-east-1:999999999999:stream/orders";
    let answer = lab.kinesis.describe_stream_summary().stream_arn(arn).send().await;
    assert_eq!(code(answer), "UnrecognizedClientException");
}

#[tokio::test]
async fn a_missing_stream_is_not_found() {
    let lab = lab().await;
    let answer = lab.kinesis.describe_stream_summary().stream_name("none").send().await;
    assert_eq!(code(answer), "ResourceNotFoundException");
    let reshard = lab.reshard("none", 2).await.expect_err("no stream");
    assert_eq!(reshard.0, "ResourceNotFoundException");
    let tag = lab.tag("none", "a", "b").await.expect_err("no stream");
    assert_eq!(tag.0, "ResourceNotFoundException");
    let list = lab.kinesis.list_tags_for_resource();
    let answer = list.resource_arn(lab.account.stream_arn("none")).send().await;
    assert_eq!(code(answer), "ResourceNotFoundException");
}

#[tokio::test]
async fn streams_are_listed_with_their_mode_and_status_in_pages() {
    let lab = lab().await;
    lab.stream("a", 1).await;
    lab.on_demand_stream("b").await;
    let first = lab.kinesis.list_streams().limit(1).send().await.expect("a page");
    assert_eq!(first.stream_names, ["a"]);
    assert!(first.has_more_streams);
    let next = lab.kinesis.list_streams().set_next_token(first.next_token);
    let next = next.send().await.expect("a page");
    let summary = &next.stream_summaries()[0];
    assert_eq!(summary.stream_arn, lab.account.stream_arn("b"));
    assert_eq!(summary.stream_mode_details, Some(mode(StreamMode::OnDemand)));
    assert!(!next.has_more_streams);
}

// ---- UpdateShardCount ----

#[tokio::test]
async fn a_stream_doubles_and_shows_updating_meanwhile() {
    let lab = lab().await;
    lab.stream("orders", 2).await;
    assert_eq!(lab.reshard("orders", 4).await, Ok((2, 4)));
    assert_eq!(lab.summary("orders").await.stream_status, StreamStatus::Updating);
    lab.active("orders").await;
    assert_eq!(lab.summary("orders").await.open_shard_count, 4);
}

#[tokio::test]
async fn update_shard_count_above_double_is_refused() {
    let lab = lab().await;
    lab.stream("orders", 2).await;
    let (code, message) = lab.reshard("orders", 5).await.expect_err("above double");
    assert_eq!(code, "InvalidArgumentException");
    assert!(message.contains("double"), "{message}");
}

#[tokio::test]
async fn update_shard_count_below_half_is_refused_and_half_of_an_odd_count_rounds_down() {
    let lab = lab().await;
    lab.stream("even", 4).await;
    lab.stream("odd", 3).await;
    let (code, message) = lab.reshard("even", 1).await.expect_err("below half");
    assert_eq!(code, "InvalidArgumentException");
    assert!(message.contains("half"), "{message}");
    assert_eq!(lab.reshard("odd", 1).await, Ok((3, 1)));
}

#[tokio::test]
async fn update_shard_count_to_zero_fails_validation() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    let (code, _) = lab.reshard("orders", 0).await.expect_err("zero");
    assert_eq!(code, "ValidationException");
}

#[tokio::test]
async fn a_stream_that_is_updating_refuses_changes_before_it_looks_at_the_target() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    lab.reshard("orders", 2).await.expect("a legal change");
    let busy = "Stream orders under account 123456789012 not ACTIVE, instead in state UPDATING";
    let busy = Err(("ResourceInUseException".into(), busy.into()));
    assert_eq!(lab.reshard("orders", 100).await, busy.clone());
    assert_eq!(lab.switch("orders", StreamMode::OnDemand).await, busy.map(|_: (i32, i32)| ()));
    let split = lab.kinesis.split_shard().stream_name("orders");
    let split = split.shard_to_split("shardId-000000000000").new_starting_hash_key("10");
    assert_eq!(code(split.send().await), "ResourceInUseException");
}

#[tokio::test]
async fn an_on_demand_stream_cannot_be_resharded() {
    let lab = lab().await;
    lab.on_demand_stream("orders").await;
    assert_eq!(lab.summary("orders").await.open_shard_count, 4);
    let (refused, _) = lab.reshard("orders", 8).await.expect_err("on-demand");
    assert_eq!(refused, "ValidationException");
    let split = lab.kinesis.split_shard().stream_name("orders");
    let split = split.shard_to_split("shardId-000000000000").new_starting_hash_key("10");
    assert_eq!(code(split.send().await), "ValidationException");
}

#[tokio::test]
async fn the_eleventh_reshard_of_a_day_is_refused_and_repeating_the_count_is_free() {
    let lab = lab_with(Options { update_time: Duration::ZERO, ..still() }).await;
    lab.stream("orders", 1).await;
    for round in 0..10 {
        let (open, target) = if round % 2 == 0 { (1, 2) } else { (2, 1) };
        assert_eq!(lab.reshard("orders", open).await, Ok((open, open)));
        assert_eq!(lab.summary("orders").await.stream_status, StreamStatus::Active);
        assert_eq!(lab.reshard("orders", target).await, Ok((open, target)));
        lab.pass(Duration::from_secs(1));
        lab.active("orders").await;
    }
    let message = "Rate exceeded for stream orders under account 123456789012.";
    let refused = Err(("LimitExceededException".into(), message.into()));
    assert_eq!(lab.reshard("orders", 2).await, refused);
    // Another name is another budget; the same name recreated is the same budget.
    lab.stream("invoices", 1).await;
    assert_eq!(lab.reshard("invoices", 2).await, Ok((1, 2)));
}

#[tokio::test]
async fn the_accounts_quota_counts_the_shards_of_all_provisioned_streams() {
    let lab = lab_with(Options { shard_limit: 6, ..still() }).await;
    lab.on_demand_stream("free").await;
    lab.stream("a", 2).await;
    lab.stream("b", 2).await;
    let create = lab.kinesis.create_stream().stream_name("c").shard_count(3);
    assert_eq!(code(create.send().await), "LimitExceededException");
    lab.reshard("a", 4).await.expect("the last two shards");
    // Also while the first change still runs.
    let (code, message) = lab.reshard("b", 3).await.expect_err("no room");
    assert_eq!(code, "LimitExceededException");
    assert!(message.contains("Limit: 6"), "{message}");
}

#[tokio::test]
async fn a_shard_splits_once() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    let half = (1u128 << 127).to_string();
    let split = lab.kinesis.split_shard().stream_name("orders");
    let split = split.shard_to_split("shardId-000000000000").new_starting_hash_key(half);
    split.clone().send().await.expect("a split");
    assert_eq!(lab.summary("orders").await.stream_status, StreamStatus::Updating);
    lab.active("orders").await;
    assert_eq!(lab.summary("orders").await.open_shard_count, 2);
    let (code, message) = code_and_message(split.send().await.expect_err("closed"));
    assert_eq!(code, "InvalidArgumentException");
    assert!(message.contains("already been merged or split"), "{message}");
}

// ---- UpdateStreamMode, warm throughput ----

#[tokio::test]
async fn a_mode_switch_shows_the_old_mode_until_it_is_done() {
    let lab = lab().await;
    lab.stream("orders", 3).await;
    lab.switch("orders", StreamMode::OnDemand).await.expect("a switch");
    let summary = lab.summary("orders").await;
    assert_eq!(summary.stream_status, StreamStatus::Updating);
    assert_eq!(summary.stream_mode_details, Some(mode(StreamMode::Provisioned)));
    lab.active("orders").await;
    let summary = lab.summary("orders").await;
    assert_eq!(summary.stream_mode_details, Some(mode(StreamMode::OnDemand)));
    assert_eq!(summary.open_shard_count, 3);
}

#[tokio::test]
async fn the_third_mode_switch_of_a_day_is_refused_and_repeating_the_mode_is_free() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    for to in [StreamMode::OnDemand, StreamMode::Provisioned] {
        lab.switch("orders", to.clone()).await.expect("a switch");
        lab.active("orders").await;
        lab.switch("orders", to).await.expect("a repetition");
        assert_eq!(lab.summary("orders").await.stream_status, StreamStatus::Active);
    }
    let message = "Rate exceeded for stream orders under account 123456789012.";
    let refused = Err(("LimitExceededException".into(), message.into()));
    assert_eq!(lab.switch("orders", StreamMode::OnDemand).await, refused);
}

#[tokio::test]
async fn on_demand_streams_have_a_quota() {
    let lab = lab_with(Options { on_demand_limit: 1, ..still() }).await;
    lab.stream("a", 1).await;
    lab.stream("b", 1).await;
    lab.switch("a", StreamMode::OnDemand).await.expect("the first");
    let (refused, _) = lab.switch("b", StreamMode::OnDemand).await.expect_err("the second");
    assert_eq!(refused, "LimitExceededException");
    let create = lab.kinesis.create_stream().stream_name("c");
    let create = create.stream_mode_details(mode(StreamMode::OnDemand)).send();
    assert_eq!(code(create.await), "LimitExceededException");
}

#[tokio::test]
async fn warm_throughput_needs_the_commitment() {
    let lab = lab().await;
    lab.on_demand_stream("orders").await;
    let warm = lab.kinesis.update_stream_warm_throughput();
    let warm = warm.stream_name("orders").warm_throughput_mibps(8).send().await;
    let message = "Account 123456789012 is not enabled for minimum throughput billing commitment";
    let refused = ("ValidationException".into(), message.into());
    assert_eq!(code_and_message(warm.expect_err("refused")), refused);
    assert!(lab.summary("orders").await.warm_throughput.is_none());
    let settings = lab.kinesis.describe_account_settings().send().await.expect("settings");
    let commitment = settings.minimum_throughput_billing_commitment.expect("one");
    assert_eq!(commitment.status, Commitment::Disabled);
}

#[tokio::test]
async fn warm_throughput_is_capacity_of_on_demand_streams_of_a_committed_account() {
    let lab = lab_with(Options { commitment: local::Commitment::Enabled, ..still() }).await;
    lab.on_demand_stream("orders").await;
    lab.stream("fixed", 1).await;
    let settings = lab.kinesis.describe_account_settings().send().await.expect("settings");
    let commitment = settings.minimum_throughput_billing_commitment.expect("one");
    assert_eq!(commitment.status, Commitment::Enabled);

    let warm = lab.kinesis.update_stream_warm_throughput().warm_throughput_mibps(8);
    let refused = warm.clone().stream_name("fixed").send().await;
    assert_eq!(code(refused), "ValidationException");
    warm.stream_name("orders").send().await.expect("warmed up");
    let warm = lab.summary("orders").await.warm_throughput.expect("shown");
    assert_eq!((warm.current_mibps, warm.target_mibps), (Some(4), Some(8)));
    lab.active("orders").await;
    let summary = lab.summary("orders").await;
    let warm = summary.warm_throughput.expect("shown");
    assert_eq!((warm.current_mibps, warm.target_mibps), (Some(8), Some(8)));
    assert_eq!(summary.open_shard_count, 8);
}

// ---- Describing ----

#[tokio::test]
async fn a_summary_has_the_fields_that_aws_sends() {
    let lab = lab().await;
    let create = lab.kinesis.create_stream().stream_name("orders").shard_count(2);
    create.send().await.expect("created");
    let summary = lab.summary("orders").await;
    assert_eq!(summary.stream_status, StreamStatus::Creating);
    // Absent: the SDK fills in a zero.
    assert_eq!(summary.open_shard_count, 0);
    lab.active("orders").await;
    let summary = lab.summary("orders").await;
    assert_eq!(summary.open_shard_count, 2);
    assert_eq!(summary.max_record_size_in_kib, Some(1024));
    assert_eq!(summary.channel_count, Some(0));
    assert_eq!(summary.stream_mode_details, Some(mode(StreamMode::Provisioned)));
    assert_eq!(summary.stream_arn, lab.account.stream_arn("orders"));
}

#[tokio::test]
async fn describe_limits_counts_provisioned_shards_only_once_a_second() {
    let lab = lab().await;
    lab.stream("a", 3).await;
    lab.on_demand_stream("b").await;
    let limits = lab.kinesis.describe_limits().send().await.expect("limits");
    assert_eq!((limits.shard_limit, limits.open_shard_count), (500, 3));
    assert_eq!(limits.on_demand_stream_count, 1);
    assert_eq!(limits.on_demand_stream_count_limit, 50);
    let again = lab.kinesis.describe_limits().send().await;
    assert_eq!(code(again), "LimitExceededException");
    lab.pass(Duration::from_secs(1));
    lab.kinesis.describe_limits().send().await.expect("limits");
}

#[tokio::test]
async fn enabling_shard_metrics_updates_the_stream() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    let enable = lab.kinesis.enable_enhanced_monitoring().stream_name("orders");
    let enable = enable.shard_level_metrics(MetricsName::IncomingBytes);
    enable.clone().send().await.expect("enabled");
    assert_eq!(lab.summary("orders").await.stream_status, StreamStatus::Updating);
    assert_eq!(code(enable.send().await), "ResourceInUseException");
    lab.active("orders").await;
}

// ---- Tags ----

#[tokio::test]
async fn tags_are_kept_through_every_change() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    lab.tag("orders", "unthrottle.mode", "heal").await.expect("tagged");
    lab.tag("orders", "unthrottle.memory", "a=1 _./=+-%@").await.expect("tagged");
    lab.reshard("orders", 2).await.expect("a change");
    lab.tag("orders", "unthrottle.mode", "off").await.expect("tagged while UPDATING");
    lab.active("orders").await;
    let list = lab.kinesis.list_tags_for_resource();
    let list = list.resource_arn(lab.account.stream_arn("orders")).send().await;
    let list = list.expect("tags");
    let tags: Vec<_> = list.tags().iter().map(|tag| (tag.key.as_str(), tag.value.as_deref())).collect();
    assert_eq!(tags, [("unthrottle.memory", Some("a=1 _./=+-%@")), ("unthrottle.mode", Some("off"))]);
}

#[tokio::test]
async fn tags_that_aws_would_not_take_are_refused() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    let long = "x".repeat(257);
    for (key, value) in [("a:b", ""), ("a", "b:c"), ("a", "{}"), ("a", &long), ("aws:a", "")] {
        let (code, _) = lab.tag("orders", key, value).await.expect_err("refused");
        assert_eq!(code, "InvalidArgumentException", "{key} {value}");
    }
    lab.tag("orders", "a", &"x".repeat(256)).await.expect("256 characters");
    for number in 1..50 {
        lab.tag("orders", &format!("t{number}"), "").await.expect("50 tags");
    }
    let (code, _) = lab.tag("orders", "b", "").await.expect_err("the 51st tag");
    assert_eq!(code, "InvalidArgumentException");
    lab.tag("orders", "a", "replaced").await.expect("at 50 tags");
}

// ---- Rates ----

#[tokio::test]
async fn control_plane_calls_are_throttled_by_operation() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    lab.pass(Duration::from_secs(1));
    let describe = lab.kinesis.describe_stream_summary().stream_name("orders");
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..25 {
        calls.spawn(describe.clone().send());
    }
    let answers = calls.join_all().await.into_iter();
    let refused: Vec<_> = answers.filter_map(Result::err).map(code_and_message).collect();
    assert_eq!(refused.len(), 5);
    let message = "Rate exceeded for stream orders under account 123456789012.";
    assert_eq!(refused[0], ("LimitExceededException".into(), message.into()));

    let mut refused = 0;
    for _ in 0..6 {
        let list = lab.kinesis.list_tags_for_stream().stream_name("orders");
        refused += usize::from(list.send().await.is_err());
    }
    assert_eq!(refused, 1);
}

#[tokio::test]
async fn a_shard_gives_five_iterators_and_five_answers_a_second() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    let iterator = lab.kinesis.get_shard_iterator().stream_name("orders");
    let iterator = iterator.shard_id("shardId-000000000000");
    let iterator = iterator.shard_iterator_type(ShardIteratorType::Latest);
    let mut last = None;
    for _ in 0..5 {
        last = iterator.clone().send().await.expect("an iterator").shard_iterator;
    }
    let refused = (
        "ProvisionedThroughputExceededException".to_string(),
        "Rate exceeded for shard shardId-000000000000 in stream orders under account 123456789012.".to_string(),
    );
    let sixth = iterator.send().await.expect_err("the sixth");
    assert_eq!(code_and_message(sixth), refused);

    let get = lab.kinesis.get_records().set_shard_iterator(last);
    for _ in 0..5 {
        get.clone().send().await.expect("records");
    }
    let sixth = get.send().await.expect_err("the sixth");
    assert_eq!(code_and_message(sixth), refused);
    let metric = "ReadProvisionedThroughputExceeded";
    assert_eq!(lab.total("orders", metric).await, 1.0);
    assert_eq!(lab.minutes("orders", metric, "SampleCount").await[0].1, 6.0);
    assert_eq!(lab.total("orders", "GetRecords.Success").await, 5.0);
}

#[tokio::test]
async fn a_reader_with_a_full_page_is_behind_and_one_with_the_rest_is_not() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    lab.put("orders", "k", 3).await;
    lab.pass(Duration::from_millis(1100));
    let iterator = lab.kinesis.get_shard_iterator().stream_name("orders");
    let iterator = iterator.shard_id("shardId-000000000000");
    let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon);
    let iterator = iterator.send().await.expect("an iterator").shard_iterator;
    let get = lab.kinesis.get_records().set_shard_iterator(iterator);
    let page = get.limit(2).send().await.expect("a page");
    let behind = page.millis_behind_latest.expect("always sent");
    assert_eq!(behind, 1100);
    let get = lab.kinesis.get_records().set_shard_iterator(page.next_shard_iterator);
    let rest = get.limit(2).send().await.expect("a page");
    assert_eq!((rest.records.len(), rest.millis_behind_latest), (1, Some(0)));
    let age = lab.minutes("orders", "GetRecords.IteratorAgeMilliseconds", "Maximum").await;
    assert_eq!(age.last().map(|(_, age)| *age as i64), Some(behind));
}

// ---- Traffic and its metrics ----

#[tokio::test]
async fn a_throttled_record_names_its_shard_and_is_counted() {
    let lab = lab().await;
    lab.stream("orders", 2).await;
    let enable = lab.kinesis.enable_enhanced_monitoring().stream_name("orders");
    enable.shard_level_metrics(MetricsName::All).send().await.expect("enabled");

    // Key "b" belongs to the second half of the hashes: md5("b") begins with 92.
    assert_eq!(lab.put("orders", "b", 500).await, 0);
    assert_eq!(lab.put("orders", "b", 500).await, 0);
    let put = lab.kinesis.put_records().stream_name("orders");
    let put = put.set_records(Some(vec![record("b", 1); 20])).send().await.expect("an answer");
    assert_eq!(put.failed_record_count, Some(20));
    let message = "Rate exceeded for shard shardId-000000000001 in stream orders under account 123456789012.";
    assert_eq!(put.records[0].error_message.as_deref(), Some(message));
    let code = "ProvisionedThroughputExceededException";
    assert_eq!(put.records[0].error_code.as_deref(), Some(code));
    let put = lab.kinesis.put_record().stream_name("orders").partition_key("b");
    let refused = put.data(Blob::new("x")).send().await.expect_err("throttled");
    assert_eq!(code_and_message(refused), (code.into(), message.into()));
    let put = lab.kinesis.put_record().stream_name("orders").partition_key("a");
    put.data(Blob::new("four")).send().await.expect("the other shard");

    let total = async |metric| lab.total("orders", metric).await;
    assert_eq!(total("IncomingRecords").await, 1001.0);
    // Keys count.
    assert_eq!(total("IncomingBytes").await, 2005.0);
    assert_eq!(total("WriteProvisionedThroughputExceeded").await, 21.0);
    assert_eq!(total("PutRecord.Success").await, 1.0);
    assert_eq!(total("PutRecord.Bytes").await, 5.0);
    assert_eq!(total("PutRecords.Success").await, 2.0);
    assert_eq!(total("PutRecords.TotalRecords").await, 1020.0);
    assert_eq!(total("PutRecords.SuccessfulRecords").await, 1000.0);
    assert_eq!(total("PutRecords.ThrottledRecords").await, 20.0);
    // One sample per record: the average is the share that was refused.
    let wpte = "WriteProvisionedThroughputExceeded";
    let share = lab.minutes("orders", wpte, "Average").await[0].1;
    assert!((share - 21.0 / 1022.0).abs() < 1e-12, "{share}");

    let shard = [("StreamName", "orders"), ("ShardId", "shardId-000000000001")];
    let query = query("m1", wpte, "Sum", &shard);
    let points = lab.datapoints(query, lab.minute() - 1, lab.minute() + 1).await;
    assert_eq!(points.iter().map(|(_, value)| value).sum::<f64>(), 21.0);
}

#[tokio::test]
async fn minutes_with_puts_have_a_throttling_datapoint_of_zero_and_idle_ones_have_none() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    let wpte = "WriteProvisionedThroughputExceeded";
    assert_eq!(lab.minutes("orders", wpte, "Sum").await, []);
    lab.put("orders", "k", 3).await;
    assert_eq!(lab.minutes("orders", wpte, "Sum").await, [(lab.minute(), 0.0)]);
}

#[tokio::test]
async fn a_minute_of_traffic_is_a_minute_of_metrics_however_long_it_takes() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    lab.account.clock().advance_to(noon() + TimeDelta::minutes(1)).expect("forwards");
    let first = lab.minute();
    for _ in 0..2 * 60 {
        for _ in 0..3 {
            lab.put("orders", "k", 400).await;
        }
        lab.pass(Duration::from_secs(1));
    }
    let minutes = |value| [(first, value), (first + 1, value)];
    assert_eq!(lab.minutes("orders", "IncomingRecords", "Sum").await, minutes(60_000.0));
    assert_eq!(lab.minutes("orders", "WriteProvisionedThroughputExceeded", "Sum").await, minutes(12_000.0));
}

/// The first loop that a new user tries.
#[tokio::test]
async fn one_call_a_second_below_the_limit_is_not_throttled_whatever_its_phase() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    for every_ms in [990, 1_000, 1_010] {
        for _ in 0..20 {
            let put = lab.kinesis.put_records().stream_name("orders");
            let answer = put.set_records(Some(vec![record("k", 10 * 1024); 77])).send().await.expect("an answer");
            assert_eq!(answer.failed_record_count, Some(0), "76 % of the limit, every {every_ms} ms");
            lab.pass(Duration::from_millis(every_ms));
        }
    }
}

#[tokio::test]
async fn records_that_aws_would_not_take_are_refused_and_none_of_their_call_is_written() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    let target = "Kinesis_20131202.PutRecords";
    let call = |records: &str| format!(r#"{{"StreamName": "orders", "Records": [{records}]}}"#);
    let good = r#"{"PartitionKey": "k", "Data": "eA=="}"#;
    for bad in [
        r#"{"PartitionKey": "k", "Data": "no base64!"}"#,
        r#"{"PartitionKey": "k", "Data": "eA="}"#,
        r#"{"PartitionKey": "k"}"#,
        r#"{"PartitionKey": "k", "Data": 7}"#,
        r#"{"PartitionKey": "", "Data": "eA=="}"#,
        r#"{"PartitionKey": "k", "Data": "eA==", "ExplicitHashKey": "x"}"#,
        "7",
    ] {
        let (status, answer) = post(lab.account.url(), target, call(&format!("{good}, {bad}"))).await;
        assert_eq!(status, "400", "{bad}: {answer}");
    }
    let large = lab.kinesis.put_records().stream_name("orders").records(record("k", 1024 * 1024 + 1)).send().await;
    assert_eq!(code(large), "ValidationException");
    assert_eq!(lab.read(lab.iterator("orders", ShardIteratorType::TrimHorizon).await).await.0.len(), 0);
    let (status, _) = post(lab.account.url(), target, call(good)).await;
    assert_eq!(status, "200");
    let kept = lab.read(lab.iterator("orders", ShardIteratorType::TrimHorizon).await).await.0;
    assert_eq!(kept, [b"x".to_vec()]);
}

#[tokio::test]
async fn traffic_for_a_stream_that_is_not_there_is_not_found() {
    let lab = lab().await;
    let put = lab.kinesis.put_records().stream_name("none").records(record("k", 1)).send().await;
    assert_eq!(code(put), "ResourceNotFoundException");
    let create = lab.kinesis.create_stream().stream_name("new").shard_count(1);
    create.send().await.expect("created");
    let put = lab.kinesis.put_record().stream_name("new").partition_key("k").data(Blob::new("x")).send().await;
    let (code, message) = code_and_message(put.expect_err("it is CREATING"));
    assert_eq!(code, "ResourceNotFoundException");
    assert!(message.contains("new"), "{message}");
}

// ---- What is kept ----

impl Lab {
    async fn iterator(&self, name: &str, kind: ShardIteratorType) -> Option<String> {
        let iterator = self.kinesis.get_shard_iterator().stream_name(name).shard_id("shardId-000000000000");
        iterator.shard_iterator_type(kind).send().await.expect("an iterator").shard_iterator
    }

    /// The data of what a reader with this iterator gets, and its next iterator.
    async fn read(&self, iterator: Option<String>) -> (Vec<Vec<u8>>, Option<String>) {
        let answer = self.kinesis.get_records().set_shard_iterator(iterator).send().await.expect("records");
        let data = answer.records.into_iter().map(|record| record.data.into_inner());
        (data.collect(), answer.next_shard_iterator)
    }

    async fn put_numbered(&self, name: &str, numbers: std::ops::Range<u8>, bytes: usize) {
        for number in numbers {
            let put = self.kinesis.put_record().stream_name(name).partition_key("k");
            put.data(Blob::new(vec![number; bytes])).send().await.expect("taken");
            self.pass(Duration::from_secs(1));
        }
    }
}

#[tokio::test]
async fn an_account_keeps_as_many_bytes_as_it_is_given_and_drops_the_oldest_first() {
    let lab = lab_with(Options { keep_bytes: 1 << 20, ..still() }).await;
    lab.stream("orders", 1).await;
    lab.stream("clicks", 1).await;
    // 100 KiB are 134 KiB in base64: seven fit.
    lab.put_numbered("clicks", 0..1, 100 * 1024).await;
    let dropped = lab.account.first_drop();
    let mut dropped = std::pin::pin!(dropped);
    lab.put_numbered("orders", 1..8, 100 * 1024).await;
    within(&mut dropped).await;
    let none = lab.read(lab.iterator("clicks", ShardIteratorType::TrimHorizon).await).await.0;
    assert_eq!(none.len(), 0, "the oldest of all streams");
    lab.put_numbered("orders", 8..12, 100 * 1024).await;
    let kept = lab.read(lab.iterator("orders", ShardIteratorType::TrimHorizon).await).await.0;
    let numbers: Vec<u8> = kept.iter().map(|data| data[0]).collect();
    assert_eq!(numbers, [5, 6, 7, 8, 9, 10, 11], "what it kept is served");
    let again = tokio::time::timeout(Duration::ZERO, lab.account.first_drop()).await;
    assert!(again.is_err(), "said once");
    // What a deleted stream had takes no memory: four more fit beside the three of another.
    lab.stream("other", 1).await;
    lab.put_numbered("other", 20..23, 100 * 1024).await;
    lab.kinesis.delete_stream().stream_name("orders").send().await.expect("deleted");
    lab.pass(Duration::from_secs(1));
    lab.put_numbered("other", 23..27, 100 * 1024).await;
    assert_eq!(lab.read(lab.iterator("other", ShardIteratorType::TrimHorizon).await).await.0.len(), 7);
}

#[tokio::test]
async fn the_newest_record_is_kept_however_large_it_is() {
    let lab = lab_with(Options { keep_bytes: 1, ..still() }).await;
    lab.stream("orders", 1).await;
    lab.put_numbered("orders", 0..3, 1000 * 1024).await;
    let kept = lab.read(lab.iterator("orders", ShardIteratorType::TrimHorizon).await).await.0;
    assert_eq!(kept.iter().map(|data| data[0]).collect::<Vec<_>>(), [2]);
}

/// The next line of what a command prints; `None` at its end. Gives the rest back, too.
async fn line<R: Read + Send + 'static>(mut from: BufReader<R>) -> (Option<String>, BufReader<R>) {
    let read = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        let bytes = from.read_line(&mut line).expect("readable");
        ((bytes > 0).then_some(line), from)
    });
    within(read).await.expect("no panic")
}

/// A command that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[tokio::test]
async fn the_command_says_once_that_it_drops_records() {
    let mut local = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    local.args(["local", "--port", "0", "--keep-mib", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut local = Running(local.spawn().expect("it starts"));
    // Kept open: the command ends when nothing reads what it prints.
    let (first, _printed) = line(BufReader::new(local.0.stdout.take().expect("piped"))).await;
    let first = first.expect("a line");
    let url = first.split_whitespace().find_map(|word| word.strip_suffix(',').filter(|word| word.starts_with("http")));
    let aws = Aws::at(url.unwrap_or_else(|| panic!("no address: {first}")));
    aws.create("orders", 2).await;
    let put = aws.kinesis.put_records().stream_name("orders").set_records(Some(vec![record("k", 100 * 1024); 10]));
    put.send().await.expect("an answer");
    let (said, rest) = line(BufReader::new(local.0.stderr.take().expect("piped"))).await;
    let said = said.expect("a line");
    assert!(said.contains("--keep-mib (1 MiB)") && said.contains("drops the oldest"), "{said}");
    let put = aws.kinesis.put_records().stream_name("orders").records(record("a", 900 * 1024)).send().await;
    put.expect("an answer");
    drop(local);
    assert_eq!(line(rest).await.0, None, "once");
}

#[test]
fn the_command_refuses_to_keep_nothing() {
    let out = Command::new(env!("CARGO_BIN_EXE_unthrottle")).args(["local", "--keep-mib", "0"]).output();
    let out = out.expect("it runs");
    let said = String::from_utf8(out.stderr).expect("text");
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("'--keep-mib <MIB>'") && said.contains("1.."), "{said}");
}

#[tokio::test]
async fn an_account_that_may_keep_nothing_does_not_start() {
    let error = LocalAccount::start(Options { keep_bytes: 0, ..still() }).await.err().expect("an error");
    assert!(error.to_string().contains("at least 1"), "{error}");
}

#[tokio::test]
async fn a_record_is_served_for_as_long_as_its_stream_keeps_it() {
    let lab = lab().await;
    lab.stream("day", 1).await;
    lab.stream("days", 1).await;
    let increase = lab.kinesis.increase_stream_retention_period().stream_name("days");
    increase.retention_period_hours(48).send().await.expect("48 hours");
    for name in ["day", "days"] {
        lab.put_numbered(name, 1..3, 10).await;
    }
    let count = async |name| lab.read(lab.iterator(name, ShardIteratorType::TrimHorizon).await).await.0.len();
    lab.pass(Duration::from_secs(24 * 3600 - 10));
    assert_eq!((count("day").await, count("days").await), (2, 2));
    lab.pass(Duration::from_secs(10));
    assert_eq!((count("day").await, count("days").await), (0, 2));
    lab.pass(Duration::from_secs(24 * 3600));
    assert_eq!(count("days").await, 0);
}

// ---- Readers ----

#[tokio::test]
async fn a_reader_begins_where_it_asks_to() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    lab.put_numbered("orders", 0..3, 10).await;
    let since = aws_sdk_kinesis::primitives::DateTime::from_millis(lab.account.now().timestamp_millis());
    let latest = lab.iterator("orders", ShardIteratorType::Latest).await;
    lab.put_numbered("orders", 3..5, 10).await;
    let numbers = |data: Vec<Vec<u8>>| data.iter().map(|data| data[0]).collect::<Vec<_>>();
    let (all, next) = lab.read(lab.iterator("orders", ShardIteratorType::TrimHorizon).await).await;
    assert_eq!(numbers(all), [0, 1, 2, 3, 4]);
    let (rest, next) = lab.read(next).await;
    assert_eq!((rest.len(), next.is_some()), (0, true), "the shard is open");
    let (new, _) = lab.read(latest).await;
    assert_eq!(numbers(new), [3, 4]);
    let iterator = || lab.kinesis.get_shard_iterator().stream_name("orders").shard_id("shardId-000000000000");
    let at = iterator().shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(since).send().await;
    assert_eq!(numbers(lab.read(at.expect("an iterator").shard_iterator).await.0), [3, 4]);
    let future = aws_sdk_kinesis::primitives::DateTime::from_secs(lab.account.now().timestamp() + 60);
    let at = iterator().shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(future).send().await;
    assert_eq!(code(at), "InvalidArgumentException");
    lab.pass(Duration::from_secs(1));
    let records = lab.kinesis.get_records().set_shard_iterator(next.clone()).send().await.expect("records");
    assert_eq!(records.records.len(), 0);
    // Five minutes later an iterator is good no more.
    lab.pass(Duration::from_secs(301));
    let old = lab.kinesis.get_records().set_shard_iterator(next).send().await;
    assert_eq!(code(old), "ExpiredIteratorException");
}

#[tokio::test]
async fn a_reader_comes_to_the_end_of_a_closed_shard() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    lab.put_numbered("orders", 0..2, 10).await;
    lab.reshard("orders", 2).await.expect("legal");
    lab.active("orders").await;
    let (data, next) = lab.read(lab.iterator("orders", ShardIteratorType::TrimHorizon).await).await;
    assert_eq!(data.len(), 2);
    assert_eq!(lab.read(next).await, (vec![], None));
    let shards = lab.kinesis.list_shards().stream_name("orders").send().await.expect("shards");
    let parents: Vec<_> = shards.shards().iter().map(|shard| shard.parent_shard_id()).collect();
    assert_eq!(parents, [None, Some("shardId-000000000000"), Some("shardId-000000000000")]);
}

#[tokio::test]
async fn neighbours_merge_into_a_child_of_both() {
    let lab = lab().await;
    lab.stream("orders", 3).await;
    let merge = |one: &str, other: &str| {
        let merge = lab.kinesis.merge_shards().stream_name("orders").shard_to_merge(one);
        merge.adjacent_shard_to_merge(other).send()
    };
    let far = merge("shardId-000000000000", "shardId-000000000002").await;
    assert_eq!(code(far), "InvalidArgumentException");
    assert_eq!(code(merge("shardId-000000000000", "shardId-000000000009").await), "ResourceNotFoundException");
    let youngest = async || {
        lab.active("orders").await;
        let shards = lab.kinesis.list_shards().stream_name("orders").send().await.expect("shards");
        let child = shards.shards().last().expect("some").clone();
        (child.parent_shard_id.expect("one"), child.adjacent_parent_shard_id.expect("another"))
    };
    // The first of the request is the parent, wherever it lies.
    merge("shardId-000000000002", "shardId-000000000001").await.expect("adjacent");
    assert_eq!(youngest().await, ("shardId-000000000002".into(), "shardId-000000000001".into()));
    merge("shardId-000000000000", "shardId-000000000003").await.expect("adjacent");
    assert_eq!(youngest().await, ("shardId-000000000000".into(), "shardId-000000000003".into()));
    assert_eq!(lab.summary("orders").await.open_shard_count, 1);
}

#[tokio::test]
async fn a_stream_is_created_encrypted_and_deleted_in_the_accounts_time() {
    let lab = lab().await;
    let create = lab.kinesis.create_stream().stream_name("orders").shard_count(1);
    create.send().await.expect("created");
    lab.pass(Duration::from_millis(499));
    assert_eq!(lab.summary("orders").await.stream_status, StreamStatus::Creating);
    lab.pass(Duration::from_millis(1));
    assert_eq!(lab.summary("orders").await.stream_status, StreamStatus::Active);
    let encrypt = lab.kinesis.start_stream_encryption().stream_name("orders").key_id("alias/aws/kinesis");
    encrypt.encryption_type(aws_sdk_kinesis::types::EncryptionType::Kms).send().await.expect("encrypted");
    lab.pass(Duration::from_millis(3_999));
    assert_eq!(lab.summary("orders").await.stream_status, StreamStatus::Updating);
    lab.pass(Duration::from_millis(1));
    assert_eq!(lab.summary("orders").await.key_id.as_deref(), Some("alias/aws/kinesis"));
    lab.kinesis.delete_stream().stream_name("orders").send().await.expect("deleted");
    assert_eq!(lab.summary("orders").await.stream_status, StreamStatus::Deleting);
    lab.pass(Duration::from_millis(500));
    let gone = lab.kinesis.describe_stream_summary().stream_name("orders").send().await;
    assert_eq!(code(gone), "ResourceNotFoundException");
}

#[tokio::test]
async fn a_stream_deleted_twice_and_created_again_stays() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    for _ in 0..2 {
        lab.kinesis.delete_stream().stream_name("orders").send().await.expect("deleted");
        lab.pass(Duration::from_millis(300));
    }
    lab.stream("orders", 2).await;
    lab.pass(Duration::from_secs(60));
    assert_eq!(lab.summary("orders").await.open_shard_count, 2);
}

#[tokio::test]
async fn an_enhanced_fan_out_consumer_receives_records() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    let register = lab.kinesis.register_stream_consumer().consumer_name("c");
    let register = register.stream_arn(lab.account.stream_arn("orders"));
    let consumer = register.send().await.expect("registered").consumer.expect("one");
    lab.pass(Duration::from_millis(700));
    lab.put("orders", "k", 3).await;
    let start = aws_sdk_kinesis::types::StartingPosition::builder();
    let start = start.r#type(ShardIteratorType::TrimHorizon).build().expect("complete");
    let subscribe = lab.kinesis.subscribe_to_shard().consumer_arn(consumer.consumer_arn);
    let subscribe = subscribe.shard_id("shardId-000000000000").starting_position(start);
    let mut events = subscribe.send().await.expect("subscribed").event_stream;
    let event = events.recv().await.expect("readable").expect("an event");
    let event = event.as_subscribe_to_shard_event().expect("records");
    assert_eq!(event.records.len(), 3);
}

#[tokio::test]
async fn a_minute_of_aws_is_published_with_the_accounts_lag() {
    let lab = lab_with(Options { metric_lag: Duration::from_secs(120), ..still() }).await;
    let now = lab.minute();
    for minute in now - 5..=now {
        let dimensions = [("StreamName", "orders")];
        let account = &lab.account;
        account.put_metric("AWS/Kinesis", "IncomingRecords", &dimensions, time(minute), 1.0);
        account.put_metric("Mine", "IncomingRecords", &dimensions, time(minute), 1.0);
    }
    let published = lab.minutes("orders", "IncomingRecords", "Sum").await;
    assert_eq!(published.last().map(|(minute, _)| *minute), Some(now - 3));
    let query = query_in("Mine", "m1", "IncomingRecords", "Sum", &[("StreamName", "orders")], 60);
    assert_eq!(lab.datapoints(query, now - 10, now + 1).await.len(), 6);
}

// ---- CloudWatch ----

fn datum(name: &str) -> cw::builders::MetricDatumBuilder {
    cw::MetricDatum::builder().metric_name(name)
}

#[tokio::test]
async fn metrics_that_are_put_come_back_in_every_statistic() {
    let lab = lab().await;
    let set = cw::StatisticSet::builder().sample_count(2.0).sum(30.0);
    let set = set.minimum(10.0).maximum(20.0).build();
    let put = lab.cloudwatch.put_metric_data().namespace("unthrottle");
    put.metric_data(datum("m").value(4.0).build())
        .metric_data(datum("m").values(1.0).values(2.0).counts(3.0).counts(1.0).build())
        .metric_data(datum("m").statistic_values(set).build())
        .send()
        .await
        .expect("taken");
    let now = lab.minute();
    let expected = [("Sum", 39.0), ("SampleCount", 7.0), ("Average", 39.0 / 7.0), ("Minimum", 1.0), ("Maximum", 20.0)];
    for (stat, value) in expected {
        let query = query_in("unthrottle", "m1", "m", stat, &[], 60);
        assert_eq!(lab.datapoints(query, now, now + 1).await, [(now, value)], "{stat}");
    }
}

#[tokio::test]
async fn a_large_gzipped_put_is_taken() {
    let lab = lab().await;
    let data = (0..200).map(|number| {
        let dimension = cw::Dimension::builder().name("Stream").value(format!("stream-{number}"));
        datum("AutoFix").value(1.0).dimensions(dimension.build()).build()
    });
    let put = lab.cloudwatch.put_metric_data().namespace("unthrottle");
    put.set_metric_data(Some(data.collect())).send().await.expect("taken");
    let now = lab.minute();
    let query = query_in("unthrottle", "m1", "AutoFix", "Sum", &[("Stream", "stream-199")], 60);
    assert_eq!(lab.datapoints(query, now, now + 1).await, [(now, 1.0)]);
}

#[tokio::test]
async fn metrics_that_aws_would_not_take_are_refused() {
    let lab = lab().await;
    let put = || lab.cloudwatch.put_metric_data().namespace("unthrottle");
    let aws = put().namespace("AWS/Kinesis").metric_data(datum("m").value(1.0).build());
    let refused = aws.send().await.expect_err("AWS/").into_service_error();
    assert!(refused.is_invalid_parameter_value_exception(), "{refused:?}");
    for minutes in [-14 * 24 * 60 - 1, 121] {
        let late = datum("m").value(1.0).timestamp(at(lab.minute() + minutes)).build();
        let refused = put().metric_data(late).send().await.expect_err("out of range");
        assert!(refused.into_service_error().is_invalid_parameter_value_exception());
    }
    let none = put().metric_data(datum("m").build()).send().await.expect_err("no value");
    assert!(none.into_service_error().is_missing_required_parameter_exception());
    let both = datum("m").value(1.0).values(1.0).build();
    let both = put().metric_data(both).send().await.expect_err("two ways");
    assert!(both.into_service_error().is_invalid_parameter_combination_exception());
    let nothing = lab.cloudwatch.list_metrics().send().await.expect("a list");
    assert_eq!(nothing.metrics(), []);
}

#[tokio::test]
async fn a_window_includes_its_start_and_excludes_its_end() {
    let lab = lab().await;
    let now = lab.minute();
    for minute in now - 9..=now {
        lab.account.put_metric("Mine", "m", &[], time(minute), 1.0);
    }
    let query = |period| query_in("Mine", "m1", "m", "Sum", &[], period);
    let points = lab.datapoints(query(60), now - 3, now - 1).await;
    assert_eq!(points, [(now - 3, 1.0), (now - 2, 1.0)]);
    let points = lab.datapoints(query(300), now - 9, now + 1).await;
    assert_eq!(points, [(now - 9, 5.0), (now - 4, 5.0)]);
}

#[tokio::test]
async fn metric_data_comes_newest_first_in_pages() {
    let lab = lab().await;
    let now = lab.minute();
    for minute in now - 3..=now {
        lab.account.put_metric("Mine", "a", &[], time(minute), 1.0);
        lab.account.put_metric("Mine", "b", &[], time(minute), 2.0);
    }
    let get = lab.cloudwatch.get_metric_data();
    let get = get.metric_data_queries(query_in("Mine", "a", "a", "Sum", &[], 60));
    let get = get.metric_data_queries(query_in("Mine", "b", "b", "Sum", &[], 60));
    let get = get.start_time(at(now - 10)).end_time(at(now + 1)).max_datapoints(3);
    let mut pages = get.into_paginator().send();
    let (mut a, mut b, mut count) = (Vec::new(), Vec::new(), 0);
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        a.extend(points(&page.metric_data_results()[0]));
        b.extend(points(&page.metric_data_results()[1]));
        count += 1;
    }
    assert_eq!(count, 3);
    assert_eq!(a, [(now, 1.0), (now - 1, 1.0), (now - 2, 1.0), (now - 3, 1.0)]);
    assert_eq!(b.len(), 4);
}

#[tokio::test]
async fn queries_that_cannot_be_answered_are_refused_loudly() {
    let lab = lab().await;
    let get = |queries: Vec<cw::MetricDataQuery>| {
        let get = lab.cloudwatch.get_metric_data().set_metric_data_queries(Some(queries));
        get.start_time(at(lab.minute() - 1)).end_time(at(lab.minute())).send()
    };
    let expression = cw::MetricDataQuery::builder().id("e1").expression("FILL(m1, 0)").build();
    let percentile = query("m1", "IncomingRecords", "p99", &[]);
    let seconds = query_in("Mine", "m1", "m", "Sum", &[], 10);
    let twice = query("m1", "IncomingRecords", "Sum", &[]);
    let many = (0..501).map(|number| query(&format!("m{number}"), "m", "Sum", &[]));
    for queries in
        [vec![expression], vec![percentile], vec![seconds], vec![twice.clone(), twice], many.collect(), vec![]]
    {
        assert_eq!(code(get(queries).await), "ValidationError");
    }
    let alarms = lab.cloudwatch.describe_alarms().send().await.expect_err("not served");
    let (code, message) = code_and_message(alarms);
    assert_eq!(code, "UnknownOperationException");
    assert!(message.contains("DescribeAlarms"), "{message}");
}

#[tokio::test]
async fn metrics_are_listed_by_namespace_name_and_dimension() {
    let lab = lab().await;
    for (name, stream) in [("a", "x"), ("a", "y"), ("b", "x")] {
        let dimensions = [("StreamName", stream)];
        lab.put_metric("Mine", name, &dimensions, 1.0);
    }
    lab.put_metric("Other", "a", &[], 1.0);
    let list = || lab.cloudwatch.list_metrics();
    let count = async |list: aws_sdk_cloudwatch::operation::list_metrics::builders::ListMetricsFluentBuilder| {
        list.send().await.expect("a list").metrics().len()
    };
    assert_eq!(count(list()).await, 4);
    assert_eq!(count(list().namespace("Mine")).await, 3);
    assert_eq!(count(list().metric_name("a")).await, 3);
    let x = cw::DimensionFilter::builder().name("StreamName").value("x").build();
    assert_eq!(count(list().dimensions(x)).await, 2);
}

#[tokio::test]
async fn the_aws_cli_speaks_json_with_cloudwatch() {
    let lab = lab().await;
    let now = lab.minute();
    let data = r#"{"MetricName": "m", "Value": 3}"#;
    let put = format!(r#"{{"Namespace": "Mine", "MetricData": [{data}]}}"#);
    let target = "GraniteServiceVersion20100801";
    let (status, _) = post(lab.account.url(), &format!("{target}.PutMetricData"), put).await;
    assert_eq!(status, "200");
    let metric = r#"{"Namespace": "Mine", "MetricName": "m"}"#;
    let stat = format!(r#"{{"Metric": {metric}, "Period": 60, "Stat": "Sum"}}"#);
    let (start, end) = (now * 60, now * 60 + 60);
    let get = format!(
        r#"{{"MetricDataQueries": [{{"Id": "a", "MetricStat": {stat}}}],
            "StartTime": {start}, "EndTime": {end}}}"#
    );
    let get = post(lab.account.url(), &format!("{target}.GetMetricData"), get).await;
    let answer: serde_json::Value = serde_json::from_str(&get.1).expect("JSON");
    let result = &answer["MetricDataResults"][0];
    assert_eq!(result["Values"][0], 3.0);
    assert_eq!(result["Timestamps"][0], start as f64);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let lab = lab().await;
    let url = lab.account.url();
    let kinesis = "Kinesis_20131202.CreateStream";
    let cloudwatch = "GraniteServiceVersion20100801.PutMetricData";
    for (target, body) in [(kinesis, "{"), (kinesis, "[]"), (cloudwatch, "{")] {
        let (status, answer) = post(url, target, body.into()).await;
        assert_eq!(status, "400", "{target} {body}");
        assert!(answer.contains("SerializationException"), "{answer}");
    }
    let (status, answer) = post(url, "DynamoDB_20120810.GetItem", "{}".into()).await;
    assert_eq!(status, "404");
    assert!(answer.contains("serves Kinesis and CloudWatch"), "{answer}");
}

/// A request as no SDK sends it: status and body of the answer.
async fn post(url: &str, target: &str, body: String) -> (String, String) {
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

// ---- Faults, calls ----

#[tokio::test]
async fn a_reply_lost_after_the_change_leaves_the_change_made() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    lab.account.add_fault(fault("UpdateShardCount", 0, 1, Effect::DropAfter));
    let update = lab.kinesis.update_shard_count().stream_name("orders").target_shard_count(2);
    let update = update.scaling_type(ScalingType::UniformScaling);
    let lost = update.send().await.expect_err("no reply");
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
    assert_eq!(lab.summary("orders").await.stream_status, StreamStatus::Updating);
    lab.active("orders").await;
    assert_eq!(lab.summary("orders").await.open_shard_count, 2);
}

#[tokio::test]
async fn a_request_lost_on_the_way_changes_nothing() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    lab.account.add_fault(fault("UpdateShardCount", 1, 1, Effect::DropBefore));
    lab.reshard("orders", 1).await.expect("the first passes");
    let update = lab.kinesis.update_shard_count().stream_name("orders").target_shard_count(2);
    let update = update.scaling_type(ScalingType::UniformScaling);
    let lost = update.send().await.expect_err("no reply");
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
    assert_eq!(lab.summary("orders").await.stream_status, StreamStatus::Active);
    lab.reshard("orders", 2).await.expect("the third passes");
}

#[tokio::test]
async fn faults_answer_with_any_error_for_as_many_calls_as_asked() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    let error = |status, code: &str| Effect::Error { status, code: code.into(), message: "on demand".into() };
    let limit = error(400, "LimitExceededException");
    lab.account.add_fault(fault("DescribeLimits", 0, 2, limit));
    for _ in 0..2 {
        let limits = lab.kinesis.describe_limits().send().await;
        let expected = ("LimitExceededException".into(), "on demand".into());
        assert_eq!(code_and_message(limits.expect_err("a fault")), expected);
    }
    lab.kinesis.describe_limits().send().await.expect("the third");

    lab.account.add_fault(fault("PutMetricData", 0, 1, error(500, "InternalServiceFault")));
    let put = lab.cloudwatch.put_metric_data().namespace("unthrottle");
    let put = put.metric_data(datum("m").value(1.0).build());
    let failed = put.clone().send().await.expect_err("a fault");
    assert!(failed.into_service_error().is_internal_service_fault());
    lab.account.add_fault(fault("PutMetricData", 0, 1, Effect::DropAfter));
    let lost = put.send().await.expect_err("no reply");
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
    let list = lab.cloudwatch.list_metrics().send().await.expect("a list");
    assert_eq!(list.metrics().len(), 1);
}

#[tokio::test]
async fn a_delayed_call_is_carried_out_even_if_its_client_gives_up() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    lab.account.add_fault(fault("TagResource", 0, 1, Effect::HangAfter));
    tokio::select! {
        answer = lab.tag("orders", "a", "b") => panic!("it hangs: {answer:?}"),
        () = within(async { while lab.account.hanging() == 0 { tokio::task::yield_now().await } }) => {}
    }
    let list = lab.kinesis.list_tags_for_resource();
    let list = list.resource_arn(lab.account.stream_arn("orders")).send().await;
    assert_eq!(list.expect("tags").tags().len(), 1);
}

#[tokio::test]
async fn every_attempt_is_counted() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    lab.account.reset_calls();
    lab.account.add_fault(fault("UpdateShardCount", 1, 1, Effect::DropBefore));
    let _ = lab.reshard("orders", 100).await;
    let update = lab.kinesis.update_shard_count().stream_name("orders").target_shard_count(2);
    let _ = update.scaling_type(ScalingType::UniformScaling).send().await;
    lab.minutes("orders", "IncomingRecords", "Sum").await;
    let calls: Vec<_> = lab.account.calls().into_iter().collect();
    let expected = [("CloudWatch.GetMetricData", 1), ("Kinesis.UpdateShardCount", 2)];
    assert_eq!(calls, expected.map(|(name, count)| (name.to_string(), count)));
}

#[tokio::test]
async fn a_dropped_account_stops_serving() {
    let lab = lab().await;
    lab.stream("orders", 1).await;
    let describe = lab.kinesis.describe_stream_summary().stream_name("orders");
    drop(lab.account);
    // The server gets the signal to stop at once, and may end a moment later.
    let lost = within(async {
        loop {
            if let Err(lost) = describe.clone().send().await {
                return lost;
            }
        }
    });
    let lost = lost.await;
    assert!(matches!(lost, SdkError::DispatchFailure(_)), "{lost:?}");
}

// ---- Time, summaries, searches ----

fn search(expression: &str) -> cw::MetricDataQuery {
    cw::MetricDataQuery::builder().id("s").expression(expression).label("${PROP('Dim.ShardId')}").build()
}

/// What GetMetricData gives for the last hour: the label and the sum of each series.
async fn sums(lab: &Lab, query: cw::MetricDataQuery) -> Result<Vec<(String, f64)>, String> {
    let now = lab.minute() * 60;
    let time = aws_sdk_cloudwatch::primitives::DateTime::from_secs;
    let get = lab.cloudwatch.get_metric_data().metric_data_queries(query).start_time(time(now - 3600));
    let answer = get.end_time(time(now + 60)).send().await.map_err(|error| error.code().expect("a code").to_owned())?;
    let of =
        |series: &cw::MetricDataResult| (series.label().unwrap_or_default().to_owned(), series.values().iter().sum());
    Ok(answer.metric_data_results().iter().map(of).collect())
}

#[tokio::test]
async fn a_search_finds_each_shard_of_one_stream_and_no_other() {
    let lab = lab().await;
    let put = |stream, shard, value| {
        let dimensions = [("StreamName", stream), ("ShardId", shard)];
        lab.put_metric("AWS/Kinesis", "IncomingBytes", &dimensions, value);
    };
    put("orders", "shardId-000000000000", 10.0);
    put("orders", "shardId-000000000001", 20.0);
    put("clicks", "shardId-000000000000", 40.0);
    lab.put_metric("AWS/Kinesis", "IncomingBytes", &[("StreamName", "orders")], 30.0);
    let shards = "{AWS/Kinesis,ShardId,StreamName} MetricName=\"IncomingBytes\" StreamName=\"orders\"";
    let found = sums(&lab, search(&format!("SEARCH('{shards}', 'Sum', 60)"))).await.expect("found");
    assert_eq!(found, [("shardId-000000000000".into(), 10.0), ("shardId-000000000001".into(), 20.0)]);
    for wrong in ["SUM(METRICS())", "SEARCH('orders', 'Sum', 60)", "SEARCH('{AWS/Kinesis} x', 'Sum')"] {
        assert_eq!(sums(&lab, search(wrong)).await, Err("ValidationError".into()), "{wrong}");
    }
}

#[tokio::test]
async fn time_that_passes_takes_metrics_and_budgets_along() {
    let lab = lab().await;
    lab.stream("orders", 2).await;
    for n in 0..10 {
        lab.reshard("orders", if n % 2 == 0 { 3 } else { 2 }).await.expect("one of ten");
        lab.active("orders").await;
    }
    let eleventh = || async {
        let update = lab.kinesis.update_shard_count().stream_name("orders").target_shard_count(3);
        update.scaling_type(ScalingType::UniformScaling).send().await
    };
    assert_eq!(code(eleventh().await), "LimitExceededException");
    lab.put_metric("Any", "Thing", &[], 1.0);
    let thing = || query_in("Any", "m", "Thing", "Sum", &[], 60);
    assert_eq!(sums(&lab, thing()).await.expect("there")[0].1, 1.0);
    lab.pass(Duration::from_secs(25 * 3600));
    assert_eq!(sums(&lab, thing()).await.expect("there")[0].1, 0.0, "more than an hour ago");
    eleventh().await.expect("a new day");
}

#[tokio::test]
async fn a_summary_shows_what_it_is_told_to_show() {
    let lab = lab().await;
    lab.on_demand_stream("orders").await;
    assert_eq!(lab.summary("orders").await.channel_count, Some(0));
    let strategy = lab.summary("orders").await.record_distribution_strategy.expect("shown");
    assert_eq!(strategy.as_str(), "USER_PARTITION_KEY");
    lab.account.describe_as("orders", serde_json::json!({ "ChannelCount": 2, "RecordDistributionStrategy": "AUTO" }));
    let summary = lab.summary("orders").await;
    assert_eq!(
        (summary.channel_count, summary.record_distribution_strategy.expect("shown").as_str()),
        (Some(2), "AUTO")
    );
    lab.account.describe_as("orders", serde_json::json!({ "ChannelCount": null }));
    assert_eq!(lab.summary("orders").await.channel_count, None);
}

#[tokio::test]
async fn a_switch_to_on_demand_can_bring_warm_throughput_along() {
    let lab = lab_with(Options { commitment: local::Commitment::Enabled, ..still() }).await;
    lab.stream("orders", 1).await;
    let arn = lab.account.stream_arn("orders");
    let switch = lab.kinesis.update_stream_mode().stream_arn(&arn).stream_mode_details(mode(StreamMode::OnDemand));
    switch.warm_throughput_mibps(6).send().await.expect("switched");
    assert_eq!(lab.summary("orders").await.stream_status, StreamStatus::Updating);
    lab.active("orders").await;
    let summary = lab.summary("orders").await;
    let warm = summary.warm_throughput.expect("shown");
    assert_eq!((summary.open_shard_count, warm.current_mibps, warm.target_mibps), (6, Some(6), Some(6)));
    assert_eq!(summary.stream_mode_details.expect("a mode").stream_mode, StreamMode::OnDemand);
}

#[tokio::test]
async fn short_lived_shards_of_a_reshard_count_towards_the_quota() {
    let lab = lab_with(Options { shard_limit: 9, ..still() }).await;
    lab.stream("orders", 4).await;
    let update = |to| lab.kinesis.update_shard_count().stream_name("orders").target_shard_count(to);
    let update = |to| update(to).scaling_type(ScalingType::UniformScaling).send();
    assert_eq!(code(update(7).await), "LimitExceededException", "4 → 7 goes over 4 + 6");
    update(6).await.expect("4 → 6 goes over 4 + 4");
}
