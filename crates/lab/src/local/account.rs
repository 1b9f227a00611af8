//! The state of an account, which its services share.

use super::alarms::FleetAlarms;
use super::capacity::Ledger;
use super::eventbridge::Rule;
use super::faults::Fault;
use super::limits::Rates;
use super::metrics::Metrics;
use super::past::Shifts;
use super::records::Records;
use super::scheduler::Scheduler;
use super::stream_alarms::StreamAlarm;
use super::trail::{Trail, trail};
use super::transitions::Transitions;
use super::writes::Capacities;
use super::{Options, Published, lock};
use chrono::{DateTime, Utc};
use ferrokinesis::store::Store;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use tokio::sync::Notify;
use unthrottle_core::signal::{Home, StreamArn};

/// The state of an account.
pub(super) struct Account {
    pub(super) options: Options,
    pub(super) store: Store,
    /// Locked during each decision about a capacity change, so that two racing calls see each other.
    pub(super) ledger: tokio::sync::Mutex<Ledger>,
    /// The changes that AWS is carrying out.
    pub(super) transitions: Mutex<Transitions>,
    /// The write capacity that shards have left, by stream.
    pub(super) capacities: Mutex<HashMap<String, Capacities>>,
    pub(super) records: Records,
    pub(super) rates: Mutex<Rates>,
    pub(super) shifts: Mutex<Shifts>,
    pub(super) metrics: Mutex<Metrics>,
    /// The enabled shard-level metrics, by stream.
    pub(super) monitored: Mutex<HashMap<String, Vec<String>>>,
    /// Fields of summaries that a test has set, by stream.
    pub(super) described_as: Mutex<HashMap<String, serde_json::Value>>,
    pub(super) fleet_alarms: Mutex<FleetAlarms>,
    pub(super) stream_alarms: Mutex<Vec<StreamAlarm>>,
    pub(super) published: Mutex<Vec<Published>>,
    /// The EventBridge rules, by name or by `BUS/NAME`.
    pub(super) rules: Mutex<BTreeMap<String, Rule>>,
    pub(super) scheduler: Mutex<Scheduler>,
    pub(super) trail: Trail,
    pub(super) faults: Mutex<Vec<Fault>>,
    /// Calls that hang.
    pub(super) hanging: AtomicUsize,
    pub(super) released: Notify,
    pub(super) calls: Mutex<BTreeMap<String, u64>>,
}

impl Account {
    pub(super) fn new(options: Options, store: Store) -> Self {
        Self {
            options,
            store,
            ledger: Default::default(),
            transitions: Default::default(),
            capacities: Default::default(),
            records: Default::default(),
            rates: Default::default(),
            shifts: Default::default(),
            metrics: Default::default(),
            monitored: Default::default(),
            described_as: Default::default(),
            fleet_alarms: Default::default(),
            stream_alarms: Default::default(),
            published: Default::default(),
            rules: Default::default(),
            scheduler: Default::default(),
            trail: trail(),
            faults: Default::default(),
            hanging: Default::default(),
            released: Notify::new(),
            calls: Default::default(),
        }
    }

    pub(super) fn arn(&self, service: &str, kind: &str, name: &str) -> String {
        let Options { region, account, .. } = &self.options;
        format!("arn:aws:{service}:{region}:{account}:{kind}/{name}")
    }

    pub(super) fn stream_arn(&self, name: &str) -> String {
        self.arn("kinesis", "stream", name)
    }

    /// The ARN of a stream, in parts.
    pub(super) fn arn_of(&self, stream: &str) -> StreamArn {
        StreamArn { home: self.home(), name: stream.to_owned() }
    }

    pub(super) fn home(&self) -> Home {
        let Options { region, account, .. } = &self.options;
        Home { partition: "aws".into(), region: region.clone(), account: account.clone() }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.options.clock.now()
    }

    pub(super) fn count_call(&self, service: &str, operation: &str) {
        *lock(&self.calls).entry(format!("{service}.{operation}")).or_default() += 1;
    }
}
