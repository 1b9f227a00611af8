//! Readers, their rates, and the records that the account keeps for them.

use crate::fixture::{LocalFixture, code, code_and_message, still, within};
use aws_sdk_kinesis::types::ShardIteratorType;
use std::time::Duration;
use unthrottle_lab::local::{LocalAccount, Options};

#[tokio::test]
async fn a_shard_gives_five_iterators_and_five_answers_a_second() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let iterator = fixture.kinesis.get_shard_iterator().stream_name("orders");
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

    let get = fixture.kinesis.get_records().set_shard_iterator(last);
    for _ in 0..5 {
        get.clone().send().await.expect("records");
    }
    let sixth = get.send().await.expect_err("the sixth");
    assert_eq!(code_and_message(sixth), refused);
    let metric = "ReadProvisionedThroughputExceeded";
    assert_eq!(fixture.total("orders", metric).await, 1.0);
    assert_eq!(fixture.minutes("orders", metric, "SampleCount").await[0].1, 6.0);
    assert_eq!(fixture.total("orders", "GetRecords.Success").await, 5.0);
}

#[tokio::test]
async fn a_reader_with_a_full_page_is_behind_and_one_with_the_rest_is_not() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    fixture.put("orders", "k", 3).await;
    fixture.pass(Duration::from_millis(1100));
    let iterator = fixture.kinesis.get_shard_iterator().stream_name("orders");
    let iterator = iterator.shard_id("shardId-000000000000");
    let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon);
    let iterator = iterator.send().await.expect("an iterator").shard_iterator;
    let get = fixture.kinesis.get_records().set_shard_iterator(iterator);
    let page = get.limit(2).send().await.expect("a page");
    let behind = page.millis_behind_latest.expect("always sent");
    assert_eq!(behind, 1100);
    let get = fixture.kinesis.get_records().set_shard_iterator(page.next_shard_iterator);
    let rest = get.limit(2).send().await.expect("a page");
    assert_eq!((rest.records.len(), rest.millis_behind_latest), (1, Some(0)));
    let age = fixture.minutes("orders", "GetRecords.IteratorAgeMilliseconds", "Maximum").await;
    assert_eq!(age.last().map(|(_, age)| *age as i64), Some(behind));
}

#[tokio::test]
async fn an_account_keeps_as_many_bytes_as_its_options_say_and_drops_the_oldest_first() {
    let fixture = LocalFixture::with(Options { keep_bytes: 1 << 20, ..still() }).await;
    fixture.stream("orders", 1).await;
    fixture.stream("clicks", 1).await;
    // 100 KiB are 134 KiB in base64: seven fit.
    fixture.put_numbered("clicks", 0..1, 100 * 1024).await;
    let dropped = fixture.account.first_drop();
    let mut dropped = std::pin::pin!(dropped);
    fixture.put_numbered("orders", 1..8, 100 * 1024).await;
    within(&mut dropped).await;
    let none = fixture.read(fixture.iterator("clicks", ShardIteratorType::TrimHorizon).await).await.0;
    assert_eq!(none.len(), 0, "the oldest of all streams");
    fixture.put_numbered("orders", 8..12, 100 * 1024).await;
    let kept = fixture.read(fixture.iterator("orders", ShardIteratorType::TrimHorizon).await).await.0;
    let numbers: Vec<u8> = kept.iter().map(|data| data[0]).collect();
    assert_eq!(numbers, [5, 6, 7, 8, 9, 10, 11], "what it kept is served");
    let again = tokio::time::timeout(Duration::ZERO, fixture.account.first_drop()).await;
    assert!(again.is_err(), "said once");
    // The records of a deleted stream take no memory: four more fit beside the three of another stream.
    fixture.stream("other", 1).await;
    fixture.put_numbered("other", 20..23, 100 * 1024).await;
    fixture.kinesis.delete_stream().stream_name("orders").send().await.expect("deleted");
    fixture.pass(Duration::from_secs(1));
    fixture.put_numbered("other", 23..27, 100 * 1024).await;
    assert_eq!(fixture.read(fixture.iterator("other", ShardIteratorType::TrimHorizon).await).await.0.len(), 7);
}

#[tokio::test]
async fn the_newest_record_is_kept_however_large_it_is() {
    let fixture = LocalFixture::with(Options { keep_bytes: 1, ..still() }).await;
    fixture.stream("orders", 1).await;
    fixture.put_numbered("orders", 0..3, 1000 * 1024).await;
    let kept = fixture.read(fixture.iterator("orders", ShardIteratorType::TrimHorizon).await).await.0;
    assert_eq!(kept.iter().map(|data| data[0]).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn an_account_that_may_keep_nothing_does_not_start() {
    let error = LocalAccount::start(Options { keep_bytes: 0, ..still() }).await.err().expect("an error");
    assert!(error.to_string().contains("at least 1"), "{error}");
}

#[tokio::test]
async fn a_record_is_served_for_as_long_as_its_stream_keeps_it() {
    let fixture = LocalFixture::new().await;
    fixture.stream("day", 1).await;
    fixture.stream("days", 1).await;
    let increase = fixture.kinesis.increase_stream_retention_period().stream_name("days");
    increase.retention_period_hours(48).send().await.expect("48 hours");
    for name in ["day", "days"] {
        fixture.put_numbered(name, 1..3, 10).await;
    }
    let count = async |name| fixture.read(fixture.iterator(name, ShardIteratorType::TrimHorizon).await).await.0.len();
    fixture.pass(Duration::from_secs(24 * 3600 - 10));
    assert_eq!((count("day").await, count("days").await), (2, 2));
    fixture.pass(Duration::from_secs(10));
    assert_eq!((count("day").await, count("days").await), (0, 2));
    fixture.pass(Duration::from_secs(24 * 3600));
    assert_eq!(count("days").await, 0);
}

#[tokio::test]
async fn the_retention_of_a_stream_that_is_updating_stays() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    fixture.reshard("orders", 2).await.expect("accepted");
    let increase = || fixture.kinesis.increase_stream_retention_period().stream_name("orders");
    assert_eq!(code(increase().retention_period_hours(48).send().await), "ResourceInUseException");
    fixture.active("orders").await;
    increase().retention_period_hours(48).send().await.expect("48 hours");
}

#[tokio::test]
async fn a_reader_begins_where_it_asks_to() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    fixture.put_numbered("orders", 0..3, 10).await;
    let since = aws_sdk_kinesis::primitives::DateTime::from_millis(fixture.account.now().timestamp_millis());
    let latest = fixture.iterator("orders", ShardIteratorType::Latest).await;
    fixture.put_numbered("orders", 3..5, 10).await;
    let numbers = |data: Vec<Vec<u8>>| data.iter().map(|data| data[0]).collect::<Vec<_>>();
    let (all, next) = fixture.read(fixture.iterator("orders", ShardIteratorType::TrimHorizon).await).await;
    assert_eq!(numbers(all), [0, 1, 2, 3, 4]);
    let (rest, next) = fixture.read(next).await;
    assert_eq!((rest.len(), next.is_some()), (0, true), "the shard is open");
    let (new, _) = fixture.read(latest).await;
    assert_eq!(numbers(new), [3, 4]);
    let iterator = || fixture.kinesis.get_shard_iterator().stream_name("orders").shard_id("shardId-000000000000");
    let at = iterator().shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(since).send().await;
    assert_eq!(numbers(fixture.read(at.expect("an iterator").shard_iterator).await.0), [3, 4]);
    let future = aws_sdk_kinesis::primitives::DateTime::from_secs(fixture.account.now().timestamp() + 60);
    let at = iterator().shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(future).send().await;
    assert_eq!(code(at), "InvalidArgumentException");
    fixture.pass(Duration::from_secs(1));
    let records = fixture.kinesis.get_records().set_shard_iterator(next.clone()).send().await.expect("records");
    assert_eq!(records.records.len(), 0);
    // An iterator expires after five minutes.
    fixture.pass(Duration::from_secs(301));
    let old = fixture.kinesis.get_records().set_shard_iterator(next).send().await;
    assert_eq!(code(old), "ExpiredIteratorException");
}

#[tokio::test]
async fn a_reader_comes_to_the_end_of_a_closed_shard() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    fixture.put_numbered("orders", 0..2, 10).await;
    fixture.reshard("orders", 2).await.expect("legal");
    fixture.active("orders").await;
    let (data, next) = fixture.read(fixture.iterator("orders", ShardIteratorType::TrimHorizon).await).await;
    assert_eq!(data.len(), 2);
    assert_eq!(fixture.read(next).await, (vec![], None));
    let shards = fixture.kinesis.list_shards().stream_name("orders").send().await.expect("shards");
    let parents: Vec<_> = shards.shards().iter().map(|shard| shard.parent_shard_id()).collect();
    assert_eq!(parents, [None, Some("shardId-000000000000"), Some("shardId-000000000000")]);
}

#[tokio::test]
async fn an_enhanced_fan_out_consumer_receives_records() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let register = fixture.kinesis.register_stream_consumer().consumer_name("c");
    let register = register.stream_arn(fixture.account.stream_arn("orders"));
    let consumer = register.send().await.expect("registered").consumer.expect("one");
    fixture.pass(Duration::from_millis(700));
    fixture.put("orders", "k", 3).await;
    let start = aws_sdk_kinesis::types::StartingPosition::builder();
    let start = start.r#type(ShardIteratorType::TrimHorizon).build().expect("complete");
    let subscribe = fixture.kinesis.subscribe_to_shard().consumer_arn(consumer.consumer_arn);
    let subscribe = subscribe.shard_id("shardId-000000000000").starting_position(start);
    let mut events = subscribe.send().await.expect("subscribed").event_stream;
    let event = events.recv().await.expect("readable").expect("an event");
    let event = event.as_subscribe_to_shard_event().expect("records");
    assert_eq!(event.records.len(), 3);
    let metric = "MetricName=\"SubscribeToShardEvent.MillisBehindLatest\" StreamName=\"orders\"";
    let expression = format!("SEARCH('{{AWS/Kinesis,ConsumerName,StreamName}} {metric}', 'Maximum', 60)");
    let query = aws_sdk_cloudwatch::types::MetricDataQuery::builder().id("fan_out").expression(expression).build();
    let now = aws_sdk_cloudwatch::primitives::DateTime::from_secs(fixture.account.now().timestamp());
    let from = aws_sdk_cloudwatch::primitives::DateTime::from_secs(now.secs() - 600);
    let to = aws_sdk_cloudwatch::primitives::DateTime::from_secs(now.secs() + 60);
    let read = fixture.cloudwatch.get_metric_data().metric_data_queries(query).start_time(from).end_time(to);
    let found = read.send().await.expect("read").metric_data_results.expect("results");
    assert_eq!(found.iter().map(|series| series.values().len()).collect::<Vec<_>>(), [1], "{found:?}");
}
