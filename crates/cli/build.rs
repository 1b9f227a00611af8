//! Gives the commit and the features of this build to `unthrottle --version`.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=UNTHROTTLE_COMMIT");
    let profile = env::var("PROFILE").unwrap_or_default();
    println!("cargo:rustc-env=UNTHROTTLE_BUILT_FROM={}", commit(&profile));
    println!("cargo:rustc-env=UNTHROTTLE_BUILT_WITH={}", features());
    let target = env::var("TARGET").unwrap_or_default();
    println!("cargo:rustc-env=UNTHROTTLE_BUILT_AS={profile} for {target}");
}

/// The commit. A package of the sources has no repository, so its builder gives the commit in `UNTHROTTLE_COMMIT`. A
/// debug build has none: else each commit would compile the command line again.
fn commit(profile: &str) -> String {
    if let Some(commit) = env::var("UNTHROTTLE_COMMIT").ok().filter(|commit| !commit.is_empty()) {
        return commit;
    }
    if profile != "release" {
        return "not recorded in a debug build".into();
    }
    // This file changes with each commit, and with each checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
    git(&["describe", "--always", "--dirty", "--exclude", "*", "--abbrev=12"]).unwrap_or_else(|| "unknown".into())
}

/// What git prints. `None`: there is no git, or no repository.
fn git(args: &[&str]) -> Option<String> {
    let out = Command::new("git").args(args).output().ok().filter(|out| out.status.success())?;
    Some(String::from_utf8(out.stdout).ok()?.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The features of Cargo that are on, with `none` for no feature.
fn features() -> String {
    let on = |(name, _): (String, String)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase());
    let mut on: Vec<String> = env::vars().filter_map(on).filter(|name| name != "default").collect();
    on.sort();
    if on.is_empty() { "none".into() } else { on.join(", ") }
}
