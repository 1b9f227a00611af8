//! Naming a stream: by its name, by its ARN, and streams that are not there.

use crate::fixture::{LocalFixture, code, mode, record};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{ScalingType, ShardIteratorType, StreamMode};

#[tokio::test]
async fn a_stream_is_reached_by_its_arn_alone() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let arn = fixture.account.stream_arn("orders");
    let kinesis = &fixture.kinesis;

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
    fixture.active("orders").await;
    let delete = kinesis.delete_stream().stream_arn(&arn);
    delete.send().await.expect("DeleteStream");
}

#[tokio::test]
async fn a_name_and_an_arn_that_disagree_are_refused() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let describe = fixture.kinesis.describe_stream_summary().stream_name("invoices");
    let answer = describe.stream_arn(fixture.account.stream_arn("orders")).send().await;
    assert_eq!(code(answer), "InvalidArgumentException");
}

#[tokio::test]
async fn an_arn_of_another_account_is_an_unrecognized_client() {
    let fixture = LocalFixture::new().await;
    let arn = "arn:aws:kinesis:us-east-1:999999999999:stream/orders";
    let answer = fixture.kinesis.describe_stream_summary().stream_arn(arn).send().await;
    assert_eq!(code(answer), "UnrecognizedClientException");
}

#[tokio::test]
async fn a_missing_stream_is_not_found() {
    let fixture = LocalFixture::new().await;
    let answer = fixture.kinesis.describe_stream_summary().stream_name("none").send().await;
    assert_eq!(code(answer), "ResourceNotFoundException");
    let reshard = fixture.reshard("none", 2).await.expect_err("no stream");
    assert_eq!(reshard.0, "ResourceNotFoundException");
    let tag = fixture.tag("none", "a", "b").await.expect_err("no stream");
    assert_eq!(tag.0, "ResourceNotFoundException");
    let list = fixture.kinesis.list_tags_for_resource();
    let answer = list.resource_arn(fixture.account.stream_arn("none")).send().await;
    assert_eq!(code(answer), "ResourceNotFoundException");
}

#[tokio::test]
async fn streams_are_listed_with_their_mode_and_status_in_pages() {
    let fixture = LocalFixture::new().await;
    fixture.stream("a", 1).await;
    fixture.on_demand_stream("b").await;
    let first = fixture.kinesis.list_streams().limit(1).send().await.expect("a page");
    assert_eq!(first.stream_names, ["a"]);
    assert!(first.has_more_streams);
    let next = fixture.kinesis.list_streams().set_next_token(first.next_token);
    let next = next.send().await.expect("a page");
    let summary = &next.stream_summaries()[0];
    assert_eq!(summary.stream_arn, fixture.account.stream_arn("b"));
    assert_eq!(summary.stream_mode_details, Some(mode(StreamMode::OnDemand)));
    assert!(!next.has_more_streams);
}
