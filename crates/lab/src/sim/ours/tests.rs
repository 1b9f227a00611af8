use super::*;
use crate::rules::HashRange;
use crate::sim::account::Account;
use crate::sim::arena::loads;
use crate::sim::keys::Keys;
use crate::sim::retry::Retry;
use crate::sim::workloads::Workload;
use crate::sim::world::Setup;
use unthrottle_core::memory::{Memory, TAG};
use unthrottle_core::observation::CapacityMode;
use unthrottle_core::policy::{Mode, Permission};

struct Deployment {
    world: World,
    ours: Ours,
}

impl Deployment {
    fn of(shards: u32, keys: Keys, policy: Policy) -> Deployment {
        let setup = Setup {
            shards,
            mode: CapacityMode::Provisioned,
            keys,
            record_bytes: 500,
            retry: Retry::patient(),
            account: Account::default(),
        };
        Deployment { world: World::new(setup, 1), ours: Ours::new(policy, DeliveryQuality::Reliable, 1) }
    }

    fn minutes(&mut self, minutes: i64, records: f64) {
        for _ in 0..minutes * 60 {
            self.world.pass(records);
            self.ours.pass(&mut self.world);
        }
    }

    fn memory(&self) -> Memory {
        Memory::parse(&self.world.tags()[TAG]).expect("readable")
    }
}

#[test]
fn a_step_is_healed_verified_and_counted_once() {
    let mut fixture = Deployment::of(4, Keys::even(20_000), Policy::default());
    fixture.minutes(30, 3_000.0);
    assert_eq!(fixture.world.score().changes, 0);
    assert_eq!(fixture.world.score().calls, 0, "a stream without throttling costs nothing");
    fixture.minutes(60, 6_000.0);
    assert_eq!(fixture.world.last().throttled, 0);
    assert_eq!(fixture.world.open_shards(), 8);
    let change = fixture.memory().change.expect("remembered");
    assert!(change.settled.is_some() && change.healed.is_some() && change.published.is_some(), "{change:?}");
    let fixes = fixture.world.cloudwatch().traffic(fixture.world.now()).auto_fixes;
    assert_eq!(fixes.values().sum::<u32>(), 1, "exactly once");
    let score = fixture.world.score();
    assert_eq!((score.changes, score.illegal_calls), (1, 0), "{:?}", fixture.ours.decided);
    assert!(score.heal_seconds_longest < Some(10 * 60), "{score:?}");
}

#[test]
fn a_large_step_takes_several_changes_and_none_is_illegal() {
    let mut fixture = Deployment::of(4, Keys::even(20_000), Policy::default());
    fixture.minutes(10, 3_000.0);
    fixture.minutes(60, 24_000.0);
    let score = fixture.world.score();
    assert!(fixture.world.open_shards() >= 32, "{}", fixture.world.open_shards());
    assert_eq!(fixture.world.last().throttled, 0);
    assert!((3..=5).contains(&score.changes), "{score:?}");
    assert_eq!(score.illegal_calls, 0);
}

#[test]
fn one_hot_key_is_reported_and_not_scaled() {
    let mut fixture = Deployment::of(4, Keys::with_a_hot_one(0.6, 20_000), Policy::default());
    fixture.minutes(60, 2_500.0);
    assert!(fixture.world.last().throttled > 0, "no shard can take it");
    assert_eq!(fixture.world.score().changes, 0, "{:?}", fixture.ours.decided);
    assert!(fixture.ours.decided.contains_key("skew_suspected"), "{:?}", fixture.ours.decided);
}

fn diagnosing() -> Policy {
    Policy { diagnose: Permission::Allow, ..Policy::default() }
}

#[test]
fn shard_metrics_find_a_hot_range_and_it_is_split() {
    let second = HashRange::uniform(4)[1];
    let mut fixture = Deployment::of(4, Keys::in_a_hot_range(0.9, second, 20_000, 3), diagnosing());
    fixture.minutes(120, 1_600.0);
    assert_eq!(fixture.world.last().throttled, 0, "{:?}", fixture.ours.decided);
    let score = fixture.world.score();
    assert_eq!(
        (fixture.world.open_shards(), score.changes, score.illegal_calls),
        (5, 1, 0),
        "{:?}",
        fixture.ours.decided
    );
    assert!(fixture.ours.decided.contains_key("disable_shard_metrics"), "{:?}", fixture.ours.decided);
}

#[test]
fn a_hot_key_is_split_twice_at_most_and_then_reported() {
    let mut fixture = Deployment::of(4, Keys::with_a_hot_one(0.6, 20_000), diagnosing());
    fixture.minutes(180, 2_500.0);
    let score = fixture.world.score();
    assert!(score.changes <= 2, "{:?}", fixture.ours.decided);
    assert!(fixture.ours.decided.contains_key("hot_key"), "{:?}", fixture.ours.decided);
    assert_eq!(score.illegal_calls, 0);
}

#[test]
fn observe_mode_changes_nothing() {
    let mut fixture = Deployment::of(4, Keys::even(20_000), Policy { mode: Mode::Observe, ..Policy::default() });
    fixture.minutes(30, 6_000.0);
    assert_eq!((fixture.world.score().changes, fixture.world.open_shards()), (0, 4));
    assert!(fixture.world.tags().is_empty());
    assert!(fixture.ours.decided.contains_key("scale_shards"), "{:?}", fixture.ours.decided);
}

#[test]
fn a_raise_is_restored_if_the_policy_allows_it() {
    let mut fixture = Deployment::of(4, Keys::even(20_000), Policy { restore_after_hours: 2, ..Policy::default() });
    fixture.minutes(60, 6_000.0);
    assert_eq!(fixture.world.open_shards(), 8);
    fixture.minutes(4 * 60, 2_000.0);
    assert_eq!(fixture.world.open_shards(), 4, "{:?}", fixture.ours.decided);
}

#[test]
fn a_spent_quota_makes_it_switch_to_on_demand_mode() {
    let mut fixture = Deployment::of(4, Keys::even(20_000), Policy::default());
    let account = Account { shard_limit: 4, ..Account::default() };
    let setup = Setup {
        shards: 4,
        mode: CapacityMode::Provisioned,
        keys: Keys::even(20_000),
        record_bytes: 500,
        retry: Retry::patient(),
        account,
    };
    fixture.world = World::new(setup, 1);
    fixture.minutes(60, 6_000.0);
    assert!(fixture.ours.decided.contains_key("switch_to_on_demand"), "{:?}", fixture.ours.decided);
    assert_eq!(fixture.world.score().illegal_calls, 0);
    assert_eq!(fixture.world.last().throttled, 0, "on-demand mode has grown");
}

/// A policy with a topic for messages.
fn with_topic(policy: Policy) -> Policy {
    Policy { topic_arn: Some("arn:aws:sns:us-east-1:123456789012:unthrottle".into()), ..policy }
}

#[test]
fn a_change_and_its_healing_notify_a_person_once_each() {
    let mut fixture = Deployment::of(4, Keys::even(20_000), with_topic(Policy::default()));
    fixture.minutes(30, 3_000.0);
    assert!(fixture.world.notified().is_empty(), "silence without throttling: {:?}", fixture.world.notified());
    fixture.minutes(60, 6_000.0);
    assert_eq!(fixture.world.notified().len(), 2, "{:?} {:?}", fixture.world.notified(), fixture.ours.decided);
}

/// Asserts that people get a message within 25 minutes of loss to a hot key, and again at least once an hour.
#[track_caller]
fn lasting_loss_is_told(policy: Policy) {
    let mut fixture = Deployment::of(4, Keys::with_a_hot_one(0.6, 20_000), with_topic(policy));
    fixture.minutes(180, 2_500.0);
    let told = fixture.world.notified();
    let waits: Vec<i64> = [&[0], told, &[180 * 60]].concat().windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[0] <= 25 * 60, "{told:?} {:?}", fixture.ours.decided);
    assert!(waits.iter().all(|wait| *wait <= 70 * 60), "{told:?} {:?}", fixture.ours.decided);
}

#[test]
fn a_hot_key_without_shard_metrics_is_told_at_least_once_an_hour() {
    lasting_loss_is_told(Policy::default());
}

#[test]
fn a_hot_key_with_shard_metrics_is_told_at_least_once_an_hour() {
    lasting_loss_is_told(diagnosing());
}

/// The first three hours of a workload, and people who get messages.
fn played(name: &str) -> Deployment {
    let workload = Workload { hours: 3, ..Workload::named(name).expect("known") }.drawn(1);
    let mut fixture = Deployment {
        world: workload.world(workload.setup(1), 1),
        ours: Ours::new(with_topic(Policy::default()), DeliveryQuality::Reliable, 1),
    };
    for records in loads(&workload, 1) {
        fixture.world.pass(records);
        workload.apply_surroundings(&mut fixture.world);
        fixture.ours.pass(&mut fixture.world);
    }
    fixture
}

#[test]
fn a_reader_that_stops_at_the_reshard_is_told_once_an_hour() {
    let fixture = played("readers-stop");
    let (told, decided) = (fixture.world.notified(), &fixture.ours.decided);
    assert!(decided.contains_key("readers_stopped"), "{decided:?}");
    let waits: Vec<i64> = told.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The change, the reader that stopped soon after it, and the reader again each hour.
    assert!(waits.len() >= 2 && waits[0] <= 30 * 60, "{told:?} {decided:?}");
    assert!(waits[1..].iter().all(|wait| (60 * 60..=70 * 60).contains(wait)), "{told:?} {decided:?}");
}

#[test]
fn a_reader_that_begins_at_the_oldest_record_of_a_day_is_no_reason_for_a_message() {
    let fixture = played("trim-horizon");
    let (told, decided) = (fixture.world.notified(), &fixture.ours.decided);
    for code in ["consumer_slow", "readers_stopped"] {
        assert!(!decided.contains_key(code), "{decided:?}");
    }
    assert_eq!(told.len(), 2, "the change and its healing: {told:?} {decided:?}");
}
