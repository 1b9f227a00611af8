//! Streams that tests add without CreateStream.

use super::Account;
use super::capacity::new_stream;
use super::shards::reshape;
use crate::rules::HashRange;
use ferrokinesis::types::StreamStatus;
use std::collections::BTreeMap;

/// Adds a provisioned stream that is ACTIVE. Replaces a stream of the same name.
pub(super) async fn add_stream(account: &Account, name: &str, shards: u32, tags: BTreeMap<String, String>) {
    let mut stream = new_stream(account, name, StreamStatus::Active);
    reshape(&mut stream, &HashRange::uniform(shards), account.now());
    stream.tags = tags;
    // Only a store on disk can refuse a stream.
    let _ = account.store.put_stream(name, stream).await;
}
