//! An AWS account in this process: Kinesis, CloudWatch and a few calls of other services over one plain-HTTP port.
//!
//! Real AWS SDK clients, the Lambda binary and the AWS CLI can be pointed at it with
//! `AWS_ENDPOINT_URL`; any credentials do. The crate `ferrokinesis` checks requests and stores streams and records. The
//! layer in front of it has what depends on time and on AWS's limits: changes of streams (`capacity`, `transitions`),
//! shards' capacity (`writes`, `reads`), rates of calls (`limits`), tags (`tags`) and the `AWS/Kinesis` metrics of the
//! traffic that really came (`samples`). The limits themselves are in [`crate::rules`], which the simulator shares.
//! CloudWatch is ours (`cloudwatch`, `metrics`), and so is the little that there is of the Resource Groups Tagging API
//! (`tagging`), SNS (`sns`), EventBridge (`eventbridge`) and EventBridge Scheduler (`scheduler`).
//!
//! The account goes by one [`Clock`]: the machine's, or one that a test moves.
//!
//! ```no_run
//! # async fn demo() -> std::io::Result<()> {
//! use unthrottle_lab::local::{LocalAccount, Options};
//! let account = LocalAccount::start(Options::default()).await?;
//! println!("export AWS_ENDPOINT_URL={}", account.url());
//! # Ok(()) }
//! ```

mod account;
mod alarms;
mod capacity;
mod clock;
mod cloudwatch;
mod connection;
mod consumers;
mod eventbridge;
mod faults;
mod fleet;
mod insights;
mod kinesis;
mod limits;
mod metrics;
mod options;
mod protocol;
mod reads;
mod records;
mod routes;
mod samples;
mod scheduler;
mod service;
mod shards;
mod sns;
mod subscribe;
mod tagging;
mod tags;
mod transitions;
mod writes;

use account::Account;
use chrono::{DateTime, TimeDelta, Utc};
use connection::{Connection, Connections};
use eventbridge::Rule;
use ferrokinesis::store::{Store, StoreOptions};
use limits::Rates;
use metrics::Series;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use clock::{Clock, ClockError};
pub use faults::{Effect, Fault};
pub use options::{Commitment, Options};

/// A message that somebody has published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The topic's ARN.
    pub topic: String,
    /// The subject, where there is one.
    pub subject: Option<String>,
    /// The message.
    pub message: String,
    /// The message attributes by name; a binary one is in base64.
    pub attributes: BTreeMap<String, String>,
}

/// A running account. Copies are the same account; dropping the last one stops the server, and everything in it is lost.
#[derive(Clone)]
pub struct LocalAccount {
    account: Arc<Account>,
    url: String,
    /// Dropped with the account, which is what tells the server to stop.
    _stop: Arc<oneshot::Sender<()>>,
}

impl LocalAccount {
    /// Opens the account, and returns when it accepts connections.
    ///
    /// # Errors
    /// The port is taken, or the account may keep no byte of records.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        if options.keep_bytes == 0 {
            let problem = "a local account that keeps no records serves none: give it at least 1 byte";
            return Err(Error::new(ErrorKind::InvalidInput, problem));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let store = Store::new(store_options(&options));
        let account = Arc::new(Account::new(options, store));
        let app = routes::routes(&account);
        let (stop, stopped) = oneshot::channel::<()>();
        let server = axum::serve(Connections(listener), app.into_make_service_with_connect_info::<Connection>())
            .with_graceful_shutdown(async move {
                let _ = stopped.await;
            });
        tokio::spawn(server.into_future());
        Ok(Self { account, url, _stop: Arc::new(stop) })
    }

    /// The address to give to clients as `AWS_ENDPOINT_URL`: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The ARN that a stream of this name has, or would have, in this account.
    pub fn stream_arn(&self, name: &str) -> String {
        self.account.stream_arn(name)
    }

    /// How often each operation was called, as in `"Kinesis.UpdateShardCount"`. Every HTTP attempt
    /// counts: retried, refused and faulted ones too.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        lock(&self.account.calls).clone()
    }

    /// Forgets the calls made so far.
    pub fn reset_calls(&self) {
        lock(&self.account.calls).clear();
    }

    /// Makes coming calls go wrong.
    pub fn add_fault(&self, fault: Fault) {
        lock(&self.account.faults).push(fault);
    }

    /// The clock of the account.
    pub fn clock(&self) -> &Clock {
        &self.account.options.clock
    }

    /// The time in the account.
    pub fn now(&self) -> DateTime<Utc> {
        self.account.now()
    }

    /// Ends all changes of streams and consumers that are under way, now.
    pub async fn finish_changes(&self) {
        lock(&self.account.transitions).finish(self.now());
        transitions::settle(&self.account).await;
    }

    /// How many calls hang now: see [`Effect::Hold`], [`Effect::HangBefore`] and [`Effect::HangAfter`].
    pub fn hanging(&self) -> usize {
        self.account.hanging.load(Ordering::Acquire)
    }

    /// Lets the calls go on that are held now: see [`Effect::Hold`].
    pub fn release(&self) {
        self.account.released.notify_waiters();
    }

    /// Makes all that has happened this much older: metrics in whole minutes, spent budgets, used capacity, and changes
    /// under way. For programs that know only the machine's clock, which no test can move. Streams, tags and records keep
    /// their times.
    pub async fn age(&self, by: Duration) {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        let account = &self.account;
        account.ledger.lock().await.age(by);
        lock(&account.metrics).age(by.num_minutes());
        lock(&account.transitions).age(by);
        lock(&account.capacities).clear();
        *lock(&account.rates) = Rates::default();
        transitions::settle(account).await;
    }

    /// Waits until the account drops its first record because it keeps no more than [`Options::keep_bytes`]. Returns once
    /// in the life of the account.
    pub async fn first_drop(&self) {
        self.account.records.first_drop().await;
    }

    /// Shows these fields in the summary of a stream, whatever they are: for what the account cannot make, such as
    /// channels and queues. `null` leaves a field out. A second call replaces the first.
    pub fn describe_as(&self, stream: &str, fields: serde_json::Value) {
        lock(&self.account.described_as).insert(stream.into(), fields);
    }

    /// Puts one sample into any metric, `AWS/…` ones too: for what would otherwise need hours of
    /// traffic. Its minute is the one that `timestamp` lies in.
    pub fn put_metric(
        &self,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        timestamp: impl Into<SystemTime>,
        value: f64,
    ) {
        let minute = metrics::minute_of(timestamp.into().into());
        let series = Series::new(namespace, name, dimensions);
        lock(&self.account.metrics).add(series, minute, &metrics::Stat::of(value, 1.0));
    }

    /// Adds provisioned streams that are ACTIVE at once, with these tags: for what no test could create within the
    /// quotas and rates. They count against the quotas of what comes later.
    ///
    /// # Panics
    /// Without shards.
    pub async fn add_streams(&self, names: impl IntoIterator<Item = String>, shards: u32, tags: &[(&str, &str)]) {
        assert!(shards > 0, "a stream has shards");
        for name in names {
            fleet::add_stream(&self.account, &name, shards, owned(tags)).await;
        }
    }

    /// Adds an alarm on a metric of `AWS/Kinesis` of all streams. Its contributors are the streams whose sum is above
    /// zero in the newest three minutes that are published.
    pub fn add_fleet_alarm(&self, name: &str, metric: &str) {
        lock(&self.account.fleet_alarms).insert(name.into(), metric.into());
    }

    /// What was published to the account's topics, oldest first.
    pub fn published(&self) -> Vec<Published> {
        lock(&self.account.published).clone()
    }

    /// Adds an enabled EventBridge rule; `BUS/NAME` is one of another bus than the default.
    pub fn add_rule(&self, name: &str, tags: &[(&str, &str)]) {
        let rule = Rule { tags: owned(tags), is_enabled: true };
        lock(&self.account.rules).insert(name.into(), rule);
    }

    /// Adds an enabled schedule to a group, which gets these tags.
    pub fn add_schedule(&self, group: &str, group_tags: &[(&str, &str)], name: &str) {
        let mut scheduler = lock(&self.account.scheduler);
        scheduler.groups.insert(group.into(), owned(group_tags));
        scheduler.add(&self.account, group, name);
    }

    /// Whether there is an enabled rule, or an enabled schedule, of this name.
    pub fn is_enabled(&self, name: &str) -> bool {
        let rule = lock(&self.account.rules).get(name).is_some_and(|rule| rule.is_enabled);
        rule || lock(&self.account.scheduler).is_enabled(name)
    }
}

fn owned(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// ferrokinesis stores, and limits nothing: not how much a shard takes, and not how many shards there are.
fn store_options(options: &Options) -> StoreOptions {
    StoreOptions {
        shard_limit: u32::MAX,
        enforce_limits: false,
        aws_account_id: options.account.clone(),
        aws_region: options.region.clone(),
        ..StoreOptions::default()
    }
}

/// Locks; a panic elsewhere leaves nothing half-written here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
