//! Every AWS call: the clients, what is read, what is changed, what is published, and whom it notifies.

mod account;
mod apply;
mod clients;
mod error;
mod notify;
mod publish;
pub mod read;
mod warm_up;

pub use account::AwsAccount;
pub use clients::{ATTEMPT, ATTEMPT_ONCE, CALL, Clients};
pub use error::{ApplyError, AwsError, Cause, ReadError};
pub use notify::Notifier;
pub use publish::send_healed;
