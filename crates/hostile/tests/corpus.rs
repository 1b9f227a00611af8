//! Replays the committed inputs of the fuzz targets with the targets' own bodies.

use libtest_mimic::{Arguments, Trial};
use std::fs;
use std::path::{Path, PathBuf};
use unthrottle_hostile::TARGETS;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

/// The inputs of a target, in the order of their names.
fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = corpus().join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no input", folder.display());
    paths
}

/// A target without inputs, or inputs without a target, would pass without a check.
fn every_folder_has_its_target() {
    let folders = fs::read_dir(corpus()).expect("the corpora");
    let mut names: Vec<String> =
        folders.map(|folder| folder.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let mut targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    targets.sort_unstable();
    assert_eq!(names, targets);
}

fn main() {
    let replay = |target: &'static unthrottle_hostile::Target| {
        Trial::test(format!("{}_keeps_its_laws_for_every_input", target.name), || {
            for path in inputs(target.name) {
                let input = fs::read(&path).expect("readable");
                let check = || (target.check)(&input);
                if std::panic::catch_unwind(check).is_err() {
                    return Err(format!("{} breaks a law", path.display()).into());
                }
            }
            Ok(())
        })
    };
    let folders = Trial::test("every_folder_has_its_target", || {
        every_folder_has_its_target();
        Ok(())
    });
    let trials = TARGETS.iter().map(replay).chain([folders]).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
