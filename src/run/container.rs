//! What a container remembers from one run to the next. One that dies forgets it: nothing is decided by it that AWS does
//! not bound as well.

use crate::decide::{Reason, suppress_for};
use crate::observation::Minute;
use crate::signal::{Signal, StreamArn};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many streams' looks are remembered. Far more than throttle at once; past it, all are forgotten, which costs a look each.
const LOOKS_REMEMBERED: usize = 1000;

/// For how many minutes back changes are remembered: the fleet's bounds are by the hour.
const CHANGES_KEPT: i64 = 60;

/// Looks and changes of one process. Runs of it may be under way at once.
#[derive(Debug, Default)]
pub(crate) struct Container {
    /// When each stream was last looked at, and what came of it.
    looks: Mutex<BTreeMap<StreamArn, (DateTime<Utc>, &'static str)>>,
    /// Its own changes, minute by minute.
    changes: Mutex<BTreeMap<Minute, u32>>,
}

impl Container {
    /// Holds a throttle signal that comes right after a look. A person's ask and an alarm always get their own.
    pub(crate) fn just_looked(&self, signal: &Signal, now: DateTime<Utc>) -> Option<Reason> {
        let Signal::Throttle(call) = signal else { return None };
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, code) = looks.get(call.stream.as_ref()?)?;
        (now - *at < suppress_for(code)).then_some(Reason::JustLooked)
    }

    pub(super) fn looked(&self, stream: &StreamArn, now: DateTime<Utc>, code: &'static str) {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() >= LOOKS_REMEMBERED {
            looks.clear();
        }
        looks.insert(stream.clone(), (now, code));
    }

    pub(super) fn changes(&self) -> MutexGuard<'_, BTreeMap<Minute, u32>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change that was taken of what the fleet has left, and not made.
    pub(super) fn give_back(&self, left_in_sweep: Option<&AtomicU32>) {
        if let Some(mut newest) = self.changes().last_entry() {
            *newest.get_mut() = newest.get().saturating_sub(1);
        }
        left_in_sweep.inspect(|left| left.store(left.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed));
    }
}

/// Takes a change of what the fleet has left. `own`: the container's changes.
pub(super) fn take(own: &mut BTreeMap<Minute, u32>, now: DateTime<Utc>, left_in_sweep: Option<&AtomicU32>) {
    let minute = Minute::of(now);
    own.retain(|known, _| *known > minute.plus(-CHANGES_KEPT));
    *own.entry(minute).or_default() += 1;
    left_in_sweep.inspect(|left| left.store(left.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed));
}
