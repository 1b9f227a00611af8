//! How far readers are behind: whether they gain, whether they lose data, and what an alarm on their age learns.

use crate::common::{Fixture, HOUR, home, newest, now, offered, settled};
use crate::{decides, says};
use chrono::TimeDelta;
use unthrottle_core::memory::TAG;
use unthrottle_core::observation::{FanOut, MinuteTraffic, Status};
use unthrottle_core::signal::{Alarm, Signal, StreamArn};

const MINUTE: f64 = 60_000.0;
const AGE: &str = "GetRecords.IteratorAgeMilliseconds";
const FAN_OUT: &str = "SubscribeToShardEvent.MillisBehindLatest";

/// Forty minutes without throttling. `age`: how far the slowest reader is behind in a minute, counted from the newest.
/// `None`: no reader made a call.
fn aged(age: impl Fn(i64) -> Option<f64>) -> Fixture {
    (-39..=0).fold(Fixture::new(2), |fixture, ago| {
        fixture.minutes(ago..=ago, MinuteTraffic { iterator_age_ms: age(ago), ..offered(1000.0, 2) })
    })
}

/// A reader that is `hours` behind now, and gains this much in a minute: minutes, negative where it loses.
fn gaining(hours: f64, per_minute: f64) -> Fixture {
    aged(move |ago| Some(hours * HOUR - per_minute * MINUTE * ago as f64))
}

/// An age of 200 ms that jumps to `hours` in the minute `at`.
fn jumped(hours: f64, at: i64) -> Fixture {
    aged(move |ago| Some(if ago >= at { hours * HOUR } else { 200.0 }))
}

/// A second reader that begins at the oldest record `ago` minutes before the newest minute, and gains half an hour a
/// minute.
fn replay_beside(first: f64, at: i64) -> Fixture {
    aged(move |ago| {
        let replay = (23.5 - 0.5 * (ago - at) as f64) * HOUR;
        Some(if ago >= at { replay.max(first) } else { first })
    })
}

rows! { decides;
    a_replay_from_the_oldest_record_that_gains_half_an_hour_a_minute_loses_no_data:
        (-9..=0).fold(Fixture::new(2), |fixture, ago: i64| {
            let age = (23.5 - 0.5 * (ago + 9) as f64) * HOUR;
            fixture.minutes(ago..=ago, MinuteTraffic { iterator_age_ms: Some(age), ..offered(1000.0, 2) })
        }) => "healthy";
    a_reader_20_hours_behind_that_gains_a_minute_a_minute_loses_no_data: gaining(20.0, 1.0) => "healthy";
    // At this speed it needs 40 hours. It reads a record that is written now after 13, and none at an age above 20.
    a_reader_20_hours_behind_that_gains_half_a_minute_a_minute_loses_no_data: gaining(20.0, 0.5) => "healthy";
    a_reader_23_hours_behind_that_gains_0_9_minutes_a_minute_loses_no_data: gaining(23.0, 0.9) => "healthy";
    a_reader_23_hours_behind_that_gains_0_2_minutes_a_minute_loses_no_data: gaining(23.0, 0.2) => "healthy";
    // Less is noise of the ages.
    a_reader_20_hours_behind_that_gains_0_05_minutes_a_minute_is_slow: gaining(20.0, 0.05) => "consumer_slow";
    a_reader_20_hours_behind_that_keeps_its_distance_is_slow: gaining(20.0, 0.0) => "consumer_slow";
    a_reader_20_hours_behind_that_loses_ground_is_slow: gaining(20.0, -1.0) => "consumer_slow";
    a_reader_that_gained_until_ten_minutes_ago_and_stands_still_is_slow:
        aged(|ago| Some(20.0 * HOUR + MINUTE * if ago < -10 { -30.0 * (ago + 10) as f64 } else { (ago + 10) as f64 }))
        => "consumer_slow";
    a_replay_beside_a_reader_that_keeps_up_loses_no_data: replay_beside(200.0, -9) => "healthy";
    a_replay_does_not_hide_a_reader_that_was_late_before: replay_beside(15.0 * HOUR, -9) => "consumer_slow";
}

rows! { decides;
    an_age_that_jumps_by_a_day_within_a_minute_is_a_new_reader: jumped(23.3, -1) => "healthy";
    an_age_that_jumped_in_the_newest_minute_is_a_new_reader: jumped(13.0, 0) => "healthy";
    an_age_that_jumped_14_minutes_ago_and_stays_is_new: jumped(23.3, -14) => "healthy";
    an_age_that_jumped_20_minutes_ago_and_stays_is_slow: jumped(23.3, -20) => "consumer_slow";
    an_age_that_jumps_back_and_forth_is_no_slow_reader:
        aged(|ago| Some(if matches!(ago, -25..=-22 | -1..=0) { 23.3 * HOUR } else { 200.0 })) => "healthy";
    a_slow_reader_that_another_one_hides_in_every_second_minute_is_slow:
        aged(|ago| Some(if ago % 2 == 0 { 14.0 * HOUR } else { 200.0 })) => "consumer_slow";
    a_slow_reader_with_a_missing_minute_is_slow:
        aged(|ago| (ago != -3).then_some(14.0 * HOUR)) => "consumer_slow";
    a_slow_reader_whose_two_newest_minutes_are_missing_is_slow:
        aged(|ago| (ago < -1).then_some(14.0 * HOUR)) => "consumer_slow";
    a_slow_reader_that_calls_every_four_minutes_is_slow:
        aged(|ago| (ago % 4 == 0).then_some(14.0 * HOUR)) => "consumer_slow";
}

/// A reader that was `hours` behind, and has made no call for `minutes` minutes.
fn unseen(hours: f64, minutes: i64) -> Fixture {
    (-minutes - 39..=0).fold(Fixture::new(2), |fixture, ago| {
        let age = (ago <= -minutes).then_some(hours * HOUR);
        fixture.minutes(ago..=ago, MinuteTraffic { iterator_age_ms: age, ..offered(1000.0, 2) })
    })
}

rows! { decides;
    a_slow_reader_that_has_not_called_for_six_minutes_is_slow: unseen(14.0, 6).asked() => "consumer_slow";
    a_slow_reader_that_has_not_called_for_six_hours_is_slow: unseen(14.0, 360).asked() => "consumer_slow";
    a_reader_7_hours_behind_that_is_not_seen_for_hours_is_no_slow_reader: unseen(7.0, 320).asked() => "healthy";
    a_reader_6_hours_behind_that_is_not_seen_is_no_slow_reader_yet: unseen(6.0, 30).asked() => "healthy";
    a_slow_reader_that_gained_before_it_went_silent_is_slow:
        aged(|ago| (ago < -5).then_some(23.0 * HOUR - 0.9 * MINUTE * ago as f64)).asked() => "consumer_slow";
    a_reader_that_kept_up_and_is_not_seen_for_13_hours_is_no_slow_reader:
        (-780..=0).fold(Fixture::new(2), |fixture, ago| {
            fixture.minutes(ago..=ago, MinuteTraffic {
                iterator_age_ms: (ago < -770).then_some(200.0), ..offered(1000.0, 2)
            })
        }).asked() => "healthy";
    a_person_who_looked_at_the_oldest_records_is_no_slow_reader:
        aged(|ago| (-10..=-9).contains(&ago).then_some(23.9 * HOUR)).asked() => "healthy";
    a_new_reader_that_left_again_is_no_slow_reader:
        aged(|ago| match ago { -9..=-7 => Some(23.9 * HOUR), -6..=0 => None, _ => Some(200.0) }).asked() => "healthy";
    the_event_of_an_alarm_on_age_without_data_is_answered_about_the_reader:
        alarmed(unseen(20.0, 6), &[AGE]) => "consumer_slow";
}

rows! { says;
    a_slow_reader_that_is_not_seen_says_since_when:
        unseen(23.0, 6).asked()
        => ["was 23.0 hours behind, and is not seen since 16:58 UTC", "in 0.9 hours", "Raise the retention now"];
    a_late_reader_that_is_not_seen_says_since_when:
        unseen(6.0, 30).asked()
        => ["was 6.0 hours behind, and is not seen since 16:34 UTC", "deleted in 17.5 hours", "check that consumer"];
    a_late_reader_that_is_not_seen_since_yesterday_says_the_day:
        unseen(2.0, 1200).stream(|s| s.retention_hours = 72).asked() => ["is not seen since 2026-11-19 21:04 UTC"];
    an_alarm_on_age_without_data_learns_the_last_known_age:
        alarmed(unseen(6.0, 8), &[AGE]) => ["was 6.0 hours behind, and is not seen since 16:56 UTC"];
    an_alarm_on_age_without_data_learns_that_the_reader_had_kept_up:
        alarmed(unseen(0.0, 8), &[AGE]) => ["less than a minute behind, and is not seen since 16:56 UTC"];
    an_alarm_on_age_of_a_throttled_stream_learns_the_last_known_age:
        alarmed(unseen(6.0, 8).minutes(-3..=0, offered(3000.0, 2)), &[AGE])
        => ["Changed 2 →", "Its slowest reader was 6.0 hours behind, and is not seen since 16:56 UTC."];
    a_stream_without_any_data_warns_of_the_reader:
        unseen(20.0, 6).minutes(-5..=0, MinuteTraffic::default()).with(|f| {
            f.observation.traffic = (-45..=-6).fold(Default::default(), |mut traffic, ago| {
                let minute = MinuteTraffic { iterator_age_ms: Some(20.0 * HOUR), ..offered(1000.0, 2) };
                *unthrottle_core::observation::Traffic::minute_mut(&mut traffic, newest().plus(ago)) = minute;
                traffic
            });
        }).asked()
        => ["CloudWatch shows nothing of this stream since 16:58 UTC", "raise the retention now"];
}

#[test]
fn a_reader_that_is_not_seen_never_has_nothing_to_do() {
    for (hours, minutes) in [(0.0, 8), (0.5, 30), (6.0, 6), (11.0, 20), (14.0, 6), (20.0, 100), (23.0, 6)] {
        for fixture in [unseen(hours, minutes).asked(), alarmed(unseen(hours, minutes), &[AGE])] {
            let sentence = fixture.sentence();
            assert!(sentence.contains("is not seen since") && !sentence.contains("Nothing to do"), "{sentence}");
        }
    }
    let decision = unseen(14.0, 6).asked().policy(|p| p.topic_arn = Some("arn:aws:sns:us-east-1:1:t".into())).decide();
    assert!(decision.notify && decision.needs_person());
}

#[test]
fn a_slow_reader_of_a_stream_that_was_throttled_says_so() {
    let slow = gaining(14.0, 0.0).minutes(
        -3..=-3,
        MinuteTraffic { iterator_age_ms: Some(14.0 * HOUR), write_throttled: 600.0, ..offered(1000.0, 2) },
    );
    decides(slow.clone().asked(), "consumer_slow");
    assert!(slow.asked().sentence().starts_with("orders: no longer throttled, but its slowest reader"));
}

/// The same reader as in [`gaining`], of a stream that refuses records under a load of this many a second. Below 2,000
/// its two shards suffice.
fn refusing(hours: f64, per_minute: f64, records: f64) -> Fixture {
    (-14..=0).fold(gaining(hours, per_minute), |fixture, ago| {
        let minute = offered(records, 2);
        let refused = if records < 2000.0 { 60.0 * 600.0 } else { minute.write_throttled };
        let age = Some(hours * HOUR - per_minute * MINUTE * ago as f64);
        fixture.minutes(ago..=ago, MinuteTraffic { iterator_age_ms: age, write_throttled: refused, ..minute })
    })
}

/// The alarm `AGE` went off at this moment, on minutes that are published.
fn alarmed(fixture: Fixture, metrics: &[&str]) -> Fixture {
    let alarm = Alarm {
        time: Some(now()),
        name: "readers-behind".into(),
        state: "ALARM".into(),
        account: Some(home().account),
        region: Some(home().region),
        on_kinesis: true,
        metrics: metrics.iter().map(|metric| (*metric).to_owned()).collect(),
        stream: StreamArn::new("orders", &home()),
        ..Alarm::default()
    };
    fixture.with(|f| f.signal = Signal::Alarm(alarm))
}

/// The same with CloudWatch's explanation, where no minute has an age.
fn alarmed_by(reason: &str) -> Fixture {
    alarmed(aged(|_| None), &[AGE]).with(|f| {
        if let Signal::Alarm(alarm) = &mut f.signal {
            alarm.reason = Some(reason.into());
        }
    })
}

rows! { decides;
    the_event_of_an_alarm_on_age_is_answered_about_the_reader: alarmed(gaining(13.0, 0.0), &[AGE]) => "consumer_slow";
    the_event_of_an_alarm_without_names_is_answered_about_the_reader:
        alarmed(gaining(13.0, 0.0), &[]) => "consumer_slow";
    the_event_of_an_alarm_on_age_is_answered_at_any_age: alarmed(gaining(0.5, -1.0), &[AGE]) => "healthy";
    the_event_of_an_alarm_on_age_waits_where_no_age_is_known: alarmed(aged(|_| None), &[AGE]) => "evidence_pending";
    the_event_of_an_alarm_on_throttling_waits_for_its_minute:
        alarmed(gaining(13.0, 0.0), &["WriteProvisionedThroughputExceeded"]) => "evidence_pending";
    the_datapoint_of_the_alarm_counts_where_no_minute_has_an_age:
        alarmed_by("Threshold Crossed: 1 datapoint [5.0E7 (20/11/26 17:03:00)] was greater than the threshold (6.0).")
        => "consumer_slow";
    an_alarm_whose_reason_has_no_number_waits: alarmed_by("no data") => "evidence_pending";
}

rows! { says;
    an_alarm_on_age_learns_the_age_of_the_retention_and_that_it_is_kept:
        alarmed(gaining(23.9, 0.0).stream(|s| s.retention_hours = 72), &[AGE])
        => ["23.9 hours behind", "72 hours of retention", "neither gains nor loses", "deleted in 48.1 hours"];
    an_alarm_on_age_learns_when_data_is_lost_at_this_speed:
        alarmed(gaining(6.0, -0.5), &[AGE])
        => ["6.0 hours behind", "loses 0.5 minutes a minute", "deleted in 36.0 hours"];
    an_alarm_on_age_learns_when_the_reader_catches_up:
        alarmed(gaining(6.0, 3.0), &[AGE])
        => ["gains 3.0 minutes a minute", "catches up in 2.0 hours", "loses no data"];
    an_alarm_on_age_learns_that_the_age_jumped:
        alarmed(jumped(23.3, -1), &[AGE]) => ["23.3 hours behind", "new reader"];
    an_alarm_on_age_learns_that_the_reader_is_back:
        alarmed(aged(|_| Some(800.0)), &[AGE]) => ["less than a minute behind now"];
    an_alarm_on_age_of_a_stream_that_is_throttled_learns_the_age:
        alarmed(gaining(6.0, 0.0).minutes(0..=0, MinuteTraffic {
            write_throttled: 60_000.0, iterator_age_ms: Some(6.0 * HOUR), ..offered(900.0, 2)
        }), &[AGE]) => ["records refused", "6.0 hours behind"];
    an_alarm_on_age_of_a_stream_that_is_resharded_learns_the_age_and_the_end:
        alarmed(gaining(6.0, -0.5).stream(|s| s.status = Status::Updating), &[AGE])
        => ["under way", "6.0 hours behind, and loses 0.5 minutes a minute: in 36.0 hours unread records are deleted."];
    an_alarm_on_age_of_a_stream_whose_memory_cannot_be_read_learns_the_age:
        alarmed(gaining(6.0, 3.0).tag(TAG, "gone fishing"), &[AGE])
        => ["cannot be read", "6.0 hours behind, and gains 3.0 minutes a minute."];
    an_alarm_on_age_of_a_stream_that_is_resharded_learns_of_a_jump:
        alarmed(jumped(13.0, -1).stream(|s| s.status = Status::Updating), &[AGE])
        => ["A reader shows as 13.0 hours behind, but that age rose by more than the time that passed."];
    an_alarm_on_age_of_a_stream_that_gets_shards_learns_the_speed_and_the_end:
        alarmed(refusing(6.0, -0.5, 3000.0), &[AGE])
        => ["Readers are 6.0 hours behind", "The slowest loses 0.5 minutes a minute: in 36.0 hours unread records"];
    an_alarm_on_age_of_a_stream_that_gets_shards_learns_that_records_are_at_risk:
        alarmed(refusing(20.0, -0.5, 3000.0), &[AGE])
        => ["The slowest loses 0.5 minutes a minute. A reader is so far behind that", "in 8.0 hours: raise"];
    an_alarm_on_age_of_a_stream_with_a_hot_shard_learns_the_speed:
        alarmed(refusing(6.0, 0.0, 900.0), &[AGE])
        => ["records refused", "Its slowest reader is 6.0 hours behind, and neither gains nor loses."];
    an_alarm_on_age_of_a_throttled_stream_learns_when_an_unseen_reader_loses_data:
        alarmed(unseen(6.0, 8).minutes(-3..=0, offered(3000.0, 2)), &[AGE])
        => ["16:56 UTC. If it has stopped, in 17.9 hours unread records are deleted."];
    a_reader_at_the_end_of_the_retention_of_a_throttled_stream_may_lose_records_already:
        refusing(23.99, 0.0, 900.0).asked() => ["so far behind that unread records may be deleted already: raise"];
    a_person_who_asks_learns_of_a_backlog: gaining(6.0, 0.0).asked() => ["6.0 hours behind"];
    a_slow_reader_that_loses_half_a_minute_a_minute_has_twice_the_time:
        gaining(14.0, -0.5) => ["14.0 hours behind", "in 20.0 hours unread records are deleted"];
    a_reader_at_the_end_of_the_retention_may_lose_records_already:
        gaining(23.99, 0.0) => ["neither gains nor loses: unread records may be deleted already"];
}

/// The sentences about readers, which have at most 60 words before the undo command.
#[track_caller]
fn is_short(fixture: Fixture, code: &str) {
    let sentence = fixture.sentence();
    let words = sentence.split_whitespace().count();
    assert!(words <= 60, "{words} words: {sentence}");
    decides(fixture, code);
}

rows! { is_short;
    the_sentence_of_a_slow_reader_is_short: gaining(20.0, -0.5) => "consumer_slow";
    the_sentence_of_a_hidden_slow_reader_is_short: replay_beside(15.0 * HOUR, -9) => "consumer_slow";
    the_sentence_of_a_late_reader_is_short: alarmed(gaining(6.0, -0.5), &[AGE]) => "healthy";
    the_sentence_of_a_slow_reader_that_is_not_seen_is_short: unseen(20.0, 6).asked() => "consumer_slow";
    the_sentence_of_a_late_reader_that_is_not_seen_is_short: unseen(6.0, 6).asked() => "healthy";
    the_sentence_of_a_restore_that_waits_for_a_reader_is_short:
        crate::restore::with_unseen_reader(3.0, 8) => "healthy";
    the_sentence_of_readers_that_stopped_while_writes_are_refused_is_short:
        crate::followed::silent_and_refused(12, 0.0045) => "readers_stopped";
    the_answer_of_a_stream_that_is_resharded_is_short:
        alarmed(gaining(20.0, -0.5).stream(|s| s.status = Status::Updating), &[AGE]) => "resharding";
    the_sentence_of_a_jump_is_short: alarmed(jumped(23.3, -1), &[AGE]) => "healthy";
    the_sentence_of_readers_that_stopped_is_short: crate::followed::silent(8) => "readers_stopped";
    the_sentence_of_a_healing_beside_a_slow_reader_is_short: healed_beside_a_slow_reader() => "healthy";
    the_sentence_of_too_many_calls_is_short:
        Fixture::new(1).minutes(-9..=0, crate::readers::polled(300.0, 1500.0, 0.01)) => "too_many_readers";
    the_sentence_of_a_restore_that_waits_is_short:
        with_fan_out(crate::restore::raised(7, 500.0), 3, 0, 0.0) => "healthy";
}

#[test]
fn a_stream_whose_readers_keep_up_has_nothing_to_do() {
    let sentence = aged(|_| Some(500.0)).asked().sentence();
    assert!(sentence.ends_with("Nothing to do.") && !sentence.contains("behind"), "{sentence}");
}

/// A stream with `consumers` registered consumers, where CloudWatch shows `shown` of them, the slowest `behind`
/// milliseconds behind.
pub fn with_fan_out(fixture: Fixture, consumers: u32, shown: u32, behind: f64) -> Fixture {
    let lag = FanOut { behind_ms: behind, consumers: shown };
    let lags = (-60..=0).map(|ago| (newest().plus(ago), lag)).filter(|_| shown > 0).collect();
    fixture.stream(|s| s.consumers = consumers).with(|f| f.observation.traffic.fan_out = Some(lags))
}

rows! { decides;
    a_registered_consumer_13_of_24_hours_behind_is_slow:
        with_fan_out(aged(|_| Some(500.0)), 1, 1, 13.0 * HOUR) => "consumer_slow";
    a_registered_consumer_that_keeps_up_is_healthy: with_fan_out(aged(|_| None), 1, 1, 30.0) => "healthy";
    the_event_of_an_alarm_on_a_registered_consumer_is_answered:
        alarmed(with_fan_out(aged(|_| None), 1, 1, 13.0 * HOUR), &[FAN_OUT]) => "consumer_slow";
}

/// A change from two to four shards that has stopped the throttling, while a reader is 13 hours behind.
fn healed_beside_a_slow_reader() -> Fixture {
    let slow = MinuteTraffic { iterator_age_ms: Some(13.0 * HOUR), ..offered(3000.0, 4) };
    let mut memory = settled(2, 4, 600, 60);
    let change = memory.change.as_mut().expect("a change");
    (change.published, change.since) = (Some(now()), Some(newest().plus(-15).start()));
    let fixture = Fixture::new(4).minutes(-15..=-9, offered(3000.0, 2)).minutes(-8..=0, slow).memory(&memory).asked();
    fixture.policy(|p| p.topic_arn = Some("arn:aws:sns:us-east-1:123456789012:t".into()))
}

#[test]
fn a_slow_reader_does_not_keep_a_healing_from_being_said() {
    let fixture = healed_beside_a_slow_reader();
    let decision = fixture.decide();
    assert_eq!((decision.outcome.to_string().as_str(), decision.notify), ("healed", true));
    let healed = decision.memory.clone().and_then(|memory| memory.change).and_then(|change| change.healed);
    assert_eq!((healed, decision.evidence.time_to_heal_seconds), (Some(now()), Some(420)));
    says(fixture.clone(), ["healed", "deleted in 11.0 hours", "raise the retention"]);
    // The next check holds for the reader, once an hour.
    let next = fixture.memory(&decision.memory.expect("a new record"));
    let slow = next.decide();
    assert_eq!((slow.verdict.code(), slow.notify), ("consumer_slow", true));
    let again = next.memory(&slow.memory.expect("a new record")).decide();
    assert_eq!((again.verdict.code(), again.notify), ("consumer_slow", false));
}

#[test]
fn a_change_that_does_not_say_when_throttling_began_is_verified() {
    let fixture = healed_beside_a_slow_reader().remembering(|memory| memory.change.as_mut().expect("one").since = None);
    assert!(fixture.decide().memory.and_then(|memory| memory.change).is_some_and(|change| change.healed.is_some()));
}

#[test]
fn a_slow_reader_does_not_hide_that_a_change_is_not_proven_yet() {
    let fixture = healed_beside_a_slow_reader().remembering(|memory| {
        memory.change.as_mut().expect("a change").settled = Some(newest().start() - TimeDelta::seconds(1));
    });
    decides(fixture, "settling");
}
