//! Messages to people: when unthrottle sends one, and when it does not send it again.

use crate::aws::{STREAM, STREAM_ARN, sample};
use crate::fixture::{Fixture, ask, home, still};
use crate::fleet::{decisions, lines_of};
use serde_json::{Value, json};
use unthrottle_core::decision::Outcome;
use unthrottle_core::policy::{Messages, Mode};
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

/// AWS's words of a denial of `action`, which end so.
fn denial(action: &str, end: &str) -> Effect {
    let role = "arn:aws:sts::123456789012:assumed-role/unthrottle/unthrottle";
    let message = format!("User: {role} is not authorized to perform: {action} on resource: {STREAM_ARN} {end}");
    Effect::Error { status: 400, code: "AccessDeniedException".into(), message }
}

#[tokio::test]
async fn a_denied_change_is_notified_once_an_hour_by_all_containers_together() {
    let fixture = Fixture::under(3000.0, 2, 10).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    let by = "with an explicit deny in a service control policy";
    fixture.fault("UpdateShardCount", 0, u32::MAX, denial("kinesis:UpdateShardCount", by));
    assert_eq!(fixture.ask().await.document.code, "change_denied");
    let (subject, body) = expect_notified(&fixture, 0, "held", "change_denied");
    assert_eq!(subject, "[unthrottle] held change_denied: orders us-east-1");
    for part in ["2 → 4 shards", "a service control policy denies kinesis:UpdateShardCount", "Nothing was changed"] {
        assert!(body.contains(part), "{part}: {body}");
    }
    assert_eq!(fixture.ask().await.document.code, "refused_lately", "the minute after the denial");
    for minutes in [2, 20, 30] {
        fixture.later(minutes, 3000.0).await;
        let reply = fixture.ask().await;
        assert!(reply.document.code == "change_denied" && reply.decision.needs_person(), "{}", reply.document.code);
        assert_eq!(fixture.account.published().len(), 1, "after {minutes} min more");
    }
    fixture.later(10, 3000.0).await;
    fixture.sweep().await;
    expect_notified(&fixture, 1, "held", "change_denied");
    assert_eq!(fixture.shards().await, 2);
}

/// A hold that no person needs to know writes its memory, too: the first run after an incident, for example.
#[tokio::test]
async fn a_memory_that_a_policy_denies_is_notified_in_a_hold_that_needs_no_person_itself() {
    let fixture = Fixture::under(3000.0, 2, 10).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    fixture.ask().await;
    assert_eq!(fixture.account.published().len(), 1, "of the change");
    let by = "because no permissions boundary allows the kinesis:TagResource action";
    fixture.fault("TagResource", 0, u32::MAX, denial("kinesis:TagResource", by));
    let handler = fixture.handler();
    for minutes in [2, 0, 20] {
        fixture.later(minutes, 3000.0).await;
        let reply = ask(&handler, STREAM).await;
        assert_eq!((reply.document.code, reply.decision.notify), ("cannot_remember", true));
        let (_, body) = expect_notified(&fixture, 1, "held", "cannot_remember");
        assert!(body.contains("no permissions boundary allows kinesis:TagResource"), "{body}");
    }
}

#[tokio::test]
async fn a_denied_read_is_an_error_that_names_the_action_and_the_type_of_policy() {
    for (operation, action, by, says) in [
        (
            "DescribeStreamSummary",
            "kinesis:DescribeStreamSummary",
            "because no identity-based policy allows it",
            "(no identity-based policy allows kinesis:DescribeStreamSummary. Allow kinesis:DescribeStreamSummary in",
        ),
        (
            "ListTagsForResource",
            "kinesis:ListTagsForResource",
            "with an explicit deny in a resource control policy",
            "(a resource control policy denies kinesis:ListTagsForResource. Take the deny",
        ),
        (
            "GetMetricData",
            "cloudwatch:GetMetricData",
            "with an explicit deny in a VPC endpoint policy",
            "(a VPC endpoint policy denies cloudwatch:GetMetricData. Take the deny",
        ),
    ] {
        let fixture = Fixture::under(3000.0, 2, 10).await;
        fixture.fault(operation, 0, u32::MAX, denial(action, by));
        let event = json!({ "stream": STREAM });
        let error = fixture.handler().handle(&event, &home()).await.expect_err("denied");
        assert_eq!(error.code(), "read_failed");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn subscribers_by_https_get_the_form_for_chat_where_that_is_set_and_all_others_text() {
    let fixture = Fixture::under(3000.0, 2, 4).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    let fixture = fixture.policy(|p| p.messages = Messages::Chat);
    fixture.ask().await;
    let (_, text) = expect_notified(&fixture, 0, "acted", "scale_shards");
    let published = &fixture.account.published()[0];
    assert_eq!(published.by_protocol.keys().collect::<Vec<_>>(), ["https"]);
    let chat: Value = serde_json::from_str(&published.by_protocol["https"]).expect("JSON");
    assert_eq!((&chat["version"], &chat["source"]), (&json!("1.0"), &json!("custom")), "as AWS wants it: {chat:#}");
    let content = &chat["content"];
    assert_eq!(content["textType"], "client-markdown");
    assert_eq!(content["title"], "[unthrottle] acted scale_shards: orders us-east-1");
    let description = content["description"].as_str().expect("text");
    let undo = "unthrottle restore orders --region us-east-1 --yes";
    for part in ["2 → 4 shards", "*Cost:* $0.", &format!("*Undo:* `{undo}`")] {
        assert!(description.contains(part), "{part}: {description}");
    }
    assert_eq!(description.matches(undo).count(), 1, "the undo is there once: {description}");
    let steps = content["nextSteps"].as_array().expect("steps");
    assert!(steps.len() >= 4 && steps.iter().all(|step| text.contains(step.as_str().expect("text"))), "{steps:#?}");
    assert_eq!(content["keywords"], json!(["scale_shards", STREAM]));
    let thread = chat["metadata"]["threadId"].as_str().expect("text");
    assert_eq!(thread, format!("{STREAM_ARN} {}", fixture.now().format("%Y-%m-%d")));
}

#[tokio::test]
async fn a_text_from_outside_mentions_no_person_in_a_channel() {
    let fixture = Fixture::start(still()).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    let fixture = fixture.policy(|p| p.messages = Messages::Chat);
    let mut event = sample("put_record_denied__access_denied");
    event["detail"]["userIdentity"]["arn"] = json!("arn:aws:iam::123456789012:user/<!channel>");
    fixture.handler().handle(&event, &home()).await.expect("a reply");
    let published = fixture.account.published();
    let chat = &published[0].by_protocol["https"];
    assert!(chat.contains("‹!channel›") && !chat.contains('<'), "{chat}");
}
