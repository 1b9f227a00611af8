//! ListShards with a filter, and the time at which a stream was created.

use crate::fixture::{LocalFixture, code_and_message, post};
use aws_sdk_kinesis::primitives::DateTime as AwsTime;
use aws_sdk_kinesis::types::{ShardFilter, ShardFilterType};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

fn aws_time(time: DateTime<Utc>) -> AwsTime {
    AwsTime::from_secs(time.timestamp())
}

/// The numbers of the listed shards, each with whether it is closed.
async fn listed(fixture: &LocalFixture, filter: Option<ShardFilter>) -> Result<Vec<(u32, bool)>, (String, String)> {
    let list = fixture.kinesis.list_shards().stream_name("orders").set_shard_filter(filter).send().await;
    let shard = |shard: &aws_sdk_kinesis::types::Shard| {
        let number = shard.shard_id().strip_prefix("shardId-").and_then(|number| number.parse().ok());
        let closed = shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_some());
        (number.expect("a shard"), closed)
    };
    Ok(list.map_err(code_and_message)?.shards().iter().map(shard).collect())
}

fn filter(kind: ShardFilterType) -> aws_sdk_kinesis::types::builders::ShardFilterBuilder {
    ShardFilter::builder().r#type(kind)
}

/// The shards that were open at `time`.
async fn open_at(fixture: &LocalFixture, time: DateTime<Utc>) -> Vec<(u32, bool)> {
    let filter = filter(ShardFilterType::AtTimestamp).timestamp(aws_time(time)).build().expect("complete");
    listed(fixture, Some(filter)).await.expect("shards")
}

#[tokio::test]
async fn list_shards_at_a_timestamp_lists_the_shards_that_were_open_then() {
    let fixture = LocalFixture::new().await;
    let before = fixture.account.now() - TimeDelta::seconds(1);
    fixture.stream("orders", 2).await;
    fixture.pass(Duration::from_secs(600));
    let first = fixture.account.now();
    assert_eq!(open_at(&fixture, first).await, [(0, false), (1, false)]);
    fixture.reshard("orders", 4).await.expect("doubled");
    fixture.active("orders").await;
    fixture.pass(Duration::from_secs(600));
    let second = fixture.account.now();
    fixture.reshard("orders", 2).await.expect("halved");
    fixture.active("orders").await;
    fixture.pass(Duration::from_secs(600));
    assert_eq!(open_at(&fixture, first).await, [(0, true), (1, true)], "closed since");
    assert_eq!(open_at(&fixture, second).await, [(2, true), (3, true), (4, true), (5, true)]);
    assert_eq!(open_at(&fixture, fixture.account.now()).await, [(6, false), (7, false)]);
    assert_eq!(open_at(&fixture, before).await, [], "before the stream");
}

#[tokio::test]
async fn list_shards_from_a_timestamp_lists_the_shards_of_all_the_time_since() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 2).await;
    fixture.pass(Duration::from_secs(600));
    let first = fixture.account.now();
    fixture.reshard("orders", 4).await.expect("doubled");
    fixture.active("orders").await;
    fixture.pass(Duration::from_secs(600));
    let second = fixture.account.now();
    fixture.reshard("orders", 2).await.expect("halved");
    fixture.active("orders").await;
    fixture.pass(Duration::from_secs(600));
    let since = async |time| {
        let filter = filter(ShardFilterType::FromTimestamp).timestamp(aws_time(time)).build().expect("complete");
        listed(&fixture, Some(filter)).await.expect("shards")
    };
    let closed = |numbers: std::ops::Range<u32>| numbers.map(|number| (number, true));
    let open = [(6, false), (7, false)];
    assert_eq!(since(first).await, closed(0..6).chain(open).collect::<Vec<_>>());
    assert_eq!(since(second).await, closed(2..6).chain(open).collect::<Vec<_>>());
    assert_eq!(since(fixture.account.now()).await, open);
}

#[tokio::test]
async fn a_shard_that_a_split_left_alone_is_open_before_and_after_it() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 2).await;
    fixture.pass(Duration::from_secs(60));
    let before = fixture.account.now();
    fixture.pass(Duration::from_secs(60));
    let split = fixture.kinesis.split_shard().stream_name("orders").shard_to_split("shardId-000000000000");
    split.new_starting_hash_key("1000").send().await.expect("split");
    fixture.active("orders").await;
    fixture.pass(Duration::from_secs(60));
    assert_eq!(open_at(&fixture, before).await, [(0, true), (1, false)]);
    assert_eq!(open_at(&fixture, fixture.account.now()).await, [(1, false), (2, false), (3, false)]);
}

#[tokio::test]
async fn list_shards_at_latest_still_lists_closed_shards() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    fixture.reshard("orders", 2).await.expect("doubled");
    fixture.active("orders").await;
    let all = Ok(vec![(0, true), (1, false), (2, false)]);
    assert_eq!(listed(&fixture, filter(ShardFilterType::AtLatest).build().ok()).await, all);
    assert_eq!(listed(&fixture, None).await, all);
}

#[tokio::test]
async fn a_shard_filter_that_the_account_does_not_serve_is_refused() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let (code, message) =
        listed(&fixture, filter(ShardFilterType::AtTimestamp).build().ok()).await.expect_err("no time");
    assert_eq!((code.as_str(), message.contains("Timestamp")), ("InvalidArgumentException", true), "{message}");
    let other = filter(ShardFilterType::FromTrimHorizon).build().ok();
    let (code, message) = listed(&fixture, other).await.expect_err("not served");
    assert_eq!((code.as_str(), message.contains("FROM_TRIM_HORIZON")), ("InvalidArgumentException", true), "{message}");
    for body in [
        r#"{"StreamName": "orders", "ShardFilter": {}}"#,
        r#"{"StreamName": "orders", "ShardFilter": {"Type": "SOON"}}"#,
    ] {
        let (status, answer) = post(fixture.account.url(), "Kinesis_20131202.ListShards", body.into()).await;
        assert_eq!((status.as_str(), answer.contains("ValidationException")), ("400", true), "{answer}");
    }
}

#[tokio::test]
async fn a_stream_made_anew_under_its_name_has_a_new_creation_time() {
    let fixture = LocalFixture::new().await;
    let began = aws_time(fixture.account.now());
    fixture.stream("orders", 2).await;
    assert_eq!(fixture.summary("orders").await.stream_creation_timestamp, began);
    fixture.pass(Duration::from_secs(3_600));
    fixture.reshard("orders", 4).await.expect("doubled");
    fixture.active("orders").await;
    assert_eq!(fixture.summary("orders").await.stream_creation_timestamp, began, "a reshard makes no stream");
    fixture.kinesis.delete_stream().stream_name("orders").send().await.expect("deleted");
    fixture.pass(Duration::from_secs(60));
    let again = fixture.account.now();
    fixture.stream("orders", 2).await;
    assert_eq!(fixture.summary("orders").await.stream_creation_timestamp, aws_time(again));
    assert_eq!(open_at(&fixture, again - TimeDelta::seconds(1)).await, [], "the shards are new, too");
}
