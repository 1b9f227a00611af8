//! Every AWS call: the clients, the reads, the changes, the metrics and the messages.

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
