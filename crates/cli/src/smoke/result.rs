//! The result of a load: what holds, what was missed, and what CloudWatch and unthrottle say.

use super::args::Args;
use super::behind::{Cause, behind, cause};
use super::expect::Outcome;
use super::guard::length;
use super::healing::Seen;
use super::proof::Proof;
use crate::CliError;
use crate::put::{summary, unwritten};
use crate::screen::{Console, print_json, print_note};
use serde::Serialize;
use std::io;
use std::time::Duration;
use unthrottle_core::words::{change, count};
use unthrottle_writer::load::Offered;
use unthrottle_writer::{End, Summary};

/// Prints the result. A missed expectation is an error. `is_asked`: a person stopped the load.
pub(super) fn conclude(
    args: &Args,
    (end, is_asked): (&End, bool),
    seen: &Seen,
    offered: &Offered,
    proof: Option<Proof>,
) -> Result<(), CliError> {
    let behind = behind(&end.stats, offered);
    let outcome = Outcome { stats: &end.stats, behind, healed: seen.healed_s.map(Duration::from_secs_f64) };
    let mut missed: Vec<String> = args.expect.iter().filter_map(|expected| expected.missed(&outcome)).collect();
    if args.until_healed && seen.healed_s.is_none() {
        missed.push(not_healed(is_asked, seen, args.max_duration));
    }
    let printed = match args.json {
        true => print_result(end, seen, offered, &proof, &missed),
        false => print(end, seen, offered, proof.as_ref()),
    };
    // What is missed or failed counts, whether or not the result has a reader.
    let result = match &end.fatal {
        Some(fatal) => Err(CliError::Partly(format!("the load ended early: {fatal}"))),
        None if missed.is_empty() => Ok(()),
        None => Err(CliError::Missed(missed.join("\nunthrottle: "))),
    };
    match (result, printed.map_err(unwritten)) {
        (Err(error), Err(unwritten @ CliError::Unwritten { .. })) => {
            print_note(&unwritten.to_string());
            Err(error)
        }
        (result, printed) => result.and(printed),
    }
}

/// Why a stream that had to heal has not. `most`: the time that the load had.
fn not_healed(is_asked: bool, seen: &Seen, most: Duration) -> String {
    match seen.first_refusal_s {
        _ if is_asked => "the load was stopped before it healed".into(),
        None => "it has not healed: nothing was refused, so the load was no overload".into(),
        Some(_) => format!("it has not healed within --max-duration ({})", length(most)),
    }
}

/// The result of a load: the summary of its writer, and more.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Smoked<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    /// Records that were due.
    offered: u64,
    /// Of these, records that did not leave in time, and why. `null`: at most 1 % did not.
    behind: u64,
    behind_because: Option<Cause>,
    healing: &'a Seen,
    /// The last change in the memory tag of unthrottle, in words.
    remembered: Option<&'a str>,
    /// `null`: CloudWatch was not asked.
    cloudwatch: Option<&'a Proof>,
    /// The expectations that were missed.
    missed: &'a [String],
}

fn print_result(end: &End, seen: &Seen, offered: &Offered, proof: &Option<Proof>, missed: &[String]) -> io::Result<()> {
    print_json(&Smoked {
        summary: end.stats.summary(end.elapsed, true),
        offered: offered.due(),
        behind: behind(&end.stats, offered),
        behind_because: cause(&end.stats, offered),
        healing: seen,
        remembered: seen.remembered.as_deref(),
        cloudwatch: proof.as_ref(),
        missed,
    })
}

fn print(end: &End, seen: &Seen, offered: &Offered, proof: Option<&Proof>) -> io::Result<()> {
    let mut console = Console::new(false);
    for line in summary(end).lines() {
        console.step(line.strip_prefix("  ").unwrap_or(line))?;
    }
    let (behind, due) = (behind(&end.stats, offered), offered.due());
    if behind > 0 {
        let part = 100.0 * behind as f64 / due.max(1) as f64;
        let [behind, due] = [behind, due].map(|records| count(records as f64));
        console.step(&format!("behind      {behind} of {due} records ({part:.1} %) did not leave in time"))?;
        if let Some(cause) = cause(&end.stats, offered) {
            console.step(&format!("            {}", cause.words()))?;
        }
    }
    // A change that was remembered before the load says nothing of it.
    if let Some(memory) = seen.remembered.as_ref().filter(|_| seen.is_remembered_anew) {
        console.step(&format!("unthrottle  {memory} (its memory tag)"))?;
    }
    if let Some(proof) = proof {
        print_proof(&mut console, proof, end)?;
    }
    if let Some(healed) = seen.healed_s {
        let change = change(seen.shards_before, seen.shards_after, "shard");
        console.result(true, &format!("healed in {healed:.1} s, from the first refusal to the last: {change}"))?;
    }
    Ok(())
}

/// Prints what CloudWatch counted, and the changes that the metric AutoFix shows.
fn print_proof(console: &mut Console, proof: &Proof, end: &End) -> io::Result<()> {
    let changes: Vec<String> = proof.auto_fix.iter().map(|(action, count)| format!("{action} × {count}")).collect();
    if !changes.is_empty() {
        console.step(&format!("            {} (its metric AutoFix)", changes.join(", ")))?;
    }
    let Proof { accepted, refused, agrees, pace, .. } = proof;
    let verdict = if *agrees { "the same count" } else { "another count:" };
    let number = |records: &u64| count(*records as f64);
    console.step(&format!("CloudWatch  accepted {}, refused {}: {verdict}", number(accepted), number(refused)))?;
    if !agrees {
        let stats = &end.stats;
        console.step(&format!(
            "            this command counts {} and {}",
            number(&stats.accepted),
            number(&stats.refused)
        ))?;
        console.step("            CloudWatch counts other producers, too, and late minutes are missing")?;
    }
    if *pace > 1 {
        console.step(&format!("            (its metrics show each record {pace} times, at this account's pace)"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_has_not_healed_had_the_time_of_the_option_or_less_if_a_person_stopped_the_load() {
        let mut refused = Seen::default();
        refused.first_refusal_s = Some(1.0);
        let most = Duration::from_secs(3);
        assert_eq!(not_healed(false, &refused, most), "it has not healed within --max-duration (3 s)");
        assert_eq!(not_healed(true, &refused, most), "the load was stopped before it healed");
        assert!(
            not_healed(false, &Seen::default(), most).ends_with("nothing was refused, so the load was no overload")
        );
    }
}
