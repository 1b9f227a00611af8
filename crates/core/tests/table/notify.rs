//! When people get a message.

use crate::common::{Fixture, now, offered};
use unthrottle_core::decide::hold_unobserved;
use unthrottle_core::decision::Reason;
use unthrottle_core::memory::Memory;
use unthrottle_core::policy::Permission;

/// People subscribe to a topic.
fn topic(fixture: Fixture) -> Fixture {
    fixture.policy(|p| p.topic_arn = Some("arn:aws:sns:us-east-1:123456789012:t".into()))
}

fn load() -> Fixture {
    topic(Fixture::under_load(2, 3000.0))
}

/// A stream that is held at the maximum.
fn held() -> Fixture {
    load().policy(|p| p.max_shards = 2)
}

/// The memory of the first notification.
fn notified() -> Memory {
    held().decide().memory.expect("a new record")
}

/// The same stream an hour after the first notification.
fn held_an_hour_later() -> Fixture {
    held().memory(&notified()).pass(60).minutes(50..=60, offered(3000.0, 2))
}

/// A stream in a full account, which the first notification was not about.
fn held_for_another_reason() -> Fixture {
    load().policy(|p| p.on_demand = Permission::Deny).memory(&notified()).account_full()
}

/// Asserts the code, and whether people get a message.
#[track_caller]
fn notifies(fixture: Fixture, expected: (&str, bool)) {
    let decision = fixture.decide();
    assert_eq!((decision.verdict.code(), decision.notify), expected);
}

rows! { notifies;
    a_hold_that_needs_a_person_notifies: held() => ("at_max_shards", true);
    the_same_hold_does_not_notify_again_within_the_hour: held().memory(&notified()) => ("at_max_shards", false);
    the_same_hold_with_a_second_cause_does_not_notify_again:
        held().memory(&notified()).account_full() => ("at_max_shards", false);
    another_hold_notifies_within_the_hour: held_for_another_reason() => ("at_account_quota", true);
    the_same_hold_notifies_again_after_an_hour: held_an_hour_later() => ("at_max_shards", true);
    a_change_notifies: load() => ("scale_shards", true);
    a_change_without_a_topic_notifies_no_person: Fixture::under_load(2, 3000.0) => ("scale_shards", false);
    a_healthy_stream_does_not_notify:
        topic(Fixture::new(2).minutes(-9..=0, offered(1000.0, 2))) => ("healthy", false);
    a_bad_policy_tag_notifies: load().tag("unthrottle.max-shards", "plenty") => ("bad_policy_tag", true);
}

#[test]
fn a_notification_is_recorded_once() {
    assert_eq!(notified().notified, Some(("at_max_shards".into(), now())));
    assert_eq!(held().memory(&notified()).decide().memory, None);
}

#[test]
fn a_hold_without_an_observation_that_needs_a_person_notifies() {
    assert!(hold_unobserved(Reason::AccessDenied, &topic(Fixture::new(1)).policy).notify);
}
