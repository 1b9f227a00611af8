//! AWS's rates of calls, and AWS's refusals in this account's words. The other limits are in [`crate::rules`].

use crate::rules::{self, READ_BYTES_A_SECOND, READ_CALLS_A_SECOND};
use chrono::{DateTime, TimeDelta, Utc};
use ferrokinesis::actions::Operation;
use ferrokinesis::error::KinesisErrorResponse;
use ferrokinesis::types::{Stream, StreamMode, StreamStatus};
use std::collections::{HashMap, VecDeque};
use unthrottle_core::signal::StreamArn;

/// An error answer of Kinesis.
pub(super) type Refusal = KinesisErrorResponse;

impl From<rules::Refusal> for Refusal {
    fn from(refusal: rules::Refusal) -> Refusal {
        refuse(refusal.code, refusal.message)
    }
}

/// An HTTP 400 with this error code.
pub(super) fn refuse(code: &str, message: impl AsRef<str>) -> Refusal {
    Refusal::client_error(code, Some(message.as_ref()))
}

/// The refusal of a throttled record or read. It names the shard.
pub(super) fn shard_throttled(shard: &str, stream: &str, account: &str) -> Refusal {
    refuse(
        "ProvisionedThroughputExceededException",
        format!("Rate exceeded for shard {shard} in stream {stream} under account {account}."),
    )
}

pub(super) fn must_be_active(stream: &Stream, arn: &StreamArn) -> Result<(), Refusal> {
    let is_active = stream.stream_status == StreamStatus::Active;
    Ok(rules::must_be_active(arn, is_active, stream.stream_status)?)
}

pub(super) fn must_be_provisioned(stream: &Stream, arn: &StreamArn, operation: Operation) -> Result<(), Refusal> {
    let is_provisioned = stream.stream_mode_details.stream_mode == StreamMode::Provisioned;
    Ok(rules::must_be_provisioned(arn, is_provisioned, operation)?)
}

/// The scope of an operation's rate.
#[derive(Clone, Copy)]
enum Per {
    Account,
    Stream,
}

/// Calls a second that AWS documents for an operation ([quotas] and the API reference; where they differ, the API
/// reference). TagResource, UntagResource, ListTagsForResource, UpdateStreamMode and UpdateMaxRecordSize have no rate.
///
/// [quotas]: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
fn rate_of(operation: Operation) -> Option<(usize, Per)> {
    use Operation::*;
    Some(match operation {
        DescribeLimits => (1, Per::Account),
        DescribeStream | UpdateShardCount => (10, Per::Account),
        DescribeStreamSummary => (20, Per::Account),
        AddTagsToStream
        | CreateStream
        | DeleteStream
        | DescribeAccountSettings
        | ListStreams
        | ListTagsForStream
        | MergeShards
        | RemoveTagsFromStream
        | SplitShard
        | UpdateAccountSettings
        | UpdateStreamWarmThroughput => (5, Per::Account),
        DecreaseStreamRetentionPeriod
        | DeregisterStreamConsumer
        | DisableEnhancedMonitoring
        | EnableEnhancedMonitoring
        | IncreaseStreamRetentionPeriod
        | ListStreamConsumers
        | RegisterStreamConsumer => (5, Per::Stream),
        DescribeStreamConsumer => (20, Per::Stream),
        ListShards => (1000, Per::Stream),
        _ => return None,
    })
}

/// The calls of the last second, and the shards with a debt of bytes.
#[derive(Default)]
pub(super) struct Rates {
    calls: HashMap<String, VecDeque<DateTime<Utc>>>,
    /// The bytes that a shard may still send, and the time of this number. A negative number is a debt.
    bytes: HashMap<String, (f64, DateTime<Utc>)>,
}

impl Rates {
    /// Refuses a call of a control-plane operation above its rate.
    pub fn admit(
        &mut self,
        operation: Operation,
        stream: Option<&StreamArn>,
        account: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let Some((rate, per)) = rate_of(operation) else {
            return Ok(());
        };
        let key = match per {
            Per::Account => operation.to_string(),
            Per::Stream => format!("{operation} {}", stream.map_or("", |stream| &stream.name)),
        };
        match (self.allow(key, rate, now), stream) {
            (true, _) => Ok(()),
            (false, Some(stream)) => Err(rules::Refusal::rate_exceeded(stream).into()),
            (false, None) => {
                Err(refuse("LimitExceededException", format!("Rate exceeded for {operation} under account {account}.")))
            }
        }
    }

    /// Refuses a GetRecords or GetShardIterator call above the shard's rate, and a GetRecords call to a shard with a
    /// debt.
    pub fn admit_read(
        &mut self,
        operation: Operation,
        shard: &str,
        stream: &str,
        account: &str,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let place = format!("{stream}/{shard}");
        let in_debt = operation == Operation::GetRecords && self.readable_bytes(&place, now) <= 0.0;
        if in_debt || !self.allow(format!("{operation} {place}"), READ_CALLS_A_SECOND as usize, now) {
            return Err(shard_throttled(shard, stream, account));
        }
        Ok(())
    }

    /// Charges a shard for an answer. An answer above the bytes of a second blocks the shard until the debt is paid: 10
    /// MiB block it for about 5 s (the quotas page).
    pub fn charge_read(&mut self, stream: &str, shard: &str, bytes: f64, now: DateTime<Utc>) {
        let place = format!("{stream}/{shard}");
        let left = self.readable_bytes(&place, now) - bytes;
        self.bytes.insert(place, (left, now));
    }

    fn readable_bytes(&self, place: &str, now: DateTime<Utc>) -> f64 {
        const A_SECOND: f64 = READ_BYTES_A_SECOND as f64;
        self.bytes.get(place).map_or(A_SECOND, |(left, since)| {
            let passed = (now - *since).as_seconds_f64().max(0.0);
            (left + passed * A_SECOND).min(A_SECOND)
        })
    }

    /// Whether one more call fits into the second that ends now. A refused call does not count.
    fn allow(&mut self, key: String, per_second: usize, now: DateTime<Utc>) -> bool {
        let calls = self.calls.entry(key).or_default();
        // After the clock was set back, a call may lie in the future. Such a call no longer counts.
        calls.retain(|call| (TimeDelta::zero()..TimeDelta::seconds(1)).contains(&(now - *call)));
        let is_admitted = calls.len() < per_second;
        if is_admitted {
            calls.push_back(now);
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: f64 = READ_BYTES_A_SECOND as f64;

    #[test]
    fn a_large_answer_blocks_its_shard_until_the_debt_is_paid() {
        let start = DateTime::from_timestamp(1_795_180_000, 0).expect("in range");
        let mut rates = Rates::default();
        let read = |rates: &mut Rates, shard, second| {
            let now = start + TimeDelta::seconds(second);
            let read = rates.admit_read(Operation::GetRecords, shard, "orders", "123456789012", now);
            read.map_err(|refusal| refusal.body.error_type)
        };
        rates.charge_read("orders", "small", SECOND / 2.0, start);
        assert_eq!(read(&mut rates, "small", 0), Ok(()));
        rates.charge_read("orders", "large", 5.0 * SECOND, start);
        let throttled = Err("ProvisionedThroughputExceededException".into());
        assert_eq!([0, 4].map(|second| read(&mut rates, "large", second)), [throttled.clone(), throttled]);
        assert_eq!(read(&mut rates, "other", 0), Ok(()));
        assert_eq!(read(&mut rates, "large", 5), Ok(()));
    }
}
