//! `unthrottle replay`: events, given to the handler that the Lambda runs.

use super::CliError;
use super::aws::{AwsArgs, find_stream};
use super::console::Console;
use super::explain::print_json;
use super::traffic::{self, RECORD_BYTES, Tally};
use crate::clients::Clients;
use crate::decide::triage;
use crate::heal::Healer;
use crate::local::{LocalAccount, Options};
use crate::observe::Cause;
use crate::policy::{Mode, Policy};
use crate::report::Document;
use crate::signal::{Home, Signal, StreamArn};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::config::Credentials;
use aws_sdk_kinesis::types::StreamStatus;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The stream of a local replay.
const SHARDS: u16 = 2;
/// With records of 10 KiB, half as much again as its shards take.
const RECORDS_PER_SECOND: usize = 300;
/// A quarter of what its shards take.
const EASY_RECORDS_PER_SECOND: usize = 50;
/// Each alone polls as often as a shard allows; together, three times as often.
const READERS: usize = 3;
/// How long traffic is driven before and after.
const TRAFFIC: Duration = Duration::from_secs(5);
/// What the traffic before stands for.
const MINUTES: u32 = 10;
/// A change on the local account takes four seconds; ten times that is stuck.
const ACTIVE_WITHIN: Duration = Duration::from_secs(40);

#[derive(clap::Args)]
pub(super) struct Args {
    /// Events as JSON files, such as those in events/
    #[arg(required = true, value_name = "FILE")]
    events: Vec<PathBuf>,
    #[command(flatten)]
    aws: AwsArgs,
    /// Decide in full and change nothing
    #[arg(long)]
    observe: bool,
    /// Print a decision document for each event, one a line; steps go to standard error
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let mut policy = Policy::from_env(|name| std::env::var(name).ok())?;
    if args.observe {
        policy.mode = policy.mode.min(Mode::Observe);
    }
    // All files first: a broken one changes nothing.
    let events = args.events.iter().map(|path| Event::read(path)).collect::<Result<Vec<_>, _>>()?;
    let mut console = Console::new(args.json);
    for event in &events {
        console.heading(&event.path.display().to_string())?;
        let document = if args.aws.is_given() {
            replay_remote(event, &args.aws, policy.clone(), &mut console).await?
        } else {
            replay_local(event, policy.clone(), &mut console).await?.document
        };
        if args.json {
            print_json(&document)?;
        }
    }
    Ok(())
}

/// An event and the file that it came from.
struct Event {
    path: PathBuf,
    payload: Value,
}

impl Event {
    fn read(path: &Path) -> Result<Event, CliError> {
        let text = std::fs::read_to_string(path).map_err(|source| CliError::File { path: path.into(), source })?;
        let payload = serde_json::from_str(&text).map_err(|source| CliError::Json { path: path.into(), source })?;
        let event = Event { path: path.into(), payload };
        event.signal(&local_home()).map(|_| event)
    }

    fn signal(&self, home: &Home) -> Result<Signal, CliError> {
        Signal::parse(&self.payload, home).map_err(|source| CliError::Event { path: self.path.clone(), source })
    }
}

/// What a replay on the local account showed.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The decision document.
    pub document: Document,
    /// The traffic before and after, and the open shards after; absent where the event needs no stream.
    pub healing: Option<(Tally, Tally, u32)>,
}

/// Replays an event file on a local account of its own, silently.
///
/// # Errors
/// The file, the event, or a call failed.
pub async fn replay(path: &Path, policy: Policy) -> Result<Replay, CliError> {
    replay_local(&Event::read(path)?, policy, &mut Console::silent()).await
}

async fn replay_local(event: &Event, mut policy: Policy, console: &mut Console) -> Result<Replay, CliError> {
    let home = local_home();
    // The role that the sample events are written with.
    policy.role_arn.get_or_insert_with(|| format!("arn:aws:iam::{}:role/unthrottle", home.account));
    let signal = event.signal(&home)?;
    let unseen = triage(&signal, &policy, &home).is_some();
    let account = LocalAccount::start(Options::default()).await?;
    let clients = Clients::new(&local_config(account.url()));
    let healer = Healer::new(clients.clone(), policy);
    let Some(stream) = signal.stream().filter(|_| !unseen) else {
        console.step("this event needs no stream: it is decided from the event alone")?;
        let document = healer.heal(&signal, &home).await?.document;
        tell(&document, console)?;
        return Ok(Replay { document, healing: None });
    };
    let stage = Stage { account, clients, stream, load: Load::of(event, &signal) };
    stage.create(console).await?;
    stage.account.live_past(MINUTES, TRAFFIC);
    stage.fall_behind();
    let before = stage.traffic("traffic", console).await?;
    let document = healer.heal(&signal, &home).await?.document;
    tell(&document, console)?;
    let shards = stage.active(console).await?;
    let after = stage.traffic("the same traffic", console).await?;
    let text = format!(
        "before: {SHARDS} shards, {:.1} % throttled   after: {shards} shards, {:.1} % throttled",
        before.share() * 100.0,
        after.share() * 100.0
    );
    console.result(after.throttled == 0, &text)?;
    Ok(Replay { document, healing: Some((before, after, shards)) })
}

/// A stream of the local account, and how to load it.
struct Stage<'a> {
    account: LocalAccount,
    clients: Clients,
    stream: &'a StreamArn,
    load: Load,
}

/// What the stream lives through.
#[derive(Clone, Copy, PartialEq)]
enum Load {
    /// Producers that write more than it takes.
    Producers,
    /// Readers that poll more often than it allows.
    Readers,
    /// The same, after an outage: they gain ground.
    CatchingUp,
    /// A load that it carries, and a reader that does not keep up.
    FarBehind,
}

impl Load {
    /// What a sample named WHAT__CODE.json needs to yield its code; else what the signal tells of.
    fn of(event: &Event, signal: &Signal) -> Load {
        let name = event.path.file_stem().unwrap_or_default().to_string_lossy();
        match name.split_once("__").map(|(_, code)| code) {
            Some("reader_catching_up") => Load::CatchingUp,
            Some("consumer_slow") => Load::FarBehind,
            _ if is_read(signal) => Load::Readers,
            _ => Load::Producers,
        }
    }

    /// How far readers are behind so many minutes ago, hours. Nobody waits that long for a replay, so this is the one
    /// metric that is put, not counted.
    fn hours_behind(self, minutes_ago: u32) -> Option<f64> {
        match self {
            Load::Producers | Load::Readers => None,
            Load::CatchingUp => Some(1.0 + f64::from(minutes_ago) / 60.0),
            Load::FarBehind => Some(13.0),
        }
    }
}

impl Stage<'_> {
    async fn create(&self, console: &mut Console) -> Result<(), CliError> {
        let name = &self.stream.name;
        console.step(&format!("a local account at {}: creating `{name}` with {SHARDS} shards", self.account.url()))?;
        let call = self.clients.kinesis.create_stream().stream_name(name).shard_count(SHARDS.into());
        call.send().await.map_err(|e| CliError::Aws { call: "CreateStream", source: Cause::of(e) })?;
        self.wait_until_active().await.map(|_| ())
    }

    fn fall_behind(&self) {
        for ago in 1..=MINUTES {
            let Some(hours) = self.load.hours_behind(ago) else { return };
            let stream = [("StreamName", self.stream.name.as_str())];
            let (at, age) = (SystemTime::now() - Duration::from_secs(60) * ago, hours * 3_600_000.0);
            self.account.put_metric("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", &stream, at, age);
        }
    }

    async fn traffic(&self, what: &str, console: &mut Console) -> Result<Tally, CliError> {
        let seconds = TRAFFIC.as_secs();
        let per_second = if self.load == Load::FarBehind { EASY_RECORDS_PER_SECOND } else { RECORDS_PER_SECOND };
        let reads = matches!(self.load, Load::Readers | Load::CatchingUp);
        let (load, unit) = if reads {
            (format!("{READERS} readers polling each shard five times a second"), "calls")
        } else {
            (format!("{per_second} records of {} KiB a second", RECORD_BYTES / 1024), "records")
        };
        console.step(&format!("{what}: {load}, for {seconds} s (shards really throttle) …"))?;
        let (client, arn) = (&self.clients.kinesis_once, self.stream.to_string());
        let tally = if reads {
            traffic::read(client, &arn, READERS, TRAFFIC).await?
        } else {
            traffic::write(client, &arn, per_second, TRAFFIC).await?
        };
        let Tally { served, throttled } = tally;
        console.step(&format!("  {served} {unit} served, {throttled} throttled: {:.1} %", tally.share() * 100.0))?;
        Ok(tally)
    }

    async fn active(&self, console: &mut Console) -> Result<u32, CliError> {
        let started = Instant::now();
        let shards = self.wait_until_active().await?;
        console.step(&format!("ACTIVE with {shards} shards after {:.1} s", started.elapsed().as_secs_f64()))?;
        Ok(shards)
    }

    /// Waits until the stream is ACTIVE, and gives its open shards.
    async fn wait_until_active(&self) -> Result<u32, CliError> {
        let deadline = Instant::now() + ACTIVE_WITHIN;
        while Instant::now() < deadline {
            let call = self.clients.kinesis.describe_stream_summary().stream_arn(self.stream.to_string());
            let answer = call.send().await;
            let answer = answer.map_err(|e| CliError::Aws { call: "DescribeStreamSummary", source: Cause::of(e) })?;
            if let Some(summary) = answer.stream_description_summary()
                && *summary.stream_status() == StreamStatus::Active
            {
                return Ok(u32::try_from(summary.open_shard_count()).unwrap_or(0));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(CliError::Late(format!("`{}` is not ACTIVE after {} s", self.stream.name, ACTIVE_WITHIN.as_secs())))
    }
}

async fn replay_remote(
    event: &Event,
    aws: &AwsArgs,
    policy: Policy,
    console: &mut Console,
) -> Result<Document, CliError> {
    let clients = Clients::new(&aws.config().await?);
    let mut home = event.home();
    let mut signal = event.signal(&home)?;
    if triage(&signal, &policy, &home).is_none()
        && let Some(named) = signal.stream()
    {
        // An ask names its account only in its ARN: for a name, the account is the one that the credentials belong to.
        let text = event.payload["stream"].as_str().unwrap_or(&named.name);
        let found = find_stream(&clients, text).await?;
        if !matches!(signal, Signal::Ask(_)) && found.home != home {
            return Err(CliError::Usage(format!(
                "{}: the event is of account {} in {}, and the credentials and region are of {} in {}",
                event.path.display(),
                home.account,
                home.region,
                found.home.account,
                found.home.region
            )));
        }
        home = found.home.clone();
        if let Signal::Ask(ask) = &mut signal {
            ask.stream = found;
        }
    }
    console.step(&format!("account {}, region {}", home.account, home.region))?;
    let document = Healer::new(clients, policy).heal(&signal, &home).await?.document;
    tell(&document, console)?;
    Ok(document)
}

impl Event {
    /// The account and region that the event says it comes from.
    fn home(&self) -> Home {
        let text = |field: &str| self.payload[field].as_str().map(str::to_owned);
        let local = local_home();
        let partition = match text("region") {
            Some(region) if region.starts_with("cn-") => "aws-cn",
            Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        Home {
            partition: partition.into(),
            region: text("region").unwrap_or(local.region),
            account: text("account").unwrap_or(local.account),
        }
    }
}

fn tell(document: &Document, console: &mut Console) -> Result<(), CliError> {
    console.step(&format!("decision: {} ({})", document.code, document.outcome))?;
    console.step(&format!("  {}", document.sentence))?;
    Ok(())
}

/// Whether readers, not producers, are throttled.
fn is_read(signal: &Signal) -> bool {
    matches!(signal, Signal::Throttle(call) if call.operation == "GetRecords")
}

/// Where the local account is, as in the sample events.
fn local_home() -> Home {
    let Options { account, region, .. } = Options::default();
    Home { partition: "aws".into(), region, account }
}

/// A configuration for the local account, whatever the environment says.
fn local_config(url: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new(local_home().region))
        .credentials_provider(aws_sdk_kinesis::config::SharedCredentialsProvider::new(Credentials::new(
            "local", "local", None, None, "local",
        )))
        .build()
}
