//! An AWS account in this process: Kinesis, CloudWatch and a few calls of other services over one plain-HTTP port.
//!
//! Set `AWS_ENDPOINT_URL` to point AWS SDK clients, the Lambda binary or the AWS CLI at it. Any credentials work.
//!
//! A newcomer reads in this order:
//!
//! 1. Here: [`LocalAccount`], which starts and controls an account. [`Options`] are in `options`. `account` has the
//!    state that all services share.
//! 2. `routes`: the service of a request. `connection`, `service` and `protocol` have the HTTP parts, and `in_process`
//!    answers without a network. `faults`
//!    makes calls fail.
//! 3. Kinesis. `kinesis` checks each call. `capacity` has changes of streams, and `transitions` ends them in time.
//!    `writes`, `reads`, `subscribe`, `records` and `shards` have the data, `consumers` the registered consumers,
//!    `tags` the tags, and `limits` the rates of calls. `fleet` adds many streams at once. The crate `ferrokinesis`
//!    validates requests and stores streams and records.
//! 4. CloudWatch. `samples` counts the `AWS/Kinesis` metrics from real calls, and `metrics` stores them. `cloudwatch`,
//!    `insights`, `alarms` and `put_alarm` have queries and alarms.
//! 5. `trail` has the data events of CloudTrail.
//! 6. The few calls of the Resource Groups Tagging API (`tagging`), SNS (`sns`), STS (`sts`), EventBridge
//!    (`eventbridge`), EventBridge Scheduler (`scheduler`), Lambda (`lambda`) and the event history of CloudTrail
//!    (`cloudtrail`). `unserved` refuses all others.
//!
//! AWS's limits are in [`crate::rules`], which the simulator shares. All times come from one [`Clock`]: the machine's,
//! or a clock that a test moves.
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
mod cloudtrail;
mod cloudwatch;
mod connection;
mod consumers;
mod eventbridge;
mod faults;
mod fleet;
mod form;
mod in_process;
mod insights;
mod kinesis;
mod lambda;
mod limits;
mod log;
mod metrics;
mod options;
mod past;
mod protocol;
mod put_alarm;
mod reads;
mod records;
mod routes;
mod samples;
mod scheduler;
mod service;
mod shards;
mod sns;
mod stream_alarms;
mod sts;
mod subscribe;
mod tagging;
mod tags;
mod trail;
mod transitions;
mod unserved;
mod writes;

use account::Account;
use alarms::{FleetAlarm, Statistic};
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
use stream_alarms::StreamAlarm;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};

pub use clock::{Clock, ClockError};
pub use faults::{Effect, Fault};
pub use options::{Commitment, Options};
pub use trail::FailedCall;

/// A message that a client has published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The topic's ARN.
    pub topic: String,
    /// The subject; `None`: the message has none.
    pub subject: Option<String>,
    /// The message.
    pub message: String,
    /// The messages for single protocols, such as `https` (`MessageStructure` `json`).
    pub by_protocol: BTreeMap<String, String>,
    /// The message attributes by name; a binary one is in base64.
    pub attributes: BTreeMap<String, String>,
}

/// A running account. Clones are the same account. When the last clone is dropped, the server stops and all data is
/// lost.
#[derive(Clone)]
pub struct LocalAccount {
    account: Arc<Account>,
    routes: axum::Router,
    url: String,
    /// Dropped with the account. The drop stops the server.
    _stop: Arc<oneshot::Sender<()>>,
}

impl LocalAccount {
    /// Starts the account, and returns when it accepts connections.
    ///
    /// # Errors
    /// The port is in use, or [`Options::keep_bytes`] is zero.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        if options.keep_bytes == 0 {
            let problem = "the local account cannot keep records in 0 bytes: give it at least 1 byte";
            return Err(Error::new(ErrorKind::InvalidInput, problem));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let store = Store::new(store_options(&options));
        let account = Arc::new(Account::new(options, store));
        let routes = routes::routes(&account);
        let app = routes.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = axum::serve(Connections(listener), app.into_make_service_with_connect_info::<Connection>())
            .with_graceful_shutdown(async move {
                let _ = stopped.await;
            });
        tokio::spawn(server.into_future());
        Ok(Self { account, routes, url, _stop: Arc::new(stop) })
    }

    /// The address for clients, as `AWS_ENDPOINT_URL`: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The ARN of a stream of this name in this account. The stream need not exist.
    pub fn stream_arn(&self, name: &str) -> String {
        self.account.stream_arn(name)
    }

    /// The number of calls of each operation, as in `"Kinesis.UpdateShardCount"`. Every HTTP attempt counts, including
    /// retries, refused calls and calls with a fault.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        lock(&self.account.calls).clone()
    }

    /// Resets the numbers of [`LocalAccount::calls`].
    pub fn reset_calls(&self) {
        lock(&self.account.calls).clear();
    }

    /// Adds a fault, which makes coming calls fail.
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

    /// Ends all changes of streams and consumers now.
    pub async fn finish_changes(&self) {
        lock(&self.account.transitions).finish(self.now());
        transitions::settle(&self.account).await;
    }

    /// The calls that hang now: see [`Effect::Hold`], [`Effect::HangBefore`] and [`Effect::HangAfter`].
    pub fn hanging(&self) -> usize {
        self.account.hanging.load(Ordering::Acquire)
    }

    /// Continues the calls that are on hold now: see [`Effect::Hold`].
    pub fn release(&self) {
        self.account.released.notify_waiters();
    }

    /// Moves the past of the account back by this time: metrics in whole minutes, spent budgets, used capacity, and
    /// changes under way, streams and shards. Programs that know only the machine's clock need this, since no test can
    /// move that clock. Tags and records keep their times.
    pub async fn age(&self, by: Duration) {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        let account = &self.account;
        account.ledger.lock().await.age(by);
        lock(&account.metrics).age(by.num_minutes());
        lock(&account.transitions).age(by);
        lock(&account.shifts).add(account.now(), by);
        lock(&account.capacities).clear();
        *lock(&account.rates) = Rates::default();
        transitions::settle(account).await;
    }

    /// Forgets the calls of the last second: the next calls are within AWS's rates.
    pub fn forget_rates(&self) {
        *lock(&self.account.rates) = Rates::default();
    }

    /// Waits until the account drops its first record to keep within [`Options::keep_bytes`]. Returns once in the life
    /// of the account.
    pub async fn first_drop(&self) {
        self.account.records.first_drop().await;
    }

    /// Sets fields in the summary of a stream, for features that the account does not have, such as channels and
    /// queues. `null` removes a field. A second call replaces the first.
    pub fn describe_as(&self, stream: &str, fields: serde_json::Value) {
        lock(&self.account.described_as).insert(stream.into(), fields);
    }

    /// Adds one sample to any metric, `AWS/…` metrics included: for tests that would otherwise need hours of traffic.
    /// The sample counts in the minute of `timestamp`.
    pub fn put_metric(
        &self,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        timestamp: impl Into<SystemTime>,
        value: f64,
    ) {
        self.put_samples(namespace, name, dimensions, timestamp, (value, 1.0));
    }

    /// The same for many samples: the value of each, and their number.
    pub fn put_samples(
        &self,
        namespace: &str,
        name: &str,
        dimensions: &[(&str, &str)],
        timestamp: impl Into<SystemTime>,
        (value, times): (f64, f64),
    ) {
        let minute = metrics::minute_of(timestamp.into().into());
        let series = Series::new(namespace, name, dimensions);
        lock(&self.account.metrics).add_made_up(series, minute, &metrics::Stat::of(value, times));
    }

    /// Adds one sample to a metric of a stream of a linked account: this account is then a monitoring account of
    /// CloudWatch. Searches find it, and Metrics Insights queries without
    /// `WHERE AWS.AccountId = CURRENT_ACCOUNT_ID()`. `dimensions`: those of `AWS/Kinesis`.
    pub fn put_linked_metric(
        &self,
        name: &str,
        dimensions: &[(&str, &str)],
        timestamp: impl Into<SystemTime>,
        value: f64,
    ) {
        let linked = [dimensions, &[(insights::LINKED_ACCOUNT, "210987654321")]].concat();
        self.put_metric("AWS/Kinesis", name, &linked, timestamp, value);
    }

    /// Adds provisioned streams with these tags. They are ACTIVE at once: for fleets that no test can create within the
    /// quotas and rates. They count against the quotas of later calls.
    ///
    /// # Panics
    /// `shards` is zero.
    pub async fn add_streams(&self, names: impl IntoIterator<Item = String>, shards: u32, tags: &[(&str, &str)]) {
        assert!(shards > 0, "a stream has shards");
        for name in names {
            fleet::add_stream(&self.account, &name, shards, owned(tags)).await;
        }
    }

    /// Adds an alarm on a metric of `AWS/Kinesis` of all streams. Its contributors are the streams with a sum above
    /// zero in the newest three published minutes.
    pub fn add_fleet_alarm(&self, name: &str, metric: &str) {
        let alarm = FleetAlarm { metric: metric.into(), statistic: Statistic::Sum, threshold: 0.0 };
        lock(&self.account.fleet_alarms).insert(name.into(), alarm);
    }

    /// The same for streams with a maximum above the threshold in one of these minutes.
    pub fn add_fleet_alarm_on_maximum(&self, name: &str, metric: &str, threshold: f64) {
        let alarm = FleetAlarm { metric: metric.into(), statistic: Statistic::Maximum, threshold };
        lock(&self.account.fleet_alarms).insert(name.into(), alarm);
    }

    /// The data events that CloudTrail records from now on: the failed calls that write and read records. A receiver
    /// that is far behind misses the oldest ones.
    pub fn failed_calls(&self) -> broadcast::Receiver<FailedCall> {
        self.account.trail.subscribe()
    }

    /// Adds an alarm on a metric of `AWS/Kinesis` of one stream. `DescribeAlarms` lists it, and it has no state.
    pub fn add_alarm(&self, name: &str, stream: &str, metric: &str) {
        lock(&self.account.stream_alarms).push(StreamAlarm::on(name, stream, metric));
    }

    /// The messages that clients published to the account's topics, oldest first.
    pub fn published(&self) -> Vec<Published> {
        lock(&self.account.published).clone()
    }

    /// Adds an enabled EventBridge rule. `BUS/NAME` is a rule of another bus than the default.
    pub fn add_rule(&self, name: &str, tags: &[(&str, &str)]) {
        let pattern = ("EventPattern".to_owned(), r#"{"source":["aws.kinesis"]}"#.into());
        let rule = Rule { tags: owned(tags), is_enabled: true, settings: [pattern].into_iter().collect() };
        lock(&self.account.rules).insert(name.into(), rule);
    }

    /// Adds an enabled schedule to a group, and sets the group's tags.
    pub fn add_schedule(&self, group: &str, group_tags: &[(&str, &str)], name: &str) {
        let mut scheduler = lock(&self.account.scheduler);
        scheduler.groups.insert(group.into(), owned(group_tags));
        scheduler.add(&self.account, group, name);
    }

    /// Whether an enabled rule or an enabled schedule has this name.
    pub fn is_enabled(&self, name: &str) -> bool {
        let rule = lock(&self.account.rules).get(name).is_some_and(|rule| rule.is_enabled);
        rule || lock(&self.account.scheduler).is_enabled(name)
    }
}

fn owned(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

/// ferrokinesis only stores. It limits neither the records of a shard nor the number of shards.
fn store_options(options: &Options) -> StoreOptions {
    StoreOptions {
        shard_limit: u32::MAX,
        enforce_limits: false,
        aws_account_id: options.account.clone(),
        aws_region: options.region.clone(),
        ..StoreOptions::default()
    }
}

/// Locks a mutex. A panic in another thread leaves no half-written data here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
