//! Before a throttle: which streams get shards for a load that is expected or planned, and which do not. The rows are
//! in one file because plans and forecasts have the same bounds, and each row compares one with the other.

use crate::common::{Fixture, MIB, hours_ago, minutes_ago, newest, now, offered};
use crate::{decides, says};
use chrono::{SubsecRound as _, TimeDelta};
use std::sync::Arc;
use unthrottle_core::decide::{Pending, pending};
use unthrottle_core::decision::{Bound, ForesightHeld, Outcome, Remedy, Verdict};
use unthrottle_core::memory::{Change, ChangeKind, Forecast, Memory, Planned, SplitHistory};
use unthrottle_core::observation::{MinuteTraffic, Past, Status};
use unthrottle_core::policy::{FORESIGHT_TAG, Foresight, Mode, Permission, Policy};
use unthrottle_core::signal::Undo;

/// Four shards of a stream in foresight, with this load in each of the last minutes, in records of 1 KiB a second.
fn at(load: impl Fn(i64) -> f64) -> Fixture {
    let calm = Fixture::new(4).asked().tag(FORESIGHT_TAG, "act").policy(|p| p.foresight = Foresight::Act);
    (0..90).fold(calm, |fixture, ago| fixture.minutes(-ago..=-ago, offered(load(ago), 4)))
}

/// 2,600 records a second half an hour ago, and 22 more in each minute since: 92 % of four shards in 18 minutes.
fn rising() -> Fixture {
    at(|ago| 2600.0 + 22.0 * (29 - ago.min(29)) as f64)
}

/// A load that stays at 80 % of four shards.
fn high() -> Fixture {
    at(|_| 3200.0)
}

/// A minute of this load that refused less than the floor.
fn barely_refused(per_second: f64) -> MinuteTraffic {
    MinuteTraffic { write_throttled: 5.0, ..offered(per_second, 4) }
}

/// Four shards whose readers get 90 % of the bytes that the shards give, this far behind in milliseconds.
fn read(age: f64) -> Fixture {
    let (get_records_bytes, iterator_age_ms) = (0.9 * 4.0 * 2.0 * MIB, Some(age));
    let minute = MinuteTraffic { get_records_bytes, get_records_calls: 240.0, iterator_age_ms, ..offered(2000.0, 4) };
    at(|_| 2000.0).minutes(-89..=0, minute)
}

/// A calm day like the days `ago`, which had `load` from now on.
fn like_days(ago: &[i64], load: f64) -> Fixture {
    let mut past = Past::default();
    for days in ago {
        for step in -12..36 {
            let first = newest().plus(-1440 * days).plus(5 * step);
            let minutes = first.start().timestamp() / 60 % 5;
            *past.mean_mut(first.plus(-minutes)) = offered(if step < 1 { 2000.0 } else { load }, 100);
        }
    }
    at(|_| 2000.0).with(|f| f.observation.past = Some(Arc::new(past)))
}

/// The memory of `count` changes of this kind, two hours apart, the last one three hours ago.
fn spent(count: i64, kind: ChangeKind) -> Memory {
    let change =
        |memory: Memory, n: i64| memory.intend(Change::intent(kind, 4, 4, hours_ago(3 + 2 * (count - 1 - n))), false);
    let mut memory = (0..count).fold(Memory::default(), change);
    let change = memory.change.as_mut().expect("just made");
    (change.settled, change.healed, change.published) = (Some(change.at), Some(change.at), Some(change.at));
    memory
}

/// Asserts the shards that the stream gets ahead of the load. `None`: it is left alone.
#[track_caller]
fn gets(fixture: Fixture, expected: Option<(u32, Option<Bound>)>) {
    let _ = fixture.code();
    let found = match fixture.decide().verdict {
        Verdict::Act(Remedy::ScaleAhead { from: 4, to, partial }) => Some((to, partial)),
        Verdict::Hold(_) => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(found, expected);
}

rows! { gets;
    a_steady_rise_gets_the_shards_of_the_next_hour: rising() => Some((7, None));
    a_load_that_stays_high_gets_one_shard: high() => Some((5, None));
    a_load_that_comes_every_day_gets_its_shards: like_days(&[1, 2], 4500.0) => Some((6, None));
    a_load_that_comes_every_week_gets_its_shards: like_days(&[7, 14], 4500.0) => Some((6, None));
    a_load_that_came_once_last_month_gets_none: like_days(&[5], 4500.0) => None;
    a_calm_stream_is_left_alone: at(|_| 2000.0) => None;
    a_stream_without_the_tag_is_left_alone:
        high().with(|f| drop(f.observation.tags.remove(FORESIGHT_TAG))) => None;
    a_deployment_without_foresight_leaves_it_alone: high().policy(|p| p.foresight = Foresight::Off) => None;
    an_on_demand_stream_is_left_alone: high().on_demand() => None;
    a_step_is_at_most_a_doubling: like_days(&[1], 9000.0) => Some((8, Some(Bound::Double)));
    the_maximum_bounds_it: like_days(&[1], 9000.0).policy(|p| p.max_shards = 5) => Some((5, Some(Bound::MaxShards)));
    at_the_maximum_it_is_left_alone: high().policy(|p| p.max_shards = 4) => None;
    the_accounts_quota_bounds_it: high().account_full() => None;
    the_cost_bounds_it: high().policy(|p| p.max_hourly_cost = Some(0.05)) => None;
    minutes_that_refused_something_show_no_trend:
        rising().minutes(-20..=-20, barely_refused(2798.0)) => None;
    a_level_looks_at_its_ten_minutes_alone: high().minutes(-10..=-10, offered(4100.0, 4)) => Some((5, None));
    a_throttled_minute_of_the_ten_shows_no_level: high().minutes(-9..=-9, offered(4100.0, 4)) => None;
    refusals_below_the_floor_hold_no_level:
        high().minutes(-5..=-5, barely_refused(3200.0)) => Some((5, None));
    refusals_below_the_floor_in_every_minute_hold_no_level:
        high().minutes(-89..=0, barely_refused(3200.0)) => Some((5, None));
    refusals_below_the_floor_show_no_uneven_keys: at(|_| 2600.0).minutes(-89..=0, barely_refused(2600.0)) => None;
    refusals_below_the_floor_are_left_alone_without_foresight:
        high().minutes(-9..=0, barely_refused(3200.0)).policy(|p| p.foresight = Foresight::Off) => None;
    readers_that_keep_up_fill_the_shards: read(60_000.0) => Some((6, None));
    a_reader_that_works_off_a_backlog_is_no_load: read(3_600_000.0) => None;
    five_reshards_of_the_day_leave_one_for_it: high().memory(&spent(5, ChangeKind::Scale)) => Some((5, None));
    four_reshards_of_the_day_are_kept_for_throttles: high().memory(&spent(6, ChangeKind::Scale)) => None;
    a_level_is_answered_three_times_a_day: high().memory(&spent(3, ChangeKind::ScaleAhead)) => None;
    growth_beyond_two_changes_of_a_day_gets_twice_its_need:
        rising().memory(&spent(2, ChangeKind::Scale)) => Some((8, Some(Bound::Double)));
    after_a_revert_it_is_left_alone:
        high().memory(&Memory { reverts: vec![hours_ago(5)], ..spent(1, ChangeKind::Scale) }) => None;
    a_hot_shard_that_was_split_is_left_alone:
        high().memory(&Memory {
            split_histories: vec![SplitHistory { shard: 1, splits: 1, at: hours_ago(3) }],
            ..spent(1, ChangeKind::Scale)
        }) => None;
    a_settling_change_is_waited_for: high().changed(2, 4, 60) => None;
    half_of_the_added_shards_of_the_fleet_are_kept_for_throttles:
        high().policy(|p| p.max_added_shards = 1) => None;
}

/// The memory after a forecast `minutes` ago, for a stream that had `shards`.
fn forecast(minutes: i64, shards: Option<u32>, wrong: u32) -> Memory {
    Memory { forecast: Some(Forecast { at: minutes_ago(minutes), shards, wrong }), ..Memory::default() }
}

/// The memory of `count` levels that were reported, the last one more than an hour ago.
fn reported(count: i64) -> Memory {
    Memory { levels: (2..2 + count).rev().map(hours_ago).collect(), ..forecast(61, None, 0) }
}

/// The same stream where foresight only observes.
fn only_observed(fixture: Fixture) -> Fixture {
    fixture.tag(FORESIGHT_TAG, "observe")
}

/// A load that stays at 80 % of four shards, and falls for `low` minutes.
fn dipped(low: i64) -> Fixture {
    at(|ago| if (20..20 + low).contains(&ago) { 3000.0 } else { 3200.0 })
}

#[track_caller]
fn is_held(fixture: Fixture, held: Option<ForesightHeld>) {
    let _ = fixture.code();
    assert_eq!(fixture.decide().evidence.foresight_held, held);
}

rows! { is_held;
    the_last_forecast_is_checked_first: rising().memory(&forecast(30, Some(4), 0)) => Some(ForesightHeld::OneAnHour);
    a_forecast_that_is_not_checked_yet_is_waited_for_beyond_its_hour:
        rising().memory(&forecast(60, Some(4), 1)) => Some(ForesightHeld::OneAnHour);
    a_checked_forecast_of_the_same_time_lets_the_next_one_go_on: rising().memory(&forecast(60, None, 1)) => None;
    a_forecast_of_this_hour_that_needs_no_check_is_followed_by_none:
        rising().memory(&forecast(59, None, 0)) => Some(ForesightHeld::WithinTheHour);
    a_level_that_stays_is_reported_once: only_observed(high()).memory(&forecast(61, None, 0)) =>
        Some(ForesightHeld::Reported);
    a_level_that_stays_is_answered_again_with_act: high().memory(&forecast(61, None, 0)) => None;
    nine_low_minutes_do_not_end_a_level: only_observed(dipped(9)).memory(&forecast(61, None, 0)) =>
        Some(ForesightHeld::Reported);
    ten_low_minutes_end_a_level: only_observed(dipped(10)).memory(&forecast(61, None, 0)) => None;
    a_level_is_reported_again_after_a_day: only_observed(high()).memory(&forecast(1440, None, 0)) => None;
    a_level_is_reported_three_times_a_day: only_observed(dipped(10)).memory(&reported(3)) =>
        Some(ForesightHeld::LevelToday);
    two_levels_of_a_day_leave_one: only_observed(dipped(10)).memory(&reported(2)) => None;
    a_forecast_of_a_time_to_come_is_forgotten: rising().memory(&forecast(-6, None, 9)) => None;
    an_hour_after_the_last_forecast_it_goes_on: rising().memory(&forecast(61, None, 1)) => None;
    after_two_wrong_ones_it_waits_two_hours:
        rising().memory(&forecast(110, None, 2)) => Some(ForesightHeld::WrongLately);
    after_these_two_hours_it_goes_on: rising().memory(&forecast(121, None, 2)) => None;
    after_three_wrong_ones_it_waits_four_hours:
        rising().memory(&forecast(230, None, 3)) => Some(ForesightHeld::WrongLately);
    the_fleet_keeps_half_of_its_hour:
        high().policy(|p| p.max_changes_per_hour = 2).with(|f| {
            f.observation.traffic.fleet_fixes.insert(newest(), 1);
            f.observation.fleet = unthrottle_core::observation::Fleet::of_all(
                &f.observation.traffic, &Default::default(), None, f.now,
            );
        }) => Some(ForesightHeld::Fleet);
}

/// Asserts whether this run found the last forecast right.
#[track_caller]
fn is_right(fixture: Fixture, right: Option<bool>) {
    let _ = fixture.code();
    let decision = fixture.decide();
    assert_eq!(decision.evidence.forecast_was_right, right);
    if let (Some(right), Some(memory)) = (right, decision.memory) {
        let forecast = memory.forecast.expect("a forecast");
        assert_eq!((forecast.shards.is_none(), forecast.wrong), (true, if right { 0 } else { 2 }));
    }
}

rows! { is_right;
    a_forecast_whose_old_shards_would_be_full_was_right:
        at(|_| 1900.0).memory(&forecast(30, Some(2), 1)) => Some(true);
    a_forecast_whose_load_did_not_come_was_wrong: at(|_| 1000.0).memory(&forecast(70, Some(2), 1)) => Some(false);
    a_forecast_is_not_wrong_before_its_hour: at(|_| 1000.0).memory(&forecast(50, Some(2), 1)) => None;
    a_stream_that_throttled_needed_more:
        at(|_| 1000.0).memory(&forecast(40, Some(2), 1)).minutes(-9..=-9, offered(4100.0, 4)) => Some(true);
    a_silent_stream_says_nothing_of_its_forecast:
        at(|_| 1000.0).memory(&forecast(70, Some(2), 1)).pass(10) => None;
    a_level_is_not_checked: at(|_| 1000.0).memory(&forecast(70, None, 1)) => None;
}

#[test]
fn a_change_ahead_of_the_load_announces_its_forecast() {
    let memory = rising().decide().memory.expect("an intent");
    let change = memory.change.clone().expect("an intent");
    assert_eq!((change.kind, memory.base, change.since), (ChangeKind::ScaleAhead, Some(4), None));
    assert_eq!(memory.forecast, Some(Forecast { at: change.at, shards: Some(4), wrong: 0 }));
    assert_eq!((memory.aheads.len(), memory.reshards.len()), (1, 1));
}

#[test]
fn a_stream_that_observes_reports_a_plan_once_and_records_the_forecast() {
    let fixture = rising().tag(FORESIGHT_TAG, "observe").policy(|p| p.topic_arn = Some("arn:aws:sns:topic".into()));
    let decision = fixture.decide();
    assert_eq!((decision.outcome, decision.notify), (Outcome::Planned, true));
    let memory = decision.memory.expect("a record");
    assert_eq!((memory.change.as_ref(), memory.forecast.map(|f| f.shards)), (None, Some(Some(4))));
    let again = fixture.memory(&memory).pass(1).decide();
    assert_eq!((again.outcome, again.notify), (Outcome::Held, false));
}

#[test]
fn a_level_that_is_only_reported_counts_as_one_of_the_day() {
    let decision = only_observed(high()).memory(&reported(1)).decide();
    assert_eq!(decision.evidence.foresight_held, Some(ForesightHeld::Reported));
    let decision = only_observed(dipped(10)).memory(&reported(1)).decide();
    let memory = decision.memory.expect("a record");
    assert_eq!((decision.outcome, memory.levels), (Outcome::Planned, vec![hours_ago(2), now().trunc_subsecs(0)]));
    assert_eq!(memory.forecast.map(|forecast| forecast.shards), Some(None), "it is not checked");
    let trend = only_observed(rising()).decide().memory.expect("a record");
    assert!(trend.levels.is_empty());
}

#[test]
fn a_level_is_not_said_to_be_checked() {
    let sentence = only_observed(high()).sentence();
    let end = "foresight only observes, so nothing was changed.";
    assert!(sentence.contains(end) && !sentence.contains("checked"), "{sentence}");
    says(
        only_observed(high()).memory(&forecast(61, None, 0)),
        ["Nothing is changed for it: that was reported, and foresight only observes."],
    );
    says(
        high().memory(&forecast(30, None, 0)),
        ["Nothing is changed for it: the last forecast was less than an hour ago, so it waits until 2026-11-20"],
    );
}

#[test]
fn a_function_that_observes_reports_the_plan_and_writes_nothing() {
    let decision = rising().policy(|p| p.mode = Mode::Observe).decide();
    assert_eq!((decision.outcome, decision.memory), (Outcome::Planned, None));
}

#[test]
fn its_sentences_say_what_is_expected_when_and_from_which_days() {
    says(
        rising(),
        [
            "its load rises steadily, and fills 93 % of its 4 shards by 17:25 UTC",
            "7 shards carry it at 75 % utilization",
            "Changed 4 → 7 shards.",
            "To stop: tag it unthrottle.foresight=off.",
            "unthrottle restore orders",
        ],
    );
    says(high(), ["for ten minutes its load has filled up to 80 % of its 4 shards, so little is left"]);
    says(like_days(&[7, 14], 4500.0), ["as on Fri 2026-11-13 and Fri 2026-11-06, its load fills", "UTC"]);
    says(
        rising().tag(FORESIGHT_TAG, "observe"),
        ["Would change 4 → 7 shards; foresight only observes, so nothing was changed. It is checked in an hour."],
    );
    says(
        high().policy(|p| p.max_shards = 4),
        ["Expected: for ten minutes", "Nothing is changed for it: your maximum of shards allows no more."],
    );
    says(
        high().policy(|p| p.max_hourly_cost = Some(0.05)),
        ["Nothing is changed for it: one more shard would cost more than your maximum of cost."],
    );
    says(high().account_full(), ["Nothing is changed for it: the account's shard quota leaves no room."]);
    for (wrong, says_so) in [
        (1, "Its last 2 forecasts were wrong, so the next one waits for 2 hours."),
        (7, "Its last 8 forecasts were wrong, so the next one waits for 128 hours."),
        (8, "Its last 9 forecasts were wrong, so the next one waits for 128 hours."),
    ] {
        says(at(|_| 1000.0).memory(&forecast(70, Some(2), wrong)), [says_so]);
    }
    says(
        high().minutes(-1..=-1, barely_refused(3200.0)),
        ["orders: 5 records refused (up to 0.01 % of a minute); for ten minutes its load has filled"],
    );
}

/// A calm stream. A person plans shards of it for the next three hours.
fn planned(at_least: u32) -> Fixture {
    let plan = Some(Planned { at_least, until: now() + TimeDelta::hours(3) });
    at(|_| 1000.0).asked_to(|ask| ask.plan = plan).policy(|p| p.foresight = Foresight::Off)
}

rows! { gets;
    a_plan_scales_up_to_its_shards: planned(6) => Some((6, None));
    a_plan_is_reached_in_several_steps: planned(20) => Some((8, Some(Bound::Double)));
    a_plan_that_is_reached_changes_nothing: planned(4) => None;
    a_plan_beyond_the_maximum_is_refused: planned(101) => None;
    a_plan_keeps_four_reshards_for_throttles: planned(6).memory(&spent(6, ChangeKind::Scale)) => None;
    a_plan_waits_for_a_change_under_way: planned(6).changed(2, 4, 60) => None;
    a_sweep_goes_on_with_a_plan:
        planned(20).asked().memory(&planned(20).decide().memory.expect("a plan").without_change()) =>
            Some((8, Some(Bound::Double)));
}

/// A calm minute of four shards in which one reader is nearly 17 hours behind, of 24 hours of retention.
fn with_a_slow_reader() -> MinuteTraffic {
    let (get_records_bytes, get_records_calls) = (1e6, 60.0);
    MinuteTraffic { iterator_age_ms: Some(6e7), get_records_bytes, get_records_calls, ..offered(1000.0, 4) }
}

/// A calm minute of four shards that refused this number of records.
fn refusing(write_throttled: f64) -> MinuteTraffic {
    MinuteTraffic { write_throttled, ..offered(1000.0, 4) }
}

/// The same stream and plan. Half of the hourly changes of the fleet are made.
fn planned_in_a_busy_fleet() -> Fixture {
    planned(6).policy(|p| p.max_changes_per_hour = 2).with(|f| {
        f.observation.traffic.fleet_fixes.insert(newest(), 1);
        f.observation.fleet =
            unthrottle_core::observation::Fleet::of_all(&f.observation.traffic, &Default::default(), None, f.now);
    })
}

rows! { gets;
    a_plan_does_not_wait_for_a_slow_reader: planned(6).minutes(-89..=0, with_a_slow_reader()) => Some((6, None));
    a_plan_does_not_wait_for_refusals_below_the_floor: planned(6).minutes(-9..=0, refusing(5.0)) => Some((6, None));
    a_plan_does_not_wait_for_hot_shards_that_nothing_shows:
        planned(6).minutes(-9..=0, refusing(2000.0)).policy(|p| p.diagnose = Permission::Deny) => Some((6, None));
    a_plan_does_not_wait_for_readers_with_too_many_calls: planned(6).minutes(-9..=0, MinuteTraffic {
        read_throttled: 600.0, get_records_calls: 2400.0, get_records_bytes: 1e6, ..offered(1000.0, 4)
    }) => Some((6, None));
}

rows! { decides;
    a_throttle_that_needs_shards_goes_before_a_plan:
        planned(6).minutes(-9..=0, offered(7000.0, 4)) => "scale_shards";
    a_plan_waits_for_a_reshard: planned(6).stream(|s| s.status = Status::Updating) => "resharding";
    a_plan_that_the_quota_holds_is_reported: planned(6).account_full() => "plan_not_reached";
    a_plan_that_the_cost_holds_is_reported:
        planned(6).policy(|p| p.max_hourly_cost = Some(0.05)) => "plan_not_reached";
    a_plan_that_waits_for_the_reshards_kept_is_reported:
        planned(6).memory(&spent(6, ChangeKind::Scale)) => "plan_not_reached";
    a_plan_after_a_revert_is_reported:
        planned(6).memory(&Memory { reverts: vec![hours_ago(5)], ..spent(1, ChangeKind::Scale) }) =>
            "plan_not_reached";
    a_plan_that_the_fleet_holds_is_reported: planned_in_a_busy_fleet() => "plan_not_reached";
    a_plan_above_a_maximum_that_was_lowered_is_reported:
        planned(3).asked().policy(|p| p.max_shards = 4).memory(&running(6, 180)) => "plan_not_reached";
    a_plan_that_is_held_hides_no_hold_that_needs_a_person:
        planned(6).minutes(-89..=0, with_a_slow_reader()).account_full() => "consumer_slow";
    a_plan_that_is_held_beside_refusals_below_the_floor_is_reported:
        planned(6).minutes(-9..=0, refusing(5.0)).account_full() => "plan_not_reached";
}

/// The memory of a plan of `at_least` shards for the next `minutes`.
fn running(at_least: u32, minutes: i64) -> Memory {
    let until = now() + TimeDelta::minutes(minutes);
    Memory { planned: Some(Planned { at_least, until: until.trunc_subsecs(0) }), ..Memory::default() }
}

#[test]
fn a_plan_that_is_not_reached_names_the_bound_and_notifies_once_an_hour() {
    let topic = |p: &mut Policy| p.topic_arn = Some("arn:aws:sns:us-east-1:123456789012:scaling".into());
    let fixture = planned(6).account_full().policy(topic);
    let decision = fixture.decide();
    assert!(decision.notify && decision.needs_person());
    let memory = decision.memory.expect("a record");
    assert!(!fixture.clone().memory(&memory).decide().notify, "the same within the hour");
    let until = "at least 6 shards are planned until 2026-11-20 20:05 UTC";
    says(
        fixture,
        ["it has 4 shards, and ", until, "the account's shard quota leaves no room", "\"Shards per Region\""],
    );
    says(
        planned(6).policy(|p| p.max_hourly_cost = Some(0.05)),
        [until, "would cost more than your maximum of cost", "Raise UNTHROTTLE_MAX_HOURLY_COST."],
    );
    says(planned(6).memory(&spent(6, ChangeKind::Scale)), [until, "four reshards of the day are kept for throttles"]);
    says(planned_in_a_busy_fleet(), [until, "half of the bounds of the fleet", "UNTHROTTLE_MAX_CHANGES_PER_HOUR"]);
}

#[test]
fn every_hold_names_the_plan() {
    let until = ["At least 6 shards are planned until 2026-11-20 20:05 UTC."];
    says(planned(6).minutes(-89..=0, with_a_slow_reader()).account_full(), until);
    says(planned(6).changed(2, 4, 60), until);
    says(planned(6).stream(|s| s.status = Status::Updating), until);
    says(planned(101).memory(&running(6, 180)), ["your plan is not taken", until[0]]);
    let kept = planned(6).stream(|s| s.open_shards = 6);
    assert_eq!(kept.sentence().matches("planned until").count(), 1, "{}", kept.sentence());
}

#[test]
fn of_two_plans_the_larger_number_and_the_later_end_count() {
    let asked = |at_least, minutes, runs: Memory| {
        let plan = running(at_least, minutes).planned;
        planned(1).asked_to(|ask| ask.plan = plan).memory(&runs).decide().memory.expect("a record").planned
    };
    assert_eq!(asked(3, 5, running(20, 540)), running(20, 540).planned, "a smaller one takes nothing from it");
    assert_eq!(asked(24, 900, running(20, 540)), running(24, 900).planned);
    assert_eq!(asked(24, 5, running(20, 540)), running(24, 540).planned);
    assert_eq!(asked(3, 900, running(20, 540)), running(20, 900).planned);
    assert_eq!(asked(3, 5, running(20, -1)), running(3, 5).planned, "one that is over does not count");
    assert_eq!(asked(1, 5, running(20, 540)), None, "one shard ends the plan");
}

#[test]
fn a_plan_that_begins_later_is_not_taken() {
    let from = |minutes| {
        planned(6).asked_to(|ask| {
            (ask.plan, ask.plan_from) = (running(6, 600).planned, Some(now() + TimeDelta::minutes(minutes)));
        })
    };
    says(from(6), ["it begins at 2026-11-20 17:11 UTC, and a plan begins at once", "`unthrottle plan`"]);
    assert_eq!((from(6).code(), from(5).code(), from(-30).code()), ("not_planned", "scale_ahead", "scale_ahead"));
}

#[test]
fn a_plan_in_the_memory_that_is_longer_than_a_plan_may_be_is_forgotten() {
    const MONTH: i64 = 31 * 24 * 60;
    let sweep = |minutes| planned(1).asked().memory(&running(6, minutes));
    assert_eq!((sweep(MONTH).code(), sweep(MONTH + 1).code()), ("scale_ahead", "healthy"));
    let is_due = |minutes| {
        let Fixture { observation, policy, now, .. } = sweep(minutes);
        pending(&observation.tags, &policy, now).is_some()
    };
    assert_eq!((is_due(MONTH), is_due(MONTH + 1)), (true, false));
}

#[test]
fn a_forced_restore_ends_the_plan_and_the_next_sweep_leaves_it() {
    let forced = raised(Some(6)).asked_to(|ask| ask.undo = Some(Undo { to: None, force: true }));
    let mut memory = forced.decide().memory.expect("an intent");
    assert_eq!(memory.planned, None);
    says(forced, ["Changed 6 → 3 shards.", "This ends the plan of at least 6 shards until 2026-11-20 17:15 UTC."]);
    let change = memory.change.as_mut().expect("an intent");
    change.at = minutes_ago(30);
    (change.settled, change.published) = (Some(minutes_ago(28)), Some(minutes_ago(25)));
    memory.reshards = vec![minutes_ago(30)];
    let sweep = at(|_| 1000.0).stream(|s| s.open_shards = 3).memory(&memory);
    assert_eq!(sweep.code(), "healthy");
    // With the plan, the sweep would revert what the person forced.
    let plan = raised(Some(6)).remembered().planned;
    assert_eq!(sweep.remembering(|memory| memory.planned = plan).code(), "scale_ahead");
    let above = raised(Some(3)).asked_to(|ask| ask.undo = Some(Undo { to: None, force: true }));
    assert!(above.decide().memory.expect("an intent").planned.is_some(), "a step that leaves the plan keeps it");
}

#[test]
fn the_undo_of_a_planned_change_is_forced() {
    says(planned(6), ["To undo it: unthrottle restore orders --region us-east-1 --force --yes"]);
    says(
        planned(6).policy(|p| p.restore_after_hours = 2),
        ["It is undone by itself after the plan and 2 hours without throttling."],
    );
    let below = planned(6).minutes(-9..=0, offered(7000.0, 4));
    says(below.clone(), ["To undo it: unthrottle restore orders --region us-east-1 --force --yes"]);
    says(below.asked(), ["To undo it: unthrottle restore orders --region us-east-1 --yes"]);
    says(
        raised(Some(6)).asked_to(|ask| ask.undo = Some(Undo::default())),
        ["not restored: at least 6 shards are planned until 2026-11-20 17:15 UTC", "--force, which ends the plan"],
    );
}

/// A memory with its plan alone.
trait WithoutChange {
    fn without_change(self) -> Memory;
}

impl WithoutChange for Memory {
    fn without_change(self) -> Memory {
        Memory { planned: self.planned, ..Memory::default() }
    }
}

#[test]
fn a_plan_is_kept_whatever_the_run_finds() {
    let plan = planned(6).decide().memory.expect("a plan").planned;
    for fixture in [
        planned(6).stream(|s| s.status = Status::Updating),
        planned(6).changed(2, 4, 10),
        planned(6).changed(2, 4, 60),
        planned(6).minutes(-9..=0, offered(5000.0, 4)),
    ] {
        let decision = fixture.decide();
        let kept = decision.memory.as_ref().and_then(|memory| memory.planned);
        assert_eq!(kept, plan, "{}", decision.verdict.code());
    }
}

#[test]
fn a_plan_that_cannot_be_kept_says_why() {
    let until = |until| {
        let plan = Some(Planned { at_least: 6, until });
        planned(6).asked_to(|ask| ask.plan = plan)
    };
    says(planned(101), ["it names 101 shards, and the maximum of the stream is 100", "Nothing was changed."]);
    says(until(minutes_ago(1)), ["it ends at 2026-11-20 17:04 UTC, and that is over"]);
    says(until(now() + TimeDelta::days(32)), ["a plan may last 31 days"]);
    says(planned(6).on_demand(), ["on-demand mode"]);
    assert!(planned(101).decide().needs_person());
}

/// Six shards that we raised from two, without throttling since, with a plan of `at_least` shards.
fn raised(at_least: Option<u32>) -> Fixture {
    let mut memory = Memory { base: Some(2), ..spent(1, ChangeKind::Scale) };
    let change = memory.change.as_mut().expect("made");
    (change.from, change.to) = (unthrottle_core::memory::Size::Shards(2), unthrottle_core::memory::Size::Shards(6));
    memory.planned = at_least.map(|at_least| Planned { at_least, until: now() + TimeDelta::minutes(10) });
    let fixture = at(|_| 1000.0).stream(|s| s.open_shards = 6).memory(&memory);
    fixture.minutes(-300..=-90, offered(1000.0, 4)).policy(|p| p.restore_after_hours = 2)
}

#[track_caller]
fn restores(fixture: Fixture, expected: Option<(u32, Option<Bound>)>) {
    let _ = fixture.code();
    let found = match fixture.decide().verdict {
        Verdict::Act(Remedy::Restore { from: 6, to, partial }) => Some((to, partial)),
        Verdict::Hold(_) => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(found, expected);
}

/// The same weekday needed this load in the hours that come.
fn week_ago(load: f64) -> Fixture {
    let mut past = Past::default();
    for step in 30..60 {
        let first = newest().plus(-7 * 1440).plus(5 * step);
        *past.mean_mut(first.plus(-(first.start().timestamp() / 60 % 5))) = offered(load, 100);
    }
    raised(None).with(|f| f.observation.past = Some(Arc::new(past)))
}

rows! { restores;
    without_a_plan_it_gives_back_what_it_can: raised(None) => Some((3, Some(Bound::Half)));
    a_restore_leaves_the_planned_shards: raised(Some(4)) => Some((4, Some(Bound::Kept)));
    a_plan_of_all_shards_prevents_a_restore: raised(Some(6)) => None;
    a_person_is_not_allowed_below_the_plan:
        raised(Some(5)).asked_to(|ask| ask.undo = Some(Undo::default())) => Some((5, Some(Bound::Kept)));
    a_person_who_forces_it_is:
        raised(Some(5)).asked_to(|ask| ask.undo = Some(Undo { to: None, force: true })) =>
            Some((3, Some(Bound::Half)));
    the_coming_hours_of_the_same_weekday_keep_their_shards: week_ago(2500.0) => Some((4, Some(Bound::Kept)));
    a_small_step_down_is_not_worth_a_reshard: week_ago(2800.0) => None;
    a_load_that_rises_keeps_its_shards: (0..30).fold(raised(None), |fixture, ago| {
        fixture.minutes(-ago..=-ago, offered(1000.0 + 10.0 * (29 - ago) as f64, 4))
    }) => None;
    without_the_tag_the_weekday_does_not_count:
        week_ago(2800.0).tag(FORESIGHT_TAG, "observe") => Some((3, Some(Bound::Half)));
    a_restore_that_was_too_early_doubles_the_calm_hours:
        raised(None).remembering(|memory| memory.early_restores = 1) => None;
    four_reshards_are_kept_from_restores_too: raised(None).remembering(|memory| {
        let change = memory.change.clone().expect("made");
        memory.reshards = spent(6, ChangeKind::Scale).reshards;
        memory.change = Some(change);
    }) => None;
}

#[test]
fn throttling_soon_after_a_restore_counts_as_too_early_and_calm_counts_down() {
    let restored = |hours| {
        let mut memory = Memory::default().intend(Change::intent(ChangeKind::Restore, 8, 4, hours_ago(hours)), false);
        let change = memory.change.as_mut().expect("made");
        (change.settled, change.published) = (Some(change.at), Some(change.at));
        memory
    };
    let throttled = |hours| high().minutes(-9..=0, offered(5000.0, 4)).memory(&restored(hours)).decide();
    assert_eq!(throttled(5).memory.expect("an intent").early_restores, 1);
    assert_eq!(throttled(7).memory.expect("an intent").early_restores, 0);
    let calm = raised(None).remembering(|memory| memory.early_restores = 1).policy(|p| p.restore_after_hours = 1);
    assert_eq!(calm.decide().memory.expect("an intent").early_restores, 0);
}

#[test]
fn a_sweep_looks_at_streams_in_foresight_and_at_plans_that_are_not_reached() {
    let of = |fixture: &Fixture| pending(&fixture.observation.tags, &fixture.policy, fixture.now);
    assert_eq!(of(&high()), Some(Pending::Foresight));
    assert_eq!(of(&high().policy(|p| p.foresight = Foresight::Off)), None);
    assert_eq!(of(&high().tag(FORESIGHT_TAG, "off")), None);
    assert_eq!(of(&high().tag("unthrottle.mode", "off")), None);
    let plan = |at_least| {
        let fixture = raised(Some(at_least)).policy(|p| (p.foresight, p.restore_after_hours) = (Foresight::Off, 0));
        of(&fixture)
    };
    assert_eq!((plan(6), plan(7)), (Some(Pending::Foresight), Some(Pending::Foresight)), "every five minutes");
    assert_eq!(of(&raised(Some(7)).policy(|p| p.mode = Mode::Observe).tag(FORESIGHT_TAG, "off")), None);
}

#[test]
fn a_sweep_goes_on_at_once_with_a_plan_whose_step_has_just_settled() {
    let step = |at_least, minutes| {
        let mut memory = Memory { planned: running(at_least, 60).planned, ..spent(1, ChangeKind::ScaleAhead) };
        memory.change.as_mut().expect("made").settled = Some(minutes_ago(minutes));
        let fixture = high().policy(|p| p.foresight = Foresight::Off).memory(&memory);
        pending(&fixture.observation.tags, &fixture.policy, fixture.now)
    };
    assert_eq!((step(5, 14), step(5, 15)), (Some(Pending::Now), Some(Pending::Foresight)));
    assert_eq!(step(4, 14), Some(Pending::Foresight), "it is reached");
}

#[test]
fn each_stream_has_its_turn_once_in_five_minutes() {
    use unthrottle_core::decide::is_turn_to_look_ahead;
    for stream in ["orders", "payments", "clicks", "a"] {
        let minutes = |every: i64| (0..60 / every).map(move |n| now() + TimeDelta::minutes(every * n));
        let turns = |every: i64| {
            let next = |at| Some(at + TimeDelta::minutes(every));
            minutes(every).filter(|at| is_turn_to_look_ahead(stream, *at, next(*at))).count()
        };
        assert_eq!((turns(1), turns(5), turns(10)), (12, 12, 6), "{stream}");
        assert!(is_turn_to_look_ahead(stream, now(), None));
    }
}

#[test]
fn a_memory_of_forecasts_and_plans_reads_as_it_was_written() {
    let memory = Memory {
        forecast: Some(Forecast { at: minutes_ago(7), shards: Some(4), wrong: 3 }),
        planned: Some(Planned { at_least: 8, until: minutes_ago(-90) }),
        early_restores: 2,
        levels: vec![hours_ago(20), minutes_ago(9)],
        ..spent(3, ChangeKind::ScaleAhead)
    };
    for memory in [memory, reported(3)] {
        let text = memory.encode().expect("fits");
        assert_eq!(Memory::parse(&text), Ok(memory), "{text}");
    }
    for bad in ["levels=x", "fore=4.0", "fore=x.0.1", "plan=8", "plan=8/tomorrow", "early=-1", "aheads=x"] {
        assert!(Memory::parse(&format!("v=1 change=ahead/2/4/20261120T170440Z {bad}")).is_err(), "{bad}");
    }
}
