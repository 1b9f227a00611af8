//! What was read of one shard: its keys, its seconds, and the sizes of its records.

use super::aggregate::user_records;
use aws_sdk_kinesis::types::Record;
use md5::{Digest as _, Md5};
use std::collections::{BTreeMap, HashMap};
use unthrottle_core::observation::Shard;

/// Records and their bytes. The bytes of a partition key count, as AWS counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub records: u64,
    pub bytes: u64,
}

impl Load {
    pub fn add(&mut self, other: Load) {
        self.records += other.records;
        self.bytes += other.bytes;
    }

    /// How much of a shard's second the load fills: 1,000 records or 1 MiB.
    pub fn shard_seconds(self) -> f64 {
        (self.records as f64 / 1_000.0).max(self.bytes as f64 / 1_048_576.0)
    }
}

/// What was read of one shard. Every key and every size is kept: `--max-mb` bounds them.
#[derive(Debug)]
pub(super) struct Sample {
    pub shard: Shard,
    pub all: Load,
    /// Records that held several user records, and the number of these.
    pub aggregated: u64,
    pub user_records: u64,
    /// The load by second of arrival.
    pub seconds: BTreeMap<i64, Load>,
    /// The load by partition key: of a user record, where a record holds several.
    pub keys: HashMap<String, Load>,
    /// The size of each record.
    pub sizes: Vec<u32>,
}

impl Sample {
    pub fn of(shard: Shard) -> Sample {
        Sample {
            shard,
            all: Load::default(),
            aggregated: 0,
            user_records: 0,
            seconds: BTreeMap::new(),
            keys: HashMap::new(),
            sizes: vec![],
        }
    }

    /// Adds a record. Gives its bytes.
    pub fn add(&mut self, record: &Record) -> u64 {
        let key = record.partition_key().unwrap_or_default();
        let data = record.data().as_ref();
        let load = Load { records: 1, bytes: (data.len() + key.len()) as u64 };
        self.all.add(load);
        self.sizes.push(u32::try_from(load.bytes).unwrap_or(u32::MAX));
        if let Some(time) = record.approximate_arrival_timestamp() {
            self.seconds.entry(time.secs()).or_default().add(load);
        }
        match user_records(data) {
            Some(inside) => {
                self.aggregated += 1;
                self.user_records += inside.len() as u64;
                for user in inside {
                    self.count(user.key, Load { records: 1, bytes: user.bytes as u64 });
                }
            }
            None => self.count(key.to_owned(), load),
        }
        load.bytes
    }

    fn count(&mut self, key: String, load: Load) {
        self.keys.entry(key).or_default().add(load);
    }

    /// The second with the most load.
    pub fn peak(&self) -> Option<(i64, Load)> {
        let peak = self.seconds.iter().max_by(|(_, a), (_, b)| a.shard_seconds().total_cmp(&b.shard_seconds()));
        peak.map(|(second, load)| (*second, *load))
    }

    /// The load by hash key, and the share of it whose keys do not belong to the shard: producers then give explicit
    /// hash keys, which no reader sees. `weight`: of one key's load.
    pub fn by_hash_key(&self, weight: impl Fn(Load) -> f64) -> (BTreeMap<u128, f64>, f64) {
        let (mut loads, mut outside, mut all) = (BTreeMap::new(), 0.0, 0.0);
        for (key, load) in &self.keys {
            let hash = u128::from_be_bytes(Md5::digest(key).into());
            let weight = weight(*load);
            all += weight;
            if (self.shard.first_hash_key..=self.shard.last_hash_key).contains(&hash) {
                *loads.entry(hash).or_default() += weight;
            } else {
                outside += weight;
            }
        }
        (loads, if all > 0.0 { outside / all } else { 0.0 })
    }
}
