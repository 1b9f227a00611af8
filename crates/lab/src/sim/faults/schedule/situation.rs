//! A stream, its load, and the permissions.

use crate::sim::account::Account;
use crate::sim::keys::Keys;
use crate::sim::load::Load;
use crate::sim::retry::Retry;
use crate::sim::world::Setup;
use std::sync::LazyLock;
use unthrottle_core::cost::Prices;
use unthrottle_core::observation::CapacityMode;
use unthrottle_core::policy::{Permission, Policy};

/// A maximum of shards that no schedule reaches.
pub(in crate::sim::faults) const MANY_SHARDS: u32 = 100;

/// Bytes of a record: 1,000 records a second fill a shard by their number.
const RECORD_BYTES: u64 = 500;

/// Records a second of a stream with a hot key. The key has 60 %: one and a half shards.
const HOT_RECORDS: f64 = 2_500.0;

/// The load of an idle stream, as a share of its capacity.
const IDLE: f64 = 0.1;

/// Keys of a producer with even keys: each of twenty shards has hundreds of them. With fewer, a shard in twenty would
/// be hot by chance, and its stream would end as skewed.
const KEYS: u32 = 4_000;

/// The topic of the messages: without a topic, unthrottle sends no message.
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:unthrottle";

/// A stream, its load, and the permissions.
#[derive(Clone, Debug, PartialEq)]
pub struct Situation {
    /// The problem of the stream.
    pub kind: Kind,
    /// Shards at the beginning.
    pub shards: u32,
    /// The load at the beginning, as a multiple of the shards' capacity.
    pub load: f64,
    /// The maximum of shards.
    pub max_shards: u32,
    /// Whether unthrottle may switch to on-demand mode.
    pub on_demand: bool,
    /// Whether unthrottle may enable shard-level metrics.
    pub diagnose: bool,
    /// Whether unthrottle restores a raise after an hour.
    pub restore: bool,
    /// The maximum of changes an hour.
    pub changes_an_hour: u32,
    /// The maximum of USD an hour.
    pub usd_an_hour: Option<f64>,
    /// Whether half of the containers are of an older release.
    pub older: bool,
}

/// The problem of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// It has too few shards.
    Short,
    /// One key has more than the capacity of a shard, and the other keys have little.
    HotKey,
    /// It is idle except for a few seconds of each minute.
    Bursts,
    /// It is in on-demand mode, with more load than the capacity of its shards.
    OnDemand,
    /// Too few shards, and the account may open few more.
    NearQuota,
    /// Too few shards, and most reshards of the day are spent.
    BudgetNearlySpent,
    /// Too few shards, and a person has switched unthrottle off for it.
    OptedOut,
    /// unthrottle raised it two hours ago, and it has too many shards.
    Raised,
    /// It has too many shards, and a person has chosen them.
    Roomy,
    /// The same in on-demand mode, which a person has chosen.
    RoomyOnDemand,
}

impl Situation {
    /// New records a second, at least.
    pub(in crate::sim::faults) fn new_records_a_second(&self) -> f64 {
        match self.kind {
            Kind::HotKey => HOT_RECORDS,
            Kind::Bursts => IDLE * self.full(),
            _ => self.load * self.full(),
        }
    }

    /// Records a second that the shards accept at the beginning.
    fn full(&self) -> f64 {
        f64::from(self.shards) * 1_000.0
    }

    /// The cost of the load on this number of shards, in USD an hour. AWS charges no record that they do not take.
    pub(in crate::sim::faults) fn usd_an_hour_for(&self, prices: &Prices, shards: f64) -> f64 {
        // Each record is one unit: they are small.
        self.new_records_a_second().min(shards * 1_000.0) * 3_600.0 / 1e6 * prices.put_units_million
            + shards * prices.shard_hour
    }

    /// The cost of the load in on-demand mode, in USD an hour.
    pub(in crate::sim::faults) fn usd_an_hour_on_demand(&self, prices: &Prices) -> f64 {
        let gigabytes = self.new_records_a_second() * 3_600.0 * RECORD_BYTES as f64 / f64::from(1 << 30);
        prices.on_demand_stream_hour + gigabytes * prices.on_demand_in_gb
    }

    /// The policy of the deployment.
    pub(in crate::sim::faults) fn policy(&self) -> Policy {
        let permission = |is_allowed| if is_allowed { Permission::Allow } else { Permission::Deny };
        Policy {
            max_shards: self.max_shards,
            max_shards_ceiling: self.max_shards,
            on_demand: permission(self.on_demand),
            diagnose: permission(self.diagnose),
            restore_after_hours: u32::from(self.restore),
            max_changes_per_hour: self.changes_an_hour,
            max_hourly_cost: self.usd_an_hour,
            topic_arn: Some(TOPIC.into()),
            ..Policy::default()
        }
    }

    /// The stream at the beginning.
    pub(in crate::sim::faults) fn setup(&self) -> Setup {
        static EVEN: LazyLock<Keys> = LazyLock::new(|| Keys::even(KEYS));
        static HOT: LazyLock<Keys> = LazyLock::new(|| Keys::with_a_hot_one(0.6, KEYS));
        let account = match self.kind {
            Kind::NearQuota => {
                let left = (self.load * 10.0) as u32 % (self.shards + 1);
                Account { shard_limit: 50 + self.shards + left, other_shards: 50, ..Account::default() }
            }
            _ => Account::default(),
        };
        Setup {
            shards: self.shards,
            mode: match self.kind {
                Kind::OnDemand | Kind::RoomyOnDemand => CapacityMode::OnDemand,
                _ => CapacityMode::Provisioned,
            },
            keys: if self.kind == Kind::HotKey { HOT.clone() } else { EVEN.clone() },
            record_bytes: RECORD_BYTES,
            // Two retries: with more, retries cause most of the load.
            retry: Retry::after(&[1, 2]),
            account,
        }
    }

    /// unthrottle's reshards of the day before, in seconds before the run.
    pub(in crate::sim::faults) fn reshards_before(&self) -> Vec<i64> {
        let count = match self.kind {
            Kind::BudgetNearlySpent => 7 + i64::from(self.shards) % 4,
            Kind::Raised => 1,
            _ => 0,
        };
        (0..count).rev().map(|n| 2 * 3_600 + n * 7_000).collect()
    }

    /// The offered load, in records a second.
    pub(in crate::sim::faults) fn offered(&self) -> Load {
        let full = self.full();
        let steady = |records| Load::Step { from: records, to: records, at: 0 };
        match self.kind {
            Kind::HotKey => steady(HOT_RECORDS),
            Kind::Bursts => Load::Pulse { low: IDLE * full, high: 3.0 * full, every: 60, lasts: 3, phase: 0 },
            _ => steady(self.load * full),
        }
    }
}
