//! How often producers try a record, and the step that follows at once because of it.

use crate::common::{Fixture, hours_ago, newest, now, offered, settled};
use crate::load::retried;
use crate::{decides, says};
use chrono::TimeDelta;
use unthrottle_core::decision::{Remedy, Verdict};
use unthrottle_core::memory::{ChangeKind, Memory};
use unthrottle_core::observation::MinuteTraffic;

/// A minute in which `shards` full shards meet a load of this many records a second. Producers try a record up to
/// `tries` times.
fn full(shards: f64, load: f64, tries: u32) -> MinuteTraffic {
    let accepted = load.min(shards * 1000.0);
    let refused = (1.0 - accepted / load).powf(1.0 / f64::from(tries));
    let sent = accepted / (1.0 - refused);
    MinuteTraffic { write_throttled: 60.0 * (sent - accepted), ..offered(accepted, shards.ceil() as u32) }
}

/// A calm minute.
fn calm(load: f64) -> MinuteTraffic {
    offered(load, 1000)
}

/// Four shards took a load of this many records a second since ten minutes ago. Two minutes ago we made eight of them,
/// which opened within the newest published minute.
fn doubled(load: f64, tries: u32) -> Fixture {
    let fixture = Fixture::new(8).minutes(-30..=-11, calm(2000.0)).minutes(-10..=-1, full(4.0, load, tries));
    let fixture = fixture.minutes(0..=0, full(6.0, load, tries)).memory(&memory());
    fixture.policy(|p| (p.max_shards, p.max_shards_ceiling) = (1000, 1000))
}

/// Our step from four to eight shards, which ended in the second half of the newest published minute.
fn memory() -> Memory {
    let change_to_now = (now() - newest().start()).num_seconds();
    Memory { base: Some(4), ..settled(4, 8, change_to_now, 30) }
}

fn without_the_new_shards(fixture: Fixture, load: f64, tries: u32) -> Fixture {
    fixture.minutes(0..=0, full(4.0, load, tries))
}

fn knowing(tries: u32) -> Memory {
    Memory { tries: Some(tries), ..memory() }
}

rows! { decides;
    a_load_that_surely_fills_the_new_shards_gets_the_next_step_at_once: doubled(20_000.0, 6) => "scale_shards";
    a_load_that_the_new_shards_take_waits_for_evidence: doubled(6500.0, 6) => "settling";
    a_load_tried_endlessly_waits_for_evidence: doubled(8300.0, 64) => "settling";
    minutes_of_one_number_of_shards_show_no_tries_so_the_step_waits:
        without_the_new_shards(doubled(20_000.0, 6), 20_000.0, 6) => "settling";
    known_tries_need_no_minute_of_the_new_shards:
        without_the_new_shards(doubled(20_000.0, 6), 20_000.0, 6).memory(&knowing(6)) => "scale_shards";
    known_tries_that_explain_the_refusals_wait:
        without_the_new_shards(doubled(6000.0, 31), 6000.0, 31).memory(&knowing(31)) => "settling";
    a_newest_minute_that_is_calm_waits:
        doubled(20_000.0, 6).minutes(0..=0, calm(7000.0)).memory(&knowing(6)) => "settling";
    a_newest_minute_that_was_not_full_waits:
        doubled(20_000.0, 6).minutes(0..=0, full(3.0, 20_000.0, 6)).memory(&knowing(6)) => "settling";
    a_stream_at_its_maximum_waits_for_evidence:
        doubled(20_000.0, 6).policy(|p| p.max_shards = 8) => "settling";
    a_stream_that_is_reverted_on_purpose_gets_no_step_at_once:
        doubled(20_000.0, 6).remembering(|m| m.reverts = vec![hours_ago(2), hours_ago(1)]) => "settling";
    a_stream_whose_change_was_refused_a_moment_ago_waits:
        doubled(20_000.0, 6).remembering(|m| *m = m.refuse(ChangeKind::Scale, now() - TimeDelta::seconds(10), true))
        => "settling";
    a_person_who_asks_for_a_restore_gets_no_step: doubled(20_000.0, 6).asked_to(|ask| {
        ask.undo = Some(unthrottle_core::signal::Undo { to: None, force: false });
    }) => "settling";
}

fn target(fixture: &Fixture) -> u32 {
    match fixture.decide().verdict {
        Verdict::Act(Remedy::ScaleShards { to, .. }) => to,
        other => panic!("no scale_shards: {other:?}"),
    }
}

#[test]
fn a_step_at_once_goes_to_the_least_load_and_at_most_to_the_double() {
    assert_eq!(target(&doubled(20_000.0, 6)), 16);
    let to = target(&doubled(9500.0, 3));
    assert!((11..=14).contains(&to), "the load needs 13: {to}");
}

#[test]
fn a_step_at_once_says_the_least_load_and_the_tries() {
    let fixture = doubled(20_000.0, 6);
    let decision = fixture.decide();
    let tries = decision.evidence.tries.expect("known");
    assert!((6..=12).contains(&tries), "at least the real number, so that the load is the least: {tries}");
    says(fixture, ["a load of at least", &format!("with up to {tries} tries each")]);
}

#[test]
fn the_incident_goes_on_in_the_memory_of_a_step_at_once() {
    let memory = doubled(20_000.0, 6).decide().memory.expect("an intent");
    let change = memory.change.expect("announced");
    assert_eq!((change.from.number(), change.to.number()), (8, 16));
    assert_eq!((memory.base, memory.reshards.len()), (Some(4), 2));
}

#[test]
fn a_verified_change_shows_the_tries_of_the_producers() {
    for tries in [1, 3, 6, 15, 31] {
        let fixture = Fixture::new(8).minutes(-30..=-21, calm(2000.0)).minutes(-20..=-11, full(4.0, 6000.0, tries));
        let fixture = fixture.minutes(-10..=0, calm(6000.0)).memory(&settled(4, 8, 11 * 60, 60));
        let decision = fixture.decide();
        let known = decision.memory.expect("healed").tries.expect("learned");
        assert!((tries..=2 * tries).contains(&known), "{tries} tries: {known}");
        let again = Memory { tries: Some(known), ..Memory::default() };
        let to = target(&retried(4, 1.5, i32::try_from(tries).expect("few")).memory(&again));
        assert_eq!(to, 8, "a load of six shards needs eight: {known}");
    }
}

#[test]
fn producers_that_are_hardly_refused_show_no_tries() {
    let fixture = Fixture::new(8).minutes(-20..=-11, full(4.0, 4010.0, 6)).minutes(-10..=0, calm(4010.0));
    let memory = fixture.memory(&settled(4, 8, 11 * 60, 60)).decide().memory.expect("healed");
    assert_eq!(memory.tries, None);
}
