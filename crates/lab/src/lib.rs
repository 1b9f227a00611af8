//! The lab of unthrottle: two AWS accounts for tests and experiments, on one set of AWS's rules.
//!
//! - [`rules`]: AWS's limits. Both accounts apply them.
//! - [`local`]: an account over HTTP. Its clock can be moved. The Lambda's tests and `unthrottle replay` use it.
//! - [`sim`]: an account in virtual time, with workloads, other scalers, scores and faults. `unthrottle arena` and
//!   `unthrottle backtest` use it.

pub mod local;
pub mod rules;
pub mod sim;
