//! Each scenario yields the decision that it names, on a local account, and the stream shows the change.

use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use unthrottle_cli::{Effect, Replay, explained, replay};
use unthrottle_core::decision::Outcome;
use unthrottle_core::report::Document;
use unthrottle_core::report::message::Message;

fn main() {
    let scenarios = files("scenarios");
    let mut trials: Vec<Trial> = scenarios.iter().cloned().map(replays).collect();
    trials.push(Trial::test("each_event_has_exactly_one_scenario_with_the_code_of_its_name", each_event_has_one));
    trials.push(Trial::test("an_event_file_meets_the_world_of_its_scenario", an_event_file_meets_its_world));
    trials.push(Trial::test("there_are_at_least_16_samples", move || check(scenarios.len() >= 16, scenarios.len())));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The files of a folder of the workspace, in the order of their names.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let entries = std::fs::read_dir(&folder).expect("the folder exists");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

/// A field of a scenario file that holds text.
fn field(scenario: &Path, field: &str) -> Result<String, Failed> {
    let scenario: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(scenario)?)?;
    Ok(scenario[field].as_str().ok_or("a field is missing")?.to_owned())
}

fn each_event_has_one() -> Result<(), Failed> {
    let mut unnamed = files("events");
    for scenario in files("scenarios") {
        let event = scenario.with_file_name("..").join(field(&scenario, "event")?).canonicalize()?;
        let place = unnamed.iter().position(|path| path.canonicalize().is_ok_and(|path| path == event));
        unnamed.remove(place.ok_or_else(|| format!("{}: a second scenario, or no event", event.display()))?);
        let stem = event.file_stem().expect("a name").to_string_lossy();
        let (situation, promise) = stem.split_once("__").ok_or("an event is named SITUATION__CODE.json")?;
        check(field(&scenario, "code")? == promise, &scenario)?;
        check(scenario.file_stem().expect("a name").to_string_lossy() == situation, &scenario)?;
        let about = field(&scenario, "about")?;
        check(about.ends_with('.') && about.len() > 20, about)?;
    }
    check(unnamed.is_empty(), unnamed)
}

/// Replays a file on a runtime of its own.
fn run(path: &Path) -> Result<Replay, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    Ok(runtime.block_on(replay(path))?)
}

fn an_event_file_meets_its_world() -> Result<(), Failed> {
    let events = files("events");
    let hot_shard = events.iter().find(|path| path.ends_with("put_records_hot_shard__split_shard.json"));
    let hot_shard = hot_shard.ok_or("the event exists")?;
    let with_scenario = run(hot_shard)?;
    check(with_scenario.document.code == "split_shard", &with_scenario)?;
    // Somewhere else, the same event meets a stream of two shards that gets more load than it takes.
    let folder = tempfile::tempdir()?;
    let moved = folder.path().join("put_records_hot_shard__split_shard.json");
    std::fs::copy(hot_shard, &moved)?;
    let without = run(&moved)?;
    check(without.document.code == "scale_shards", &without)
}

/// Replays a scenario: the decision is the one that the scenario names, and the stream and its traffic show it.
fn replays(scenario: PathBuf) -> Trial {
    let name = scenario.file_stem().expect("a name").to_string_lossy().into_owned();
    Trial::test(name, move || {
        let code = field(&scenario, "code")?;
        let code = code.as_str();
        let Replay { document, effect } = run(&scenario)?;
        check(document.code == code, &document)?;
        // A command that ends a sentence has no full stop, because it would be pasted with it.
        let last = document.sentence.rsplit(": ").next().unwrap_or_default();
        let is_command = ["aws kinesis ", "unthrottle restore "].into_iter().any(|program| last.starts_with(program));
        let ends = document.sentence.ends_with('.') != is_command;
        check(document.sentence.len() > 30 && ends, &document.sentence)?;
        check(words_before_undo(&document.sentence) <= MOST_WORDS, &document.sentence)?;
        check_message(&document)?;
        check_screens(&document)?;
        let Some(Effect { traffic, sizes }) = effect else {
            return check(document.outcome == Outcome::Held && is_unobserved(&document), &document);
        };
        // Of an event that comes twice, the first change counts here, and the second decision.
        let is_planned = document.outcome == Outcome::Planned;
        let raised = ["scale_shards", "scale_ahead", "split_shard", "warm_up", "just_looked", "settling", "resharding"];
        let grows = !is_planned && raised.contains(&code);
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

/// What `unthrottle explain` prints fits screens of these widths, except for what a person pastes whole, and reads as a
/// person writes.
fn check_screens(document: &Document) -> Result<(), Failed> {
    for width in [40, 60, 80, 120] {
        let text = explained(document, width);
        for line in text.lines().filter(|line| line.chars().count() > width) {
            let is_one_word = !line.trim().contains(' ');
            let is_command = ["unthrottle ", "aws "].iter().any(|program| line.trim().starts_with(program));
            check(is_one_word || is_command, (width, line, &text))?;
        }
        check(!text.contains('\u{1b}'), &text)?;
    }
    let text = explained(document, 10_000);
    for (number, noun) in [("0", "minutes"), ("1", "minutes"), ("1", "shards"), ("1", "records"), ("1", "calls")] {
        let wrong = text.split_whitespace().zip(text.split_whitespace().skip(1));
        let is_wrong = |(first, second): (&str, &str)| first == number && second.trim_matches([',', ';', '.']) == noun;
        check(!wrong.into_iter().any(is_wrong), (number, noun, &text))?;
    }
    Ok(())
}

/// Every decision can be sent to a person as a message.
fn check_message(document: &Document) -> Result<(), Failed> {
    let message = Message::of(document, "us-east-1");
    let Message { subject, body, chat } = &message;
    let is_form = serde_json::from_str::<serde_json::Value>(chat).is_ok_and(|form| {
        form["source"] == "custom" && form["content"]["description"].as_str().is_some_and(|text| !text.is_empty())
    });
    check(is_form && !chat.contains('<'), chat)?;
    let is_subject = subject.starts_with("[unthrottle] ") && subject.is_ascii() && subject.len() <= 100;
    let says_what = document.outcome == Outcome::Healed || subject.contains(document.code);
    check(is_subject && says_what && body.starts_with(&document.sentence), &message)?;
    if let Some(stream) = &document.stream {
        let link = format!(
            "https://us-east-1.console.aws.amazon.com/kinesis/home?region=us-east-1#/streams/details/{}",
            stream.name
        );
        let is_whole = subject.contains(&stream.name) && body.contains(&link) && body.contains("unthrottle.mode=off");
        // The name of another account's stream has no meaning here.
        let is_ours = stream.arn.contains(":123456789012:");
        check(!is_ours || is_whole, &message)?;
    }
    let is_acted = document.outcome == Outcome::Acted;
    check(subject.ends_with("us-east-1") && body.ends_with("unthrottle pause\n"), &message)?;
    check(body.contains("Undo") == is_acted && document.undo.is_some() == is_acted, &message)?;
    check_undo(document)
}

/// The sentence of a change ends with its cost, and with the command that undoes it.
fn check_undo(document: &Document) -> Result<(), Failed> {
    let Some(undo) = &document.undo else { return Ok(()) };
    let begins = match document.code {
        "scale_shards" | "scale_ahead" | "split_shard" | "switch_to_on_demand" => "unthrottle restore ",
        "enable_shard_metrics" => "aws kinesis disable-enhanced-monitoring ",
        "warm_up" => "aws kinesis update-stream-warm-throughput ",
        "restore" => "aws kinesis update-shard-count ",
        "switch_to_provisioned" => "aws kinesis update-stream-mode ",
        "disable_shard_metrics" => "aws kinesis enable-enhanced-monitoring ",
        other => return Err(format!("no command undoes {other}").into()),
    };
    let by_itself = document.sentence.contains(" It is undone by itself after ")
        && document.sentence.ends_with(" without throttling.");
    let has_cost = document.sentence.contains(" a month).");
    check(undo.starts_with(begins) && undo.contains("--region us-east-1") && has_cost, document)?;
    check(by_itself || document.sentence.ends_with(&format!(" a month). To undo it: {undo}")), document)
}

fn check(holds: bool, seen: impl std::fmt::Debug) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(format!("{seen:#?}").into()) }
}

/// Nothing was read from AWS for it.
fn is_unobserved(document: &Document) -> bool {
    document.evidence.observed_at.is_none() && document.stream.as_ref().is_none_or(|s| s.status.is_none())
}

/// The most words of a sentence before a command, which is copied and not read: a person reads it on a phone.
const MOST_WORDS: usize = 60;

/// The words before the undo command. A sign such as an arrow is no word.
fn words_before_undo(sentence: &str) -> usize {
    let ends = [" To undo it: ", " shows hot shards: aws kinesis "];
    let end = ends.into_iter().filter_map(|command| sentence.find(command)).min().unwrap_or(sentence.len());
    let text = &sentence[..end];
    text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count()
}
