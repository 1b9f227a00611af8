//! Changes of capacity, with AWS's order of refusals and its quotas.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use ferrokinesis::actions::{Operation, dispatch};
use ferrokinesis::sequence::resolve_shard_id;
use ferrokinesis::types::{
    EncryptionType, EpochSeconds, Stream, StreamBuilder, StreamMode, StreamModeDetails, StreamStatus,
};
use serde_json::{Value, json};

use super::limits::{Refusal, must_be_active, must_be_provisioned, refuse};
use super::shards::{is_open, open_ranges, open_shards, range, reshape};
use super::transitions::Becomes;
use super::{Account, lock, tags};
use crate::rules::{
    HashRange, MAX_ON_DEMAND_SHARDS, ShardQuota, must_accept_on_demand, must_accept_reshard, must_accept_switch,
};
use unthrottle_core::signal::StreamArn;

/// Shards of a new on-demand stream: 4 MiB/s of writes ([quotas]).
///
/// [quotas]: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
const ON_DEMAND_SHARDS: u32 = 4;

type Answer = Result<Option<Value>, Refusal>;

/// What the account remembers about changes. By stream name: deleting and recreating a stream was
/// observed not to reset its daily caps.
#[derive(Default)]
pub(super) struct Ledger {
    /// When each reshard and each switch was asked for, in seconds of the epoch.
    reshards: HashMap<String, Vec<i64>>,
    switches: HashMap<String, Vec<i64>>,
    /// Where a stream that is `CREATING` or `UPDATING` is going: open shards and mode.
    plans: HashMap<String, (u32, StreamMode)>,
    /// Warm throughput in MiB/s, before the last change and after it.
    warm: HashMap<String, (u32, u32)>,
}

/// What counts against the account's quotas, running changes included.
struct Census {
    provisioned_shards: u32,
    on_demand_streams: u32,
}

impl Census {
    /// Refuses a change that adds provisioned shards beyond the account's quota.
    fn must_have_place_for(&self, account: &Account, additional: u32) -> Result<(), Refusal> {
        Ok(self.quota(account).must_have_place_for(additional, &account.home())?)
    }

    /// Refuses one more on-demand stream beyond the account's quota.
    fn must_accept_on_demand(&self, account: &Account) -> Result<(), Refusal> {
        let limit = account.options.on_demand_limit;
        Ok(must_accept_on_demand(self.on_demand_streams, limit, &account.home())?)
    }

    fn quota(&self, account: &Account) -> ShardQuota {
        ShardQuota { limit: account.options.shard_limit, open: self.provisioned_shards }
    }
}

fn made<'a>(changes: &'a HashMap<String, Vec<i64>>, stream: &str) -> &'a [i64] {
    changes.get(stream).map_or(&[], Vec::as_slice)
}

impl Ledger {
    /// Makes what was spent so much older.
    pub fn age(&mut self, by: TimeDelta) {
        for times in self.reshards.values_mut().chain(self.switches.values_mut()) {
            times.iter_mut().for_each(|time| *time = time.saturating_sub(by.num_seconds()));
        }
    }

    async fn census(&self, account: &Account) -> Census {
        let mut census = Census { provisioned_shards: 0, on_demand_streams: 0 };
        for name in account.store.list_stream_names().await {
            // Deleted since the list was made: gone from the quota, too.
            let Ok(stream) = account.store.get_stream(&name).await else {
                continue;
            };
            let now = (open_shards(&stream), stream.stream_mode_details.stream_mode);
            let changing = matches!(stream.stream_status, StreamStatus::Creating | StreamStatus::Updating);
            let (planned, mode) = *self.plans.get(&name).filter(|_| changing).unwrap_or(&now);
            match mode {
                StreamMode::Provisioned => census.provisioned_shards += planned.max(now.0),
                StreamMode::OnDemand => census.on_demand_streams += 1,
            }
        }
        census
    }
}

pub(super) async fn create_stream(account: &Account, name: &str, raw: &Value, input: Value) -> Answer {
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

/// A stream that is created now and has no shards yet.
pub(super) fn new_stream(account: &Account, name: &str, status: StreamStatus) -> Stream {
    let created = EpochSeconds(account.now().timestamp() as f64);
    StreamBuilder::new(name.to_owned(), account.stream_arn(name), status, created, vec![]).build()
}

pub(super) async fn delete_stream(account: &Account, name: &str) -> Answer {
    let delete = |stream: &mut Stream| {
        stream.stream_status = StreamStatus::Deleting;
        Ok(())
    };
    account.store.update_stream(name, delete).await?;
    let gone = Becomes::Gone(name.to_owned());
    lock(&account.transitions).begin(account.now() + account.options.create_time, gone);
    Ok(None)
}

/// A request for an on-demand stream names no shard count; what is under us needs one.
pub(super) fn complete_create_stream(raw: &mut Value) {
    if raw["StreamModeDetails"]["StreamMode"] == "ON_DEMAND" {
        raw["ShardCount"] = json!(ON_DEMAND_SHARDS);
    }
}

pub(super) async fn update_shard_count(account: &Account, name: &str, input: Value) -> Answer {
    let mut ledger = account.ledger.lock().await;
    let (stream, arn) = (account.store.get_stream(name).await?, account.arn_of(name));
    let (open, target) = (open_shards(&stream), shards_in(&input, "TargetShardCount"));
    must_be_provisioned(&stream, &arn, Operation::UpdateShardCount)?;
    must_be_active(&stream, &arn)?;
    let (quota, now) = (ledger.census(account).await.quota(account), account.now().timestamp());
    must_accept_reshard(&arn, &open_ranges(&stream), target, made(&ledger.reshards, name), now, quota)?;
    // Repeating the current count changes nothing and is not counted, on AWS neither.
    if target != open {
        reshard_to(account, name, HashRange::uniform(target)).await?;
        ledger.plans.insert(name.into(), (target, StreamMode::Provisioned));
        ledger.reshards.entry(name.into()).or_default().push(now);
    }
    Ok(Some(json!({
        "StreamName": name,
        "StreamARN": stream.stream_arn,
        "CurrentShardCount": open,
        "TargetShardCount": target,
    })))
}

async fn reshard_to(account: &Account, name: &str, ranges: Vec<HashRange>) -> Result<(), Refusal> {
    hold_updating(account, name, move |stream, now| reshape(stream, &ranges, now)).await
}

/// SplitShard and MergeShards.
pub(super) async fn reshard(account: &Account, name: &str, operation: Operation, input: Value) -> Answer {
    let mut ledger = account.ledger.lock().await;
    let (stream, arn) = (account.store.get_stream(name).await?, account.arn_of(name));
    must_be_provisioned(&stream, &arn, operation)?;
    must_be_active(&stream, &arn)?;
    let ranges = match operation {
        Operation::SplitShard => split(&stream, &input, &arn)?,
        _ => merged(&stream, &input, &arn)?,
    };
    let split = operation == Operation::SplitShard;
    ledger.census(account).await.must_have_place_for(account, u32::from(split))?;
    let planned = open_shards(&stream) + u32::from(split);
    // The first shard of the request is the parent of a merged one, and the second its neighbour.
    let parents = ["ShardToMerge", "AdjacentShardToMerge"].map(|field| input[field].as_str().and_then(full_id));
    let change = move |stream: &mut Stream, now| {
        reshape(stream, &ranges, now);
        if let ([Some(parent), Some(adjacent)], Some(child)) = (parents, stream.shards.last_mut()) {
            (child.parent_shard_id, child.adjacent_parent_shard_id) = (Some(parent), Some(adjacent));
        }
    };
    hold_updating(account, name, change).await?;
    ledger.plans.insert(name.into(), (planned, StreamMode::Provisioned));
    Ok(None)
}

/// The ranges of the open shards after a SplitShard.
fn split(stream: &Stream, input: &Value, arn: &StreamArn) -> Result<Vec<HashRange>, Refusal> {
    let whole = open_range(stream, input["ShardToSplit"].as_str(), arn)?;
    let at = input["NewStartingHashKey"].as_str().unwrap_or_default();
    let halves = at.parse().ok().filter(|at| *at > whole.first + 1 && *at < whole.last).and_then(|at| whole.split(at));
    let Some(halves) = halves else {
        return Err(refuse(
            "InvalidArgumentException",
            format!(
                "NewStartingHashKey {at} used in SplitShard() on shard {} in stream {} under account {} is not both greater \
                 than one plus the shard's StartingHashKey {} and less than the shard's EndingHashKey {}.",
                input["ShardToSplit"].as_str().unwrap_or_default(),
                arn.name,
                arn.home.account,
                whole.first,
                whole.last
            ),
        ));
    };
    let pieces = |range| if range == whole { halves.to_vec() } else { vec![range] };
    Ok(open_ranges(stream).into_iter().flat_map(pieces).collect())
}

/// The ranges of the open shards after a MergeShards.
fn merged(stream: &Stream, input: &Value, arn: &StreamArn) -> Result<Vec<HashRange>, Refusal> {
    let ids = ["ShardToMerge", "AdjacentShardToMerge"].map(|field| input[field].as_str());
    let (one, other) = (open_range(stream, ids[0], arn)?, open_range(stream, ids[1], arn)?);
    let (low, high) = if one.first < other.first { (one, other) } else { (other, one) };
    if low.last.checked_add(1) != Some(high.first) {
        let [one, other] = ids.map(Option::unwrap_or_default);
        return Err(refuse(
            "InvalidArgumentException",
            format!(
                "Shards {one} and {other} in stream {} under account {} are not an adjacent pair of shards eligible for \
                 merging",
                arn.name, arn.home.account
            ),
        ));
    }
    let both = HashRange { first: low.first, last: high.last };
    let rest = open_ranges(stream).into_iter().filter(|range| *range != high);
    Ok(rest.map(|range| if range == low { both } else { range }).collect())
}

/// The id of a shard in full: Kinesis takes `1` for `shardId-000000000001`, too.
fn full_id(id: &str) -> Option<String> {
    resolve_shard_id(id).ok().map(|(full, _)| full)
}

/// The range of an open shard.
fn open_range(stream: &Stream, id: Option<&str>, arn: &StreamArn) -> Result<HashRange, Refusal> {
    let StreamArn { name, home } = arn;
    let id = id.unwrap_or_default();
    let full = full_id(id).unwrap_or_default();
    match stream.shards.iter().find(|shard| shard.shard_id == full) {
        Some(shard) if is_open(shard) => Ok(range(shard)),
        Some(_) => Err(refuse(
            "InvalidArgumentException",
            format!(
                "Shard {id} in stream {name} under account {} has already been merged or split, and thus is not eligible \
                 for merging or splitting.",
                home.account
            ),
        )),
        None => Err(refuse(
            "ResourceNotFoundException",
            format!("Could not find shard {id} in stream {name} under account {}.", home.account),
        )),
    }
}

pub(super) async fn update_stream_mode(account: &Account, name: &str, raw: &Value) -> Answer {
    let mut ledger = account.ledger.lock().await;
    let Some(mode) = mode_in(raw)? else {
        return Err(refuse("ValidationException", "StreamModeDetails must not be null"));
    };
    if !raw["WarmThroughputMiBps"].is_null() {
        must_be_committed(account)?;
    }
    let (stream, arn) = (account.store.get_stream(name).await?, account.arn_of(name));
    must_be_active(&stream, &arn)?;
    // Repeating the current mode was observed to be free.
    if stream.stream_mode_details.stream_mode == mode {
        return Ok(None);
    }
    let (open, census) = (open_shards(&stream), ledger.census(account).await);
    match mode {
        StreamMode::Provisioned => census.must_have_place_for(account, open)?,
        StreamMode::OnDemand => census.must_accept_on_demand(account)?,
    }
    let now = account.now().timestamp();
    must_accept_switch(&arn, made(&ledger.switches, name), now)?;
    let warm = raw["WarmThroughputMiBps"].as_u64().and_then(|warm| u32::try_from(warm).ok());
    let shards = warm.filter(|_| mode == StreamMode::OnDemand).map_or(open, |warm| warm.max(open));
    // The old mode shows until the change is done.
    let switch = move |stream: &mut Stream, now| {
        stream.stream_mode_details.stream_mode = mode;
        if shards > open {
            reshape(stream, &HashRange::uniform(shards), now);
        }
    };
    hold_updating(account, name, switch).await?;
    ledger.plans.insert(name.into(), (shards, mode));
    match warm {
        Some(warm) => ledger.warm.insert(name.into(), (open, warm)),
        None => ledger.warm.remove(name),
    };
    ledger.switches.entry(name.into()).or_default().push(now);
    Ok(None)
}

pub(super) async fn update_warm_throughput(account: &Account, name: &str, input: &Value) -> Answer {
    let mut ledger = account.ledger.lock().await;
    must_be_committed(account)?;
    let stream = account.store.get_stream(name).await?;
    let wanted = input["WarmThroughputMiBps"].as_u64().unwrap_or(u64::MAX);
    let problem = if stream.stream_mode_details.stream_mode == StreamMode::Provisioned {
        Some("UpdateStreamWarmThroughput is only supported for streams in ON_DEMAND mode.")
    } else if wanted > u64::from(MAX_ON_DEMAND_SHARDS) {
        Some("WarmThroughputMiBps must be at most 10240.")
    } else {
        None
    };
    if let Some(problem) = problem {
        return Err(refuse("ValidationException", problem));
    }
    must_be_active(&stream, &account.arn_of(name))?;
    let (_, current) = warm_throughput(&ledger, &stream);
    let (open, target) = (open_shards(&stream), wanted as u32);
    // Warm capacity is capacity: a shard per MiB/s.
    let ranges = if target > open { HashRange::uniform(target) } else { open_ranges(&stream) };
    reshard_to(account, name, ranges).await?;
    ledger.plans.insert(name.into(), (target.max(open), StreamMode::OnDemand));
    ledger.warm.insert(name.into(), (current, target));
    Ok(Some(json!({
        "StreamARN": stream.stream_arn,
        "StreamName": name,
        "WarmThroughput": {"CurrentMiBps": current, "TargetMiBps": target},
    })))
}

fn must_be_committed(account: &Account) -> Result<(), Refusal> {
    if account.options.commitment.is_enabled() {
        return Ok(());
    }
    Err(refuse(
        "ValidationException",
        format!("Account {} is not enabled for minimum throughput billing commitment", account.options.account),
    ))
}

/// Current and target warm throughput in MiB/s. Never set: what the open shards can take.
fn warm_throughput(ledger: &Ledger, stream: &Stream) -> (u32, u32) {
    let open = open_shards(stream);
    let &(before, target) = ledger.warm.get(&stream.stream_name).unwrap_or(&(open, open));
    match stream.stream_status {
        StreamStatus::Updating => (before, target),
        _ => (target, target),
    }
}

/// EnableEnhancedMonitoring and DisableEnhancedMonitoring.
pub(super) async fn update_monitoring(account: &Account, name: &str, operation: Operation, input: Value) -> Answer {
    let _ledger = account.ledger.lock().await;
    let stream = account.store.get_stream(name).await?;
    must_be_active(&stream, &account.arn_of(name))?;
    let answer = dispatch(&account.store, operation, input).await?;
    let desired = answer.as_ref().map(|a| &a["DesiredShardLevelMetrics"]);
    let desired = desired.and_then(Value::as_array).into_iter().flatten();
    let desired = desired.filter_map(|metric| metric.as_str().map(str::to_owned));
    lock(&account.monitored).insert(name.into(), desired.collect());
    hold_updating(account, name, |_, _| {}).await?;
    Ok(answer)
}

/// StartStreamEncryption and StopStreamEncryption.
pub(super) async fn update_encryption(account: &Account, name: &str, operation: Operation, input: &Value) -> Answer {
    let _ledger = account.ledger.lock().await;
    if input["EncryptionType"] != "KMS" {
        return Err(refuse("InvalidArgumentException", "EncryptionType must be KMS."));
    }
    let (stream, arn) = (account.store.get_stream(name).await?, account.arn_of(name));
    must_be_active(&stream, &arn)?;
    let key =
        (operation == Operation::StartStreamEncryption).then(|| input["KeyId"].as_str().unwrap_or_default().to_owned());
    if key.is_none() && stream.encryption_type != EncryptionType::Kms {
        let problem = format!("Stream {name} under account {} is not encrypted with KMS.", arn.home.account);
        return Err(refuse("InvalidArgumentException", problem));
    }
    let encrypt = move |stream: &mut Stream, _| {
        stream.encryption_type = if key.is_some() { EncryptionType::Kms } else { EncryptionType::None };
        stream.key_id = key;
    };
    hold_updating(account, name, encrypt).await?;
    Ok(None)
}

pub(super) async fn describe_limits(account: &Account) -> Answer {
    let census = account.ledger.lock().await.census(account).await;
    Ok(Some(json!({
        "ShardLimit": account.options.shard_limit,
        "OpenShardCount": census.provisioned_shards,
        "OnDemandStreamCount": census.on_demand_streams,
        "OnDemandStreamCountLimit": account.options.on_demand_limit,
        "ChannelCount": 0,
        "ChannelCountLimit": 100,
    })))
}

/// DescribeStreamSummary, with the fields that what is under us leaves out.
pub(super) async fn describe_stream_summary(account: &Account, name: &str, input: Value) -> Answer {
    let answer = dispatch(&account.store, Operation::DescribeStreamSummary, input).await?;
    let stream = account.store.get_stream(name).await?;
    let mut answer = answer.unwrap_or_default();
    let summary = &mut answer["StreamDescriptionSummary"];
    summary["MaxRecordSizeInKiB"] = json!(stream.max_record_size_kib);
    summary["ChannelCount"] = json!(0);
    summary["QueueCount"] = json!(0);
    let on_demand = summary["StreamModeDetails"]["StreamMode"] == "ON_DEMAND";
    if on_demand {
        summary["RecordDistributionStrategy"] = json!("USER_PARTITION_KEY");
    }
    if on_demand && account.options.commitment.is_enabled() {
        let (current, target) = warm_throughput(&*account.ledger.lock().await, &stream);
        summary["WarmThroughput"] = json!({"CurrentMiBps": current, "TargetMiBps": target});
    }
    if let Some(fields) = lock(&account.described_as).get(name).and_then(Value::as_object) {
        fields.iter().for_each(|(field, value)| summary[field] = value.clone());
    }
    let counted = summary["StreamStatus"] == "ACTIVE" || summary["StreamStatus"] == "UPDATING";
    if let Some(summary) = summary.as_object_mut() {
        summary.retain(|field, value| !value.is_null() && (counted || field != "OpenShardCount"));
    }
    Ok(Some(answer))
}

/// Shows the stream as `UPDATING` for the account's update time, then changes it.
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

/// The stream becomes ACTIVE, changed so, after this time.
fn become_active(
    account: &Account,
    name: &str,
    after: Duration,
    change: impl FnOnce(&mut Stream, DateTime<Utc>) + Send + 'static,
) {
    let active = Becomes::Active(name.to_owned(), Box::new(change));
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
