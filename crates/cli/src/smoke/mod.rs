//! `unthrottle smoke`: offers a load to a stream, and shows how it heals.

mod args;
mod expect;
mod guard;
mod healing;

pub(super) use args::Args;

use crate::CliError;
use crate::put::{Screen, Stream, find, stop_signal, summary};
use crate::screen::{Console, EVERY, print_json};
use aws_sdk_kinesis::types::{StreamDescriptionSummary, StreamMode};
use expect::Outcome;
use healing::{Healing, Seen};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::{Memory, TAG};
use unthrottle_lab::rules::{WRITE_BYTES_A_SECOND, WRITE_RECORDS_A_SECOND};
use unthrottle_writer::load::{Load, Offered, Profile};
use unthrottle_writer::{Batch, End, Limits, Lost, Observer, Options, Retry, Stats, feed};

/// A record that leaves later than this after its time was not offered in time.
const LATE: Duration = Duration::from_millis(250);

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let wanted = args.wanted()?;
    let stream = find(&args.stream, &args.aws, None).await?;
    let record_bytes = args.size.mean() + args.keys.bytes() as f64;
    let capacity = capacity(stream.summary.as_ref(), record_bytes);
    let profile = wanted.profile(record_bytes, capacity)?;
    let time = guard::bounded_time(&args, &profile)?;
    let usd = guard::bounded_cost(&args, stream.summary.as_ref(), &profile, record_bytes, time)?;
    if args.size.most() + args.keys.bytes() > stream.record_bytes {
        return Err(CliError::Usage(format!(
            "--size: a record of {} bytes and its key are larger than the stream takes ({} bytes)",
            args.size.most(),
            stream.record_bytes
        )));
    }
    announce(&args, &stream, &profile, (record_bytes, capacity), (time, usd))?;
    if args.dry_run {
        return Ok(());
    }
    let arn = stream.summary.as_ref().map(|summary| summary.stream_arn().to_owned()).unwrap_or_default();
    guard::owner_allows(&args, &stream, &arn).await?;
    let healing = Healing::new(stream.summary.as_ref());
    let offered = Offered::default();
    let end = offer(&args, &stream, profile, time, &healing, &offered).await;
    let memory = remembered(&stream, &arn).await;
    conclude(&args, &end, &healing.seen(), &offered, memory)
}

/// The records of this size that a provisioned stream takes in a second, if its keys are even.
fn capacity(summary: Option<&StreamDescriptionSummary>, record_bytes: f64) -> Option<f64> {
    let summary = summary?;
    let mode = summary.stream_mode_details().map(|details| details.stream_mode());
    let of_shard = (WRITE_RECORDS_A_SECOND as f64).min(WRITE_BYTES_A_SECOND as f64 / record_bytes);
    (mode != Some(&StreamMode::OnDemand)).then(|| f64::from(summary.open_shard_count()) * of_shard)
}

/// Says what comes, and what it costs.
fn announce(
    args: &Args,
    stream: &Stream,
    profile: &Profile,
    (record_bytes, capacity): (f64, Option<f64>),
    (time, usd): (Duration, f64),
) -> Result<(), CliError> {
    let mut console = Console::new(args.json);
    let shards = stream.summary.as_ref().map_or(0, StreamDescriptionSummary::open_shard_count);
    let takes = capacity.map_or_else(|| "on-demand".to_owned(), |capacity| format!("takes {capacity:.0} records/s"));
    console.heading(&format!("{}: {shards} shards, {takes} of {record_bytes:.0} bytes with even keys", args.stream))?;
    let last = if args.until_healed { ", then the last rate until it has healed" } else { "" };
    console.step(&format!(
        "offers {} records in {} s, at most {:.0}/s{last}",
        profile.records(),
        profile.duration().as_secs(),
        profile.peak()
    ))?;
    let minutes = time.as_secs_f64() / 60.0;
    console.step(&format!("at most {minutes:.1} min and ${usd:.4} at list prices; added capacity costs extra"))?;
    Ok(())
}

/// Offers the load until it ends, the stream has healed, or a person stops it.
async fn offer(
    args: &Args,
    stream: &Stream,
    profile: Profile,
    time: Duration,
    healing: &Healing,
    offered: &Offered,
) -> End {
    let load =
        Load { profile, keys: args.keys.clone(), sizes: args.size, is_endless: args.until_healed, seed: args.seed };
    let options = Options {
        // An open loop sends each record at its time, and waits for others only as long as one step of the load.
        batch: Batch { duration: Duration::from_millis(10), ..Batch::default() },
        // As a patient producer: the time of a record is its only bound.
        retry: Retry {
            max_retries: u32::MAX,
            initial_wait: Duration::from_millis(200),
            // Longer waits would hide for longer that the stream has healed.
            max_wait: Duration::from_secs(5),
            ..Retry::default()
        },
        ttl: args.ttl,
        is_paced: false,
        // Many, so that slow answers do not slow the load down.
        most_in_flight: 64,
        // The records that wait for a retry during an overload of seconds.
        most_bytes: 48 << 20,
        late_after: LATE,
        drain: args.ttl,
        seed: args.seed,
        tick: if args.json { Duration::from_secs(1) } else { EVERY },
        ..Options::default()
    };
    let limits = Limits { record_bytes: stream.record_bytes, batch_bytes: options.batch.max_bytes };
    let is_healed = Arc::new(Notify::new());
    let screen = Screen::new(args.json, None);
    let mut observer =
        Watching { screen, healing: healing.clone(), is_healed: args.until_healed.then(|| is_healed.clone()) };
    let (sender, feed) = feed();
    let generator = tokio::spawn(load.run(sender, offered.clone()));
    let watch = healing::watch(healing, stream);
    let (client, target) = (stream.client.clone(), stream.target.clone());
    let stop = async {
        tokio::select! {
            () = stop_signal() => {}
            () = is_healed.notified() => {}
            () = tokio::time::sleep(time), if args.until_healed => {}
        }
    };
    let end = unthrottle_writer::run(client, target, (options, limits), feed, stop, &mut observer).await;
    watch.abort();
    // The generator ends when the writer takes no more.
    let _ = generator.await;
    healing.refused(end.stats.refused);
    observer.show_events();
    observer.screen.end();
    end
}

/// Shows the writer at work, and what happens to the stream.
struct Watching {
    screen: Screen,
    healing: Healing,
    /// Wakes when the stream has healed.
    is_healed: Option<Arc<Notify>>,
}

impl Watching {
    fn show_events(&mut self) {
        for event in self.healing.take_events() {
            self.screen.event(&event);
        }
    }
}

impl Observer for Watching {
    fn lost(&mut self, lost: &Lost) -> Result<(), String> {
        self.screen.lost(lost)
    }

    fn tick(&mut self, stats: &Stats, elapsed: Duration) {
        if self.healing.refused(stats.refused)
            && let Some(is_healed) = &self.is_healed
        {
            is_healed.notify_one();
        }
        self.show_events();
        self.screen.tick(stats, elapsed);
    }

    fn trouble(&mut self, cause: &str) {
        self.screen.trouble(cause);
    }
}

/// What unthrottle wrote into its memory tag about its last change, in words.
async fn remembered(stream: &Stream, arn: &str) -> Option<String> {
    let answer = stream.client.list_tags_for_resource().resource_arn(arn).send().await.ok()?;
    let tag = answer.tags().iter().find(|tag| tag.key() == TAG)?.value()?;
    let change = Memory::parse(tag).ok()?.change?;
    let (code, from, to) = (Remedy::code_of(change.kind), change.from.number(), change.to.number());
    Some(format!("{code} {from} → {to}"))
}

/// Prints the result. A missed expectation is an error.
fn conclude(args: &Args, end: &End, seen: &Seen, offered: &Offered, memory: Option<String>) -> Result<(), CliError> {
    let behind = end.stats.late + offered.due().saturating_sub(offered.handed());
    let outcome = Outcome { stats: &end.stats, behind, healed: seen.healed_s.map(Duration::from_secs_f64) };
    let mut missed: Vec<String> = args.expect.iter().filter_map(|expected| expected.missed(&outcome)).collect();
    if args.until_healed && seen.healed_s.is_none() {
        missed.push(match seen.first_refusal_s {
            None => "it has not healed: nothing was refused, so the load was no overload".into(),
            Some(_) => format!("it has not healed within {} s", end.elapsed.as_secs()),
        });
    }
    if args.json {
        let mut result = serde_json::to_value(end.stats.summary(end.elapsed, true)).map_err(std::io::Error::from)?;
        result["offered"] = json!(offered.due());
        result["behind"] = json!(behind);
        result["healing"] = serde_json::to_value(seen).map_err(std::io::Error::from)?;
        result["remembered"] = json!(memory);
        result["missed"] = json!(missed);
        print_json(&result)?;
    } else {
        print(end, seen, (offered.due(), behind), memory)?;
    }
    if let Some(fatal) = &end.fatal {
        return Err(CliError::Partly(format!("the load ended early: {fatal}")));
    }
    if missed.is_empty() { Ok(()) } else { Err(CliError::Missed(missed.join("\nunthrottle: "))) }
}

fn print(end: &End, seen: &Seen, (offered, behind): (u64, u64), memory: Option<String>) -> Result<(), CliError> {
    let mut console = Console::new(false);
    console.step(summary(end).trim_end())?;
    if behind > 0 {
        let part = 100.0 * behind as f64 / offered.max(1) as f64;
        console.step(&format!("  behind      {behind} of {offered} records ({part:.1} %) did not leave in time"))?;
        if part > 1.0 && end.stats.failed_requests == 0 {
            console.step("              this machine or its connection was the limit, not the stream")?;
        }
    }
    if let Some(memory) = memory {
        console.step(&format!("  unthrottle  {memory} (its memory tag)"))?;
    }
    if let Some(healed) = seen.healed_s {
        let text = format!(
            "healed in {healed:.1} s, from the first refusal to the last: {} → {} shards",
            seen.shards_before, seen.shards_after
        );
        console.result(true, &text)?;
    }
    Ok(())
}
