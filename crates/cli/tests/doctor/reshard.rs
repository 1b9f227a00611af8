//! What the doctor says of the load from before a reshard.

use crate::fixture::{Clinic, STREAM, Seed, minutes_ago, with_status};
use aws_sdk_kinesis::types::ScalingType;
use unthrottle_lab::local::{Clock, Options};

/// A shard was full and refused records before its reshard. Two shards of today would have been half full.
#[tokio::test]
async fn a_load_from_before_a_reshard_is_no_burst() {
    let clock = Clock::standing_at(minutes_ago(120));
    let options = Options { clock: clock.clone(), ..Options::default() };
    let clinic = Clinic::of(Seed { options, shards: 1, ..Seed::default() }).await;
    for ago in [80, 90, 100] {
        clinic.put("IncomingBytes", minutes_ago(ago), 0.2 * 60.0 * 1_048_576.0);
        clinic.put("WriteProvisionedThroughputExceeded", minutes_ago(ago), 100.0);
    }
    clock.advance_to(minutes_ago(60)).expect("forwards");
    let double = clinic.aws.kinesis.update_shard_count().stream_name(STREAM).target_shard_count(2);
    double.scaling_type(ScalingType::UniformScaling).send().await.expect("accepted");
    clock.advance_to(minutes_ago(0)).expect("forwards");
    let findings = clinic.findings(&["--only", "bursts"]).await;
    assert_eq!(with_status(&findings, "ok"), ["bursts"], "{findings:#?}");
}

/// Two of four shards were left for an hour and a half, and were nearly full then. Four would have been half full.
#[tokio::test]
async fn a_load_between_a_shrink_and_a_growth_is_no_hot_shard() {
    let clock = Clock::standing_at(minutes_ago(172));
    let options = Options { clock: clock.clone(), ..Options::default() };
    let clinic = Clinic::of(Seed { options, shards: 4, ..Seed::default() }).await;
    for ago in 100..107 {
        clinic.put("IncomingBytes", minutes_ago(ago), 60.0 * 1_048_576.0);
        clinic.put("WriteProvisionedThroughputExceeded", minutes_ago(ago), 100.0);
    }
    for (ago, shards) in [(150, 2), (60, 4)] {
        clock.advance_to(minutes_ago(ago)).expect("forwards");
        let reshard = clinic.aws.kinesis.update_shard_count().stream_name(STREAM).target_shard_count(shards);
        reshard.scaling_type(ScalingType::UniformScaling).send().await.expect("accepted");
    }
    clock.advance_to(minutes_ago(0)).expect("forwards");
    let findings = clinic.findings(&["--only", "bursts,shard-metrics"]).await;
    assert_eq!(with_status(&findings, "ok"), ["shard-metrics", "bursts"], "{findings:#?}");
}
