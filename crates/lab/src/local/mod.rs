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
mod protocol;
mod reads;
mod records;
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

use std::collections::{BTreeMap, HashMap};
use std::io::{Error, ErrorKind};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use chrono::{DateTime, TimeDelta, Utc};
use ferrokinesis::store::{Store, StoreOptions};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};

use alarms::FleetAlarms;
use capacity::Ledger;
use connection::{Line, Lines};
use eventbridge::Rule;
use limits::Rates;
use metrics::{Metrics, Series};
use protocol::Protocol;
use records::Records;
use scheduler::Scheduler;
use transitions::Transitions;
use writes::Capacities;

use unthrottle_core::signal::{Home, StreamArn};

pub use clock::{Clock, ClockError};
pub use faults::{Effect, Fault};

/// What the account is like. [`Default`] is a small account that answers as fast as AWS ever has.
#[derive(Debug, Clone)]
pub struct Options {
    /// The TCP port on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// The 12-digit account id.
    pub account: String,
    /// The one region that the account is in.
    pub region: String,
    /// What time it is in the account.
    pub clock: Clock,
    /// How many bytes of records the account keeps. Records are stored as base64, and each takes about 450 bytes beside its
    /// data. The oldest are dropped first.
    pub keep_bytes: u64,
    /// How long a new stream is `CREATING`, and a deleted one `DELETING`. Half a second: nothing is learned from waiting longer.
    pub create_time: Duration,
    /// How long a stream is `UPDATING` after a change. 4 s: the fastest change observed on AWS (a
    /// mode switch; 2 → 3 shards took 14 s).
    pub update_time: Duration,
    /// Quota of open shards of all provisioned streams together. 500: AWS's own default is 1,000 to
    /// 20,000, this one can be reached by a test.
    pub shard_limit: u32,
    /// Quota of on-demand streams. 50: AWS's default.
    pub on_demand_limit: u32,
    /// How long after its end a minute of an `AWS/…` metric becomes readable. Zero: at once, even
    /// while the minute still runs. On AWS it is one to three minutes. Metrics that clients put
    /// are readable at once in any case.
    pub metric_lag: Duration,
    /// The minimum-throughput billing commitment (On-demand Advantage), which warm throughput needs.
    pub commitment: Commitment,
    /// Datapoints that one answer of `GetMetricData` has at most. 100,800: AWS's limit, which few requests reach.
    pub datapoints_per_page: usize,
}

/// What `DescribeAccountSettings` says of the minimum-throughput billing commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commitment {
    /// Nothing, which means that there is none.
    Absent,
    /// `DISABLED`.
    Disabled,
    /// `ENABLED`.
    Enabled,
    /// `ENABLED_UNTIL_EARLIEST_ALLOWED_END`: its end is asked for, and has not come.
    EnabledUntilEarliestAllowedEnd,
}

impl Commitment {
    fn is_enabled(self) -> bool {
        matches!(self, Self::Enabled | Self::EnabledUntilEarliestAllowedEnd)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            account: "123456789012".into(),
            region: "us-east-1".into(),
            clock: Clock::real(),
            keep_bytes: KEEP_BYTES,
            create_time: Duration::from_millis(500),
            update_time: Duration::from_secs(4),
            shard_limit: 500,
            on_demand_limit: 50,
            metric_lag: Duration::ZERO,
            commitment: Commitment::Disabled,
            datapoints_per_page: 100_800,
        }
    }
}

/// 256 MiB: minutes of a flood on a few shards, for readers that keep up, and little beside an editor.
const KEEP_BYTES: u64 = 256 << 20;

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
        let app = Router::new()
            .route("/service/{service}/operation/{operation}", post(by_path))
            .fallback(by_target)
            .with_state(account.clone())
            .merge(scheduler::routes(account.clone()));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = axum::serve(Lines(listener), app.into_make_service_with_connect_info::<Line>())
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

/// What a target or a path calls the services.
const KINESIS: &str = "Kinesis_20131202";
const CLOUDWATCH: &str = "GraniteServiceVersion20100801";
const TAGGING: &str = "ResourceGroupsTaggingAPI_20170126";
const EVENTBRIDGE: &str = "AWSEvents";

/// The JSON protocols name the operation in a header, the query protocol in its form.
async fn by_target(
    State(account): State<Arc<Account>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let target = request.headers().get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok());
    match target.and_then(|target| target.split_once('.')) {
        Some((KINESIS, operation)) => {
            let operation = operation.to_owned();
            kinesis::serve(account, line, operation, request).await
        }
        Some((CLOUDWATCH, operation)) => {
            let operation = operation.to_owned();
            cloudwatch::serve(account, line, Protocol::Json, operation, request).await
        }
        Some((TAGGING, operation)) => {
            let operation = operation.to_owned();
            tagging::serve(account, line, operation, request).await
        }
        Some((EVENTBRIDGE, operation)) => {
            let operation = operation.to_owned();
            eventbridge::serve(account, line, operation, request).await
        }
        None if sns::is_form(&request) => sns::serve(account, line, request).await,
        _ => kinesis::not_served(target.unwrap_or("a request without a target")),
    }
}

/// RPC v2 CBOR names it in the path.
async fn by_path(
    State(account): State<Arc<Account>>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path((service, operation)): Path<(String, String)>,
    request: Request,
) -> Response {
    match service.as_str() {
        CLOUDWATCH => cloudwatch::serve(account, line, Protocol::Cbor, operation, request).await,
        other => kinesis::not_served(other),
    }
}

/// What the services share.
struct Account {
    options: Options,
    store: Store,
    /// Taken for as long as a capacity change is decided, so that two racing calls see each other.
    ledger: tokio::sync::Mutex<Ledger>,
    /// What AWS is busy with.
    transitions: Mutex<Transitions>,
    /// What shards have left of their write capacity, by stream.
    capacities: Mutex<HashMap<String, Capacities>>,
    records: Records,
    rates: Mutex<Rates>,
    metrics: Mutex<Metrics>,
    /// Which shard-level metrics are switched on, by stream.
    monitored: Mutex<HashMap<String, Vec<String>>>,
    /// Fields of summaries that are shown as a test wants them, by stream.
    described_as: Mutex<HashMap<String, serde_json::Value>>,
    fleet_alarms: Mutex<FleetAlarms>,
    published: Mutex<Vec<Published>>,
    /// By name, or by `BUS/NAME`.
    rules: Mutex<BTreeMap<String, Rule>>,
    scheduler: Mutex<Scheduler>,
    faults: Mutex<Vec<Fault>>,
    /// Calls that are not answered.
    hanging: AtomicUsize,
    released: Notify,
    calls: Mutex<BTreeMap<String, u64>>,
}

impl Account {
    fn new(options: Options, store: Store) -> Self {
        Self {
            options,
            store,
            ledger: Default::default(),
            transitions: Default::default(),
            capacities: Default::default(),
            records: Default::default(),
            rates: Default::default(),
            metrics: Default::default(),
            monitored: Default::default(),
            described_as: Default::default(),
            fleet_alarms: Default::default(),
            published: Default::default(),
            rules: Default::default(),
            scheduler: Default::default(),
            faults: Default::default(),
            hanging: Default::default(),
            released: Notify::new(),
            calls: Default::default(),
        }
    }

    fn arn(&self, service: &str, kind: &str, name: &str) -> String {
        let Options { region, account, .. } = &self.options;
        format!("arn:aws:{service}:{region}:{account}:{kind}/{name}")
    }

    fn stream_arn(&self, name: &str) -> String {
        self.arn("kinesis", "stream", name)
    }

    /// The same in parts.
    fn arn_of(&self, stream: &str) -> StreamArn {
        StreamArn { home: self.home(), name: stream.to_owned() }
    }

    fn home(&self) -> Home {
        let Options { region, account, .. } = &self.options;
        Home { partition: "aws".into(), region: region.clone(), account: account.clone() }
    }

    fn now(&self) -> DateTime<Utc> {
        self.options.clock.now()
    }

    fn count_call(&self, service: &str, operation: &str) {
        *lock(&self.calls).entry(format!("{service}.{operation}")).or_default() += 1;
    }
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
