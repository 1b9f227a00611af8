//! What a person allows: the settings of a deployment, and the tags by which one stream narrows them.

use crate::cost::Prices;
use crate::observation::LOOKBACK_HOURS;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The tag by which a stream sets its own [`Mode`].
pub const MODE_TAG: &str = "unthrottle.mode";
/// The tag by which a stream sets its own most shards.
pub const MAX_SHARDS_TAG: &str = "unthrottle.max-shards";
/// The tag by which a stream sets its own fewest shards.
pub const MIN_SHARDS_TAG: &str = "unthrottle.min-shards";
/// The tag by which a stream allows or denies on-demand mode.
pub const ON_DEMAND_TAG: &str = "unthrottle.on-demand";

/// More shards than this AWS gives no stream by `UpdateShardCount`.
pub const AWS_MAX_SHARDS: u32 = 10_000;

/// More warm throughput than this, 10 GiB/s, AWS gives no stream.
pub const AWS_MAX_WARM_MIBPS: u32 = 10 * 1024;

/// More changes than this nobody allows in an hour or a sweep by intention.
const MAX_CHANGES: u32 = 10_000;

/// Writes, reads and iterator age have one each; a few more leave the sweep's finding at a few calls.
const MAX_FLEET_ALARMS: usize = 10;

/// What unthrottle may do. The order is from strict to free: of two, the smaller one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// Nothing.
    Off,
    /// Look, decide in full, say it, change nothing.
    Observe,
    /// Look, decide, change.
    Heal,
}

/// Which streams it looks after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Scope {
    /// Every stream of the account and region.
    All,
    /// Only streams that carry the tag `unthrottle.mode`.
    Tagged,
}

/// A switch that a person sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Permission {
    /// It may be done.
    Allow,
    /// It is never done.
    Deny,
}

/// The settings of a deployment. A `Policy` that exists is valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// `UNTHROTTLE_MODE`. Heals by default: who deploys a healer missing it to heal, every change is bounded,
    /// and `observe` is one word away.
    pub mode: Mode,
    /// `UNTHROTTLE_SCOPE`. All by default: the stream that nobody thought of is the one that pages.
    pub scope: Scope,
    /// `UNTHROTTLE_TARGET_UTILIZATION`, a fraction of capacity. 0.75 leaves a third more than the offered load:
    /// room for uneven keys and growth. Higher throttles again at the next ripple; lower pays for idle shards.
    pub target_utilization: f64,
    /// `UNTHROTTLE_WINDOW_MINUTES`: how many published minutes are evidence. Five sees a throttle that comes and
    /// goes; a long window remembers loads that have gone.
    pub window_minutes: u32,
    /// `UNTHROTTLE_CONFIRM_MINUTES`: throttled minutes in the window before the first change of an incident. One: a
    /// burst of seconds is told from a load by what a minute accepts (`micro_burst`), and a second minute costs as many
    /// records again as the first. Two also leaves a burst of a minute alone.
    pub confirm_minutes: u32,
    /// `UNTHROTTLE_FLOOR`: the throttled share of a minute below which it does not count, a fraction. Producers
    /// retry one record in a thousand without anybody noticing, and a reshard unsettles every consumer; a load that grows
    /// for hours stays just below a larger floor, and is refused a little all the time: with one in two hundred nine times
    /// as many records in the arena's `growth`, for the same changes.
    pub floor: f64,
    /// `UNTHROTTLE_MAX_SHARDS`: never more, about $1,100 a month in us-east-1; nor a switch to on-demand mode for a load
    /// that needs more.
    pub max_shards: u32,
    /// `UNTHROTTLE_MAX_SHARDS_CEILING`: how far a stream's own tag may raise `max_shards`. The same by default, so
    /// that who may tag a stream may not thereby spend more.
    pub max_shards_ceiling: u32,
    /// `UNTHROTTLE_MIN_SHARDS`: a stream with fewer is not switched back to provisioned mode. One is the least that a
    /// stream can have.
    pub min_shards: u32,
    /// `UNTHROTTLE_ON_DEMAND`: whether a stream may be switched to on-demand mode where AWS's limits leave no room
    /// for shards. Allowed by default: the alternative is to go on losing records.
    pub on_demand: Permission,
    /// `UNTHROTTLE_DIAGNOSE`: whether shard-level metrics may be switched on to find a hot shard, and off again. Denied
    /// by default: they cost about $0.90 a shard and month, and a person may want to know first.
    pub diagnose: Permission,
    /// `UNTHROTTLE_MAX_WARM_MIBPS`: never more warm throughput, in MiB/s. 200 is what AWS lets a stream have in most
    /// regions; warm throughput itself costs nothing, the traffic that it admits does.
    pub max_warm_mibps: u32,
    /// `UNTHROTTLE_MAX_HOURLY_COST`: no change that would make a stream cost more USD an hour. `None`, the default:
    /// `max_shards` is the bound.
    pub max_hourly_cost: Option<f64>,
    /// What AWS charges: us-east-1's list prices, unless a file says otherwise (`UNTHROTTLE_PRICES_FILE`).
    pub prices: Prices,
    /// `UNTHROTTLE_MAX_CHANGES_PER_HOUR`: over the whole account and region. One incident of a shared producer may touch
    /// dozens of streams; a hundred changes in an hour are more likely a fault, ours or another's, than a hundred loads.
    pub max_changes_per_hour: u32,
    /// `UNTHROTTLE_MAX_CHANGES_PER_SWEEP`: a fifth of that, so that one sweep does not spend the hour on new streams.
    pub max_changes_per_sweep: u32,
    /// `UNTHROTTLE_FLEET_ALARMS`: names of the alarms whose contributors are the throttled streams. None: the sweep asks
    /// CloudWatch Metrics Insights, which charges for every stream of the account.
    pub fleet_alarms: Vec<String>,
    /// `UNTHROTTLE_TOPIC_ARN`: the SNS topic where people are told. `None`: nobody is.
    pub topic_arn: Option<String>,
    /// `UNTHROTTLE_RESTORE_AFTER_HOURS`: how long a stream must be calm before a change is undone; 0, the default: never.
    /// Going back is a second reshard for every consumer, so a person asks for it.
    pub restore_after_hours: u32,
    /// `UNTHROTTLE_ROLE_ARN`: our own role, to recognise our own calls. The templates set it.
    pub role_arn: Option<String>,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            mode: Mode::Heal,
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
            fleet_alarms: vec![],
            topic_arn: None,
            restore_after_hours: 0,
            role_arn: None,
        }
    }
}

/// A setting that cannot be used.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{variable}={value}: must be {allowed}")]
pub struct InvalidSetting {
    /// The environment variable.
    pub variable: &'static str,
    /// What it was set to.
    pub value: String,
    /// What it may be set to.
    pub allowed: String,
}

/// A tag of a stream that cannot be used: it holds the stream, and never means "no limit".
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("tag {tag}={value}: must be {allowed}")]
pub struct InvalidTag {
    /// The tag's key.
    pub tag: &'static str,
    /// Its value.
    pub value: String,
    /// What it may be.
    pub allowed: String,
}

impl Policy {
    /// Reads the settings by `get`, usually the environment. An unset or empty variable means the default.
    ///
    /// # Errors
    /// The first variable whose value cannot be used.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Policy, InvalidSetting> {
        let settings = Settings { get };
        let default = Policy::default();
        let max_shards = settings.number("UNTHROTTLE_MAX_SHARDS", default.max_shards, 1..=AWS_MAX_SHARDS)?;
        Policy {
            mode: settings.word("UNTHROTTLE_MODE", default.mode, "heal, observe or off")?,
            scope: settings.word("UNTHROTTLE_SCOPE", default.scope, "all or tagged")?,
            target_utilization: settings.number(
                "UNTHROTTLE_TARGET_UTILIZATION",
                default.target_utilization,
                0.3..=0.95,
            )?,
            window_minutes: settings.number("UNTHROTTLE_WINDOW_MINUTES", default.window_minutes, 3..=60)?,
            confirm_minutes: settings.number("UNTHROTTLE_CONFIRM_MINUTES", default.confirm_minutes, 1..=5)?,
            floor: settings.number("UNTHROTTLE_FLOOR", default.floor, 0.0..=0.5)?,
            max_shards,
            max_shards_ceiling: settings.number(
                "UNTHROTTLE_MAX_SHARDS_CEILING",
                max_shards,
                max_shards..=AWS_MAX_SHARDS,
            )?,
            min_shards: settings.number("UNTHROTTLE_MIN_SHARDS", default.min_shards, 1..=max_shards)?,
            on_demand: settings.word("UNTHROTTLE_ON_DEMAND", default.on_demand, "allow or deny")?,
            diagnose: settings.word("UNTHROTTLE_DIAGNOSE", default.diagnose, "allow or deny")?,
            max_warm_mibps: settings.number(
                "UNTHROTTLE_MAX_WARM_MIBPS",
                default.max_warm_mibps,
                1..=AWS_MAX_WARM_MIBPS,
            )?,
            max_hourly_cost: settings.optional("UNTHROTTLE_MAX_HOURLY_COST", 0.01..=1_000_000.0)?,
            prices: default.prices,
            restore_after_hours: settings.number(
                "UNTHROTTLE_RESTORE_AFTER_HOURS",
                default.restore_after_hours,
                0..=LOOKBACK_HOURS as u32,
            )?,
            max_changes_per_hour: settings.number(
                "UNTHROTTLE_MAX_CHANGES_PER_HOUR",
                default.max_changes_per_hour,
                1..=MAX_CHANGES,
            )?,
            max_changes_per_sweep: settings.number(
                "UNTHROTTLE_MAX_CHANGES_PER_SWEEP",
                default.max_changes_per_sweep,
                1..=MAX_CHANGES,
            )?,
            fleet_alarms: settings.alarms()?,
            topic_arn: settings.arn(
                "UNTHROTTLE_TOPIC_ARN",
                ":sns:",
                "the ARN of an SNS topic (arn:aws:sns:REGION:ACCOUNT:NAME)",
            )?,
            role_arn: settings.arn(
                "UNTHROTTLE_ROLE_ARN",
                ":role/",
                "the ARN of an IAM role (arn:aws:iam::ACCOUNT:role/NAME)",
            )?,
        }
        .confirmable()
    }

    /// A window shorter than the throttled minutes to confirm would never confirm anything.
    fn confirmable(self) -> Result<Policy, InvalidSetting> {
        if self.confirm_minutes > self.window_minutes {
            return Err(InvalidSetting {
                variable: "UNTHROTTLE_CONFIRM_MINUTES",
                value: self.confirm_minutes.to_string(),
                allowed: format!("at most UNTHROTTLE_WINDOW_MINUTES ({})", self.window_minutes),
            });
        }
        Ok(self)
    }

    /// This policy as the stream's own tags narrow it, and `asked` after that. `Ok(None)`: out of scope.
    ///
    /// # Errors
    /// The first tag that cannot be used.
    pub fn for_stream(
        &self,
        tags: &BTreeMap<String, String>,
        asked: Option<Mode>,
    ) -> Result<Option<StreamPolicy>, InvalidTag> {
        let mode: Option<Mode> = tag(tags, MODE_TAG, "heal, observe or off")?;
        if self.scope == Scope::Tagged && mode.is_none() {
            return Ok(None);
        }
        let mode = [Some(self.mode), mode, asked].into_iter().flatten().min().unwrap_or(self.mode);
        if mode == Mode::Off {
            return Ok(None);
        }
        let shards = format!("a whole number from 1 to {AWS_MAX_SHARDS}");
        let max_shards =
            tag_shards(tags, MAX_SHARDS_TAG, &shards)?.map_or(self.max_shards, |max| max.min(self.max_shards_ceiling));
        let min_shards = tag_shards(tags, MIN_SHARDS_TAG, &shards)?.unwrap_or(1).max(self.min_shards.min(max_shards));
        if min_shards > max_shards {
            return Err(InvalidTag {
                tag: MIN_SHARDS_TAG,
                value: min_shards.to_string(),
                allowed: format!("at most the stream's maximum ({max_shards})"),
            });
        }
        let own: Option<Permission> = tag(tags, ON_DEMAND_TAG, "allow or deny")?;
        let denied = [Some(self.on_demand), own].contains(&Some(Permission::Deny));
        let on_demand = if denied { Permission::Deny } else { Permission::Allow };
        Ok(Some(StreamPolicy { mode, max_shards, min_shards, on_demand }))
    }
}

/// What is allowed for one stream: the settings, narrowed by its tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPolicy {
    /// Never [`Mode::Off`]: such a stream is held.
    pub mode: Mode,
    /// Never more shards.
    pub max_shards: u32,
    /// Restoring never goes below.
    pub min_shards: u32,
    /// Whether it may be switched to on-demand mode.
    pub on_demand: Permission,
}

fn tag<T: FromStr>(tags: &BTreeMap<String, String>, key: &'static str, allowed: &str) -> Result<Option<T>, InvalidTag> {
    let parse = |value: &String| {
        value.parse().map_err(|_| InvalidTag { tag: key, value: value.clone(), allowed: allowed.into() })
    };
    tags.get(key).map(parse).transpose()
}

fn tag_shards(tags: &BTreeMap<String, String>, key: &'static str, allowed: &str) -> Result<Option<u32>, InvalidTag> {
    match tag::<u32>(tags, key, allowed)? {
        Some(shards) if !(1..=AWS_MAX_SHARDS).contains(&shards) => {
            Err(InvalidTag { tag: key, value: shards.to_string(), allowed: allowed.into() })
        }
        shards => Ok(shards),
    }
}

struct Settings<F> {
    get: F,
}

impl<F: Fn(&str) -> Option<String>> Settings<F> {
    fn text(&self, variable: &'static str) -> Option<String> {
        (self.get)(variable).filter(|value| !value.is_empty())
    }

    fn word<T: FromStr>(&self, variable: &'static str, default: T, allowed: &str) -> Result<T, InvalidSetting> {
        let Some(value) = self.text(variable) else { return Ok(default) };
        value.parse().map_err(|_| InvalidSetting { variable, value, allowed: allowed.into() })
    }

    fn number<T: FromStr + PartialOrd + fmt::Display>(
        &self,
        variable: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> Result<T, InvalidSetting> {
        Ok(self.optional(variable, range)?.unwrap_or(default))
    }

    fn optional<T: FromStr + PartialOrd + fmt::Display>(
        &self,
        variable: &'static str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, InvalidSetting> {
        let Some(value) = self.text(variable) else { return Ok(None) };
        let number = value.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| InvalidSetting {
            variable,
            value,
            allowed: format!("a number from {} to {}", range.start(), range.end()),
        })
    }

    /// An ARN that has `part` in it.
    fn arn(&self, variable: &'static str, part: &str, allowed: &str) -> Result<Option<String>, InvalidSetting> {
        match self.text(variable) {
            Some(value) if !(value.starts_with("arn:") && value.contains(part)) => {
                Err(InvalidSetting { variable, value, allowed: allowed.into() })
            }
            arn => Ok(arn),
        }
    }

    /// Names of alarms, with commas between them.
    fn alarms(&self) -> Result<Vec<String>, InvalidSetting> {
        let variable = "UNTHROTTLE_FLEET_ALARMS";
        let text = self.text(variable).unwrap_or_default();
        let names: Vec<String> =
            text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        // CloudWatch's longest name; and more alarms than this would make the sweep more than a few calls.
        if names.len() > MAX_FLEET_ALARMS || names.iter().any(|name| name.len() > 255) {
            let allowed = format!("at most {MAX_FLEET_ALARMS} names of alarms, with commas between them");
            return Err(InvalidSetting { variable, value: text, allowed });
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<Policy, String> {
        let get = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Policy::from_env(get).map_err(|e| e.to_string())
    }

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn nothing_set_means_the_defaults() {
        assert_eq!(from(&[]), Ok(Policy::default()));
        assert_eq!(from(&[("UNTHROTTLE_MODE", "")]), Ok(Policy::default()));
    }

    #[test]
    fn an_invalid_value_names_the_variable_the_value_and_what_is_allowed() {
        let says = |name, value| from(&[(name, value)]).expect_err(name);
        assert_eq!(says("UNTHROTTLE_MODE", "on"), "UNTHROTTLE_MODE=on: must be heal, observe or off");
        assert_eq!(
            says("UNTHROTTLE_TARGET_UTILIZATION", "75"),
            "UNTHROTTLE_TARGET_UTILIZATION=75: must be a number from 0.3 to 0.95"
        );
        assert_eq!(says("UNTHROTTLE_FLOOR", "NaN"), "UNTHROTTLE_FLOOR=NaN: must be a number from 0 to 0.5");
        assert_eq!(
            says("UNTHROTTLE_WINDOW_MINUTES", "2"),
            "UNTHROTTLE_WINDOW_MINUTES=2: must be a number from 3 to 60"
        );
        assert_eq!(
            says("UNTHROTTLE_CONFIRM_MINUTES", "6"),
            "UNTHROTTLE_CONFIRM_MINUTES=6: must be a number from 1 to 5"
        );
        assert_eq!(says("UNTHROTTLE_MAX_SHARDS", "0"), "UNTHROTTLE_MAX_SHARDS=0: must be a number from 1 to 10000");
        assert_eq!(
            says("UNTHROTTLE_MAX_SHARDS_CEILING", "50"),
            "UNTHROTTLE_MAX_SHARDS_CEILING=50: must be a number from 100 to 10000"
        );
        assert_eq!(says("UNTHROTTLE_MIN_SHARDS", "101"), "UNTHROTTLE_MIN_SHARDS=101: must be a number from 1 to 100");
        assert_eq!(says("UNTHROTTLE_ON_DEMAND", "yes"), "UNTHROTTLE_ON_DEMAND=yes: must be allow or deny");
        assert!(says("UNTHROTTLE_ROLE_ARN", "healer").contains("must be the ARN of an IAM role"));
        let confirm = from(&[("UNTHROTTLE_WINDOW_MINUTES", "3"), ("UNTHROTTLE_CONFIRM_MINUTES", "4")]);
        assert!(confirm.expect_err("unreachable").contains("at most UNTHROTTLE_WINDOW_MINUTES (3)"));
    }

    #[test]
    fn the_ceiling_is_the_maximum_unless_it_is_set() {
        let policy = from(&[("UNTHROTTLE_MAX_SHARDS", "12")]).expect("valid");
        assert_eq!((policy.max_shards, policy.max_shards_ceiling), (12, 12));
    }

    #[test]
    fn the_strictest_mode_wins() {
        let mode = |setting: &str, own: &str, asked| {
            let policy = from(&[("UNTHROTTLE_MODE", setting)]).expect("valid");
            policy.for_stream(&tags(&[(MODE_TAG, own)]), asked).expect("valid").map(|p| p.mode)
        };
        assert_eq!(mode("heal", "heal", None), Some(Mode::Heal));
        assert_eq!(mode("heal", "observe", None), Some(Mode::Observe));
        assert_eq!(mode("observe", "heal", Some(Mode::Heal)), Some(Mode::Observe));
        assert_eq!(mode("heal", "heal", Some(Mode::Observe)), Some(Mode::Observe));
        assert_eq!(mode("heal", "off", Some(Mode::Heal)), None);
        assert_eq!(mode("off", "heal", None), None);
    }

    #[test]
    fn a_tag_tightens_and_loosens_only_up_to_the_ceiling() {
        let policy = Policy { max_shards: 10, max_shards_ceiling: 20, ..Policy::default() };
        let max = |own| policy.for_stream(&tags(&[(MAX_SHARDS_TAG, own)]), None).map(|p| p.map(|p| p.max_shards));
        assert_eq!(max("4"), Ok(Some(4)));
        assert_eq!(max("15"), Ok(Some(15)));
        assert_eq!(max("5000"), Ok(Some(20)));
        let deny = Policy { on_demand: Permission::Deny, ..Policy::default() };
        let own = deny.for_stream(&tags(&[(ON_DEMAND_TAG, "allow")]), None).expect("valid").expect("in scope");
        assert_eq!(own.on_demand, Permission::Deny, "a tag cannot allow what the setting denies");
    }

    #[test]
    fn a_tag_that_cannot_be_read_is_an_error_and_never_no_limit() {
        for (key, value) in [
            (MODE_TAG, "HEAL"),
            (MAX_SHARDS_TAG, "lots"),
            (MAX_SHARDS_TAG, "0"),
            (MAX_SHARDS_TAG, "-1"),
            (MAX_SHARDS_TAG, ""),
            (MIN_SHARDS_TAG, "101"),
            (ON_DEMAND_TAG, "maybe"),
        ] {
            let error = Policy::default().for_stream(&tags(&[(key, value)]), None).expect_err(key);
            assert_eq!(error.tag, key);
        }
    }

    #[test]
    fn in_scope_tagged_a_stream_without_the_tag_is_out() {
        let policy = Policy { scope: Scope::Tagged, ..Policy::default() };
        assert_eq!(policy.for_stream(&tags(&[("unthrottle.max-shards", "4")]), None), Ok(None));
        assert!(policy.for_stream(&tags(&[(MODE_TAG, "heal")]), None).expect("valid").is_some());
    }
}
