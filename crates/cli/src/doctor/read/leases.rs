//! The leases of an application of the Kinesis Client Library (KCL): `Scan` of its table.

use super::unread::unread;
use crate::CliError;
use crate::aws::clock;
use crate::nearest::nearest;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;
use std::time::Duration;
use unthrottle_core::checks::{Lease, Leases, Read};
use unthrottle_core::observation::Stream;

/// The attributes of a lease (AWS's page of the KCL's tables).
const KEY: &str = "leaseKey";
const OWNER: &str = "leaseOwner";
const CHECKPOINT: &str = "checkpoint";
const COUNTER: &str = "leaseCounter";
/// The hash keys of the shard, in decimal digits (DynamoDBLeaseSerializer of the KCL).
const FIRST_HASH_KEY: &str = "startingHashKey";
const LAST_HASH_KEY: &str = "endingHashKey";
/// A table of KCL 3.5 also holds metrics of workers and the coordinator's state. A lease has no type, or this one.
const ENTITY: &str = "entityType";
const LEASE: &str = "LEASE";

/// The checkpoint of a shard that is read to its end.
const SHARD_END: &str = "SHARD_END";

/// The time between two looks at the table. A worker renews its leases several times before another one may take them,
/// which is 10 s by default (`failoverTimeMillis`, kcl-configuration.html).
const BETWEEN: Duration = Duration::from_secs(15);
/// The most further looks. An application that takes leases after more than about two minutes seems not to run.
const MOST_LOOKS: u32 = 3;

/// Items of one answer. A lease has a few hundred bytes, so an answer then stays below AWS's 1 MB.
const PER_PAGE: i32 = 1_000;

/// Fails if there is no such table.
///
/// # Errors
/// Bad usage, with the nearest names if AWS lists them.
pub(in crate::doctor) async fn find_table(client: &Client, table: &str) -> Result<(), CliError> {
    let found = client.scan().table_name(table).limit(1).send().await;
    let is_missing = |e: &aws_sdk_dynamodb::operation::scan::ScanError| e.is_resource_not_found_exception();
    if found.as_ref().is_err_and(|e| e.as_service_error().is_some_and(is_missing)) {
        let mut pages = client.list_tables().into_paginator().items().send();
        let mut names = vec![];
        while let Some(Ok(name)) = pages.next().await {
            names.push(name);
        }
        let near = nearest(table, names.iter().map(String::as_str));
        let hint = match near.is_empty() {
            true => "The account has no table in this region, or does not list them to you".to_owned(),
            false => format!("The nearest: {}", near.join(", ")),
        };
        return Err(CliError::Usage(format!("there is no table `{table}` in this region. {hint}")));
    }
    // Any other failure is a finding: the check is unknown and names the action.
    let Ok(answer) = found else { return Ok(()) };
    match answer.items().first() {
        Some(item) if !item.contains_key(KEY) => {
            Err(CliError::Usage(format!("the table `{table}` has no {KEY}, so it is no lease table of the KCL")))
        }
        _ => Ok(()),
    }
}

/// The leases of the stream in the table, and whether their workers renew them. A worker that crashed keeps its leases,
/// and only its counters stand still. So this reads the table again until all counters have moved, at most
/// [`MOST_LOOKS`] times.
pub(super) async fn leases(client: &Client, table: &str, stream: &Stream) -> Read<Leases> {
    let first = scan(client, table, stream).await?;
    let (mut leases, mut watched_seconds) = (first.clone(), 0);
    let is_watched = |item: &Item| item.lease.is_held() && item.counter.is_some();
    if first.iter().any(is_watched) {
        for _ in 0..MOST_LOOKS {
            tokio::time::sleep(BETWEEN / clock().pace()).await;
            watched_seconds += BETWEEN.as_secs();
            leases = scan(client, table, stream).await?;
            for item in leases.iter_mut().filter(|item| is_watched(item)) {
                let before = first.iter().find(|before| before.lease.shard == item.lease.shard);
                let is_same = |before: &Item| before.counter == item.counter && before.lease.owner == item.lease.owner;
                item.lease.is_renewed = Some(!before.is_some_and(is_same));
            }
            if leases.iter().all(|item| item.lease.is_renewed != Some(false)) {
                break;
            }
        }
    }
    let leases = leases.into_iter().map(|item| item.lease).collect();
    Ok(Leases { table: table.to_owned(), leases, watched_seconds })
}

/// An item of the table.
#[derive(Clone, Debug)]
struct Item {
    lease: Lease,
    /// What the worker counts up whenever it renews the lease.
    counter: Option<String>,
}

async fn scan(client: &Client, table: &str, stream: &Stream) -> Read<Vec<Item>> {
    let call = client.scan().table_name(table).limit(PER_PAGE);
    let fields = [KEY, OWNER, CHECKPOINT, COUNTER, ENTITY, FIRST_HASH_KEY, LAST_HASH_KEY].join(", ");
    let mut pages = call.projection_expression(fields).into_paginator().send();
    let mut items = vec![];
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| unread("dynamodb:Scan", e))?;
        items.extend(page.items().iter().filter_map(|item| lease(item, &stream.name)));
    }
    Ok(items)
}

/// The lease of a shard. `None`: the item is another one, or of another stream.
fn lease(item: &HashMap<String, AttributeValue>, stream: &str) -> Option<Item> {
    let text = |name: &str| item.get(name)?.as_s().ok().map(String::as_str);
    if text(ENTITY).is_some_and(|kind| kind != LEASE) {
        return None;
    }
    // An application that reads several streams has keys `ACCOUNT:STREAM:CREATED:SHARD`.
    let shard = match text(KEY)?.split(':').collect::<Vec<_>>().as_slice() {
        [shard] => *shard,
        [_, name, _, shard] if *name == stream => *shard,
        _ => return None,
    };
    let hash_key = |name: &str| text(name)?.parse().ok();
    let lease = || Lease {
        shard: shard.to_owned(),
        owner: text(OWNER).filter(|owner| !owner.is_empty()).map(str::to_owned),
        hash_keys: hash_key(FIRST_HASH_KEY).zip(hash_key(LAST_HASH_KEY)),
        is_finished: text(CHECKPOINT) == Some(SHARD_END),
        is_renewed: None,
    };
    let counter = item.get(COUNTER).and_then(|counter| counter.as_n().ok()).cloned();
    shard.starts_with("shardId-").then(|| Item { lease: lease(), counter })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::read::fake::Fake;
    use unthrottle_core::observation::{CapacityMode, Status};

    /// A stream whose name is all that counts.
    fn orders() -> Stream {
        Stream {
            name: "orders".into(),
            arn: "arn:aws:kinesis:us-east-1:123456789012:stream/orders".into(),
            status: Status::Active,
            mode: CapacityMode::Provisioned,
            open_shards: 1,
            retention_hours: 24,
            consumers: 0,
            shard_metrics: Default::default(),
            warm_throughput: None,
            spreads_records: false,
            channels: None,
            queues: None,
            kms_key: None,
            created_at: None,
        }
    }

    #[tokio::test]
    async fn a_table_without_a_worker_is_scanned_once_and_the_page_says_how_often_another_one_is() {
        let item = r#"{"Items":[{"leaseKey":{"S":"shardId-000000000000"}}],"Count":1}"#;
        let fake = Fake::start(|_| item.into()).await;
        let client = Client::new(&crate::aws::local_config(&fake.url));
        find_table(&client, "app").await.expect("a lease table");
        let leases = leases(&client, "app", &orders()).await.expect("read");
        assert_eq!((leases.leases.len(), leases.watched_seconds, fake.requests().len()), (1, 0, 2));
        let (first, seconds) = (BETWEEN.as_secs(), BETWEEN.as_secs() * u64::from(MOST_LOOKS));
        let says = format!(
            "`--kcl` reads one item of the lease table, and scans it once. If a worker has a lease, it scans the table \
             up to {MOST_LOOKS} more times in {first} to {seconds} s"
        );
        let page = include_str!("../../../../../docs/doctor.md").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(page.contains(&says), "{says}");
    }

    #[test]
    fn a_lease_has_the_hash_keys_of_its_shard_where_the_kcl_writes_them() {
        let of = |fields: &[(&str, &str)]| {
            let item = fields.iter().map(|(name, text)| ((*name).to_owned(), AttributeValue::S((*text).to_owned())));
            lease(&item.collect(), "orders").map(|item| item.lease.hash_keys)
        };
        let last = u128::MAX.to_string();
        let key = (KEY, "shardId-000000000000");
        assert_eq!(of(&[key, ("startingHashKey", "0"), ("endingHashKey", &last)]), Some(Some((0, u128::MAX))));
        assert_eq!(of(&[key, ("startingHashKey", "0")]), Some(None));
    }
}
