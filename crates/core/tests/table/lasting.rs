//! A loss that lasts: a person gets a message whatever unthrottle holds the stream for, once an hour.

use crate::common::{Fixture, MIB, minutes_ago, now, offered, scaled, seconds_ago};
use crate::says;
use unthrottle_core::memory::Memory;
use unthrottle_core::observation::{CapacityMode, MinuteTraffic, Status};

fn topic(fixture: Fixture) -> Fixture {
    fixture.asked().policy(|p| p.topic_arn = Some("arn:aws:sns:us-east-1:123456789012:t".into()))
}

/// Eight shards and one key: one shard is full, and AWS refuses the rest of 60,000 records a second.
fn one_key(minutes: i64) -> Fixture {
    let minute = MinuteTraffic { write_throttled: 60.0 * 59_000.0, ..offered(1000.0, 8) };
    topic(Fixture::new(8).minutes(-1400..=0, offered(1000.0, 8)).minutes(1 - minutes..=0, minute))
}

/// One shard that refuses bursts.
fn bursts(refused: f64) -> Fixture {
    let minute = MinuteTraffic { write_throttled: 60.0 * refused, ..offered(200.0, 1) };
    topic(Fixture::new(1).minutes(-1400..=0, minute))
}

/// Two shards whose readers are refused, though neither bytes nor calls are too many.
fn uneven_reads() -> Fixture {
    let minute = MinuteTraffic {
        read_throttled: 60.0,
        get_records_bytes: 0.5 * MIB,
        get_records_calls: 240.0,
        iterator_age_ms: Some(500.0),
        ..offered(100.0, 2)
    };
    topic(Fixture::new(2).minutes(-60..=0, minute))
}

/// An on-demand stream that throttled in each of the last three blocks of five minutes, after its last change.
fn on_demand_after_a_change() -> Fixture {
    let memory = scaled(2, 2, 480);
    topic(Fixture::new(2).minutes(-30..=0, offered(3000.0, 2)).memory(&memory).on_demand())
}

/// A stream that refuses records in each tenth of these minutes.
fn each_tenth_minute(minutes: i64) -> Fixture {
    let burst = MinuteTraffic { write_throttled: 60.0 * 4000.0, ..offered(2000.0, 8) };
    let calm = Fixture::new(8).minutes(-1400..=0, offered(2000.0, 8));
    topic((0..minutes / 10).fold(calm, |calm, n| calm.minutes(-10 * n - 1..=-10 * n - 1, burst)))
}

/// Asserts the code, and whether people get a message.
#[track_caller]
fn notifies(fixture: Fixture, expected: (&str, bool)) {
    let decision = fixture.decide();
    assert_eq!((fixture.code(), decision.notify), expected);
    assert_eq!(decision.needs_person(), decision.notify);
}

rows! { notifies;
    a_day_of_skew_notifies: one_key(1400) => ("skew_suspected", true);
    fifteen_minutes_of_skew_notify: one_key(15) => ("skew_suspected", true);
    ten_minutes_of_skew_do_not_notify: one_key(10) => ("skew_suspected", false);
    a_day_of_bursts_notifies: bursts(60.0) => ("micro_burst", true);
    a_day_of_bursts_of_less_than_one_record_in_a_hundred_does_not_notify: bursts(1.0) => ("micro_burst", false);
    a_burst_in_each_ten_minutes_of_an_hour_notifies: each_tenth_minute(1400) => ("skew_suspected", true);
    a_burst_in_each_ten_minutes_of_an_hour_on_demand_notifies:
        each_tenth_minute(1400).on_demand() => ("on_demand_adapting", true);
    a_burst_in_each_ten_minutes_of_half_an_hour_does_not_notify: each_tenth_minute(30) => ("skew_suspected", false);
    an_hour_of_uneven_reads_notifies: uneven_reads() => ("uneven_reads", true);
    a_loss_below_the_floor_that_lasts_notifies:
        bursts(60.0).policy(|p| p.floor = 0.5) => ("negligible", true);
    a_loss_of_a_stream_whose_mode_is_of_the_future_notifies:
        one_key(60).stream(|s| s.mode = CapacityMode::Unknown("ELASTIC".into())) => ("not_ready", true);
    a_loss_of_a_stream_whose_status_is_of_the_future_notifies:
        one_key(60).stream(|s| s.status = Status::Unknown("MELTING".into())) => ("not_ready", true);
    a_loss_of_a_stream_of_the_future_that_is_switched_off_does_not_notify:
        one_key(60).stream(|s| s.status = Status::Unknown("MELTING".into())).tag("unthrottle.mode", "off")
        => ("not_ready", false);
    a_loss_of_a_stream_that_is_switched_off_does_not_notify:
        one_key(60).tag("unthrottle.mode", "off") => ("opted_out", false);
    a_loss_that_stopped_does_not_notify:
        one_key(60).minutes(-2..=0, offered(1000.0, 8)) => ("healthy", false);
    a_loss_in_one_minute_of_fifteen_does_not_notify:
        one_key(1).minutes(-1..=-1, offered(1000.0, 8)) => ("evidence_pending", false);
}

#[test]
fn a_lasting_loss_notifies_once_an_hour_whatever_the_hold_is_called() {
    let memory = one_key(60).decide().memory.expect("a record of the message");
    assert!(!one_key(60).memory(&memory).decide().notify);
    let other = bursts(60.0).memory(&memory);
    assert_eq!((other.code(), other.decide().notify), ("micro_burst", false), "the hold has another name now");
    let notified_of = |code: &str| Memory { notified: Some((code.into(), minutes_ago(10))), ..Memory::default() };
    for (code, notifies) in [("hot_key", false), ("consumer_slow", true), ("readers_stopped", true)] {
        let decision = one_key(60).memory(&notified_of(code)).decide();
        assert_eq!(decision.notify, notifies, "after a message about {code}");
        let again = decision.memory.map(|memory| one_key(60).memory(&memory).decide().notify);
        assert_ne!(again, Some(true), "after a message about {code} and one about the loss");
    }
    let hour = Memory { notified: Some(("skew_suspected".into(), minutes_ago(61))), ..Memory::default() };
    assert!(one_key(90).memory(&hour).decide().notify);
}

#[test]
fn a_lasting_loss_on_demand_notifies() {
    let decision = on_demand_after_a_change().decide();
    assert_eq!((decision.verdict.code(), decision.notify), ("settling", true));
}

rows! { says;
    the_sentence_of_a_lasting_loss_says_how_much_and_for_how_long:
        one_key(60) => ["In the last 15 minutes AWS refused 98 % of its records."];
    the_sentence_of_a_lasting_loss_of_a_mode_of_the_future_says_so:
        one_key(60).stream(|s| s.mode = CapacityMode::Unknown("ELASTIC".into()))
        => ["not ready for a change", "AWS refused 98 % of its records."];
    the_sentence_of_a_lasting_loss_of_reads_is_about_calls: uneven_reads() => ["of its GetRecords calls"];
}

/// Two shards that refuse one read in 240 for more than an hour, and this many writes in each of the last two minutes.
fn few_reads_refused_and(writes: f64) -> Fixture {
    let minute = MinuteTraffic { read_throttled: 1.0, get_records_calls: 239.0, ..offered(100.0, 2) };
    let newest = MinuteTraffic { write_throttled: writes, ..minute };
    Fixture::new(2).minutes(-70..=0, minute).minutes(-1..=0, newest)
}

/// A stream of four shards that is UPDATING, under a load of six.
fn updating(fixture: Fixture) -> Fixture {
    topic(fixture).stream(|s| s.status = Status::Updating)
}

rows! { notifies;
    a_reshard_of_ours_that_takes_more_than_an_hour_while_the_stream_throttles_notifies:
        updating(Fixture::new(4).minutes(-1..=0, offered(6000.0, 4)).changed(4, 8, 3700).published(seconds_ago(3700)))
        => ("resharding", true);
    a_reshard_of_a_person_after_ours_was_never_made_is_not_ours:
        updating(Fixture::new(4).minutes(-1..=0, offered(6000.0, 4)).changed(4, 8, 18_000)) => ("resharding", false);
    a_reshard_of_ours_that_takes_more_than_an_hour_without_throttling_does_not_notify:
        updating(Fixture::new(4).minutes(-9..=0, offered(600.0, 4)).changed(4, 8, 3700)) => ("resharding", false);
    a_reshard_of_ours_of_ten_minutes_does_not_notify:
        updating(Fixture::new(4).minutes(-9..=0, offered(6000.0, 4)).changed(4, 8, 600)) => ("resharding", false);
    a_reshard_of_another_person_during_an_hour_of_little_throttling_notifies:
        updating(Fixture::new(4).minutes(-70..=0, offered(4001.0, 4))) => ("resharding", true);
    a_reshard_of_another_person_during_half_an_hour_of_little_throttling_does_not_notify:
        updating(Fixture::new(4).minutes(-30..=0, offered(4001.0, 4))) => ("resharding", false);
    a_reshard_during_an_hour_of_refused_reads_and_a_few_refused_writes_notifies:
        updating(few_reads_refused_and(1.0)) => ("resharding", true);
    a_reshard_during_fifteen_minutes_of_loss_notifies:
        updating(Fixture::new(4).minutes(-14..=0, offered(6000.0, 4))) => ("resharding", true);
}

#[test]
fn a_stuck_reshard_says_since_when_and_is_told_once_an_hour() {
    let stuck = Fixture::new(4).minutes(-9..=0, offered(6000.0, 4)).changed(4, 8, 3700);
    let stuck = updating(stuck.published(seconds_ago(3700)));
    assert!(stuck.sentence().contains("It is UPDATING since 16:03 UTC"), "{}", stuck.sentence());
    let memory = stuck.decide().memory.expect("a record of the message");
    assert_eq!(memory.notified, Some(("resharding".into(), now())));
    assert!(!stuck.memory(&memory).decide().notify);
}
