//! A whole scene, and defects that it must find.

use super::super::super::check::Invariant;
use super::super::super::flaw::Flaw;
use super::{Explored, Scene, explore, explore_with, scenes};
use std::cell::Cell;
use std::collections::BTreeSet;

fn scene(name: &str) -> Scene {
    scenes().into_iter().find(|scene| scene.name == name).expect(name)
}

#[test]
fn each_interleaving_of_two_runs_and_a_person_after_a_lost_reply_holds() {
    let met = Cell::new(0);
    let found = match explore(&scene("reply-lost"), |states| met.set(states)) {
        Ok(found) => found,
        Err(fails) => panic!("{}\n{}\n{}", fails.broken, fails.steps.join("\n"), fails.trace.join("\n")),
    };
    // Another number is no fault by itself: a decision that makes other calls has other interleavings.
    let Explored { interleavings, states, ends, .. } = found;
    assert_eq!((interleavings, states, ends), (1_480_448, 919, 135), "{found:?}");
    assert_eq!(met.get(), states, "the progress ends with the last state");
    assert!(found.most_changes > 0, "a run changes the stream: {found:?}");
}

#[test]
fn a_defect_of_a_run_is_found_with_its_steps() {
    for (flaw, invariant) in [
        (Flaw::CountsTwice, Invariant::Counted),
        (Flaw::CountsNever, Invariant::Counted),
        (Flaw::Misspeaks, Invariant::OwnNumbers),
    ] {
        let fails = explore_with(&scene("reply-lost"), flaw, |_| {}).expect_err("a defect");
        assert_eq!(fails.broken.invariant, invariant, "{flaw:?}: {}", fails.broken);
        assert!(!fails.steps.is_empty() && !fails.trace.is_empty(), "{fails:?}");
    }
}

#[test]
fn scenes_have_names_of_their_own_and_a_person() {
    let scenes = scenes();
    let names: BTreeSet<&str> = scenes.iter().map(|scene| scene.name).collect();
    assert_eq!(names.len(), scenes.len());
    assert!(scenes.iter().all(|scene| !scene.people.is_empty() && !scene.ticks.is_empty()));
}
