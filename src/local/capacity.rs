//! Changes of capacity, with AWS's order of refusals and its quotas.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrokinesis::actions::{Operation, dispatch};
use ferrokinesis::types::{Stream, StreamMode, StreamStatus};
use serde_json::{Value, json};

use super::limits::{
    Refusal, must_be_active, must_be_provisioned, must_be_scalable, open_shards, rate_exceeded, refuse,
};
use super::{Account, lock, tags};

/// Successful UpdateShardCount calls per stream in 24 h ([API reference]).
///
/// [API reference]: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateShardCount.html
const RESHARDS_PER_DAY: usize = 10;

/// Switches of the capacity mode per stream in 24 h ([quotas]).
///
/// [quotas]: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
const SWITCHES_PER_DAY: usize = 2;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Shards of a new on-demand stream: 4 MiB/s of writes (quotas, as above).
const ON_DEMAND_SHARDS: u32 = 4;

/// Warm throughput of one stream, in MiB/s: 10 GiB/s (quotas, as above).
const MAX_WARM_THROUGHPUT: u64 = 10 * 1024;

type Answer = Result<Option<Value>, Refusal>;

/// What the account remembers about changes. By stream name: deleting and recreating a stream was
/// observed not to reset its daily caps.
#[derive(Default)]
pub(super) struct Ledger {
    reshards: HashMap<String, Vec<Instant>>,
    switches: HashMap<String, Vec<Instant>>,
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

/// A change that AWS allows so often in 24 hours.
fn must_be_left(changes: Option<&Vec<Instant>>, per_day: usize) -> bool {
    let recent = changes.into_iter().flatten().filter(|c| c.elapsed() < DAY);
    recent.count() < per_day
}

impl Ledger {
    /// Makes what was spent so much older.
    pub fn age(&mut self, by: Duration) {
        for times in self.reshards.values_mut().chain(self.switches.values_mut()) {
            *times = times.iter().filter_map(|time| time.checked_sub(by)).collect();
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

    /// Refuses a reshard whose shards, the short-lived ones included, are more than the account's quota has room for:
    /// every boundary of the old and of the new shards is cut before the pieces are merged. 2 → 3 was observed to go
    /// over 4.
    async fn must_have_room_on_the_way(&self, account: &Account, from: u32, to: u32) -> Result<(), Refusal> {
        let opened = if to > from { to - greatest_common_divisor(from, to) } else { 0 };
        self.must_have_room(account, opened).await
    }

    /// Refuses a change that adds provisioned shards beyond the account's quota.
    async fn must_have_room(&self, account: &Account, additional: u32) -> Result<(), Refusal> {
        let current = self.census(account).await.provisioned_shards;
        let limit = account.options.shard_limit;
        if additional == 0 || current.saturating_add(additional) <= limit {
            return Ok(());
        }
        Err(refuse(
            "LimitExceededException",
            format!(
                "This request would exceed the shard limit for the account {} in {}. Current shard \
                 count for the account: {current}. Limit: {limit}. Number of additional shards that \
                 would have resulted from this request: {additional}.",
                account.options.account, account.options.region
            ),
        ))
    }

    /// Refuses one more on-demand stream beyond the account's quota.
    async fn must_have_on_demand_room(&self, account: &Account) -> Result<(), Refusal> {
        let limit = account.options.on_demand_limit;
        if self.census(account).await.on_demand_streams < limit {
            return Ok(());
        }
        Err(refuse(
            "LimitExceededException",
            format!(
                "This request would exceed the on-demand stream limit for the account {} in {}. \
                 Limit: {limit}.",
                account.options.account, account.options.region
            ),
        ))
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
    match mode {
        StreamMode::Provisioned => ledger.must_have_room(account, shards).await?,
        StreamMode::OnDemand => ledger.must_have_on_demand_room(account).await?,
    }
    dispatch(&account.store, Operation::CreateStream, input).await?;
    ledger.warm.remove(name);
    ledger.plans.insert(name.into(), (shards, mode));
    lock(&account.monitored).remove(name);
    let finish = |stream: &mut Stream| {
        stream.stream_mode_details.stream_mode = mode;
        tags::set(stream, tags)
    };
    account.store.update_stream(name, finish).await?;
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
    let stream = account.store.get_stream(name).await?;
    let (open, target) = (open_shards(&stream), shards_in(&input, "TargetShardCount"));
    must_be_provisioned(&stream, Operation::UpdateShardCount)?;
    must_be_active(&stream, &account.options.account)?;
    // Repeating the current count changes nothing and is not counted, on AWS neither.
    if target != open {
        must_be_scalable(open, target)?;
        ledger.must_have_room_on_the_way(account, open, target).await?;
        if !must_be_left(ledger.reshards.get(name), RESHARDS_PER_DAY) {
            return Err(rate_exceeded(name, &account.options.account));
        }
        dispatch(&account.store, Operation::UpdateShardCount, input).await?;
        let plan = (target, StreamMode::Provisioned);
        ledger.plans.insert(name.into(), plan);
        let reshards = ledger.reshards.entry(name.into()).or_default();
        reshards.push(Instant::now());
    }
    Ok(Some(json!({
        "StreamName": name,
        "StreamARN": stream.stream_arn,
        "CurrentShardCount": open,
        "TargetShardCount": target,
    })))
}

/// SplitShard and MergeShards.
pub(super) async fn reshard(account: &Account, name: &str, operation: Operation, input: Value) -> Answer {
    let mut ledger = account.ledger.lock().await;
    let stream = account.store.get_stream(name).await?;
    must_be_provisioned(&stream, operation)?;
    must_be_active(&stream, &account.options.account)?;
    for field in ["ShardToSplit", "ShardToMerge", "AdjacentShardToMerge"] {
        must_be_open(&stream, input[field].as_str(), &account.options.account)?;
    }
    let split = operation == Operation::SplitShard;
    ledger.must_have_room(account, u32::from(split)).await?;
    let answer = dispatch(&account.store, operation, input).await?;
    let planned = open_shards(&stream) + u32::from(split);
    ledger.plans.insert(name.into(), (planned, StreamMode::Provisioned));
    Ok(answer)
}

fn must_be_open(stream: &Stream, shard: Option<&str>, account: &str) -> Result<(), Refusal> {
    let closed = stream.shards.iter().any(|candidate| {
        Some(candidate.shard_id.as_str()) == shard && candidate.sequence_number_range.ending_sequence_number.is_some()
    });
    if !closed {
        return Ok(());
    }
    Err(refuse(
        "InvalidArgumentException",
        format!(
            "Shard {} in stream {} under account {account} has already been merged or split, and \
             thus is not eligible for merging or splitting.",
            shard.unwrap_or_default(),
            stream.stream_name
        ),
    ))
}

pub(super) async fn update_stream_mode(account: &Arc<Account>, name: &str, raw: &Value) -> Answer {
    let mut ledger = account.ledger.lock().await;
    let Some(mode) = mode_in(raw)? else {
        return Err(refuse("ValidationException", "StreamModeDetails must not be null"));
    };
    if !raw["WarmThroughputMiBps"].is_null() {
        must_be_committed(account)?;
    }
    let stream = account.store.get_stream(name).await?;
    must_be_active(&stream, &account.options.account)?;
    // Repeating the current mode was observed to be free.
    if stream.stream_mode_details.stream_mode == mode {
        return Ok(None);
    }
    let open = open_shards(&stream);
    match mode {
        StreamMode::Provisioned => ledger.must_have_room(account, open).await?,
        StreamMode::OnDemand => ledger.must_have_on_demand_room(account).await?,
    }
    if !must_be_left(ledger.switches.get(name), SWITCHES_PER_DAY) {
        return Err(rate_exceeded(name, &account.options.account));
    }
    let warm = raw["WarmThroughputMiBps"].as_u64().and_then(|warm| u32::try_from(warm).ok());
    let shards = warm.filter(|_| mode == StreamMode::OnDemand).map_or(open, |warm| warm.max(open));
    if shards > open {
        let input = json!({"StreamName": name, "TargetShardCount": shards, "ScalingType": "UNIFORM_SCALING"});
        dispatch(&account.store, Operation::UpdateShardCount, input).await?;
        let (account, name) = (account.clone(), name.to_owned());
        tokio::spawn(async move { switch_when_active(&account, &name, mode).await });
    } else {
        // The old mode shows until the change is done.
        hold_updating(account, name, move |stream| stream.stream_mode_details.stream_mode = mode).await?;
    }
    ledger.plans.insert(name.into(), (shards, mode));
    match warm {
        Some(warm) => ledger.warm.insert(name.into(), (open, warm)),
        None => ledger.warm.remove(name),
    };
    let switches = ledger.switches.entry(name.into()).or_default();
    switches.push(Instant::now());
    Ok(None)
}

pub(super) async fn update_warm_throughput(account: &Arc<Account>, name: &str, input: &Value) -> Answer {
    let mut ledger = account.ledger.lock().await;
    must_be_committed(account)?;
    let stream = account.store.get_stream(name).await?;
    let wanted = input["WarmThroughputMiBps"].as_u64().unwrap_or(u64::MAX);
    let problem = if stream.stream_mode_details.stream_mode == StreamMode::Provisioned {
        Some("UpdateStreamWarmThroughput is only supported for streams in ON_DEMAND mode.")
    } else if wanted > MAX_WARM_THROUGHPUT {
        Some("WarmThroughputMiBps must be at most 10240.")
    } else {
        None
    };
    if let Some(problem) = problem {
        return Err(refuse("ValidationException", problem));
    }
    must_be_active(&stream, &account.options.account)?;
    let (_, current) = warm_throughput(&ledger, &stream);
    let (open, target) = (open_shards(&stream), wanted as u32);
    if target > open {
        // Warm capacity is capacity: a shard per MiB/s.
        let input = json!({"StreamName": name, "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING"});
        dispatch(&account.store, Operation::UpdateShardCount, input).await?;
    } else {
        hold_updating(account, name, |_| {}).await?;
    }
    let plan = (target.max(open), StreamMode::OnDemand);
    ledger.plans.insert(name.into(), plan);
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
pub(super) async fn update_monitoring(
    account: &Arc<Account>,
    name: &str,
    operation: Operation,
    input: Value,
) -> Answer {
    let _ledger = account.ledger.lock().await;
    let stream = account.store.get_stream(name).await?;
    must_be_active(&stream, &account.options.account)?;
    let answer = dispatch(&account.store, operation, input).await?;
    let desired = answer.as_ref().map(|a| &a["DesiredShardLevelMetrics"]);
    let desired = desired.and_then(Value::as_array).into_iter().flatten();
    let desired = desired.filter_map(|metric| metric.as_str().map(str::to_owned));
    lock(&account.monitored).insert(name.into(), desired.collect());
    hold_updating(account, name, |_| {}).await?;
    Ok(answer)
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

/// Switches the mode in the moment in which the stream's reshard is done, as one change does on AWS.
async fn switch_when_active(account: &Account, name: &str, mode: StreamMode) {
    loop {
        let switch = |stream: &mut Stream| {
            let done = stream.stream_status != StreamStatus::Updating;
            if done {
                stream.stream_mode_details.stream_mode = mode;
            }
            Ok(done)
        };
        // Deleted meanwhile: nothing to switch.
        if account.store.update_stream(name, switch).await.unwrap_or(true) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Shows the stream as `UPDATING` for the account's update time, then changes it.
async fn hold_updating(
    account: &Arc<Account>,
    name: &str,
    change: impl FnOnce(&mut Stream) + Send + 'static,
) -> Result<(), Refusal> {
    let begin = |stream: &mut Stream| {
        stream.stream_status = StreamStatus::Updating;
        Ok(())
    };
    account.store.update_stream(name, begin).await?;
    let (account, name) = (account.clone(), name.to_owned());
    tokio::spawn(async move {
        tokio::time::sleep(account.options.update_time).await;
        let finish = |stream: &mut Stream| {
            // Deleted meanwhile: nothing to finish.
            if stream.stream_status == StreamStatus::Updating {
                change(stream);
                stream.stream_status = StreamStatus::Active;
            }
            Ok(())
        };
        let _ = account.store.update_stream(&name, finish).await;
    });
    Ok(())
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
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
