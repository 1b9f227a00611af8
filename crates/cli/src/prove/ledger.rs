//! The ledger: what prove creates, on disk before AWS is asked to create it. So also a killed run can be cleaned up.

use super::account::Account;
use crate::CliError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use unthrottle_core::text::quoted;
use unthrottle_core::words::many;

/// The name of the file.
const FILE: &str = "ledger.jsonl";

/// A kind of AWS resource that a step creates. Cleaning goes by the order here: what points at others comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(super) enum Kind {
    /// The template of an experiment of FIS, by the value of its tag.
    Template,
    /// A trail of CloudTrail.
    Trail,
    /// An EventBridge rule with one target.
    Rule,
    /// An SQS queue.
    Queue,
    /// A CloudWatch alarm.
    Alarm,
    /// A stream.
    Stream,
    /// A KMS key, by the value of its tag.
    Key,
}

/// A resource by its name, which is unique in the account and region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Resource {
    pub kind: Kind,
    pub name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    /// The first line.
    Run {
        run: String,
        #[serde(default)]
        account: Option<String>,
        region: String,
        #[serde(default)]
        endpoints: BTreeMap<String, String>,
    },
    /// AWS is asked next.
    Create { kind: Kind, name: String },
    /// AWS has created it, and named it.
    Known { kind: Kind, name: String, id: String },
    /// AWS no longer has it.
    Deleted { kind: Kind, name: String },
}

/// The ledger of a run. The file is locked: a second prove in the same folder would delete what the first one uses.
pub(super) struct Ledger {
    path: PathBuf,
    run: String,
    account: Account,
    state: Mutex<State>,
}

struct State {
    file: File,
    resources: BTreeMap<Resource, Entry>,
}

/// What the ledger knows of a resource.
#[derive(Clone, Debug, Default)]
struct Entry {
    /// Whether AWS may still have it.
    is_there: bool,
    /// AWS's own id of it, where its name is none.
    id: Option<String>,
}

/// The id of a new run: eight hexadecimal digits, so that no two runs meet.
pub(super) fn new_run() -> String {
    let random = RandomState::new().hash_one(std::process::id());
    format!("{:08x}", random as u32)
}

impl Ledger {
    /// Begins the ledger of a new run.
    ///
    /// # Errors
    /// The ledger of the folder still has resources. The file cannot be used, or is in use.
    pub fn begin(folder: &Path, run: &str, account: &Account) -> Result<Ledger, CliError> {
        if let Some(old) = Ledger::open(folder)? {
            old.must_be_clean()?;
        }
        std::fs::create_dir_all(folder).map_err(|source| unwritten(folder, source))?;
        let path = folder.join(FILE);
        let file = OpenOptions::new().create(true).read(true).append(true).open(&path);
        let file = file.map_err(|source| unwritten(&path, source))?;
        lock(&file, &path)?;
        file.set_len(0).map_err(|source| unwritten(&path, source))?;
        let state = Mutex::new(State { file, resources: BTreeMap::new() });
        let ledger = Ledger { path, run: run.into(), account: account.clone(), state };
        let Account { id, region, endpoints } = account.clone();
        ledger.append(&Line::Run { run: run.into(), account: id, region, endpoints })?;
        // The name of the file is in the folder, which the file's own sync does not cover. Only Unix can open a folder.
        #[cfg(unix)]
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| unwritten(folder, source))?;
        Ok(ledger)
    }

    /// Opens the ledger of an earlier run; `None`: the folder has none. A kill or a full disk can stop a run before the
    /// first line of its ledger, and so before AWS is asked to create anything: such a file is none.
    ///
    /// # Errors
    /// The file cannot be used, or is in use.
    pub fn open(folder: &Path) -> Result<Option<Ledger>, CliError> {
        let path = folder.join(FILE);
        let mut file = match OpenOptions::new().read(true).append(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(unwritten(&path, source)),
        };
        lock(&file, &path)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|source| CliError::File { path: path.clone(), source })?;
        let Some((run, account, resources)) = parse(&path, &text)? else { return Ok(None) };
        // A line that a kill cut off must not join the next one.
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n").map_err(|source| unwritten(&path, source))?;
        }
        Ok(Some(Ledger { path, run, account, state: Mutex::new(State { file, resources }) }))
    }

    /// The id of the run, which is in the name of each resource.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The account of the run.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Writes down a resource, before AWS is asked to create it.
    ///
    /// # Errors
    /// The line is not on disk. AWS must not be asked then.
    pub fn create(&self, resource: &Resource) -> Result<(), CliError> {
        self.append(&Line::Create { kind: resource.kind, name: resource.name.clone() })?;
        self.set(resource, |entry| entry.is_there = true);
        Ok(())
    }

    /// Writes down that AWS no longer has a resource.
    ///
    /// # Errors
    /// The line is not on disk. The resource is deleted once more the next time.
    pub fn deleted(&self, resource: &Resource) -> Result<(), CliError> {
        self.append(&Line::Deleted { kind: resource.kind, name: resource.name.clone() })?;
        self.set(resource, |entry| entry.is_there = false);
        Ok(())
    }

    /// Writes down AWS's own id of a resource.
    ///
    /// # Errors
    /// The line is not on disk. The resource is then found by its tag.
    pub fn known(&self, resource: &Resource, id: &str) -> Result<(), CliError> {
        self.append(&Line::Known { kind: resource.kind, name: resource.name.clone(), id: id.into() })?;
        self.set(resource, |entry| entry.id = Some(id.into()));
        Ok(())
    }

    /// AWS's own id of a resource, if it is known.
    pub fn id(&self, resource: &Resource) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.resources.get(resource).and_then(|entry| entry.id.clone())
    }

    fn set(&self, resource: &Resource, set: impl FnOnce(&mut Entry)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        set(state.resources.entry(resource.clone()).or_default());
    }

    /// The resources that AWS may still have, in the order in which they are deleted.
    pub fn left(&self) -> Vec<Resource> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.resources.iter().filter(|(_, entry)| entry.is_there).map(|(resource, _)| resource.clone()).collect()
    }

    /// The command that deletes what the ledger names.
    pub fn cleaning(&self) -> String {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        format!("unthrottle prove --clean --out {}", quoted(&folder.display().to_string()))
    }

    fn must_be_clean(&self) -> Result<(), CliError> {
        let (left, path) = (self.left(), self.path.display());
        match left.first() {
            None => Ok(()),
            Some(Resource { kind, name }) => Err(CliError::Usage(format!(
                "{path}: an earlier run may have left {}, such as the {kind} `{name}`. Run `{}` first, or go on with \
                 --resume",
                many(left.len(), "resource"),
                self.cleaning()
            ))),
        }
    }

    fn append(&self, line: &Line) -> Result<(), CliError> {
        let mut text = serde_json::to_string(line).map_err(std::io::Error::from)?;
        text.push('\n');
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let written = state.file.write_all(text.as_bytes()).and_then(|()| state.file.sync_all());
        written.map_err(|source| unwritten(&self.path, source))
    }
}

fn unwritten(path: &Path, source: std::io::Error) -> CliError {
    CliError::Unwritten { path: path.to_owned(), source }
}

fn lock(file: &File, path: &Path) -> Result<(), CliError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let path = path.display();
            Err(CliError::Usage(format!("{path}: another prove uses this folder. Wait for it, or give another --out")))
        }
        Err(TryLockError::Error(source)) => Err(unwritten(path, source)),
    }
}

type Parsed = (String, Account, BTreeMap<Resource, Entry>);

/// What the lines of a ledger say; `None`: it has no whole line.
fn parse(path: &Path, text: &str) -> Result<Option<Parsed>, CliError> {
    let (mut begun, mut resources) = (None, BTreeMap::<Resource, Entry>::new());

    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bad = |problem: String| CliError::Line { path: path.to_owned(), line: index as u64 + 1, problem };
        match serde_json::from_str(line) {
            Ok(Line::Run { run, account, region, endpoints }) => {
                begun = Some((run, Account { id: account, region, endpoints }));
            }
            Ok(Line::Create { kind, name }) => resources.entry(Resource { kind, name }).or_default().is_there = true,
            Ok(Line::Known { kind, name, id }) => resources.entry(Resource { kind, name }).or_default().id = Some(id),
            Ok(Line::Deleted { kind, name }) => resources.entry(Resource { kind, name }).or_default().is_there = false,
            // A kill can cut off a line. AWS was not asked to create what it names.
            Err(error) if error.is_eof() => {}
            Err(error) => return Err(bad(format!("no line of a ledger: {error}"))),
        }
    }
    if begun.is_none() && resources.is_empty() {
        return Ok(None);
    }
    let (run, account) = begun.ok_or_else(|| CliError::Line {
        path: path.to_owned(),
        line: 1,
        problem: "the first line must name the run and its account. Without it, use `unthrottle prove --clean \
                  --all-runs` with another --out"
            .into(),
    })?;
    Ok(Some((run, account, resources)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        let endpoints = [("Kinesis".to_owned(), "http://127.0.0.1:4566".to_owned())].into();
        Account { id: Some("123456789012".into()), region: "us-east-1".into(), endpoints }
    }

    fn stream(name: &str) -> Resource {
        Resource { kind: Kind::Stream, name: name.into() }
    }

    #[test]
    fn a_killed_run_leaves_what_it_was_about_to_create_and_a_line_that_is_cut_off_does_no_harm() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::begin(folder.path(), "1a2b3c4d", &account()).expect("begun");
        let alarm = Resource { kind: Kind::Alarm, name: "a".into() };
        for resource in [&stream("s"), &stream("t"), &alarm] {
            ledger.create(resource).expect("written");
        }
        ledger.deleted(&stream("s")).expect("written");
        drop(ledger);
        let path = folder.path().join(FILE);
        let text = std::fs::read_to_string(&path).expect("readable");
        std::fs::write(&path, format!("{text}{{\"event\":\"create\",\"ki")).expect("written");
        let ledger = Ledger::open(folder.path()).expect("readable").expect("there");
        assert_eq!(ledger.left(), [alarm.clone(), stream("t")]);
        assert_eq!((ledger.run(), ledger.account()), ("1a2b3c4d", &account()));
        ledger.deleted(&alarm).expect("written");
        drop(ledger);
        let error = Ledger::begin(folder.path(), "x", &account()).err().expect("not clean").to_string();
        assert!(error.contains("may have left 1 resource, such as the stream `t`"), "{error}");
        let clean = format!("Run `unthrottle prove --clean --out {}` first", folder.path().display());
        assert!(error.contains(&clean), "{error}");
    }

    #[test]
    fn a_ledger_that_was_stopped_before_its_first_line_is_none_and_one_that_lacks_this_line_is_broken() {
        for text in ["", "\n", "{\"event\":\"run\",\"run\":\"1a2b"] {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join(FILE), text).expect("written");
            assert!(Ledger::open(folder.path()).expect("readable").is_none(), "{text}");
            let ledger = Ledger::begin(folder.path(), "1a2b3c4d", &account()).expect("begun");
            ledger.create(&stream("s")).expect("written");
            drop(ledger);
            let ledger = Ledger::open(folder.path()).expect("readable").expect("there");
            assert_eq!((ledger.run(), ledger.left()), ("1a2b3c4d", vec![stream("s")]), "{text}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let create = "{\"event\":\"create\",\"kind\":\"stream\",\"name\":\"s\"}\n";
        std::fs::write(folder.path().join(FILE), create).expect("written");
        let error = Ledger::open(folder.path()).err().expect("broken").to_string();
        assert!(error.contains("ledger.jsonl:1: the first line must name the run and its account"), "{error}");
    }

    #[test]
    fn a_ledger_in_use_and_a_broken_ledger_are_refused_with_their_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::begin(folder.path(), "1a2b3c4d", &account()).expect("begun");
        let error = Ledger::open(folder.path()).err().expect("in use").to_string();
        assert!(error.contains("another prove uses this folder"), "{error}");
        drop(ledger);
        std::fs::write(folder.path().join(FILE), "{\"event\":\"made\"}\n").expect("written");
        let error = Ledger::open(folder.path()).err().expect("broken").to_string();
        assert!(error.contains("ledger.jsonl:1: no line of a ledger: unknown variant `made`"), "{error}");
    }
}
