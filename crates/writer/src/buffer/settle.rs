//! What an answer means for the records of its request.

use super::Buffer;
use crate::pending::Pending;
use crate::record::{Key, Why};
use crate::request::{Answer, Fate, Request};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a request failed as a whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// AWS has no byte of it. That is no attempt: an outage of the network must not use up the attempts of a record.
    NotSent,
    /// AWS refused it.
    NotDone,
    /// AWS may have carried it out.
    Unknown,
}

/// Texts of an answer, each once in memory: thousands of records may have the same.
#[derive(Default)]
struct Texts(HashSet<Arc<str>>);

impl Texts {
    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.0.insert(new.clone());
        new
    }
}

impl Buffer {
    /// What an answer means for the records of its request.
    pub fn settle(&mut self, request: Request, answer: Answer, now: Instant) {
        let count = request.records.len();
        let fates = match answer {
            Answer::Records(fates) if fates.len() == count => fates,
            Answer::Records(fates) => {
                let cause = format!("an answer with {} results for {count} records", fates.len());
                return self.settle_all(request, now, &cause, Failure::Unknown);
            }
            Answer::NotSent(cause) => return self.settle_all(request, now, &cause, Failure::NotSent),
            Answer::NotDone(cause) => return self.settle_all(request, now, &cause, Failure::NotDone),
            Answer::Unknown(cause) => return self.settle_all(request, now, &cause, Failure::Unknown),
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
        let mut texts = Texts::default();
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
                    let keeps_key = pending.record.key != Key::Random;
                    pending.shard = shard.filter(|_| keeps_key).map(|shard| texts.shared(&shard));
                    self.try_again(pending, due, texts.shared(&cause), now);
                }
                Fate::Unknown => {
                    pending.is_maybe_written = true;
                    let due = now + self.wait_after(pending.attempts);
                    let cause = texts.shared("an answer without a result for the record");
                    self.try_again(pending, due, cause, now);
                }
            }
        }
    }

    /// The same for all records: the request failed as a whole.
    fn settle_all(&mut self, request: Request, now: Instant, cause: &str, failure: Failure) {
        self.stats.lost_replies += u64::from(failure == Failure::Unknown);
        // Requests that were in flight together and fail together are one failure.
        self.failures = self.failures.max(request.failures_before + 1);
        self.stats.failed_requests += 1;
        let due = now + self.wait_after(self.failures);
        self.paused_until = Some(due);
        let cause: Arc<str> = cause.into();
        for mut pending in request.records {
            pending.is_maybe_written |= failure == Failure::Unknown;
            pending.attempts -= u32::from(failure == Failure::NotSent);
            self.try_again(pending, due, cause.clone(), now);
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
                self.closed.insert(shard.as_str().into(), *until);
            }
        }
        waits
    }

    /// A random part of the longest wait ("full jitter").
    pub fn wait_after(&mut self, attempts: u32) -> Duration {
        self.options.retry.longest_wait(attempts).mul_f64(self.random.f64())
    }

    fn try_again(&mut self, mut pending: Pending, due: Instant, cause: Arc<str>, now: Instant) {
        pending.last = cause;
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
        if let Some(order) = &mut self.order {
            let (next, lost) = order.accepted(&pending.record.key);
            next.into_iter().for_each(|next| self.add_fresh(next));
            lost.into_iter().for_each(|(pending, why)| self.lose(pending, why));
        }
    }
}
