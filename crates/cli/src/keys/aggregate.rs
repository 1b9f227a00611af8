//! Records of the Kinesis Producer Library that hold several user records.
//!
//! The format is in the KPL's repository, `aggregation-format.md`: a magic number, a protobuf message, and its MD5.

use md5::{Digest as _, Md5};
use prost::Message;

/// The first bytes of an aggregated record.
const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
/// The bytes of the MD5 at its end.
const DIGEST: usize = 16;

#[derive(Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_keys: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    explicit_hash_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<Record>,
}

#[derive(Message)]
struct Record {
    #[prost(uint64, tag = "1")]
    partition_key: u64,
    #[prost(uint64, optional, tag = "2")]
    explicit_hash_key: Option<u64>,
    #[prost(bytes = "vec", tag = "3")]
    data: Vec<u8>,
}

/// A record as a producer gave it to the KPL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UserRecord {
    pub key: String,
    pub bytes: usize,
}

/// The user records inside a record. `None`: it is not an aggregated record.
pub(crate) fn user_records(data: &[u8]) -> Option<Vec<UserRecord>> {
    let rest = data.strip_prefix(&MAGIC)?;
    let (message, digest) = rest.split_at(rest.len().checked_sub(DIGEST)?);
    // Other data may begin with the same bytes by chance.
    if Md5::digest(message).as_slice() != digest {
        return None;
    }
    let aggregated = AggregatedRecord::decode(message).ok()?;
    let user = |record: &Record| {
        let place = usize::try_from(record.partition_key).ok()?;
        let key = aggregated.partition_keys.get(place)?.clone();
        Some(UserRecord { bytes: record.data.len() + key.len(), key })
    };
    Some(aggregated.records.iter().filter_map(user).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three records of two keys, made by the PyPI package aws_kinesis_agg 1.2.3 (awslabs).
    const MADE_BY_AWS: &[u8] = include_bytes!("aggregated.bin");

    #[test]
    fn the_records_of_another_aggregator_are_found() {
        let record = |key: &str| UserRecord { key: key.into(), bytes: "hello 0".len() + key.len() };
        assert_eq!(user_records(MADE_BY_AWS), Some(vec![record("user-0"), record("user-1"), record("user-0")]));
    }

    #[test]
    fn other_data_is_one_record() {
        let mut damaged = MADE_BY_AWS.to_vec();
        damaged[10] ^= 1;
        for data in [&b"hello"[..], &MAGIC, &[], &damaged, &MADE_BY_AWS[..MADE_BY_AWS.len() - 1]] {
            assert_eq!(user_records(data), None);
        }
    }
}
