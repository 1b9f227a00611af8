//! `unthrottle arena --exhaustive`: plays every interleaving of small scenes, on all cores.

use super::cores::on_all_cores;
use crate::CliError;
use crate::screen::{Progress, print_json};
use serde::Serialize;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use unthrottle_lab::sim::faults::{Explored, Fails, Scene, explore, scenes};

/// The argument that means all scenes.
pub(super) const ALL: &str = "all";

/// A scene, and what was covered.
#[derive(Debug, Serialize)]
struct Row {
    scene: &'static str,
    interleavings: u128,
    states: u64,
    steps: u64,
    ends: u64,
    most_changes: u64,
    seconds: u64,
    broken: Option<String>,
}

/// Plays the scene of this name, or all of them.
pub(super) fn run(name: &str, json: bool) -> Result<(), CliError> {
    let scenes = scenes_of(name)?;
    let explored = explore_all(&scenes);
    let rows: Vec<Row> = scenes.iter().zip(&explored).map(|(scene, explored)| Row::of(scene, explored)).collect();
    let failed = scenes.iter().zip(&explored).find_map(|(scene, explored)| Some((scene, explored.as_ref().err()?)));
    if json {
        rows.iter().try_for_each(print_json)?;
    } else {
        let mut out = std::io::stdout().lock();
        out.write_all(text(&rows).as_bytes())?;
        if let Some((scene, fails)) = failed {
            let Fails { broken, steps, trace } = &**fails;
            let (steps, trace) = (steps.join("\n"), trace.join("\n"));
            writeln!(out, "\n{}: {broken}\n\nThe steps:\n{steps}\n\nWhat happened:\n{trace}", scene.name)?;
        }
        out.flush()?;
    }
    match failed {
        None => Ok(()),
        Some((scene, fails)) => {
            Err(CliError::Broken(format!("scene {} breaks {}", scene.name, fails.broken.invariant)))
        }
    }
}

fn scenes_of(name: &str) -> Result<Vec<Scene>, CliError> {
    let names = || scenes().iter().map(|scene| scene.name).collect::<Vec<_>>().join(", ");
    let known: Vec<Scene> = scenes().into_iter().filter(|scene| name == ALL || scene.name == name).collect();
    if known.is_empty() {
        return Err(CliError::Usage(format!("no scene is called `{name}`. The scenes: {}", names())));
    }
    Ok(known)
}

/// The scenes side by side, each on one core.
fn explore_all(scenes: &[Scene]) -> Vec<Result<Explored, Box<Fails>>> {
    let next = AtomicUsize::new(0);
    let progress = Mutex::new(Progress::new("scenes", scenes.len()));
    let work = || {
        let mut done = vec![];
        loop {
            let at = next.fetch_add(1, Ordering::SeqCst);
            let Some(scene) = scenes.get(at) else { break };
            done.push((at, explore(scene, |_| {})));
            if let Ok(mut progress) = progress.lock() {
                progress.step();
            }
        }
        done
    };
    let mut all: Vec<_> = on_all_cores(work, |_| ()).into_iter().flatten().collect();
    if let Ok(mut progress) = progress.lock() {
        progress.clear();
    }
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, explored)| explored).collect()
}

impl Row {
    fn of(scene: &Scene, explored: &Result<Explored, Box<Fails>>) -> Row {
        let known = explored.as_ref().copied().unwrap_or_default();
        let Explored { interleavings, states, steps, ends, seconds, most_changes } = known;
        let broken = explored.as_ref().err().map(|fails| fails.broken.to_string());
        Row { scene: scene.name, interleavings, states, steps, ends, most_changes, seconds, broken }
    }
}

fn text(rows: &[Row]) -> String {
    let mut lines = vec![];
    lines.push(format!("{:<26}{:>24}{:>10}{:>10}{:>8}", "scene", "interleavings", "states", "steps", "ends"));
    for Row { scene, interleavings, states, steps, ends, broken, .. } in rows {
        lines.push(match broken {
            Some(broken) => format!("{scene:<26}{broken}"),
            None => format!("{scene:<26}{interleavings:>24}{states:>10}{steps:>10}{ends:>8}"),
        });
    }
    let sum = |of: fn(&Row) -> u128| rows.iter().map(of).sum::<u128>();
    let (interleavings, states) = (sum(|row| row.interleavings), sum(|row| u128::from(row.states)));
    lines.push(format!("\n{interleavings} interleavings, which are {states} different states."));
    if rows.iter().all(|row| row.broken.is_none()) {
        lines.push("Every invariant held in each of them.".into());
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scene_is_an_error_with_the_known_ones() {
        let error = scenes_of("none").map(|_| ()).expect_err("unknown").to_string();
        assert!(error.contains("`none`") && error.contains("reshard-untagged"), "{error}");
        assert!(scenes_of(ALL).is_ok_and(|scenes| scenes.len() > 10));
    }
}
