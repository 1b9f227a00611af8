//! Which streams a sweep checks: those whose memory has pending work.

use crate::common::{hours_ago, metrics_on_for, minutes_ago, now, scaled, settled};
use unthrottle_core::decide::{Pending, pending};
use unthrottle_core::memory::{Change, ChangeKind, Memory, TAG};
use unthrottle_core::policy::{Policy, Scope};

fn restoring() -> Policy {
    Policy { restore_after_hours: 6, ..Policy::default() }
}

/// A change, `hours` before now, that is verified and published.
fn done(hours: i64) -> Memory {
    but(settled(2, 4, hours * 3600, 60), |change| (change.healed, change.published) = (change.settled, change.settled))
}

/// The same, where one thing of the change is different.
fn but(mut memory: Memory, change: impl FnOnce(&mut Change)) -> Memory {
    change(memory.change.as_mut().expect("a change"));
    memory
}

/// A stream that we raised `hours` before now.
fn raised(hours: i64) -> Memory {
    Memory { base: Some(2), ..done(hours) }
}

/// The same, where a run tried a restore `minutes` before now.
fn restore_tried(minutes: i64) -> Memory {
    Memory { restore_tried: Some(minutes_ago(minutes)), ..raised(7) }
}

/// A change of an hour ago whose datum is missing. A run published it again `minutes` before now.
fn published_again(minutes: i64) -> Memory {
    but(done(1), |change| (change.published, change.resent) = (None, Some(minutes_ago(minutes))))
}

/// Shard metrics that are on for `minutes`. The datum of their change is published.
fn metrics_on(minutes: i64) -> Memory {
    but(metrics_on_for(minutes), |change| change.published = Some(now()))
}

/// Asserts the pending work of a stream with this memory.
#[track_caller]
fn needs(memory: Memory, expected: Option<Pending>) {
    let tags = [(TAG.to_owned(), memory.encode().expect("fits"))].into();
    assert_eq!(pending(&tags, &restoring(), now()), expected);
}

rows! { needs;
    a_verified_and_published_change_needs_no_check: done(1) => None;
    an_intent_needs_a_check: scaled(2, 4, 60) => Some(Pending::Now);
    an_intent_of_yesterday_needs_no_check: scaled(2, 4, 25 * 3600) => None;
    an_intent_that_aws_refused_needs_no_check: scaled(2, 4, 60).refuse(ChangeKind::Scale, now(), true) => None;
    a_change_that_is_not_verified_needs_a_check: but(done(1), |change| change.healed = None) => Some(Pending::Now);
    a_change_whose_datum_is_missing_needs_a_check:
        but(done(1), |change| change.published = None) => Some(Pending::Now);
    an_earlier_change_whose_datum_is_missing_needs_a_check:
        Memory { unpublished: Some((ChangeKind::Scale, hours_ago(2))), ..done(1) } => Some(Pending::Now);
    a_datum_published_again_20_minutes_ago_needs_no_check: published_again(20) => None;
    a_datum_published_again_31_minutes_ago_needs_a_check: published_again(31) => Some(Pending::Now);
}

rows! { needs;
    a_stream_that_was_raised_seven_hours_ago_needs_a_restore: raised(7) => Some(Pending::Restore);
    a_stream_that_was_raised_five_hours_ago_needs_no_check: raised(5) => None;
    a_restore_that_was_tried_59_minutes_ago_needs_no_check: restore_tried(59) => None;
    a_restore_that_was_tried_an_hour_ago_needs_another: restore_tried(60) => Some(Pending::Restore);
    metrics_that_are_on_for_an_hour_need_a_check: metrics_on_for(61) => Some(Pending::Now);
    published_metrics_that_are_on_for_an_hour_need_a_check: metrics_on(61) => Some(Pending::Now);
    published_metrics_that_are_on_for_half_an_hour_need_no_check: metrics_on(30) => None;
}

/// Asserts the pending work of a stream with this text as its memory, and this mode as its tag.
#[track_caller]
fn needs_in_mode((memory, mode): (String, &str), expected: Option<Pending>) {
    let tags = [(TAG.to_owned(), memory), ("unthrottle.mode".to_owned(), mode.to_owned())].into();
    assert_eq!(pending(&tags, &restoring(), now()), expected);
}

fn text(memory: &Memory) -> String {
    memory.encode().expect("fits")
}

rows! { needs_in_mode;
    an_intent_needs_no_check_in_mode_off: (text(&scaled(2, 4, 60)), "off") => None;
    an_intent_needs_a_check_in_observe_mode: (text(&scaled(2, 4, 60)), "observe") => Some(Pending::Now);
    a_raised_stream_needs_a_restore_in_heal_mode: (text(&raised(7)), "heal") => Some(Pending::Restore);
    a_raised_stream_needs_no_check_in_observe_mode: (text(&raised(7)), "observe") => None;
    metrics_that_are_on_need_a_check_in_heal_mode: (text(&metrics_on(61)), "heal") => Some(Pending::Now);
    metrics_that_are_on_need_no_check_in_observe_mode: (text(&metrics_on(61)), "observe") => None;
    a_memory_that_cannot_be_read_needs_a_check: ("gone fishing".to_owned(), "heal") => Some(Pending::Now);
}

#[test]
fn a_raised_stream_out_of_scope_needs_no_check() {
    let untagged = [(TAG.to_owned(), text(&raised(7)))].into();
    assert_eq!(pending(&untagged, &Policy { scope: Scope::Tagged, ..restoring() }, now()), None);
}

#[test]
fn a_sweep_checks_changes_before_restores() {
    assert!(Pending::Now < Pending::Restore);
}
