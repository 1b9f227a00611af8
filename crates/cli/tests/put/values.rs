//! Values of the file of `--config`: those on the wire, and those that a call shows to be wrong.

use crate::fixture::{Fixture, refuse, sorted, stderr, text};
use std::fs;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The target, the authorization and the token of a call.
type Call = [String; 3];

/// A Kinesis that takes every record. Returns its address and its calls.
async fn kinesis() -> (String, UnboundedReceiver<Call>) {
    let (seen, calls) = unbounded_channel();
    let answer = move |headers: axum::http::HeaderMap| {
        let header = |name: &str| headers.get(name).map(|value| text(value.as_bytes())).unwrap_or_default();
        let summary = serde_json::json!({
            "StreamName": "orders", "StreamARN": "arn:aws:kinesis:eu-west-1:000000000000:stream/orders",
            "StreamStatus": "ACTIVE", "RetentionPeriodHours": 24, "StreamCreationTimestamp": 1.0,
            "EnhancedMonitoring": [], "OpenShardCount": 1,
        });
        let put = serde_json::json!([{"SequenceNumber": "1", "ShardId": "shardId-000000000000"}]);
        let answer = match header("x-amz-target").ends_with(".PutRecords") {
            true => serde_json::json!({"FailedRecordCount": 0, "Records": put}),
            false => serde_json::json!({"StreamDescriptionSummary": summary}),
        };
        let _ = seen.send(["x-amz-target", "authorization", "x-amz-security-token"].map(header));
        async move { answer.to_string() }
    };
    (server(axum::Router::new().fallback(answer)).await, calls)
}

/// The address of a server with these answers.
async fn server(answers: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, answers).await });
    url
}

/// A file with these lines in `aws_kinesis`. The first of them is line 3.
fn file(fixture: &Fixture, lines: &str) {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    fixture.file("put.yaml", format!("output:\n  aws_kinesis:\n{lines}"));
}

#[tokio::test]
async fn region_endpoint_and_credentials_of_the_file_are_on_the_wire_unless_a_profile_is_given() {
    let fixture = Fixture::new().await;
    let credentials = "{access_key_id: AKIDOFFILE, secret_access_key: s, session_token: token-of-file}";
    fixture.file("in.txt", "x\n");
    fs::create_dir(fixture.folder.path().join(".aws")).expect("a folder");
    fixture.file(".aws/credentials", "[team]\naws_access_key_id = AKIDOFTEAM\naws_secret_access_key = s\n");
    for (args, key, has_token) in [(&[][..], "AKIDOFFILE", true), (&["--profile", "team"], "AKIDOFTEAM", false)] {
        let (url, mut requests) = kinesis().await;
        let of_stream = format!("stream_name: orders\nregion: eu-west-1\nendpoint_url: {url}");
        file(&fixture, &format!("{of_stream}\ncredentials: {credentials}"));
        // The environment has another region and another endpoint.
        let mut command = fixture.command(&[&["--config", "put.yaml", "in.txt"], args].concat());
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("HOME", fixture.folder.path());
        let out = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("it runs");
        assert!(out.status.success(), "{}", stderr(&out));
        let says = "put.yaml:6: `output.aws_kinesis.credentials` is ignored, as --profile team is given";
        assert_eq!(stderr(&out).contains(says), !has_token, "{}", stderr(&out));
        let mut calls = vec![];
        while let Ok([target, authorization, token]) = requests.try_recv() {
            if !target.is_empty() {
                assert!(authorization.contains(&format!("Credential={key}/")), "{target}: {authorization}");
                assert!(authorization.contains("/eu-west-1/kinesis/aws4_request"), "{target}: {authorization}");
                assert_eq!(token, if has_token { "token-of-file" } else { "" }, "{target}");
                calls.push(target);
            }
        }
        assert_eq!(calls, ["Kinesis_20131202.DescribeStreamSummary", "Kinesis_20131202.PutRecords"]);
    }
}

#[tokio::test]
async fn a_value_of_the_file_that_fails_names_file_line_and_field_and_writes_nothing() {
    let fixture = Fixture::new().await;
    let other = server(axum::Router::new()).await;
    let arn = |region: &str| format!("stream_name: arn:aws:kinesis:{region}:123456789012:stream/orders");
    for (lines, code, says) in [
        ("stream_name: no such name".into(), 2, "put.yaml:3: `output.aws_kinesis.stream_name`: `no such name` is not"),
        (
            "stream_name: nowhere".into(),
            1,
            "put.yaml:3: `output.aws_kinesis.stream_name`: there is no stream `nowhere`",
        ),
        (arn("eu-west-1"), 2, "put.yaml:3: `output.aws_kinesis.stream_name`: `arn:aws:kinesis:eu-west-1:"),
        (arn("us-east-1") + "\nregion: eu-west-1", 2, "put.yaml:4: `output.aws_kinesis.region`: `arn:aws:kinesis:us-"),
        ("stream_name: orders\nregion: US East".into(), 2, "put.yaml:4: `output.aws_kinesis.region`: the region `US"),
        (
            "stream_name: orders\nendpoint_url: \"http://bad host:1\"".into(),
            2,
            "put.yaml:4: `output.aws_kinesis.endpoint_url`: `http://bad host:1` is no address",
        ),
        (
            "stream_name: orders\nendpoint_url: http://127.0.0.1:1".into(),
            1,
            "put.yaml:4: `output.aws_kinesis.endpoint_url`: no server answers at http://127.0.0.1:1",
        ),
        (
            format!("stream_name: orders\nendpoint_url: {other}"),
            1,
            "put.yaml:4: `output.aws_kinesis.endpoint_url`: http://127.0.0.1:",
        ),
    ] {
        file(&fixture, &lines);
        let out = fixture.put(&["--config", "put.yaml"], "x\n").await;
        assert_eq!(out.status.code(), Some(code), "{lines}: {}", stderr(&out));
        assert!(stderr(&out).contains(says), "{lines}: {}", stderr(&out));
    }
    assert_eq!(fixture.records("orders").await.len(), 0);
}

#[tokio::test]
async fn credentials_of_the_file_that_aws_refuses_name_their_line() {
    for (code, says) in [
        ("ExpiredTokenException", "the credentials have expired (ExpiredTokenException)"),
        ("UnrecognizedClientException", "DescribeStreamSummary failed: UnrecognizedClientException: no"),
        ("InvalidSignatureException", "DescribeStreamSummary failed: InvalidSignatureException: no"),
    ] {
        let fixture = Fixture::new().await;
        file(&fixture, "stream_name: orders\ncredentials:\n  access_key_id: A\n  secret_access_key: s");
        refuse(&fixture, "DescribeStreamSummary", code, "no");
        let out = fixture.put(&["--config", "put.yaml"], "x\n").await;
        assert_eq!(out.status.code(), Some(1));
        let place = "output.aws_kinesis.credentials`: ";
        assert!(stderr(&out).contains(&format!("put.yaml:5: `{place}{says}")), "{}", stderr(&out));
        let out = fixture.put(&["orders"], "x\n").await;
        assert!(stderr(&out).contains(says) && !stderr(&out).contains(place), "{}", stderr(&out));
    }
}

#[tokio::test]
async fn a_value_that_the_command_line_overrides_is_no_fault() {
    let fixture = Fixture::new().await;
    file(&fixture, "stream_name: no such name\nregion: US East\nendpoint_url: \"http://bad host:1\"");
    let url = fixture.account.url().to_owned();
    let account = ["--config", "put.yaml", "--region", "us-east-1", "--endpoint-url", &url];
    let out = fixture.put(&[&account[..], &["--stream", "orders", "--partition-key", "k"]].concat(), "x\n").await;
    assert!(out.status.success(), "{}", stderr(&out));
    assert_eq!(sorted(&fixture.records("orders").await), ["k:x"]);
    let out = fixture.put(&[&account[..], &["--stream", "nowhere"]].concat(), "x\n").await;
    assert!(stderr(&out).contains("there is no stream `nowhere`"), "{}", stderr(&out));
    assert!(!stderr(&out).contains("put.yaml"), "{}", stderr(&out));
}
