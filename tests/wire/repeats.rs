//! The same event many times, one after the other and at once: one change.

use crate::aws::STREAM;
use crate::fixture::Fixture;
use crate::lambda::storm;
use crate::throttle;

#[tokio::test]
async fn the_same_event_a_hundred_times_is_one_change_and_one_auto_fix() {
    let fixture = Fixture::throttled().await;
    let mut container = fixture.container().await;
    let mut acted = 0;
    for _ in 0..100 {
        acted += u32::from(container.invoke(&throttle()).await.outcome() == "acted");
    }
    assert_eq!(acted, 1);
    assert_one_change(&fixture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_event_a_hundred_times_at_once_is_one_change_and_one_auto_fix() {
    let fixture = Fixture::throttled().await;
    let mut containers = vec![];
    for _ in 0..10 {
        containers.push(fixture.container().await);
    }
    let outcomes = storm(containers, &throttle(), 10).await;
    assert_eq!(outcomes.len(), 100);
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "acted").count(), 1, "{outcomes:?}");
    assert_one_change(&fixture).await;
}

async fn assert_one_change(fixture: &Fixture) {
    let describe = async {
        fixture.aws.active(STREAM).await;
        fixture.aws.kinesis.list_shards().stream_name(STREAM).send().await.expect("shards").shards.unwrap_or_default()
    };
    let shards = describe.await;
    // Two were split, once each: a second change would have left more, open or closed.
    assert_eq!(shards.len(), 6, "{shards:?}");
    assert_eq!(fixture.aws.auto_fix(&[]).await, 1.0);
    assert_eq!(fixture.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0);
}
