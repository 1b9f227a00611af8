//! `unthrottle doctor`: finds what is wrong with a stream, its producers and its consumers. Changes nothing.

mod clients;
mod html;
mod pace;
mod policy;
mod read;
mod report;
mod round;
mod sarif;
mod selection;
mod table;
mod text;

use crate::CliError;
use crate::aws::AwsArgs;
use crate::config;
use crate::files;
use crate::screen::{Console, print_json};
use crate::streams;
use clients::Clients;
use read::{Asked, find_table};
pub(super) use report::Report;
use selection::Selection;
use std::path::PathBuf;
use unthrottle_core::checks::Status;
use unthrottle_core::words::many;

pub(super) const ABOUT: &str = "\
Find what is wrong with a stream, its producers and its consumers.

The doctor reads the stream, 14 days of its metrics by the hour and 3 hours by
the minute, its consumers, its key and the alarms. Where fewer shards may do, it
also reads 14 days by the minute. It changes nothing. Each check is a line: ok,
warn, fail or unknown, with the numbers, the command that mends it, and the
source. docs/doctor.md lists the checks.

--sample, --role and --kcl read more, for the checks aggregation, kms-rights
and kcl.

A read that AWS denies makes a check unknown, and the line names the IAM
action. The tag unthrottle.doctor-skip on a stream leaves checks out, such as
\"encryption batch\".";

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// The streams' names or ARNs
    #[arg(value_name = "STREAM")]
    streams: Vec<String>,
    /// All streams of the account and region
    #[arg(long, conflicts_with = "streams")]
    all: bool,
    #[command(flatten)]
    selection: selection::Choice,
    #[command(flatten)]
    asked: Asked,
    #[arg(
        long,
        value_name = "STATUS",
        value_enum,
        help = "Exit with code 3 if a check warns or fails (warn), or only if one fails \
                (fail). A check that is unknown does not count"
    )]
    fail_on: Option<FailOn>,
    /// Print the IAM policy that the doctor needs, and stop
    #[arg(long, conflicts_with_all = ["streams", "all"])]
    policy: bool,
    #[command(flatten)]
    aws: AwsArgs,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// Print the findings as SARIF 2.1.0, for tools that collect findings
    #[arg(long, conflicts_with = "json")]
    sarif: bool,
    /// Write the findings as an HTML page, too
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FailOn {
    Warn,
    Fail,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    if args.policy {
        return Ok(policy::print()?);
    }
    if args.streams.is_empty() && !args.all {
        return Err(CliError::Usage("name a stream, or give --all for all streams of the account and region".into()));
    }
    args.html.as_deref().map_or(Ok(()), files::can_write)?;
    let selection = Selection::of(&args.selection, &args.asked)?;
    let prices = config::policy()?.prices;
    let clients = Clients::new(&args.aws.config().await?);
    let streams = match args.all {
        true => streams::all(&clients.kinesis).await?,
        false => streams::named(&clients.kinesis, &args.streams).await?,
    };
    if let Some(table) = &args.asked.kcl {
        if let [_, other, ..] = streams.as_slice() {
            let problem = format!("--kcl is the table of one stream, and {} is a second one", other.name);
            return Err(CliError::Usage(problem));
        }
        find_table(&clients.dynamodb, table).await?;
    }
    let report = round::make(&clients, &streams, args.all, &args.asked, &selection, &prices).await;
    if let Some(path) = &args.html {
        files::write(path, &html::page(&report).html()?)?;
    }
    if args.json {
        print_json(&report)?;
    } else if args.sarif {
        print_json(&sarif::log(&report))?;
    } else if args.all {
        table::print(&mut Console::new(false), &report)?;
    } else {
        text::print(&mut Console::new(false), &report)?;
    }
    outcome(&report, args.fail_on)
}

/// The exit code, with its reason.
fn outcome(report: &Report, fail_on: Option<FailOn>) -> Result<(), CliError> {
    let unread = report.streams.iter().filter(|page| page.error.is_some()).count();
    if unread > 0 {
        let of = many(report.streams.len(), "stream");
        return Err(CliError::Partly(format!("{unread} of {of} could not be read")));
    }
    let limit = match fail_on {
        None => return Ok(()),
        Some(FailOn::Warn) => Status::Warn,
        Some(FailOn::Fail) => Status::Fail,
    };
    let findings = report.streams.iter().flat_map(|page| &page.findings);
    match findings.filter(|finding| finding.status >= limit).count() {
        0 => Ok(()),
        1 => Err(CliError::Found(format!("--fail-on {limit}: 1 check is at least {limit}"))),
        count => Err(CliError::Found(format!("--fail-on {limit}: {count} checks are at least {limit}"))),
    }
}
