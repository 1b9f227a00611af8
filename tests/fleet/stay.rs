//! Sweeps that stay, and check again the streams whose change is under way.

use crate::aws::{STREAM, STREAM_ARN};
use crate::fixture::{Fixture, still};
use crate::fleet::{LONG, PER_SHARD, decisions, lines_of, throttled};
use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use unthrottle::sweep::{LONGEST_CHECK, Plan};
use unthrottle_core::clock::Clock;
use unthrottle_core::decision::Outcome;
use unthrottle_core::memory::TAG;
use unthrottle_core::policy::Mode;
use unthrottle_core::report::SweepDocument;

/// The time between two checks of a stream by a sweep that stays.
const AGAIN_EVERY: Duration = Duration::from_secs(120);

const MINUTE: Duration = Duration::from_secs(60);

/// Time for one check and `more` further ones.
fn time_for(more: u32) -> Duration {
    LONGEST_CHECK + Duration::from_secs(1) + more * AGAIN_EVERY + AGAIN_EVERY / 2
}

#[tokio::test]
async fn a_sweep_that_stays_checks_changed_streams_again_and_no_others() {
    let fixture = Fixture::under(3.0 * 2.0 * PER_SHARD, 2, 10).await;
    fixture.account.add_streams(["unreadable".into()], 1, &[(TAG, "v=9")]).await;
    let swept = fixture.sweep_for(time_for(2), Some(AGAIN_EVERY)).await.expect("a sweep");
    let all = decisions(&swept);
    let codes: Vec<&str> = all.iter().filter(|(stream, ..)| *stream == STREAM).map(|(.., code)| *code).collect();
    assert_eq!((all[0], codes[0]), ((STREAM, Outcome::Acted, "scale_shards"), "scale_shards"), "{all:?}");
    assert!(codes.len() > 1 && codes[1..].iter().all(|code| ["resharding", "settling"].contains(code)), "{codes:?}");
    assert!(codes.contains(&"settling"), "the end of the change is seen: {codes:?}");
    assert_eq!(all[codes.len()..], [("unreadable", Outcome::Held, "bad_memory")], "once");
    let SweepDocument { looked, again, changed, sentence, .. } = &swept.document;
    assert_eq!((*looked, *again, *changed), (2, codes.len() - 1, 1), "{sentence}");
    assert!(sentence.contains(&format!("checked again {again} times")), "{sentence}");
    assert_eq!(lines_of(&swept.lines, "Looked").len(), all.len());
    assert!(fixture.aws.memory(STREAM_ARN).await.expect("remembered").change.is_some_and(|c| c.settled.is_some()));
}

/// The clock of a fixture whose stream is offered this number of records a second while a run waits for its next check.
struct UnderLoad(Arc<Fixture>, f64);

impl std::fmt::Debug for UnderLoad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnderLoad")
    }
}

impl Clock for UnderLoad {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        Clock::elapsed(self.0.account.clock())
    }

    fn sleep_until(&self, then: DateTime<Utc>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let minutes = (then - self.now()).num_minutes();
            if minutes > 0 {
                self.0.later(minutes, self.1).await;
            }
            Clock::sleep_until(self.0.account.clock(), then).await;
        })
    }
}

#[tokio::test]
async fn a_stream_that_takes_several_changes_counts_once_against_the_bound_of_a_sweep() {
    let fixture = Fixture::under(6000.0, 2, 4).await.policy(|p| p.max_changes_per_sweep = 1);
    fixture.account.add_streams([throttled(0)], 2, &[]).await;
    fixture.offer(&throttled(0), 3000.0, 2, 1..=4);
    let fixture = Arc::new(fixture);
    let handler = fixture.handler().on(UnderLoad(fixture.clone(), 6000.0));
    let swept = fixture.sweep_by(&handler, time_for(2), Some(AGAIN_EVERY)).await.expect("a sweep");
    let (acted, other) = ((STREAM, Outcome::Acted, "scale_shards"), throttled(0));
    let settling = (STREAM, Outcome::Held, "settling");
    assert_eq!(decisions(&swept), [acted, acted, settling, (&other, Outcome::Held, "fleet_limit")]);
    let SweepDocument { changed, healed, .. } = swept.document;
    assert_eq!((changed, healed), (1, 0), "streams: {}", swept.document.sentence);
}

#[tokio::test]
async fn a_failure_while_a_sweep_stays_is_reported() {
    let fixture = Fixture::under(6000.0, 2, 4).await;
    fixture.deny("DescribeStreamSummary", 1, 1);
    let swept = fixture.sweep_for(time_for(3), Some(AGAIN_EVERY)).await.expect("a sweep").document;
    let [failure] = &swept.failed[..] else { panic!("one failure: {:?}", swept.failed) };
    assert_eq!((failure.of.as_str(), failure.code), (STREAM, "read_failed"));
    assert_eq!((swept.looked, swept.again), (1, 0), "the next sweep checks it again: {}", swept.sentence);
}

/// Eight shards at 30 %, and three times their capacity in the last 20 seconds of the newest minute.
async fn onset() -> Arc<Fixture> {
    let fixture = Fixture::empty(still()).await;
    fixture.account.add_streams([STREAM.into()], 8, &[]).await;
    fixture.offer(STREAM, 2400.0, 8, 2..=30);
    fixture.offer_minute(STREAM, 2400.0 * 40.0 + 8000.0 * 20.0, 16_000.0 * 20.0, 1);
    Arc::new(fixture)
}

/// The codes of the stream's checks in a sweep of this plan. A minute passes between two rounds.
async fn codes_of(fixture: &Arc<Fixture>, plan: Plan) -> Vec<&'static str> {
    let handler = fixture.handler().on(UnderLoad(fixture.clone(), 24_000.0));
    let swept = fixture.sweep_planned(&handler, plan).await.expect("a sweep");
    decisions(&swept).into_iter().map(|(.., code)| code).collect()
}

#[tokio::test]
async fn a_sweep_that_stays_checks_again_where_the_load_has_just_begun() {
    let fixture = onset().await;
    let plan = Plan { again_every: Some(MINUTE), ..Plan::until(fixture.now() + time_for(2)) };
    let codes = codes_of(&fixture, plan).await;
    assert_eq!(codes[0], "evidence_pending", "{codes:?}");
    assert!(codes[1..3].contains(&"scale_shards"), "{codes:?}");
}

#[tokio::test]
async fn a_sweep_leaves_its_streams_to_the_next_one() {
    let fixture = onset().await;
    let now = fixture.now();
    let plan = Plan { again_every: Some(MINUTE), next_sweep: Some(now + MINUTE), ..Plan::until(now + time_for(2)) };
    assert_eq!(codes_of(&fixture, plan).await, ["evidence_pending"]);
}

/// Throttled streams are found in the same order by each sweep. Here a sweep has time for four of ten.
#[tokio::test]
async fn sweeps_that_have_no_time_for_every_stream_check_others_each_time() {
    let fixture = Fixture::empty(still()).await.policy(|p| p.mode = Mode::Observe);
    fixture.account.add_streams((0..10).map(throttled), 2, &[]).await;
    (0..10).for_each(|n| fixture.offer(&throttled(n), 3000.0, 2, 1..=4));
    let mut checked = BTreeSet::new();
    for _ in 0..6 {
        let handler = fixture.handler();
        let now = fixture.now();
        let plan = Plan { next_sweep: Some(now + Duration::from_secs(1)), ..Plan::until(now + LONG) };
        let swept = fixture.sweep_planned(&handler, plan).await.expect("a sweep");
        let streams: Vec<String> = decisions(&swept).into_iter().map(|(stream, ..)| stream.to_owned()).collect();
        assert!((1..=5).contains(&streams.len()), "{streams:?}");
        assert_eq!(streams.len() + swept.document.left.len(), 10, "{}", swept.document.sentence);
        checked.extend(streams);
    }
    assert_eq!(checked.len(), 10, "{checked:?}");
}
