//! The accounts of the tests, the command, and what is left after it.

use crate::moto::Moto;
use crate::proxy::{self, Calls};
use aws_sdk_kinesis::config::retry::RetryConfig;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use unthrottle_cli::local_config;
use unthrottle_lab::local::{Clock, LocalAccount, Options};

/// The first part of the name of each resource of prove, and the key of its tag.
const PREFIX: &str = "unthrottle-prove-";
const TAG_KEY: &str = "unthrottle.prove";

/// The bucket that moto has for trails.
pub const BUCKET: &str = "trails";

/// A role for FIS. moto does not ask whether it is there.
pub const FIS_ROLE: &str = "arn:aws:iam::123456789012:role/fis";

/// Starts moto, which takes seconds. The accounts of this process go on answering meanwhile.
pub async fn moto() -> Moto {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository");
    tokio::task::spawn_blocking(move || Moto::start(&root)).await.expect("it starts")
}

/// A local account whose clock is this many times as fast, with changes that end at once.
pub async fn quick(pace: u32) -> LocalAccount {
    local(pace, Duration::ZERO, Duration::ZERO).await
}

/// A local account whose clock is this many times as fast.
pub async fn local(pace: u32, update_time: Duration, metric_lag: Duration) -> LocalAccount {
    let clock = Clock::paced(pace);
    let options = Options { clock, create_time: Duration::ZERO, update_time, metric_lag, ..Options::default() };
    LocalAccount::start(options).await.expect("it starts")
}

/// Where the command finds the services.
#[derive(Clone)]
pub struct Urls {
    /// Kinesis and CloudWatch.
    pub local: String,
    /// The other services.
    pub moto: String,
}

impl Urls {
    /// Through proxies that count the calls.
    pub async fn through(&self, calls: &Arc<Mutex<Calls>>) -> Urls {
        Urls { local: proxy::start(&self.local, calls).await, moto: proxy::start(&self.moto, calls).await }
    }
}

/// `unthrottle prove` with these arguments.
pub fn command(urls: &Urls, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    command.arg("prove").args(args).arg("--out").arg(folder.join("proof"));
    command.env_clear().env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
    command.env("AWS_REGION", "us-east-1").env("AWS_ENDPOINT_URL", &urls.local);
    for service in ["SQS", "EVENTBRIDGE", "CLOUDTRAIL", "FIS", "KMS"] {
        command.env(format!("AWS_ENDPOINT_URL_{service}"), &urls.moto);
    }
    command
}

/// Runs `unthrottle prove` to its end.
pub async fn prove(urls: &Urls, folder: &Path, args: &[&str]) -> Output {
    let mut command = command(urls, folder, args);
    tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The proof in the folder.
pub fn proof(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("proof/proof.json")).expect("a proof");
    serde_json::from_str(&text).expect("JSON")
}

/// The verdict of each fact.
pub fn verdicts(proof: &Value) -> Vec<(String, String)> {
    let steps = proof["steps"].as_array().expect("steps").iter();
    let findings = steps.flat_map(|step| step["findings"].as_array().expect("findings"));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut verdicts: Vec<_> = findings.map(|it| (text(&it["fact"]), text(&it["verdict"]))).collect();
    verdicts.sort();
    verdicts
}

/// The names of all resources that prove has left.
pub async fn left(urls: &Urls) -> Vec<String> {
    // The local account takes five `ListStreams` a second, as AWS does, and the command makes some of them.
    let patient = RetryConfig::standard().with_max_attempts(20).with_max_backoff(Duration::from_secs(1));
    let config = |url: &str| local_config(url).into_builder().retry_config(patient.clone()).build();
    let (local, moto) = (config(&urls.local), config(&urls.moto));
    let kinesis = aws_sdk_kinesis::Client::new(&local);
    let mut names: Vec<String> = kinesis.list_streams().send().await.expect("streams").stream_names;
    // moto has no CloudWatch for today's SDKs, and so no alarm of theirs.
    if urls.local != urls.moto {
        let alarms = aws_sdk_cloudwatch::Client::new(&local).describe_alarms().send().await.expect("alarms");
        names.extend(alarms.metric_alarms().iter().filter_map(|alarm| alarm.alarm_name.clone()));
    }
    let rules = aws_sdk_eventbridge::Client::new(&moto).list_rules().send().await.expect("rules");
    names.extend(rules.rules().iter().filter_map(|rule| rule.name.clone()));
    let queues = aws_sdk_sqs::Client::new(&moto).list_queues().send().await.expect("queues");
    names.extend(queues.queue_urls().iter().filter_map(|url| url.rsplit('/').next()).map(str::to_owned));
    let trails = aws_sdk_cloudtrail::Client::new(&moto).list_trails().send().await.expect("trails");
    names.extend(trails.trails().iter().filter_map(|trail| trail.name.clone()));
    let templates = aws_sdk_fis::Client::new(&moto).list_experiment_templates().send().await.expect("templates");
    let tag = |tags: &std::collections::HashMap<String, String>| tags.get(TAG_KEY).cloned();
    names.extend(templates.experiment_templates().iter().filter_map(|template| template.tags().and_then(tag)));
    names.retain(|name| name.starts_with(PREFIX));
    names.extend(keys(&aws_sdk_kms::Client::new(&moto)).await);
    names
}

/// The keys of prove that are not about to be deleted.
async fn keys(kms: &aws_sdk_kms::Client) -> Vec<String> {
    let mut names = vec![];
    for key in kms.list_keys().limit(1000).send().await.expect("keys").keys() {
        let id = key.key_id().expect("an id");
        let tags = kms.list_resource_tags().key_id(id).send().await.expect("tags");
        let Some(tag) = tags.tags().iter().find(|tag| tag.tag_key() == TAG_KEY) else { continue };
        let state =
            kms.describe_key().key_id(id).send().await.expect("a key").key_metadata.and_then(|key| key.key_state);
        if state != Some(aws_sdk_kms::types::KeyState::PendingDeletion) {
            names.push(tag.tag_value().to_owned());
        }
    }
    names
}
