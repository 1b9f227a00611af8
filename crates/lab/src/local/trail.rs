//! CloudTrail's data events of Kinesis: the calls that write and read records.

use super::Account;
use super::limits::Refusal;
use chrono::{DateTime, Utc};
use ferrokinesis::shard_iterator::decode_shard_iterator;
use serde_json::Value;
use tokio::sync::broadcast;

/// The operations that are data events ([CloudTrail]). Records that PutRecords refuses one by one are in no event: the
/// call itself succeeds.
///
/// [CloudTrail]: https://docs.aws.amazon.com/streams/latest/dev/logging-using-cloudtrail.html
const DATA_EVENTS: [&str; 5] = ["GetRecords", "GetShardIterator", "PutRecord", "PutRecords", "SubscribeToShard"];

/// The events that wait for a slow receiver. EventBridge drops none, but a receiver here wakes at once.
const WAITING: usize = 1024;

/// A call that the account refused, as CloudTrail records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCall {
    /// The operation, such as `GetRecords`.
    pub operation: String,
    /// The stream; `None`: the request names none.
    pub stream: Option<String>,
    /// AWS's error code.
    pub code: String,
    /// AWS's error message.
    pub message: String,
    /// The time of the call.
    pub at: DateTime<Utc>,
}

/// The trail of an account.
pub(super) type Trail = broadcast::Sender<FailedCall>;

pub(super) fn trail() -> Trail {
    broadcast::channel(WAITING).0
}

/// Records a refused call, if it is a data event.
pub(super) fn record(account: &Account, operation: &str, body: &[u8], refusal: &Refusal) {
    if !DATA_EVENTS.contains(&operation) || account.trail.receiver_count() == 0 {
        return;
    }
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let (code, message) = (&refusal.body.error_type, refusal.body.message.as_deref().unwrap_or_default());
    let call = FailedCall {
        operation: operation.to_owned(),
        stream: stream_of(&request),
        code: code.clone(),
        message: message.to_owned(),
        at: account.now(),
    };
    // Without a receiver, CloudTrail is not set up.
    let _ = account.trail.send(call);
}

/// The stream of a request: by its name, by an ARN, or by an iterator.
fn stream_of(request: &Value) -> Option<String> {
    let text = |field: &str| request[field].as_str();
    let of_arn = |arn: &str| arn.split_once(":stream/").map(|(_, name)| name.split('/').next().unwrap_or(name).into());
    let name = text("StreamName").map(str::to_owned);
    let by_arn = || text("StreamARN").or_else(|| text("ConsumerARN")).and_then(of_arn);
    name.or_else(by_arn).or_else(|| decode_shard_iterator(text("ShardIterator")?).ok().map(|(_, stream, ..)| stream))
}
