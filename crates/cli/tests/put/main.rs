//! `unthrottle put`, as a person runs it.

#[path = "../../../../tests/common/aws.rs"]
mod aws;
mod ends;
mod fixture;
mod letters;
mod progress;
#[path = "../terminal/mod.rs"]
mod terminal;
mod values;

use aws::Aws;
use fixture::{Fixture, Stored, refuse, sorted, stderr, text};
use serde_json::Value;
use std::fs;
use std::time::Duration;
use unthrottle_lab::local::{Effect, Fault, LocalAccount, Options};

#[tokio::test]
async fn lines_of_files_and_of_standard_input_become_records() {
    let fixture = Fixture::new().await;
    fixture.file("a.txt", "one\ntwo\r\n\nthree");
    let out = fixture.put(&["orders", "a.txt", "-"], "four\n").await;
    assert!(out.status.success(), "{}", stderr(&out));
    assert!(text(&out.stdout).starts_with("  accepted    4 of 4 records"), "{}", text(&out.stdout));
    assert!(stderr(&out).contains("partition key: a random UUID for each record"), "{}", stderr(&out));
    let records = fixture.records("orders").await;
    let mut data: Vec<&str> = records.iter().map(|record| record.data.as_str()).collect();
    data.sort_unstable();
    assert_eq!(data, ["four", "one", "three", "two"]);
    let keys: std::collections::HashSet<&str> = records.iter().map(|record| record.key.as_str()).collect();
    assert!(keys.len() == 4 && keys.iter().all(|key| key.len() == 36), "a UUID each: {keys:?}");
}

#[tokio::test]
async fn the_strategies_of_the_document_put_records_where_it_says() {
    let fixture = Fixture::new().await;
    let orders: String = (0..200).map(|n| format!("{{\"customer_id\":\"c-{}\",\"at\":{n}}}\n", n % 5)).collect();
    for (args, streams) in [(vec!["--partition-key", "all"], "one"), (vec!["--partition-key", "customer_id"], "two")] {
        fixture.aws.create(streams, 2).await;
        let out = fixture.put(&[&[streams], args.as_slice()].concat(), &orders).await;
        assert!(out.status.success() && stderr(&out).contains("partition key: the value of the field"), "{out:?}");
    }
    let of_static = fixture.records("one").await;
    assert!(of_static.len() == 200 && of_static.iter().all(|record| record.shard == of_static[0].shard), "one shard");
    let of_entity = fixture.records("two").await;
    for customer in 0..5 {
        let key = format!("c-{customer}");
        let of_key: Vec<&Stored> = of_entity.iter().filter(|record| record.key == key).collect();
        assert!(of_key.len() == 40 && of_key.iter().all(|record| record.shard == of_key[0].shard), "{key}: one shard");
        let at = |record: &&Stored| serde_json::from_str::<Value>(&record.data).expect("JSON")["at"].as_u64();
        assert!(of_key.iter().map(at).is_sorted(), "{key}: in order");
    }
    fixture.aws.create("three", 2).await;
    let times = "{\"timestamp\":\"2026-11-20T12:00:00Z\"}\n{\"timestamp\":1732104000123}\nplain\n";
    assert!(fixture.put(&["three", "--partition-key", "timestamp"], times).await.status.success());
    let keys = fixture.records("three").await.into_iter().map(|record| record.key);
    let keys: std::collections::BTreeSet<String> = keys.collect();
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["1732104000123", "2026-11-20T12:00:00Z", "timestamp"]);
}

/// The example of the document, with its names, as docs/put.md shows it. An input stands before it.
fn example() -> String {
    let page = fs::read_to_string(aws::root().join("docs/put.md")).expect("the page");
    let (_, block) = page.split_once("```yaml\n").expect("a block of YAML");
    let (block, _) = block.split_once("```").expect("its end");
    format!("input:\n  stdin: {{}}\n{block}")
}

#[tokio::test]
async fn the_example_of_the_document_runs_and_options_override_it() {
    let fixture = Fixture::new().await;
    fixture.aws.create("events", 1).await;
    fixture.file("put.yaml", example());
    let url = fixture.account.url().to_owned();
    let args = ["--config", "put.yaml", "--endpoint-url", &url, "--region", "us-east-1"];
    let out = fixture.put(&args, "").await;
    assert_eq!(out.status.code(), Some(2));
    let says = "put.yaml:10: `output.aws_kinesis.credentials.access_key_id`: the environment variable `KEY` is not set";
    assert!(stderr(&out).contains(says), "{}", stderr(&out));
    let example = example().replace("${KEY}", "local").replace("${SECRET}", "local");
    fixture.file("put.yaml", example);
    let out = fixture.put(&args, "{\"customer_id\":7}\nplain\n").await;
    assert!(out.status.success(), "{}", stderr(&out));
    assert!(stderr(&out).contains("put.yaml:2: `input` is ignored"), "{}", stderr(&out));
    assert_eq!(sorted(&fixture.records("events").await), ["7:{\"customer_id\":7}", "customer_id:plain"]);
    fixture.file("data.txt", "x\n");
    let other = [&args[..], &["--stream", "orders", "--partition-key", "k", "data.txt"]].concat();
    assert!(fixture.put(&other, "").await.status.success());
    assert_eq!(sorted(&fixture.records("orders").await), ["k:x"]);
}

#[tokio::test]
async fn a_throttled_key_of_the_stream_is_waited_for() {
    let fixture = Fixture::new().await;
    let effect = Effect::Error { status: 400, code: "KMSThrottlingException".into(), message: "too fast".into() };
    fixture.account.add_fault(Fault { operation: "PutRecords".into(), skip: 0, times: 2, effect });
    let out = fixture.put(&["orders", "--initial-wait", "1ms"], "x\n").await;
    assert!(out.status.success(), "{}", stderr(&out));
    assert!(stderr(&out).contains("is sent again: KMSThrottlingException: too fast"), "{}", stderr(&out));
    assert_eq!(fixture.records("orders").await.len(), 1);
}

#[tokio::test]
async fn a_record_that_is_too_large_is_lost_by_its_line_and_comes_back_from_the_dead_letters() {
    let fixture = Fixture::new().await;
    let large = "x".repeat(2000);
    let args = ["orders", "--partition-key", "key", "--max-batch-bytes", "1000", "--dead-letter", "lost.jsonl"];
    let out = fixture.put(&args, format!("a\n{large}\nb\n")).await;
    assert_eq!(out.status.code(), Some(1));
    let said = stderr(&out);
    assert!(said.contains("lost: stdin:2: data and key have 2003 bytes"), "{said}");
    assert!(said.contains("1 record is lost; lost.jsonl has 1 of them"), "{said}");
    assert_eq!(sorted(&fixture.records("orders").await), ["key:a", "key:b"]);
    let out = fixture.put(&["orders", "lost.jsonl"], "").await;
    assert!(out.status.success(), "{}", stderr(&out));
    assert_eq!(sorted(&fixture.records("orders").await)[2], format!("key:{large}"), "with its key");
}

#[tokio::test]
async fn a_line_of_two_mebibytes_and_a_key_that_is_no_text_are_lost_alone() {
    let fixture = Fixture::new().await;
    let mut input = vec![b'x'; 2 << 20];
    input.extend(b"\n{\"k\":\"\xff\"}\n{\"k\":\"v\"}\n");
    let out = fixture.put(&["orders", "--partition-key", "k", "--json"], input).await;
    assert_eq!(out.status.code(), Some(1));
    let said = stderr(&out);
    assert!(said.contains("stdin:1: data and key have 2097153 bytes; the stream takes at most 1048576"), "{said}");
    assert!(said.contains("stdin:2: the record is not valid UTF-8, so its field `k` cannot be read"), "{said}");
    let last = text(&out.stdout).lines().last().expect("a line").to_owned();
    let summary: Value = serde_json::from_str(&last).expect("JSON");
    let counts = ["attempted", "accepted", "lost", "rejected", "refused", "retried", "possible_duplicates"];
    assert_eq!(counts.map(|count| summary[count].as_u64().expect(count)), [3, 1, 2, 2, 0, 0, 0]);
    assert_eq!(summary["final"], true);
    assert!(summary["latency_ms"]["p99"].is_number() && summary["refused_by_shard"].is_object(), "{summary}");
}

#[tokio::test]
async fn a_stream_that_takes_less_than_the_input_has_loses_nothing() {
    let fixture = Fixture::new().await;
    let input: String = (0..6000).map(|n| format!("{n}\n")).collect();
    let out = fixture.put(&["orders", "--ttl", "10m", "--max-retries", "50"], input).await;
    assert!(out.status.success(), "{}", stderr(&out));
    let records = fixture.records("orders").await;
    let mut data: Vec<u32> = records.iter().map(|record| record.data.parse().expect("a number")).collect();
    data.sort_unstable();
    assert_eq!(data, (0..6000).collect::<Vec<_>>(), "each once");
}

#[tokio::test]
async fn bad_input_names_the_fault_and_writes_nothing() {
    let fixture = Fixture::new().await;
    fixture.file("taken.csv", "a,b\n");
    fixture.file("bad.yaml", "output:\n  aws_kinesis:\n    stream_name: orders\n    batch: {size: 0}\n");
    fixture.file("good.yaml", "output:\n  aws_kinesis:\n    stream_name: orders\n");
    fixture.file("long.yaml", "output:\n  aws_kinesis:\n    stream_name: orders\n    batch: {duration: 5 parsecs}\n");
    let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders";
    for (args, code, says) in [
        (vec![], 2, "name the stream"),
        (vec!["no such name"], 2, "`no such name` is not the name or the ARN of a Kinesis data stream"),
        (vec!["nowhere"], 1, "there is no stream `nowhere`"),
        (vec![arn], 2, "is of region eu-west-1, and the region set is us-east-1"),
        (vec!["orders", "missing.txt"], 2, "missing.txt: No such file"),
        (vec!["orders", "."], 2, ".: is a folder"),
        (vec!["orders", "-", "-"], 2, "standard input (-) can be read only once"),
        (vec!["--config", "-"], 2, "(-) can be read only once: --config reads the options from it"),
        (vec!["--config", "-", "taken.csv", "-"], 2, "(-) can be read only once: --config reads the options from it"),
        (vec!["orders", "--dead-letter", "taken.csv"], 2, "taken.csv: the file is there and holds no dead letters"),
        (vec!["orders", "taken.csv", "--dead-letter", "taken.csv"], 2, "is read and is also --dead-letter"),
        (vec!["orders", "--dead-letter", "no/where"], 2, "--dead-letter no/where: cannot be written"),
        (vec!["orders", "--ttl", "5 parsecs"], 2, "`5 parsecs` is no duration"),
        (vec!["orders", "--ttl", "-5s"], 2, "`-5s` is no duration"),
        (vec!["orders", "--batch-duration", "-1s"], 2, "`-1s` is no duration"),
        (vec!["orders", "--ttl", "292277026596y"], 2, "it is longer than a year"),
        (vec!["orders", "--batch-duration", "292277026596y"], 2, "it is longer than a year"),
        (vec!["orders", "--batch-size", "501"], 2, "it must be a whole number from 1 to 500"),
        (vec!["orders", "--partition-key", ""], 2, "--partition-key needs 1 to 256 characters"),
        (vec!["orders", "--config", "good.yaml"], 2, "to name the stream, give --stream orders"),
        (vec!["--config", "bad.yaml"], 2, "bad.yaml:4: `output.aws_kinesis.batch.size`: `0`"),
        (vec!["--config", "long.yaml"], 2, "long.yaml:4: `output.aws_kinesis.batch.duration`: `5 parsecs`"),
        (vec!["orders", "--endpoint-url", "http://127.0.0.1:1"], 1, "no server answers at http://127.0.0.1:1"),
    ] {
        let out = fixture.put(&args, "x\n").await;
        assert_eq!(out.status.code(), Some(code), "{args:?}: {}", stderr(&out));
        assert!(stderr(&out).contains(says), "{args:?}: {}", stderr(&out));
    }
    assert_eq!(fixture.records("orders").await.len(), 0);
    assert_eq!(fs::read_to_string(fixture.folder.path().join("taken.csv")).expect("there"), "a,b\n");
}

#[tokio::test]
async fn a_stream_that_comes_or_goes_and_an_endpoint_that_is_no_kinesis_are_said() {
    let options = Options { create_time: Duration::from_secs(3600), ..Options::default() };
    let account = LocalAccount::start(options).await.expect("it starts");
    let fixture = Fixture { aws: Aws::of(&account), account, folder: tempfile::tempdir().expect("a folder") };
    let create = fixture.aws.kinesis.create_stream().stream_name("orders").shard_count(1);
    create.send().await.expect("created");
    let out = fixture.put(&["orders"], "x\n").await;
    assert!(stderr(&out).contains("the stream `orders` is being created. Try again"), "{}", stderr(&out));
    fixture.account.finish_changes().await;
    fixture.aws.kinesis.delete_stream().stream_name("orders").send().await.expect("it is being deleted");
    let out = fixture.put(&["orders"], "x\n").await;
    assert!(stderr(&out).contains("the stream `orders` is being deleted. Nothing was written"), "{}", stderr(&out));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, axum::Router::new()).await });
    let out = fixture.put(&["orders", "--endpoint-url", &url], "x\n").await;
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains(&format!("{url} does not answer as Kinesis does")), "{}", stderr(&out));
}

#[tokio::test]
async fn a_denied_call_names_its_action_and_keeps_the_records() {
    let fixture = Fixture::new().await;
    let action = "User: me is not authorized to perform: kinesis:PutRecords on resource: orders";
    refuse(&fixture, "PutRecords", "AccessDeniedException", action);
    let out = fixture.put(&["orders", "--dead-letter", "lost.jsonl"], "a\nb\n").await;
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("kinesis:PutRecords") && stderr(&out).contains("2 records are lost"), "{out:?}");
    let letters = fs::read_to_string(fixture.folder.path().join("lost.jsonl")).expect("there");
    assert_eq!(letters.lines().count(), 3, "{letters}");
}

#[tokio::test]
async fn without_the_permission_to_describe_records_are_written() {
    let fixture = Fixture::new().await;
    refuse(&fixture, "DescribeStreamSummary", "AccessDeniedException", "not authorized");
    let out = fixture.put(&["orders"], "a\n").await;
    assert!(out.status.success(), "{}", stderr(&out));
    assert!(stderr(&out).contains("may not call kinesis:DescribeStreamSummary"), "{}", stderr(&out));
}

#[tokio::test]
async fn expired_credentials_are_said_before_anything_is_read() {
    let fixture = Fixture::new().await;
    refuse(&fixture, "DescribeStreamSummary", "ExpiredTokenException", "The security token has expired");
    let out = fixture.put(&["orders"], "a\n").await;
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("the credentials have expired (ExpiredTokenException)"), "{}", stderr(&out));
}
