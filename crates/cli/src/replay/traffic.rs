//! Sends traffic to a stream of the local account, second by second of the account's clock, over HTTP and the SDK. The
//! duration depends on the machine; the result does not.

use crate::CliError;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};
use std::time::Duration;
use unthrottle::aws::Cause;
use unthrottle_lab::local::Clock;

/// The step of all traffic: AWS's limits of a shard are by the second.
const SECOND: Duration = Duration::from_secs(1);

/// The size of a record in bytes. About 102 of these records a second fill a shard. Smaller records would cost more
/// CPU; much larger ones would make the steps of the traffic coarse.
pub(super) const RECORD_BYTES: usize = 10 * 1024;

/// Polls of one reader in a second. AWS allows five a second and shard, to all readers together.
const POLLS: usize = 5;

const EXCEEDED: &str = "ProvisionedThroughputExceededException";

/// The result of some traffic.
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
    /// The first key.
    pub first: u128,
    /// The number of keys.
    pub width: u128,
}

impl Keys {
    /// All keys except the last one.
    pub fn all() -> Keys {
        Keys { first: 0, width: u128::MAX }
    }
}

/// A stream, and the clock of its account. Only the traffic moves the clock meanwhile.
pub(super) struct Target<'a> {
    pub client: &'a Client,
    pub arn: &'a str,
    pub clock: &'a Clock,
}

impl Target<'_> {
    /// Writes `per_second` records of [`RECORD_BYTES`] in each of `seconds` seconds, spread evenly over `keys`. Refused
    /// records are not sent again. `per_second` is at most 500, which one PutRecords call takes.
    pub async fn write(&self, per_second: usize, keys: Keys, seconds: usize) -> Result<Tally, CliError> {
        let mut sum = Tally::default();
        for second in 0..seconds {
            let records = (0..per_second).filter_map(|i| record(second * per_second + i, keys)).collect();
            sum.add(self.put(records).await?);
            self.clock.advance(SECOND)?;
        }
        Ok(sum)
    }

    async fn put(&self, records: Vec<PutRecordsRequestEntry>) -> Result<Tally, CliError> {
        let count = records.len() as u64;
        let answer = self.client.put_records().stream_arn(self.arn).set_records(Some(records)).send().await;
        let answer = answer.map_err(|e| CliError::Aws { call: "PutRecords", source: Cause::of(e) })?;
        let throttled = answer.failed_record_count().and_then(|n| u64::try_from(n).ok()).unwrap_or(0).min(count);
        Ok(Tally { served: count - throttled, throttled })
    }

    /// Reads each shard for `seconds` seconds with `readers` readers. Each reader polls [`POLLS`] times a second.
    pub async fn read(&self, readers: usize, seconds: usize) -> Result<Tally, CliError> {
        let mut iterators = self.iterators(readers).await?;
        let mut sum = Tally::default();
        for _ in 0..seconds {
            for _ in 0..POLLS {
                for iterator in &mut iterators {
                    sum.add(self.poll(iterator).await?);
                }
                self.clock.advance(SECOND / POLLS as u32)?;
            }
        }
        Ok(sum)
    }

    async fn poll(&self, iterator: &mut Option<String>) -> Result<Tally, CliError> {
        let Some(from) = &iterator else { return Ok(Tally::default()) };
        match self.client.get_records().stream_arn(self.arn).shard_iterator(from).send().await {
            Ok(answer) => {
                *iterator = answer.next_shard_iterator().map(str::to_owned);
                Ok(Tally { served: 1, throttled: 0 })
            }
            Err(error) if error.code() == Some(EXCEEDED) => Ok(Tally { served: 0, throttled: 1 }),
            Err(error) => Err(CliError::Aws { call: "GetRecords", source: Cause::of(error) }),
        }
    }

    /// `readers` iterators for each open shard. A shard gives five in a second.
    async fn iterators(&self, readers: usize) -> Result<Vec<Option<String>>, CliError> {
        let shards = self.client.list_shards().stream_arn(self.arn).send().await;
        let shards = shards.map_err(|e| CliError::Aws { call: "ListShards", source: Cause::of(e) })?;
        let mut iterators = vec![];
        for shard in shards.shards() {
            let is_open = shard.sequence_number_range().is_some_and(|r| r.ending_sequence_number().is_none());
            for _ in 0..if is_open { readers } else { 0 } {
                let call = self.client.get_shard_iterator().stream_arn(self.arn).shard_id(shard.shard_id());
                let answer = call.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await;
                let answer = answer.map_err(|e| CliError::Aws { call: "GetShardIterator", source: Cause::of(e) })?;
                iterators.push(answer.shard_iterator);
            }
        }
        Ok(iterators)
    }
}

/// Record `n`. Its explicit hash key walks through `keys` by the golden ratio, which spreads any number of records
/// evenly.
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
