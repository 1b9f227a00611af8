//! SNS: messages, and what SNS refuses.

use crate::fixture::{LocalFixture, code};
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_sns::types::MessageAttributeValue;
use unthrottle_lab::local::Published;

pub const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:notices";

#[tokio::test]
async fn a_published_message_can_be_read() {
    let fixture = LocalFixture::new().await;
    let text = |value: &str| {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value);
        value.build().expect("complete")
    };
    let publish = fixture.sns.publish().topic_arn(TOPIC).subject("orders: 2 -> 4 shards").message("a=1&b=<ü> +%");
    let publish = publish.message_attributes("code", text("scale_shards")).message_attributes("mode", text("act & on"));
    let first = publish.send().await.expect("published");
    let second = fixture.sns.publish().topic_arn(TOPIC).message("no subject").send().await.expect("published");
    assert!(first.message_id().is_some() && first.message_id() != second.message_id());
    let attributes = [("code", "scale_shards"), ("mode", "act & on")];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let first = Published {
        topic: TOPIC.into(),
        subject: Some("orders: 2 -> 4 shards".into()),
        message: "a=1&b=<ü> +%".into(),
        by_protocol: [].into(),
        attributes,
    };
    let second = Published {
        topic: TOPIC.into(),
        subject: None,
        message: "no subject".into(),
        by_protocol: [].into(),
        attributes: [].into(),
    };
    assert_eq!(fixture.account.published(), [first, second]);
    assert_eq!(fixture.account.calls()["SNS.Publish"], 2);
}

#[tokio::test]
async fn sns_refuses_what_it_cannot_send() {
    let fixture = LocalFixture::new().await;
    let publish = || fixture.sns.publish().topic_arn(TOPIC).message("message");
    let long = "x".repeat(100);
    for subject in ["", "two\nlines", "two\rlines", "tab\there", "Störung", " blank", &format!("{long}x")] {
        let error = publish().subject(subject).send().await.expect_err(subject).into_service_error();
        assert!(error.is_invalid_parameter_exception(), "{subject:?}: {error:?}");
        assert_eq!(error.message(), Some("Invalid parameter: Subject"));
    }
    publish().subject(long).send().await.expect("100 characters");

    let attribute = |kind: &str, value: &str| {
        let attribute = MessageAttributeValue::builder().data_type(kind).string_value(value);
        attribute.build().expect("complete")
    };
    // 4 + 6 + 10 bytes of attribute.
    let full =
        publish().message("m".repeat(256 * 1024 - 20)).message_attributes("name", attribute("String", "0123456789"));
    full.clone().send().await.expect("256 KiB");
    let error = full.message("m".repeat(256 * 1024 - 19)).send().await.expect_err("too long").into_service_error();
    assert!(error.is_invalid_parameter_exception(), "{error:?}");
    assert_eq!(error.message(), Some("Invalid parameter: Message too long"));
    let error = publish().message("").send().await.expect_err("empty").into_service_error();
    assert!(error.is_invalid_parameter_exception(), "{error:?}");
    for (kind, value) in [("String", ""), ("Text", "value")] {
        let publish = publish().message_attributes("name", attribute(kind, value));
        let error = publish.send().await.expect_err(kind).into_service_error();
        assert!(error.is_invalid_parameter_value_exception(), "{kind}: {error:?}");
    }

    for topic in [TOPIC.replace("123456789012", "210987654321"), TOPIC.replace("us-east-1", "eu-west-1")] {
        let error = publish().topic_arn(topic).send().await.expect_err("an error").into_service_error();
        assert!(error.is_not_found_exception(), "{error:?}");
    }
    let error = publish().topic_arn("notices").send().await.expect_err("an error").into_service_error();
    assert!(error.is_invalid_parameter_exception(), "{error:?}");
    assert_eq!(code(fixture.sns.list_topics().send().await), "UnknownOperationException");
    assert_eq!(fixture.account.published().len(), 2);
}

#[tokio::test]
async fn a_message_has_texts_for_single_protocols() {
    let fixture = LocalFixture::new().await;
    let publish = |message: &str| fixture.sns.publish().topic_arn(TOPIC).message_structure("json").message(message);
    publish(r#"{"default": "text", "https": "{\"version\": \"1.0\"}", "sms": 1}"#).send().await.expect("published");
    let published = &fixture.account.published()[0];
    assert_eq!(published.message, "text");
    let https = ("https".to_owned(), r#"{"version": "1.0"}"#.to_owned());
    assert_eq!(published.by_protocol, [https].into(), "a value that is no string is ignored");
    for (message, says) in [
        (r#"{"https": "text"}"#, "No default entry in JSON message body"),
        (r#"{"default": 1}"#, "No default entry in JSON message body"),
        ("text", "JSON message body failed to parse"),
    ] {
        let error = publish(message).send().await.expect_err(message).into_service_error();
        assert!(error.is_invalid_parameter_exception(), "{message}: {error:?}");
        assert_eq!(error.message(), Some(format!("Invalid parameter: Message Structure - {says}").as_str()));
    }
}
