//! Whole scenes, and defects that a scene must find.

use super::super::super::check::Invariant;
use super::super::super::flaw::Flaw;
use super::{Explored, Scene, explore, explore_with, scenes};

/// A scene without its clock, so that a test takes seconds.
fn still(name: &str) -> Scene {
    let scene = scenes().into_iter().find(|scene| scene.name == name).expect(name);
    Scene { ticks: vec![], ..scene }
}

#[track_caller]
fn explored(scene: &Scene) -> Explored {
    match explore(scene, |_| {}) {
        Ok(explored) => explored,
        Err(fails) => panic!("{}\n{}\n{}", fails.broken, fails.steps.join("\n"), fails.trace.join("\n")),
    }
}

#[test]
fn every_interleaving_of_two_runs_and_a_person_who_deletes_the_tag_holds() {
    let found = explored(&still("reshard-untagged"));
    assert!(found.most_changes > 0, "a run changes the stream: {found:?}");
}
