//! UpdateStreamMode and warm throughput.

use crate::fixture::{LocalFixture, code, code_and_message, mode, still};
use aws_sdk_kinesis::types::MinimumThroughputBillingCommitmentOutputStatus as Commitment;
use aws_sdk_kinesis::types::{StreamMode, StreamStatus};
use unthrottle_lab::local;
use unthrottle_lab::local::Options;

#[tokio::test]
async fn a_mode_switch_shows_the_old_mode_until_it_is_done() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 3).await;
    fixture.switch("orders", StreamMode::OnDemand).await.expect("a switch");
    let summary = fixture.summary("orders").await;
    assert_eq!(summary.stream_status, StreamStatus::Updating);
    assert_eq!(summary.stream_mode_details, Some(mode(StreamMode::Provisioned)));
    fixture.active("orders").await;
    let summary = fixture.summary("orders").await;
    assert_eq!(summary.stream_mode_details, Some(mode(StreamMode::OnDemand)));
    assert_eq!(summary.open_shard_count, 3);
}

#[tokio::test]
async fn the_third_mode_switch_of_a_day_is_refused_and_repeating_the_mode_is_free() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    for to in [StreamMode::OnDemand, StreamMode::Provisioned] {
        fixture.switch("orders", to.clone()).await.expect("a switch");
        fixture.active("orders").await;
        fixture.switch("orders", to).await.expect("a repetition");
        assert_eq!(fixture.summary("orders").await.stream_status, StreamStatus::Active);
    }
    let message = "Rate exceeded for stream orders under account 123456789012.";
    let refused = Err(("LimitExceededException".into(), message.into()));
    assert_eq!(fixture.switch("orders", StreamMode::OnDemand).await, refused);
}

#[tokio::test]
async fn on_demand_streams_have_a_quota() {
    let fixture = LocalFixture::with(Options { on_demand_limit: 1, ..still() }).await;
    fixture.stream("a", 1).await;
    fixture.stream("b", 1).await;
    fixture.switch("a", StreamMode::OnDemand).await.expect("the first");
    let (refused, _) = fixture.switch("b", StreamMode::OnDemand).await.expect_err("the second");
    assert_eq!(refused, "LimitExceededException");
    let create = fixture.kinesis.create_stream().stream_name("c");
    let create = create.stream_mode_details(mode(StreamMode::OnDemand)).send();
    assert_eq!(code(create.await), "LimitExceededException");
}

#[tokio::test]
async fn warm_throughput_needs_the_commitment() {
    let fixture = LocalFixture::new().await;
    fixture.on_demand_stream("orders").await;
    let warm = fixture.kinesis.update_stream_warm_throughput();
    let warm = warm.stream_name("orders").warm_throughput_mibps(8).send().await;
    let message = "Account 123456789012 is not enabled for minimum throughput billing commitment";
    let refused = ("ValidationException".into(), message.into());
    assert_eq!(code_and_message(warm.expect_err("refused")), refused);
    assert!(fixture.summary("orders").await.warm_throughput.is_none());
    let settings = fixture.kinesis.describe_account_settings().send().await.expect("settings");
    let commitment = settings.minimum_throughput_billing_commitment.expect("one");
    assert_eq!(commitment.status, Commitment::Disabled);
}

#[tokio::test]
async fn warm_throughput_is_capacity_of_on_demand_streams_of_a_committed_account() {
    let fixture = LocalFixture::with(Options { commitment: local::Commitment::Enabled, ..still() }).await;
    fixture.on_demand_stream("orders").await;
    fixture.stream("fixed", 1).await;
    let settings = fixture.kinesis.describe_account_settings().send().await.expect("settings");
    let commitment = settings.minimum_throughput_billing_commitment.expect("one");
    assert_eq!(commitment.status, Commitment::Enabled);

    let warm = fixture.kinesis.update_stream_warm_throughput().warm_throughput_mibps(8);
    let refused = warm.clone().stream_name("fixed").send().await;
    assert_eq!(code(refused), "ValidationException");
    warm.stream_name("orders").send().await.expect("warmed up");
    let warm = fixture.summary("orders").await.warm_throughput.expect("shown");
    assert_eq!((warm.current_mibps, warm.target_mibps), (Some(4), Some(8)));
    fixture.active("orders").await;
    let summary = fixture.summary("orders").await;
    let warm = summary.warm_throughput.expect("shown");
    assert_eq!((warm.current_mibps, warm.target_mibps), (Some(8), Some(8)));
    assert_eq!(summary.open_shard_count, 8);
}

#[tokio::test]
async fn a_switch_to_on_demand_can_bring_warm_throughput_along() {
    let fixture = LocalFixture::with(Options { commitment: local::Commitment::Enabled, ..still() }).await;
    fixture.stream("orders", 1).await;
    let arn = fixture.account.stream_arn("orders");
    let switch = fixture.kinesis.update_stream_mode().stream_arn(&arn).stream_mode_details(mode(StreamMode::OnDemand));
    switch.warm_throughput_mibps(6).send().await.expect("switched");
    assert_eq!(fixture.summary("orders").await.stream_status, StreamStatus::Updating);
    fixture.active("orders").await;
    let summary = fixture.summary("orders").await;
    let warm = summary.warm_throughput.expect("shown");
    assert_eq!((summary.open_shard_count, warm.current_mibps, warm.target_mibps), (6, Some(6), Some(6)));
    assert_eq!(summary.stream_mode_details.expect("a mode").stream_mode, StreamMode::OnDemand);
}
