//! Minutes that are not what they seem: the load began late in one, CloudWatch has published a part of one, or one is
//! older than the shards or the stream.

use crate::common::{Fixture, MIB, hours_ago, newest, now, offered, seconds_ago, settled};
use crate::{decides, says};
use unthrottle_core::decision::{Reason, Verdict};
use unthrottle_core::memory::Memory;
use unthrottle_core::observation::MinuteTraffic;
use unthrottle_core::policy::Permission;

/// A stream at the share `before` of its capacity, with a load of `after` records a second in the last `seconds` of the
/// newest minute.
fn late(shards: u32, before: f64, after: f64, seconds: f64) -> Fixture {
    let (capacity, before) = (f64::from(shards) * 1000.0, before * f64::from(shards) * 1000.0);
    let accepted = before * (60.0 - seconds) + after.min(capacity) * seconds;
    let edge = MinuteTraffic {
        incoming_records: accepted,
        incoming_bytes: accepted * 1024.0,
        write_throttled: (after - capacity).max(0.0) * seconds,
        ..MinuteTraffic::default()
    };
    Fixture::new(shards).minutes(-60..=-1, offered(before, shards)).minutes(0..=0, edge).asked()
}

/// The same a minute later, under the whole load.
fn a_minute_later(fixture: Fixture, shards: u32, load: f64) -> Fixture {
    fixture.minutes(1..=1, offered(load, shards)).pass(1)
}

/// A stream that throttled every other minute for a day, with a calm newest minute, after a change of `hours` ago.
fn every_other_minute(hours: i64) -> Fixture {
    let throttled = MinuteTraffic { write_throttled: 240_000.0, ..offered(2000.0, 8) };
    let day = Fixture::new(8).minutes(-1400..=0, offered(2000.0, 8));
    let day = (0..700).fold(day, |day, n| day.minutes(-2 * n - 1..=-2 * n - 1, throttled));
    day.memory(&settled(4, 8, 3600 * hours, 60)).published(seconds_ago(3600 * hours))
}

/// One refused record in 100,000, three minutes before the newest.
fn with_a_stray_record(fixture: Fixture) -> Fixture {
    let minute = fixture.observation.traffic.minute(newest().plus(-3));
    fixture.minutes(-3..=-3, MinuteTraffic { write_throttled: 1.0, ..minute })
}

rows! { decides;
    throttling_that_comes_and_goes_for_hours_after_a_change_does_not_settle: every_other_minute(10) => "skew_suspected";
    a_stray_record_before_an_onset_is_calm: with_a_stray_record(late(8, 0.3, 24_000.0, 20.0)) => "evidence_pending";
    a_stray_record_before_an_onset_on_one_shard_is_calm:
        with_a_stray_record(late(1, 0.2, 1500.0, 10.0)) => "evidence_pending";
    half_of_the_record_counts_of_a_minute_are_no_large_records:
        Fixture::new(2).minutes(-9..=-1, large(60.0)).minutes(0..=0, MinuteTraffic {
            write_throttled: 10.0, ..large(30.0)
        }).asked() => "evidence_pending";
}

/// A minute of 36 MiB in this number of records.
fn large(records: f64) -> MinuteTraffic {
    MinuteTraffic { incoming_records: records, incoming_bytes: 0.6 * MIB, ..MinuteTraffic::default() }
}

/// A stream that was made `seconds` ago, where one of the same name was throttled before.
fn made_anew(shards: u32, seconds: i64) -> Fixture {
    let old = Fixture::new(shards).minutes(-70..=-2, offered(20_000.0, 8));
    old.stream(|s| s.created_at = Some(seconds_ago(seconds))).minutes(-1..=0, offered(1500.0, shards)).asked()
}

rows! { decides;
    a_stream_made_anew_has_no_minutes_of_the_one_before: made_anew(16, 160) => "healthy";
    a_stream_made_anew_has_not_lost_anything: made_anew(16, 100) => "evidence_pending";
}

#[test]
fn a_stream_made_anew_tells_no_loss_of_the_one_before() {
    let decision =
        made_anew(16, 100).policy(|p| p.topic_arn = Some("arn:aws:sns:us-east-1:123456789012:t".into())).decide();
    assert_eq!((decision.notify, decision.evidence.lasting_refused_share), (false, None));
}

/// A calm stream that refused more than half of the records of one minute. The newest minute is calm again.
fn one_bad_minute() -> Fixture {
    Fixture::new(8).minutes(-30..=0, offered(3000.0, 8)).minutes(-1..=-1, offered(20_000.0, 8))
}

/// Ten reshards of the last 24 hours.
fn ten_reshards() -> Memory {
    Memory { reshards: (1..=10).rev().map(|n| hours_ago(2 * n)).collect(), ..settled(4, 8, 7200, 60) }
}

/// Others reverted our changes twice in the last 24 hours.
fn reverted_twice() -> Memory {
    Memory { reverts: vec![hours_ago(3), hours_ago(2)], ..settled(4, 8, 7200, 60) }
}

rows! { decides;
    a_load_that_begins_in_the_last_20_seconds_is_no_skew: late(8, 0.3, 24_000.0, 20.0) => "evidence_pending";
    a_load_that_begins_in_the_last_15_seconds_is_no_skew: late(8, 0.4, 24_000.0, 15.0) => "evidence_pending";
    a_load_that_begins_in_the_last_10_seconds_is_no_skew: late(8, 0.3, 16_000.0, 10.0) => "evidence_pending";
    a_load_that_begins_late_is_no_burst_of_a_single_shard: late(1, 0.3, 3000.0, 8.0) => "evidence_pending";
    a_load_that_begins_late_and_fills_the_minute_scales_at_once: late(8, 0.6, 24_000.0, 30.0) => "scale_shards";
    the_next_minute_shows_the_load: a_minute_later(late(8, 0.3, 24_000.0, 20.0), 8, 24_000.0) => "scale_shards";
    one_bad_minute_that_is_over_gets_no_shards: one_bad_minute() => "evidence_pending";
    one_bad_minute_that_is_over_is_no_verdict_about_the_maximum_of_shards:
        one_bad_minute().policy(|p| p.max_shards = 8) => "evidence_pending";
    one_bad_minute_that_is_over_is_no_verdict_about_the_maximum_of_cost:
        one_bad_minute().policy(|p| p.max_hourly_cost = Some(0.05)) => "evidence_pending";
    one_bad_minute_that_is_over_is_no_verdict_about_the_quota:
        one_bad_minute().account_full().policy(|p| p.on_demand = Permission::Deny) => "evidence_pending";
    one_bad_minute_that_is_over_is_no_verdict_about_the_days_reshards:
        one_bad_minute().memory(&ten_reshards()).policy(|p| p.on_demand = Permission::Deny) => "evidence_pending";
    one_bad_minute_that_is_over_is_no_verdict_about_reverts:
        one_bad_minute().memory(&reverted_twice()) => "evidence_pending";
    a_load_that_fills_a_late_minute_is_no_verdict_about_the_maximum_of_shards:
        late(8, 0.6, 24_000.0, 30.0).policy(|p| p.max_shards = 8) => "evidence_pending";
    its_next_minute_is_a_verdict_about_the_maximum_of_shards:
        a_minute_later(late(8, 0.6, 24_000.0, 30.0), 8, 24_000.0).policy(|p| p.max_shards = 8) => "at_max_shards";
    a_bad_minute_before_two_calm_ones_is_healthy:
        one_bad_minute().minutes(-2..=-1, offered(3000.0, 8)).minutes(-3..=-3, offered(20_000.0, 8)) => "healthy";
    a_second_bad_minute_after_a_calm_one_scales:
        one_bad_minute().minutes(-3..=-3, offered(20_000.0, 8)) => "scale_shards";
    the_next_minute_shows_a_burst: a_minute_later(late(1, 0.3, 3000.0, 8.0), 1, 300.0) => "micro_burst";
    // Two published minutes, and the first is whole.
    a_second_uneven_minute_is_not_whole_yet:
        a_minute_later(late(8, 0.3, 24_000.0, 20.0), 8, 2400.0)
            .minutes(1..=1, MinuteTraffic { write_throttled: 60_000.0, ..offered(2400.0, 8) })
        => "evidence_pending";
    a_third_uneven_minute_is_skew:
        a_minute_later(a_minute_later(late(8, 0.3, 24_000.0, 20.0), 8, 2400.0), 8, 2400.0)
            .minutes(1..=2, MinuteTraffic { write_throttled: 60_000.0, ..offered(2400.0, 8) })
            .with(|f| f.observation.observed_at = f.now)
        => "skew_suspected";
}

#[test]
fn an_onset_is_looked_at_again_within_a_minute() {
    let decision = late(8, 0.3, 24_000.0, 20.0).decide();
    assert!(decision.is_under_way() && !decision.notify);
    assert_eq!(decision.evidence.onset, Some(true));
}

rows! { says;
    an_onset_says_that_the_next_minute_shows_the_load:
        late(8, 0.3, 24_000.0, 20.0) => ["which show only a part of it", "the next sweep looks again"];
}

/// We made eight shards of four, and the newest minute is the first since. CloudWatch has published `part` of what was
/// accepted in it, and all that was refused.
fn half_published(part: f64) -> Fixture {
    let full = offered(12_000.0, 8);
    let half = MinuteTraffic {
        incoming_records: full.incoming_records * part,
        incoming_bytes: full.incoming_bytes * part,
        ..full
    };
    let at = newest().plus(-1).start();
    let fixture = Fixture::new(8).minutes(-20..=-1, offered(12_000.0, 4)).minutes(0..=0, half);
    fixture.memory(&settled(4, 8, (now() - at).num_seconds(), 30)).published(at).asked()
}

rows! { decides;
    half_a_minute_after_a_change_is_no_proof_that_it_did_not_help: half_published(0.45) => "evidence_pending";
    a_tenth_of_a_minute_after_a_change_is_no_proof: half_published(0.1) => "evidence_pending";
    a_whole_minute_after_a_change_may_be_followed: half_published(1.0) => "scale_shards";
}

/// Reads that CloudWatch has published, and no writes.
fn reads() -> MinuteTraffic {
    MinuteTraffic {
        get_records_calls: 240.0,
        get_records_bytes: MIB,
        iterator_age_ms: Some(100.0),
        ..Default::default()
    }
}

/// The same with a load that four shards refuse.
fn reads_and_writes() -> MinuteTraffic {
    MinuteTraffic {
        get_records_calls: 240.0,
        get_records_bytes: MIB,
        iterator_age_ms: Some(100.0),
        ..offered(9000.0, 4)
    }
}

/// Reads are published for `minutes` more than writes.
fn reads_ahead(minutes: i64) -> Fixture {
    let fixture = Fixture::new(4).minutes(-60..=0, reads_and_writes()).minutes(1 - minutes..=0, reads());
    fixture.memory(&settled(2, 4, 300, 20)).published(seconds_ago(300)).asked()
}

/// No minute of the last six is published, of a stream that throttled in every minute before.
fn silent() -> Fixture {
    let fixture = Fixture::new(4).minutes(-400..=-6, offered(6000.0, 2)).memory(&settled(2, 4, 600, 60));
    fixture.published(seconds_ago(600)).asked()
}

#[test]
fn reads_that_are_published_before_writes_prove_no_writes_healthy() {
    for minutes in 1..=3 {
        let decision = reads_ahead(minutes).decide();
        assert!(!matches!(decision.verdict, Verdict::Hold(Reason::Healthy { .. })), "{minutes}: {decision:?}");
    }
}

/// The same, where the last published writes were refused, and our change is seven minutes old.
fn reads_ahead_of_a_change() -> Fixture {
    let at = seconds_ago(420);
    reads_ahead(6).with(|f| f.observation.tags.clear()).memory(&settled(2, 4, 420, 20)).published(at)
}

rows! { decides;
    writes_that_are_six_minutes_late_prove_no_change: reads_ahead_of_a_change() => "settling";
    writes_that_stop_while_readers_go_on_are_over:
        Fixture::new(4).minutes(-60..=-8, reads_and_writes()).minutes(-7..=0, reads()).asked() => "healthy";
    a_steady_stream_that_is_silent_for_seven_minutes_is_unknown: silent() => "evidence_pending";
    a_stream_that_is_younger_than_the_newest_minute_is_unknown:
        Fixture::new(4).stream(|s| s.created_at = Some(seconds_ago(100))) => "evidence_pending";
    a_stream_that_is_older_than_the_newest_minute_is_healthy:
        Fixture::new(4).stream(|s| s.created_at = Some(seconds_ago(600))).asked() => "healthy";
}

#[test]
fn the_time_that_a_new_stream_promises_stays() {
    let new = Fixture::new(4).stream(|s| s.created_at = Some(seconds_ago(30)));
    let promised = |minutes: i64| {
        let sentence = new.clone().pass(minutes).sentence();
        let (_, time) = sentence.split_once("A verdict can be expected about ").expect("a time");
        time.to_owned()
    };
    assert_eq!([1, 2, 3, 4].map(promised), [0, 0, 0, 0].map(promised));
    assert_eq!(new.pass(8).code(), "healthy");
}

rows! { says;
    a_silence_says_since_when: silent() => ["nothing of this stream since 16:58 UTC", "until about 18:03 UTC"];
    a_healthy_stream_says_when_its_throttling_ended:
        Fixture::new(2).minutes(-9..=-3, offered(3000.0, 2)).minutes(-2..=0, offered(1000.0, 2)).asked()
        => ["until 17:01 UTC 120,000 records refused"];
}

/// Six shards. Another person made them of four, before the newest minute.
fn resharded_by_hand(newest: MinuteTraffic) -> Fixture {
    let fixture = Fixture::new(6).minutes(-9..=-1, offered(5000.0, 4)).minutes(0..=0, newest);
    fixture.resharded(4, 3).asked()
}

rows! { decides;
    minutes_from_before_a_reshard_by_hand_do_not_scale: resharded_by_hand(offered(5000.0, 6)) => "settling";
    minutes_from_before_a_reshard_by_hand_are_no_skew:
        resharded_by_hand(MinuteTraffic { write_throttled: 600.0, ..offered(2000.0, 6) }) => "settling";
    a_stream_that_another_person_resharded_long_ago_scales:
        Fixture::new(6).minutes(-9..=0, offered(9000.0, 6)).resharded(4, 30).asked() => "scale_shards";
}

#[test]
fn a_reshard_by_hand_is_recorded_and_leaves_nothing_to_restore() {
    let found = resharded_by_hand(offered(5000.0, 6));
    let memory = found.decide().memory.expect("a new record");
    assert_eq!((memory.base, memory.change.as_ref().map(|c| (c.from.number(), c.to.number()))), (None, Some((4, 6))));
    assert!(found.sentence().contains("another person or tool"), "{}", found.sentence());
    // A minute later AWS shows that the shards are the same since before the newest minute.
    let later = found.memory(&memory).minutes(1..=1, offered(9000.0, 6)).pass(1);
    assert_eq!(later.code(), "scale_shards");
}

/// We made eight shards of four. Producers sent records again, and the newest minute refused `refused` records.
fn resent(refused: f64) -> Fixture {
    let calm = offered(4300.0, 8);
    let fixture = Fixture::new(8)
        .minutes(-5..=-3, offered(6000.0, 4))
        .minutes(-2..=-2, MinuteTraffic { write_throttled: 30_000.0, ..offered(8000.0, 8) })
        .minutes(-1..=-1, MinuteTraffic { write_throttled: 5_000.0, ..offered(5800.0, 8) })
        .minutes(0..=0, MinuteTraffic { write_throttled: refused, ..calm });
    fixture.memory(&settled(4, 8, 330, 75)).published(seconds_ago(330)).asked()
}

rows! { decides;
    records_that_are_sent_again_after_our_reshard_cause_no_second_one: resent(0.0) => "settling";
    a_load_that_goes_on_after_our_reshard_causes_a_second_one:
        resent(60_000.0).minutes(0..=0, offered(9000.0, 8)) => "scale_shards";
    the_same_without_a_change_of_ours_scales:
        resent(0.0).with(|f| f.observation.tags.clear()).with(|f| f.observation.traffic.auto_fixes.clear())
        => "scale_shards";
}
