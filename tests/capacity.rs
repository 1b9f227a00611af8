//! The local account and the simulator are one model: the same traffic, the same records refused.

#![cfg(feature = "cli")]

#[path = "common/aws.rs"]
mod aws;
#[path = "common/lab.rs"]
mod lab;

use aws::{Aws, STREAM};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use lab::noon;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::time::Duration;
use unthrottle::local::{Clock, LocalAccount, Options};
use unthrottle::rules::HashRange;
use unthrottle::sim::retry::{Retry, Waiting};
use unthrottle::sim::shard::OpenShard;

/// Bytes of each record's partition key.
const KEY: &str = "k";

/// Traffic for a stream of some shards: in each second so many records of one size for each shard.
#[derive(Clone, Debug)]
struct Load {
    shards: usize,
    record_bytes: usize,
    /// By second and shard.
    records: Vec<Vec<usize>>,
}

/// Around what a shard takes: 1,000 records or 1 MiB. At most 500 records in all, which one call takes.
fn load() -> impl Strategy<Value = Load> {
    (1..4usize, prop_oneof![2..200usize, 2_000..60_000usize]).prop_flat_map(|(shards, record_bytes)| {
        let full = (1_048_576 / record_bytes).min(500 / shards);
        let second = proptest::collection::vec(0..=full * 3 / 2, shards);
        let seconds = proptest::collection::vec(second, 1..6);
        (Just(shards), Just(record_bytes), seconds).prop_map(|(shards, record_bytes, mut records)| {
            records.iter_mut().flatten().for_each(|count| *count = (*count).min(500 / shards));
            Load { shards, record_bytes, records }
        })
    })
}

/// Whether each record of each second was taken, in the order in which they came.
type Taken = Vec<Vec<bool>>;

/// A shard's records of a second come one after the other, shard by shard.
fn simulated(load: &Load) -> Taken {
    let retry = Retry::never();
    let ranges = HashRange::uniform(load.shards as u32);
    let open = |(number, range): (u64, HashRange)| OpenShard::new(number, None, range, 1.0, Waiting::new(&retry), 0);
    let mut shards: Vec<OpenShard> = (0..).zip(ranges).map(open).collect();
    let second = |(now, counts): (i64, &Vec<usize>)| {
        let of_shard = |(shard, count): (&mut OpenShard, &usize)| {
            let accepted = shard.pass(now, *count as f64, load.record_bytes as u64, &retry).accepted as usize;
            (0..*count).map(|n| n < accepted).collect::<Vec<_>>()
        };
        shards.iter_mut().zip(counts).flat_map(of_shard).collect()
    };
    (0..).zip(&load.records).map(second).collect()
}

/// The same over HTTP.
async fn put(load: &Load) -> Taken {
    let options = Options { clock: Clock::standing_at(noon()), ..Options::default() };
    let account = LocalAccount::start(options).await.expect("a free port");
    let aws = Aws::of(&account);
    aws.create(STREAM, load.shards as i32).await;
    let ranges = HashRange::uniform(load.shards as u32);
    let mut taken = vec![];
    for counts in &load.records {
        let record = |range: &HashRange| {
            let data = Blob::new(vec![b'x'; load.record_bytes - KEY.len()]);
            let entry = PutRecordsRequestEntry::builder().partition_key(KEY).data(data);
            entry.explicit_hash_key(range.first.to_string()).build().expect("complete")
        };
        let records: Vec<_> =
            ranges.iter().zip(counts).flat_map(|(range, count)| vec![record(range); *count]).collect();
        let mut second = vec![];
        if !records.is_empty() {
            let put = aws.kinesis.put_records().stream_name(STREAM).set_records(Some(records));
            let answer = put.send().await.expect("an answer");
            second.extend(answer.records().iter().map(|record| record.error_code().is_none()));
        }
        taken.push(second);
        account.clock().advance(Duration::from_secs(1)).expect("a clock that stands");
    }
    taken
}

#[test]
fn the_local_account_and_the_simulator_refuse_the_same_records() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let mut refused = 0;
    let result = runner.run(&load(), |load| {
        let taken = runtime.block_on(put(&load));
        prop_assert_eq!(&taken, &simulated(&load));
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    // Not every load may be a light one.
    let heavy = Load { shards: 2, record_bytes: 10_240, records: vec![vec![150, 90]; 3] };
    for second in runtime.block_on(put(&heavy)) {
        refused += second.iter().filter(|taken| !**taken).count();
    }
    assert_eq!(refused, 3 * (150 - 102), "of each second what is beyond 1 MiB");
    assert_eq!(runtime.block_on(put(&heavy)), simulated(&heavy));
}
