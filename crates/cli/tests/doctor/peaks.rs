//! Peaks within an hour, which the mean of the hour does not show.

use crate::fixture::{Clinic, Seed, finding, minutes_ago, with_status};
use crate::seeded::only;
use serde_json::json;

/// Records of a shard in a minute.
const SHARD: f64 = 60_000.0;

/// A stream of ten shards with a load of less than one, which a daily peak of five minutes fills with six.
async fn daily_peak(seed: Seed) -> Clinic {
    let clinic = Clinic::of(Seed { shards: 10, ..seed }).await;
    for day in 1..14 {
        (0..5).for_each(|minute| clinic.put("IncomingRecords", minutes_ago(day * 1_440 - minute), 6.0 * SHARD));
    }
    clinic
}

#[tokio::test]
async fn a_daily_peak_of_five_minutes_leaves_no_idle_shards() {
    let clinic = daily_peak(Seed::default()).await;
    let findings = clinic.findings(&["--only", "oversized"]).await;
    assert_eq!(with_status(&findings, "ok"), ["oversized"], "{findings:#?}");
    let finding = finding(&findings, "oversized");
    let sentence = finding["sentence"].as_str().expect("a sentence");
    assert!(sentence.starts_with("The busiest minute of 14 days fills 6"), "{sentence}");
    assert!(finding["evidence"]["enough_shards"].as_u64() >= Some(12), "{finding}");
}

#[tokio::test]
async fn provisioned_mode_is_planned_for_the_busiest_minute() {
    let summary = || json!({ "StreamModeDetails": { "StreamMode": "ON_DEMAND" } });
    let steady = Clinic::of(Seed { shards: 10, summary: summary(), ..Seed::default() }).await;
    let shards = only(&steady, "mode", "warn").await["evidence"]["provisioned_shards"].clone();
    assert_eq!(shards, 2);
    let clinic = daily_peak(Seed { summary: summary(), ..Seed::default() }).await;
    let findings = clinic.findings(&["--only", "mode"]).await;
    let shards = finding(&findings, "mode")["evidence"]["provisioned_shards"].as_u64();
    assert!(shards >= Some(12), "{findings:#?}");
}

/// Within 25 calls, the minutes of 14 days take one, and only where the hours say that fewer shards may do.
#[tokio::test]
async fn the_minutes_take_one_call_where_fewer_shards_may_do() {
    for (shards, reads) in [(10, 3), (1, 2)] {
        let clinic = Clinic::of(Seed { shards, ..Seed::default() }).await;
        clinic.account.reset_calls();
        clinic.findings(&[]).await;
        let calls = clinic.account.calls();
        assert_eq!(calls["CloudWatch.GetMetricData"], reads, "{shards} shards: {calls:?}");
        assert!(calls.values().sum::<u64>() <= 25, "{calls:?}");
    }
}
