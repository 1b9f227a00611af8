//! Why a command failed, and its exit code.

use crate::aws::denied;
use crate::files::is_wrong_path;
use crate::replay::BadSetting;
use std::path::PathBuf;
use unthrottle::aws::Cause;
use unthrottle::settings::SettingsError;
use unthrottle_core::report::Denied;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A file does not hold JSON.
    #[error("{}: not JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The place in the file, and the problem.
        source: serde_json::Error,
    },
    /// A line of a file cannot be used.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The problem, and what would be right.
        problem: String,
    },
    /// An event cannot be understood.
    #[error("{}: {source}", path.display())]
    Event {
        /// The file.
        path: PathBuf,
        /// The field, and the problem.
        source: unthrottle_core::signal::SignalError,
    },
    /// A scenario cannot be used.
    #[error("{}: field `{field}`: {problem}", path.display())]
    Scenario {
        /// The file.
        path: PathBuf,
        /// The path of the field in the file. `.` is the whole file.
        field: String,
        /// The problem, and what would be right.
        problem: String,
    },
    /// The arguments cannot be used.
    #[error("{0}")]
    Usage(String),
    /// A value of a file cannot be used, as a call showed.
    #[error("{place}: {source}")]
    Value {
        /// The file, the line and the field.
        place: String,
        /// What the value caused.
        source: Box<CliError>,
    },
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingsError),
    /// A setting of a scenario, or one of the environment beside it, cannot be used.
    #[error(transparent)]
    ScenarioSetting(#[from] BadSetting),
    /// The handler failed.
    #[error(transparent)]
    Handler(unthrottle::Error),
    /// A call of this command failed.
    #[error("{call} failed: {source}")]
    Aws {
        /// The call.
        call: &'static str,
        /// The error of the SDK with its causes.
        source: Cause,
    },
    /// The account has nothing that the command could use.
    #[error("{0}")]
    Missing(String),
    /// A check of the command failed.
    #[error("{0}")]
    Broken(String),
    /// The command did only a part, or nothing.
    #[error("{0}")]
    Partly(String),
    /// The command did its work, and found what the user wants to fail for.
    #[error("{0}")]
    Found(String),
    /// The local account, or the output, failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// An expectation of `smoke` does not hold.
    #[error("{0}")]
    Missed(String),
    /// The input of `put` ended with an error.
    #[error("{source}{rest}")]
    Input {
        /// The line, and the problem.
        source: unthrottle_writer::InputError,
        /// What was written before, and what was not read.
        rest: String,
    },
    /// The file of lost records cannot be used.
    #[error(transparent)]
    DeadLetters(#[from] unthrottle_writer::DeadLettersError),
    /// The clock of the local account cannot go to a time.
    #[error(transparent)]
    Clock(#[from] unthrottle_lab::local::ClockError),
    /// An expected answer or state did not come.
    #[error("{0}")]
    Late(String),
}

/// A denied read of the handler is one of the person who runs the command, and not of the function's role.
impl From<unthrottle::Error> for CliError {
    fn from(error: unthrottle::Error) -> CliError {
        match error.denied() {
            Some(Denied { action, why }) => CliError::Partly(denied(&action, &why)),
            None => CliError::Handler(error),
        }
    }
}

impl CliError {
    /// The exit code of the process. 2: the user can correct the command or its files. 3: the command found what the
    /// user wants to fail for, or an expectation was missed. 1: everything else.
    pub(crate) fn code(&self) -> u8 {
        match self {
            CliError::Value { source, .. } => source.code(),
            CliError::File { source, .. } | CliError::Unwritten { source, .. } if !is_wrong_path(source) => 1,
            CliError::File { .. }
            | CliError::Unwritten { .. }
            | CliError::Json { .. }
            | CliError::Event { .. }
            | CliError::Scenario { .. }
            | CliError::Line { .. } => 2,
            CliError::Input { source: unthrottle_writer::InputError::Letter { .. }, .. }
            | CliError::DeadLetters(unthrottle_writer::DeadLettersError::Other { .. }) => 2,
            CliError::DeadLetters(unthrottle_writer::DeadLettersError::Io { source, .. })
            | CliError::Input { source: unthrottle_writer::InputError::Io { source, .. }, .. }
                if is_wrong_path(source) =>
            {
                2
            }
            CliError::Input { .. } | CliError::DeadLetters(_) => 1,
            CliError::Missed(_) => 3,
            CliError::Usage(_)
            | CliError::Setting(_)
            | CliError::ScenarioSetting(_)
            | CliError::Handler(unthrottle::Error::Signal(_)) => 2,
            CliError::Found(_) => 3,
            CliError::Missing(_) | CliError::Broken(_) | CliError::Partly(_) => 1,
            CliError::Handler(_) | CliError::Aws { .. } | CliError::Io(_) | CliError::Clock(_) | CliError::Late(_) => 1,
        }
    }
}
