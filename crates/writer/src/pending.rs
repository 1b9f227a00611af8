//! A record on its way.

use crate::record::Record;
use std::sync::Arc;
use std::time::Instant;

/// A record on its way.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub record: Record,
    /// The requests that had it.
    pub attempts: u32,
    /// Whether the reply of one of these was lost, or of one of an earlier run.
    pub is_maybe_written: bool,
    /// Whether it counts as a possible duplicate: it was sent again after a lost reply.
    pub is_counted: bool,
    /// The shard that refused it last, if its key stays.
    pub shard: Option<Arc<str>>,
    /// When the record is lost: some time after its first attempt.
    pub deadline: Option<Instant>,
    /// The last answer.
    pub last: Arc<str>,
}

impl Pending {
    /// A record that was not sent.
    pub fn new(record: Record) -> Pending {
        Pending {
            is_maybe_written: record.is_maybe_written,
            record,
            attempts: 0,
            is_counted: false,
            shard: None,
            deadline: None,
            last: "".into(),
        }
    }
}
