//! GetShardIterator and GetRecords: the position of a reader, its records, and its lag.

use super::kinesis::validated;
use super::limits::{Refusal, refuse};
use super::samples::Samples;
use super::shards::{is_open, millis, number, opened_at, sequence_number};
use super::writes::bytes_of;
use super::{Account, lock};
use chrono::{DateTime, TimeDelta, Utc};
use ferrokinesis::actions::{Operation, dispatch};
use ferrokinesis::sequence::{increment_sequence, parse_sequence, resolve_shard_id, shard_ix_to_hex};
use ferrokinesis::shard_iterator::{create_shard_iterator, decode_shard_iterator};
use ferrokinesis::types::{EpochSeconds, ResponseRecord, Shard, StoredRecord, Stream};
use serde_json::{Value, json};

/// Records of a GetRecords answer if the request has no limit (API reference).
const MAX_RECORDS: u64 = 10_000;

/// The lifetime of an iterator ([API reference]: five minutes).
///
/// [API reference]: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html
const ITERATOR_GOOD_FOR: TimeDelta = TimeDelta::minutes(5);

type Answer = Result<Option<Value>, Refusal>;

pub(super) async fn get_shard_iterator(account: &Account, name: &str, input: Value) -> Answer {
    let now = account.now();
    let id = &account.options.account;
    let wanted = input["ShardId"].as_str().unwrap_or_default();
    lock(&account.rates).admit_read(Operation::GetShardIterator, wanted, name, id, now)?;
    let Position { stream, shard, from } = position(account, name, input).await?;
    Ok(Some(json!({"ShardIterator": create_shard_iterator(&stream, &shard, &from, millis(now))})))
}

/// The position that a GetShardIterator request asks for.
pub(super) async fn position(account: &Account, name: &str, input: Value) -> Result<Position, Refusal> {
    let stream = account.store.get_stream(name).await?;
    let (index, shard) = shard_in(account, &stream, input["ShardId"].as_str().unwrap_or_default())?;
    let is = |kind: &str| input["ShardIteratorType"] == kind;
    let from = if !input["StartingSequenceNumber"].is_null() || !(is("LATEST") || is("AT_TIMESTAMP")) {
        // ferrokinesis uses the machine's clock, so only the time of this iterator is wrong.
        let answer = dispatch(&account.store, Operation::GetShardIterator, input).await?.unwrap_or_default();
        let iterator = answer["ShardIterator"].as_str().unwrap_or_default();
        decode_shard_iterator(iterator).map_err(|_| invalid_iterator())?.3
    } else if is("LATEST") {
        latest(account, index, shard)
    } else {
        at_timestamp(account, &stream, index, input["Timestamp"].as_f64()).await?
    };
    Ok(Position { stream: name.to_owned(), shard: shard.shard_id.clone(), from })
}

fn invalid_iterator() -> Refusal {
    refuse("InvalidArgumentException", "Invalid ShardIterator.")
}

/// The place and the shard in the request.
fn shard_in<'a>(account: &Account, stream: &'a Stream, wanted: &str) -> Result<(usize, &'a Shard), Refusal> {
    let found = resolve_shard_id(wanted).ok().and_then(|(_, index)| {
        let index = usize::try_from(index).ok()?;
        Some((index, stream.shards.get(index)?))
    });
    let (name, id) = (&stream.stream_name, &account.options.account);
    let problem = || format!("Could not find shard {wanted} in stream {name} under account {id}.");
    found.ok_or_else(|| refuse("ResourceNotFoundException", problem()))
}

/// The sequence number after all existing records.
fn latest(account: &Account, index: usize, shard: &Shard) -> String {
    sequence_number(number(index), opened_at(shard), account.records.next_place(), account.now())
}

/// The sequence number of the first record that arrived at this time of the epoch, in seconds, or later.
async fn at_timestamp(
    account: &Account,
    stream: &Stream,
    index: usize,
    timestamp: Option<f64>,
) -> Result<String, Refusal> {
    let now = millis(account.now());
    let Some(timestamp) = timestamp else {
        let problem = "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request \
                       has no timestamp parameter.";
        return Err(refuse("InvalidArgumentException", problem));
    };
    let wanted = (timestamp * 1000.0) as u64;
    if wanted > now {
        let problem = format!(
            "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: \
             {wanted}, currentTimestampInMillis: {now}"
        );
        return Err(refuse("InvalidArgumentException", problem));
    }
    let (first, end) = (format!("{}/", shard_ix_to_hex(number(index))), shard_ix_to_hex(number(index) + 1));
    let found = account.store.find_first_record_at_timestamp(&stream.stream_name, &first, &end, timestamp).await;
    let number = found.and_then(|(key, _)| key.split_once('/').map(|(_, number)| number.to_owned()));
    // All records are older: the position after the last one.
    Ok(number.unwrap_or_else(|| latest(account, index, &stream.shards[index])))
}

pub(super) async fn get_records(account: &Account, name: Option<&str>, raw: Value) -> Answer {
    let input = validated(Operation::GetRecords, &raw)?;
    let iterator = input["ShardIterator"].as_str().unwrap_or_default();
    let position = Position::decode(iterator, account.now())?;
    let Position { stream, shard, .. } = &position;
    if name.is_some_and(|name| name != stream) {
        return Err(refuse("InvalidArgumentException", "StreamARN does not match the stream of the ShardIterator"));
    }
    let (id, now) = (&account.options.account, account.now());
    let admitted = lock(&account.rates).admit_read(Operation::GetRecords, shard, stream, id, now);
    if let Err(refusal) = admitted {
        let mut samples = Samples::new(account, stream);
        samples.add_for_shard("ReadProvisionedThroughputExceeded", shard, 1.0);
        samples.add("GetRecords.Success", 0.0);
        samples.publish(account);
        return Err(refusal);
    }
    let limit = input["Limit"].as_u64().unwrap_or(MAX_RECORDS);
    let read = Read::from(account, &position, limit).await?;
    lock(&account.rates).charge_read(stream, shard, read.bytes, now);
    read.sample(account, &position);
    Ok(Some(read.answer(&position, now)))
}

/// The position of a reader.
pub(super) struct Position {
    pub stream: String,
    pub shard: String,
    /// The first sequence number that the reader has not read.
    pub from: String,
}

impl Position {
    fn decode(iterator: &str, now: DateTime<Utc>) -> Result<Self, Refusal> {
        let (made, stream, shard, from) = decode_shard_iterator(iterator).map_err(|_| invalid_iterator())?;
        let made = i64::try_from(made).ok().and_then(DateTime::from_timestamp_millis).ok_or_else(invalid_iterator)?;
        if made > now {
            return Err(invalid_iterator());
        }
        if now - made > ITERATOR_GOOD_FOR {
            let time = |time: DateTime<Utc>| time.format("%a %b %d %H:%M:%S UTC %Y");
            let problem = format!(
                "Iterator expired. The iterator was created at time {} while right now it is {} which is further in \
                 the future than the tolerated delay of {} milliseconds.",
                time(made),
                time(now),
                ITERATOR_GOOD_FOR.num_milliseconds()
            );
            return Err(refuse("ExpiredIteratorException", problem));
        }
        Ok(Self { stream, shard, from })
    }
}

/// The result of one read.
pub(super) struct Read {
    /// Sequence numbers and records.
    records: Vec<(String, StoredRecord)>,
    bytes: f64,
    /// The lag of the reader, in milliseconds.
    pub age_millis: f64,
    /// The next sequence number to read. `None`: the shard is closed and completely read.
    pub next: Option<String>,
}

impl Read {
    /// Reads the records from a position on, at most `limit`.
    pub async fn from(account: &Account, position: &Position, limit: u64) -> Result<Self, Refusal> {
        let now = account.now();
        let stream = account.store.get_stream(&position.stream).await?;
        let (index, shard) = shard_in(account, &stream, &position.shard)?;
        let shard_hex = shard_ix_to_hex(number(index));
        let (first, end) = (format!("{shard_hex}/{}", position.from), shard_ix_to_hex(number(index) + 1));
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let found = account.store.get_records_range_limited(&position.stream, &first, &end, most).await;
        let is_full = found.len() >= most;
        let kept_from = now - TimeDelta::hours(i64::from(stream.retention_period_hours));
        let last = found.last().map(|(key, _)| number_in(key).to_owned());
        let kept =
            found.into_iter().filter(|(_, record)| arrived(record) >= kept_from.timestamp_millis() as f64 / 1000.0);
        let records: Vec<_> = kept.map(|(key, record)| (number_in(&key).to_owned(), record)).collect();
        // A full page means that more records exist. The lag of the reader is the age of the last record on the page.
        let behind = records.last().filter(|_| is_full).map(|(_, record)| arrived(record));
        let age_millis = behind.map_or(0.0, |at| (now.timestamp_millis() as f64 - at * 1000.0).max(0.0));
        let bytes = |(_, record): &(String, StoredRecord)| bytes_of(&record.data) + record.partition_key.len() as u64;
        Ok(Self {
            bytes: records.iter().map(bytes).sum::<u64>() as f64,
            age_millis,
            next: match last {
                Some(last) => parse_sequence(&last).ok().map(|last| increment_sequence(&last, None)),
                None if is_open(shard) => Some(position.from.clone()),
                None => None,
            },
            records,
        })
    }

    /// Counts the read as a GetRecords call.
    fn sample(&self, account: &Account, position: &Position) {
        let (mut samples, records) = (Samples::new(account, &position.stream), self.records.len() as f64);
        samples.add_for_shard("ReadProvisionedThroughputExceeded", &position.shard, 0.0);
        samples.add("GetRecords.Success", 1.0);
        samples.add("GetRecords.Records", records);
        samples.add("GetRecords.Bytes", self.bytes);
        samples.add("GetRecords.IteratorAgeMilliseconds", self.age_millis);
        samples.add_of_shard("OutgoingRecords", &position.shard, records);
        samples.add_of_shard("OutgoingBytes", &position.shard, self.bytes);
        samples.add_of_shard("IteratorAgeMilliseconds", &position.shard, self.age_millis);
        samples.publish(account);
    }

    /// Counts the read as an event of SubscribeToShard.
    pub fn sample_event(&self, account: &Account, position: &Position, consumer: &str) {
        let (mut samples, records) =
            (Samples::of_consumer(account, &position.stream, consumer), self.records.len() as f64);
        samples.add("SubscribeToShardEvent.Success", 1.0);
        samples.add("SubscribeToShardEvent.Records", records);
        samples.add("SubscribeToShardEvent.Bytes", self.bytes);
        samples.add("SubscribeToShardEvent.MillisBehindLatest", self.age_millis);
        samples.publish(account);
    }

    /// The records in the form of an answer.
    pub fn records(&self) -> Vec<ResponseRecord<'_>> {
        self.records
            .iter()
            .map(|(number, record)| ResponseRecord {
                partition_key: &record.partition_key,
                data: &record.data,
                approximate_arrival_timestamp: EpochSeconds(arrived(record)),
                sequence_number: number,
            })
            .collect()
    }

    fn answer(&self, position: &Position, now: DateTime<Utc>) -> Value {
        let mut answer = json!({"MillisBehindLatest": self.age_millis as u64, "Records": self.records()});
        if let Some(next) = &self.next {
            let Position { stream, shard, .. } = position;
            answer["NextShardIterator"] = json!(create_shard_iterator(stream, shard, next, millis(now)));
        }
        answer
    }
}

fn number_in(key: &str) -> &str {
    key.split_once('/').map_or("", |(_, number)| number)
}

/// The arrival of a record, in seconds of the epoch.
fn arrived(record: &StoredRecord) -> f64 {
    record.approximate_arrival_timestamp
}
