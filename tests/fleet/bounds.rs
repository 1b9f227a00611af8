//! The bound on the changes of an hour, for one container and for several at once.

use crate::fixture::{Fixture, ask, still};
use crate::fleet::{LONG, throttled};
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::time::Duration;
use unthrottle::handler::Handler;
use unthrottle_core::decision::Outcome;

/// The time between two asks. AWS allows 20 DescribeStreamSummary calls a second to an account. Ten asks begin in a
/// second, and with five containers at once five more may be on their way.
const BETWEEN_ASKS: Duration = Duration::from_millis(100);

/// Eight streams of one shard, each offered what two carry.
async fn eight() -> Fixture {
    let fixture = Fixture::empty(still()).await.policy(|p| p.max_changes_per_hour = 5);
    fixture.account.add_streams((0..8).map(throttled), 1, &[]).await;
    (0..8).for_each(|n| fixture.offer(&throttled(n), 1400.0, 1, 1..=10));
    fixture
}

/// The streams that a container changes when a person asks about all eight.
async fn changed(fixture: &Fixture, handler: &Handler) -> Vec<String> {
    let mut changed = vec![];
    for n in 0..8 {
        fixture.pass(BETWEEN_ASKS);
        let document = ask(handler, &throttled(n)).await.document;
        match document.code {
            "scale_shards" => changed.push(throttled(n)),
            "fleet_limit" => assert!(document.sentence.contains("UNTHROTTLE_MAX_CHANGES_PER_HOUR"), "{document:?}"),
            "resharding" | "settling" | "healthy" => {}
            _ => panic!("{document:#?}"),
        }
    }
    let made = fixture.aws.auto_fix(&[]).await;
    assert!(made <= 5.0, "{made} changes");
    changed
}

#[tokio::test]
async fn a_container_changes_a_fifth_of_the_hour_before_the_metric_shows_it() {
    let fixture = eight().await;
    let handler = fixture.handler();
    assert_eq!(changed(&fixture, &handler).await.len(), 1);
    assert_eq!(changed(&fixture, &handler).await.len(), 0, "nor when it is asked again");
    let swept = fixture.sweep_by(&handler, LONG, None).await.expect("a sweep").document;
    assert_eq!(swept.changed, 0, "nor by a sweep: {}", swept.sentence);
}

#[tokio::test]
async fn containers_together_change_what_the_hour_allows_and_no_more() {
    let fixture = eight().await;
    let mut all = BTreeSet::new();
    for container in 0..7 {
        let changed = changed(&fixture, &fixture.handler()).await;
        let expected = usize::from(container < 5);
        assert_eq!(changed.len(), expected, "container {container}: {changed:?}");
        all.extend(changed);
        // The minute of the change is over: the metric shows it.
        fixture.pass(Duration::from_secs(60));
        let shards = |name: &String| if all.contains(name) { 2 } else { 1 };
        (0..8).map(throttled).for_each(|name| fixture.offer(&name, 1400.0, shards(&name), 1..=1));
    }
    assert_eq!(all.len(), 5);
    // An hour later the next change is allowed.
    fixture.pass(Duration::from_secs(3600));
    (0..8).for_each(|n| fixture.offer(&throttled(n), 1400.0, 1, 1..=10));
    let left = (0..8).map(throttled).find(|name| !all.contains(name)).expect("three are left");
    assert_eq!(ask(&fixture.handler(), &left).await.document.outcome, Outcome::Acted);
}

#[tokio::test]
async fn many_containers_at_once_change_a_fifth_each() {
    let fixture = eight().await;
    let handlers: Vec<Handler> = (0..5).map(|_| fixture.handler()).collect();
    let all = join_all(handlers.iter().map(|handler| changed(&fixture, handler))).await;
    assert!(all.iter().all(|changed| changed.len() <= 1), "{all:?}");
    let made = fixture.aws.auto_fix(&[]).await;
    assert!((1.0..=5.0).contains(&made), "{made} changes");
}
