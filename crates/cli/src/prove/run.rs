//! Runs the steps, and cleans up after them.

use super::Args;
use super::account::Account;
use super::clients::Clients;
use super::context::{Allowed, Context, Creating};
use super::ledger::{Ledger, Resource, new_run};
use super::proof::{self, Done, Proof};
use super::record::Recorder;
use super::step::{Step, Verdict};
use super::time::Time;
use super::trouble::Trouble;
use super::{cost, delete};
use crate::CliError;
use crate::screen::{Console, EVERY, StatusLine, print_json, print_note};
use crate::stop::stop_signal;
use aws_config::SdkConfig;
use futures_util::StreamExt as _;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use unthrottle_core::cost::Prices;
use unthrottle_core::words::many;

/// The columns of a line. A longer one would not replace itself.
const SCREEN: usize = 79;

/// What all steps share.
struct Runner<'a> {
    args: &'a Args,
    config: SdkConfig,
    prices: &'a Prices,
    /// The streams of the account before the run.
    streams: usize,
    time: Arc<Time>,
    ledger: Arc<Ledger>,
    /// The names of the steps that run now.
    running: RefCell<BTreeSet<&'static str>>,
    creating: Rc<Creating>,
}

/// Counts the streams of the account, on which the cost depends, and shows the account and the cost. Returns the count.
///
/// # Errors
/// The user accepts less. Nothing is created then.
async fn accept(
    args: &Args,
    steps: &[&'static Step],
    prices: &Prices,
    (account, clients): (&Account, &Clients),
    console: &mut Console,
) -> Result<usize, CliError> {
    let streams = cost::streams(clients).await?;
    let usd = cost::of(steps, prices, streams);
    cost::accept(args.i_know_this_costs_up_to, usd, &format!("{account} has {}: ", many(streams, "stream")))?;
    let (count, minutes, usd) = (many(steps.len(), "step"), minutes(steps, args.at_once), cost::cents(usd));
    console.heading(&format!("{count} in {account}: at most about {minutes} min, ${usd:.2} at list prices"))?;
    if let Some(beyond) = cost::beyond(steps, args.with_trail.is_some(), streams) {
        console.step(&beyond)?;
    }
    Ok(streams)
}

/// Runs the steps, writes the proof after each, and leaves nothing behind.
pub(super) async fn steps(args: &Args, steps: &[&'static Step], prices: &Prices) -> Result<(), CliError> {
    let config = args.aws.config().await?;
    let time = Time::of_account(args.pace, &config)?;
    let old =
        if args.resume { Some(of_folder(args, &config, &time)?) } else { must_have_no_proof(args).map(|()| None)? };
    let clients = Clients::new(&config, &time, &Recorder::new(&time));
    let account = Account::asked(&config, &clients).await?;
    if old.is_some() {
        nothing_must_be_left(args, &account, &clients, &time).await?;
    }
    let new = || Proof::new(&account.region, config.endpoint_url(), time.pace(), time.now());
    let mut proof = old.unwrap_or_else(new);
    let is_settled = |step: &Step| proof.steps.iter().any(|done| done.step == step.name && done.is_settled());
    let steps: Vec<&'static Step> = steps.iter().filter(|step| !is_settled(step)).copied().collect();
    let mut console = Console::new(args.json);
    let streams = accept(args, &steps, prices, (&account, &clients), &mut console).await?;
    let ledger = Arc::new(Ledger::begin(&args.out, &new_run(), &account)?);
    // From here on, a run that was killed can go on.
    proof.write(&args.out)?;
    let (running, creating) = Default::default();
    let runner = Runner { args, config, prices, streams, time, ledger, running, creating };
    let ended = runner.all(&steps, &mut proof, &mut console).await;
    let left = runner.clean_all().await;
    delete::must_be_empty(&left, &runner.ledger)?;
    if proof.nothing_is_left() {
        proof.write(&args.out)?;
    }
    let is_stopped = ended?;
    let shown = if args.json {
        print_json(&proof)
    } else {
        let files = [proof::FILE, super::page::FILE].map(|file| shown(args, file));
        console.result(true, &files.join(" and "))
    };
    // What the steps saw goes before a terminal that is gone.
    conclude(args, &proof, is_stopped)?;
    Ok(shown?)
}

/// The path of a file of the proof.
fn shown(args: &Args, file: &str) -> String {
    args.out.join(file).display().to_string()
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

/// The proof of the folder, to go on with.
fn of_folder(args: &Args, config: &SdkConfig, time: &Time) -> Result<Proof, CliError> {
    let proof = Proof::read(&args.out.join(proof::FILE))?;
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    if proof.region != region || proof.endpoint_url.as_deref() != config.endpoint_url() {
        let of = proof.endpoint_url.as_deref().unwrap_or("AWS");
        let problem =
            format!("--resume: the proof in the folder is of {of}, region {}. Give another --out", proof.region);
        return Err(CliError::Usage(problem));
    }
    if proof.pace != time.pace() {
        let (of, pace) = (proof.pace, time.pace());
        let problem = format!(
            "--resume: the proof in the folder has pace {of}, and this command {pace}. Give the same --pace, or \
             another --out"
        );
        return Err(CliError::Usage(problem));
    }
    Ok(proof)
}

/// Deletes what the run of the folder left in this account.
async fn nothing_must_be_left(
    args: &Args,
    account: &Account,
    clients: &Clients,
    time: &Arc<Time>,
) -> Result<(), CliError> {
    let Some(ledger) = Ledger::open(&args.out)? else { return Ok(()) };
    account.must_be(ledger.account())?;
    delete::must_be_empty(&delete::all(clients, time, &ledger, ledger.left()).await, &ledger)
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
                    // A closed terminal and a full disk stop the steps as a person does: what they created is deleted.
                    if show(console, &done).is_err() {
                        end = Some(Ok(true));
                    }
                    proof.take(done);
                    if let Err(error) = proof.write(&self.args.out) {
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
        let recorder = Recorder::new(&self.time).hiding(self.ledger.account().id.as_deref());
        let context = Context {
            step,
            clients: Clients::new(&self.config, &self.time, &recorder),
            time: self.time.clone(),
            ledger: self.ledger.clone(),
            creating: self.creating.clone(),
            allowed: Allowed {
                spend_reshards: self.args.spend_reshards,
                trail_bucket: self.args.with_trail.clone(),
                fis_role: self.args.with_fis.clone(),
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
            cost_usd: step.uses.usd(self.prices, self.streams),
            began,
            seconds: self.time.since(begin).as_secs_f64(),
            findings,
            measured: context.measured.into_inner(),
            answers,
            left: left.iter().map(|left| recorder.hidden(&delete::in_words(left))).collect(),
        }
    }

    /// Deletes what is left of all steps. A step that was stopped has not deleted its own.
    async fn clean_all(&self) -> Vec<(Resource, String)> {
        let left = self.ledger.left();
        if !left.is_empty() {
            print_note(&format!("deleting {}", many(left.len(), "resource")));
        }
        let clients = Clients::new(&self.config, &self.time, &Recorder::new(&self.time));
        delete::all(&clients, &self.time, &self.ledger, left).await
    }
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
