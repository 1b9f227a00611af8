//! One seeded fault for each check: exactly that check fires. A clean stream shows nothing.

use crate::fixture::{
    Clinic, RECORD, RECORDS, STREAM, Seed, finding, minutes_ago, must_run, not_encrypted, options, with_status,
};
use aws_sdk_kinesis::primitives::Blob;
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::time::Duration;
use unthrottle_lab::local::Options;

/// Exactly this check fires, with this status. Gives its finding.
pub async fn only(clinic: &Clinic, code: &str, status: &str) -> Value {
    let findings = clinic.findings(&[]).await;
    assert_eq!(with_status(&findings, "unknown"), [""; 0], "{findings:#?}");
    let other = if status == "warn" { "fail" } else { "warn" };
    assert_eq!(with_status(&findings, other), [""; 0], "{findings:#?}");
    assert_eq!(with_status(&findings, status), [code], "{findings:#?}");
    let finding = finding(&findings, code).clone();
    assert!(finding["fix"].is_string() && finding["source"].is_string(), "{finding:#?}");
    assert!(!finding["evidence"].as_object().expect("an object").is_empty(), "{finding:#?}");
    finding
}

#[tokio::test]
async fn a_clean_stream_shows_nothing() {
    let findings = Clinic::of(Seed::default()).await.findings(&[]).await;
    let ok = with_status(&findings, "ok").len();
    assert_eq!(ok, findings.len(), "{findings:#?}");
    assert!(findings.iter().all(|finding| finding["fix"].is_null()), "{findings:#?}");
}

#[tokio::test]
async fn a_full_account_fires_quota() {
    let options = Options { shard_limit: 2, ..options() };
    let finding = only(&Clinic::of(Seed { options, ..Seed::default() }).await, "quota", "fail").await;
    assert_eq!(finding["evidence"], json!({ "open_shards": 2, "shard_limit": 2 }));
}

#[tokio::test]
async fn an_account_with_four_fifths_of_its_shards_fires_quota() {
    let options = Options { shard_limit: 10, ..options() };
    let seed = Seed { options, shards: 8, records_per_second: 160.0, ..Seed::default() };
    only(&Clinic::of(seed).await, "quota", "warn").await;
}

#[tokio::test]
async fn a_shard_that_was_split_twice_fires_ranges() {
    let clinic = Clinic::of(Seed { records_per_second: 60.0, ..Seed::default() }).await;
    let quarters = [u128::MAX / 8, u128::MAX / 4];
    for (n, shard) in ["shardId-000000000000", "shardId-000000000003"].into_iter().enumerate() {
        let split = clinic.aws.kinesis.split_shard().stream_name(STREAM).shard_to_split(shard);
        let start = if n == 0 { quarters[1] } else { quarters[1] + quarters[0] };
        split.new_starting_hash_key(start.to_string()).send().await.expect("split");
        clinic.account.finish_changes().await;
    }
    let finding = only(&clinic, "ranges", "warn").await;
    assert_eq!(finding["evidence"]["widest_to_narrowest"], 4.0);
}

#[tokio::test]
async fn refusals_minute_after_minute_far_from_full_fire_shard_metrics() {
    let clinic = Clinic::of(Seed::default()).await;
    (5..11).for_each(|ago| clinic.put("WriteProvisionedThroughputExceeded", minutes_ago(ago), 100.0));
    let finding = only(&clinic, "shard-metrics", "warn").await;
    assert_eq!(finding["evidence"]["minutes_in_a_row"], 6);
}

#[tokio::test]
async fn shard_metrics_that_nothing_needs_fire_with_their_bill() {
    let metrics = ["IncomingBytes", "IncomingRecords", "WriteProvisionedThroughputExceeded"];
    let of_days = |days: i64| {
        let created = minutes_ago(days * 24 * 60).timestamp();
        let on = json!([{ "ShardLevelMetrics": metrics }]);
        Seed { summary: json!({ "EnhancedMonitoring": on, "StreamCreationTimestamp": created }), ..Seed::default() }
    };
    let young = Clinic::of(of_days(10)).await.findings(&[]).await;
    assert_eq!(with_status(&young, "warn"), [""; 0], "14 days are not known");
    let finding = only(&Clinic::of(of_days(15)).await, "shard-metrics", "warn").await;
    assert_eq!(finding["usd_per_month"], 1.8, "2 shards × 3 metrics × $0.30");
}

#[tokio::test]
async fn records_that_come_one_by_one_fire_put_record() {
    let clinic = Clinic::of(Seed::default()).await;
    // 11 a second in one hour of the 14 days.
    (0..39_600).for_each(|_| clinic.put("PutRecord.Bytes", minutes_ago(300), 1_000.0));
    assert_eq!(with_status(&clinic.findings(&[]).await, "warn"), [""; 0], "a small part of all records");
    let clinic = Clinic::of(Seed { records_per_second: 0.0, shards: 1, ..Seed::default() }).await;
    (0..43_200).for_each(|_| clinic.put("PutRecord.Bytes", minutes_ago(300), 24_000.0));
    clinic.put("IncomingRecords", minutes_ago(300), 43_200.0);
    clinic.put("IncomingBytes", minutes_ago(300), 43_200.0 * 24_000.0);
    let finding = only(&clinic, "put-record", "warn").await;
    let evidence = json!({ "put_record_share": 1.0, "put_record_records": 43_200.0, "records": 43_200.0 });
    assert_eq!(finding["evidence"], evidence);
}

#[tokio::test]
async fn a_few_real_calls_of_put_record_are_counted_and_are_no_fault() {
    let clinic = Clinic::of(Seed { records_per_second: 0.0, shards: 1, ..Seed::default() }).await;
    for n in 0..20 {
        let put = clinic.aws.kinesis.put_record().stream_name(STREAM).partition_key(n.to_string());
        put.data(Blob::new(vec![b'x'; 20 * 1024])).send().await.expect("accepted");
    }
    let findings = clinic.findings(&[]).await;
    assert_eq!(with_status(&findings, "warn"), [""; 0]);
    assert_eq!(finding(&findings, "put-record")["evidence"]["put_record_records"], 20.0);
}

#[tokio::test]
async fn many_small_calls_fire_batch() {
    let clinic = Clinic::of(Seed { records_per_second: 0.0, shards: 1, ..Seed::default() }).await;
    // Five hours ago: the hour is over, and its sample is no busy minute of the last three hours.
    (0..7_300).for_each(|_| clinic.put("PutRecords.TotalRecords", minutes_ago(300), 5.0));
    let finding = only(&clinic, "batch", "warn").await;
    let mean = finding["evidence"]["records_per_call"].as_f64().expect("a number");
    assert!((4.0..=5.0).contains(&mean), "{mean}");
}

#[tokio::test]
async fn small_records_fire_with_what_aggregation_saves() {
    let seed = Seed { shards: 1, record_bytes: 200.0, records_per_second: 500.0, ..Seed::default() };
    let finding = only(&Clinic::of(seed).await, "small-records", "warn").await;
    let evidence = &finding["evidence"];
    assert_eq!((&evidence["shards_needed"], &evidence["shards_needed_if_aggregated"]), (&json!(1), &json!(1)));
    // 500 records a second are 1,314 million units of $0.014 a million; aggregated, 3.9 a second.
    let saved = finding["usd_per_month"].as_f64().expect("a number");
    assert!((18.0..18.5).contains(&saved), "{saved}");
}

#[tokio::test]
async fn records_that_fill_little_of_their_units_fire_put_units() {
    let seed = Seed { record_bytes: 2_048.0, records_per_second: 400.0, ..Seed::default() };
    let finding = only(&Clinic::of(seed).await, "put-units", "warn").await;
    assert_eq!(finding["evidence"]["unit_use"], 0.08);
}

#[tokio::test]
async fn a_record_of_three_mib_fires_large_records() {
    let clinic = Clinic::of(Seed::default()).await;
    clinic.put("PutRecord.Bytes", minutes_ago(30), 3.0 * 1_048_576.0);
    only(&clinic, "large-records", "warn").await;
}

#[tokio::test]
async fn refusals_in_single_minutes_far_from_full_fire_bursts() {
    let clinic = Clinic::of(Seed::default()).await;
    [5, 30, 60].into_iter().for_each(|ago| clinic.put("WriteProvisionedThroughputExceeded", minutes_ago(ago), 100.0));
    let finding = only(&clinic, "bursts", "warn").await;
    assert_eq!(
        (&finding["evidence"]["refused_minutes"], &finding["evidence"]["refused_records"]),
        (&json!(3), &json!(300.0))
    );
}

#[tokio::test]
async fn records_that_failed_inside_aws_fire_failed_records() {
    let clinic = Clinic::of(Seed::default()).await;
    clinic.put("PutRecords.FailedRecords", minutes_ago(90), 5.0);
    only(&clinic, "failed-records", "warn").await;
}

#[tokio::test]
async fn four_calls_a_second_and_shard_fire_pollers() {
    let clinic = Clinic::of(Seed::default()).await;
    (0..2 * 4 * 60).for_each(|_| clinic.put("GetRecords.Bytes", minutes_ago(10), 10.0));
    let finding = only(&clinic, "pollers", "warn").await;
    assert_eq!(finding["evidence"]["calls_per_second_and_shard"], 4.0);
}

#[tokio::test]
async fn three_times_the_bytes_that_were_written_fire_pollers() {
    let clinic = Clinic::of(Seed::default()).await;
    let written = RECORDS * RECORD * 60.0;
    (1..=179).for_each(|ago| clinic.put("GetRecords.Bytes", minutes_ago(ago), 3.0 * written));
    let finding = only(&clinic, "pollers", "warn").await;
    assert_eq!(finding["evidence"]["shared_readers"], 3.0);
}

/// Registers consumers, within AWS's rate.
pub async fn register(clinic: &Clinic, count: usize) {
    for n in 0..count {
        let arn = clinic.account.stream_arn(STREAM);
        let register =
            clinic.aws.kinesis.register_stream_consumer().stream_arn(arn).consumer_name(format!("reader-{n}"));
        while register.clone().send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    clinic.account.finish_changes().await;
}

#[tokio::test]
async fn a_consumer_that_reads_nothing_for_a_week_fires_fan_out_idle_with_its_bill() {
    let clinic = Clinic::of(Seed::default()).await;
    register(&clinic, 2).await;
    clinic.account.age(Duration::from_secs(8 * 86_400)).await;
    let clinic = Clinic { aws: clinic.aws, account: clinic.account };
    let event = [("StreamName", STREAM), ("ConsumerName", "reader-1")];
    clinic.account.put_metric("AWS/Kinesis", "SubscribeToShardEvent.Success", &event, minutes_ago(100), 1.0);
    let finding = only(&clinic, "fan-out-idle", "warn").await;
    assert_eq!(finding["evidence"]["idle"], json!(["reader-0"]));
    assert_eq!(finding["usd_per_month"], 21.9, "2 shards × 730 h × $0.015");
}

#[tokio::test]
async fn sixteen_consumers_fire_fan_out_limits() {
    let clinic = Clinic::of(Seed::default()).await;
    register(&clinic, 16).await;
    let finding = only(&clinic, "fan-out-limits", "warn").await;
    assert_eq!(finding["evidence"], json!({ "consumers": 16, "most_consumers": 20, "refused_subscriptions": 0.0 }));
}

#[tokio::test]
async fn refused_subscriptions_fire_fan_out_limits() {
    let clinic = Clinic::of(Seed::default()).await;
    register(&clinic, 1).await;
    let refused = [("StreamName", STREAM), ("ConsumerName", "reader-0")];
    clinic.account.put_metric("AWS/Kinesis", "SubscribeToShard.RateExceeded", &refused, minutes_ago(100), 7.0);
    let finding = only(&clinic, "fan-out-limits", "warn").await;
    assert_eq!(finding["evidence"]["refused_subscriptions"], 7.0);
}

#[tokio::test]
async fn records_that_are_not_encrypted_fire_encryption() {
    only(&Clinic::of(Seed { summary: not_encrypted(), ..Seed::default() }).await, "encryption", "warn").await;
}

#[tokio::test]
async fn a_steady_stream_on_demand_fires_mode_with_both_bills() {
    let summary = json!({ "StreamModeDetails": { "StreamMode": "ON_DEMAND" } });
    let finding = only(&Clinic::of(Seed { summary, ..Seed::default() }).await, "mode", "warn").await;
    let bill = |name: &str| finding["evidence"][name].as_f64().expect("a number");
    let (on_demand, provisioned) = (bill("on_demand_usd_per_month"), bill("provisioned_usd_per_month"));
    // $29.20 for the stream and $0.08 a GB; two shards of $10.95 and their units.
    assert!((180.0..200.0).contains(&on_demand) && (22.0..25.0).contains(&provisioned), "{on_demand} {provisioned}");
}

/// Ten shards for a minute of the 14 days, and hardly a record in all others.
#[tokio::test]
async fn a_provisioned_stream_with_one_peak_fires_mode_with_the_bills_that_are_compared() {
    let clinic = Clinic::of(Seed { shards: 12, records_per_second: 1.0, ..Seed::default() }).await;
    clinic.put("IncomingBytes", minutes_ago(300), 5.0 * 60.0 * 1_048_576.0);
    let finding = only(&clinic, "mode", "warn").await;
    let bill = |name: &str| finding["evidence"][name].as_f64().expect("a number");
    let (on_demand, provisioned) = (bill("on_demand_usd_per_month"), bill("provisioned_usd_per_month"));
    let saved = finding["usd_per_month"].as_f64().expect("a number");
    assert!((saved - (provisioned - on_demand)).abs() < 0.01, "{finding:#}");
    let sentence = finding["sentence"].as_str().expect("text");
    let (dollars, words): (Vec<&str>, Vec<&str>) = sentence.split(' ').partition(|word| word.starts_with('$'));
    let says = "A month costs on demand and provisioned with 11 of its 12 shards. On-demand mode saves";
    assert_eq!((words.join(" ").as_str(), dollars.len()), (says, 3));
    // The sentence rounds to cents, and the evidence to a tenth of a cent.
    for (said, bill) in dollars.iter().zip([on_demand, provisioned, saved]) {
        let said: f64 = said.trim_matches(['$', '.']).parse().expect("dollars");
        assert!((said - bill).abs() < 0.011, "{bill}: {sentence}");
    }
    assert!(finding["fix"].as_str().expect("a fix").ends_with("StreamMode=ON_DEMAND"), "{finding:#}");
}

#[tokio::test]
async fn a_stream_with_many_idle_shards_fires_oversized_with_what_fewer_save() {
    let finding = only(&Clinic::of(Seed { shards: 10, ..Seed::default() }).await, "oversized", "warn").await;
    assert_eq!((&finding["evidence"]["enough_shards"], &finding["usd_per_month"]), (&json!(2), &json!(87.6)));
    let fix = finding["fix"].as_str().expect("a fix");
    assert!(fix.contains("--target-shard-count 5 ") && fix.contains("down to 2"), "one step at most halves: {fix}");
}

#[tokio::test]
async fn idle_shards_of_a_stream_that_refuses_records_are_no_finding() {
    let clinic = Clinic::of(Seed { shards: 10, ..Seed::default() }).await;
    clinic.put("WriteProvisionedThroughputExceeded", minutes_ago(30), 100.0);
    assert_eq!(with_status(&clinic.findings(&[]).await, "warn"), ["bursts"], "fewer shards make a hot one hotter");
}

#[tokio::test]
async fn a_large_stream_on_demand_fires_commitment() {
    // A stream with a channel cannot switch, so its mode is no finding.
    let summary = json!({ "StreamModeDetails": { "StreamMode": "ON_DEMAND" }, "ChannelCount": 1 });
    let seed = Seed { summary, records_per_second: 4_000.0, ..Seed::default() };
    only(&Clinic::of(seed).await, "commitment", "warn").await;
}

/// Together, and only together, the streams use what the commitment costs at least.
#[tokio::test]
async fn all_streams_on_demand_fire_commitment_together() {
    let summary = || {
        json!({ "StreamModeDetails": { "StreamMode": "ON_DEMAND" }, "ChannelCount": 1,
                             "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis" })
    };
    let seed = Seed { summary: summary(), records_per_second: 500.0, ..Seed::default() };
    let clinic = Clinic::of(seed).await;
    assert_eq!(with_status(&clinic.findings(&["--only", "commitment"]).await, "ok"), ["commitment"], "alone");
    clinic.account.add_streams(["clicks".to_owned()], 2, &[]).await;
    let created = (minutes_ago(0) - TimeDelta::days(30)).timestamp();
    let mut old = summary();
    old["StreamCreationTimestamp"] = created.into();
    clinic.account.describe_as("clicks", old);
    clinic.live_of("clicks", 500.0, RECORD);
    let out = clinic.doctor(&["--all", "--json"]).await;
    let report: Value = serde_json::from_str(&out.out).expect("JSON");
    for stream in report["streams"].as_array().expect("a list") {
        let findings = stream["findings"].as_array().expect("findings");
        let open: Vec<&Value> = findings.iter().filter(|finding| finding["status"] != "ok").collect();
        let [finding] = open.as_slice() else { panic!("exactly this check fires: {open:#?}") };
        must_run(finding);
        assert_eq!((&finding["status"], &finding["evidence"]["on_demand_streams"]), (&json!("warn"), &json!(2)));
        let bill = |name: &str| finding["evidence"][name].as_f64().expect("a number");
        let saved = bill("standard_usd_per_month") - bill("advantage_usd_per_month");
        let own = finding["usd_per_month"].as_f64().expect("a number");
        assert!((own - saved / 2.0).abs() < saved / 100.0, "each has its half: {own} of {saved}");
    }
}

#[tokio::test]
async fn a_stream_without_alarms_fires_alarms() {
    // The alarms of unthrottle watch all streams, so a stream without alarms has no unthrottle with them either.
    let seed = Seed { alarms: false, fleet_alarms: false, ..Seed::default() };
    let findings = Clinic::of(seed).await.findings(&["--skip", "unthrottle"]).await;
    assert_eq!((with_status(&findings, "warn"), with_status(&findings, "fail")), (vec!["alarms"], vec![]));
    let missing = &finding(&findings, "alarms")["evidence"]["missing"];
    assert_eq!(*missing, json!(["late readers", "refused writes"]));
}

#[tokio::test]
async fn a_stack_without_its_alarms_fires_unthrottle() {
    let finding = only(&Clinic::of(Seed { fleet_alarms: false, ..Seed::default() }).await, "unthrottle", "warn").await;
    assert_eq!(finding["evidence"]["missing_alarms"].as_array().map(Vec::len), Some(2), "{finding}");
}

#[tokio::test]
async fn an_account_without_unthrottle_fires_unthrottle() {
    only(&Clinic::of(Seed { deployed: false, ..Seed::default() }).await, "unthrottle", "warn").await;
}

#[tokio::test]
async fn a_tag_that_unthrottle_cannot_read_fires_unthrottle() {
    let clinic = Clinic::of(Seed::default()).await;
    clinic.aws.tag(&clinic.account.stream_arn(STREAM), "unthrottle.max-shards", "many").await;
    let finding = only(&clinic, "unthrottle", "fail").await;
    assert_eq!(finding["evidence"]["tag"], "unthrottle.max-shards");
}

#[tokio::test]
async fn metrics_of_an_earlier_stream_of_the_name_do_not_count() {
    let clinic = Clinic::of(Seed { records_per_second: RECORDS, ..Seed::default() }).await;
    let created = (minutes_ago(0) - TimeDelta::hours(5)).timestamp();
    clinic.account.describe_as(STREAM, json!({ "StreamCreationTimestamp": created, "KeyId": "alias/aws/kinesis" }));
    let findings = clinic.findings(&["--only", "oversized,put-record"]).await;
    assert_eq!(finding(&findings, "oversized")["status"], "unknown", "five hours say little about peaks");
    let records = finding(&findings, "put-record")["evidence"]["records"].as_f64().expect("a number");
    assert!(records < 7.0 * 3_600.0 * RECORDS, "{records}");
}

/// Three records of two keys, made by the PyPI package aws_kinesis_agg.
const AGGREGATED: &[u8] = include_bytes!("../../src/keys/aggregated.bin");

/// Writes the data to the stream.
async fn write(clinic: &Clinic, key: &str, data: &[u8]) {
    let put = clinic.aws.kinesis.put_record().stream_name(STREAM).partition_key(key);
    put.data(Blob::new(data)).send().await.expect("accepted");
}

#[tokio::test]
async fn aggregated_records_that_aws_spreads_fire_aggregation() {
    let spread = || {
        json!({ "StreamModeDetails": { "StreamMode": "ON_DEMAND" }, "ChannelCount": 1,
                            "RecordDistributionStrategy": "AUTO" })
    };
    let clinic = Clinic::of(Seed { summary: spread(), ..Seed::default() }).await;
    let findings = clinic.findings(&[]).await;
    assert_eq!(with_status(&findings, "unknown"), ["aggregation"], "without a record");
    write(&clinic, "user-0", AGGREGATED).await;
    let findings = clinic.findings(&["--sample"]).await;
    assert_eq!((with_status(&findings, "fail"), with_status(&findings, "warn")), (vec!["aggregation"], vec![]));
    let evidence = json!({ "records": 1, "aggregated_records": 1, "user_records": 3 });
    assert_eq!(finding(&findings, "aggregation")["evidence"], evidence);
    let clinic = Clinic::of(Seed { summary: spread(), ..Seed::default() }).await;
    write(&clinic, "user-0", b"one record").await;
    assert_eq!(with_status(&clinic.findings(&["--sample"]).await, "fail"), [""; 0], "none is aggregated");
}

#[tokio::test]
async fn a_sample_reads_little_within_the_rates_of_the_readers() {
    let clinic = Clinic::of(Seed { shards: 4, records_per_second: 80.0, ..Seed::default() }).await;
    for n in 0..200 {
        write(&clinic, &n.to_string(), AGGREGATED).await;
    }
    clinic.account.reset_calls();
    let findings = clinic.findings(&["--sample"]).await;
    let finding = finding(&findings, "aggregation");
    assert_eq!((&finding["status"], &finding["evidence"]["records"]), (&json!("ok"), &json!(20)));
    let calls = clinic.account.calls();
    // The size of the records is not known before the first one.
    assert_eq!((calls["Kinesis.GetShardIterator"], calls["Kinesis.GetRecords"]), (2, 4), "{calls:?}");
    let total: u64 = calls.values().sum();
    assert!(total <= 25, "{total}: {calls:?}");
}
