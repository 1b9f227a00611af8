//! The table of docs/evaluation.md, in Markdown.

use super::figures::{exact, ratio};
use super::table::cure_of;
use unthrottle_lab::sim::Policies;
use unthrottle_lab::sim::figures::{
    ALL_TOGETHER, Contest, OF_BEST_PEER, OF_REACTIVE, Spread, against_best_peers, by_workload, figures, spread,
};
use unthrottle_lab::sim::score::Score;
use unthrottle_lab::sim::workloads::{Cure, Workload};

const HEADS: &str = "| workload | | changes | healed within | refused ÷ reactive limit | \
                     refused with foresight ÷ reactive limit | refused ÷ best peer | \
                     refused with lossy delivery ÷ without | refused with restore ÷ without | \
                     shard-hours with restore ÷ clairvoyant |\n|---|---|---|---|---|---|---|---|---|---|\n";

/// The table, and the figures below it. A number is that of the seed in the middle, and where the worst seed differs,
/// its number stands beside it.
pub(super) fn table(contests: &[Contest]) -> String {
    let mut text = HEADS.to_owned();
    for of_it in by_workload(contests) {
        text += &row(of_it);
    }
    text += &format!(
        "\nBold: more than {OF_REACTIVE} times the reactive limit, or more than the best peer, where capacity is the \
         cure.\n"
    );
    for figure in figures(contests).iter().take(ALL_TOGETHER) {
        let missed = if figure.is_reached() { "" } else { ": **missed**" };
        text += &format!("\n- {}: {}, at most {}{missed}.", figure.what, exact(figure.ratio, figure.most), figure.most);
    }
    text + "\n"
}

/// The row of a workload, with all its seeds.
fn row(of_it: &[Contest]) -> String {
    let ours: Vec<&Score> = of_it.iter().filter_map(|contest| contest.of(Policies::Ours)).collect();
    let Some(workload) = of_it.first().map(|contest| &contest.workload) else { return String::new() };
    let Workload { name, about, .. } = workload;
    let cure = cure_of(workload);
    let healed = ours.iter().map(|score| score.heal_seconds_longest).max().flatten();
    let healed = match healed {
        None => "-".into(),
        Some(_) if ours.iter().any(|score| !score.is_healed) => "not".into(),
        Some(seconds) => format!("{seconds} s"),
    };
    let bound = |most| if workload.cure == Cure::Capacity { most } else { f64::INFINITY };
    let ratio_of = |of: fn(&Contest) -> Option<f64>, most| both(spread(of_it, of), most);
    let peers = against_best_peers(of_it);
    let peer = peers.map_or("-".into(), |found| {
        let Spread { median: (peer, median), worst: (_, worst) } = found;
        format!("{} ({peer})", both(Some(Spread { median, worst }), bound(OF_BEST_PEER)))
    });
    let changes = Spread::of(ours.iter().map(|score| score.changes), |changes| *changes as f64);
    let cells = [
        format!("`{name}`"),
        format!("{about}{cure}"),
        changes.map_or("-".into(), |changes| changes.median.to_string()),
        healed,
        ratio_of(Contest::against_reactive, bound(OF_REACTIVE)),
        ratio_of(Contest::with_foresight, f64::INFINITY),
        peer,
        ratio_of(Contest::with_lossy_delivery, f64::INFINITY),
        ratio_of(Contest::with_restore, f64::INFINITY),
        ratio_of(Contest::shard_hours, f64::INFINITY),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// The ratio of the seed in the middle, bold if it is more than `most`, and of the worst seed where that differs.
fn both(found: Option<Spread<f64>>, most: f64) -> String {
    let Some(Spread { median, worst }) = found else { return "-".into() };
    let (text, worst) = (exact(Some(median), most), ratio(Some(worst)));
    let shown = if median > most { format!("**{text}**") } else { text.clone() };
    if worst == text { shown } else { format!("{shown}, {worst}") }
}
