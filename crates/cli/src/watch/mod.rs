//! `unthrottle watch`: the streams of an account, their load and what unthrottle would do about them. Changes nothing.

mod budget;
mod cells;
mod once;
mod row;
mod screen;
mod stream_page;
mod ui;
mod watcher;

use crate::CliError;
use crate::aws::{AwsArgs, clock};
use crate::config;
use crate::full_screen::FullScreen;
use crate::screen::StatusLine;
#[cfg(feature = "schema")]
pub(super) use once::Watched;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc::unbounded_channel;
use watcher::Watcher;

pub(super) const ABOUT: &str = "\
Watch streams: their load, what AWS refused in the last hour, and what
unthrottle would do about each, and why. Changes nothing.

Once a minute the command reads the load of all streams. It checks a stream
that refuses records once a minute, and any other once in five minutes, as
`unthrottle explain` does. It stays within --calls-per-minute, and shows the
calls. CloudWatch charges for the metrics that it is asked for: about $0.50 an
hour for 100 streams.

Keys: arrows or j and k move, Enter opens a stream, e explains it now, s sorts,
/ filters, Esc goes back, ? shows the keys, q quits.

  unthrottle watch orders payments
  unthrottle watch --all --once";

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// The streams' names or ARNs
    #[arg(value_name = "STREAM", required_unless_present = "all")]
    streams: Vec<String>,
    /// All streams of the account and region
    #[arg(long, conflicts_with = "streams")]
    all: bool,
    /// Check each stream once, print a table, and stop
    #[arg(long)]
    once: bool,
    /// Print all columns of the table, on any screen
    #[arg(long, requires = "once")]
    wide: bool,
    /// Print the table as JSON
    #[arg(long, requires = "once")]
    json: bool,
    #[arg(
        long,
        value_name = "N",
        default_value_t = CALLS_PER_MINUTE,
        value_parser = clap::value_parser!(u32).range(1..=6000),
        help = "The most AWS calls in any 60 seconds, each retry counted. AWS allows an \
                account 300 reads of tags a minute, and a check takes one of them"
    )]
    calls_per_minute: u32,
    #[command(flatten)]
    aws: AwsArgs,
}

/// The default bound of calls. It allows a check a second, a fifth of the reads of tags that AWS allows an account: the
/// function needs the rest. With fewer calls, 100 streams would take longer than two minutes to be checked.
const CALLS_PER_MINUTE: u32 = 240;

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let mut policy = config::policy()?;
    // The person who watches sees the answers, so no message is sent.
    policy.topic_arn = None;
    let config = args.aws.config().await?;
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    if !args.once && !FullScreen::is_possible() {
        const INSTEAD: &str = "this needs a terminal that can draw: give --once for a table, or --once --json";
        return Err(CliError::Usage(INSTEAD.into()));
    }
    let mut status = StatusLine::new();
    status.show("reading the load of the last hour …");
    let watcher = Watcher::start(&config, policy, &args.streams, args.calls_per_minute).await;
    status.clear();
    let watcher = watcher?;
    if args.once {
        return once::run(watcher, args.json, args.wide).await;
    }
    let screen = FullScreen::enter()?;
    let (view, clock, stop) = (watcher.view(), clock(), Arc::new(AtomicBool::new(false)));
    let (ask, asked) = unbounded_channel();
    let watching = tokio::spawn(watcher.run(asked));
    let (stopping, has_stopped) = (stop.clone(), stop);
    let stopped = tokio::spawn(async move {
        ended().await;
        stopping.store(true, Ordering::Relaxed);
    });
    let drawn =
        tokio::task::spawn_blocking(move || screen::run(screen, &view, &clock, &ask, &region, &has_stopped)).await;
    watching.abort();
    stopped.abort();
    Ok(drawn.map_err(std::io::Error::other)??)
}

/// Waits for a signal that ends the process, so that the terminal is left as it was.
#[cfg(unix)]
async fn ended() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut hang_up)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = hang_up.recv() => {}
    }
}

#[cfg(not(unix))]
async fn ended() {
    // An error means that no signal can come.
    let _ = tokio::signal::ctrl_c().await;
}
