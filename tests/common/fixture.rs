//! A local account, a person's SDK clients for it, and the handler that the Lambda runs.

#![allow(dead_code, reason = "each test binary uses its part")]

use crate::aws::{Aws, STREAM, STREAM_ARN, config, noon};
use chrono::{DateTime, Utc};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use unthrottle::aws::Clients;
use unthrottle::handler::{Handler, Reply};
use unthrottle_core::policy::Policy;
use unthrottle_core::signal::Home;
use unthrottle_lab::local::{Clock, Effect, Fault, LocalAccount, Options};

/// A fault of this many calls hits every call of a test.
pub const ALWAYS: u32 = u32::MAX;

pub struct Fixture {
    pub account: LocalAccount,
    pub aws: Aws,
    /// The policy of [`Fixture::handler`].
    pub policy: Policy,
    /// The newest minute of the epoch in which each stream was offered records.
    pub offered: Mutex<BTreeMap<String, i64>>,
}

/// An account whose clock stands at noon.
pub fn still() -> Options {
    Options { clock: Clock::standing_at(noon()), ..Options::default() }
}

/// An account on the machine's clock, the only clock that a binary knows. A change takes an hour, or until the test
/// ends it. So no test depends on the speed of the machine.
pub fn live() -> Options {
    Options { update_time: Duration::from_secs(3600), ..Options::default() }
}

impl Fixture {
    /// An account without streams.
    pub async fn start(options: Options) -> Fixture {
        let account = LocalAccount::start(options).await.expect("a free port");
        Fixture { aws: Aws::of(&account), account, policy: Policy::default(), offered: Mutex::default() }
    }

    /// An account with one stream.
    pub async fn with(shards: i32, options: Options) -> Fixture {
        let fixture = Fixture::start(options).await;
        fixture.aws.create(STREAM, shards).await;
        fixture.account.reset_calls();
        fixture
    }

    pub fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Fixture {
        change(&mut self.policy);
        self
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.account.now()
    }

    /// Advances a clock that stands.
    pub fn pass(&self, time: Duration) {
        self.account.clock().advance(time).expect("a clock that stands");
    }

    /// A container that remembers nothing. It reads the account's limits again, and AWS allows one such call a second:
    /// a clock that stands advances by a second.
    pub fn handler(&self) -> Handler {
        let _ = self.account.clock().advance(Duration::from_secs(1));
        let clients = Clients::new(&config(self.account.url()));
        Handler::new(clients, self.policy.clone()).on(self.account.clock().clone())
    }

    /// The reply of a new container to a person who asks about the stream.
    pub async fn ask(&self) -> Reply {
        ask(&self.handler(), STREAM).await
    }

    /// How many calls of this operation, such as `Kinesis.UpdateShardCount`, the account has received.
    pub fn calls(&self, operation: &str) -> u64 {
        self.account.calls().get(operation).copied().unwrap_or(0)
    }

    pub fn fault(&self, operation: &str, skip: u32, times: u32, effect: Effect) {
        self.account.add_fault(Fault { operation: operation.into(), skip, times, effect });
    }

    /// Refuses the next `times` calls of the operation with this error code.
    pub fn refuse(&self, operation: &str, times: u32, code: &str) {
        self.refuse_after(0, operation, times, code);
    }

    /// The same after `skip` more calls.
    pub fn refuse_after(&self, skip: u32, operation: &str, times: u32, code: &str) {
        let (code, message) = (code.into(), "says the test".into());
        self.fault(operation, skip, times, Effect::Error { status: 400, code, message });
    }
}

/// The account and region of the function.
pub fn home() -> Home {
    Home::of_arn(STREAM_ARN).expect("an ARN")
}

/// The reply of this container to a person who asks about a stream.
pub async fn ask(handler: &Handler, stream: &str) -> Reply {
    handler.handle(&json!({ "stream": stream }), &home()).await.expect("a decision")
}
