//! Writes: records that a shard refuses, and the metrics of all of them.

use crate::aws::noon;
use crate::fixture::{LocalFixture, code, code_and_message, post, query, record};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{MetricsName, ShardIteratorType};
use chrono::TimeDelta;
use std::time::Duration;

#[tokio::test]
async fn a_throttled_record_names_its_shard_and_is_counted() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 2).await;
    let enable = fixture.kinesis.enable_enhanced_monitoring().stream_name("orders");
    enable.shard_level_metrics(MetricsName::All).send().await.expect("enabled");

    // Key "b" belongs to the second half of the hashes: md5("b") begins with 92.
    assert_eq!(fixture.put("orders", "b", 500).await, 0);
    assert_eq!(fixture.put("orders", "b", 500).await, 0);
    let put = fixture.kinesis.put_records().stream_name("orders");
    let put = put.set_records(Some(vec![record("b", 1); 20])).send().await.expect("an answer");
    assert_eq!(put.failed_record_count, Some(20));
    let message = "Rate exceeded for shard shardId-000000000001 in stream orders under account 123456789012.";
    assert_eq!(put.records[0].error_message.as_deref(), Some(message));
    let code = "ProvisionedThroughputExceededException";
    assert_eq!(put.records[0].error_code.as_deref(), Some(code));
    let put = fixture.kinesis.put_record().stream_name("orders").partition_key("b");
    let refused = put.data(Blob::new("x")).send().await.expect_err("throttled");
    assert_eq!(code_and_message(refused), (code.into(), message.into()));
    let put = fixture.kinesis.put_record().stream_name("orders").partition_key("a");
    put.data(Blob::new("four")).send().await.expect("the other shard");

    let total = async |metric| fixture.total("orders", metric).await;
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
    let share = fixture.minutes("orders", wpte, "Average").await[0].1;
    assert!((share - 21.0 / 1022.0).abs() < 1e-12, "{share}");

    let shard = [("StreamName", "orders"), ("ShardId", "shardId-000000000001")];
    let query = query("m1", wpte, "Sum", &shard);
    let points = fixture.datapoints(query, fixture.minute() - 1, fixture.minute() + 1).await;
    assert_eq!(points.iter().map(|(_, value)| value).sum::<f64>(), 21.0);
}

#[tokio::test]
async fn minutes_with_puts_have_a_throttling_datapoint_of_zero_and_idle_ones_have_none() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let wpte = "WriteProvisionedThroughputExceeded";
    assert_eq!(fixture.minutes("orders", wpte, "Sum").await, []);
    fixture.put("orders", "k", 3).await;
    assert_eq!(fixture.minutes("orders", wpte, "Sum").await, [(fixture.minute(), 0.0)]);
}

#[tokio::test]
async fn a_minute_of_traffic_is_a_minute_of_metrics_however_long_it_takes() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    fixture.account.clock().advance_to(noon() + TimeDelta::minutes(1)).expect("forwards");
    let first = fixture.minute();
    for _ in 0..2 * 60 {
        for _ in 0..3 {
            fixture.put("orders", "k", 400).await;
        }
        fixture.pass(Duration::from_secs(1));
    }
    let minutes = |value| [(first, value), (first + 1, value)];
    assert_eq!(fixture.minutes("orders", "IncomingRecords", "Sum").await, minutes(60_000.0));
    assert_eq!(fixture.minutes("orders", "WriteProvisionedThroughputExceeded", "Sum").await, minutes(12_000.0));
}

/// The first loop that a new user tries.
#[tokio::test]
async fn one_call_a_second_below_the_limit_is_not_throttled_whatever_its_phase() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    for every_ms in [990, 1_000, 1_010] {
        for _ in 0..20 {
            let put = fixture.kinesis.put_records().stream_name("orders");
            let answer = put.set_records(Some(vec![record("k", 10 * 1024); 77])).send().await.expect("an answer");
            assert_eq!(answer.failed_record_count, Some(0), "76 % of the limit, every {every_ms} ms");
            fixture.pass(Duration::from_millis(every_ms));
        }
    }
}

#[tokio::test]
async fn records_that_aws_would_not_take_are_refused_and_none_of_their_call_is_written() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
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
        let (status, answer) = post(fixture.account.url(), target, call(&format!("{good}, {bad}"))).await;
        assert_eq!(status, "400", "{bad}: {answer}");
    }
    let large = fixture.kinesis.put_records().stream_name("orders").records(record("k", 1024 * 1024 + 1)).send().await;
    assert_eq!(code(large), "ValidationException");
    assert_eq!(fixture.read(fixture.iterator("orders", ShardIteratorType::TrimHorizon).await).await.0.len(), 0);
    let (status, _) = post(fixture.account.url(), target, call(good)).await;
    assert_eq!(status, "200");
    let kept = fixture.read(fixture.iterator("orders", ShardIteratorType::TrimHorizon).await).await.0;
    assert_eq!(kept, [b"x".to_vec()]);
}

#[tokio::test]
async fn traffic_for_a_stream_that_is_not_there_is_not_found() {
    let fixture = LocalFixture::new().await;
    let put = fixture.kinesis.put_records().stream_name("none").records(record("k", 1)).send().await;
    assert_eq!(code(put), "ResourceNotFoundException");
    let create = fixture.kinesis.create_stream().stream_name("new").shard_count(1);
    create.send().await.expect("created");
    let put = fixture.kinesis.put_record().stream_name("new").partition_key("k").data(Blob::new("x")).send().await;
    let (code, message) = code_and_message(put.expect_err("it is CREATING"));
    assert_eq!(code, "ResourceNotFoundException");
    assert!(message.contains("new"), "{message}");
}
