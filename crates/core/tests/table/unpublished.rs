//! When the AutoFix datum of a change is published again, because the metric does not show it.

use crate::common::{Fixture, minutes_ago, now, offered, scaled, seconds_ago, settled};
use chrono::{DateTime, TimeDelta, Utc};
use unthrottle_core::decision::Decision;
use unthrottle_core::memory::{ChangeKind, Memory};

/// Asserts the data that the decision publishes again.
#[track_caller]
fn publishes(fixture: Fixture, expected: &[(&'static str, DateTime<Utc>)]) {
    assert_eq!(fixture.decide().unpublished, expected);
}

/// A change from 2 to 4 shards, `seconds` before now, that is done and whose datum is missing.
fn done(seconds: i64) -> Fixture {
    Fixture::under_load(4, 3000.0).memory(&settled(2, 4, seconds, 60))
}

rows! { publishes;
    a_datum_that_is_missing_after_eight_minutes_is_published: done(481) => &[("scale_shards", seconds_ago(481))];
    a_datum_that_the_metric_shows_is_not_published: done(481).published(seconds_ago(481)) => &[];
    a_datum_that_is_missing_for_less_than_eight_minutes_may_still_come: done(479) => &[];
    a_change_right_after_a_reshard_that_added_shards_is_published:
        done(481).resharded(1, 8) => &[("scale_shards", seconds_ago(481))];
    a_change_that_the_shards_of_then_do_not_show_has_no_datum: done(481).resharded(3, 8) => &[];
    a_change_that_was_never_made_has_no_datum: Fixture::under_load(2, 3000.0).memory(&scaled(2, 4, 481)) => &[];
}

#[test]
fn a_datum_that_was_just_published_again_is_not_published_at_once() {
    let memory = done(481).decide().memory.expect("a new record");
    publishes(done(481).memory(&memory), &[]);
}

/// Asserts how many data are published of a change that was made `made` seconds before now. A run published its datum
/// again `resent` minutes before now.
#[track_caller]
fn publishes_again((made, resent): (i64, i64), expected: usize) {
    let mut memory = settled(2, 4, made, 60);
    memory.change.as_mut().expect("just made").resent = Some(minutes_ago(resent));
    let fixture = Fixture::new(4).minutes(-9..=0, offered(3000.0, 4)).memory(&memory);
    assert_eq!(fixture.decide().unpublished.len(), expected);
}

// A missing datum is published again after eight minutes, then after sixteen, and so on.
rows! { publishes_again;
    a_datum_published_again_after_6_minutes_waits_at_11: (11 * 60, 5) => 0;
    a_datum_published_again_after_6_minutes_waits_at_12: (12 * 60, 6) => 0;
    a_datum_published_again_after_11_minutes_waits_at_20: (20 * 60, 9) => 0;
    a_datum_published_again_after_10_minutes_is_published_at_21: (21 * 60, 11) => 1;
    a_datum_published_again_after_21_minutes_waits_at_40: (40 * 60, 19) => 0;
    a_datum_published_again_after_21_minutes_is_published_at_43: (43 * 60, 22) => 1;
}

// CloudWatch may show a datum whose time is hours ago as late as two hours after it was published.
rows! { publishes_again;
    a_datum_of_hours_ago_waits_for_6_minutes: (10 * 3600, 6) => 0;
    a_datum_of_hours_ago_waits_for_two_hours: (10 * 3600, 124) => 0;
    a_datum_of_hours_ago_is_published_again_after_two_hours: (10 * 3600, 126) => 1;
}

#[test]
fn a_datum_that_is_published_with_the_next_intent_stays_unpublished_until_it_is_found() {
    let memory = Fixture::under_load(4, 6000.0).memory(&settled(2, 4, 500, 60)).decide().memory.expect("an intent");
    assert_eq!(memory.change.map(|change| (change.from.number(), change.at)), Some((4, now())));
    assert_eq!(memory.unpublished, Some((ChangeKind::Scale, seconds_ago(500))));
    assert_eq!(memory.resent, Some(now()), "or a run that dies now would leave it unpublished for ever");
}

/// When the first change was made. Its run died before it published the datum.
fn first() -> DateTime<Utc> {
    seconds_ago(450)
}

/// The memory of the second change, which is announced now.
fn second() -> Memory {
    Fixture::under_load(4, 6000.0).memory(&settled(2, 4, 450, 60)).decide().memory.expect("an intent")
}

/// The decision `minutes` after the second change.
fn later(fixture: Fixture, minutes: i64) -> Decision {
    let fixture = fixture.stream(|s| s.open_shards = 8).memory(&second()).published(now()).pass(minutes);
    fixture.minutes(1..=minutes, offered(6000.0, 8)).asked().decide()
}

#[test]
fn a_change_that_another_followed_before_its_datum_is_recorded_as_unpublished() {
    assert_eq!(second().unpublished, Some((ChangeKind::Scale, first())));
    assert_eq!(later(Fixture::under_load(8, 6000.0), 0).unpublished, [], "its datum may still come");
}

#[test]
fn an_unpublished_datum_is_published_until_it_is_found() {
    let sent = later(Fixture::under_load(8, 6000.0), 1);
    let memory = sent.memory.expect("a new record");
    assert_eq!((sent.unpublished, memory.unpublished), (vec![("scale_shards", first())], second().unpublished));
    assert_eq!(memory.resent, Some(now() + TimeDelta::minutes(1)), "and is not published again at once");
}

#[test]
fn an_unpublished_datum_that_is_found_is_forgotten() {
    let seen = later(Fixture::under_load(8, 6000.0).published(first()), 1);
    assert_eq!((seen.unpublished, seen.memory.expect("a new record").unpublished), (vec![], None));
}
