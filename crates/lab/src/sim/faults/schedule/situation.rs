//! A stream, what it is offered, and what is allowed.

use crate::sim::account::Account;
use crate::sim::keys::Keys;
use crate::sim::load::Load;
use crate::sim::retry::Retry;
use crate::sim::world::Setup;
use std::sync::LazyLock;
use unthrottle_core::cost::Prices;
use unthrottle_core::observation::CapacityMode;
use unthrottle_core::policy::{Permission, Policy};

/// A person's maximum of shards that nothing here comes near.
pub(in crate::sim::faults) const MANY_SHARDS: u32 = 100;

/// Bytes of a record: 1,000 a second fill a shard, by their number.
const RECORD_BYTES: u64 = 500;

/// Records a second where one key has six tenths of them: one and a half shards.
const HOT_RECORDS: f64 = 2_500.0;

/// What an idle stream is offered, as a share of what it takes.
const IDLE: f64 = 0.1;

/// Keys of a producer whose keys are even: each of a few shards has dozens of them.
const KEYS: u32 = 400;

/// A stream, what it is offered, and what is allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Situation {
    /// What is the matter with it.
    pub kind: Kind,
    /// Its shards at the beginning.
    pub shards: u32,
    /// What it is offered from the beginning on, as a multiple of what its shards take.
    pub load: f64,
    /// The person's maximum.
    pub max_shards: u32,
    /// Whether it may be switched to on-demand mode.
    pub on_demand: bool,
    /// Whether shard-level metrics may be switched on.
    pub diagnose: bool,
    /// Whether what was raised is given back after an hour.
    pub restore: bool,
    /// The person's maximum of changes an hour.
    pub changes_an_hour: u32,
    /// The person's maximum of USD an hour.
    pub usd_an_hour: Option<f64>,
}

/// What is the matter with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// It has too few shards.
    Short,
    /// One key has more than a shard takes, and the others little.
    HotKey,
    /// It is idle but for a few seconds of each minute.
    Bursts,
    /// It is in on-demand mode, and offered more than its shards take.
    OnDemand,
    /// Too few shards, and the account may open few more.
    NearQuota,
    /// Too few shards, and most reshards of the day are made.
    BudgetNearlySpent,
    /// Too few shards, and a person has switched unthrottle off for it.
    OptedOut,
    /// It was raised two hours ago, by unthrottle, and has more than it needs.
    Raised,
}

impl Situation {
    /// Records a second that are new, at least.
    fn least_records(&self) -> f64 {
        match self.kind {
            Kind::HotKey => HOT_RECORDS,
            Kind::Bursts => IDLE * self.full(),
            _ => self.load * self.full(),
        }
    }

    /// Records a second that its shards take at the beginning.
    fn full(&self) -> f64 {
        f64::from(self.shards) * 1_000.0
    }

    /// What they cost on so many shards, in USD an hour.
    pub(in crate::sim::faults) fn usd_an_hour_for(&self, prices: &Prices, shards: f64) -> f64 {
        // Each record is one unit: they are small.
        self.least_records() * 3_600.0 / 1e6 * prices.put_units_million + shards * prices.shard_hour
    }

    /// What they cost in on-demand mode, in USD an hour.
    pub(in crate::sim::faults) fn usd_an_hour_on_demand(&self, prices: &Prices) -> f64 {
        let gigabytes = self.least_records() * 3_600.0 * RECORD_BYTES as f64 / f64::from(1 << 30);
        prices.on_demand_stream_hour + gigabytes * prices.on_demand_in_gb
    }

    /// The policy of the deployment.
    pub fn policy(&self) -> Policy {
        let permission = |is_allowed| if is_allowed { Permission::Allow } else { Permission::Deny };
        Policy {
            max_shards: self.max_shards,
            max_shards_ceiling: self.max_shards,
            on_demand: permission(self.on_demand),
            diagnose: permission(self.diagnose),
            restore_after_hours: u32::from(self.restore),
            max_changes_per_hour: self.changes_an_hour,
            max_hourly_cost: self.usd_an_hour,
            ..Policy::default()
        }
    }

    /// The stream at the beginning.
    pub fn setup(&self) -> Setup {
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
            mode: if self.kind == Kind::OnDemand { CapacityMode::OnDemand } else { CapacityMode::Provisioned },
            keys: if self.kind == Kind::HotKey { HOT.clone() } else { EVEN.clone() },
            record_bytes: RECORD_BYTES,
            // Twice: more retries only make a load of a load.
            retry: Retry::after(&[1, 2]),
            account,
        }
    }

    /// Reshards of ours in the day before, in seconds before the run.
    pub fn reshards_before(&self) -> Vec<i64> {
        let count = match self.kind {
            Kind::BudgetNearlySpent => 7 + i64::from(self.shards) % 4,
            Kind::Raised => 1,
            _ => 0,
        };
        (0..count).rev().map(|n| 2 * 3_600 + n * 7_000).collect()
    }

    /// What is offered, in records a second.
    pub fn offered(&self) -> Load {
        let full = self.full();
        let steady = |records| Load::Step { from: records, to: records, at: 0 };
        match self.kind {
            Kind::HotKey => steady(HOT_RECORDS),
            Kind::Bursts => Load::Pulse { low: IDLE * full, high: 3.0 * full, every: 60, lasts: 3 },
            _ => steady(self.load * full),
        }
    }
}
