//! The arena as people run it: the table of docs/evaluation.md is what it prints.

use std::process::{Command, Output};

fn arena(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_unthrottle")).arg("arena").args(args).output().expect("runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// The scores that the table is made of, a line for each run. `make readme` writes both. The path is relative to this
/// package, where Cargo starts the tests.
const SCORES: &str = "tests/arena.jsonl";

#[test]
fn the_table_in_the_documents_is_that_of_the_scores() {
    let printed = arena(&["--markdown", "--scores", SCORES]);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    let page = include_str!("../../../docs/evaluation.md");
    let (_, after) = page.split_once("<!-- arena -->\n").expect("the mark");
    let (table, _) = after.split_once("<!-- /arena -->").expect("the other mark");
    assert!(table == text(&printed.stdout), "`make readme` writes it anew:\n{}", text(&printed.stdout));
    assert!(table.lines().count() > 24, "{table}");
    // A figure that was reached stays reached.
    let line = |figure: &str| table.lines().find(|line| line.starts_with(&format!("- {figure}"))).unwrap_or_default();
    for figure in ["calls that AWS refused", "changes where", "changes with restore"] {
        assert!(!line(figure).is_empty() && !line(figure).contains("missed"), "{figure}: {}", line(figure));
    }
    // The table says that this figure is missed. It must not get worse.
    let shard_hours = line("shard-hours with restore").split(": ").nth(1).and_then(|rest| rest.split(',').next());
    let shard_hours: f64 = shard_hours.and_then(|number| number.parse().ok()).expect("a number");
    assert!(shard_hours <= 1.22, "{shard_hours}");
}

/// What was refused in the committed run of this workload, policy and seed: records and calls. `None`: there is none.
fn refused(workload: &str, policy: &str, seed: u64) -> Option<f64> {
    let row = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    let is_it = |row: &serde_json::Value| row["workload"] == workload && row["policy"] == policy && row["seed"] == seed;
    let begin = format!("{{\"workload\":\"{workload}\",\"policy\":\"{policy}\"");
    let row = include_str!("arena.jsonl").lines().filter(|line| line.starts_with(&begin)).map(row).find(is_it)?;
    Some(row["throttled"].as_f64()? + row["reads_throttled"].as_f64()?)
}

/// The policies of others, without the limits.
const PEERS: [&str; 9] = [
    "application-auto-scaling",
    "aws-autoscaling",
    "doubling",
    "epsagon",
    "huawei-dis",
    "on-demand",
    "predictive-scaling",
    "scaling-utils",
    "substation",
];

#[test]
fn the_figures_of_foresight_that_were_reached_stay_reached() {
    let of = |workload, policy, seed| refused(workload, policy, seed).expect("a line");
    for seed in 1..=5 {
        for (workload, most) in [("growth", 0.95), ("diurnal", 0.05), ("weekly", 0.05)] {
            let (foreseeing, limit) = (of(workload, "ours-foreseeing", seed), of(workload, "reactive", seed));
            assert!(foreseeing <= most * limit, "{workload}, seed {seed}: {foreseeing} of {limit}");
        }
        let best = PEERS.map(|peer| of("step-1.3", peer, seed)).into_iter().fold(f64::INFINITY, f64::min);
        let foreseeing = of("step-1.3", "ours-foreseeing", seed);
        assert!(foreseeing <= best, "step-1.3, seed {seed}: {foreseeing}, and the best peer {best}");
    }
}

/// A run of unthrottle with foresight.
fn foreseeing(workload: &str, seed: u64) -> serde_json::Value {
    let seed = seed.to_string();
    let printed = arena(&["--workload", workload, "--policy", "ours-foreseeing", "--seed", &seed, "--json"]);
    serde_json::from_slice(&printed.stdout).expect("one line of JSON")
}

#[test]
fn foresight_leaves_a_reader_that_works_off_a_backlog_alone() {
    let (stopped, replay) = (foreseeing("readers-stop", 1), foreseeing("trim-horizon", 1));
    for score in ["changes", "shard_hours"] {
        assert_eq!(stopped[score], replay[score], "the same writes: {replay}");
    }
}

#[test]
fn foresight_heals_a_wide_stream_that_refuses_less_than_the_floor_all_day() {
    for seed in [1, 4] {
        let row = foreseeing("wide", seed);
        assert_eq!((&row["is_healed"], &row["changes"]), (&true.into(), &2.into()), "{row}");
    }
}

/// Workloads that every policy runs again here, in a second or two: writes that capacity cures, readers, and no
/// trouble.
/// `make readme` runs the others.
const BY_ALL: [&str; 4] = ["calm", "put-record", "readers-calls", "step-2"];

/// The policies that run every workload again, because a change of unthrottle's code changes their scores. The workload
/// `fleet` takes ten seconds, so only the first policy runs it.
const ON_ALL: [&str; 3] = ["ours", "ours-restoring", "ours-foreseeing"];

/// The committed lines of these runs are the lines that the code prints now.
fn expect_same(workload: &str, policy: Option<&str>, seed: u64) {
    let number = seed.to_string();
    let mut args = vec!["--json", "--workload", workload, "--seed", &number];
    args.extend(policy.iter().flat_map(|policy| ["--policy", policy]));
    let printed = arena(&args);
    let is_of_it = |line: &&str| {
        let begin = format!(
            "{{\"workload\":\"{workload}\",\"policy\":\"{}",
            policy.map(|p| p.to_owned() + "\"").unwrap_or_default()
        );
        line.starts_with(&begin) && line.contains(&format!("\"seed\":{seed},"))
    };
    let known: Vec<&str> = include_str!("arena.jsonl").lines().filter(is_of_it).collect();
    let now: Vec<&str> = text(&printed.stdout).lines().collect();
    assert!(!known.is_empty() && now == known, "`make readme` writes the scores and the table anew:\n{now:#?}");
}

#[test]
fn the_scores_of_every_policy_are_those_of_the_code() {
    BY_ALL.iter().for_each(|workload| expect_same(workload, None, 1));
    expect_same("put-record", None, 5);
}

#[test]
fn the_scores_of_every_workload_are_those_of_the_code() {
    let names = include_str!("arena.jsonl").lines().filter_map(|line| line.split('"').nth(3));
    let names: std::collections::BTreeSet<&str> = names.collect();
    assert_eq!(names.len(), 36);
    for workload in names {
        let policies = if workload == "fleet" { &ON_ALL[..1] } else { &ON_ALL };
        policies.iter().for_each(|policy| expect_same(workload, Some(policy), 1));
    }
}

#[test]
fn scores_that_are_not_there_or_not_whole_are_bad_input() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (first, _) = include_str!("arena.jsonl").split_once('\n').expect("a line");
    for (name, content, says) in [
        ("part.jsonl", first, "no line for"),
        ("words.jsonl", "words", "words.jsonl:1: "),
        ("none.jsonl", "", "no line for"),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, content).expect("written");
        let printed = arena(&["--markdown", "--scores", path.to_str().expect("text")]);
        assert_eq!(printed.status.code(), Some(2), "{name}");
        assert!(text(&printed.stderr).contains(says), "{name}: {}", text(&printed.stderr));
    }
}

#[test]
fn a_line_of_json_has_the_score() {
    let args = ["--workload", "step-2", "--policy", "ours", "--weather", "foul", "--seed", "5", "--json"];
    let printed = arena(&args);
    let row: serde_json::Value = serde_json::from_slice(&printed.stdout).expect("one line of JSON");
    assert_eq!((&row["workload"], &row["policy"], &row["weather"]), (&"step-2".into(), &"ours".into(), &"foul".into()));
    assert_eq!((&row["changes"], &row["illegal_calls"]), (&1.into(), &0.into()), "{row}");
    assert!(row["throttled"].as_u64() > Some(0) && row["shard_hours"].as_f64() > Some(96.0), "{row}");
    assert_eq!(arena(&args).stdout, printed.stdout, "the same seed");
}

#[test]
fn an_unknown_name_is_bad_usage() {
    for args in [["--workload", "none"], ["--policy", "none"], ["--weather", "none"]] {
        let printed = arena(&args);
        assert_eq!((printed.status.code(), text(&printed.stdout)), (Some(2), ""), "{args:?}");
        assert!(text(&printed.stderr).contains("none"), "{}", text(&printed.stderr));
    }
}

/// A proof with these measured times.
fn proof(measured: serde_json::Value, endpoint: Option<&str>) -> tempfile::NamedTempFile {
    let step = serde_json::json!({
        "step": "reshards", "about": "", "cost_usd": 0.1, "began": "2026-11-27T10:00:00Z", "seconds": 1.0,
        "findings": [], "measured": measured, "answers": [], "left": [],
    });
    let proof = serde_json::json!({
        "version": 1, "unthrottle": "0.1.0", "region": "us-east-1", "endpoint_url": endpoint, "pace": 1,
        "began": "2026-11-27T10:00:00Z", "steps": [step],
    });
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), proof.to_string()).expect("written");
    file
}

fn calibrated(file: &tempfile::NamedTempFile) -> Output {
    let path = file.path().to_str().expect("a path");
    arena(&["--workload", "step-2", "--policy", "ours", "--json", "--calibrate", path])
}

#[test]
fn measured_times_replace_those_of_the_arena_where_the_proof_has_them() {
    let slow = serde_json::json!({
        "reshards": [{"from": 1, "to": 2, "seconds": 120.0}, {"from": 4, "to": 8, "seconds": 150.0}],
        "metric_lags": [
            {"metric": "IncomingRecords", "minute": "2026-11-27T10:00:00Z", "seconds": 170.0},
            {"metric": "IncomingRecords", "minute": "2026-11-27T10:01:00Z", "seconds": 240.0},
        ],
    });
    let out = calibrated(&proof(slow, None));
    assert!(out.status.success(), "{}", text(&out.stderr));
    let says = "unthrottle: the seconds of a reshard, without 2 a shard: 118 to 142, from 2 measured, in place of 14 \
                to 30\nunthrottle: the seconds until CloudWatch shows a minute: 170 to 240, from 2 measured, in place \
                of 60 to 180\n";
    assert_eq!(text(&out.stderr), says);
    let refused = |out: &Output| {
        let row: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        row["throttled"].as_u64().expect("a number")
    };
    let built_in = refused(&arena(&["--workload", "step-2", "--policy", "ours", "--json"]));
    assert!(refused(&out) > built_in, "slower metrics and reshards refuse more than {built_in}");
    let part = serde_json::json!({"reshards": [{"from": 1, "to": 2, "seconds": 20.0}]});
    let out = calibrated(&proof(part, Some("http://127.0.0.1:4566")));
    let said = text(&out.stderr);
    assert!(said.contains("the proof comes from http://127.0.0.1:4566, and not from AWS\n"), "{said}");
    assert!(said.contains("shows a minute: 60 to 180 as built in, not measured\n"), "{said}");
}

#[test]
fn a_proof_without_times_or_with_impossible_ones_is_refused() {
    for (measured, says) in [
        (serde_json::json!({}), "has no measured times. The steps reshards and metric-lag of `unthrottle prove`"),
        (
            serde_json::json!({"reshards": [{"from": 0, "to": 2, "seconds": 20.0}]}),
            "field `measured.reshards`: 0 → 2 shards: must be 1 to 10000",
        ),
        (
            serde_json::json!({"reshards": [{"from": 1, "to": 2, "seconds": -1.0}]}),
            "field `measured.reshards.seconds`: -1: must be 0 to 3600",
        ),
        (serde_json::json!({"reshards": "none"}), "field `steps[0].measured.reshards`: no proof of `unthrottle prove`"),
    ] {
        let out = calibrated(&proof(measured, None));
        assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
        assert!(text(&out.stderr).contains(says), "{}", text(&out.stderr));
    }
}
