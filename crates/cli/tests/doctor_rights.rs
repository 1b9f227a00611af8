//! `unthrottle doctor` before MiniStack, which this project did not write: IAM, CloudTrail, KMS, EventBridge and Lambda
//! answer from there. moto has neither `SimulatePrincipalPolicy` nor `LookupEvents`. Kinesis and CloudWatch are the
//! local account.
//!
//! MiniStack's history has no errors. The throttled calls are records of CloudTrail, as `events/` has them, put into
//! the history that MiniStack serves.

#[path = "../../../tests/common/aws.rs"]
mod aws;
#[path = "doctor/fixture.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod fixture;
#[path = "../../../tests/common/python.rs"]
mod python;

use aws::root;
use aws_sdk_kinesis::primitives::Blob;
use fixture::{Clinic, STREAM, Seed, finding, findings_in, unthrottle_with, with_status};
use python::Python;
use serde_json::{Value, json};

/// MiniStack with the history of these records. It ends with the test.
fn ministack(history: &[Value]) -> Python {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("history.json");
    std::fs::write(&path, json!(history).to_string()).expect("written");
    let how = "`make test` installs it, and so does `make .tools/ministack/installed`";
    let python = root().join(".tools/ministack/bin/python");
    Python::start(root(), &python, "ministack_front.py", &[path.to_str().expect("text")], how)
}

/// The doctor's findings, with these services from MiniStack.
async fn findings(clinic: &Clinic, from: &Python, services: &[&str], args: &[&str]) -> Vec<Value> {
    let url = from.ready["url"].as_str().expect("an address");
    let names: Vec<String> = services.iter().map(|service| format!("AWS_ENDPOINT_URL_{service}")).collect();
    let mut here = vec![("AWS_ENDPOINT_URL", clinic.account.url()), ("AWS_REGION", "us-east-1")];
    here.extend(names.iter().map(|name| (name.as_str(), url)));
    let out = unthrottle_with(&[&["doctor", STREAM, "--json"], args].concat(), &here).await;
    assert_eq!((out.code, out.err.as_str()), (0, ""), "{}", out.out);
    findings_in(&out)
}

/// A stream with the customer's key of this name.
async fn with_key(from: &Python, key: &str) -> Clinic {
    Clinic::of(Seed { summary: json!({ "KeyId": from.ready[key] }), ..Seed::default() }).await
}

#[tokio::test]
async fn a_role_without_its_right_on_the_key_fires_kms_rights() {
    let ministack = ministack(&[]);
    let clinic = with_key(&ministack, "key").await;
    let cases: [(&str, &str, Option<&str>); 5] = [
        ("writer", "ok", None),
        ("reader", "ok", None),
        ("writer_without_key", "fail", Some("kms:GenerateDataKey")),
        ("reader_denied", "fail", Some("kms:Decrypt")),
        ("stranger", "warn", None),
    ];
    for (role, status, lacks) in cases {
        let role = ministack.ready[role].as_str().expect("an ARN");
        let findings = findings(&clinic, &ministack, &["IAM", "KMS"], &["--role", role]).await;
        let finding = finding(&findings, "kms-rights");
        assert_eq!(finding["status"], status, "{role}: {finding}");
        assert_eq!(finding["evidence"]["lacks"][0].as_str(), lacks, "{finding}");
        let others: Vec<&Value> = findings.iter().filter(|f| f["status"] != "ok").collect();
        assert_eq!(others.len(), usize::from(status != "ok"), "exactly this check fires: {others:?}");
    }
}

#[tokio::test]
async fn a_policy_of_the_key_that_names_the_role_gives_it_the_right() {
    let ministack = ministack(&[]);
    let clinic = with_key(&ministack, "named_key").await;
    let role = ministack.ready["writer_without_key"].as_str().expect("an ARN");
    let findings = findings(&clinic, &ministack, &["IAM", "KMS"], &["--role", role]).await;
    assert_eq!(with_status(&findings, "ok").len(), findings.len(), "{findings:#?}");
    assert_eq!(finding(&findings, "kms-rights")["evidence"]["writes"], true);
}

#[tokio::test]
async fn a_deny_of_the_key_fails_and_a_deny_under_a_condition_is_unknown() {
    let ministack = ministack(&[]);
    for (key, status, says) in [
        ("denying_key", "fail", "# remove the statement of the key's policy that denies it:"),
        ("conditional_key", "unknown", "# read the condition of the statement that denies it:"),
    ] {
        let clinic = with_key(&ministack, key).await;
        let role = ministack.ready["reader"].as_str().expect("an ARN");
        let findings = findings(&clinic, &ministack, &["IAM", "KMS"], &["--role", role]).await;
        let finding = finding(&findings, "kms-rights");
        let fix = finding["fix"].as_str().expect("a fix");
        assert!(finding["status"] == status && fix.starts_with(says), "{key}: {finding:#}");
        assert!(fix.contains("\naws ") && fix.contains(" kms get-key-policy --key-id arn:"), "{fix}");
        assert_eq!(with_status(&findings, "ok").len(), findings.len() - 1, "{findings:#?}");
    }
}

#[tokio::test]
async fn a_stream_without_a_key_of_the_customer_needs_no_right_on_one() {
    let (ministack, clinic) = (ministack(&[]), Clinic::of(Seed::default()).await);
    let role = ministack.ready["writer_without_key"].as_str().expect("an ARN");
    let findings = findings(&clinic, &ministack, &["IAM"], &["--role", role]).await;
    assert_eq!(with_status(&findings, "ok").len(), findings.len(), "{findings:#?}");
    let finding = finding(&findings, "kms-rights");
    assert_eq!((&finding["status"], &finding["evidence"]["writes"]), (&json!("ok"), &json!(true)));
}

#[tokio::test]
async fn throttled_calls_of_the_control_plane_fire_control_plane() {
    let event = std::fs::read_to_string(root().join("events/list_shards_throttled__control_plane_throttled.json"));
    let event: Value = serde_json::from_str(&event.expect("readable")).expect("JSON");
    let of = |name: &str, code: &str, stream: &str| {
        let mut record = event["detail"].clone();
        let arn = format!("arn:aws:kinesis:us-east-1:123456789012:stream/{stream}");
        (record["eventName"], record["errorCode"]) = (name.into(), code.into());
        (record["requestParameters"]["streamARN"], record["resources"][0]["ARN"]) = (json!(arn), json!(arn));
        record
    };
    let history = [
        of("DescribeStream", "LimitExceededException", STREAM),
        of("DescribeStream", "LimitExceededException", STREAM),
        of("ListShards", "LimitExceededException", STREAM),
        of("DescribeStream", "LimitExceededException", "another"),
        of("DescribeStream", "AccessDenied", STREAM),
    ];
    let (ministack, clinic) = (ministack(&history), Clinic::of(Seed::default()).await);
    let findings = findings(&clinic, &ministack, &["CLOUDTRAIL"], &[]).await;
    assert_eq!(with_status(&findings, "warn"), ["control-plane"], "{findings:#?}");
    assert_eq!(with_status(&findings, "ok").len(), findings.len() - 1);
    let evidence = &finding(&findings, "control-plane")["evidence"];
    assert_eq!((&evidence["throttled_calls"], &evidence["events"]), (&json!(3), &json!(5)));
    assert_eq!(evidence["principal"], "arn:aws:iam::123456789012:role/fleet-inventory");
    assert_eq!(evidence["operation"], "DescribeStream", "most of them");
}

#[tokio::test]
async fn a_history_without_throttles_shows_nothing() {
    let (ministack, clinic) = (ministack(&[]), Clinic::of(Seed::default()).await);
    let findings = findings(&clinic, &ministack, &["CLOUDTRAIL"], &[]).await;
    assert_eq!(with_status(&findings, "ok").len(), findings.len(), "{findings:#?}");
}

#[tokio::test]
async fn a_role_of_unthrottle_that_lost_an_action_fires_unthrottle() {
    let (ministack, clinic) = (ministack(&[]), Clinic::of(Seed::default()).await);
    let services = ["IAM", "EVENTBRIDGE", "RESOURCE_GROUPS_TAGGING_API", "LAMBDA"];
    let findings = findings(&clinic, &ministack, &services, &["--skip", "lambda-concurrency"]).await;
    assert_eq!(with_status(&findings, "fail"), ["unthrottle"], "{findings:#?}");
    let denied = &finding(&findings, "unthrottle")["evidence"]["denied"];
    assert_eq!(*denied, json!(["kinesis:UpdateShardCount"]));
}

#[tokio::test]
async fn a_role_that_is_none_and_a_check_without_its_option_end_with_two() {
    let clinic = Clinic::of(Seed::default()).await;
    for (args, says) in [
        (&["--role", "reader"][..], "must be the ARN of a role, such as arn:aws:iam::123456789012:role/reader"),
        (
            &["--role", "arn:aws:sts::123456789012:assumed-role/reader/i-1"],
            "is a session of a role. The role is arn:aws:iam::123456789012:role/reader",
        ),
        (&["--only", "kms-rights"], "the check kms-rights needs --role ARN"),
        (&["--only", "kcl"], "the check kcl needs --kcl TABLE"),
    ] {
        let out = clinic.doctor(&[&[STREAM], args].concat()).await;
        assert_eq!((out.code, out.out.as_str()), (2, ""), "{args:?}: {}", out.err);
        assert!(out.err.contains(says), "{args:?}: {}", out.err);
    }
}

/// Neither emulator takes the ARN of a registered consumer, so the mapping is in the store of MiniStack.
#[tokio::test]
async fn a_consumer_with_a_factor_breaks_the_order_of_aggregated_records() {
    let (ministack, clinic) = (ministack(&[]), Clinic::of(Seed::default()).await);
    let put = clinic.aws.kinesis.put_record().stream_name(STREAM).partition_key("user-0");
    let aggregated = Blob::new(&include_bytes!("../src/keys/aggregated.bin")[..]);
    put.data(aggregated).send().await.expect("accepted");
    let only = ["--only", "lambda-parallel,aggregation"];
    let before = findings(&clinic, &ministack, &["LAMBDA"], &only).await;
    assert_eq!(with_status(&before, "ok").len(), 2, "without a sample: {before:?}");
    let after = findings(&clinic, &ministack, &["LAMBDA"], &[&only[..], &["--sample"]].concat()).await;
    assert_eq!(
        (with_status(&after, "fail"), with_status(&after, "ok")),
        (vec!["lambda-parallel"], vec!["aggregation"])
    );
    let fix = finding(&after, "lambda-parallel")["fix"].as_str().expect("a fix");
    assert!(fix.ends_with("--parallelization-factor 1"), "{fix}");
}
