//! Calls that the account does not have, in each protocol, STS, and the time of the account.

use crate::fixture::LocalFixture;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

/// One request without an SDK: status and body.
async fn raw(fixture: &LocalFixture, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let host = fixture.account.url().trim_start_matches("http://").to_owned();
    let mut text = format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("\r\n{body}");
    let answer = tokio::task::spawn_blocking(move || {
        let mut server = TcpStream::connect(host).expect("it listens");
        server.write_all(text.as_bytes()).expect("it reads");
        let mut answer = vec![];
        server.read_to_end(&mut answer).expect("it answers");
        String::from_utf8_lossy(&answer).into_owned()
    });
    let answer = answer.await.expect("no panic");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

fn signed(service: &str) -> (&'static str, String) {
    (
        "Authorization",
        format!("AWS4-HMAC-SHA256 Credential=key/20261127/us-east-1/{service}/aws4_request, SignedHeaders=a"),
    )
}

#[tokio::test]
async fn an_unserved_call_is_refused_in_its_own_protocol() {
    let fixture = LocalFixture::new().await;
    let call = async |method: &str, path: &str, service: &str, more: &[(&str, &str)], body: &str| {
        let (name, value) = signed(service);
        let headers = [&[(name, value.as_str())], more].concat();
        let (status, answer) = raw(&fixture, method, path, &headers, body).await;
        assert_eq!(status, 404, "{service}: {answer}");
        assert!(answer.contains("the local account does not serve") && answer.contains(service), "{answer}");
        for served in ["Kinesis", "CloudWatch", "tagging API", "SNS", "STS", "Lambda", "CloudTrail", "EventBridge"] {
            assert!(answer.contains(served), "{served}: {answer}");
        }
        answer
    };
    let iam = call("POST", "/", "iam", &[FORM], "Action=ListRoles&Version=2010-05-08").await;
    assert!(
        iam.starts_with("<ErrorResponse><Error><Type>Sender</Type><Code>UnknownOperationException</Code>"),
        "{iam}"
    );
    let ec2 = call("POST", "/", "ec2", &[FORM], "Action=DescribeRegions&Version=2016-11-15").await;
    assert!(ec2.starts_with("<Response><Errors><Error><Code>UnknownOperationException</Code>"), "{ec2}");
    let s3 = call("GET", "/", "s3", &[], "").await;
    assert!(s3.starts_with("<Error><Code>UnknownOperationException</Code>"), "{s3}");
    let dynamodb = [("X-Amz-Target", "DynamoDB_20120810.ListTables")];
    let dynamodb: Value = serde_json::from_str(&call("POST", "/", "dynamodb", &dynamodb, "{}").await).expect("JSON");
    assert_eq!(dynamodb["__type"], "UnknownOperationException");
    let lambda: Value =
        serde_json::from_str(&call("GET", "/2015-03-31/functions", "lambda", &[], "").await).expect("JSON");
    assert_eq!(lambda["__type"], "UnknownOperationException");
    call("POST", "/service/Other/operation/Do", "other", &[("smithy-protocol", "rpc-v2-cbor")], "").await;
}

#[tokio::test]
async fn a_caller_asks_who_it_is() {
    let fixture = LocalFixture::new().await;
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let (status, answer) = raw(&fixture, "POST", "/", &[FORM], body).await;
    assert_eq!(status, 200);
    assert!(answer.contains("<Account>123456789012</Account>"), "{answer}");
    let (status, answer) = raw(&fixture, "POST", "/", &[FORM], "Action=AssumeRole&Version=2011-06-15").await;
    assert_eq!(status, 400);
    assert!(answer.contains("does not know STS AssumeRole"), "{answer}");
}

#[tokio::test]
async fn a_program_asks_for_the_time_of_the_account() {
    let fixture = LocalFixture::new().await;
    let (_, answer) = raw(&fixture, "GET", "/_unthrottle/clock", &[], "").await;
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer, serde_json::json!({ "now": fixture.account.now(), "pace": 1 }));
}
