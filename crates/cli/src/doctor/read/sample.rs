//! A few records of a stream, within a small part of what its readers share.

use super::unread::unread;
use crate::doctor::clients::Clients;
use crate::keys::aggregate::user_records;
use aws_sdk_kinesis::primitives::DateTime as AwsTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use unthrottle_core::checks::{Read, Sample};
use unthrottle_core::observation::{Shard, Stream};

/// The shards that are read: a producer that aggregates writes to all of them.
const SHARDS: usize = 2;

/// The most records of a shard.
const RECORDS: u64 = 10;

/// The bytes of a call after the first one: a tenth of the 2 MiB that a shard gives its readers in a second. The first
/// call asks for one record, because a record may have 10 MiB.
const BYTES: u64 = 2 * 1_048_576 / 10;

/// The calls of a shard, and the time between them: one of the five calls a second that AWS allows to all readers. An
/// answer may be empty although records follow.
const CALLS: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Where the reading begins, in minutes before now.
const MINUTES: i64 = 5;

pub(super) async fn sample(
    clients: &Clients,
    stream: &Stream,
    shards: &Read<Vec<Shard>>,
    now: DateTime<Utc>,
) -> Read<Sample> {
    let mut sample = Sample::default();
    for shard in shards.as_ref().map_err(Clone::clone)?.iter().take(SHARDS) {
        of_shard(clients, stream, shard, now, &mut sample).await?;
    }
    Ok(sample)
}

async fn of_shard(
    clients: &Clients,
    stream: &Stream,
    shard: &Shard,
    now: DateTime<Utc>,
    sample: &mut Sample,
) -> Read<()> {
    let first = AwsTime::from_secs((now - TimeDelta::minutes(MINUTES)).timestamp());
    let call = clients.kinesis.get_shard_iterator().stream_arn(&stream.arn).shard_id(&shard.id);
    let call = call.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(first);
    let answer = call.send().await.map_err(|e| unread("kinesis:GetShardIterator", e))?;
    let mut position = answer.shard_iterator().map(str::to_owned);
    let (mut records, mut largest) = (0, 0);
    for attempt in 0..CALLS {
        let Some(iterator) = position.take() else { break };
        let left = RECORDS - records;
        let limit = BYTES.checked_div(largest).map_or(1, |most| most.min(left));
        if limit == 0 {
            break;
        }
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let call = clients.kinesis.get_records().stream_arn(&stream.arn).shard_iterator(iterator);
        let answer = call.limit(limit as i32).send().await.map_err(|e| unread("kinesis:GetRecords", e))?;
        for record in answer.records() {
            sample.records += 1;
            records += 1;
            largest = largest.max(record.data().as_ref().len() as u64);
            if let Some(inside) = user_records(record.data().as_ref()) {
                sample.aggregated += 1;
                sample.user_records += inside.len() as u64;
            }
        }
        if answer.millis_behind_latest() == Some(0) {
            break;
        }
        position = answer.next_shard_iterator().map(str::to_owned);
    }
    Ok(())
}
