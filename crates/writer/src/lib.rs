//! A writer for Kinesis data streams. It sends refused records again, and accounts for every record: each one is
//! accepted, or it is reported as lost.
//!
//! A newcomer reads in this order:
//!
//! 1. `record`: a record, its key and its size. `key_rule` finds the key of a record.
//! 2. `options`: batches, retries and limits. `config` reads them from a YAML file.
//! 3. `input` reads records from lines, `dead_letters` writes lost ones and reads them again.
//! 4. `buffer`: which records the next request has, and what an answer means for them. It has no I/O and no clock.
//!    `aggregate` puts records together before.
//! 5. `request`: the records of a request. `connection`: the time that it has. `answer`: the SDK's answer in the words
//!    of the buffer.
//! 6. `load`: records at times that are fixed in advance, for a load test.
//! 7. `writer`: requests in flight, input, time and the end.

mod aggregate;
mod answer;
mod buffer;
pub mod config;
mod connection;
mod dead_letters;
mod feed;
mod input;
mod key_rule;
pub mod load;
mod options;
mod order;
mod pace;
mod pending;
mod record;
mod request;
mod shards;
mod stats;
mod stop;
mod writer;

pub use connection::client;
pub use dead_letters::{DeadLetters, DeadLettersError, are_dead_letters};
pub use feed::{Feed, FeedSender, Item, feed};
pub use input::{Form, Input, InputError, Source, read};
pub use key_rule::{KeyRule, KeyUse};
pub use options::{Backoff, Batch, MAX_BATCH_BYTES, MAX_BATCH_SIZE, Options, Retry};
pub use record::{DEFAULT_RECORD_BYTES, Key, Limits, Lost, MAX_KEY_CHARACTERS, Origin, Record, Why};
pub use shards::Target;
pub use stats::{Latency, Stats, Summary};
pub use stop::{Stopper, Stops, stops};
pub use writer::{End, Fatal, Observer, run};
