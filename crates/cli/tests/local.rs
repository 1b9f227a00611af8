//! `unthrottle local`, as a person starts it.

#[path = "../../../tests/common/aws.rs"]
mod aws;

use aws::Aws;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The longest wait for a line: a bound, and no pace.
const PATIENCE: Duration = Duration::from_secs(60);

/// The next line that a command prints; `None` at its end. Gives the rest back, too.
async fn line<R: Read + Send + 'static>(mut from: BufReader<R>) -> (Option<String>, BufReader<R>) {
    let read = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        let bytes = from.read_line(&mut line).expect("readable");
        ((bytes > 0).then_some(line), from)
    });
    tokio::time::timeout(PATIENCE, read).await.expect("a line in time").expect("no panic")
}

/// A command that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn record(key: &str, bytes: usize) -> PutRecordsRequestEntry {
    let entry = PutRecordsRequestEntry::builder().partition_key(key);
    entry.data(Blob::new(vec![b'x'; bytes])).build().expect("complete")
}

#[tokio::test]
async fn the_command_says_once_that_it_drops_records() {
    let mut local = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    local.args(["local", "--port", "0", "--keep-mib", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut local = Running(local.spawn().expect("it starts"));
    // Kept open: the command ends when its output has no reader.
    let (first, _printed) = line(BufReader::new(local.0.stdout.take().expect("piped"))).await;
    let first = first.expect("a line");
    let url = first.split_whitespace().find_map(|word| word.strip_suffix(',').filter(|word| word.starts_with("http")));
    let aws = Aws::at(url.unwrap_or_else(|| panic!("no address: {first}")));
    aws.create("orders", 2).await;
    let put = aws.kinesis.put_records().stream_name("orders").set_records(Some(vec![record("k", 100 * 1024); 10]));
    put.send().await.expect("an answer");
    let (said, rest) = line(BufReader::new(local.0.stderr.take().expect("piped"))).await;
    let said = said.expect("a line");
    assert!(said.contains("--keep-mib (1 MiB)") && said.contains("drops the oldest"), "{said}");
    let put = aws.kinesis.put_records().stream_name("orders").records(record("a", 900 * 1024)).send().await;
    put.expect("an answer");
    drop(local);
    assert_eq!(line(rest).await.0, None, "once");
}

/// Starts the account with an unthrottle inside. Returns what it prints after its address, and clients.
async fn healing(pace: &str) -> (Running, BufReader<std::process::ChildStdout>, Aws) {
    let mut local = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    local.args(["local", "--port", "0", "--heal", "--pace", pace]).stdout(Stdio::piped());
    let mut local = Running(local.spawn().expect("it starts"));
    let (first, printed) = line(BufReader::new(local.0.stdout.take().expect("piped"))).await;
    let first = first.expect("a line");
    let url = first.split_whitespace().find_map(|word| word.strip_suffix(',').filter(|word| word.starts_with("http")));
    (local, printed, Aws::at(url.unwrap_or_else(|| panic!("no address: {first}"))))
}

/// The first line that contains this text.
async fn line_with(text: &str, mut printed: BufReader<std::process::ChildStdout>) -> String {
    loop {
        let (next, rest) = line(printed).await;
        let next = next.expect("more lines");
        if next.contains(text) {
            return next;
        }
        printed = rest;
    }
}

#[tokio::test]
async fn a_throttled_reader_wakes_the_unthrottle_inside_by_an_event_of_cloudtrail() {
    let (_local, printed, aws) = healing("1").await;
    let iterator = aws.kinesis.get_shard_iterator().stream_name("orders").shard_id("shardId-000000000000");
    let iterator = iterator.shard_iterator_type(ShardIteratorType::Latest).send().await.expect("an answer");
    let iterator = iterator.shard_iterator.expect("an iterator");
    let reader = tokio::spawn(async move {
        loop {
            // A shard takes five calls a second.
            let calls = (0..20).map(|_| aws.kinesis.get_records().shard_iterator(&iterator).send());
            futures_util::future::join_all(calls).await;
        }
    });
    let said = line_with(" event: ", printed).await;
    reader.abort();
    // CloudWatch has no minute of it yet.
    assert!(said.contains("event: evidence_pending (") || said.contains("event: unconfirmed ("), "{said}");
}

#[test]
fn the_command_refuses_to_keep_nothing() {
    let out = Command::new(env!("CARGO_BIN_EXE_unthrottle")).args(["local", "--keep-mib", "0"]).output();
    let out = out.expect("it runs");
    let said = String::from_utf8(out.stderr).expect("text");
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("'--keep-mib <MIB>'") && said.contains("a whole number of at least 1"), "{said}");
}
