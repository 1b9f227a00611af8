//! Data that another principal of the account writes into the function's metrics.

use crate::aws::STREAM;
use crate::fixture::Fixture;
use crate::fleet::{decisions, throttled};
use crate::notify::TOPIC;
use chrono::TimeDelta;
use unthrottle_core::decision::Outcome;

/// A throttled stream in an account where a principal writes this value of the metric into each of these minutes.
async fn forged(metric: &str, value: f64, ago: std::ops::RangeInclusive<i64>) -> Fixture {
    let fixture = Fixture::under(3000.0, 2, 10).await;
    for ago in ago {
        let at = fixture.now() - TimeDelta::minutes(ago);
        fixture.account.put_metric("Unthrottle", metric, &[], at, value);
    }
    fixture
}

#[tokio::test]
async fn forged_changes_of_the_fleet_do_not_stop_a_sweep_and_a_person_knows() {
    let fixture = forged("AutoFix", 100.0, 1..=1).await.policy(|p| p.topic_arn = Some(TOPIC.into()));
    let swept = fixture.sweep().await;
    assert_eq!(decisions(&swept), [(STREAM, Outcome::Acted, "scale_shards")]);
    let unsupported = swept.document.unsupported.expect("no tag shows them");
    assert_eq!((unsupported.metric, unsupported.counted, unsupported.supported), ("AutoFix", 100, 0));
    assert!(swept.document.sentence.contains("cloudwatch:PutMetricData"), "{}", swept.document.sentence);
    let [message] = &fixture.account.published()[..] else { panic!("one message") };
    assert!(message.message.contains("AutoFix counts 100 changes"), "{}", message.message);
}

#[tokio::test]
async fn data_that_are_forged_every_minute_do_not_stop_a_sweep() {
    let fixture = forged("AutoFix", 1e9, 0..=59).await;
    assert_eq!(decisions(&fixture.sweep().await), [(STREAM, Outcome::Acted, "scale_shards")]);
}

#[tokio::test]
async fn forged_shards_of_the_fleet_do_not_stop_a_sweep() {
    let fixture = forged("ShardsAdded", 1e9, 1..=1).await;
    let swept = fixture.sweep().await;
    assert_eq!(decisions(&swept), [(STREAM, Outcome::Acted, "scale_shards")]);
    assert_eq!(swept.document.unsupported.map(|it| (it.metric, it.supported)), Some(("ShardsAdded", 0)));
}

#[tokio::test]
async fn forged_changes_hold_a_person_s_question_until_the_sweep() {
    let fixture = forged("AutoFix", 100.0, 1..=1).await;
    let asked = fixture.ask().await.document;
    assert_eq!((asked.outcome, asked.code), (Outcome::Held, "fleet_limit"));
    assert_eq!(fixture.sweep().await.document.changed, 1);
}

#[tokio::test]
async fn changes_that_tags_show_hold_a_sweep_as_before() {
    let fixture = Fixture::empty(crate::fixture::still()).await.policy(|p| p.max_changes_per_hour = 5);
    fixture.account.add_streams((0..9).map(throttled), 1, &[]).await;
    (0..9).for_each(|n| fixture.offer(&throttled(n), 1400.0, 1, 1..=10));
    let mut changed = vec![];
    for _ in 0..8 {
        changed.push(fixture.sweep().await.document.changed);
        fixture.pass(std::time::Duration::from_secs(120));
        (0..9).for_each(|n| fixture.offer(&throttled(n), 1400.0, 1, 1..=2));
    }
    assert_eq!(changed.iter().sum::<usize>(), 5, "{changed:?}");
}

#[tokio::test]
async fn tags_that_cannot_be_read_support_nothing_and_hold() {
    let fixture = forged("AutoFix", 100.0, 1..=1).await;
    fixture.deny("GetResources", 0, 1);
    assert_eq!(decisions(&fixture.sweep().await), [(STREAM, Outcome::Held, "fleet_limit")]);
}
