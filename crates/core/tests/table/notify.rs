//! When people get a message.

use crate::common::{Fixture, home, now, offered};
use chrono::TimeDelta;
use unthrottle_core::decide::{held_by_aws, hold_unobserved, triage};
use unthrottle_core::decision::{DeniedChange, Reason, Remedy, Verdict};
use unthrottle_core::denial::Denial;
use unthrottle_core::memory::Memory;
use unthrottle_core::policy::Permission;
use unthrottle_core::report::Document;
use unthrottle_core::report::message::Message;
use unthrottle_core::report::outbox::{Admission, Outbox};
use unthrottle_core::signal::{Call, StreamArn};

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

/// The document of a denied call.
fn denied_call(change: impl FnOnce(&mut Call)) -> Document {
    let fixture = topic(Fixture::new(2)).call(|call| {
        (call.operation, call.error_code) = ("PutRecord".into(), Some("AccessDenied".into()));
        call.caller.principal = Some("arn:aws:sts::123456789012:assumed-role/producer/i-1".into());
        change(call);
    });
    let reason = triage(&fixture.signal, &fixture.policy, &home()).expect("held");
    Document::new(&fixture.signal, None, &hold_unobserved(reason, &fixture.policy), None)
}

/// The document of a denied call by this role, in a session of its own.
fn denied_role(role: &str, session: usize) -> Document {
    denied_call(|call| {
        call.caller.principal = Some(format!("arn:aws:sts::123456789012:assumed-role/{role}/i-{session}"));
        call.resource = Some(format!("arn:aws:kinesis:us-east-1:{session}:stream/null"));
        call.stream = StreamArn::new(&format!("s-{session}"), &home());
    })
}

/// The document of a stream of this name that is held at the maximum.
fn held_stream(name: &str) -> Document {
    let stream = StreamArn::new(name, &home());
    let fixture = held().call(|call| call.stream = stream);
    Document::new(&fixture.signal, fixture.observation.stream.as_ref(), &fixture.decide(), None)
}

fn is_sent(admission: &Admission) -> bool {
    matches!(admission, Admission::Send(_))
}

#[test]
fn denied_calls_of_one_role_are_one_message_an_hour() {
    let mut outbox = Outbox::default();
    let sent = (0..500).filter(|n| is_sent(&outbox.admit(&denied_role("producer", *n), now()))).count();
    assert_eq!(sent, 1, "the sessions, the streams and the resources differ, and the cause is one");
    assert!(is_sent(&outbox.admit(&denied_role("reader", 0), now())), "another role");
    let throttled_key = denied_call(|call| call.error_code = Some("KMSThrottlingException".into()));
    assert!(is_sent(&outbox.admit(&throttled_key, now())), "another cause");
    let later = |minutes| now() + TimeDelta::minutes(minutes);
    assert_eq!(outbox.admit(&denied_role("producer", 0), later(59)), Admission::Repeated);
    assert!(is_sent(&outbox.admit(&denied_role("producer", 0), later(60))));
}

#[test]
fn denied_calls_of_many_roles_leave_room_for_streams_and_the_next_message_says_what_was_not_sent() {
    let mut outbox = Outbox::default();
    let mut admit = |document: &Document| outbox.admit(document, now());
    let sent = (0..500).filter(|n| is_sent(&admit(&denied_role(&format!("role-{n}"), 1)))).count();
    assert_eq!(sent, 10);
    assert_eq!(admit(&denied_role("role-499", 2)), Admission::Repeated, "said once in the log");
    let Admission::Send(unsent) = admit(&held_stream("orders")) else { panic!("a stream that needs a person") };
    assert!(unsent.contains("490 of access_denied (arn:aws:sts::123456789012:assumed-role/role-10,"), "{unsent}");
    assert!(unsent.lines().count() == 1 && unsent.len() < 600, "{unsent}");
    assert_eq!(admit(&held_stream("clicks")), Admission::Send(String::new()), "said once");
}

#[test]
fn more_streams_than_an_hour_has_messages_are_named_in_the_next_message_and_counted() {
    let mut outbox = Outbox::default();
    let mut unsent = 0;
    for n in 0..130 {
        match outbox.admit(&held_stream(&format!("s-{n}")), now()) {
            Admission::Send(_) => {}
            Admission::Unsent { subject, is_of_stream } => {
                unsent += 1;
                assert!(is_of_stream && subject == format!("s-{n}"), "{subject}");
            }
            Admission::Repeated => panic!("new"),
        }
    }
    assert_eq!(unsent, 30);
    assert!(is_sent(&outbox.admit(&denied_role("producer", 1), now())), "a cause of another kind is not held back");
    let hour = now() + TimeDelta::hours(1);
    let Admission::Send(said) = outbox.admit(&held_stream("s-129"), hour) else { panic!("the next hour") };
    assert_eq!(said, "", "the message about the caller has said it");
}

/// A caller's text with a link, an escape of a terminal and a line of its own.
const HOSTILE: &str = "https://unthrottle.example/login?a=orders\u{1b}[2J\r\nSubject: pay\u{202e}";

/// Asserts that nothing of [`HOSTILE`] acts in the message or in its document.
#[track_caller]
fn is_harmless(document: &Document) {
    let Message { subject, body, .. } = Message::of(document, "us-east-1");
    let json = serde_json::to_value(document).expect("JSON").to_string();
    let body = body.replace("https://us-east-1.console.aws.amazon.com/", "");
    for text in [&subject, &body, &json, &document.sentence] {
        assert!(!text.contains("://"), "{text}");
        assert!(!text.contains("\\u00") && !text.contains('\u{202e}'), "{text}");
        assert!(!text.trim_end().lines().any(|line| line.starts_with("Subject")), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
    }
    assert!(!document.sentence.contains('\n') && subject.len() <= 100, "{subject}");
}

#[test]
fn text_of_a_callers_choosing_puts_no_link_and_no_control_character_into_a_message() {
    let hostile = || Some(HOSTILE.to_owned());
    is_harmless(&denied_call(|call| {
        call.caller.principal = Some(format!("arn:aws:sts::123456789012:assumed-role/p/{HOSTILE}"));
        (call.caller.user_agent, call.caller.source_ip, call.resource) = (hostile(), hostile(), hostile());
        (call.error_message, call.id, call.stream) = (hostile(), hostile(), None);
    }));
    is_harmless(&denied_call(|call| call.operation = HOSTILE.into()));
    is_harmless(&{
        let fixture = load().tag("unthrottle.mode", HOSTILE);
        Document::new(&fixture.signal, fixture.observation.stream.as_ref(), &fixture.decide(), None)
    });
    is_harmless(&{
        let fixture = load().tag("unthrottle.memory", HOSTILE);
        Document::new(&fixture.signal, fixture.observation.stream.as_ref(), &fixture.decide(), None)
    });
}

#[test]
fn a_denied_call_names_the_type_of_policy_where_aws_names_it() {
    let says = denied_call(|call| {
        let denied = "User: u is not authorized to perform: kinesis:PutRecord on resource: r";
        call.error_message = Some(format!("{denied} with an explicit deny in a resource-based policy"));
    });
    let says = says.sentence;
    assert!(says.contains("(AccessDenied: a resource-based policy denies kinesis:PutRecord)"), "{says}");
}

#[test]
fn an_unknown_tag_is_in_the_document_and_in_the_message() {
    let fixture = load().tag("unthrottle.max-shard", "2").tag("unthrottle.mode", "heal").tag("team", "shop");
    let decision = fixture.decide();
    assert_eq!(decision.verdict.code(), "scale_shards", "it restricts nothing");
    let document = Document::new(&fixture.signal, fixture.observation.stream.as_ref(), &decision, None);
    let document = document.with_config(&fixture.observation);
    let unknown = serde_json::to_value(&document.unknown_tags).expect("JSON");
    assert_eq!(unknown, serde_json::json!([{ "name": "unthrottle.max-shard", "nearest": "unthrottle.max-shards" }]));
    let says = "Tag: unthrottle does not know unthrottle.max-shard and ignores it. The nearest name is \
                unthrottle.max-shards.";
    let Message { body, .. } = Message::of(&document, "us-east-1");
    assert!(body.contains(says), "{body}");
}

#[test]
fn the_link_of_a_message_is_that_of_its_partition_or_none() {
    let body = |arn: &str| {
        let fixture = held();
        let mut document = Document::new(&fixture.signal, fixture.observation.stream.as_ref(), &fixture.decide(), None);
        document.stream.as_mut().expect("a stream").arn = arn.into();
        Message::of(&document, "us-east-1").body
    };
    for (partition, region, link) in [
        ("aws", "eu-west-1", Some("https://eu-west-1.console.aws.amazon.com/kinesis/home?region=eu-west-1#/streams")),
        ("aws-eusc", "eusc-de-east-1", Some("https://eusc-de-east-1.console.amazonaws-eusc.eu/kinesis/home")),
        ("aws-iso", "us-iso-east-1", None),
    ] {
        let body = body(&format!("arn:{partition}:kinesis:{region}:123456789012:stream/orders"));
        assert!(body.contains(&format!("unthrottle explain orders --region {region}")), "{body}");
        match link {
            Some(link) => assert!(body.contains(link), "{body}"),
            None => assert!(!body.contains("https://"), "{body}"),
        }
    }
}
