//! The run of an alarm. An alarm fires once, so its run stays while the load has just begun.

use crate::error::Error;
use crate::handler::{Handler, Reply};
use crate::sweep::{AGAIN_EVERY, RESERVED};
use chrono::{DateTime, Utc};
use unthrottle_core::signal::{Home, Signal};

/// Handles a signal. The run of an alarm looks again each minute while the newest minutes show only a part of the load.
/// `until`: when Lambda stops the function; no look begins that could end later. `each` gets the reply of each look but
/// the last.
///
/// # Errors
/// See [`Error`]. A hold is no error.
pub async fn run_until(
    handler: &Handler,
    signal: &Signal,
    home: &Home,
    until: DateTime<Utc>,
    mut each: impl FnMut(&Reply),
) -> Result<Reply, Error> {
    // With one run at a time, each event would wait until this one ends.
    let may_stay = matches!(signal, Signal::Alarm(_)) && handler.policy().sweep_may_stay();
    loop {
        let begun = handler.clock().now();
        let reply = handler.run(signal, home).await?;
        let next = (begun + AGAIN_EVERY).max(handler.clock().now());
        if !(may_stay && reply.decision.is_onset()) || next + RESERVED > until {
            return Ok(reply);
        }
        each(&reply);
        handler.clock().sleep_until(next).await;
    }
}
