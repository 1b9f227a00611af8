//! What a throttled on-demand stream decides, and when a provisioned one leaps to on-demand mode.

use crate::common::{Fixture, MIB, offered, seconds_ago};
use crate::load::{nothing_accepted, retried};
use crate::{decides, says};
use unthrottle_core::decision::{AwsLimit, Bound, Remedy, Verdict};
use unthrottle_core::memory::{Change, ChangeKind, Memory};
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

/// Ten minutes of a load that six attempts of each record do not explain: it needs 12 shards.
fn flood() -> Fixture {
    Fixture::under_load(4, 40_000.0)
}

/// The memory of a warm-up of ours, `seconds` before now, that no run has verified.
fn warmed_up(from: u32, to: u32, seconds: i64) -> Memory {
    let done = Change {
        settled: Some(seconds_ago(seconds - 60)),
        ..Change::intent(ChangeKind::WarmUp, from, to, seconds_ago(seconds))
    };
    Memory::default().intend(done, false)
}

/// A stream of an account with the commitment, whose one key fills one of its 8 MiB/s and is sent again and again.
fn warm_with_one_key() -> Fixture {
    let minute = MinuteTraffic { write_throttled: 60.0 * 59_000.0, ..offered(1000.0, 8) };
    Fixture::new(8).minutes(-14..=0, minute).warm(8, 8).policy(|p| p.max_warm_mibps = 1000)
}

/// Eight shards that refuse records for fifteen minutes, at a quarter of their capacity.
fn skewed() -> Fixture {
    let minute = MinuteTraffic { write_throttled: 60_000.0, ..offered(2000.0, 8) };
    Fixture::new(8).minutes(-14..=0, minute).on_demand()
}

/// A provisioned stream of an account with the commitment. The records that AWS accepts need 12 shards, if producers
/// send each record six times.
fn leap(policy: impl FnOnce(&mut Policy)) -> Fixture {
    flood().committed().policy(policy)
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
    a_stream_that_is_warm_enough_is_at_its_ceiling: load().warm(7, 7) => "on_demand_ceiling";
    a_stream_that_takes_a_tenth_of_its_warm_throughput_has_a_hot_key: load().warm(40, 40) => "hot_key";
    one_key_gets_no_warm_throughput: warm_with_one_key() => "hot_key";
    one_key_whose_records_are_sent_again_and_again_is_a_hot_key:
        Fixture::new(4).on_demand().minutes(-14..=0, MinuteTraffic { write_throttled: 480_000.0, ..offered(1200.0, 4) })
        => "hot_key";
    a_stream_that_accepts_nothing_is_warmed_up_once: nothing_accepted().warm(8, 8) => "warm_up";
    a_stream_that_accepts_nothing_after_it_was_warmed_up_is_told:
        nothing_accepted().warm(16, 16).memory(&warmed_up(8, 16, 900)) => "nothing_accepted";
    a_stream_of_unknown_warm_throughput_is_at_its_ceiling: load().on_demand().committed() => "on_demand_ceiling";
    a_stream_at_the_maximum_of_warm_throughput_is_at_its_ceiling:
        flood().minutes(-14..=0, offered(40_000.0, 4)).warm(4, 4).policy(|p| p.max_warm_mibps = 4)
        => "on_demand_ceiling";
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

/// 100 shards whose load needs 285 MiB/s.
fn large() -> Fixture {
    Fixture::under_load(100, 1_000_000.0).warm(100, 100).policy(|p| p.max_warm_mibps = 10_240)
}

rows! { warms;
    warm_throughput_is_what_the_load_needs: flood().warm(4, 4) => Some((4, 12, None));
    warm_throughput_at_its_capacity_is_not_doubled_for_retries: retried(100, 1.01, 6).warm(100, 100)
        => Some((100, 150, None));
    warm_throughput_grows_from_its_target: flood().warm(4, 11) => Some((11, 12, None));
    // AWS takes an equal value for a decrease.
    a_target_that_the_load_needs_is_not_set_again: flood().warm(4, 12) => None;
    warm_throughput_never_falls: flood().warm(20, 4) => None;
    warm_throughput_ends_at_the_maximum:
        flood().warm(4, 4).policy(|p| p.max_warm_mibps = 10) => Some((4, 10, Some(Bound::MaxWarm)));
    warm_throughput_ends_at_the_ceiling_of_a_small_region:
        large().stream(|s| s.arn = s.arn.replace("us-east-1", "eu-north-1"))
        => Some((100, 200, Some(Bound::StreamCeiling)));
    warm_throughput_of_a_large_region_is_what_the_load_needs: large() => Some((100, 285, None));
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
        load().warm(7, 7) => ["ask AWS for a higher stream throughput"];
    a_hot_key_of_a_warm_stream_says_how_little_it_takes:
        warm_with_one_key() => ["it accepts no more than 12 % of its capacity", "Spread the keys"];
    a_stream_at_the_maximum_of_warm_throughput_names_it:
        flood().minutes(-14..=0, offered(40_000.0, 4)).warm(4, 4).policy(|p| p.max_warm_mibps = 4)
        => ["It needs 12 MiB/s of warm throughput, and you allow 4"];
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
    a_stream_that_is_warm_enough_needs_no_commitment: load().warm(7, 7) => "on_demand_ceiling";
    an_on_demand_stream_with_a_hot_key_needs_no_commitment: skewed() => "hot_key";
    an_on_demand_stream_at_the_end_of_its_reads_needs_no_commitment: reads() => "on_demand_ceiling";
}

/// Four shards with 40 MiB/s of warm throughput that accept 300 records a second of 100 bytes, and refuse bursts.
fn bursts_on_warm_throughput() -> Fixture {
    let minute = MinuteTraffic {
        incoming_records: 60.0 * 300.0,
        incoming_bytes: 60.0 * 300.0 * 100.0,
        write_throttled: 400_000.0,
        ..MinuteTraffic::default()
    };
    Fixture::new(4).minutes(-15..=0, minute).warm(40, 40).asked()
}

rows! { says;
    a_stream_with_warm_throughput_is_compared_with_it_and_not_with_its_shards:
        bursts_on_warm_throughput() => ["it accepts no more than 0.75 % of its capacity, despite all retries"];
}
