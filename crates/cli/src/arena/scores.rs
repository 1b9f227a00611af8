//! The scores of runs as lines of JSON: `--json` prints them, and `--scores` reads them.

use crate::{CliError, files};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use strum::IntoEnumIterator as _;
use unthrottle_lab::sim::Policies;
use unthrottle_lab::sim::figures::Contest;
use unthrottle_lab::sim::score::Score;
use unthrottle_lab::sim::workloads::{self, Workload};

/// One run, as `--json` prints it.
#[derive(Serialize, Deserialize)]
pub(super) struct Row {
    pub workload: String,
    pub policy: String,
    pub weather: String,
    pub seed: u64,
    #[serde(flatten)]
    pub score: Score,
}

/// Reads the runs of all workloads by all policies, with each seed, from a file that `--json` printed.
///
/// # Errors
/// The file cannot be read, a line cannot be used, or a run is missing.
pub(super) fn contests_in(path: &Path) -> Result<Vec<Contest>, CliError> {
    let text = files::read(path, files::MOST_JSON)?;
    let row = |(index, line): (usize, &str)| {
        let bad = |problem: String| CliError::Line { path: path.into(), line: index as u64 + 1, problem };
        let row: Row = serde_json::from_str(line).map_err(|error| bad(error.to_string()))?;
        let policy: Policies = row.policy.parse().map_err(|_| bad(format!("no policy is called `{}`", row.policy)))?;
        Ok((row.workload, row.seed, policy, row.score))
    };
    let rows = text.lines().enumerate().map(row).collect::<Result<Vec<_>, CliError>>()?;
    let seeds: BTreeSet<u64> = rows.iter().map(|(_, seed, ..)| *seed).collect();
    let contest = |(workload, seed): (Workload, u64)| {
        let of_it = rows.iter().filter(|(name, its, ..)| name == workload.name && *its == seed);
        let scores: Vec<_> = of_it.map(|(.., policy, score)| (*policy, score.clone())).collect();
        match Policies::iter().find(|wanted| !scores.iter().any(|(policy, _)| policy == wanted)) {
            None => Ok(Contest { workload, seed, scores }),
            Some(missing) => {
                let problem = format!("{}: no line for {missing} on {}, seed {seed}", path.display(), workload.name);
                Err(CliError::Usage(problem))
            }
        }
    };
    if seeds.is_empty() {
        return Err(CliError::Usage(format!("{}: no line for any run", path.display())));
    }
    let with_seeds = |workload: Workload| seeds.iter().map(move |seed| (workload.clone(), *seed));
    workloads::all().into_iter().flat_map(with_seeds).map(contest).collect()
}
