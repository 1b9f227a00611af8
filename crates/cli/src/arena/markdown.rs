//! The table of docs/evaluation.md, in Markdown.

use super::figures::{exact, ratio};
use super::table::cure_of;
use unthrottle_lab::sim::Policies;
use unthrottle_lab::sim::figures::{ALL_TOGETHER, Contest, OF_BEST_PEER, OF_REACTIVE, figures};
use unthrottle_lab::sim::workloads::{Cure, Workload};

const HEADS: &str = "| workload | | changes | healed within | refused ÷ reactive limit | refused ÷ best peer | \
                     refused with lossy delivery ÷ without | refused with restore ÷ without | \
                     shard-hours with restore ÷ clairvoyant |\n|---|---|---|---|---|---|---|---|---|\n";

/// The table, and the figures below it.
pub(super) fn table(contests: &[Contest]) -> String {
    let mut text = HEADS.to_owned();
    for contest in contests {
        let Some(ours) = contest.of(Policies::Ours) else { continue };
        let Workload { name, about, .. } = &contest.workload;
        let cure = cure_of(&contest.workload);
        let healed = match ours.heal_seconds_longest {
            None => "-".into(),
            Some(_) if !ours.is_healed => "not".into(),
            Some(seconds) => format!("{seconds} s"),
        };
        let is_held = contest.workload.cure == Cure::Capacity;
        let held = |found, most| if is_held { against(found, most) } else { ratio(found) };
        let peer = contest.against_best_peer();
        let peer = peer.map_or("-".into(), |(peer, found)| format!("{} ({peer})", held(found, OF_BEST_PEER)));
        let row = [
            format!("`{name}`"),
            format!("{about}{cure}"),
            ours.changes.to_string(),
            healed,
            held(contest.against_reactive(), OF_REACTIVE),
            peer,
            ratio(contest.with_lossy_delivery()),
            ratio(contest.with_restore()),
            ratio(contest.shard_hours()),
        ];
        text += &format!("| {} |\n", row.join(" | "));
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

/// A ratio in Markdown, bold if it is more than `most`.
fn against(found: Option<f64>, most: f64) -> String {
    let text = exact(found, most);
    if found.is_some_and(|ratio| ratio > most) { format!("**{text}**") } else { text }
}
