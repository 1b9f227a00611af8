//! `unthrottle report`: a fleet's month, from tags, metrics and, where given, log lines. Changes nothing.

mod changes;
mod collect;
mod document;
mod html;
mod incidents;
mod logs;
mod markdown;
mod stream;

use crate::aws::{AwsArgs, clock};
use crate::screen::{print_document, print_json};
use crate::{CliError, config, files};
pub(super) use document::Report;

use chrono::{DurationRound as _, TimeDelta};
use std::path::PathBuf;
use unthrottle_core::words::{count, many};

pub(super) const ABOUT: &str = "\
Report what happened to the streams of an account: incidents and the time to
heal, what AWS refused before and after each change, what the changes cost and
saved, streams at their limit, and streams with more shards than they need.
Changes nothing.

The report is Markdown for a wiki or a pull request. Its tables are wider than
a terminal: --html writes them as a page, too.

The numbers come from CloudWatch in steps of five minutes, and from the memory
tags of the streams. The log of the function knows more: the cost of each
change, and what mode observe would have done. To add it:

  aws logs filter-log-events --log-group-name /aws/lambda/unthrottle \\
    --query 'events[].message' --output text > unthrottle.log
  unthrottle report --days 30 --log unthrottle.log > july.md";

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    #[arg(
        long,
        default_value_t = 30,
        value_name = "DAYS",
        value_parser = clap::value_parser!(i64).range(1..=63),
        help = "How far to go back. CloudWatch keeps five minutes for 63 days"
    )]
    days: i64,
    /// Only these streams, by name or ARN. Default: all of the account and region
    #[arg(value_name = "STREAM")]
    streams: Vec<String>,
    /// Files with log lines of the function
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    #[command(flatten)]
    aws: AwsArgs,
    /// Print the report as JSON instead of Markdown
    #[arg(long)]
    json: bool,
    /// Write the report as an HTML page, too
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    args.html.as_deref().map_or(Ok(()), files::can_write)?;
    let policy = config::policy()?;
    let logged = logs::read(&args.log)?;
    let config = args.aws.config().await?;
    let now = clock().now();
    let step = TimeDelta::minutes(document::STEP_MINUTES);
    // Whole steps: CloudWatch gives the sum of a step that has begun, too.
    let to = now.duration_trunc(step).unwrap_or(now);
    let span = collect::Span { from: to - TimeDelta::days(args.days), to };
    let report = collect::collect(&config, &args.streams, &policy, &logged, span).await?;
    if let Some(path) = &args.html {
        files::write(path, &html::page(&report).html()?)?;
    }
    if args.json {
        print_json(&report)?;
    } else {
        print_document(&markdown::text(&report))?;
    }
    match report.totals.unread {
        0 => Ok(()),
        unread => {
            let all = many(report.totals.streams, "stream");
            Err(CliError::Partly(format!("{} of {all} could not be read", count(unread as f64))))
        }
    }
}
