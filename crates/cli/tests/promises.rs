//! What the documents promise is what the code does.

#[path = "common/lambda.rs"]
mod lambda;

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use strum::VariantNames;
use unthrottle_core::decision::{Reason, Remedy};
use unthrottle_core::policy::Policy;
use unthrottle_core::signal::{Home, Signal};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

/// The rows of the Markdown tables of the README, cell by cell.
fn rows() -> Vec<Vec<String>> {
    let rows = read("README.md");
    let rows = rows.lines().filter(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// The codes that stand in backticks in the first cell of a row.
fn documented_codes() -> Vec<String> {
    let codes = rows().into_iter().filter(|row| row.len() < 4).flat_map(|row| {
        row[0]
            .split(", ")
            .filter_map(|code| code.strip_prefix('`')?.strip_suffix('`').map(str::to_owned))
            .collect::<Vec<_>>()
    });
    codes.collect()
}

#[test]
fn every_code_stands_in_the_readme_once_and_no_other_does() {
    let mut codes: Vec<&str> = Remedy::VARIANTS.iter().chain(Reason::VARIANTS).copied().collect();
    let mut documented = documented_codes();
    codes.sort_unstable();
    documented.sort_unstable();
    assert_eq!(documented, codes);
}

#[test]
fn every_setting_and_its_default_stand_in_the_readme_as_the_templates_have_them() {
    let settings: Value = serde_json::from_str(&read("infra/settings.json")).expect("JSON");
    for (name, setting) in settings.as_object().expect("an object") {
        let row = rows().into_iter().find(|row| row[0] == format!("`{name}`")).expect(name);
        if setting.get("same_as").is_none() {
            assert_eq!(row[1], setting["default"].as_str().expect("a string"), "{name}");
        }
        let says = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let Some(words) = setting["allowed"].as_array() {
            assert_eq!(row[2], words.iter().map(says).collect::<Vec<_>>().join(", "), "{name}");
        }
        // How few shards is bounded by how many.
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
                // Or else more minutes to confirm are refused for the shorter window.
                "UNTHROTTLE_WINDOW_MINUTES" if variable != name => Some("60".to_owned()),
                variable => (variable == name).then(|| value.clone()),
            };
            Policy::from_env(get)
        };
        for word in setting["allowed"].as_array().into_iter().flatten() {
            assert!(with(word.as_str().expect("a word").into()).is_ok(), "{name}={word}");
        }
        let (Some(min), Some(max)) = (setting["min"].as_f64(), setting["max"].as_f64()) else { continue };
        // A minimum above the maximum of another setting is refused for that.
        let max = if name == "UNTHROTTLE_MIN_SHARDS" { 100.0 } else { max };
        assert!(with(min.to_string()).is_ok(), "{name}={min}");
        assert!(with(max.to_string()).is_ok(), "{name}={max}");
        // A whole number is refused for its range, not for its digits.
        let step = if min.fract() == 0.0 && max.fract() == 0.0 { 1.0 } else { 0.01 };
        for beyond in [min - step, max + step] {
            let error = with(beyond.to_string()).expect_err(name).to_string();
            assert!(error.contains(&format!("{name}={beyond}: must be a number from ")), "{error}");
        }
    }
}

/// The names of the samples in events/, without their extension.
fn samples() -> Vec<String> {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("events")).expect("events/");
    let stem = |path: PathBuf| path.file_stem().and_then(|stem| stem.to_str().map(str::to_owned));
    files.map(|entry| stem(entry.expect("readable").path()).expect("a name")).collect()
}

#[test]
fn every_code_has_a_sample_and_no_sample_promises_another() {
    let samples = samples();
    let promised: BTreeSet<&str> =
        samples.iter().map(|name| name.split_once("__").expect("SITUATION__CODE").1).collect();
    let codes: BTreeSet<&str> = Remedy::VARIANTS.iter().chain(Reason::VARIANTS).copied().collect();
    assert_eq!(promised, codes);
}

#[test]
fn the_lambda_cannot_even_make_the_calls_that_it_never_makes() {
    let bootstrap = fs::read(lambda::bootstrap()).expect("readable");
    let has = |call: &str| bootstrap.windows(call.len()).any(|bytes| bytes == call.as_bytes());
    for call in ["UpdateShardCount", "SplitShard", "UpdateStreamMode", "UpdateStreamWarmThroughput"] {
        assert!(has(call), "{call} is made, and is not found");
    }
    for call in ["UpdateAccountSettings", "UpdateStreamRecordDistributionStrategy"] {
        assert!(!has(call), "{call} is in the Lambda");
    }
}

#[test]
fn every_command_of_the_readme_is_there() {
    let (readme, makefile) = (read("README.md"), read("Makefile"));
    for target in readme.lines().filter_map(|l| l.strip_prefix("    make ")?.split_whitespace().next()) {
        assert!(makefile.lines().any(|l| l.starts_with(&format!("{target}:"))), "make {target}");
    }
    let help = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_unthrottle")).args(args).arg("--help").output().expect("runs");
        assert!(out.status.success(), "{args:?}");
        String::from_utf8(out.stdout).expect("text")
    };
    for line in readme.lines().filter_map(|l| l.strip_prefix("    unthrottle ")) {
        let line = line.split('#').next().unwrap_or_default();
        let command = line.split_whitespace().next().expect("a command");
        let help = help(&[command]);
        for flag in line.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "unthrottle {command} {flag}");
        }
    }
}

#[test]
fn the_ask_of_the_readme_is_understood_and_names_its_shard() {
    let home = Home::of_arn(lambda::FUNCTION_ARN).expect("an ARN");
    let readme = read("README.md");
    let asks: Vec<&str> = readme.lines().filter(|line| line.starts_with("    {")).collect();
    assert_eq!(asks.len(), 1);
    for ask in asks {
        let signal = Signal::parse(&serde_json::from_str(ask).expect("JSON"), &home).expect("an ask");
        assert_eq!(signal.named_shard(), Some("shardId-000000000003"), "{ask}");
    }
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    if path.is_file() {
        return vec![path];
    }
    let entries = fs::read_dir(&path).expect(folder).map(|entry| entry.expect("readable").path());
    entries.filter(|p| p.extension().is_some_and(|e| e == "rs")).collect()
}

#[test]
fn the_core_knows_no_runtime_no_sdk_no_clock_and_no_randomness() {
    let core = ["decide", "run", "signal", "observation.rs", "memory.rs", "policy.rs", "cost.rs"];
    assert!(pure(&core, &[IMPURE.as_slice(), &["rand"]].concat()) >= 16);
}

/// The decision has its own copy of AWS's limits: an error in either shows as a refused change.
#[test]
fn the_decision_does_not_use_the_rules_of_the_accounts_that_it_is_tested_on() {
    assert!(pure(&["decide", "run", "memory.rs", "policy.rs"], &["crate::rules", "crate::sim", "crate::local"]) >= 12);
}

#[test]
fn the_arena_leaves_nothing_to_chance_but_its_seed() {
    assert!(pure(&["rules", "sim", "sim/faults", "sim/limits", "sim/peers"], &IMPURE) >= 33);
}

/// What makes the same input give another output.
const IMPURE: [&str; 19] = [
    "tokio",
    "aws_sdk",
    "aws_config",
    "aws_smithy",
    "lambda_runtime",
    "tracing",
    "::now()",
    "Instant",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::net",
    "std::thread",
    "crate::act",
    "crate::observe::",
    "crate::clients",
    "crate::heal",
    "crate::report",
    "HashMap",
];

/// Finds none of these words in the code of these parts of the crate, and gives the number of files that were read.
fn pure(parts: &[&str], impure: &[&str]) -> usize {
    let mut read = 0;
    for path in parts.iter().flat_map(|part| sources(part)) {
        let text = fs::read_to_string(&path).expect("readable");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let found = impure.iter().find(|word| line.contains(**word));
            assert_eq!(found, None, "{}: {line}", path.display());
        }
        read += 1;
    }
    read
}

#[test]
fn the_lambda_is_built_without_the_command_line_and_with_one_tls_stack() {
    let tree = |features: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none"]).args(features);
        let out = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let names = String::from_utf8(out.stdout).expect("text");
        names.lines().filter_map(|l| l.split_whitespace().next().map(str::to_owned)).collect::<Vec<_>>()
    };
    let (lean, full) = (tree(&["--no-default-features"]), tree(&[]));
    for cli in [
        "aws-sdk-eventbridge",
        "aws-sdk-scheduler",
        "axum",
        "chacha20",
        "ciborium",
        "clap",
        "csv",
        "etcetera",
        "ferrokinesis",
        "flate2",
        "maud",
        "plotters",
        "tempfile",
    ] {
        assert!(full.iter().any(|c| c == cli), "{cli} is in the command line");
    }
    for absent in [
        "aws-sdk-eventbridge",
        "aws-sdk-scheduler",
        "axum",
        "chacha20",
        "ciborium",
        "clap",
        "csv",
        "etcetera",
        "ferrokinesis",
        "maud",
        "md-5",
        "plotters",
        "tempfile",
        "ring",
        "openssl",
        "native-tls",
    ] {
        assert!(!lean.iter().any(|c| c == absent), "{absent} is in the Lambda");
    }
}

#[test]
fn the_lock_file_and_the_samples_name_no_machine() {
    let files = ["Cargo.lock", "tests/witness/package-lock.json", "README.md", "template.yaml", "Makefile"];
    let events = samples().into_iter().map(|name| format!("events/{name}.json"));
    for path in files.map(str::to_owned).into_iter().chain(events) {
        let text = read(&path);
        for trace in ["/root/", "/home/", "/tmp/", "\"resolved\""] {
            assert!(!text.contains(trace), "{path} contains {trace}");
        }
    }
}
