//! The doctor's checks: from what was read of a stream to findings. Each check is one small pure function.
//!
//! A newcomer reads in this order:
//!
//! 1. [`Readings`]: what was read. A read that failed is part of it, and a check that needs it finds `unknown`.
//! 2. [`CHECKS`]: the table of all checks. A new check is a function, a row there, a row in `docs/doctor.md`, and a
//!    test.
//! 3. [`advise`]: the checks that the document of a decision has, too.
//! 4. `capacity`, `producers`, `consumers`, `pollers`, `lambda`, `lambda_load`, `security`, `money` and `own`: the
//!    checks of each group.
//!    `aggregation`, `control_plane`, `kcl` and `rights` have one check each.

mod advice;
mod aggregation;
mod capacity;
mod consumers;
mod control_plane;
mod extras;
mod finding;
mod fix;
#[cfg(test)]
mod fixture;
mod kcl;
mod key_policy;
mod lambda;
mod lambda_load;
#[cfg(test)]
mod lambda_tests;
mod load;
mod money;
mod own;
mod pollers;
mod producers;
#[cfg(test)]
mod reader_tests;
mod readings;
mod rights;
mod security;
mod table;
#[cfg(test)]
mod unread_tests;

pub use advice::{Advice, advise};
pub use consumers::NEWEST_OF_READERS;
pub use extras::{Allowed, Key, Lease, Leases, OnDemandCost, Rights, Sample, ThrottledCaller, ThrottledCalls};
pub use finding::{Evidence, Finding, Group, Status};
pub use lambda::unqualified;
pub use lambda_load::unreserved_executions;
pub use money::{KNOWN_AFTER, may_need_fewer_shards, on_demand_cost};
pub use readings::{Alarm, Consumer, LambdaMetrics, LambdaReader, Point, Read, Readings, Series, Unread};
pub use table::{CHECKS, Check, check, find};
