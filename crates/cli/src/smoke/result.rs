//! The result of a load: what holds, what was missed, and what CloudWatch and unthrottle say.

use super::args::Args;
use super::expect::Outcome;
use super::healing::Seen;
use super::proof::Proof;
use crate::CliError;
use crate::put::summary;
use crate::screen::{Console, print_json};
use serde_json::json;
use std::time::Duration;
use unthrottle_writer::End;
use unthrottle_writer::load::Offered;

/// Prints the result. A missed expectation is an error.
pub(super) fn conclude(
    args: &Args,
    end: &End,
    seen: &Seen,
    offered: &Offered,
    proof: Option<Proof>,
) -> Result<(), CliError> {
    let behind = end.stats.late + offered.due().saturating_sub(offered.handed());
    let outcome = Outcome { stats: &end.stats, behind, healed: seen.healed_s.map(Duration::from_secs_f64) };
    let mut missed: Vec<String> = args.expect.iter().filter_map(|expected| expected.missed(&outcome)).collect();
    if args.until_healed && seen.healed_s.is_none() {
        missed.push(match seen.first_refusal_s {
            None => "it has not healed: nothing was refused, so the load was no overload".into(),
            Some(_) => format!("it has not healed within {} s", end.elapsed.as_secs()),
        });
    }
    if args.json {
        let mut result = serde_json::to_value(end.stats.summary(end.elapsed, true)).map_err(std::io::Error::from)?;
        result["offered"] = json!(offered.due());
        result["behind"] = json!(behind);
        result["healing"] = serde_json::to_value(seen).map_err(std::io::Error::from)?;
        result["remembered"] = json!(seen.remembered);
        result["cloudwatch"] = serde_json::to_value(proof).map_err(std::io::Error::from)?;
        result["missed"] = json!(missed);
        print_json(&result)?;
    } else {
        print(end, seen, (offered.due(), behind), proof.as_ref())?;
    }
    if let Some(fatal) = &end.fatal {
        return Err(CliError::Partly(format!("the load ended early: {fatal}")));
    }
    if missed.is_empty() { Ok(()) } else { Err(CliError::Missed(missed.join("\nunthrottle: "))) }
}

fn print(end: &End, seen: &Seen, (offered, behind): (u64, u64), proof: Option<&Proof>) -> Result<(), CliError> {
    let mut console = Console::new(false);
    console.step(summary(end).trim_end())?;
    if behind > 0 {
        let part = 100.0 * behind as f64 / offered.max(1) as f64;
        console.step(&format!("behind      {behind} of {offered} records ({part:.1} %) did not leave in time"))?;
        if part > 1.0 && end.stats.failed_requests == 0 {
            console.step("            this machine or its connection was the limit, not the stream")?;
        }
    }
    if let Some(memory) = &seen.remembered {
        console.step(&format!("unthrottle  {memory} (its memory tag)"))?;
    }
    if let Some(proof) = proof {
        print_proof(&mut console, proof, end)?;
    }
    if let Some(healed) = seen.healed_s {
        let text = format!(
            "healed in {healed:.1} s, from the first refusal to the last: {} → {} shards",
            seen.shards_before, seen.shards_after
        );
        console.result(true, &text)?;
    }
    Ok(())
}

/// Prints what CloudWatch counted, and the changes that the metric AutoFix shows.
fn print_proof(console: &mut Console, proof: &Proof, end: &End) -> Result<(), CliError> {
    let changes: Vec<String> = proof.auto_fix.iter().map(|(action, count)| format!("{action} × {count}")).collect();
    if !changes.is_empty() {
        console.step(&format!("            {} (its metric AutoFix)", changes.join(", ")))?;
    }
    let Proof { accepted, refused, agrees, pace, .. } = proof;
    let verdict = if *agrees { "the same count" } else { "another count:" };
    console.step(&format!("CloudWatch  accepted {accepted}, refused {refused}: {verdict}"))?;
    if !agrees {
        let stats = &end.stats;
        console.step(&format!("            this command counts {} and {}", stats.accepted, stats.refused))?;
        console.step("            CloudWatch counts other producers, too, and late minutes are missing")?;
    }
    if *pace > 1 {
        console.step(&format!("            (its metrics show each record {pace} times, at this account's pace)"))?;
    }
    Ok(())
}
