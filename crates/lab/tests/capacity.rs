//! The local account and the simulator are one model: they refuse the same records of the same traffic.

#[path = "../../../tests/common/aws.rs"]
mod aws;

use aws::{Aws, STREAM, noon};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::Cell;
use std::time::Duration;
use unthrottle_lab::local::{Clock, LocalAccount, Options};
use unthrottle_lab::rules::{HashRange, WriteCapacity};
use unthrottle_lab::sim::retry::{Retry, Waiting};
use unthrottle_lab::sim::shard::OpenShard;

/// Bytes of each record's partition key.
const KEY: &str = "k";

/// Traffic for a stream of some shards: for each second and shard, the number of records. All have one size.
#[derive(Clone, Debug)]
struct Load {
    shards: usize,
    record_bytes: usize,
    /// By second and shard.
    records: Vec<Vec<usize>>,
}

/// At most 1.5 times the capacity of a shard, which is 1,000 records or 1 MiB a second.
fn load() -> impl Strategy<Value = Load> {
    (1..3usize, prop_oneof![2..200usize, 2_000..60_000usize]).prop_flat_map(|(shards, record_bytes)| {
        let full = (1_048_576 / record_bytes).min(1_000);
        let second = proptest::collection::vec(0..=full * 3 / 2, shards);
        let seconds = proptest::collection::vec(second, 1..4);
        (Just(shards), Just(record_bytes), seconds).prop_map(|(shards, record_bytes, records)| Load {
            shards,
            record_bytes,
            records,
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
        // The most that one call takes.
        for records in records.chunks(500) {
            second.extend(put_once(&aws, records).await);
        }
        taken.push(second);
        account.clock().advance(Duration::from_secs(1)).expect("a clock that stands");
    }
    taken
}

/// Whether each record of one call was taken.
async fn put_once(aws: &Aws, records: &[PutRecordsRequestEntry]) -> Vec<bool> {
    let put = aws.kinesis.put_records().stream_name(STREAM).set_records(Some(records.to_vec()));
    let answer = put.send().await.expect("an answer");
    answer.records().iter().map(|record| record.error_code().is_none()).collect()
}

fn runner(cases: u32) -> TestRunner {
    // The same cases on every run.
    TestRunner::new_with_rng(
        Config { cases, failure_persistence: None, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    )
}

#[test]
fn the_local_account_and_the_simulator_refuse_the_same_records() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let refused_by = Cell::new((0, 0));
    let result = runner(16).run(&load(), |load| {
        let taken = runtime.block_on(put(&load));
        prop_assert_eq!(&taken, &simulated(&load));
        let refused = taken.iter().flatten().filter(|taken| !**taken).count();
        let (by_records, by_bytes) = refused_by.get();
        let is_small = load.record_bytes < 1_000;
        refused_by.set(if is_small { (by_records + refused, by_bytes) } else { (by_records, by_bytes + refused) });
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    let (by_records, by_bytes) = refused_by.get();
    assert!(by_records > 0 && by_bytes > 0, "{by_records} refused beyond 1,000 records, {by_bytes} beyond 1 MiB");
    let heavy = Load { shards: 2, record_bytes: 10_240, records: vec![vec![150, 90]; 3] };
    let refused = |second: &Vec<bool>| second.iter().filter(|taken| !**taken).count();
    let taken = runtime.block_on(put(&heavy));
    assert_eq!(taken.iter().map(refused).collect::<Vec<_>>(), [150 - 102; 3], "of each second what is beyond 1 MiB");
}

/// The step of the simulator is a second. Between whole seconds the account must have the same capacity.
#[test]
fn between_whole_seconds_the_local_account_keeps_to_the_same_capacity() {
    let calls = proptest::collection::vec((1..1_500u64, 1..500usize, 100..4_000usize), 2..8);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let result = runner(16).run(&calls, |calls| {
        let taken: Vec<(usize, u64)> = runtime.block_on(async {
            let options = Options { clock: Clock::standing_at(noon()), ..Options::default() };
            let account = LocalAccount::start(options).await.expect("a free port");
            let aws = Aws::of(&account);
            aws.create(STREAM, 1).await;
            let mut shard = None;
            let mut taken = vec![];
            for (wait_ms, count, record_bytes) in &calls {
                account.clock().advance(Duration::from_millis(*wait_ms)).expect("a clock that stands");
                let now_ms = account.now().timestamp_millis();
                let data = Blob::new(vec![b'x'; record_bytes - KEY.len()]);
                let record = PutRecordsRequestEntry::builder().partition_key(KEY).data(data).build().expect("complete");
                let put = put_once(&aws, &vec![record; *count]).await;
                let shard = shard.get_or_insert_with(|| WriteCapacity::full(now_ms));
                let model = shard.take(now_ms, *count as u64, *record_bytes as u64);
                taken.push((put.iter().filter(|taken| **taken).count(), model));
            }
            taken
        });
        prop_assert!(taken.iter().all(|(account, model)| *account as u64 == *model), "{taken:?}");
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}
