//! What tests of the local account share: AWS's errors, and the clock that it begins with.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fmt::Debug;
use std::time::Duration;

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

/// How long anything may take that the test waits for: a bound, and no pace.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn code_and_message<E: ProvideErrorMetadata + Debug, R: Debug>(error: SdkError<E, R>) -> (String, String) {
    let code = error.code().unwrap_or_else(|| panic!("no service error: {error:?}"));
    (code.into(), error.message().unwrap_or_default().into())
}

/// The code of an error that must be one.
pub fn code<T: Debug, E: ProvideErrorMetadata + Debug, R: Debug>(answer: Result<T, SdkError<E, R>>) -> String {
    code_and_message(answer.expect_err("an error")).0
}

/// Waits for `event`, but not for ever.
pub async fn within<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("it did not come within {PATIENCE:?}"))
}
