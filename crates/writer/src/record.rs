//! A record, its key and its size, and why a record was lost.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// The bytes of a record, data and key together, unless the stream has a larger `MaxRecordSizeInKiB`: 1 MiB (API
/// reference, PutRecordsRequestEntry).
pub const DEFAULT_RECORD_BYTES: usize = 1 << 20;

/// The characters of a partition key: 1 to 256 Unicode characters (API reference, PutRecordsRequestEntry).
pub const MAX_KEY_CHARACTERS: usize = 256;

/// The length of a random key: a UUID in text.
const RANDOM_KEY_BYTES: usize = 36;

/// The bytes of memory of a record besides data and key, about: the record itself, its place in a queue, and what the
/// allocator adds. Less would let small records take several times the memory that they may.
const RECORD_MEMORY: usize = 400;

/// The partition key of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A random UUID, drawn anew for each attempt: a retry then may go to another shard.
    Random,
    /// A key that stays as it is. Records with the same key go to the same shard.
    Given(String),
}

/// Where a record comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file's name, or `stdin`.
    pub source: Arc<str>,
    /// The line, from 1.
    pub line: u64,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.line)
    }
}

/// A record to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The data, as consumers get it.
    pub data: Vec<u8>,
    /// The partition key.
    pub key: Key,
    /// The hash key that decides the shard in place of the partition key; `None`: the MD5 of the partition key.
    pub hash_key: Option<u128>,
    /// Where it comes from.
    pub origin: Origin,
    /// When it was read, or when a load generator meant to send it. Its latency counts from here.
    pub born: Instant,
    /// The records that this one has in KPL's format; none: it is a plain record.
    pub parts: Vec<Record>,
    /// Whether AWS may have it already: a dead letter of a request whose reply was lost.
    pub is_maybe_written: bool,
}

impl Record {
    /// A record that is read now.
    pub fn new(data: Vec<u8>, key: Key, origin: Origin) -> Record {
        let (hash_key, born, parts) = (None, Instant::now(), vec![]);
        Record { data, key, hash_key, origin, born, parts, is_maybe_written: false }
    }

    /// The records that the user gave: the parts of an aggregate, or one.
    pub fn count(&self) -> u64 {
        self.parts.len().max(1) as u64
    }

    /// The bytes of memory, about: an aggregate keeps its parts.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes() + RECORD_MEMORY + self.parts.iter().map(Record::held_bytes).sum::<usize>()
    }

    /// The bytes that count against AWS's limits: data and key.
    pub fn bytes(&self) -> usize {
        let key = match &self.key {
            Key::Random => RANDOM_KEY_BYTES,
            Key::Given(key) => key.len(),
        };
        self.data.len() + key
    }

    /// Whether AWS would take a record of this form.
    ///
    /// # Errors
    /// The record is too large, or its key is empty or too long.
    pub fn check(&self, limits: &Limits) -> Result<(), Why> {
        if let Key::Given(key) = &self.key {
            match key.chars().count() {
                0 => return Err(Why::Rejected("the partition key is empty; AWS needs at least 1 character".into())),
                n if n > MAX_KEY_CHARACTERS => {
                    return Err(Why::Rejected(format!(
                        "the partition key has {n} characters; AWS takes at most {MAX_KEY_CHARACTERS}"
                    )));
                }
                _ => {}
            }
        }
        let bytes = self.bytes();
        if bytes > limits.record_bytes {
            let most = limits.record_bytes;
            return Err(Why::Rejected(format!("data and key have {bytes} bytes; the stream takes at most {most}")));
        }
        if bytes > limits.batch_bytes {
            let most = limits.batch_bytes;
            return Err(Why::Rejected(format!(
                "data and key have {bytes} bytes; `batch.max_batch_bytes` allows {most} bytes in a request"
            )));
        }
        Ok(())
    }
}

/// The sizes that a record must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a record: 1 MiB, or the stream's own `MaxRecordSizeInKiB`.
    pub record_bytes: usize,
    /// The most bytes of a request.
    pub batch_bytes: usize,
}

/// Why a record was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was never sent: AWS would refuse it in every attempt.
    Rejected(String),
    /// It was never sent: no partition key could be found for it.
    NoKey(String),
    /// It was never sent: its line is not base64. The data is the line.
    NotBase64(String),
    /// Its line is too long to be kept: this number of bytes. No dead letter has it.
    TooLong(u64),
    /// AWS refuses it in every attempt.
    Refused(String),
    /// AWS refused it in each attempt, or did not answer.
    Retries(String),
    /// Its deadline passed.
    Deadline(String),
    /// A record of the same key, before it, was lost, and the order must stay.
    AfterLost,
    /// The writer stopped before it could send it again.
    Stopped(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Rejected(problem) | Why::NoKey(problem) | Why::NotBase64(problem) => f.write_str(problem),
            Why::TooLong(bytes) => {
                write!(f, "the line has {bytes} bytes; no Kinesis record has that many, and it is not kept")
            }
            Why::Refused(cause) => write!(f, "AWS refuses it: {cause}"),
            Why::Retries(last) => write!(f, "no attempt is left; the last answer: {last}"),
            Why::Deadline(last) => write!(f, "its time (--ttl) is over; the last answer: {last}"),
            Why::AfterLost => f.write_str("an earlier record of the same key was lost, and --ordered keeps the order"),
            Why::Stopped(reason) => write!(f, "the writer stopped: {reason}"),
        }
    }
}

impl Why {
    /// Whether the record was never sent.
    pub fn is_rejected(&self) -> bool {
        matches!(self, Why::Rejected(_) | Why::NoKey(_) | Why::NotBase64(_) | Why::TooLong(_))
    }
}

/// A record that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The record.
    pub record: Record,
    /// Why it was lost.
    pub why: Why,
    /// The requests that had it.
    pub attempts: u32,
    /// Whether the reply of one of these requests was lost. AWS may then have written the record.
    pub is_maybe_written: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: usize, key: Key) -> Record {
        let origin = Origin { source: "stdin".into(), line: 7 };
        Record::new(vec![0; data], key, origin)
    }

    #[test]
    fn data_and_key_together_keep_to_the_limit_of_the_stream_and_of_the_request() {
        let limits = Limits { record_bytes: 100, batch_bytes: 80 };
        let given = |key: &str| Key::Given(key.into());
        assert_eq!(record(70, given("0123456789")).check(&limits), Ok(()));
        let problem = |data, key| record(data, key).check(&limits).expect_err("refused").to_string();
        assert!(problem(71, given("0123456789")).contains("`batch.max_batch_bytes` allows 80"));
        assert!(problem(91, given("0123456789")).contains("101 bytes; the stream takes at most 100"));
        assert!(problem(65, Key::Random).contains("101 bytes"), "a UUID has 36 bytes");
    }

    #[test]
    fn a_key_has_1_to_256_characters_and_not_bytes() {
        let limits = Limits { record_bytes: 10_000, batch_bytes: 10_000 };
        let check = |key: String| record(1, Key::Given(key)).check(&limits);
        assert_eq!(check("é".repeat(256)), Ok(()));
        assert!(check("é".repeat(257)).is_err_and(|why| why.to_string().contains("257 characters")));
        assert!(check(String::new()).is_err_and(|why| why.to_string().contains("empty")));
    }
}
