//! The file `unthrottle.toml`: where it is, and what it says.

use crate::{CliError, files};
use etcetera::BaseStrategy as _;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use unthrottle::settings;

/// The variable with the path of the file.
pub(crate) const VARIABLE: &str = "UNTHROTTLE_CONFIG";

const NAME: &str = "unthrottle.toml";

/// The most bytes of the file: a thousand times a file with every setting. Without a bound, `/dev/zero` would fill the
/// memory.
const MOST_BYTES: u64 = 1 << 20;

/// What the name of every setting begins with.
const PREFIX: &str = "UNTHROTTLE_";

/// A settings file.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// Where it was read. `None`: there is no file.
    pub path: Option<PathBuf>,
    /// The settings, by the name of their variable.
    pub settings: BTreeMap<String, String>,
    pub aws: Aws,
}

/// The account that the commands call.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aws {
    /// The profile of ~/.aws.
    pub profile: Option<String>,
    pub region: Option<String>,
    pub endpoint_url: Option<String>,
}

/// The same, as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    aws: Aws,
    #[serde(default)]
    settings: BTreeMap<String, toml::Value>,
}

/// The places of the file, the first one first. Each with whether a person named it.
pub(super) fn places() -> Vec<(PathBuf, bool)> {
    let named = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(|path| (PathBuf::from(path), true));
    if let Some(named) = named {
        return vec![named];
    }
    let of_user = etcetera::choose_base_strategy().ok();
    let of_user = of_user.map(|user| (user.config_dir().join("unthrottle").join(NAME), false));
    [(PathBuf::from(NAME), false)].into_iter().chain(of_user).collect()
}

/// Reads the first file that is there.
///
/// # Errors
/// A file that a person named is not there. The file cannot be read or used.
pub(super) fn find() -> Result<File, CliError> {
    for (path, is_named) in places() {
        match files::read_file(&path, MOST_BYTES) {
            Ok(text) => return parse(&path, &text),
            Err(CliError::File { source, .. }) if !is_named && source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(File::default())
}

fn parse(path: &Path, text: &str) -> Result<File, CliError> {
    let wrong = |at: usize, problem: String| CliError::Line { path: path.to_owned(), line: line(text, at), problem };
    let raw: Raw = toml::from_str(text)
        .map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
    let mut settings = BTreeMap::new();
    for (name, value) in raw.settings {
        // A setting stands at the beginning of its line.
        let at = text.find(&name).unwrap_or_default();
        let known = settings::unknown_in([name.clone()]);
        if let Some(unknown) = known.first() {
            let nearest = unknown.nearest.as_ref().map(|nearest| format!(". The nearest name is {nearest}"));
            return Err(wrong(at, format!("unthrottle does not know {name}{}", nearest.unwrap_or_default())));
        }
        if !name.starts_with(PREFIX) {
            return Err(wrong(at, format!("unthrottle does not know {name}: each setting begins with {PREFIX}")));
        }
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            _ => return Err(wrong(at, format!("{name} must be a string or a number"))),
        };
        settings.insert(name, value);
    }
    settings::read_with(|name| settings.get(name).cloned()).map_err(|error| {
        let problem = error.to_string();
        // The error begins with the name of the setting.
        let name = problem.split('=').next().unwrap_or_default();
        wrong(text.find(name).unwrap_or_default(), problem.clone())
    })?;
    Ok(File { path: Some(path.to_owned()), settings, aws: raw.aws })
}

/// The line at this byte, from 1.
fn line(text: &str, at: usize) -> u64 {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        parse(Path::new("unthrottle.toml"), text).expect_err("wrong").to_string()
    }

    #[test]
    fn a_file_sets_settings_by_their_names_and_the_account() {
        let text = "[aws]\nregion = \"eu-central-1\"\n[settings]\nUNTHROTTLE_MODE = \"observe\"\n\
                    UNTHROTTLE_MAX_SHARDS = 40\nUNTHROTTLE_FLOOR = 0.01\n";
        let file = parse(Path::new("unthrottle.toml"), text).expect("right");
        assert_eq!((file.aws.region.as_deref(), file.aws.profile), (Some("eu-central-1"), None));
        let settings: Vec<(&str, &str)> = file.settings.iter().map(|(name, value)| (&**name, &**value)).collect();
        let expected = [("UNTHROTTLE_FLOOR", "0.01"), ("UNTHROTTLE_MAX_SHARDS", "40"), ("UNTHROTTLE_MODE", "observe")];
        assert_eq!(settings, expected);
        assert!(parse(Path::new("unthrottle.toml"), "").is_ok());
    }

    #[test]
    fn a_wrong_file_is_an_error_with_its_line_and_what_would_be_right() {
        for (text, says) in [
            ("[aws]\nregoin = \"x\"\n", "unthrottle.toml:2: unknown field `regoin`"),
            (
                "[settings]\n\nUNTHROTTLE_MAX_SHARD = 4\n",
                ":3: unthrottle does not know UNTHROTTLE_MAX_SHARD. The nearest",
            ),
            ("[settings]\nmode = \"off\"\n", ":2: unthrottle does not know mode: each setting begins with UNTHROTTLE_"),
            ("[settings]\nUNTHROTTLE_MODE = [1]\n", ":2: UNTHROTTLE_MODE must be a string or a number"),
            ("[settings]\nUNTHROTTLE_MODE = \"on\"\n", "unthrottle.toml:2: UNTHROTTLE_MODE=on: must be"),
            ("[settings\n", "unthrottle.toml:1: "),
        ] {
            let error = wrong(text);
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }
}
