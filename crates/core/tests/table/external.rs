//! What another person or tool changes: its shards stay, and two reverts in a day win.

use crate::common::{Fixture, hours_ago, minutes_ago, newest, offered, seconds_ago, settled};
use crate::{decides, says};
use chrono::TimeDelta;
use unthrottle_core::memory::{Change, ChangeKind, Memory};

/// The same stream `minutes` later, under the same load, with the memory that was written.
fn later(fixture: &Fixture, minutes: i64) -> Fixture {
    let memory = fixture.decide().memory.expect("a new record");
    let load = fixture.observation.traffic.minute(newest());
    fixture.clone().memory(&memory).minutes(1..=minutes, load).asked().pass(minutes)
}

/// Asserts the code, and the kind and the shards of the change in the memory.
#[track_caller]
fn records(fixture: Fixture, expected: (&str, ChangeKind, u32)) {
    let decision = fixture.decide();
    let change = decision.memory.expect("a new record").change.expect("a change");
    assert_eq!((decision.verdict.code(), change.kind, change.to.number()), expected);
}

/// We made four shards of two, and announced shard metrics that were never switched on.
fn metrics_never_made(shards: u32) -> Fixture {
    let metrics = Change::intent(ChangeKind::EnableShardMetrics, 4, 4, seconds_ago(300));
    Fixture::under_load(shards, 6000.0).memory(&settled(2, 4, 900, 60).intend(metrics, false)).asked().resharded(4, 2)
}

/// We made six shards of three, and AWS refused ten.
fn scale_refused(shards: u32) -> Fixture {
    let at = seconds_ago(300);
    let intent = settled(3, 6, 900, 60).intend(Change::intent(ChangeKind::Scale, 6, 10, at), false);
    let refused = intent.refuse(ChangeKind::Scale, at + TimeDelta::seconds(1), true);
    Fixture::under_load(shards, 6000.0).memory(&refused).asked().resharded(6, 2)
}

/// The same stream after a second reshard by another person.
fn scale_refused_and_resharded_twice() -> Fixture {
    let memory = scale_refused(4).decide().memory.expect("a new record");
    Fixture::under_load(5, 6000.0).memory(&memory).asked().resharded(4, 2)
}

rows! { records;
    an_external_reshard_is_noticed_behind_metrics_that_were_never_made:
        metrics_never_made(2) => ("settling", ChangeKind::External, 2);
    an_external_reshard_is_noticed_behind_a_change_that_aws_refused:
        scale_refused(4) => ("settling", ChangeKind::External, 4);
}

rows! { decides;
    metrics_that_were_never_made_do_not_settle: metrics_never_made(4).resharded(2, 15) => "scale_shards";
    a_second_external_reshard_settles_too: scale_refused_and_resharded_twice() => "settling";
}

/// Twelve shards, made of ten an hour ago. There were eight before the incident.
fn incident() -> Memory {
    Memory { base: Some(8), ..settled(10, 12, 3600, 60) }
}

/// The same, where our last change is shard metrics.
fn incident_with_metrics() -> Memory {
    let intent = Change::intent(ChangeKind::EnableShardMetrics, 12, 12, hours_ago(1));
    let mut memory = incident().intend(intent, false);
    memory.change.as_mut().expect("just made").settled = Some(minutes_ago(55));
    memory
}

/// A verified change of another kind.
fn changed(kind: ChangeKind, from: u32, to: u32) -> Memory {
    let mut memory = settled(from, to, 3600, 60);
    memory.change.as_mut().expect("just made").kind = kind;
    memory
}

/// A stream that we switched to on-demand mode, and whose warm throughput we raised.
fn switched_and_warmed() -> Memory {
    Memory { base: Some(4), was_provisioned: true, ..changed(ChangeKind::WarmUp, 4, 8) }
}

/// Asserts whether a stream with `open` provisioned shards counts as reverted.
#[track_caller]
fn reverts((memory, open): (Memory, u32), expected: bool) {
    let decision = Fixture::under_load(open, 12_000.0).memory(&memory).published(hours_ago(1)).decide();
    let reverts = decision.memory.expect("a new record").reverts.len();
    assert_eq!((reverts, decision.reverted.is_some()), (usize::from(expected), expected));
}

rows! { reverts;
    the_shards_from_before_the_incident_are_a_revert: (incident(), 8) => true;
    the_shards_from_before_the_last_change_are_a_revert: (incident(), 10) => true;
    a_size_that_the_stream_never_had_is_no_revert: (incident(), 11) => false;
    the_shards_from_before_the_incident_are_a_revert_after_shard_metrics: (incident_with_metrics(), 8) => true;
    a_switch_back_is_a_revert_with_any_shards: (changed(ChangeKind::Switch, 4, 4), 16) => true;
    a_switch_of_another_person_and_back_is_no_revert: (changed(ChangeKind::WarmUp, 4, 8), 16) => false;
    our_switch_and_back_is_a_revert_after_warm_throughput: (switched_and_warmed(), 16) => true;
}

/// We switched a stream two hours ago, and it is provisioned again. The account has no shard left.
fn switched_back() -> Fixture {
    let at = hours_ago(2);
    let mut memory = Memory::default().intend(Change::intent(ChangeKind::Switch, 4, 4, at), false);
    memory.change.as_mut().expect("just made").settled = Some(at + TimeDelta::minutes(1));
    Fixture::under_load(4, 9000.0).account_full().memory(&Memory { was_provisioned: true, ..memory })
}

/// We made four shards of two 20 minutes ago, and another person made six.
fn resized() -> Fixture {
    Fixture::under_load(6, 3000.0).memory(&Memory { base: Some(2), ..settled(2, 4, 1200, 60) }).resharded(4, 2)
}

rows! { decides;
    an_external_switch_back_leaves_the_shards_and_needs_no_wait: switched_back() => "at_account_quota";
    an_external_switch_back_is_the_second_switch_of_the_day: later(&switched_back(), 5) => "at_account_quota";
    an_external_resize_settles: resized() => "settling";
    an_external_resize_that_heals_is_healthy: later(&resized(), 5) => "healthy";
}

#[test]
fn an_external_switch_back_counts_as_a_switch_and_as_a_revert() {
    let evidence = later(&switched_back(), 5).decide().evidence;
    assert_eq!((evidence.mode_switches_last_24_hours, evidence.changes_taken_back), (Some(2), Some(1)));
}

#[test]
fn an_external_resize_leaves_nothing_to_restore_and_keeps_the_budget_spent() {
    let memory = resized().decide().memory.expect("a new record");
    assert_eq!((memory.base, memory.reshards.len(), memory.reverts.len()), (None, 1, 0));
}

/// We made four shards of two 20 minutes ago, and another person made two of them again.
fn reverted() -> Fixture {
    Fixture::under_load(2, 3000.0).memory(&settled(2, 4, 1200, 60)).published(seconds_ago(1200)).resharded(4, 2)
}

/// The second revert was half an hour ago, and the first `hours` before now.
fn reverted_twice(hours: i64) -> Fixture {
    let mut memory = later(&reverted(), 5).decide().memory.expect("an intent");
    let change = Change::intent(ChangeKind::External, 4, 2, minutes_ago(20));
    memory.change = Some(Change { settled: Some(change.at), ..change });
    memory.reverts = vec![hours_ago(hours), minutes_ago(30)];
    Fixture::under_load(2, 3000.0).memory(&memory)
}

rows! { decides;
    a_revert_settles: reverted() => "settling";
    // One may be an accident.
    one_revert_is_scaled_again: later(&reverted(), 5) => "scale_shards";
    two_reverts_in_a_day_win: reverted_twice(3) => "tug_of_war";
    a_revert_of_yesterday_does_not_count: reverted_twice(25) => "scale_shards";
}

rows! { says;
    two_reverts_name_the_setting_of_the_other_tool: reverted_twice(3) => ["ignore_changes"];
}

#[test]
fn a_memory_that_was_put_back_makes_no_other_person_of_us() {
    // The memory knows of two shards made four an hour ago. The metric has a later change of ours, to eight.
    let calm = Fixture::new(8).minutes(-9..=0, offered(3000.0, 8));
    let fixture = calm.memory(&settled(2, 4, 3600, 60)).published(seconds_ago(3600));
    let kind = |fixture: &Fixture| fixture.decide().memory.and_then(|memory| memory.change).map(|change| change.kind);
    assert_eq!(kind(&fixture), Some(ChangeKind::External), "without the metric");
    assert_ne!(kind(&fixture.published(seconds_ago(600))), Some(ChangeKind::External));
}

/// A run half a second after a full second, without a memory, finds that another person has just made four shards of
/// two.
fn found_within_a_second() -> Fixture {
    let fixture = Fixture::under_load(4, 6000.0).asked().resharded(2, 2);
    fixture.with(|f| {
        f.now += TimeDelta::milliseconds(500);
        f.observation.observed_at = f.now;
    })
}

rows! { says;
    a_reshard_of_another_person_that_a_run_has_just_found_has_a_verdict_some_minutes_after_it:
        found_within_a_second()
        => ["another person or tool has just changed its shards", "about 4 minutes after that change"];
}
