//! How a sweep finds the throttled streams where its alarms do not name all of them.

use crate::aws::STREAM;
use crate::fixture::{ALWAYS, Fixture, still};
use crate::fleet::{LONG, decisions, throttled};
use chrono::TimeDelta;
use std::time::Duration;
use unthrottle_core::decision::Outcome;
use unthrottle_core::policy::Permission;
use unthrottle_core::report::Queried;
use unthrottle_lab::local::Options;

#[tokio::test]
async fn an_alarm_that_cannot_be_read_is_replaced_by_a_query() {
    let fixture = Fixture::under(3000.0, 2, 10).await;
    fixture.deny("DescribeAlarmContributors", 0, ALWAYS);
    let found = fixture.sweep().await;
    assert_eq!(decisions(&found), [(STREAM, Outcome::Acted, "scale_shards")]);
    let document = &found.document;
    assert_eq!((document.queried, document.failed.len()), (Some(Queried::AlarmFailed), 2), "{}", document.sentence);
    assert!(document.sentence.contains("cloudwatch:DescribeAlarmContributors"), "{}", document.sentence);
    assert!(document.sentence.contains("$0.01 for 1,000 streams"), "{}", document.sentence);
}

#[tokio::test]
async fn one_alarm_that_fails_hides_no_stream_of_the_other() {
    let fixture = Fixture::under(3000.0, 2, 10).await;
    fixture.refuse("DescribeAlarmContributors", 1, "InternalServiceFault");
    let found = fixture.sweep().await;
    assert_eq!(decisions(&found), [(STREAM, Outcome::Acted, "scale_shards")]);
    assert_eq!((found.document.queried, found.document.failed.len()), (Some(Queried::AlarmFailed), 1));
}

#[tokio::test]
async fn alarms_that_answer_are_not_paid_for_again() {
    let fixture = Fixture::under(3000.0, 2, 10).await;
    let document = fixture.sweep().await.document;
    assert_eq!((document.queried, document.finding_calls), (None, 3), "two alarms, one page of tags");
}

#[tokio::test]
async fn a_denied_alarm_and_a_denied_query_leave_the_memories() {
    let fixture = Fixture::under(3000.0, 2, 10).await;
    fixture.deny("DescribeAlarmContributors", 0, 2);
    fixture.deny("GetMetricData", 0, 1);
    let document = fixture.sweep().await.document;
    let of: Vec<&str> = document.failed.iter().map(|failure| failure.of.as_str()).collect();
    assert_eq!((of.as_slice(), document.looked), (["writes", "reads", "metrics of the fleet"].as_slice(), 0));
}

/// A fleet of 101 throttled streams. An alarm names the worst 100.
async fn full() -> Fixture {
    let fixture = Fixture::empty(Options { shard_limit: 100_000, ..still() }).await;
    let fixture = fixture.policy(|p| p.max_changes_per_sweep = 1);
    fixture.account.add_streams((0..101).map(throttled), 1, &[]).await;
    throttle_all(&fixture, 5);
    fixture
}

fn throttle_all(fixture: &Fixture, minutes: i64) {
    (0..101).for_each(|n| fixture.offer(&throttled(n), 1100.0 + f64::from(n), 1, 1..=minutes));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_alarm_is_completed_by_a_query_every_half_hour() {
    let fixture = full().await;
    let handler = fixture.handler();
    let mut seen = vec![];
    for _ in 0..8 {
        let found = fixture.sweep_by(&handler, Duration::from_secs(39), None).await.expect("a sweep").document;
        assert_eq!(found.full_alarms, ["writes"], "{}", found.sentence);
        seen.push((found.throttled, found.queried.is_some()));
        fixture.pass(Duration::from_secs(300));
        throttle_all(&fixture, 5);
    }
    let (asked, unasked) = ((101, true), (100, false));
    assert_eq!(seen[..6], [asked, unasked, unasked, unasked, unasked, unasked]);
    assert!(seen[6..].contains(&asked), "half an hour later: {seen:?}");
    let cold = fixture.sweep_for(Duration::from_secs(39), None).await.expect("a sweep").document;
    assert_eq!((cold.throttled, cold.queried), (101, Some(Queried::AlarmFull)), "a new container asks at once");
    assert!(cold.sentence.contains("every 30 minutes"), "{}", cold.sentence);
}

const REFUSED_WRITES: &str = "WriteProvisionedThroughputExceeded";

/// A throttled stream, in a monitoring account where a linked account has one, too.
async fn monitoring() -> Fixture {
    let fixture = Fixture::under(3000.0, 2, 10).await.policy(|p| p.fleet_alarms.clear());
    for ago in 1..=5 {
        let at = fixture.now() - TimeDelta::minutes(ago);
        fixture.account.put_linked_metric(REFUSED_WRITES, &[("StreamName", "theirs")], at, 5000.0);
    }
    fixture
}

#[tokio::test]
async fn in_a_monitoring_account_only_streams_of_this_account_are_found() {
    let found = monitoring().await.sweep_for(LONG, None).await.expect("a sweep");
    assert_eq!(decisions(&found), [(STREAM, Outcome::Acted, "scale_shards")]);
    assert_eq!(found.document.throttled, 1);
    let sentence = &found.document.sentence;
    let end = "so the sweep asked CloudWatch about every stream: about $0.02 for 1,000 streams.";
    assert!(sentence.ends_with(end), "{sentence}");
}

#[tokio::test]
async fn without_the_clause_a_linked_stream_is_found_and_is_none_of_this_account() {
    let fixture = monitoring().await.policy(|p| p.this_account_only = Permission::Deny);
    let found = fixture.sweep_for(LONG, None).await.expect("a sweep");
    assert_eq!(found.document.throttled, 2);
    let all = decisions(&found);
    assert!(all.contains(&(STREAM, Outcome::Acted, "scale_shards")), "{all:?}");
    assert!(all.contains(&("theirs", Outcome::Held, "stream_gone")), "{all:?}");
}
