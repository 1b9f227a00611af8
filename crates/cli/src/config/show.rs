//! `unthrottle config show`.

use super::file::{File, VARIABLE, places};
use super::{ENDPOINT_URL, PROFILE, REGION, policy};
use crate::CliError;
use crate::screen::{Console, print_json};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The settings of a deployment, with their defaults.
const SETTINGS: &str = include_str!("../../../../infra/settings.json");

/// A setting, its value, and where the value comes from.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Entry {
    name: String,
    /// `null`: it has no value.
    value: Option<String>,
    /// `environment`, `default`, `~/.aws`, or the path of the file.
    from: String,
}

/// The settings of this command.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Settings {
    /// The version of this format. New versions only add fields.
    version: u32,
    /// The file of settings. `null`: there is none.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    file: Option<PathBuf>,
    settings: Vec<Entry>,
}

pub(super) fn run(file: &File, is_json: bool) -> Result<(), CliError> {
    let entries = entries(file);
    // A value that cannot be used is an error here, too, after the list that shows where it stands.
    let usable = policy();
    if is_json {
        print_json(&Settings { version: 1, file: file.path.clone(), settings: entries })?;
    } else {
        print(file, &entries)?;
    }
    usable.map(|_| ())
}

fn entries(file: &File) -> Vec<Entry> {
    let path = file.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let of_aws = [
        ("profile", PROFILE, &file.aws.profile),
        ("region", REGION, &file.aws.region),
        ("endpoint_url", ENDPOINT_URL, &file.aws.endpoint_url),
    ];
    let aws = of_aws.into_iter().map(|(name, variables, in_file)| {
        let set = variables.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        let (value, from) = match (set, in_file) {
            (Some(value), _) => (Some(value), "environment".to_owned()),
            (None, Some(value)) => (Some(value.clone()), path.clone()),
            (None, None) => (None, "~/.aws".to_owned()),
        };
        Entry { name: name.to_owned(), value, from }
    });
    // The file is a part of the program, and a test reads it.
    let known: BTreeMap<String, serde_json::Value> = serde_json::from_str(SETTINGS).unwrap_or_default();
    let defaults = known.iter().map(|(name, setting)| (name.clone(), setting["default"].as_str().unwrap_or_default()));
    let mut defaults: BTreeMap<String, &str> = defaults.collect();
    for name in file.settings.keys() {
        defaults.entry(name.clone()).or_default();
    }
    let settings = defaults.into_iter().map(|(name, default)| {
        let set = std::env::var(&name).ok().filter(|value| !value.is_empty());
        let (value, from) = match (set, file.settings.get(&name)) {
            (Some(value), _) => (Some(value), "environment".to_owned()),
            (None, Some(value)) => (Some(value.clone()), path.clone()),
            (None, None) => match known.get(&name).and_then(|setting| setting["same_as"].as_str()) {
                // Its default is the value of another setting.
                Some(other) => (super::variable(other).or_else(|| Some(default.to_owned())), other.to_owned()),
                None => (Some(default.to_owned()).filter(|default| !default.is_empty()), "default".to_owned()),
            },
        };
        Entry { name, value, from }
    });
    aws.chain(settings).collect()
}

fn print(file: &File, entries: &[Entry]) -> Result<(), CliError> {
    let mut console = Console::new(false);
    match &file.path {
        Some(path) => console.heading(&format!("The settings, with {}", path.display()))?,
        None => {
            let places: Vec<String> = places().iter().map(|(path, _)| path.display().to_string()).collect();
            console.heading(&format!("The settings. No file is at {}, or in {VARIABLE}", places.join(", ")))?;
        }
    }
    let widest = |of: fn(&Entry) -> &str| entries.iter().map(|entry| of(entry).chars().count()).max().unwrap_or(0);
    let (name, value) = (widest(|entry| &entry.name), widest(|entry| entry.value.as_deref().unwrap_or("–")));
    // A long ARN must not push the origins of all others off the screen.
    let value = value.min(24);
    for entry in entries {
        let shown = entry.value.as_deref().unwrap_or("–");
        console.step(&format!("{:<name$}  {shown:<value$}  {}", entry.name, entry.from))?;
    }
    Ok(())
}
