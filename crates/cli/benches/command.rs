//! The figures of the command line: its size, and the time that it takes. Exit code 1: a figure of docs/development.md
//! is missed.
//!
//! usage: `make bench`, or `cargo bench --profile release -p unthrottle-cli --bench command`. Linux alone.

#![allow(clippy::expect_used)]

#[path = "../tests/terminal/mod.rs"]
mod terminal;

use pty_process::blocking;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use terminal::Terminal;
use unthrottle_lab::local::{LocalAccount, Options};

const UNTHROTTLE: &str = env!("CARGO_BIN_EXE_unthrottle");

/// Runs of a command. Their median counts. With fewer, it varies with the other work of the machine.
const RUNS: usize = 15;

/// Between two runs of `explain`: Kinesis answers `DescribeLimits` once a second, and a retry would be measured.
const PAUSE: Duration = Duration::from_secs(2);

/// Streams that `watch` shows.
const STREAMS: usize = 100;

/// How long `watch` is measured: it reads the metrics once a minute, so a shorter time could miss one.
const WATCHED: Duration = Duration::from_mins(2);

/// A figure: what it is, what was measured, its unit, and the most that it may be.
type Figure = (String, f64, &'static str, f64);

#[tokio::main]
async fn main() -> ExitCode {
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    account.add_streams((0..STREAMS).map(|n| format!("orders-{n}")), 2, &[]).await;
    let bytes = std::fs::metadata(UNTHROTTLE).expect("built").len();
    let mut figures = vec![("size of unthrottle".into(), bytes as f64 / 1e6, "MB", 25.0)];
    figures.extend(["bash", "zsh", "fish"].map(completions));
    figures.push(("explain on the local account".into(), explain(&account), "ms", 150.0));
    figures.push((format!("watch --all, {STREAMS} streams, of one CPU"), watch(&account), "%", 2.0));
    figures.iter().for_each(|figure| println!("{}", row(figure)));
    if figures.iter().all(|(_, measured, _, most)| measured <= most) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn row((what, measured, unit, most): &Figure) -> String {
    let verdict = if measured <= most { "reached" } else { "missed" };
    format!("{what:<46} {measured:>7.2} {unit:<7} at most {most:>5} {verdict}")
}

fn completions(shell: &str) -> Figure {
    let took = median_ms(Duration::ZERO, || Command::new(UNTHROTTLE).args(["completions", shell]).env_clear().output());
    (format!("completions {shell}"), took, "ms", 20.0)
}

fn explain(account: &LocalAccount) -> f64 {
    let mut n = 0;
    median_ms(PAUSE, || {
        n += 1;
        Command::new(UNTHROTTLE).args(["explain", &format!("orders-{n}"), "--endpoint-url", account.url()]).output()
    })
}

/// The median time of a command, in milliseconds, with a pause after each run.
fn median_ms(pause: Duration, mut run: impl FnMut() -> std::io::Result<std::process::Output>) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            let output = run().expect("it starts");
            let took = began.elapsed().as_secs_f64() * 1000.0;
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            std::thread::sleep(pause);
            took
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

/// The share of one CPU that a terminal with `watch` takes, from its start on, in percent.
fn watch(account: &LocalAccount) -> f64 {
    let command = blocking::Command::new(UNTHROTTLE).args(["watch", "--all", "--endpoint-url", account.url()]);
    let terminal = Terminal::start(command);
    terminal.wait_for("stream", |screen| screen.contains("orders-"));
    std::thread::sleep(WATCHED);
    cpu_seconds(terminal.id()) / WATCHED.as_secs_f64() * 100.0
}

/// The CPU time of a process. Linux counts it in hundredths of a second, for every architecture that it runs on here.
fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux, and the process lives");
    // The name of the process, in brackets, may have spaces. After it, the 12th and 13th numbers are the CPU times.
    let (_, after_name) = stat.rsplit_once(')').expect("a name");
    let times = after_name.split_whitespace().skip(11).take(2);
    times.map(|ticks| ticks.parse::<f64>().expect("a number") / 100.0).sum()
}
