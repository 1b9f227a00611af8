//! When people get a message.

use crate::common::{Fixture, now, offered};
use unthrottle_core::decide::{held_by_aws, hold_unobserved};
use unthrottle_core::decision::{DeniedChange, Reason, Remedy, Verdict};
use unthrottle_core::denial::Denial;
use unthrottle_core::memory::Memory;
use unthrottle_core::policy::Permission;
use unthrottle_core::report::Document;

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

/// AWS's answer to a change, with these words after the action.
fn denied(remedy: Remedy, action: &str, end: &str) -> Reason {
    let role = "arn:aws:sts::123456789012:assumed-role/unthrottle/unthrottle";
    let message = format!("User: {role} is not authorized to perform: {action} on resource: r {end}");
    let denial = Denial::of("AccessDeniedException", &message, action).expect("a denial");
    Reason::ChangeDenied(Box::new(DeniedChange { remedy, denial }))
}

#[test]
fn a_change_that_a_policy_denies_needs_a_person() {
    let remedy = Remedy::SwitchToProvisioned { shards: 4 };
    assert!(denied(remedy, "kinesis:UpdateStreamMode", "with an explicit deny in a session policy").needs_person());
    let refused = |code: &str| Reason::Refused { code: code.into(), message: "no".into() }.needs_person();
    for code in ["AccessDeniedException", "AccessDenied", "NotAuthorized", "UnauthorizedOperation"] {
        assert!(refused(code), "{code}: no time ends a denial");
    }
    for code in ["LimitExceededException", "ValidationException", "InvalidArgumentException", "ThrottlingException"] {
        assert!(!refused(code), "{code}: AWS may accept the next attempt");
    }
}

/// The sentence where AWS denies the change of `fixture` with these words after the action.
#[track_caller]
fn says_of_denial(fixture: &Fixture, end: &str) -> String {
    let decision = fixture.decide();
    let Verdict::Act(remedy) = decision.verdict.clone() else { panic!("{decision:?}") };
    let reason = denied(remedy, "kinesis:UpdateShardCount", end);
    let decision = held_by_aws(decision, reason, true);
    assert!(decision.notify && decision.verdict.code() == "change_denied");
    Document::new(&fixture.signal, fixture.observation.stream.as_ref(), &decision, None).sentence
}

#[test]
fn the_sentence_of_a_denied_change_names_the_change_the_action_and_the_type_of_policy() {
    for (end, parts) in [
        (
            "with an explicit deny in a service control policy",
            ["a service control policy denies kinesis:UpdateShardCount", "the organization's service control policies"],
        ),
        (
            "because no permissions boundary allows the kinesis:UpdateShardCount action",
            [
                "no permissions boundary allows kinesis:UpdateShardCount",
                "Allow kinesis:UpdateShardCount in the permissions",
            ],
        ),
        (
            "because no identity-based policy allows the kinesis:UpdateShardCount action",
            ["no identity-based policy allows", "in the policies of the function's role"],
        ),
        ("", ["a policy that AWS does not name denies", "in every policy that applies"]),
    ] {
        let says = says_of_denial(&load(), end);
        for part in ["may not change 2 → 4 shards", "Nothing was changed", "or make the change yourself"] {
            assert!(says.contains(part), "{part}: {says}");
        }
        assert!(parts.iter().all(|part| says.contains(part)), "{says}");
        assert!(says.split_whitespace().count() <= 60, "{says}");
    }
}
