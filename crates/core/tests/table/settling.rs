//! What a change of ours that is young, unfinished or refused decides.

use crate::common::{Fixture, minutes_ago, newest, now, offered, scaled, seconds_ago, settled};
use crate::decides;
use chrono::TimeDelta;
use unthrottle_core::memory::{Change, ChangeKind, Memory, ShardMetrics};

fn load() -> Fixture {
    Fixture::under_load(2, 3000.0)
}

/// AWS refused a scale `count` times in a row, the last time `seconds` before now.
fn refused(count: u32, seconds: i64) -> Memory {
    (0..count).fold(Memory::default(), |memory, _| memory.refuse(ChangeKind::Scale, seconds_ago(seconds), true))
}

/// AWS refused a scale twice in a row for a limit, `first` and `last` seconds before now.
fn refused_from(first: i64, last: i64) -> Memory {
    [first, last]
        .into_iter()
        .fold(Memory::default(), |memory, seconds| memory.refuse(ChangeKind::Scale, seconds_ago(seconds), true))
}

/// AWS refused the change that we announced `seconds` before now.
fn announced_and_refused(seconds: i64) -> Memory {
    scaled(2, 4, seconds).refuse(ChangeKind::Scale, seconds_ago(seconds), true)
}

rows! { decides;
    an_intent_of_30_seconds_settles: load().changed(2, 4, 30) => "settling";
    an_intent_of_44_seconds_settles: load().changed(2, 4, 44) => "settling";
    an_intent_of_45_seconds_is_made_again_for_the_retry_of_lambda: load().changed(2, 4, 45) => "scale_shards";
    an_intent_that_was_never_applied_is_made_again: load().changed(2, 4, 121) => "scale_shards";
    a_change_without_a_published_minute_since_settles:
        load().stream(|s| s.open_shards = 4).changed(2, 4, 60) => "settling";
    a_change_that_settled_before_the_last_published_minute_may_be_followed:
        load().memory(&settled(1, 2, 400, 60)) => "scale_shards";
}

rows! { decides;
    an_intent_that_aws_has_just_refused_waits: load().memory(&announced_and_refused(30)) => "refused_lately";
    an_intent_that_aws_refused_a_minute_ago_is_made_again: load().memory(&announced_and_refused(70)) => "scale_shards";
    a_refusal_of_50_seconds_waits: load().memory(&refused(1, 50)) => "refused_lately";
    a_refusal_of_61_seconds_is_over: load().memory(&refused(1, 61)) => "scale_shards";
    two_refusals_within_five_minutes_wait: load().memory(&refused(2, 290)) => "refused_lately";
    two_refusals_of_an_hour_ago_are_for_a_rate_and_change_no_bill:
        load().memory(&refused(2, 3601)) => "scale_shards";
    two_refusals_of_five_hours_ago_and_of_now_are_for_a_rate:
        load().memory(&refused_from(18_000, 390)) => "scale_shards";
    refusals_for_95_seconds_are_for_a_rate: load().memory(&refused_from(3700, 3605)) => "scale_shards";
    refusals_for_14_minutes_are_for_a_rate: load().memory(&refused_from(1200, 360)) => "scale_shards";
    refusals_for_15_minutes_are_for_the_cap_of_the_day:
        load().memory(&refused_from(1260, 360)) => "switch_to_on_demand";
    a_refusal_of_yesterday_begins_no_row: load().memory(&refused_from(90_000, 360)) => "scale_shards";
    a_change_is_followed_once_its_shards_are_open_for_30_seconds_before_a_minute:
        load().changed(1, 2, 240).resharded(1, 3) => "scale_shards";
    a_reshard_that_ended_within_the_newest_minute_settles: load().changed(1, 2, 240).resharded(1, 2) => "settling";
}

#[test]
fn the_first_observation_after_a_change_records_when_it_settled() {
    let change = Fixture::under_load(4, 3000.0).changed(2, 4, 70).decide().memory.and_then(|m| m.change);
    assert_eq!(change.expect("news").settled, Some(now()));
}

#[test]
fn a_late_first_observation_records_that_the_change_settled_before_the_window() {
    let change = Fixture::under_load(4, 3000.0).changed(2, 4, 3600).decide().memory.and_then(|m| m.change);
    let change = change.expect("news");
    assert_eq!(change.settled, Some(newest().plus(-4).start() - TimeDelta::seconds(30)));
}

/// 600 shards became 900 forty minutes ago, and AWS has just finished. All minutes so far are of 600 shards.
fn long_reshard(per_second: f64) -> Fixture {
    let fixture = Fixture::new(900).minutes(-60..=0, offered(per_second, 600)).changed(600, 900, 2400);
    fixture.resharded(600, 1).policy(|p| (p.max_shards, p.max_shards_ceiling) = (5000, 5000)).with(|f| {
        f.observation.limits.iter_mut().for_each(|limits| limits.shard_limit = 20_000);
    })
}

rows! { decides;
    minutes_from_during_a_long_reshard_do_not_scale: long_reshard(800_000.0) => "settling";
    minutes_from_during_a_long_reshard_are_no_proof_that_it_did_not_help: long_reshard(660_000.0) => "settling";
}

/// A change of `kind` that we announced 70 minutes ago, and never made.
fn announced(kind: ChangeKind) -> Memory {
    Memory::default().intend(Change::intent(kind, 8, 8, minutes_ago(70)), false)
}

/// The same, where the memory has shard metrics that we switched on.
fn announced_with_metrics_on(kind: ChangeKind) -> Memory {
    Memory { shard_metrics: Some(ShardMetrics { on: Some([true; 3]), at: minutes_ago(70) }), ..announced(kind) }
}

fn without_throttling() -> Fixture {
    Fixture::new(8).minutes(-9..=0, offered(1000.0, 8)).asked()
}

#[test]
fn metrics_that_were_announced_and_never_switched_on_leave_no_trace() {
    let announced = announced_with_metrics_on(ChangeKind::EnableShardMetrics);
    let memory = without_throttling().memory(&announced).decide().memory.expect("news");
    assert_eq!(memory.shard_metrics, None);
    let external = without_throttling().shard_metrics().memory(&memory);
    assert_ne!(external.code(), "disable_shard_metrics", "another person switched them on later");
}

#[test]
fn a_switch_that_was_announced_and_never_made_leaves_no_trace() {
    let announced = Memory { was_provisioned: true, ..announced(ChangeKind::Switch) };
    assert!(!without_throttling().memory(&announced).decide().memory.expect("news").was_provisioned);
}

#[test]
fn metrics_that_were_announced_off_and_stay_on_are_switched_off_again() {
    let announced = announced_with_metrics_on(ChangeKind::DisableShardMetrics);
    decides(without_throttling().shard_metrics().memory(&announced), "disable_shard_metrics");
}

#[test]
fn metrics_that_were_announced_off_and_are_off_are_recorded_as_off() {
    let announced = announced_with_metrics_on(ChangeKind::DisableShardMetrics);
    let done = without_throttling().memory(&announced).decide().memory.expect("news");
    assert_eq!(done.shard_metrics.map(|metrics| metrics.on), Some(None));
}

/// An incident that began when the stream had one shard, and our change from there to two.
fn incident() -> Memory {
    Memory { base: Some(1), ..settled(1, 2, 400, 60) }
}

#[test]
fn the_first_change_of_an_incident_keeps_the_shards_from_before() {
    assert_eq!(load().decide().memory.expect("an intent").base, Some(2));
}

#[test]
fn a_later_change_of_an_incident_keeps_the_shards_from_before_the_first() {
    assert_eq!(load().memory(&incident()).decide().memory.expect("an intent").base, Some(1));
}

#[test]
fn a_resize_by_another_person_forgets_the_shards_from_before_the_incident() {
    let decision = Fixture::under_load(3, 4000.0).memory(&incident()).resharded(2, 1).decide();
    assert_eq!((decision.verdict.code(), decision.memory.expect("news").base), ("settling", None));
}

#[test]
fn a_reverted_change_settles_and_is_recorded_as_a_revert() {
    let decision = load().changed(2, 4, 400).published(seconds_ago(400)).resharded(4, 1).decide();
    assert_eq!(decision.verdict.code(), "settling");
    assert_eq!(decision.memory.expect("news").reverts.len(), 1);
}

#[test]
fn a_published_datum_shows_that_the_change_was_made_though_a_second_run_was_refused() {
    let at = seconds_ago(120);
    let intent = Memory::default().intend(Change::intent(ChangeKind::Scale, 2, 4, at), false);
    let refused = intent.refuse(ChangeKind::Scale, at + TimeDelta::seconds(1), true);
    let found = |fixture: Fixture| fixture.memory(&refused).asked().decide().memory.and_then(|memory| memory.refused);
    assert_eq!(found(Fixture::under_load(4, 6000.0).published(at)), None, "its datum is there: it was made");
    assert!(found(Fixture::under_load(4, 6000.0)).is_some(), "a person may have made it");
}
