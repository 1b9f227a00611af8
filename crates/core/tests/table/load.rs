//! What the load behind refused records is: retries, uneven hash ranges, a writer that dies and comes back, and nothing
//! that AWS accepts.

use crate::common::{Fixture, minutes_ago, newest, offered, seconds_ago, settled};
use crate::writes::scales;
use crate::{decides, says};
use unthrottle_core::decision::{Remedy, Verdict};
use unthrottle_core::memory::{Change, ChangeKind};
use unthrottle_core::observation::{MinuteTraffic, Shard, Traffic};

/// A full stream that is offered `load` times its capacity, where producers send a refused record up to `attempts`
/// times. The share r that AWS refuses is stable where r^attempts of the load gives up.
pub fn retried(shards: u32, load: f64, attempts: i32) -> Fixture {
    let refused = (1.0 - 1.0 / load).powf(1.0 / f64::from(attempts));
    let accepted = f64::from(shards) * 1000.0;
    let minute =
        MinuteTraffic { write_throttled: 60.0 * (accepted / (1.0 - refused) - accepted), ..offered(accepted, shards) };
    let fixture = Fixture::new(shards).minutes(-9..=0, minute).asked();
    fixture.policy(|p| (p.max_shards, p.max_shards_ceiling) = (1000, 1000)).with(|f| f.observation.limits = None)
}

/// The target of a scale.
#[track_caller]
fn target(fixture: &Fixture) -> u32 {
    match fixture.decide().verdict {
        Verdict::Act(Remedy::ScaleShards { to, .. }) => to,
        other => panic!("no scale_shards: {other:?}"),
    }
}

#[test]
fn one_per_cent_too_much_is_not_twice_as_many_shards() {
    for (shards, attempts) in [(100, 6), (100, 4), (40, 6), (300, 10)] {
        let to = target(&retried(shards, 1.01, attempts));
        assert!(to <= shards + shards / 2, "{shards} shards, {attempts} attempts: {to}");
    }
}

#[test]
fn one_per_cent_too_much_doubles_no_stream_of_three_shards_or_more() {
    // A shard too many costs little, so a small stream gets more of the load that may be there. Three carry that of
    // two.
    for (shards, to) in [(1, 2), (2, 4), (3, 5), (4, 7), (5, 8), (6, 10), (7, 11), (8, 12)] {
        assert_eq!(target(&retried(shards, 1.01, 6)), to, "{shards} shards");
    }
}

#[test]
fn a_load_that_is_surely_there_goes_to_double_where_aws_is_faster() {
    // 3.6 full shards: nothing is sent again, so all of it counts.
    assert_eq!(target(&Fixture::under_load(3, 3600.0).asked()), 6);
}

#[test]
fn a_load_of_three_and_a_half_times_the_capacity_doubles_however_often_records_are_retried() {
    for attempts in 3..=8 {
        assert_eq!(target(&retried(100, 3.5, attempts)), 200, "{attempts} attempts");
    }
}

#[test]
fn retries_are_no_load_after_a_change_in_vain_either() {
    let full = |shards, memory| target(&retried(shards, 1.01, 6).memory(&memory).asked());
    assert_eq!(full(150, settled(100, 150, 400, 60)), 225);
    assert_eq!(full(12, settled(8, 12, 400, 60)), 18);
    let of_metrics = |kind, from, to| {
        let mut memory = settled(from, to, 720, 60);
        memory.change.as_mut().expect("just made").kind = kind;
        memory
    };
    assert_eq!(full(100, of_metrics(ChangeKind::EnableShardMetrics, 100, 100)), 150);
    assert_eq!(full(100, of_metrics(ChangeKind::Split, 99, 100)), 150);
}

/// The same with shard-level metrics, which show an equal part of the traffic in each shard.
fn in_shards(fixture: Fixture) -> Fixture {
    let whole = fixture.observation.traffic.minute(newest());
    fixture.shard_metrics().with_even_shards().with(|f| {
        let shards = f.observation.shards.as_mut().expect("known");
        let share = 1.0 / shards.len() as f64;
        let part = MinuteTraffic {
            incoming_bytes: whole.incoming_bytes * share,
            incoming_records: whole.incoming_records * share,
            write_throttled: whole.write_throttled * share,
            ..MinuteTraffic::default()
        };
        for shard in shards {
            (-9..=0).for_each(|ago| *shard.traffic.minute_mut(newest().plus(ago)) = part);
        }
    })
}

#[test]
fn retries_are_no_load_of_a_shard_whose_metrics_are_on() {
    for (shards, to) in [(8, 12), (40, 60), (100, 150)] {
        assert_eq!(target(&in_shards(retried(shards, 1.01, 6))), to, "{shards} shards");
    }
}

#[test]
fn more_refused_records_never_get_fewer_shards() {
    let mut last = 0;
    for refused in (0..60).map(|n| f64::from(n) * 10_000.0) {
        let minute = MinuteTraffic { write_throttled: 10.0 * refused + 600.0, ..offered(8000.0, 8) };
        let to = target(&Fixture::new(8).minutes(-9..=0, minute).asked());
        assert!(to >= last, "{refused}: {to} after {last}");
        last = to;
    }
    assert_eq!(last, 16);
}

rows! { says;
    the_sentence_tells_the_load_from_its_retries:
        retried(100, 1.01, 6) => ["a load of about 112,500 records/s", "with retries) needs 150 shards"];
}

/// A stream whose shards have these shares of the hash keys, in parts of `of`, under an even load of records of 1 KiB.
/// Each shard refuses what is more than 1,000 a second.
fn uneven(parts: &[u32], load: f64) -> Fixture {
    let of: u32 = parts.iter().sum();
    let shares: Vec<f64> = parts.iter().map(|part| f64::from(*part) / f64::from(of)).collect();
    let accepted: f64 = shares.iter().map(|share| (load * share).min(1000.0)).sum();
    let minute = MinuteTraffic { write_throttled: 60.0 * (load - accepted), ..offered(accepted, 1000) };
    let open = u32::try_from(parts.len()).expect("few");
    let fixture = Fixture::new(open).minutes(-9..=0, minute).asked();
    fixture.with(|f| f.observation.shards = Some(ranges(parts, of, &shares, load)))
}

/// The shards, each with its load in every minute.
fn ranges(parts: &[u32], of: u32, shares: &[f64], load: f64) -> Vec<Shard> {
    let mut first = 0;
    let mut shards = vec![];
    for (i, (part, share)) in parts.iter().zip(shares).enumerate() {
        let width = u128::MAX / u128::from(of) * u128::from(*part);
        let last = if i + 1 == parts.len() { u128::MAX } else { first + width - 1 };
        let mut traffic = Traffic::default();
        for ago in -9..=0 {
            *traffic.minute_mut(newest().plus(ago)) = offered(load * share, 1);
        }
        shards.push(Shard {
            id: format!("shardId-{i:012}"),
            parent: None,
            first_hash_key: first,
            last_hash_key: last,
            traffic,
        });
        first = last.saturating_add(1);
    }
    shards
}

/// Half, a quarter and two eighths of the hash keys.
const HALVED: [u32; 4] = [4, 2, 1, 1];
/// A reshard that stopped half way: six halves, and five whole eighths.
const HALF_WAY: [u32; 11] = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2];

rows! { scales;
    a_wide_shard_that_is_full_gets_a_reshard_to_what_the_load_needs: uneven(&HALVED, 3000.0) => (4, 5, None);
    the_same_with_shard_metrics: uneven(&HALVED, 3000.0).shard_metrics() => (4, 5, None);
    enough_shards_by_count_get_one_more_where_one_is_wide: uneven(&HALVED, 2250.0) => (4, 5, None);
    a_reshard_that_stopped_half_way_is_finished: uneven(&HALF_WAY, 8900.0) => (11, 12, None);
    a_reshard_that_stopped_half_way_is_finished_with_shard_metrics:
        uneven(&HALF_WAY, 8900.0).shard_metrics() => (11, 12, None);
    a_sliver_does_not_count_as_a_shard: uneven(&[1, 1_000_000, 1_000_000], 2200.0) => (3, 4, None);
}

rows! { decides;
    a_hot_key_in_a_stream_of_uneven_shards_is_no_reason_for_a_reshard:
        Fixture::new(4)
            .minutes(-9..=0, MinuteTraffic { write_throttled: 60_000.0, ..offered(1100.0, 4) })
            .with(|f| f.observation.shards = Some(ranges(&[1, 1, 1, 1], 4, &[0.25; 4], 100.0)))
            .asked()
        => "skew_suspected";
}

rows! { says;
    a_reshard_of_uneven_shards_says_that_they_are_not_equal:
        uneven(&HALVED, 3000.0) => ["fills the shard with 50 % of the hash keys; 5 shards of equal width take it"];
    at_the_maximum_it_says_how_many_equal_shards_would_take_the_load:
        uneven(&HALVED, 2250.0).policy(|p| p.max_shards = 4)
        => ["One shard has 50 % of the hash keys: 4 shards of equal width would take this load."];
}

/// One shard whose writer dies of the refusals and comes back. Each minute accepts little, and refuses `refused` times
/// as much, for `minutes`.
fn crash_loop(shards: u32, refused: f64, minutes: i64) -> Fixture {
    let minute = MinuteTraffic { write_throttled: 60.0 * 300.0 * refused, ..offered(300.0, shards) };
    Fixture::new(shards).minutes(-60..=0, offered(300.0, shards)).minutes(1 - minutes..=0, minute).asked()
}

rows! { decides;
    a_writer_that_dies_and_comes_back_for_15_minutes_is_no_burst: crash_loop(1, 1.1, 15) => "scale_shards";
    a_writer_that_dies_and_comes_back_for_an_hour_is_no_burst: crash_loop(1, 1.3, 60) => "scale_shards";
    a_burst_of_five_minutes_is_one: crash_loop(1, 1.1, 5) => "micro_burst";
    an_hour_of_small_bursts_are_bursts: crash_loop(1, 0.5, 60) => "micro_burst";
    a_writer_of_one_shard_that_is_refused_half_of_the_time_still_scales:
        Fixture::new(1).minutes(-9..=0, MinuteTraffic { write_throttled: 37_200.0, ..offered(620.0, 1) }).asked()
        => "scale_shards";
}

#[test]
fn a_writer_that_dies_and_comes_back_gets_two_shards() {
    scales(crash_loop(1, 1.1, 20), (1, 2, None));
}

/// Three shards that refuse records and accept none.
pub fn nothing_accepted() -> Fixture {
    let refused = MinuteTraffic { write_throttled: 600.0, ..MinuteTraffic::default() };
    Fixture::new(3).minutes(-90..=0, refused).asked()
}

/// The same after a change of ours that settled `minutes` ago.
fn doubled(from: u32, minutes: i64) -> Fixture {
    nothing_accepted().stream(|s| s.open_shards = 2 * from).memory(&settled(from, 2 * from, 60 * minutes, 60))
}

/// The same after another change of ours, and with the shards of a person.
fn doubled_and_then(kind: ChangeKind, open: u32) -> Fixture {
    let doubled = settled(3, 6, 900, 60);
    let next = Change { settled: Some(seconds_ago(240)), ..Change::intent(kind, 6, 6, seconds_ago(300)) };
    nothing_accepted().stream(|s| s.open_shards = open).memory(&doubled.intend(next, false))
}

rows! { decides;
    a_stream_that_accepts_nothing_doubles_no_second_time_after_its_metrics_went_off:
        doubled_and_then(ChangeKind::DisableShardMetrics, 6) => "nothing_accepted";
    a_stream_that_accepts_nothing_doubles_no_second_time_after_a_person_has_resharded:
        doubled_and_then(ChangeKind::External, 6) => "nothing_accepted";
    a_stream_that_accepts_nothing_doubles_no_second_time_without_its_memory:
        nothing_accepted().stream(|s| s.open_shards = 6).published(minutes_ago(40)).resharded(3, 38)
        => "nothing_accepted";
    an_unknown_load_is_no_reason_for_on_demand_mode: nothing_accepted().account_full() => "at_account_quota";
}

rows! { decides;
    a_stream_that_accepts_nothing_doubles_once: nothing_accepted() => "scale_shards";
    a_stream_that_accepts_nothing_doubles_no_second_time: doubled(3, 15) => "nothing_accepted";
    a_stream_that_accepts_nothing_doubles_no_second_time_hours_later: doubled(3, 300) => "nothing_accepted";
    a_stream_that_accepts_nothing_after_a_change_that_healed_doubles:
        doubled(3, 300).remembering(|memory| {
            memory.change.iter_mut().for_each(|change| change.healed = change.settled);
        }) => "scale_shards";
}

#[test]
fn a_stream_that_accepts_nothing_needs_a_person() {
    let decision = doubled(3, 15).decide();
    assert!(decision.needs_person());
    says(doubled(3, 15), ["has accepted no record", "unthrottle stops at 6"]);
}
