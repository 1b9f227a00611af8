//! Runs the steps, and cleans up after them.

use super::Args;
use super::clients::Clients;
use super::context::{Allowed, Context, Creating, PREFIX};
use super::ledger::{Ledger, Resource};
use super::proof::{self, Done, Proof};
use super::record::Recorder;
use super::step::{Step, Verdict};
use super::time::Time;
use super::trouble::Trouble;
use super::{clean, delete};
use crate::CliError;
use crate::aws::clock;
use crate::put::stop_signal;
use crate::screen::{Console, EVERY, StatusLine, print_json};
use aws_config::SdkConfig;
use futures_util::StreamExt as _;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use unthrottle_core::cost::Prices;

/// The columns of a line. A longer one would not replace itself.
const SCREEN: usize = 79;

/// What all steps share.
struct Runner<'a> {
    args: &'a Args,
    config: SdkConfig,
    prices: &'a Prices,
    time: Arc<Time>,
    ledger: Arc<Ledger>,
    /// The names of the steps that run now.
    running: RefCell<BTreeSet<&'static str>>,
    creating: Rc<Creating>,
}

/// The clock of the account that the arguments name. Its configuration is loaded before.
fn time_of(args: &Args) -> Arc<Time> {
    let clock = clock();
    Arc::new(Time::new(clock.now(), args.pace.unwrap_or(clock.pace())))
}

/// Runs the steps, writes the proof after each, and leaves nothing behind.
pub(super) async fn steps(args: &Args, steps: &[&'static Step], prices: &Prices) -> Result<(), CliError> {
    let config = args.aws.config().await?;
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let time = time_of(args);
    let mut proof = match args.resume {
        true => resumed(args, &config, &time).await?,
        false => {
            must_have_no_proof(args)?;
            Proof::new(&region, config.endpoint_url(), time.pace(), time.now())
        }
    };
    let is_settled = |step: &Step| proof.steps.iter().any(|done| done.step == step.name && done.is_settled());
    let steps: Vec<&'static Step> = steps.iter().filter(|step| !is_settled(step)).copied().collect();
    let ledger = Arc::new(Ledger::begin(&args.out, &new_run(), &region)?);
    // From here on, a run that was killed can go on.
    proof.write(&args.out)?;
    let (running, creating) = Default::default();
    let runner = Runner { args, config, prices, time, ledger, running, creating };
    let mut console = Console::new(args.json);
    let usd: f64 = steps.iter().map(|step| step.uses.usd(prices)).sum();
    let (count, minutes) = (steps.len(), minutes(&steps, args.at_once));
    console.heading(&format!("{count} steps in {region}: at most about {minutes} min, ${usd:.2} at list prices"))?;
    let ended = runner.all(&steps, &mut proof, &mut console).await;
    let left = runner.clean_all().await;
    must_be_empty(&left)?;
    if proof.nothing_is_left() {
        proof.write(&args.out)?;
    }
    let is_stopped = ended?;
    if args.json {
        print_json(&proof)?;
    } else {
        let files = [proof::FILE, super::page::FILE].map(|file| shown(args, file));
        console.result(true, &files.join(" and "))?;
    }
    conclude(args, &proof, is_stopped)
}

/// The path of a file of the proof.
fn shown(args: &Args, file: &str) -> String {
    args.out.join(file).display().to_string()
}

/// The id of a new run: eight hexadecimal digits, so that no two runs meet.
fn new_run() -> String {
    let random = RandomState::new().hash_one(std::process::id());
    format!("{:08x}", random as u32)
}

/// Refuses to replace a proof, which has cost time and money.
fn must_have_no_proof(args: &Args) -> Result<(), CliError> {
    let path = args.out.join(proof::FILE);
    if !path.exists() || Proof::read(&path).is_ok_and(|proof| proof.steps.is_empty()) {
        return Ok(());
    }
    let path = path.display();
    Err(CliError::Usage(format!("{path} is there already. Go on with it by --resume, or give another --out")))
}

/// The proof of the folder, after what its run left is deleted.
async fn resumed(args: &Args, config: &SdkConfig, time: &Arc<Time>) -> Result<Proof, CliError> {
    let proof = Proof::read(&args.out.join(proof::FILE))?;
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    if proof.region != region || proof.endpoint_url.as_deref() != config.endpoint_url() {
        let of = proof.endpoint_url.as_deref().unwrap_or("AWS");
        let problem =
            format!("--resume: the proof in the folder is of {of}, region {}. Give another --out", proof.region);
        return Err(CliError::Usage(problem));
    }
    if let Some(ledger) = Ledger::open(&args.out)? {
        let clients = Clients::new(config, time, &Recorder::new(time));
        must_be_empty(&delete::all(&clients, time, &ledger, ledger.left()).await)?;
    }
    Ok(proof)
}

impl Runner<'_> {
    /// Runs the steps, some at once, until a person stops them. Returns whether a person did.
    async fn all(&self, steps: &[&'static Step], proof: &mut Proof, console: &mut Console) -> Result<bool, CliError> {
        let runs = futures_util::stream::iter(steps.iter().map(|step| self.step(step)));
        let mut runs = std::pin::pin!(runs.buffer_unordered(usize::from(self.args.at_once)));
        let mut stop = std::pin::pin!(stop_signal());
        let mut ticks = tokio::time::interval(EVERY);
        let (mut status, begin, mut end) = (StatusLine::new(), Instant::now(), None);
        loop {
            tokio::select! {
                done = runs.next() => {
                    status.clear();
                    let Some(done) = done else { return end.unwrap_or(Ok(false)) };
                    let taken = show(console, &done).map_err(CliError::from);
                    proof.take(done);
                    // A closed pipe or a full disk stops the steps as a person does: what they created is deleted.
                    if let Err(error) = proof.write(&self.args.out).and(taken) {
                        end = Some(Err(error));
                    }
                }
                () = &mut stop, if end.is_none() => end = Some(Ok(true)),
                _ = ticks.tick() => status.show(&self.status(begin)),
            }
            if end.is_some() {
                self.creating.stop();
            }
            if let Some(end) = end.take_if(|_| self.creating.is_over()) {
                status.clear();
                return end;
            }
        }
    }

    /// The steps that run, on a line of a screen.
    fn status(&self, begin: Instant) -> String {
        let names = self.running.borrow().iter().copied().collect::<Vec<_>>().join(", ");
        let text = format!("{} s: {names}", begin.elapsed().as_secs());
        text.chars().take(SCREEN).collect()
    }

    /// Runs a step, and deletes what it created.
    async fn step(&self, step: &'static Step) -> Done {
        self.running.borrow_mut().insert(step.name);
        let recorder = Recorder::new(&self.time);
        let context = Context {
            step,
            clients: Clients::new(&self.config, &self.time, &recorder),
            time: self.time.clone(),
            ledger: self.ledger.clone(),
            creating: self.creating.clone(),
            allowed: Allowed {
                spend_reshards: self.args.spend_reshards,
                trail_bucket: self.args.with_trail.clone(),
                function: self.args.with_stack.clone(),
            },
            findings: RefCell::default(),
            measured: RefCell::default(),
        };
        let (began, begin) = (self.time.now(), Instant::now());
        let ended = (step.run)(&context).await;
        let answers = recorder.answers();
        let left = context.clean().await;
        if let Err(trouble) = ended {
            let verdict = match trouble {
                Trouble::Failed(_) => Verdict::Failed,
                Trouble::NotAvailable(_) | Trouble::NotServed(_) | Trouble::Denied(_) => Verdict::NotAvailable,
            };
            let why = recorder.hidden(&trouble.to_string());
            step.facts.iter().for_each(|fact| context.found(fact.id, verdict, why.clone()));
        }
        self.running.borrow_mut().remove(step.name);
        let mut findings = context.findings.into_inner();
        findings.iter_mut().for_each(|finding| finding.seen = recorder.hidden(&finding.seen));
        Done {
            step: step.name.to_owned(),
            about: step.about.to_owned(),
            cost_usd: step.uses.usd(self.prices),
            began,
            seconds: self.time.since(begin).as_secs_f64(),
            findings,
            measured: context.measured.into_inner(),
            answers,
            left: left.iter().map(|left| recorder.hidden(&in_words(left))).collect(),
        }
    }

    /// Deletes what is left of all steps. A step that was stopped has not deleted its own.
    async fn clean_all(&self) -> Vec<(Resource, String)> {
        let left = self.ledger.left();
        if !left.is_empty() {
            eprintln!("unthrottle: deleting {} resources", left.len());
        }
        let clients = Clients::new(&self.config, &self.time, &Recorder::new(&self.time));
        delete::all(&clients, &self.time, &self.ledger, left).await
    }
}

fn in_words((resource, why): &(Resource, String)) -> String {
    format!("the {} `{}`: {why}", resource.kind, resource.name)
}

/// An error that names what is left, and the way to delete it.
fn must_be_empty(left: &[(Resource, String)]) -> Result<(), CliError> {
    if left.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = left.iter().map(in_words).collect();
    Err(CliError::Partly(format!(
        "{} resources are not deleted. `unthrottle prove --clean` tries again:\n{}",
        left.len(),
        lines.join("\n")
    )))
}

/// The exit code, with its reason.
fn conclude(args: &Args, proof: &Proof, is_stopped: bool) -> Result<(), CliError> {
    if is_stopped {
        return Err(CliError::Partly("stopped, and nothing is left. --resume goes on".into()));
    }
    let of = |verdict: Verdict| {
        let facts = proof.findings().filter(|(_, finding)| finding.verdict == verdict);
        facts.map(|(_, finding)| finding.fact.as_str()).collect::<Vec<_>>()
    };
    let (failed, different) = (of(Verdict::Failed), of(Verdict::Different));
    if !failed.is_empty() {
        let page = shown(args, super::page::FILE);
        return Err(CliError::Partly(format!("failed: {}. See {page}; --resume tries again", failed.join(", "))));
    }
    if !different.is_empty() {
        let facts = different.join(", ");
        return Err(CliError::Missed(format!("AWS did something else than unthrottle expects: {facts}")));
    }
    Ok(())
}

/// Shows a step that has ended.
fn show(console: &mut Console, done: &Done) -> std::io::Result<()> {
    console.heading(&format!("{}: {:.0} s", done.step, done.seconds))?;
    for finding in &done.findings {
        let verdict = finding.verdict.to_string();
        console.step(&format!("{verdict:<13} {}: {}", finding.fact, finding.seen))?;
    }
    for left in &done.left {
        console.step(&format!("NOT DELETED   {left}"))?;
    }
    Ok(())
}

/// The minutes that steps take at most, if each begins as soon as one of `at_once` places is free.
pub(super) fn minutes(steps: &[&'static Step], at_once: u16) -> u32 {
    let mut places = vec![0_u32; usize::from(at_once.max(1))];
    for step in steps {
        if let Some(place) = places.iter_mut().min() {
            *place += step.minutes;
        }
    }
    places.into_iter().max().unwrap_or_default()
}

/// `--clean`: deletes what the ledger of the folder names, and what carries the name of its run.
pub(super) async fn clean(args: &Args) -> Result<(), CliError> {
    let config = args.aws.config().await?;
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let time = time_of(args);
    let clients = Clients::new(&config, &time, &Recorder::new(&time));
    let ledger = if args.all_runs { None } else { Ledger::open(&args.out)? };
    let (ledger, prefix) = match ledger {
        Some(ledger) if ledger.region() != region => {
            let of = ledger.region();
            return Err(CliError::Usage(format!("the ledger is of region {of}, and the region set is {region}")));
        }
        Some(ledger) => {
            let prefix = format!("{PREFIX}{}-", ledger.run());
            (ledger, prefix)
        }
        None if args.all_runs => (Ledger::begin(&args.out.join("all-runs"), &new_run(), &region)?, PREFIX.to_owned()),
        None => {
            let out = args.out.display();
            let problem = format!("{out} has no ledger. --all-runs deletes what all runs in this account left");
            return Err(CliError::Usage(problem));
        }
    };
    let (found, unread) = clean::found(&clients, &prefix).await;
    let all: BTreeSet<Resource> = ledger.left().into_iter().chain(found).collect();
    let mut console = Console::new(args.json);
    console.heading(&format!("{} resources to delete in {region}", all.len()))?;
    let left = delete::all(&clients, &time, &ledger, all.iter().cloned().collect()).await;
    let is_left = |resource: &Resource| left.iter().any(|(other, _)| other == resource);
    for Resource { kind, name } in all.iter().filter(|resource| !is_left(resource)) {
        console.step(&format!("deleted the {kind} {name}"))?;
    }
    for unread in &unread {
        console.step(&format!("cannot look for {unread}"))?;
    }
    must_be_empty(&left)?;
    if args.all_runs && !unread.is_empty() {
        return Err(CliError::Partly("resources of the services that cannot be asked may be left".into()));
    }
    console.result(true, "nothing is left").map_err(CliError::from)
}
