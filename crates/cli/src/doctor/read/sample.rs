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

/// Records of one call. 10 aggregates have half a MiB.
const RECORDS: i32 = 10;

/// The calls of a shard, and the time between them: one of the five calls a second that AWS allows to all readers. An
/// answer may be empty although records follow.
const CALLS: usize = 2;
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
    for attempt in 0..CALLS {
        let Some(iterator) = position.take() else { break };
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let call = clients.kinesis.get_records().stream_arn(&stream.arn).shard_iterator(iterator).limit(RECORDS);
        let answer = call.send().await.map_err(|e| unread("kinesis:GetRecords", e))?;
        for record in answer.records() {
            sample.records += 1;
            if let Some(inside) = user_records(record.data().as_ref()) {
                sample.aggregated += 1;
                sample.user_records += inside.len() as u64;
            }
        }
        if !answer.records().is_empty() || answer.millis_behind_latest() == Some(0) {
            break;
        }
        position = answer.next_shard_iterator().map(str::to_owned);
    }
    Ok(())
}
