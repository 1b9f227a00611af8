//! The rights of a role: `SimulatePrincipalPolicy`, and the policy of the stream's key.

use super::unread::unread;
use crate::doctor::clients::Clients;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use std::collections::BTreeMap;
use unthrottle_core::checks::{Allowed, Key, Read, Rights, Unread};
use unthrottle_core::observation::Stream;
use unthrottle_core::signal::account_of;

const SIMULATE: &str = "iam:SimulatePrincipalPolicy";
const WRITES: [&str; 2] = ["kinesis:PutRecord", "kinesis:PutRecords"];
const READS: [&str; 2] = ["kinesis:GetRecords", "kinesis:SubscribeToShard"];
const GENERATE: &str = "kms:GenerateDataKey";
const DECRYPT: &str = "kms:Decrypt";

/// The only name that a policy of a key has (API reference of `GetKeyPolicy`).
const KEY_POLICY: &str = "default";

/// What the role may do with the stream and its key.
pub(super) async fn rights(clients: &Clients, role: &str, stream: &Stream, key: &Read<Option<Key>>) -> Read<Rights> {
    let via = [("kms:ViaService", format!("kinesis.{}.amazonaws.com", stream.region()))];
    let may = allowed(&clients.iam, role, &[WRITES, READS].concat(), &stream.arn, &[]).await?;
    let any = |actions: [&str; 2]| actions.iter().any(|action| may.get(*action) == Some(&Allowed::Yes));
    let (writes, reads) = (any(WRITES), any(READS));
    let key = key.as_ref().ok().and_then(Option::as_ref);
    let (of_key, key_policy) = match key {
        Some(key) => tokio::join!(allowed(&clients.iam, role, &[GENERATE, DECRYPT], &key.arn, &via), async {
            policy(clients, stream, key).await.map(Some)
        }),
        None => (Ok(BTreeMap::new()), Ok(None)),
    };
    let of_key = of_key?;
    let of = |action| of_key.get(action).copied().unwrap_or(Allowed::No);
    let (generate_data_key, decrypt) = (of(GENERATE), of(DECRYPT));
    Ok(Rights { role: role.to_owned(), writes, reads, generate_data_key, decrypt, key_policy })
}

/// AWS gives the policy of a key to its own account only (API reference of `GetKeyPolicy`).
async fn policy(clients: &Clients, stream: &Stream, key: &Key) -> Read<String> {
    if account_of(&key.arn) != account_of(&stream.arn) {
        let why = format!("the key {} is of another account, and only that account may read its policy", key.arn);
        return Err(Unread { action: "kms:GetKeyPolicy", why, is_denied: false });
    }
    let answer = clients.kms.get_key_policy().key_id(&key.arn).policy_name(KEY_POLICY).send().await;
    Ok(answer.map_err(|e| unread("kms:GetKeyPolicy", e))?.policy().unwrap_or_default().to_owned())
}

/// What the policies of the principal say of each action on the resource. `context`: the keys of conditions.
pub(super) async fn allowed(
    client: &aws_sdk_iam::Client,
    principal: &str,
    actions: &[&str],
    resource: &str,
    context: &[(&str, String)],
) -> Read<BTreeMap<String, Allowed>> {
    let entries = context.iter().map(|(key, value)| {
        let entry = ContextEntry::builder().context_key_name(*key).context_key_values(value);
        entry.context_key_type(ContextKeyTypeEnum::String).build()
    });
    let call = client.simulate_principal_policy().policy_source_arn(principal).resource_arns(resource);
    let call = call.set_action_names(Some(actions.iter().map(|action| (*action).to_owned()).collect()));
    let mut pages = call.set_context_entries(Some(entries.collect())).into_paginator().send();
    let mut allowed = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| unread(SIMULATE, e))?;
        for result in page.evaluation_results() {
            let decision = match result.eval_decision() {
                PolicyEvaluationDecisionType::Allowed => Allowed::Yes,
                PolicyEvaluationDecisionType::ExplicitDeny => Allowed::Denied,
                _ => Allowed::No,
            };
            allowed.insert(result.eval_action_name().to_owned(), decision);
        }
    }
    Ok(allowed)
}
