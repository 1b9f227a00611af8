//! The sweep: a scheduled check of the streams that need one. Events get lost, an alarm fires once, and no event says
//! that a change is done. The sweep finds these streams in a few calls, so the other streams cost nothing.

mod find;

use crate::error::Error;
use crate::handler::{Handler, Reply};
use chrono::{DateTime, Utc};
use find::{Found, find};
use futures_util::StreamExt as _;
use futures_util::stream;
use std::collections::BTreeSet;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;
use unthrottle_core::decision::Outcome;
use unthrottle_core::observation::Supported;
use unthrottle_core::report::{Document, Failure, Findings, SweepDocument};
use unthrottle_core::signal::{Home, Signal, StreamArn};

/// The time from one check to the next. A check reads a stream's tags, which AWS allows five times a second to a whole
/// account. Four checks a second leave one call to the invocations that a throttle wakes meanwhile.
const PACE: Duration = Duration::from_millis(250);

/// Checks under way at once. With more, AWS would throttle the calls; with fewer, one slow stream holds up the others.
pub const AT_ONCE: usize = 4;

/// The longest that a check may take, with its change and its message. The sweep gives up a longer one, as if the
/// process had died: the next check finishes it. No check begins that has less time than this before the deadline.
pub const LONGEST_CHECK: Duration = Duration::from_secs(36);

/// How often a sweep that stays checks the streams whose change is under way. CloudWatch publishes once a minute, at
/// any second of it, and AWS ends a reshard at any second. With less time, a check would cost more than the seconds
/// that it saves; with more, a stream would refuse records while it waits for its next step.
pub const AGAIN_EVERY: Duration = Duration::from_secs(15);

/// The time that a sweep needs for its answer.
const TO_ANSWER: Duration = Duration::from_secs(1);

/// A check that begins with less time than this may end beyond the deadline.
const RESERVED: Duration = LONGEST_CHECK.saturating_add(TO_ANSWER);

/// When a sweep ends, whether it stays, and how many streams it checks together.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// When Lambda stops the function. No check begins that could end later.
    pub deadline: DateTime<Utc>,
    /// How often the sweep checks again the streams whose change is
    /// [under way](unthrottle_core::decision::Decision::is_under_way). `None`: the sweep does not stay. The Lambda's is
    /// [`AGAIN_EVERY`].
    pub again_every: Option<Duration>,
    /// When the next sweep begins. This sweep leaves its streams to that one from then on. `None`: unknown.
    pub next_sweep: Option<DateTime<Utc>>,
    /// How many checks are under way at once, at most; at least 1. The Lambda's is [`AT_ONCE`]. With more than one, a
    /// later check can end before a slow one.
    pub at_once: usize,
}

impl Plan {
    /// A sweep that checks each stream once, as fast as AWS's rates allow.
    pub fn until(deadline: DateTime<Utc>) -> Plan {
        Plan { deadline, again_every: None, next_sweep: None, at_once: AT_ONCE }
    }
}

/// Checks every stream that needs it, and changes it where the check decides so. `each` gets the reply of each check
/// when the check ends, to log it.
///
/// # Errors
/// No index of the fleet could be read. A failure of one stream is in the document, and stops no other stream.
pub async fn sweep(
    handler: &Handler,
    home: &Home,
    plan: Plan,
    mut each: impl FnMut(&Reply),
) -> Result<SweepDocument, Error> {
    let Plan { deadline, again_every, next_sweep, at_once } = plan;
    let (before, clock) = (handler.clients().calls(), handler.clock());
    let begun = clock.now();
    let time = (deadline - clock.now()).to_std().unwrap_or_default().saturating_sub(TO_ANSWER);
    let found =
        timeout(time, find(handler, home, clock.now(), next_sweep)).await.map_err(|_| Error::SweepTooSlow)??;
    let finding_calls = handler.clients().calls() - before;
    let sweeper = Sweeper { supported: found.supported, next_sweep, ..Sweeper::new(handler, home, deadline, at_once) };
    let (mut queue, mut all) = (found.queue.clone(), Checks::default());
    take_turns(&mut queue, begun, next_sweep);
    loop {
        let begun = clock.now();
        queue = sweeper.check(queue, &mut all, &mut each).await;
        match again_every.map(|every| (begun + every).max(clock.now())) {
            Some(next) if !queue.is_empty() && !sweeper.is_late(next) => clock.sleep_until(next).await,
            _ => break,
        }
    }
    Ok(document(found, all, finding_calls))
}

/// Where the next sweep begins before all of `queue` is checked, each sweep begins with other streams: the same ones
/// would be the worst each time, and the last ones would get no check.
fn take_turns<T>(queue: &mut [T], begun: DateTime<Utc>, next_sweep: Option<DateTime<Utc>>) {
    let Some(time) = next_sweep.and_then(|next| (next - begun).to_std().ok()) else { return };
    // The next sweep is a whole number of seconds away, less the time since the event. A shorter period would count
    // sweeps that do not begin, and skip streams.
    let period = Duration::from_secs(time.as_secs_f64().round().max(1.0) as u64);
    let checks = (period.as_millis() / PACE.as_millis()).max(1) as usize;
    if queue.len() > checks {
        queue.rotate_left(turn(begun.timestamp().unsigned_abs() / period.as_secs(), queue.len()));
    }
}

/// The place in a queue of `length` where a sweep begins. From one sweep to the next the place moves on by the golden
/// section of the queue. Slow calls leave a sweep fewer checks than its pace allows. Steps of a fixed number would then
/// skip the same streams each time. With the golden section, no stream waits for more than twice as many sweeps as its
/// queue needs, whatever the number of checks (the three-gap theorem: of n places, no two neighbours are more than
/// 1.9/n apart).
fn turn(sweep: u64, length: usize) -> usize {
    // 2^64 times the golden section, as a fixed-point fraction.
    const SECTION: u64 = 0x9E37_79B9_7F4A_7C15;
    let fraction = u128::from(sweep.wrapping_mul(SECTION));
    ((fraction * length as u128) >> 64) as usize
}

struct Sweeper<'a> {
    handler: &'a Handler,
    home: &'a Home,
    deadline: DateTime<Utc>,
    next_sweep: Option<DateTime<Utc>>,
    at_once: usize,
    /// How many more streams it may change.
    changes: AtomicU32,
    /// The changes that the tags of all streams showed at the beginning. `None`: they could not be read.
    supported: Option<Supported>,
    /// When the next check may begin.
    next: Mutex<DateTime<Utc>>,
}

/// What the checks came to so far.
#[derive(Default)]
struct Checks {
    decisions: Vec<Document>,
    failed: Vec<Failure>,
    left: Vec<String>,
    /// Streams that were changed.
    changed: BTreeSet<StreamArn>,
}

impl Checks {
    fn has_seen(&self, stream: &StreamArn) -> bool {
        let is_it = |document: &Document| document.stream.as_ref().is_some_and(|seen| seen.name == stream.name);
        self.decisions.iter().any(is_it)
    }
}

impl<'a> Sweeper<'a> {
    fn new(handler: &'a Handler, home: &'a Home, deadline: DateTime<Utc>, at_once: usize) -> Sweeper<'a> {
        let changes = AtomicU32::new(handler.policy().max_changes_per_sweep);
        let next = Mutex::new(handler.clock().now());
        Sweeper { handler, home, deadline, next_sweep: None, at_once: at_once.max(1), changes, supported: None, next }
    }

    /// Whether a check that begins at `then` may end beyond the deadline, or is the next sweep's.
    fn is_late(&self, then: DateTime<Utc>) -> bool {
        then + RESERVED > self.deadline || self.next_sweep.is_some_and(|next| then >= next)
    }

    /// Waits for the turn of the next check. A sweep does not catch up after slow checks: AWS counts each second for
    /// itself.
    async fn take_turn(&self) {
        let mut next = self.next.lock().await;
        let clock = self.handler.clock();
        // At most one turn, since the machine's time may have been set back.
        clock.sleep_until((*next).min(clock.now() + PACE)).await;
        *next = clock.now() + PACE;
    }

    /// Checks these streams while there is time. Gives the streams whose change is under way.
    async fn check(&self, queue: Vec<StreamArn>, all: &mut Checks, each: &mut impl FnMut(&Reply)) -> Vec<StreamArn> {
        let changed = all.changed.clone();
        let mut checks =
            stream::iter(queue).map(|stream| self.check_one(stream, &changed)).buffer_unordered(self.at_once);
        let mut under_way = vec![];
        while let Some((stream, check)) = checks.next().await {
            match check {
                Some(Ok(reply)) => {
                    each(&reply);
                    if reply.document.outcome == Outcome::Acted {
                        all.changed.insert(stream.clone());
                    }
                    if reply.decision.is_under_way() {
                        under_way.push(stream);
                    }
                    all.decisions.push(reply.document);
                }
                Some(Err(error)) => {
                    let (code, denied) = (error.code(), error.denied());
                    all.failed.push(Failure { of: stream.name, code, error: error.to_string(), denied });
                }
                // A stream that was checked before is not left.
                None if all.has_seen(&stream) => {}
                None => all.left.push(stream.name),
            }
        }
        under_way
    }

    /// Checks a stream, unless it is too late. A stream that this sweep has changed counts against the bound already.
    async fn check_one(
        &self,
        stream: StreamArn,
        changed: &BTreeSet<StreamArn>,
    ) -> (StreamArn, Option<Result<Reply, Error>>) {
        // A stream that gets no turn must not wait for one: the waits would take the sweep beyond its deadline.
        if !self.is_late(self.handler.clock().now()) {
            self.take_turn().await;
        }
        if self.is_late(self.handler.clock().now()) {
            return (stream, None);
        }
        let signal = Signal::Sweep(stream.clone());
        let changes = (!changed.contains(&stream)).then_some(&self.changes);
        let run = self.handler.run_in_sweep(&signal, self.home, changes, self.supported);
        let check = timeout(LONGEST_CHECK, run).await;
        let check = check.unwrap_or_else(|_| Err(Error::GivenUp { stream: stream.name.clone() }));
        (stream, Some(check))
    }
}

fn document(found: Found, checks: Checks, finding_calls: u32) -> SweepDocument {
    let Found { throttled, full_alarms, remembered, due, mut failed, queried, .. } = found;
    let Checks { decisions, failed: failed_checks, left, changed } = checks;
    failed.extend(failed_checks);
    let changed = changed.into_iter().map(|stream| stream.name).collect();
    SweepDocument::new(Findings {
        throttled,
        full_alarms,
        remembered,
        due,
        failed,
        queried,
        decisions,
        left,
        changed,
        finding_calls,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most sweeps in a row in which a stream of a queue gets no check. `checks`: what each sweep gets done.
    fn longest_wait(length: usize, checks: usize, sweeps: u64) -> u64 {
        let first = 1_795_176_000 / 60;
        let (mut last, mut longest) = (vec![first; length], 0);
        for sweep in first..first + sweeps {
            let begun = DateTime::from_timestamp(60 * sweep as i64, 0).expect("in range");
            let mut queue: Vec<usize> = (0..length).collect();
            take_turns(&mut queue, begun, Some(begun + Duration::from_secs(60) - Duration::from_micros(30)));
            for stream in &queue[..checks] {
                longest = longest.max(sweep - last[*stream]);
                last[*stream] = sweep;
            }
        }
        let never = last.into_iter().map(|last| first + sweeps - last).max().unwrap_or_default();
        longest.max(never)
    }

    #[test]
    fn no_stream_waits_for_more_than_twice_the_sweeps_that_its_queue_needs() {
        for length in [241_usize, 360, 479, 480, 481, 720, 1000, 2400] {
            for checks in [20, 80, 119, 200, 236, 239, 240] {
                let needed = length.div_ceil(checks) as u64;
                let wait = longest_wait(length, checks, 4 * needed + 4);
                assert!(wait <= 2 * needed, "{length} streams, {checks} checks a sweep: {wait} of {needed} sweeps");
            }
        }
    }

    #[test]
    fn a_queue_that_one_sweep_checks_keeps_its_order() {
        let begun = DateTime::from_timestamp(1_795_176_000, 0).expect("in range");
        let mut queue: Vec<usize> = (0..240).collect();
        take_turns(&mut queue, begun, Some(begun + Duration::from_secs(60) - Duration::from_micros(30)));
        assert!(queue.is_sorted());
    }
}
