//! A change is checked until it has healed. An observation that is too old changes nothing.

use crate::aws::{STREAM, STREAM_ARN};
use crate::fixture::{Fixture, home};
use crate::fleet::{decisions, lines_of};
use crate::notify::TOPIC;
use serde_json::json;
use std::time::Duration;
use unthrottle_core::decision::Outcome;
use unthrottle_lab::local::Effect;

#[tokio::test]
async fn a_change_is_checked_until_it_has_healed_and_then_left_alone() {
    let fixture = Fixture::under(3000.0, 2, 4).await;
    let acted = fixture.sweep().await;
    assert_eq!(decisions(&acted), [(STREAM, Outcome::Acted, "scale_shards")]);
    let under_way = fixture.sweep().await;
    assert_eq!(decisions(&under_way), [(STREAM, Outcome::Held, "resharding")]);
    fixture.later(2, 3000.0).await;
    let settling = fixture.sweep().await;
    assert_eq!(decisions(&settling), [(STREAM, Outcome::Held, "settling")]);
    fixture.later(3, 3000.0).await;

    let healed = fixture.sweep().await;

    assert_eq!(decisions(&healed), [(STREAM, Outcome::Healed, "healthy")], "{}", healed.document.sentence);
    assert_eq!(healed.document.healed, 1);
    assert_eq!(healed.document.decisions[0].evidence.time_to_heal_seconds, Some(240));
    let [line] = lines_of(&healed.lines, "Healed")[..] else { panic!("one line: {:?}", healed.lines) };
    assert_eq!((&line["Healed"], &line["TimeToHeal"]), (&json!(1), &json!(240)), "{line:#}");
    assert_eq!(line["StreamName"], STREAM);
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Dimensions"], json!([[], ["StreamName"]]));
    let units = json!([{ "Name": "Healed", "Unit": "Count" }, { "Name": "TimeToHeal", "Unit": "Seconds" }]);
    assert_eq!(directive["Metrics"], units);

    for minutes in [0, 2, 6, 60] {
        fixture.later(minutes, 3000.0).await;
        fixture.account.reset_calls();
        let quiet = fixture.sweep().await.document;
        assert_eq!((quiet.due, quiet.looked), (0, 0), "after {minutes} min: {}", quiet.sentence);
        assert!(
            !fixture.account.calls().keys().any(|call| call.starts_with("Kinesis.")),
            "{:?}",
            fixture.account.calls()
        );
    }
    assert_eq!(fixture.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0);
}

#[tokio::test]
async fn readers_that_stop_after_a_change_are_found_by_a_sweep() {
    let fixture = Fixture::under(3000.0, 2, 6).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    fixture.read(1..=6);
    assert_eq!(decisions(&fixture.sweep().await), [(STREAM, Outcome::Acted, "scale_shards")]);
    fixture.later(2, 3000.0).await;
    fixture.read(1..=2);
    assert_eq!(decisions(&fixture.sweep().await), [(STREAM, Outcome::Held, "settling")]);
    fixture.later(3, 3000.0).await;
    let waits = fixture.sweep().await;
    assert_eq!(decisions(&waits), [(STREAM, Outcome::Held, "settling")], "the reads may be published late");
    fixture.later(4, 3000.0).await;

    let stopped = fixture.sweep().await;

    assert_eq!(decisions(&stopped), [(STREAM, Outcome::Held, "readers_stopped")], "{}", stopped.document.sentence);
    assert_eq!(lines_of(&stopped.lines, "Healed").len(), 1, "the change has worked: {:?}", stopped.lines);
    let subjects = fixture.account.published().into_iter().filter_map(|message| message.subject);
    assert!(subjects.into_iter().any(|subject| subject.contains("held readers_stopped")));
}

#[tokio::test]
async fn a_healing_that_an_old_observation_shows_is_recorded_and_notified_by_the_next_run() {
    let fixture = Fixture::under(3000.0, 2, 4).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    fixture.ask().await;
    fixture.later(2, 3000.0).await;
    fixture.ask().await;
    fixture.later(3, 3000.0).await;
    let before = fixture.aws.memory(STREAM_ARN).await;
    // An old observation must write nothing: another run may have announced a change since.
    fixture.fault("GetMetricData", 0, 1, Effect::Delay(Duration::from_millis(2700)));
    let slow = fixture.ask().await;
    assert_eq!((slow.document.outcome, slow.document.code), (Outcome::Held, "healthy"), "{:#?}", slow.document);
    assert_eq!((fixture.aws.memory(STREAM_ARN).await, lines_of(&slow.lines, "Healed").len()), (before, 0));
    assert_eq!(fixture.account.published().len(), 1, "the change");
    assert_eq!(fixture.ask().await.document.outcome, Outcome::Healed);
    assert_eq!(fixture.account.published().len(), 2);
}

#[tokio::test]
async fn an_observation_that_is_too_old_is_repeated_before_the_change() {
    let fixture = Fixture::under(3000.0, 2, 10).await;
    fixture.fault("DescribeStreamSummary", 0, 1, Effect::Delay(Duration::from_millis(1600)));
    fixture.fault("TagResource", 0, 1, Effect::Delay(Duration::from_millis(1600)));
    let reply = fixture.ask().await;
    assert_eq!((reply.document.outcome, reply.document.code), (Outcome::Acted, "scale_shards"));
    let calls = ["DescribeStreamSummary", "TagResource", "UpdateShardCount"];
    let calls = calls.map(|call| fixture.calls(&format!("Kinesis.{call}")));
    assert_eq!(calls, [2, 1, 1], "two observations, one intent, one change");
    assert_eq!(fixture.shards().await, 4);
    assert_eq!(fixture.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0);
}

#[tokio::test]
async fn two_slow_observations_are_an_error_and_no_change() {
    let fixture = Fixture::under(3000.0, 2, 10).await;
    // Longer than an observation may be old.
    fixture.fault("DescribeStreamSummary", 0, 2, Effect::Delay(Duration::from_secs(4)));
    let failed = fixture.handler().handle(&json!({ "stream": STREAM }), &home()).await;
    assert_eq!(failed.expect_err("too slow").code(), "too_slow");
    assert_eq!(fixture.calls("Kinesis.UpdateShardCount"), 0);
    assert_eq!((fixture.shards().await, fixture.aws.auto_fix(&[]).await), (2, 0.0));
}

#[tokio::test]
async fn a_stream_that_still_throttles_after_a_change_gets_the_next_step() {
    let fixture = Fixture::under(6000.0, 2, 4).await;
    assert_eq!(decisions(&fixture.sweep().await), [(STREAM, Outcome::Acted, "scale_shards")]);
    // The minute in which the new shards opened shows that producers send no refused record again: the load is certain.
    fixture.later(1, 6000.0).await;
    let next = fixture.sweep().await;
    assert_eq!(decisions(&next), [(STREAM, Outcome::Acted, "scale_shards")]);
    assert_eq!(json!(next.document.decisions[0].remedy), json!({ "from": 4, "to": 8 }));
    fixture.later(2, 6000.0).await;
    fixture.sweep().await;
    fixture.later(3, 6000.0).await;
    let healed = fixture.sweep().await;
    assert_eq!(decisions(&healed), [(STREAM, Outcome::Healed, "healthy")]);
    // Four minutes before the first change, and one until the second.
    assert_eq!(healed.document.decisions[0].evidence.time_to_heal_seconds, Some(300));
}
