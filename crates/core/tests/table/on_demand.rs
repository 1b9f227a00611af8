//! What a throttled on-demand stream decides, and when a provisioned one leaps to on-demand mode.

use crate::common::{Fixture, MIB, offered};
use crate::{decides, says};
use unthrottle_core::decision::{AwsLimit, Bound, Remedy, Verdict};
use unthrottle_core::observation::{Commitment, MinuteTraffic};
use unthrottle_core::policy::{Permission, Policy};

/// Four shards under a load of nine MiB/s, for fifteen minutes.
fn load() -> Fixture {
    Fixture::new(4).minutes(-14..=0, offered(9000.0, 4))
}

/// The same for ten minutes.
fn short_load() -> Fixture {
    Fixture::under_load(4, 9000.0)
}

/// Eight shards that refuse records for fifteen minutes, at a quarter of their capacity.
fn skewed() -> Fixture {
    let minute = MinuteTraffic { write_throttled: 60_000.0, ..offered(2000.0, 8) };
    Fixture::new(8).minutes(-14..=0, minute).on_demand()
}

/// A provisioned stream of an account with the commitment. The records that AWS accepts need 12 shards, if producers
/// send each record six times.
fn leap(policy: impl FnOnce(&mut Policy)) -> Fixture {
    Fixture::under_load(4, 40_000.0).committed().policy(policy)
}

/// Four minutes of throttling in fifteen, at least one in each block of five.
fn throttled_now_and_then() -> Fixture {
    let throttled = offered(3000.0, 2);
    let fixture = Fixture::new(2).minutes(-9..=0, offered(1000.0, 2)).on_demand();
    fixture.minutes(-14..=-14, throttled).minutes(-7..=-7, throttled).minutes(-1..=0, throttled)
}

rows! { decides;
    an_on_demand_stream_throttled_for_ten_minutes_adapts:
        Fixture::under_load(2, 3000.0).on_demand() => "on_demand_adapting";
    an_on_demand_stream_throttled_for_fifteen_minutes_is_at_its_ceiling:
        Fixture::new(2).minutes(-14..=0, offered(3000.0, 2)).on_demand() => "on_demand_ceiling";
    an_on_demand_stream_throttled_in_each_block_of_fifteen_minutes_is_at_its_ceiling:
        throttled_now_and_then() => "on_demand_ceiling";
    a_growing_stream_without_the_commitment_adapts: short_load().on_demand() => "on_demand_adapting";
    a_stream_without_the_commitment_throttled_for_fifteen_minutes_is_at_its_ceiling:
        load().on_demand() => "on_demand_ceiling";
    throttling_for_fifteen_minutes_far_below_capacity_is_a_hot_key: skewed() => "hot_key";
    throttling_far_below_capacity_is_the_ceiling_where_aws_spreads_the_records:
        skewed().stream(|s| s.spreads_records = true) => "on_demand_ceiling";
    throttling_for_ten_minutes_far_below_capacity_adapts:
        skewed().minutes(-14..=-10, offered(2000.0, 8)) => "on_demand_adapting";
}

rows! { decides;
    a_short_stream_with_the_commitment_is_warmed_up: load().warm(4, 4) => "warm_up";
    a_stream_that_is_being_warmed_up_adapts: short_load().warm(4, 40) => "on_demand_adapting";
    a_stream_that_is_warm_enough_is_at_its_ceiling: load().warm(40, 40) => "on_demand_ceiling";
    a_stream_of_unknown_warm_throughput_is_at_its_ceiling: load().on_demand().committed() => "on_demand_ceiling";
    a_stream_at_the_maximum_of_warm_throughput_is_at_its_ceiling:
        load().warm(8, 8).policy(|p| p.max_warm_mibps = 8) => "on_demand_ceiling";
    warm_throughput_without_the_commitment_is_not_raised:
        load().warm(4, 4).with(|f| f.observation.commitment = Some(Commitment::Disabled)) => "on_demand_ceiling";
}

rows! { decides;
    a_provisioned_stream_that_needs_three_times_its_shards_leaps: leap(|_| ()) => "switch_to_on_demand";
    a_provisioned_stream_that_needs_twice_its_shards_scales:
        Fixture::under_load(4, 6000.0).committed() => "scale_shards";
    a_leap_scales_where_on_demand_is_denied: leap(|p| p.on_demand = Permission::Deny) => "scale_shards";
    a_leap_beyond_the_maximum_scales: leap(|p| (p.max_shards, p.max_shards_ceiling) = (11, 11)) => "scale_shards";
    a_leap_scales_where_the_maximum_of_warm_throughput_is_below_double:
        leap(|p| p.max_warm_mibps = 8) => "scale_shards";
    a_leap_scales_without_the_commitment: short_load() => "scale_shards";
}

/// Asserts the warm throughput before and after, and the bound that makes it a partial step. `None`: it is not raised.
#[track_caller]
fn warms(fixture: Fixture, expected: Option<(u32, u32, Option<Bound>)>) {
    let warmed = match fixture.decide().verdict {
        Verdict::Act(Remedy::WarmUp { from_mibps, to_mibps, partial }) => Some((from_mibps, to_mibps, partial)),
        _ => None,
    };
    assert_eq!(warmed, expected);
}

/// 100 shards whose load needs 1,200 MiB/s.
fn large() -> Fixture {
    Fixture::under_load(100, 900_000.0).warm(100, 100).policy(|p| p.max_warm_mibps = 10_240)
}

rows! { warms;
    // 9 of 0.75.
    warm_throughput_is_what_the_load_needs: short_load().warm(4, 4) => Some((4, 12, None));
    warm_throughput_grows_from_its_target: short_load().warm(4, 11) => Some((11, 12, None));
    // AWS takes an equal value for a decrease.
    a_target_that_the_load_needs_is_not_set_again: short_load().warm(4, 12) => None;
    warm_throughput_never_falls: short_load().warm(20, 4) => None;
    warm_throughput_ends_at_the_maximum:
        short_load().warm(4, 4).policy(|p| p.max_warm_mibps = 10) => Some((4, 10, Some(Bound::MaxWarm)));
    warm_throughput_ends_at_the_ceiling_of_a_small_region:
        large().stream(|s| s.arn = s.arn.replace("us-east-1", "eu-north-1"))
        => Some((100, 200, Some(Bound::StreamCeiling)));
    warm_throughput_of_a_large_region_is_what_the_load_needs: large() => Some((100, 1200, None));
}

#[test]
fn a_leap_sets_the_warm_throughput_in_the_same_call() {
    let switch = Remedy::SwitchToOnDemand { shards: 4, warm_mibps: Some(12), instead_of: AwsLimit::Double };
    assert_eq!(leap(|_| ()).decide().verdict, Verdict::Act(switch));
}

/// Two shards of an on-demand stream whose readers are bound by bytes for fifteen minutes.
fn reads() -> Fixture {
    let minute = MinuteTraffic {
        read_throttled: 9.0,
        get_records_bytes: 3.5 * MIB,
        get_records_calls: 600.0,
        ..MinuteTraffic::default()
    };
    Fixture::new(2).on_demand().minutes(-14..=0, minute)
}

rows! { says;
    a_stream_at_the_end_of_its_growth_needs_the_commitment:
        load().on_demand() => ["buy the throughput commitment", "about $101 a day"];
    a_stream_that_is_warm_enough_needs_a_higher_limit:
        load().warm(40, 40) => ["ask AWS for a higher stream throughput"];
    a_stream_at_the_maximum_of_warm_throughput_names_it:
        load().warm(8, 8).policy(|p| p.max_warm_mibps = 8)
        => ["It needs 12 MiB/s of warm throughput, and you allow 8"];
    an_on_demand_stream_with_a_hot_key_needs_other_keys: skewed() => ["Spread the keys"];
    an_on_demand_stream_at_the_end_of_its_reads_needs_fan_out: reads() => ["enhanced fan-out"];
}

/// Asserts the code, and that the sentence does not advise to buy anything.
#[track_caller]
fn sells_nothing(fixture: Fixture, code: &str) {
    assert_eq!(fixture.code(), code);
    assert!(!fixture.sentence().contains("buy"), "{}", fixture.sentence());
}

rows! { sells_nothing;
    a_stream_that_is_warm_enough_needs_no_commitment: load().warm(40, 40) => "on_demand_ceiling";
    an_on_demand_stream_with_a_hot_key_needs_no_commitment: skewed() => "hot_key";
    an_on_demand_stream_at_the_end_of_its_reads_needs_no_commitment: reads() => "on_demand_ceiling";
}
