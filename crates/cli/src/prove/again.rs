//! A call again, where AWS refused the rate of calls: such a refusal says nothing of the call.

use super::time::Time;
use super::trouble::{Refusal, Tried, refused};
use std::time::Duration;

/// The pauses before the next attempts, together about a minute. AWS counts calls by the second, so a refusal that
/// stays for longer has another reason, or another caller makes too many calls. A longer time would add to each step.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(32),
];

/// Asks until AWS does not refuse the rate of calls. Returns the last answer.
///
/// # Errors
/// As `ask`.
pub(super) async fn again<T>(
    time: &Time,
    ask: impl AsyncFn() -> Tried<Result<T, Refusal>>,
) -> Tried<Result<T, Refusal>> {
    for pause in PAUSES {
        match ask().await? {
            Err(refusal) if refusal.is_of_rate() => time.sleep(pause).await,
            answer => return Ok(answer),
        }
    }
    ask().await
}

/// Asks as [`again`], for an answer that becomes a verdict.
///
/// # Errors
/// As `ask`. Or AWS still refuses the rate of calls, or the account is at a quota: neither is a verdict.
pub(super) async fn told<T>(
    time: &Time,
    call: &str,
    ask: impl AsyncFn() -> Tried<Result<T, Refusal>>,
) -> Tried<Result<T, Refusal>> {
    match again(time, ask).await? {
        Err(refusal) if refusal.is_of_account() => Err(refused(call, &refusal)),
        answer => Ok(answer),
    }
}
