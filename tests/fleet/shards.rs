//! The bound on the shards that are added in 24 hours, for one container and for several at once.

use crate::fixture::{Fixture, ask, still};
use crate::fleet::throttled;
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;
use unthrottle::handler::Handler;
use unthrottle_core::decision::Outcome;
use unthrottle_lab::local::Effect;

/// Streams of two shards, each offered what four carry.
async fn streams(count: u32, max_added_shards: u32) -> Fixture {
    let fixture = Fixture::empty(still()).await.policy(|p| p.max_added_shards = max_added_shards);
    fixture.account.add_streams((0..count).map(throttled), 2, &[]).await;
    (0..count).for_each(|n| fixture.offer(&throttled(n), 2900.0, 2, 1..=10));
    fixture
}

/// The sum of the metric ShardsAdded.
async fn added(fixture: &Fixture) -> f64 {
    fixture.aws.counts("ShardsAdded", &[]).await.into_iter().map(|(_, sum)| sum).sum()
}

#[tokio::test]
async fn each_change_counts_the_shards_that_it_adds_without_a_further_call() {
    let fixture = Fixture::under(3000.0, 2, 10).await;
    assert_eq!(fixture.ask().await.document.outcome, Outcome::Acted);
    assert_eq!((added(&fixture).await, fixture.calls("CloudWatch.PutMetricData")), (2.0, 1));
}

#[tokio::test]
async fn a_step_is_cut_to_the_shards_left_and_the_next_stream_is_held() {
    let fixture = streams(2, 1).await;
    let handler = fixture.handler();
    let first = ask(&handler, &throttled(0)).await.document;
    assert_eq!(json!(first.remedy), json!({ "from": 2, "to": 3 }), "{}", first.sentence);
    assert!(first.sentence.contains("UNTHROTTLE_MAX_ADDED_SHARDS"), "{}", first.sentence);
    let second = ask(&handler, &throttled(1)).await.document;
    assert_eq!((second.outcome, second.code), (Outcome::Held, "fleet_limit"), "{}", second.sentence);
    assert!(second.sentence.contains("UNTHROTTLE_MAX_ADDED_SHARDS"), "{}", second.sentence);
}

#[tokio::test]
async fn the_metric_holds_another_container_for_24_hours() {
    let fixture = streams(2, 2).await;
    assert_eq!(ask(&fixture.handler(), &throttled(0)).await.document.outcome, Outcome::Acted);
    fixture.pass(Duration::from_secs(3600));
    fixture.offer(&throttled(1), 2900.0, 2, 1..=10);
    assert_eq!(ask(&fixture.handler(), &throttled(1)).await.document.code, "fleet_limit");
    fixture.pass(Duration::from_secs(23 * 3600 + 60));
    fixture.offer(&throttled(1), 2900.0, 2, 1..=10);
    assert_eq!(ask(&fixture.handler(), &throttled(1)).await.document.outcome, Outcome::Acted);
}

#[tokio::test]
async fn containers_at_once_stay_within_the_shards_of_the_day() {
    let fixture = streams(20, 20).await;
    let handlers: Vec<Handler> = (0..5).map(|_| fixture.handler()).collect();
    let asks = |handler| {
        let fixture = &fixture;
        async move {
            for n in 0..20 {
                fixture.pass(Duration::from_millis(100));
                ask(handler, &throttled(n)).await;
            }
        }
    };
    join_all(handlers.iter().map(asks)).await;
    let added = added(&fixture).await;
    assert!((2.0..=20.0).contains(&added), "{added} shards");
}

#[tokio::test]
async fn a_restore_adds_nothing_to_the_shards_of_the_day() {
    let fixture = Fixture::raised(still(), 130).await.policy(|p| p.restore_after_hours = 1);
    let restored = fixture.sweep().await.document;
    assert_eq!((restored.changed, restored.decisions[0].code), (1, "restore"), "{}", restored.sentence);
    assert_eq!(added(&fixture).await, 2.0, "the raise");
}

#[tokio::test]
async fn a_lost_datum_is_sent_again_with_its_shards() {
    let fixture = Fixture::under(3000.0, 2, 10).await;
    fixture.fault("PutMetricData", 0, 1, Effect::DropBefore);
    assert_eq!(fixture.ask().await.document.outcome, Outcome::Acted);
    assert_eq!(added(&fixture).await, 0.0);
    for minutes in [2, 8] {
        fixture.later(minutes, 500.0).await;
        fixture.ask().await;
    }
    assert_eq!(added(&fixture).await, 2.0);
}
