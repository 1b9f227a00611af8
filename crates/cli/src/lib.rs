//! The command line `unthrottle`: one file for each command. A person can try everything here on a laptop, and most of
//! it without an AWS account.

mod arena;
mod aws;
mod backtest;
mod changes;
mod completions;
mod config;
mod consent;
mod doctor;
mod endpoint;
mod error;
mod explain;
mod files;
mod full_screen;
mod healer;
mod help;
mod history;
mod keys;
mod local;
mod man;
mod metrics;
mod nearest;
mod pages;
mod pause;
mod plan;
mod prove;
mod put;
#[doc(hidden)]
pub mod readers;
mod replay;
mod report;
mod restore;
mod runbook;
#[cfg(feature = "schema")]
mod schema;
mod screen;
mod smoke;
mod stop;
mod streams;
mod sweep;
mod version;
mod watch;

pub use aws::local_config;
pub use error::CliError;
pub use explain::explained;
pub use pause::STACK_TAG;
pub use replay::{BadSetting, Effect, Replay, Size, Tally, replay};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::process::ExitCode;
use unthrottle::settings;

/// The tools of unthrottle, a self-healing Lambda for throttled Kinesis streams
#[derive(Parser)]
#[command(name = "unthrottle", version, long_version = version::LONG, after_help = AFTER_HELP, max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
The settings come from the environment, as in the Lambda (UNTHROTTLE_MODE and
others), or from unthrottle.toml: `unthrottle config --help` says where.
docs/configuration.md lists them all.

Exit codes: 0 done; 1 an error of AWS, of input or output, or not all done;
2 bad usage or bad input; 3 the doctor found what --fail-on names, or an
expectation of smoke or prove does not hold.";

#[derive(Subcommand)]
enum Command {
    /// Give events to the handler that the Lambda runs
    #[command(long_about = "\
Give events to the handler that the Lambda runs.

Without options, this happens on a local account in this process: a stream is
throttled, the handler gets the event, and the same traffic goes on. The file
in scenarios/ that names the event describes the stream and its past. FILE can
also be such a scenario. An event without a scenario meets a stream of two
shards that gets more load than it takes.

With --endpoint-url, --profile or --region, the handler acts on that account.
It shows what it would change, and asks. --yes changes the stream without a
question, and --observe changes nothing.")]
    Replay(replay::Args),
    /// Show what unthrottle would do about a stream. Changes nothing
    #[command(long_about = "\
Show what unthrottle would do about a stream of your account, and why.
Changes nothing.")]
    Explain(explain::Args),
    /// Find what is wrong with a stream, its producers and its consumers
    #[command(long_about = doctor::ABOUT)]
    Doctor(doctor::Args),
    /// Read records of a stream: its top partition keys, its peaks, and where to split
    #[command(long_about = keys::ABOUT)]
    Keys(keys::Args),
    /// Watch streams: their load, and what unthrottle would do about each. Changes nothing
    #[command(long_about = watch::ABOUT)]
    Watch(watch::Args),
    /// Check every stream of your account that needs a check
    #[command(long_about = "\
Check every stream of your account that needs a check, as the schedule of the
Lambda does: throttled streams, changes to verify, and restores.
Shows what it would change, and asks. --yes changes these streams without a
question, and --observe changes nothing.")]
    Sweep(sweep::Args),
    /// List the changes that unthrottle made to a stream
    #[command(long_about = "\
List the changes that unthrottle made to a stream. They come from the memory
tag of the stream and from the metric AutoFix.")]
    History(history::Args),
    /// Undo the last change of a stream
    #[command(long_about = "\
Undo the last change of a stream.

The checks of the load and of AWS's limits are those of an automatic restore.
The command does not wait for hours without throttling, or for a day after a
split or a switch, and may use the two reshards in reserve. Shard-level
metrics that unthrottle enabled go off first.

If a check fails, the command says which, and when to try again. --force skips
the peak load, the backlog of readers and a plan, which it ends. It never
restores a throttled stream, takes away more than half, or goes below
UNTHROTTLE_MIN_SHARDS.

The command shows what it would do, and asks. Without a terminal, --yes gives
the answer, and --dry-run only shows it. Exit code 1: the change cannot be
undone, or not now.")]
    Restore(restore::Args),
    /// Plan shards for a stream, again and again at the same times
    #[command(long_about = "\
Plan shards for a stream, again and again at the same times.

The command creates a schedule at EventBridge Scheduler, in the schedule group
of the deployed function. Each time it asks the function for these shards. The
function goes up to them within all its bounds, keeps them until the plan is
over, and takes them back afterwards where UNTHROTTLE_RESTORE_AFTER_HOURS is
set. For working days from 08:00 to 18:00 in Berlin:

  unthrottle plan orders --at-least 8 --cron \"0 8 ? * MON-FRI *\" \\
    --timezone Europe/Berlin --for 10h

The command shows the plan and asks; --yes gives the answer in advance.
A wrong expression, an expression without a time to come, an unknown time zone,
or more shards than the stream may have is an error before anything is created.
Of two plans at once the larger number of shards and the later end count. An
ask of the function with \"at_least\": 1 ends a plan.

It needs tag:GetResources, scheduler:ListSchedules, scheduler:GetSchedule,
scheduler:CreateSchedule, scheduler:DeleteSchedule, iam:PassRole on the role of
the sweep's schedule, lambda:GetFunctionConfiguration, kinesis:ListStreams,
kinesis:DescribeStreamSummary and kinesis:ListTagsForResource.")]
    Plan(Box<plan::Args>),
    /// Report what happened to the streams of an account in a month
    #[command(long_about = report::ABOUT)]
    Report(report::Args),
    /// Write decision documents as an incident entry in Markdown
    #[command(long_about = "\
Write decision documents as an incident entry in Markdown: what happened, what
was changed, and how to undo it.")]
    Runbook(runbook::Args),
    /// Stop unthrottle: disable its rules and schedules
    #[command(long_about = "\
Stop unthrottle: disable its rules and schedules. Changes no stream.

These are the EventBridge rules of the account and region with the tag
unthrottle:stack, and the schedules of the Scheduler groups with this tag.
The command lists them and asks; --yes gives the answer in advance.
Changes that AWS is making go on. A running sweep may make more changes for up
to five minutes. `unthrottle resume` undoes the pause.")]
    Pause(pause::Args),
    /// Undo a pause: enable the rules and schedules
    Resume(pause::Args),
    /// Compare unthrottle with other policies on simulated streams
    #[command(long_about = "\
Compare unthrottle with other policies on simulated streams.

The arena runs in virtual time and needs no AWS account. It models the limits
and durations of AWS, and the delays of CloudWatch. unthrottle decides with
the same code as in the Lambda. docs/evaluation.md explains the numbers.")]
    Arena(arena::Args),
    /// Estimate what unthrottle would have done for a stream in the past
    #[command(long_about = "\
Estimate what unthrottle and other policies would have done for a stream in
the past: changes, throttled records, and cost.

The past comes from CloudWatch, minute by minute, or from a file. A simulated
stream gets the same load again. The output lists the assumptions of the
estimate. Changes nothing. Days that were read are kept and not read again.")]
    Backtest(backtest::Args),
    /// Write lines to a stream. Refused records are sent again
    #[command(long_about = "\
Write lines of files or of standard input to a stream, each as a record, by
PutRecords. Empty lines are no records.

Only the records that AWS refused are sent again, after a random wait. If the
stream takes less than the input has, the command reads slower. A reply that
is lost makes duplicates possible, and the summary counts them.

A record is lost after --max-retries, after --ttl, or if it is too large. Exit
code 1: records are lost, or a signal left a file or standard input unread.
--dead-letter FILE keeps lost records. Ctrl-C, SIGTERM and a terminal that
closes stop the input; complete lines that were read are sent for at most 8 s,
or until a second signal.")]
    Put(put::Args),
    /// Offer a load to a stream, and see how it heals
    #[command(long_about = "\
Offer a load to a stream, and see how it heals.

This command exists to throttle a stream. It refuses unless you own the stream:
see --i-own. The times of all records are fixed in advance. A record that is
late keeps its time, so the latency counts the wait, too. Refused records are
sent again until --ttl. On a terminal, a live view shows the load and the
stream; q or Ctrl-C stops it within 8 s, and a second one at once.

The capacity of a provisioned stream is 1,000 records/s and 1 MiB/s a shard,
with the shards at the start. Exit code 3: an expectation does not hold.")]
    Smoke(smoke::Args),
    /// Try on a sandbox account what unthrottle assumes of AWS
    #[command(long_about = prove::ABOUT)]
    Prove(Box<prove::Args>),
    /// Run the local account as a server for the AWS CLI and SDKs
    #[command(long_about = "\
Run the local account as a server for the AWS CLI and SDKs, until Ctrl-C.

With --heal, an unthrottle inside the account heals its streams, as the Lambda
does, and the account begins with the stream `orders`. The alarms, the rules
and the sweep of template.yaml wake it.")]
    Local(local::Args),
    /// Show the settings, and where each comes from
    #[command(long_about = config::ABOUT)]
    Config(config::Args),
    /// Print the JSON Schema of a document
    #[cfg(feature = "schema")]
    #[command(long_about = schema::ABOUT)]
    Schema(schema::Args),
    /// Print the script that lets a shell complete commands and options
    #[command(long_about = completions::ABOUT)]
    Completions(completions::Args),
    /// Print the manual page, or write the pages of all commands
    #[command(long_about = man::ABOUT)]
    Man(man::Args),
}

/// Runs the command that the arguments of the process name.
pub async fn run() -> ExitCode {
    let matches = help::complete(Cli::command()).try_get_matches();
    let command = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli.command,
        Err(error) => help::exit(&error),
    };
    match perform(command).await {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe has closed it, as `head` does.
        Err(CliError::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            screen::print_error(&error.to_string());
            ExitCode::from(error.code())
        }
    }
}

async fn perform(command: Command) -> Result<(), CliError> {
    // These two need no settings, and a shell runs them when it starts.
    if !matches!(command, Command::Completions(_) | Command::Man(_)) {
        let unknown = settings::unknown().into_iter().filter(|unknown| unknown.name != config::VARIABLE);
        unknown.for_each(|unknown| eprintln!("unthrottle: warning: {unknown}"));
        config::load()?;
    }
    match command {
        Command::Replay(args) => replay::run(args).await,
        Command::Explain(args) => explain::run(args).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Keys(args) => keys::run(args).await,
        Command::Pause(args) => pause::run(args, pause::State::Paused).await,
        Command::Resume(args) => pause::run(args, pause::State::Resumed).await,
        Command::Watch(args) => watch::run(args).await,
        Command::Sweep(args) => sweep::run(args).await,
        Command::History(args) => history::run(args).await,
        Command::Restore(args) => restore::run(args).await,
        Command::Plan(args) => plan::run(*args).await,
        Command::Report(args) => report::run(args).await,
        Command::Runbook(args) => runbook::run(&args),
        Command::Arena(args) => arena::run(&args),
        Command::Backtest(args) => backtest::run(args).await,
        Command::Put(args) => put::run(args).await,
        Command::Smoke(args) => smoke::run(args).await,
        Command::Prove(args) => prove::run(*args).await,
        Command::Local(args) => local::run(args).await,
        Command::Config(args) => config::run(args),
        #[cfg(feature = "schema")]
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man(args) => man::run(&args, help::complete(Cli::command())),
    }
}
