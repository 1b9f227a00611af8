//! UpdateShardCount, SplitShard and MergeShards.

use super::ledger::made;
use super::{Answer, hold_updating, shards_in};
use crate::local::Account;
use crate::local::limits::{Refusal, must_be_active, must_be_provisioned, refuse};
use crate::local::shards::{is_open, open_ranges, open_shards, range, reshape};
use crate::rules::{HashRange, must_accept_reshard};
use ferrokinesis::actions::Operation;
use ferrokinesis::sequence::resolve_shard_id;
use ferrokinesis::types::{Stream, StreamMode};
use serde_json::{Value, json};
use unthrottle_core::signal::StreamArn;

pub(in crate::local) async fn update_shard_count(account: &Account, name: &str, input: Value) -> Answer {
    let mut ledger = account.ledger.lock().await;
    let (stream, arn) = (account.store.get_stream(name).await?, account.arn_of(name));
    let (open, target) = (open_shards(&stream), shards_in(&input, "TargetShardCount"));
    must_be_provisioned(&stream, &arn, Operation::UpdateShardCount)?;
    must_be_active(&stream, &arn)?;
    let (quota, now) = (ledger.census(account).await.quota(account), account.now().timestamp());
    must_accept_reshard(&arn, &open_ranges(&stream), target, made(&ledger.reshards, name), now, quota)?;
    // As on AWS, a repeat of the current count changes nothing and does not count.
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

pub(super) async fn reshard_to(account: &Account, name: &str, ranges: Vec<HashRange>) -> Result<(), Refusal> {
    hold_updating(account, name, move |stream, now| reshape(stream, &ranges, now)).await
}

/// SplitShard and MergeShards.
pub(in crate::local) async fn reshard(account: &Account, name: &str, operation: Operation, input: Value) -> Answer {
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
    // The first shard of the request is the parent of the merged shard, and the second shard is its adjacent parent.
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

/// The open ranges after a SplitShard.
fn split(stream: &Stream, input: &Value, arn: &StreamArn) -> Result<Vec<HashRange>, Refusal> {
    let whole = open_range(stream, input["ShardToSplit"].as_str(), arn)?;
    let at = input["NewStartingHashKey"].as_str().unwrap_or_default();
    let halves = at.parse().ok().filter(|at| *at > whole.first + 1 && *at < whole.last).and_then(|at| whole.split(at));
    let Some(halves) = halves else {
        return Err(refuse(
            "InvalidArgumentException",
            format!(
                "NewStartingHashKey {at} used in SplitShard() on shard {} in stream {} under account {} is not both \
                 greater than one plus the shard's StartingHashKey {} and less than the shard's EndingHashKey {}.",
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

/// The open ranges after a MergeShards.
fn merged(stream: &Stream, input: &Value, arn: &StreamArn) -> Result<Vec<HashRange>, Refusal> {
    let ids = ["ShardToMerge", "AdjacentShardToMerge"].map(|field| input[field].as_str());
    let (one, other) = (open_range(stream, ids[0], arn)?, open_range(stream, ids[1], arn)?);
    let (low, high) = if one.first < other.first { (one, other) } else { (other, one) };
    if low.last.checked_add(1) != Some(high.first) {
        let [one, other] = ids.map(Option::unwrap_or_default);
        return Err(refuse(
            "InvalidArgumentException",
            format!(
                "Shards {one} and {other} in stream {} under account {} are not an adjacent pair of shards eligible \
                 for merging",
                arn.name, arn.home.account
            ),
        ));
    }
    let both = HashRange { first: low.first, last: high.last };
    let rest = open_ranges(stream).into_iter().filter(|range| *range != high);
    Ok(rest.map(|range| if range == low { both } else { range }).collect())
}

/// The full id of a shard: Kinesis also accepts `1` for `shardId-000000000001`.
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
                "Shard {id} in stream {name} under account {} has already been merged or split, and thus is not \
                 eligible for merging or splitting.",
                home.account
            ),
        )),
        None => Err(refuse(
            "ResourceNotFoundException",
            format!("Could not find shard {id} in stream {name} under account {}.", home.account),
        )),
    }
}
