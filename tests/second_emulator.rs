//! The release `bootstrap` before a second emulator: servers that this project did not write
//! (`tests/second_emulator/`), with real UPDATING times and their own idea of AWS's refusals.

#[path = "common/aws.rs"]
mod aws;
#[path = "common/lambda.rs"]
mod lambda;

use aws::{Aws, EASY, Load, STREAM, STREAM_ARN, TOO_MUCH_FOR_TWO, datapoints, sample};
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum};
use aws_sdk_kinesis::types::StreamStatus;
use lambda::{Container, storm, within};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use unthrottle_core::memory::ChangeKind;

/// Python, moto and the Kinesis emulator: 3 s on an idle machine.
const START: Duration = Duration::from_secs(60);

/// How long a reshard takes here, by the machine's clock: long enough for an observation in between.
const RESHARD: Duration = Duration::from_secs(6);

struct Emulator {
    process: Child,
    url: String,
    aws: Aws,
}

impl Emulator {
    /// Starts the second emulator with one stream.
    async fn with(shards: i32, load: Load) -> Emulator {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for needed in [".venv/tests", "tests/second_emulator/node_modules/installed"] {
            let how = format!("`make test` installs it, and so does `make {needed}`");
            assert!(root.join(needed).is_file(), "the second emulator is not installed ({needed} is missing): {how}");
        }
        let mut process = Command::new(root.join(".venv/bin/python"))
            .arg(root.join("tests/second_emulator/run.py"))
            .env("UPDATE_SHARD_COUNT_DURATION", format!("{}s", RESHARD.as_secs()))
            .env("CREATE_STREAM_DURATION", "100ms")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let output = process.stdout.take().expect("piped");
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line).map(|_| line)
        });
        let line = within(START, "the second emulator", line).await.expect("a thread").expect("its first line");
        let url = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("not ready: {line:?}")).to_owned();
        let emulator = Emulator { process, aws: Aws::at(&url), url };
        emulator.aws.create(STREAM, shards).await;
        emulator.load(load).await;
        emulator
    }

    /// No emulator makes metrics from writes: they are put.
    async fn load(&self, load: Load) {
        let datum = |(metric, at, value): (&str, chrono::DateTime<chrono::Utc>, f64)| {
            let stream = Dimension::builder().name("StreamName").value(STREAM).build();
            let at = aws_sdk_cloudwatch::primitives::DateTime::from_secs(at.timestamp());
            MetricDatum::builder().metric_name(metric).dimensions(stream).timestamp(at).value(value).build()
        };
        let data = datapoints(load, 10, chrono::Utc::now()).into_iter().map(datum).collect();
        let put = self.aws.cloudwatch.put_metric_data().namespace("AWS/Kinesis").set_metric_data(Some(data));
        put.send().await.expect("metrics");
    }

    async fn container(&self) -> Container {
        Container::start(&self.url, &[]).await
    }

    /// How often each operation was called, by all clients together.
    fn calls(&self) -> BTreeMap<String, u64> {
        let address = self.url.strip_prefix("http://").expect("plain HTTP");
        let mut connection = TcpStream::connect(address).expect("the second emulator answers");
        connection.write_all(b"GET /_calls HTTP/1.0\r\n\r\n").expect("sent");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("an answer");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    fn calls_to(&self, operation: &str) -> u64 {
        self.calls().get(operation).copied().unwrap_or(0)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Its children end with it when its standard input closes.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn throttle() -> Value {
    sample("put_records_throttled__scale_shards")
}

fn ask() -> Value {
    json!({ "stream": STREAM })
}

#[tokio::test]
async fn a_throttled_stream_is_scaled_before_the_second_emulator() {
    let emulator = Emulator::with(2, TOO_MUCH_FOR_TWO).await;
    let mut container = emulator.container().await;
    let before = emulator.calls();

    let run = container.invoke(&throttle()).await;

    let after = emulator.calls();
    let document = run.document();
    assert_eq!((run.outcome(), run.code()), ("acted", "scale_shards"), "{document:#}");
    assert_eq!(document["remedy"], json!({ "from": 2, "to": 4 }));
    assert_eq!(document["auto_fix"], "confirmed");
    let calls = after.values().sum::<u64>() - before.values().sum::<u64>();
    assert!(calls <= 8, "{before:?} → {after:?}");
    assert_eq!(run.cost_line()["AwsCalls"], calls);

    let refused = emulator.aws.reshard(STREAM, 3).await;
    let meanwhile = container.invoke(&ask()).await;
    // On a slow machine the reshard may be over by now, and the refusal cannot be seen.
    if emulator.aws.summary(STREAM).await.stream_status == StreamStatus::Updating {
        assert_eq!(refused, Err("ResourceInUseException".into()));
        assert_eq!(meanwhile.code(), "resharding");
    } else {
        eprintln!("the reshard was over within {RESHARD:?}: what AWS refuses meanwhile was not seen");
    }
    assert_eq!(emulator.aws.active(STREAM).await.open_shard_count, 4);

    assert_eq!(container.invoke(&ask()).await.code(), "settling");
    let change = emulator.aws.memory(STREAM_ARN).await.and_then(|memory| memory.change).expect("a change");
    assert_eq!((change.kind, change.from.number(), change.to.number()), (ChangeKind::Scale, 2, 4));
    assert!(change.settled.is_some(), "{change:?}");
    assert_eq!(emulator.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0);
    assert_eq!(emulator.aws.auto_fix(&[("StreamName", STREAM), ("Action", "scale_shards")]).await, 1.0);
    assert_eq!(emulator.calls_to("Kinesis.UpdateShardCount"), 2, "one by unthrottle, and one by this test");
}

#[tokio::test]
async fn a_need_beyond_double_is_met_up_to_what_aws_allows() {
    // Six attempts of each record do not explain the refused ones: even then the load fills nearly six shards.
    let beyond_double = Load { accepted: 2000.0, throttled: 26_500.0 };
    let emulator = Emulator::with(2, beyond_double).await;
    for refused in [5, 0] {
        let code = emulator.aws.reshard(STREAM, refused).await.expect_err("beyond double, or below half");
        assert!(
            ["LimitExceededException", "InvalidArgumentException", "ValidationException"].contains(&&*code),
            "{code}"
        );
    }
    let run = emulator.container().await.invoke(&throttle()).await;
    assert_eq!(run.document()["remedy"], json!({ "from": 2, "to": 4 }), "{:#}", run.document());
    assert_eq!(run.document()["evidence"]["shards_needed"], 8);
    assert_eq!(emulator.aws.active(STREAM).await.open_shard_count, 4);
}

#[tokio::test]
async fn a_healthy_stream_is_left_alone_before_the_second_emulator() {
    let emulator = Emulator::with(2, EASY).await;
    let mut container = emulator.container().await;
    let before = emulator.calls().values().sum::<u64>();
    let run = container.invoke(&throttle()).await;
    assert_eq!((run.outcome(), run.code()), ("held", "healthy"), "{:#}", run.document());
    assert!(emulator.calls().values().sum::<u64>() - before <= 5, "{:?}", emulator.calls());
    assert_eq!(emulator.calls_to("Kinesis.UpdateShardCount") + emulator.calls_to("Kinesis.TagResource"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_event_a_hundred_times_at_once_is_one_change_before_the_second_emulator() {
    let emulator = Emulator::with(2, TOO_MUCH_FOR_TWO).await;
    let mut containers = vec![];
    for _ in 0..5 {
        containers.push(emulator.container().await);
    }
    let outcomes = storm(containers, &throttle(), 20).await;
    assert_eq!(outcomes.len(), 100);
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "acted").count(), 1, "{outcomes:?}");
    assert_eq!(emulator.aws.active(STREAM).await.open_shard_count, 4);
    assert_eq!(emulator.aws.auto_fix(&[("StreamName", STREAM)]).await, 1.0);
}
