//! What a person who asks for an undo gets.

use super::restore::{raised, with_late_readers};
use crate::common::{Fixture, hours_ago, metrics_on_for, newest, offered};
use crate::{decides, says};
use unthrottle_core::decision::{Remedy, Verdict};
use unthrottle_core::memory::{Change, ChangeKind, Memory};
use unthrottle_core::observation::{MinuteTraffic, Status};
use unthrottle_core::policy::Mode;
use unthrottle_core::signal::Undo;

/// A person asks for an undo, where restoring is off.
fn undo(fixture: Fixture, to: Option<u32>) -> Fixture {
    fixture.policy(|p| p.restore_after_hours = 0).asked_to(|ask| ask.undo = Some(Undo { to, force: false }))
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

/// A person forces an undo.
fn force(fixture: Fixture, to: Option<u32>) -> Fixture {
    fixture.policy(|p| p.restore_after_hours = 0).asked_to(|ask| ask.undo = Some(Undo { to, force: true }))
}

rows! { restores;
    a_forced_undo_goes_below_the_peak: force(raised(2, 2900.0), None) => (4, 2);
    a_forced_undo_goes_to_the_shards_that_are_asked_for: force(raised(2, 2900.0), Some(3)) => (4, 3);
    a_forced_undo_does_not_wait_for_readers: force(with_late_readers(), None) => (4, 2);
    a_forced_undo_never_goes_below_half: force(raised(2, 2900.0), Some(1)) => (4, 2);
    a_forced_undo_never_goes_below_the_minimum:
        force(raised(2, 2900.0), None).policy(|p| p.min_shards = 3) => (4, 3);
    an_undo_takes_the_tenth_reshard_of_a_day:
        undo(reshards_spent(9), None) => (4, 2);
    an_undo_does_not_look_at_yesterdays_next_hours:
        undo(raised(2, 500.0).minutes(-1400..=-1300, offered(2900.0, 4)), None) => (4, 2);
}

/// A calm stream whose last change was a restore, an hour ago.
fn restored(from: u32, to: u32) -> Fixture {
    let mut memory = Memory::default().intend(Change::intent(ChangeKind::Restore, from, to, hours_ago(1)), false);
    let change = memory.change.as_mut().expect("just made");
    (change.settled, change.healed, change.published) = (Some(change.at), Some(change.at), Some(change.at));
    Fixture::new(to).minutes(-59..=0, offered(500.0, to)).memory(&memory)
}

/// A raised stream with this number of reshards today, one an hour, the last two hours ago.
fn reshards_spent(count: i64) -> Fixture {
    raised(2, 500.0).remembering(|memory| memory.reshards = (0..count).rev().map(|n| hours_ago(2 + n)).collect())
}

/// Four shards that we switched to on-demand mode 30 hours ago. Ten hours ago they took the load of nine.
fn switched() -> Fixture {
    let mut memory = Memory::default().intend(Change::intent(ChangeKind::Switch, 4, 4, hours_ago(30)), false);
    let change = memory.change.as_mut().expect("just made");
    (change.settled, change.healed, change.published) = (Some(change.at), Some(change.at), Some(change.at));
    (memory.was_provisioned, memory.base) = (true, Some(4));
    let fixture = Fixture::new(4).minutes(-1439..=0, offered(1000.0, 4)).minutes(-660..=-600, offered(9000.0, 12));
    fixture.on_demand().memory(&memory)
}

rows! { decides;
    an_undo_of_a_switch_looks_at_the_peak_of_the_day: undo(switched(), None) => "not_restorable";
    a_forced_undo_of_a_switch_does_not: force(switched(), None) => "switch_to_provisioned";
    a_forced_undo_of_a_stream_with_channels_is_refused:
        force(switched(), None).stream(|s| s.channels = Some(1)) => "not_restorable";
    a_forced_undo_of_a_changing_stream_waits:
        force(raised(2, 500.0), None).stream(|s| s.status = Status::Updating) => "resharding";
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
    an_undo_of_one_shard_is_refused:
        undo(Fixture::new(1).minutes(-9..=0, offered(500.0, 1)), Some(1)) => "it has 1 shard, and a restore only";
    an_undo_to_more_shards_is_refused:
        undo(raised(2, 500.0), Some(9)) => "it has 4 shards, and a restore only removes shards";
    an_undo_below_the_peak_is_refused: undo(raised(2, 2900.0), None) => "the peak of the last hour";
    an_undo_without_a_change_of_ours_is_refused:
        undo(Fixture::new(4).minutes(-9..=0, offered(500.0, 4)), None) => "no change of ours is left";
    an_undo_below_the_peak_names_it:
        undo(raised(2, 500.0).minutes(-20..=-20, offered(2900.0, 4)), None)
        => "(the load of 2.9 shards at 16:43 UTC) needs all 4 shards; try again after 2026-11-20 17:47 UTC, or use";
    // Each minute of the last hour needs all four shards, and the first needs them most.
    an_undo_below_a_constant_load_names_when_its_last_minute_ends:
        undo(raised(2, 2900.0).minutes(-59..=-59, offered(2950.0, 4)), None)
        => "(the load of 3.0 shards at 16:04 UTC) needs all 4 shards; try again after 2026-11-20 18:07 UTC, or use";
    // A later minute that needs all four shards counts longer than the peak, which needs six.
    an_undo_below_two_peaks_names_when_the_later_one_ends:
        undo(raised(2, 500.0).minutes(-50..=-50, offered(3900.0, 4)).minutes(-20..=-20, offered(2500.0, 4)), None)
        => "(the load of 3.9 shards at 16:13 UTC) needs all 4 shards; try again after 2026-11-20 17:47 UTC, or use";
    an_undo_below_the_minimum_and_the_peak_names_the_minimum:
        undo(raised(2, 2900.0), None).policy(|p| p.min_shards = 4) => "your minimum is 4 shards, and it has 4";
    an_undo_below_the_minimum_and_a_higher_peak_names_the_minimum:
        undo(raised(2, 3900.0), None).policy(|p| p.min_shards = 4) => "your minimum is 4 shards, and it has 4";
    an_undo_below_the_minimum_names_it:
        undo(raised(2, 500.0), None).policy(|p| p.min_shards = 4) => "your minimum is 4 shards, and it has 4";
    an_undo_after_ten_reshards_names_the_time_of_the_next:
        undo(reshards_spent(10), None)
        => "AWS allows 10 reshards in 24 hours, and 10 are spent; try again after 2026-11-21 06:05 UTC";
    an_undo_that_aws_refused_names_the_time_of_the_next:
        undo(raised(5, 500.0).remembering(|m| *m = m.refuse(ChangeKind::Restore, hours_ago(2), false)), None)
        => "AWS refused a restore at 2026-11-20 15:05 UTC; try again after 2026-11-21 15:05 UTC";
    an_undo_while_a_trace_is_throttled_is_refused:
        undo(raised(2, 500.0).minutes(0..=0, MinuteTraffic { write_throttled: 1.0, ..offered(2900.0, 4) }), None)
        => "it is throttled now (1 record refused in 5 minutes)";
    an_undo_of_a_stream_that_refuses_thousands_has_them_apart:
        undo(Fixture::under_load(2, 6500.0), Some(1)).policy(|p| p.window_minutes = 1)
        => "it is throttled now (270,000 records refused in 1 minute)";
    a_forced_undo_of_a_throttled_stream_is_refused:
        force(Fixture::under_load(2, 3000.0), Some(1)) => "--force does not change that";
    a_forced_undo_in_a_full_account_is_refused: force(raised(2, 500.0).shards_left(1), None) => "quota has room for 1";
    a_forced_undo_after_ten_reshards_is_refused:
        force(reshards_spent(10), None) => "AWS allows 10 reshards";
    a_forced_undo_below_the_minimum_is_refused:
        force(raised(2, 500.0), None).policy(|p| p.min_shards = 4) => "your minimum is 4 shards";
    an_undo_after_a_restore_is_no_undo_of_it: undo(restored(4, 2), None) => "no change of ours is left";
    an_undo_after_a_change_of_no_shard_is_no_undo_of_it: undo(restored(2, 2), None) => "no change of ours is left";
    an_undo_while_our_metrics_are_on_and_the_stream_throttles_leaves_them_on:
        undo(with_our_metrics_on().minutes(-9..=0, offered(9000.0, 8)).memory(&metrics_on_for(90)), None)
        => "it is throttled now";
    an_undo_of_the_mode_to_a_number_of_shards_is_refused: undo(switched(), Some(2)) => "it is in on-demand mode";
    an_undo_of_a_throttled_stream_is_refused:
        undo(Fixture::under_load(2, 3000.0), Some(1)) => "it is throttled now";
    an_undo_of_the_shards_of_an_on_demand_stream_is_refused:
        undo(Fixture::new(4).on_demand(), None) => "it is in on-demand mode";
    an_undo_with_readers_behind_is_refused: undo(with_late_readers(), None) => "its readers are behind";
}

fn planned(fixture: Fixture) -> Fixture {
    fixture.policy(|p| p.restore_after_hours = 0).asked_to(|ask| {
        (ask.undo, ask.mode) = (Some(Undo { to: None, force: false }), Some(Mode::Observe));
    })
}

fn before_consent(fixture: Fixture) -> Fixture {
    fixture.policy(|p| p.is_before_consent = true)
}

const YES: &str = "so far nothing was changed.";
const YES_DOES_NOTHING: &str = "--yes changes nothing either: UNTHROTTLE_MODE or its tag is observe.";

rows! { says;
    a_plan_says_that_yes_does_it: planned(raised(2, 500.0)) => ["Would change 4 → 2 shards", YES];
    a_plan_of_a_stream_whose_tag_is_observe_says_that_yes_does_nothing:
        planned(raised(2, 500.0).tag("unthrottle.mode", "observe")) => [YES_DOES_NOTHING];
    a_plan_where_the_setting_is_observe_says_that_yes_does_nothing:
        planned(raised(2, 500.0)).policy(|p| p.mode = Mode::Observe) => [YES_DOES_NOTHING];
    a_plan_before_consent_says_that_yes_does_it:
        before_consent(Fixture::under_load(2, 3000.0)) => ["Would change 2 → 4 shards", YES];
    a_plan_before_consent_of_a_stream_that_only_observes_says_that_yes_does_nothing:
        before_consent(Fixture::under_load(2, 3000.0)).tag("unthrottle.mode", "observe") => [YES_DOES_NOTHING];
    an_undo_where_the_setting_is_observe_says_so:
        undo(raised(2, 500.0), None).policy(|p| p.mode = Mode::Observe) => ["in observe mode nothing was changed"];
}

rows! { says;
    a_forced_undo_does_not_say_that_the_load_needs_no_more:
        force(raised(2, 2900.0), None) => ["you force it, whatever its load"];
    an_undo_that_the_peak_keeps_partial_names_it:
        undo(raised(2, 500.0).minutes(-20..=-20, offered(2100.0, 4)), None)
        => ["the peak at 16:43 UTC, the load of 2.1 shards, needs the rest until 2026-11-20 17:47 UTC"];
    an_undo_that_two_peaks_keep_partial_names_when_the_later_one_ends:
        undo(raised(2, 500.0).minutes(-50..=-50, offered(2200.0, 4)).minutes(-20..=-20, offered(2000.0, 4)), None)
        => ["the peak at 16:13 UTC, the load of 2.2 shards, needs the rest until 2026-11-20 17:47 UTC"];
    an_undo_with_readers_behind_says_how_far: undo(with_late_readers(), None) => ["(2 minutes)", "or use --force"];
}
