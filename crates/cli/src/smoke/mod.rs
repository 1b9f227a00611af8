//! `unthrottle smoke`: offers a load to a stream, and shows how it heals.

mod args;
mod behind;
mod expect;
mod guard;
mod healing;
mod offer;
mod proof;
mod result;
mod view;
mod watching;

pub(super) use args::Args;

use crate::CliError;
use crate::aws::clock;
use crate::put::{OfFile, find};
use crate::screen::{Console, StatusLine, print_note};
use crate::stop::stop_signal;
use crate::streams::open_shards;
use aws_sdk_kinesis::types::{StreamDescriptionSummary, StreamMode};
use healing::Healing;
use proof::{Proof, Witness};
#[cfg(feature = "schema")]
pub(super) use result::Smoked;
use std::time::Duration;
use unthrottle_core::signal::StreamArn;
use unthrottle_core::words::{count, many};
use unthrottle_lab::rules::{WRITE_BYTES_A_SECOND, WRITE_RECORDS_A_SECOND};
use unthrottle_writer::Stats;
use unthrottle_writer::load::{Offered, Profile};

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let wanted = args.wanted()?;
    let stream = find(&args.stream, &args.aws, None, &OfFile::default()).await?;
    let Some(summary) = &stream.summary else {
        return Err(CliError::Missing(
            "this caller may not call kinesis:DescribeStreamSummary. smoke needs it for the capacity and the cost, and \
             to see how the stream heals. Nothing was written"
                .into(),
        ));
    };
    let record_bytes = wanted.data_bytes + args.keys.bytes() as f64;
    let capacity = capacity(summary, record_bytes);
    let profile = wanted.profile(record_bytes, capacity)?;
    let time = guard::bounded_time(&args, &profile)?;
    let usd = guard::bounded_cost(&args, summary, (&profile, &wanted.sizes), time)?;
    let most = wanted.sizes.most();
    if most + args.keys.bytes() > stream.record_bytes {
        return Err(CliError::Usage(format!(
            "a record of {most} bytes and its key are larger than the stream takes ({} bytes): give another --size",
            stream.record_bytes
        )));
    }
    let mean = if wanted.sizes.is_constant() { "" } else { " on average" };
    let each = format!("of {} bytes{mean}", count(record_bytes));
    announce(&args, summary, &profile, (&each, capacity), (time, usd))?;
    if args.dry_run {
        return Ok(());
    }
    let arn = summary.stream_arn();
    guard::owner_allows(&args, &stream, arn).await?;
    let witness = if args.until_healed { Some(witness(&args, arn).await?) } else { None };
    let healing = Healing::new(summary);
    let offered = Offered::default();
    let shard_takes = of_shard(record_bytes);
    let load = (profile, wanted.sizes, time);
    let (end, is_asked) = offer::offer(&args, &stream, load, (&healing, arn), &offered, shard_takes).await?;
    healing.read_memory(&stream.client, arn, false).await;
    let proof = match witness {
        // A person who stopped the load does not want to wait for minutes.
        Some(_) if is_asked => {
            print_note("CloudWatch is not compared, as the load was stopped");
            None
        }
        Some(witness) => proved(&witness, &end.stats).await,
        None => None,
    };
    result::conclude(&args, (&end, is_asked), &healing.seen(), &offered, proof)
}

/// CloudWatch as a second count of the load.
async fn witness(args: &Args, arn: &str) -> Result<Witness, CliError> {
    let cloudwatch = aws_sdk_cloudwatch::Client::new(&args.aws.config().await?);
    let stream = StreamArn::parse(arn).map_or_else(|| args.stream.clone(), |arn| arn.name);
    let clock = clock();
    let since = clock.now();
    Ok(Witness { cloudwatch, clock, stream, since })
}

/// Waits for CloudWatch's count, unless a person stops the wait.
async fn proved(witness: &Witness, stats: &Stats) -> Option<Proof> {
    let mut line = StatusLine::new();
    let proof = tokio::select! {
        proof = witness.wait_for(stats, &mut line) => Some(proof),
        () = stop_signal() => None,
    };
    line.clear();
    let Some(proof) = proof else {
        print_note("CloudWatch is not compared, as the wait for it was stopped");
        return None;
    };
    proof.inspect_err(|error| print_note(&format!("CloudWatch cannot be compared: {error}"))).ok()
}

/// The records of this size that a provisioned stream takes in a second, if its keys are even.
fn capacity(summary: &StreamDescriptionSummary, record_bytes: f64) -> Option<f64> {
    let mode = summary.stream_mode_details().map(|details| details.stream_mode());
    (mode != Some(&StreamMode::OnDemand)).then(|| f64::from(open_shards(summary)) * of_shard(record_bytes))
}

/// The records of this size that a shard takes in a second.
fn of_shard(record_bytes: f64) -> f64 {
    (WRITE_RECORDS_A_SECOND as f64).min(WRITE_BYTES_A_SECOND as f64 / record_bytes)
}

/// Says what comes, and what it costs. `each`: the size of the records.
fn announce(
    args: &Args,
    summary: &StreamDescriptionSummary,
    profile: &Profile,
    (each, capacity): (&str, Option<f64>),
    (time, usd): (Duration, f64),
) -> Result<(), CliError> {
    let mut console = Console::new(args.json);
    let shards = many(open_shards(summary), "shard");
    let takes = match capacity {
        Some(capacity) => format!("takes {} records/s", count(capacity)),
        None => "on-demand, records".into(),
    };
    console.heading(&format!("{}: {shards}, {takes} {each} with even keys", args.stream))?;
    let last = if args.until_healed { ", then the last rate until it has healed" } else { "" };
    console.step(&format!(
        "offers {} in {} s, at most {}/s{last}",
        many(profile.records(), "record"),
        profile.duration().as_secs(),
        count(profile.peak())
    ))?;
    let usd = guard::dollars(usd);
    console.step(&format!("at most {} and {usd} at list prices; added capacity costs extra", guard::length(time)))?;
    Ok(())
}
