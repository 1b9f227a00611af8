//! The fleet on the wire: sweeps that find, verify and restore, people who are told, and what holds when a process dies
//! or a memory is lost. A local account, real SDK clients, the handler that the Lambda runs, and the two binaries.
//!
//! The clock of the account stands until a test moves it. Tests with one of the binaries have an account on the machine's
//! clock, the only one that a binary knows.

#[path = "common/aws.rs"]
mod aws;
#[path = "common/lambda.rs"]
mod lambda;

use aws::{Aws, STREAM, STREAM_ARN, noon, sample};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use lambda::Container;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use unthrottle::Error;
use unthrottle::aws::Clients;
use unthrottle::handler::{Handler, Reply};
use unthrottle::sweep::{LONGEST_CHECK, Plan, SweepDocument, sweep};
use unthrottle_core::clock;
use unthrottle_core::decision::Outcome;
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG};
use unthrottle_core::policy::{Mode, Policy};
use unthrottle_core::report::metric;
use unthrottle_core::signal::Home;
use unthrottle_lab::local::{Clock, Effect, Fault, LocalAccount, Options};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:notices";
const ALARMS: [(&str, &str); 2] =
    [("writes", "WriteProvisionedThroughputExceeded"), ("reads", "ReadProvisionedThroughputExceeded")];

/// Longer than any look may take.
const LONG: Duration = Duration::from_secs(600);

const PER_SHARD: f64 = 1000.0;
const RECORD_BYTES: f64 = 100.0;

// ---- The stage ----

struct Stage {
    account: LocalAccount,
    aws: Aws,
    policy: Policy,
    /// The newest minute of the epoch in which each stream was offered something.
    offered: Mutex<BTreeMap<String, i64>>,
}

/// An account whose clock stands at noon.
fn still() -> Options {
    Options { clock: Clock::standing_at(noon()), ..Options::default() }
}

/// An account on the machine's clock. A change takes until it is finished: no test depends on how fast it comes to look.
fn live() -> Options {
    Options { update_time: Duration::from_secs(3600), ..Options::default() }
}

impl Stage {
    /// An account without streams, with the two fleet alarms.
    async fn empty(options: Options) -> Stage {
        let account = LocalAccount::start(options).await.expect("a free port");
        ALARMS.iter().for_each(|(name, metric)| account.add_fleet_alarm(name, metric));
        let fleet_alarms = ALARMS.iter().map(|(name, _)| (*name).to_owned()).collect();
        let policy = Policy { fleet_alarms, ..Policy::default() };
        Stage { aws: Aws::of(&account), account, policy, offered: Mutex::default() }
    }

    /// The same with one stream, which is offered so many records a second since so many minutes.
    async fn under(per_second: f64, shards: u32, minutes: i64) -> Stage {
        Stage::on(still(), per_second, shards, minutes).await
    }

    async fn on(options: Options, per_second: f64, shards: u32, minutes: i64) -> Stage {
        let stage = Stage::empty(options).await;
        stage.account.add_streams([STREAM.into()], shards, &[]).await;
        stage.offer(STREAM, per_second, shards, 1..=minutes);
        stage
    }

    fn now(&self) -> DateTime<Utc> {
        self.account.now()
    }

    /// Lets so much pass on a clock that stands.
    fn pass(&self, time: Duration) {
        self.account.clock().advance(time).expect("a clock that stands");
    }

    fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Stage {
        change(&mut self.policy);
        self
    }

    /// A container that remembers nothing. AWS tells the account's limits once a second.
    fn handler(&self) -> Handler {
        let _ = self.account.clock().advance(Duration::from_secs(1));
        let clients = Clients::new(&unthrottle_cli::local_config(self.account.url()));
        Handler::new(clients, self.policy.clone()).on(self.account.clock().clone())
    }

    async fn sweep(&self) -> Swept {
        self.sweep_for(LONG, None).await.expect("a sweep")
    }

    /// The same within this time; `again_every`: it stays.
    async fn sweep_for(&self, time: Duration, again_every: Option<Duration>) -> Result<Swept, Error> {
        self.sweep_by(&self.handler(), time, again_every).await
    }

    /// The same by this handler. One look after the other: the order is that of the sweep.
    async fn sweep_by(&self, handler: &Handler, time: Duration, again_every: Option<Duration>) -> Result<Swept, Error> {
        let mut lines = vec![];
        let each = |healing: &Reply| lines.extend(healing.lines_in_sweep(self.now()));
        let plan = Plan { again_every, at_once: 1, ..Plan::until(self.now() + time) };
        let document = sweep(handler, &home(), plan, each).await?;
        Ok(Swept { document, lines })
    }

    /// What a new container says to a person who asks.
    async fn ask(&self) -> Reply {
        ask(&self.handler(), STREAM).await
    }

    /// Datapoints of a load, in these minutes before now: each shard takes 1,000 records a second, the rest is refused.
    fn offer(&self, stream: &str, per_second: f64, shards: u32, ago: std::ops::RangeInclusive<i64>) {
        let accepted = per_second.min(f64::from(shards) * PER_SHARD);
        let now = self.now().duration_trunc(TimeDelta::minutes(1)).expect("in range");
        for ago in ago {
            let at = now - TimeDelta::minutes(ago);
            for (metric, value) in [
                ("IncomingRecords", accepted * 60.0),
                ("IncomingBytes", accepted * 60.0 * RECORD_BYTES),
                ("WriteProvisionedThroughputExceeded", (per_second - accepted) * 60.0),
            ] {
                self.account.put_metric("AWS/Kinesis", metric, &[("StreamName", stream)], at, value);
            }
            let mut offered = self.offered.lock().expect("no panic");
            let newest = offered.entry(stream.to_owned()).or_insert(i64::MIN);
            *newest = (*newest).max(at.timestamp() / 60);
        }
    }

    /// So many minutes pass, in which the stream is offered this; its change under way comes to its end.
    async fn later(&self, minutes: i64, per_second: f64) {
        let shards = self.aws.active(STREAM).await.open_shard_count;
        let passed = TimeDelta::minutes(minutes);
        if self.account.clock().advance(passed.to_std().expect("positive")).is_err() {
            self.grow_older(passed).await;
        }
        // Whatever minute has ended meanwhile, too: without traffic it would be a calm one.
        let newest = self.offered.lock().expect("no panic").get(STREAM).copied().unwrap_or(i64::MIN);
        let since = (self.now().timestamp() / 60).saturating_sub(newest) - 1;
        self.offer(STREAM, per_second, u32::try_from(shards).expect("positive"), 1..=since.min(60));
    }

    /// For a binary, which knows the machine's clock only: what has happened becomes older.
    async fn grow_older(&self, by: TimeDelta) {
        self.account.age(by.to_std().expect("positive")).await;
        self.offered.lock().expect("no panic").values_mut().for_each(|minute| *minute -= by.num_minutes());
        let Some(mut memory) = self.aws.memory(STREAM_ARN).await else { return };
        let mut text = memory.encode().expect("fits");
        match &mut memory.change {
            // All other times in the text count from this one.
            Some(change) => {
                let when = |at: DateTime<Utc>| at.format("%Y%m%dT%H%M%SZ").to_string();
                text = text.replace(&when(change.at), &when(change.at - by));
            }
            None => {
                memory.notified = memory.notified.map(|(code, at)| (code, at - by));
                text = memory.encode().expect("fits");
            }
        }
        self.aws.tag(STREAM_ARN, TAG, &text).await;
    }

    async fn forget(&self) {
        let untag = self.aws.kinesis.untag_resource().resource_arn(STREAM_ARN).tag_keys(TAG);
        untag.send().await.expect("untagged");
    }

    fn calls(&self, operation: &str) -> u64 {
        self.account.calls().get(operation).copied().unwrap_or(0)
    }

    fn fault(&self, operation: &str, skip: u32, times: u32, effect: Effect) {
        self.account.add_fault(Fault { operation: operation.into(), skip, times, effect });
    }

    fn deny(&self, operation: &str, skip: u32, times: u32) {
        let (code, message) = ("AccessDeniedException".into(), "says the test".into());
        self.fault(operation, skip, times, Effect::Error { status: 400, code, message });
    }

    async fn shards(&self) -> i32 {
        self.aws.active(STREAM).await.open_shard_count
    }

    /// `unthrottle ARGS` in this account, as a person types it: whether it succeeds, and what it says.
    async fn try_in(&self, args: &[&str]) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
        command.args(args).env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
        if args[0] != "runbook" {
            command.args(["--endpoint-url", self.account.url(), "--region", "us-east-1"]);
        }
        let out = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (out.status.success(), text(out.stdout), text(out.stderr))
    }

    /// The same, where it succeeds: its standard output.
    async fn type_in(&self, args: &[&str]) -> String {
        let (is_success, stdout, stderr) = self.try_in(args).await;
        assert!(is_success, "{args:?}: {stderr}{stdout}");
        stdout
    }

    async fn type_in_for_json(&self, args: &[&str]) -> Value {
        let out = self.type_in(args).await;
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: not JSON ({error}): {out}"))
    }
}

fn home() -> Home {
    Home::of_arn(STREAM_ARN).expect("an ARN")
}

async fn ask(handler: &Handler, stream: &str) -> Reply {
    handler.handle(&json!({ "stream": stream }), &home()).await.expect("a decision")
}

/// Name, outcome and code of each decision.
fn decisions(sweep: &Swept) -> Vec<(&str, Outcome, &str)> {
    let documents = sweep.document.decisions.iter();
    documents.map(|d| (d.stream.as_ref().map_or("", |s| s.name.as_str()), d.outcome, d.code)).collect()
}

/// The EMF lines that count this metric.
fn lines_of<'a>(lines: &'a [Value], metric: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line.get(metric).is_some()).collect()
}

// ---- A large fleet ----

const HEALTHY: usize = 4660;
const THROTTLED: u32 = 40;
const CHANGES: usize = 12;

/// A memory whose last change, of `kind`, was announced 40 minutes before `now` and is done, verified and counted.
fn remembered(kind: ChangeKind, from: u32, to: u32, now: DateTime<Utc>) -> Memory {
    let at = now - TimeDelta::minutes(40);
    let mut change = Change::intent(kind, from, to, at);
    change.since = Some(at - TimeDelta::minutes(4));
    change.settled = Some(change.at + TimeDelta::minutes(2));
    change.healed = Some(change.at + TimeDelta::minutes(4));
    change.published = Some(change.at + TimeDelta::minutes(4));
    Memory::default().intend(change, false)
}

impl Stage {
    async fn remember(&self, name: &str, shards: u32, text: &str) {
        self.account.add_streams([name.to_owned()], shards, &[(TAG, text)]).await;
    }

    /// The stream's last change in its memory, changed by `change`.
    async fn remember_change(&self, name: &str, change: impl FnOnce(&mut Change)) {
        let mut memory = remembered(ChangeKind::Scale, 1, 2, self.now());
        change(memory.change.as_mut().expect("a change"));
        self.remember(name, 2, &memory.encode().expect("fits")).await;
        self.offer(name, 1500.0, 1, 40..=44);
        self.offer(name, 1500.0, 2, 1..=35);
    }

    fn count_its_change(&self, name: &str) {
        let at = self.now() - TimeDelta::minutes(40);
        self.account.put_metric("Unthrottle", "AutoFix", &[("StreamName", name)], at, 1.0);
    }

    /// 5,000 streams: 40 throttle, 300 carry a memory, 30 of these are due. And one throttled stream that is gone.
    async fn fleet() -> Stage {
        let stage = Stage::empty(Options { shard_limit: 100_000, ..still() }).await;
        stage.account.add_streams((0..HEALTHY).map(|n| format!("healthy-{n:04}")), 1, &[]).await;
        stage.account.add_streams((0..THROTTLED).map(throttled), 1, &[]).await;
        let settled = remembered(ChangeKind::Scale, 1, 2, stage.now()).encode().expect("fits");
        for n in 0..270 {
            stage.remember(&format!("settled-{n:03}"), 2, &settled).await;
        }
        for n in 0..10 {
            let [unverified, unpublished] = ["unverified", "unpublished"].map(|kind| format!("{kind}-{n}"));
            stage.remember_change(&unverified, |change| change.healed = None).await;
            stage.count_its_change(&unverified);
            stage.remember_change(&unpublished, |change| change.published = None).await;
        }
        for n in 0..5 {
            let unsettled = format!("unsettled-{n}");
            stage
                .remember_change(&unsettled, |change| {
                    (change.kind, change.from, change.settled) = (ChangeKind::Restore, 4, None)
                })
                .await;
            stage.count_its_change(&unsettled);
            stage.remember(&format!("unreadable-{n}"), 1, "v=9").await;
        }
        stage.throttle_all(10);
        stage
    }

    fn throttle_all(&self, minutes: i64) {
        for n in 0..THROTTLED {
            // Two shards carry it, and each stream refuses more than the one before.
            self.offer(&throttled(n), 1100.0 + 10.0 * f64::from(n), 1, 1..=minutes);
        }
        self.offer("gone", 1001.0, 1, 1..=minutes);
    }
}

fn throttled(n: u32) -> String {
    format!("throttled-{n:02}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_over_a_large_fleet_costs_little_and_looks_at_what_needs_it() {
    let stage = Stage::fleet().await.policy(|p| p.max_changes_per_sweep = CHANGES as u32);
    // The 15th look fails: that of the stream that refuses the 15th most.
    stage.deny("ListTagsForResource", 14, 1);
    stage.account.reset_calls();

    let watched = Watched::of(&stage);
    let handler = stage.handler().on(watched.clone());
    let found = stage.sweep_by(&handler, LONG, None).await.expect("a sweep");

    let pace = watched.most_in_a_second();
    let calls = stage.account.calls();
    let document = &found.document;
    let sentence = &document.sentence;
    assert_eq!((document.throttled, document.remembered, document.due), (41, 300, 30), "{sentence}");
    assert!(document.finding_calls <= 8, "{}", document.finding_calls);
    assert_eq!((document.looked, document.left.len()), (70, 0), "{sentence}");
    for call in ["DescribeStreamSummary", "ListTagsForResource"] {
        assert_eq!(calls[&format!("Kinesis.{call}")], 71, "one look each: {calls:?}");
    }
    assert!(
        ["ListStreams", "ListShards", "DescribeStream"].iter().all(|c| !calls.contains_key(&format!("Kinesis.{c}")))
    );
    assert_eq!(pace, 4, "looks in a second");

    let [failure] = &document.failed[..] else { panic!("one failure: {:?}", document.failed) };
    assert_eq!((failure.of.as_str(), failure.code), (throttled(THROTTLED - 15).as_str(), "read_failed"));

    let mut expected = BTreeSet::new();
    let worst_first = (0..THROTTLED).rev().map(throttled).enumerate().filter(|(rank, _)| *rank != 14);
    for (rank, name) in worst_first {
        let is_changed = rank < CHANGES;
        let what = if is_changed { ("acted", "scale_shards") } else { ("held", "fleet_limit") };
        expected.insert((name, what.0.to_owned(), what.1));
    }
    let mut expect = |name: String, outcome: &str, code| expected.insert((name, outcome.to_owned(), code));
    expect("gone".into(), "held", "stream_gone");
    for n in 0..10 {
        expect(format!("unverified-{n}"), "healed", "healthy");
        expect(format!("unpublished-{n}"), "held", "healthy");
    }
    for n in 0..5 {
        expect(format!("unsettled-{n}"), "held", "healthy");
        expect(format!("unreadable-{n}"), "held", "bad_memory");
    }
    let seen: BTreeSet<_> = decisions(&found).into_iter().map(|(n, o, c)| (n.to_owned(), o.to_string(), c)).collect();
    assert_eq!(seen, expected);
    assert_eq!((document.changed, document.healed), (CHANGES, 10));
    assert_eq!(calls["Kinesis.UpdateShardCount"], CHANGES as u64);
    assert_eq!(calls["CloudWatch.PutMetricData"], CHANGES as u64 + 10, "changes, and those not counted yet");
    let held = document.decisions.iter().find(|d| d.code == "fleet_limit").expect("one");
    assert!(held.sentence.contains("UNTHROTTLE_MAX_CHANGES_PER_SWEEP"), "{}", held.sentence);
    assert!(sentence.contains("Not changed, because you allow no more at once: 27"), "{sentence}");
    assert!(!sentence.contains("UNTHROTTLE_FLEET_ALARMS"), "{sentence}");
    let swept = metric::swept(document, stage.now());
    assert_eq!((&swept["SweepLooked"], &swept["SweepFailed"], &swept["SweepLeft"]), (&json!(70), &json!(1), &json!(0)));
    assert_eq!(lines_of(&found.lines, "Healed").len(), 10);
    assert_eq!(lines_of(&found.lines, "Looked").len(), 70);

    the_next_sweep_finds_the_rest(&stage).await;
    without_fleet_alarms_a_query_finds_them(stage).await;
}

/// A sweep's document, and the lines that its looks log.
#[derive(Debug)]
struct Swept {
    document: SweepDocument,
    lines: Vec<Value>,
}

/// How often a sweep of these tests stays for another look.
const AGAIN_EVERY: Duration = Duration::from_secs(120);

/// Time for so many looks more than one.
fn time_for(more: u32) -> Duration {
    LONGEST_CHECK + Duration::from_secs(1) + more * AGAIN_EVERY + AGAIN_EVERY / 2
}

#[tokio::test]
async fn a_sweep_that_stays_looks_again_at_what_it_has_changed_and_at_nothing_else() {
    let stage = Stage::under(3.0 * 2.0 * PER_SHARD, 2, 10).await;
    stage.account.add_streams(["unreadable".into()], 1, &[(TAG, "v=9")]).await;
    let swept = stage.sweep_for(time_for(3), Some(AGAIN_EVERY)).await.expect("a sweep");
    let all = decisions(&swept);
    let codes: Vec<&str> = all.iter().filter(|(stream, ..)| *stream == STREAM).map(|(.., code)| *code).collect();
    assert_eq!((all[0], codes[0]), ((STREAM, Outcome::Acted, "scale_shards"), "scale_shards"), "{all:?}");
    assert!(codes.len() > 1 && codes[1..].iter().all(|code| ["resharding", "settling"].contains(code)), "{codes:?}");
    assert!(codes.contains(&"settling"), "the end of the change is seen: {codes:?}");
    assert_eq!(all[codes.len()..], [("unreadable", Outcome::Held, "bad_memory")], "once");
    let SweepDocument { looked, again, changed, sentence, .. } = &swept.document;
    assert_eq!((*looked, *again, *changed), (2, codes.len() - 1, 1), "{sentence}");
    assert!(sentence.contains(&format!("looked again {again} times")), "{sentence}");
    assert_eq!(lines_of(&swept.lines, "Looked").len(), all.len());
    assert!(stage.aws.memory(STREAM_ARN).await.expect("remembered").change.is_some_and(|c| c.settled.is_some()));
}

/// The clock of a stage whose stream is offered 6,000 records a second while a sweep waits for its next look.
struct UnderLoad(Arc<Stage>);

impl std::fmt::Debug for UnderLoad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnderLoad")
    }
}

impl clock::Clock for UnderLoad {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        clock::Clock::elapsed(self.0.account.clock())
    }

    fn sleep_until(&self, then: DateTime<Utc>) -> futures_util::future::BoxFuture<'_, ()> {
        Box::pin(async move {
            let minutes = (then - self.now()).num_minutes();
            if minutes > 0 {
                self.0.later(minutes, 6000.0).await;
            }
            clock::Clock::sleep_until(self.0.account.clock(), then).await;
        })
    }
}

#[tokio::test]
async fn a_stream_that_takes_several_changes_counts_once_against_the_bound_of_a_sweep() {
    let stage = Stage::under(6000.0, 2, 4).await.policy(|p| p.max_changes_per_sweep = 1);
    stage.account.add_streams([throttled(0)], 2, &[]).await;
    stage.offer(&throttled(0), 3000.0, 2, 1..=4);
    let stage = Arc::new(stage);
    let handler = stage.handler().on(UnderLoad(stage.clone()));
    let swept = stage.sweep_by(&handler, time_for(2), Some(AGAIN_EVERY)).await.expect("a sweep");
    let (acted, other) = ((STREAM, Outcome::Acted, "scale_shards"), throttled(0));
    let settling = (STREAM, Outcome::Held, "settling");
    assert_eq!(decisions(&swept), [acted, settling, acted, (&other, Outcome::Held, "fleet_limit")]);
    let SweepDocument { changed, healed, .. } = swept.document;
    assert_eq!((changed, healed), (1, 0), "streams: {}", swept.document.sentence);
}

#[tokio::test]
async fn what_fails_while_a_sweep_stays_is_said() {
    let stage = Stage::under(6000.0, 2, 4).await;
    stage.deny("DescribeStreamSummary", 1, 1);
    let swept = stage.sweep_for(time_for(3), Some(AGAIN_EVERY)).await.expect("a sweep").document;
    let [failure] = &swept.failed[..] else { panic!("one failure: {:?}", swept.failed) };
    assert_eq!((failure.of.as_str(), failure.code), (STREAM, "read_failed"));
    assert_eq!((swept.looked, swept.again), (1, 0), "and the next sweep looks again: {}", swept.sentence);
}

/// And the memories that were due are due no more, but for those that nobody can read.
async fn the_next_sweep_finds_the_rest(stage: &Stage) {
    stage.throttle_all(1);
    let rest = stage.sweep_for(LONGEST_CHECK + Duration::from_millis(1600), None).await;
    let rest = rest.expect("a sweep").document;
    // What was changed is due until it has healed, and among the throttled still.
    assert_eq!((rest.throttled, rest.due), (41, 5 + CHANGES), "{}", rest.sentence);
    assert_eq!(rest.looked + rest.left.len(), 41 + 5, "{}", rest.sentence);
    assert!(rest.left.len() >= 35 && rest.sentence.contains("No time was left for"), "{}", rest.sentence);
}

async fn without_fleet_alarms_a_query_finds_them(stage: Stage) {
    let stage = stage.policy(|p| p.fleet_alarms.clear());
    stage.throttle_all(1);
    let found = stage.sweep_for(LONGEST_CHECK, None).await.expect("a sweep").document;
    assert_eq!((found.throttled, found.looked, found.left.len()), (41, 0, 46), "{}", found.sentence);
    assert!(found.finding_calls <= 8, "{}", found.finding_calls);
    assert!(found.sentence.contains("UNTHROTTLE_FLEET_ALARMS") && found.sentence.contains('$'), "{}", found.sentence);
}

/// A clock that remembers when a wait for it was over: that is when the looks of a sweep begin.
#[derive(Clone, Debug)]
struct Watched {
    clock: Clock,
    ends: Arc<Mutex<Vec<DateTime<Utc>>>>,
}

impl Watched {
    fn of(stage: &Stage) -> Watched {
        Watched { clock: stage.account.clock().clone(), ends: Arc::default() }
    }

    /// The most looks that began in any one second.
    fn most_in_a_second(&self) -> usize {
        let begun = self.ends.lock().expect("no panic");
        let second = |first: &DateTime<Utc>| *first..*first + TimeDelta::seconds(1);
        let since = |first: &DateTime<Utc>| begun.iter().filter(|at| second(first).contains(at)).count();
        begun.iter().map(since).max().unwrap_or_default()
    }
}

impl clock::Clock for Watched {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn elapsed(&self) -> Duration {
        clock::Clock::elapsed(&self.clock)
    }

    fn sleep_until(&self, then: DateTime<Utc>) -> futures_util::future::BoxFuture<'_, ()> {
        Box::pin(async move {
            clock::Clock::sleep_until(&self.clock, then).await;
            self.ends.lock().expect("no panic").push(self.clock.now());
        })
    }
}

/// So many streams whose memory cannot be read: each takes a look, and nothing else.
async fn due(options: Options, count: usize) -> Stage {
    let stage = Stage::empty(options).await;
    stage.account.add_streams((0..count).map(|n| format!("due-{n:02}")), 1, &[(TAG, "v=9")]).await;
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_that_were_slow_are_not_made_up_for() {
    let stage = due(still(), 20).await;
    stage.fault("DescribeStreamSummary", 0, 8, Effect::Delay(Duration::from_secs(2)));
    let watched = Watched::of(&stage);
    let handler = stage.handler().on(watched.clone());
    // As the Lambda does it, several at once.
    let swept = sweep(&handler, &home(), Plan::until(stage.now() + LONG), |_| ()).await.expect("a sweep");
    assert_eq!(swept.looked, 20);
    assert!((1..=4).contains(&watched.most_in_a_second()), "{watched:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_accounts_limits_are_asked_for_once_however_many_looks_begin() {
    let stage = due(still(), 12).await;
    stage.fault("DescribeLimits", 0, 1, Effect::Delay(Duration::from_millis(900)));
    let swept = sweep(&stage.handler(), &home(), Plan::until(stage.now() + LONG), |_| ()).await.expect("a sweep");
    assert_eq!(swept.looked, 12);
    assert_eq!(stage.calls("Kinesis.DescribeLimits"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_ends_before_its_deadline_and_says_what_is_left() {
    let stage = due(still(), 60).await;
    let handler = stage.handler();
    let deadline = stage.now() + LONGEST_CHECK + Duration::from_millis(1900);
    let found =
        stage.sweep_by(&handler, LONGEST_CHECK + Duration::from_millis(1900), None).await.expect("a sweep").document;
    assert!(stage.now() + LONGEST_CHECK < deadline, "the last look has its time");
    assert_eq!(found.looked, 4, "one each quarter of a second: {}", found.sentence);
    assert_eq!(found.looked + found.left.len(), 60);
    assert!(found.left.is_sorted() && found.sentence.contains("the next sweep finds them again"), "{}", found.sentence);
}

#[tokio::test]
async fn the_lambda_sweeps_within_its_timeout() {
    let stage = due(live(), 60).await;
    let mut container = Container::start(stage.account.url(), &[]).await;
    // Time to begin looks for five seconds, at four a second.
    let run = container.invoke_until(LONGEST_CHECK + Duration::from_secs(6), &json!({ "sweep": true })).await;
    let document = run.document();
    let (looked, left) = (document["looked"].as_u64().expect("a count"), document["left"].as_array().expect("names"));
    // However slow the machine is: sixty looks would take fifteen seconds.
    assert!(!left.is_empty() && looked + left.len() as u64 == 60, "{}", document["sentence"]);
    let [swept] = lines_of(&run.lines, "SweepLeft")[..] else { panic!("one line: {:?}", run.lines) };
    assert_eq!(swept["SweepLeft"], left.len());
}

#[tokio::test]
async fn an_index_that_cannot_be_read_is_said_and_the_other_is_used() {
    let stage = Stage::under(3000.0, 2, 10).await;
    stage.deny("GetResources", 0, 1);
    let found = stage.sweep().await;
    assert_eq!(decisions(&found), [(STREAM, Outcome::Acted, "scale_shards")]);
    assert_eq!(found.document.failed.iter().map(|f| f.of.as_str()).collect::<Vec<_>>(), ["memories"]);
    stage.deny("DescribeAlarmContributors", 0, 2);
    let found = stage.sweep().await.document;
    assert_eq!((found.looked, found.failed.len()), (1, 2), "the memory is due: {}", found.sentence);
    stage.deny("DescribeAlarmContributors", 0, 2);
    stage.deny("GetResources", 0, 1);
    let error = stage.sweep_for(LONG, None).await.expect_err("blind");
    assert_eq!(error.code(), "read_failed");
}

#[tokio::test]
async fn streams_whose_order_cannot_be_read_are_looked_at_in_any() {
    let stage = Stage::under(3000.0, 2, 10).await.policy(|p| p.fleet_alarms.truncate(1));
    stage.account.add_streams([throttled(0)], 1, &[]).await;
    stage.offer(&throttled(0), 1400.0, 1, 1..=10);
    stage.deny("GetMetricData", 0, 1);
    stage.deny("GetResources", 0, 1);
    let found = stage.sweep().await.document;
    assert_eq!((found.throttled, found.changed), (2, 2), "{}", found.sentence);
    let of: Vec<&str> = found.failed.iter().map(|failure| failure.of.as_str()).collect();
    assert_eq!(of, ["order of the throttled streams", "memories"]);
}

#[tokio::test]
async fn a_person_sweeps_by_hand() {
    let stage = Stage::empty(live()).await;
    assert!(stage.type_in(&["sweep"]).await.contains("there is no stream"));
    assert_eq!(stage.type_in_for_json(&["sweep", "--json"]).await["looked"], 0);
    stage.account.add_streams([STREAM.into()], 2, &[]).await;
    stage.offer(STREAM, 3000.0, 2, 1..=10);
    let observed = stage.type_in_for_json(&["sweep", "--observe", "--json"]).await;
    assert_eq!(observed["decisions"][0]["outcome"], "planned", "{observed:#}");
    assert_eq!((stage.calls("Kinesis.TagResource"), stage.shards().await), (0, 2));
    let short_of_time = stage.type_in_for_json(&["sweep", "--within", "20", "--json"]).await;
    assert_eq!((&short_of_time["looked"], &short_of_time["left"]), (&json!(0), &json!([STREAM])), "{short_of_time:#}");
    // AWS lists streams five times a second: that second is over.
    stage.account.age(Duration::ZERO).await;
    stage.deny("GetResources", 0, 1);
    let (is_success, stdout, stderr) = stage.try_in(&["sweep", "--json"]).await;
    assert!(!is_success && stderr.contains("1 of what the sweep tried failed"), "{stderr}");
    let swept: Value = serde_json::from_str(&stdout).expect("JSON all the same");
    assert_eq!((&swept["changed"], &swept["failed"][0]["of"]), (&json!(1), &json!("memories")), "{swept:#}");
    let told = stage.type_in(&["sweep"]).await;
    assert!(told.contains("orders: ") && told.contains("swept: in alarm 1,"), "{told}");
}

// ---- Verify ----

#[tokio::test]
async fn a_change_is_followed_until_it_is_known_to_have_worked_and_then_left_alone() {
    let stage = Stage::under(3000.0, 2, 4).await;
    let acted = stage.sweep().await;
    assert_eq!(decisions(&acted), [(STREAM, Outcome::Acted, "scale_shards")]);
    let under_way = stage.sweep().await;
    assert_eq!(decisions(&under_way), [(STREAM, Outcome::Held, "resharding")]);
    stage.later(2, 3000.0).await;
    let settling = stage.sweep().await;
    assert_eq!(decisions(&settling), [(STREAM, Outcome::Held, "settling")]);
    stage.later(3, 3000.0).await;

    let healed = stage.sweep().await;

    assert_eq!(decisions(&healed), [(STREAM, Outcome::Healed, "healthy")], "{}", healed.document.sentence);
    assert_eq!(healed.document.healed, 1);
    assert_eq!(healed.document.decisions[0].evidence.time_to_heal_seconds, Some(240));
    let [line] = lines_of(&healed.lines, "Healed")[..] else { panic!("one line: {:?}", healed.lines) };
    assert_eq!((&line["Healed"], &line["TimeToHeal"]), (&json!(1), &json!(240)), "{line:#}");
    assert_eq!(line["StreamName"], STREAM);
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Dimensions"], json!([[], ["StreamName"]]));
    let units = json!([{ "Name": "Healed", "Unit": "Count" }, { "Name": "TimeToHeal", "Unit": "Seconds" }]);
    assert_eq!(directive["Metrics"], units);

    for minutes in [0, 2, 6, 60] {
        stage.later(minutes, 3000.0).await;
        stage.account.reset_calls();
        let quiet = stage.sweep().await.document;
        assert_eq!((quiet.due, quiet.looked), (0, 0), "after {minutes} min: {}", quiet.sentence);
        assert!(!stage.account.calls().keys().any(|call| call.starts_with("Kinesis.")), "{:?}", stage.account.calls());
    }
    assert_eq!(stage.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0);
}

#[tokio::test]
async fn a_healing_that_an_old_look_has_seen_is_noted_and_told_by_the_next() {
    let stage = Stage::under(3000.0, 2, 4).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    stage.ask().await;
    stage.later(2, 3000.0).await;
    stage.ask().await;
    stage.later(3, 3000.0).await;
    let before = stage.aws.memory(STREAM_ARN).await;
    // Another run may have announced a change since.
    stage.fault("GetMetricData", 0, 1, Effect::Delay(Duration::from_millis(2700)));
    let slow = stage.ask().await;
    assert_eq!((slow.document.outcome, slow.document.code), (Outcome::Held, "healthy"), "{:#?}", slow.document);
    assert_eq!((stage.aws.memory(STREAM_ARN).await, lines_of(&slow.lines, "Healed").len()), (before, 0));
    assert_eq!(stage.account.published().len(), 1, "the change");
    assert_eq!(stage.ask().await.document.outcome, Outcome::Healed);
    assert_eq!(stage.account.published().len(), 2);
}

#[tokio::test]
async fn a_look_that_has_grown_old_is_taken_again_before_the_change() {
    let stage = Stage::under(3000.0, 2, 10).await;
    stage.fault("DescribeStreamSummary", 0, 1, Effect::Delay(Duration::from_millis(1600)));
    stage.fault("TagResource", 0, 1, Effect::Delay(Duration::from_millis(1600)));
    let healing = stage.ask().await;
    assert_eq!((healing.document.outcome, healing.document.code), (Outcome::Acted, "scale_shards"));
    let calls = ["DescribeStreamSummary", "TagResource", "UpdateShardCount"];
    let calls = calls.map(|call| stage.calls(&format!("Kinesis.{call}")));
    assert_eq!(calls, [2, 1, 1], "two looks, one intent, one change");
    assert_eq!(stage.shards().await, 4);
    assert_eq!(stage.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0);
}

#[tokio::test]
async fn a_stream_that_cannot_be_looked_at_quickly_is_an_error_and_no_change() {
    let stage = Stage::under(3000.0, 2, 10).await;
    // Longer than a look is good for.
    stage.fault("DescribeStreamSummary", 0, 2, Effect::Delay(Duration::from_secs(4)));
    let failed = stage.handler().handle(&json!({ "stream": STREAM }), &home()).await;
    assert_eq!(failed.expect_err("too slow").code(), "too_slow");
    assert_eq!(stage.calls("Kinesis.UpdateShardCount"), 0);
    assert_eq!((stage.shards().await, stage.aws.auto_fix(&[]).await), (2, 0.0));
}

#[tokio::test]
async fn a_hand_does_not_hide_that_a_change_has_healed() {
    let stage = Stage::on(live(), 3000.0, 2, 4).await;
    stage.ask().await;
    stage.later(2, 3000.0).await;
    stage.ask().await;
    stage.later(3, 3000.0).await;
    let (is_done, said, _) = stage.try_in(&["restore", STREAM, "--yes"]).await;
    assert!(!is_done && said.contains("needs all that it has"), "{said}");
    let told = stage.type_in(&["sweep"]).await;
    assert!(told.contains("healed 1"), "{told}");
    let healed = stage.aws.counts("Healed", &[("StreamName", STREAM)]).await;
    assert_eq!(healed.len(), 1, "no log of a person's becomes metrics");
}

#[tokio::test]
async fn what_still_throttles_after_a_change_gets_the_next_step() {
    let stage = Stage::under(6000.0, 2, 4).await;
    assert_eq!(decisions(&stage.sweep().await), [(STREAM, Outcome::Acted, "scale_shards")]);
    stage.later(2, 6000.0).await;
    assert_eq!(decisions(&stage.sweep().await), [(STREAM, Outcome::Held, "settling")]);
    stage.later(2, 6000.0).await;
    let next = stage.sweep().await;
    assert_eq!(decisions(&next), [(STREAM, Outcome::Acted, "scale_shards")]);
    assert_eq!(json!(next.document.decisions[0].remedy), json!({ "from": 4, "to": 8 }));
    stage.later(2, 6000.0).await;
    stage.sweep().await;
    stage.later(3, 6000.0).await;
    let healed = stage.sweep().await;
    assert_eq!(decisions(&healed), [(STREAM, Outcome::Healed, "healthy")]);
    // Four minutes before the first change, and four until the second.
    assert_eq!(healed.document.decisions[0].evidence.time_to_heal_seconds, Some(480));
}

// ---- Restore ----

impl Stage {
    /// A stream that was scaled from two shards to four, has healed, and was calm since.
    async fn raised(options: Options, calm: i64) -> Stage {
        let stage = Stage::on(options, 3000.0, 2, 4).await;
        assert_eq!(stage.ask().await.document.outcome, Outcome::Acted);
        stage.later(2, 3000.0).await;
        assert_eq!(stage.ask().await.document.code, "settling");
        stage.later(6, 500.0).await;
        assert_eq!(stage.ask().await.document.outcome, Outcome::Healed);
        stage.later(calm, 500.0).await;
        stage
    }
}

#[tokio::test]
async fn what_we_have_raised_is_given_back_after_calm_hours_by_a_sweep() {
    let stage = Stage::raised(still(), 30).await.policy(|p| p.restore_after_hours = 1);
    assert_eq!(stage.sweep().await.document.looked, 0, "not yet");
    stage.later(60, 500.0).await;
    stage.account.reset_calls();
    let found = stage.sweep().await;
    assert_eq!(decisions(&found), [(STREAM, Outcome::Acted, "restore")], "{}", found.document.sentence);
    assert_eq!(json!(found.document.decisions[0].remedy), json!({ "from": 4, "to": 2 }));
    assert_eq!(stage.calls("Kinesis.UpdateShardCount"), 1);
    assert_eq!(stage.shards().await, 2);
    assert_eq!(stage.aws.auto_fix(&[("StreamName", STREAM), ("Action", "restore")]).await, 1.0);
    assert_eq!(stage.aws.auto_fix(&[("StreamName", STREAM)]).await, 2.0);

    // It is checked once, and then there is nothing left of it.
    stage.later(20, 500.0).await;
    assert_eq!(decisions(&stage.sweep().await), [(STREAM, Outcome::Held, "healthy")]);
    stage.later(90, 500.0).await;
    assert_eq!(stage.sweep().await.document.looked, 0);
    assert_eq!(stage.aws.memory(STREAM_ARN).await.expect("a memory").base, None);
}

#[tokio::test]
async fn a_peak_in_the_calm_hours_keeps_the_shards_that_it_needs() {
    let stage = Stage::raised(still(), 30).await.policy(|p| p.restore_after_hours = 1);
    stage.later(30, 2000.0).await;
    stage.later(40, 500.0).await;
    let found = stage.sweep().await;
    assert_eq!(json!(found.document.decisions[0].remedy), json!({ "from": 4, "to": 3 }), "{}", found.document.sentence);
    assert_eq!(stage.shards().await, 3);
}

#[tokio::test]
async fn a_person_takes_a_change_back_by_hand() {
    let stage = Stage::raised(live(), 6).await;
    let (is_done, too_early, why) = stage.try_in(&["restore", STREAM, "--yes", "--json"]).await;
    let too_early: Value = serde_json::from_str(&too_early).expect("JSON all the same");
    assert_eq!((&too_early["outcome"], &too_early["code"]), (&json!("held"), &json!("not_restorable")));
    assert!(!is_done && why.contains("not taken back (not_restorable)"), "{why}");

    stage.later(60, 500.0).await;
    let before = stage.aws.memory(STREAM_ARN).await;
    let planned = stage.type_in_for_json(&["restore", STREAM, "--json"]).await;
    assert_eq!((&planned["outcome"], &planned["code"]), (&json!("planned"), &json!("restore")), "{planned:#}");
    assert_eq!(planned["remedy"], json!({ "from": 4, "to": 2 }));
    let told = stage.type_in(&["restore", STREAM]).await;
    assert!(told.contains("restore (planned)") && told.contains("With --yes it is done."), "{told}");
    assert_eq!((stage.shards().await, stage.aws.memory(STREAM_ARN).await), (4, before), "a dry run");

    let done = stage.type_in_for_json(&["restore", STREAM_ARN, "--to", "3", "--yes", "--json"]).await;
    assert_eq!((&done["outcome"], &done["remedy"]), (&json!("acted"), &json!({ "from": 4, "to": 3 })), "{done:#}");
    assert_eq!(stage.shards().await, 3);
    stage.later(20, 500.0).await;
    let told = stage.type_in(&["restore", STREAM, "--yes"]).await;
    assert!(told.contains("restore (acted)"), "{told}");
    assert_eq!(stage.shards().await, 2);
    stage.later(20, 500.0).await;
    let (is_done, nothing_left, _) = stage.try_in(&["restore", STREAM, "--yes", "--json"]).await;
    assert!(!is_done && nothing_left.contains("\"code\":\"not_restorable\""), "{nothing_left}");
    assert_eq!(stage.aws.auto_fix(&[("StreamName", STREAM), ("Action", "restore")]).await, 2.0);

    let history = stage.type_in_for_json(&["history", STREAM, "--json"]).await;
    let changes = history["changes"].as_array().expect("changes");
    let actions: Vec<_> = changes.iter().map(|change| change["action"].as_str().expect("an action")).collect();
    assert_eq!(
        (&history["stream"], actions),
        (&json!(STREAM), vec!["restore", "restore", "scale_shards"]),
        "{history:#}"
    );
    assert_eq!((&changes[0]["from"], &changes[0]["to"], &changes[0]["counted"]), (&json!(3), &json!(2), &json!(true)));
    let table = stage.type_in(&["history", STREAM]).await;
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 4, "{table}");
    stage.aws.tag(STREAM_ARN, TAG, "v=1 words").await;
    let unreadable = stage.type_in(&["history", STREAM]).await;
    assert!(unreadable.contains("cannot be read: `words` is not key=value"), "{unreadable}");
    assert!(rows[1].contains("restore") && rows[1].contains("3 → 2") && rows[3].contains("scale_shards"), "{table}");
}

#[tokio::test]
async fn what_somebody_has_resized_since_is_theirs_and_never_restored() {
    let stage = Stage::raised(still(), 10).await.policy(|p| p.restore_after_hours = 1);
    stage.aws.reshard(STREAM, 6).await.expect("the stream is ACTIVE");
    stage.later(80, 500.0).await;
    assert_eq!(decisions(&stage.sweep().await), [(STREAM, Outcome::Held, "settling")], "evidence restarts");
    let memory = stage.aws.memory(STREAM_ARN).await.expect("a memory");
    assert_eq!((memory.base, memory.reshards.len()), (None, 1), "nothing is ours to restore, and the budget stays");
    stage.later(240, 500.0).await;
    assert_eq!(stage.sweep().await.document.changed, 0);
    assert_eq!(stage.shards().await, 6);
}

#[tokio::test]
async fn who_takes_changes_back_twice_is_not_fought() {
    tug_of_war(false).await;
}

#[tokio::test]
async fn nor_who_takes_the_memory_with_them() {
    tug_of_war(true).await;
}

async fn tug_of_war(with_memory: bool) {
    let stage = Stage::under(3000.0, 2, 10).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    let mut codes = vec![];
    for round in 0..15 {
        let found = stage.sweep().await;
        codes.extend(found.document.decisions.iter().map(|decision| decision.code));
        // Terraform runs now and then, and knows two shards only, and none of our tags.
        if round % 5 == 4 && stage.shards().await == 4 {
            stage.aws.reshard(STREAM, 2).await.expect("the stream is ACTIVE");
            if with_memory {
                stage.forget().await;
            }
        }
        stage.later(2, 3000.0).await;
    }
    assert_eq!(stage.aws.counts("Reverted", &[("StreamName", STREAM)]).await.len(), 2, "at the minutes of the changes");
    assert_eq!(codes.last(), Some(&"tug_of_war"), "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == "scale_shards").count(), 2, "{codes:?}");
    assert_eq!(stage.shards().await, 2);
    let published = stage.account.published();
    let told = published.iter().filter(|p| p.subject.as_deref().is_some_and(|s| s.contains("held tug_of_war")));
    assert_eq!(told.count(), 1, "{published:#?}");
}

/// A file of this test process' own.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("written");
    path
}

#[tokio::test]
async fn a_runbook_is_written_of_the_documents_of_an_incident() {
    let stage = Stage::on(live(), 3000.0, 2, 4).await;
    let explained = stage.type_in(&["explain", STREAM, "--json"]).await;
    let swept = stage.type_in(&["sweep", "--json"]).await;
    stage.later(2, 3000.0).await;
    stage.ask().await;
    stage.later(3, 3000.0).await;
    let healed = json!({ "decision": stage.ask().await.document, "message": "a log line" });
    let healed = format!("START RequestId: 1 Version: $LATEST\n{healed}\nREPORT RequestId: 1\tDuration: 9 ms\n");
    let files =
        [("healed", &healed), ("swept", &swept), ("explained", &explained)].map(|(name, text)| file(name, text));
    let mut args = vec!["runbook"];
    args.extend(files.iter().map(|file| file.to_str().expect("text")));

    let text = stage.type_in(&args).await;

    files.iter().for_each(|file| std::fs::remove_file(file).expect("removed"));
    let headings: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(
        headings,
        [
            "# Throttling of orders",
            "## Timeline (UTC)",
            "## Evidence",
            "## What was changed",
            "## What to check for the next 48 hours",
            "## How to undo"
        ],
        "{text}"
    );
    let outcomes: Vec<_> = ["(planned)", "(acted)", "(healed)"].map(|outcome| text.find(outcome)).into();
    assert!(outcomes.iter().all(Option::is_some) && outcomes.is_sorted(), "in the order of time: {text}");
    assert!(text.contains("| orders | time_to_heal_seconds | 240 |"), "the evidence of the last: {text}");
    let swept: Value = serde_json::from_str(&swept).expect("JSON");
    let cost = |when: &str| swept["decisions"][0]["cost"][when].as_f64().expect("a cost");
    let (before, after) = (cost("before_usd_per_hour"), cost("after_usd_per_hour"));
    let row = format!("`scale_shards` | {{\"from\":2,\"to\":4}} | {before:.4} | {after:.4} |");
    assert!(text.contains(&row), "{row}: {text}");
    assert!(text.contains("`unthrottle restore orders --region us-east-1 --yes`"), "{text}");
}

// ---- Telling people ----

/// Subject, message and document of what was published since the first `skip`.
fn told(stage: &Stage, skip: usize) -> Vec<(String, String, Value)> {
    let published = stage.account.published().into_iter().skip(skip);
    let of = |p: unthrottle_lab::local::Published| {
        assert_eq!(p.topic, TOPIC);
        let document = serde_json::from_str(&p.attributes["document"]).expect("JSON");
        (p.subject.expect("a subject"), p.message, document)
    };
    published.map(of).collect()
}

/// The one message since the first `skip` is about this document.
#[track_caller]
fn expect_told(stage: &Stage, skip: usize, outcome: &str, code: &str) -> (String, String) {
    let told = told(stage, skip);
    let [(subject, body, document)] = &told[..] else { panic!("one message: {told:#?}") };
    assert_eq!((&document["outcome"], &document["code"]), (&json!(outcome), &json!(code)));
    assert!(subject.is_ascii() && subject.len() <= 100 && subject.contains(STREAM), "{subject}");
    assert!(body.starts_with(document["sentence"].as_str().expect("a sentence")), "{body}");
    let link =
        "https://us-east-1.console.aws.amazon.com/kinesis/home?region=us-east-1#/streams/details/orders/monitoring";
    for part in [link, "unthrottle.mode=off", "unthrottle pause", "unthrottle explain orders"] {
        assert!(body.contains(part), "{part}: {body}");
    }
    (subject.clone(), body.clone())
}

#[tokio::test]
async fn people_are_told_of_changes_and_of_what_they_did() {
    let stage = Stage::under(3000.0, 2, 4).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    stage.ask().await;
    let (subject, body) = expect_told(&stage, 0, "acted", "scale_shards");
    assert_eq!(subject, "[unthrottle] acted scale_shards: orders us-east-1");
    assert!(
        body.contains("2 → 4 shards") && body.contains("unthrottle restore orders --region us-east-1 --yes"),
        "{body}"
    );
    stage.later(2, 3000.0).await;
    stage.ask().await;
    assert_eq!(stage.account.published().len(), 1, "settling is no news");
    stage.later(3, 3000.0).await;
    stage.sweep().await;
    let (subject, _) = expect_told(&stage, 1, "healed", "healthy");
    assert_eq!(subject, "[unthrottle] healed: orders us-east-1");
    stage.ask().await;
    assert_eq!(stage.account.published().len(), 2, "nor is health");
}

#[tokio::test]
async fn a_hold_that_needs_a_person_is_told_once_an_hour_whoever_holds_it() {
    let stage = Stage::under(3000.0, 2, 10).await;
    let stage = stage.policy(|p| (p.topic_arn, p.max_shards, p.max_shards_ceiling) = (Some(TOPIC.into()), 2, 2));
    assert_eq!(stage.ask().await.document.code, "at_max_shards");
    let (subject, _) = expect_told(&stage, 0, "held", "at_max_shards");
    assert_eq!(subject, "[unthrottle] held at_max_shards: orders us-east-1");
    let same = stage.handler();
    for minutes in [0, 10, 48] {
        stage.later(minutes, 3000.0).await;
        for _ in 0..2 {
            assert_eq!(ask(&same, STREAM).await.document.code, "at_max_shards");
            assert_eq!(stage.ask().await.document.code, "at_max_shards");
        }
        assert_eq!(stage.account.published().len(), 1, "after {minutes} min more");
    }
    stage.later(3, 3000.0).await;
    stage.ask().await;
    expect_told(&stage, 1, "held", "at_max_shards");
    // Another hold is news at once.
    stage.aws.tag(STREAM_ARN, "unthrottle.max-shards", "many").await;
    stage.ask().await;
    expect_told(&stage, 2, "held", "bad_policy_tag");
}

#[tokio::test]
async fn each_denied_principal_is_told_of_once_an_hour() {
    let stage = Stage::empty(still()).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    let handler = stage.handler();
    for (role, messages) in [("one", 1), ("two", 2), ("one", 2)] {
        let event = sample("put_record_denied__access_denied").to_string();
        let event = event
            .replace("role/orders-producer", &format!("role/{role}"))
            .replace("assumed-role/orders-producer", &format!("assumed-role/{role}"));
        let event: Value = serde_json::from_str(&event).expect("JSON");
        assert_eq!(handler.handle(&event, &home()).await.expect("held").document.code, "access_denied");
        assert_eq!(stage.account.published().len(), messages, "{:#?}", stage.account.published());
    }
    let published = stage.account.published();
    let subject = published[1].subject.as_deref().expect("a subject");
    assert_eq!(subject, "[unthrottle] held access_denied: PutRecord by assumed-role/two/orders-producer us-east-1");
    assert!(published[1].message.ends_with("Switch all off: unthrottle pause\n"), "{}", published[1].message);
}

#[tokio::test]
async fn in_observe_mode_a_plan_is_told_once_an_hour_by_each_container() {
    let stage = Stage::under(3000.0, 2, 10).await;
    let stage = stage.policy(|p| (p.topic_arn, p.mode) = (Some(TOPIC.into()), Mode::Observe));
    let handler = stage.handler();
    for _ in 0..3 {
        assert_eq!(ask(&handler, STREAM).await.document.outcome, Outcome::Planned);
    }
    let (subject, body) = expect_told(&stage, 0, "planned", "scale_shards");
    assert_eq!(subject, "[unthrottle] planned scale_shards: orders us-east-1");
    assert!(!body.contains("Undo:"), "there is nothing to undo: {body}");
    assert_eq!(stage.aws.memory(STREAM_ARN).await, None);
}

#[tokio::test]
async fn a_message_that_is_not_delivered_fails_nothing_and_is_counted() {
    let stage = Stage::under(3000.0, 2, 10).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    stage.fault(
        "Publish",
        0,
        99,
        Effect::Error { status: 403, code: "AuthorizationError".into(), message: "says the test".into() },
    );
    let healing = stage.ask().await;
    assert_eq!((healing.document.outcome, healing.document.code), (Outcome::Acted, "scale_shards"));
    let [line] = lines_of(&healing.lines, "Untold")[..] else { panic!("one line: {:?}", healing.lines) };
    assert_eq!(line["Untold"], 1);
    assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"], json!([{ "Name": "Untold", "Unit": "Count" }]));
    assert_eq!((stage.shards().await, stage.account.published().len()), (4, 0));
    assert_eq!(stage.aws.auto_fix(&[]).await, 1.0);

    let stage = Stage::under(3000.0, 2, 10).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    stage.fault("Publish", 0, 99, Effect::DropBefore);
    let swept = stage.sweep().await;
    assert_eq!(decisions(&swept), [(STREAM, Outcome::Acted, "scale_shards")]);
    assert_eq!(lines_of(&swept.lines, "Untold").len(), 1);
}

// ---- Blast radius ----

/// Between two asks: AWS describes 20 streams a second.
const BETWEEN_ASKS: Duration = Duration::from_millis(60);

/// Eight streams of one shard, each offered what two carry.
async fn eight() -> Stage {
    let stage = Stage::empty(still()).await.policy(|p| p.max_changes_per_hour = 5);
    stage.account.add_streams((0..8).map(throttled), 1, &[]).await;
    (0..8).for_each(|n| stage.offer(&throttled(n), 1400.0, 1, 1..=10));
    stage
}

/// The streams that a container changes when it is asked about all eight.
async fn changed(stage: &Stage, handler: &Handler) -> Vec<String> {
    let mut changed = vec![];
    for n in 0..8 {
        stage.pass(BETWEEN_ASKS);
        let document = ask(handler, &throttled(n)).await.document;
        match document.code {
            "scale_shards" => changed.push(throttled(n)),
            "fleet_limit" => assert!(document.sentence.contains("UNTHROTTLE_MAX_CHANGES_PER_HOUR"), "{document:?}"),
            "resharding" | "settling" | "healthy" => {}
            _ => panic!("{document:#?}"),
        }
    }
    let made = stage.aws.auto_fix(&[]).await;
    assert!(made <= 5.0, "{made} changes");
    changed
}

#[tokio::test]
async fn a_container_changes_a_fifth_of_the_hour_before_the_metric_shows_it() {
    let stage = eight().await;
    let handler = stage.handler();
    assert_eq!(changed(&stage, &handler).await.len(), 1);
    assert_eq!(changed(&stage, &handler).await.len(), 0, "nor does it by being asked again");
    let swept = stage.sweep_by(&handler, LONG, None).await.expect("a sweep").document;
    assert_eq!(swept.changed, 0, "nor by a sweep: {}", swept.sentence);
}

#[tokio::test]
async fn containers_together_change_what_the_hour_allows_and_no_more() {
    let stage = eight().await;
    let mut all = BTreeSet::new();
    for container in 0..7 {
        let changed = changed(&stage, &stage.handler()).await;
        let expected = usize::from(container < 5);
        assert_eq!(changed.len(), expected, "container {container}: {changed:?}");
        all.extend(changed);
        // The minute of the change is over: the metric shows it.
        stage.pass(Duration::from_secs(60));
        let shards = |name: &String| if all.contains(name) { 2 } else { 1 };
        (0..8).map(throttled).for_each(|name| stage.offer(&name, 1400.0, shards(&name), 1..=1));
    }
    assert_eq!(all.len(), 5);
    // An hour later it goes on.
    stage.pass(Duration::from_secs(3600));
    (0..8).for_each(|n| stage.offer(&throttled(n), 1400.0, 1, 1..=10));
    let left = (0..8).map(throttled).find(|name| !all.contains(name)).expect("three are left");
    assert_eq!(ask(&stage.handler(), &left).await.document.outcome, Outcome::Acted);
}

#[tokio::test]
async fn many_containers_at_once_change_a_fifth_each() {
    let stage = eight().await;
    let healers: Vec<Handler> = (0..5).map(|_| stage.handler()).collect();
    let all = futures_util::future::join_all(healers.iter().map(|handler| changed(&stage, handler))).await;
    assert!(all.iter().all(|changed| changed.len() <= 1), "{all:?}");
    let made = stage.aws.auto_fix(&[]).await;
    assert!((1.0..=5.0).contains(&made), "{made} changes");
}

// ---- A process that dies ----

/// What two shards do not carry, and four do.
const LOAD: f64 = 3000.0;

/// Every call of a run that acts, and whether one that is cut off may be carried out all the same.
const CRASHES: [(&str, &[bool]); 10] = [
    ("CloudWatch.DescribeAlarmContributors", &[false]),
    ("Tagging.GetResources", &[false]),
    ("Kinesis.DescribeStreamSummary", &[false]),
    ("Kinesis.ListTagsForResource", &[false]),
    ("Kinesis.DescribeLimits", &[false]),
    ("CloudWatch.GetMetricData", &[false]),
    ("Kinesis.TagResource", &[false, true]),
    ("Kinesis.UpdateShardCount", &[false, true]),
    ("CloudWatch.PutMetricData", &[false, true]),
    ("SNS.Publish", &[false, true]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_during_any_call_leaves_what_sweeps_bring_to_its_end() {
    let crashes = CRASHES.iter().flat_map(|(call, ends)| ends.iter().map(|is_carried_out| (*call, *is_carried_out)));
    let crashes = crashes.map(|(call, is_carried_out)| tokio::spawn(crash(call, is_carried_out)));
    for crash in crashes.collect::<Vec<_>>() {
        crash.await.expect("what the crash's own test says");
    }
}

async fn crash(call: &str, is_carried_out: bool) {
    let stage = Stage::on(live(), LOAD, 2, 10).await;
    let settings = [("UNTHROTTLE_FLEET_ALARMS", "writes,reads"), ("UNTHROTTLE_TOPIC_ARN", TOPIC)];
    let what = format!("{call}, carried out: {is_carried_out}");
    let (_, operation) = call.split_once('.').expect("SERVICE.OPERATION");
    let mut container = Container::start(stage.account.url(), &settings).await;
    // A call that has come is carried out, whoever has died meanwhile; one that comes too late is not.
    stage.fault(operation, 0, 1, if is_carried_out { Effect::HangAfter } else { Effect::HangBefore });
    let throttle = sample("put_records_throttled__scale_shards");
    let is_finding = ["DescribeAlarmContributors", "GetResources"].contains(&operation);
    let event = if is_finding { json!({ "sweep": true }) } else { throttle };
    let called = async {
        while stage.account.hanging() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        run = container.invoke(&event) => panic!("{what}: not killed: {run:?}"),
        () = called => {}
    }
    drop(container);

    let mut story = vec![];
    for _ in 0..8 {
        stage.later(2, LOAD).await;
        let run = Container::start(stage.account.url(), &settings).await.invoke(&json!({ "sweep": true })).await;
        let document = run.document();
        assert_eq!((&document["outcome"], &document["failed"]), (&json!("swept"), &json!([])), "{what}: {document:#}");
        let of = |decision: &Value| format!("{}/{}", decision["outcome"], decision["code"]);
        story.extend(document["decisions"].as_array().expect("decisions").iter().map(of));
        let change = stage.aws.memory(STREAM_ARN).await.and_then(|memory| memory.change);
        if change.is_some_and(|change| change.healed.is_some() && change.published.is_some()) {
            break;
        }
    }
    let memory = stage.aws.memory(STREAM_ARN).await.unwrap_or_else(|| panic!("{what}: no memory: {story:?}"));
    let change = memory.change.as_ref().expect("a change");
    assert_eq!((change.kind, change.from, change.to), (ChangeKind::Scale, 2, 4), "{what}: {story:?}");
    assert!(change.healed.is_some() && change.published.is_some(), "{what}: {memory:?} {story:?}");
    assert_eq!(memory.reshards.len(), 1, "{what}: the budget: {story:?}");
    let shards = stage.aws.kinesis.list_shards().stream_name(STREAM).send().await.expect("shards");
    assert_eq!(shards.shards().len(), 6, "{what}: two were split, once each: {story:?}");
    // Nothing is left to do, and nothing is counted again.
    for minutes in [6, 10] {
        stage.later(minutes, LOAD).await;
        let run = Container::start(stage.account.url(), &settings).await.invoke(&json!({ "sweep": true })).await;
        assert_eq!(run.document()["looked"], 0, "{what}: {:#}", run.document());
    }
    for dimensions in [&[][..], &[("StreamName", STREAM)], &[("StreamName", STREAM), ("Action", "scale_shards")]] {
        assert_eq!(stage.aws.auto_fix(dimensions).await, 1.0, "{what}: {story:?}");
    }
}

#[tokio::test]
async fn the_lambda_answers_a_sweep_with_a_summary_and_logs_each_decision() {
    let stage = Stage::on(live(), LOAD, 2, 10).await;
    let mut container = Container::start(stage.account.url(), &[("UNTHROTTLE_FLEET_ALARMS", "writes,reads")]).await;
    let run = container.invoke(&json!({ "sweep": true })).await;
    let document = run.document();
    assert_eq!(
        (run.outcome(), &document["changed"], &document["looked"]),
        ("swept", &json!(1), &json!(1)),
        "{document:#}"
    );
    assert_eq!(run.decision_line()["decision"], document["decisions"][0]);
    let cost = run.cost_line();
    assert_eq!((&cost["Reason"], &cost["ColdStart"]), (&json!("swept"), &json!(1)), "{cost:#}");
    assert_eq!(lines_of(&run.lines, "SweepLooked").len(), 1);
    let sweeps: Vec<_> = run.lines.iter().filter(|line| line.get("sweep").is_some()).collect();
    assert!(matches!(&sweeps[..], [line] if line["message"] == document["sentence"]), "{sweeps:#?}");
    let none = BTreeMap::<String, u64>::new();
    stage.account.reset_calls();
    assert_eq!(container.invoke(&json!({ "sweep": false })).await.error().0, "bad_event");
    assert_eq!(stage.account.calls(), none);
}

/// Lambda's timeout stops it in the end; here the test does.
#[tokio::test]
async fn the_lambda_stays_when_the_schedule_asks_and_has_logged_each_look_by_then() {
    let stage = Stage::on(live(), LOAD, 2, 10).await;
    let mut container = Container::start(stage.account.url(), &[("UNTHROTTLE_FLEET_ALARMS", "writes,reads")]).await;
    let event = json!({ "sweep": true, "stay": true });
    let log = container.log_reader();
    let logged = async {
        while lines_of(&log.lines(0), "decision").is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // An answer would come at once.
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    tokio::select! {
        run = container.invoke(&event) => panic!("a stream is under way: {run:?}"),
        () = logged => {}
    }
    let lines = container.log();
    let [line] = lines_of(&lines, "decision")[..] else { panic!("one decision: {lines:#?}") };
    assert_eq!((&line["decision"]["code"], &line["decision"]["outcome"]), (&json!("scale_shards"), &json!("acted")));
    assert_eq!((lines_of(&lines, "Looked").len(), lines_of(&lines, "sweep").len()), (1, 0), "{lines:#?}");
}

// ---- A memory that is lost ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_that_is_lost_makes_no_second_change_of_old_evidence() {
    let stories = (0..6).map(|deleted_after| tokio::spawn(story_without_memory(deleted_after)));
    for story in stories.collect::<Vec<_>>() {
        story.await.expect("what the story's own test says");
    }
}

/// The story of one change, whose tag is deleted after so many looks.
async fn story_without_memory(deleted_after: usize) {
    // Eight shards would carry it; the one change that AWS allows at once goes to four, and then the load falls.
    let stage = Stage::under(6000.0, 2, 10).await;
    let mut story = vec![];
    for look in 0..9 {
        story.extend(decisions(&stage.sweep().await).iter().map(|decision| format!("{decision:?}")));
        if look == deleted_after {
            stage.aws.active(STREAM).await;
            stage.forget().await;
            // Before the metric shows the change: only the old evidence is there, and four shards were never full.
            story.extend(decisions(&stage.sweep().await).iter().map(|decision| format!("{decision:?}")));
        }
        stage.later(2, 2000.0).await;
    }
    let story = format!("deleted after {deleted_after}: {story:#?}");
    assert_eq!(stage.calls("Kinesis.UpdateShardCount"), 1, "{story}");
    assert_eq!(stage.shards().await, 4, "{story}");
    assert_eq!(stage.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0, "{story}");
    let document = stage.ask().await.document;
    assert_eq!((document.code, document.evidence.reshards_last_24_hours), ("healthy", Some(1)), "{story}");
}
