//! The shards of a stream: how they open and close, which shard has a hash key, and which shards `ListShards` lists.

use super::Account;
use super::limits::{Refusal, refuse};
use crate::rules::HashRange;
use chrono::{DateTime, Utc};
use ferrokinesis::actions::{Operation, dispatch};
use ferrokinesis::sequence::{MAX_SEQ_IX, SeqObj, parse_sequence, shard_id_name, stringify_sequence};
use ferrokinesis::types::{HashKeyRange, SequenceNumberRange, Shard, Stream};
use serde_json::Value;
use std::collections::BTreeSet;

/// The filters of AWS's `ListShards` (API reference, `ShardFilterType`). The local account serves the last two.
const SHARD_FILTERS: [&str; 6] =
    ["AFTER_SHARD_ID", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "FROM_TIMESTAMP", "AT_LATEST", "AT_TIMESTAMP"];

/// Whether a shard accepts records.
pub(super) fn is_open(shard: &Shard) -> bool {
    shard.sequence_number_range.ending_sequence_number.is_none()
}

/// The number of open shards.
pub(super) fn open_shards(stream: &Stream) -> u32 {
    u32::try_from(stream.shards.iter().filter(|shard| is_open(shard)).count()).unwrap_or(u32::MAX)
}

/// The hash keys of the open shards, sorted.
pub(super) fn open_ranges(stream: &Stream) -> Vec<HashRange> {
    let mut ranges: Vec<HashRange> = stream.shards.iter().filter(|shard| is_open(shard)).map(range).collect();
    ranges.sort_by_key(|range| range.first);
    ranges
}

/// The hash keys of a shard.
pub(super) fn range(shard: &Shard) -> HashRange {
    HashRange { first: shard.hash_key_range.start_u128(), last: shard.hash_key_range.end_u128() }
}

/// The open shards of a stream, by their hash keys.
pub(super) struct Open<'a> {
    /// The first hash key of each shard, its index, and the shard, in the order of the hash keys.
    shards: Vec<(u128, usize, &'a Shard)>,
}

impl<'a> Open<'a> {
    /// The ranges are texts, which take long to read: once for each request, not for each record.
    pub fn of(stream: &'a Stream) -> Open<'a> {
        let open = stream.shards.iter().enumerate().filter(|(_, shard)| is_open(shard));
        let mut shards: Vec<_> = open.map(|(index, shard)| (range(shard).first, index, shard)).collect();
        shards.sort_unstable_by_key(|(first, ..)| *first);
        Open { shards }
    }

    /// The index and the shard of a hash key. The open shards contain every key, so a shard ends where the next begins.
    pub fn shard_of(&self, hash_key: u128) -> Option<(usize, &'a Shard)> {
        let after = self.shards.partition_point(|(first, ..)| *first <= hash_key);
        let (_, index, shard) = self.shards.get(after.checked_sub(1)?)?;
        Some((*index, shard))
    }
}

/// Closes the open shards with ranges that are not in `ranges`, and opens shards for the new ranges. Each new shard is
/// a child of the first one or two closed shards that share keys with it. AWS opens short-lived shards, so that each
/// shard has one or two parents. Here a shard with the keys of three closed shards names two of them.
pub(super) fn reshape(stream: &mut Stream, ranges: &[HashRange], now: DateTime<Utc>) {
    let is_kept = |shard: &Shard| ranges.contains(&range(shard));
    let closing: Vec<(String, HashRange)> = stream
        .shards
        .iter()
        .filter(|shard| is_open(shard) && !is_kept(shard))
        .map(|shard| (shard.shard_id.clone(), range(shard)))
        .collect();
    let open = open_ranges(stream);
    for (index, shard) in stream.shards.iter_mut().enumerate() {
        if is_open(shard) && !ranges.contains(&range(shard)) {
            shard.sequence_number_range.ending_sequence_number = Some(last_number(index, shard, now));
        }
    }
    for range in ranges.iter().filter(|range| !open.contains(range)) {
        let mut parents = closing.iter().filter(|(_, closed)| closed.and(*range).is_some()).map(|(id, _)| id.clone());
        let mut shard = new_shard(stream.shards.len(), *range, now);
        (shard.parent_shard_id, shard.adjacent_parent_shard_id) = (parents.next(), parents.next());
        stream.shards.push(shard);
    }
}

/// A new open shard without parents.
fn new_shard(index: usize, range: HashRange, now: DateTime<Utc>) -> Shard {
    let index = number(index);
    Shard {
        shard_id: shard_id_name(index),
        hash_key_range: HashKeyRange::new(range.first.to_string(), range.last.to_string()),
        sequence_number_range: SequenceNumberRange {
            starting_sequence_number: sequence_number(index, millis(now), 0, now),
            ending_sequence_number: None,
        },
        parent_shard_id: None,
        adjacent_parent_shard_id: None,
    }
}

/// The time at which a shard was opened, in milliseconds of the epoch. Its first sequence number has this time in whole
/// seconds.
pub(super) fn opened_at(shard: &Shard) -> u64 {
    parse_sequence(&shard.sequence_number_range.starting_sequence_number).map_or(0, |first| first.shard_create_time)
}

/// The sequence number of a record. `order`: its place among all records. `index` and `opened_at`: its shard.
pub(super) fn sequence_number(index: i64, opened_at: u64, order: u64, now: DateTime<Utc>) -> String {
    stringify_sequence(&SeqObj {
        shard_create_time: opened_at,
        seq_ix: Some(order),
        byte1: None,
        seq_time: Some(millis(now)),
        seq_rand: None,
        shard_ix: index,
        version: 2,
    })
}

fn last_number(index: usize, shard: &Shard, now: DateTime<Utc>) -> String {
    sequence_number(number(index), opened_at(shard), MAX_SEQ_IX, now)
}

/// The number of a shard, in ferrokinesis' type.
pub(super) fn number(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

/// The time at which a shard was closed, in milliseconds of the epoch, to the whole second. `None`: it is open.
fn closed_at(shard: &Shard) -> Option<u64> {
    let ending = shard.sequence_number_range.ending_sequence_number.as_deref()?;
    parse_sequence(ending).ok()?.seq_time
}

/// ListShards with the filters that ferrokinesis leaves out. `AT_LATEST` lists closed shards, too: AWS does so shortly
/// after a reshard.
pub(super) async fn list_shards(
    account: &Account,
    name: &str,
    raw: &Value,
    input: Value,
) -> Result<Option<Value>, Refusal> {
    let filter = ShardFilter::parse(&raw["ShardFilter"])?;
    let mut answer = dispatch(&account.store, Operation::ListShards, input).await?;
    let stream = account.store.get_stream(name).await?;
    let listed =
        stream.shards.iter().filter(|shard| filter.lists(account, name, shard)).map(|shard| shard.shard_id.as_str());
    let listed: BTreeSet<&str> = listed.collect();
    if let Some(shards) = answer.as_mut().and_then(|answer| answer["Shards"].as_array_mut()) {
        shards.retain(|shard| shard["ShardId"].as_str().is_some_and(|id| listed.contains(id)));
    }
    Ok(answer)
}

/// Which shards a `ListShards` request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShardFilter {
    /// All shards: a request without a filter, or with `AT_LATEST`.
    All,
    /// The shards that were open at this time, in milliseconds of the epoch.
    OpenAt(i64),
    /// The shards that were open at this time or later.
    OpenSince(i64),
}

impl ShardFilter {
    /// Reads `ShardFilter`. A filter that the local account does not serve is refused, so that no test takes other
    /// shards for the filtered ones.
    fn parse(filter: &Value) -> Result<ShardFilter, Refusal> {
        if filter.is_null() {
            return Ok(ShardFilter::All);
        }
        match filter["Type"].as_str() {
            Some("AT_LATEST") => Ok(ShardFilter::All),
            Some(kind @ ("AT_TIMESTAMP" | "FROM_TIMESTAMP")) => match filter["Timestamp"].as_f64() {
                Some(seconds) if kind == "AT_TIMESTAMP" => Ok(ShardFilter::OpenAt((seconds * 1000.0) as i64)),
                Some(seconds) => Ok(ShardFilter::OpenSince((seconds * 1000.0) as i64)),
                None => {
                    let problem = format!("Timestamp must be provided with {kind}.");
                    Err(refuse("InvalidArgumentException", problem))
                }
            },
            Some(known) if SHARD_FILTERS.contains(&known) => Err(refuse(
                "InvalidArgumentException",
                format!(
                    "the local account serves the shard filters AT_LATEST, AT_TIMESTAMP and FROM_TIMESTAMP, and not \
                     {known}"
                ),
            )),
            other => Err(refuse(
                "ValidationException",
                format!(
                    "1 validation error detected: Value '{}' at 'shardFilter.type' failed to satisfy constraint: \
                     Member must satisfy enum value set: [{}]",
                    other.unwrap_or("null"),
                    SHARD_FILTERS.join(", ")
                ),
            )),
        }
    }

    /// API reference: `AT_TIMESTAMP` lists "all shards whose start timestamp is less than or equal to the given
    /// timestamp and end timestamp is greater than or equal to the given timestamp or still open". `FROM_TIMESTAMP`
    /// lists "all closed shards whose end timestamp is greater than or equal to the given timestamp and also all open
    /// shards".
    fn lists(self, account: &Account, stream: &str, shard: &Shard) -> bool {
        let (time, is_since) = match self {
            ShardFilter::All => return true,
            ShardFilter::OpenAt(time) => (time, false),
            ShardFilter::OpenSince(time) => (time, true),
        };
        let opened = match &shard.parent_shard_id {
            Some(_) => account.happened_at(opened_at(shard)),
            None => account.created_at(stream, opened_at(shard)),
        };
        // Sequence numbers have whole seconds.
        let closed = closed_at(shard).map(|closed| account.happened_at(closed));
        (is_since || opened <= time) && closed.is_none_or(|closed| closed >= time / 1000 * 1000)
    }
}

/// Milliseconds of the epoch; 0 for a time before the epoch.
pub(super) fn millis(time: DateTime<Utc>) -> u64 {
    u64::try_from(time.timestamp_millis()).unwrap_or(0)
}
