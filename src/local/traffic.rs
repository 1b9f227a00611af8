//! Puts and reads: the shard in a throttle's message, the rates of reading, and the `AWS/Kinesis`
//! metrics, counted from what really went through.

use std::collections::BTreeMap;
use std::time::SystemTime;

use ferrokinesis::actions::{Operation, dispatch};
use ferrokinesis::sequence::{SeqObj, parse_sequence, partition_key_to_hash_key, stringify_sequence};
use ferrokinesis::shard_iterator::decode_shard_iterator;
use ferrokinesis::types::{Shard, Stream};
use serde_json::{Value, json};

use super::kinesis::validated;
use super::limits::{Refusal, refuse, shard_throttled};
use super::metrics::{Series, Stat, epoch_seconds};
use super::past::minutes_now;
use super::{Account, lock};

const NAMESPACE: &str = "AWS/Kinesis";
const THROTTLED: &str = "ProvisionedThroughputExceededException";

/// Records of a GetRecords answer when the request does not say (API reference).
const MAX_RECORDS: u64 = 10_000;

type Answer = Result<Option<Value>, Refusal>;

/// The samples of one call.
struct Samples {
    /// When the call came, or the past that it stands for: minutes, and how often it counts there.
    minutes: Vec<(i64, f64)>,
    /// Summed up by metric; `None` is the stream, a name one of its shards.
    stats: BTreeMap<(&'static str, Option<String>), Stat>,
}

impl Samples {
    /// For a call that comes now.
    fn new(account: &Account) -> Self {
        Self { minutes: minutes_now(&lock(&account.past)), stats: BTreeMap::new() }
    }

    /// A sample of a stream-level metric.
    fn add(&mut self, metric: &'static str, value: f64) {
        self.merge(metric, None, value);
    }

    /// A sample of a metric that exists at both levels.
    fn add_for_shard(&mut self, metric: &'static str, shard: &str, value: f64) {
        self.merge(metric, None, value);
        self.merge(metric, Some(shard), value);
    }

    fn merge(&mut self, metric: &'static str, shard: Option<&str>, value: f64) {
        let key = (metric, shard.map(str::to_owned));
        let stat = self.stats.entry(key).or_default();
        stat.merge(&Stat::of(value, 1.0), 1.0);
    }

    /// Accounts one record: throttles are sampled once per record, as AWS does, so that their
    /// average is the share of records that were refused.
    fn add_record(&mut self, shard: &str, bytes: f64, accepted: bool) {
        let throttled = f64::from(u8::from(!accepted));
        self.add_for_shard("WriteProvisionedThroughputExceeded", shard, throttled);
        if accepted {
            self.add_for_shard("IncomingRecords", shard, 1.0);
            self.add_for_shard("IncomingBytes", shard, bytes);
        }
    }

    /// Accounts all of it.
    fn publish(self, account: &Account, stream: &str) {
        let monitored = lock(&account.monitored).get(stream).cloned();
        let monitored = monitored.unwrap_or_default();
        let mut metrics = lock(&account.metrics);
        for ((metric, shard), stat) in self.stats {
            let mut dimensions = vec![("StreamName", stream)];
            if let Some(shard) = &shard {
                if !monitored.iter().any(|enabled| enabled == metric) {
                    continue;
                }
                dimensions.push(("ShardId", shard));
            }
            let series = Series::new(NAMESPACE, metric, &dimensions);
            for (minute, times) in &self.minutes {
                metrics.add(series.clone(), *minute, &stat, *times);
            }
        }
    }
}

/// What must be known of a record after it was handed over.
struct Sent {
    key: String,
    explicit_hash: Option<u128>,
    bytes: f64,
}

impl Sent {
    fn new(record: &Value) -> Self {
        let key = record["PartitionKey"].as_str().unwrap_or_default();
        let explicit_hash = record["ExplicitHashKey"].as_str();
        Self {
            key: key.to_owned(),
            explicit_hash: explicit_hash.and_then(|hash| hash.parse().ok()),
            bytes: size_of(record),
        }
    }

    /// The open shard that the record belongs to.
    fn shard<'a>(&self, stream: &'a Stream) -> &'a str {
        let hash = self.explicit_hash.unwrap_or_else(|| partition_key_to_hash_key(&self.key));
        let mut open =
            stream.shards.iter().filter(|shard| shard.sequence_number_range.ending_sequence_number.is_none());
        open.find(|shard| {
            let range = &shard.hash_key_range;
            (range.start_u128()..=range.end_u128()).contains(&hash)
        })
        .map_or("", |shard| &shard.shard_id)
    }
}

/// Bytes of a record's data and key: both count, on AWS too.
fn size_of(record: &Value) -> f64 {
    let data = record["Data"].as_str().unwrap_or_default();
    let padding = data.bytes().rev().take_while(|byte| *byte == b'=').count();
    let key = record["PartitionKey"].as_str().unwrap_or_default();
    ((data.len() / 4 * 3).saturating_sub(padding.min(2)) + key.len()) as f64
}

/// Dates new shards now. ferrokinesis dates the shards of a reshard one second ahead, and counts a record where its
/// shard begins: the traffic of two seconds would be throttled as that of one.
async fn date_new_shards(account: &Account, name: &str) -> Result<(), Refusal> {
    let now = epoch_seconds(SystemTime::now()) * 1000.0;
    let begins = |shard: &Shard| parse_sequence(&shard.sequence_number_range.starting_sequence_number).ok();
    let is_ahead = |begin: &SeqObj| begin.shard_create_time as f64 > now;
    let stream = account.store.get_stream(name).await?;
    if !stream.shards.last().and_then(begins).is_some_and(|begin| is_ahead(&begin)) {
        return Ok(());
    }
    let date = |stream: &mut Stream| {
        for shard in &mut stream.shards {
            if let Some(begin) = begins(shard).filter(is_ahead) {
                let begin = SeqObj { shard_create_time: now as u64, ..begin };
                shard.sequence_number_range.starting_sequence_number = stringify_sequence(&begin);
            }
        }
        Ok(())
    };
    account.store.update_stream(name, date).await
}

pub(super) async fn put_record(account: &Account, name: &str, input: Value) -> Answer {
    let mut samples = Samples::new(account);
    let sent = Sent::new(&input);
    date_new_shards(account, name).await?;
    let answer = dispatch(&account.store, Operation::PutRecord, input).await;
    let answer = match answer {
        Ok(answer) => {
            let shard = answer.as_ref().and_then(|a| a["ShardId"].as_str());
            samples.add_record(shard.unwrap_or_default(), sent.bytes, true);
            samples.add("PutRecord.Bytes", sent.bytes);
            samples.add("PutRecord.Success", 1.0);
            Ok(answer)
        }
        Err(refusal) if refusal.body.error_type == THROTTLED => {
            let stream = account.store.get_stream(name).await?;
            let shard = sent.shard(&stream);
            samples.add_record(shard, sent.bytes, false);
            samples.add("PutRecord.Success", 0.0);
            Err(shard_throttled(shard, name, &account.options.account))
        }
        Err(other) => return Err(other),
    };
    samples.publish(account, name);
    answer
}

pub(super) async fn put_records(account: &Account, name: &str, input: Value) -> Answer {
    let mut samples = Samples::new(account);
    let records = input["Records"].as_array().into_iter().flatten();
    let sent: Vec<Sent> = records.map(Sent::new).collect();
    date_new_shards(account, name).await?;
    let answer = dispatch(&account.store, Operation::PutRecords, input).await?;
    let mut answer = answer.unwrap_or_default();
    // Only refused records need it: their part of the answer does not name the shard.
    let stream = match answer["FailedRecordCount"].as_u64() {
        Some(0) => None,
        _ => Some(account.store.get_stream(name).await?),
    };
    let (mut accepted, mut throttled, mut bytes) = (0.0, 0.0, 0.0);
    let results = answer["Records"].as_array_mut().into_iter().flatten();
    for (record, result) in sent.iter().zip(results) {
        if let Some(shard) = result["ShardId"].as_str() {
            samples.add_record(shard, record.bytes, true);
            accepted += 1.0;
            bytes += record.bytes;
        } else if result["ErrorCode"] == THROTTLED {
            let shard = stream.as_ref().map_or("", |stream| record.shard(stream));
            let refusal = shard_throttled(shard, name, &account.options.account);
            result["ErrorMessage"] = json!(refusal.body.message);
            samples.add_record(shard, record.bytes, false);
            throttled += 1.0;
        }
    }
    samples.add("PutRecords.Bytes", bytes);
    samples.add("PutRecords.Success", f64::from(u8::from(accepted > 0.0)));
    samples.add("PutRecords.TotalRecords", sent.len() as f64);
    samples.add("PutRecords.SuccessfulRecords", accepted);
    samples.add("PutRecords.ThrottledRecords", throttled);
    samples.publish(account, name);
    Ok(Some(answer))
}

pub(super) async fn get_shard_iterator(account: &Account, name: &str, input: Value) -> Answer {
    let shard = input["ShardId"].as_str().unwrap_or_default();
    let id = &account.options.account;
    lock(&account.rates).admit_read(Operation::GetShardIterator, shard, name, id)?;
    dispatch(&account.store, Operation::GetShardIterator, input).await
}

pub(super) async fn get_records(account: &Account, name: Option<&str>, raw: Value) -> Answer {
    let input = validated(Operation::GetRecords, &raw)?;
    let iterator = input["ShardIterator"].as_str().unwrap_or_default();
    // What is no iterator of ours is refused below us.
    let Ok((_, stream, shard, _)) = decode_shard_iterator(iterator) else {
        return dispatch(&account.store, Operation::GetRecords, input).await;
    };
    if name.is_some_and(|name| name != stream) {
        return Err(refuse("InvalidArgumentException", "StreamARN does not match the stream of the ShardIterator"));
    }
    let id = &account.options.account;
    let admitted = lock(&account.rates).admit_read(Operation::GetRecords, &shard, &stream, id);
    let mut samples = Samples::new(account);
    if let Err(refusal) = admitted {
        samples.add_for_shard("ReadProvisionedThroughputExceeded", &shard, 1.0);
        samples.add("GetRecords.Success", 0.0);
        samples.publish(account, &stream);
        return Err(refusal);
    }
    let limit = input["Limit"].as_u64().unwrap_or(MAX_RECORDS);
    let answer = dispatch(&account.store, Operation::GetRecords, input).await?;
    let mut answer = answer.unwrap_or_default();
    let read = Read::of(&answer, limit);
    answer["MillisBehindLatest"] = json!(read.age_millis as u64);
    lock(&account.rates).charge_read(&stream, &shard, read.bytes);
    read.sample(&mut samples, &shard);
    samples.publish(account, &stream);
    Ok(Some(answer))
}

/// What a GetRecords call gave.
struct Read {
    records: f64,
    bytes: f64,
    /// How far the reader is behind.
    age_millis: f64,
}

impl Read {
    /// A full page means that there is more: then the reader is as far behind as the page's last
    /// record is old. What is under us knows a reader's distance only on closed shards.
    fn of(answer: &Value, limit: u64) -> Self {
        let records = answer["Records"].as_array().map_or(&[][..], Vec::as_slice);
        let behind = answer["MillisBehindLatest"].as_f64().unwrap_or_default();
        let arrival = records
            .last()
            .filter(|_| records.len() as u64 >= limit)
            .and_then(|last| last["ApproximateArrivalTimestamp"].as_f64());
        let age = arrival.map_or(0.0, |at| epoch_seconds(SystemTime::now()) - at);
        Self {
            records: records.len() as f64,
            bytes: records.iter().map(size_of).sum(),
            age_millis: behind.max(age * 1000.0),
        }
    }

    fn sample(&self, samples: &mut Samples, shard: &str) {
        samples.add_for_shard("ReadProvisionedThroughputExceeded", shard, 0.0);
        samples.add("GetRecords.Success", 1.0);
        samples.add("GetRecords.Records", self.records);
        samples.add("GetRecords.Bytes", self.bytes);
        samples.add("GetRecords.IteratorAgeMilliseconds", self.age_millis);
        samples.merge("OutgoingRecords", Some(shard), self.records);
        samples.merge("OutgoingBytes", Some(shard), self.bytes);
        samples.merge("IteratorAgeMilliseconds", Some(shard), self.age_millis);
    }
}
