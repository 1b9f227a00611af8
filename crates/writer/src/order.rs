//! `--ordered`: per key, no record overtakes one that waits for another attempt.

use crate::pending::Pending;
use crate::record::{Key, Why};
use std::collections::{HashMap, HashSet, VecDeque};

/// The keys with a record on its way, and the records that wait behind it.
///
/// PutRecords may accept a later record of a request and refuse an earlier one (API reference). So each key has at most
/// one record on its way.
#[derive(Default)]
pub(crate) struct Order {
    behind: HashMap<String, VecDeque<Behind>>,
    /// The records in `behind`.
    waiting: usize,
    /// Keys that lost a record. A later record of such a key would arrive before the lost one comes from the dead
    /// letters, so it is lost as well.
    broken: HashSet<String>,
}

/// A record that waits for its turn, and why it is lost then; `None`: it is sent. A record that cannot be sent waits,
/// too: if a record before it is lost, that one stands before it in the dead letters.
type Behind = (Pending, Option<Why>);

/// What a record may do now.
pub(crate) enum Turn {
    /// It may go.
    Go(Pending),
    /// It waits behind another record of its key.
    Wait,
    /// It is lost.
    Lost(Pending, Why),
}

impl Order {
    /// Takes a new record. `why`: it cannot be sent. A random key has no order.
    pub fn enter(&mut self, pending: Pending, why: Option<Why>) -> Turn {
        let Key::Given(key) = &pending.record.key else {
            return match why {
                Some(why) => Turn::Lost(pending, why),
                None => Turn::Go(pending),
            };
        };
        if let Some(behind) = self.behind.get_mut(key) {
            behind.push_back((pending, why));
            self.waiting += 1;
            return Turn::Wait;
        }
        if let Some(why) = why {
            self.broken.insert(key.clone());
            return Turn::Lost(pending, why);
        }
        if self.broken.contains(key) {
            return Turn::Lost(pending, Why::AfterLost);
        }
        self.behind.insert(key.clone(), VecDeque::new());
        Turn::Go(pending)
    }

    /// The record of a key on its way was accepted. Returns the next of this key, or those that are lost.
    pub fn accepted(&mut self, key: &Key) -> (Option<Pending>, Vec<(Pending, Why)>) {
        let Key::Given(text) = key else { return (None, vec![]) };
        let Some(behind) = self.behind.get_mut(text) else { return (None, vec![]) };
        if let Some((next, None)) = behind.pop_front_if(|(_, why)| why.is_none()) {
            self.waiting -= 1;
            return (Some(next), vec![]);
        }
        if behind.is_empty() {
            self.behind.remove(text);
            return (None, vec![]);
        }
        (None, self.lost(key))
    }

    /// The record of a key on its way was lost. Returns the records behind it, which are lost, too.
    pub fn lost(&mut self, key: &Key) -> Vec<(Pending, Why)> {
        let Key::Given(key) = key else { return vec![] };
        let behind = self.behind.remove(key).unwrap_or_default();
        self.waiting -= behind.len();
        self.broken.insert(key.clone());
        behind.into_iter().map(|(pending, why)| (pending, why.unwrap_or(Why::AfterLost))).collect()
    }

    /// The records that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes all records that wait, in the order of each key.
    pub fn take_all(&mut self) -> Vec<Behind> {
        self.waiting = 0;
        self.behind.drain().flat_map(|(_, behind)| behind).collect()
    }
}
