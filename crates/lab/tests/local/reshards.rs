//! UpdateShardCount, SplitShard and MergeShards, with their limits.

use crate::fixture::{LocalFixture, code, code_and_message, still};
use aws_sdk_kinesis::types::{ScalingType, StreamMode, StreamStatus};
use std::time::Duration;
use unthrottle_lab::local::Options;

#[tokio::test]
async fn a_stream_doubles_and_shows_updating_meanwhile() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 2).await;
    assert_eq!(fixture.reshard("orders", 4).await, Ok((2, 4)));
    assert_eq!(fixture.summary("orders").await.stream_status, StreamStatus::Updating);
    fixture.active("orders").await;
    assert_eq!(fixture.summary("orders").await.open_shard_count, 4);
}

#[tokio::test]
async fn update_shard_count_above_double_is_refused() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 2).await;
    let (code, message) = fixture.reshard("orders", 5).await.expect_err("above double");
    assert_eq!(code, "InvalidArgumentException");
    assert!(message.contains("double"), "{message}");
}

#[tokio::test]
async fn update_shard_count_below_half_is_refused_and_half_of_an_odd_count_rounds_down() {
    let fixture = LocalFixture::new().await;
    fixture.stream("even", 4).await;
    fixture.stream("odd", 3).await;
    let (code, message) = fixture.reshard("even", 1).await.expect_err("below half");
    assert_eq!(code, "InvalidArgumentException");
    assert!(message.contains("half"), "{message}");
    assert_eq!(fixture.reshard("odd", 1).await, Ok((3, 1)));
}

#[tokio::test]
async fn update_shard_count_to_zero_fails_validation() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let (code, _) = fixture.reshard("orders", 0).await.expect_err("zero");
    assert_eq!(code, "ValidationException");
}

#[tokio::test]
async fn a_stream_that_is_updating_refuses_changes_before_it_checks_the_target() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    fixture.reshard("orders", 2).await.expect("a legal change");
    let busy = "Stream orders under account 123456789012 not ACTIVE, instead in state UPDATING";
    let busy = Err(("ResourceInUseException".into(), busy.into()));
    assert_eq!(fixture.reshard("orders", 100).await, busy.clone());
    assert_eq!(fixture.switch("orders", StreamMode::OnDemand).await, busy.map(|_: (i32, i32)| ()));
    let split = fixture.kinesis.split_shard().stream_name("orders");
    let split = split.shard_to_split("shardId-000000000000").new_starting_hash_key("10");
    assert_eq!(code(split.send().await), "ResourceInUseException");
}

#[tokio::test]
async fn an_on_demand_stream_cannot_be_resharded() {
    let fixture = LocalFixture::new().await;
    fixture.on_demand_stream("orders").await;
    assert_eq!(fixture.summary("orders").await.open_shard_count, 4);
    let (refused, _) = fixture.reshard("orders", 8).await.expect_err("on-demand");
    assert_eq!(refused, "ValidationException");
    let split = fixture.kinesis.split_shard().stream_name("orders");
    let split = split.shard_to_split("shardId-000000000000").new_starting_hash_key("10");
    assert_eq!(code(split.send().await), "ValidationException");
}

#[tokio::test]
async fn the_eleventh_reshard_of_a_day_is_refused_and_repeating_the_count_is_free() {
    let fixture = LocalFixture::with(Options { update_time: Duration::ZERO, ..still() }).await;
    fixture.stream("orders", 1).await;
    for round in 0..10 {
        let (open, target) = if round % 2 == 0 { (1, 2) } else { (2, 1) };
        assert_eq!(fixture.reshard("orders", open).await, Ok((open, open)));
        assert_eq!(fixture.summary("orders").await.stream_status, StreamStatus::Active);
        assert_eq!(fixture.reshard("orders", target).await, Ok((open, target)));
        fixture.pass(Duration::from_secs(1));
        fixture.active("orders").await;
    }
    let message = "Rate exceeded for stream orders under account 123456789012.";
    let refused = Err(("LimitExceededException".into(), message.into()));
    assert_eq!(fixture.reshard("orders", 2).await, refused);
    // Another name is another budget; the same name recreated is the same budget.
    fixture.stream("invoices", 1).await;
    assert_eq!(fixture.reshard("invoices", 2).await, Ok((1, 2)));
}

#[tokio::test]
async fn the_accounts_quota_counts_the_shards_of_all_provisioned_streams() {
    let fixture = LocalFixture::with(Options { shard_limit: 6, ..still() }).await;
    fixture.on_demand_stream("free").await;
    fixture.stream("a", 2).await;
    fixture.stream("b", 2).await;
    let create = fixture.kinesis.create_stream().stream_name("c").shard_count(3);
    assert_eq!(code(create.send().await), "LimitExceededException");
    fixture.reshard("a", 4).await.expect("the last two shards");
    // Also while the first change still runs.
    let (code, message) = fixture.reshard("b", 3).await.expect_err("no room");
    assert_eq!(code, "LimitExceededException");
    assert!(message.contains("Limit: 6"), "{message}");
}

#[tokio::test]
async fn short_lived_shards_of_a_reshard_count_towards_the_quota() {
    let fixture = LocalFixture::with(Options { shard_limit: 9, ..still() }).await;
    fixture.stream("orders", 4).await;
    let update = |to| fixture.kinesis.update_shard_count().stream_name("orders").target_shard_count(to);
    let update = |to| update(to).scaling_type(ScalingType::UniformScaling).send();
    assert_eq!(code(update(7).await), "LimitExceededException", "4 → 7 goes over 4 + 6");
    update(6).await.expect("4 → 6 goes over 4 + 4");
}

#[tokio::test]
async fn a_shard_splits_once() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 1).await;
    let half = (1u128 << 127).to_string();
    let split = fixture.kinesis.split_shard().stream_name("orders");
    let split = split.shard_to_split("shardId-000000000000").new_starting_hash_key(half);
    split.clone().send().await.expect("a split");
    assert_eq!(fixture.summary("orders").await.stream_status, StreamStatus::Updating);
    fixture.active("orders").await;
    assert_eq!(fixture.summary("orders").await.open_shard_count, 2);
    let (code, message) = code_and_message(split.send().await.expect_err("closed"));
    assert_eq!(code, "InvalidArgumentException");
    assert!(message.contains("already been merged or split"), "{message}");
}

#[tokio::test]
async fn neighbours_merge_into_a_child_of_both() {
    let fixture = LocalFixture::new().await;
    fixture.stream("orders", 3).await;
    let merge = |one: &str, other: &str| {
        let merge = fixture.kinesis.merge_shards().stream_name("orders").shard_to_merge(one);
        merge.adjacent_shard_to_merge(other).send()
    };
    let far = merge("shardId-000000000000", "shardId-000000000002").await;
    assert_eq!(code(far), "InvalidArgumentException");
    assert_eq!(code(merge("shardId-000000000000", "shardId-000000000009").await), "ResourceNotFoundException");
    let youngest = async || {
        fixture.active("orders").await;
        let shards = fixture.kinesis.list_shards().stream_name("orders").send().await.expect("shards");
        let child = shards.shards().last().expect("some").clone();
        (child.parent_shard_id.expect("one"), child.adjacent_parent_shard_id.expect("another"))
    };
    // The first shard of the request is the parent, whatever its hash range.
    merge("shardId-000000000002", "shardId-000000000001").await.expect("adjacent");
    assert_eq!(youngest().await, ("shardId-000000000002".into(), "shardId-000000000001".into()));
    merge("shardId-000000000000", "shardId-000000000003").await.expect("adjacent");
    assert_eq!(youngest().await, ("shardId-000000000000".into(), "shardId-000000000003".into()));
    assert_eq!(fixture.summary("orders").await.open_shard_count, 1);
}
