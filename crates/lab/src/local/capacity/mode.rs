//! UpdateStreamMode and UpdateStreamWarmThroughput.

use super::ledger::{Ledger, made};
use super::reshard::reshard_to;
use super::{Answer, hold_updating, mode_in};
use crate::local::Account;
use crate::local::limits::{Refusal, must_be_active, refuse};
use crate::local::shards::{open_ranges, open_shards, reshape};
use crate::rules::{HashRange, MAX_ON_DEMAND_SHARDS, must_accept_switch};
use ferrokinesis::types::{Stream, StreamMode, StreamStatus};
use serde_json::{Value, json};

pub(in crate::local) async fn update_stream_mode(account: &Account, name: &str, raw: &Value) -> Answer {
    let mut ledger = account.ledger.lock().await;
    let Some(mode) = mode_in(raw)? else {
        return Err(refuse("ValidationException", "StreamModeDetails must not be null"));
    };
    if !raw["WarmThroughputMiBps"].is_null() {
        must_be_committed(account)?;
    }
    let (stream, arn) = (account.store.get_stream(name).await?, account.arn_of(name));
    must_be_active(&stream, &arn)?;
    // On AWS, a repeat of the current mode was free.
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
    // The stream shows its old mode until the change is finished.
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

pub(in crate::local) async fn update_warm_throughput(account: &Account, name: &str, input: &Value) -> Answer {
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
    // Warm throughput needs one shard per MiB/s.
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

/// Current and target warm throughput in MiB/s. The default is the capacity of the open shards.
pub(super) fn warm_throughput(ledger: &Ledger, stream: &Stream) -> (u32, u32) {
    let open = open_shards(stream);
    let &(before, target) = ledger.warm.get(&stream.stream_name).unwrap_or(&(open, open));
    match stream.stream_status {
        StreamStatus::Updating => (before, target),
        _ => (target, target),
    }
}
