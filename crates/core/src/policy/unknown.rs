//! Names that look like a setting or like a policy tag, and are none. Without a report, a typing error in a limit would
//! be no limit at all.

use super::Policy;
use super::tags::TAGS;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What the name of every setting begins with.
const OF_SETTINGS: &str = "UNTHROTTLE_";
/// What the key of every tag begins with.
const OF_TAGS: &str = "unthrottle.";

/// A name this near to a known one is a typing error of it, whatever it begins with: `UNTHROTLE_MODE`. A larger number
/// would report names of other programs; a smaller one would miss two letters that changed places.
const TYPING_ERROR: usize = 2;

/// The nearest known name is said up to this distance. `MINIMUM_SHARDS` is four away from `MIN_SHARDS`. A larger number
/// would suggest names that have nothing in common.
const NEAR: usize = 5;

/// A setting or a tag that unthrottle does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnknownName {
    /// The name, as it was given.
    pub name: String,
    /// The known name that is nearest to it. `null`: no name is near.
    pub nearest: Option<String>,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unthrottle does not know {} and ignores it", self.name)?;
        self.nearest.as_ref().map_or(Ok(()), |nearest| write!(f, ". The nearest name is {nearest}"))
    }
}

/// The variables of `names` that look like a setting of unthrottle and are none. `further`: settings that are read
/// elsewhere than in [`Policy::from_env`].
pub fn unknown_settings(names: impl IntoIterator<Item = String>, further: &[&str]) -> Vec<UnknownName> {
    let known = RefCell::new(further.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>());
    // Without a value, each variable is asked for, and none is refused.
    let _ = Policy::from_env(|name| {
        known.borrow_mut().insert(name.to_owned());
        None
    });
    unknown(names, &known.into_inner(), OF_SETTINGS)
}

/// The tags of a stream that look like a tag of unthrottle and are none.
pub(crate) fn unknown_tags(tags: &BTreeMap<String, String>) -> Vec<UnknownName> {
    unknown(tags.keys().cloned(), &TAGS.map(str::to_owned).into(), OF_TAGS)
}

fn unknown(names: impl IntoIterator<Item = String>, known: &BTreeSet<String>, begin: &str) -> Vec<UnknownName> {
    let begins = |name: &str| name.get(..begin.len()).is_some_and(|head| head.eq_ignore_ascii_case(begin));
    let look_alike = |name: String| {
        let (nearest, distance) = closest(&name, known.iter().map(String::as_str))?;
        let nearest = (distance <= NEAR).then(|| nearest.to_owned());
        (begins(&name) || distance <= TYPING_ERROR).then_some(UnknownName { name, nearest })
    };
    names.into_iter().filter(|name| !known.contains(name)).filter_map(look_alike).collect()
}

/// The known name that is nearest to this one. `None`: no name is near.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    closest(name, known).filter(|(_, distance)| *distance <= NEAR).map(|(nearest, _)| nearest)
}

/// The known name with the fewest other letters, and how many these are. The case of letters does not count.
fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<(&'a str, usize)> {
    let distance = |known: &str| distance(&name.to_ascii_lowercase(), &known.to_ascii_lowercase());
    known.map(|known| (known, distance(known))).min_by_key(|(_, distance)| *distance)
}

/// The fewest letters to insert, remove or replace that make `a` of `b` (Levenshtein's distance).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, of_a) in a.chars().enumerate() {
        let mut above_left = row[0];
        row[0] = i + 1;
        for (j, of_b) in b.iter().enumerate() {
            let replaced = above_left + usize::from(of_a != *of_b);
            above_left = row[j + 1];
            row[j + 1] = replaced.min(above_left + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_of_two_names_is_the_letters_to_change() {
        for (a, b, letters) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("", "abc", 3),
            ("abc", "ab", 1),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (letters, letters), "{a} {b}");
        }
    }

    /// The unknown ones of these variables, each with the nearest name.
    fn settings(names: &[&str]) -> Vec<(String, Option<String>)> {
        let unknown = unknown_settings(names.iter().map(|name| (*name).to_owned()), &["UNTHROTTLE_PRICES_FILE"]);
        unknown.into_iter().map(|unknown| (unknown.name, unknown.nearest)).collect()
    }

    #[test]
    fn a_setting_with_a_typing_error_is_reported_with_the_nearest_name() {
        for (name, nearest) in [
            ("UNTHROTTLE_MAX_SHARD", Some("UNTHROTTLE_MAX_SHARDS")),
            ("UNTHROTTLE_MAXSHARDS", Some("UNTHROTTLE_MAX_SHARDS")),
            ("unthrottle_mode", Some("UNTHROTTLE_MODE")),
            ("UNTHROTLE_MODE", Some("UNTHROTTLE_MODE")),
            ("UNTHROTTLE_PRICE_FILE", Some("UNTHROTTLE_PRICES_FILE")),
            ("UNTHROTTLE_DIAGNOSIS", Some("UNTHROTTLE_DIAGNOSE")),
            ("UNTHROTTLE_SOMETHING_ELSE_ALTOGETHER", None),
        ] {
            assert_eq!(settings(&[name]), [(name.to_owned(), nearest.map(str::to_owned))]);
        }
    }

    #[test]
    fn known_settings_and_variables_of_others_are_not_reported() {
        let known = ["UNTHROTTLE_MODE", "UNTHROTTLE_MAX_SHARDS", "UNTHROTTLE_ROLE_ARN", "UNTHROTTLE_PRICES_FILE"];
        assert_eq!(settings(&known), []);
        assert_eq!(settings(&["PATH", "AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME", "THROTTLE_MAX", "", "ÄÖÜ"]), []);
    }

    #[test]
    fn a_tag_with_a_typing_error_is_reported_with_the_nearest_key() {
        let tags = |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), "5".to_owned())).collect();
        let unknown = |key: &str| unknown_tags(&tags(&[key])).into_iter().next().map(|unknown| unknown.nearest);
        for (key, nearest) in [
            ("unthrottle.max-shard", Some("unthrottle.max-shards")),
            ("unthrottle.max_shards", Some("unthrottle.max-shards")),
            ("Unthrottle.Max-Shards", Some("unthrottle.max-shards")),
            ("unthrottle:mode", Some("unthrottle.mode")),
            ("unthrottle-mode", Some("unthrottle.mode")),
            ("unthrottle.ondemand", Some("unthrottle.on-demand")),
            ("unthrottle.restore-after-hours", None),
        ] {
            assert_eq!(unknown(key), Some(nearest.map(str::to_owned)), "{key}");
        }
        let others =
            ["unthrottle.mode", "unthrottle.memory", "unthrottle.on-demand", "team", "unthrottle:stack", "mode"];
        assert_eq!(unknown_tags(&tags(&others)), []);
    }
}
