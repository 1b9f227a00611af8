//! Streams that are there without having been created.

use std::collections::BTreeMap;
use std::time::SystemTime;

use ferrokinesis::sequence::{SeqObj, shard_id_name, stringify_sequence};
use ferrokinesis::types::{EpochSeconds, HashKeyRange, SequenceNumberRange, Shard, StreamBuilder, StreamStatus};

use super::Account;
use super::metrics::epoch_seconds;

/// How long ago they were created: a first record in the very millisecond would be numbered otherwise.
const AGE: f64 = 2.0;

/// Adds a provisioned stream that is ACTIVE, or puts it in the place of one of the same name.
pub(super) async fn add_stream(account: &Account, name: &str, shards: u32, tags: BTreeMap<String, String>) {
    let created = epoch_seconds(SystemTime::now()) - AGE;
    let shards = (0..shards).map(|index| shard(index, shards, created)).collect();
    let arn = account.stream_arn(name);
    let stream = StreamBuilder::new(name.to_owned(), arn, StreamStatus::Active, EpochSeconds(created.floor()), shards);
    // Only a store on disk can refuse a stream.
    let _ = account.store.put_stream(name, stream.tags(tags).build()).await;
}

/// One of `count` shards, which share the hash keys evenly. `created`: epoch seconds.
fn shard(index: u32, count: u32, created: f64) -> Shard {
    let (number, count) = (u128::from(index), u128::from(count));
    // 2^128 / count, rounded down; 0 stands for 2^128 itself.
    let width = ((u128::MAX - (count - 1)) / count).wrapping_add(1);
    let last = if number + 1 == count { u128::MAX } else { width * (number + 1) - 1 };
    let starting = stringify_sequence(&SeqObj {
        shard_create_time: (created * 1000.0) as u64,
        seq_ix: None,
        byte1: None,
        seq_time: None,
        seq_rand: None,
        shard_ix: i64::from(index),
        version: 2,
    });
    Shard {
        shard_id: shard_id_name(i64::from(index)),
        hash_key_range: HashKeyRange::new((width * number).to_string(), last.to_string()),
        sequence_number_range: SequenceNumberRange { starting_sequence_number: starting, ending_sequence_number: None },
        parent_shard_id: None,
        adjacent_parent_shard_id: None,
    }
}
