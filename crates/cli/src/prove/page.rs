//! The proof as a Markdown page.

use super::cost::cents;
use super::proof::{Done, Proof};
use std::fmt::Write as _;

/// The name of the file.
pub(super) const FILE: &str = "proof.md";

/// The page of a proof.
pub(super) fn of(proof: &Proof) -> String {
    let mut page = String::from("# What AWS did\n\n");
    let when = proof.began.format("%Y-%m-%d %H:%M UTC");
    // Writing to a String never fails.
    let _ =
        writeln!(page, "unthrottle {}, region {}, from {when}, pace {}.", proof.unthrottle, proof.region, proof.pace);
    if proof.pace > 1 {
        let pace = proof.pace;
        let _ = writeln!(page, "\nThe clock of the account was said to run {pace} times as fast as the machine's.");
    }
    if let Some(url) = &proof.endpoint_url {
        let _ = writeln!(page, "\n**This proof comes from {url}, and not from AWS.** It shows nothing of AWS.");
    }
    page.push_str("\n| fact | verdict | expected | source | seen | step |\n|---|---|---|---|---|---|\n");
    for (done, finding) in proof.findings() {
        let (expected, source, seen) = (cell(&finding.expected), cell(&finding.source), cell(&finding.seen));
        let (fact, verdict, step) = (&finding.fact, finding.verdict, &done.step);
        let _ = writeln!(page, "| `{fact}` | {verdict} | {expected} | {source} | {seen} | [{step}](#{step}) |");
    }
    proof.steps.iter().for_each(|done| write_step(&mut page, done));
    page
}

fn write_step(page: &mut String, done: &Done) {
    let Done { step, about, seconds, cost_usd, .. } = done;
    let _ =
        writeln!(page, "\n## {step}\n\n{about}\nIt took {seconds:.0} s, and costs at most ${:.2}.", cents(*cost_usd));
    for left in &done.left {
        let _ = writeln!(page, "\n**Not deleted:** {}", cell(left));
    }
    if !done.measured.reshards.is_empty() {
        page.push_str("\n| shards | seconds |\n|---|---|\n");
        for reshard in &done.measured.reshards {
            let _ = writeln!(page, "| {} → {} | {:.0} |", reshard.from, reshard.to, reshard.seconds);
        }
    }
    if !done.measured.metric_lags.is_empty() {
        page.push_str("\n| metric | minute | seconds from its end |\n|---|---|---|\n");
        for lag in &done.measured.metric_lags {
            let _ = writeln!(page, "| {} | {} | {:.0} |", lag.metric, lag.minute.format("%H:%M"), lag.seconds);
        }
    }
    if done.answers.is_empty() {
        return;
    }
    page.push_str("\nAnswers, without ids of accounts and callers:\n\n```json\n");
    for answer in &done.answers {
        let line = serde_json::to_string(answer).unwrap_or_default();
        // A fence in an answer would end the block.
        let _ = writeln!(page, "{}", line.replace("```", "'''"));
    }
    page.push_str("```\n");
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
