//! Twenty thousand schedules of crashes, lost replies, stale reads and people: every invariant holds.

use serde_json::Value;
use std::process::Command;

fn arena(args: &[&str]) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_unthrottle")).arg("arena").args(args).output().expect("runs");
    (out.status.code(), String::from_utf8(out.stdout).expect("text"))
}

#[test]
fn twenty_thousand_schedules_hold() {
    let (code, text) = arena(&["--faults", "20000", "--seed", "1", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let sum: Value = serde_json::from_str(&text).expect("one line of JSON");
    assert_eq!((&sum["schedules"], &sum["broken"]), (&20_000.into(), &Value::Null));
    assert!(sum["changes"].as_u64() > Some(10_000), "they do something: {sum}");
    for trouble in
        ["5xx", "crash", "lost reply", "person", "refusal", "sent twice", "signal", "slow call", "stale read"]
    {
        assert!(sum["troubles"][trouble].as_u64() > Some(1_000), "{trouble}: {sum}");
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
fn schedules_of_nothing_or_of_a_workload_are_bad_usage() {
    assert_eq!(arena(&["--faults", "0"]).0, Some(2), "no schedule holds nothing");
    assert_eq!(arena(&["--faults", "1", "--workload", "calm"]).0, Some(2));
}
