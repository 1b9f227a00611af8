//! What people learn about their readers.

use crate::common::{Fixture, HOUR, MIB, offered, reading};
use crate::{decides, says};
use unthrottle_core::observation::MinuteTraffic;

const MINUTE: f64 = 60_000.0;

/// Asserts the pollers that the evidence implies, and the calls a second to each shard.
#[track_caller]
fn implies(fixture: Fixture, expected: (Option<u32>, Option<f64>)) {
    let evidence = fixture.decide().evidence;
    assert_eq!((evidence.implied_pollers, evidence.get_records_calls_per_shard_per_second), expected);
}

rows! { implies;
    // 660 a minute to two shards.
    five_and_a_half_calls_a_second_imply_six_pollers:
        reading(60.0, 0.5 * MIB, 600.0, |_| 500.0) => (Some(6), Some(5.5));
    six_calls_a_second_imply_six_pollers: reading(120.0, 0.5 * MIB, 600.0, |_| 500.0) => (Some(6), Some(6.0));
    uneven_reads_imply_no_pollers: reading(60.0, 0.5 * MIB, 180.0, |_| 500.0) => (None, Some(2.0));
    readers_bound_by_bytes_imply_no_pollers: reading(9.0, 3.5 * MIB, 600.0, |_| 500.0) => (None, Some(5.075));
}

rows! { says;
    readers_bound_by_calls_learn_how_many_calls_they_make:
        reading(60.0, 0.5 * MIB, 600.0, |_| 500.0)
        => ["5.5 GetRecords a second to each of its 2 shards", "5 are shared", "fewer consumers", "fan-out"];
    uneven_readers_learn_that_their_calls_are_few:
        reading(60.0, 0.5 * MIB, 180.0, |_| 500.0) => ["2.0 GetRecords a second to each shard are within"];
}

#[test]
fn a_tight_loop_is_not_called_many_pollers() {
    let sentence = Fixture::new(1).minutes(-9..=0, polled(300.0, 1500.0, 0.01)).sentence();
    assert!(sentence.contains("30.0 GetRecords a second") && !sentence.contains("pollers"), "{sentence}");
}

/// A minute with answered and refused calls, and this number of MiB a second.
pub fn polled(answered: f64, refused: f64, mib: f64) -> MinuteTraffic {
    MinuteTraffic {
        read_throttled: refused,
        get_records_calls: answered,
        get_records_bytes: mib * MIB,
        iterator_age_ms: Some(500.0),
        ..offered(100.0, 2)
    }
}

const BACKLOG_STAYS: &str = "that backlog stays on the old shards";

/// Two shards that are short for readers, or for writers, with readers that are `age` milliseconds behind.
fn scaled_for_readers(age: f64) -> Fixture {
    reading(9.0, 3.5 * MIB, 600.0, move |_| age)
}

fn scaled_for_writers(age: f64) -> Fixture {
    Fixture::new(2).minutes(-9..=0, MinuteTraffic { iterator_age_ms: Some(age), ..offered(3000.0, 2) })
}

rows! { says;
    a_reshard_for_readers_says_that_their_backlog_stays:
        scaled_for_readers(12.0 * MINUTE) => ["Readers are 12 minutes behind", BACKLOG_STAYS];
    a_reshard_says_how_many_hours_readers_are_behind:
        scaled_for_readers(3.0 * HOUR) => ["Readers are 3.0 hours behind"];
    a_reshard_for_writers_says_that_the_backlog_stays: scaled_for_writers(12.0 * MINUTE) => [BACKLOG_STAYS];
    a_planned_reshard_says_that_the_backlog_stays:
        scaled_for_writers(12.0 * MINUTE).tag("unthrottle.mode", "observe") => [BACKLOG_STAYS];
}

#[test]
fn readers_a_minute_behind_have_no_backlog() {
    assert!(!scaled_for_readers(MINUTE).sentence().contains(BACKLOG_STAYS));
}

#[test]
fn a_switch_of_mode_closes_no_shards_with_a_backlog() {
    let full = scaled_for_writers(12.0 * MINUTE).account_full();
    decides(full.clone(), "switch_to_on_demand");
    assert!(!full.sentence().contains(BACKLOG_STAYS));
}

/// Asserts the code, and in how many hours records are lost.
#[track_caller]
fn loses(fixture: Fixture, expected: (&str, Option<f64>)) {
    assert_eq!((fixture.code(), fixture.decide().evidence.data_loss_in_hours), expected);
}

/// Readers that are late, and throttled or not.
fn late(throttled: f64, hours: f64) -> Fixture {
    reading(throttled, 0.5 * MIB, 600.0, move |_| hours * HOUR)
}

rows! { loses;
    throttled_readers_13_of_24_hours_behind_lose_records_in_11: late(60.0, 13.0) => ("too_many_readers", Some(11.0));
    readers_13_of_24_hours_behind_lose_records_in_11: late(0.0, 13.0) => ("consumer_slow", Some(11.0));
    readers_at_half_the_retention_lose_no_records: late(60.0, 12.0) => ("too_many_readers", None);
    readers_beyond_the_retention_lose_records_now: late(60.0, 30.0) => ("too_many_readers", Some(0.0));
}

rows! { says;
    throttled_readers_that_will_lose_records_learn_to_raise_the_retention:
        late(60.0, 13.0) => ["deleted in 11.0 hours: raise the retention now"];
    slow_readers_that_will_lose_records_learn_what_speeds_them_up:
        late(0.0, 13.0)
        => ["13.0 hours behind", "in 11.0 hours", "concurrency", "parallelization factor", "batch size", "poison"];
}
