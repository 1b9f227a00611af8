//! `unthrottle keys`: reads records, and shows what CloudWatch cannot: keys, seconds, sizes, and where to split.

pub(crate) mod aggregate;
mod heat;
mod html;
mod read;
mod report;
mod sample;
mod text;

use crate::CliError;
use crate::aws::{AwsArgs, called};
use crate::files;
use crate::screen::{Console, print_json};
use crate::streams::find_stream;
use read::{Budget, From};
use report::Report;
use std::path::PathBuf;
use std::time::Duration;
use unthrottle::aws::Clients;
use unthrottle::aws::read::{shards, stream};
use unthrottle_core::observation::{CapacityMode, Shard};
use unthrottle_core::signal::StreamArn;

pub(super) const ABOUT: &str = "\
Read records of a stream: its top partition keys, its peaks, and where to split.

CloudWatch shows minutes and shards. This command reads records and shows
seconds, keys and sizes, also inside records that the KPL aggregated. It takes
throughput from the readers that share the shards: at most 10 % of it, unless
you give --share. The data of the records is not shown.

--split names the split that halves the load of the fullest shard. With --yes
the command also makes it, which every consumer notices as a reshard.";

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// The stream's name or ARN
    stream: String,
    #[arg(
        long,
        value_name = "TIME",
        default_value = "now",
        allow_hyphen_values = true,
        value_parser = from,
        help = "Where to begin: now, or in the past, such as -10m. A reading of the past\n\
                ends at the present"
    )]
    from: From,
    /// How long to read, such as 60s or 5m
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = duration)]
    time: Duration,
    /// The most to read, in MB
    #[arg(long, value_name = "MB", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=1024))]
    max_mb: u64,
    /// The share of the readers' throughput to take, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    share: u8,
    /// Read only these shards
    #[arg(long, value_name = "ID")]
    shard: Vec<String>,
    /// Name the split that halves the load of the fullest shard
    #[arg(long)]
    split: bool,
    /// Make this split
    #[arg(long, requires = "split")]
    yes: bool,
    #[command(flatten)]
    aws: AwsArgs,
    /// Print what the records say as JSON
    #[arg(long)]
    json: bool,
    /// Write a page, too: the load over time and over the hash keys
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let clients = Clients::new(&args.aws.config().await?);
    let arn = find_stream(&clients, &args.stream).await?;
    let all = shards::open_shards(&clients.kinesis, &arn).await.map_err(read_failed)?;
    let chosen = choose(all, &args.shard)?;
    let budget = Budget::new(f64::from(args.share) / 100.0, args.time, args.max_mb * 1_000_000);
    let mut console = Console::new(args.json);
    let count = if chosen.len() == 1 { "1 shard".to_owned() } else { format!("{} shards", chosen.len()) };
    console.step(&format!("reads {count} of {} for {} s, up to {} MB", arn.name, args.time.as_secs(), args.max_mb))?;
    console.step(&format!(
        "of each shard at most {} and {:.1} calls a second: {} % of what its readers share",
        text::size(budget.bytes_per_second() as u64),
        budget.calls_per_second(),
        args.share,
    ))?;
    let samples = read::read(&clients.kinesis, &arn, chosen, args.from, &budget).await?;
    let report = Report::of(&arn.name, &samples, budget.is_spent());
    if let Some(path) = &args.html {
        files::write(path, &html::page(&report).html()?)?;
    }
    if args.json {
        print_json(&report)?;
    } else {
        text::print(&mut console, &report)?;
    }
    if args.split { split(&clients, &arn, &report, args.yes, &mut console).await } else { Ok(()) }
}

/// The open shards with these ids; without ids, all.
fn choose(all: Vec<Shard>, ids: &[String]) -> Result<Vec<Shard>, CliError> {
    if let Some(missing) = ids.iter().find(|id| all.iter().all(|shard| shard.id != **id)) {
        let open: Vec<&str> = all.iter().take(3).map(|shard| shard.id.as_str()).collect();
        let problem = format!("the stream has no open shard `{missing}`. The first open ones: {}", open.join(", "));
        return Err(CliError::Usage(problem));
    }
    Ok(all.into_iter().filter(|shard| ids.is_empty() || ids.contains(&shard.id)).collect())
}

/// Names the split that halves the load of the fullest shard, and makes it if a person confirmed it.
async fn split(
    clients: &Clients,
    arn: &StreamArn,
    report: &Report,
    is_confirmed: bool,
    console: &mut Console,
) -> Result<(), CliError> {
    let summary = stream::summary(&clients.kinesis, arn).await.map_err(read_failed)?;
    if summary.is_some_and(|stream| stream.mode == CapacityMode::OnDemand) {
        return Err(CliError::Missing("AWS splits the shards of an on-demand stream; a person cannot".into()));
    }
    let hottest =
        report.hottest().ok_or_else(|| CliError::Missing("no record arrived, so no split is known".into()))?;
    let id = &hottest.shard;
    let key = hottest
        .top_keys
        .first()
        .map_or_else(String::new, |key| format!(" Its first key is `{}` with {:.0} %.", key.key, key.share * 100.0));
    let halving = hottest.split.as_ref().filter(|split| split.is_worth_it());
    let Some(halving) = halving else {
        return Err(CliError::Missing(format!("no split of {id} halves its load.{key}")));
    };
    let at = &halving.new_starting_hash_key;
    console.step(&format!("split {id}: the fuller half gets {:.0} % of its load", halving.fuller_share * 100.0))?;
    if !is_confirmed {
        console.step(&format!(
            "aws kinesis split-shard --stream-name {} --shard-to-split {id} --new-starting-hash-key {at}",
            arn.name
        ))?;
        return Ok(console.step("or give --yes: this command then makes the split")?);
    }
    let call = clients.kinesis_once.split_shard().stream_arn(arn.to_string()).shard_to_split(id);
    called("SplitShard", call.new_starting_hash_key(at).send().await)?;
    Ok(console.result(true, &format!("split {id} at {at}"))?)
}

fn read_failed(error: unthrottle::aws::ReadError) -> CliError {
    CliError::Aws { call: error.call, source: error.source }
}

/// Where to begin: `now`, or `-10m`.
fn from(text: &str) -> Result<From, String> {
    match text.strip_prefix('-') {
        _ if text == "now" => Ok(From::Now),
        Some(ago) => Ok(From::Ago(duration(ago)?)),
        None => Err("must be now, or a time ago such as -10m".into()),
    }
}

/// A time such as `60s`, `10m` or `1h`, of at least a second and at most a day.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("m", 60), ("h", 3_600)];
    let seconds =
        units.iter().find_map(|(unit, seconds)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*seconds));
    match seconds {
        Some(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err("must be a time from 1s to 24h, such as 60s, 10m or 1h".into()),
    }
}
