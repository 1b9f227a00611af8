//! The dead letters of `unthrottle put`: what is in them, and what a second run does with them.

use crate::fixture::{Fixture, sorted, stderr, text};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use unthrottle_lab::local::{Effect, Fault};

fn summary(out: &std::process::Output) -> Value {
    serde_json::from_str(text(&out.stdout).lines().last().expect("a line")).expect("JSON")
}

#[tokio::test]
async fn a_line_that_was_never_a_record_is_not_written_with_a_key_that_nobody_chose() {
    let fixture = Fixture::new().await;
    let (base64, null) = (["--base64", "--partition-key", "kk"], ["--partition-key", "id"]);
    let first = fixture.put(&[&["orders", "--dead-letter", "a.jsonl"], &base64[..]].concat(), "plain!\n").await;
    let second = fixture.put(&[&["orders", "--dead-letter", "b.jsonl"], &null[..]].concat(), "{\"id\":null}\n").await;
    for (out, file) in [(first, "a.jsonl"), (second, "b.jsonl")] {
        assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
        assert!(stderr(&out).contains("1 without a usable key or data"), "{}", stderr(&out));
        // Without an option that says how, the second run refuses it, and keeps it.
        let again = fixture.put(&["orders", file, "--dead-letter", "again.jsonl"], "").await;
        assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
        assert!(stderr(&again).contains("was never complete"), "{}", stderr(&again));
    }
    assert_eq!(fixture.records("orders").await.len(), 0);
    let kept = fs::read_to_string(fixture.folder.path().join("again.jsonl")).expect("there");
    assert!(kept.contains("not_base64") && kept.contains("no_partition_key"), "{kept}");
    // With a key, both are written: the line as it stood, and the data.
    let out = fixture.put(&["orders", "again.jsonl", "--partition-key", "mine"], "").await;
    assert!(out.status.success(), "{}", stderr(&out));
    assert_eq!(sorted(&fixture.records("orders").await), ["mine:plain!", "mine:{\"id\":null}"]);
}

#[tokio::test]
async fn with_order_a_rejected_record_loses_the_later_ones_of_its_key_and_the_hint_keeps_the_order() {
    let fixture = Fixture::new().await;
    let large = format!("{{\"k\":\"a\",\"x\":\"{}\"}}", "x".repeat(2000));
    let input = format!("{{\"k\":\"a\",\"n\":1}}\n{large}\n{{\"k\":\"a\",\"n\":3}}\n{{\"k\":\"b\"}}\n");
    let args = ["orders", "--ordered", "--partition-key", "k", "--max-batch-bytes", "1000", "--dead-letter"];
    let out = fixture.put(&[&args[..], &["my lost.jsonl"]].concat(), input).await;
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    assert_eq!(sorted(&fixture.records("orders").await), ["a:{\"k\":\"a\",\"n\":1}", "b:{\"k\":\"b\"}"]);
    let said = stderr(&out);
    assert!(said.contains("2 records are lost; my lost.jsonl has 2 of them"), "{said}");
    assert!(said.contains("unthrottle put orders --ordered 'my lost.jsonl'"), "{said}");
    let out = fixture.put(&["orders", "--ordered", "my lost.jsonl"], "").await;
    assert!(out.status.success(), "{}", stderr(&out));
    let records = fixture.records("orders").await;
    let of_a: Vec<&str> =
        records.iter().filter(|record| record.key == "a").map(|record| record.data.as_str()).collect();
    assert_eq!(of_a, ["{\"k\":\"a\",\"n\":1}", &large, "{\"k\":\"a\",\"n\":3}"]);
}

#[tokio::test]
async fn a_run_without_a_loss_leaves_the_letters_of_another_run() {
    let fixture = Fixture::new().await;
    let mut idle = fixture.start(&["orders", "--dead-letter", "lost.jsonl", "--json"]);
    // It is at work: the lines come from its main loop.
    let mut stdout = BufReader::new(idle.stdout.take().expect("piped"));
    let started = tokio::task::spawn_blocking(move || stdout.read_line(&mut String::new()).map(|_| stdout));
    let stdout = started.await.expect("no panic").expect("a line");
    let out = fixture.put(&["orders", "--dead-letter", "lost.jsonl"], "x".repeat(2 << 20)).await;
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    drop(idle.stdin.take());
    let out = tokio::task::spawn_blocking(move || idle.wait_with_output()).await.expect("no panic").expect("it ends");
    assert!(out.status.success(), "{}", stderr(&out));
    let kept = fs::read_to_string(fixture.folder.path().join("lost.jsonl")).expect("there");
    assert_eq!(kept.lines().count(), 2);
    drop(stdout);
}

#[tokio::test]
async fn a_source_that_is_the_dead_letters_by_any_name_is_refused() {
    let fixture = Fixture::new().await;
    let letters = "{\"unthrottle_dead_letters\":1}\n{\"data\":\"aGk=\",\"partition_key\":\"k\"}\n";
    let path = fixture.file("a.jsonl", letters);
    fs::hard_link(&path, fixture.folder.path().join("b.jsonl")).expect("linked");
    let out = fixture.put(&["orders", "a.jsonl", "--dead-letter", "b.jsonl"], "").await;
    assert_eq!(out.status.code(), Some(2), "{}", stderr(&out));
    assert!(stderr(&out).contains("a.jsonl: is read and is also --dead-letter"), "{}", stderr(&out));
    #[cfg(unix)]
    for args in [vec!["orders"], vec!["orders", "-"], vec!["orders", "/dev/stdin"]] {
        let mut command = fixture.command(&[&args[..], &["--dead-letter", "b.jsonl"]].concat());
        command.stdin(fs::File::open(&path).expect("there"));
        let out = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it ends");
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", stderr(&out));
        assert!(stderr(&out).contains("is read and is also --dead-letter"), "{args:?}: {}", stderr(&out));
    }
    assert_eq!(fixture.records("orders").await.len(), 0);
    assert_eq!(fs::read_to_string(path).expect("there"), letters);
}

#[tokio::test]
async fn a_name_of_a_file_reaches_no_terminal_as_it_is() {
    let fixture = Fixture::new().await;
    let name = "a\u{1b}[31mb.txt";
    fixture.file(name, "x".repeat(2 << 20));
    let out = fixture.put(&["orders", name], "").await;
    assert!(stderr(&out).contains("lost: a\\u{1b}[31mb.txt:1: data and key have"), "{}", stderr(&out));
    let out = fixture.put(&["orders", "c\u{1b}[31md.txt"], "").await;
    assert!(stderr(&out).contains("c\\u{1b}[31md.txt: No such file"), "{}", stderr(&out));
    assert!(!stderr(&out).contains('\u{1b}'), "{}", stderr(&out));
}

#[tokio::test]
async fn order_without_a_key_is_refused() {
    let fixture = Fixture::new().await;
    fixture.file("in.txt", "x\n");
    for file in ["in.txt", "-"] {
        let out = fixture.put(&["orders", "--ordered", file], "x\n").await;
        assert_eq!(out.status.code(), Some(2), "{}", stderr(&out));
        assert!(stderr(&out).contains("--ordered needs --partition-key"), "{}", stderr(&out));
    }
    assert_eq!(fixture.records("orders").await.len(), 0);
}

#[tokio::test]
async fn a_record_that_aws_may_have_is_a_possible_duplicate_in_the_next_run_as_well() {
    let fixture = Fixture::new().await;
    fixture.account.add_fault(Fault { operation: "PutRecords".into(), skip: 0, times: 1, effect: Effect::DropAfter });
    let out = fixture.put(&["orders", "--max-retries", "0", "--dead-letter", "lost.jsonl", "--json"], "a\n").await;
    assert_eq!(summary(&out)["lost_maybe_written"], 1, "{}", stderr(&out));
    let out = fixture.put(&["orders", "lost.jsonl", "--json"], "").await;
    assert!(out.status.success(), "{}", stderr(&out));
    assert_eq!(summary(&out)["possible_duplicates"], 1);
    assert_eq!(fixture.records("orders").await.len(), 2, "it is there twice");
}

#[tokio::test]
async fn empty_lines_of_letters_are_skipped_and_a_broken_one_says_what_is_written_and_what_is_not_read() {
    let fixture = Fixture::new().await;
    let header = "{\"unthrottle_dead_letters\":1}\n";
    let letter = "{\"data\":\"aGk=\",\"partition_key\":\"k\"}\n";
    fixture.file("a.jsonl", format!("{header}{letter}\n  \n{letter}"));
    fixture.file("b.jsonl", format!("{header}{letter}{{\"data\":\"aG"));
    fixture.file("c.jsonl", "x\n");
    let out = fixture.put(&["orders", "a.jsonl", "b.jsonl", "c.jsonl"], "").await;
    assert_eq!(out.status.code(), Some(2), "{}", stderr(&out));
    let said = stderr(&out);
    assert!(said.contains("b.jsonl:3: the line is cut off"), "{said}");
    assert!(said.contains("3 records of the input were written before. Not read: c.jsonl"), "{said}");
    assert_eq!(sorted(&fixture.records("orders").await), ["k:hi", "k:hi", "k:hi"]);
}

#[tokio::test]
async fn a_line_that_is_too_long_to_keep_gets_no_hint_about_a_file_that_does_not_have_it() {
    let fixture = Fixture::new().await;
    let out = fixture.put(&["orders", "--dead-letter", "lost.jsonl"], vec![b'x'; 17 << 20]).await;
    assert_eq!(out.status.code(), Some(1));
    let said = stderr(&out);
    assert!(said.contains("1 record is lost. lost.jsonl has none of them"), "{said}");
    assert!(!said.contains("To send these again"), "{said}");
    assert!(!fixture.folder.path().join("lost.jsonl").exists());
}

#[tokio::test]
async fn the_hint_has_the_file_that_has_the_credentials() {
    let fixture = Fixture::new().await;
    fixture.file("put.yaml", "output:\n  aws_kinesis:\n    stream_name: nowhere\n");
    let large = "x".repeat(2 << 20);
    let args = ["--config", "put.yaml", "--stream", "orders", "--aggregate", "--dead-letter=-lost.jsonl"];
    let out = fixture.put(&args, large).await;
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    let says = "unthrottle put --config put.yaml --stream orders --aggregate ./-lost.jsonl";
    assert!(stderr(&out).contains(says), "{}", stderr(&out));
}
