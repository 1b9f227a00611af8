//! How many shards a throttled writer gets.

use crate::common::{Fixture, hours_ago, offered, seconds_ago, settled};
use crate::{decides, says};
use chrono::TimeDelta;
use unthrottle_core::decision::{Bound, Remedy, Verdict};
use unthrottle_core::memory::{Change, ChangeKind, Memory};
use unthrottle_core::observation::MinuteTraffic;
use unthrottle_core::policy::Permission;

/// Asserts the shards before and after a scale, and the bound that makes it a partial step.
#[track_caller]
pub fn scales(fixture: Fixture, expected: (u32, u32, Option<Bound>)) {
    match fixture.decide().verdict {
        Verdict::Act(Remedy::ScaleShards { from, to, partial }) => assert_eq!((from, to, partial), expected),
        other => panic!("no scale_shards: {other:?}"),
    }
}

/// Eight shards under a load that needs thirteen, even if producers send each record six times. The account has `left`
/// shards left.
fn with_shards_left(left: u32) -> Fixture {
    Fixture::under_load(8, 30_000.0).shards_left(left)
}

/// The cost of that stream with `shards` shards, USD an hour.
fn hourly_cost(shards: u32) -> f64 {
    let scale = Fixture::under_load(8, 9500.0).policy(|p| p.max_shards = shards).decide();
    scale.cost.expect("known").after_usd_per_hour
}

fn deny(fixture: Fixture) -> Fixture {
    fixture.policy(|p| p.on_demand = Permission::Deny)
}

rows! { decides;
    more_load_than_the_shards_take_scales: Fixture::under_load(2, 3000.0) => "scale_shards";
    more_load_than_the_shards_take_scales_for_a_person_who_asks:
        Fixture::under_load(2, 3000.0).asked() => "scale_shards";
    a_trace_of_refusals_at_full_shards_counts:
        Fixture::new(2).minutes(-9..=0, MinuteTraffic { write_throttled: 30.0, ..offered(2000.0, 2) })
        => "scale_shards";
    a_trace_of_refusals_at_half_full_shards_is_negligible:
        Fixture::new(2).minutes(-9..=0, MinuteTraffic { write_throttled: 30.0, ..offered(1000.0, 2) })
        => "negligible";
    shards_enough_for_the_load_are_skewed:
        Fixture::new(8).minutes(-9..=0, MinuteTraffic { write_throttled: 60_000.0, ..offered(2000.0, 8) })
        => "skew_suspected";
    limits_that_aws_does_not_return_do_not_bound:
        Fixture::under_load(2, 3000.0).with(|f| f.observation.limits = None) => "scale_shards";
}

rows! { scales;
    the_target_carries_2_2_mib_at_the_target_utilization: Fixture::under_load(2, 2200.0) => (2, 3, None);
    // 4.6 of 0.75 is 6.13.
    the_target_carries_4_6_mib_at_the_target_utilization: Fixture::under_load(4, 4600.0) => (4, 7, None);
    // 10.9 is 11, and 12 is one and a half times 8.
    a_target_at_half_as_much_again_is_round: Fixture::under_load(8, 8200.0) => (8, 12, None);
    a_load_beyond_double_doubles: Fixture::under_load(2, 40_000.0) => (2, 4, Some(Bound::Double));
    a_load_of_unknown_size_doubles:
        Fixture::new(3).minutes(-9..=0, MinuteTraffic { write_throttled: 600.0, ..MinuteTraffic::default() })
        => (3, 6, None);
}

/// Eight shards after `changes` verified changes today, the first from five shards, and a load that needs twelve.
fn after_changes(changes: i64) -> Fixture {
    let mut memory = settled(6, 8, 6 * 3_600, 60);
    memory.change.iter_mut().for_each(|change| change.healed = change.settled);
    memory.reshards = (1..changes).rev().map(|n| hours_ago(6 + n)).chain(memory.reshards).collect();
    memory.base = Some(5);
    Fixture::under_load(8, 9000.0).memory(&memory)
}

/// The same after two changes of one incident.
fn after_two_changes_of_one_incident() -> Fixture {
    let memory = settled(4, 8, 400, 60);
    let reshards = [seconds_ago(900)].into_iter().chain(memory.reshards.clone()).collect();
    Fixture::under_load(8, 9000.0).memory(&Memory { reshards, ..memory })
}

rows! { scales;
    a_load_that_outgrows_one_change_of_the_day_gets_what_it_needs: after_changes(1) => (8, 12, None);
    // 24, but AWS doubles at most.
    a_load_that_outgrows_two_changes_of_the_day_gets_twice_what_it_needs: after_changes(2) => (8, 16, None);
    two_changes_of_one_incident_get_no_more_than_the_load_needs:
        after_two_changes_of_one_incident() => (8, 12, None);
    twice_what_a_load_needs_ends_at_the_maximum_without_a_bound:
        after_changes(2).policy(|p| p.max_shards = 14) => (8, 14, None);
    a_maximum_below_what_a_load_needs_is_named:
        after_changes(2).policy(|p| p.max_shards = 11) => (8, 11, Some(Bound::MaxShards));
}

/// `from` shards that were restored from some number, and then raised to `to`, which healed. The load needs more again.
/// `restores`: how many hours ago. `base`: the shards before the first of the raises.
fn back_after_restores(restores: &[i64], from: u32, to: u32, base: Option<u32>) -> Fixture {
    let restored = restores.iter().fold(Memory::default(), |memory, hours| {
        memory.intend(Change::intent(ChangeKind::Restore, to, from, hours_ago(*hours)), false)
    });
    let mut memory = restored.intend(Change::intent(ChangeKind::Scale, from, to, hours_ago(2)), false);
    let change = memory.change.as_mut().expect("just made");
    change.settled = Some(change.at + TimeDelta::minutes(1));
    (change.healed, change.published) = (change.settled, change.settled);
    memory.base = base;
    let minute = MinuteTraffic { write_throttled: f64::from(to) * 600.0, ..offered(f64::from(to) * 990.0, to) };
    Fixture::new(to).minutes(-9..=0, minute).memory(&memory)
}

rows! { scales;
    // 8 → 6 → 4 → 5: the load comes back, and has outgrown nothing.
    a_load_that_comes_back_after_restores_gets_what_it_needs:
        back_after_restores(&[10, 8], 4, 5, Some(4)) => (5, 7, None);
    a_load_that_comes_back_after_one_restore_of_many_shards_gets_what_it_needs:
        back_after_restores(&[9], 20, 24, Some(20)) => (24, 32, None);
    a_load_that_comes_back_half_way_down_gets_what_it_needs:
        back_after_restores(&[9, 7, 5], 6, 8, Some(2)) => (8, 12, None);
    a_memory_that_forgot_the_kinds_of_its_reshards_shows_no_growth:
        back_after_restores(&[10, 8], 4, 5, None).remembering(|memory| memory.restores.clear()) => (5, 7, None);
    // A scale of today stands between: the load has outgrown two of them.
    a_load_that_outgrows_two_changes_after_a_restore_gets_twice_what_it_needs:
        back_after_restores(&[9], 6, 8, Some(2)).remembering(|memory| memory.reshards.insert(1, hours_ago(5)))
        => (8, 16, None);
}

rows! { scales;
    a_step_to_the_maximum_names_the_maximum:
        Fixture::under_load(4, 40_000.0).policy(|p| p.max_shards = 6) => (4, 6, Some(Bound::MaxShards));
    // AWS opens 12 shards beside the 8 on the way to 14.
    a_step_that_the_quota_has_room_for_is_whole: with_shards_left(12) => (8, 14, None);
    a_quota_too_small_for_the_step_lets_the_stream_double: with_shards_left(11) => (8, 16, None);
    doubling_needs_no_short_lived_shards: with_shards_left(8) => (8, 16, None);
    // 8 → 12 needs 16 shards on the way.
    a_step_below_the_maximum_names_the_quota:
        with_shards_left(8).policy(|p| (p.max_shards, p.max_shards_ceiling) = (15, 15))
        => (8, 12, Some(Bound::AccountQuota));
    // 9 shards, not 10.
    a_step_to_the_maximum_of_cost_names_the_cost:
        Fixture::under_load(8, 9500.0).policy(|p| p.max_hourly_cost = Some(hourly_cost(9) + 0.001))
        => (8, 9, Some(Bound::MaxCost));
}

#[test]
fn a_quota_with_room_for_one_shard_splits_the_widest() {
    let fixture = deny(with_shards_left(7));
    let decision = fixture.decide();
    let partial = Some(Bound::AccountQuota);
    let is_partial = matches!(&decision.verdict, Verdict::Act(Remedy::SplitShard { partial: p, .. }) if *p == partial);
    assert!(is_partial, "{:?}", decision.verdict);
    assert_eq!(decision.memory.expect("an intent").split_histories, [], "the split diagnoses nothing");
    says(fixture, ["a partial step: the account's shard quota"]);
}

#[test]
fn a_full_quota_without_on_demand_mode_holds() {
    decides(deny(with_shards_left(0)), "at_account_quota");
}
