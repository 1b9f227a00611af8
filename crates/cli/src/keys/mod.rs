//! `unthrottle keys`: reads records, and shows what CloudWatch cannot: keys, seconds, sizes, and where to split.

pub(crate) mod aggregate;
mod heat;
mod html;
mod lives;
mod read;
mod remarks;
mod report;
mod sample;
mod split;
mod text;
mod weights;

use crate::CliError;
use crate::aws::{AwsArgs, clock};
use crate::consent::Consent;
use crate::files;
use crate::screen::{Console, print_json};
use crate::streams::find_stream;
use read::{Budget, From};
pub(super) use report::Report;
use std::path::PathBuf;
use std::time::Duration;
use unthrottle::aws::read::shards::{self, PastShard};
use unthrottle::aws::{Clients, ReadError};
use unthrottle_core::signal::StreamArn;
use unthrottle_core::words::many;

pub(super) const ABOUT: &str = "\
Read records of a stream: its top partition keys, its peaks, and where to split.

CloudWatch shows minutes and shards. This command reads records and shows
seconds, keys and sizes, also inside records that the KPL aggregated. It takes
throughput from the readers that share the shards: at most 10 % of it, unless
you give --share. The data of the records is not shown.

A reading of the past is a reader that is behind. CloudWatch shows its delay,
so unthrottle may wait up to a day before it restores capacity, and
unthrottle restore then needs --force.

--split names the split that halves the load of the fullest shard, and asks
whether to make it. With --yes it does not ask. Every consumer notices a split
as a reshard.";

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
        help = "Where to begin: now, or in the past, such as -10m. A reading of the past \
                ends at the present, and also reads the shards that a reshard closed since"
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
    /// Name the split that halves the load of the fullest shard, and ask whether to make it
    #[arg(long)]
    split: bool,
    #[command(flatten)]
    consent: Consent,
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
    if args.consent.is_given() && !args.split {
        return Err(CliError::Usage("--yes is for --split".into()));
    }
    args.html.as_deref().map_or(Ok(()), files::can_write)?;
    let config = args.aws.config().await?;
    let clients = Clients::new(&config);
    let arn = find_stream(&clients.kinesis, &args.stream).await?;
    if args.split {
        split::must_be_possible(&clients, &arn).await?;
    }
    let shards = listed(&clients, &arn, args.from).await.map_err(read_failed)?;
    if shards.is_empty() {
        let problem = format!("{} has no open shard. A new stream has some as soon as it is ACTIVE", arn.name);
        return Err(CliError::Partly(problem));
    }
    let chosen = choose(shards, &args.shard)?;
    let budget = Budget::new(f64::from(args.share) / 100.0, args.time, args.max_mb * 1_000_000, chosen.len());
    let mut console = Console::new(args.json);
    let seconds = args.time.as_secs();
    let (count, rounds) = (many(chosen.len(), "shard"), budget.rounds());
    let time = match rounds {
        1 => format!("for {seconds} s"),
        _ => format!("in {rounds} rounds of {seconds} s, {} s together", seconds.saturating_mul(rounds as u64)),
    };
    console.step(&format!("reads {count} of {} {time}, up to {} MB", arn.name, args.max_mb))?;
    if rounds > 1 {
        console.step(&format!("each round has up to {} shards, and their part of the MB", budget.at_once()))?;
    }
    console.step(&format!(
        "of each shard at most {} and {:.1} calls a second: {} % of all reads",
        text::size(budget.bytes_per_second() as u64),
        budget.calls_per_second(),
        args.share,
    ))?;
    say_what_is_closed(chosen.iter().filter(|past| past.is_closed).count(), &mut console)?;
    let mut samples = read::read(&read::client(&config), &arn, chosen, args.from, &budget).await;
    lives::settle(&mut samples);
    let report = Report::of(&arn, &samples, clock().now());
    let failed = report.shards.iter().filter_map(|shard| shard.error.as_ref());
    if let Some(why) = failed.clone().next().filter(|_| report.records == 0) {
        return Err(CliError::Partly(why.clone()));
    }
    if let Some(path) = &args.html {
        files::write(path, &html::page(&report).html()?)?;
    }
    if args.json {
        print_json(&report)?;
    } else {
        text::print(&mut console, &report)?;
    }
    match failed.count() {
        0 if args.split => split::offer(&clients, &arn, &report, args.consent, &mut console).await,
        0 => Ok(()),
        count => {
            let of = many(report.shards.len(), "shard");
            Err(CliError::Partly(format!("{count} of {of} could not be read to the end")))
        }
    }
}

/// The open shards, and for a reading of the past those that were closed since: these have the records from before.
async fn listed(clients: &Clients, arn: &StreamArn, from: From) -> Result<Vec<PastShard>, ReadError> {
    match from {
        From::Ago(ago) => shards::shards_since(&clients.kinesis, arn, clock().now() - ago).await,
        From::Now => {
            let open = shards::open_shards(&clients.kinesis, arn).await?;
            Ok(open.into_iter().map(|shard| PastShard { shard, is_closed: false }).collect())
        }
    }
}

/// Says how many of the shards are closed.
fn say_what_is_closed(closed: usize, console: &mut Console) -> std::io::Result<()> {
    match closed {
        0 => Ok(()),
        1 => console.step("1 of them is closed since, by a reshard: it has the records from before"),
        _ => {
            console.step(&format!("{closed} of them are closed since, by reshards: they have the records from before"))
        }
    }
}

/// The shards with these ids; without ids, all.
fn choose(all: Vec<PastShard>, ids: &[String]) -> Result<Vec<PastShard>, CliError> {
    if let Some(missing) = ids.iter().find(|id| all.iter().all(|past| past.shard.id != **id)) {
        let open = all.iter().filter(|past| !past.is_closed).take(3);
        let open: Vec<&str> = open.map(|past| past.shard.id.as_str()).collect();
        let problem = format!("the stream has no open shard `{missing}`. The first open ones: {}", open.join(", "));
        return Err(CliError::Usage(problem));
    }
    Ok(all.into_iter().filter(|past| ids.is_empty() || ids.contains(&past.shard.id)).collect())
}

/// The failure of a read that the Lambda makes, too.
fn read_failed(error: ReadError) -> CliError {
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
