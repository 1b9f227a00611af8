//! What the doctor advises, where a simple answer would harm.

use crate::fixture::{Clinic, STREAM, Seed, finding, minutes_ago, with_status};
use crate::seeded::only;
use aws_sdk_cloudwatch::types::{ComparisonOperator, Dimension, Statistic};
use serde_json::json;

#[tokio::test]
async fn idle_shards_of_a_stream_with_a_late_reader_are_no_finding() {
    let clinic = Clinic::of(Seed { shards: 10, ..Seed::default() }).await;
    clinic.put("GetRecords.IteratorAgeMilliseconds", minutes_ago(2), 3_600_000.0);
    let findings = clinic.findings(&[]).await;
    assert_eq!(with_status(&findings, "ok").len(), findings.len(), "{findings:#?}");
    let sentence = finding(&findings, "oversized")["sentence"].as_str().expect("text");
    assert!(sentence.ends_with("A reader is 60 minutes behind, and needs all shards to catch up."), "{sentence}");
}

#[tokio::test]
async fn a_switch_to_provisioned_mode_takes_steps_that_aws_accepts() {
    let summary = json!({ "StreamModeDetails": { "StreamMode": "ON_DEMAND" } });
    let finding = only(&Clinic::of(Seed { summary, shards: 8, ..Seed::default() }).await, "mode", "warn").await;
    let fix: Vec<&str> = finding["fix"].as_str().expect("a fix").lines().collect();
    let is_step = |line: &str, words: &str| line.starts_with("aws ") && line.contains(words);
    assert_eq!(fix.len(), 4, "no caveat, because the minutes were read: {fix:#?}");
    assert!(is_step(fix[0], "StreamMode=PROVISIONED") && is_step(fix[2], "--target-shard-count 4 "), "{fix:#?}");
    let waits = ["# wait until the stream is ACTIVE:", "# wait until the stream is ACTIVE, and halve again, down to 2"];
    assert_eq!([fix[1], fix[3]], waits);
}

#[tokio::test]
async fn alarms_without_an_action_that_is_enabled_fire_alarms() {
    let seed = Seed { alarms: false, fleet_alarms: false, ..Seed::default() };
    let clinic = Clinic::of(seed).await;
    let put = |name: &str, metric: &str| {
        let of_stream = Dimension::builder().name("StreamName").value(STREAM).build();
        let put = clinic.aws.cloudwatch.put_metric_alarm().alarm_name(name).metric_name(metric).dimensions(of_stream);
        let put = put.namespace("AWS/Kinesis").evaluation_periods(5).statistic(Statistic::Maximum).period(60);
        put.threshold(1.0).comparison_operator(ComparisonOperator::GreaterThanThreshold)
    };
    let age = || put("late readers", "GetRecords.IteratorAgeMilliseconds");
    age().alarm_actions("topic").actions_enabled(false).send().await.expect("put");
    put("refused", "WriteProvisionedThroughputExceeded").send().await.expect("put");
    let findings = clinic.findings(&["--skip", "unthrottle"]).await;
    assert_eq!((with_status(&findings, "warn"), with_status(&findings, "unknown")), (vec!["alarms"], vec![]));
    let found = finding(&findings, "alarms");
    assert_eq!(found["evidence"]["without_action"], json!(["late readers", "refused"]));
    let fix: Vec<&str> = found["fix"].as_str().expect("a fix").lines().collect();
    assert!(fix[0].ends_with(" cloudwatch enable-alarm-actions --alarm-names 'late readers'"), "{fix:#?}");
    assert!(fix[1].contains(" cloudwatch put-metric-alarm --alarm-name orders-refused-writes "), "{fix:#?}");
    age().alarm_actions("topic").send().await.expect("put");
    let findings = clinic.findings(&["--only", "alarms"]).await;
    assert_eq!(finding(&findings, "alarms")["evidence"]["missing"], json!(["refused writes"]));
}
