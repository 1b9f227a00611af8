//! What an operator allows: the settings of a deployment, and the tags by which one stream restricts them.

mod settings;
mod tags;
mod unknown;

pub use settings::InvalidSetting;
pub use tags::{
    DOCTOR_SKIP_TAG, FORESIGHT_TAG, InvalidTag, MAX_SHARDS_TAG, MIN_SHARDS_TAG, MODE_TAG, SMOKE_ALLOWED, StreamPolicy,
    min_shards,
};
pub use unknown::{UnknownName, unknown_settings};
pub(crate) use unknown::{nearest, unknown_tags};

use crate::cost::Prices;

/// AWS's maximum of open shards that `UpdateShardCount` can set on one stream. With a larger value AWS would refuse the
/// change; a smaller value would deny large streams a change that AWS allows.
pub(crate) const AWS_MAX_SHARDS: u32 = 10_000;

/// AWS's maximum of warm throughput of one stream, in MiB/s: 10 GiB/s. With a larger value AWS would refuse the change;
/// a smaller value would deny large streams a change that AWS allows.
pub(crate) const AWS_MAX_WARM_MIBPS: u32 = 10 * 1024;

/// The containers that may run at once where no setting says so: the reserved concurrency that the pages recommend.
/// With a smaller number, five containers together would exceed the bounds before the metric shows it. A larger number
/// only makes each share smaller.
const CONTAINERS: u32 = 5;

/// The containers that may run at once where nothing is reserved. Lambda gives a new account ten concurrent runs, and
/// refuses a reservation in such an account. An account with a larger quota can reserve. A larger number would leave
/// small bounds without a share for each container.
const UNRESERVED_CONTAINERS: u32 = 10;

/// The values of a [`Mode`], for an error message.
const MODES: &str = "heal, observe or off";

/// The values of a [`Permission`], for an error message.
const PERMISSIONS: &str = "allow or deny";

/// What unthrottle may do. The order is from strict to free: the smaller of two modes applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// Do nothing.
    Off,
    /// Observe, decide in full, and report. Change nothing.
    Observe,
    /// Observe, decide, and change the stream.
    Heal,
}

/// The values of a [`Foresight`], for an error message.
const FORESIGHTS: &str = "off, observe or act";

/// What unthrottle may do before a stream throttles. The order is from strict to free: the smaller of two applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Foresight {
    /// Forecast nothing.
    Off,
    /// Forecast, report what it would change, and check the forecast an hour later.
    Observe,
    /// Forecast, and add shards before the load comes.
    Act,
}

/// Which streams unthrottle may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Scope {
    /// Every stream of the account and region.
    All,
    /// Only streams that carry the tag `unthrottle.mode`.
    Tagged,
}

/// Whether an operator permits a kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Permission {
    /// unthrottle may make the change.
    Allow,
    /// unthrottle never makes the change.
    Deny,
}

/// The form of the messages to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Messages {
    /// Every subscriber of the topic gets text.
    Text,
    /// Subscribers by HTTPS get the form of Amazon Q Developer for chat channels. All others get text.
    Chat,
}

/// The settings of a deployment. [`Policy::from_env`] validates each value.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// `UNTHROTTLE_MODE`. `heal` by default: an operator deploys this function to heal, and every change has bounds.
    pub mode: Mode,
    /// Whether a person is asked before a change, and has not answered: everything is decided, and nothing is changed.
    /// No setting has it. A command of a person sets it for the plan that it shows first.
    pub is_before_consent: bool,
    /// `UNTHROTTLE_SCOPE`. `all` by default: the stream that its owner forgot to tag is the stream that pages.
    pub scope: Scope,
    /// `UNTHROTTLE_TARGET_UTILIZATION`: the share of the capacity that the load may use after a change, 0.3–0.95. 0.75
    /// leaves a third more than the offered load, for uneven keys and growth. With a higher value the next small rise
    /// throttles again; with a lower value the owner pays for idle shards.
    pub target_utilization: f64,
    /// `UNTHROTTLE_WINDOW_MINUTES`: how many published minutes are evidence, 3–60. Five minutes show a throttle that
    /// comes and goes. A longer window sizes the stream for a load that has ended.
    pub window_minutes: u32,
    /// `UNTHROTTLE_CONFIRM_MINUTES`: throttled minutes in the window before the first change of an incident, 1–5. One
    /// suffices: the accepted traffic of that minute tells a burst of seconds (`micro_burst`) from a load. Each further
    /// minute refuses as many records again. With two, unthrottle also leaves a burst of one minute alone.
    pub confirm_minutes: u32,
    /// `UNTHROTTLE_FLOOR`: the throttled share of a minute below which the minute does not count, 0–0.5. Producers
    /// retry one record in a thousand without harm, and a reshard disturbs every consumer. With a larger floor, a load
    /// that grows for hours stays just below the floor, and the stream refuses a few records all the time. With 0.005
    /// the arena's `growth` refuses nine times as many records, for the same changes.
    pub floor: f64,
    /// `UNTHROTTLE_MAX_SHARDS`: the most shards that a stream may get, 1–10000. 100 shards cost about $1,100 a month in
    /// us-east-1. unthrottle does not switch a stream to on-demand mode for a load that needs more shards.
    pub max_shards: u32,
    /// `UNTHROTTLE_MAX_SHARDS_CEILING`: how far a stream's own tag may raise `max_shards`. By default not at all: a
    /// person who may tag a stream must not be able to spend more.
    pub max_shards_ceiling: u32,
    /// `UNTHROTTLE_MIN_SHARDS`: the fewest shards that a restore may leave. A stream with fewer shards is not switched
    /// back to provisioned mode. One is the least that a stream can have.
    pub min_shards: u32,
    /// `UNTHROTTLE_ON_DEMAND`: whether unthrottle may switch a stream to on-demand mode where AWS's limits leave no
    /// headroom for shards. Allowed by default: without the switch the stream goes on refusing records.
    pub on_demand: Permission,
    /// `UNTHROTTLE_DIAGNOSE`: whether unthrottle may enable shard-level metrics to find a hot shard, and disable them
    /// again. Denied by default: they cost about $0.90 a shard and month, and an operator may want to know first.
    pub diagnose: Permission,
    /// `UNTHROTTLE_MAX_WARM_MIBPS`: the most warm throughput that a stream may get, in MiB/s. 200 is AWS's default
    /// limit of a stream in most regions. Warm throughput itself costs nothing; the traffic that it admits does.
    pub max_warm_mibps: u32,
    /// `UNTHROTTLE_MAX_HOURLY_COST`: the most that a stream may cost after a change, in USD an hour. `None`, the
    /// default: only `max_shards` bounds the cost.
    pub max_hourly_cost: Option<f64>,
    /// What AWS charges. us-east-1's list prices, unless `UNTHROTTLE_PRICES_FILE` names a file.
    pub prices: Prices,
    /// `UNTHROTTLE_MAX_CHANGES_PER_HOUR`: the most changes in an hour, over the whole account and region. One incident
    /// of a shared producer may touch dozens of streams. A hundred changes in an hour are more likely a fault than a
    /// hundred loads.
    pub max_changes_per_hour: u32,
    /// `UNTHROTTLE_MAX_CHANGES_PER_SWEEP`: the most streams that one sweep may change. A fifth of the hourly limit, so
    /// that one sweep leaves changes for streams that throttle later in the hour.
    pub max_changes_per_sweep: u32,
    /// `UNTHROTTLE_MAX_ADDED_SHARDS`: the most shards that unthrottle adds in 24 hours, over the whole account and
    /// region, 1–100000. 200 shards cost about $2,200 a month in us-east-1: twice what one stream may get by default. A
    /// smaller number stops the healing of a few large streams. With a larger one, an event that wakes every stream of
    /// an account may cost far more before a person looks.
    pub max_added_shards: u32,
    /// `UNTHROTTLE_CONCURRENCY`: the runs of the function at the same time, as the stack reserves them, 0–1000. 0:
    /// nothing is reserved. Each container gets an equal share of the bounds of the fleet until the metric shows its
    /// changes.
    pub concurrency: u32,
    /// `UNTHROTTLE_THIS_ACCOUNT_ONLY`: whether the sweep restricts its query of Metrics Insights to this account. In a
    /// monitoring account of CloudWatch the query would also find the streams of linked accounts. `deny` leaves out the
    /// clause, because AWS documents it for monitoring accounts only.
    pub this_account_only: Permission,
    /// `UNTHROTTLE_FLEET_ALARMS`: names of the alarms whose contributors are the throttled streams. Without names the
    /// sweep queries CloudWatch Metrics Insights, which charges for every stream of the account.
    pub fleet_alarms: Vec<String>,
    /// `UNTHROTTLE_TOPIC_ARN`: the SNS topic for messages to people. `None`: unthrottle sends no messages.
    pub topic_arn: Option<String>,
    /// `UNTHROTTLE_MESSAGES`: the form of the messages. Text by default: a pager that subscribes by HTTPS expects it.
    pub messages: Messages,
    /// `UNTHROTTLE_RESTORE_AFTER_HOURS`: hours without throttling after which unthrottle undoes a change, 0–24. 0, the
    /// default: never. A restore is a second reshard for every consumer, so an operator must ask for it.
    pub restore_after_hours: u32,
    /// `UNTHROTTLE_FORESIGHT`: the most that a stream's own tag `unthrottle.foresight` may ask for. `off` by default:
    /// unthrottle acts only when a stream is throttled. A stream without the tag takes no part, because sweeps
    /// look at every stream that does, and CloudWatch charges for that.
    pub foresight: Foresight,
    /// `UNTHROTTLE_ROLE_ARN`: the function's own role, to recognize its own calls. The templates set it.
    pub role_arn: Option<String>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            mode: Mode::Heal,
            is_before_consent: false,
            scope: Scope::All,
            target_utilization: 0.75,
            window_minutes: 5,
            confirm_minutes: 1,
            floor: 0.001,
            max_shards: 100,
            max_shards_ceiling: 100,
            min_shards: 1,
            on_demand: Permission::Allow,
            diagnose: Permission::Deny,
            max_warm_mibps: 200,
            max_hourly_cost: None,
            prices: Prices::default(),
            max_changes_per_hour: 100,
            max_changes_per_sweep: 20,
            max_added_shards: 200,
            concurrency: CONTAINERS,
            this_account_only: Permission::Allow,
            fleet_alarms: vec![],
            topic_arn: None,
            messages: Messages::Text,
            restore_after_hours: 0,
            foresight: Foresight::Off,
            role_arn: None,
        }
    }
}

impl Policy {
    /// The containers that share the bounds of the fleet.
    pub fn containers(&self) -> u32 {
        if self.concurrency == 0 { UNRESERVED_CONTAINERS } else { self.concurrency }
    }

    /// The most that a signal of this mode, or a question that is open, allows. `None`: neither bounds it.
    pub(crate) fn asked(&self, mode: Option<Mode>) -> Option<Mode> {
        if self.is_before_consent { Some(Mode::Observe) } else { mode }
    }

    /// Whether a sweep may stay. With one run at a time, every event would wait until the sweep ends.
    pub fn sweep_may_stay(&self) -> bool {
        self.containers() > 1
    }
}
