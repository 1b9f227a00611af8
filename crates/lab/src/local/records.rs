//! The records that the account keeps: their order, and the limit of their memory.

use super::limits::Refusal;
use super::{Account, lock};
use chrono::{DateTime, TimeDelta, Utc};
use ferrokinesis::types::StoredRecordRef;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// The memory of a record besides its data and its partition key: its sequence number as a key in the store and in the
/// order of records, with the nodes of the maps. Measured with records of ten bytes: about 450 bytes each.
const BYTES_BESIDE_DATA: u64 = 450;

/// The shortest retention of a stream (Kinesis' quotas page): younger records need no check.
const SHORTEST_RETENTION: TimeDelta = TimeDelta::hours(24);

/// The order of all records of the account, and the records that are kept.
pub(super) struct Records {
    /// The place of the next record in the order.
    next: AtomicU64,
    kept: Mutex<Kept>,
    /// Notifies once: when the first record is dropped for lack of memory.
    first_drop: Notify,
}

/// The stored records, the oldest first.
#[derive(Default)]
struct Kept {
    queue: VecDeque<Record>,
    bytes: u64,
    has_dropped: bool,
}

struct Record {
    stream: String,
    /// Its key in the store.
    key: String,
    bytes: u64,
    arrived: DateTime<Utc>,
}

impl Default for Records {
    fn default() -> Records {
        // 0 is the first sequence number of the shard itself.
        Records { next: AtomicU64::new(1), kept: Mutex::default(), first_drop: Notify::new() }
    }
}

impl Records {
    /// Takes the place of one more record in the order.
    pub fn take_place(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The place of the next record. All stored records have lower places.
    pub fn next_place(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Frees the memory of a deleted stream's records.
    pub fn forget(&self, stream: &str) {
        let mut kept = lock(&self.kept);
        let mut freed = 0;
        kept.queue.retain(|record| {
            let is_kept = record.stream != stream;
            freed += if is_kept { 0 } else { record.bytes };
            is_kept
        });
        kept.bytes -= freed;
    }

    /// Waits until a record is dropped for lack of memory.
    pub async fn first_drop(&self) {
        self.first_drop.notified().await;
    }
}

/// Stores records, each with its key. If the account has too many, drops the oldest.
pub(super) async fn store(
    account: &Account,
    stream: &str,
    batch: &[(String, StoredRecordRef<'_>)],
) -> Result<(), Refusal> {
    account.store.put_records_batch(stream, batch).await?;
    let now = account.now();
    let dropped = {
        let mut kept = lock(&account.records.kept);
        for (key, record) in batch {
            let bytes = (record.data.len() + record.partition_key.len()) as u64 + BYTES_BESIDE_DATA;
            kept.bytes += bytes;
            kept.queue.push_back(Record { stream: stream.to_owned(), key: key.clone(), bytes, arrived: now });
        }
        let dropped = kept.drop_beyond(account.options.keep_bytes);
        if !dropped.is_empty() && !kept.has_dropped {
            kept.has_dropped = true;
            account.records.first_drop.notify_one();
        }
        dropped
    };
    delete(account, dropped).await;
    expire(account, now).await;
    Ok(())
}

impl Kept {
    /// Removes and returns the oldest records until the others take at most this number of bytes. The newest record
    /// always stays: its producer got a sequence number for it.
    fn drop_beyond(&mut self, bytes: u64) -> Vec<Record> {
        let mut dropped = vec![];
        while self.bytes > bytes
            && self.queue.len() > 1
            && let Some(record) = self.queue.pop_front()
        {
            self.bytes -= record.bytes;
            dropped.push(record);
        }
        dropped
    }
}

/// Deletes the oldest records beyond their stream's retention.
async fn expire(account: &Account, now: DateTime<Utc>) {
    loop {
        let oldest = lock(&account.records.kept).queue.front().map(|record| (record.stream.clone(), record.arrived));
        let Some((stream, arrived)) = oldest.filter(|(_, arrived)| now - *arrived >= SHORTEST_RETENTION) else {
            return;
        };
        // A deleted stream keeps no record.
        let retention = account.store.get_stream(&stream).await.map_or(0, |stream| stream.retention_period_hours);
        if now - arrived < TimeDelta::hours(i64::from(retention)) {
            return;
        }
        let record = {
            let mut kept = lock(&account.records.kept);
            let record = kept.queue.pop_front_if(|record| record.stream == stream && record.arrived == arrived);
            kept.bytes -= record.as_ref().map_or(0, |record| record.bytes);
            record
        };
        delete(account, record.into_iter().collect()).await;
    }
}

async fn delete(account: &Account, records: Vec<Record>) {
    let mut by_stream = BTreeMap::<String, Vec<String>>::new();
    for Record { stream, key, .. } in records {
        by_stream.entry(stream).or_default().push(key);
    }
    for (stream, keys) in by_stream {
        account.store.delete_record_keys(&stream, &keys).await;
    }
}
