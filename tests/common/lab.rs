//! What tests of the local account share: AWS's errors, and the clock that its metrics go by.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

pub fn code_and_message<E: ProvideErrorMetadata + Debug, R: Debug>(error: SdkError<E, R>) -> (String, String) {
    let code = error.code().unwrap_or_else(|| panic!("no service error: {error:?}"));
    (code.into(), error.message().unwrap_or_default().into())
}

/// The code of an error that must be one.
pub fn code<T: Debug, E: ProvideErrorMetadata + Debug, R: Debug>(answer: Result<T, SdkError<E, R>>) -> String {
    code_and_message(answer.expect_err("an error")).0
}

pub fn minute_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    (now.as_secs() / 60) as i64
}

/// Keeps what must happen within one minute away from its end: `needed` is left of it.
pub async fn early_in_the_minute(needed: Duration) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let left = Duration::from_millis(60_000 - now.as_millis() as u64 % 60_000);
    if left < needed {
        tokio::time::sleep(left).await;
    }
}
