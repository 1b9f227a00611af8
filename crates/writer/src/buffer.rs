//! Which records the next request has, and what an answer means for them.

use crate::aggregate::{Aggregator, Shard};
use crate::options::Options;
use crate::order::{Order, Turn};
use crate::pace::Pace;
use crate::pending::Pending;
use crate::record::{Key, Limits, Lost, Record, Why};
use crate::request::{Answer, Fate, Request};
use crate::stats::Stats;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

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
    closed: HashMap<String, Instant>,
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

    /// Whether more records may come. `most`: records that a writer with a pace has at the same time.
    pub fn has_room(&self, most: usize) -> bool {
        let records = self.stats.attempted - self.stats.accepted - self.stats.lost;
        self.bytes < self.options.most_bytes && (!self.options.is_paced || records < most as u64)
    }

    /// Takes a record.
    pub fn push(&mut self, record: Record) {
        self.stats.attempted += 1;
        self.bytes += record.bytes();
        if let Err(why) = record.check(&self.limits) {
            return self.lose(Pending::new(record), why);
        }
        if let Some(aggregator) = &mut self.aggregator {
            let ready = aggregator.add(record);
            return ready.into_iter().for_each(|ready| self.add_aggregate(ready));
        }
        let pending = Pending::new(record);
        match &mut self.order {
            None => self.add_fresh(pending),
            Some(order) => match order.enter(pending) {
                Turn::Go(pending) => self.add_fresh(pending),
                Turn::Wait => {}
                Turn::Broken(pending) => self.lose(pending, Why::AfterLost),
            },
        }
    }

    /// Takes a record that cannot be sent.
    pub fn reject(&mut self, record: Record, why: Why) {
        self.stats.attempted += 1;
        self.bytes += record.bytes();
        self.lose(Pending::new(record), why);
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
        if !record.parts.is_empty() {
            self.bytes += record.bytes();
        }
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

    /// The records of the next request, if one is due. `flush`: no more records come.
    pub fn next_request(&mut self, now: Instant, flush: bool) -> Option<Request> {
        if let Some(aggregator) = &mut self.aggregator {
            let wait = if flush { Duration::ZERO } else { self.options.batch.duration };
            let due = aggregator.due(now, wait);
            due.into_iter().for_each(|due| self.add_aggregate(due));
        }
        if self.wake_at(now, flush)? > now {
            return None;
        }
        let most = self.pace.as_mut().map_or(usize::MAX, |pace| pace.allowance(now)).min(self.options.batch.size);
        let most_bytes = self.options.batch.max_bytes;
        let mut request = Request { records: vec![], bytes: 0, most, most_bytes, failures_before: self.failures };
        let (deadline, late) = (now + self.options.ttl, self.options.late_after);
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

    /// When the next request is due, if no record comes before. `None`: no record is here. `flush`: no more records
    /// come.
    pub fn wake_at(&self, now: Instant, flush: bool) -> Option<Instant> {
        let batch = &self.options.batch;
        let is_full = self.fresh.len() >= batch.size || self.fresh_bytes >= batch.max_bytes;
        let fresh =
            self.fresh.front().map(|oldest| if is_full || flush { now } else { oldest.record.born + batch.duration });
        let retry = self.waiting.first_key_value().map(|((due, _), _)| *due);
        let aggregate = self.aggregator.as_ref().and_then(|aggregator| aggregator.next_due(batch.duration));
        let aggregate = aggregate.map(|due| if flush { now } else { due });
        let due = fresh.into_iter().chain(retry).chain(aggregate).min()?;
        let ready = self.pace.as_ref().map_or(now, |pace| pace.ready_at(now));
        Some(due.max(ready).max(self.paused_until.unwrap_or(now)))
    }

    /// What an answer means for the records of its request.
    pub fn settle(&mut self, request: Request, answer: Answer, now: Instant) {
        let count = request.records.len();
        let fates = match answer {
            Answer::Records(fates) if fates.len() == count => fates,
            Answer::Records(fates) => {
                let cause = format!("an answer with {} results for {count} records", fates.len());
                return self.settle_all(request, now, &cause, true);
            }
            Answer::NotDone(cause) => return self.settle_all(request, now, &cause, false),
            Answer::Unknown(cause) => return self.settle_all(request, now, &cause, true),
            Answer::Fatal(cause) => {
                let lose = |pending| self.lose(pending, Why::Stopped(cause.clone()));
                return request.records.into_iter().for_each(lose);
            }
        };
        if fates.contains(&Fate::Unknown) {
            self.stats.lost_replies += 1;
        }
        (self.failures, self.paused_until) = (0, None);
        if let Some(pace) = &mut self.pace {
            let accepted = fates.iter().filter(|fate| matches!(fate, Fate::Accepted { .. })).count();
            let refused = fates.iter().filter(|fate| matches!(fate, Fate::Refused { .. })).count();
            pace.learn(accepted as u64, refused as u64, now);
        }
        let waits = self.waits_by_shard(&request, &fates, now);
        for (mut pending, fate) in request.records.into_iter().zip(fates) {
            match fate {
                Fate::Accepted { shard } => {
                    self.is_resharded |= self.aggregator.as_ref().is_some_and(|known| !known.knows(&shard));
                    self.accept(pending, now);
                }
                Fate::Never { cause } => self.lose_with_key(pending, |_| Why::Refused(cause)),
                Fate::Refused { shard, cause } => {
                    self.stats.refuse(shard.as_deref(), pending.record.count());
                    let due = waits.get(&shard).copied().unwrap_or(now);
                    // A random key is drawn anew, and then goes to any shard.
                    pending.shard = shard.filter(|_| pending.record.key != Key::Random);
                    self.try_again(pending, due, &cause, now);
                }
                Fate::Unknown => {
                    pending.is_maybe_written = true;
                    let due = now + self.wait_after(pending.attempts);
                    self.try_again(pending, due, "an answer without a result for the record", now);
                }
            }
        }
    }

    /// The same for all records: the request failed as a whole.
    fn settle_all(&mut self, request: Request, now: Instant, cause: &str, is_maybe_written: bool) {
        self.stats.lost_replies += u64::from(is_maybe_written);
        // Requests that were in flight together and fail together are one failure.
        self.failures = self.failures.max(request.failures_before + 1);
        self.stats.failed_requests += 1;
        let due = now + self.wait_after(self.failures);
        self.paused_until = Some(due);
        for mut pending in request.records {
            pending.is_maybe_written |= is_maybe_written;
            self.try_again(pending, due, cause, now);
        }
    }

    /// One wait for the records that a shard refused in an answer. A shard that accepted none of them is closed for
    /// that time.
    fn waits_by_shard(&mut self, request: &Request, fates: &[Fate], now: Instant) -> HashMap<Option<String>, Instant> {
        let mut attempts = HashMap::<Option<String>, u32>::new();
        for (pending, fate) in request.records.iter().zip(fates) {
            if let Fate::Refused { shard, .. } = fate {
                let most = attempts.entry(shard.clone()).or_default();
                *most = pending.attempts.max(*most);
            }
        }
        // In an order that does not change from run to run: each wait draws a random number.
        let attempts: BTreeMap<_, _> = attempts.into_iter().collect();
        let waits: HashMap<_, _> =
            attempts.into_iter().map(|(shard, attempts)| (shard, now + self.wait_after(attempts))).collect();
        self.closed.retain(|_, until| *until > now);
        for (shard, until) in &waits {
            let accepts = |fate: &Fate| matches!(fate, Fate::Accepted { shard: of } if Some(of) == shard.as_ref());
            if let Some(shard) = shard
                && !fates.iter().any(accepts)
            {
                self.closed.insert(shard.clone(), *until);
            }
        }
        waits
    }

    /// A random part of the longest wait ("full jitter").
    fn wait_after(&mut self, attempts: u32) -> Duration {
        self.options.retry.longest_wait(attempts).mul_f64(self.random.f64())
    }

    fn try_again(&mut self, mut pending: Pending, due: Instant, cause: &str, now: Instant) {
        cause.clone_into(&mut pending.last);
        let deadline = pending.deadline.unwrap_or(now);
        if pending.attempts > self.options.retry.max_retries {
            self.lose_with_key(pending, Why::Retries);
        } else if deadline <= now {
            self.lose_with_key(pending, Why::Deadline);
        } else {
            // The last attempt is at the deadline.
            self.waiting.insert((due.min(deadline), self.next_number), pending);
            self.next_number += 1;
        }
    }

    fn accept(&mut self, pending: Pending, now: Instant) {
        self.bytes -= pending.record.held_bytes();
        let record = std::slice::from_ref(&pending.record);
        for part in if pending.record.parts.is_empty() { record } else { &pending.record.parts } {
            self.stats.accept(part.bytes(), now.saturating_duration_since(part.born));
        }
        if let Some(next) = self.order.as_mut().and_then(|order| order.accepted(&pending.record.key)) {
            self.add_fresh(next);
        }
    }

    /// Loses a record, and with `--ordered` those behind it.
    fn lose_with_key(&mut self, pending: Pending, why: impl FnOnce(String) -> Why) {
        let behind = self.order.as_mut().map(|order| order.lost(&pending.record.key)).unwrap_or_default();
        let why = why(pending.last.clone());
        self.lose(pending, why);
        behind.into_iter().for_each(|pending| self.lose(pending, Why::AfterLost));
    }

    /// Loses a record. The parts of an aggregate are lost one by one.
    fn lose(&mut self, mut pending: Pending, why: Why) {
        let parts = std::mem::take(&mut pending.record.parts);
        self.bytes -= pending.record.bytes();
        if !parts.is_empty() {
            let part = |record| Pending { record, ..pending.clone() };
            return parts.into_iter().map(part).for_each(|part| self.lose(part, why.clone()));
        }
        self.stats.lost += 1;
        self.stats.rejected += u64::from(matches!(why, Why::Rejected(_) | Why::TooLong(_)));
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
        for pending in waiting.chain(fresh).chain(behind).chain(open.into_iter().map(Pending::new)) {
            self.lose(pending, Why::Stopped(reason.into()));
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
