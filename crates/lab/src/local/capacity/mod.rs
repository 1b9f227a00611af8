//! Changes of capacity, with AWS's order of refusals and its quotas.
//!
//! - `ledger`: the changes and shards that count against the daily caps and the quotas.
//! - `streams`: CreateStream and DeleteStream.
//! - `reshard`: UpdateShardCount, SplitShard and MergeShards.
//! - `mode`: the capacity mode and warm throughput.
//! - `settings`: shard-level metrics and encryption.
//! - `describe`: DescribeLimits and DescribeStreamSummary.
//! - here: the time in which a stream is UPDATING, and fields that several requests have.

mod describe;
mod ledger;
mod mode;
mod reshard;
mod settings;
mod streams;

pub(super) use describe::{describe_limits, describe_stream_summary};
pub(super) use ledger::Ledger;
pub(super) use mode::{update_stream_mode, update_warm_throughput};
pub(super) use reshard::{reshard, update_shard_count};
pub(super) use settings::{update_encryption, update_monitoring};
pub(super) use streams::{complete_create_stream, create_stream, delete_stream, new_stream};

use super::limits::{Refusal, refuse};
use super::transitions::Outcome;
use super::{Account, lock};
use chrono::{DateTime, Utc};
use ferrokinesis::types::{Stream, StreamMode, StreamStatus};
use serde_json::Value;
use std::time::Duration;

type Answer = Result<Option<Value>, Refusal>;

/// Shows the stream as `UPDATING` for [`Options::update_time`](super::Options::update_time), and then changes it.
async fn hold_updating(
    account: &Account,
    name: &str,
    change: impl FnOnce(&mut Stream, DateTime<Utc>) + Send + 'static,
) -> Result<(), Refusal> {
    let begin = |stream: &mut Stream| {
        stream.stream_status = StreamStatus::Updating;
        Ok(())
    };
    account.store.update_stream(name, begin).await?;
    become_active(account, name, account.options.update_time, change);
    Ok(())
}

/// Makes the stream ACTIVE after this time, with a change.
fn become_active(
    account: &Account,
    name: &str,
    after: Duration,
    change: impl FnOnce(&mut Stream, DateTime<Utc>) + Send + 'static,
) {
    let active = Outcome::Active(name.to_owned(), Box::new(change));
    lock(&account.transitions).begin(account.now() + after, active);
}

fn mode_in(input: &Value) -> Result<Option<StreamMode>, Refusal> {
    match &input["StreamModeDetails"]["StreamMode"] {
        Value::Null => Ok(None),
        mode if mode == "PROVISIONED" => Ok(Some(StreamMode::Provisioned)),
        mode if mode == "ON_DEMAND" => Ok(Some(StreamMode::OnDemand)),
        other => Err(refuse(
            "ValidationException",
            format!(
                "1 validation error detected: Value {other} at 'streamModeDetails.streamMode' failed \
                 to satisfy constraint: Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]"
            ),
        )),
    }
}

/// A validated shard count.
fn shards_in(input: &Value, field: &str) -> u32 {
    let count = input[field].as_u64().unwrap_or_default();
    u32::try_from(count).unwrap_or(u32::MAX)
}
