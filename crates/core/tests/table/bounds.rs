//! The bounds of a change: the maxima of the person, the quota and the budgets of AWS, the cost.

use crate::common::{Fixture, hours_ago, one_hot};
use crate::{decides, says};
use unthrottle_core::decision::{AwsLimit, Remedy, Verdict};
use unthrottle_core::memory::{Change, ChangeKind, Memory};
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
        Fixture::under_load(60, 600_000.0).account_full() => ["beyond the 100 shards that you allow"];
    a_full_quota_with_a_hot_shard_says_that_the_mode_does_not_isolate_it:
        one_hot(1500.0).account_full() => ["does not isolate a hot shard"];
}
