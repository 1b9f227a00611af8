//! Makes five calls at the start of the process, so that the first event does not wait for one-time work.

use super::Clients;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The most time for the warm-up. It usually takes a few milliseconds. With more time the first event could wait for a
/// slow warm-up; with much less a slow machine would not finish it.
const WARM_UP: Duration = Duration::from_secs(1);

impl Clients {
    /// Does one-time work before an event waits for it: credentials, endpoint rules, serialization, signing,
    /// connections. Nothing leaves the machine: a server in this process answers the calls. The calls must really be
    /// sent. If they stop earlier, `make bench` shows that the first event takes twice the CPU of the tenth. Other
    /// calls of these services would lengthen the start by more than they take from the first event.
    pub async fn warm_up(&self) {
        // With a proxy in the environment, the client would send the calls to the proxy instead of this server.
        let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
        if proxies.iter().any(|name| std::env::var_os(name).is_some_and(|proxy| !proxy.is_empty())) {
            return;
        }
        let Ok(server) = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await else { return };
        let Ok(address) = server.local_addr() else { return };
        let calls = self.call_each_once(format!("http://{address}"));
        // If the warm-up fails, the first event only takes a little longer.
        tokio::select! { () = answer_all(server) => {}, _ = tokio::time::timeout(WARM_UP, calls) => {} }
    }

    async fn call_each_once(&self, endpoint: String) {
        const ARN: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/warm-up";
        let kinesis = || aws_sdk_kinesis::config::Builder::new().endpoint_url(&endpoint);
        let cloudwatch = || aws_sdk_cloudwatch::config::Builder::new().endpoint_url(&endpoint);
        let summary = self.kinesis.describe_stream_summary().stream_arn(ARN);
        let tags = self.kinesis.list_tags_for_resource().resource_arn(ARN);
        let metrics = self.cloudwatch.get_metric_data();
        let update = self.kinesis_once.update_shard_count().stream_arn(ARN);
        let put = self.cloudwatch.put_metric_data();
        // One after the other, so that they share one connection.
        drop(summary.customize().config_override(kinesis()).send().await);
        drop(tags.customize().config_override(kinesis()).send().await);
        drop(metrics.customize().config_override(cloudwatch()).send().await);
        drop(update.customize().config_override(kinesis()).send().await);
        drop(put.customize().config_override(cloudwatch()).send().await);
    }
}

/// Answers every request with an empty success, until the caller drops the future.
async fn answer_all(server: TcpListener) {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nsmithy-protocol: rpc-v2-cbor\r\ncontent-length: 0\r\n\r\n";
    while let Ok((mut socket, _)) = server.accept().await {
        tokio::spawn(async move {
            let mut request = Vec::with_capacity(4096);
            while socket.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                if is_whole(&request) {
                    drop(socket.write_all(ANSWER).await);
                    request.clear();
                }
            }
        });
    }
}

/// Whether `request` is an HTTP request with its whole body.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    request.len() >= head.len() + 4 + length.unwrap_or(0)
}
