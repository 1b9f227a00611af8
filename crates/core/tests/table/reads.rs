//! What throttled or late readers decide.

use crate::common::{Fixture, HOUR, MIB, offered, reading, settled};
use crate::decides;
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
