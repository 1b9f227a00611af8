//! A read that failed → what the checks say about it.

use crate::streams::denied;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use unthrottle::aws::{Cause, ReadError};
use unthrottle_core::checks::Unread;
use unthrottle_core::denial::Denial;

/// The failure of a call.
pub(super) fn unread<E>(action: &'static str, error: SdkError<E>) -> Unread
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let message = error.message().unwrap_or_default();
    let is_denied = error.code().and_then(|code| Denial::of(code, message, action)).is_some();
    // AWS's own words, where it answered.
    let answered = error.code().zip(error.message()).map(|(code, message)| format!("{code}: {message}"));
    let why = answered.unwrap_or_else(|| why(error));
    Unread { action, why: why.trim_end_matches('.').to_owned(), is_denied }
}

/// The reason of a failure without a message of AWS's. The SDK's words about a body that it cannot read say nothing to
/// a person; the status does.
fn why<E>(error: SdkError<E>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let code = error.code().map(str::to_owned);
    let status = error.raw_response().map(|response| response.status().as_u16());
    match (code, status) {
        (Some(code), _) => code,
        (None, Some(status)) => format!("the server answered with HTTP {status} and no error code"),
        (None, None) => Cause::of(error).to_string(),
    }
}

/// The words of the SDK's parser, which say nothing to a person.
const OF_PARSER: &str = "Error at offset";

/// The same text, or what it means where the SDK could not read an answer.
fn readable(text: String) -> String {
    if text.contains(OF_PARSER) { "the server's answer is none of AWS's".into() } else { text }
}

/// The failure of a stream's summary, without which no check is made: AWS's words, and what to allow.
pub(in crate::doctor) fn of_summary(error: &ReadError) -> String {
    let source = readable(error.source.to_string());
    match error.denial.is_some() {
        true => denied(&format!("kinesis:{}", error.call), &source),
        false => format!("{} failed: {source}", error.call),
    }
}

/// The failure of a read that the Lambda makes, too.
pub(super) fn unread_by_lambda(action: &'static str, error: &ReadError) -> Unread {
    Unread { action, why: readable(error.source.to_string()), is_denied: error.denial.is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use unthrottle::aws::read::shards;
    use unthrottle_core::signal::StreamArn;

    /// A proxy, or a server of another kind.
    #[tokio::test]
    async fn a_page_instead_of_an_answer_is_told_by_its_status() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", server.local_addr().expect("an address"));
        tokio::spawn(async move {
            while let Ok((mut client, _)) = server.accept().await {
                let page = "HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>";
                let _ = client.read(&mut [0; 4096]).await;
                let _ = client.write_all(page.as_bytes()).await;
            }
        });
        let config = crate::aws::local_config(&url);
        let error = aws_sdk_lambda::Client::new(&config).list_event_source_mappings().send().await;
        let unread = unread("lambda:ListEventSourceMappings", error.expect_err("no answer"));
        assert_eq!(unread.why, "the server answered with HTTP 404 and no error code");
        let arn = StreamArn::parse("arn:aws:kinesis:us-east-1:123456789012:stream/orders").expect("an ARN");
        let error = shards::open_shards(&aws_sdk_kinesis::Client::new(&config), &arn).await.expect_err("no answer");
        let unread = unread_by_lambda("kinesis:ListShards", &error);
        assert_eq!(unread.why, "the server's answer is none of AWS's", "{}", error.source);
    }
}
