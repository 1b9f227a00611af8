//! The clock of the account that a command calls, from the headers of its answers. For AWS it is the machine's clock. A
//! local account may run faster.

use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use unthrottle_lab::local::PACE_HEADER;

/// The clock of an account. Clones are the same clock. Add it to a client as an interceptor.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountClock(Arc<Mutex<Option<Reading>>>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    /// What the account's clock showed, in whole seconds.
    date: DateTime<Utc>,
    at: Instant,
    pace: u32,
}

impl AccountClock {
    fn reading(&self) -> Option<Reading> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many times as fast as the machine's clock it runs: 1 at AWS.
    pub fn pace(&self) -> u32 {
        self.reading().map_or(1, |reading| reading.pace)
    }

    /// The account's time now, to about a second of the account.
    pub fn now(&self) -> DateTime<Utc> {
        let Some(Reading { date, at, pace }) = self.reading() else { return Utc::now() };
        date + TimeDelta::from_std(at.elapsed() * pace).unwrap_or_default()
    }
}

/// Reads the headers of an answer.
#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for AccountClock {
    fn name(&self) -> &'static str {
        "AccountClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        let date = headers.get("date").and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        let pace = headers.get(PACE_HEADER).and_then(|pace| pace.parse().ok()).unwrap_or(1_u32).max(1);
        if let Some(date) = date {
            let reading = Reading { date: date.to_utc(), at: Instant::now(), pace };
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
        }
        Ok(())
    }
}
