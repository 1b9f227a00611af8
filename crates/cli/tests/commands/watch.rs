//! `unthrottle watch` as a person uses it: in a terminal with keys, and as a table.

use crate::aws::STREAM;
use crate::fixture::{Fixture, live};
use crate::shell::{output, text, unthrottle};
use crate::terminal::Terminal;
use serde_json::Value;
use std::process::Command;

/// An account with a stream that refuses records, and two that have little load.
async fn account() -> Fixture {
    let fixture = Fixture::empty(live()).await;
    fixture.account.add_streams([STREAM, "clicks", "payments"].map(str::to_owned), 2, &[]).await;
    fixture.offer(STREAM, 3000.0, 2, 1..=10);
    fixture.offer("clicks", 200.0, 2, 1..=30);
    fixture.offer("payments", 1200.0, 2, 1..=30);
    fixture.account.reset_calls();
    fixture
}

/// The command, for the account of the fixture.
fn watch(fixture: &Fixture, args: &[&str]) -> Command {
    let mut command = unthrottle(&["watch"]);
    command.args(args).args(["--endpoint-url", fixture.account.url(), "--region", "us-east-1"]);
    command
}

/// The same for a terminal.
fn on_terminal(command: &Command) -> pty_process::blocking::Command {
    let mut inside = pty_process::blocking::Command::new(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        inside = match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    inside
}

/// A text with its lines joined.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The screen, once it shows this text.
fn see(terminal: &Terminal, text: &str) -> String {
    see_all(terminal, &[text])
}

/// The screen once it has all of these texts. A terminal draws a page from the top, so a page may be there in part.
fn see_all(terminal: &Terminal, texts: &[&str]) -> String {
    terminal.wait_for(&texts.join(", "), |screen| texts.iter().all(|text| screen.contains(text)));
    terminal.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sorts_filters_opens_and_explains_in_a_terminal() {
    let fixture = account().await;
    let mut terminal = Terminal::start(on_terminal(&watch(&fixture, &["--all"])));

    let screen = see(&terminal, "→ scale_shards 2→4");
    let rows: Vec<&str> = screen.lines().skip(2).take(3).collect();
    assert!(rows[0].starts_with("orders") && rows[0].contains("100 %"), "the most urgent first: {screen}");
    assert!(rows[0].contains("0k ") && rows[0].contains('█'), "refused in the hour: {screen}");
    assert!(screen.contains("AWS calls: ") && screen.contains(" of 240 a minute"), "{screen}");
    assert!(screen.contains("3 streams, us-east-1") && screen.contains("q quit"), "{screen}");
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
    // What would be done about the selected stream, and why.
    terminal.wait_for("reason", |screen| unwrapped(screen).contains("Would change 2 → 4 shards"));
    terminal.wait_for("check of each stream", |screen| !screen.contains("not checked yet"));

    terminal.press("sss");
    let screen = see(&terminal, "s sort: name");
    let names: Vec<&str> = screen.lines().skip(2).take(3).filter_map(|row| row.split_whitespace().next()).collect();
    assert_eq!(names, ["clicks", "orders", "payments"], "{screen}");

    terminal.press("/pay");
    see(&terminal, "filter: pay");
    terminal.press("\r");
    terminal.wait_for("one row", |screen| screen.contains("1 of 3 streams") && !screen.contains("clicks"));
    let screen = see(&terminal, "payments");
    assert!(!screen.contains("clicks") && screen.contains("payments"), "{screen}");

    terminal.press("\r");
    let screen = see_all(&terminal, &["PROVISIONED, 2 open shards", "observed_at", "healthy (held)"]);
    assert!(screen.contains("observed_at") && screen.contains("healthy (held)"), "{screen}");

    let checks = fixture.calls("Kinesis.DescribeStreamSummary");
    terminal.press("e");
    terminal.wait_for("new check", |_| fixture.calls("Kinesis.DescribeStreamSummary") > checks);

    terminal.press("\x1b");
    see(&terminal, "1 of 3 streams");
    terminal.press("q");
    assert!(terminal.end().success());
    assert!(!terminal.is_whole() && terminal.has_cursor(), "the screen of the shell is back: {}", terminal.text());
    assert_eq!(fixture.calls("Kinesis.TagResource") + fixture.calls("Kinesis.UpdateShardCount"), 0, "no change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_terminal_has_fewer_columns_and_no_words_that_are_cut() {
    let fixture = account().await;
    let narrow = std::num::NonZero::new(60).expect("more than 0");
    let mut terminal = Terminal::with_columns(narrow, on_terminal(&watch(&fixture, &["--all"])));
    let screen = see(&terminal, "→ scale_shards 2→4");
    let lines: Vec<&str> = screen.lines().collect();
    assert!(
        lines[0].starts_with("unthrottle watch: 3 streams, us-east-1 ") && lines[0].contains(" calls: "),
        "{screen}"
    );
    assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["stream", "load", "refused", "state"], "{screen}");
    assert!(lines[2].starts_with("orders") && lines[2].contains("100 %"), "{screen}");
    assert_eq!(lines[23].trim_end(), "q quit  ? keys  s sort: urgency", "{screen}");
    // The whole reason stands below the list.
    let document = output(watch(&fixture, &[STREAM, "--once", "--json"])).await;
    let document: Value = serde_json::from_slice(&document.stdout).expect("JSON");
    let sentence = document["streams"][0]["decision"]["sentence"].as_str().expect("a sentence").to_owned();
    let end = sentence.rsplit(". ").next().expect("a last sentence").to_owned();
    terminal.wait_for("end of the reason", |screen| unwrapped(screen).contains(&end));
    terminal.press("?");
    let screen = see(&terminal, "the time until the next check");
    assert!(unwrapped(&screen).contains("r: calls of GetRecords"), "{screen}");
    terminal.press("\x1b");
    see(&terminal, "→ scale_shards 2→4");
    terminal.press("\r");
    let page = ["PROVISIONED, 2 open shards", "last hour; refused: ", "  decision: scale_shards"];
    let screen = see_all(&terminal, &page);
    assert!(screen.contains("  decision: scale_shards") && screen.contains("last hour; refused: "), "{screen}");
    terminal.press("q");
    assert!(terminal.end().success());
}

#[tokio::test]
async fn the_table_shows_each_stream_and_counts_its_calls() {
    let fixture = account().await;
    let out = output(watch(&fixture, &["--all", "--once"])).await;
    let said = text(&out.stdout);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let row = said.lines().find(|line| line.trim_start().starts_with(STREAM)).expect("a row");
    assert!(row.contains("100 %") && row.contains("→ scale_shards 2→4"), "{said}");
    assert!(said.contains("  healthy") && unwrapped(&said).contains("Would change 2 → 4 shards"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");

    fixture.account.reset_calls();
    let out = output(watch(&fixture, &[STREAM, "payments", "--once", "--json", "--calls-per-minute", "90"])).await;
    let document: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(document["streams"].as_array().map(Vec::len), Some(2), "{document:#}");
    assert_eq!(document["streams"][0]["decision"]["code"], "scale_shards");
    assert_eq!(document["streams"][0]["hour_utilization"].as_array().map(Vec::len), Some(60));
    let calls: u64 = fixture.account.calls().values().sum();
    assert_eq!(document["aws_calls"], calls, "each call is counted");
    assert!(document["aws_calls_last_minute"].as_u64() <= Some(90) && calls <= 90, "{calls}");
}

#[tokio::test]
async fn what_cannot_be_watched_is_said_before_anything_is_drawn() {
    let fixture = account().await;
    for (args, says) in [
        (&["--all"][..], "this needs a terminal that can draw: give --once for a table"),
        (&["order", "--once"], "there is no stream `order` in this region. The nearest: orders"),
        (&["--all", "--once", "--calls-per-minute", "30"], "--calls-per-minute 30 is too few for 3 streams"),
        (&[STREAM, "--once", "--calls-per-minute", "30"], "--calls-per-minute 30 is too few for 1 stream:"),
        (&[], "<STREAM>"),
    ] {
        let out = output(watch(&fixture, args)).await;
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(says) && out.stdout.is_empty(), "{args:?}: {said}");
    }
}
