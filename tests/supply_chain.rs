//! What the programs are made of: each crate in one version or with a reason, none that needs a newer compiler, all
//! from one registry, and no unsafe code of our own.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use toml::Table;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn table(file: &str) -> Table {
    let text = std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    text.parse().unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Versions that Cargo.lock has and no program does: of features that are off, or of the tests alone. cargo-deny does
/// not see them. The name, the version, and the reason.
const IN_NO_PROGRAM: [(&str, &str, &str); 4] = [
    ("embedded-io", "0.4.0", "a feature of postcard"),
    ("getrandom", "0.2.17", "ring, a feature of rustls"),
    ("rand", "0.9.5", "ferrokinesis; rand 0.10 is proptest's, in tests"),
    ("windows-sys", "0.52.0", "ring, on Windows"),
];

/// The packages of Cargo.lock, which are those of every platform.
fn locked() -> Vec<Table> {
    locked_in("Cargo.lock")
}

fn locked_in(file: &str) -> Vec<Table> {
    let packages = table(file).remove("package").expect("packages");
    packages.as_array().expect("a list").iter().map(|package| package.as_table().expect("a table").clone()).collect()
}

fn text<'a>(table: &'a Table, key: &str) -> &'a str {
    table.get(key).and_then(toml::Value::as_str).unwrap_or_else(|| panic!("no {key} in {table:?}"))
}

/// What Cargo says of the packages that this machine builds.
fn metadata() -> Value {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let rustc = String::from_utf8(rustc.stdout).expect("UTF-8");
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
        .current_dir(root())
        .output()
        .expect("Cargo runs");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    serde_json::from_slice(&metadata.stdout).expect("JSON")
}

#[test]
fn each_crate_that_is_locked_twice_has_a_reason_and_each_reason_a_crate() {
    let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
    for package in locked() {
        versions.entry(text(&package, "name").into()).or_default().insert(text(&package, "version").into());
    }
    let bans = table("deny.toml")["bans"].as_table().expect("a table").clone();
    assert_eq!(text(&bans, "multiple-versions"), "deny");
    let mut skipped = BTreeMap::<String, BTreeSet<String>>::new();
    for skip in bans["skip"].as_array().expect("a list") {
        let skip = skip.as_table().expect("a table");
        assert!(!text(skip, "reason").is_empty(), "{skip:?}");
        let (name, version) = text(skip, "crate").split_once('@').expect("NAME@VERSION");
        skipped.entry(name.into()).or_default().insert(version.into());
    }
    for (name, version, _) in IN_NO_PROGRAM {
        skipped.entry(name.into()).or_default().insert(version.into());
    }
    for (name, versions) in &versions {
        let argued = skipped.remove(name).unwrap_or_default();
        assert!(argued.is_subset(versions), "deny.toml argues for versions of {name} that are not there: {argued:?}");
        assert!(
            versions.len() - argued.len() <= 1,
            "{name} is locked as {versions:?}; deny.toml argues for {argued:?}"
        );
        assert!(argued.is_empty() || versions.len() > 1, "{name} has one version, so deny.toml needs no reason for it");
    }
    assert!(skipped.is_empty(), "deny.toml argues for crates that are not there: {skipped:?}");
}

#[test]
fn every_crate_comes_from_one_registry_with_a_checksum_or_is_ours() {
    let (mut ours, mut sources) = (0, BTreeSet::new());
    for package in locked() {
        match package.get("source").and_then(toml::Value::as_str) {
            None => {
                assert!(text(&package, "name").starts_with("unthrottle"), "{package:?}");
                ours += 1;
            }
            Some(source) => {
                assert!(source.starts_with("registry+"), "{package:?}");
                sources.insert(source.to_owned());
                assert_eq!(text(&package, "checksum").len(), 64, "{package:?}");
            }
        }
    }
    assert_eq!(ours, 6, "the packages of the workspace");
    assert_eq!(sources.len(), 1, "{sources:?}");
}

/// `make fuzz` would otherwise take other versions, or stop. A line of a lock file is `name`, or `name version`.
#[test]
fn the_lock_file_of_the_fuzz_targets_has_what_our_crates_need() {
    let mut ours = 0;
    for package in locked_in("fuzz/Cargo.lock") {
        let Some(folder) = text(&package, "name").strip_prefix("unthrottle-").filter(|name| *name != "fuzz") else {
            continue;
        };
        ours += 1;
        let locked: BTreeSet<&str> = package["dependencies"].as_array().expect("a list").iter().map(name).collect();
        let manifest = table(&format!("crates/{folder}/Cargo.toml"));
        for (needed, how) in manifest["dependencies"].as_table().expect("a table") {
            let is_optional = how.get("optional").is_some_and(|optional| optional.as_bool() == Some(true));
            assert!(
                is_optional || locked.contains(needed.as_str()),
                "{folder} needs {needed}: run cargo metadata in fuzz/"
            );
        }
    }
    assert!(ours >= 4, "{ours} of our crates");
}

/// The name in a line of a package's dependencies.
fn name(dependency: &toml::Value) -> &str {
    dependency.as_str().and_then(|line| line.split(' ').next()).expect("a name")
}

/// The compiler's version, in numbers.
fn numbers(version: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = version.split('.').map(|number| number.parse().expect("a number")).collect();
    numbers.resize(3, 0);
    numbers
}

#[test]
fn no_dependency_needs_a_newer_compiler_than_we_promise() {
    let ours = table("Cargo.toml")["workspace"]["package"]["rust-version"].as_str().expect("a version").to_owned();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let mut says = 0;
    for package in packages {
        let Some(needed) = package["rust_version"].as_str() else { continue };
        says += 1;
        assert!(numbers(needed) <= numbers(&ours), "{} needs Rust {needed}, we promise {ours}", package["id"]);
    }
    // Four in five say it. The others need nothing that their authors know of.
    assert!(says * 5 >= packages.len() * 4, "{says} of {} packages say which compiler they need", packages.len());
}

#[test]
fn our_crates_forbid_unsafe_code() {
    let manifest = table("Cargo.toml");
    let workspace = manifest["workspace"].as_table().expect("a table");
    assert_eq!(workspace["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    let members =
        workspace["members"].as_array().expect("a list").iter().map(|member| member.as_str().expect("a path"));
    let manifests: Vec<PathBuf> = members.map(|member| Path::new(member).join("Cargo.toml")).collect();
    let locals = locked().into_iter().filter(|package| !package.contains_key("source")).count();
    assert_eq!(manifests.len() + 1, locals, "the root and the members are all that is ours");
    for path in manifests.into_iter().chain(["Cargo.toml".into()]) {
        let manifest = table(path.to_str().expect("UTF-8"));
        // A crate that takes the workspace's lints cannot also set its own.
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{}", path.display());
    }
}
