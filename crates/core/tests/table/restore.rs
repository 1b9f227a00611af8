//! When shards that we opened are closed again.

use crate::common::{self, Fixture, HOUR, MIB, hours_ago, minutes_ago, offered};
use crate::lag::with_fan_out;
use crate::{decides, says};
use unthrottle_core::decision::{Bound, Remedy, Verdict};
use unthrottle_core::memory::{Change, ChangeKind, Memory};
use unthrottle_core::observation::MinuteTraffic;
use unthrottle_core::signal::Undo;

/// Four shards that we raised from one, `hours` before now, without throttling since. `load`: records of 1 KiB a
/// second. The policy allows a restore after six hours.
pub fn raised(hours: i64, load: f64) -> Fixture {
    let fixture = Fixture::new(4).minutes(-1439..=0, offered(load, 4)).memory(&common::raised(hours)).asked();
    fixture.policy(|p| p.restore_after_hours = 6)
}

/// The same with its first step down, from eight to four shards, `minutes` before now.
fn stepped_down(minutes: i64) -> Fixture {
    let at = minutes_ago(minutes);
    let mut memory = Memory::default().intend(Change::intent(ChangeKind::Restore, 8, 4, at), false);
    let change = memory.change.as_mut().expect("just made");
    (change.settled, change.published) = (Some(at), Some(at));
    memory.base = Some(1);
    raised(7, 500.0).memory(&memory)
}

/// The same, raised from two shards, where the stream refused records when it took `accepted` a second.
fn throttled_at(accepted: f64) -> Fixture {
    let refused = MinuteTraffic { write_throttled: 6_000.0, ..offered(accepted, 4) };
    raised(7, 1450.0).minutes(-460..=-450, refused).remembering(|memory| memory.base = Some(2))
}

/// Asserts the shards before and after a restore, and the bound that makes it a partial step. `None`: no restore.
#[track_caller]
fn restores(fixture: Fixture, expected: Option<(u32, u32, Option<Bound>)>) {
    let restored = match fixture.decide().verdict {
        Verdict::Act(Remedy::Restore { from, to, partial }) => Some((from, to, partial)),
        _ => None,
    };
    assert_eq!(restored, expected);
}

rows! { restores;
    a_restore_never_goes_below_half: raised(7, 500.0) => Some((4, 2, Some(Bound::Half)));
    // 2 of 0.75 are 2.7.
    a_restore_never_goes_below_the_peak: raised(7, 2000.0) => Some((4, 3, Some(Bound::Peak)));
    a_restore_never_goes_below_the_peak_of_reads:
        raised(7, 500.0).minutes(-60..=-60, MinuteTraffic { get_records_bytes: 4.0 * MIB, ..offered(500.0, 4) })
        => Some((4, 3, Some(Bound::Peak)));
    a_restore_never_goes_below_the_shards_from_before:
        raised(7, 500.0).remembering(|memory| memory.base = Some(3)) => Some((4, 3, None));
    a_restore_never_goes_below_the_minimum:
        raised(7, 500.0).policy(|p| p.min_shards = 3) => Some((4, 3, Some(Bound::MinShards)));
    a_restore_goes_on_an_hour_after_its_first_step: stepped_down(70) => Some((4, 2, Some(Bound::Half)));
    a_restore_waits_an_hour_after_its_first_step: stepped_down(55) => None;
}

rows! { restores;
    // Two full shards, and 1.45 of 0.75 are 1.9.
    a_restore_goes_to_two_shards_where_two_full_ones_throttled: throttled_at(2000.0) => Some((4, 2, None));
    a_restore_goes_to_three_shards_where_two_at_80_percent_throttled:
        throttled_at(1600.0) => Some((4, 3, Some(Bound::Peak)));
    a_burst_in_a_quiet_minute_does_not_bound_a_restore: throttled_at(500.0) => Some((4, 2, None));
}

/// The same, where a second step followed while the stream had four shards, and then refused records, too, when it took
/// `accepted` a second.
fn throttled_twice(first: f64, second: f64) -> Fixture {
    let refused = MinuteTraffic { write_throttled: 6_000.0, ..offered(second, 8) };
    throttled_at(first).minutes(-448..=-440, refused)
}

/// Eight shards, raised from two by way of four: 7 h 30 min and 7 h ago. The keys are so uneven that the stream
/// throttled when `evenness` of its shards' capacity was taken, before and between these steps.
fn raised_in_two_steps(evenness: f64) -> Fixture {
    let refused = |shards: f64| MinuteTraffic { write_throttled: 6_000.0, ..offered(shards * evenness * 1000.0, 8) };
    let step = |from, to, minutes| Change::intent(ChangeKind::Scale, from, to, minutes_ago(minutes));
    let mut memory = Memory::default().intend(step(2, 4, 450), false).intend(step(4, 8, 420), false);
    let change = memory.change.as_mut().expect("just made");
    (change.settled, change.healed, change.published) = (Some(change.at), Some(change.at), Some(change.at));
    memory.base = Some(2);
    let fixture = Fixture::new(8).minutes(-1439..=0, offered(2_900.0, 8)).memory(&memory).asked();
    let fixture = fixture.minutes(-459..=-449, refused(2.0)).minutes(-444..=-421, refused(4.0));
    fixture.policy(|p| p.restore_after_hours = 6)
}

rows! { restores;
    uneven_keys_are_seen_through_two_steps: throttled_twice(1600.0, 3200.0) => Some((4, 3, Some(Bound::Peak)));
    even_keys_are_seen_through_two_steps: throttled_twice(2000.0, 3900.0) => Some((4, 2, None));
    // 2.9 of 0.8 and 0.75 are 4.8.
    the_steps_in_the_memory_tell_how_even_the_keys_are:
        raised_in_two_steps(0.8) => Some((8, 5, Some(Bound::Peak)));
    even_keys_in_two_steps_leave_half: raised_in_two_steps(1.0) => Some((8, 4, Some(Bound::Half)));
}

/// Ten shards that we raised from four, `hours` ago. They took `peak` records a second in some minutes of yesterday.
fn daily(hours: i64, peak: f64, minutes: std::ops::RangeInclusive<i64>) -> Fixture {
    let mut memory = Memory::default().intend(Change::intent(ChangeKind::Scale, 4, 10, hours_ago(hours)), false);
    let change = memory.change.as_mut().expect("just made");
    (change.settled, change.healed, change.published) = (Some(change.at), Some(change.at), Some(change.at));
    memory.base = Some(4);
    let fixture = Fixture::new(10).minutes(-1439..=0, offered(1000.0, 10)).minutes(minutes, offered(peak, 10));
    fixture.memory(&memory).asked().policy(|p| p.restore_after_hours = 3)
}

rows! { restores;
    // It is 17:03. Yesterday the load rose at 18:03, and needed ten shards.
    shards_that_yesterdays_next_hour_needed_stay: daily(40, 7_000.0, -1380..=-1000) => None;
    shards_that_yesterdays_fifth_hour_needed_stay: daily(40, 7_000.0, -1150..=-1000) => None;
    shards_that_yesterdays_next_hours_partly_needed_partly_go:
        daily(40, 5_000.0, -1380..=-1000) => Some((10, 7, Some(Bound::Peak)));
    shards_that_only_later_hours_of_yesterday_needed_go:
        daily(40, 7_000.0, -800..=-300) => Some((10, 5, Some(Bound::Half)));
    // Its retries do not count, and it is four hours old: an incident does not hold its shards for a day.
    an_incident_of_today_holds_no_shards:
        daily(4, 1000.0, 0..=0).minutes(-260..=-241, offered(30_000.0, 4)) => Some((10, 5, Some(Bound::Half)));
    // 4 of 0.75 are 5.3. The retries of the incident would need 40.
    an_incident_at_this_time_of_yesterday_holds_what_it_accepted:
        daily(23, 1000.0, 0..=0).minutes(-1400..=-1381, offered(30_000.0, 4)) => Some((10, 6, Some(Bound::Peak)));
}

/// The same, where readers are two minutes behind.
pub fn with_late_readers() -> Fixture {
    let late = MinuteTraffic { iterator_age_ms: Some(120_000.0), ..offered(500.0, 4) };
    raised(7, 500.0).minutes(0..=0, late)
}

/// The same after `reshards` reshards today.
fn after_reshards(reshards: i64) -> Fixture {
    raised(7, 500.0).remembering(|memory| memory.reshards = (0..reshards).rev().map(|n| hours_ago(7 + n)).collect())
}

rows! { decides;
    a_raised_stream_without_throttling_for_as_long_as_is_set_is_restored: raised(7, 500.0) => "restore";
    a_raised_stream_stays_where_restoring_is_off:
        raised(7, 500.0).policy(|p| p.restore_after_hours = 0) => "healthy";
    a_stream_that_was_raised_five_hours_ago_stays: raised(5, 500.0) => "healthy";
    a_raised_stream_whose_peak_needs_all_shards_stays: raised(7, 2900.0) => "healthy";
    a_raised_stream_whose_peak_of_one_minute_needs_all_shards_stays:
        raised(7, 500.0).minutes(-300..=-300, offered(2900.0, 4)) => "healthy";
    a_raised_stream_that_throttled_five_hours_ago_stays:
        raised(7, 500.0).minutes(-300..=-300, offered(5000.0, 4)) => "healthy";
    a_raised_stream_that_throttled_seven_hours_ago_is_restored:
        raised(8, 500.0).minutes(-420..=-420, offered(5000.0, 4)) => "restore";
    a_raised_stream_whose_readers_are_behind_stays: with_late_readers() => "healthy";
    a_raised_stream_that_another_person_resized_settles:
        raised(7, 500.0).stream(|s| s.open_shards = 5).resharded(4, 2) => "settling";
    a_raised_stream_stays_after_eight_reshards_today: after_reshards(8) => "healthy";
    a_raised_stream_is_restored_after_seven_reshards_today: after_reshards(7) => "restore";
    a_raised_stream_stays_where_aws_refused_a_restore_today:
        raised(7, 500.0)
            .remembering(|memory| *memory = memory.refuse(ChangeKind::Restore, hours_ago(2), false))
        => "healthy";
    a_raised_stream_stays_where_the_quota_has_no_headroom_for_a_reshard:
        raised(7, 500.0).shards_left(1) => "healthy";
    a_stream_that_was_never_raised_stays:
        Fixture::new(4).minutes(-1439..=0, offered(500.0, 4)).policy(|p| p.restore_after_hours = 6) => "healthy";
}

/// The same, with three registered consumers, where CloudWatch shows `shown` of them, `behind` milliseconds behind.
fn with_consumers(shown: u32, behind: f64) -> Fixture {
    with_fan_out(raised(7, 500.0), 3, shown, behind)
}

/// The same raised stream with a reader that calls in every minute, was `hours` behind, and has made no call for
/// `minutes` minutes.
pub fn with_unseen_reader(hours: f64, minutes: i64) -> Fixture {
    let read = MinuteTraffic { iterator_age_ms: Some(hours * HOUR), get_records_calls: 240.0, ..offered(500.0, 4) };
    raised(7, 500.0).minutes(-300..=-minutes, read)
}

/// A reader that calls every ten minutes, and is then ten minutes behind, eight minutes after its last call.
fn with_seldom_reader() -> Fixture {
    let read = MinuteTraffic { iterator_age_ms: Some(600_000.0), get_records_calls: 8.0, ..offered(500.0, 4) };
    (0..30).fold(raised(7, 500.0), |fixture, call| fixture.minutes(-8 - 10 * call..=-8 - 10 * call, read))
}

rows! { decides;
    a_raised_stream_whose_late_reader_is_not_seen_for_8_minutes_stays: with_unseen_reader(3.0, 8) => "healthy";
    a_raised_stream_whose_late_reader_is_not_seen_for_30_minutes_stays: with_unseen_reader(3.0, 30) => "healthy";
    a_raised_stream_whose_reader_kept_up_and_is_not_seen_is_restored: with_unseen_reader(0.0, 30) => "restore";
    a_raised_stream_whose_reader_calls_every_ten_minutes_is_restored: with_seldom_reader() => "restore";
    a_raised_stream_whose_reader_moved_to_fan_out_is_restored:
        with_fan_out(with_unseen_reader(3.0, 30), 1, 1, 40.0).with(|f| {
            let lags = f.observation.traffic.fan_out.as_mut().expect("known");
            lags.retain(|minute, _| *minute > common::newest().plus(-30));
        }) => "restore";
    a_raised_stream_whose_late_reader_is_not_seen_beside_a_registered_consumer_stays:
        with_fan_out(with_unseen_reader(3.0, 30), 1, 1, 40.0) => "healthy";
    a_restore_by_hand_waits_for_a_late_reader_that_is_not_seen:
        by_hand(with_unseen_reader(3.0, 8)) => "not_restorable";
    a_restore_by_hand_waits_for_a_late_reader_that_is_not_seen_for_30_minutes:
        by_hand(with_unseen_reader(3.0, 30)) => "not_restorable";
    a_forced_restore_does_not_wait_for_a_reader_that_is_not_seen: forced(with_unseen_reader(3.0, 8)) => "restore";
    a_forced_restore_does_not_wait_for_unknown_consumers: forced(with_consumers(0, 0.0)) => "restore";
}

rows! { says;
    a_restore_that_waits_for_a_reader_says_so:
        with_unseen_reader(3.0, 8)
        => ["was 3.0 hours behind, and is not seen since 16:56 UTC", "A restore waits: unknown is not zero"];
    a_restore_by_hand_that_waits_for_a_reader_says_how_to_go_on:
        by_hand(with_unseen_reader(3.0, 8))
        => ["not restored: its reader was 3 hours behind", "2026-11-20 16:56 UTC", "or use --force"];
    a_restore_by_hand_that_waits_for_unknown_consumers_says_how_to_go_on:
        by_hand(with_consumers(0, 0.0)) => ["Deregister a consumer that no longer reads, or use --force"];
}

/// A person asks for the restore.
fn by_hand(fixture: Fixture) -> Fixture {
    fixture.asked_to(|ask| ask.undo = Some(Undo::default()))
}

/// A person asks for it, whatever the load and the readers.
fn forced(fixture: Fixture) -> Fixture {
    fixture.asked_to(|ask| ask.undo = Some(Undo { to: None, force: true }))
}

rows! { decides;
    a_raised_stream_whose_registered_consumers_keep_up_is_restored: with_consumers(3, 40.0) => "restore";
    a_raised_stream_waits_where_no_delay_of_its_consumers_is_known: with_consumers(0, 0.0) => "healthy";
    a_raised_stream_waits_where_cloudwatch_does_not_answer_for_its_consumers:
        raised(7, 500.0).stream(|s| s.consumers = 3) => "healthy";
    a_raised_stream_waits_where_the_delay_of_one_consumer_is_not_known: with_consumers(2, 40.0) => "healthy";
    a_raised_stream_waits_for_a_registered_consumer_that_is_behind: with_consumers(3, 120_000.0) => "healthy";
    a_restore_by_hand_waits_where_no_delay_of_its_consumers_is_known:
        by_hand(with_consumers(0, 0.0)) => "not_restorable";
    a_restore_by_hand_goes_on_where_all_consumers_keep_up: by_hand(with_consumers(3, 40.0)) => "restore";
}

rows! { says;
    a_restore_that_waits_for_unknown_consumers_says_so:
        with_consumers(0, 0.0) => ["A restore waits", "how far 3 of its registered consumers are behind"];
    a_restore_by_hand_that_waits_for_unknown_consumers_says_so:
        by_hand(with_consumers(1, 40.0)) => ["not restored", "how far 2 of its 3 registered consumers are behind"];
}

/// The memory also has a change that we announced `hours` before now.
fn announced(kind: ChangeKind, to: u32, hours: i64) -> Fixture {
    raised(7, 500.0).remembering(|memory| {
        *memory = memory.intend(Change::intent(kind, 4, to, hours_ago(hours)), false);
    })
}

/// AWS refused that change.
fn refused(kind: ChangeKind, to: u32, hours: i64) -> Fixture {
    announced(kind, to, hours).remembering(|memory| *memory = memory.refuse(kind, hours_ago(hours), true))
}

/// AWS refused a restore 30 hours ago, of a stream that was raised 31 hours ago.
fn restore_refused_yesterday() -> Fixture {
    raised(31, 500.0).memory(&refused(ChangeKind::Restore, 2, 30).remembered())
}

rows! { decides;
    a_raised_stream_is_restored_though_aws_refused_a_later_change:
        refused(ChangeKind::Scale, 8, 7) => "restore";
    a_raised_stream_is_restored_though_a_later_change_was_never_made:
        announced(ChangeKind::Scale, 8, 7) => "restore";
    a_raised_stream_is_restored_on_after_a_step_that_was_never_made_behind_one_that_was:
        announced(ChangeKind::Restore, 8, 4).remembering(|memory| {
            memory.reshards.insert(0, hours_ago(20));
            memory.restores.insert(0, hours_ago(20));
        }) => "restore";
    a_raised_stream_is_restored_though_aws_refused_a_restore_yesterday:
        restore_refused_yesterday() => "restore";
}

rows! { says;
    a_restore_says_the_shards_and_the_bound: raised(7, 500.0) => ["Changed 4 → 2 shards", "halves"];
}

#[test]
fn a_partial_restore_keeps_the_shards_from_before_and_has_a_cost() {
    let decision = raised(7, 500.0).decide();
    assert!(decision.cost.expect("an act").after_usd_per_hour > 0.0);
    assert_eq!(decision.memory.expect("an intent").base, Some(1), "kept until it is reached");
}

#[test]
fn a_restore_that_is_not_possible_is_recorded_once_an_hour() {
    let needed = || raised(7, 2900.0);
    let memory = needed().decide().memory.expect("a new record");
    assert_eq!(memory.restore_tried, Some(common::now()));
    assert_eq!(needed().memory(&memory).decide().memory, None);
    let old = Memory { restore_tried: Some(hours_ago(1)), ..memory.clone() };
    assert_eq!(needed().memory(&old).decide().memory, Some(memory));
}
