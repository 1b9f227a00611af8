//! What a process remembers from one run to the next.

use crate::account::{Aws, Failure, at_once};
use crate::common::{Fixture, home};
use crate::throttled;
use chrono::TimeDelta;
use std::sync::atomic::{AtomicU32, Ordering};
use unthrottle_core::run::{Container, Run};
use unthrottle_core::signal::{Call, Signal};

/// A stream whose next signals are held or observed: the code of a throttle signal this long after the first run.
fn after(seconds: i64, first: &mut Aws) -> String {
    let container = Container::default();
    first.run_in(&container).expect("handled");
    first.pass(seconds);
    first.run_in(&container).expect("handled").document.code.to_string()
}

#[test]
fn a_throttle_signal_within_half_a_minute_is_answered_by_the_last_observation() {
    let calm = || Aws::of(Fixture::new(2).minutes(-30..=0, crate::common::offered(100.0, 2)));
    assert_eq!(after(29, &mut calm()), "just_looked");
    assert_ne!(after(30, &mut calm()), "just_looked");
}

#[test]
fn a_throttle_signal_after_missing_metrics_is_observed_after_ten_seconds() {
    let silent = || Aws::of(Fixture::new(2).minutes(-60..=-4, crate::common::offered(1900.0, 2)));
    let mut first = silent();
    assert_eq!(first.run().document.code, "evidence_pending");
    assert_eq!(after(9, &mut silent()), "just_looked");
    assert_ne!(after(10, &mut silent()), "just_looked");
}

#[test]
fn an_ask_is_always_observed() {
    let container = Container::default();
    let mut aws = throttled();
    aws.run_in(&container).expect("handled");
    aws.fixture = aws.fixture.asked();
    assert!(aws.run_in(&container).expect("handled").is_observed);
}

#[test]
fn a_change_on_other_shards_than_observed_is_observed_again() {
    let container = Container::default();
    let mut aws = throttled();
    aws.shards_before = Some(3);
    aws.run_in(&container).expect("handled");
    assert!(aws.run_in(&container).expect("handled").is_observed);
}

/// A denied call of a producer.
fn denied(aws: &Aws) -> Signal {
    let Signal::Throttle(call) = &aws.fixture.signal else { panic!("a throttle") };
    Signal::Throttle(Call { error_code: Some("AccessDeniedException".into()), ..call.clone() })
}

#[test]
fn a_signal_that_decides_alone_makes_no_call() {
    let mut aws = throttled();
    let signal = denied(&aws);
    let handled = aws.run_signal(&Container::default(), &signal).expect("handled");
    assert_eq!((handled.document.code, handled.is_observed), ("access_denied", false));
    assert_eq!(aws.calls, Vec::<String>::new());
}

/// How often the document of the last run counts callers.
fn counted(aws: &mut Aws, container: &Container) -> u64 {
    let signal = aws.fixture.signal.clone();
    let handled = aws.run_signal(container, &signal).expect("handled");
    let document = serde_json::to_value(&handled.document).expect("JSON");
    document["callers"].as_array().map_or(0, |callers| callers.iter().filter_map(|c| c["count"].as_u64()).sum())
}

#[test]
fn callers_are_counted_until_the_stream_is_observed() {
    let container = Container::default();
    let mut aws = throttled();
    assert_eq!(counted(&mut aws, &container), 1, "the first signal");
    assert_eq!(counted(&mut aws, &container), 1, "held as just observed: counted for the next observation");
    assert_eq!(counted(&mut aws, &container), 2);
    let signal = denied(&aws);
    aws.run_signal(&container, &signal).expect("handled");
    aws.pass(60);
    assert_eq!(counted(&mut aws, &container), 3, "a denied call is no throttle");
    aws.pass(60);
    assert_eq!(counted(&mut aws, &container), 1, "the count began again");
}

#[test]
fn a_run_that_fails_leaves_its_callers_to_the_next() {
    let container = Container::default();
    let mut aws = throttled().failing("observe", Failure::Silence);
    aws.run_in(&container).expect_err("no answer");
    assert_eq!(counted(&mut aws, &container), 2);
}

/// A run of a sweep that may change `left` more streams. Gives its code, and what is left.
fn swept(aws: &mut Aws, container: &Container, left: u32) -> (String, u32) {
    let left = AtomicU32::new(left);
    let (policy, signal, home) = (aws.fixture.policy.clone(), aws.fixture.signal.clone(), home());
    let run =
        Run { signal: &signal, home: &home, policy: &policy, container, left_in_sweep: Some(&left), supported: None };
    let code = at_once(run.handle(aws)).expect("handled").document.code.to_string();
    (code, left.load(Ordering::Relaxed))
}

#[test]
fn a_sweep_counts_a_change_and_gives_back_one_that_is_refused() {
    assert_eq!(swept(&mut throttled(), &Container::default(), 2), ("scale_shards".into(), 1));
    assert_eq!(swept(&mut throttled(), &Container::default(), 0), ("fleet_limit".into(), 0));
    let mut refused = throttled().failing("change", Failure::Says("ResourceInUseException", "UPDATING"));
    assert_eq!(swept(&mut refused, &Container::default(), 2), ("resharding".into(), 2));
}

/// A process that may make one change an hour. The code of another throttled stream, `minutes` after the first.
fn second_change(first: &mut Aws, minutes: i64) -> String {
    let container = Container::default();
    let bounded = |aws: &Aws| aws.fixture.clone().policy(|p| (p.max_changes_per_hour, p.concurrency) = (1, 1));
    first.fixture = bounded(first);
    first.run_in(&container).expect("handled");
    let mut other = throttled();
    other.fixture = bounded(&other).asked();
    other.now += TimeDelta::minutes(minutes);
    other.run_in(&container).expect("handled").document.code.to_string()
}

#[test]
fn a_change_of_this_process_counts_for_the_fleet_and_a_refused_one_does_not() {
    assert_eq!(second_change(&mut throttled(), 0), "fleet_limit");
    let mut refused = throttled().failing("change", Failure::Says("ResourceInUseException", "UPDATING"));
    assert_eq!(second_change(&mut refused, 0), "scale_shards");
}
