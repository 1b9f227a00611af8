//! Aggregation: several records in one, in the format of the Kinesis Producer Library (KPL). The Kinesis Client Library
//! takes them apart.
//!
//! [The format](https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md): a magic number, a
//! Protocol Buffers message, and the MD5 of the message.

use crate::options::after;
use crate::record::{Key, Record};
use md5::{Digest, Md5};
use prost::Message;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What an aggregate begins with.
const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];

/// The bytes of an aggregate, at most: the KPL's default. A larger one would make a refusal cost more records.
const MOST_BYTES: usize = 51_200;

/// The bytes of a record in the message besides data and key, at most: tags and lengths.
const BYTES_BESIDE: usize = 32;

/// The bytes of an aggregate besides its parts, at most: its partition key (256), the hash key (39), the magic number
/// and the MD5 (20), and lengths.
const FRAME: usize = 340;

#[derive(Clone, PartialEq, Message)]
struct Aggregated {
    #[prost(string, repeated, tag = "1")]
    partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<UserRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct UserRecord {
    #[prost(uint64, required, tag = "1")]
    partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "vec", required, tag = "3")]
    data: Vec<u8>,
}

/// The hash keys of an open shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    pub id: String,
    pub first: u128,
    pub last: u128,
}

/// Collects records by their shards.
pub(crate) struct Aggregator {
    shards: Vec<Shard>,
    /// By the first hash key of the shard.
    open: BTreeMap<u128, Open>,
    /// The bytes of the parts of an aggregate, at most.
    most: usize,
    random: fastrand::Rng,
}

/// An aggregate that takes more records.
#[derive(Default)]
struct Open {
    parts: Vec<Record>,
    bytes: usize,
}

impl Aggregator {
    /// Aggregates for these shards. `most`: the most bytes of a record or of a request, whichever is less.
    pub fn new(shards: Vec<Shard>, most: usize, seed: u64) -> Aggregator {
        let most = most.min(MOST_BYTES).saturating_sub(FRAME);
        Aggregator { shards, open: BTreeMap::new(), most, random: fastrand::Rng::with_seed(seed) }
    }

    /// Whether this is an open shard, as far as is known.
    pub fn knows(&self, shard: &str) -> bool {
        self.shards.iter().any(|known| known.id == shard)
    }

    /// Takes other shards. Returns the aggregates of the old ones.
    pub fn set_shards(&mut self, shards: Vec<Shard>) -> Vec<Record> {
        self.shards = shards;
        self.take(|_| true)
    }

    /// Takes a record. Returns what can be sent now: the record itself, or a full aggregate.
    pub fn add(&mut self, mut record: Record) -> Option<Record> {
        let bytes = record.bytes() + BYTES_BESIDE;
        if record.hash_key.is_some() || bytes > self.most {
            return Some(record);
        }
        let key = match &record.key {
            Key::Given(key) => key.clone(),
            // Its shard is known only with its key, so all attempts have this one.
            Key::Random => random_key(&mut self.random),
        };
        let hash = u128::from_be_bytes(Md5::digest(key.as_bytes()).into());
        let Some(shard) = self.shards.iter().find(|shard| (shard.first..=shard.last).contains(&hash)) else {
            return Some(record);
        };
        record.key = Key::Given(key);
        let first = shard.first;
        let open = self.open.entry(first).or_default();
        let full = (open.bytes + bytes > self.most).then(|| std::mem::take(open));
        open.bytes += bytes;
        open.parts.push(record);
        full.and_then(|full| full.close(first))
    }

    /// The aggregates that have waited this long.
    pub fn due(&mut self, now: Instant, wait: Duration) -> Vec<Record> {
        self.take(|open| open.since().is_some_and(|since| after(since, wait) <= now))
    }

    /// When the next aggregate has waited this long.
    pub fn next_due(&self, wait: Duration) -> Option<Instant> {
        self.open.values().filter_map(|open| Some(after(open.since()?, wait))).min()
    }

    fn take(&mut self, is_taken: impl Fn(&Open) -> bool) -> Vec<Record> {
        let taken = self.open.extract_if(.., |_, open| is_taken(open));
        taken.filter_map(|(first, open)| open.close(first)).collect()
    }

    /// Every record that waits, by itself.
    pub fn take_parts(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.open).into_values().flat_map(|open| open.parts).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.open.values().all(|open| open.parts.is_empty())
    }
}

/// A random key: a UUID.
pub(crate) fn random_key(random: &mut fastrand::Rng) -> String {
    uuid::Builder::from_random_bytes(random.u128(..).to_le_bytes()).into_uuid().to_string()
}

impl Open {
    fn since(&self) -> Option<Instant> {
        self.parts.first().map(|part| part.born)
    }

    /// The record that has all parts. Each part has the first hash key of the shard: a consumer ignores parts whose
    /// hash key is not of its shard, and after a reshard the shard of the aggregate still has this hash key.
    fn close(self, first_hash_key: u128) -> Option<Record> {
        let mut parts = self.parts;
        if parts.len() < 2 {
            return parts.pop();
        }
        let mut message =
            Aggregated { explicit_hash_key_table: vec![first_hash_key.to_string()], ..Aggregated::default() };
        let mut places = std::collections::HashMap::new();
        for part in &parts {
            let Key::Given(key) = &part.key else { continue };
            let place = *places.entry(key.as_str()).or_insert_with(|| {
                message.partition_key_table.push(key.clone());
                message.partition_key_table.len() as u64 - 1
            });
            message.records.push(UserRecord {
                partition_key_index: place,
                explicit_hash_key_index: Some(0),
                data: part.data.clone(),
            });
        }
        let body = message.encode_to_vec();
        let data = [&MAGIC[..], &body, &Md5::digest(&body)].concat();
        let (key, origin, born) = (parts[0].key.clone(), parts[0].origin.clone(), parts[0].born);
        Some(Record { hash_key: Some(first_hash_key), born, parts, ..Record::new(data, key, origin) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Origin;

    fn record(key: Key, data: usize) -> Record {
        let origin = Origin { source: "test".into(), line: 1 };
        Record::new(vec![b'x'; data], key, origin)
    }

    fn halves() -> Vec<Shard> {
        let middle = u128::MAX / 2;
        let shard = |id: &str, first, last| Shard { id: id.into(), first, last };
        vec![shard("0", 0, middle), shard("1", middle + 1, u128::MAX)]
    }

    #[test]
    fn each_shard_has_its_aggregate_and_every_part_the_hash_key_of_the_aggregate() {
        let mut aggregator = Aggregator::new(halves(), usize::MAX, 1);
        for number in 0..200 {
            let key = if number % 2 == 0 { Key::Random } else { Key::Given(format!("key-{}", number % 10)) };
            assert_eq!(aggregator.add(record(key, 10)), None);
        }
        let closed = aggregator.set_shards(halves());
        assert!(aggregator.is_empty() && closed.len() == 2);
        assert_eq!(closed.iter().map(|record| record.parts.len()).sum::<usize>(), 200);
        for (aggregate, shard) in closed.iter().zip(halves()) {
            assert_eq!(aggregate.hash_key, Some(shard.first));
            let (magic, rest) = aggregate.data.split_at(4);
            let (body, digest) = rest.split_at(rest.len() - 16);
            assert_eq!((magic, digest), (&MAGIC[..], &Md5::digest(body)[..]));
            let message = Aggregated::decode(body).expect("a message");
            assert_eq!(message.explicit_hash_key_table, [shard.first.to_string()]);
            for (user, part) in message.records.iter().zip(&aggregate.parts) {
                let key = &message.partition_key_table[user.partition_key_index as usize];
                let hash = u128::from_be_bytes(Md5::digest(key.as_bytes()).into());
                assert!((shard.first..=shard.last).contains(&hash), "{key}");
                assert_eq!((Key::Given(key.clone()), user.explicit_hash_key_index), (part.key.clone(), Some(0)));
            }
        }
    }

    #[test]
    fn a_full_aggregate_goes_and_a_record_alone_is_no_aggregate() {
        let mut aggregator = Aggregator::new(halves(), usize::MAX, 1);
        let given = || Key::Given("k".into());
        let full = (0..100).find_map(|_| aggregator.add(record(given(), 1000))).expect("full");
        assert!(full.data.len() <= MOST_BYTES && full.parts.len() == 49, "{}", full.parts.len());
        let alone = aggregator.set_shards(halves());
        assert!(alone.len() == 1 && alone[0].parts.is_empty() && alone[0].hash_key.is_none());
        let large = record(given(), MOST_BYTES);
        assert_eq!(aggregator.add(large.clone()), Some(large));
    }
}
