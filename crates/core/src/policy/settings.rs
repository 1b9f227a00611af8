//! The settings of a deployment: environment variables → [`Policy`].

use super::{AWS_MAX_SHARDS, AWS_MAX_WARM_MIBPS, FORESIGHTS, MODES, PERMISSIONS, Policy};
use crate::observation::LOOKBACK_HOURS;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The largest allowed limit of changes, for an hour and for a sweep. No operator wants a larger limit on purpose, so a
/// larger value is a typing error. A smaller maximum could refuse the limit of a very large fleet.
const MAX_CHANGES: u32 = 10_000;

/// The largest allowed limit of added shards in 24 hours. It is five times AWS's largest default quota of an account
/// (20,000 shards), so a larger value is a typing error. A smaller maximum could refuse the limit of a very large
/// fleet.
const MAX_ADDED_SHARDS: u32 = 100_000;

/// The largest reserved concurrency: Lambda's default quota of an account. A larger value is a typing error. A smaller
/// maximum could refuse what a stack reserves.
const MAX_CONCURRENCY: u32 = 1_000;

/// The most fleet alarms. The stack has one each for writes, reads and iterator age, and an operator may add a few.
/// Each alarm costs a sweep at least one call, so more alarms would delay the sweep.
const MAX_FLEET_ALARMS: usize = 10;

/// CloudWatch's longest alarm name, in characters. CloudWatch refuses a longer name at every sweep.
const MAX_ALARM_NAME: usize = 255;

/// A setting that cannot be used.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{variable}={value}: must be {allowed}")]
pub struct InvalidSetting {
    /// The environment variable.
    pub(crate) variable: &'static str,
    /// The value of the variable.
    pub(crate) value: String,
    /// The values that the variable may have.
    pub(crate) allowed: String,
}

impl Policy {
    /// Reads the settings with `get`, usually from the environment. An unset or empty variable means the default.
    ///
    /// # Errors
    /// The first variable whose value cannot be used.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Policy, InvalidSetting> {
        let env = Environment { get };
        let mut policy = Policy::default();
        env.number("UNTHROTTLE_MAX_SHARDS", 1..=AWS_MAX_SHARDS, &mut policy.max_shards)?;
        // Without a ceiling of its own, no tag may raise the maximum.
        policy.max_shards_ceiling = policy.max_shards;
        env.word("UNTHROTTLE_MODE", MODES, &mut policy.mode)?;
        env.word("UNTHROTTLE_SCOPE", "all or tagged", &mut policy.scope)?;
        env.number("UNTHROTTLE_TARGET_UTILIZATION", 0.3..=0.95, &mut policy.target_utilization)?;
        env.number("UNTHROTTLE_WINDOW_MINUTES", 3..=60, &mut policy.window_minutes)?;
        env.number("UNTHROTTLE_CONFIRM_MINUTES", 1..=5, &mut policy.confirm_minutes)?;
        env.number("UNTHROTTLE_FLOOR", 0.0..=0.5, &mut policy.floor)?;
        env.number(
            "UNTHROTTLE_MAX_SHARDS_CEILING",
            policy.max_shards..=AWS_MAX_SHARDS,
            &mut policy.max_shards_ceiling,
        )?;
        env.number("UNTHROTTLE_MIN_SHARDS", 1..=policy.max_shards, &mut policy.min_shards)?;
        env.word("UNTHROTTLE_ON_DEMAND", PERMISSIONS, &mut policy.on_demand)?;
        env.word("UNTHROTTLE_DIAGNOSE", PERMISSIONS, &mut policy.diagnose)?;
        env.number("UNTHROTTLE_MAX_WARM_MIBPS", 1..=AWS_MAX_WARM_MIBPS, &mut policy.max_warm_mibps)?;
        policy.max_hourly_cost = env.optional("UNTHROTTLE_MAX_HOURLY_COST", 0.01..=1_000_000.0)?;
        env.number("UNTHROTTLE_RESTORE_AFTER_HOURS", 0..=LOOKBACK_HOURS as u32, &mut policy.restore_after_hours)?;
        env.word("UNTHROTTLE_FORESIGHT", FORESIGHTS, &mut policy.foresight)?;
        env.number("UNTHROTTLE_MAX_CHANGES_PER_HOUR", 1..=MAX_CHANGES, &mut policy.max_changes_per_hour)?;
        env.number("UNTHROTTLE_MAX_CHANGES_PER_SWEEP", 1..=MAX_CHANGES, &mut policy.max_changes_per_sweep)?;
        env.number("UNTHROTTLE_MAX_ADDED_SHARDS", 1..=MAX_ADDED_SHARDS, &mut policy.max_added_shards)?;
        env.number("UNTHROTTLE_CONCURRENCY", 0..=MAX_CONCURRENCY, &mut policy.concurrency)?;
        env.word("UNTHROTTLE_THIS_ACCOUNT_ONLY", PERMISSIONS, &mut policy.this_account_only)?;
        policy.fleet_alarms = env.alarms("UNTHROTTLE_FLEET_ALARMS")?;
        policy.topic_arn =
            env.arn("UNTHROTTLE_TOPIC_ARN", ":sns:", "an SNS topic (arn:aws:sns:REGION:ACCOUNT:NAME)")?;
        env.word("UNTHROTTLE_MESSAGES", "text or chat", &mut policy.messages)?;
        policy.role_arn = env.arn("UNTHROTTLE_ROLE_ARN", ":role/", "an IAM role (arn:aws:iam::ACCOUNT:role/NAME)")?;
        policy.check_confirm_minutes()?;
        Ok(policy)
    }

    /// Refuses more minutes to confirm than the window has: unthrottle would never confirm a throttle.
    fn check_confirm_minutes(&self) -> Result<(), InvalidSetting> {
        if self.confirm_minutes > self.window_minutes {
            return Err(InvalidSetting {
                variable: "UNTHROTTLE_CONFIRM_MINUTES",
                value: self.confirm_minutes.to_string(),
                allowed: format!("at most UNTHROTTLE_WINDOW_MINUTES ({})", self.window_minutes),
            });
        }
        Ok(())
    }
}

/// The variables. Each method reads one of them.
struct Environment<F> {
    get: F,
}

impl<F: Fn(&str) -> Option<String>> Environment<F> {
    fn text(&self, variable: &'static str) -> Option<String> {
        (self.get)(variable).filter(|value| !value.is_empty())
    }

    /// Sets `setting` to one of the words `allowed`. An unset variable leaves the setting as it is.
    fn word<T: FromStr>(&self, variable: &'static str, allowed: &str, setting: &mut T) -> Result<(), InvalidSetting> {
        if let Some(value) = self.text(variable) {
            *setting = value.parse().map_err(|_| InvalidSetting { variable, value, allowed: allowed.into() })?;
        }
        Ok(())
    }

    /// Sets `setting` to a number within `range`. An unset variable leaves the setting as it is.
    fn number<T: FromStr + PartialOrd + fmt::Display>(
        &self,
        variable: &'static str,
        range: RangeInclusive<T>,
        setting: &mut T,
    ) -> Result<(), InvalidSetting> {
        if let Some(number) = self.optional(variable, range)? {
            *setting = number;
        }
        Ok(())
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
            allowed: format!("{} from {} to {}", kind_of::<T>(), range.start(), range.end()),
        })
    }

    /// An ARN that contains `part`. `of`: what the ARN must name, for the error.
    fn arn(&self, variable: &'static str, part: &str, of: &str) -> Result<Option<String>, InvalidSetting> {
        match self.text(variable) {
            Some(value) if !(value.starts_with("arn:") && value.contains(part)) => {
                Err(InvalidSetting { variable, value, allowed: format!("the ARN of {of}") })
            }
            arn => Ok(arn),
        }
    }

    /// Names of alarms, separated by commas.
    fn alarms(&self, variable: &'static str) -> Result<Vec<String>, InvalidSetting> {
        let value = self.text(variable).unwrap_or_default();
        let names: Vec<String> = value.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
        if names.len() > MAX_FLEET_ALARMS || names.iter().any(|name| name.len() > MAX_ALARM_NAME) {
            let allowed = format!(
                "at most {MAX_FLEET_ALARMS} alarm names with commas between them, of up to {MAX_ALARM_NAME} characters"
            );
            return Err(InvalidSetting { variable, value, allowed });
        }
        Ok(names)
    }
}

/// What a number must be: a type of whole numbers takes no fraction.
fn kind_of<T: FromStr>() -> &'static str {
    if "0.5".parse::<T>().is_ok() { "a number" } else { "a whole number" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<Policy, String> {
        let get = |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Policy::from_env(get).map_err(|e| e.to_string())
    }

    #[test]
    fn no_setting_means_the_defaults() {
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
            "UNTHROTTLE_WINDOW_MINUTES=2: must be a whole number from 3 to 60"
        );
        assert_eq!(
            says("UNTHROTTLE_CONFIRM_MINUTES", "6"),
            "UNTHROTTLE_CONFIRM_MINUTES=6: must be a whole number from 1 to 5"
        );
        assert_eq!(
            says("UNTHROTTLE_MAX_SHARDS", "2.5"),
            "UNTHROTTLE_MAX_SHARDS=2.5: must be a whole number from 1 to 10000"
        );
        assert_eq!(
            says("UNTHROTTLE_MAX_SHARDS", "0"),
            "UNTHROTTLE_MAX_SHARDS=0: must be a whole number from 1 to 10000"
        );
        assert_eq!(
            says("UNTHROTTLE_MAX_SHARDS_CEILING", "50"),
            "UNTHROTTLE_MAX_SHARDS_CEILING=50: must be a whole number from 100 to 10000"
        );
        assert_eq!(
            says("UNTHROTTLE_MIN_SHARDS", "101"),
            "UNTHROTTLE_MIN_SHARDS=101: must be a whole number from 1 to 100"
        );
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
}
