//! Whether readers follow a change of ours to its new shards.

use crate::common::{Fixture, HOUR, hours_ago, minutes_ago, newest, now, offered, settled};
use crate::lag::with_fan_out;
use crate::{decides, says};
use chrono::TimeDelta;
use unthrottle_core::decide::{Pending, pending};
use unthrottle_core::decision::{Reason, Verdict};
use unthrottle_core::memory::{ChangeKind, Memory, TAG};
use unthrottle_core::observation::{FanOut, MinuteTraffic};
use unthrottle_core::policy::Permission;
use unthrottle_core::signal::Undo;

/// A minute with this number of answered GetRecords calls.
fn read(calls: f64, traffic: MinuteTraffic) -> MinuteTraffic {
    let age = (calls > 0.0).then_some(800.0);
    MinuteTraffic { get_records_calls: calls, get_records_bytes: calls * 1_000.0, iterator_age_ms: age, ..traffic }
}

/// The memory of a change from two to four shards that settled `minutes` before the newest minute began, and whose
/// datum is published.
fn raised(minutes: i64) -> Memory {
    let settled_at = newest().plus(-minutes).start();
    let mut memory = settled(2, 4, (now() - settled_at).num_seconds() + 60, 60);
    memory.change.as_mut().expect("a change").published = Some(now());
    memory
}

/// The same stream: throttled and read 240 times a minute up to the change, and then without throttling. `calls`: of
/// each minute after the change.
fn changed(minutes: i64, calls: impl Fn(i64) -> f64) -> Fixture {
    let fixture = Fixture::new(4).minutes(-minutes - 70..=-minutes - 1, read(240.0, offered(3000.0, 2)));
    let after = (-minutes..=0).fold(fixture, |f, ago| f.minutes(ago..=ago, read(calls(ago), offered(3000.0, 4))));
    after.memory(&raised(minutes)).asked()
}

/// Readers that have made no call for `minutes` minutes, since our change.
pub fn silent(minutes: i64) -> Fixture {
    changed(minutes, |_| 0.0)
}

rows! { decides;
    readers_that_are_silent_for_eight_minutes_since_our_change_have_stopped: silent(8) => "readers_stopped";
    readers_that_are_silent_for_five_minutes_since_our_change_have_stopped: silent(5) => "readers_stopped";
    readers_that_are_silent_for_a_minute_may_only_be_published_late: silent(2) => "settling";
    readers_that_are_silent_for_20_hours_since_our_change_have_stopped: silent(20 * 60) => "readers_stopped";
    // Known for six minutes only, and asked two minutes before the fifteenth.
    readers_that_were_new_at_our_change_and_stop_have_stopped:
        silent(8).minutes(-78..=-15, MinuteTraffic::default()).minutes(-14..=-9, read(120.0, offered(3000.0, 2)))
        => "readers_stopped";
    readers_that_read_after_our_change_follow_it: changed(8, |_| 480.0) => "healthy";
    readers_that_come_back_after_three_minutes_follow_it:
        changed(8, |ago| if ago < -5 { 0.0 } else { 480.0 }) => "healthy";
    readers_that_read_the_closed_shards_to_their_end_and_stop_have_stopped:
        changed(20, |ago| if ago < -9 { 240.0 } else { 0.0 }) => "readers_stopped";
    readers_that_stop_half_an_hour_after_our_change_stop_for_another_reason:
        changed(50, |ago| if ago < -9 { 240.0 } else { 0.0 }) => "healthy";
}

rows! { decides;
    a_stream_that_was_never_read_has_no_readers_to_stop:
        Fixture::new(4).minutes(-70..=-9, offered(3000.0, 2)).minutes(-8..=0, offered(3000.0, 4))
            .memory(&raised(8)).asked()
        => "healthy";
    readers_that_stopped_before_our_change_have_not_stopped_for_it:
        silent(8).minutes(-20..=-9, offered(3000.0, 2)) => "healthy";
    a_person_who_read_twice_is_no_reader:
        silent(8).minutes(-70..=-9, offered(3000.0, 2)).minutes(-10..=-9, read(3.0, offered(3000.0, 2)))
        => "healthy";
    a_reader_that_reads_every_ten_minutes_has_not_stopped_after_eight:
        (-70..=-9).fold(silent(8), |f, ago| {
            f.minutes(ago..=ago, read(if ago % 10 == 0 { 240.0 } else { 0.0 }, offered(3000.0, 2)))
        }).remembering(|memory| memory.change.as_mut().expect("a change").healed = Some(minutes_ago(1)))
        => "healthy";
    a_stream_that_is_silent_since_our_change_is_unknown:
        Fixture::new(4).minutes(-70..=-9, read(240.0, offered(3000.0, 2))).memory(&raised(8)).asked()
        => "evidence_pending";
    a_stream_without_writes_since_our_change_waits_for_no_reader:
        Fixture::new(4).minutes(-140..=-75, read(240.0, offered(3000.0, 2))).memory(&raised(74)).asked() => "healthy";
    readers_of_a_change_by_another_person_are_no_news:
        silent(8).remembering(|memory| {
            let change = memory.change.as_mut().expect("a change");
            change.kind = ChangeKind::External;
            memory.reshards = vec![];
        }) => "healthy";
}

/// `shown`: how many registered consumers CloudWatch shows in each minute after the change, of one.
fn moved_to_fan_out(shown: u32) -> Fixture {
    let lag = FanOut { behind_ms: 40.0, consumers: shown };
    let lags = (-7..=0).map(|ago| (newest().plus(ago), lag)).filter(|_| shown > 0).collect();
    silent(8).stream(|s| s.consumers = 1).with(|f| f.observation.traffic.fan_out = Some(lags))
}

/// A registered consumer that receives events up to the change, and then none.
fn fan_out_stopped() -> Fixture {
    let fixture = with_fan_out(silent(8), 1, 1, 40.0);
    let fixture = fixture.minutes(-70..=-9, offered(3000.0, 2));
    fixture.with(|f| {
        f.observation.traffic.fan_out.as_mut().expect("known").retain(|minute, _| *minute < newest().plus(-8));
    })
}

rows! { decides;
    readers_that_move_to_enhanced_fan_out_have_not_stopped: moved_to_fan_out(1) => "healthy";
    readers_that_may_have_moved_to_enhanced_fan_out_have_not_stopped_yet: moved_to_fan_out(0) => "settling";
    registered_consumers_that_stop_after_our_change_have_stopped:
        fan_out_stopped().stream(|s| s.consumers = 0) => "readers_stopped";
    polling_readers_that_stop_beside_a_registered_consumer_have_stopped:
        with_fan_out(silent(8), 1, 1, 40.0) => "readers_stopped";
    readers_are_not_reported_where_cloudwatch_does_not_answer_for_the_consumers:
        silent(8).stream(|s| s.consumers = 1) => "healthy";
}

/// A reader that kept up before our change, and stands still since it settled.
fn standing(minutes: i64) -> Fixture {
    (-minutes..=0).fold(silent(minutes), |fixture, ago| {
        let age = Some(60_000.0 * (ago + minutes + 1) as f64);
        fixture.minutes(ago..=ago, MinuteTraffic { iterator_age_ms: age, ..read(480.0, offered(3000.0, 4)) })
    })
}

rows! { decides;
    a_reader_that_stands_still_since_our_change_has_stopped: standing(12) => "readers_stopped";
    a_reader_that_stands_still_for_two_minutes_may_only_find_its_shards: standing(2) => "settling";
    a_reader_that_drains_a_backlog_after_our_change_follows_it:
        (-12..=0).fold(standing(12), |fixture, ago| {
            let age = Some(HOUR / 2.0 - 60_000.0 * ago as f64);
            fixture.minutes(ago..=ago, MinuteTraffic { iterator_age_ms: age, ..read(480.0, offered(3000.0, 4)) })
        }) => "healthy";
    a_reader_that_stood_still_before_our_change_has_not_stopped_for_it:
        (-70..=0).fold(standing(12), |fixture, ago| {
            let load = offered(3000.0, if ago < -12 { 2 } else { 4 });
            let age = Some(60_000.0 * (ago + 100) as f64);
            fixture.minutes(ago..=ago, MinuteTraffic { iterator_age_ms: age, ..read(480.0, load) })
        }) => "healthy";
}

rows! { says;
    readers_that_stopped_learn_what_to_do:
        silent(8)
        => ["throttling has stopped after the change 2 → 4 shards", "its readers stopped at 16:55 UTC",
            "Restart the consumer", "child shards", "KCL", "in 23.8 hours unread records are deleted", "retention"];
}

fn topic(fixture: Fixture) -> Fixture {
    fixture.policy(|p| p.topic_arn = Some("arn:aws:sns:us-east-1:123456789012:t".into()))
}

#[test]
fn readers_that_stopped_are_never_a_plain_healing_and_the_change_is_verified() {
    let decision = topic(silent(8)).decide();
    assert_eq!((decision.outcome.to_string().as_str(), decision.notify), ("held", true));
    let Verdict::Hold(Reason::ReadersStopped { healed: Some(healed), .. }) = decision.verdict else {
        panic!("{decision:?}")
    };
    assert_eq!((healed.from.number(), healed.to.number()), (2, 4));
    let memory = decision.memory.expect("a new record");
    assert_eq!(memory.change.as_ref().and_then(|change| change.healed), Some(now()));
    // The same hold repeats after an hour, and no earlier.
    let again = topic(silent(8)).memory(&memory).decide();
    assert_eq!((again.verdict.code(), again.notify), ("readers_stopped", false));
    let later = topic(silent(68)).remembering(|later| {
        (later.notified, later.change.as_mut().expect("a change").healed) =
            (Some(("readers_stopped".into(), hours_ago(1))), Some(hours_ago(1)));
    });
    assert_eq!((later.code(), later.decide().notify), ("readers_stopped", true));
}

#[test]
fn observe_mode_says_that_readers_stopped_and_records_nothing() {
    let decision = silent(8).tag("unthrottle.mode", "observe").decide();
    assert!(matches!(decision.verdict, Verdict::Hold(Reason::ReadersStopped { healed: None, .. })), "{decision:?}");
    assert_eq!(decision.memory, None);
}

#[test]
fn readers_that_come_back_are_no_longer_checked() {
    let fixture = topic(changed(90, |ago| if ago < -20 { 0.0 } else { 480.0 })).remembering(|memory| {
        memory.notified = Some(("readers_stopped".into(), hours_ago(1)));
        memory.change.as_mut().expect("a change").healed = Some(hours_ago(1));
    });
    let decision = fixture.decide();
    assert_eq!(decision.verdict.code(), "healthy");
    assert_eq!(needed(&decision.memory.expect("a new record")), None);
}

#[test]
fn readers_that_stop_at_the_first_of_two_changes_have_stopped() {
    // 2 → 4 twenty minutes ago stops the readers, and 4 → 8 five minutes ago the throttling.
    let fixture = Fixture::new(8).minutes(-70..=-20, read(240.0, offered(9000.0, 2)));
    let fixture = fixture.minutes(-19..=-6, offered(9000.0, 4)).minutes(-5..=0, offered(7000.0, 8)).asked();
    let mut memory = settled(4, 8, (now() - newest().plus(-6).start()).num_seconds(), 30);
    memory.reshards.insert(0, newest().plus(-21).start());
    decides(fixture.memory(&memory), "readers_stopped");
}

#[test]
fn readers_that_stop_after_a_restore_have_stopped() {
    let fixture = silent(8).stream(|s| s.open_shards = 2).remembering(|memory| {
        let change = memory.change.as_mut().expect("a change");
        (change.kind, change.from, change.to) = (ChangeKind::Restore, change.to, change.from);
    });
    let fixture = fixture.minutes(-70..=-9, read(480.0, offered(500.0, 4))).minutes(-8..=0, offered(500.0, 2));
    decides(fixture, "readers_stopped");
}

/// Readers that are silent for `minutes` minutes since our change, of a stream that refuses this share of its writes.
pub fn silent_and_refused(minutes: i64, share: f64) -> Fixture {
    let accepted = offered(1500.0, 4);
    let refused = MinuteTraffic { write_throttled: accepted.incoming_records * share, ..accepted };
    silent(minutes).minutes(-minutes..=0, refused)
}

/// The same, where a run has verified the change.
fn silent_and_skewed(minutes: i64) -> Fixture {
    silent_and_refused(minutes, 0.0045).remembering(|memory| {
        memory.change.as_mut().expect("a change").healed = Some(minutes_ago(minutes - 2));
    })
}

rows! { decides;
    a_skew_of_writes_does_not_hide_readers_that_stopped:
        silent_and_skewed(60).policy(|p| p.diagnose = Permission::Deny) => "readers_stopped";
    a_change_that_did_not_help_does_not_hide_readers_that_stopped:
        silent_and_refused(12, 0.0045).policy(|p| p.diagnose = Permission::Deny) => "readers_stopped";
    throttling_that_is_not_confirmed_does_not_hide_readers_that_stopped:
        silent(8).minutes(0..=0, MinuteTraffic { write_throttled: 9_000.0, ..offered(3000.0, 4) })
            .remembering(|memory| memory.change.as_mut().expect("a change").healed = Some(minutes_ago(3)))
            .policy(|p| p.confirm_minutes = 3) => "readers_stopped";
    a_maximum_of_a_person_goes_before_readers_that_stopped:
        silent(8).minutes(-8..=0, offered(9000.0, 4)).policy(|p| p.max_shards = 4) => "at_max_shards";
    readers_that_read_on_leave_the_skew_of_the_writes:
        changed(60, |_| 480.0).minutes(-9..=0, MinuteTraffic {
            write_throttled: 600.0, ..read(480.0, offered(1500.0, 4))
        }).policy(|p| p.diagnose = Permission::Deny)
            .remembering(|memory| memory.change.as_mut().expect("a change").healed = Some(minutes_ago(50)))
        => "skew_suspected";
}

rows! { decides;
    an_undo_of_a_throttled_stream_is_answered_though_readers_stopped:
        silent(8).minutes(-8..=0, offered(9000.0, 4)).asked_to(|ask| ask.undo = Some(Undo::default()))
        => "not_restorable";
}

rows! { says;
    a_change_mentions_readers_that_stopped:
        silent(8).minutes(-8..=0, offered(9000.0, 4))
        => ["Changed 4 →", "Its readers stopped at 16:55 UTC, after our change: restart the consumer."];
    readers_that_stopped_while_writes_are_refused_say_both:
        silent_and_skewed(60).policy(|p| p.diagnose = Permission::Deny)
        => ["records refused in 5 of 5 minutes (up to 0.45 %), and its readers stopped at 16:03 UTC"];
    a_hold_that_needs_a_person_mentions_readers_that_stopped:
        silent(8).minutes(-8..=0, offered(9000.0, 4)).policy(|p| p.max_shards = 4)
        => ["Its readers stopped at 16:55 UTC, after our change: restart the consumer."];
}

/// Readers that were `behind` minutes behind at our change, read the closed shards for as long, and are silent for
/// `silent` minutes.
fn drained(behind: i64, silent: i64) -> Fixture {
    let minutes = behind + silent;
    (-minutes - 70..=-silent).fold(changed(minutes, |_| 0.0), |fixture, ago| {
        let shards = if ago < -minutes { 2 } else { 4 };
        let age = Some(60_000.0 * behind as f64);
        fixture.minutes(ago..=ago, MinuteTraffic { iterator_age_ms: age, ..read(240.0, offered(3000.0, shards)) })
    })
}

rows! { decides;
    readers_that_read_a_backlog_of_half_an_hour_and_stop_have_stopped: drained(30, 20) => "readers_stopped";
    readers_that_read_a_backlog_of_three_hours_and_stop_have_stopped: drained(180, 20) => "readers_stopped";
}

#[test]
fn readers_with_a_backlog_are_watched_for_as_long_as_they_are_behind() {
    let memory = drained(30, 1).decide().memory.expect("a new record");
    let change = memory.change.expect("a change");
    let watched = change.readers_until.map(|until| until - change.settled.expect("settled"));
    assert_eq!(watched, Some(TimeDelta::minutes(60)));
}

#[test]
fn a_trace_of_throttling_does_not_hide_readers_that_stopped() {
    let trace = MinuteTraffic { write_throttled: 1.0, ..offered(3000.0, 4) };
    decides(silent(8).minutes(0..=0, trace), "readers_stopped");
}

/// The pending work of a stream with this memory.
fn needed(memory: &Memory) -> Option<Pending> {
    let tags = [(TAG.to_owned(), memory.encode().expect("fits"))].into();
    pending(&tags, &Fixture::new(1).policy, now())
}

#[test]
fn readers_are_watched_for_half_an_hour_after_a_change() {
    let watched = |fixture: Fixture| {
        let mut memory = fixture.decide().memory.expect("a new record");
        let change = memory.change.as_mut().expect("a change");
        change.healed = change.settled;
        (change.readers_until.map(|until| until - change.settled.expect("settled")), needed(&memory))
    };
    assert_eq!(watched(changed(8, |_| 480.0)), (Some(TimeDelta::minutes(30)), Some(Pending::Now)));
    let unread = silent(8).minutes(-78..=-9, offered(3000.0, 2));
    assert_eq!(watched(unread), (None, None), "there is no reader to watch");
    let mut later = raised(40);
    let change = later.change.as_mut().expect("a change");
    (change.healed, change.readers_until) = (change.settled, Some(minutes_ago(10)));
    assert_eq!(needed(&later), None);
}

#[test]
fn readers_that_stopped_are_checked_once_an_hour_for_a_day() {
    let told = |minutes: i64, ago: TimeDelta| {
        let mut memory = raised(minutes);
        let change = memory.change.as_mut().expect("a change");
        change.healed = change.settled;
        memory.notified = Some(("readers_stopped".to_owned(), now() - ago));
        needed(&memory)
    };
    assert_eq!(told(90, TimeDelta::minutes(59)), None);
    assert_eq!(told(90, TimeDelta::minutes(60)), Some(Pending::Now));
    assert_eq!(told(25 * 60, TimeDelta::hours(2)), None);
}
