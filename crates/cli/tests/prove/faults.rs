//! A fault in every call in turn leaves nothing behind.

use crate::accounts::{BUCKET, FIS_ROLE, Urls, left, moto, proof, prove, quick, text, verdicts};
use crate::proxy::{Calls, Effect, Fault};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// More calls than the command tries again.
const ALL: usize = usize::MAX;
const LONGER_THAN_RETRIES: usize = 5;

/// Calls before the first resource: for the clock, the account, and its streams.
const BEFORE: usize = 3;

/// The clock of the account is this many times as fast: the steps wait for minutes, and need not see anything here.
const PACE: u32 = 3_600;

/// Runs a step once for each of its calls, and makes that call fail. Of `lanes` with accounts of their own, this lane
/// takes every such call from `lane` on.
async fn in_every_call(step: &str, (lane, lanes): (usize, usize), fault: impl Fn(usize) -> Fault) {
    let (account, moto) = (quick(PACE).await, moto().await);
    let direct = Urls { local: account.url().to_owned(), moto: moto.url().to_owned() };
    let pace = PACE.to_string();
    let args = ["--only", step, "--pace", &pace, "--i-know-this-costs-up-to", "2"];
    let args = [
        &args[..],
        &["--with-trail", BUCKET, "--with-fis", FIS_ROLE, "--spend-reshards", "--with-stack", "unthrottle"],
    ]
    .concat();
    for first in (lane..).step_by(lanes) {
        let calls = Arc::new(Mutex::new(Calls { fault: Some(fault(first)), ..Calls::default() }));
        let urls = direct.through(&calls).await;
        let folder = tempfile::tempdir().expect("a folder");
        let out = prove(&urls, folder.path(), &args).await;
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        let place = format!("{step}, {:?}: {said}", fault(first));
        let seen = calls.lock().expect("no panic").seen.clone();
        assert!(!seen.is_empty(), "{place}");
        assert!(matches!(out.status.code(), Some(0 | 1 | 3)), "{place}");
        if said.contains("unthrottle: nothing was created") {
            // The account or its streams are not known, so that nothing begins.
            assert!(!folder.path().join("proof").exists() && first < BEFORE, "{place}");
        } else {
            assert!(!verdicts(&proof(folder.path())).is_empty(), "{place}");
        }
        let is_left = left(&direct).await;
        if !is_left.is_empty() {
            assert_eq!(out.status.code(), Some(1), "{place}");
            assert!(
                said.contains("`unthrottle prove --clean --out ") && said.contains("proof` tries again"),
                "{place}"
            );
            // The account is back, at the address that the ledger has.
            calls.lock().expect("no panic").fault = None;
            let out = prove(&urls, folder.path(), &["--clean", "--pace", "60"]).await;
            assert!(out.status.success(), "{place}\n--clean: {}{}", text(&out.stdout), text(&out.stderr));
            assert_eq!(left(&direct).await, Vec::<String>::new(), "{place}");
        }
        if first >= seen.len() {
            // The fault came after the last call.
            assert!(first > 4, "{step} makes more than {first} calls");
            return;
        }
    }
}

/// A step, and its lane.
type Lane = (&'static str, (usize, usize));

/// One step for each kind of resource: a stream, a queue with a rule and an alarm, a key, a template of FIS, a trail.
/// The longest one has three lanes.
const STEPS: &[Lane] = &[
    ("tag-updating", (0, 1)),
    ("contributor-alarm", (0, 1)),
    ("kms", (0, 1)),
    ("fis", (0, 1)),
    ("cloudtrail", (0, 3)),
    ("cloudtrail", (1, 3)),
    ("cloudtrail", (2, 3)),
];

/// The steps that create streams alone. What is left of a stream depends on the calls that create and delete it, and
/// all faults of these are in [`STEPS`].
const WITH_STREAMS_ALONE: &[Lane] = &[
    ("stack", (0, 1)),
    ("metric-lag", (0, 1)),
    ("eleventh-reshard", (0, 1)),
    ("reshards", (0, 1)),
    ("refusals", (0, 1)),
    ("shard-limits", (0, 1)),
];

/// All these steps at the same time, each with accounts of its own: they wait nearly all the time.
async fn in_every(steps: &[Lane], fault: impl Fn(usize) -> Fault + Copy) {
    join_all(steps.iter().map(|(step, lane)| in_every_call(step, *lane, fault))).await;
}

/// The account is gone from a call on, and comes back for `--clean`.
#[tokio::test]
async fn an_account_that_goes_leaves_nothing() {
    in_every(STEPS, |first| Fault { first, times: ALL, effect: Effect::InternalError }).await;
}

/// The same, of the other steps.
#[tokio::test]
async fn an_account_that_goes_leaves_no_stream() {
    in_every(WITH_STREAMS_ALONE, |first| Fault { first, times: ALL, effect: Effect::InternalError }).await;
}

/// Each answer in turn is lost. The command tries the call again, which has been carried out.
#[tokio::test]
async fn lost_answers_leave_nothing() {
    in_every(STEPS, |first| Fault { first, times: 1, effect: Effect::DropAfter }).await;
}

/// Calls fail for longer than the command tries one again.
#[tokio::test]
async fn short_outages_leave_nothing() {
    in_every(STEPS, |first| Fault { first, times: LONGER_THAN_RETRIES, effect: Effect::DropBefore }).await;
}

/// A gateway answers with its page, for longer than the command tries a call again. The page says nothing of AWS.
#[tokio::test]
async fn pages_of_a_gateway_leave_nothing() {
    in_every(STEPS, |first| Fault { first, times: LONGER_THAN_RETRIES, effect: Effect::Page }).await;
}

/// AWS refuses the rate of all calls from one on. Such a refusal says nothing of a resource, so none counts as deleted.
#[tokio::test]
async fn refused_rates_leave_nothing() {
    let steps = [("kms", (0, 1)), ("fis", (0, 1))];
    in_every(&steps, |first| Fault { first, times: ALL, effect: Effect::Rate }).await;
}

/// The answer of `CreateKey` is lost, so only the tags say which key is prove's, and AWS refuses to list these.
async fn leaves_a_key_that_is_named(refusal: Effect) {
    let (account, moto) = (quick(PACE).await, moto().await);
    let direct = Urls { local: account.url().to_owned(), moto: moto.url().to_owned() };
    let of_operations = vec![("CreateKey", Effect::DropAfter), ("ListResourceTags", refusal)];
    let calls = Arc::new(Mutex::new(Calls { of_operations, ..Calls::default() }));
    let urls = direct.through(&calls).await;
    let folder = tempfile::tempdir().expect("a folder");
    let pace = PACE.to_string();
    let out = prove(&urls, folder.path(), &["--only", "kms", "--pace", &pace, "--i-know-this-costs-up-to", "2"]).await;
    let said = format!("{refusal:?}: {}{}", text(&out.stdout), text(&out.stderr));
    let names = left(&direct).await;
    assert_eq!((out.status.code(), names.len()), (Some(1), 2), "{said}");
    for name in &names {
        assert!(said.contains(&format!("the key `{name}`: ")), "{said}");
    }
    let out = prove(&urls, folder.path(), &["--clean", "--all-runs", "--pace", &pace]).await;
    let said = format!("{refusal:?}: {}{}", text(&out.stdout), text(&out.stderr));
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot look for keys: ") && !said.contains("nothing is left"), "{said}");
    calls.lock().expect("no panic").of_operations.clear();
    let out = prove(&urls, folder.path(), &["--clean", "--pace", &pace, "--json"]).await;
    assert!(out.status.success(), "{}", text(&out.stderr));
    let cleaned: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let deleted = cleaned["deleted"].as_array().expect("a list").iter();
    let mut deleted: Vec<&str> =
        deleted.filter(|it| it["kind"] == "key").filter_map(|it| it["name"].as_str()).collect();
    deleted.sort_unstable();
    assert!(names.iter().all(|name| deleted.contains(&name.as_str())), "{names:?}: {cleaned}");
    assert_eq!((&cleaned["left"], &cleaned["unread"]), (&json!([]), &json!([])), "{cleaned}");
    assert_eq!(left(&direct).await, Vec::<String>::new(), "{cleaned}");
}

#[tokio::test]
async fn a_key_whose_tags_are_not_shown_is_left_and_not_called_deleted() {
    for refusal in [Effect::Rate, Effect::Denied] {
        leaves_a_key_that_is_named(refusal).await;
    }
}

/// AWS refuses the rate of the calls that delete a stream.
#[tokio::test]
async fn what_clean_cannot_delete_is_in_its_json() {
    let account = quick(PACE).await;
    let name = "unthrottle-prove-1a2b3c4d-reshards";
    account.add_streams([name.to_owned()].into_iter(), 1, &[]).await;
    let direct = Urls { local: account.url().to_owned(), moto: account.url().to_owned() };
    let of_operations = vec![("DeleteStream", Effect::Rate)];
    let calls = Arc::new(Mutex::new(Calls { of_operations, ..Calls::default() }));
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--clean", "--all-runs", "--json", "--pace", "3600"];
    let out = prove(&direct.through(&calls).await, folder.path(), &args).await;
    let cleaned: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(out.status.code(), Some(1), "{cleaned}: {}", text(&out.stderr));
    assert_eq!((&cleaned["deleted"], &cleaned["left"][0]["name"]), (&json!([]), &json!(name)), "{cleaned}");
    let (kind, why) = (&cleaned["left"][0]["kind"], cleaned["left"][0]["reason"].as_str().expect("a reason"));
    assert!(kind == "stream" && why.contains("ThrottlingException"), "{cleaned}");
}
