//! The fleet by hand: `unthrottle sweep`, `restore`, `history` and `runbook`, as a person types them.

#[path = "../../../tests/common/aws.rs"]
mod aws;
#[path = "../../../tests/common/fixture.rs"]
mod fixture;
#[path = "../../../tests/common/fleet.rs"]
mod fleet;

use aws::{STREAM, STREAM_ARN};
use fixture::{Fixture, live};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use unthrottle_core::memory::TAG;

impl Fixture {
    /// Runs `unthrottle ARGS` in this account, as a person types it: whether it succeeds, its standard output and its
    /// standard error.
    async fn try_in(&self, args: &[&str]) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
        command.args(args).env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
        if args[0] != "runbook" {
            command.args(["--endpoint-url", self.account.url(), "--region", "us-east-1"]);
        }
        let out = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (out.status.success(), text(out.stdout), text(out.stderr))
    }

    /// The standard output of a command that succeeds.
    async fn type_in(&self, args: &[&str]) -> String {
        let (is_success, stdout, stderr) = self.try_in(args).await;
        assert!(is_success, "{args:?}: {stderr}{stdout}");
        stdout
    }

    /// The same as JSON.
    async fn type_in_for_json(&self, args: &[&str]) -> Value {
        let out = self.type_in(args).await;
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: not JSON ({error}): {out}"))
    }
}

#[tokio::test]
async fn a_person_sweeps_by_hand() {
    let fixture = Fixture::empty(live()).await;
    assert!(fixture.type_in(&["sweep"]).await.contains("there is no stream"));
    assert_eq!(fixture.type_in_for_json(&["sweep", "--json"]).await["looked"], 0);
    fixture.account.add_streams([STREAM.into()], 2, &[]).await;
    fixture.offer(STREAM, 3000.0, 2, 1..=10);
    let observed = fixture.type_in_for_json(&["sweep", "--observe", "--json"]).await;
    assert_eq!(observed["decisions"][0]["outcome"], "planned", "{observed:#}");
    fixture.account.age(Duration::ZERO).await;
    let (is_success, listed, refused) = fixture.try_in(&["sweep"]).await;
    assert!(!is_success && listed.contains("scale_shards (planned): orders"), "{listed}");
    assert!(listed.contains("so far nothing was changed.") && !listed.contains("observe"), "{listed}");
    assert!(refused.contains("nothing was changed. To do this without a terminal, give --yes"), "{refused}");
    assert_eq!((fixture.calls("Kinesis.TagResource"), fixture.shards().await), (0, 2));
    fixture.account.age(Duration::ZERO).await;
    let short_of_time = fixture.type_in_for_json(&["sweep", "--within", "20", "--json", "--yes"]).await;
    assert_eq!((&short_of_time["looked"], &short_of_time["left"]), (&json!(0), &json!([STREAM])), "{short_of_time:#}");
    // AWS lists streams five times a second: that second is over.
    fixture.account.age(Duration::ZERO).await;
    fixture.deny("GetResources", 0, 1);
    let (is_success, stdout, stderr) = fixture.try_in(&["sweep", "--json", "--yes"]).await;
    assert!(!is_success && stderr.contains("1 of what the sweep tried failed"), "{stderr}");
    let swept: Value = serde_json::from_str(&stdout).expect("JSON all the same");
    assert_eq!((&swept["changed"], &swept["failed"][0]["of"]), (&json!(1), &json!("memories")), "{swept:#}");
    let said = fixture.type_in(&["sweep", "--yes"]).await;
    assert!(said.contains("orders: ") && said.contains("sweep: 1 stream in alarm,"), "{said}");
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("1 of 1 remembered stream needs a check."), "{said}");
}

#[tokio::test]
async fn a_restore_by_hand_does_not_hide_that_a_change_has_healed() {
    let fixture = Fixture::on(live(), 3000.0, 2, 4).await;
    fixture.ask().await;
    fixture.later(2, 3000.0).await;
    fixture.ask().await;
    fixture.later(5, 3000.0).await;
    let (is_done, said, _) = fixture.try_in(&["restore", STREAM, "--yes"]).await;
    assert!(!is_done && said.contains("needs all 4 shards"), "{said}");
    let said = fixture.type_in(&["sweep", "--yes"]).await;
    assert!(said.contains("healed 1"), "{said}");
    let healed = fixture.aws.counts("Healed", &[("StreamName", STREAM)]).await;
    assert_eq!(healed.len(), 1, "CloudWatch makes no metrics from the log of a person");
}

#[tokio::test]
async fn a_person_undoes_a_change_by_hand() {
    let fixture = Fixture::raised(live(), 6).await;
    let (is_done, too_early, why) = fixture.try_in(&["restore", STREAM, "--yes", "--json"]).await;
    let too_early: Value = serde_json::from_str(&too_early).expect("JSON all the same");
    assert_eq!((&too_early["outcome"], &too_early["code"]), (&json!("held"), &json!("not_restorable")));
    assert!(!is_done && why.contains("not restored (not_restorable)"), "{why}");

    fixture.later(60, 500.0).await;
    let before = fixture.aws.memory(STREAM_ARN).await;
    let planned = fixture.type_in_for_json(&["restore", STREAM, "--json", "--dry-run"]).await;
    assert_eq!((&planned["outcome"], &planned["code"]), (&json!("planned"), &json!("restore")), "{planned:#}");
    assert_eq!(planned["remedy"], json!({ "from": 4, "to": 2 }));
    let said = fixture.type_in(&["restore", STREAM, "--dry-run"]).await;
    assert!(said.contains("restore (planned)") && said.contains("so far nothing was changed."), "{said}");
    let (is_done, listed, refused) = fixture.try_in(&["restore", STREAM]).await;
    assert!(!is_done && listed.contains("restore (planned)"), "{listed}");
    assert!(refused.contains("nothing was changed. To do this without a terminal, give --yes"), "{refused}");
    assert_eq!((fixture.shards().await, fixture.aws.memory(STREAM_ARN).await), (4, before), "a dry run");

    let done = fixture.type_in_for_json(&["restore", STREAM_ARN, "--to", "3", "--yes", "--json"]).await;
    assert_eq!((&done["outcome"], &done["remedy"]), (&json!("acted"), &json!({ "from": 4, "to": 3 })), "{done:#}");
    assert_eq!(fixture.shards().await, 3);
    fixture.later(20, 500.0).await;
    let said = fixture.type_in(&["restore", STREAM, "--yes"]).await;
    assert!(said.contains("restore (acted)"), "{said}");
    assert_eq!(fixture.shards().await, 2);
    fixture.later(20, 500.0).await;
    let (is_done, nothing_left, _) = fixture.try_in(&["restore", STREAM, "--yes", "--json"]).await;
    assert!(!is_done && nothing_left.contains("\"code\":\"not_restorable\""), "{nothing_left}");
    assert_eq!(fixture.aws.auto_fix(&[("StreamName", STREAM), ("Action", "restore")]).await, 2.0);

    let history = fixture.type_in_for_json(&["history", STREAM, "--json"]).await;
    assert_eq!(history["version"], 1);
    let changes = history["changes"].as_array().expect("changes");
    let actions: Vec<_> = changes.iter().map(|change| change["action"].as_str().expect("an action")).collect();
    assert_eq!(
        (&history["stream"], actions),
        (&json!(STREAM), vec!["restore", "restore", "scale_shards"]),
        "{history:#}"
    );
    assert_eq!((&changes[0]["from"], &changes[0]["to"], &changes[0]["counted"]), (&json!(3), &json!(2), &json!(true)));
    let table = fixture.type_in(&["history", STREAM]).await;
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 5, "{table}");
    fixture.aws.tag(STREAM_ARN, TAG, "v=1 words").await;
    let unreadable = fixture.type_in(&["history", STREAM]).await;
    assert!(unreadable.contains("cannot be read: `words` is not key=value"), "{unreadable}");
    assert!(rows[2].contains("restore") && rows[2].contains("3 → 2") && rows[4].contains("scale_shards"), "{table}");
}

#[tokio::test]
async fn a_person_forces_an_undo_whatever_the_peak_load() {
    let fixture = Fixture::raised(live(), 6).await;
    let (is_done, said, _) = fixture.try_in(&["restore", STREAM, "--yes"]).await;
    assert!(!is_done && said.contains("needs all 4 shards; try again after"), "{said}");
    fixture.aws.tag(STREAM_ARN, "unthrottle.mode", "observe").await;
    let said = fixture.type_in(&["restore", STREAM, "--force", "--dry-run"]).await;
    assert!(said.contains("--yes changes nothing either"), "{said}");
    assert_eq!(fixture.shards().await, 4);
    fixture.aws.tag(STREAM_ARN, "unthrottle.mode", "heal").await;
    let said = fixture.type_in(&["restore", STREAM, "--force", "--dry-run"]).await;
    assert!(said.contains("you force it, whatever its load") && said.contains("so far nothing was changed."), "{said}");
    let said = fixture.type_in(&["restore", STREAM, "--force", "--yes"]).await;
    assert!(said.contains("restore (acted)"), "{said}");
    assert_eq!(fixture.shards().await, 2);
}

/// A file with this text, for this test process alone.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("written");
    path
}

#[tokio::test]
async fn a_runbook_is_written_of_the_documents_of_an_incident() {
    let fixture = Fixture::on(live(), 3000.0, 2, 4).await;
    let explained = fixture.type_in(&["explain", STREAM, "--json"]).await;
    let swept = fixture.type_in(&["sweep", "--json", "--yes"]).await;
    fixture.later(2, 3000.0).await;
    fixture.ask().await;
    fixture.later(5, 3000.0).await;
    let healed = json!({ "decision": fixture.ask().await.document, "message": "a log line" });
    let healed = format!("START RequestId: 1 Version: $LATEST\n{healed}\nREPORT RequestId: 1\tDuration: 9 ms\n");
    let files =
        [("healed", &healed), ("swept", &swept), ("explained", &explained)].map(|(name, text)| file(name, text));
    let mut args = vec!["runbook"];
    args.extend(files.iter().map(|file| file.to_str().expect("text")));

    let text = fixture.type_in(&args).await;

    files.iter().for_each(|file| std::fs::remove_file(file).expect("removed"));
    let headings: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(
        headings,
        [
            "# Throttling of orders",
            "## Timeline (UTC)",
            "## Evidence",
            "## What was changed",
            "## What to check for the next 48 hours",
            "## How to undo"
        ],
        "{text}"
    );
    let outcomes: Vec<_> = ["(planned)", "(acted)", "(healed)"].map(|outcome| text.find(outcome)).into();
    assert!(outcomes.iter().all(Option::is_some) && outcomes.is_sorted(), "in the order of time: {text}");
    assert!(text.contains("| orders | time to heal seconds | 240 |"), "the evidence of the last: {text}");
    let swept: Value = serde_json::from_str(&swept).expect("JSON");
    let cost = |when: &str| swept["decisions"][0]["cost"][when].as_f64().expect("a cost");
    let (before, after) = (cost("before_usd_per_hour"), cost("after_usd_per_hour"));
    let row = format!("`scale_shards` | from 2, to 4 | {before:.4} | {after:.4} |");
    assert!(text.contains(&row), "{row}: {text}");
    assert!(
        text.contains(&format!("`unthrottle restore --endpoint-url {} orders --region", fixture.account.url())),
        "{text}"
    );
}
