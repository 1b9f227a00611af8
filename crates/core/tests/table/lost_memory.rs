//! What the AutoFix and Reverted metrics rebuild of a memory that was deleted, or put back from a copy.

use crate::common::{Fixture, hours_ago, minutes_ago, now, offered, seconds_ago, settled};
use crate::decides;
use chrono::{DateTime, TimeDelta, Utc};
use unthrottle_core::memory::{Change, ChangeKind, Memory};
use unthrottle_core::observation::Minute;
use unthrottle_core::policy::{Permission, Policy};

fn deny(policy: &mut Policy) {
    policy.on_demand = Permission::Deny;
}

fn load() -> Fixture {
    Fixture::under_load(4, 6000.0)
}

/// The metric shows ten reshards, one an hour, the last `minutes` ago.
fn ten_published(fixture: Fixture, minutes: i64) -> Fixture {
    (0..10).fold(fixture, |fixture, n| fixture.published(minutes_ago(minutes + 60 * n)))
}

/// The memory has a change of two hours ago, which the metric shows.
fn remembered() -> Fixture {
    load().memory(&settled(2, 4, 7200, 60)).published(seconds_ago(7200))
}

/// The metric shows as many changes in a minute as it can count.
fn countless(fixture: Fixture) -> Fixture {
    fixture.with(|f| {
        let minute = Minute::of(minutes_ago(30));
        f.observation.traffic.auto_fixes.insert(minute, u32::MAX);
        f.observation.traffic.mode_switches.insert(minute, u32::MAX);
    })
}

/// The same, where all of them were reshards too.
fn countless_reshards() -> Fixture {
    countless(load()).with(|f| {
        f.observation.traffic.reshards.insert(Minute::of(minutes_ago(30)), u32::MAX);
    })
}

rows! { decides;
    a_remembered_change_may_be_followed: remembered() => "scale_shards";
    a_later_change_that_only_the_metric_knows_settles:
        remembered().published(minutes_ago(3)).resharded(2, 2) => "settling";
    a_datum_that_changed_no_shards_delays_nothing: remembered().published(minutes_ago(3)) => "scale_shards";
    data_of_unknown_origin_spend_no_budget: ten_published(remembered(), 60).policy(deny) => "scale_shards";
    a_lost_change_of_three_minutes_ago_settles: load().published(minutes_ago(3)).resharded(2, 2) => "settling";
    a_lost_change_that_was_done_before_the_window_does_not_settle: load().published(minutes_ago(20)) => "scale_shards";
    ten_lost_changes_spend_the_budget:
        ten_published(load(), 30).resharded(2, 29).policy(deny) => "reshard_budget_spent";
    ten_data_of_changes_that_changed_no_shards_spend_no_budget: ten_published(load(), 30) => "scale_shards";
    a_datum_of_the_minute_in_which_an_on_demand_stream_was_made_delays_nothing:
        load().on_demand().minutes(-14..=0, offered(6000.0, 4)).published(minutes_ago(31))
            .stream(|s| s.created_at = Some(minutes_ago(31) + TimeDelta::seconds(10))) => "on_demand_ceiling";
    any_number_of_switches_can_be_read: countless(load()).policy(deny) => "scale_shards";
    any_number_of_reshards_can_be_read: countless_reshards().resharded(2, 29).policy(deny) => "scale_shards";
}

#[test]
fn a_lost_memory_is_rebuilt_from_the_auto_fix_metric() {
    let decision = load().published(minutes_ago(30)).published(minutes_ago(90)).resharded(4, 29).decide();
    assert_eq!(decision.evidence.memory_lost, Some(true));
    assert_eq!(decision.evidence.reshards_last_24_hours, Some(2));
    let memory = decision.memory.expect("an intent");
    assert_eq!((memory.reverts.len(), memory.reshards.len(), memory.base), (1, 3, Some(4)));
}

/// A memory with a notification and without a change.
fn notified() -> Memory {
    Memory { notified: Some(("at_max_shards".into(), minutes_ago(1))), ..Memory::default() }
}

#[test]
fn a_memory_without_a_change_is_whole_where_the_metric_shows_none() {
    decides(load().memory(&notified()), "scale_shards");
}

#[test]
fn a_memory_without_the_change_that_the_metric_shows_is_lost() {
    let fixture = load().memory(&notified()).published(minutes_ago(3)).resharded(2, 2);
    assert_eq!((fixture.code(), fixture.decide().evidence.memory_lost), ("settling", Some(true)));
    assert_eq!(fixture.decide().memory.expect("rebuilt").notified, notified().notified, "the rest stays");
}

/// The memory knows only a reshard of another, found 28 minutes ago. The metric shows a reshard of `minutes` ago.
fn taken_for_anothers(minutes: i64) -> Fixture {
    let change = Change::intent(ChangeKind::External, 2, 4, minutes_ago(28));
    let change = Change { settled: Some(change.at), ..change };
    load()
        .memory(&Memory { change: Some(change), ..Memory::default() })
        .published(minutes_ago(minutes))
        .resharded(2, 29)
}

#[test]
fn a_reshard_that_a_run_without_memory_took_for_anothers_spends_the_budget_once_the_metric_shows_it() {
    let decision = taken_for_anothers(30).decide();
    let evidence = &decision.evidence;
    assert_eq!((evidence.memory_lost, evidence.reshards_last_24_hours), (Some(true), Some(1)));
    assert_eq!(decision.memory.expect("an intent").reshards.len(), 2, "the lost one, and this one");
}

#[test]
fn a_datum_that_is_newer_than_anothers_reshard_spends_no_budget() {
    let evidence = taken_for_anothers(20).decide().evidence;
    assert_eq!((evidence.memory_lost, evidence.reshards_last_24_hours), (None, Some(0)));
}

/// The Reverted metric shows a revert.
fn reverted(fixture: Fixture, minutes: i64) -> Fixture {
    fixture.with(|f| {
        f.observation.traffic.reverts.insert(Minute::of(minutes_ago(minutes)), 1);
    })
}

/// A stream of two shards whose memory is lost. The metric shows two changes, so that the last one was reverted.
fn lost() -> Fixture {
    Fixture::under_load(2, 3000.0).published(minutes_ago(30)).published(minutes_ago(90)).resharded(2, 29)
}

/// When a run finds a revert: the start of the minute before.
fn found() -> DateTime<Utc> {
    Minute::of(now()).plus(-1).start()
}

/// Asserts the code, and when a revert is found that the metric does not show.
#[track_caller]
fn finds(fixture: Fixture, expected: (&str, Option<DateTime<Utc>>)) {
    let decision = fixture.decide();
    assert_eq!((decision.verdict.code(), decision.reverted), expected);
}

rows! { finds;
    a_revert_behind_a_lost_memory_is_found: lost() => ("scale_shards", Some(found()));
    a_revert_that_the_metric_shows_since_the_last_change_is_not_found_again:
        reverted(lost(), 20) => ("scale_shards", None);
    a_second_revert_behind_a_lost_memory_wins: reverted(lost(), 60) => ("tug_of_war", Some(found()));
}

#[test]
fn a_rebuilt_memory_keeps_a_revert_before_the_metric_shows_it() {
    let memory = reverted(lost(), 60).decide().memory.expect("rebuilt");
    assert_eq!(memory.reverts, [Minute::of(minutes_ago(60)).start(), found()]);
    let recorded = reverted(lost().memory(&memory), 60).decide();
    assert_eq!((recorded.verdict.code(), recorded.reverted, recorded.memory), ("tug_of_war", None, None));
}

#[test]
fn a_memory_that_was_put_back_knows_less_than_the_metric() {
    let back = Fixture::under_load(2, 3000.0).memory(&settled(1, 2, 36_000, 60)).published(hours_ago(10));
    let reverted = reverted(reverted(back, 90), 200);
    decides(reverted.clone().published(minutes_ago(95)).published(minutes_ago(205)).resharded(2, 88), "tug_of_war");
    decides(reverted.clone().published(minutes_ago(95)).published(minutes_ago(205)), "scale_shards");
    decides(reverted, "scale_shards");
}
