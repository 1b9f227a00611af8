//! Promises about the Lambda: the calls that it can make, and the crates that it is built of.

#[path = "common/lambda.rs"]
mod lambda;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

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

/// The crates that `package` is built of, without its tests.
fn crates_of(package: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--package", package]);
    let out = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let crates = String::from_utf8(out.stdout).expect("text");
    crates.lines().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

#[test]
fn the_lambda_is_built_without_the_command_line_and_with_one_tls_stack() {
    let (lean, full) = (crates_of("unthrottle"), crates_of("unthrottle-cli"));
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
        "md-5",
        "plotters",
        "tempfile",
        "unthrottle-cli",
        "unthrottle-lab",
    ] {
        assert!(full.contains(cli), "{cli} is in the command line");
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
        "unthrottle-cli",
        "unthrottle-lab",
        "ring",
        "openssl",
        "native-tls",
    ] {
        assert!(!lean.contains(absent), "{absent} is in the Lambda");
    }
}

/// Nothing in the core can wait, call, log, read a clock or draw a random number. `iana-time-zone` is the clock of
/// chrono. Without the lab, the decision has its own copy of AWS's limits: an error in either shows as a refused
/// change.
#[test]
fn the_core_is_built_without_runtime_sdk_clock_randomness_and_lab() {
    let core = crates_of("unthrottle-core");
    assert!(core.contains("chrono") && core.contains("unthrottle-core"), "{core:?}");
    let impure = ["tokio", "hyper", "tracing", "rand", "getrandom", "chacha20", "iana-time-zone", "unthrottle-lab"];
    let found: Vec<_> =
        core.iter().filter(|name| impure.contains(&name.as_str()) || name.starts_with("aws-")).collect();
    assert!(found.is_empty(), "{found:?} in {core:?}");
}
