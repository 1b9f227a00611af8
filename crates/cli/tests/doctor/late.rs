//! Readers that are late, of both kinds.

use crate::fixture::{Clinic, STREAM, Seed, minutes_ago, with_status};
use crate::seeded::{only, register};

#[tokio::test]
async fn a_reader_that_is_half_the_retention_behind_fires_retention() {
    let clinic = Clinic::of(Seed::default()).await;
    clinic.put("GetRecords.IteratorAgeMilliseconds", minutes_ago(2), 13.0 * 3_600_000.0);
    let finding = only(&clinic, "retention", "fail").await;
    assert_eq!(finding["evidence"]["fix_usd_per_month"], 29.2, "2 shards × 730 h × $0.02");
    let fix = finding["fix"].as_str().expect("a fix");
    assert!(fix.contains("this command gains time (about $29.20 a month more):"), "{fix}");
}

#[tokio::test]
async fn a_reader_that_has_caught_up_shows_nothing() {
    let clinic = Clinic::of(Seed::default()).await;
    clinic.put("GetRecords.IteratorAgeMilliseconds", minutes_ago(60), 13.0 * 3_600_000.0);
    assert_eq!(with_status(&clinic.findings(&[]).await, "fail"), [""; 0]);
}

#[tokio::test]
async fn a_steady_reader_that_stopped_an_hour_ago_fires_retention_and_keeps_the_shards() {
    let clinic = Clinic::of(Seed { reader_stopped: 60, shards: 10, ..Seed::default() }).await;
    let finding = only(&clinic, "retention", "warn").await;
    let sentence = finding["sentence"].as_str().expect("a sentence");
    assert!(sentence.starts_with("No reader has called GetRecords for "), "{sentence}");
    let silent = finding["evidence"]["silent_seconds"].as_i64().expect("a number");
    assert!((3_500..4_500).contains(&silent), "{silent}");
}

/// A registered consumer makes no call of GetRecords, and has a metric of its own.
#[tokio::test]
async fn a_registered_consumer_that_is_late_fires_retention_and_keeps_the_shards() {
    let clinic = Clinic::of(Seed { shards: 10, ..Seed::default() }).await;
    register(&clinic, 1).await;
    let consumer = [("StreamName", STREAM), ("ConsumerName", "reader-0")];
    for (metric, value) in
        [("SubscribeToShardEvent.Success", 1.0), ("SubscribeToShardEvent.MillisBehindLatest", 20.0 * 3_600_000.0)]
    {
        clinic.account.put_metric("AWS/Kinesis", metric, &consumer, minutes_ago(2), value);
    }
    let finding = only(&clinic, "retention", "fail").await;
    let sentence = finding["sentence"].as_str().expect("a sentence");
    assert!(sentence.contains("20 hours behind"), "{sentence}");
    let findings = clinic.findings(&["--only", "oversized"]).await;
    assert_eq!(with_status(&findings, "ok"), ["oversized"], "it needs the shards to catch up: {findings:#?}");
}
