//! PutRecord and PutRecords: each record's shard, the capacity that it uses, and its place in the order.

use super::limits::{Refusal, refuse, shard_throttled};
use super::samples::Samples;
use super::shards::{Open, millis, number, opened_at, sequence_number};
use super::{Account, lock, records};
use crate::rules::{WriteCapacity, hash_key};
use chrono::{DateTime, Utc};
use ferrokinesis::sequence::{parse_sequence, shard_ix_to_hex};
use ferrokinesis::types::{StoredRecordRef, StreamStatus};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

const THROTTLED: &str = "ProvisionedThroughputExceededException";

/// Bytes of all data and keys of one PutRecords call: 10 MiB ([API reference]).
///
/// [API reference]: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
const MAX_BYTES: u64 = 10 * 1024 * 1024;

type Answer = Result<Option<Value>, Refusal>;

/// The capacity that a stream's shards have left, by the place of the shard. Locked during a write, so that records are
/// stored in their order. Otherwise a reader would miss a record that is stored after a later one.
pub(super) type Capacities = Arc<tokio::sync::Mutex<HashMap<usize, WriteCapacity>>>;

/// A record of a request.
struct Record<'a> {
    partition_key: &'a str,
    /// In base64.
    data: &'a str,
    hash_key: u128,
    /// Bytes of data and key: AWS counts both.
    bytes: u64,
}

impl<'a> Record<'a> {
    fn of(input: &'a Value) -> Result<Self, Refusal> {
        let text = |field: &str| input[field].as_str().unwrap_or_default();
        let (partition_key, data) = (text("PartitionKey"), text("Data"));
        let hash_key = match input["ExplicitHashKey"].as_str() {
            None => hash_key(partition_key),
            Some(explicit) => explicit.parse().map_err(|_| {
                let range = "ExplicitHashKey must be in the range: [0, 2^128-1]";
                let problem = format!("Invalid ExplicitHashKey. {range}. Specified value was {explicit}");
                refuse("InvalidArgumentException", problem)
            })?,
        };
        Ok(Self { partition_key, data, hash_key, bytes: bytes_of(data) + partition_key.len() as u64 })
    }
}

/// The bytes that a base64 text stands for.
pub(super) fn bytes_of(base64: &str) -> u64 {
    let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
    (base64.len() / 4 * 3).saturating_sub(padding.min(2)) as u64
}

/// Bytes of one record's data, at most ([API reference]).
///
/// [API reference]: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecordsRequestEntry.html
const MAX_RECORD_BYTES: u64 = 1024 * 1024;

/// Removes valid data from a PutRecord or PutRecords request, and returns it in the order of the records. ferrokinesis
/// then checks the other fields: its check would decode and copy megabytes of data. Invalid data stays in the request,
/// and ferrokinesis refuses it.
pub(super) fn take_data(raw: &mut Value) -> Vec<Option<String>> {
    let take = |record: &mut Value| match record.get_mut("Data") {
        Some(Value::String(data)) if is_sound(data) => Some(std::mem::take(data)),
        _ => None,
    };
    match raw.get_mut("Records").and_then(Value::as_array_mut) {
        Some(records) => records.iter_mut().map(take).collect(),
        None => vec![take(raw)],
    }
}

fn is_sound(base64: &str) -> bool {
    base64_simd::STANDARD.check(base64.as_bytes()).is_ok() && bytes_of(base64) <= MAX_RECORD_BYTES
}

/// Puts the data back into the request after the check.
pub(super) fn restore_data(input: &mut Value, data: Vec<Option<String>>) {
    let put = |(record, data): (&mut Value, Option<String>)| {
        if let Some(data) = data {
            record["Data"] = Value::String(data);
        }
    };
    match input.get_mut("Records").and_then(Value::as_array_mut) {
        Some(records) => records.iter_mut().zip(data).for_each(put),
        None => data.into_iter().for_each(|data| put((&mut *input, data))),
    }
}

/// The outcome of one record.
struct Written {
    shard: String,
    /// `None`: the record was throttled.
    sequence_number: Option<String>,
}

pub(super) async fn put_record(account: &Account, name: &str, input: Value) -> Answer {
    let mut samples = Samples::new(account, name);
    let record = Record::of(&input)?;
    must_be_in_order(account, name, input["SequenceNumberForOrdering"].as_str())?;
    let written = write(account, name, std::slice::from_ref(&record), &mut samples).await?;
    let Some(Written { shard, sequence_number }) = written.into_iter().next() else { return Ok(None) };
    samples.add("PutRecord.Success", f64::from(u8::from(sequence_number.is_some())));
    if sequence_number.is_some() {
        samples.add("PutRecord.Bytes", record.bytes as f64);
    }
    samples.publish(account);
    match sequence_number {
        Some(number) => Ok(Some(json!({"ShardId": shard, "SequenceNumber": number}))),
        None => Err(shard_throttled(&shard, name, &account.options.account)),
    }
}

/// Refuses a record after a sequence number of the future.
fn must_be_in_order(account: &Account, stream: &str, after: Option<&str>) -> Result<(), Refusal> {
    let Some(after) = after else { return Ok(()) };
    let is_there = |written: Option<u64>| written.unwrap_or(0) <= millis(account.now());
    if parse_sequence(after).is_ok_and(|after| is_there(after.seq_time)) {
        return Ok(());
    }
    let used = format!("used in PutRecord on stream {stream} under account {}", account.options.account);
    let problem = format!("ExclusiveMinimumSequenceNumber {after} {used} is invalid.");
    Err(refuse("InvalidArgumentException", problem))
}

pub(super) async fn put_records(account: &Account, name: &str, input: Value) -> Answer {
    let mut samples = Samples::new(account, name);
    let records = input["Records"].as_array().into_iter().flatten();
    let records = records.map(Record::of).collect::<Result<Vec<_>, _>>()?;
    if records.iter().map(|record| record.bytes).sum::<u64>() > MAX_BYTES {
        let problem = format!("Records' total data + partition key payload exceeds {MAX_BYTES} bytes");
        return Err(refuse("InvalidArgumentException", problem));
    }
    let written = write(account, name, &records, &mut samples).await?;
    let is_accepted = |written: &Written| written.sequence_number.is_some();
    let accepted = written.iter().filter(|written| is_accepted(written)).count();
    let bytes: u64 = records.iter().zip(&written).filter(|(_, w)| is_accepted(w)).map(|(record, _)| record.bytes).sum();
    let throttled = written.len() - accepted;
    samples.add("PutRecords.Bytes", bytes as f64);
    samples.add("PutRecords.Success", f64::from(u8::from(accepted > 0)));
    samples.add("PutRecords.TotalRecords", records.len() as f64);
    samples.add("PutRecords.SuccessfulRecords", accepted as f64);
    samples.add("PutRecords.ThrottledRecords", throttled as f64);
    samples.publish(account);
    let id = &account.options.account;
    let results = written.into_iter().map(|Written { shard, sequence_number }| match sequence_number {
        Some(number) => json!({"ShardId": shard, "SequenceNumber": number}),
        None => json!({"ErrorCode": THROTTLED, "ErrorMessage": shard_throttled(&shard, name, id).body.message}),
    });
    Ok(Some(json!({"FailedRecordCount": throttled, "Records": results.collect::<Vec<_>>()})))
}

/// Writes the records for which their shards have capacity, one after the other.
async fn write(
    account: &Account,
    name: &str,
    records: &[Record<'_>],
    samples: &mut Samples<'_>,
) -> Result<Vec<Written>, Refusal> {
    // A missing stream gets no entry.
    if !account.store.contains_stream(name).await {
        return Err(Refusal::stream_not_found(name, &account.options.account));
    }
    let capacities = lock(&account.capacities).entry(name.to_owned()).or_default().clone();
    let mut capacities = capacities.lock().await;
    let stream = account.store.get_stream(name).await?;
    if !matches!(stream.stream_status, StreamStatus::Active | StreamStatus::Updating) {
        return Err(Refusal::stream_not_found(name, &account.options.account));
    }
    let mut writer =
        Writer { account, open: Open::of(&stream), now: account.now(), opened: HashMap::new(), batch: vec![] };
    let written: Vec<Written> = records.iter().map(|record| writer.write(record, &mut capacities)).collect();
    for (record, written) in records.iter().zip(&written) {
        samples.add_record(&written.shard, record.bytes as f64, written.sequence_number.is_some());
    }
    records::store(account, name, &writer.batch).await?;
    Ok(written)
}

struct Writer<'a> {
    account: &'a Account,
    open: Open<'a>,
    now: DateTime<Utc>,
    /// The opening time of each shard, in milliseconds of the epoch.
    opened: HashMap<usize, u64>,
    /// The records to store.
    batch: Vec<(String, StoredRecordRef<'a>)>,
}

impl<'a> Writer<'a> {
    fn write(&mut self, record: &Record<'a>, capacities: &mut HashMap<usize, WriteCapacity>) -> Written {
        let Some((index, shard)) = self.open.shard_of(record.hash_key) else {
            // The open shards of a stream contain every key.
            return Written { shard: String::new(), sequence_number: None };
        };
        // A shard takes 1,000 records in a second of the machine, also where the clock is faster.
        let now_ms = self.now.timestamp_millis() / i64::from(self.account.options.clock.pace());
        let capacity = capacities.entry(index).or_insert_with(|| WriteCapacity::full(now_ms));
        if capacity.take(now_ms, 1, record.bytes) == 0 {
            return Written { shard: shard.shard_id.clone(), sequence_number: None };
        }
        let opened = *self.opened.entry(index).or_insert_with(|| opened_at(shard));
        let order = self.account.records.take_place();
        let number = sequence_number(number(index), opened, order, self.now);
        let stored = StoredRecordRef {
            partition_key: record.partition_key,
            data: record.data,
            approximate_arrival_timestamp: self.now.timestamp_millis() as f64 / 1000.0,
        };
        self.batch.push((format!("{}/{number}", shard_ix_to_hex(index as i64)), stored));
        Written { shard: shard.shard_id.clone(), sequence_number: Some(number) }
    }
}
