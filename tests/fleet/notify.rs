//! Messages to people: when unthrottle sends one, and when it does not send it again.

use crate::aws::{STREAM, STREAM_ARN, sample};
use crate::fixture::{Fixture, ask, home, still};
use crate::fleet::{decisions, lines_of};
use serde_json::{Value, json};
use unthrottle_core::decision::Outcome;
use unthrottle_core::policy::Mode;
use unthrottle_lab::local::{Effect, Published};

pub const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:notices";

/// Subject, message and document of what was published since the first `skip`.
fn notified(fixture: &Fixture, skip: usize) -> Vec<(String, String, Value)> {
    let published = fixture.account.published().into_iter().skip(skip);
    let of = |p: Published| {
        assert_eq!(p.topic, TOPIC);
        let document = serde_json::from_str(&p.attributes["document"]).expect("JSON");
        (p.subject.expect("a subject"), p.message, document)
    };
    published.map(of).collect()
}

/// The one message since the first `skip` is about this document.
#[track_caller]
fn expect_notified(fixture: &Fixture, skip: usize, outcome: &str, code: &str) -> (String, String) {
    let messages = notified(fixture, skip);
    let [(subject, body, document)] = &messages[..] else { panic!("one message: {messages:#?}") };
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
async fn a_change_and_its_healing_are_notified_once_each() {
    let fixture = Fixture::under(3000.0, 2, 4).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    fixture.ask().await;
    let (subject, body) = expect_notified(&fixture, 0, "acted", "scale_shards");
    assert_eq!(subject, "[unthrottle] acted scale_shards: orders us-east-1");
    assert!(
        body.contains("2 → 4 shards") && body.contains("unthrottle restore orders --region us-east-1 --yes"),
        "{body}"
    );
    fixture.later(2, 3000.0).await;
    fixture.ask().await;
    assert_eq!(fixture.account.published().len(), 1, "no message about settling");
    fixture.later(3, 3000.0).await;
    fixture.sweep().await;
    let (subject, _) = expect_notified(&fixture, 1, "healed", "healthy");
    assert_eq!(subject, "[unthrottle] healed: orders us-east-1");
    fixture.ask().await;
    assert_eq!(fixture.account.published().len(), 2, "nor about health");
}

#[tokio::test]
async fn a_hold_that_needs_a_person_is_notified_once_an_hour_by_all_containers_together() {
    let fixture = Fixture::under(3000.0, 2, 10).await;
    let fixture = fixture.policy(|p| (p.topic_arn, p.max_shards, p.max_shards_ceiling) = (Some(TOPIC.into()), 2, 2));
    assert_eq!(fixture.ask().await.document.code, "at_max_shards");
    let (subject, _) = expect_notified(&fixture, 0, "held", "at_max_shards");
    assert_eq!(subject, "[unthrottle] held at_max_shards: orders us-east-1");
    let same = fixture.handler();
    for minutes in [0, 10, 48] {
        fixture.later(minutes, 3000.0).await;
        for _ in 0..2 {
            assert_eq!(ask(&same, STREAM).await.document.code, "at_max_shards");
            assert_eq!(fixture.ask().await.document.code, "at_max_shards");
        }
        assert_eq!(fixture.account.published().len(), 1, "after {minutes} min more");
    }
    fixture.later(3, 3000.0).await;
    fixture.ask().await;
    expect_notified(&fixture, 1, "held", "at_max_shards");
    // Another hold is notified at once.
    fixture.aws.tag(STREAM_ARN, "unthrottle.max-shards", "many").await;
    fixture.ask().await;
    expect_notified(&fixture, 2, "held", "bad_policy_tag");
}

#[tokio::test]
async fn each_denied_principal_is_notified_once_an_hour() {
    let fixture = Fixture::empty(still()).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    let handler = fixture.handler();
    for (role, messages) in [("one", 1), ("two", 2), ("one", 2)] {
        let event = sample("put_record_denied__access_denied").to_string();
        let event = event
            .replace("role/orders-producer", &format!("role/{role}"))
            .replace("assumed-role/orders-producer", &format!("assumed-role/{role}"));
        let event: Value = serde_json::from_str(&event).expect("JSON");
        assert_eq!(handler.handle(&event, &home()).await.expect("held").document.code, "access_denied");
        assert_eq!(fixture.account.published().len(), messages, "{:#?}", fixture.account.published());
    }
    let published = fixture.account.published();
    let subject = published[1].subject.as_deref().expect("a subject");
    assert_eq!(subject, "[unthrottle] held access_denied: PutRecord by assumed-role/two/orders-producer us-east-1");
    assert!(published[1].message.ends_with("Switch all off: unthrottle pause\n"), "{}", published[1].message);
}

#[tokio::test]
async fn in_observe_mode_each_container_notifies_a_plan_once_an_hour() {
    let fixture = Fixture::under(3000.0, 2, 10).await;
    let fixture = fixture.policy(|p| (p.topic_arn, p.mode) = (Some(TOPIC.into()), Mode::Observe));
    let handler = fixture.handler();
    for _ in 0..3 {
        assert_eq!(ask(&handler, STREAM).await.document.outcome, Outcome::Planned);
    }
    let (subject, body) = expect_notified(&fixture, 0, "planned", "scale_shards");
    assert_eq!(subject, "[unthrottle] planned scale_shards: orders us-east-1");
    assert!(!body.contains("Undo:"), "there is nothing to undo: {body}");
    assert_eq!(fixture.aws.memory(STREAM_ARN).await, None);
}

#[tokio::test]
async fn a_message_that_is_not_delivered_is_counted_and_fails_no_run() {
    let fixture = Fixture::under(3000.0, 2, 10).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    fixture.fault(
        "Publish",
        0,
        99,
        Effect::Error { status: 403, code: "AuthorizationError".into(), message: "says the test".into() },
    );
    let reply = fixture.ask().await;
    assert_eq!((reply.document.outcome, reply.document.code), (Outcome::Acted, "scale_shards"));
    let [line] = lines_of(&reply.lines, "Untold")[..] else { panic!("one line: {:?}", reply.lines) };
    assert_eq!(line["Untold"], 1);
    assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"], json!([{ "Name": "Untold", "Unit": "Count" }]));
    assert_eq!((fixture.shards().await, fixture.account.published().len()), (4, 0));
    assert_eq!(fixture.aws.auto_fix(&[]).await, 1.0);

    let fixture = Fixture::under(3000.0, 2, 10).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    fixture.fault("Publish", 0, 99, Effect::DropBefore);
    let swept = fixture.sweep().await;
    assert_eq!(decisions(&swept), [(STREAM, Outcome::Acted, "scale_shards")]);
    assert_eq!(lines_of(&swept.lines, "Untold").len(), 1);
}
