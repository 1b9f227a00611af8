//! The fleet: the scheduled look that closes every loop. Events get lost, alarms fire once, and nobody tells us when a
//! change is done; so now and then the streams that need a look get one, and no other stream costs anything.

use crate::clients::Clients;
use crate::decide::{Due, due};
use crate::heal::{Error, Healer, Healing};
use crate::memory::TAG;
use crate::observe::{ReadError, fleet};
use crate::report::{Document, Outcome, metric};
use crate::signal::{Home, Signal, StreamArn};
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Serialize;
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, timeout};

/// A look reads a stream's tags, which AWS allows five times a second to a whole account: four leave one to the
/// invocations that a throttle wakes meanwhile. A look takes well under a second.
const PACE: Duration = Duration::from_millis(250);

/// Looks under way at once: more would be throttled, and fewer wait where one stream is slow.
const AT_ONCE: usize = 4;

/// The longest that a look may take, with its change and a person told. One that takes longer is given up, as if the process
/// had died: the next look ends what it began. No look begins that would have less time than this before the deadline.
pub const LONGEST_LOOK: Duration = Duration::from_secs(36);

/// How often a sweep that stays looks at what is under way: CloudWatch publishes once a minute.
pub const AGAIN_EVERY: Duration = Duration::from_secs(60);

/// To say what a sweep found and what is left.
const TO_ANSWER: Duration = Duration::from_secs(1);

/// What a sweep found and did.
#[derive(Debug, Serialize)]
pub struct SweepDocument {
    /// Of this format.
    pub version: u8,
    /// Always `swept`.
    pub outcome: &'static str,
    /// Streams that have raised a fleet alarm (throttled, or a reader far behind), or that a query shows throttled.
    pub throttled: usize,
    /// Fleet alarms that tell of no more streams, though more may have raised them.
    pub full_alarms: Vec<String>,
    /// Streams that carry a memory.
    pub remembered: usize,
    /// Those of them with something to verify, to check, to switch off or to take back.
    pub due: usize,
    /// Looks at streams.
    pub looked: usize,
    /// Those of them at a stream that was under way when it was looked at before.
    pub again: usize,
    /// Streams that were changed.
    pub changed: usize,
    /// Streams whose last change was found to have worked.
    pub healed: usize,
    /// What could not be read or done, and why. The others went on.
    pub failed: Vec<Failure>,
    /// Streams that need a look, for which there was no time: the next sweep finds them again.
    pub left: Vec<String>,
    /// Requests of the finding, retries included.
    pub finding_calls: u32,
    /// One for each look.
    pub decisions: Vec<Document>,
    /// For a person.
    pub sentence: String,
}

/// What failed in a sweep.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The stream, alarm or index.
    pub of: String,
    /// The stable code of the error.
    pub code: &'static str,
    /// What happened.
    pub error: String,
}

/// A sweep's document, and lines for the log that CloudWatch makes metrics of.
#[derive(Debug)]
pub struct Sweep {
    /// What it found and did.
    pub document: SweepDocument,
    /// Lines for the log.
    pub lines: Vec<Value>,
}

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

/// Looks at every stream that needs a look, and does what the look decides. `deadline`: when the function is stopped.
///
/// # Errors
/// No index of the fleet could be read. What fails for one stream is in the document, and stops no other.
pub async fn sweep(healer: &Healer, home: &Home, deadline: Instant) -> Result<Sweep, Error> {
    Sweeper::new(healer, home, deadline).sweep(None).await
}

/// The same, and stays: what is [under way](Healing::is_under_way) is looked at again each time that `every` has passed, as
/// long as there is time for it. [`AGAIN_EVERY`] is what the Lambda does.
///
/// # Errors
/// As [`sweep`].
pub async fn sweep_and_stay(healer: &Healer, home: &Home, deadline: Instant, every: Duration) -> Result<Sweep, Error> {
    Sweeper::new(healer, home, deadline).sweep(Some(every)).await
}

struct Sweeper<'a> {
    healer: &'a Healer,
    home: &'a Home,
    deadline: Instant,
    /// How many more changes it may make.
    changes: AtomicU32,
    pace: tokio::sync::Mutex<tokio::time::Interval>,
}

/// What came of some looks.
#[derive(Default)]
struct Looks {
    healings: Vec<(StreamArn, Healing)>,
    failed: Vec<Failure>,
    left: Vec<String>,
    /// How many of them were at a stream that had been looked at before.
    again: usize,
}

impl<'a> Sweeper<'a> {
    fn new(healer: &'a Healer, home: &'a Home, deadline: Instant) -> Sweeper<'a> {
        let mut pace = tokio::time::interval(PACE);
        // What slow looks were behind is not made up for: AWS counts each second for itself.
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let changes = AtomicU32::new(healer.policy().max_changes_per_sweep);
        Sweeper { healer, home, deadline, changes, pace: tokio::sync::Mutex::new(pace) }
    }

    async fn sweep(&self, every: Option<Duration>) -> Result<Sweep, Error> {
        let before = self.healer.clients().calls();
        let finding = find(self.healer, self.home, Utc::now());
        let time = self.deadline.saturating_duration_since(Instant::now() + TO_ANSWER);
        let mut found = timeout(time, finding).await.map_err(|_| Error::SweepTooSlow)??;
        let finding_calls = self.healer.clients().calls() - before;
        let mut begun = Instant::now();
        let mut looks = self.look(std::mem::take(&mut found.queue)).await;
        let mut under_way = under_way(&looks.healings);
        while let Some(every) = every
            && !under_way.is_empty()
            && !self.is_late(begun + every)
        {
            tokio::time::sleep_until((begun + every).into()).await;
            begun = Instant::now();
            let more = self.look(std::mem::take(&mut under_way)).await;
            looks.again += more.healings.len() + more.failed.len();
            under_way = self::under_way(&more.healings);
            looks.healings.extend(more.healings);
            looks.failed.extend(more.failed);
        }
        found.failed.append(&mut looks.failed);
        Ok(Sweep::new(found, looks, finding_calls, Utc::now()))
    }

    /// Whether a look that begins at `then` may end beyond the deadline.
    fn is_late(&self, then: Instant) -> bool {
        then + LONGEST_LOOK + TO_ANSWER > self.deadline
    }

    /// Looks at these streams, as far as there is time.
    async fn look(&self, queue: Vec<StreamArn>) -> Looks {
        let looks = stream::iter(queue).map(|stream| async {
            // Who will get no turn must not wait for it, or the many that are left would take the sweep beyond its deadline.
            if !self.is_late(Instant::now()) {
                self.pace.lock().await.tick().await;
            }
            if self.is_late(Instant::now()) {
                return (stream, None);
            }
            let signal = Signal::Sweep(stream.clone());
            let look = timeout(LONGEST_LOOK, self.healer.heal_within(&signal, self.home, Some(&self.changes))).await;
            let look = look.unwrap_or_else(|_| Err(Error::GivenUp { stream: stream.name.clone() }));
            (stream, Some(look))
        });
        let mut looks = std::pin::pin!(looks.buffer_unordered(AT_ONCE));
        let mut came = Looks::default();
        while let Some((stream, look)) = looks.next().await {
            match look {
                Some(Ok(healing)) => came.healings.push((stream, healing)),
                Some(Err(error)) => {
                    came.failed.push(Failure { of: stream.name, code: error.code(), error: error.to_string() });
                }
                None => came.left.push(stream.name),
            }
        }
        came
    }
}

fn under_way(healings: &[(StreamArn, Healing)]) -> Vec<StreamArn> {
    healings.iter().filter(|(_, healing)| healing.is_under_way()).map(|(stream, _)| stream.clone()).collect()
}

async fn find(healer: &Healer, home: &Home, now: DateTime<Utc>) -> Result<Found, Error> {
    let (clients, policy) = (healer.clients(), healer.policy());
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
    let due = tagged.into_iter().filter_map(|(arn, tags)| Some((due(&tags, policy, now)?, StreamArn::parse(&arn)?)));
    let mut due: Vec<(Due, StreamArn)> = due.filter(|(_, stream)| stream.home == *home).collect();
    due.sort_by_key(|(due, _)| *due);
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
                full.extend((names.len() >= fleet::MOST_CONTRIBUTORS).then(|| alarm.clone()));
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

impl Sweep {
    fn new(found: Found, looks: Looks, finding_calls: u32, now: DateTime<Utc>) -> Sweep {
        let Looks { healings, mut left, again, .. } = looks;
        left.sort_unstable();
        let of = |outcome| healings.iter().filter(|(_, healing)| healing.document.outcome == outcome).count();
        let (looked, changed, healed) = (healings.len(), of(Outcome::Acted), of(Outcome::Healed));
        let mut lines = vec![metric::swept(looked, found.failed.len(), left.len(), now)];
        let mut decisions = Vec::with_capacity(looked);
        for (_, healing) in healings {
            let Document { code, outcome, .. } = healing.document;
            lines.push(metric::looked(code, outcome.is_hold(), healing.needs_person, now));
            lines.extend(healing.lines);
            decisions.push(healing.document);
        }
        decisions.sort_by_key(|document| (Reverse(document.outcome == Outcome::Acted), name(document)));
        let Found { throttled, full_alarms, remembered, due, failed, is_charged, .. } = found;
        let mut document = SweepDocument {
            version: 1,
            outcome: "swept",
            throttled,
            full_alarms,
            remembered,
            due,
            looked,
            again,
            changed,
            healed,
            failed,
            left,
            finding_calls,
            decisions,
            sentence: String::new(),
        };
        document.sentence = document.sentence(is_charged);
        Sweep { document, lines }
    }
}

fn name(document: &Document) -> String {
    document.stream.as_ref().map(|stream| stream.name.clone()).unwrap_or_default()
}

impl SweepDocument {
    fn sentence(&self, is_charged: bool) -> String {
        let SweepDocument { throttled, remembered, due, looked, changed, healed, failed, left, .. } = self;
        let held_back = self.decisions.iter().filter(|document| document.code == "fleet_limit").count();
        let mut text = format!(
            "swept: in alarm {throttled}, memories due {due} of {remembered}; looked at {looked}, changed {changed}, \
             healed {healed}."
        );
        if self.again > 0 {
            text += &format!(" Of these looks, at changes under way: {}.", self.again);
        }
        if held_back > 0 {
            text += &format!(" Not changed, because you allow no more at once: {held_back} (the worst came first).");
        }
        if !self.full_alarms.is_empty() {
            text += &format!(
                " An alarm tells at most {} streams, so others may throttle: {}.",
                fleet::MOST_CONTRIBUTORS,
                self.full_alarms.join(", ")
            );
        }
        if !failed.is_empty() {
            let of: Vec<&str> = failed.iter().map(|failure| failure.of.as_str()).take(5).collect();
            text += &format!(" Failed: {} ({}).", failed.len(), of.join(", "));
        }
        if !left.is_empty() {
            text += &format!(" No time was left for {}: the next sweep finds them again.", left.len());
        }
        if is_charged {
            text += " No fleet alarm is set (UNTHROTTLE_FLEET_ALARMS), so CloudWatch was asked twice about every stream of \
                     the account, at about $0.01 for 1,000 streams each time.";
        }
        text
    }
}
