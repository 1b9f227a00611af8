//! Every sample in events/ yields the decision that its file name promises, on a local account, and what it changes is
//! changed.

use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use unthrottle_cli::{Before, Replay, replay};
use unthrottle_core::decision::Outcome;
use unthrottle_core::policy::Policy;
use unthrottle_core::report::Document;
use unthrottle_core::report::message::Message;

fn main() {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("events");
    let files: Vec<PathBuf> =
        std::fs::read_dir(events).expect("events/ is there").map(|entry| entry.expect("readable").path()).collect();
    let mut trials: Vec<Trial> = files.iter().cloned().map(sample).collect();
    trials.push(Trial::test("there_are_at_least_16_samples", move || check(files.len() >= 16, files.len())));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn sample(path: PathBuf) -> Trial {
    let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
    Trial::test(name.clone(), move || {
        let (_, code) = name.split_once("__").ok_or("a sample is named WHAT__CODE.json")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let Replay { document, healing } = runtime.block_on(replay(&path, Policy::default()))?;
        check(document.code == code, &document)?;
        check(document.sentence.len() > 30 && document.sentence.ends_with('.'), &document.sentence)?;
        check_message(&document)?;
        let Some(Before { traffic, sizes }) = healing else {
            return check(document.outcome == Outcome::Held && document.stream_was_unseen(), &document);
        };
        // The second change of a sample that has two is the one that it tells of.
        let is_planned = document.outcome == Outcome::Planned;
        let grows = !is_planned
            && ["scale_shards", "split_shard", "warm_up", "just_looked", "settling", "resharding"].contains(&code);
        check(grows == (sizes.1.shards > sizes.0.shards), (sizes, &document))?;
        let modes = (sizes.0.is_on_demand, sizes.1.is_on_demand);
        let switches = ["switch_to_on_demand", "switch_to_provisioned"].contains(&code);
        check(switches == (modes.0 != modes.1), (modes, &document))?;
        let Some((before, after)) = traffic else { return Ok(()) };
        let is_calm = ["healthy", "disable_shard_metrics"].contains(&code);
        check(is_calm != (before.throttled > 0), before)?;
        check((grows || is_calm) == (after.throttled == 0), after)
    })
}

/// Whatever is decided, a person could be told of it.
fn check_message(document: &Document) -> Result<(), Failed> {
    let message = Message::of(document, "us-east-1");
    let Message { subject, body } = &message;
    let is_subject = subject.starts_with("[unthrottle] ") && subject.is_ascii() && subject.len() <= 100;
    let says_what = document.outcome == Outcome::Healed || subject.contains(document.code);
    check(is_subject && says_what && body.starts_with(&document.sentence), &message)?;
    if let Some(stream) = &document.stream {
        let link = format!(
            "https://us-east-1.console.aws.amazon.com/kinesis/home?region=us-east-1#/streams/details/{}",
            stream.name
        );
        let is_whole = subject.contains(&stream.name) && body.contains(&link) && body.contains("unthrottle.mode=off");
        // What another account's stream is called says nothing here.
        let is_ours = stream.arn.contains(":123456789012:");
        check(!is_ours || is_whole, &message)?;
    }
    let is_acted = document.outcome == Outcome::Acted;
    check(subject.ends_with("us-east-1") && body.ends_with("unthrottle pause\n"), &message)?;
    check(body.contains("Undo") == is_acted && document.undo.is_some() == is_acted, &message)?;
    check_undo(document)
}

/// The sentence of an act ends with the bill, where there is one, and with what really undoes it.
fn check_undo(document: &Document) -> Result<(), Failed> {
    let Some(undo) = &document.undo else { return Ok(()) };
    let begins = match document.code {
        "scale_shards" | "split_shard" | "switch_to_on_demand" => "unthrottle restore ",
        "enable_shard_metrics" => "aws kinesis disable-enhanced-monitoring ",
        "warm_up" => "aws kinesis update-stream-warm-throughput ",
        "restore" => "aws kinesis update-shard-count ",
        "switch_to_provisioned" => "aws kinesis update-stream-mode ",
        "disable_shard_metrics" => "aws kinesis enable-enhanced-monitoring ",
        other => return Err(format!("no command undoes {other}").into()),
    };
    let by_itself =
        document.sentence.contains(" It is taken back after ") && document.sentence.ends_with(" calm hours.");
    let bill = document.sentence.contains(" a month).");
    check(undo.starts_with(begins) && undo.contains("--region us-east-1") && bill, document)?;
    check(by_itself || document.sentence.ends_with(&format!(" a month). To undo it: {undo}.")), document)
}

fn check(holds: bool, seen: impl std::fmt::Debug) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(format!("{seen:#?}").into()) }
}

trait NoDiagnosis {
    fn stream_was_unseen(&self) -> bool;
}

impl NoDiagnosis for unthrottle_core::report::Document {
    /// Nothing was read from AWS for it.
    fn stream_was_unseen(&self) -> bool {
        self.evidence.observed_at.is_none() && self.stream.as_ref().is_none_or(|s| s.status.is_none())
    }
}
