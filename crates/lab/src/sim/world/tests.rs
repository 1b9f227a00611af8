use super::*;
use crate::rules::{HashRange, Refusal};
use unthrottle_core::decide::MissingData;
use unthrottle_core::observation::SHARD_METRICS;

fn setup(shards: u32) -> Setup {
    Setup {
        shards,
        mode: CapacityMode::Provisioned,
        keys: Keys::even(20_000),
        record_bytes: 500,
        retry: Retry::patient(),
        account: Account::default(),
    }
}

fn world(shards: u32) -> World {
    World::new(setup(shards), 1)
}

/// Passes this number of seconds with this number of records each.
fn pass(world: &mut World, seconds: i64, records: f64) {
    (0..seconds).for_each(|_| world.pass(records));
}

fn code<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> &'static str {
    answer.expect_err("refused").code
}

#[test]
fn a_reshard_takes_a_while_and_then_the_stream_accepts_more() {
    let mut world = world(4);
    pass(&mut world, 60, 7_000.0);
    assert_eq!(world.update_shard_count(By::Policy, 8), Ok(4));
    assert!(world.is_updating());
    assert_eq!(code(world.update_shard_count(By::Policy, 8)), "ResourceInUseException");
    assert_eq!(world.open_shards(), 4, "until the reshard is done");
    assert_eq!(world.last().accepted, 4_000);
    pass(&mut world, 60, 7_000.0);
    assert_eq!((world.is_updating(), world.open_shards()), (false, 8));
    pass(&mut world, 180, 7_000.0);
    assert_eq!(world.last().throttled, 0, "what was refused before has come through, or is lost");
    assert!(world.last().accepted.abs_diff(7_000) <= 8, "except for parts of records");
    let score = world.score();
    assert_eq!((score.changes, score.illegal_calls), (1, 1));
}

#[test]
fn no_record_vanishes_in_reshards() {
    let mut world = world(3);
    for target in [5, 9, 6, 3, 4] {
        let _ = world.update_shard_count(By::Others, target).expect("legal");
        pass(&mut world, 90, 8_000.0);
        let waiting: u64 = world.shards.iter().map(|shard| shard.waiting.all()).sum();
        let Score { offered, accepted, lost, .. } = world.score();
        assert_eq!(offered, accepted + lost + waiting, "after the reshard to {target}");
        let shares: f64 = world.shards.iter().map(|shard| shard.share).sum();
        assert!((shares - 1.0).abs() < 1e-9);
    }
}

#[test]
fn aws_refuses_calls_beyond_its_documented_limits() {
    let mut world = world(4);
    assert_eq!(code(world.update_shard_count(By::Policy, 9)), "InvalidArgumentException");
    assert_eq!(code(world.update_shard_count(By::Policy, 1)), "InvalidArgumentException");
    assert_eq!(world.update_shard_count(By::Policy, 4), Ok(4), "which changes nothing");
    assert!(!world.is_updating());
    for n in 0..10 {
        assert!(world.update_shard_count(By::Policy, if n % 2 == 0 { 5 } else { 4 }).is_ok(), "{n}");
        pass(&mut world, 60, 0.0);
    }
    assert_eq!(code(world.update_shard_count(By::Policy, 5)), "LimitExceededException");
    let shard = world.shards[0].clone();
    assert!(world.split_shard(By::Policy, &shard.id(), shard.range.middle()).is_ok(), "which is not counted");
    pass(&mut world, 24 * 3_600, 0.0);
    assert!(world.update_shard_count(By::Policy, 4).is_ok(), "a day later");
}

#[test]
fn the_mode_is_switched_twice_a_day_and_keeps_the_shards() {
    let mut world = world(4);
    for mode in [CapacityMode::OnDemand, CapacityMode::Provisioned] {
        world.update_stream_mode(By::Policy, mode.clone()).expect("the first two");
        pass(&mut world, 5, 0.0);
        assert_eq!((world.describe().mode, world.open_shards()), (mode, 4));
    }
    assert_eq!(world.update_stream_mode(By::Policy, CapacityMode::Provisioned), Ok(()), "as it is");
    assert_eq!(code(world.update_stream_mode(By::Policy, CapacityMode::OnDemand)), "LimitExceededException");
}

#[test]
fn the_accounts_quota_counts_its_other_streams() {
    let of = |other_shards| {
        let account = Account { shard_limit: 20, other_shards, ..Account::default() };
        World::new(Setup { account, ..setup(4) }, 1).update_shard_count(By::Policy, 8)
    };
    assert_eq!(of(12), Ok(4));
    assert_eq!(code(of(13)), "LimitExceededException");
}

#[test]
fn on_demand_mode_grows_to_twice_its_peak_within_15_minutes() {
    let mut world = World::new(Setup { mode: CapacityMode::OnDemand, ..setup(4) }, 1);
    pass(&mut world, 3_600, 1_500.0);
    assert_eq!(world.open_shards(), 4, "375 records a second in each shard");
    pass(&mut world, 20 * 60, 3_500.0);
    assert_eq!(world.open_shards(), 8);
    pass(&mut world, 60, 6_500.0);
    assert_eq!(world.last().throttled, 0, "not twice the peak");
    assert_eq!(code(world.update_shard_count(By::Policy, 8)), "ValidationException");
    assert_eq!(code(world.update_warm_throughput(By::Policy, 16)), "ValidationException");
}

#[test]
fn warm_throughput_opens_at_once_in_an_account_with_the_commitment() {
    let mut world = World::new(Setup { mode: CapacityMode::OnDemand, ..setup(4) }, 1).with_commitment();
    assert_eq!(world.update_warm_throughput(By::Policy, 16), Ok(()));
    assert_eq!(code(world.update_warm_throughput(By::Policy, 32)), "ResourceInUseException");
    pass(&mut world, 120, 1_000.0);
    assert_eq!((world.open_shards(), world.describe().warm_throughput.map(|warm| warm.current_mibps)), (16, Some(16)));
}

#[test]
fn earlier_reshards_count_at_aws_and_in_the_memory() {
    let mut world = world(4).with_reshards_spent((2..11).rev().map(|hours| -3_600 * hours).collect());
    assert_eq!(Memory::parse(&world.tags()[TAG]).expect("readable").reshards.len(), 9);
    assert!(world.update_shard_count(By::Policy, 8).is_ok());
    pass(&mut world, 60, 0.0);
    assert_eq!(code(world.update_shard_count(By::Policy, 16)), "LimitExceededException");
}

#[test]
fn a_split_cures_a_hot_range_and_not_a_hot_key() {
    let hot = |keys: Keys| {
        let mut world = World::new(Setup { keys, ..setup(2) }, 1);
        pass(&mut world, 60, 2_000.0);
        let hottest = world.shards.iter().max_by(|a, b| a.share.total_cmp(&b.share)).expect("two").clone();
        world.split_shard(By::Policy, &hottest.id(), hottest.range.middle()).expect("legal");
        pass(&mut world, 300, 1_900.0);
        assert_eq!(world.open_shards(), 3);
        let children = world.shards.iter().filter(|shard| shard.parent == Some(hottest.number));
        assert_eq!(children.count(), 2);
        world.last().throttled
    };
    let first = HashRange::uniform(2)[0];
    assert_eq!(hot(Keys::in_a_hot_range(0.9, first, 20_000, 3)), 0);
    assert!(hot(Keys::with_a_hot_one(0.9, 20_000)) > 500);
}

#[test]
fn a_merge_of_neighbours_loses_no_record() {
    let mut world = world(4);
    pass(&mut world, 60, 4_500.0);
    let ids: Vec<String> = world.listed().iter().map(OpenShard::id).collect();
    assert_eq!(code(world.merge_shards(By::Policy, &ids[0], &ids[2])), "InvalidArgumentException");
    assert_eq!(code(world.merge_shards(By::Policy, &ids[0], &ids[0])), "InvalidArgumentException");
    assert_eq!(code(world.merge_shards(By::Policy, &ids[0], "shardId-9")), "ResourceNotFoundException");
    world.merge_shards(By::Policy, &ids[2], &ids[1]).expect("in either order");
    assert_eq!(code(world.merge_shards(By::Policy, &ids[0], &ids[1])), "ResourceInUseException");
    pass(&mut world, 60, 4_500.0);
    let left: Vec<String> = world.shards.iter().map(OpenShard::id).collect();
    assert_eq!(left, [ids[0].as_str(), "shardId-000000000004", ids[3].as_str()]);
    assert!((world.shards[1].share - 0.5).abs() < 0.02);
    let waiting: u64 = world.shards.iter().map(|shard| shard.waiting.all()).sum();
    let Score { offered, accepted, lost, .. } = world.score();
    assert_eq!(offered, accepted + lost + waiting);
    world.update_stream_mode(By::Policy, CapacityMode::OnDemand).expect("legal");
    pass(&mut world, 5, 0.0);
    assert_eq!(code(world.merge_shards(By::Policy, &ids[0], &left[1])), "ValidationException");
}

#[test]
fn shard_traffic_is_visible_only_with_shard_metrics() {
    let mut world = world(2);
    let of_shards = |world: &mut World| {
        let mut observation = world.observe();
        world.complete(&mut observation, MissingData { shards: true, ..MissingData::default() });
        let shards = observation.shards.expect("looked for");
        let newest = observation.traffic.newest(observation.observed_at);
        shards.iter().map(|s| s.traffic.minute(newest).incoming_records).sum::<f64>()
    };
    pass(&mut world, 600, 1_000.0);
    assert_eq!(of_shards(&mut world), 0.0);
    world.update_monitoring(By::Policy, &SHARD_METRICS, true).expect("legal");
    pass(&mut world, 600, 1_000.0);
    assert_eq!(of_shards(&mut world), 60_000.0);
    assert!(world.describe().shows_shards());
    world.update_monitoring(By::Policy, &SHARD_METRICS, false).expect("legal");
    pass(&mut world, 5, 0.0);
    assert!(!world.describe().shows_shards());
}

#[test]
fn a_tag_value_has_at_most_255_characters() {
    let mut world = world(1);
    assert!(world.tag(By::Policy, "key", &"x".repeat(255)).is_ok());
    assert!(world.tag(By::Policy, "key", &"x".repeat(256)).is_err());
    assert!(world.tag(By::Policy, "key", "a,b").is_err());
    assert_eq!(world.tags()["key"].len(), 255);
}
