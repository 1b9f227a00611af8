//! Real traffic for a stream of the local account: producers and readers that keep their pace however many of their
//! calls are throttled.

use super::CliError;
use crate::observe::Cause;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// Ten bursts a second: even enough that a shard's second fills evenly.
const TICK: Duration = Duration::from_millis(100);

/// The size of a record. Large enough that a few hundred a second fill a shard, and little work is done for them.
pub(super) const RECORD_BYTES: usize = 10 * 1024;

const EXCEEDED: &str = "ProvisionedThroughputExceededException";

/// What came of a stretch of traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Records written, or calls answered.
    pub served: u64,
    /// Records or calls throttled.
    pub throttled: u64,
}

impl Tally {
    /// The throttled share, 0–1.
    pub fn share(&self) -> f64 {
        match self.served + self.throttled {
            0 => 0.0,
            all => self.throttled as f64 / all as f64,
        }
    }

    fn add(&mut self, other: Tally) {
        self.served += other.served;
        self.throttled += other.throttled;
    }
}

/// A range of hash keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    /// Its first.
    pub first: u128,
    /// How many there are.
    pub width: u128,
}

impl Keys {
    /// All but the last one.
    pub fn all() -> Keys {
        Keys { first: 0, width: u128::MAX }
    }
}

/// Writes `per_second` records of [`RECORD_BYTES`] a second, spread evenly over `keys`. Nothing is
/// retried, and nothing is caught up: on a busy machine the traffic thins out, but never comes in bursts that would
/// throttle a stream large enough for it.
pub(super) async fn write(
    client: &Client,
    arn: &str,
    per_second: usize,
    keys: Keys,
    length: Duration,
) -> Result<Tally, CliError> {
    let batch = per_second * TICK.as_millis() as usize / 1000;
    let (end, mut sum) = (Instant::now() + length, Tally::default());
    let mut ticks = ticks(TICK);
    for n in 0.. {
        ticks.tick().await;
        if Instant::now() >= end {
            break;
        }
        let records = (0..batch).filter_map(|i| record(n * batch + i, keys)).collect();
        sum.add(put(client, arn, records).await?);
    }
    Ok(sum)
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Record `n`; its explicit hash key walks through `keys` by the golden ratio, which is as even as can be.
fn record(n: usize, keys: Keys) -> Option<PutRecordsRequestEntry> {
    const GOLDEN: f64 = 0.618_033_988_749_894_8;
    let way = (n as f64 * GOLDEN).fract();
    // The cast saturates at the width's own rounding, and the key stays within.
    let key = keys.first + ((way * keys.width as f64) as u128).min(keys.width - 1);
    PutRecordsRequestEntry::builder()
        .data(Blob::new(vec![b'x'; RECORD_BYTES]))
        .partition_key(format!("order-{n}"))
        .explicit_hash_key(key.to_string())
        .build()
        .ok()
}

async fn put(client: &Client, arn: &str, records: Vec<PutRecordsRequestEntry>) -> Result<Tally, CliError> {
    let count = records.len() as u64;
    let answer = client.put_records().stream_arn(arn).set_records(Some(records)).send().await;
    let answer = answer.map_err(|e| CliError::Aws { call: "PutRecords", source: Cause::of(e) })?;
    let throttled = answer.failed_record_count().and_then(|n| u64::try_from(n).ok()).unwrap_or(0).min(count);
    Ok(Tally { served: count - throttled, throttled })
}

/// Reads each shard with `readers` readers that poll five times a second, as each of them alone would be allowed to.
pub(super) async fn read(client: &Client, arn: &str, readers: usize, length: Duration) -> Result<Tally, CliError> {
    let shards = client.list_shards().stream_arn(arn).send().await;
    let shards = shards.map_err(|e| CliError::Aws { call: "ListShards", source: Cause::of(e) })?;
    let mut tasks = JoinSet::new();
    for shard in shards.shards() {
        let is_open = shard.sequence_number_range().is_some_and(|r| r.ending_sequence_number().is_none());
        for _ in 0..if is_open { readers } else { 0 } {
            tasks.spawn(poll(client.clone(), arn.to_owned(), shard.shard_id().to_owned(), length));
        }
    }
    sum(tasks).await
}

async fn poll(client: Client, arn: String, shard: String, length: Duration) -> Result<Tally, CliError> {
    let mut iterator = Some(iterator(&client, &arn, &shard).await?);
    let (end, mut tally) = (Instant::now() + length, Tally::default());
    let mut ticks = ticks(2 * TICK);
    while let (true, Some(from)) = (Instant::now() < end, &iterator) {
        ticks.tick().await;
        match client.get_records().stream_arn(&arn).shard_iterator(from).send().await {
            Ok(answer) => {
                tally.served += 1;
                iterator = answer.next_shard_iterator().map(str::to_owned);
            }
            Err(error) if error.code() == Some(EXCEEDED) => tally.throttled += 1,
            Err(error) => return Err(CliError::Aws { call: "GetRecords", source: Cause::of(error) }),
        }
    }
    Ok(tally)
}

/// A shard's iterator; GetShardIterator allows five calls a second and shard, whoever calls, so it may take a few.
async fn iterator(client: &Client, arn: &str, shard: &str) -> Result<String, CliError> {
    let mut tries = 20;
    loop {
        let call = client.get_shard_iterator().stream_arn(arn).shard_id(shard);
        match call.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await {
            Ok(answer) => return Ok(answer.shard_iterator().unwrap_or_default().to_owned()),
            Err(error) if error.code() == Some(EXCEEDED) && tries > 0 => tries -= 1,
            Err(error) => return Err(CliError::Aws { call: "GetShardIterator", source: Cause::of(error) }),
        }
        tokio::time::sleep(TICK).await;
    }
}

async fn sum(mut tasks: JoinSet<Result<Tally, CliError>>) -> Result<Tally, CliError> {
    let mut sum = Tally::default();
    while let Some(tally) = tasks.join_next().await {
        sum.add(tally.map_err(std::io::Error::other)??);
    }
    Ok(sum)
}
