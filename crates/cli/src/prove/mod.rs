//! `unthrottle prove`: tries on a sandbox account what unthrottle assumes of AWS, and cleans up.
//!
//! - here: the arguments, the choice of steps, and the budget.
//! - `run`: the steps, one after another or a few at once, and the end.
//! - `steps`: a step in each file. `step` says what a step is, `context` what it works with. `flood` offers load,
//!   and `events` receives events.
//! - `account`: whose account it is. A ledger of another one is refused.
//! - `ledger`: the resources, on disk before they exist. `delete` is the one place that deletes them. `clean` is
//!   --clean, which also finds those that a lost ledger had.
//! - `cost`: what the steps cost at most, and what the user accepts.
//! - `clients`, `record` and `redact`: the calls, and their answers without ids. `trouble` has their failures.
//! - `again`: the one place that asks again, where AWS refused the rate of calls.
//! - `proof` and `page`: what was seen, as JSON and as Markdown.

mod account;
mod again;
mod clean;
mod clients;
mod context;
mod cost;
mod delete;
mod events;
mod flood;
mod ledger;
mod page;
mod proof;
mod record;
mod redact;
mod run;
mod step;
mod steps;
mod time;
mod trouble;

pub(crate) use proof::{Lag, Proof, Reshard};

use crate::CliError;
use crate::aws::AwsArgs;
use crate::config;
use crate::help::amount;
use crate::screen::{Console, print_json};
use serde_json::json;
use std::path::PathBuf;
use step::Step;
use unthrottle_core::cost::Prices;

pub(super) const ABOUT: &str = "\
Try on a sandbox account what unthrottle assumes of AWS. docs/limits.md lists
these facts, with the step that settles each.

Each step creates streams of its own, and deletes them. A deployed unthrottle
leaves all but that of `stack` alone. A step ends in seen, different,
not_available or failed. The folder of --out gets proof.json and proof.md, with
AWS's answers but without ids of accounts and callers. A call that AWS refuses
for the rate of calls is tried again for a minute. Then its fact is failed, and
--resume asks again.

Before a resource is created, its name is in the ledger of the folder. After a
kill, --clean deletes what the ledger names. --dry-run lists the steps, their
times and costs, and calls nothing.

Exit codes: 0 all was seen, or is not available; 1 a step failed, or a
resource is left; 2 bad usage; 3 AWS did something else than expected.";

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// Take only these steps, with commas between them
    #[arg(long, value_name = "STEPS", value_delimiter = ',')]
    only: Vec<String>,
    /// Leave out these steps, with commas between them
    #[arg(long, value_name = "STEPS", value_delimiter = ',')]
    skip: Vec<String>,
    #[arg(
        long,
        value_name = "USD",
        value_parser = amount,
        help = "The most that you accept to pay. Needed, and compared with the list prices \
                of the chosen steps before anything is created. The alarm on all streams \
                costs more in an account with many streams. --with-trail has no bound there"
    )]
    i_know_this_costs_up_to: Option<f64>,
    /// List the steps, their times and their costs. Calls nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on with the proof in the folder: leave out the steps that were seen or different
    #[arg(long, conflicts_with = "clean")]
    resume: bool,
    #[arg(
        long,
        conflicts_with_all = ["only", "skip", "dry_run", "i_know_this_costs_up_to"],
        help = "Run no step. Delete what an earlier run in the folder left"
    )]
    clean: bool,
    #[arg(
        long,
        requires = "clean",
        help = "Without a ledger: delete what all runs of prove left in the account and \
                region, also those that run now"
    )]
    all_runs: bool,
    /// The folder of ledger, proof and page
    #[arg(long, value_name = "FOLDER", default_value = "unthrottle-prove")]
    out: PathBuf,
    /// Also make eleven reshards of one stream, which takes about six minutes
    #[arg(long)]
    spend_reshards: bool,
    #[arg(
        long,
        value_name = "BUCKET",
        help = "Also create a trail of CloudTrail for writes. The bucket is yours, its policy \
                lets CloudTrail write, and the files of the trail stay in it. The trail \
                records the writes to all streams of the account, at $0.10 for 100,000"
    )]
    with_trail: Option<String>,
    #[arg(
        long,
        value_name = "FUNCTION",
        help = "Also throttle a stream for the deployed function of this name, and ask it \
                for a sweep. It may then change other streams of the account, too"
    )]
    with_stack: Option<String>,
    #[arg(
        long,
        value_name = "ROLE-ARN",
        help = "Also let AWS FIS refuse the writes to a stream of its own. FIS takes on this \
                role, which needs kinesis:InjectApiError"
    )]
    with_fis: Option<String>,
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        value_parser = clap::value_parser!(u16).range(1..=20),
        help = "Run at most N steps at once"
    )]
    at_once: u16,
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=3600),
        help = "Wait N times shorter. Without it: as many times as the clock of a local \
                account is faster. AWS has no faster clock, so it is refused there"
    )]
    pace: Option<u32>,
    #[command(flatten)]
    aws: AwsArgs,
    /// Print the proof as JSON, or with --clean what was deleted
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    if args.clean {
        return clean::run(&args).await;
    }
    let steps = chosen(&args.only, &args.skip)?;
    let prices = config::policy()?.prices;
    // Before the account is known. The count of its streams comes later.
    let usd = cost::of(&steps, &prices, 0);
    if args.dry_run {
        return Ok(list(&args, &steps, &prices, usd)?);
    }
    cost::accept(args.i_know_this_costs_up_to, usd, "")?;
    run::steps(&args, &steps, &prices).await
}

/// The steps that the user wants.
fn chosen(only: &[String], skip: &[String]) -> Result<Vec<&'static Step>, CliError> {
    let names = || steps::ALL.iter().map(|step| step.name).collect::<Vec<_>>().join(", ");
    if let Some(name) = only.iter().chain(skip).find(|name| steps::ALL.iter().all(|step| step.name != **name)) {
        return Err(CliError::Usage(format!("no step is called `{name}`. The steps: {}", names())));
    }
    let has = |list: &[String], step: &Step| list.iter().any(|name| name == step.name);
    let is_wanted = |step: &&&Step| (only.is_empty() || has(only, step)) && !has(skip, step);
    let steps: Vec<&Step> = steps::ALL.iter().filter(is_wanted).copied().collect();
    if steps.is_empty() {
        return Err(CliError::Usage(format!("--skip leaves out every step of --only. The steps: {}", names())));
    }
    Ok(steps)
}

/// Shows the steps.
fn list(args: &Args, steps: &[&'static Step], prices: &Prices, usd: f64) -> std::io::Result<()> {
    if args.json {
        let fact = |fact: &step::Fact| json!({"id": fact.id, "expected": fact.expected, "source": fact.source});
        let step = |step: &&Step| {
            json!({
                "step": step.name,
                "about": step.about,
                "minutes": step.minutes,
                "cost_usd": step.uses.usd(prices, 0),
                "flag": step.flag,
                "facts": step.facts.iter().map(fact).collect::<Vec<_>>(),
            })
        };
        let minutes = run::minutes(steps, args.at_once);
        let steps: Vec<_> = steps.iter().map(step).collect();
        return print_json(&json!({"steps": steps, "cost_usd": usd, "minutes": minutes}));
    }
    let mut console = Console::new(false);
    for step in steps {
        let flag = step.flag.map(|flag| format!(", needs {flag}")).unwrap_or_default();
        let cost = cost::cents(step.uses.usd(prices, 0));
        console.heading(&format!("{}: at most {} min, ${cost:.2}{flag}", step.name, step.minutes))?;
        console.step(step.about)?;
        for fact in step.facts {
            console.step(&format!("- {}: {} Source: {}", fact.id, fact.expected, fact.source))?;
        }
    }
    let minutes = run::minutes(steps, args.at_once);
    let usd = cost::cents(usd);
    console.heading(&format!("All: at most about {minutes} min with {} at once, ${usd:.2}", args.at_once))
}
