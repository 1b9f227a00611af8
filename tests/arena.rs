//! The arena as people run it: README.md's table is what it prints.

use std::process::{Command, Output};

fn arena(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_unthrottle")).arg("arena").args(args).output().expect("runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn the_table_in_the_readme_is_current() {
    let printed = arena(&["--markdown"]);
    assert!(printed.status.success(), "{}", text(&printed.stderr));
    let readme = include_str!("../README.md");
    let (_, after) = readme.split_once("<!-- arena -->\n").expect("the mark");
    let (table, _) = after.split_once("<!-- /arena -->").expect("the other mark");
    assert!(table == text(&printed.stdout), "`make readme` writes it anew:\n{}", text(&printed.stdout));
    assert!(table.lines().count() > 24, "{table}");
    // What is reached stays reached; what is missed stands there.
    for figure in ["calls that AWS refused", "changes where", "shard-hours with restore", "changes with restore"] {
        let line = table.lines().find(|line| line.starts_with(&format!("- {figure}")));
        assert!(line.is_some_and(|line| !line.contains("missed")), "{figure}: {line:?}");
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
fn what_is_not_known_is_bad_usage() {
    for args in [["--workload", "none"], ["--policy", "none"], ["--weather", "none"]] {
        let printed = arena(&args);
        assert_eq!((printed.status.code(), text(&printed.stdout)), (Some(2), ""), "{args:?}");
        assert!(text(&printed.stderr).contains("none"), "{}", text(&printed.stderr));
    }
}
