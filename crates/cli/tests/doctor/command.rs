//! The options of the command, its exit codes, and what it does where AWS refuses.

use crate::fixture::{Clinic, STREAM, Seed, finding, not_encrypted, unthrottle, unthrottle_with, with_status};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use unthrottle_core::checks::CHECKS;
use unthrottle_lab::local::{Effect, Fault};

fn codes() -> Vec<&'static str> {
    // The others need an option.
    CHECKS.iter().filter(|check| check.option.is_none()).map(|check| check.code).collect()
}

#[tokio::test]
async fn fail_on_ends_with_three_where_a_check_is_as_bad() {
    let clinic = Clinic::of(Seed { summary: not_encrypted(), ..Seed::default() }).await;
    assert_eq!(clinic.doctor(&[STREAM]).await.code, 0);
    assert_eq!(clinic.doctor(&[STREAM, "--fail-on", "fail"]).await.code, 0);
    let out = clinic.doctor(&[STREAM, "--fail-on", "warn"]).await;
    assert_eq!((out.code, out.err.as_str()), (3, "unthrottle: --fail-on warn: 1 check is at least warn\n"));
    assert_eq!(clinic.doctor(&[STREAM, "--fail-on", "warn", "--skip", "encryption"]).await.code, 0);
}

#[tokio::test]
async fn only_skip_and_the_tag_choose_the_checks() {
    let clinic = Clinic::of(Seed::default()).await;
    let of = |findings: Vec<Value>| {
        findings.iter().map(|f| f["code"].as_str().expect("a code").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(clinic.findings(&["--only", "alarms,quota"]).await), ["quota", "alarms"], "in the order of the page");
    assert_eq!(of(clinic.findings(&["--only", "quota", "--skip", "alarms"]).await), ["quota"]);
    assert_eq!(of(clinic.findings(&[]).await), codes());
    clinic.aws.tag(&clinic.account.stream_arn(STREAM), "unthrottle.doctor-skip", "quota batch").await;
    let left: Vec<&str> = codes().into_iter().filter(|code| !["quota", "batch"].contains(code)).collect();
    assert_eq!(of(clinic.findings(&[]).await), left);
}

#[tokio::test]
async fn an_unknown_code_in_the_tag_is_a_finding_with_the_nearest() {
    let clinic = Clinic::of(Seed::default()).await;
    clinic.aws.tag(&clinic.account.stream_arn(STREAM), "unthrottle.doctor-skip", "batsh").await;
    let findings = clinic.findings(&[]).await;
    assert_eq!(with_status(&findings, "warn"), ["unthrottle"]);
    let sentence = finding(&findings, "unthrottle")["sentence"].as_str().expect("text");
    assert!(sentence.ends_with(" names `batsh`, which is no check. The nearest code is batch."), "{sentence}");
}

#[tokio::test]
async fn a_page_without_a_check_says_that_the_tag_leaves_all_out() {
    let clinic = Clinic::of(Seed::default()).await;
    clinic.aws.tag(&clinic.account.stream_arn(STREAM), "unthrottle.doctor-skip", "quota").await;
    let says = "No check was made: the tag unthrottle.doctor-skip leaves all of them out.";
    for args in [&[STREAM, "--only", "quota", "--fail-on", "warn"][..], &["--all", "--only", "quota"]] {
        let out = clinic.doctor(args).await;
        assert_eq!((out.code, out.err.as_str()), (0, ""));
        let text = out.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(says), "{}", out.out);
    }
}

#[tokio::test]
async fn bad_input_ends_with_two_and_the_nearest_names() {
    let clinic = Clinic::of(Seed::default()).await;
    for (args, says) in [
        (&[STREAM, "--only", "PUT-RECORD"][..], "`PUT-RECORD` is not the code of a check. The nearest: put-record"),
        (&[STREAM, "--only", "put-recrod"], "`put-recrod` is not the code of a check. The nearest: put-record"),
        (&[STREAM, "--only", "nope"], ". The codes: quota, ranges, shard-metrics, put-record, batch, small-records,"),
        (&["ORDERS"], "there is no stream `ORDERS` in this region. The nearest: orders\n"),
        (&["order"], "there is no stream `order` in this region. The nearest: orders\n"),
        (&[STREAM, "--only", "batch", "--skip", "batch"], "leave no check"),
        (&["no:stream"], "is not the name or the ARN"),
        (&[], "name a stream, or give --all"),
        (&[STREAM, "--all"], "cannot be used with"),
    ] {
        let out = clinic.doctor(args).await;
        assert_eq!((out.code, out.out.as_str()), (2, ""), "{args:?}: {}", out.err);
        assert!(out.err.contains(says), "{args:?}: {}", out.err);
    }
}

#[tokio::test]
async fn an_unknown_profile_ends_with_two_and_the_nearest_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, credentials) = (folder.path().join("config"), folder.path().join("credentials"));
    std::fs::write(&config, "[profile production]\nregion = eu-central-1\n").expect("written");
    std::fs::write(&credentials, "[staging]\naws_access_key_id = key\n").expect("written");
    let path = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    let (config, credentials) = (path(&config), path(&credentials));
    let files = [("AWS_CONFIG_FILE", config.as_str()), ("AWS_SHARED_CREDENTIALS_FILE", credentials.as_str())];
    for (profile, nearest) in [("prodution", "production"), ("stagin", "staging")] {
        let out = unthrottle_with(&["doctor", STREAM, "--profile", profile], &files).await;
        let says = format!("unthrottle: --profile: ~/.aws has no profile `{profile}`. The nearest: {nearest}\n");
        assert_eq!((out.code, out.out.as_str(), out.err), (2, "", says));
    }
    let none = [("AWS_CONFIG_FILE", "/dev/null"), ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")];
    let out = unthrottle_with(&["keys", STREAM, "--profile", "any"], &none).await;
    assert_eq!(
        (out.code, out.err.as_str()),
        (2, "unthrottle: --profile: ~/.aws has no profile `any`. It has no profiles\n")
    );
}

#[tokio::test]
async fn a_denied_read_makes_its_checks_unknown_and_names_the_action() {
    let clinic = Clinic::of(Seed::default()).await;
    for operation in ["ListShards", "DescribeAlarms"] {
        let message = "User: arn:aws:iam::123456789012:user/me is not authorized to perform this";
        let effect = Effect::Error { status: 400, code: "AccessDeniedException".into(), message: message.into() };
        clinic.account.add_fault(Fault { operation: operation.into(), skip: 0, times: 1, effect });
    }
    let findings = clinic.findings(&["--fail-on", "warn"]).await;
    assert_eq!(with_status(&findings, "unknown"), ["ranges", "alarms", "unthrottle"]);
    let fix = |code| finding(&findings, code)["fix"].as_str().expect("a fix").to_owned();
    assert!(fix("ranges").starts_with("# allow kinesis:ListShards to this principal"), "{}", fix("ranges"));
    assert!(fix("alarms").starts_with("# allow cloudwatch:DescribeAlarms to this principal"), "{}", fix("alarms"));
}

#[tokio::test]
async fn throttled_reads_back_off_and_finish() {
    let clinic = Clinic::of(Seed::default()).await;
    for operation in ["DescribeStreamSummary", "GetMetricData", "ListShards"] {
        let effect =
            Effect::Error { status: 400, code: "LimitExceededException".into(), message: "Rate exceeded".into() };
        clinic.account.add_fault(Fault { operation: operation.into(), skip: 0, times: 2, effect });
    }
    let findings = clinic.findings(&[]).await;
    assert_eq!(with_status(&findings, "ok").len(), findings.len(), "{findings:#?}");
}

#[tokio::test]
async fn the_policy_has_the_actions_of_the_calls_and_a_stream_takes_few() {
    let clinic = Clinic::of(Seed::default()).await;
    let arn = clinic.account.stream_arn(STREAM);
    let register = clinic.aws.kinesis.register_stream_consumer().stream_arn(arn).consumer_name("reader");
    register.send().await.expect("registered");
    clinic.account.finish_changes().await;
    clinic.account.reset_calls();
    let out = clinic.doctor(&["--all", "--json"]).await;
    assert_eq!(out.code, 0, "{}", out.err);
    let calls = clinic.account.calls();
    let service = |name: &str| match name {
        "Kinesis" => "kinesis",
        "CloudWatch" => "cloudwatch",
        "Tagging" => "tag",
        "Lambda" => "lambda",
        "CloudTrail" => "cloudtrail",
        "EventBridge" => "events",
        other => panic!("{other}: {calls:?}"),
    };
    let called = calls.keys().map(|call| call.split_once('.').expect("SERVICE.Operation"));
    let mut called: BTreeSet<String> = called.map(|(of, name)| format!("{}:{name}", service(of))).collect();
    // The key of the stream is AWS's own, no function reads the stream, and the rule has no target.
    // tests/doctor_emulator.rs and tests/doctor_rights.rs make these calls.
    let further = [
        "iam:SimulatePrincipalPolicy",
        "kms:DescribeKey",
        "lambda:GetFunctionConcurrency",
        "lambda:GetFunctionConfiguration",
    ];
    called.extend(further.map(str::to_owned));
    let policy = unthrottle(&["doctor", "--policy"]).await;
    let policy: Value = serde_json::from_str(&policy.out).expect("JSON");
    let actions = policy["Statement"][0]["Action"].as_array().expect("a list").iter();
    assert_eq!(actions.map(|a| a.as_str().expect("text").to_owned()).collect::<BTreeSet<_>>(), called);
    let total: u64 = calls.values().sum();
    assert!(total <= 25, "{total}: {calls:?}");
}

/// CloudTrail allows two calls a second, so its five pages take longer than all other reads.
#[tokio::test]
async fn a_run_without_control_plane_does_not_read_cloudtrail() {
    let clinic = Clinic::of(Seed::default()).await;
    let made = |args: &'static [&'static str]| {
        let clinic = &clinic;
        async move {
            clinic.account.reset_calls();
            clinic.findings(args).await;
            clinic.account.calls().contains_key("CloudTrail.LookupEvents")
        }
    };
    assert!(made(&[]).await && made(&["--only", "control-plane"]).await);
    assert!(!made(&["--skip", "control-plane"]).await && !made(&["--only", "quota"]).await);
}

/// The local account refuses what AWS's rates refuse, and a refused call is tried again and counts again.
#[tokio::test]
async fn many_streams_take_one_summary_each_within_the_rates_of_the_account() {
    let clinic = Clinic::of(Seed::default()).await;
    clinic.account.add_streams((0..29).map(|n| format!("stream-{n}")), 1, &[]).await;
    clinic.account.reset_calls();
    let out = clinic.doctor(&["--all"]).await;
    assert_eq!((out.code, out.err.as_str()), (0, ""));
    let calls = clinic.account.calls();
    let of = |call: &str| calls.get(call).copied().unwrap_or_default();
    assert_eq!(of("Kinesis.DescribeStreamSummary"), 30, "{calls:?}");
    assert_eq!((of("CloudWatch.GetMetricData"), of("CloudWatch.DescribeAlarms")), (60, 1), "{calls:?}");
}

#[tokio::test]
async fn every_finding_has_the_fields_of_the_interface() {
    let clinic = Clinic::of(Seed::default()).await;
    for finding in clinic.findings(&[]).await {
        let fields: BTreeSet<&str> = finding.as_object().expect("an object").keys().map(String::as_str).collect();
        let wanted = ["code", "evidence", "fix", "group", "sentence", "source", "status", "usd_per_month"];
        assert_eq!(fields, wanted.into(), "{finding}");
        let sentence = finding["sentence"].as_str().expect("text");
        assert!(sentence.ends_with('.') && sentence.split_whitespace().count() <= 60, "{sentence}");
    }
}

#[tokio::test]
async fn two_streams_are_two_pages_in_the_order_of_the_words() {
    let clinic = Clinic::of(Seed::default()).await;
    clinic.account.add_streams(["clicks".to_owned()], 1, &[]).await;
    let out = clinic.doctor(&[STREAM, "clicks", STREAM, "--json"]).await;
    let report: Value = serde_json::from_str(&out.out).expect("JSON");
    let names: Vec<&Value> = report["streams"].as_array().expect("a list").iter().map(|page| &page["name"]).collect();
    assert_eq!(names, [&json!("orders"), &json!("clicks")]);
}
