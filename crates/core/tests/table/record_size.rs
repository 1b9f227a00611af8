//! What the size of the records decides: a hint for small ones, a hold of its own for those above 1 MiB.

use crate::common::{Fixture, MIB, bursts, hours_ago, newest, offered, one_hot, settled};
use crate::{decides, says};
use unthrottle_core::memory::Memory;
use unthrottle_core::observation::MinuteTraffic;
use unthrottle_core::policy::Permission;

/// Shards that are full of records of `size` bytes, and refuse twenty times as many.
fn full_of(shards: u32, size: f64) -> Fixture {
    let records = f64::from(shards) * 60_000.0;
    let minute = MinuteTraffic {
        incoming_records: records,
        incoming_bytes: records * size,
        write_throttled: 20.0 * records,
        ..MinuteTraffic::default()
    };
    Fixture::new(shards).minutes(-9..=0, minute)
}

/// Asserts the shards that the load needs, and those that it needs once it is aggregated.
#[track_caller]
fn needs(fixture: Fixture, expected: (Option<u32>, Option<u32>)) {
    let evidence = fixture.decide().evidence;
    assert_eq!((evidence.shards_needed, evidence.shards_needed_if_aggregated), expected);
}

rows! { needs;
    // 15,761 records a second of 100 bytes are 1.5 MiB.
    records_of_100_bytes_need_three_shards_once_they_are_aggregated: full_of(4, 100.0) => (Some(22), Some(3));
    records_of_60_bytes_need_four_shards_once_they_are_aggregated: full_of(10, 60.0) => (Some(53), Some(4));
    records_of_200_bytes_need_a_fifth_of_the_shards: full_of(4, 200.0) => (Some(22), Some(5));
    records_of_300_bytes_use_more_than_a_fifth_of_the_bytes: full_of(4, 300.0) => (Some(22), None);
    records_of_a_kibibyte_are_not_small: Fixture::under_load(4, 8_000.0) => (Some(7), None);
}

/// Ten reshards of the day.
fn spent() -> Memory {
    let mut memory = settled(2, 4, 7200, 60);
    memory.reshards = (0..10).rev().map(|n| hours_ago(2 + n)).collect();
    memory
}

const HINT: &str = "Aggregated (KPL), its small records need 3 shards.";

rows! { says;
    a_scale_of_small_records_says_how_few_shards_aggregated_ones_need: full_of(4, 100.0) => ["4 → 8 shards", HINT];
    a_plan_for_small_records_says_so: full_of(4, 100.0).tag("unthrottle.mode", "observe") => ["Would change", HINT];
    a_maximum_of_shards_with_small_records_says_so:
        full_of(4, 100.0).policy(|p| p.max_shards = 4) => ["maximum that you set is 4", HINT];
    a_maximum_of_cost_with_small_records_says_so:
        full_of(4, 100.0).policy(|p| p.max_hourly_cost = Some(0.01)) => ["UNTHROTTLE_MAX_HOURLY_COST", HINT];
    a_full_quota_with_small_records_says_so:
        full_of(4, 100.0).account_full().policy(|p| p.on_demand = Permission::Deny)
        => ["the shard quota leaves no room", HINT];
    a_spent_budget_with_small_records_says_so:
        full_of(4, 100.0).memory(&spent())
            .policy(|p| p.on_demand = Permission::Deny)
        => ["AWS allows no more reshards today", HINT];
}

#[test]
fn records_that_fill_the_bytes_of_a_shard_get_no_hint() {
    for fixture in [full_of(4, 300.0), full_of(4, 1024.0), Fixture::under_load(2, 3000.0)] {
        let sentence = fixture.sentence();
        assert!(!sentence.contains("Aggregated"), "{sentence}");
    }
}

/// Shards that accept `records` of `size` MiB in a minute, and refuse some more.
fn large(shards: u32, records: f64, size: f64) -> Fixture {
    let minute = MinuteTraffic {
        incoming_records: records,
        incoming_bytes: records * size * 1_048_576.0,
        write_throttled: 10.0,
        ..MinuteTraffic::default()
    };
    Fixture::new(shards).minutes(-9..=0, minute)
}

/// The same stream with shard-level metrics on, which show each shard calm.
fn large_and_seen() -> Fixture {
    let MinuteTraffic { incoming_records, incoming_bytes, .. } =
        MinuteTraffic { incoming_records: 24.0, incoming_bytes: 24.0 * 4.0 * 1_048_576.0, ..MinuteTraffic::default() };
    let stream = MinuteTraffic { incoming_records, incoming_bytes, write_throttled: 4800.0, ..Default::default() };
    bursts().minutes(-9..=0, stream)
}

/// PutRecord writes records of 2 MiB, beside many small ones of PutRecords.
fn large_by_put_record() -> Fixture {
    let minute = MinuteTraffic {
        put_record_bytes: 10.0 * 2.0 * 1_048_576.0,
        put_record_count: 10.0,
        incoming_records: 6_010.0,
        incoming_bytes: 10.0 * 2.0 * 1_048_576.0 + 6e6,
        write_throttled: 60.0,
        ..MinuteTraffic::default()
    };
    Fixture::new(4).minutes(-9..=0, minute)
}

rows! { decides;
    large_records_with_shards_enough_are_held_by_name: large(8, 40.0, 4.0) => "large_records";
    large_records_of_one_shard_are_held_by_name: large(1, 12.0, 2.0) => "large_records";
    large_records_are_held_before_metrics_are_bought:
        large(8, 40.0, 4.0).policy(|p| p.diagnose = Permission::Allow) => "large_records";
    large_records_with_calm_shards_are_held_by_name: large_and_seen() => "large_records";
    large_records_by_put_record_are_seen_beside_small_ones: large_by_put_record() => "large_records";
    large_records_that_need_more_shards_scale: large(8, 450.0, 1.5) => "scale_shards";
    records_of_900_kib_with_shards_enough_are_skewed: large(8, 40.0, 0.88) => "skew_suspected";
    a_hot_shard_is_split_whatever_the_records_of_the_stream:
        one_hot(1500.0) => "split_shard";
}

rows! { says;
    large_records_say_their_size_and_what_to_do:
        large(8, 40.0, 4.0) => ["its records have 4.0 MiB (mean)", "takes 1 MiB a second", "keep the data in S3"];
}

/// The same for fifteen minutes, on demand.
fn large_on_demand(records: f64, size: f64) -> Fixture {
    let minute = large(8, records, size).observation.traffic.minute(newest());
    Fixture::new(8).minutes(-14..=0, minute).on_demand()
}

rows! { decides;
    large_records_on_demand_are_no_hot_key: large_on_demand(40.0, 4.0) => "large_records";
    large_records_on_demand_are_no_ceiling_where_aws_spreads_the_records:
        large_on_demand(40.0, 4.0).stream(|s| s.spreads_records = true) => "large_records";
    large_records_that_fill_an_on_demand_stream_are_at_its_ceiling: large_on_demand(450.0, 1.5) => "on_demand_ceiling";
    records_of_900_kib_far_below_on_demand_capacity_are_a_hot_key: large_on_demand(40.0, 0.88) => "hot_key";
}

/// Shards of an on-demand stream that are full of records of 60 bytes, for fifteen minutes.
fn small_on_demand() -> Fixture {
    let minute = full_of(4, 60.0).observation.traffic.minute(newest());
    Fixture::new(4).minutes(-14..=0, minute).on_demand()
}

rows! { says;
    large_records_on_demand_say_what_to_do:
        large_on_demand(40.0, 4.0)
        => ["accepts less than half of its capacity", "4.0 MiB (mean)", "keep the data in S3"];
    small_records_at_the_ceiling_of_on_demand_say_how_few_shards_aggregated_ones_need:
        small_on_demand()
        => ["on-demand capacity does not follow", "Aggregated (KPL), its small records need 2 shards."];
    a_switch_for_small_records_says_how_few_shards_aggregated_ones_need:
        full_of(4, 100.0).memory(&spent()) => ["PROVISIONED → ON_DEMAND", HINT];
}

#[test]
fn the_mean_size_is_evidence_only_where_it_is_large() {
    assert_eq!(large(8, 40.0, 4.0).decide().evidence.mean_record_bytes, Some(4.0 * MIB / 60.0));
    assert_eq!(Fixture::new(8).minutes(-9..=0, offered(9_000.0, 8)).decide().evidence.mean_record_bytes, None);
}
