//! The laboratory of unthrottle: an AWS account to try it on, twice, on one set of AWS's rules.
//!
//! - [`rules`]: AWS's limits, as both accounts apply them.
//! - [`local`]: an account over HTTP, with a clock that its owner moves. The Lambda's tests and `unthrottle replay` use it.
//! - [`sim`]: an account in virtual time, with workloads, other policies, scores and faults. `unthrottle arena` and
//!   `unthrottle backtest` use it.

pub mod local;
pub mod rules;
pub mod sim;
