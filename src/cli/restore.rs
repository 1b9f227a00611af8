//! `unthrottle restore`.

use super::CliError;
use super::aws::{AwsArgs, find_stream};
use super::explain::{print, print_json};
use crate::clients::Clients;
use crate::heal::Healer;
use crate::policy::Mode;
use crate::report::Outcome;
use crate::settings;
use crate::signal::{Ask, Signal, Undo};

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
    let mut policy = settings::read()?;
    policy.topic_arn = None;
    let clients = Clients::new(&args.aws.config().await?);
    let stream = find_stream(&clients, &args.stream).await?;
    let home = stream.home.clone();
    let mode = Some(if args.yes { Mode::Heal } else { Mode::Observe });
    let signal = Signal::Ask(Ask { stream, mode, message: None, undo: Some(Undo { to: args.to }) });
    let document = Healer::new(clients, policy).heal(&signal, &home).await?.document;
    if args.json { print_json(&document) } else { print(&document) }?;
    match document.outcome {
        Outcome::Acted => Ok(()),
        Outcome::Planned if !args.yes => Ok(()),
        Outcome::Planned => Err(CliError::Partly("not taken back: its mode, or yours, is observe".into())),
        _ => Err(CliError::Partly(format!("not taken back ({})", document.code))),
    }
}
