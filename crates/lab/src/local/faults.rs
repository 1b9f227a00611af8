//! Calls that go wrong on demand.

use super::connection::Connection;
use super::{Account, lock};
use axum::response::{IntoResponse, Response};
use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;
use unthrottle_core::clock::Clock as _;

/// What shall go wrong, and when.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The operation, of any service, as AWS names it: `UpdateShardCount`.
    pub operation: String,
    /// How many calls of the operation pass unharmed first.
    pub skip: u32,
    /// How many calls after those are hit.
    pub times: u32,
    /// What happens to them.
    pub effect: Effect,
}

/// What happens to a call that a [`Fault`] hits.
#[derive(Debug, Clone)]
pub enum Effect {
    /// It is carried out after this time on the account's clock, even if the client has given up by then. A clock that
    /// stands moves on by it.
    Delay(Duration),
    /// It is not carried out, and answered with this error.
    Error {
        /// The HTTP status.
        status: u16,
        /// The error code that the SDK shall see, such as `LimitExceededException`.
        code: String,
        /// The error message.
        message: String,
    },
    /// It is not carried out, and the connection is closed.
    DropBefore,
    /// It is carried out, and the connection is closed instead of answered.
    DropAfter,
    /// It waits until [`LocalAccount::release`](super::LocalAccount::release), and is carried out then.
    Hold,
    /// It is not carried out, and never answered.
    HangBefore,
    /// It is carried out, and never answered.
    HangAfter,
}

/// Carries out `work`, a call of `operation`, unless a fault hits it.
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
    // Registered before it is counted, so that a test which sees the call hang can release it.
    released.as_mut().enable();
    account.hanging.fetch_add(1, Ordering::Release);
    released.await;
    account.hanging.fetch_sub(1, Ordering::Release);
}

/// The effect of the first fault that is due. A call that a fault lets pass is counted by it.
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
