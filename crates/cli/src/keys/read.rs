//! Reads records, within a share of what the readers of a shard may read.

use super::sample::Sample;
use crate::CliError;
use crate::aws::{called, clock};
use crate::screen::{EVERY, Progress};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::DateTime as AwsTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use unthrottle_core::observation::Shard;
use unthrottle_core::signal::StreamArn;

/// What a shard gives to all its readers together in a second (service-sizes-and-limits.html).
const BYTES_PER_SECOND: f64 = 2.0 * 1_048_576.0;
/// The `GetRecords` calls that all readers of a shard may make in a second (the same page).
const CALLS_PER_SECOND: f64 = 5.0;

/// Records of the first call. The size of the records is unknown then, and 100 of them are 100 MiB at most.
const FIRST_RECORDS: i32 = 100;
/// The most records of a call (API reference).
const MOST_RECORDS: f64 = 10_000.0;

/// Shards that are read at the same time. Each takes a connection. More shards are read one after the other.
const AT_ONCE: usize = 64;

/// Where the reading begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// With the next record that is written.
    Now,
    /// This long ago. The reading ends when it reaches the present.
    Ago(Duration),
}

/// What the reading may take.
#[derive(Debug)]
pub(super) struct Budget {
    /// The share of what readers may read, 0–1.
    pub share: f64,
    /// How long to read each shard.
    pub time: Duration,
    /// The bytes of all shards together.
    pub bytes: u64,
    taken: AtomicU64,
}

impl Budget {
    pub fn new(share: f64, time: Duration, bytes: u64) -> Budget {
        Budget { share, time, bytes, taken: AtomicU64::new(0) }
    }

    /// The bytes a second of one shard.
    pub fn bytes_per_second(&self) -> f64 {
        BYTES_PER_SECOND * self.share
    }

    /// The calls a second of one shard.
    pub fn calls_per_second(&self) -> f64 {
        CALLS_PER_SECOND * self.share
    }

    /// Whether all bytes are read.
    pub fn is_spent(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.bytes
    }

    /// The time from a call with these bytes to the next.
    fn pause(&self, bytes: u64) -> Duration {
        Duration::from_secs_f64((bytes as f64 / self.bytes_per_second()).max(1.0 / self.calls_per_second()))
    }

    /// The records of the next call: what the rate allows until then, at the mean size so far.
    fn records(&self, sample: &Sample) -> i32 {
        let mean = sample.all.bytes as f64 / sample.all.records.max(1) as f64;
        let bytes = self.bytes_per_second() / self.calls_per_second();
        if sample.all.records == 0 { FIRST_RECORDS } else { (bytes / mean.max(1.0)).clamp(1.0, MOST_RECORDS) as i32 }
    }
}

/// Reads the shards, and shows progress.
///
/// # Errors
/// The first call that failed after its retries.
pub(super) async fn read(
    client: &Client,
    arn: &StreamArn,
    shards: Vec<Shard>,
    from: From,
    budget: &Budget,
) -> Result<Vec<Sample>, CliError> {
    let rounds = shards.len().div_ceil(AT_ONCE);
    let seconds = usize::try_from(budget.time.as_secs()).unwrap_or(usize::MAX).saturating_mul(rounds);
    let (mut progress, mut tick) = (Progress::new("seconds", seconds), tokio::time::interval(EVERY));
    let began = Instant::now();
    let reads = stream::iter(shards).map(|shard| read_shard(client, arn, shard, from, budget));
    let mut reads = Box::pin(reads.buffer_unordered(AT_ONCE));
    let mut samples = vec![];
    loop {
        tokio::select! {
            read = reads.next() => match read {
                Some(sample) => samples.push(sample?),
                None => break,
            },
            _ = tick.tick() => progress.set(usize::try_from(began.elapsed().as_secs()).unwrap_or(usize::MAX)),
        }
    }
    progress.clear();
    samples.sort_by(|a, b| a.shard.id.cmp(&b.shard.id));
    Ok(samples)
}

async fn read_shard(
    client: &Client,
    arn: &StreamArn,
    shard: Shard,
    from: From,
    budget: &Budget,
) -> Result<Sample, CliError> {
    let (started, end) = (clock().now(), Instant::now() + budget.time);
    let mut iterator = first_iterator(client, arn, &shard, from, started).await?;
    let mut sample = Sample::of(shard);
    while let Some(position) = iterator.take() {
        let called_at = Instant::now();
        let call = client.get_records().stream_arn(arn.to_string()).shard_iterator(position);
        let answer = called("GetRecords", call.limit(budget.records(&sample)).send().await)?;
        let bytes: u64 = answer.records().iter().map(|record| sample.add(record)).sum();
        budget.taken.fetch_add(bytes, Ordering::Relaxed);
        // The past ends where the reading began.
        let is_present = matches!(from, From::Ago(_)) && answer.millis_behind_latest() == Some(0);
        iterator = answer.next_shard_iterator().map(str::to_owned);
        let next = called_at + budget.pause(bytes);
        if is_present || budget.is_spent() || next >= end {
            break;
        }
        sleep_until(next).await;
    }
    Ok(sample)
}

async fn first_iterator(
    client: &Client,
    arn: &StreamArn,
    shard: &Shard,
    from: From,
    started: DateTime<Utc>,
) -> Result<Option<String>, CliError> {
    let call = client.get_shard_iterator().stream_arn(arn.to_string()).shard_id(&shard.id);
    let call = match from {
        From::Now => call.shard_iterator_type(ShardIteratorType::Latest),
        From::Ago(ago) => {
            let first = started - chrono::TimeDelta::from_std(ago).unwrap_or(chrono::TimeDelta::MAX);
            let first = AwsTime::from_millis(first.timestamp_millis());
            call.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(first)
        }
    };
    Ok(called("GetShardIterator", call.send().await)?.shard_iterator().map(str::to_owned))
}
