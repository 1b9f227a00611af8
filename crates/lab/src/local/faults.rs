//! Calls that fail on demand.

use super::connection::Connection;
use super::{Account, lock};
use axum::response::{IntoResponse, Response};
use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;
use unthrottle_core::clock::Clock as _;

/// A fault, and the calls that it hits.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The operation, of any service, in AWS's spelling: `UpdateShardCount`.
    pub operation: String,
    /// The number of calls that pass before the fault.
    pub skip: u32,
    /// The number of calls that the fault then hits.
    pub times: u32,
    /// The effect on these calls.
    pub effect: Effect,
}

/// The effect of a [`Fault`] on a call.
#[derive(Debug, Clone)]
pub enum Effect {
    /// The account carries out the call after this time on its clock, even if the client has given up. A standing clock
    /// moves on by this time.
    Delay(Duration),
    /// The account does not carry out the call, and answers with this error.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error code for the SDK, such as `LimitExceededException`.
        code: String,
        /// The error message.
        message: String,
    },
    /// The account does not carry out the call, and closes the connection.
    DropBefore,
    /// The account carries out the call, and closes the connection without an answer.
    DropAfter,
    /// The call waits until [`LocalAccount::release`](super::LocalAccount::release). Then the account carries it out.
    Hold,
    /// The account does not carry out the call, and never answers.
    HangBefore,
    /// The account carries out the call, and never answers.
    HangAfter,
}

/// Carries out `work`, a call of `operation`, unless a fault hits the call.
pub(super) async fn subject_to_faults(
    account: &Account,
    connection: &Connection,
    operation: &str,
    refuse: impl Fn(u16, &str, &str) -> Response,
    work: impl Future<Output = Response>,
) -> Response {
    let effect = next_effect(&mut lock(&account.faults), operation);
    match effect {
        None => return work.await,
        Some(Effect::Delay(time)) => {
            account.options.clock.sleep_until(account.now() + time).await;
            return work.await;
        }
        Some(Effect::Error { status, code, message }) => return refuse(status, &code, &message),
        Some(Effect::DropBefore) => {}
        Some(Effect::DropAfter) => drop(work.await),
        Some(Effect::Hold) => {
            hold(account).await;
            return work.await;
        }
        Some(Effect::HangBefore) => hang(account).await,
        Some(Effect::HangAfter) => {
            drop(work.await);
            hang(account).await;
        }
    }
    connection.cut();
    ().into_response()
}

async fn hang(account: &Account) {
    account.hanging.fetch_add(1, Ordering::Release);
    std::future::pending::<()>().await;
}

async fn hold(account: &Account) {
    let mut released = std::pin::pin!(account.released.notified());
    // Registered before the count goes up: a test that sees the call hang can then release it.
    released.as_mut().enable();
    account.hanging.fetch_add(1, Ordering::Release);
    released.await;
    account.hanging.fetch_sub(1, Ordering::Release);
}

/// The effect of the first fault that hits this call. A fault counts each call that it lets pass.
fn next_effect(faults: &mut Vec<Fault>, operation: &str) -> Option<Effect> {
    faults.retain(|fault| fault.times > 0);
    for fault in faults.iter_mut().filter(|f| f.operation == operation) {
        if fault.skip == 0 {
            fault.times -= 1;
            return Some(fault.effect.clone());
        }
        fault.skip -= 1;
    }
    None
}
