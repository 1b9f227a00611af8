//! What a person who asks for an undo gets.

use super::restore::{raised, with_late_readers};
use crate::common::{Fixture, metrics_on_for, newest, offered};
use crate::decides;
use unthrottle_core::decision::{Remedy, Verdict};
use unthrottle_core::signal::Undo;

/// A person asks for an undo, where restoring is off.
fn undo(fixture: Fixture, to: Option<u32>) -> Fixture {
    fixture.policy(|p| p.restore_after_hours = 0).asked_to(|ask| ask.undo = Some(Undo { to }))
}

/// The hourly limit of changes in the fleet is reached.
fn with_a_spent_fleet(fixture: Fixture) -> Fixture {
    fixture.with(|f| f.observation.traffic.fleet_fixes = [(newest(), 500)].into())
}

/// Eight shards whose shard metrics we switched on nine minutes ago.
fn with_our_metrics_on() -> Fixture {
    Fixture::new(8).minutes(-9..=0, offered(1000.0, 8)).shard_metrics().memory(&metrics_on_for(9))
}

/// Asserts the shards before and after.
#[track_caller]
fn restores(fixture: Fixture, expected: (u32, u32)) {
    match fixture.decide().verdict {
        Verdict::Act(Remedy::Restore { from, to, .. }) => assert_eq!((from, to), expected),
        other => panic!("no restore: {other:?}, {}", fixture.sentence()),
    }
}

rows! { restores;
    an_undo_needs_no_hours_without_throttling: undo(raised(2, 500.0), None) => (4, 2);
    an_undo_goes_to_the_shards_that_are_asked_for: undo(raised(2, 500.0), Some(3)) => (4, 3);
    an_undo_is_not_held_back_by_the_limit_of_the_fleet: with_a_spent_fleet(undo(raised(2, 500.0), None)) => (4, 2);
}

#[test]
fn an_undo_switches_our_metrics_off_at_once() {
    decides(undo(with_our_metrics_on(), None), "disable_shard_metrics");
}

/// Asserts that nothing is changed, and that the sentence says why.
#[track_caller]
fn is_refused(fixture: Fixture, why: &str) {
    assert_eq!(fixture.code(), "not_restorable");
    let says = fixture.sentence();
    assert!(says.contains(why) && says.ends_with("Nothing was changed."), "{says}");
}

rows! { is_refused;
    an_undo_to_more_shards_is_refused:
        undo(raised(2, 500.0), Some(9)) => "it has 4 shards, and a restore only removes shards";
    an_undo_below_the_peak_is_refused: undo(raised(2, 2900.0), None) => "the peak of the last hour";
    an_undo_without_a_change_of_ours_is_refused:
        undo(Fixture::new(4).minutes(-9..=0, offered(500.0, 4)), None) => "no change of ours is left";
    an_undo_of_a_throttled_stream_is_refused:
        undo(Fixture::under_load(2, 3000.0), Some(1)) => "it is throttled now";
    an_undo_of_the_shards_of_an_on_demand_stream_is_refused:
        undo(Fixture::new(4).on_demand(), None) => "it is in on-demand mode";
    an_undo_with_readers_behind_is_refused: undo(with_late_readers(), None) => "its readers are behind";
}
