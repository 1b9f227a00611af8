//! The load itself: a generator, a writer, and looks at the stream.

use super::args::Args;
use super::healing::{self, Healing};
use super::view::Model;
use super::watching::Watching;
use crate::CliError;
use crate::full_screen::FullScreen;
use crate::put::{Stream, at_each_key, at_each_signal};
use crate::screen::EVERY;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use unthrottle_writer::load::{Load, Offered, Profile, SizesByMinute};
use unthrottle_writer::{Batch, End, Limits, Options, Retry, Stopper, feed, stops};

/// A record that leaves later than this after its time was not offered in time.
const LATE: Duration = Duration::from_millis(250);

/// The memory of the records that wait for another attempt, about. Requests in flight come on top of it. With less, an
/// overload with short answers would fill it, and the command would offer less than its plan.
pub(super) const MOST_BYTES: usize = 20 << 20;

/// The requests in flight. Many, so that slow answers do not slow the load down.
pub(super) const MOST_IN_FLIGHT: usize = 64;

/// Offers the load until it ends, the stream has healed, `--max-duration` is over, or a person stops it.
/// `shard_takes`: records a second. Returns whether a person stopped it, too.
///
/// # Errors
/// The terminal refuses the live view.
pub(super) async fn offer(
    args: &Args,
    stream: &Stream,
    (profile, sizes, time): (Profile, SizesByMinute, Duration),
    (healing, arn): (&Healing, &str),
    offered: &Offered,
    shard_takes: f64,
) -> Result<(End, bool), CliError> {
    let load = Load {
        profile,
        keys: args.keys.clone(),
        sizes,
        is_endless: args.until_healed,
        late_after: LATE,
        seed: args.seed,
    };
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
    let (stopper, stops) = stops();
    let is_asked = Arc::new(AtomicBool::new(false));
    // A load whose stages take all of the time is offered in full.
    let most = args.max_duration + if args.until_healed { Duration::ZERO } else { LATE };
    let stopping = tokio::spawn(stop(stopper, is_asked.clone(), is_live, (is_healed, most)));
    let end = unthrottle_writer::run(client, target, (options, limits), feed, stops, &mut watching).await;
    stopping.abort();
    watch.abort();
    // The generator ends when the writer takes no more.
    let _ = generator.await;
    healing.count(&end.stats);
    watching.end(&end.stats);
    Ok((end, is_asked.load(Ordering::SeqCst)))
}

/// Stops the load when the stream has healed, after `most`, or when a person asks for it. Records that wait are then
/// sent for the time of a drain. A person who asks twice ends it at once.
async fn stop(stopper: Stopper, is_asked: Arc<AtomicBool>, has_keys: bool, (is_healed, most): (Arc<Notify>, Duration)) {
    let ask = || {
        is_asked.store(true, Ordering::SeqCst);
        stopper.stop();
    };
    let at_the_end = async {
        tokio::select! {
            () = is_healed.notified() => {}
            () = tokio::time::sleep(most) => {}
        }
        if !is_asked.load(Ordering::SeqCst) {
            stopper.stop();
        }
        std::future::pending().await
    };
    tokio::select! {
        () = at_each_signal(ask) => {}
        () = at_each_key(ask), if has_keys => {}
        () = at_the_end => {}
    }
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
        most_in_flight: MOST_IN_FLIGHT,
        most_bytes: MOST_BYTES,
        late_after: LATE,
        seed: args.seed,
        tick: if args.json { Duration::from_secs(1) } else { EVERY },
        ..Options::default()
    }
}
