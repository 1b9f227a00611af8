//! Further instances of situations that have been decided wrong: batches of producers, bursts on demand, nothing
//! accepted, readers that a person removed, and two kinds at once.

use crate::common::{Fixture, HOUR, MIB, hours_ago, metrics_on_for, minutes_ago, newest, now, offered, settled};
use crate::{decides, says};
use chrono::{DateTime, Utc};
use unthrottle_core::memory::{Memory, TAG};
use unthrottle_core::observation::{Minute, MinuteTraffic};
use unthrottle_core::policy::Permission;

const MINUTE: f64 = 60_000.0;

/// A minute with this number of accepted and refused records of 1 KiB a second.
pub fn written(accepted: f64, refused: f64) -> MinuteTraffic {
    MinuteTraffic { write_throttled: 60.0 * refused, ..offered(accepted, 10_000) }
}

/// The same minute with readers whose slowest is `age` milliseconds behind.
pub fn read(age: f64, traffic: MinuteTraffic) -> MinuteTraffic {
    MinuteTraffic { get_records_calls: 240.0, get_records_bytes: 0.5 * MIB, iterator_age_ms: Some(age), ..traffic }
}

/// These minutes, counted from the newest, each with its own traffic.
pub fn each(fixture: Fixture, first: i64, last: i64, traffic: impl Fn(i64) -> MinuteTraffic) -> Fixture {
    (first..=last).fold(fixture, |fixture, ago| fixture.minutes(ago..=ago, traffic(ago)))
}

/// When the minute `ago` before the newest began.
pub fn start(ago: i64) -> DateTime<Utc> {
    newest().plus(-ago).start()
}

/// The memory of a change that settled when the minute `ago` before the newest began.
pub fn changed(from: u32, to: u32, ago: i64) -> Memory {
    let mut memory = settled(from, to, (now() - start(ago)).num_seconds() + 60, 60);
    memory.change.as_mut().expect("a change").published = Some(now());
    memory
}

/// The same, where a run has verified it.
pub fn verified(from: u32, to: u32, ago: i64) -> Memory {
    let mut memory = changed(from, to, ago);
    memory.change.as_mut().expect("a change").healed = Some(start(ago - 3));
    memory
}

/// Producers of three shards that write in the first `minutes` of each `period`, for four hours. `phase`: how far the
/// period is at the newest minute.
fn batches(minutes: i64, period: i64, phase: i64) -> Fixture {
    let writes = (-240..=0_i64).filter(|ago| (ago + phase).rem_euclid(period) < minutes);
    writes.fold(Fixture::new(3).asked(), |fixture, ago| fixture.minutes(ago..=ago, written(500.0, 0.0)))
}

rows! { decides;
    a_batch_of_four_minutes_in_fifteen_is_idle_in_its_pause: batches(4, 15, 11) => "healthy";
    a_batch_of_four_minutes_in_fifteen_is_idle_at_the_end_of_its_pause: batches(4, 15, 14) => "healthy";
    a_batch_of_ten_minutes_in_an_hour_is_idle_in_its_pause: batches(10, 60, 45) => "healthy";
    a_batch_that_is_late_is_unknown:
        batches(4, 15, 20).minutes(-5..=0, MinuteTraffic::default()) => "evidence_pending";
    a_single_pause_of_the_morning_leaves_a_silence_unknown:
        each(Fixture::new(3).asked(), -400, -9, |ago| {
            written(if (-300..-280).contains(&ago) { 0.0 } else { 500.0 }, 0.0)
        }) => "evidence_pending";
}

/// Four shards of an on-demand stream, with this traffic in each minute of an hour.
fn on_demand(traffic: MinuteTraffic) -> Fixture {
    Fixture::new(4).on_demand().minutes(-60..=0, traffic).asked()
}

rows! { decides;
    bursts_of_an_on_demand_stream_are_no_hot_key: on_demand(written(300.0, 40.0)) => "micro_burst";
    a_crash_loop_of_an_on_demand_stream_is_no_hot_key: on_demand(written(150.0, 400.0)) => "micro_burst";
    bursts_are_no_ceiling_where_aws_spreads_the_records:
        on_demand(written(300.0, 40.0)).stream(|s| s.spreads_records = true) => "micro_burst";
    bursts_of_a_warm_stream_are_no_hot_key: Fixture::new(4).minutes(-60..=0, written(300.0, 40.0)).warm(40, 40)
        => "micro_burst";
    a_key_that_fills_a_shard_of_an_on_demand_stream_is_hot: on_demand(written(1150.0, 400.0)) => "hot_key";
}

rows! { says;
    a_crash_loop_on_demand_says_what_to_look_for:
        on_demand(written(150.0, 400.0)) => ["Bursts within the minute", "see whether one restarts and restarts"];
    bursts_on_demand_say_what_producers_can_do: on_demand(written(300.0, 40.0)) => ["batch, jitter, backoff"];
}

/// A stream whose load AWS accepted until `ago`, and whose records AWS has all refused since.
fn refused_since(fixture: Fixture, ago: i64) -> Fixture {
    fixture.minutes(-90..=-ago, written(1500.0, 0.0)).minutes(1 - ago..=0, written(0.0, 1500.0)).asked()
}

rows! { decides;
    a_stream_that_accepts_nothing_for_twenty_minutes_is_no_skew:
        refused_since(Fixture::new(7), 20) => "nothing_accepted";
    a_stream_that_accepts_nothing_for_twenty_minutes_gets_no_shard_metrics:
        refused_since(Fixture::new(7), 20).policy(|p| p.diagnose = Permission::Allow) => "nothing_accepted";
    an_on_demand_stream_that_accepts_nothing_for_twenty_minutes_has_no_hot_key:
        refused_since(Fixture::new(7), 20).on_demand() => "nothing_accepted";
    an_on_demand_stream_that_accepted_nothing_for_an_hour_is_at_no_ceiling:
        on_demand(written(0.0, 500.0)).minutes(-90..=-61, written(0.0, 500.0)) => "nothing_accepted";
    a_stream_that_accepts_nothing_for_ten_minutes_may_still_be_skewed:
        refused_since(Fixture::new(7), 10) => "skew_suspected";
    a_stream_that_accepts_one_record_in_a_thousand_may_be_skewed:
        refused_since(Fixture::new(7), 20).minutes(-19..=0, written(1.5, 1500.0)) => "skew_suspected";
    readers_that_are_short_of_bytes_get_shards_though_no_record_is_accepted:
        refused_since(Fixture::new(2), 20).minutes(-9..=0, MinuteTraffic {
            read_throttled: 60.0, get_records_bytes: 3.6 * MIB, ..read(500.0, written(0.0, 1500.0))
        }) => "scale_shards";
}

rows! { says;
    a_stream_that_accepts_nothing_for_twenty_minutes_says_that_capacity_is_not_the_cause:
        refused_since(Fixture::new(7), 20) => ["no record for 15 minutes", "Capacity is not the cause", "AWS FIS"];
    an_on_demand_stream_that_accepted_nothing_is_not_told_that_shards_were_added:
        on_demand(written(0.0, 500.0)).minutes(-90..=-61, written(0.0, 500.0))
        => ["no record for an hour. Capacity is not the cause", "AWS FIS"];
}

#[test]
fn an_on_demand_stream_that_accepts_nothing_is_sold_nothing() {
    let sentence = on_demand(written(0.0, 500.0)).minutes(-90..=-61, written(0.0, 500.0)).sentence();
    assert!(!sentence.contains("buy") && !sentence.contains("More shards did"), "{sentence}");
}

/// A stream with readers, and a change of ours that settled `ago` before the newest minute. `age`: how far the slowest
/// reader is behind in a minute. `None`: none reads.
fn with_readers(from: u32, to: u32, ago: i64, age: impl Fn(i64) -> Option<f64>) -> Fixture {
    let shards = |minute: i64| if minute < -ago { from } else { to };
    let load = f64::from(to) * 900.0;
    let traffic = |minute: i64| {
        let writes = offered(load, shards(minute));
        age(minute).map_or(writes, |age| read(age, writes))
    };
    each(Fixture::new(to), -ago - 90, 0, traffic).memory(&verified(from, to, ago)).published(start(ago + 1)).asked()
}

/// Readers that were `hours` behind at a change of ten hours ago, drained that in half of the time, kept up, and make
/// no call since the minute `gone`.
fn drained_and_gone(hours: f64, gone: i64) -> Fixture {
    with_readers(2, 4, 600, move |minute| {
        let left = hours * HOUR - 2.0 * MINUTE * (minute + 600).max(0) as f64;
        (minute < gone).then_some(left.max(400.0))
    })
}

rows! { decides;
    readers_that_drained_four_hours_and_are_removed_hours_later_stop_for_another_reason:
        drained_and_gone(4.0, -360) => "healthy";
    readers_that_drained_ten_hours_and_are_removed_hours_later_stop_for_another_reason:
        drained_and_gone(10.0, -120) => "healthy";
    readers_that_stop_at_the_end_of_a_drained_backlog_have_stopped: drained_and_gone(4.0, -515) => "readers_stopped";
    readers_of_500_shards_that_stop_have_stopped:
        with_readers(400, 500, 9, |minute| (minute < -9).then_some(300.0)) => "readers_stopped";
}

/// Calm readers, and a person who read the oldest records in these minutes. `steady`: another reader keeps up.
fn looked_at(first: i64, last: i64, steady: Option<f64>) -> Fixture {
    each(Fixture::new(7).asked(), -120, 0, |minute| {
        let writes = written(1000.0, 0.0);
        let age = if (first..=last).contains(&minute) { Some(23.9 * HOUR) } else { steady };
        age.map_or(writes, |age| read(age, writes))
    })
}

rows! { decides;
    a_person_who_read_the_oldest_records_for_three_minutes_is_no_slow_reader: looked_at(-10, -8, None) => "healthy";
    a_person_who_read_the_oldest_records_for_three_minutes_an_hour_ago_is_no_slow_reader:
        looked_at(-62, -60, None) => "healthy";
    a_person_who_read_for_twelve_minutes_is_no_slow_reader: looked_at(-40, -29, None) => "healthy";
    a_reader_that_read_the_oldest_records_for_twenty_minutes_and_vanished_is_slow:
        looked_at(-40, -21, None) => "consumer_slow";
    a_person_beside_a_reader_that_keeps_up_is_no_slow_reader: looked_at(-12, -8, Some(200.0)) => "healthy";
}

/// A change that did not help, and readers that stopped after it.
fn in_vain() -> Fixture {
    let fixture = with_readers(2, 4, 12, |minute| (minute < -12).then_some(300.0)).memory(&changed(2, 4, 12));
    fixture.minutes(-12..=0, written(2000.0, 100.0))
}

rows! { says;
    readers_that_stopped_after_a_change_in_vain_say_that_it_did_not_help:
        in_vain() => ["still throttled after the change 2 → 4 shards (16:50 UTC): 30,000 records refused",
            "and its readers stopped at 16:51 UTC", "Restart the consumer"];
}

/// A stream whose shard metrics are on for two hours, and whose readers stopped. AWS refused this number of records a
/// second in the newest minute.
fn unconfirmed_beside_stopped_readers(refused: f64) -> Fixture {
    let fixture = with_readers(2, 4, 30, |minute| (minute < -30).then_some(300.0)).shard_metrics();
    let metrics = metrics_on_for(120).shard_metrics;
    let fixture = fixture.remembering(|memory| memory.shard_metrics = metrics);
    fixture.minutes(0..=0, written(3000.0, refused)).policy(|p| p.confirm_minutes = 3)
}

rows! { decides;
    shard_metrics_stay_on_while_throttling_beside_stopped_readers_is_not_confirmed:
        unconfirmed_beside_stopped_readers(900.0) => "readers_stopped";
    shard_metrics_go_off_beside_stopped_readers_without_throttling:
        unconfirmed_beside_stopped_readers(0.0) => "disable_shard_metrics";
}

#[test]
fn readers_that_stop_after_a_change_whose_memory_is_lost_have_stopped() {
    let lost = with_readers(2, 4, 20, |minute| (minute < -20).then_some(300.0)).with(|f| f.observation.tags.clear());
    assert_eq!((lost.clone().resharded(2, 23).code(), lost.code()), ("readers_stopped", "healthy"));
}

/// An on-demand stream that throttles. Its memory is lost, and the metric shows a switch of `minutes` ago.
fn lost_switch(minutes: i64) -> Fixture {
    Fixture::new(7).on_demand().minutes(-30..=0, offered(9000.0, 7)).asked().with(|f| {
        let traffic = &mut f.observation.traffic;
        for counts in [&mut traffic.auto_fixes, &mut traffic.mode_switches] {
            counts.insert(Minute::of(minutes_ago(minutes)), 1);
        }
    })
}

rows! { decides;
    a_lost_switch_of_90_minutes_ago_does_not_settle: lost_switch(90) => "on_demand_ceiling";
    a_lost_switch_of_five_minutes_ago_settles: lost_switch(5) => "settling";
}

/// A stream that is held for its maximum, or for the account's quota.
fn held(max_shards: u32, memory: &Memory) -> Fixture {
    let fixture = Fixture::under_load(7, 9000.0).account_full().memory(memory).asked();
    fixture.policy(|p| {
        p.topic_arn = Some("arn:aws:sns:us-east-1:123456789012:t".into());
        (p.on_demand, p.max_shards) = (Permission::Deny, max_shards);
    })
}

#[test]
fn holds_that_take_turns_notify_once_each() {
    let mut memory = Memory::default();
    let mut sent = vec![];
    for max_shards in [7, 100, 7, 100, 7] {
        let decision = held(max_shards, &memory).decide();
        sent.push((decision.verdict.code(), decision.notify));
        memory = decision.memory.unwrap_or(memory);
    }
    let expected = [
        ("at_max_shards", true),
        ("at_account_quota", true),
        ("at_max_shards", false),
        ("at_account_quota", false),
        ("at_max_shards", false),
    ];
    assert_eq!(sent, expected);
    let text = memory.encode().expect("fits");
    assert_eq!(Memory::parse(&text).expect("readable"), memory, "{text}");
}

#[test]
fn a_message_of_an_hour_ago_is_sent_again_though_another_came_between() {
    let old = Some(("at_max_shards".to_owned(), hours_ago(1)));
    let memory = Memory {
        notified: Some(("at_account_quota".into(), minutes_ago(5))),
        notified_before: old,
        ..Memory::default()
    };
    assert!(held(7, &memory).decide().notify);
}

rows! { says;
    a_burst_that_may_be_over_does_not_say_that_the_load_begins:
        Fixture::new(8).minutes(-30..=0, offered(3000.0, 8)).minutes(-1..=-1, offered(20_000.0, 8)).asked()
        => ["the newest minute refused none: it may be over", "the next sweep looks again"];
}

/// Seven shards under a load of twelve, and a memory with these words of a change of five hours ago.
fn remembering(words: &str) -> Fixture {
    let at = hours_ago(5).format("%Y%m%dT%H%M%SZ");
    Fixture::under_load(7, 12_000.0).tag(TAG, &format!("v=1 change=scale/3/7/{at} {words}")).asked().forged()
}

rows! { decides;
    a_refusal_to_come_holds_nothing: remembering("done=60 heal=90 seen=300 refused=scale/20/90000") => "scale_shards";
    reverts_to_come_hold_nothing: remembering("done=60 heal=90 seen=300 reverts=999999.999998") => "scale_shards";
}

#[test]
fn a_change_that_settles_in_a_year_has_settled_now() {
    let at = hours_ago(5).format("%Y%m%dT%H%M%SZ");
    let switched = Fixture::new(7).minutes(-30..=0, offered(9000.0, 7)).on_demand();
    let fixture = switched.tag(TAG, &format!("v=1 change=switch/7/7/{at} done=31536000 was=p base=7"));
    let memory = fixture.decide().memory.expect("a new record");
    assert_eq!(memory.change.and_then(|change| change.settled), Some(now()));
}

#[test]
fn a_message_to_come_keeps_no_message_back() {
    let held = remembering("done=60 heal=90 seen=300 told=at_max_shards/999999").policy(|p| {
        (p.topic_arn, p.max_shards) = (Some("arn:aws:sns:us-east-1:123456789012:t".into()), 7);
    });
    let decision = held.decide();
    assert_eq!((decision.verdict.code(), decision.notify), ("at_max_shards", true));
}

/// Seven shards whose readers lack bytes.
fn short_for_readers() -> Fixture {
    let minute =
        MinuteTraffic { read_throttled: 60.0, get_records_bytes: 13.5 * MIB, ..read(300.0, written(1000.0, 0.0)) };
    Fixture::new(7).minutes(-9..=0, minute).asked()
}

rows! { says;
    readers_at_the_maximum_of_shards_are_not_told_to_slow_the_producers:
        short_for_readers().policy(|p| p.max_shards = 7) => ["or let readers use enhanced fan-out or read less."];
    readers_at_the_maximum_of_cost_are_not_told_to_slow_the_producers:
        short_for_readers().policy(|p| p.max_hourly_cost = Some(0.01))
        => ["or let readers use enhanced fan-out or read less."];
    a_trace_of_refused_calls_is_not_called_none:
        Fixture::new(7).minutes(-60..=0, MinuteTraffic {
            read_throttled: 0.5, get_records_calls: 30_000.0, ..read(100.0, written(100.0, 0.0))
        }).asked() => ["at most 0.01 % of one minute"];
}

/// 64 shards with little load, and a memory of a raise that AutoFix does not show.
fn forged_raise() -> Fixture {
    let at = hours_ago(9).format("%Y%m%dT%H%M%SZ");
    let memory = format!("v=1 change=scale/2/64/{at} done=60 heal=300 seen=300 base=2");
    let fixture = Fixture::new(64).minutes(-1439..=0, written(1000.0, 0.0)).tag(TAG, &memory).asked().forged();
    fixture.policy(|p| p.restore_after_hours = 3)
}

#[test]
fn a_raise_that_is_not_restored_is_not_called_a_switch() {
    let sentence = forged_raise().sentence();
    assert!(sentence.contains("its shards are not restored: its memory names a change"), "{sentence}");
    assert!(!sentence.contains("on-demand"), "{sentence}");
}
