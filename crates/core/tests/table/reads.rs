//! What throttled or late readers decide.

use crate::common::{Fixture, HOUR, MIB, bursts, hours_ago, offered, one_hot, reading, seconds_ago, settled};
use crate::readers::polled;
use crate::{decides, says};
use unthrottle_core::decision::Side;
use unthrottle_core::memory::{ChangeKind, Memory};
use unthrottle_core::observation::MinuteTraffic;

/// Ten minutes without throttling, with a reader that is `age` milliseconds behind.
fn late(age: f64) -> Fixture {
    Fixture::new(2).minutes(-9..=0, MinuteTraffic { iterator_age_ms: Some(age), ..offered(1000.0, 2) })
}

/// Readers that take nearly all the bytes of their shards.
fn bound_by_bytes() -> Fixture {
    reading(9.0, 3.5 * MIB, 600.0, |_| 500.0)
}

/// Readers that make nearly all the calls of their shards.
fn bound_by_calls() -> Fixture {
    reading(60.0, 0.5 * MIB, 600.0, |_| 500.0)
}

rows! { decides;
    a_reader_13_of_24_hours_behind_is_slow: late(13.0 * HOUR) => "consumer_slow";
    a_reader_11_of_24_hours_behind_is_healthy: late(11.0 * HOUR) => "healthy";
    a_reader_later_than_the_retention_is_slow: late(25.0 * HOUR) => "consumer_slow";
    a_reader_13_hours_behind_of_a_week_is_healthy: late(13.0 * HOUR).stream(|s| s.retention_hours = 168) => "healthy";
}

rows! { decides;
    a_reader_that_gains_ground_is_left_to_catch_up:
        reading(9.0, 3.5 * MIB, 600.0, |minute| 600_000.0 - 30_000.0 * (minute + 9) as f64) => "reader_catching_up";
    readers_bound_by_bytes_after_an_outage_are_left_to_catch_up:
        reading(500.0, 4.0 * MIB, 600.0, |minute| 20.0 * HOUR - 60_000.0 * minute as f64) => "reader_catching_up";
    on_demand_readers_that_gain_ground_are_left_to_catch_up:
        reading(9.0, 4.0 * MIB, 600.0, |minute| HOUR - 60_000.0 * minute as f64).on_demand() => "reader_catching_up";
    readers_that_drain_the_shards_that_we_closed_are_left_to_catch_up:
        reading(60.0, 0.5 * MIB, 600.0, |_| 120_000.0).memory(&settled(1, 2, 300, 60)) => "reader_catching_up";
}

rows! { decides;
    readers_bound_by_bytes_scale: bound_by_bytes() => "scale_shards";
    readers_bound_by_bytes_that_lose_ground_scale:
        reading(9.0, 3.5 * MIB, 600.0, |minute| HOUR + 60_000.0 * minute as f64) => "scale_shards";
    readers_bound_by_bytes_in_a_full_account_are_held: bound_by_bytes().account_full() => "at_account_quota";
    readers_bound_by_bytes_at_the_maximum_are_held: bound_by_bytes().policy(|p| p.max_shards = 2) => "at_max_shards";
    on_demand_readers_bound_by_bytes_wait_for_its_growth: bound_by_bytes().on_demand() => "on_demand_adapting";
}

rows! { decides;
    readers_bound_by_calls_are_too_many: bound_by_calls() => "too_many_readers";
    on_demand_readers_bound_by_calls_are_too_many: bound_by_calls().on_demand() => "too_many_readers";
    throttled_readers_13_of_24_hours_behind_are_too_many:
        reading(60.0, MIB, 600.0, |_| 13.0 * HOUR) => "too_many_readers";
    readers_refused_by_few_calls_and_few_bytes_are_uneven:
        reading(60.0, 0.5 * MIB, 180.0, |_| 500.0) => "uneven_reads";
    one_get_records_in_a_thousand_refused_is_negligible:
        reading(0.5, 0.5 * MIB, 600.0, |_| 500.0) => "negligible";
}

/// Two shards whose readers are served and refused this many calls a minute, at this number of MiB a second.
fn readers_of_two(answered: f64, refused: f64, mib: f64) -> Fixture {
    Fixture::new(2).minutes(-9..=0, polled(answered, refused, mib))
}

rows! { decides;
    // Five calls a second and shard are answered, and two refused.
    seven_pollers_at_80_percent_of_the_bytes_are_too_many: readers_of_two(600.0, 240.0, 3.2) => "too_many_readers";
    seven_pollers_at_all_bytes_are_too_many: readers_of_two(600.0, 240.0, 4.0) => "too_many_readers";
    six_pollers_at_78_percent_of_the_bytes_are_too_many: readers_of_two(580.0, 140.0, 3.1) => "too_many_readers";
    readers_at_all_bytes_that_ask_hardly_more_than_five_times_scale: readers_of_two(600.0, 9.0, 3.9) => "scale_shards";
    a_tight_loop_that_gets_few_large_answers_is_bound_by_bytes: readers_of_two(120.0, 3_000.0, 3.9) => "scale_shards";
    a_tight_loop_that_gets_five_answers_a_second_is_too_many: readers_of_two(600.0, 3_000.0, 3.2) => "too_many_readers";
}

/// Two shards that take few writes and refuse some of them, and whose readers take nearly all bytes.
fn skewed_and_short_for_readers() -> Fixture {
    let reads = MinuteTraffic {
        read_throttled: 90.0,
        get_records_bytes: 3.9 * MIB,
        get_records_calls: 240.0,
        iterator_age_ms: Some(500.0),
        write_throttled: 120.0,
        ..offered(800.0, 2)
    };
    Fixture::new(2).minutes(-9..=0, reads)
}

/// Another person set the two shards again, twice in a day.
fn reverted_twice() -> Memory {
    let mut memory = settled(4, 2, 3 * 3_600, 60);
    memory.change.as_mut().expect("a change").kind = ChangeKind::External;
    Memory { reverts: vec![hours_ago(4), hours_ago(3)], ..memory }
}

/// The same readers, of a stream with shard-level metrics.
fn with_short_readers(fixture: Fixture) -> Fixture {
    let shards = f64::from(fixture.open_shards());
    fixture.with(|f| {
        for ago in -9..=0 {
            let minute = f.observation.traffic.minute_mut(crate::common::newest().plus(ago));
            (minute.read_throttled, minute.get_records_calls) = (90.0, 120.0 * shards);
            minute.get_records_bytes = 1.95 * shards * MIB;
        }
    })
}

rows! { decides;
    a_skew_of_writes_does_not_hide_readers_that_need_shards: skewed_and_short_for_readers() => "scale_shards";
    a_burst_of_writes_does_not_hide_readers_that_need_shards: with_short_readers(bursts()) => "scale_shards";
    a_hot_key_does_not_hide_readers_that_need_shards:
        with_short_readers(one_hot(4000.0).shard(3, |s| s.last_hash_key = s.first_hash_key + 1)) => "scale_shards";
    a_skew_of_writes_does_not_hide_too_many_readers:
        Fixture::new(2).minutes(-9..=0, MinuteTraffic { write_throttled: 120.0, ..polled(600.0, 240.0, 1.0) })
        => "too_many_readers";
    readers_that_catch_up_leave_the_hold_of_the_writes:
        (-9..=0).fold(skewed_and_short_for_readers(), |fixture, ago: i64| {
            let age = Some(HOUR - 60_000.0 * ago as f64);
            let minute = fixture.observation.traffic.minute(crate::common::newest().plus(ago));
            fixture.minutes(ago..=ago, MinuteTraffic { iterator_age_ms: age, ..minute })
        }) => "skew_suspected";
    a_trace_of_refused_reads_leaves_the_hold_of_the_writes:
        skewed_and_short_for_readers().minutes(-9..=0, MinuteTraffic {
            write_throttled: 120.0, read_throttled: 0.1, get_records_calls: 240.0, ..offered(800.0, 2)
        }) => "skew_suspected";
    a_maximum_of_a_person_forbids_the_readers_shards:
        skewed_and_short_for_readers().policy(|p| p.max_shards = 2) => "at_max_shards";
    reverts_by_another_person_forbid_the_readers_shards:
        skewed_and_short_for_readers().memory(&reverted_twice()) => "tug_of_war";
    a_refusal_by_aws_delays_the_readers_shards:
        skewed_and_short_for_readers().memory(&Memory::default().refuse(ChangeKind::Scale, seconds_ago(20), true))
        => "refused_lately";
    the_limit_of_the_fleet_forbids_the_readers_shards:
        skewed_and_short_for_readers().with(|f| f.observation.fleet.left_in_sweep = Some(0)) => "fleet_limit";
}

rows! { says;
    readers_that_get_shards_beside_a_skew_of_writes_say_so:
        skewed_and_short_for_readers() => ["450 GetRecords calls refused", "a read load of 3.90 MiB/s needs 3 shards"];
}

#[test]
fn a_change_for_readers_has_no_numbers_of_the_writes() {
    // Records of 20 bytes: their number would fill more than half of the shards, and their bytes hardly any.
    let small = |f: &mut Fixture| {
        for ago in -9..=0 {
            f.observation.traffic.minute_mut(crate::common::newest().plus(ago)).incoming_bytes = 20.0 * 800.0 * 60.0;
        }
    };
    let held = Fixture::new(2).minutes(-9..=0, MinuteTraffic { write_throttled: 120.0, ..offered(800.0, 2) });
    assert!(held.with(small).decide().evidence.shards_needed_if_aggregated.is_some());
    let decision = skewed_and_short_for_readers().with(small).decide();
    assert_eq!(decision.verdict.code(), "scale_shards");
    assert_eq!(decision.evidence.shards_needed_if_aggregated, None);
}

#[test]
fn a_hold_for_writes_keeps_its_own_numbers_where_readers_get_no_change() {
    let evidence = skewed_and_short_for_readers().account_full().decide().evidence;
    assert_eq!((evidence.throttled_side, evidence.shards_needed), (Some(Side::Reads), Some(3)), "they need a person");
    let few = MinuteTraffic { write_throttled: 120.0, ..polled(120.0, 60.0, 0.5) };
    let evidence = Fixture::new(2).minutes(-9..=0, few).decide().evidence;
    assert_eq!(evidence.throttled_side, Some(Side::Writes));
    assert!(evidence.offered_records_per_second.is_some() && evidence.get_records_bytes_per_second.is_none());
}

/// Four shards with a half, a quarter and two eighths of the hash keys, whose readers take this number of MiB a second.
fn uneven_ranges(mib: f64, answered: f64) -> Fixture {
    let eighth = 1 << 125;
    let bounds: [(u128, u128); 4] = [(0, 4), (4, 6), (6, 7), (7, 8)];
    let fixture = Fixture::new(4).minutes(-9..=0, polled(answered, 60.0, mib)).with_even_shards();
    (0..4).fold(fixture, |fixture, index| {
        fixture.shard(index, |shard| {
            let (first, end) = bounds[index];
            shard.first_hash_key = first * eighth;
            shard.last_hash_key = (end - 1) * eighth + (eighth - 1);
        })
    })
}

rows! { decides;
    readers_that_fill_the_widest_shard_get_equal_shards: uneven_ranges(5.0, 240.0) => "scale_shards";
    readers_that_leave_the_widest_shard_idle_are_uneven: uneven_ranges(2.5, 240.0) => "uneven_reads";
    readers_of_equal_shards_with_the_same_load_are_uneven:
        Fixture::new(4).minutes(-9..=0, polled(240.0, 60.0, 5.0)) => "uneven_reads";
    on_demand_readers_that_fill_the_widest_shard_are_uneven:
        uneven_ranges(5.0, 240.0).on_demand() => "uneven_reads";
    too_many_calls_to_uneven_shards_are_too_many: uneven_ranges(5.0, 1_300.0) => "too_many_readers";
}

rows! { says;
    readers_that_fill_the_widest_shard_learn_of_its_width:
        uneven_ranges(5.0, 240.0)
        => ["a read load of 5.00 MiB/s", "5 shards", "all of equal width (now one shard has 50 % of the hash keys)",
            "Changed 4 → 5 shards"];
    readers_that_need_more_than_equal_shards_get_what_they_need:
        uneven_ranges(7.9, 240.0) => ["6 shards", "all of equal width", "Changed 4 → 6 shards"];
}
