//! The split that halves the load of the fullest shard.

use super::read_failed;
use super::report::Report;
use crate::CliError;
use crate::aws::called;
use crate::consent::Consent;
use crate::screen::{Console, visible};
use unthrottle::aws::Clients;
use unthrottle::aws::read::stream;
use unthrottle_core::observation::CapacityMode;
use unthrottle_core::signal::StreamArn;
use unthrottle_core::words::many;

/// A fullest shard that is less full than this, 0–1, needs no split: its mean leaves room for a hundred times as much.
/// A larger number would refuse a shard with short, high peaks.
const HARDLY_FULL: f64 = 0.01;

/// Records of the fullest shard that a split needs. Fewer show where single records went; more would refuse a stream of
/// large records.
const LEAST_RECORDS: u64 = 10;

/// # Errors
/// AWS splits the shards of the stream itself, so a reading would take throughput for nothing.
pub(super) async fn must_be_possible(clients: &Clients, arn: &StreamArn) -> Result<(), CliError> {
    let summary = stream::summary(&clients.kinesis, arn).await.map_err(read_failed)?;
    if summary.is_some_and(|stream| stream.mode == CapacityMode::OnDemand) {
        return Err(CliError::Missing("AWS splits the shards of an on-demand stream; a person cannot".into()));
    }
    Ok(())
}

/// Names the split that halves the load of the fullest shard. Makes it if a person confirms it.
pub(super) async fn offer(
    clients: &Clients,
    arn: &StreamArn,
    report: &Report,
    consent: Consent,
    console: &mut Console,
) -> Result<(), CliError> {
    let nothing = || CliError::Missing("no record was read of an open shard, so no split is known".into());
    let hottest = report.hottest().ok_or_else(nothing)?;
    if let hardly @ 1.. = report.shards.iter().filter(|shard| shard.is_open && shard.is_hardly_read).count() {
        return Err(CliError::Missing(format!(
            "the reading ended before it covered a second of {}, so the fullest shard is not known. Give a larger \
             --max-mb, --for or --share, or choose shards with --shard",
            many(hardly, "shard")
        )));
    }
    if hottest.records < LEAST_RECORDS {
        return Err(CliError::Missing(format!(
            "{} of the fullest shard, {}, say too little for a split: give a longer --for",
            many(hottest.records, "record"),
            hottest.shard
        )));
    }
    let id = &hottest.shard;
    let key = hottest.top_keys.first();
    let key = key.map_or_else(String::new, |key| {
        format!(" Its first key is `{}` with {:.0} %.", visible(&key.key), key.share * 100.0)
    });
    let halving = hottest.split.as_ref().filter(|split| split.is_worth_it());
    if hottest.full_share < HARDLY_FULL {
        return Err(CliError::Missing(format!(
            "the fullest shard, {id}, is {:.0} % full: it needs no split.{key}",
            hottest.full_share * 100.0
        )));
    }
    let Some(halving) = halving else {
        return Err(CliError::Missing(format!("no split of {id} halves its load.{key}")));
    };
    let at = &halving.new_starting_hash_key;
    console.step(&format!(
        "split {id}, the fullest shard ({:.0} % full): the fuller half gets {:.0} % of its load",
        hottest.full_share * 100.0,
        halving.fuller_share * 100.0
    ))?;
    console.step(&format!(
        "aws kinesis split-shard --stream-name {} --shard-to-split {id} --new-starting-hash-key {at}",
        arn.name
    ))?;
    if !consent.is_possible() {
        return Ok(console.step("or give --yes: this command then makes the split of its reading")?);
    }
    consent.ask("Make this split now?")?;
    let call = clients.kinesis_once.split_shard().stream_arn(arn.to_string()).shard_to_split(id);
    called("SplitShard", call.new_starting_hash_key(at).send().await)?;
    Ok(console.result(true, &format!("split {id} at {at}"))?)
}
