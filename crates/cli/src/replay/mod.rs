//! `unthrottle replay`: gives events to the handler that the Lambda runs.

mod event;
mod remembered;
mod scenario;
mod setup;
mod traffic;
mod world;

pub use scenario::BadSetting;
pub use setup::Size;
pub use traffic::Tally;

use crate::CliError;
use crate::aws::{AwsArgs, clock, local_config, local_home};
use crate::config;
use crate::consent::Consent;
use crate::screen::{Console, print_json};
use crate::streams::find_stream;
use chrono::{DateTime, Utc};
use event::{Event, is_read};
use scenario::Scenario;
use setup::{ReplayedStream, SECONDS_AFTER};
use std::path::{Path, PathBuf};
use std::time::Duration;
use unthrottle::aws::Clients;
use unthrottle::handler::Handler;
use unthrottle::sweep::{Plan, sweep};
use unthrottle_core::cost::Prices;
use unthrottle_core::decide::triage;
use unthrottle_core::decision::Outcome;
use unthrottle_core::policy::{Mode, Policy};
use unthrottle_core::report::Document;
use unthrottle_core::signal::{Home, Signal};
use unthrottle_core::words::{count, many};
use world::World;

/// An observation of the sweep that could end later than this is not begun. A replay has one stream and no slow call.
const SWEEP_WITHIN: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// Events as JSON files, such as those of events/, or scenarios
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    aws: AwsArgs,
    /// Decide in full, and change nothing
    #[arg(long, conflicts_with = "yes")]
    observe: bool,
    #[command(flatten)]
    consent: Consent,
    #[arg(
        long,
        help = "Print a decision document for each event, one a line. The steps \
                then go to standard error"
    )]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    // All files first: a broken one changes nothing.
    let events = args.files.iter().map(|path| Event::read(path)).collect::<Result<Vec<_>, _>>()?;
    let policy = config::policy()?;
    let mode = if args.observe { Mode::Observe } else { Mode::Heal };
    let settings = Settings { prices: policy.prices.clone(), environment: config::variable, mode };
    let policy = Policy { mode: policy.mode.min(mode), ..policy };
    let mut console = Console::new(args.json);
    for event in &events {
        console.heading(&event.given.display().to_string())?;
        let document = if args.aws.is_given() {
            replay_remote(event.without_world()?, &args, policy.clone(), &mut console).await?
        } else {
            replay_local(event, &settings, &mut console).await?.document
        };
        if args.json {
            print_json(&document)?;
        }
    }
    Ok(())
}

/// Replays an event file or a scenario file on its own local account, with the default settings and without output.
///
/// # Errors
/// The file, the event, or a call failed.
pub async fn replay(path: &Path) -> Result<Replay, CliError> {
    let settings = Settings { prices: Prices::default(), environment: |_| None, mode: Mode::Heal };
    replay_local(&Event::read(path)?, &settings, &mut Console::silent()).await
}

/// Where the settings of a replay on the local account come from. The scenario's own settings go over these.
struct Settings {
    prices: Prices,
    environment: fn(&str) -> Option<String>,
    /// At most this mode.
    mode: Mode,
}

impl Settings {
    /// The policy of one replay.
    fn policy(&self, scenario: Option<&Scenario>, home: &Home) -> Result<Policy, CliError> {
        let policy = match scenario {
            Some(scenario) => scenario.policy(self.environment)?,
            None => Policy::from_env(self.environment).map_err(BadSetting::from)?,
        };
        // The role that the sample events are written with.
        let role_arn = policy.role_arn.or_else(|| Some(format!("arn:aws:iam::{}:role/unthrottle", home.account)));
        Ok(Policy { prices: self.prices.clone(), mode: policy.mode.min(self.mode), role_arn, ..policy })
    }
}

/// What a replay on the local account showed.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The decision document. If the event comes twice, that of the second time.
    pub document: Document,
    /// The stream before and after. `None`: the event needs no stream.
    pub effect: Option<Effect>,
}

/// A stream before and after a decision.
#[derive(Clone, Copy, Debug)]
pub struct Effect {
    /// The traffic before, and the same traffic after. `None`: none was sent.
    pub traffic: Option<(Tally, Tally)>,
    /// The sizes before and after.
    pub sizes: (Size, Size),
}

async fn replay_local(event: &Event, settings: &Settings, console: &mut Console) -> Result<Replay, CliError> {
    let (home, now) = (local_home(), Utc::now());
    let signal = event.signal(&home)?;
    let scenario = event.scenario()?;
    let policy = settings.policy(scenario.as_ref(), &home)?;
    let needs_stream = triage(&signal, &policy, &home).is_none();
    let world =
        scenario.as_ref().map_or_else(|| World::without_scenario(is_read(&signal)), |found| found.world.clone());
    let account = setup::account(&world, now).await?;
    let clients = Clients::new(&local_config(account.url()));
    let handler = Handler::new(clients.clone(), policy).on(account.clock().clone());
    let Some(stream) = signal.stream().filter(|_| needs_stream) else {
        console.step("this event needs no stream: it is decided from the event alone")?;
        let document = handler.run(&signal, &home).await?.document;
        show_local(&document, console)?;
        return Ok(Replay { document, effect: None });
    };
    let found = world.describe(now);
    console.step(&format!("a local account at {}: `{}`, {found}", account.url(), stream.name))?;
    if scenario.is_none() {
        console.step(&world_without_scenario(&world))?;
    }
    let fixture = ReplayedStream::new(&world, account, clients, stream).await?;
    let size = fixture.active().await?;
    let before = drive("traffic", &world, world.load.seconds_before(), fixture.before(), console).await?;
    let mut document = handle(&handler, &signal, &home, console).await?;
    show_local(&document, console)?;
    if scenario.is_some_and(|scenario| scenario.comes_twice) {
        fixture.active().await?;
        console.step("the same event again")?;
        document = handle(&handler, &signal, &home, console).await?;
        show_local(&document, console)?;
    }
    let sizes = (size, wait(&fixture, console).await?);
    let after = match before {
        Some(_) => drive("the same traffic", &world, SECONDS_AFTER, fixture.after(), console).await?,
        None => None,
    };
    let traffic = before.zip(after);
    if let Some(traffic) = traffic {
        compare(traffic, sizes, console)?;
    }
    Ok(Replay { document, effect: Some(Effect { traffic, sizes }) })
}

/// The default world in words.
fn world_without_scenario(world: &World) -> String {
    let shards = world::shards(world.shards);
    let load = match &world.load {
        world::Load::Reads(reads) => format!("{} readers that each poll as often as AWS allows to all", reads.readers),
        _ => "producers that write half as much again as it takes".into(),
    };
    format!("no scenario names this event: a stream of {shards} meets {load}")
}

/// Waits until the change is complete, and returns the size of the stream then.
async fn wait(fixture: &ReplayedStream<'_>, console: &mut Console) -> Result<Size, CliError> {
    let started: DateTime<Utc> = fixture.clock().now();
    let size = fixture.active().await?;
    let took = (fixture.clock().now() - started).num_seconds();
    console.step(&format!("ACTIVE with {} after {took} s", many(size.shards, "shard")))?;
    Ok(size)
}

/// Shows the traffic before and after.
fn compare((before, after): (Tally, Tally), sizes: (Size, Size), console: &mut Console) -> Result<(), CliError> {
    let side = |name: &str, size: Size, tally: Tally| {
        format!("{name}: {}, {:.1} % throttled", many(size.shards, "shard"), tally.share() * 100.0)
    };
    let text = format!("{}   {}", side("before", sizes.0, before), side("after", sizes.1, after));
    Ok(console.result(after.throttled == 0, &text)?)
}

/// Drives traffic, and shows what became of it.
async fn drive(
    what: &str,
    world: &World,
    seconds: usize,
    traffic: impl Future<Output = Result<Option<Tally>, CliError>>,
    console: &mut Console,
) -> Result<Option<Tally>, CliError> {
    let (load, unit) = world.load.describe(seconds);
    console.step(&format!("{what}: {load} …"))?;
    let tally = traffic.await?;
    if let Some(tally @ Tally { served, throttled }) = tally {
        console.step(&format!(
            "  {} {unit} served, {} throttled: {:.1} %",
            count(served as f64),
            count(throttled as f64),
            tally.share() * 100.0
        ))?;
    }
    Ok(tally)
}

/// Gives `signal` to the handler. A sweep finds its stream by itself.
async fn handle(handler: &Handler, signal: &Signal, home: &Home, console: &mut Console) -> Result<Document, CliError> {
    if !matches!(signal, Signal::Sweep(_)) {
        return Ok(handler.run(signal, home).await?.document);
    }
    let swept = sweep(handler, home, Plan::until(handler.clock().now() + SWEEP_WITHIN), |_| ()).await?;
    console.step(&swept.sentence)?;
    swept.decisions.into_iter().next().ok_or_else(|| CliError::Late("the sweep found no stream to check".into()))
}

async fn replay_remote(
    event: &Event,
    args: &Args,
    policy: Policy,
    console: &mut Console,
) -> Result<Document, CliError> {
    let mut home = event.home()?;
    let mut signal = event.signal(&home)?;
    let given = event.given.display();
    if let Signal::Sweep(_) = signal {
        return Err(CliError::Usage(format!("{given}: `unthrottle sweep` sweeps your account")));
    }
    let clients = Clients::new(&args.aws.config().await?);
    if triage(&signal, &policy, &home).is_none()
        && let Some(named) = signal.stream()
    {
        // An ask names its account only in an ARN. With a name, the account is that of the credentials.
        let text = event.payload["stream"].as_str().unwrap_or(&named.name);
        let found = find_stream(&clients.kinesis, text).await?;
        if !matches!(signal, Signal::Ask(_)) && found.home != home {
            return Err(CliError::Usage(format!(
                "{given}: the event is of account {} in {}, and the credentials and region are of {} in {}",
                home.account, home.region, found.home.account, found.home.region
            )));
        }
        home = found.home.clone();
        if let Signal::Ask(ask) = &mut signal {
            ask.stream = found;
        }
    }
    console.step(&format!("account {}, region {}", home.account, home.region))?;
    if policy.mode == Mode::Heal && !args.consent.is_given() {
        // The person sees the answer here, so no message is sent.
        let silent = Policy { is_before_consent: true, topic_arn: None, ..policy.clone() };
        let planned = Handler::new(clients.clone(), silent).on(clock()).run(&signal, &home).await?.document;
        show(&planned, console)?;
        if planned.outcome != Outcome::Planned {
            return Ok(planned);
        }
        args.consent.ask("This is the plan. Change the stream now?")?;
    }
    let document = Handler::new(clients, policy).on(clock()).run(&signal, &home).await?.document;
    show(&document, console)?;
    Ok(document)
}

fn show(document: &Document, console: &mut Console) -> Result<(), CliError> {
    show_with(document, &document.sentence, console)
}

/// Shows a decision about a local account that ends with this process. The command that undoes a change there would act
/// on another account, so it is left out.
fn show_local(document: &Document, console: &mut Console) -> Result<(), CliError> {
    let undo = document.undo.as_ref().map(|undo| format!(" To undo it: {undo}"));
    let sentence = undo.and_then(|undo| document.sentence.strip_suffix(&undo)).unwrap_or(&document.sentence);
    show_with(document, sentence, console)
}

fn show_with(document: &Document, sentence: &str, console: &mut Console) -> Result<(), CliError> {
    console.step(&format!("decision: {} ({})", document.code, document.outcome))?;
    Ok(console.step(&format!("  {sentence}"))?)
}
