//! A sweep over 5,000 streams: the streams that it finds, checks and changes.

use crate::aws::{STREAM, STREAM_ARN};
use crate::fixture::{Fixture, still};
use crate::fleet::{LONG, decisions, lines_of, throttled};
use crate::pace::Watched;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use unthrottle::sweep::LONGEST_CHECK;
use unthrottle_core::decision::Outcome;
use unthrottle_core::memory::{Change, ChangeKind, Memory, Size, TAG};
use unthrottle_core::report::metric;
use unthrottle_lab::local::Options;

const HEALTHY: usize = 4660;
const THROTTLED: u32 = 40;
const CHANGES: usize = 12;
const UNSETTLED: u64 = 5;
const COUNTED_LATE: u64 = 10;

/// How long ago the remembered changes were.
const AGO: TimeDelta = TimeDelta::minutes(40);

impl Fixture {
    async fn remember(&self, name: &str, shards: u32, text: &str) {
        self.account.add_streams([name.to_owned()], shards, &[(TAG, text)]).await;
    }

    /// The stream's last change in its memory, changed by `change`.
    async fn remember_change(&self, name: &str, change: impl FnOnce(&mut Change)) {
        self.remember(name, 2, &self.text_of_change(change)).await;
        self.load(name);
    }

    fn text_of_change(&self, change: impl FnOnce(&mut Change)) -> String {
        let mut memory = remembered(ChangeKind::Scale, 1, 2, self.now());
        change(memory.change.as_mut().expect("a change"));
        memory.encode().expect("fits")
    }

    fn load(&self, name: &str) {
        self.offer(name, 1500.0, 1, 40..=44);
        self.offer(name, 1500.0, 2, 1..=35);
    }

    fn count_its_change(&self, name: &str) {
        let at = self.now() - AGO;
        self.account.put_metric("Unthrottle", "AutoFix", &[("StreamName", name)], at, 1.0);
    }

    /// 5,000 streams: 40 are throttled, 300 carry a memory, and 30 of these need a check. One more throttled stream is
    /// gone.
    async fn fleet() -> Fixture {
        let fixture = Fixture::empty(Options { shard_limit: 100_000, ..still() }).await;
        let uncounted: Vec<_> = (0..COUNTED_LATE).map(|n| format!("unpublished-{n}")).collect();
        fixture.account.add_streams(uncounted.clone(), 1, &[]).await;
        for name in &uncounted {
            fixture.aws.reshard(name, 2).await.expect("accepted");
        }
        fixture.account.clock().advance(AGO.to_std().expect("positive")).expect("a clock that stands");
        fixture.account.add_streams((0..HEALTHY).map(|n| format!("healthy-{n:04}")), 1, &[]).await;
        fixture.account.add_streams((0..THROTTLED).map(throttled), 1, &[]).await;
        let settled = remembered(ChangeKind::Scale, 1, 2, fixture.now()).encode().expect("fits");
        for n in 0..270 {
            fixture.remember(&format!("settled-{n:03}"), 2, &settled).await;
        }
        for n in 0..10 {
            let unverified = format!("unverified-{n}");
            fixture.remember_change(&unverified, |change| change.healed = None).await;
            fixture.count_its_change(&unverified);
        }
        for name in &uncounted {
            let text = fixture.text_of_change(|change| change.published = None);
            fixture.aws.tag(&STREAM_ARN.replace(STREAM, name), TAG, &text).await;
            fixture.load(name);
        }
        for n in 0..UNSETTLED {
            let unsettled = format!("unsettled-{n}");
            fixture
                .remember_change(&unsettled, |change| {
                    (change.kind, change.from, change.settled) = (ChangeKind::Restore, Size::Shards(4), None)
                })
                .await;
            fixture.count_its_change(&unsettled);
            fixture.remember(&format!("unreadable-{n}"), 1, "v=9").await;
        }
        fixture.throttle_all(10);
        fixture
    }

    fn throttle_all(&self, minutes: i64) {
        for n in 0..THROTTLED {
            // Two shards carry the load. Each stream refuses more than the one before.
            self.offer(&throttled(n), 1100.0 + 10.0 * f64::from(n), 1, 1..=minutes);
        }
        self.offer("gone", 1001.0, 1, 1..=minutes);
    }
}

/// A memory whose last change, of `kind`, was announced 40 minutes before `now` and is settled, verified and counted.
fn remembered(kind: ChangeKind, from: u32, to: u32, now: DateTime<Utc>) -> Memory {
    let at = now - AGO;
    let mut change = Change::intent(kind, from, to, at);
    change.since = Some(at - TimeDelta::minutes(4));
    change.settled = Some(change.at + TimeDelta::minutes(2));
    change.healed = Some(change.at + TimeDelta::minutes(4));
    change.published = Some(change.at + TimeDelta::minutes(4));
    Memory::default().intend(change, false)
}

/// Name, outcome and code.
type Decided = (String, String, &'static str);

fn owned((name, outcome, code): (&str, Outcome, &'static str)) -> Decided {
    (name.to_owned(), outcome.to_string(), code)
}

/// The decisions about the fleet: the most throttled streams are changed, and one check fails.
fn expected() -> BTreeSet<Decided> {
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
    expected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_over_a_large_fleet_costs_few_calls_and_checks_only_streams_that_need_it() {
    let fixture = Fixture::fleet().await.policy(|p| p.max_changes_per_sweep = CHANGES as u32);
    // The 15th check fails: the sweep checks the stream with the 15th most refused records.
    fixture.deny("ListTagsForResource", 14, 1);
    fixture.account.reset_calls();

    let watched = Watched::of(&fixture);
    let handler = fixture.handler().on(watched.clone());
    let found = fixture.sweep_by(&handler, LONG, None).await.expect("a sweep");

    let pace = watched.most_in_a_second();
    let calls = fixture.account.calls();
    let document = &found.document;
    let sentence = &document.sentence;
    assert_eq!((document.throttled, document.remembered, document.due), (41, 300, 30), "{sentence}");
    assert!(document.finding_calls <= 8, "{}", document.finding_calls);
    assert_eq!((document.looked, document.left.len()), (70, 0), "{sentence}");
    for call in ["DescribeStreamSummary", "ListTagsForResource"] {
        assert_eq!(calls[&format!("Kinesis.{call}")], 71, "one observation each: {calls:?}");
    }
    assert!(["ListStreams", "DescribeStream"].iter().all(|c| !calls.contains_key(&format!("Kinesis.{c}"))));
    // One for each throttled stream that was read, one for each reshard that is found done, and one for each that is
    // proven before it is counted late.
    let expected_reads = u64::from(THROTTLED) - 1 + UNSETTLED + COUNTED_LATE;
    assert_eq!(calls["Kinesis.ListShards"], expected_reads, "{calls:?}");
    assert_eq!(pace, 4, "checks in a second");

    let [failure] = &document.failed[..] else { panic!("one failure: {:?}", document.failed) };
    assert_eq!((failure.of.as_str(), failure.code), (throttled(THROTTLED - 15).as_str(), "read_failed"));

    assert_eq!(decisions(&found).into_iter().map(owned).collect::<BTreeSet<_>>(), expected());
    assert_eq!((document.changed, document.healed), (CHANGES, 10));
    assert_eq!(calls["Kinesis.UpdateShardCount"], CHANGES as u64);
    assert_eq!(calls["CloudWatch.PutMetricData"], CHANGES as u64 + COUNTED_LATE, "changes, and those not counted yet");
    let held = document.decisions.iter().find(|d| d.code == "fleet_limit").expect("one");
    assert!(held.sentence.contains("UNTHROTTLE_MAX_CHANGES_PER_SWEEP"), "{}", held.sentence);
    assert!(sentence.contains("Not changed, because you allow no more at once: 27"), "{sentence}");
    assert!(!sentence.contains("UNTHROTTLE_FLEET_ALARMS"), "{sentence}");
    let swept = metric::swept(document, fixture.now());
    assert_eq!((&swept["SweepLooked"], &swept["SweepFailed"], &swept["SweepLeft"]), (&json!(70), &json!(1), &json!(0)));
    assert_eq!(lines_of(&found.lines, "Healed").len(), 10);
    assert_eq!(lines_of(&found.lines, "Looked").len(), 70);

    the_next_sweep_finds_the_rest(&fixture).await;
    without_fleet_alarms_a_query_finds_them(fixture).await;
}

/// The memories that were pending are not pending any more, except for those that cannot be read.
async fn the_next_sweep_finds_the_rest(fixture: &Fixture) {
    fixture.throttle_all(1);
    let rest = fixture.sweep_for(LONGEST_CHECK + Duration::from_millis(1600), None).await;
    let rest = rest.expect("a sweep").document;
    // A changed stream is pending until it has healed, and it is still among the throttled streams.
    assert_eq!((rest.throttled, rest.due), (41, 5 + CHANGES), "{}", rest.sentence);
    assert_eq!(rest.looked + rest.left.len(), 41 + 5, "{}", rest.sentence);
    assert!(rest.left.len() >= 35 && rest.sentence.contains("No time was left for"), "{}", rest.sentence);
}

async fn without_fleet_alarms_a_query_finds_them(fixture: Fixture) {
    let fixture = fixture.policy(|p| p.fleet_alarms.clear());
    fixture.throttle_all(1);
    let found = fixture.sweep_for(LONGEST_CHECK, None).await.expect("a sweep").document;
    assert_eq!((found.throttled, found.looked, found.left.len()), (41, 0, 46), "{}", found.sentence);
    assert!(found.finding_calls <= 8, "{}", found.finding_calls);
    assert!(found.sentence.contains("UNTHROTTLE_FLEET_ALARMS") && found.sentence.contains('$'), "{}", found.sentence);
}
