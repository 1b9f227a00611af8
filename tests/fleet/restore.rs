//! Restores, and changes that another person or tool makes or reverts.

use crate::aws::{STREAM, STREAM_ARN};
use crate::fixture::{Fixture, still};
use crate::fleet::decisions;
use crate::notify::TOPIC;
use chrono::TimeDelta;
use serde_json::json;
use unthrottle_core::decision::Outcome;

#[tokio::test]
async fn a_sweep_restores_raised_shards_after_hours_without_throttling() {
    let fixture = Fixture::raised(still(), 30).await.policy(|p| p.restore_after_hours = 1);
    assert_eq!(fixture.sweep().await.document.looked, 0, "not yet");
    fixture.later(60, 500.0).await;
    fixture.account.reset_calls();
    let found = fixture.sweep().await;
    assert_eq!(decisions(&found), [(STREAM, Outcome::Acted, "restore")], "{}", found.document.sentence);
    assert_eq!(json!(found.document.decisions[0].remedy), json!({ "from": 4, "to": 2 }));
    assert_eq!(fixture.calls("Kinesis.UpdateShardCount"), 1);
    assert_eq!(fixture.shards().await, 2);
    assert_eq!(fixture.aws.auto_fix(&[("StreamName", STREAM), ("Action", "restore")]).await, 1.0);
    assert_eq!(fixture.aws.auto_fix(&[("StreamName", STREAM)]).await, 2.0);

    // The restore is checked once, and then forgotten.
    fixture.later(20, 500.0).await;
    assert_eq!(decisions(&fixture.sweep().await), [(STREAM, Outcome::Held, "healthy")]);
    fixture.later(90, 500.0).await;
    assert_eq!(fixture.sweep().await.document.looked, 0);
    assert_eq!(fixture.aws.memory(STREAM_ARN).await.expect("a memory").base, None);
}

#[tokio::test]
async fn a_restore_waits_until_the_delay_of_registered_consumers_is_known() {
    let fixture = Fixture::raised(still(), 30).await.policy(|p| p.restore_after_hours = 1);
    let register = fixture.aws.kinesis.register_stream_consumer().stream_arn(STREAM_ARN).consumer_name("billing");
    register.send().await.expect("registered");
    fixture.later(60, 500.0).await;
    let found = fixture.sweep().await;
    assert_eq!(decisions(&found), [(STREAM, Outcome::Held, "healthy")]);
    let document = &found.document.decisions[0];
    assert!(document.sentence.contains("how far 1 of its registered consumers are behind"), "{}", document.sentence);

    fixture.later(60, 500.0).await;
    const BEHIND: &str = "SubscribeToShardEvent.MillisBehindLatest";
    let dimensions = [("StreamName", STREAM), ("ConsumerName", "billing")];
    for ago in 1..=5 {
        let at = fixture.now() - TimeDelta::minutes(ago);
        fixture.account.put_metric("AWS/Kinesis", BEHIND, &dimensions, at, 40.0);
        // A stream of a linked account has the same name, and its consumer is an hour behind.
        fixture.account.put_linked_metric(BEHIND, &dimensions, at, 3.6e6);
    }
    let found = fixture.sweep().await;
    assert_eq!(decisions(&found), [(STREAM, Outcome::Acted, "restore")], "{}", found.document.sentence);
    assert_eq!(found.document.decisions[0].evidence.fan_out_behind_milliseconds, Some(40.0));
}

#[tokio::test]
async fn a_peak_in_the_hours_without_throttling_keeps_the_shards_that_it_needs() {
    let fixture = Fixture::raised(still(), 30).await.policy(|p| p.restore_after_hours = 1);
    fixture.later(30, 2000.0).await;
    fixture.later(40, 500.0).await;
    let found = fixture.sweep().await;
    assert_eq!(json!(found.document.decisions[0].remedy), json!({ "from": 4, "to": 3 }), "{}", found.document.sentence);
    assert_eq!(fixture.shards().await, 3);
}

#[tokio::test]
async fn a_stream_that_another_person_has_resized_is_never_restored() {
    let fixture = Fixture::raised(still(), 10).await.policy(|p| p.restore_after_hours = 1);
    fixture.aws.reshard(STREAM, 6).await.expect("the stream is ACTIVE");
    fixture.later(80, 500.0).await;
    let found = fixture.sweep().await;
    assert_eq!(decisions(&found), [(STREAM, Outcome::Held, "healthy")], "AWS shows that the shards are an hour old");
    let memory = fixture.aws.memory(STREAM_ARN).await.expect("a memory");
    assert_eq!((memory.base, memory.reshards.len()), (None, 1), "nothing is ours to restore, and the budget stays");
    fixture.later(240, 500.0).await;
    assert_eq!(fixture.sweep().await.document.changed, 0);
    assert_eq!(fixture.shards().await, 6);
}

#[tokio::test]
async fn a_tool_that_reverts_two_changes_is_not_fought() {
    tug_of_war(false).await;
}

#[tokio::test]
async fn a_tool_that_reverts_two_changes_and_deletes_the_memory_is_not_fought() {
    tug_of_war(true).await;
}

async fn tug_of_war(with_memory: bool) {
    let fixture = Fixture::under(3000.0, 2, 10).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    let mut codes = vec![];
    for round in 0..15 {
        let found = fixture.sweep().await;
        codes.extend(found.document.decisions.iter().map(|decision| decision.code));
        // Terraform runs now and then. It knows two shards, and none of the tags of unthrottle.
        if round % 5 == 4 && fixture.shards().await == 4 {
            fixture.aws.reshard(STREAM, 2).await.expect("the stream is ACTIVE");
            if with_memory {
                fixture.forget().await;
            }
        }
        fixture.later(2, 3000.0).await;
    }
    assert_eq!(
        fixture.aws.counts("Reverted", &[("StreamName", STREAM)]).await.len(),
        2,
        "at the minutes of the changes"
    );
    assert_eq!(codes.last(), Some(&"tug_of_war"), "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == "scale_shards").count(), 2, "{codes:?}");
    assert_eq!(fixture.shards().await, 2);
    let published = fixture.account.published();
    let messages = published.iter().filter(|p| p.subject.as_deref().is_some_and(|s| s.contains("held tug_of_war")));
    assert_eq!(messages.count(), 1, "{published:#?}");
}
