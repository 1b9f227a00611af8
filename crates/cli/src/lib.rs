//! The command line: replay an event, explain a stream, sweep the fleet, take a change back, pause a deployed unthrottle,
//! run the local account. A person can try everything here on a laptop, with no AWS account.

mod arena;
mod aws;
mod backtest;
mod console;
mod explain;
mod faults;
mod files;
mod history;
mod local;
mod page;
mod pause;
mod progress;
mod replay;
mod restore;
mod runbook;
mod stage;
mod sweep;
mod traffic;

pub use pause::STACK_TAG;
pub use replay::{Before, Replay, local_config, replay};
pub use stage::Size;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use unthrottle::aws::Cause;
use unthrottle::settings::SettingsError;

/// A self-healing Lambda for throttled Amazon Kinesis Data Streams, on your laptop.
#[derive(Parser)]
#[command(name = "unthrottle", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Settings are read from the environment, as the Lambda reads them (UNTHROTTLE_MODE and so on; README.md lists them all).
Exit codes: 0 done, 1 an AWS or I/O error, or not done, 2 bad usage or bad input.";

#[derive(Subcommand)]
enum Command {
    /// Give events to the handler that the Lambda runs.
    ///
    /// With no option, on a local account in this process: a stream is really throttled, the event is handled, and the
    /// same traffic goes on. The code in the name of a sample, SITUATION__CODE.json, sets another stage, which is said:
    /// other streams, settings, or metrics of minutes that nobody could wait for. With --endpoint-url, --profile or
    /// --region, on that account, which is really changed unless --observe is given.
    Replay(replay::Args),
    /// Look at a stream of your account, and say what would be done and why. Changes nothing.
    Explain(explain::Args),
    /// Look at every stream of your account that needs a look, as the schedule does: throttled ones, changes to verify,
    /// restores that are due. Really changes them, unless --observe is given.
    Sweep(sweep::Args),
    /// What unthrottle has changed on a stream: from its memory, and the AutoFix metric.
    History(history::Args),
    /// Take the last change of a stream back, with the checks that an automatic restore makes, but for the calm hours, the
    /// day after a split, and the two reshards that are kept.
    ///
    /// Says what would be done; with --yes it is done. Exit code 1: it may not be taken back, or not now.
    Restore(restore::Args),
    /// Write decision documents as an incident entry in Markdown: what happened, what was changed, how to undo it.
    Runbook(runbook::Args),
    /// Stop it: disable the rules and the schedules that wake it. Changes no stream.
    ///
    /// These are the EventBridge rules of the account and region that carry the tag unthrottle:stack, and the schedules
    /// of the Scheduler groups that do. Changes under way go on, and a sweep that is running may make more for up to five
    /// minutes. `unthrottle resume` undoes it.
    Pause(pause::Args),
    /// Undo a pause: enable the rules and the schedules that wake it.
    Resume(pause::Args),
    /// Let unthrottle and other policies look after simulated streams, and compare what came of it.
    ///
    /// In virtual time, with no AWS account: AWS's limits and durations and CloudWatch's delays are modelled, and
    /// unthrottle decides by the very code that the Lambda runs.
    Arena(arena::Args),
    /// What unthrottle and others would have made of a stream's past: changes, throttled records, and the bill.
    ///
    /// The past is what CloudWatch keeps minute by minute, or a file. It is sent to a simulated stream again: an estimate,
    /// and what it rests on is said. Changes nothing; reads are kept, so that a day is read once.
    Backtest(backtest::Args),
    /// Run the local account as a server for the AWS CLI and SDKs, until Ctrl-C.
    Local(local::Args),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not hold JSON.
    #[error("{}: not JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A line of a file cannot be used.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// An event cannot be understood.
    #[error("{}: {source}", path.display())]
    Event {
        /// The file.
        path: PathBuf,
        /// Which field, and why.
        source: unthrottle_core::signal::SignalError,
    },
    /// What was typed cannot be used.
    #[error("{0}")]
    Usage(String),
    /// A setting in the environment cannot be used.
    #[error("{0}")]
    Setting(#[from] SettingsError),
    /// AWS failed.
    #[error("{0}")]
    Heal(#[from] unthrottle::Error),
    /// A call of this command failed.
    #[error("{call} failed: {source}")]
    Aws {
        /// The call.
        call: &'static str,
        /// The SDK's error with its causes.
        source: Cause,
    },
    /// Nothing is there that could be switched.
    #[error("{0}")]
    Missing(String),
    /// Something that must hold does not.
    #[error("{0}")]
    Broken(String),
    /// Not all of what was asked for could be done.
    #[error("{0}")]
    Partly(String),
    /// The local account, or the output, failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The clock of the local account was to go where it cannot.
    #[error("{0}")]
    Clock(#[from] unthrottle_lab::local::ClockError),
    /// Something that must happen did not happen in time.
    #[error("{0}")]
    Late(String),
}

impl CliError {
    /// The process' exit code: 2 for what the user can mend in the command or its files, 1 for the world.
    fn code(&self) -> u8 {
        match self {
            CliError::File { source, .. } | CliError::Unwritten { source, .. }
                if source.kind() != std::io::ErrorKind::NotFound =>
            {
                1
            }
            CliError::File { .. }
            | CliError::Unwritten { .. }
            | CliError::Json { .. }
            | CliError::Event { .. }
            | CliError::Line { .. } => 2,
            CliError::Usage(_) | CliError::Setting(_) | CliError::Heal(unthrottle::Error::Signal(_)) => 2,
            CliError::Missing(_) | CliError::Broken(_) | CliError::Partly(_) => 1,
            CliError::Heal(_) | CliError::Aws { .. } | CliError::Io(_) | CliError::Clock(_) | CliError::Late(_) => 1,
        }
    }
}

/// Runs the command that the process' arguments name.
pub async fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Replay(args) => replay::run(args).await,
        Command::Explain(args) => explain::run(args).await,
        Command::Pause(args) => pause::run(args, pause::State::Paused).await,
        Command::Resume(args) => pause::run(args, pause::State::Resumed).await,
        Command::Sweep(args) => sweep::run(args).await,
        Command::History(args) => history::run(args).await,
        Command::Restore(args) => restore::run(args).await,
        Command::Runbook(args) => runbook::run(&args),
        Command::Arena(args) => arena::run(&args),
        Command::Backtest(args) => backtest::run(args).await,
        Command::Local(args) => local::run(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe has seen enough.
        Err(CliError::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unthrottle: {error}");
            ExitCode::from(error.code())
        }
    }
}
