//! `unthrottle restore`: undoes the last change of a stream.

use crate::CliError;
use crate::aws::AwsArgs;
use crate::explain::ask;
use unthrottle_core::decision::Outcome;
use unthrottle_core::policy::Mode;
use unthrottle_core::signal::{Ask, Undo};

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// The stream's name or ARN
    stream: String,
    /// The number of shards afterwards; default: the number before the change
    #[arg(long, value_name = "SHARDS", value_parser = clap::value_parser!(u32).range(1..))]
    to: Option<u32>,
    /// Undo the change; without this option, only say what would be done
    #[arg(long)]
    yes: bool,
    #[arg(
        long,
        help = "Undo it whatever the peak load and the backlog of readers; still never\n\
                while the stream is throttled, below half, or below your minimum"
    )]
    force: bool,
    #[command(flatten)]
    aws: AwsArgs,
    /// Print the decision document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let mode = Some(if args.yes { Mode::Heal } else { Mode::Observe });
    let undo = Undo { to: args.to, force: args.force };
    let of_stream = |stream| Ask { stream, mode, message: None, undo: Some(undo), plan: None };
    let document = ask(&args.aws, &args.stream, of_stream, args.json).await?;
    match document.outcome {
        Outcome::Acted => Ok(()),
        Outcome::Planned if !args.yes => Ok(()),
        Outcome::Planned => {
            Err(CliError::Partly("not restored: the mode of the settings or of the stream is observe".into()))
        }
        _ => Err(CliError::Partly(format!("not restored ({})", document.code))),
    }
}
