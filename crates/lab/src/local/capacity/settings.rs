//! Shard-level metrics and encryption.

use super::{Answer, hold_updating};
use crate::local::limits::{must_be_active, refuse};
use crate::local::{Account, lock};
use ferrokinesis::actions::{Operation, dispatch};
use ferrokinesis::types::{EncryptionType, Stream};
use serde_json::Value;

/// EnableEnhancedMonitoring and DisableEnhancedMonitoring.
pub(in crate::local) async fn update_monitoring(
    account: &Account,
    name: &str,
    operation: Operation,
    input: Value,
) -> Answer {
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
pub(in crate::local) async fn update_encryption(
    account: &Account,
    name: &str,
    operation: Operation,
    input: &Value,
) -> Answer {
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
