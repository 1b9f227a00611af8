//! What the doctor prints for people, and docs/doctor.md.

use crate::aws::root;
use crate::fixture::{Clinic, STREAM, Seed};
use unthrottle_core::checks::CHECKS;

#[tokio::test]
async fn the_page_on_a_terminal_has_the_worst_first_and_its_command_on_one_line() {
    let clinic = Clinic::of(Seed { alarms: false, shards: 10, ..Seed::default() }).await;
    let out = clinic.doctor(&[STREAM]).await;
    assert_eq!((out.code, out.err.as_str()), (0, ""));
    let lines: Vec<&str> = out.out.lines().collect();
    assert_eq!(lines[..2], ["orders: 10 shards, provisioned", "2 warn, 18 ok"]);
    let cost = lines.iter().position(|line| *line == "cost").expect("a group");
    assert!(lines[cost + 1].starts_with("  warn    oversized"), "{}", out.out);
    let fix = lines.iter().find(|line| line.trim_start().starts_with("fix") && line.contains("update-shard-count"));
    let fix = fix.expect("a command");
    assert!(fix.contains("--stream-name orders --target-shard-count 5"), "{fix}");
    let wide = lines.iter().filter(|line| line.chars().count() > 80);
    assert!(
        wide.clone().all(|line| ["fix", "source"].iter().any(|word| line.trim_start().starts_with(word))),
        "{wide:?}"
    );
}

#[test]
fn every_check_has_a_row_in_the_documents_and_every_row_a_check() {
    let page = std::fs::read_to_string(root().join("docs/doctor.md")).expect("docs/doctor.md");
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let rows: Vec<String> = page.lines().filter_map(cell).collect();
    assert_eq!(rows, CHECKS.iter().map(|check| check.code).collect::<Vec<_>>(), "in the order of the page");
}
