//! The fleet: the scheduled look that closes every loop. Events get lost, alarms fire once, and nobody tells us when a
//! change is done; so now and then the streams that need a look get one, and no other stream costs anything.

use crate::aws::read::fleet;
use crate::aws::{Clients, ReadError};
use crate::error::Error;
use crate::handler::{Handler, Reply};
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use futures_util::stream;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;
use unthrottle_core::decide::{Pending, pending};
use unthrottle_core::decision::Outcome;
use unthrottle_core::memory::TAG;
use unthrottle_core::report::{Document, Failure, Findings, MOST_CONTRIBUTORS, SweepDocument};
use unthrottle_core::signal::{Home, Signal, StreamArn};

/// A look reads a stream's tags, which AWS allows five times a second to a whole account: four leave one to the
/// invocations that a throttle wakes meanwhile. A look takes well under a second.
const PACE: Duration = Duration::from_millis(250);

/// Checks under way at once: more would be throttled, and fewer wait where one stream is slow.
pub const AT_ONCE: usize = 4;

/// The longest that a look may take, with its change and a person told. One that takes longer is given up, as if the process
/// had died: the next look ends what it began. No look begins that would have less time than this before the deadline.
pub const LONGEST_CHECK: Duration = Duration::from_secs(36);

/// How often a sweep that stays looks at what is under way: CloudWatch publishes once a minute.
pub const AGAIN_EVERY: Duration = Duration::from_secs(60);

/// To say what a sweep found and what is left.
const TO_ANSWER: Duration = Duration::from_secs(1);

/// What a sweep leaves of its time for a look: one that begins with less may end beyond the deadline.
const RESERVED: Duration = LONGEST_CHECK.saturating_add(TO_ANSWER);

/// The streams that need a look, the worst first.
struct Found {
    throttled: usize,
    full_alarms: Vec<String>,
    remembered: usize,
    due: usize,
    queue: Vec<StreamArn>,
    failed: Vec<Failure>,
    /// Whether throttled streams were found by a query that CloudWatch charges for.
    is_charged: bool,
}

/// When a sweep ends, whether it stays, and how many streams it looks at together.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// When the function is stopped. No look begins that could end later.
    pub deadline: DateTime<Utc>,
    /// How often the sweep looks again at what is [under way](unthrottle_core::decision::Verdict::is_under_way), as long as there is
    /// time. `None`: it does not stay. The Lambda's is [`AGAIN_EVERY`].
    pub again_every: Option<Duration>,
    /// How many looks are under way at once, at most; at least 1. The Lambda's is [`AT_ONCE`]. With more than one, a slow
    /// look can lose its place to a later one.
    pub at_once: usize,
}

impl Plan {
    /// A sweep that looks once, as fast as AWS's rates allow.
    pub fn until(deadline: DateTime<Utc>) -> Plan {
        Plan { deadline, again_every: None, at_once: AT_ONCE }
    }
}

/// Checks at every stream that needs a look, and does what the look decides. `each` is given what came of each look when it
/// ends, to log it.
///
/// # Errors
/// No index of the fleet could be read. What fails for one stream is in the document, and stops no other.
pub async fn sweep(
    handler: &Handler,
    home: &Home,
    plan: Plan,
    mut each: impl FnMut(&Reply),
) -> Result<SweepDocument, Error> {
    let Plan { deadline, again_every, at_once } = plan;
    let (before, clock) = (handler.clients().calls(), handler.clock());
    let time = (deadline - clock.now()).to_std().unwrap_or_default().saturating_sub(TO_ANSWER);
    let found = timeout(time, find(handler, home, clock.now())).await.map_err(|_| Error::SweepTooSlow)??;
    let finding_calls = handler.clients().calls() - before;
    let sweeper = Sweeper::new(handler, home, deadline, at_once);
    let (mut queue, mut all) = (found.queue.clone(), Checks::default());
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

struct Sweeper<'a> {
    handler: &'a Handler,
    home: &'a Home,
    deadline: DateTime<Utc>,
    at_once: usize,
    /// How many more streams it may change.
    changes: AtomicU32,
    /// When the next look may begin.
    next: Mutex<DateTime<Utc>>,
}

/// What came of the looks so far.
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
        Sweeper { handler, home, deadline, at_once: at_once.max(1), changes, next: Mutex::new(handler.clock().now()) }
    }

    /// Whether a look that begins at `then` may end beyond the deadline.
    fn is_late(&self, then: DateTime<Utc>) -> bool {
        then + RESERVED > self.deadline
    }

    /// Waits for the turn of the next look. What slow looks were behind is not made up for: AWS counts each second for
    /// itself.
    async fn take_turn(&self) {
        let mut next = self.next.lock().await;
        let clock = self.handler.clock();
        // At most a turn: the machine's time may have been set back since.
        clock.sleep_until((*next).min(clock.now() + PACE)).await;
        *next = clock.now() + PACE;
    }

    /// Checks at these streams, as far as there is time. Gives those that are under way.
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
                    all.failed.push(Failure { of: stream.name, code: error.code(), error: error.to_string() });
                }
                // What was looked at before is not left.
                None if all.has_seen(&stream) => {}
                None => all.left.push(stream.name),
            }
        }
        under_way
    }

    /// Checks at a stream, unless it is too late. One that this sweep has changed counts against its bound already.
    async fn check_one(
        &self,
        stream: StreamArn,
        changed: &BTreeSet<StreamArn>,
    ) -> (StreamArn, Option<Result<Reply, Error>>) {
        // Who will get no turn must not wait for it, or the many that are left would take the sweep beyond its deadline.
        if !self.is_late(self.handler.clock().now()) {
            self.take_turn().await;
        }
        if self.is_late(self.handler.clock().now()) {
            return (stream, None);
        }
        let signal = Signal::Sweep(stream.clone());
        let changes = (!changed.contains(&stream)).then_some(&self.changes);
        let check = timeout(LONGEST_CHECK, self.handler.run_in_sweep(&signal, self.home, changes)).await;
        let check = check.unwrap_or_else(|_| Err(Error::GivenUp { stream: stream.name.clone() }));
        (stream, Some(check))
    }
}

async fn find(handler: &Handler, home: &Home, now: DateTime<Utc>) -> Result<Found, Error> {
    let (clients, policy) = (handler.clients(), handler.policy());
    let (mut failed, mut full_alarms) = (vec![], vec![]);
    let (throttled, tagged) = tokio::join!(
        throttled(clients, &policy.fleet_alarms, now, &mut failed, &mut full_alarms),
        fleet::tagged(clients, TAG)
    );
    // Streams were found: then only their order is not known.
    let is_blind = throttled.is_empty() && failed.len() >= policy.fleet_alarms.len().max(1);
    let tagged = match tagged {
        Ok(tagged) => tagged,
        Err(error) if is_blind => return Err(error.into()),
        Err(error) => {
            failed.push(failure("memories", &error));
            vec![]
        }
    };
    let remembered = tagged.len();
    let remembering =
        tagged.into_iter().filter_map(|(arn, tags)| Some((pending(&tags, policy, now)?, StreamArn::parse(&arn)?)));
    let mut due: Vec<(Pending, StreamArn)> = remembering.filter(|(_, stream)| stream.home == *home).collect();
    due.sort_by_key(|(pending, _)| *pending);
    let mut worst: Vec<(StreamArn, f64)> =
        throttled.iter().filter_map(|(name, refused)| Some((StreamArn::new(name, home)?, *refused))).collect();
    worst.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let mut queue: Vec<StreamArn> = worst.into_iter().map(|(stream, _)| stream).collect();
    let known = queue.len();
    queue.extend(due.iter().map(|(_, stream)| stream.clone()));
    let mut seen = std::collections::HashSet::new();
    queue.retain(|stream| seen.insert(stream.clone()));
    let is_charged = policy.fleet_alarms.is_empty();
    Ok(Found { throttled: known, full_alarms, remembered, due: due.len(), queue, failed, is_charged })
}

/// The throttled streams, and how much each refused where that matters.
async fn throttled(
    clients: &Clients,
    alarms: &[String],
    now: DateTime<Utc>,
    failed: &mut Vec<Failure>,
    full: &mut Vec<String>,
) -> BTreeMap<String, f64> {
    let mut streams = BTreeMap::new();
    if alarms.is_empty() {
        return fleet::queried(clients, now).await.unwrap_or_else(|error| {
            failed.push(failure("metrics of the fleet", &error));
            streams
        });
    }
    for alarm in alarms {
        match fleet::contributors(clients, alarm).await {
            Ok(names) => {
                full.extend((names.len() >= MOST_CONTRIBUTORS).then(|| alarm.clone()));
                streams.extend(names.into_iter().map(|name| (name, 0.0)));
            }
            Err(error) => failed.push(failure(alarm, &error)),
        }
    }
    let names: Vec<String> = streams.keys().cloned().collect();
    if names.len() > 1 {
        // Without an order any of them comes first: that is no reason to look at none.
        match fleet::severities(clients, &names, now).await {
            Ok(refused) => streams.iter_mut().for_each(|(name, n)| *n = refused.get(name).copied().unwrap_or_default()),
            Err(error) => failed.push(failure("order of the throttled streams", &error)),
        }
    }
    streams
}

fn failure(of: &str, error: &ReadError) -> Failure {
    Failure { of: of.into(), code: "read_failed", error: error.to_string() }
}

fn document(found: Found, checks: Checks, finding_calls: u32) -> SweepDocument {
    let Found { throttled, full_alarms, remembered, due, mut failed, is_charged, .. } = found;
    let Checks { decisions, failed: failed_checks, left, changed } = checks;
    failed.extend(failed_checks);
    let changed = changed.into_iter().map(|stream| stream.name).collect();
    SweepDocument::new(Findings {
        throttled,
        full_alarms,
        remembered,
        due,
        failed,
        is_charged,
        decisions,
        left,
        changed,
        finding_calls,
    })
}
