//! `unthrottle restore`: undoes the last change of a stream.

use crate::CliError;
use crate::aws::AwsArgs;
use crate::consent::Consent;
use crate::explain::{ask, show};
use crate::screen::Console;
use unthrottle_core::decision::Outcome;
use unthrottle_core::policy::Mode;
use unthrottle_core::report::Document;
use unthrottle_core::signal::{Ask, Undo};

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// The stream's name or ARN
    stream: String,
    /// The number of shards afterwards; default: the number before
    /// unthrottle's first change of the incident
    #[arg(long, value_name = "SHARDS", value_parser = clap::value_parser!(u32).range(1..))]
    to: Option<u32>,
    /// Say what would be done, and change nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
    #[arg(
        long,
        help = "Undo it whatever the peak load, the backlog of readers and a plan, which it \
                ends; still never while the stream is throttled, below half, or below \
                your minimum"
    )]
    force: bool,
    #[command(flatten)]
    aws: AwsArgs,
    /// Print the decision document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    if !args.consent.is_given() {
        let planned = decide(&args, Mode::Observe).await?;
        if args.dry_run || planned.outcome != Outcome::Planned {
            show(&planned, args.json)?;
            return end(&planned, true);
        }
        match args.json {
            true => Console::new(true).heading(&planned.sentence)?,
            false => show(&planned, false)?,
        }
        args.consent.ask("Undo this change now?")?;
    }
    let done = decide(&args, Mode::Heal).await?;
    show(&done, args.json)?;
    end(&done, false)
}

async fn decide(args: &Args, mode: Mode) -> Result<Document, CliError> {
    let undo = Undo { to: args.to, force: args.force };
    let of_stream =
        |stream| Ask { stream, mode: Some(mode), message: None, undo: Some(undo), plan: None, plan_from: None };
    ask(&args.aws, &args.stream, of_stream).await
}

fn end(document: &Document, is_dry_run: bool) -> Result<(), CliError> {
    match document.outcome {
        Outcome::Acted => Ok(()),
        Outcome::Planned if is_dry_run => Ok(()),
        Outcome::Planned => {
            Err(CliError::Partly("not restored: the mode of the settings or of the stream is observe".into()))
        }
        _ => Err(CliError::Partly(format!("not restored ({})", document.code))),
    }
}
