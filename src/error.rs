//! Why an invocation failed.

use crate::aws::{AwsError, ReadError};
use unthrottle_core::report::Denied;
use unthrottle_core::run::OBSERVATION_GOOD_FOR;
use unthrottle_core::signal::SignalError;

/// Why an invocation failed. Nothing was changed, unless the error says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The event could not be understood.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// A call of AWS's failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The function does not know its account and region.
    #[error("`{function}` is not the ARN of a function: it must name the account and region to act in")]
    Homeless {
        /// What the runtime gave as the function's ARN.
        function: String,
    },
    /// One stream of a sweep took longer than any stream should.
    #[error(
        "the check of `{stream}` took too long and was given up: AWS or the network is slow. The next check finishes \
         what it began"
    )]
    GivenUp {
        /// The stream.
        stream: String,
    },
    /// The sweep did not find the streams that need a check in the time that it has.
    #[error("the streams that need a check were not found in time: AWS or the network is slow. Nothing was changed")]
    SweepTooSlow,
    /// Everything took too long for a safe change.
    #[error(
        "`{stream}` could not be observed and changed within {} s, twice: AWS or the network is slow. Nothing was \
         changed",
        OBSERVATION_GOOD_FOR.as_secs()
    )]
    TooSlow {
        /// The stream.
        stream: String,
    },
}

impl Error {
    /// The stable code: the Lambda's `errorType`, and the `Reason` of its metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Signal(_) => "bad_event",
            Error::Aws(AwsError::Read(_)) => "read_failed",
            Error::Aws(AwsError::Apply(_)) => "act_failed",
            Error::Homeless { .. } => "homeless",
            Error::TooSlow { .. } | Error::GivenUp { .. } | Error::SweepTooSlow => "too_slow",
        }
    }

    /// The action that AWS denied, and its words. `None`: the invocation failed for another reason.
    pub fn denied(&self) -> Option<Denied> {
        match self {
            Error::Aws(error) => error.denied(),
            _ => None,
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Error {
        Error::Aws(error.into())
    }
}
