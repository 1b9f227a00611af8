//! DescribeLimits and DescribeStreamSummary.

use super::Answer;
use super::mode::warm_throughput;
use crate::local::{Account, lock};
use ferrokinesis::actions::{Operation, dispatch};
use serde_json::{Value, json};

pub(in crate::local) async fn describe_limits(account: &Account) -> Answer {
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

/// DescribeStreamSummary, with the fields that ferrokinesis leaves out.
pub(in crate::local) async fn describe_stream_summary(account: &Account, name: &str, input: Value) -> Answer {
    let answer = dispatch(&account.store, Operation::DescribeStreamSummary, input).await?;
    let stream = account.store.get_stream(name).await?;
    let mut answer = answer.unwrap_or_default();
    let summary = &mut answer["StreamDescriptionSummary"];
    let created = (stream.stream_creation_timestamp.0 * 1000.0) as u64;
    summary["StreamCreationTimestamp"] = json!(account.created_at(name, created).div_euclid(1000));
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
