//! Twenty thousand schedules of crashes, lost replies, stale reads and people: every invariant holds. The nightly
//! workflow plays new seeds. Small scenes are played in every interleaving.

use serde_json::Value;
use std::process::Command;

/// Gives the seed of the schedules; `new`: the time.
const SEED: &str = "FAULTS_SEED";

/// The seed without it. How many schedules of new seeds would break an invariant is not known yet, and a change of the
/// code must not fail for what it did not cause.
const USUAL: &str = "1";

fn arena(args: &[&str]) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_unthrottle")).arg("arena").args(args).output().expect("runs");
    (out.status.code(), String::from_utf8(out.stdout).expect("text"))
}

fn seed() -> String {
    match std::env::var(SEED) {
        Ok(seed) if seed == "new" => chrono::Utc::now().timestamp().to_string(),
        Ok(seed) => seed,
        Err(_) => USUAL.into(),
    }
}

#[test]
fn twenty_thousand_schedules_hold() {
    let seed = seed();
    let (code, text) = arena(&["--faults", "20000", "--seed", &seed, "--json"]);
    let again = format!("again: {SEED}={seed} cargo nextest run -p unthrottle-cli twenty_thousand_schedules_hold");
    let sum: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("one line of JSON: {text}\n{again}"));
    if let Some(schedule) = sum["broken"]["schedule"].as_str() {
        let broken = &sum["broken"];
        panic!("{} \n{schedule}\nalone: {}\n{again}", broken["why"], broken["command"]);
    }
    assert_eq!((code, &sum["schedules"]), (Some(0), &20_000.into()), "{text}\n{again}");
    assert!(sum["changes"].as_u64() > Some(10_000), "they do something: {sum}\n{again}");
    assert!(sum["fault_years"].as_f64() > Some(1.0), "each takes 40 minutes or more: {sum}\n{again}");
    for trouble in
        ["5xx", "crash", "lost reply", "person", "refusal", "sent twice", "signal", "slow call", "stale read"]
    {
        assert!(sum["troubles"][trouble].as_u64() > Some(1_000), "{trouble}: {sum}\n{again}");
    }
}

#[test]
fn a_seed_gives_the_same_summary_for_a_person() {
    let (code, text) = arena(&["--faults", "50", "--seed", "2"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("50 schedules of seed 2: ") && text.ends_with("Every invariant held.\n"), "{text}");
    assert_eq!(arena(&["--faults", "50", "--seed", "2"]).1, text);
}

#[test]
fn a_schedule_can_be_played_alone() {
    let runs = |args: &[&str]| {
        let (code, text) = arena(args);
        assert_eq!(code, Some(0), "{text}");
        serde_json::from_str::<Value>(&text).expect("JSON")["runs"].as_u64().expect("a number")
    };
    let one = |from| runs(&["--faults", "1", "--from", from, "--seed", "2", "--json"]);
    assert_eq!(one("7") + one("8"), runs(&["--faults", "2", "--from", "7", "--seed", "2", "--json"]));
}

#[test]
fn schedules_of_nothing_or_of_a_workload_are_bad_usage() {
    assert_eq!(arena(&["--faults", "0"]).0, Some(2), "no schedule holds nothing");
    assert_eq!(arena(&["--faults", "1", "--workload", "calm"]).0, Some(2));
    assert_eq!(arena(&["--from", "1"]).0, Some(2), "only schedules have a place");
    assert_eq!(arena(&["--exhaustive", "none"]).0, Some(2));
    assert_eq!(arena(&["--exhaustive", "--faults", "1"]).0, Some(2));
}

#[test]
fn an_option_without_an_effect_is_bad_usage() {
    for args in [
        &["--exhaustive", "--calibrate", "proof.json"][..],
        &["--faults", "1", "--calibrate", "proof.json"],
        &["--faults", "1", "--seeds", "2"],
        &["--markdown", "--scores", "scores.jsonl", "--weather", "foul"],
        &["--markdown", "--scores", "scores.jsonl", "--seed", "2"],
        &["--markdown", "--scores", "scores.jsonl", "--seeds", "2"],
    ] {
        let out = Command::new(env!("CARGO_BIN_EXE_unthrottle")).arg("arena").args(args).output().expect("runs");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains("cannot be used with"), "{args:?}: {said}");
    }
}
