//! The account that a run spends in: shown, and never mistaken for another one.

use crate::accounts::{Urls, command, left, prove, quick, text};
use crate::kill::running;
use std::process::Output;
use std::time::Duration;
use unthrottle_lab::local::{LocalAccount, Options};

/// Runs `unthrottle prove` with STS of another account.
async fn with_sts(sts: &LocalAccount, urls: &Urls, folder: &std::path::Path, args: &[&str]) -> Output {
    let mut command = command(urls, folder, args);
    command.env("AWS_ENDPOINT_URL_STS", sts.url());
    tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs")
}

#[tokio::test]
async fn a_ledger_is_not_cleaned_in_another_account_or_at_another_endpoint() {
    let (_account, _moto, urls, folder, mut child) = running().await;
    child.kill().and_then(|()| child.wait()).expect("killed");
    let there = left(&urls).await;
    let options = Options { account: "444455556666".into(), create_time: Duration::ZERO, ..Options::default() };
    let other = LocalAccount::start(options).await.expect("it starts");
    let pay = ["--only", "tag-updating", "--resume", "--i-know-this-costs-up-to", "2"];
    let elsewhere = Urls { local: other.url().to_owned(), moto: urls.moto.clone() };
    for (out, says) in [
        (prove(&elsewhere, folder.path(), &["--clean"]).await, "would call account 444455556666, region us-east-1, at"),
        (with_sts(&other, &urls, folder.path(), &["--clean"]).await, "would call account 444455556666"),
        (with_sts(&other, &urls, folder.path(), &pay).await, "would call account 444455556666"),
    ] {
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(said.contains("the ledger of the folder is of account 123456789012, region us-east-1, at "), "{said}");
        assert!(said.contains(says) && !said.contains("nothing is left"), "{said}");
        assert_eq!(left(&urls).await, there, "{said}");
    }
    let out = prove(&urls, folder.path(), &["--clean"]).await;
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    assert!(out.status.success() && said.contains("resources to delete in account 123456789012"), "{said}");
    assert_eq!(left(&urls).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_account_that_does_not_say_its_id_gets_nothing_created_and_nothing_deleted() {
    let account = quick(3_600).await;
    let (code, message) = ("ExpiredToken".to_owned(), "The security token is expired".to_owned());
    let effect = unthrottle_lab::local::Effect::Error { status: 403, code, message };
    let operation = "GetCallerIdentity".to_owned();
    account.add_fault(unthrottle_lab::local::Fault { operation, skip: 0, times: 1_000, effect });
    let urls = Urls { local: account.url().to_owned(), moto: account.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    for args in [&["--only", "tag-updating", "--i-know-this-costs-up-to", "2"][..], &["--clean", "--all-runs"]] {
        let out = prove(&urls, folder.path(), args).await;
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains("nothing was created or deleted: ") && said.contains("ExpiredToken"), "{said}");
        assert!(!folder.path().join("proof").exists(), "{said}");
    }
    assert_eq!(account.calls().keys().filter(|call| call.starts_with("Kinesis.")).count(), 0);
}

#[tokio::test]
async fn the_cost_counts_the_streams_of_the_account_before_anything_is_created() {
    let account = quick(3_600).await;
    // The alarm analyses each: about 3 cents more than in an empty account.
    account.add_streams((0..300).map(|number| format!("orders-{number}")), 1, &[]).await;
    let urls = Urls { local: account.url().to_owned(), moto: account.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    let listed = prove(&urls, folder.path(), &["--dry-run", "--only", "contributor-alarm"]).await;
    let shown = shown_usd(&text(&listed.stdout));
    let args = ["--only", "contributor-alarm", "--i-know-this-costs-up-to", &shown];
    let out = prove(&urls, folder.path(), &args).await;
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("has 300 streams: these steps cost up to $"), "{said}");
    assert!(said.contains(&format!("--i-know-this-costs-up-to allows ${shown}")), "{said}");
    assert!(!folder.path().join("proof").exists());
    assert_eq!(account.calls().get("Kinesis.CreateStream"), None, "{:?}", account.calls());
}

#[tokio::test]
async fn what_a_dry_run_shows_is_accepted_in_an_empty_account() {
    let account = quick(3_600).await;
    let urls = Urls { local: account.url().to_owned(), moto: account.url().to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    let listed = prove(&urls, folder.path(), &["--dry-run", "--only", "tag-updating,shard-limits"]).await;
    let shown = shown_usd(&text(&listed.stdout));
    let args = ["--only", "tag-updating,shard-limits", "--pace", "3600", "--i-know-this-costs-up-to", &shown];
    let out = prove(&urls, folder.path(), &args).await;
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    assert!(said.contains("2 steps in account 123456789012, region us-east-1, at http://127.0.0.1:"), "{said}");
    assert!(said.contains(&format!("${shown} at list prices")), "{said}");
    assert_eq!(left_here(&account).await, Vec::<String>::new());
}

/// The sum that `--dry-run` shows, such as `0.64`.
fn shown_usd(listed: &str) -> String {
    let (_, sum) = listed.trim_end().rsplit_once('$').expect("a sum");
    sum.to_owned()
}

async fn left_here(account: &LocalAccount) -> Vec<String> {
    let kinesis = aws_sdk_kinesis::Client::new(&unthrottle_cli::local_config(account.url()));
    kinesis.list_streams().send().await.expect("streams").stream_names
}

#[tokio::test]
async fn a_trail_of_another_region_is_not_said_to_be_deleted() {
    let (account, moto) = (quick(3_600).await, crate::accounts::moto().await);
    let urls = Urls { local: account.url().to_owned(), moto: moto.url().to_owned() };
    let config = unthrottle_cli::local_config(moto.url()).into_builder();
    let config = config.region(Some(aws_sdk_kinesis::config::Region::new("eu-west-1"))).build();
    let cloudtrail = aws_sdk_cloudtrail::Client::new(&config);
    let name = "unthrottle-prove-1a2b3c4d-cloudtrail";
    let create = cloudtrail.create_trail().name(name).s3_bucket_name(crate::accounts::BUCKET);
    create.is_multi_region_trail(true).send().await.expect("created");
    let folder = tempfile::tempdir().expect("a folder");
    let out = prove(&urls, folder.path(), &["--clean", "--all-runs"]).await;
    let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
    assert!(out.status.success() && said.contains("0 resources to delete in account 123456789012"), "{said}");
    cloudtrail.get_trail().name(name).send().await.expect("it is still there");
}
