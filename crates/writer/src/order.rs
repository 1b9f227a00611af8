//! `--ordered`: per key, no record overtakes one that waits for another attempt.

use crate::pending::Pending;
use crate::record::Key;
use std::collections::{HashMap, HashSet, VecDeque};

/// The keys with a record on its way, and the records that wait behind it.
///
/// PutRecords may accept a later record of a request and refuse an earlier one (API reference). So each key has at most
/// one record on its way.
#[derive(Default)]
pub(crate) struct Order {
    behind: HashMap<String, VecDeque<Pending>>,
    /// Keys that lost a record. A later record of such a key would arrive before the lost one comes from the dead
    /// letters, so it is lost as well.
    broken: HashSet<String>,
}

/// What a record may do now.
pub(crate) enum Turn {
    /// It may go.
    Go(Pending),
    /// It waits behind another record of its key.
    Wait,
    /// A record before it was lost.
    Broken(Pending),
}

impl Order {
    /// Takes a new record. A random key has no order.
    pub fn enter(&mut self, pending: Pending) -> Turn {
        let Key::Given(key) = &pending.record.key else { return Turn::Go(pending) };
        if self.broken.contains(key) {
            return Turn::Broken(pending);
        }
        match self.behind.get_mut(key) {
            Some(behind) => {
                behind.push_back(pending);
                Turn::Wait
            }
            None => {
                self.behind.insert(key.clone(), VecDeque::new());
                Turn::Go(pending)
            }
        }
    }

    /// The record of a key on its way was accepted. Returns the next of this key.
    pub fn accepted(&mut self, key: &Key) -> Option<Pending> {
        let Key::Given(key) = key else { return None };
        let next = self.behind.get_mut(key)?.pop_front();
        if next.is_none() {
            self.behind.remove(key);
        }
        next
    }

    /// The record of a key on its way was lost. Returns the records behind it, which are lost, too.
    pub fn lost(&mut self, key: &Key) -> VecDeque<Pending> {
        let Key::Given(key) = key else { return VecDeque::new() };
        let behind = self.behind.remove(key).unwrap_or_default();
        self.broken.insert(key.clone());
        behind
    }

    /// Takes all records that wait, in the order of each key.
    pub fn take_all(&mut self) -> Vec<Pending> {
        self.behind.drain().flat_map(|(_, behind)| behind).collect()
    }
}
