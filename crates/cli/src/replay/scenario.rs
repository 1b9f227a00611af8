//! A scenario: an event, the world that it meets, and the decision that it must yield. A file of `scenarios/` holds
//! one.

use super::world::World;
use crate::{CliError, files};
use chrono::Utc;
use serde::Deserialize;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use strum::VariantNames as _;
use unthrottle_core::decision::{Reason, Remedy};
use unthrottle_core::policy::{InvalidSetting, Policy};

/// The folder of scenarios. It stands beside the folder of the events.
const FOLDER: &str = "scenarios";

/// A scenario, as its file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    /// The file of the event. In the file: relative to the folder above `scenarios/`.
    pub event: PathBuf,
    /// The code of the decision that the event must yield.
    pub code: String,
    /// One sentence for the reader of the file.
    #[serde(rename = "about")]
    _about: String,
    /// The world that the event meets.
    #[serde(default)]
    pub world: World,
    /// Whether the event comes a second time, after the first change is complete. The second decision counts then.
    #[serde(default)]
    pub comes_twice: bool,
}

impl Scenario {
    /// Whether JSON is a scenario, and not an event. No event has these fields.
    pub fn is_one(json: &serde_json::Value) -> bool {
        json.get("event").is_some() || json.get("world").is_some()
    }

    /// Reads a file. The path of its event is then one that can be opened.
    ///
    /// # Errors
    /// The file cannot be read, or the first field that cannot be used.
    pub fn read(path: &Path) -> Result<Scenario, CliError> {
        Scenario::parse(&files::read(path, files::MOST_JSON)?, path)
    }

    /// Reads the text of the file `path`.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn parse(text: &str, path: &Path) -> Result<Scenario, CliError> {
        let bad =
            |field: &str, problem: String| CliError::Scenario { path: files::name(path), field: field.into(), problem };
        let mut json = serde_json::Deserializer::from_str(text);
        let scenario: Result<Scenario, _> = serde_path_to_error::deserialize(&mut json);
        let mut scenario = scenario.map_err(|error| bad(&error.path().to_string(), error.inner().to_string()))?;
        json.end().map_err(|source| CliError::Json { path: files::name(path), source })?;
        let known = || Remedy::VARIANTS.iter().chain(Reason::VARIANTS);
        if !known().any(|code| scenario.code == *code) {
            return Err(bad("code", format!("no decision has the code `{}`", scenario.code)));
        }
        if let Some((field, problem)) = scenario.world.problem(Utc::now()) {
            return Err(bad(field, problem));
        }
        if let Err(problem) = scenario.policy(|_| None) {
            return Err(bad("world.settings", problem.to_string()));
        }
        scenario.event = base_of(path).join(&scenario.event);
        if !scenario.event.is_file() {
            return Err(bad("event", format!("there is no file {}", scenario.event.display())));
        }
        Ok(scenario)
    }

    /// The scenario that names this event, from the folder beside the event's own. `None`: no scenario does.
    ///
    /// # Errors
    /// A file of the folder cannot be used, or two scenarios name the event.
    pub fn naming(event: &Path) -> Result<Option<Scenario>, CliError> {
        let cannot = |path: &Path| {
            let path = path.to_owned();
            |source| CliError::File { path, source }
        };
        let event = event.canonicalize().map_err(cannot(event))?;
        let Some(folder) = event.parent().and_then(Path::parent).map(|folder| folder.join(FOLDER)) else {
            return Ok(None);
        };
        let mut found: Option<(PathBuf, Scenario)> = None;
        for path in files(&folder).map_err(cannot(&folder))? {
            let scenario = Scenario::read(&path)?;
            if scenario.event.canonicalize().map_err(cannot(&scenario.event))? != event {
                continue;
            }
            if let Some((first, _)) = &found {
                let problem = format!("{} names the same event", first.display());
                return Err(CliError::Scenario { path, field: "event".into(), problem });
            }
            found = Some((path, scenario));
        }
        Ok(found.map(|(_, scenario)| scenario))
    }

    /// The settings of the scenario over those of the `environment`, read as the Lambda reads its environment.
    pub fn policy(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Policy, BadSetting> {
        let known = RefCell::new(BTreeSet::new());
        let own = &self.world.settings;
        let policy = Policy::from_env(|name| {
            known.borrow_mut().insert(name.to_owned());
            own.get(name).cloned().or_else(|| environment(name))
        })?;
        match own.keys().find(|name| !known.borrow().contains(*name)) {
            Some(name) => Err(BadSetting::Unknown(name.clone())),
            None => Ok(policy),
        }
    }
}

/// A setting of a scenario that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadSetting {
    /// Its value.
    #[error(transparent)]
    Value(#[from] InvalidSetting),
    /// Its name.
    #[error("unthrottle has no setting `{0}`")]
    Unknown(String),
}

/// The folder above the folder of scenarios.
fn base_of(path: &Path) -> PathBuf {
    if files::is_stdin(path) {
        return PathBuf::new();
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    // `.`, `..` and the empty path have no name that could be left out.
    folder.parent().filter(|_| folder.file_name().is_some()).map_or_else(|| folder.join(".."), Path::to_owned)
}

/// The JSON files of a folder in the order of their names; none where the folder does not exist.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let files = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = files.collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with one event and one scenario of this text. The paths of both.
    fn with_scenario(text: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let event = folder.path().join("events/orders.json");
        let scenario = folder.path().join("scenarios/orders.json");
        for (path, text) in [(&event, r#"{"stream": "orders"}"#), (&scenario, text)] {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        (folder, event, scenario)
    }

    fn scenario(world: &str) -> String {
        format!(r#"{{"event": "events/orders.json", "code": "healthy", "about": "A test.", "world": {world}}}"#)
    }

    #[test]
    fn an_event_finds_the_scenario_that_names_its_file_by_any_path() {
        let (folder, event, path) = with_scenario(&scenario(r#"{"shards": 7}"#));
        let shards = |event: &Path| Scenario::naming(event).expect("readable").map(|found| found.world.shards);
        assert_eq!(shards(&event), Some(7));
        assert_eq!(shards(&folder.path().join("scenarios/../events/orders.json")), Some(7));
        let other = event.with_file_name("clicks.json");
        std::fs::copy(&event, &other).expect("copied");
        assert_eq!(shards(&other), None, "the content of a file does not matter");
        std::fs::copy(&path, path.with_file_name("again.json")).expect("copied");
        let error = Scenario::naming(&event).expect_err("two of them").to_string();
        assert!(error.contains("field `event`") && error.contains("again.json names the same event"), "{error}");
        std::fs::remove_dir_all(folder.path().join(FOLDER)).expect("removed");
        assert_eq!(shards(&event), None);
    }

    #[test]
    fn bad_data_is_an_error_with_the_file_and_the_field() {
        for (world, field, says) in [
            (r#"{"shard": 2}"#, "world", "unknown field `shard`"),
            (r#"{"shards": "two"}"#, "world.shards", "invalid type"),
            (r#"{"shards": 0}"#, "world.shards", "must be 1 or more"),
            (r#"{"load": "some"}"#, "world.load", "unknown variant `some`"),
            (r#"{"load": {"writes": {"records_per_second": 501, "keys": "all"}}}"#, "records_per_second", "1 to 500"),
            (
                r#"{"load": {"reads": {"readers": 3, "minutes": 6}}}"#,
                "world.load",
                "minutes must be a number from 1 to 5",
            ),
            (r#"{"load": {"published": [{"minute": 3}]}}"#, "world.load.published[0]", "unknown field `minute`"),
            (
                r#"{"memory": {"change": {"kind": "grow", "from": 1, "to": 2, "minutes_ago": 3}}}"#,
                "world.memory.change.kind",
                "grow",
            ),
            (r#"{"settings": {"UNTHROTTLE_DIAGNOSE": "maybe"}}"#, "world.settings", "must be allow or deny"),
            (r#"{"settings": {"UNTHROTTLE_DIAGNOSIS": "allow"}}"#, "world.settings", "UNTHROTTLE_DIAGNOSIS"),
        ] {
            let (_folder, _, path) = with_scenario(&scenario(world));
            let error = Scenario::read(&path).expect_err(world);
            assert_eq!(error.code(), 2);
            let error = error.to_string();
            assert!(error.contains("scenarios/orders.json: "), "{error}");
            assert!(error.contains(field) && error.contains(says), "{error}");
        }
        for (text, says) in [
            (scenario("{}").replace("healthy", "fine"), "field `code`: no decision has the code `fine`"),
            (scenario("{}").replace("orders", "clicks"), "field `event`: there is no file"),
            (scenario("{}").replace("\"about\": \"A test.\", ", ""), "missing field `about`"),
        ] {
            let (_folder, _, path) = with_scenario(&text);
            let error = Scenario::read(&path).expect_err(&text).to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_setting_of_a_scenario_wins_over_the_environment() {
        let (_folder, _, path) = with_scenario(&scenario(r#"{"settings": {"UNTHROTTLE_MAX_SHARDS": "8"}}"#));
        let environment = |name: &str| match name {
            "UNTHROTTLE_MAX_SHARDS" => Some("9".to_owned()),
            "UNTHROTTLE_MIN_SHARDS" => Some("3".to_owned()),
            _ => None,
        };
        let policy = Scenario::read(&path).expect("good").policy(environment).expect("good");
        assert_eq!((policy.max_shards, policy.min_shards), (8, 3));
    }
}
