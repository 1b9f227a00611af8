//! A local account for `unthrottle put`, and what it stored.

use crate::aws::Aws;
use aws_sdk_kinesis::types::ShardIteratorType;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use unthrottle_lab::local::{Clock, Effect, Fault, LocalAccount, Options};

/// No test waits this long on any machine that is alive.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(240);

/// A record of a stream.
pub struct Stored {
    pub shard: String,
    pub key: String,
    pub data: String,
}

/// An account with the stream `orders` of two shards, and a folder for files.
pub struct Fixture {
    pub account: LocalAccount,
    pub aws: Aws,
    pub folder: tempfile::TempDir,
}

impl Fixture {
    pub async fn new() -> Fixture {
        Fixture::with(Options::default(), 2).await
    }

    /// An account with these options, and the stream `orders` with this number of shards.
    pub async fn with(options: Options, shards: i32) -> Fixture {
        let account = LocalAccount::start(options).await.expect("it starts");
        let aws = Aws::of(&account);
        aws.create("orders", shards).await;
        Fixture { account, aws, folder: tempfile::tempdir().expect("a folder") }
    }

    /// An account whose clock stands: the only shard of `orders` takes 1,000 records, and no more.
    pub async fn of_a_standing_shard() -> Fixture {
        let clock = Clock::standing_at("2026-11-20T12:00:00Z".parse().expect("a time"));
        let fixture = Fixture::with(Options { clock, ..Options::default() }, 1).await;
        fixture.account.finish_changes().await;
        fixture
    }

    /// Writes a file into the folder.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
        command.arg("put").args(args).current_dir(self.folder.path());
        command.env_clear().env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
        command.env("AWS_REGION", "us-east-1").env("AWS_ENDPOINT_URL", self.account.url());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).spawn().expect("it starts")
    }

    /// Runs the command with this standard input.
    pub async fn put(&self, args: &[&str], stdin: impl AsRef<[u8]>) -> Output {
        let (mut child, stdin) = (self.start(args), stdin.as_ref().to_vec());
        let ended = tokio::task::spawn_blocking(move || {
            // A command that refuses its arguments reads nothing.
            let _ = child.stdin.take().expect("piped").write_all(&stdin);
            child.wait_with_output()
        });
        ended.await.expect("no panic").expect("it ends")
    }

    /// All records of a stream, shard by shard.
    pub async fn records(&self, stream: &str) -> Vec<Stored> {
        let kinesis = &self.aws.kinesis;
        let shards = kinesis.list_shards().stream_name(stream).send().await.expect("an answer");
        let mut all = vec![];
        for shard in shards.shards() {
            let of = kinesis.get_shard_iterator().stream_name(stream).shard_id(shard.shard_id());
            let of = of.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.expect("an answer");
            let mut next = of.shard_iterator;
            while let Some(iterator) = next {
                let page = kinesis.get_records().shard_iterator(iterator).send().await.expect("an answer");
                let is_empty = page.records().is_empty();
                all.extend(page.records.into_iter().map(|record| Stored {
                    shard: shard.shard_id().to_owned(),
                    key: record.partition_key.expect("a key"),
                    data: text(record.data.as_ref()),
                }));
                next = page.next_shard_iterator.filter(|_| !is_empty);
            }
        }
        all
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

pub fn stderr(out: &Output) -> String {
    text(&out.stderr)
}

/// The records as `key:data`, sorted.
pub fn sorted(records: &[Stored]) -> Vec<String> {
    let mut lines: Vec<String> = records.iter().map(|record| format!("{}:{}", record.key, record.data)).collect();
    lines.sort();
    lines
}

/// An answer of AWS in place of the call.
pub fn refuse(fixture: &Fixture, operation: &str, code: &str, message: &str) {
    let effect = Effect::Error { status: 400, code: code.into(), message: message.into() };
    fixture.account.add_fault(Fault { operation: operation.into(), skip: 0, times: 100, effect });
}
