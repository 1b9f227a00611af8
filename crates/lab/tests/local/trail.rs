//! CloudTrail's data events of calls that the account refuses.

use crate::fixture::LocalFixture;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::ShardIteratorType;
use unthrottle_lab::local::FailedCall;

#[tokio::test]
async fn a_refused_read_and_a_refused_record_are_data_events_with_their_stream() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let mut calls = fixture.account.failed_calls();
    let iterator = fixture.iterator("orders", ShardIteratorType::TrimHorizon).await;
    // The clock stands, so the sixth read of the second is one too many.
    for _ in 0..6 {
        let _ = fixture.kinesis.get_records().shard_iterator(iterator.clone().expect("an iterator")).send().await;
    }
    let throttled = |operation: &str| FailedCall {
        operation: operation.into(),
        stream: Some("orders".into()),
        code: "ProvisionedThroughputExceededException".into(),
        message: "Rate exceeded for shard shardId-000000000000 in stream orders under account 123456789012.".into(),
        at: fixture.account.now(),
    };
    assert_eq!(calls.try_recv(), Ok(throttled("GetRecords")));
    fixture.put("orders", "key", 500).await;
    fixture.put("orders", "key", 500).await;
    let put = fixture.kinesis.put_record().stream_arn(fixture.account.stream_arn("orders")).partition_key("key");
    let _ = put.data(Blob::new("x")).send().await;
    assert_eq!(calls.try_recv(), Ok(throttled("PutRecord")));
    assert!(calls.try_recv().is_err(), "nothing else");
}

#[tokio::test]
async fn records_that_a_call_refuses_one_by_one_and_calls_that_change_streams_are_no_data_events() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let mut calls = fixture.account.failed_calls();
    let refused = [fixture.put("orders", "key", 500).await, fixture.put("orders", "key", 500).await];
    assert_eq!((refused, fixture.put("orders", "key", 500).await), ([0, 0], 500), "it refuses all of the last call");
    assert!(fixture.reshard("orders", 5).await.is_err());
    assert!(calls.try_recv().is_err());
}
