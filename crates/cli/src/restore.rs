//! `unthrottle restore`.

use super::CliError;
use super::aws::AwsArgs;
use super::explain::ask;
use unthrottle_core::decision::Outcome;
use unthrottle_core::policy::Mode;
use unthrottle_core::signal::{Ask, Undo};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The stream's name or ARN
    stream: String,
    /// To so many shards, instead of those that it had before
    #[arg(long, value_name = "SHARDS", value_parser = clap::value_parser!(u32).range(1..))]
    to: Option<u32>,
    /// Do it; without this it is only said what would be done
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    aws: AwsArgs,
    /// Print the decision document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let mode = Some(if args.yes { Mode::Heal } else { Mode::Observe });
    let of_stream = |stream| Ask { stream, mode, message: None, undo: Some(Undo { to: args.to }) };
    let document = ask(&args.aws, &args.stream, of_stream, args.json).await?;
    match document.outcome {
        Outcome::Acted => Ok(()),
        Outcome::Planned if !args.yes => Ok(()),
        Outcome::Planned => Err(CliError::Partly("not taken back: its mode, or yours, is observe".into())),
        _ => Err(CliError::Partly(format!("not taken back ({})", document.code))),
    }
}
