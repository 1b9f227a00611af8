//! The bounds of a change: the maxima of the person, the quota and the budgets of AWS, the cost.

use crate::common::{Fixture, MIB, hours_ago, offered, one_hot, settled};
use crate::writes::scales;
use crate::{decides, says};
use unthrottle_core::decision::{AwsLimit, Bound, Remedy, Verdict};
use unthrottle_core::memory::{Change, ChangeKind, Memory};
use unthrottle_core::observation::MinuteTraffic;
use unthrottle_core::policy::Permission;

fn load() -> Fixture {
    Fixture::under_load(2, 3000.0)
}

fn deny(fixture: Fixture) -> Fixture {
    fixture.policy(|p| p.on_demand = Permission::Deny)
}

fn max_hourly_cost(fixture: Fixture, usd: f64) -> Fixture {
    fixture.policy(|p| p.max_hourly_cost = Some(usd))
}

/// Ten reshards today. The last is verified and published.
fn budget_spent() -> Fixture {
    let intent = |hours| Change::intent(ChangeKind::Scale, 2, 2, hours_ago(hours));
    let mut memory = (2..12).rev().fold(Memory::default(), |memory, hours| memory.intend(intent(hours), false));
    let change = memory.change.as_mut().expect("just made");
    let at = change.at;
    (change.settled, change.healed) = (Some(at), Some(at));
    load().memory(&memory).published(at)
}

rows! { decides;
    a_stream_at_the_maximum_is_held: load().policy(|p| p.max_shards = 2) => "at_max_shards";
    a_stream_above_the_maximum_is_held: load().tag("unthrottle.max-shards", "1") => "at_max_shards";
    a_stream_at_the_maximum_is_held_for_it_though_the_quota_is_full_too:
        load().policy(|p| p.max_shards = 2).account_full() => "at_max_shards";
    a_full_quota_switches_the_mode: load().account_full() => "switch_to_on_demand";
    a_full_quota_with_on_demand_denied_is_held: deny(load()).account_full() => "at_account_quota";
    a_full_quota_with_on_demand_denied_by_tag_is_held:
        load().account_full().tag("unthrottle.on-demand", "deny") => "at_account_quota";
    a_full_quota_of_shards_and_of_on_demand_streams_is_held:
        load().account_full().with(|f| f.observation.limits.as_mut().expect("known").on_demand_streams = 50)
        => "at_account_quota";
    a_full_quota_with_a_load_beyond_the_maximum_is_held:
        Fixture::under_load(60, 600_000.0).account_full() => "at_account_quota";
    ten_reshards_today_switch_the_mode: budget_spent() => "switch_to_on_demand";
    ten_reshards_today_with_on_demand_denied_are_held: deny(budget_spent()) => "reshard_budget_spent";
}

rows! { decides;
    a_hot_shard_at_the_maximum_is_held: one_hot(1500.0).policy(|p| p.max_shards = 8) => "at_max_shards";
    a_hot_shard_gets_the_last_shard_of_the_account: one_hot(1500.0).shards_left(1) => "split_shard";
    a_hot_shard_in_a_full_account_is_held: one_hot(1500.0).account_full() => "at_account_quota";
    // A split is no UpdateShardCount.
    a_hot_shard_is_split_after_ten_reshards_today:
        (0..10).fold(one_hot(1500.0), |f, n| f.published(hours_ago(1 + n))) => "split_shard";
    a_hot_shard_whose_split_costs_too_much_is_held: max_hourly_cost(one_hot(1500.0), 0.01) => "at_max_cost";
    shards_that_cost_too_much_are_not_opened: max_hourly_cost(load(), 0.01) => "at_max_cost";
    shards_within_the_maximum_of_cost_are_opened: max_hourly_cost(load(), 100.0) => "scale_shards";
}

#[test]
fn a_switch_names_the_limit_of_aws_that_leaves_no_shards() {
    let switch = Remedy::SwitchToOnDemand { shards: 2, warm_mibps: None, instead_of: AwsLimit::AccountQuota };
    assert_eq!(load().account_full().decide().verdict, Verdict::Act(switch));
}

rows! { says;
    a_full_quota_names_the_denied_mode: deny(load()).account_full() => ["you deny on-demand mode"];
    a_full_quota_with_visible_shards_names_the_denied_mode:
        deny(Fixture::of_shards(&[1500.0; 8])).account_full() => ["you deny on-demand mode"];
    a_full_quota_names_the_maximum_that_the_load_exceeds:
        Fixture::under_load(60, 600_000.0).account_full() => ["would exceed your 100 shards"];
    a_full_quota_with_a_hot_shard_says_that_the_mode_does_not_isolate_it:
        one_hot(1500.0).account_full() => ["does not isolate a hot shard"];
}

/// Eight shards after `reshards` reshards today, the last of them verified.
fn after_reshards(reshards: i64) -> Fixture {
    let mut memory = settled(6, 8, 3 * 3600, 60);
    let change = memory.change.as_mut().expect("one");
    (change.healed, change.published) = (change.settled, change.settled);
    memory.reshards = (1..reshards).rev().map(|n| hours_ago(3 + n)).chain(memory.reshards).collect();
    Fixture::new(8).memory(&memory)
}

/// The same, where readers take nearly all the bytes that the shards give.
fn readers_after(reshards: i64) -> Fixture {
    let reads = MinuteTraffic {
        read_throttled: 90.0,
        get_records_bytes: 15.9 * MIB,
        get_records_calls: 900.0,
        iterator_age_ms: Some(500.0),
        ..offered(3_000.0, 8)
    };
    after_reshards(reshards).minutes(-9..=0, reads)
}

rows! { decides;
    readers_take_the_seventh_reshard_of_a_day: readers_after(6) => "scale_shards";
    readers_leave_the_eighth_reshard_of_a_day_to_writes: readers_after(7) => "reshard_budget_spent";
    readers_leave_the_tenth_reshard_of_a_day_to_writes: readers_after(9) => "reshard_budget_spent";
    readers_have_no_reshard_after_ten: readers_after(10) => "reshard_budget_spent";
    writes_take_the_tenth_reshard_of_a_day:
        after_reshards(9).minutes(-9..=0, offered(9_000.0, 8)) => "scale_shards";
    readers_at_the_maximum_are_held_for_it_though_reshards_are_kept:
        readers_after(8).policy(|p| p.max_shards = 8) => "at_max_shards";
}

rows! { says;
    readers_learn_that_the_last_reshards_are_kept_for_writes:
        readers_after(8) => ["made 8 of the 10 reshards", "the last 3 of a day are kept for writes", "fan-out"];
    readers_after_ten_reshards_learn_that_aws_allows_no_more:
        readers_after(10) => ["AWS allows no more reshards today", "gives the readers of a shard no more"];
}

/// `open` shards whose load needs `needed`, in an account with room for `left` more. They may not double.
fn tight(open: u32, needed: u32, left: u32) -> Fixture {
    let (load, capacity) = ((f64::from(needed) - 0.5) * 750.0, f64::from(open) * 1000.0);
    // Producers send each record six times. The share that AWS refuses is stable where the rest of the load gives up.
    let refused = (1.0 - capacity / load).max(0.0).powf(1.0 / 6.0);
    let offered = if load > 1.125 * capacity { capacity / (1.0 - refused) } else { load };
    Fixture::under_load(open, offered).with_even_shards().with(|f| {
        (f.policy.max_shards, f.policy.max_shards_ceiling) = (2 * open - 1, 2 * open - 1);
        f.policy.max_added_shards = open;
        let limits = f.observation.limits.as_mut().expect("known");
        (limits.shard_limit, limits.open_shards) = (open + left, open);
    })
}

rows! { scales;
    // 4,500 shards keep every second boundary of 3,000, so AWS opens 3,000 on the way.
    thousands_of_shards_grow_as_far_as_a_tight_account_allows: tight(3000, 4500, 3000) => (3000, 4500, None);
    thousands_of_shards_grow_by_the_step_that_opens_few: tight(3000, 4300, 3000) => (3000, 4500, None);
    thousands_of_shards_grow_by_a_smaller_step_that_opens_few:
        tight(3000, 5000, 3200) => (3000, 4500, Some(Bound::AccountQuota));
    hundreds_of_shards_grow_by_the_step_that_opens_few: tight(400, 590, 400) => (400, 600, None);
}

rows! { decides;
    thousands_of_shards_without_room_for_a_step_are_split: deny(tight(3000, 5999, 1500)) => "split_shard";
}
