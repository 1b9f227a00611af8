//! `unthrottle sweep`: checks every stream of an account that needs a check.

use crate::CliError;
use crate::aws::{AwsArgs, called, clock, denied};
use crate::config;
use crate::consent::Consent;
use crate::help::whole;
use crate::screen::{Console, print_json};
use std::time::Duration;
use unthrottle::aws::{Clients, send_healed};
use unthrottle::handler::{Handler, Reply};
use unthrottle::sweep::{Plan, sweep};
use unthrottle_core::decision::{Decision, Outcome};
use unthrottle_core::policy::{Mode, Policy};
use unthrottle_core::report::{Denied, Document, Findings, SweepDocument};
use unthrottle_core::signal::{Home, StreamArn};
use unthrottle_core::words::many;

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    #[command(flatten)]
    aws: AwsArgs,
    /// Decide in full, and change nothing
    #[arg(long, alias = "dry-run", conflicts_with = "yes")]
    observe: bool,
    #[command(flatten)]
    consent: Consent,
    /// End within this number of seconds: no check begins that could end later
    #[arg(long, default_value_t = 900, value_name = "SECONDS", value_parser = whole)]
    within: u64,
    /// Print the summary with a decision document for each stream
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let policy = config::policy()?;
    let clients = Clients::new(&args.aws.config().await?);
    let mut console = Console::new(args.json);
    let Some(home) = home(&clients).await? else {
        const NONE: &str = "there is no stream in this account and region";
        console.heading(NONE)?;
        if args.json {
            print_json(&SweepDocument { sentence: NONE.into(), ..SweepDocument::new(Findings::default()) })?;
        }
        return Ok(());
    };
    console.heading(&format!(
        "account {}, region {}: finding the streams that need a check …",
        home.account, home.region
    ))?;
    let of_mode = |mode: Mode| Policy { mode: policy.mode.min(mode), ..policy.clone() };
    if args.observe || !args.consent.is_given() {
        // The person sees the answer here, so no message is sent.
        let silent = Policy { is_before_consent: true, topic_arn: None, ..policy.clone() };
        let asked = if args.observe { of_mode(Mode::Observe) } else { silent };
        let (seen, planned) = go(&clients, asked, &home, args.within, &mut console).await?;
        if args.observe || planned == 0 || policy.mode < Mode::Heal {
            return end(&seen, args.json);
        }
        args.consent.ask(&format!("This is the plan. Change {} now?", many(planned, "stream")))?;
    }
    let (swept, _) = go(&clients, of_mode(Mode::Heal), &home, args.within, &mut console).await?;
    end(&swept, args.json)
}

/// Sweeps once, and shows each decision. Returns how many streams a yes would change, too.
async fn go(
    clients: &Clients,
    policy: Policy,
    home: &Home,
    within: u64,
    console: &mut Console,
) -> Result<(SweepDocument, usize), CliError> {
    let handler = Handler::new(clients.clone(), policy).on(clock());
    let (mut lines, mut shown, mut planned) = (vec![], Ok(()), 0);
    let each = |reply: &Reply| {
        let Document { code, outcome, sentence, .. } = &reply.document;
        lines.extend(reply.lines.iter().cloned());
        planned += usize::from(is_changed_by_yes(&reply.decision));
        // A closed output does not stop the sweep.
        if shown.is_ok() {
            shown = console.step(&format!("{code} ({outcome}): {sentence}"));
        }
    };
    let deadline = clock().now() + Duration::from_secs(within);
    let mut swept = sweep(&handler, home, Plan::until(deadline), each).await?;
    // The words of the sweep are for the role of the function.
    for failure in &mut swept.failed {
        if let Some(Denied { action, why }) = &failure.denied {
            failure.error = denied(action, why);
        }
    }
    for line in &lines {
        let unsent = send_healed(&clients.cloudwatch, line).await;
        if let Some(error) = unsent.filter(|_| shown.is_ok()) {
            shown = console.step(&format!("CloudWatch did not accept a Healed metric: {error}"));
        }
    }
    shown?;
    for failure in &swept.failed {
        console.step(&format!("failed: {}: {}", failure.of, failure.error))?;
    }
    console.result(swept.failed.is_empty(), &swept.sentence)?;
    Ok((swept, planned))
}

/// Whether a yes makes this planned change. Where the tag of a stream is observe, it makes none.
fn is_changed_by_yes(decision: &Decision) -> bool {
    decision.outcome == Outcome::Planned && decision.is_before_consent && decision.allowed == Mode::Heal
}

fn end(swept: &SweepDocument, json: bool) -> Result<(), CliError> {
    if json {
        print_json(swept)?;
    }
    match swept.failed.len() {
        0 => Ok(()),
        failed => Err(CliError::Partly(format!("{failed} of what the sweep tried failed; the rest was done"))),
    }
}

/// The account and region of the credentials, from the ARN of any stream. `None`: there is no stream.
async fn home(clients: &Clients) -> Result<Option<Home>, CliError> {
    let streams = called("ListStreams", clients.kinesis.list_streams().limit(1).send().await)?;
    let arn = streams.stream_summaries().first().map(|stream| stream.stream_arn().to_owned());
    Ok(arn.and_then(|arn| StreamArn::parse(&arn)).map(|stream| stream.home))
}
