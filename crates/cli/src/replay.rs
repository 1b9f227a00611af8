//! `unthrottle replay`: events, given to the handler that the Lambda runs.

use super::CliError;
use super::aws::{AwsArgs, find_stream};
use super::console::{Console, print_json};
use super::stage::{SECONDS_AFTER, SECONDS_BEFORE, Set, Size, Stage};
use super::traffic::Tally;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kinesis::config::Credentials;
use chrono::Utc;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use unthrottle::aws::Clients;
use unthrottle::handler::Handler;
use unthrottle::settings;
use unthrottle::sweep::{Plan, sweep};
use unthrottle_core::decide::triage;
use unthrottle_core::policy::{Mode, Policy};
use unthrottle_core::report::Document;
use unthrottle_core::signal::{self, Home, Signal, StreamArn};
use unthrottle_lab::local::{LocalAccount, Options};

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
    let mut policy = settings::read()?;
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

    /// The code in the name of a sample's file, `SITUATION__CODE.json`: its stage is set for that decision.
    fn promise(&self) -> Option<&str> {
        Some(self.path.file_stem()?.to_str()?.split_once("__")?.1)
    }

    /// The signal; of a sweep, that of the one stream of a local account.
    fn signal(&self, home: &Home) -> Result<Signal, CliError> {
        let bad = |source| CliError::Event { path: self.path.clone(), source };
        match signal::Event::parse(&self.payload, home).map_err(bad)? {
            signal::Event::One(signal) => Ok(*signal),
            signal::Event::Sweep { .. } => {
                let stream = StreamArn::new(SWEPT, home);
                stream.map(Signal::Sweep).ok_or_else(|| CliError::Usage(format!("`{SWEPT}` is no stream's name")))
            }
        }
    }
}

/// What the stream is called that a sweep finds on the local account.
const SWEPT: &str = "orders";

/// No look of a replay takes longer.
const SWEEP_WITHIN: Duration = Duration::from_secs(60);

/// What the handler makes of `signal`. A sweep finds its stream by itself.
async fn handle(handler: &Handler, signal: &Signal, home: &Home, console: &mut Console) -> Result<Document, CliError> {
    if !matches!(signal, Signal::Sweep(_)) {
        return Ok(handler.run(signal, home).await?.document);
    }
    let swept = sweep(handler, home, Plan::until(handler.clock().now() + SWEEP_WITHIN), |_| ()).await?;
    console.step(&swept.sentence)?;
    swept.decisions.into_iter().next().ok_or_else(|| CliError::Late("the sweep found no stream to look at".into()))
}

/// What a replay on the local account showed.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The decision document.
    pub document: Document,
    /// What became of the stream; absent where the event needs none.
    pub healing: Option<Before>,
}

/// A stream before and after a decision.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    /// The traffic before, and the same traffic after; absent where none was driven.
    pub traffic: Option<(Tally, Tally)>,
    /// Its size before and after.
    pub sizes: (Size, Size),
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
    let stage = Stage::of(event.promise(), is_read(&signal), Utc::now());
    stage.setting.iter().for_each(|(_, set)| set(&mut policy));
    let account = LocalAccount::start(stage.options.clone()).await?;
    let clients = Clients::new(&local_config(account.url()));
    let handler = Handler::new(clients.clone(), policy).on(stage.options.clock.clone());
    let Some(stream) = signal.stream().filter(|_| !unseen) else {
        console.step("this event needs no stream: it is decided from the event alone")?;
        let document = handler.run(&signal, &home).await?.document;
        tell(&document, console)?;
        return Ok(Replay { document, healing: None });
    };
    console.step(&format!("a local account at {}: `{}`, {}", account.url(), stream.name, stage.describe()))?;
    let again = stage.again;
    let set = Set::new(stage, account, clients, stream).await?;
    let size = set.active().await?;
    let before = drive("traffic", set.load(SECONDS_BEFORE), set.before(), console).await?;
    let mut document = handle(&handler, &signal, &home, console).await?;
    tell(&document, console)?;
    if again {
        set.active().await?;
        console.step("the same event again")?;
        document = handle(&handler, &signal, &home, console).await?;
        tell(&document, console)?;
    }
    let started = set.clock().now();
    let sizes = (size, set.active().await?);
    let took = (set.clock().now() - started).num_seconds();
    console.step(&format!("ACTIVE with {} shards after {took} s", sizes.1.shards))?;
    let traffic = match before {
        Some(before) => {
            let after = drive("the same traffic", set.load(SECONDS_AFTER), set.after(), console).await?;
            after.map(|after| (before, after))
        }
        None => None,
    };
    if let Some((before, after)) = traffic {
        let text = format!(
            "before: {} shards, {:.1} % throttled   after: {} shards, {:.1} % throttled",
            sizes.0.shards,
            before.share() * 100.0,
            sizes.1.shards,
            after.share() * 100.0
        );
        console.result(after.throttled == 0, &text)?;
    }
    Ok(Replay { document, healing: Some(Before { traffic, sizes }) })
}

/// Drives traffic, and says so.
async fn drive(
    what: &str,
    (load, unit): (String, &'static str),
    traffic: impl Future<Output = Result<Option<Tally>, CliError>>,
    console: &mut Console,
) -> Result<Option<Tally>, CliError> {
    console.step(&format!("{what}: {load} …"))?;
    let tally = traffic.await?;
    if let Some(tally @ Tally { served, throttled }) = tally {
        console.step(&format!("  {served} {unit} served, {throttled} throttled: {:.1} %", tally.share() * 100.0))?;
    }
    Ok(tally)
}

async fn replay_remote(
    event: &Event,
    aws: &AwsArgs,
    policy: Policy,
    console: &mut Console,
) -> Result<Document, CliError> {
    let mut home = event.home();
    let mut signal = event.signal(&home)?;
    if let Signal::Sweep(_) = signal {
        return Err(CliError::Usage(format!("{}: `unthrottle sweep` sweeps your account", event.path.display())));
    }
    let clients = Clients::new(&aws.config().await?);
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
    let document = Handler::new(clients, policy).run(&signal, &home).await?.document;
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

/// A configuration for the local account at `url`, whatever the environment says.
pub fn local_config(url: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new(local_home().region))
        .credentials_provider(aws_sdk_kinesis::config::SharedCredentialsProvider::new(Credentials::new(
            "local", "local", None, None, "local",
        )))
        .build()
}
