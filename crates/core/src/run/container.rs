//! What a process remembers from one run to the next. A process that dies forgets it: AWS, or the stream's memory,
//! bounds each decision as well.

use crate::callers::{Callers, Group};
use crate::decision::Reason;
use crate::observation::{LOOKBACK_HOURS, Minute, OwnChanges};
use crate::signal::{Signal, StreamArn};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many streams' observations are remembered. Far fewer streams throttle at once. Above it the process forgets all
/// of them, which costs one observation each.
const OBSERVATIONS_REMEMBERED: usize = 1000;

/// For how many minutes changes are remembered: the bound of the fleet is for one hour.
const CHANGES_KEPT_MINUTES: i64 = 60;

/// For how long a throttle signal is answered by the last observation. A storm is thousands of events a second, and the
/// metrics change once a minute: half a minute loses nothing.
const ANSWERS_FOR: TimeDelta = TimeDelta::seconds(30);

/// The same after `evidence_pending`: the metrics may come any second, and ten seconds keep within AWS's call rates.
const PENDING_ANSWERS_FOR: TimeDelta = TimeDelta::seconds(10);

/// The memory of one process. Several runs may use it at once.
#[derive(Debug, Default)]
pub struct Container {
    /// When each stream was last observed, and the code of that decision.
    observations: Mutex<BTreeMap<StreamArn, (DateTime<Utc>, &'static str)>>,
    /// The changes of this process, minute by minute.
    changes: Mutex<OwnChanges>,
    /// The callers that were throttled since the last observation of each stream.
    callers: Mutex<Callers>,
}

impl Container {
    /// Holds a throttle signal that comes right after an observation. An ask, an alarm and a sweep always observe.
    pub(super) fn just_observed(&self, signal: &Signal, now: DateTime<Utc>) -> Option<Reason> {
        let Signal::Throttle(call) = signal else { return None };
        let observations = lock(&self.observations);
        let (at, code) = observations.get(call.stream.as_ref()?)?;
        let is_pending = *code == <&str>::from(&Reason::EvidencePending);
        let answers_for = if is_pending { PENDING_ANSWERS_FOR } else { ANSWERS_FOR };
        (now - *at < answers_for).then_some(Reason::JustLooked)
    }

    /// Remembers an observation of `stream` at `now` that led to the decision with this code.
    pub(super) fn observed(&self, stream: &StreamArn, now: DateTime<Utc>, code: &'static str) {
        let mut observations = lock(&self.observations);
        if observations.len() >= OBSERVATIONS_REMEMBERED {
            observations.clear();
        }
        observations.insert(stream.clone(), (now, code));
    }

    pub(super) fn changes(&self) -> MutexGuard<'_, OwnChanges> {
        lock(&self.changes)
    }

    /// Gives back a change that was reserved and not made, with the shards that it would have added.
    pub(super) fn give_back(&self, added_shards: u32, left_in_sweep: Option<&AtomicU32>) {
        let mut own = self.changes();
        let OwnChanges { changes, shards } = &mut *own;
        for (counts, count) in [(changes, 1), (shards, added_shards)] {
            if let Some(mut newest) = counts.last_entry() {
                *newest.get_mut() = newest.get().saturating_sub(count);
            }
        }
        drop(own);
        if let Some(left) = left_in_sweep {
            left.store(left.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
        }
    }

    /// Counts the caller of a throttled call. It counts no denied calls, none of our own, and none of other accounts.
    pub(super) fn count_caller(&self, signal: &Signal, held: Option<&Reason>) {
        if let (Signal::Throttle(call), None | Some(Reason::ControlPlaneThrottled | Reason::TooManyReaders(_))) =
            (signal, held)
        {
            lock(&self.callers).add(call);
        }
    }

    /// The callers of `stream` so far.
    pub(super) fn callers_of(&self, stream: &StreamArn) -> Group {
        lock(&self.callers).seen(stream)
    }

    /// The callers of `stream` so far. The count starts again.
    pub(super) fn take_callers(&self, stream: &StreamArn) -> Group {
        lock(&self.callers).take(stream)
    }
}

/// What a run that panicked has left is as good as before: each entry is written in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reserves a change that adds `added_shards`, of what the fleet may still change. `own`: the changes of this process.
pub(super) fn reserve(own: &mut OwnChanges, added_shards: u32, now: DateTime<Utc>, left_in_sweep: Option<&AtomicU32>) {
    let minute = Minute::of(now);
    own.changes.retain(|known, _| *known > minute.plus(-CHANGES_KEPT_MINUTES));
    own.shards.retain(|known, _| *known > minute.plus(-60 * LOOKBACK_HOURS));
    *own.changes.entry(minute).or_default() += 1;
    *own.shards.entry(minute).or_default() += added_shards;
    if let Some(left) = left_in_sweep {
        left.store(left.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
    }
}
