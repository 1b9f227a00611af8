//! Reads records, within a share of what the readers of a shard may read.

use super::sample::{End, Sample};
use crate::aws::clock;
use crate::screen::{EVERY, Progress};
use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::DateTime as AwsTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use unthrottle::aws::Cause;
use unthrottle::aws::read::shards::PastShard;
use unthrottle_core::signal::StreamArn;

/// What a shard gives to all its readers together in a second (service-sizes-and-limits.html).
const BYTES_PER_SECOND: f64 = 2.0 * 1_048_576.0;
/// The `GetRecords` calls that all readers of a shard may make in a second (the same page).
const CALLS_PER_SECOND: f64 = 5.0;

/// Records of the first call. The size of the records is unknown then, and one may have 10 MiB.
const FIRST_RECORDS: i32 = 1;
/// How many times the records of the call before a call may ask for. Larger records may follow the small ones that
/// are known. A smaller number would spend seconds on the first calls.
const MORE: f64 = 100.0;
/// The most records of a call (API reference).
const MOST_RECORDS: f64 = 10_000.0;

/// The most shards that are read at the same time. Each takes a connection. More shards are read in rounds.
const AT_ONCE: usize = 64;

/// The time limit of one call. An answer of 10 MiB takes seconds on a slow line.
const ATTEMPT: Duration = Duration::from_secs(20);

/// The time from a throttled call to the next, at least. AWS counts calls and bytes by the second, so an earlier call
/// would be throttled again.
const AFTER_THROTTLE: Duration = Duration::from_secs(1);

/// Calls in a row that may fail for another reason than a throttle, such as a lost connection. The SDK makes as many
/// attempts by default.
const MOST_FAILURES: u32 = 3;

/// The codes of throttled calls of these two operations (API reference).
const THROTTLES: [&str; 3] =
    ["ProvisionedThroughputExceededException", "KMSThrottlingException", "LimitExceededException"];
/// The code of a position that is older than five minutes.
const EXPIRED: &str = "ExpiredIteratorException";

/// A client that calls once: each attempt is a call that the other readers lose.
pub(super) fn client(config: &SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build();
    let config = config.clone().into_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts);
    Client::new(&config.build())
}

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
    /// All shards that share the bytes.
    shards: usize,
    /// The shards of the rounds that have begun. Only their part of the bytes may be taken, so that the last round has
    /// its part, too.
    begun: AtomicUsize,
    taken: AtomicU64,
}

impl Budget {
    pub fn new(share: f64, time: Duration, bytes: u64, shards: usize) -> Budget {
        let (begun, taken) = (AtomicUsize::new(0), AtomicU64::new(0));
        Budget { share, time, bytes, shards: shards.max(1), begun, taken }
    }

    /// The rounds in which the shards are read. Each takes [`Budget::time`].
    pub fn rounds(&self) -> usize {
        self.shards.div_ceil(AT_ONCE)
    }

    /// The shards of a round. The rounds are as even as they can be.
    pub fn at_once(&self) -> usize {
        self.shards.div_ceil(self.rounds())
    }

    /// A round with these shards begins.
    fn begin(&self, shards: usize) {
        self.begun.fetch_add(shards, Ordering::Relaxed);
    }

    /// The bytes that the rounds until now may take, and have not taken.
    fn left(&self) -> u64 {
        let part = self.begun.load(Ordering::Relaxed).min(self.shards) as f64 / self.shards as f64;
        ((self.bytes as f64 * part) as u64).saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// The bytes a second of one shard.
    pub fn bytes_per_second(&self) -> f64 {
        BYTES_PER_SECOND * self.share
    }

    /// The calls a second of one shard.
    pub fn calls_per_second(&self) -> f64 {
        CALLS_PER_SECOND * self.share
    }

    /// Whether the rounds until now have taken their bytes.
    fn is_spent(&self) -> bool {
        self.left() == 0
    }

    /// The time from a call with these bytes to the next.
    fn pause(&self, bytes: u64) -> Duration {
        Duration::from_secs_f64((bytes as f64 / self.bytes_per_second()).max(1.0 / self.calls_per_second()))
    }

    /// The records of the next call: what the rate allows until then and what is left of the bytes, at the mean size
    /// so far. `last`: the records that the call before asked for.
    fn records(&self, sample: &Sample, last: i32) -> i32 {
        if sample.all.records == 0 {
            return FIRST_RECORDS;
        }
        let mean = (sample.all.bytes as f64 / sample.all.records as f64).max(1.0);
        let left = self.left() as f64 / self.at_once() as f64;
        let bytes = (self.bytes_per_second() / self.calls_per_second()).min(left);
        (bytes / mean).min(f64::from(last) * MORE).clamp(1.0, MOST_RECORDS) as i32
    }
}

/// Reads the shards, and shows progress. A shard that cannot be read has a sample that says so.
pub(super) async fn read(
    client: &Client,
    arn: &StreamArn,
    shards: Vec<PastShard>,
    from: From,
    budget: &Budget,
) -> Vec<Sample> {
    let seconds = usize::try_from(budget.time.as_secs()).unwrap_or(usize::MAX).saturating_mul(budget.rounds());
    let (mut progress, mut tick) = (Progress::new("seconds", seconds), tokio::time::interval(EVERY));
    let (began, started) = (Instant::now(), clock().now());
    let mut samples = vec![];
    for round in shards.chunks(budget.at_once()) {
        budget.begin(round.len());
        let times = Times { started, round: clock().now() };
        let mut reads: FuturesUnordered<_> =
            round.iter().cloned().map(|shard| Reader::new(client, arn, shard, from, budget, times).read()).collect();
        loop {
            tokio::select! {
                read = reads.next() => match read {
                    Some(sample) => samples.push(sample),
                    None => break,
                },
                _ = tick.tick() => progress.set(usize::try_from(began.elapsed().as_secs()).unwrap_or(usize::MAX)),
            }
        }
    }
    progress.clear();
    samples.sort_by(|a, b| a.shard.id.cmp(&b.shard.id));
    begin_with_the_first_record(&mut samples);
    samples
}

/// Leaves out the time before the first record of all. A shard that is read for fewer seconds would have more of it.
fn begin_with_the_first_record(samples: &mut [Sample]) {
    let Some(first) = samples.iter().filter_map(|sample| sample.first).min() else { return };
    samples.iter_mut().for_each(|sample| sample.from = sample.from.max(first));
}

/// Why a call gave no records.
enum Failure {
    Throttled,
    /// The next call may succeed.
    Passing(String),
    /// No further call succeeds.
    Lasting(String),
}

impl Failure {
    fn of<E>(call: &str, error: SdkError<E>) -> Failure
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let code = error.code().unwrap_or_default().to_owned();
        let is_lost = !matches!(error, SdkError::ServiceError(_) | SdkError::ConstructionFailure(_));
        let is_down = error.raw_response().is_some_and(|response| response.status().as_u16() >= 500);
        let why = format!("{call} failed: {}", Cause::of(error));
        match code.as_str() {
            code if THROTTLES.contains(&code) => Failure::Throttled,
            EXPIRED => Failure::Passing(why),
            _ if is_lost || is_down => Failure::Passing(why),
            _ => Failure::Lasting(why),
        }
    }
}

/// When the reading of all shards began, and when the round of a shard did.
#[derive(Clone, Copy)]
struct Times {
    started: DateTime<Utc>,
    round: DateTime<Utc>,
}

/// The reader of one shard.
struct Reader<'a> {
    client: &'a Client,
    arn: &'a StreamArn,
    from: From,
    budget: &'a Budget,
    times: Times,
    sample: Sample,
    iterator: Option<String>,
    /// The records that the call before asked for.
    limit: i32,
    /// The last record that was read.
    last: Option<String>,
}

impl<'a> Reader<'a> {
    fn new(
        client: &'a Client,
        arn: &'a StreamArn,
        PastShard { shard, is_closed }: PastShard,
        from: From,
        budget: &'a Budget,
        times: Times,
    ) -> Reader<'a> {
        let before = |ago| TimeDelta::from_std(ago).ok().and_then(|ago| times.started.checked_sub_signed(ago));
        let first = match from {
            From::Now => clock().now(),
            From::Ago(ago) => before(ago).unwrap_or(times.started),
        };
        let mut sample = Sample::of(shard, first);
        sample.is_closed = is_closed;
        Reader { client, arn, from, budget, times, sample, iterator: None, limit: FIRST_RECORDS, last: None }
    }

    /// Reads until the time or the bytes are spent, or the shard or the past ends. A throttled call takes a turn.
    async fn read(mut self) -> Sample {
        let end = Instant::now() + self.budget.time;
        let mut failures = 0;
        loop {
            let called_at = Instant::now();
            let pause = match self.turn().await {
                Ok(bytes) => {
                    failures = 0;
                    self.budget.pause(bytes)
                }
                Err(Failure::Throttled) => {
                    self.sample.throttled += 1;
                    self.budget.pause(0).max(AFTER_THROTTLE)
                }
                Err(Failure::Passing(_)) if failures + 1 < MOST_FAILURES => {
                    failures += 1;
                    self.budget.pause(0).max(AFTER_THROTTLE)
                }
                Err(Failure::Passing(why) | Failure::Lasting(why)) => {
                    self.sample.end = End::Failed(why);
                    break;
                }
            };
            let next = called_at + pause;
            if self.sample.end != End::Time {
                break;
            }
            if self.budget.is_spent() {
                self.sample.end = End::Bytes;
                break;
            }
            if next >= end {
                break;
            }
            sleep_until(next).await;
        }
        self.sample
    }

    /// One call of `GetRecords`, after one for the position where there is none. Gives the bytes.
    async fn turn(&mut self) -> Result<u64, Failure> {
        if self.iterator.is_none() {
            self.iterator = self.position().await?;
        }
        let Some(position) = self.iterator.clone() else {
            self.sample.end = End::Shard;
            return Ok(0);
        };
        self.limit = self.budget.records(&self.sample, self.limit);
        let call = self.client.get_records().stream_arn(self.arn.to_string()).shard_iterator(position);
        let answer = call.limit(self.limit).send().await.map_err(|error| {
            if error.code() == Some(EXPIRED) {
                self.iterator = None;
            }
            Failure::of("GetRecords", error)
        })?;
        let bytes: u64 = answer.records().iter().map(|record| self.sample.add(record)).sum();
        self.budget.taken.fetch_add(bytes, Ordering::Relaxed);
        if let Some(record) = answer.records().last() {
            self.last = Some(record.sequence_number().to_owned());
        }
        let behind = answer.millis_behind_latest().unwrap_or(0);
        let is_past = matches!(self.from, From::Ago(_));
        let now = if is_past && behind == 0 { self.times.round } else { clock().now() };
        self.sample.has_reached(now - TimeDelta::try_milliseconds(behind).unwrap_or_default());
        self.iterator = answer.next_shard_iterator().map(str::to_owned);
        if self.iterator.is_none() {
            self.sample.end = End::Shard;
        } else if is_past && behind == 0 && !self.sample.is_closed {
            // The past ends where the reading began. A closed shard has an end of its own.
            self.sample.end = End::Present;
        }
        Ok(bytes)
    }

    /// Where to read on: after the last record, or where the reading begins.
    async fn position(&self) -> Result<Option<String>, Failure> {
        let call = self.client.get_shard_iterator().stream_arn(self.arn.to_string()).shard_id(&self.sample.shard.id);
        let call = match (&self.last, self.from) {
            (Some(last), _) => {
                call.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).starting_sequence_number(last)
            }
            (None, From::Now) => call.shard_iterator_type(ShardIteratorType::Latest),
            (None, From::Ago(_)) => {
                call.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(aws_time(self.sample.from))
            }
        };
        let answer = call.send().await.map_err(|error| Failure::of("GetShardIterator", error))?;
        Ok(answer.shard_iterator().map(str::to_owned))
    }
}

fn aws_time(time: DateTime<Utc>) -> AwsTime {
    AwsTime::from_millis(time.timestamp_millis())
}
