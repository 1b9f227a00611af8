//! `unthrottle put --aggregate`, read back by a module that this project did not write: `aws-kinesis-agg` of awslabs.

#[path = "../../../tests/common/aws.rs"]
mod aws;

use aws::{Aws, root};
use aws_sdk_kinesis::types::{ScalingType, ShardIteratorType};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use unthrottle_lab::local::{LocalAccount, Options};

/// Runs a command with this input, and returns its output.
async fn piped(mut command: Command, input: String) -> String {
    let ended = tokio::task::spawn_blocking(move || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("piped");
        // In a thread of its own: a full pipe must not stop the reader of the other one.
        let writes = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let out = child.wait_with_output().expect("it ends");
        writes.join().expect("no panic").expect("written");
        out
    });
    let out = ended.await.expect("no panic");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

/// Puts lines, waits until AWS has accepted them, splits every shard, and then puts more lines in the same run. Returns
/// the summary.
async fn put_across_a_split(account: &LocalAccount, aws: &Aws, before: String, after: String) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    command.args(["put", "orders", "--aggregate", "--partition-key", "customer", "--json", "--batch-duration", "50ms"]);
    command.env_clear().env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
    command.env("AWS_REGION", "us-east-1").env("AWS_ENDPOINT_URL", account.url());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let (mut stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let (said, mut hears) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || BufReader::new(stdout).lines().try_for_each(|line| said.send(line.expect("text"))));
    stdin.write_all(before.as_bytes()).expect("written");
    let accepted = format!("\"accepted\":{},", before.lines().count());
    while !hears.recv().await.expect("it ended early").contains(&accepted) {}
    let split = aws.kinesis.update_shard_count().stream_name("orders").target_shard_count(4);
    split.scaling_type(ScalingType::UniformScaling).send().await.expect("it splits");
    account.finish_changes().await;
    stdin.write_all(after.as_bytes()).expect("written");
    drop(stdin);
    let mut last = String::new();
    while let Some(line) = hears.recv().await {
        last = line;
    }
    assert!(child.wait().expect("it ends").success());
    serde_json::from_str(&last).expect("JSON")
}

/// The hash keys of each shard, and its records as JSON lines for the other module.
async fn records(aws: &Aws) -> (BTreeMap<String, (u128, u128)>, Vec<String>) {
    let (mut ranges, mut lines) = (BTreeMap::new(), vec![]);
    let shards = aws.kinesis.list_shards().stream_name("orders").send().await.expect("an answer");
    for shard in shards.shards() {
        let range = shard.hash_key_range().expect("a range");
        let number = |text: &str| text.parse::<u128>().expect("a number");
        let range = (number(range.starting_hash_key()), number(range.ending_hash_key()));
        ranges.insert(shard.shard_id().to_owned(), range);
        let of = aws.kinesis.get_shard_iterator().stream_name("orders").shard_id(shard.shard_id());
        let of = of.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.expect("an answer");
        let mut next = of.shard_iterator;
        while let Some(iterator) = next {
            let page = aws.kinesis.get_records().shard_iterator(iterator).send().await.expect("an answer");
            let is_empty = page.records().is_empty();
            lines.extend(page.records().iter().map(|record| {
                let data = base64_simd::STANDARD.encode_to_string(record.data());
                let (number, key) = (record.sequence_number(), record.partition_key());
                json!({"shard": shard.shard_id(), "number": number, "key": key, "data": data}).to_string()
            }));
            next = page.next_shard_iterator.filter(|_| !is_empty);
        }
    }
    (ranges, lines)
}

// The test waits for a process whose server is in the other threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aggregates_are_read_back_exactly_also_across_a_split() {
    let needed = ".venv/tests";
    assert!(root().join(needed).is_file(), "{needed} is missing: `make {needed}` installs the other module");
    let account = LocalAccount::start(Options::default()).await.expect("it starts");
    let aws = Aws::of(&account);
    aws.create("orders", 2).await;
    let line = |n: u32| format!("{{\"customer\":\"c-{}\",\"n\":{n}}}\n", n % 97);
    let lines_of = |range: std::ops::Range<u32>| range.map(line).collect::<String>();
    let summary = put_across_a_split(&account, &aws, lines_of(0..5000), lines_of(5000..10_000)).await;
    assert_eq!((&summary["accepted"], &summary["lost"]), (&10_000.into(), &0.into()));
    let (ranges, lines) = records(&aws).await;
    let has = |shard: &str| lines.iter().any(|line| line.contains(shard));
    assert!(
        ranges.len() == 6 && (2..6).any(|new| has(&format!("shardId-00000000000{new}"))),
        "the new shards have some"
    );
    assert!(lines.len() < 1000, "{} records, and ten times as many without aggregates", lines.len());
    let mut python = Command::new(root().join(".venv/bin/python"));
    python.arg(root().join("tests/second_emulator/deaggregate.py"));
    let found = piped(python, lines.join("\n") + "\n").await;
    let mut numbers = vec![];
    for line in found.lines() {
        let user: Value = serde_json::from_str(line).expect("JSON");
        let text = |field: &str| user[field].as_str().unwrap_or_else(|| panic!("{field}: {user}"));
        let data = base64_simd::STANDARD.decode_to_vec(text("data")).expect("base64");
        let order: Value = serde_json::from_slice(&data).expect("the line");
        assert_eq!(order["customer"], text("key"), "the key of the record");
        // The Kinesis Client Library ignores records whose hash key is not of the shard.
        let hash_key: u128 = text("hash_key").parse().expect("a number");
        let (first, last) = ranges[text("shard")];
        assert!((first..=last).contains(&hash_key), "{hash_key} is not of {}", text("shard"));
        numbers.push(order["n"].as_u64().expect("a number"));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10_000).collect::<Vec<u64>>(), "each once");
}
