//! The load itself: a generator, a writer, and looks at the stream.

use super::args::Args;
use super::healing::{self, Healing};
use super::view::Model;
use super::watching::Watching;
use crate::CliError;
use crate::full_screen::{FullScreen, quit_key};
use crate::put::Stream;
use crate::screen::EVERY;
use crate::stop::stop_signal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use unthrottle_writer::load::{Load, Offered, Profile};
use unthrottle_writer::{Batch, End, Limits, Options, Retry, feed};

/// A record that leaves later than this after its time was not offered in time.
const LATE: Duration = Duration::from_millis(250);

/// Offers the load until it ends, the stream has healed, or a person stops it. `time`: the longest time.
/// `shard_takes`: records a second.
///
/// # Errors
/// The terminal refuses the live view.
pub(super) async fn offer(
    args: &Args,
    stream: &Stream,
    (profile, time): (Profile, Duration),
    (healing, arn): (&Healing, &str),
    offered: &Offered,
    shard_takes: f64,
) -> Result<End, CliError> {
    let load =
        Load { profile, keys: args.keys.clone(), sizes: args.size, is_endless: args.until_healed, seed: args.seed };
    let options = options(args);
    let limits = Limits { record_bytes: stream.record_bytes, batch_bytes: options.batch.max_bytes };
    let is_healed = Arc::new(Notify::new());
    let is_live = !args.json && FullScreen::is_possible();
    let wakes = args.until_healed.then(|| is_healed.clone());
    let mut watching = if is_live {
        let model = Model::new(title(args, time), shard_takes);
        Watching::live(model, healing.clone(), offered.clone(), wakes)?
    } else {
        Watching::with_lines(args.json, healing.clone(), offered.clone(), wakes)
    };
    let (sender, feed) = feed();
    let generator = tokio::spawn(load.run(sender, offered.clone()));
    let watch = healing::watch(healing, stream, arn);
    let (client, target) = (stream.client.clone(), stream.target.clone());
    let stop = async {
        tokio::select! {
            () = stop_signal() => {}
            () = quit_key(), if is_live => {}
            () = is_healed.notified() => {}
            () = tokio::time::sleep(time), if args.until_healed => {}
        }
    };
    let end = unthrottle_writer::run(client, target, (options, limits), feed, stop, &mut watching).await;
    watch.abort();
    // The generator ends when the writer takes no more.
    let _ = generator.await;
    healing.refused(end.stats.refused);
    watching.end();
    Ok(end)
}

/// The title of the live view.
fn title(args: &Args, time: Duration) -> String {
    let until = if args.until_healed { "until healed, at most" } else { "for" };
    format!("smoke {} {until} {} s", args.stream, time.as_secs())
}

fn options(args: &Args) -> Options {
    Options {
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
    }
}
