//! How `unthrottle put` ends: signals, pipes, readers that have gone, and exit codes.

use crate::fixture::{Fixture, PATIENCE, refuse, sorted, stderr, text};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Ends a command that a fault keeps alive, and waits for it.
async fn end(mut child: Child) -> Output {
    let id = child.id();
    let ended = spawn_blocking(move || {
        let (mut stdout, mut stderr) = (vec![], vec![]);
        if let Some(mut out) = child.stdout.take() {
            out.read_to_end(&mut stdout).expect("readable");
        }
        if let Some(mut err) = child.stderr.take() {
            err.read_to_end(&mut stderr).expect("readable");
        }
        Output { status: child.wait().expect("it ends"), stdout, stderr }
    });
    match timeout(PATIENCE, ended).await {
        Ok(ended) => ended.expect("no panic"),
        Err(_) => {
            signal(id, "-KILL");
            panic!("the command does not end");
        }
    }
}

fn signal(process: u32, name: &str) {
    let kill = Command::new("kill").args([name, &process.to_string()]).status();
    assert!(kill.expect("kill runs").success());
}

/// Reads lines of the command until one has this text. Returns the rest.
async fn wait_for(from: impl Read + Send + 'static, text: &'static str) -> Box<dyn BufRead + Send> {
    let read = spawn_blocking(move || {
        let mut from = BufReader::new(from);
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(from.read_line(&mut line).expect("readable") > 0, "it ended before {text}");
        }
        from
    });
    Box::new(timeout(PATIENCE, read).await.expect("in time").expect("no panic"))
}

/// A pipe with a name.
fn pipe(fixture: &Fixture) {
    let made = Command::new("mkfifo").arg("pipe").current_dir(fixture.folder.path()).status();
    assert!(made.expect("mkfifo runs").success());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_for_the_dead_letters_stops_the_command_and_names_the_file() {
    let fixture = Fixture::new().await;
    let input = format!("{}\nok\n", "x".repeat(2 << 20));
    let out = fixture.put(&["orders", "--dead-letter", "/dev/full"], input).await;
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("--dead-letter /dev/full: cannot be written: No space left"), "{}", stderr(&out));
    assert!(stderr(&out).contains("are not in that file"), "{}", stderr(&out));
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_stops_the_input_and_what_was_read_is_written() {
    let fixture = Fixture::new().await;
    // Without the signal, the records would wait for an hour.
    let mut child = fixture.start(&["orders", "--batch-duration", "1h", "--json"]);
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"one\ntwo\n").expect("written");
    let rest = wait_for(child.stdout.take().expect("piped"), "\"attempted\":2").await;
    signal(child.id(), "-TERM");
    let out = end(child).await;
    let last = rest.lines().last().expect("a line").expect("text");
    assert!(out.status.success(), "{}", stderr(&out));
    assert!(stderr(&out).contains("stopped. The input was read up to stdin:2"), "{}", stderr(&out));
    assert!(last.contains("\"accepted\":2"), "{last}");
    assert_eq!(fixture.records("orders").await.len(), 2);
    drop(stdin);
}

/// The bytes of a pipe that a signal leaves are gone, so nothing may say that all is done.
#[cfg(unix)]
#[tokio::test]
async fn a_part_of_a_line_that_a_signal_leaves_is_an_error() {
    let fixture = Fixture::new().await;
    let mut child = fixture.start(&["orders", "--batch-duration", "10ms", "--json"]);
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"one\ntwo\nthr").expect("written");
    let stdout = wait_for(child.stdout.take().expect("piped"), "\"accepted\":2").await;
    signal(child.id(), "-TERM");
    let out = end(child).await;
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    assert!(stderr(&out).contains("not read to the end: standard input"), "{}", stderr(&out));
    assert_eq!(fixture.records("orders").await.len(), 2);
    drop((stdin, stdout));
}

/// Standard input is a file, and then a pipe with more lines than a stream of two shards takes in a minute.
#[cfg(unix)]
#[tokio::test]
async fn a_standard_input_that_a_signal_leaves_unread_is_an_error_and_its_complete_lines_are_records() {
    let fixture = Fixture::new().await;
    let lines: String = (0..200_000).map(|n| format!("{n:0100}\n")).collect();
    let path = fixture.file("a.txt", &lines);
    for is_pipe in [false, true] {
        let mut command = fixture.command(&["orders", "--json"]);
        if !is_pipe {
            command.stdin(Stdio::from(fs::File::open(&path).expect("there")));
        }
        let mut child = command.spawn().expect("it starts");
        let (stdin, lines) = (child.stdin.take(), lines.clone());
        let writer = spawn_blocking(move || stdin.is_some_and(|mut stdin| stdin.write_all(lines.as_bytes()).is_ok()));
        let mut stdout = wait_for(child.stdout.take().expect("piped"), "\"attempted\":1").await;
        signal(child.id(), "-TERM");
        let rest = spawn_blocking(move || {
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).map(|_| rest)
        });
        let out = end(child).await;
        assert!(!writer.await.expect("no panic"), "all was read");
        assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
        let said = stderr(&out);
        assert!(said.contains("not read to the end: standard input"), "{said}");
        // Every line up to the last one that is named became a record.
        let summary = rest.await.expect("no panic").expect("text");
        let summary: serde_json::Value = serde_json::from_str(summary.lines().last().expect("a line")).expect("JSON");
        let last = said.split("up to stdin:").nth(1).and_then(|rest| rest.lines().next()).expect("a line");
        assert_eq!(summary["attempted"].to_string(), last, "{said}");
    }
}

/// Records that wait at a stop are lost if the stream does not take them in the next 8 s. A shard takes 1,000 a second.
#[cfg(unix)]
#[tokio::test]
async fn a_stop_finds_no_more_short_lines_than_one_shard_takes_until_its_end() {
    for is_pipe in [false, true] {
        let fixture = Fixture::of_a_standing_shard().await;
        let lines = "x\n".repeat(100_000);
        let path = fixture.file("a.txt", &lines);
        let args = ["orders", if is_pipe { "-" } else { "a.txt" }, "--json", "--ttl", "1h", "--max-retries", "1000000"];
        let mut child = fixture.start(&args);
        let mut stdin = child.stdin.take().expect("piped");
        let writer = spawn_blocking(move || stdin.write_all(lines.as_bytes()));
        let rest = wait_for(child.stdout.take().expect("piped"), "\"accepted\":1000,").await;
        signal(child.id(), "-TERM");
        let stderr = wait_for(child.stderr.take().expect("piped"), "stopping: ").await;
        // A signal that comes later than a second after the first ends the wait.
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        signal(child.id(), "-TERM");
        assert_eq!(end(child).await.status.code(), Some(1), "{path:?} is not read to its end");
        let last = rest.lines().last().expect("a line").expect("text");
        let summary: serde_json::Value = serde_json::from_str(&last).expect("JSON");
        let waited = summary["attempted"].as_u64().expect("a number") - 1000;
        assert!(waited > 0 && waited <= 8000, "{waited} records waited");
        drop((writer.await, stderr));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_with_a_name_is_opened_once_and_gives_all_its_lines() {
    let fixture = Fixture::new().await;
    pipe(&fixture);
    let path = fixture.folder.path().join("pipe");
    let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
    // A second opening would wait for a second writer, which never comes.
    let writer = spawn_blocking(move || fs::write(path, lines));
    let out = end(fixture.start(&["orders", "pipe"])).await;
    writer.await.expect("no panic").expect("all lines have a reader");
    assert!(out.status.success(), "{}", stderr(&out));
    assert_eq!(fixture.records("orders").await.len(), 1000);
}

#[cfg(unix)]
#[tokio::test]
async fn a_pipe_without_a_writer_does_not_keep_the_command_after_a_signal() {
    let fixture = Fixture::new().await;
    pipe(&fixture);
    let mut child = fixture.start(&["orders", "pipe", "--json"]);
    // It is at work: the lines come from its main loop.
    let stdout = wait_for(child.stdout.take().expect("piped"), "\"attempted\":0").await;
    signal(child.id(), "-TERM");
    let out = end(child).await;
    assert!(out.status.success(), "{}", stderr(&out));
    assert!(stderr(&out).contains("stopped. The input was read up to no line"), "{}", stderr(&out));
    drop(stdout);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_a_signal_leaves_unread_is_an_error_so_that_a_script_keeps_it() {
    let fixture = Fixture::new().await;
    // More than a stream of two shards takes in a minute, so no machine reads it before the signal.
    let lines: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    fixture.file("a.txt", lines);
    fixture.file("b.txt", "last\n");
    let mut child = fixture.start(&["orders", "a.txt", "b.txt", "--json"]);
    let stdout = wait_for(child.stdout.take().expect("piped"), "\"attempted\"").await;
    signal(child.id(), "-TERM");
    signal(child.id(), "-TERM");
    let out = end(child).await;
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    assert!(stderr(&out).contains("not read to the end: a.txt, b.txt"), "{}", stderr(&out));
    drop(stdout);
}

#[tokio::test]
async fn a_loss_is_an_error_also_where_nothing_reads_the_output() {
    let fixture = Fixture::new().await;
    let large = "x".repeat(2 << 20);
    for (closes, number) in [("stdout", 1), ("stderr", 2), ("both", 3)] {
        let mut child = fixture.start(&["orders", "--dead-letter", "lost.jsonl"]);
        if closes != "stderr" {
            drop(child.stdout.take());
        }
        if closes != "stdout" {
            drop(child.stderr.take());
        }
        let (mut stdin, large) = (child.stdin.take().expect("piped"), large.clone());
        // The account is in this thread, so nothing here may wait for the command.
        let write = spawn_blocking(move || stdin.write_all(large.as_bytes()));
        let out = end(child).await;
        write.await.expect("no panic").expect("it reads");
        assert_eq!(out.status.code(), Some(1), "{closes} closed: {}", stderr(&out));
        let letters = fs::read_to_string(fixture.folder.path().join("lost.jsonl")).expect("there");
        assert_eq!(letters.lines().count(), 1 + number, "{closes} closed");
        assert!(closes != "stdout" || stderr(&out).contains("1 record is lost"), "{}", stderr(&out));
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_for_the_summary_names_it_and_hides_no_loss() {
    let fixture = Fixture::new().await;
    for (input, says) in [("ok\n".to_owned(), None), ("x".repeat(2 << 20), Some("1 record is lost"))] {
        fixture.file("in.txt", input);
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("there");
        let mut command = fixture.command(&["orders", "in.txt"]);
        let out = end(command.stdout(Stdio::from(full)).spawn().expect("it starts")).await;
        assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
        let said = stderr(&out);
        assert!(said.contains("standard output: cannot be written: No space left"), "{said}");
        assert!(says.is_none_or(|says| said.contains(says)), "{said}");
    }
}

#[tokio::test]
async fn a_denied_call_ends_the_command_while_its_input_is_still_open() {
    let fixture = Fixture::new().await;
    refuse(&fixture, "PutRecords", "AccessDeniedException", "kinesis:PutRecords is denied.");
    let mut child = fixture.start(&["orders", "--batch-duration", "10ms"]);
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"one\n").expect("it reads");
    let out = end(child).await;
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    assert!(stderr(&out).contains("is denied. The input was read up to stdin:1"), "{}", stderr(&out));
    drop(stdin);
}

#[tokio::test]
async fn refusals_are_logged_with_their_count_where_no_terminal_shows_them() {
    let fixture = Fixture::of_a_standing_shard().await;
    let lines: String = (0..1200).map(|n| format!("{n}\n")).collect();
    let args = ["orders", "--max-retries", "1", "--initial-wait", "1ms", "--partition-key", "k"];
    let out = fixture.put(&args, &lines).await;
    assert_eq!(out.status.code(), Some(1));
    let said = stderr(&out);
    assert!(said.contains("accepted 1,000 records. Refused ones are sent again"), "{said}");
    assert!(said.contains("AWS refused ") && said.contains("200 records are lost"), "{said}");
    assert!(said.contains("lost: 190 records more"), "{said}");
    assert!(text(&out.stdout).contains("accepted    1,000 of 1,200 records"), "{}", text(&out.stdout));
    assert_eq!(sorted(&fixture.records("orders").await).len(), 1000);
}
