//! AWS's rules: the refusals that need nothing but a look, and the rates.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use ferrokinesis::actions::Operation;
use ferrokinesis::error::KinesisErrorResponse;
use ferrokinesis::types::{Stream, StreamMode, StreamStatus};

/// An error answer of Kinesis.
pub(super) type Refusal = KinesisErrorResponse;

/// Shards that one stream can be scaled to ([API reference]; more needs a ticket).
///
/// [API reference]: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html
const MAX_SHARDS_OF_A_STREAM: u32 = 10_000;

/// GetRecords calls per shard and second, and GetShardIterator calls ([quotas]).
///
/// [quotas]: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
const READS_PER_SHARD: usize = 5;

/// Bytes per second that a shard gives to all its polling readers together (quotas, as above). A
/// larger answer is given, and blocks the shard until it is paid for: 10 MiB for about 5 s.
const READ_BYTES_PER_SHARD: f64 = 2.0 * 1024.0 * 1024.0;

/// An HTTP 400 with this error code.
pub(super) fn refuse(code: &str, message: impl AsRef<str>) -> Refusal {
    Refusal::client_error(code, Some(message.as_ref()))
}

/// The refusal of a change of the stream beyond a rate or a daily cap: on AWS the message is the
/// same for both.
pub(super) fn rate_exceeded(stream: &str, account: &str) -> Refusal {
    refuse("LimitExceededException", format!("Rate exceeded for stream {stream} under account {account}."))
}

/// The message of a throttled record or read: it names the shard.
pub(super) fn shard_throttled(shard: &str, stream: &str, account: &str) -> Refusal {
    refuse(
        "ProvisionedThroughputExceededException",
        format!("Rate exceeded for shard {shard} in stream {stream} under account {account}."),
    )
}

pub(super) fn must_be_active(stream: &Stream, account: &str) -> Result<(), Refusal> {
    if stream.stream_status == StreamStatus::Active {
        return Ok(());
    }
    Err(refuse(
        "ResourceInUseException",
        format!(
            "Stream {} under account {account} not ACTIVE, instead in state {}",
            stream.stream_name, stream.stream_status
        ),
    ))
}

pub(super) fn must_be_provisioned(stream: &Stream, operation: Operation) -> Result<(), Refusal> {
    match stream.stream_mode_details.stream_mode {
        StreamMode::Provisioned => Ok(()),
        StreamMode::OnDemand => Err(refuse(
            "ValidationException",
            format!(
                "Request is invalid. {operation} is only supported for streams in PROVISIONED mode; \
                 stream {} is in ON_DEMAND mode.",
                stream.stream_name
            ),
        )),
    }
}

/// At most double, at least half. Half of an odd count rounds down: 3 → 1 was accepted by AWS.
pub(super) fn must_be_scalable(open: u32, target: u32) -> Result<(), Refusal> {
    let problem = if target > open.saturating_mul(2) {
        "scale up over double your current open shard count"
    } else if target < open / 2 {
        "scale down below half your current open shard count"
    } else if target > MAX_SHARDS_OF_A_STREAM {
        "scale up to more than 10000 shards"
    } else {
        return Ok(());
    };
    Err(refuse(
        "InvalidArgumentException",
        format!(
            "UpdateShardCount cannot {problem}. Current open shard count: {open}, \
             Target shard count: {target}"
        ),
    ))
}

/// Shards that take records.
pub(super) fn open_shards(stream: &Stream) -> u32 {
    let open = stream.shards.iter().filter(|shard| shard.sequence_number_range.ending_sequence_number.is_none());
    u32::try_from(open.count()).unwrap_or(u32::MAX)
}

/// What an operation's rate is counted by.
#[derive(Clone, Copy)]
enum Per {
    Account,
    Stream,
}

/// Calls per second that AWS documents for an operation ([quotas] and the API reference; where
/// those disagree, the API reference). TagResource, UntagResource, ListTagsForResource,
/// UpdateStreamMode and UpdateMaxRecordSize have none.
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

/// The calls of the last second, and the reading debts of shards.
#[derive(Default)]
pub(super) struct Rates {
    calls: HashMap<String, VecDeque<Instant>>,
    /// Bytes that a shard may still give, and since when that is so. Negative: a debt.
    bytes: HashMap<String, (f64, Instant)>,
}

impl Rates {
    /// Refuses a call of a control-plane operation above its rate.
    pub fn admit(&mut self, operation: Operation, stream: Option<&str>, account: &str) -> Result<(), Refusal> {
        let Some((rate, per)) = rate_of(operation) else {
            return Ok(());
        };
        let key = match per {
            Per::Account => operation.to_string(),
            Per::Stream => format!("{operation} {}", stream.unwrap_or_default()),
        };
        match (self.allow(key, rate), stream) {
            (true, _) => Ok(()),
            (false, Some(stream)) => Err(rate_exceeded(stream, account)),
            (false, None) => {
                Err(refuse("LimitExceededException", format!("Rate exceeded for {operation} under account {account}.")))
            }
        }
    }

    /// Refuses a GetRecords or GetShardIterator call above the shard's rate, and a GetRecords call
    /// to a shard that still pays for an earlier answer.
    pub fn admit_read(
        &mut self,
        operation: Operation,
        shard: &str,
        stream: &str,
        account: &str,
    ) -> Result<(), Refusal> {
        let place = format!("{stream}/{shard}");
        let in_debt = operation == Operation::GetRecords && self.readable_bytes(&place) <= 0.0;
        if in_debt || !self.allow(format!("{operation} {place}"), READS_PER_SHARD) {
            return Err(shard_throttled(shard, stream, account));
        }
        Ok(())
    }

    /// Charges a shard for what it gave.
    pub fn charge_read(&mut self, stream: &str, shard: &str, bytes: f64) {
        let place = format!("{stream}/{shard}");
        let left = self.readable_bytes(&place) - bytes;
        self.bytes.insert(place, (left, Instant::now()));
    }

    fn readable_bytes(&self, place: &str) -> f64 {
        self.bytes.get(place).map_or(READ_BYTES_PER_SHARD, |(left, since)| {
            (left + since.elapsed().as_secs_f64() * READ_BYTES_PER_SHARD).min(READ_BYTES_PER_SHARD)
        })
    }

    /// Whether one more call fits into the second that ends now. A refused call takes no room.
    fn allow(&mut self, key: String, per_second: usize) -> bool {
        let now = Instant::now();
        let calls = self.calls.entry(key).or_default();
        while calls.front().is_some_and(|call| now.duration_since(*call) >= Duration::from_secs(1)) {
            calls.pop_front();
        }
        let room = calls.len() < per_second;
        if room {
            calls.push_back(now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_answer_blocks_its_shard_until_it_is_paid_for() {
        let mut rates = Rates::default();
        let read = |rates: &mut Rates, shard| {
            let read = rates.admit_read(Operation::GetRecords, shard, "orders", "123456789012");
            read.map_err(|refusal| refusal.body.error_type)
        };
        rates.charge_read("orders", "small", READ_BYTES_PER_SHARD / 2.0);
        assert_eq!(read(&mut rates, "small"), Ok(()));
        rates.charge_read("orders", "large", 5.0 * READ_BYTES_PER_SHARD);
        let throttled = Err("ProvisionedThroughputExceededException".into());
        assert_eq!(read(&mut rates, "large"), throttled);
        assert_eq!(read(&mut rates, "other"), Ok(()));
        let (_, since) = rates.bytes.get_mut("orders/large").expect("charged");
        *since -= Duration::from_secs(5);
        assert_eq!(read(&mut rates, "large"), Ok(()));
    }
}
