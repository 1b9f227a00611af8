//! The documents promise what the code does.

#[path = "../../../tests/common/aws.rs"]
mod aws;

use aws::{STREAM_ARN, root};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use strum::VariantNames;
use unthrottle_core::decision::{Reason, Remedy};
use unthrottle_core::policy::Policy;
use unthrottle_core::signal::{Home, Signal};

/// A file of the project.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// The rows of the Markdown tables of a page, cell by cell.
fn rows(page: &str) -> Vec<Vec<String>> {
    let rows = read(page);
    let rows = rows.lines().filter(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn codes() -> BTreeSet<&'static str> {
    Remedy::VARIANTS.iter().chain(Reason::VARIANTS).copied().collect()
}

/// The codes that stand in backticks in the first cells of the rows of docs/decisions.md.
fn documented_codes() -> Vec<String> {
    let code = |cell: &str| cell.strip_prefix('`')?.strip_suffix('`').map(str::to_owned);
    let of_row = |row: Vec<String>| row[0].split(", ").filter_map(code).collect::<Vec<_>>();
    rows("docs/decisions.md").into_iter().flat_map(of_row).collect()
}

#[test]
fn every_code_stands_in_the_documents_once_and_no_other_does() {
    let mut documented = documented_codes();
    documented.sort_unstable();
    assert_eq!(documented, codes().into_iter().collect::<Vec<_>>());
}

#[test]
fn every_setting_and_its_default_stand_in_the_documents_as_the_templates_have_them() {
    let settings: Value = serde_json::from_str(&read("infra/settings.json")).expect("JSON");
    let rows = rows("docs/configuration.md");
    for (name, setting) in settings.as_object().expect("an object") {
        let row = rows.iter().find(|row| row[0] == format!("`{name}`")).expect(name);
        if setting.get("same_as").is_none() {
            assert_eq!(row[1], setting["default"].as_str().expect("a string"), "{name}");
        }
        let says = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let Some(words) = setting["allowed"].as_array() {
            assert_eq!(row[2], words.iter().map(says).collect::<Vec<_>>().join(", "), "{name}");
        }
        // The minimum of shards is bounded by the maximum, so its row has no range.
        if setting.get("min").is_some() && name != "UNTHROTTLE_MIN_SHARDS" {
            assert_eq!(row[2], format!("{}–{}", says(&setting["min"]), says(&setting["max"])), "{name}");
        }
    }
}

#[test]
fn the_settings_of_the_templates_are_those_of_the_code() {
    let settings: Value = serde_json::from_str(&read("infra/settings.json")).expect("JSON");
    let settings = settings.as_object().expect("an object");
    let defaults = |name: &str| settings[name]["default"].as_str().map(str::to_owned);
    let all = |name: &str| if settings.contains_key(name) { defaults(name) } else { None };
    assert_eq!(Policy::from_env(all), Ok(Policy::default()), "the same defaults");
    for (name, setting) in settings {
        let with = |value: String| {
            let get = |variable: &str| match variable {
                // With a shorter window, more minutes to confirm are refused.
                "UNTHROTTLE_WINDOW_MINUTES" if variable != name => Some("60".to_owned()),
                variable => (variable == name).then(|| value.clone()),
            };
            Policy::from_env(get)
        };
        for word in setting["allowed"].as_array().into_iter().flatten() {
            assert!(with(word.as_str().expect("a word").into()).is_ok(), "{name}={word}");
        }
        let (Some(min), Some(max)) = (setting["min"].as_f64(), setting["max"].as_f64()) else { continue };
        // A minimum above the default maximum is refused.
        let max = if name == "UNTHROTTLE_MIN_SHARDS" { 100.0 } else { max };
        assert!(with(min.to_string()).is_ok(), "{name}={min}");
        assert!(with(max.to_string()).is_ok(), "{name}={max}");
        // A step of 1 keeps whole numbers whole: they are refused for their range, not for their digits.
        let is_whole = min.fract() == 0.0 && max.fract() == 0.0;
        let (step, kind) = if is_whole { (1.0, "a whole number") } else { (0.01, "a number") };
        for beyond in [min - step, max + step] {
            let error = with(beyond.to_string()).expect_err(name).to_string();
            assert!(error.contains(&format!("{name}={beyond}: must be {kind} from ")), "{error}");
        }
        if is_whole {
            let error = with((min + 0.5).to_string()).expect_err(name).to_string();
            assert!(error.contains(&format!("must be {kind} from ")), "{error}");
        }
    }
}

/// The names of the sample events, without their extension.
fn samples() -> Vec<String> {
    let files = fs::read_dir(root().join("events")).expect("events/");
    let stem = |path: PathBuf| path.file_stem().and_then(|stem| stem.to_str().map(str::to_owned));
    files.map(|entry| stem(entry.expect("readable").path()).expect("a name")).collect()
}

#[test]
fn every_code_has_a_sample_and_no_sample_promises_another() {
    let samples = samples();
    let promised: BTreeSet<&str> =
        samples.iter().map(|name| name.split_once("__").expect("SITUATION__CODE").1).collect();
    assert_eq!(promised, codes());
}

/// The pages that show commands, in lines that begin with four spaces.
const PAGES: [&str; 7] = [
    "README.md",
    "docs/doctor.md",
    "docs/operations.md",
    "docs/evaluation.md",
    "docs/development.md",
    "docs/put.md",
    "docs/limits.md",
];

/// The lines of the pages that begin with `    COMMAND `, without that.
fn shown(command: &str) -> Vec<String> {
    let prefix = format!("    {command} ");
    let lines = PAGES.into_iter().flat_map(|page| read(page).lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect()
}

#[test]
fn every_make_target_of_the_documents_is_there() {
    let (makefile, lines) = (read("Makefile"), shown("make"));
    assert!(lines.len() > 3, "{lines:?}");
    for line in lines {
        let target = line.split_whitespace().next().expect("a target");
        assert!(makefile.lines().any(|l| l.starts_with(&format!("{target}:"))), "make {target}");
    }
}

#[test]
fn every_command_and_flag_of_the_documents_is_there() {
    let help = |args: &[&str]| {
        let out = unthrottle(&[args, &["--help"]].concat());
        assert!(out.status.success(), "{args:?}");
        String::from_utf8(out.stdout).expect("text")
    };
    let lines = shown("unthrottle");
    assert!(lines.len() > 12, "{lines:?}");
    for line in lines {
        let line = line.split('#').next().unwrap_or_default();
        let command = line.split_whitespace().next().expect("a command");
        let help = help(&[command]);
        for flag in line.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "unthrottle {command} {flag}");
        }
    }
}

/// Runs the command line in the root of the project.
fn unthrottle(args: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    command.args(args).current_dir(root()).output().expect("runs")
}

#[test]
fn the_ask_of_the_documents_is_understood_and_names_its_shard() {
    let home = Home::of_arn(STREAM_ARN).expect("an ARN");
    let page = read("docs/operations.md");
    let asks: Vec<&str> = page.lines().filter(|line| line.starts_with("    {")).collect();
    assert_eq!(asks.len(), 1);
    for ask in asks {
        let signal = Signal::parse(&serde_json::from_str(ask).expect("JSON"), &home).expect("an ask");
        assert_eq!(signal.named_shard(), Some("shardId-000000000003"), "{ask}");
    }
}

#[test]
fn the_demo_prints_what_the_readme_shows() {
    let out = unthrottle(&["replay", "events/put_records_throttled__scale_shards.json"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let printed = String::from_utf8(out.stdout).expect("text");
    let readme = read("README.md");
    let (_, block) = readme.split_once("```text\n").expect("a block of text");
    let (block, _) = block.split_once("```").expect("its end");
    assert!(block.lines().count() > 3 && block.starts_with("  traffic: "), "{block}");
    let (printed, shown): (Vec<&str>, Vec<&str>) = (printed.lines().collect(), block.lines().collect());
    assert!(printed.windows(shown.len()).any(|lines| lines == shown), "{printed:#?} has not, in a row, {shown:#?}");
}

#[test]
fn a_setting_that_unthrottle_does_not_know_is_a_warning_of_every_command() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    command.args(["runbook", "no-such-file"]).env("UNTHROTTLE_MAX_SHARD", "5").env("UNTHROTTLE_MODE", "heal");
    let warned = String::from_utf8(command.output().expect("runs").stderr).expect("text");
    let says = "unthrottle: warning: unthrottle does not know UNTHROTTLE_MAX_SHARD and ignores it. The nearest name is \
                UNTHROTTLE_MAX_SHARDS\n";
    assert!(warned.starts_with(says), "{warned}");
    assert_eq!(warned.matches("warning").count(), 1, "{warned}");
}

/// The Rust sources below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    let of_entry = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    entries.flat_map(of_entry).filter(|path| path.extension().is_some_and(|e| e == "rs")).collect()
}

/// The same seed gives the same scores: no input of a run comes from the machine. The Cargo.toml of the lab cannot
/// ensure this, because the local account beside the simulator needs a runtime and a clock.
#[test]
fn the_simulator_leaves_nothing_to_chance_but_its_seed() {
    let lab = root().join("crates/lab/src");
    let files: Vec<PathBuf> = ["rules", "sim"].iter().flat_map(|folder| sources(&lab.join(folder))).collect();
    assert!(files.len() >= 40, "{}", files.len());
    for path in files {
        let text = fs::read_to_string(&path).expect("readable");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let found = IMPURE.iter().find(|word| line.contains(**word));
            assert_eq!(found, None, "{}: {line}", path.display());
        }
    }
}

/// Words of code that gives another output for the same input. A HashMap iterates in a random order.
const IMPURE: [&str; 19] = [
    "tokio",
    "axum",
    "aws_sdk",
    "aws_config",
    "aws_smithy",
    "lambda_runtime",
    "tracing",
    "ferrokinesis",
    "getrandom",
    "::now()",
    "Instant",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::net",
    "std::thread",
    "crate::local",
    "local::",
    "HashMap",
];

#[test]
fn the_lock_file_and_the_samples_name_no_machine() {
    let files = ["Cargo.lock", "tests/second_emulator/package-lock.json", "README.md", "template.yaml", "Makefile"];
    let events = samples().into_iter().map(|name| format!("events/{name}.json"));
    for path in files.map(str::to_owned).into_iter().chain(events) {
        let text = read(&path);
        for trace in ["/root/", "/home/", "/tmp/", "\"resolved\""] {
            assert!(!text.contains(trace), "{path} contains {trace}");
        }
    }
}
