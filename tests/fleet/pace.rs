//! The pace of a sweep, its deadline, and the indexes that it cannot read.

use crate::aws::STREAM;
use crate::fixture::{Fixture, home, live, still};
use crate::fleet::{LONG, decisions, lines_of, throttled};
use crate::lambda::Container;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use unthrottle::sweep::{LONGEST_CHECK, Plan, sweep};
use unthrottle_core::clock::Clock;
use unthrottle_core::decision::Outcome;
use unthrottle_core::memory::TAG;
use unthrottle_lab::local::{self, Effect, Options};

/// A clock that records the end of each wait. There the checks of a sweep begin.
#[derive(Clone, Debug)]
pub struct Watched {
    clock: local::Clock,
    ends: Arc<Mutex<Vec<DateTime<Utc>>>>,
}

impl Watched {
    pub fn of(fixture: &Fixture) -> Watched {
        Watched { clock: fixture.account.clock().clone(), ends: Arc::default() }
    }

    /// The most checks that began in any one second.
    pub fn most_in_a_second(&self) -> usize {
        let begun = self.ends.lock().expect("no panic");
        let second = |first: &DateTime<Utc>| *first..*first + TimeDelta::seconds(1);
        let since = |first: &DateTime<Utc>| begun.iter().filter(|at| second(first).contains(at)).count();
        begun.iter().map(since).max().unwrap_or_default()
    }
}

impl Clock for Watched {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn elapsed(&self) -> Duration {
        Clock::elapsed(&self.clock)
    }

    fn sleep_until(&self, then: DateTime<Utc>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            Clock::sleep_until(&self.clock, then).await;
            self.ends.lock().expect("no panic").push(self.clock.now());
        })
    }
}

/// An account with this many streams whose memory cannot be read. Each takes one check, and no change.
async fn due(options: Options, count: usize) -> Fixture {
    let fixture = Fixture::empty(options).await;
    fixture.account.add_streams((0..count).map(|n| format!("due-{n:02}")), 1, &[(TAG, "v=9")]).await;
    fixture
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_checks_do_not_make_later_checks_faster() {
    let fixture = due(still(), 20).await;
    fixture.fault("DescribeStreamSummary", 0, 8, Effect::Delay(Duration::from_secs(2)));
    let watched = Watched::of(&fixture);
    let handler = fixture.handler().on(watched.clone());
    // Several checks at once, as the Lambda does it.
    let swept = sweep(&handler, &home(), Plan::until(fixture.now() + LONG), |_| ()).await.expect("a sweep");
    assert_eq!(swept.looked, 20);
    assert!((1..=4).contains(&watched.most_in_a_second()), "{watched:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_checks_at_once_read_the_account_limits_once() {
    let fixture = due(still(), 12).await;
    fixture.fault("DescribeLimits", 0, 1, Effect::Delay(Duration::from_millis(900)));
    let swept = sweep(&fixture.handler(), &home(), Plan::until(fixture.now() + LONG), |_| ()).await.expect("a sweep");
    assert_eq!(swept.looked, 12);
    assert_eq!(fixture.calls("Kinesis.DescribeLimits"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_ends_before_its_deadline_and_lists_the_streams_left() {
    let fixture = due(still(), 60).await;
    let handler = fixture.handler();
    let deadline = fixture.now() + LONGEST_CHECK + Duration::from_millis(1900);
    let found =
        fixture.sweep_by(&handler, LONGEST_CHECK + Duration::from_millis(1900), None).await.expect("a sweep").document;
    assert!(fixture.now() + LONGEST_CHECK < deadline, "the last check has its time");
    assert_eq!(found.looked, 4, "one each quarter of a second: {}", found.sentence);
    assert_eq!(found.looked + found.left.len(), 60);
    assert!(found.left.is_sorted() && found.sentence.contains("the next sweep finds them again"), "{}", found.sentence);
}

#[tokio::test]
async fn the_lambda_sweeps_within_its_timeout() {
    let fixture = due(live(), 60).await;
    let mut container = Container::start(fixture.account.url(), &[]).await;
    // Time to begin checks for five seconds, at four a second.
    let run = container.invoke_until(LONGEST_CHECK + Duration::from_secs(6), &json!({ "sweep": true })).await;
    let document = run.document();
    let (looked, left) = (document["looked"].as_u64().expect("a count"), document["left"].as_array().expect("names"));
    // Also on a slow machine: sixty checks would take fifteen seconds.
    assert!(!left.is_empty() && looked + left.len() as u64 == 60, "{}", document["sentence"]);
    let [swept] = lines_of(&run.lines, "SweepLeft")[..] else { panic!("one line: {:?}", run.lines) };
    assert_eq!(swept["SweepLeft"], left.len());
}

#[tokio::test]
async fn an_index_that_cannot_be_read_is_reported_and_the_other_is_used() {
    let fixture = Fixture::under(3000.0, 2, 10).await;
    fixture.deny("GetResources", 0, 1);
    let found = fixture.sweep().await;
    assert_eq!(decisions(&found), [(STREAM, Outcome::Acted, "scale_shards")]);
    assert_eq!(found.document.failed.iter().map(|f| f.of.as_str()).collect::<Vec<_>>(), ["memories"]);
    fixture.deny("DescribeAlarmContributors", 0, 2);
    let found = fixture.sweep().await.document;
    assert_eq!((found.looked, found.failed.len()), (1, 2), "the memory is due: {}", found.sentence);
    fixture.deny("DescribeAlarmContributors", 0, 2);
    fixture.deny("GetMetricData", 0, 1);
    fixture.deny("GetResources", 0, 1);
    let error = fixture.sweep_for(LONG, None).await.expect_err("blind");
    assert_eq!(error.code(), "read_failed");
}

#[tokio::test]
async fn streams_whose_order_cannot_be_read_are_checked_in_any_order() {
    let fixture = Fixture::under(3000.0, 2, 10).await.policy(|p| p.fleet_alarms.truncate(1));
    fixture.account.add_streams([throttled(0)], 1, &[]).await;
    fixture.offer(&throttled(0), 1400.0, 1, 1..=10);
    fixture.deny("GetMetricData", 0, 1);
    fixture.deny("GetResources", 0, 1);
    let found = fixture.sweep().await.document;
    assert_eq!((found.throttled, found.changed), (2, 2), "{}", found.sentence);
    let of: Vec<&str> = found.failed.iter().map(|failure| failure.of.as_str()).collect();
    assert_eq!(of, ["order of the throttled streams", "memories"]);
}
