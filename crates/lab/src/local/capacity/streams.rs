//! CreateStream and DeleteStream.

use super::{Answer, become_active, mode_in, shards_in};
use crate::local::limits::Refusal;
use crate::local::shards::reshape;
use crate::local::transitions::Outcome;
use crate::local::{Account, lock, tags};
use crate::rules::HashRange;
use ferrokinesis::types::{EpochSeconds, Stream, StreamBuilder, StreamMode, StreamModeDetails, StreamStatus};
use serde_json::{Value, json};

/// Shards of a new on-demand stream: 4 MiB/s of writes ([quotas]).
///
/// [quotas]: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
const ON_DEMAND_SHARDS: u32 = 4;

pub(in crate::local) async fn create_stream(account: &Account, name: &str, raw: &Value, input: Value) -> Answer {
    let mut ledger = account.ledger.lock().await;
    let mode = mode_in(raw)?.unwrap_or(StreamMode::Provisioned);
    let tags = tags::parse(&raw["Tags"])?;
    let shards = shards_in(&input, "ShardCount");
    if account.store.contains_stream(name).await {
        return Err(Refusal::stream_in_use(name, &account.options.account));
    }
    let census = ledger.census(account).await;
    match mode {
        StreamMode::Provisioned => census.must_have_place_for(account, shards)?,
        StreamMode::OnDemand => census.must_accept_on_demand(account)?,
    }
    let mut stream = new_stream(account, name, StreamStatus::Creating);
    stream.stream_mode_details = StreamModeDetails { stream_mode: mode };
    tags::set(&mut stream, tags)?;
    account.store.put_stream(name, stream).await?;
    ledger.warm.remove(name);
    ledger.plans.insert(name.into(), (shards, mode));
    lock(&account.monitored).remove(name);
    let open = move |stream: &mut Stream, now| reshape(stream, &HashRange::uniform(shards), now);
    become_active(account, name, account.options.create_time, open);
    Ok(None)
}

/// A new stream without shards.
pub(in crate::local) fn new_stream(account: &Account, name: &str, status: StreamStatus) -> Stream {
    let created = EpochSeconds(account.now().timestamp() as f64);
    StreamBuilder::new(name.to_owned(), account.stream_arn(name), status, created, vec![]).build()
}

pub(in crate::local) async fn delete_stream(account: &Account, name: &str) -> Answer {
    let delete = |stream: &mut Stream| {
        stream.stream_status = StreamStatus::Deleting;
        Ok(())
    };
    account.store.update_stream(name, delete).await?;
    let gone = Outcome::Gone(name.to_owned());
    lock(&account.transitions).begin(account.now() + account.options.create_time, gone);
    Ok(None)
}

/// Adds a shard count to the request for an on-demand stream: ferrokinesis needs one.
pub(in crate::local) fn complete_create_stream(raw: &mut Value) {
    if raw["StreamModeDetails"]["StreamMode"] == "ON_DEMAND" {
        raw["ShardCount"] = json!(ON_DEMAND_SHARDS);
    }
}
