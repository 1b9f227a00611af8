//! What the load of each shard decides: more shards, a split of the hot one, or neither.

use crate::common::{Fixture, IDLE, bursts, hours_ago, minutes_ago, newest, offered, one_hot, split_history};
use crate::{decides, says};
use unthrottle_core::decision::{Remedy, Verdict};
use unthrottle_core::memory::{ChangeKind, Memory};
use unthrottle_core::observation::{MinuteTraffic, Traffic};

/// The shard-level metrics are not published yet.
fn without_shard_traffic(fixture: Fixture) -> Fixture {
    fixture.with(|f| {
        f.observation.shards.as_mut().expect("shards").iter_mut().for_each(|shard| shard.traffic = Traffic::default());
    })
}

/// 40 shards. Nine are hot.
fn nine_of_forty() -> Fixture {
    Fixture::of_shards(&(0..40).map(|i| if i < 9 { 1500.0 } else { IDLE }).collect::<Vec<_>>())
}

rows! { decides;
    short_shards_scale: Fixture::of_shards(&[1500.0; 8]) => "scale_shards";
    mostly_short_shards_scale:
        Fixture::of_shards(&[1900.0, 1900.0, 1900.0, 1900.0, 1900.0, IDLE, IDLE, IDLE]) => "scale_shards";
    one_hot_shard_among_idle_ones_is_split: one_hot(1500.0) => "split_shard";
    one_shard_so_hot_that_the_stream_looks_short_is_split: one_hot(9000.0) => "split_shard";
    two_hot_shards_among_idle_ones_are_split:
        Fixture::of_shards(&[1500.0, IDLE, IDLE, IDLE, 1400.0, IDLE]) => "split_shard";
    three_hot_shards_of_eight_that_are_short_scale:
        Fixture::of_shards(&[3000.0, 3000.0, 3000.0, IDLE, IDLE, IDLE, IDLE, IDLE]) => "scale_shards";
    two_hot_shards_of_eight_that_are_short_are_split:
        Fixture::of_shards(&[4000.0, 4000.0, IDLE, IDLE, IDLE, IDLE, IDLE, IDLE]) => "split_shard";
    one_hot_shard_of_two_is_split: Fixture::of_shards(&[1900.0, IDLE]) => "split_shard";
    a_hot_shard_among_busy_ones_is_split_where_shards_are_enough:
        Fixture::of_shards(&[1100.0, 800.0, 800.0, IDLE, IDLE]) => "split_shard";
    nine_hot_shards_of_forty_scale_though_shards_are_enough: nine_of_forty() => "scale_shards";
    a_single_short_shard_scales: Fixture::of_shards(&[1900.0]) => "scale_shards";
    a_single_shard_that_accepts_little_scales:
        Fixture::new(1).minutes(-9..=0, MinuteTraffic { write_throttled: 60.0 * 1900.0, ..offered(400.0, 1) })
        => "scale_shards";
}

rows! { decides;
    a_single_shard_that_refuses_within_the_minute_has_bursts:
        Fixture::new(1).minutes(-9..=0, MinuteTraffic { write_throttled: 600.0, ..offered(200.0, 1) })
        => "micro_burst";
    shards_that_all_refuse_within_the_minute_have_bursts: bursts() => "micro_burst";
    shard_metrics_that_are_not_published_yet_are_waited_for:
        without_shard_traffic(one_hot(1500.0)) => "evidence_pending";
    short_shards_scale_before_their_metrics_are_published:
        without_shard_traffic(Fixture::of_shards(&[1500.0; 8])) => "scale_shards";
    shards_that_another_person_is_changing_are_left:
        one_hot(1500.0).with(|f| drop(f.observation.shards.as_mut().expect("shards").pop())) => "resharding";
    a_hot_shard_whose_split_aws_refused_for_15_minutes_has_no_budget:
        one_hot(1500.0).memory(&split_refused(135)) => "split_budget_spent";
    a_hot_shard_whose_split_aws_refused_twice_in_a_minute_is_split:
        one_hot(1500.0).memory(&split_refused(121)) => "split_shard";
    shards_short_of_the_bytes_that_put_record_rounds_up_scale: rounded_up() => "scale_shards";
}

/// AWS refused a split for a limit, first this number of minutes before now, and last two hours before now.
fn split_refused(first: i64) -> Memory {
    Memory::default().refuse(ChangeKind::Split, minutes_ago(first), true).refuse(ChangeKind::Split, hours_ago(2), true)
}

/// Shards with these loads. The one at `index` refuses 100 records a second, and is not busy.
fn refusing(loads: &[f64], index: usize) -> Fixture {
    Fixture::of_shards(loads).with(|f| {
        for minute in (-9..=0).map(|ago| newest().plus(ago)) {
            f.observation.shards.as_mut().expect("shards")[index].traffic.minute_mut(minute).write_throttled = 6_000.0;
            f.observation.traffic.minute_mut(minute).write_throttled = 6_000.0;
        }
    })
}

/// Eight shards that take 6,400 records a second together, which is 80 % of what they can take.
fn short_with_a_calm_refuser() -> Fixture {
    refusing(&[950.0, 950.0, 950.0, 950.0, 950.0, 950.0, 600.0, 100.0], 6)
}

/// Eight shards. Two are busy and refuse nothing, and a calm one refuses.
fn busy_beside_a_calm_refuser() -> Fixture {
    refusing(&[950.0, 950.0, IDLE, IDLE, IDLE, IDLE, 300.0, IDLE], 6)
}

rows! { decides;
    a_short_stream_whose_refusing_shard_is_not_busy_scales: short_with_a_calm_refuser() => "scale_shards";
    a_short_stream_of_three_shards_whose_refusing_shard_is_not_busy_scales:
        refusing(&[990.0, 990.0, 600.0], 2) => "scale_shards";
    a_stream_with_shards_enough_whose_refusing_shard_is_not_busy_has_bursts:
        busy_beside_a_calm_refuser() => "micro_burst";
}

rows! { says;
    bursts_beside_busy_shards_do_not_say_that_no_shard_is_busy:
        busy_beside_a_calm_refuser() => ["no refusing shard is busy over a whole minute"];
    bursts_without_busy_shards_say_so: bursts() => ["no shard is busy over a whole minute"];
}

/// Four shards with records of 1,100 bytes by PutRecord. AWS charges 2 KiB for each: 600 a second are 1.17 MiB/s.
fn rounded_up() -> Fixture {
    let shard = MinuteTraffic {
        incoming_records: 500.0 * 60.0,
        incoming_bytes: 500.0 * 60.0 * 1100.0,
        write_throttled: 100.0 * 60.0,
        ..MinuteTraffic::default()
    };
    let stream = MinuteTraffic {
        incoming_records: 4.0 * 500.0 * 60.0,
        incoming_bytes: 4.0 * 500.0 * 60.0 * 1100.0,
        write_throttled: 4.0 * 100.0 * 60.0,
        put_record_bytes: 4.0 * 500.0 * 60.0 * 1100.0,
        put_record_count: 4.0 * 500.0 * 60.0,
        ..MinuteTraffic::default()
    };
    Fixture::of_shards(&[600.0; 4]).minutes(-9..=0, stream).with(|f| {
        for open in f.observation.shards.as_mut().expect("shards") {
            (-9..=0).for_each(|ago| *open.traffic.minute_mut(newest().plus(ago)) = shard);
        }
    })
}

#[test]
fn the_hottest_shard_is_split_at_its_middle() {
    let decision = Fixture::of_shards(&[IDLE, 1500.0, 1900.0, IDLE, IDLE]).decide();
    let width = u128::MAX / 5;
    let split = Remedy::SplitShard {
        shard: "shardId-000000000002".into(),
        at: 2 * width + (width - 1) / 2 + 1,
        from: 5,
        to: 6,
        partial: None,
    };
    assert_eq!(decision.verdict, Verdict::Act(split));
}

#[test]
fn a_split_is_recorded_in_a_split_history_and_not_as_a_reshard_to_restore() {
    let memory = Fixture::of_shards(&[IDLE, 1500.0, 1900.0, IDLE, IDLE]).decide().memory.expect("an intent");
    assert_eq!((memory.split_histories[0].shard, memory.split_histories[0].splits), (2, 1));
    assert_eq!((memory.reshards.len(), memory.base), (0, None), "a split is no UpdateShardCount");
}

#[test]
fn a_split_of_a_hot_half_continues_its_split_history() {
    // The halves of shard 40 are shards 3 and 4. Shard 3 has all its load.
    let again = one_hot(3000.0).halves_of(40, [3, 4]).memory(&split_history(40, 1)).decide();
    let histories = again.memory.expect("an intent").split_histories;
    assert_eq!(histories.last().map(|history| (history.shard, history.splits)), Some((3, 2)));
}

/// Two busy shards. The metrics do not show yet that the hotter shard 2 refuses records.
fn two_busy() -> Fixture {
    Fixture::of_shards(&[1200.0, IDLE, 990.0, IDLE, IDLE, IDLE, IDLE])
}

/// AWS's message to a producer of `stream`.
fn message(stream: &str) -> String {
    format!("Rate exceeded for shard shardId-000000000002 in stream {stream} under account 123456789012.")
}

/// Asserts the shard that a person's message names.
#[track_caller]
fn names(message: String, shard: Option<&str>) {
    let evidence = two_busy().asked_to(|ask| ask.message = Some(message)).decide().evidence;
    assert_eq!(evidence.named_shard.as_deref(), shard);
}

rows! { names;
    a_producers_error_message_names_a_hot_shard: message("orders") => Some("shardId-000000000002");
    a_message_about_another_stream_names_no_shard: message("clicks") => None;
    a_message_without_a_shard_names_none: "it is slow".to_owned() => None;
}

/// Two busy shards. Shard 2 is the busier one, and shows no refused records yet.
fn busier_without_refusals() -> Fixture {
    Fixture::of_shards(&[1200.0, IDLE, 3000.0, IDLE, IDLE, IDLE, IDLE]).with(|f| {
        for minute in (-9..=0).map(|ago| newest().plus(ago)) {
            let traffic = f.observation.shards.as_mut().expect("shards")[2].traffic.minute_mut(minute);
            (traffic.write_throttled, traffic.incoming_records) = (0.0, 60.0 * 1300.0);
            f.observation.traffic.minute_mut(minute).write_throttled = 60.0 * 200.0;
        }
    })
}

#[track_caller]
fn hottest_is(fixture: Fixture, shard: &str) {
    assert_eq!(fixture.decide().evidence.hottest_shard.as_deref(), Some(shard));
}

rows! { hottest_is;
    the_hottest_shard_is_one_that_refuses: busier_without_refusals() => "shardId-000000000000";
    the_hottest_shard_is_the_one_that_an_error_message_names:
        busier_without_refusals().call(|c| c.error_message = Some(message("orders"))) => "shardId-000000000002";
}
