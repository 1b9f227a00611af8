//! A killed run, and one that a person stops.

use crate::accounts::{Urls, command, left, local, moto, proof, prove, text, verdicts};
use crate::moto::Moto;
use std::process::{Child, Stdio};
use std::time::Duration;

/// The longest wait for a state: a bound, and no pace.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until the account has resources of the run.
async fn until_something_is_there(urls: &Urls) {
    let wait = async {
        while left(urls).await.len() < 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("resources in time");
}

/// An account in which a step with a queue, a rule and a stream does not end soon, and a run of it.
async fn running() -> (unthrottle_lab::local::LocalAccount, Moto, Urls, tempfile::TempDir, Child) {
    // An hour until a stream is UPDATED.
    let (account, moto) = (local(1, Duration::from_secs(3_600), Duration::ZERO).await, moto());
    let urls = Urls { local: account.url().to_owned(), moto: moto.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--only", "reshards,contributor-alarm", "--i-know-this-costs-up-to", "2"];
    let mut command = command(&urls, folder.path(), &args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    until_something_is_there(&urls).await;
    (account, moto, urls, folder, child)
}

#[tokio::test]
async fn what_a_killed_run_leaves_is_deleted_by_clean_and_the_proof_can_go_on() {
    let (_account, _moto, urls, folder, mut child) = running().await;
    // SIGKILL.
    child.kill().and_then(|()| child.wait()).expect("killed");
    assert!(left(&urls).await.len() >= 3);
    let args = ["--only", "tag-updating", "--i-know-this-costs-up-to", "2"];
    let out = prove(&urls, folder.path(), &args).await;
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("an earlier run may have left"), "{}", text(&out.stderr));
    let out = prove(&urls, folder.path(), &["--clean"]).await;
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    assert!(text(&out.stdout).contains("nothing is left"), "{}", text(&out.stdout));
    assert_eq!(left(&urls).await, Vec::<String>::new());
    let out = prove(&urls, folder.path(), &[&args[..], &["--resume"]].concat()).await;
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    assert_eq!(verdicts(&proof(folder.path())), [("tag-while-updating".to_owned(), "seen".to_owned())]);
}

#[tokio::test]
async fn what_a_lost_ledger_named_is_found_by_its_name() {
    let (_account, _moto, urls, folder, mut child) = running().await;
    child.kill().and_then(|()| child.wait()).expect("killed");
    std::fs::remove_file(folder.path().join("proof/ledger.jsonl")).expect("removed");
    let out = prove(&urls, folder.path(), &["--clean"]).await;
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("has no ledger. --all-runs deletes"), "{}", text(&out.stderr));
    let out = prove(&urls, folder.path(), &["--clean", "--all-runs"]).await;
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    assert_eq!(left(&urls).await, Vec::<String>::new());
}

#[cfg(unix)]
#[tokio::test]
async fn a_person_who_stops_a_run_finds_nothing_left() {
    let (_account, _moto, urls, _folder, child) = running().await;
    let stop = std::process::Command::new("kill").arg(child.id().to_string()).status().expect("it runs");
    assert!(stop.success());
    let out = tokio::task::spawn_blocking(move || child.wait_with_output()).await.expect("no panic").expect("its end");
    assert_eq!(out.status.code(), Some(1), "{}{}", text(&out.stdout), text(&out.stderr));
    assert!(text(&out.stderr).contains("stopped, and nothing is left"), "{}", text(&out.stderr));
    assert_eq!(left(&urls).await, Vec::<String>::new());
}
