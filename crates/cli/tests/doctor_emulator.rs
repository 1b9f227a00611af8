//! `unthrottle doctor` before moto, which this project did not write: Lambda, KMS and DynamoDB answer from there.
//! Kinesis and CloudWatch are the local account. The tests are in one file because
//! each seeds the same moto.

#[path = "../../../tests/common/aws.rs"]
mod aws;
#[path = "doctor/fixture.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod fixture;

#[path = "../../../tests/common/moto.rs"]
mod moto;
#[path = "../../../tests/common/python.rs"]
mod python;

use aws::{config, root};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_lambda::operation::create_event_source_mapping::builders::CreateEventSourceMappingFluentBuilder;
use aws_sdk_lambda::types::{
    DestinationConfig, EventSourcePosition, Filter, FilterCriteria, FunctionResponseType, OnFailure,
};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use fixture::{
    Clinic, Output, RECORDS, STREAM, Seed, finding, findings_in, not_encrypted, now, unthrottle_with, with_status,
};
use moto::Moto;
use serde_json::{Value, json};
use unthrottle_lab::local::{Clock, Effect, Fault, Options};

/// moto, and clients of its functions and tables.
struct Emulator {
    moto: Moto,
    lambda: aws_sdk_lambda::Client,
    dynamodb: aws_sdk_dynamodb::Client,
}

impl Emulator {
    fn start() -> Emulator {
        let moto = Moto::start(root());
        let config = config(moto.url());
        let (lambda, dynamodb) = (aws_sdk_lambda::Client::new(&config), aws_sdk_dynamodb::Client::new(&config));
        Emulator { moto, lambda, dynamodb }
    }

    /// A mapping of the function to the stream.
    fn mapping(&self) -> CreateEventSourceMappingFluentBuilder {
        let mapping =
            self.lambda.create_event_source_mapping().function_name("reader").event_source_arn(aws::STREAM_ARN);
        mapping.starting_position(EventSourcePosition::TrimHorizon)
    }

    /// Workers that renew all leases of the table, until the answer is dropped.
    fn workers(&self) -> Workers {
        let dynamodb = self.dynamodb.clone();
        Workers(tokio::spawn(async move {
            loop {
                let items = dynamodb.scan().table_name("orders-app").send().await.expect("an answer");
                for item in items.items().iter().filter(|item| item.contains_key("leaseOwner")) {
                    let renew =
                        dynamodb.update_item().table_name("orders-app").key("leaseKey", item["leaseKey"].clone());
                    let renew = renew.update_expression("ADD leaseCounter :one");
                    let one = AttributeValue::N("1".into());
                    renew.expression_attribute_values(":one", one).send().await.expect("renewed");
                }
            }
        }))
    }

    /// A mapping with nothing wrong.
    fn good_mapping(&self) -> CreateEventSourceMappingFluentBuilder {
        let queue = OnFailure::builder().destination("arn:aws:sqs:us-east-1:123456789012:lost").build();
        let mapping = self.mapping().maximum_retry_attempts(5).maximum_record_age_in_seconds(3_600);
        let mapping = mapping.destination_config(DestinationConfig::builder().on_failure(queue).build());
        mapping.bisect_batch_on_function_error(true)
    }

    /// Runs the doctor, with Lambda, KMS and DynamoDB from here.
    async fn doctor(&self, clinic: &Clinic, args: &[&str]) -> Output {
        let url = self.moto.url();
        let here = [
            ("AWS_ENDPOINT_URL", clinic.account.url()),
            ("AWS_ENDPOINT_URL_LAMBDA", url),
            ("AWS_ENDPOINT_URL_KMS", url),
            ("AWS_ENDPOINT_URL_DYNAMODB", url),
            ("AWS_REGION", "us-east-1"),
        ];
        unthrottle_with(&[&["doctor", STREAM, "--json"], args].concat(), &here).await
    }

    /// The findings of the stream of `clinic`.
    async fn findings(&self, clinic: &Clinic, args: &[&str]) -> Vec<Value> {
        let out = self.doctor(clinic, args).await;
        assert_eq!((out.code, out.err.as_str()), (0, ""), "{}", out.out);
        findings_in(&out)
    }

    /// Exactly these checks are not ok.
    async fn fires(&self, clinic: &Clinic, status: &str, codes: &[&str]) -> Vec<Value> {
        self.fires_with(clinic, status, codes, &[]).await
    }

    /// The same with these arguments.
    async fn fires_with(&self, clinic: &Clinic, status: &str, codes: &[&str], args: &[&str]) -> Vec<Value> {
        let findings = self.findings(clinic, args).await;
        for other in ["unknown", "warn", "fail"] {
            let wanted = if other == status { codes } else { &[] };
            assert_eq!(with_status(&findings, other), wanted, "{other}: {findings:#?}");
        }
        findings
    }
}

/// Workers of the KCL. They end when this is dropped.
struct Workers(tokio::task::JoinHandle<()>);

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One sample of a metric of the function.
fn put(clinic: &Clinic, metric: &str, at: DateTime<Utc>, value: f64) {
    clinic.account.put_metric("AWS/Lambda", metric, &[("FunctionName", "reader")], at, value);
}

/// The first minute of an hour that is over.
fn hours_ago(hours: i64) -> DateTime<Utc> {
    now().duration_trunc(TimeDelta::hours(1)).expect("in range") - TimeDelta::hours(hours)
}

#[tokio::test]
async fn a_good_mapping_shows_nothing() {
    let (moto, clinic) = (Emulator::start(), Clinic::of(Seed::default()).await);
    moto.good_mapping().send().await.expect("mapped");
    put(&clinic, "Invocations", hours_ago(2), 50_000.0);
    put(&clinic, "Errors", hours_ago(2), 400.0);
    put(&clinic, "Duration", hours_ago(2), 20_000.0);
    moto.fires(&clinic, "warn", &[]).await;
}

#[tokio::test]
async fn a_mapping_with_the_defaults_blocks_its_shard_and_loses_batches() {
    let (moto, clinic) = (Emulator::start(), Clinic::of(Seed::default()).await);
    moto.mapping().send().await.expect("mapped");
    let findings = moto.findings(&clinic, &[]).await;
    assert_eq!(with_status(&findings, "fail"), ["lambda-poison"]);
    assert_eq!(with_status(&findings, "warn"), ["lambda-destination", "lambda-bisect"]);
    let fix = finding(&findings, "lambda-poison")["fix"].as_str().expect("a fix");
    assert!(fix.contains("--uuid ") && fix.contains("--maximum-retry-attempts 5"), "{fix}");
    let keeps = ["--destination-config", "--bisect-batch-on-function-error", "are lost without a destination"];
    assert!(keeps.iter().all(|words| fix.contains(words)), "what the mapping gives up is not lost: {fix}");
    assert!(!fix.contains("age"), "AWS would discard the records of a backlog: {fix}");
}

#[tokio::test]
async fn a_function_that_reports_failed_records_needs_no_bisection() {
    let (moto, clinic) = (Emulator::start(), Clinic::of(Seed::default()).await);
    let mapping = moto.good_mapping().bisect_batch_on_function_error(false);
    mapping.function_response_types(FunctionResponseType::ReportBatchItemFailures).send().await.expect("mapped");
    moto.fires(&clinic, "warn", &[]).await;
}

#[tokio::test]
async fn a_mapping_without_a_destination_or_without_bisection_fires_its_check_alone() {
    let (moto, clinic) = (Emulator::start(), Clinic::of(Seed::default()).await);
    let mapping = moto.good_mapping().set_destination_config(None).send().await.expect("mapped");
    moto.fires(&clinic, "warn", &["lambda-destination"]).await;
    let delete = moto.lambda.delete_event_source_mapping().uuid(mapping.uuid().expect("an id"));
    delete.send().await.expect("deleted");
    moto.good_mapping().bisect_batch_on_function_error(false).send().await.expect("mapped");
    moto.fires(&clinic, "warn", &["lambda-bisect"]).await;
}

#[tokio::test]
async fn a_mapping_that_tries_without_end_fires_lambda_poison_alone() {
    let (moto, clinic) = (Emulator::start(), Clinic::of(Seed::default()).await);
    let mapping = moto.good_mapping().set_maximum_retry_attempts(None).set_maximum_record_age_in_seconds(None);
    mapping.send().await.expect("mapped");
    moto.fires(&clinic, "fail", &["lambda-poison"]).await;
}

#[tokio::test]
async fn a_disabled_mapping_fires_lambda_state() {
    let (moto, clinic) = (Emulator::start(), Clinic::of(Seed::default()).await);
    moto.good_mapping().enabled(false).send().await.expect("mapped");
    moto.fires(&clinic, "fail", &["lambda-state"]).await;
}

#[tokio::test]
async fn an_age_that_grows_for_hours_fires_lambda_parallel() {
    let (moto, clinic) = (Emulator::start(), Clinic::of(Seed::default()).await);
    moto.good_mapping().parallelization_factor(4).send().await.expect("mapped");
    // The hour that has begun does not count, unless it ends before the doctor reads.
    for (hours, minutes) in [(4, 5.0), (3, 10.0), (2, 15.0), (1, 20.0), (0, 25.0)] {
        put(&clinic, "IteratorAge", hours_ago(hours), minutes * 60_000.0);
    }
    let findings = moto.fires(&clinic, "warn", &["lambda-parallel"]).await;
    let fix = finding(&findings, "lambda-parallel")["fix"].as_str().expect("a fix");
    assert!(fix.ends_with("--parallelization-factor 8"), "{fix}");
}

/// Of two throttles, one is of the hours in which the age grew.
#[tokio::test]
async fn only_throttles_of_the_hours_of_the_age_need_another_fix_than_the_factor() {
    let (moto, clinic) = (Emulator::start(), Clinic::of(Seed::default()).await);
    moto.good_mapping().send().await.expect("mapped");
    for (hours, minutes) in [(4, 5.0), (3, 10.0), (2, 15.0), (1, 20.0)] {
        put(&clinic, "IteratorAge", hours_ago(hours), minutes * 60_000.0);
    }
    let fix = async || {
        let findings = moto.fires(&clinic, "warn", &["lambda-parallel", "lambda-errors"]).await;
        finding(&findings, "lambda-parallel")["fix"].as_str().expect("a fix").to_owned()
    };
    put(&clinic, "Throttles", hours_ago(300), 1.0);
    assert!(fix().await.ends_with("--parallelization-factor 2"), "{}", fix().await);
    put(&clinic, "Throttles", hours_ago(2), 1.0);
    assert!(fix().await.ends_with("--reserved-concurrent-executions 200"), "{}", fix().await);
}

/// Three functions share the shards, and one is 50 minutes behind.
#[tokio::test]
async fn the_fix_of_pollers_has_the_age_of_the_function() {
    let (moto, clinic) = (Emulator::start(), Clinic::of(Seed::default()).await);
    for _ in 0..3 {
        moto.good_mapping().send().await.expect("mapped");
    }
    put(&clinic, "IteratorAge", hours_ago(1), 50.0 * 60_000.0);
    put(&clinic, "IteratorAge", hours_ago(2), 90.0 * 60_000.0);
    let findings = moto.findings(&clinic, &["--only", "pollers"]).await;
    let fix = finding(&findings, "pollers")["fix"].as_str().expect("a fix");
    assert!(fix.contains("# TIME is that time less 55 minutes: reader is up to 50 minutes behind"), "{fix}");
}

#[tokio::test]
async fn more_batches_than_reserved_executions_fire_lambda_concurrency() {
    let (moto, clinic) = (Emulator::start(), Clinic::of(Seed { shards: 2, ..Seed::default() }).await);
    moto.good_mapping().parallelization_factor(10).send().await.expect("mapped");
    let reserve = |executions| {
        let reserve = moto.lambda.put_function_concurrency().function_name("reader");
        reserve.reserved_concurrent_executions(executions).send()
    };
    reserve(39).await.expect("reserved");
    moto.fires(&clinic, "warn", &["lambda-concurrency"]).await;
    reserve(19).await.expect("reserved");
    moto.fires(&clinic, "fail", &["lambda-concurrency"]).await;
    reserve(40).await.expect("reserved");
    moto.fires(&clinic, "warn", &[]).await;
}

#[tokio::test]
async fn errors_throttles_and_slow_invocations_fire_lambda_errors() {
    let moto = Emulator::start();
    moto.good_mapping().send().await.expect("mapped");
    for (metric, value) in [("Errors", 600.0), ("Throttles", 1.0), ("Duration", 25_000.0)] {
        let clinic = Clinic::of(Seed::default()).await;
        put(&clinic, "Invocations", hours_ago(2), 50_000.0);
        put(&clinic, metric, hours_ago(2), value);
        moto.fires(&clinic, "warn", &["lambda-errors"]).await;
    }
}

#[tokio::test]
async fn tiny_batches_without_a_window_fire_lambda_window_with_what_a_window_saves() {
    let moto = Emulator::start();
    let mapping = moto.good_mapping().send().await.expect("mapped");
    let clinic = Clinic::of(Seed::default()).await;
    // 34 records a second for 14 days, and as many invocations as would take one each.
    let invocations = 34.0 * 14.0 * 86_400.0;
    put(&clinic, "Invocations", hours_ago(2), invocations);
    moto.fires(&clinic, "warn", &[]).await;
    // A sample of the age for each batch: these invocations are of the stream.
    let function = [("FunctionName", "reader")];
    clinic.account.put_samples("AWS/Lambda", "IteratorAge", &function, hours_ago(2), (900.0, invocations));
    let findings = moto.fires(&clinic, "warn", &["lambda-window"]).await;
    // 34 a second less 0.4 are 88.3 million a month, at $0.20 a million.
    let saved = finding(&findings, "lambda-window")["usd_per_month"].as_f64().expect("a number");
    assert!((17.0..18.0).contains(&saved), "{saved}");
    let delete = moto.lambda.delete_event_source_mapping().uuid(mapping.uuid().expect("an id"));
    delete.send().await.expect("deleted");
    moto.good_mapping().maximum_batching_window_in_seconds(5).send().await.expect("mapped");
    moto.fires(&clinic, "warn", &[]).await;
}

#[tokio::test]
async fn a_key_that_is_disabled_or_pending_deletion_fires_encryption() {
    let moto = Emulator::start();
    for (key, state) in [("enabled", None), ("disabled", Some("Disabled")), ("deleted", Some("PendingDeletion"))] {
        let id = moto.moto.0.ready[key].as_str().expect("a key");
        let clinic = Clinic::of(Seed { summary: json!({ "KeyId": id }), ..Seed::default() }).await;
        let Some(state) = state else {
            moto.fires(&clinic, "fail", &[]).await;
            continue;
        };
        let findings = moto.fires(&clinic, "fail", &["encryption"]).await;
        assert_eq!(finding(&findings, "encryption")["evidence"]["key_state"], state);
    }
}

#[tokio::test]
async fn a_key_that_does_not_exist_fires_encryption() {
    let moto = Emulator::start();
    let id = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000";
    let clinic = Clinic::of(Seed { summary: json!({ "KeyId": id }), ..Seed::default() }).await;
    let findings = moto.fires(&clinic, "fail", &["encryption"]).await;
    assert_eq!(finding(&findings, "encryption")["evidence"]["key_state"], "NotFound");
}

/// A lease of the KCL's table: shard, worker and checkpoint.
async fn lease(moto: &Emulator, shard: &str, owner: Option<&str>, checkpoint: &str) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = moto.dynamodb.put_item().table_name("orders-app").item("leaseKey", text(shard));
    let put = put.item("checkpoint", text(checkpoint)).item("leaseCounter", AttributeValue::N("7".into()));
    let put = if let Some(owner) = owner { put.item("leaseOwner", text(owner)) } else { put };
    put.send().await.expect("written");
}

/// A clean stream of this many shards. The doctor watches leases for seconds of the account's clock. At this pace a
/// slow machine has three seconds for each renewal, and up to nine.
async fn fast(shards: u32, records_per_second: f64) -> Clinic {
    let options = Options { clock: Clock::like(now(), 5), ..Options::default() };
    Clinic::of(Seed { options, records_per_second, shards, ..Seed::default() }).await
}

const SHARDS: [&str; 4] =
    ["shardId-000000000000", "shardId-000000000001", "shardId-000000000002", "shardId-000000000003"];

#[tokio::test]
async fn leases_without_a_worker_and_shards_without_a_lease_fire_kcl() {
    let (moto, clinic) = (Emulator::start(), fast(4, 70.0).await);
    let args = ["--kcl", "orders-app"];
    moto.fires_with(&clinic, "fail", &["kcl"], &args).await;
    for (shard, owner) in SHARDS.iter().zip(["a", "b", "a", "b"]) {
        lease(&moto, shard, Some(owner), "49590338271490256608559692538361571095921575989136588898").await;
    }
    let workers = moto.workers();
    let findings = moto.fires_with(&clinic, "fail", &[], &args).await;
    let sentence = &finding(&findings, "kcl")["sentence"];
    assert_eq!(sentence, "2 workers of orders-app have all leases, evenly, and renew them.");
    drop(workers);
    lease(&moto, SHARDS[2], None, "TRIM_HORIZON").await;
    let findings = moto.fires_with(&clinic, "fail", &["kcl"], &args).await;
    assert_eq!(finding(&findings, "kcl")["evidence"]["unowned"], json!([SHARDS[2]]));
}

#[tokio::test]
async fn one_worker_with_most_leases_fires_kcl() {
    let (moto, clinic) = (Emulator::start(), fast(4, 70.0).await);
    for (shard, owner) in SHARDS.iter().zip(["a", "a", "a", "b"]) {
        lease(&moto, shard, Some(owner), "LATEST").await;
    }
    // An item of KCL 3.5 that is no lease, and a lease of another stream.
    let text = |text: &str| AttributeValue::S(text.to_owned());
    for (key, kind) in [("worker-a", "WORKER_METRIC_STATS"), ("123456789012:other:1:shardId-000000000009", "LEASE")] {
        let put = moto.dynamodb.put_item().table_name("orders-app").item("leaseKey", text(key));
        put.item("entityType", text(kind)).send().await.expect("written");
    }
    let _workers = moto.workers();
    let findings = moto.fires_with(&clinic, "warn", &["kcl"], &["--kcl", "orders-app"]).await;
    let evidence = &finding(&findings, "kcl")["evidence"];
    assert_eq!((&evidence["leases"], &evidence["workers"]), (&json!(4), &json!(2)));
}

#[tokio::test]
async fn a_parent_that_is_not_read_to_its_end_fires_kcl_and_its_children_wait() {
    let (moto, clinic) = (Emulator::start(), fast(1, RECORDS).await);
    let split = clinic.aws.kinesis.split_shard().stream_name(STREAM).shard_to_split(SHARDS[0]);
    split.new_starting_hash_key((u128::MAX / 2).to_string()).send().await.expect("split");
    clinic.account.finish_changes().await;
    lease(&moto, SHARDS[0], Some("a"), "49590338271490256608559692538361571095921575989136588898").await;
    let _workers = moto.workers();
    let findings = moto.fires_with(&clinic, "warn", &["kcl"], &["--kcl", "orders-app"]).await;
    assert_eq!(finding(&findings, "kcl")["evidence"]["undrained"], json!([SHARDS[0]]));
    lease(&moto, SHARDS[0], None, "SHARD_END").await;
    for shard in &SHARDS[1..3] {
        lease(&moto, shard, Some("a"), "TRIM_HORIZON").await;
    }
    let findings = moto.fires_with(&clinic, "warn", &[], &["--kcl", "orders-app"]).await;
    assert_eq!(finding(&findings, "kcl")["sentence"], "One worker of orders-app has all leases, and renews them.");
}

#[tokio::test]
async fn an_application_that_ended_without_a_word_fires_kcl() {
    let (moto, clinic) = (Emulator::start(), fast(2, RECORDS).await);
    for shard in &SHARDS[..2] {
        lease(&moto, shard, Some("a"), "LATEST").await;
    }
    let findings = moto.fires_with(&clinic, "fail", &["kcl"], &["--kcl", "orders-app"]).await;
    let found = finding(&findings, "kcl");
    assert_eq!(found["sentence"], "No worker of orders-app renewed a lease in 45 s, so none seems to run.");
    assert_eq!(found["evidence"]["not_renewed"], json!(SHARDS[..2]));
}

#[tokio::test]
async fn a_table_that_is_missing_or_no_lease_table_ends_with_two() {
    let (moto, clinic) = (Emulator::start(), Clinic::of(Seed::default()).await);
    clinic.account.add_streams(["clicks".to_owned()], 1, &[]).await;
    for (args, says) in [
        (&["--kcl", "order-app"][..], "there is no table `order-app` in this region. The nearest: orders-app"),
        (&["--kcl", "people"], "the table `people` has no leaseKey, so it is no lease table of the KCL"),
        (&["--kcl", "orders-app", "clicks"], "--kcl is the table of one stream, and clicks is a second one"),
    ] {
        let out = moto.doctor(&clinic, args).await;
        assert_eq!((out.code, out.out.as_str()), (2, ""), "{args:?}: {}", out.err);
        assert!(out.err.contains(says), "{args:?}: {}", out.err);
    }
}

#[tokio::test]
async fn a_filter_of_the_shared_throughput_breaks_aggregates() {
    let moto = Emulator::start();
    let clinic = Clinic::of(Seed::default()).await;
    let aggregated = include_bytes!("../src/keys/aggregated.bin");
    let put = clinic.aws.kinesis.put_record().stream_name(STREAM).partition_key("user-0");
    put.data(Blob::new(&aggregated[..])).send().await.expect("accepted");
    let filter = Filter::builder().pattern(r#"{"data":{"kind":["order"]}}"#).build();
    let filtered = moto.good_mapping().filter_criteria(FilterCriteria::builder().filters(filter).build());
    filtered.send().await.expect("mapped");
    moto.fires(&clinic, "unknown", &["aggregation"]).await;
    moto.fires_with(&clinic, "fail", &["aggregation"], &["--sample"]).await;
}

/// By the schema of OASIS, and by a validator that this project did not write.
#[tokio::test]
async fn the_sarif_is_valid_by_its_schema() {
    let clinic = Clinic::of(Seed { summary: not_encrypted(), shards: 10, ..Seed::default() }).await;
    let message = "User: arn:aws:iam::123456789012:user/me is not authorized to perform this";
    let effect = Effect::Error { status: 400, code: "AccessDeniedException".into(), message: message.into() };
    clinic.account.add_fault(Fault { operation: "ListShards".into(), skip: 0, times: 1, effect });
    let out = clinic.doctor(&[STREAM, "--sarif"]).await;
    assert_eq!((out.code, out.err.as_str()), (0, ""));
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log.sarif");
    std::fs::write(&log, &out.out).expect("written");
    let check =
        "import json, jsonschema, sys; a, b = (json.load(open(p)) for p in sys.argv[1:]); jsonschema.validate(a, b)";
    let schema = root().join("crates/cli/tests/doctor/sarif-schema-2.1.0.json");
    let validate = |log: &std::path::Path| {
        let python = std::process::Command::new(root().join(".venv/bin/python"))
            .args(["-c", check])
            .args([log, &schema])
            .output()
            .expect("Python starts: `make .venv/tests` installs it");
        (python.status.success(), String::from_utf8_lossy(&python.stderr).into_owned())
    };
    assert_eq!(validate(&log), (true, String::new()));
    std::fs::write(&log, out.out.replace("\"level\"", "\"leval\"")).expect("written");
    assert!(!validate(&log).0, "the schema refuses an unknown field");
}
