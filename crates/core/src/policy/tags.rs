//! The tags by which one stream restricts the settings: [`Policy`] and tags → [`StreamPolicy`].

use super::{AWS_MAX_SHARDS, FORESIGHTS, Foresight, MODES, Mode, PERMISSIONS, Permission, Policy, Scope};
use std::collections::BTreeMap;
use std::str::FromStr;

/// The tag with the stream's own [`Mode`].
pub const MODE_TAG: &str = "unthrottle.mode";
/// The tag with the stream's own maximum of shards.
pub const MAX_SHARDS_TAG: &str = "unthrottle.max-shards";
/// The tag with the stream's own minimum of shards.
pub const MIN_SHARDS_TAG: &str = "unthrottle.min-shards";
/// The tag with the stream's own [`Permission`] for on-demand mode.
const ON_DEMAND_TAG: &str = "unthrottle.on-demand";
/// The tag that allows `unthrottle smoke` to throttle the stream. The decision does not read it.
pub const SMOKE_ALLOWED: &str = "unthrottle.smoke";

/// The tag with the stream's own [`Foresight`].
pub const FORESIGHT_TAG: &str = "unthrottle.foresight";

/// The tag with the codes of the checks that `unthrottle doctor` leaves out for the stream, as words.
pub const DOCTOR_SKIP_TAG: &str = "unthrottle.doctor-skip";

/// The keys of all tags of unthrottle on a stream.
pub(super) const TAGS: [&str; 8] = [
    MODE_TAG,
    MAX_SHARDS_TAG,
    MIN_SHARDS_TAG,
    ON_DEMAND_TAG,
    FORESIGHT_TAG,
    DOCTOR_SKIP_TAG,
    SMOKE_ALLOWED,
    crate::memory::TAG,
];

/// A tag of a stream that cannot be used. Such a tag holds the stream, and never means "no limit".
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("tag {tag}={value}: must be {allowed}")]
pub struct InvalidTag {
    /// The tag's key.
    pub(crate) tag: &'static str,
    /// The tag's value.
    pub(crate) value: String,
    /// The values that the tag may have.
    pub(crate) allowed: String,
}

/// What unthrottle may do with one stream: the settings, restricted by the stream's tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPolicy {
    /// Never [`Mode::Off`]: a stream that is switched off has no `StreamPolicy`.
    pub mode: Mode,
    /// The most shards that the stream may get.
    pub max_shards: u32,
    /// The fewest shards that a restore may leave. At most `max_shards`.
    pub min_shards: u32,
    /// Whether unthrottle may switch the stream to on-demand mode.
    pub on_demand: Permission,
    /// What unthrottle may do before the stream throttles. [`Foresight::Off`] without the stream's own tag.
    pub foresight: Foresight,
}

impl Policy {
    /// Restricts the settings by the stream's own tags, and then by the mode that the signal asks for. `Ok(None)`: the
    /// stream is out of scope, or switched off.
    ///
    /// # Errors
    /// The first tag that cannot be used.
    pub fn for_stream(
        &self,
        tags: &BTreeMap<String, String>,
        asked: Option<Mode>,
    ) -> Result<Option<StreamPolicy>, InvalidTag> {
        let own: Option<Mode> = read(tags, MODE_TAG, MODES)?;
        if self.scope == Scope::Tagged && own.is_none() {
            return Ok(None);
        }
        let mode = own.into_iter().chain(asked).fold(self.mode, Mode::min);
        if mode == Mode::Off {
            return Ok(None);
        }
        let (min_shards, max_shards) = self.shards(tags)?;
        let own: Option<Permission> = read(tags, ON_DEMAND_TAG, PERMISSIONS)?;
        let is_denied = [Some(self.on_demand), own].contains(&Some(Permission::Deny));
        let on_demand = if is_denied { Permission::Deny } else { Permission::Allow };
        let own: Option<Foresight> = read(tags, FORESIGHT_TAG, FORESIGHTS)?;
        let foresight = own.map_or(Foresight::Off, |own| own.min(self.foresight));
        Ok(Some(StreamPolicy { mode, max_shards, min_shards, on_demand, foresight }))
    }

    /// Which setting or tag makes [`Policy::for_stream`] leave a stream with these tags alone. `None`: none does.
    pub fn opted_out_by(&self, tags: &BTreeMap<String, String>) -> Option<String> {
        let tag = tags.get(MODE_TAG);
        match (self.mode, self.scope, tag) {
            (Mode::Off, _, _) => Some("UNTHROTTLE_MODE is off, so no stream is changed".into()),
            (_, _, Some(mode)) if mode == "off" => Some(format!("its tag {MODE_TAG} is off: remove it, or set heal")),
            (_, Scope::Tagged, None) => {
                Some(format!("UNTHROTTLE_SCOPE is tagged, and the stream has no tag {MODE_TAG}: set it to heal"))
            }
            _ => None,
        }
    }

    /// The stream's minimum and maximum of shards.
    fn shards(&self, tags: &BTreeMap<String, String>) -> Result<(u32, u32), InvalidTag> {
        let max = read_shards(tags, MAX_SHARDS_TAG)?.map_or(self.max_shards, |max| max.min(self.max_shards_ceiling));
        let min = read_shards(tags, MIN_SHARDS_TAG)?.unwrap_or(1).max(self.min_shards.min(max));
        if min > max {
            let allowed = format!("at most the stream's maximum ({max})");
            return Err(InvalidTag { tag: MIN_SHARDS_TAG, value: min.to_string(), allowed });
        }
        Ok((min, max))
    }
}

/// The stream's own minimum of shards. 1: it has none, or a tag that cannot be used.
pub fn min_shards(tags: &BTreeMap<String, String>) -> u32 {
    read_shards(tags, MIN_SHARDS_TAG).ok().flatten().unwrap_or(1)
}

fn read<T: FromStr>(
    tags: &BTreeMap<String, String>,
    tag: &'static str,
    allowed: &str,
) -> Result<Option<T>, InvalidTag> {
    let parse =
        |value: &String| value.parse().map_err(|_| InvalidTag { tag, value: value.clone(), allowed: allowed.into() });
    tags.get(tag).map(parse).transpose()
}

fn read_shards(tags: &BTreeMap<String, String>, tag: &'static str) -> Result<Option<u32>, InvalidTag> {
    let allowed = format!("a whole number from 1 to {AWS_MAX_SHARDS}");
    match read::<u32>(tags, tag, &allowed)? {
        Some(shards) if !(1..=AWS_MAX_SHARDS).contains(&shards) => {
            Err(InvalidTag { tag, value: shards.to_string(), allowed })
        }
        shards => Ok(shards),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn the_strictest_mode_applies() {
        let mode = |setting: &str, own: &str, asked| {
            let get = |name: &str| (name == "UNTHROTTLE_MODE").then(|| setting.to_owned());
            let policy = Policy::from_env(get).expect("valid");
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
    fn what_opts_a_stream_out_is_named() {
        let off = Policy { mode: Mode::Off, ..Policy::default() };
        let tagged = Policy { scope: Scope::Tagged, ..Policy::default() };
        let own = |mode: &str| tags(&[(MODE_TAG, mode)]);
        for (policy, tags, says) in [
            (&off, own("heal"), Some("UNTHROTTLE_MODE is off")),
            (&Policy::default(), own("off"), Some("its tag unthrottle.mode is off")),
            (&tagged, own("off"), Some("its tag unthrottle.mode is off")),
            (&tagged, tags(&[]), Some("UNTHROTTLE_SCOPE is tagged, and the stream has no tag unthrottle.mode")),
            (&tagged, own("observe"), None),
            (&Policy::default(), tags(&[]), None),
        ] {
            let said = policy.opted_out_by(&tags);
            let is_right = said.as_deref().map(|said| says.is_some_and(|says| said.contains(says)));
            assert_eq!(is_right, says.map(|_| true), "{says:?}: {said:?}");
            assert_eq!(policy.for_stream(&tags, None).expect("valid").is_none(), says.is_some(), "{says:?}");
        }
    }

    #[test]
    fn a_tag_raises_the_maximum_only_up_to_the_ceiling() {
        let policy = Policy { max_shards: 10, max_shards_ceiling: 20, ..Policy::default() };
        let max = |own| policy.for_stream(&tags(&[(MAX_SHARDS_TAG, own)]), None).map(|p| p.map(|p| p.max_shards));
        assert_eq!(max("4"), Ok(Some(4)));
        assert_eq!(max("15"), Ok(Some(15)));
        assert_eq!(max("5000"), Ok(Some(20)));
    }

    #[test]
    fn a_tag_cannot_allow_on_demand_mode_where_the_setting_denies_it() {
        let deny = Policy { on_demand: Permission::Deny, ..Policy::default() };
        let own = deny.for_stream(&tags(&[(ON_DEMAND_TAG, "allow")]), None).expect("valid").expect("in scope");
        assert_eq!(own.on_demand, Permission::Deny, "a tag cannot allow what the setting denies");
    }

    #[test]
    fn foresight_needs_the_setting_and_the_tag_and_the_stricter_applies() {
        let foresight = |setting, own: Option<&str>| {
            let policy = Policy { foresight: setting, ..Policy::default() };
            let tags = own.map(|own| tags(&[(FORESIGHT_TAG, own)])).unwrap_or_default();
            policy.for_stream(&tags, None).expect("valid").expect("in scope").foresight
        };
        assert_eq!(foresight(Foresight::Off, Some("act")), Foresight::Off);
        assert_eq!(foresight(Foresight::Act, None), Foresight::Off);
        assert_eq!(foresight(Foresight::Act, Some("observe")), Foresight::Observe);
        assert_eq!(foresight(Foresight::Observe, Some("act")), Foresight::Observe);
        assert_eq!(foresight(Foresight::Act, Some("act")), Foresight::Act);
    }

    #[test]
    fn an_unreadable_tag_is_an_error_and_never_no_limit() {
        for (key, value) in [
            (MODE_TAG, "HEAL"),
            (MAX_SHARDS_TAG, "lots"),
            (MAX_SHARDS_TAG, "0"),
            (MAX_SHARDS_TAG, "-1"),
            (MAX_SHARDS_TAG, ""),
            (MIN_SHARDS_TAG, "101"),
            (ON_DEMAND_TAG, "maybe"),
            (FORESIGHT_TAG, "on"),
        ] {
            let error = Policy::default().for_stream(&tags(&[(key, value)]), None).expect_err(key);
            assert_eq!(error.tag, key);
        }
    }

    #[test]
    fn scope_tagged_leaves_out_a_stream_without_the_mode_tag() {
        let policy = Policy { scope: Scope::Tagged, ..Policy::default() };
        assert_eq!(policy.for_stream(&tags(&[("unthrottle.max-shards", "4")]), None), Ok(None));
        assert!(policy.for_stream(&tags(&[(MODE_TAG, "heal")]), None).expect("valid").is_some());
    }
}
