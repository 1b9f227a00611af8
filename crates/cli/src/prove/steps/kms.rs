//! How a write fails that the stream's key does not let through.

use crate::prove::context::{Context, TAG_KEY};
use crate::prove::flood;
use crate::prove::ledger::{Kind, Resource};
use crate::prove::step::{Fact, Step, Use, Verdict};
use crate::prove::trouble::{Refusal, Tried, Trouble, done, unbuilt};
use aws_sdk_kinesis::types::EncryptionType;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::types::Tag;
use futures_util::future::join;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const DENIED: Fact = Fact {
    id: "kms-denied",
    expected: "A write to a stream whose key denies the caller fails with `KMSAccessDeniedException`.",
    source: "The API reference of `PutRecord` lists the code.",
};
const DISABLED: Fact = Fact {
    id: "kms-disabled",
    expected: "A write to a stream whose key is disabled fails with `KMSDisabledException`.",
    source: "The API reference of `PutRecord` lists the code.",
};

/// The longest wait for a refusal. Kinesis keeps a data key for about five minutes.
const LIMIT: Duration = Duration::from_secs(8 * 60);

/// The time between two writes.
const EVERY: Duration = Duration::from_secs(5);

pub(super) static STEP: Step = Step {
    name: "kms",
    about: "Encrypts two streams with keys of its own, denies one key and disables the other, and writes.",
    facts: &[DENIED, DISABLED],
    minutes: 11,
    // Two keys at $1 a month, and a call a write at $0.03 for 10,000.
    uses: Use { shards: 2, records: 200, other_usd: 0.01, each_stream_usd: 0.0 },
    records_all_writes: false,
    flag: None,
    run: |context| Box::pin(run(context)),
};

async fn run(context: &Context) -> Tried<()> {
    let denied = async {
        let (stream, key) = encrypted(context, "-denied").await?;
        deny(context, &key).await?;
        conclude(context, &stream, DENIED, "KMSAccessDeniedException").await
    };
    let disabled = async {
        let (stream, key) = encrypted(context, "-disabled").await?;
        disable(context, &key).await?;
        conclude(context, &stream, DISABLED, "KMSDisabledException").await
    };
    // Both to their end: a call that is dropped on its way may still create a key.
    let (denied, disabled) = join(denied, disabled).await;
    denied.and(disabled)
}

/// Creates a key and a stream of one shard that is encrypted with it.
pub(super) async fn encrypted(context: &Context, what: &str) -> Tried<(String, String)> {
    let name = context.name(what);
    let create = async {
        let tag = Tag::builder().tag_key(TAG_KEY).tag_value(&name).build();
        let tag = tag.map_err(unbuilt)?;
        let create = context.clients.kms.create_key().description("unthrottle prove").tags(tag);
        // A second attempt after a lost answer would create a second key.
        let once = aws_sdk_kms::config::Builder::new().retry_config(RetryConfig::disabled());
        let answer = create.customize().config_override(once).send().await;
        let key = done("CreateKey", answer)?.key_metadata.map(|key| key.key_id);
        key.ok_or_else(|| Trouble::Failed("CreateKey gave no key".into()))
    };
    let key = context.create(Kind::Key, &name, create).await?;
    let known = context.ledger.known(&Resource { kind: Kind::Key, name }, &key);
    known.map_err(|error| Trouble::Failed(error.to_string()))?;
    let stream = context.stream(what, 1).await?;
    let encrypt = context.clients.kinesis.start_stream_encryption().stream_name(&stream);
    done("StartStreamEncryption", encrypt.encryption_type(EncryptionType::Kms).key_id(&key).send().await)?;
    context.active(&stream).await?;
    Ok((stream, key))
}

pub(super) async fn disable(context: &Context, key: &str) -> Tried<()> {
    done("DisableKey", context.clients.kms.disable_key().key_id(key).send().await).map(drop)
}

/// Denies the calls that Kinesis makes with the key for a producer. The key can still be deleted.
async fn deny(context: &Context, key: &str) -> Tried<()> {
    let kms = &context.clients.kms;
    let answer = done("GetKeyPolicy", kms.get_key_policy().key_id(key).policy_name("default").send().await)?;
    let policy: Result<Value, _> = serde_json::from_str(answer.policy().unwrap_or_default());
    let mut policy = policy.map_err(|error| Trouble::Failed(format!("the policy of the new key: {error}")))?;
    let Some(statements) = policy["Statement"].as_array_mut() else {
        return Err(Trouble::Failed("the policy of the new key has no list of statements".into()));
    };
    statements.push(json!({
        "Sid": "prove",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
        "Resource": "*",
    }));
    let put = kms.put_key_policy().key_id(key).policy_name("default").policy(policy.to_string());
    done("PutKeyPolicy", put.send().await).map(drop)
}

async fn conclude(context: &Context, stream: &str, fact: Fact, code: &str) -> Tried<()> {
    match refused(context, stream).await? {
        Some((refusal, after)) => {
            let seen = format!("after {} s: {refusal}", after.as_secs());
            context.compare(fact.id, refusal.code == code, seen);
        }
        None => {
            let seen = format!("AWS still accepted a write {} s after the change of the key", LIMIT.as_secs());
            context.found(fact.id, Verdict::Different, seen);
        }
    }
    Ok(())
}

/// Writes until a write is refused, and returns the refusal and the time until then.
async fn refused(context: &Context, stream: &str) -> Tried<Option<(Refusal, Duration)>> {
    let begin = Instant::now();
    while context.time.since(begin) < LIMIT {
        if let Some(refusal) = flood::one_record(context, stream).await? {
            return Ok(Some((refusal, context.time.since(begin))));
        }
        context.time.sleep(EVERY).await;
    }
    Ok(None)
}
