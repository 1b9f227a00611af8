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
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("resources in time");
}

/// An account in which a step with a queue, a rule and a stream does not end soon, and a run of it.
pub async fn running() -> (unthrottle_lab::local::LocalAccount, Moto, Urls, tempfile::TempDir, Child) {
    // An hour until a stream is UPDATED.
    let (account, moto) = (local(1, Duration::from_secs(3_600), Duration::ZERO).await, moto().await);
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
    let clean = format!("Run `unthrottle prove --clean --out {}` first", folder.path().join("proof").display());
    assert!(text(&out.stderr).contains(&clean), "{}", text(&out.stderr));
    let out = prove(&urls, folder.path(), &["--clean"]).await;
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    assert!(text(&out.stdout).contains("nothing is left"), "{}", text(&out.stdout));
    assert_eq!(left(&urls).await, Vec::<String>::new());
    let out = prove(&urls, folder.path(), &[&args[..], &["--resume"]].concat()).await;
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    assert_eq!(verdicts(&proof(folder.path())), [("tag-while-updating".to_owned(), "seen".to_owned())]);
}

#[tokio::test]
async fn a_deployed_unthrottle_leaves_the_streams_of_a_run_alone() {
    let (_account, _moto, urls, folder, mut child) = running().await;
    let kinesis = aws_sdk_kinesis::Client::new(&unthrottle_cli::local_config(&urls.local));
    let streams = kinesis.list_streams().send().await.expect("streams").stream_names;
    assert!(!streams.is_empty());
    for stream in streams {
        let arn = format!("arn:aws:kinesis:us-east-1:123456789012:stream/{stream}");
        let tags = kinesis.list_tags_for_resource().resource_arn(arn).send().await.expect("tags").tags;
        let tags = tags.unwrap_or_default();
        assert!(tags.iter().any(|tag| (tag.key(), tag.value()) == ("unthrottle.mode", Some("off"))), "{tags:?}");
    }
    child.kill().and_then(|()| child.wait()).expect("killed");
    let out = prove(&urls, folder.path(), &["--clean"]).await;
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
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

/// Sends a signal to a process.
#[cfg(unix)]
fn send(signal: &str, child: &Child) {
    let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().expect("it runs");
    assert!(sent.success());
}

#[cfg(unix)]
#[tokio::test]
async fn a_terminal_that_closes_finds_nothing_left() {
    let (_account, _moto, urls, _folder, mut child) = running().await;
    // Nothing can be shown any more, as after a lost SSH connection.
    drop((child.stdout.take(), child.stderr.take()));
    send("-HUP", &child);
    let status = tokio::task::spawn_blocking(move || child.wait()).await.expect("no panic").expect("its end");
    assert_eq!(left(&urls).await, Vec::<String>::new());
    assert_eq!(status.code(), Some(1), "{status}");
}

/// Where the system says which signals are ignored.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_run_under_nohup_goes_on_without_its_terminal() {
    let (account, moto) = (local(1, Duration::from_secs(3_600), Duration::ZERO).await, moto().await);
    let urls = Urls { local: account.url().to_owned(), moto: moto.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    let run = command(&urls, folder.path(), &["--only", "reshards", "--i-know-this-costs-up-to", "2"]);
    let mut nohup = std::process::Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(run.get_program()).args(run.get_args());
    nohup.env_clear().envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = nohup.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let looks = || account.calls().get("Kinesis.DescribeStreamSummary").copied().unwrap_or_default();
    let looked = |more: u64| async move {
        let enough = async {
            while looks() < more {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.expect("the run goes on");
    };
    looked(3).await;
    send("-HUP", &child);
    // A run that stops begins to delete at once, and before it looks at the stream again.
    looked(looks() + 3).await;
    assert_eq!(account.calls().get("Kinesis.DeleteStream"), None);
    send("-TERM", &child);
    tokio::task::spawn_blocking(move || child.wait()).await.expect("no panic").expect("its end");
    assert_eq!(left(&urls).await, Vec::<String>::new());
}
