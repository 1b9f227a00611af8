//! `unthrottle backtest`: estimates what unthrottle and others would have done for a stream in the past.

mod cache;
pub(crate) mod export;
pub(crate) mod file;
mod past;
mod period;
mod report;
mod result;
mod simulate;
mod text;

use crate::aws::{AwsArgs, clock};
use crate::changes::{ShardsOverTime, counted, last, memory};
use crate::screen::{Console, print_json};
use crate::streams::find_stream;
use crate::{CliError, config, files};
pub(crate) use file::read as read_history;
pub(crate) use period::minutes as row_minutes;
pub(crate) use text::{cents, tenths};

use cache::Cache;
use period::Period;
#[cfg(feature = "schema")]
pub(super) use report::Document;
use report::From;
use simulate::simulate;
use std::path::{Path, PathBuf};
use unthrottle::aws::Clients;
use unthrottle::aws::read::stream::{summary, tags};
use unthrottle_core::memory::Memory;
use unthrottle_core::observation::CapacityMode;
use unthrottle_core::policy::{MODE_TAG, Policy};
use unthrottle_core::signal::StreamArn;
use unthrottle_core::words::many;
use unthrottle_lab::sim::backtest::{Backtested, Before, History};

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// The stream's name or ARN
    stream: Option<String>,
    #[arg(
        long,
        default_value_t = 14,
        value_name = "DAYS",
        value_parser = clap::builder::RangedI64ValueParser::<u64>::new().range(1..=14),
        help = "Whole days before today (UTC), and today up to now. CloudWatch keeps \
                minutes for 15 days"
    )]
    days: u64,
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["stream", "days", "endpoint_url", "profile", "region"],
        help = "Read the past from a file, or from standard input for `-`. A row has the \
                sums of a minute, or of the minutes of --period. The columns: \
                timestamp,incoming_bytes,incoming_records,write_throttled"
    )]
    csv: Option<PathBuf>,
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        conflicts_with_all = ["stream", "csv", "days", "endpoint_url", "profile", "region"],
        help = "Read the past from exports of CloudWatch: the console's CSV, or the JSON \
                of `aws cloudwatch get-metric-data` or get-metric-statistics. Together \
                they have the Sum of IncomingBytes, IncomingRecords and \
                WriteProvisionedThroughputExceeded. Times without a zone are UTC"
    )]
    export: Vec<PathBuf>,
    #[arg(
        long,
        value_name = "MINUTES",
        conflicts_with_all = ["stream", "days"],
        value_parser = period::minutes,
        help = "The minutes that each row of the file counts. Default: as far apart as \
                the rows are"
    )]
    period: Option<u32>,
    #[arg(
        long,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=10_000),
        help = "The shards of the stream in the past. Default: those that the memory tag \
                and the metric AutoFix show over time, otherwise those of today. For a \
                file: the fewest shards that could accept its records"
    )]
    shards: Option<u32>,
    #[arg(
        long,
        value_name = "FOLDER",
        conflicts_with_all = ["csv", "export"],
        help = "Keep days of CloudWatch in this folder. Default: the cache folder of \
                the user; with --endpoint-url nothing is kept"
    )]
    cache: Option<PathBuf>,
    #[command(flatten)]
    aws: AwsArgs,
    /// Show all columns on any screen
    #[arg(long)]
    wide: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Also write a page with the timelines
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

/// A past, the stream before it, and the policy.
struct Case {
    name: String,
    history: History,
    before: Before,
    from: From,
    /// What unthrottle changed meanwhile. Empty: the past is from a file, or `--shards` says how many there were.
    over_time: ShardsOverTime,
    /// `None`: the past is not from a file.
    period: Option<Period>,
    policy: Policy,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let policy = config::policy()?;
    args.report.as_deref().map_or(Ok(()), files::can_write)?;
    let case = match (&args.csv, &args.stream) {
        (Some(path), _) => of_file(&files::name(path), file::read(path, args.period)?, &args, policy),
        (None, None) if !args.export.is_empty() => {
            of_file(&files::name(&args.export[0]), export::read(&args.export, args.period)?, &args, policy)
        }
        (None, Some(stream)) => of_stream(&args, stream, policy).await?,
        (None, None) => return Err(CliError::Usage("give a stream, --csv FILE or --export FILE".into())),
    };
    if case.history.known() == 0 {
        return Err(CliError::Missing(format!("CloudWatch has no traffic of `{}` in these days", case.name)));
    }
    let report = simulate(case)?;
    if let Some(path) = &args.report {
        files::write(path, &report.page().html()?)?;
    }
    if args.json {
        return Ok(print_json(&report.document())?);
    }
    Ok(report.print(&mut Console::new(false), args.wide)?)
}

fn of_file(name: &Path, past: file::FilePast, args: &Args, policy: Policy) -> Case {
    let file::FilePast { history, period, .. } = past;
    let from = if args.shards.is_some() { From::Given } else { From::Fewest };
    let shards = args.shards.unwrap_or_else(|| history.fewest_shards());
    let before = Before { shards, mode: CapacityMode::Provisioned };
    Case {
        name: files::name(name).display().to_string(),
        history,
        before,
        from,
        over_time: ShardsOverTime::default(),
        period: Some(period),
        policy,
    }
}

async fn of_stream(args: &Args, text: &str, policy: Policy) -> Result<Case, CliError> {
    let config = args.aws.config().await?;
    let clients = Clients::new(&config);
    let stream = find_stream(&clients.kinesis, text).await?;
    let now = summary(&clients.kinesis, &stream).await.map_err(unthrottle::Error::from)?;
    let now = now.ok_or_else(|| CliError::Missing(format!("there is no stream `{}`", stream.name)))?;
    let policy = of_tags(&clients, &stream, policy).await?;
    // An emulator can have the same account number. Its past must not mix with that of the account.
    let cache = match (&args.cache, config.endpoint_url()) {
        (None, Some(_)) => Cache::none(&stream),
        (folder, _) => Cache::of(&stream, folder.as_deref())?,
    };
    // Not the client of the Lambda: its time limits are for short reads.
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&config);
    let past = past::read(&cloudwatch, &stream, args.days, &cache, clock().now()).await?;
    if past.kept > 0 {
        let (days, were) = (many(args.days, "day"), if args.days == 1 { "was" } else { "were" });
        eprintln!("unthrottle: {} of {days} {were} kept from before", past.kept);
    }
    let over_time = match args.shards {
        Some(_) => ShardsOverTime::default(),
        None => {
            // A tag that cannot be read shows no change, and the report says that none is known.
            let memory = memory(&clients, &stream).await?.unwrap_or_default();
            // A stream without a memory has no change of unthrottle, so CloudWatch is not asked for any.
            let days = args.days as i64 + 1;
            let counted = match memory == Memory::default() {
                true => vec![],
                false => counted(&cloudwatch, &stream.name, last(days), 60).await?,
            };
            ShardsOverTime::of(&memory, &counted, now.open_shards, 1)
        }
    };
    let from = match (args.shards, over_time.changes.is_empty()) {
        (Some(_), _) => From::Given,
        (None, true) => From::Now,
        (None, false) => From::Changes,
    };
    let first = over_time.changes.first().map_or(now.open_shards, |step| step.from);
    let before = Before { shards: args.shards.unwrap_or(first), mode: now.mode };
    let changes = over_time.changes.iter().map(|step| (step.minute, step.to)).collect();
    let history = past.history.with_changes(changes);
    Ok(Case { name: stream.name, history, before, from, over_time, period: None, policy })
}

/// The settings, narrowed by the tags of the stream. The tag for the mode does not count: the question is what
/// unthrottle would have done.
async fn of_tags(clients: &Clients, stream: &StreamArn, policy: Policy) -> Result<Policy, CliError> {
    let mut tags = tags(&clients.kinesis, stream).await.map_err(unthrottle::Error::from)?;
    tags.remove(MODE_TAG);
    let own = Backtested::allowed(&policy).for_stream(&tags, None);
    let own = own.map_err(|tag| CliError::Usage(format!("a tag of `{}`: {tag}", stream.name)))?;
    Ok(match own {
        Some(own) => {
            Policy { max_shards: own.max_shards, min_shards: own.min_shards, on_demand: own.on_demand, ..policy }
        }
        None => policy,
    })
}
