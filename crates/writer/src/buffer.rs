//! Which records the next request has, and what an answer means for them.

use crate::aggregate::{Aggregator, Shard};
use crate::options::{Options, after};
use crate::order::{Order, Turn};
use crate::pace::Pace;
use crate::pending::Pending;
use crate::record::{Limits, Lost, Record, Why};
use crate::request::Request;
use crate::stats::Stats;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod settle;

/// Whether a request goes out before its batch is full or its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// More records may come.
    No,
    /// No record comes before others go: what can be sent is sent.
    Full,
    /// No more records come at all.
    All,
}

/// The records that were read and are not accepted yet, except those in flight.
pub(crate) struct Buffer {
    options: Options,
    limits: Limits,
    /// New records, oldest first.
    fresh: VecDeque<Pending>,
    fresh_bytes: usize,
    /// Records that wait for another attempt, by the time of it. The number keeps their order within the time.
    waiting: BTreeMap<(Instant, u64), Pending>,
    next_number: u64,
    /// Shards that refused all records of a request, and until when no record goes to them. A shard is known for a
    /// record that it refused before.
    closed: HashMap<Arc<str>, Instant>,
    order: Option<Order>,
    pace: Option<Pace>,
    aggregator: Option<Aggregator>,
    /// Whether AWS named a shard that the aggregator does not know.
    is_resharded: bool,
    /// Requests in a row that failed as a whole, and until when no other goes out.
    failures: u32,
    paused_until: Option<Instant>,
    /// Bytes of all records here and in flight.
    bytes: usize,
    lost: Vec<Lost>,
    random: fastrand::Rng,
    pub stats: Stats,
}

impl Buffer {
    pub fn new(options: Options, limits: Limits, now: Instant) -> Buffer {
        Buffer {
            aggregator: None,
            is_resharded: false,
            pace: options.is_paced.then(|| Pace::new(now)),
            failures: 0,
            paused_until: None,
            order: options.is_ordered.then(Order::default),
            // Keys and jitter come from different streams of numbers.
            random: fastrand::Rng::with_seed(options.seed ^ 0x6a69_7474_6572),
            options,
            limits,
            fresh: VecDeque::new(),
            fresh_bytes: 0,
            waiting: BTreeMap::new(),
            next_number: 0,
            closed: HashMap::new(),
            bytes: 0,
            lost: vec![],
            stats: Stats::default(),
        }
    }

    /// Whether more records may come. `most`: the records that wait, at most, in a writer with a pace. An open
    /// aggregate is none yet.
    pub fn has_room(&self, most: usize) -> bool {
        let behind = self.order.as_ref().map_or(0, Order::waiting);
        let waiting = self.fresh.len() + self.waiting.len() + behind;
        self.has_memory() && (!self.options.is_paced || waiting < most)
    }

    /// Whether there is memory for more records.
    pub fn has_memory(&self) -> bool {
        self.bytes < self.options.most_bytes
    }

    /// Takes a record.
    pub fn push(&mut self, record: Record) {
        let why = record.check(&self.limits).err();
        self.enter(record, why);
    }

    /// Takes a record that cannot be sent.
    pub fn reject(&mut self, record: Record, why: Why) {
        self.enter(record, Some(why));
    }

    fn enter(&mut self, record: Record, why: Option<Why>) {
        self.stats.attempted += 1;
        self.bytes += record.held_bytes();
        let pending = Pending::new(record);
        let turn = match (&mut self.order, why) {
            (Some(order), why) => order.enter(pending, why),
            (None, Some(why)) => Turn::Lost(pending, why),
            (None, None) => Turn::Go(pending),
        };
        match (turn, &mut self.aggregator) {
            (Turn::Go(pending), None) => self.add_fresh(pending),
            (Turn::Go(pending), Some(aggregator)) => {
                let ready = aggregator.add(pending.record);
                ready.into_iter().for_each(|ready| self.add_aggregate(ready));
            }
            (Turn::Wait, _) => {}
            (Turn::Lost(pending, why), _) => self.lose(pending, why),
        }
    }

    /// Collects records by these shards from now on.
    pub fn aggregate(&mut self, shards: Vec<Shard>) {
        self.is_resharded = false;
        match &mut self.aggregator {
            None => {
                let most = self.limits.record_bytes.min(self.limits.batch_bytes);
                self.aggregator = Some(Aggregator::new(shards, most, self.options.seed));
            }
            Some(aggregator) => {
                let closed = aggregator.set_shards(shards);
                closed.into_iter().for_each(|closed| self.add_aggregate(closed));
            }
        }
    }

    /// Whether [`Buffer::aggregate`] needs the shards of now.
    pub fn needs_shards(&self) -> bool {
        self.is_resharded
    }

    /// Waits for the next answer of a new shard.
    pub fn forget_reshard(&mut self) {
        self.is_resharded = false;
    }

    /// Takes a record that the aggregator gives back. Its parts are counted already.
    fn add_aggregate(&mut self, record: Record) {
        let parts: usize = record.parts.iter().map(Record::held_bytes).sum();
        self.bytes += if record.parts.is_empty() { 0 } else { record.held_bytes() - parts };
        self.add_fresh(Pending::new(record));
    }

    fn add_fresh(&mut self, pending: Pending) {
        self.fresh_bytes += pending.record.bytes();
        self.fresh.push_back(pending);
    }

    /// The most requests in flight: one while requests fail as a whole, so that few records use up their attempts.
    pub fn most_in_flight(&self) -> usize {
        if self.failures > 0 { 1 } else { self.options.most_in_flight }
    }

    /// The bytes of the next request, at most. Aggregates that it closes come on top.
    pub fn next_bytes(&self) -> usize {
        if self.fresh_bytes >= self.options.batch.max_bytes {
            return self.options.batch.max_bytes;
        }
        // The records that wait for a retry are few, or they fill a request.
        let waiting: usize = self.waiting.values().take(self.options.batch.size).map(|next| next.record.bytes()).sum();
        (self.fresh_bytes + waiting).min(self.options.batch.max_bytes)
    }

    /// When the time of a record is over whose first attempt is at this time.
    pub fn deadline(&self, first: Instant) -> Instant {
        after(first, self.options.ttl)
    }

    /// Whether aggregates that are not full go out: nothing else can.
    fn closes_aggregates(&self, flush: Flush) -> bool {
        flush == Flush::All || (flush == Flush::Full && self.fresh.is_empty() && self.waiting.is_empty())
    }

    /// The records of the next request, if one is due.
    pub fn next_request(&mut self, now: Instant, flush: Flush) -> Option<Request> {
        let closes = self.closes_aggregates(flush);
        if let Some(aggregator) = &mut self.aggregator {
            let wait = if closes { Duration::ZERO } else { self.options.batch.duration };
            let due = aggregator.due(now, wait);
            due.into_iter().for_each(|due| self.add_aggregate(due));
        }
        if self.wake_at(now, flush)? > now {
            return None;
        }
        let most = self.pace.as_mut().map_or(usize::MAX, |pace| pace.allowance(now)).min(self.options.batch.size);
        let most_bytes = self.options.batch.max_bytes;
        let mut request = Request { records: vec![], bytes: 0, most, most_bytes, failures_before: self.failures };
        let (deadline, late) = (self.deadline(now), self.options.late_after);
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            let pending = entry.get();
            let closed = pending.shard.as_ref().and_then(|shard| self.closed.get(shard)).filter(|until| **until > now);
            if let Some(until) = closed.copied().filter(|until| pending.deadline.is_none_or(|at| at > *until)) {
                let (_, number) = *entry.key();
                let pending = entry.remove();
                self.waiting.insert((until, number), pending);
                continue;
            }
            if !request.has_room(pending.record.bytes()) {
                break;
            }
            let pending = entry.remove();
            request.add(pending, deadline, &mut self.stats);
        }
        while let Some(pending) = self.fresh.pop_front_if(|next| request.has_room(next.record.bytes())) {
            self.fresh_bytes -= pending.record.bytes();
            self.stats.late += u64::from(now.saturating_duration_since(pending.record.born) > late);
            request.add(pending, deadline, &mut self.stats);
        }
        if request.records.is_empty() {
            return None;
        }
        if let Some(pace) = &mut self.pace {
            pace.spend(request.records.len());
        }
        self.stats.requests += 1;
        Some(request)
    }

    /// When the next request is due, if no record comes before. `None`: no record is here.
    pub fn wake_at(&self, now: Instant, flush: Flush) -> Option<Instant> {
        let batch = &self.options.batch;
        let is_full = self.fresh.len() >= batch.size || self.fresh_bytes >= batch.max_bytes;
        let goes_now = is_full || flush != Flush::No;
        let due = |oldest: &Pending| if goes_now { now } else { after(oldest.record.born, batch.duration) };
        let fresh = self.fresh.front().map(due);
        let retry = self.waiting.first_key_value().map(|((due, _), _)| *due);
        let aggregate = self.aggregator.as_ref().and_then(|aggregator| aggregator.next_due(batch.duration));
        let aggregate = aggregate.map(|due| if self.closes_aggregates(flush) { now } else { due });
        let due = fresh.into_iter().chain(retry).chain(aggregate).min()?;
        let ready = self.pace.as_ref().map_or(now, |pace| pace.ready_at(now));
        Some(due.max(ready).max(self.paused_until.unwrap_or(now)))
    }

    /// Loses a record, and with `--ordered` those behind it.
    fn lose_with_key(&mut self, pending: Pending, why: impl FnOnce(String) -> Why) {
        let behind = self.order.as_mut().map(|order| order.lost(&pending.record.key)).unwrap_or_default();
        let why = why(pending.last.as_ref().into());
        self.lose(pending, why);
        behind.into_iter().for_each(|(pending, why)| self.lose(pending, why));
    }

    /// Loses a record. The parts of an aggregate are lost one by one.
    fn lose(&mut self, mut pending: Pending, why: Why) {
        let parts = std::mem::take(&mut pending.record.parts);
        self.bytes -= pending.record.held_bytes();
        if !parts.is_empty() {
            let is_maybe_written = |part: &Record| pending.is_maybe_written || part.is_maybe_written;
            let part = |part| Pending { is_maybe_written: is_maybe_written(&part), record: part, ..pending.clone() };
            return parts.into_iter().map(part).for_each(|part| self.lose(part, why.clone()));
        }
        self.stats.lost += 1;
        self.stats.rejected += u64::from(why.is_rejected());
        self.stats.lost_maybe_written += u64::from(pending.is_maybe_written);
        let Pending { record, attempts, is_maybe_written, .. } = pending;
        self.lost.push(Lost { record, why, attempts, is_maybe_written });
    }

    /// The records that were lost since the last call.
    pub fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    /// Whether no record waits here.
    pub fn is_empty(&self) -> bool {
        let has_no_aggregate = self.aggregator.as_ref().is_none_or(Aggregator::is_empty);
        self.fresh.is_empty() && self.waiting.is_empty() && has_no_aggregate
    }

    /// Loses every record that waits here, in the order in which they came.
    pub fn give_up(&mut self, reason: &str) {
        let waiting = std::mem::take(&mut self.waiting).into_values();
        let fresh = std::mem::take(&mut self.fresh);
        let behind = self.order.as_mut().map(Order::take_all).unwrap_or_default();
        self.fresh_bytes = 0;
        let open = self.aggregator.as_mut().map(Aggregator::take_parts).unwrap_or_default();
        for pending in waiting.chain(fresh).chain(open.into_iter().map(Pending::new)) {
            self.lose(pending, Why::Stopped(reason.into()));
        }
        for (pending, why) in behind {
            self.lose(pending, why.unwrap_or_else(|| Why::Stopped(reason.into())));
        }
    }

    /// Loses the records of a request whose answer is not awaited any more.
    pub fn abandon(&mut self, request: Request, reason: &str) {
        self.stats.lost_replies += 1;
        for mut pending in request.records {
            pending.is_maybe_written = true;
            self.lose(pending, Why::Stopped(reason.into()));
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod slow_stream;
