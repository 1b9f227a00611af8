//! When a change is verified: it has healed the stream, it has not, or it was no change of ours.

use crate::common::{Fixture, MIB, newest, now, offered, reading, scaled, seconds_ago, settled};
use crate::{decides, says};
use chrono::TimeDelta;
use unthrottle_core::decision::{Reason, Verdict};
use unthrottle_core::memory::{ChangeKind, Memory};
use unthrottle_core::observation::MinuteTraffic;
use unthrottle_core::policy::Permission;

/// The memory of a change whose datum is published.
fn published(mut memory: Memory) -> Memory {
    memory.change.as_mut().expect("a change").published = Some(now());
    memory
}

/// Four shards. Six minutes of throttling at two shards, and four minutes without after the change.
fn healed_by(memory: &Memory) -> Fixture {
    let fixture = Fixture::new(4).minutes(-9..=-4, offered(3000.0, 2)).minutes(-3..=0, offered(3000.0, 4));
    fixture.memory(memory)
}

#[test]
fn a_change_that_worked_is_reported_as_healed_once() {
    let mut memory = settled(2, 4, 400, 60);
    memory.change.as_mut().expect("just made").since = Some(newest().plus(-9).start());
    let decision = healed_by(&memory).published(seconds_ago(400)).decide();
    let Verdict::Hold(Reason::Healthy { healed: Some(healed) }) = decision.verdict else {
        panic!("not healed: {decision:?}");
    };
    assert_eq!((healed.from.number(), healed.to.number(), healed.took), (2, 4, TimeDelta::minutes(6)));
    let again = healed_by(&decision.memory.expect("healed is a new record")).decide();
    assert_eq!(again.verdict, Verdict::Hold(Reason::Healthy { healed: None }));
}

/// Asserts whether the evidence has a time to heal.
#[track_caller]
fn heals(fixture: Fixture, expected: bool) {
    assert_eq!(fixture.asked().decide().evidence.time_to_heal_seconds.is_some(), expected);
}

rows! { heals;
    a_change_that_stopped_the_throttling_has_healed: healed_by(&settled(2, 4, 400, 60)) => true;
    a_change_of_a_stream_that_never_throttled_has_healed_nothing:
        Fixture::new(4).minutes(-9..=0, offered(3000.0, 4)).memory(&settled(2, 4, 400, 60)) => false;
    a_change_of_a_stream_that_was_resized_since_has_healed_nothing:
        healed_by(&settled(2, 4, 400, 60)).stream(|s| s.open_shards = 6) => false;
}

/// A change that settled `minutes` ago, without throttling since.
fn settled_for(minutes: i64) -> Fixture {
    let memory = published(settled(2, 4, 60 * minutes + 60, 0));
    Fixture::new(4).minutes(-9..=0, offered(3000.0, 4)).memory(&memory)
}

#[test]
fn a_change_has_healed_a_minute_after_its_first_minute_is_surely_published_whole() {
    let codes: Vec<_> =
        (1..6).map(settled_for).map(|fixture| (fixture.code(), fixture.decide().evidence.window_minutes)).collect();
    let healed = codes.iter().position(|(code, _)| *code == "healthy").expect("in the end");
    assert!(codes[..healed].iter().all(|(code, _)| *code == "settling"), "{codes:?}");
    assert_eq!(codes[healed].1, Some(2), "the newest minute may be published in part: {codes:?}");
    let throttled = settled_for(i64::try_from(healed).expect("few")).minutes(0..=0, offered(6000.0, 4));
    assert_eq!(throttled.code(), "scale_shards", "throttling needs no second minute");
}

/// AWS refuses our change from 2 to 4 shards, and a person makes it. `limit`: with `LimitExceededException`.
#[track_caller]
fn is_not_ours(limit: bool) {
    let memory = scaled(2, 4, 600).refuse(ChangeKind::Scale, seconds_ago(600) + TimeDelta::seconds(1), limit);
    let without_throttling = || Fixture::new(4).minutes(-9..=0, offered(3000.0, 4));
    let first = without_throttling().memory(&memory).decide();
    assert_eq!((first.unpublished, first.evidence.time_to_heal_seconds), (vec![], None));
    assert_eq!(first.evidence.reshards_last_24_hours, Some(1), "AWS counts the reshards of a person, too");
    let memory = first.memory.expect("settled is a new record");
    let later = without_throttling().memory(&memory).pass(3).minutes(1..=3, offered(3000.0, 4)).asked().decide();
    assert_eq!((later.verdict, later.unpublished), (Verdict::Hold(Reason::Healthy { healed: None }), vec![]));
}

#[test]
fn a_change_that_aws_refused_for_a_limit_and_a_person_made_is_not_ours() {
    is_not_ours(true);
}

#[test]
fn a_change_that_aws_refused_and_a_person_made_is_not_ours() {
    is_not_ours(false);
}

/// Eight shards that throttle on at a quarter of their capacity, though we opened four of them ten minutes ago.
fn in_vain() -> Fixture {
    let minute = MinuteTraffic { write_throttled: 60_000.0, ..offered(2000.0, 8) };
    Fixture::new(8).minutes(-9..=0, minute).memory(&published(settled(4, 8, 600, 60)))
}

/// Readers that are refused by few calls and few bytes, though we opened a shard ten minutes ago.
fn in_vain_for_readers() -> Fixture {
    reading(60.0, 0.5 * MIB, 180.0, |_| 500.0).memory(&published(settled(1, 2, 600, 60)))
}

rows! { decides;
    a_change_that_did_not_help_has_not_healed: in_vain() => "not_healed";
    a_change_that_did_not_help_is_followed_by_a_diagnosis_where_it_is_allowed:
        in_vain().policy(|p| p.diagnose = Permission::Allow) => "enable_shard_metrics";
    a_change_of_another_incident_is_not_blamed:
        in_vain().memory(&settled(4, 8, 7200, 60)).published(seconds_ago(7200)) => "skew_suspected";
    a_change_that_did_not_help_readers_has_not_healed: in_vain_for_readers() => "not_healed";
}

rows! { says;
    a_change_that_did_not_help_is_named: in_vain() => ["still throttled after the change 4 → 8 shards", "hot shards"];
    a_change_that_did_not_help_readers_says_why:
        in_vain_for_readers() => ["Some shards are read harder than others"];
}

/// A healed stream, where people get messages.
fn healed_with_a_topic() -> Fixture {
    let fixture = Fixture::new(4).minutes(-15..=-8, offered(3000.0, 2)).minutes(-7..=0, offered(3000.0, 4));
    let fixture = fixture.memory(&settled(2, 4, 600, 60)).asked();
    fixture.policy(|p| p.topic_arn = Some("arn:aws:sns:us-east-1:123456789012:t".into()))
}

#[test]
fn a_healed_stream_is_notified() {
    let decision = healed_with_a_topic().decide();
    assert!(matches!(decision.verdict, Verdict::Hold(Reason::Healthy { healed: Some(_) })));
    assert!(decision.notify);
}

#[test]
fn observe_mode_does_not_notify_of_a_healed_stream_because_it_records_nothing() {
    let observed = healed_with_a_topic().tag("unthrottle.mode", "observe").decide();
    assert_eq!((observed.verdict, observed.notify), (Verdict::Hold(Reason::Healthy { healed: None }), false));
}
