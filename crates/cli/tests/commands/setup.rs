//! The settings file, completions, manual pages, and the version.

use crate::fixture::{Fixture, live};
use crate::shell::{output, text, unthrottle};
use serde_json::Value;
use std::path::Path;

/// The origin and the value of a setting.
fn setting(shown: &Value, name: &str) -> (Option<String>, String) {
    let all = shown["settings"].as_array().expect("settings");
    let entry = all.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name}: {shown:#}"));
    (entry["value"].as_str().map(str::to_owned), entry["from"].as_str().expect("an origin").to_owned())
}

fn write(folder: &Path, text: &str) {
    std::fs::write(folder.join("unthrottle.toml"), text).expect("written");
}

#[tokio::test]
async fn a_setting_comes_from_the_environment_then_the_file_then_its_default() {
    let folder = tempfile::tempdir().expect("a folder");
    write(
        folder.path(),
        "[aws]\nregion = \"eu-central-1\"\nprofile = \"staging\"\n[settings]\nUNTHROTTLE_MODE = \"observe\"\n\
         UNTHROTTLE_MAX_SHARDS = 40\n",
    );
    let mut command = unthrottle(&["config", "show", "--json"]);
    command.current_dir(folder.path()).env("UNTHROTTLE_MODE", "off").env("AWS_PROFILE", "production");
    let out = output(command).await;
    let shown: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let of = |value: &str, from: &str| (Some(value.to_owned()), from.to_owned());
    assert_eq!(setting(&shown, "UNTHROTTLE_MODE"), of("off", "environment"));
    assert_eq!(setting(&shown, "UNTHROTTLE_MAX_SHARDS"), of("40", "unthrottle.toml"));
    assert_eq!(setting(&shown, "UNTHROTTLE_SCOPE"), of("all", "default"));
    assert_eq!(setting(&shown, "region"), of("eu-central-1", "unthrottle.toml"));
    assert_eq!(setting(&shown, "profile"), of("production", "environment"));
    assert_eq!(setting(&shown, "endpoint_url"), (None, "~/.aws".to_owned()));

    let mut command = unthrottle(&["config", "show"]);
    command.current_dir(folder.path());
    let said = text(&output(command).await.stdout);
    let row = said.lines().find(|line| line.contains("UNTHROTTLE_MODE ")).expect("a row");
    assert!(row.contains("observe") && row.ends_with("unthrottle.toml"), "{said}");

    // The folder of the user's settings, where the current one has no file.
    let user = folder.path().join("home/unthrottle");
    std::fs::create_dir_all(&user).expect("made");
    write(&user, "[settings]\nUNTHROTTLE_SCOPE = \"tagged\"\n");
    let mut command = unthrottle(&["config", "show", "--json"]);
    command.current_dir(&user).env("XDG_CONFIG_HOME", folder.path().join("home"));
    std::fs::create_dir_all(folder.path().join("empty")).expect("made");
    command.current_dir(folder.path().join("empty"));
    let shown: Value = serde_json::from_slice(&output(command).await.stdout).expect("JSON");
    assert_eq!(setting(&shown, "UNTHROTTLE_SCOPE").0.as_deref(), Some("tagged"));
}

#[tokio::test]
async fn a_command_uses_the_endpoint_the_region_and_the_settings_of_the_file() {
    let fixture = Fixture::on(live(), 3000.0, 2, 10).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = |most: u32| {
        let url = fixture.account.url();
        let aws = format!("[aws]\nendpoint_url = \"{url}\"\nregion = \"us-east-1\"\n");
        write(folder.path(), &format!("{aws}[settings]\nUNTHROTTLE_MAX_SHARDS = {most}\n"));
    };
    for (most, code) in [(100, "scale_shards"), (2, "at_max_shards")] {
        file(most);
        let mut command = unthrottle(&["explain", "orders", "--json"]);
        command.env("UNTHROTTLE_CONFIG", folder.path().join("unthrottle.toml"));
        let out = output(command).await;
        assert!(out.stderr.is_empty(), "{}", text(&out.stderr));
        let document: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        assert_eq!(document["code"], code, "{document:#}");
    }
}

#[tokio::test]
async fn a_replay_and_a_proof_use_the_settings_of_the_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = tempfile::tempdir().expect("a folder");
    let prices = std::fs::read_to_string(root.join("infra/prices.json")).expect("readable");
    let dear = folder.path().join("prices.json");
    std::fs::write(&dear, prices.replace("\"shard_hour\": 0.015", "\"shard_hour\": 15")).expect("written");
    let settings = format!("[settings]\nUNTHROTTLE_MODE = \"observe\"\nUNTHROTTLE_PRICES_FILE = {:?}\n", dear);
    write(folder.path(), &settings);
    let event = root.join("events/put_records_throttled__scale_shards.json");
    let mut replay = unthrottle(&["replay", "--json", event.to_str().expect("text")]);
    replay.env("UNTHROTTLE_CONFIG", folder.path().join("unthrottle.toml"));
    let document: Value = serde_json::from_slice(&output(replay).await.stdout).expect("JSON");
    assert_eq!(document["outcome"], "planned", "{document:#}");
    let prove = async |with_file: bool| {
        let mut prove = unthrottle(&["prove", "--dry-run", "--json"]);
        if with_file {
            prove.env("UNTHROTTLE_CONFIG", folder.path().join("unthrottle.toml"));
        }
        let listed: Value = serde_json::from_slice(&output(prove).await.stdout).expect("JSON");
        listed["cost_usd"].as_f64().expect("a cost")
    };
    let (listed, dear) = (prove(false).await, prove(true).await);
    assert!(dear > 10.0 * listed, "{listed} {dear}");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_stops_every_command_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "[settings]\nUNTHROTTLE_MAX_SHARD = 40\n");
    let mut command = unthrottle(&["explain", "orders"]);
    command.current_dir(folder.path());
    let out = output(command).await;
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("unthrottle.toml:2: ") && said.contains("UNTHROTTLE_MAX_SHARDS"), "{said}");
    std::fs::write(folder.path().join("bin"), b"\xFF\xFF").expect("written");
    let zero = Path::new("/dev/zero").to_owned();
    for (file, says) in [(folder.path().join("bin"), "bin: not UTF-8 (line 1)"), (zero, "larger than 1 MiB")] {
        let mut command = unthrottle(&["config", "show"]);
        command.env("UNTHROTTLE_CONFIG", file);
        let out = output(command).await;
        let said = text(&out.stderr);
        assert!(out.status.code() == Some(2) && said.contains(says), "{said}");
    }
    let mut command = unthrottle(&["config", "show"]);
    command.env("UNTHROTTLE_CONFIG", folder.path().join("none.toml"));
    let out = output(command).await;
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("none.toml"), "{}", text(&out.stderr));
}

#[tokio::test]
async fn completions_know_each_command_and_a_shell_accepts_them() {
    for shell in ["bash", "zsh", "fish"] {
        let out = output(unthrottle(&["completions", shell])).await;
        let script = text(&out.stdout);
        assert!(out.status.success() && script.contains("watch") && script.contains("endpoint-url"), "{shell}");
    }
    let script = text(&output(unthrottle(&["completions", "bash"])).await.stdout);
    let mut bash = std::process::Command::new("bash");
    let asks = "COMP_WORDS=(unthrottle exp); COMP_CWORD=1; _unthrottle unthrottle exp unthrottle; echo ${COMPREPLY[@]}";
    bash.args(["--norc", "-c", &format!("{script}\n{asks}")]);
    let out = output(bash).await;
    assert_eq!(text(&out.stdout).trim(), "explain", "{}", text(&out.stderr));
}

#[tokio::test]
async fn each_command_has_a_manual_page() {
    let page = text(&output(unthrottle(&["man"])).await.stdout);
    assert!(page.contains(".TH unthrottle 1") && page.contains("watch"), "{page}");
    let folder = tempfile::tempdir().expect("a folder");
    let out = output(unthrottle(&["man", folder.path().to_str().expect("text")])).await;
    assert!(out.status.success(), "{}", text(&out.stderr));
    for name in ["unthrottle", "unthrottle-watch", "unthrottle-config-show"] {
        let page = std::fs::read_to_string(folder.path().join(format!("{name}.1"))).expect(name);
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    for (name, example) in
        [("explain", r"unthrottle explain orders \-\-region"), ("pause", r"unthrottle pause \-\-dry")]
    {
        let page = std::fs::read_to_string(folder.path().join(format!("unthrottle-{name}.1"))).expect(name);
        assert!(page.contains("Example:") && page.contains(example), "{name}: {page}");
    }
}

#[tokio::test]
async fn the_version_names_the_commit_and_the_features() {
    let short = text(&output(unthrottle(&["-V"])).await.stdout);
    assert_eq!(short.trim(), concat!("unthrottle ", env!("CARGO_PKG_VERSION")));
    let long = text(&output(unthrottle(&["--version"])).await.stdout);
    for part in [short.trim(), "commit: ", "features: schema", "build: "] {
        assert!(long.contains(part), "{part}: {long}");
    }
}
