//! The AWS clients, built once per process.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_kinesis::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::BoxError;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpConnector};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// One attempt of a call. Kinesis and CloudWatch answer in milliseconds; three seconds is a lost one.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(3);
/// The attempt of a change of capacity. A look is good for three seconds before it leaves, AWS's shortest change takes
/// about four: with this, no other change can have begun and ended in between.
pub(crate) const ATTEMPT_ONCE: Duration = Duration::from_secs(1);
/// A call with its retries. A run at its worst (a look, the intent, a second look, a change, its datum) takes four of
/// these and one attempt, and a closer look one more: less than 30 s.
pub(crate) const CALL: Duration = Duration::from_secs(6);
/// Attempts of a call that changes no capacity.
const ATTEMPTS: u32 = 3;
/// The first pause between two attempts; the SDK's own second is longer than a look may take.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The warm-up takes a few milliseconds; longer, and the first event waits for it.
const WARM_UP: Duration = Duration::from_secs(1);

/// Clients for what unthrottle calls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Kinesis, with retries.
    pub kinesis: aws_sdk_kinesis::Client,
    /// Kinesis, one attempt a call: for changes of capacity. The SDK takes `LimitExceededException` for a throttle
    /// and would ask again for two seconds, and each attempt is one more CloudTrail event.
    pub kinesis_once: aws_sdk_kinesis::Client,
    /// CloudWatch, with retries.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// The Resource Groups Tagging API, with retries.
    pub tagging: aws_sdk_resourcegroupstagging::Client,
    /// SNS, with retries.
    pub sns: aws_sdk_sns::Client,
    calls: Arc<CallCount>,
}

impl Clients {
    /// Clients from the environment, as the AWS SDKs read it.
    pub async fn from_env() -> Clients {
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(OneConnector::new());
        Clients::new(&config.load().await)
    }

    /// Clients of `config`, with our own retries and time limits.
    pub fn new(config: &SdkConfig) -> Clients {
        let calls = Arc::new(CallCount::default());
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_PAUSE);
        let patient = config.clone().into_builder().retry_config(retries).timeout_config(timeouts).build();
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_ONCE).build();
        let once = config.clone().into_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        let counter = || Counter(calls.clone());
        let kinesis = |config| {
            let config = aws_sdk_kinesis::config::Builder::from(config).interceptor(counter());
            aws_sdk_kinesis::Client::from_conf(config.build())
        };
        let cloudwatch = aws_sdk_cloudwatch::config::Builder::from(&patient).interceptor(counter());
        let tagging = aws_sdk_resourcegroupstagging::config::Builder::from(&patient).interceptor(counter());
        let sns = aws_sdk_sns::config::Builder::from(&patient).interceptor(counter());
        Clients {
            kinesis: kinesis(&patient),
            kinesis_once: kinesis(&once),
            cloudwatch: aws_sdk_cloudwatch::Client::from_conf(cloudwatch.build()),
            tagging: aws_sdk_resourcegroupstagging::Client::from_conf(tagging.build()),
            sns: aws_sdk_sns::Client::from_conf(sns.build()),
            calls,
        }
    }

    /// Does once what the first call of each kind would otherwise do while an event waits: credentials, endpoint rules,
    /// serialization, signing, connections. Nothing leaves the machine: a server in this process answers. Calls that are
    /// stopped before they are sent warm too little: `make bench` then shows the first event at twice the tenth's CPU.
    pub async fn warm_up(&self) {
        // A proxy would be sent what is meant for the server here.
        let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
        if proxies.iter().any(|name| std::env::var_os(name).is_some_and(|proxy| !proxy.is_empty())) {
            return;
        }
        let Ok(server) = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await else { return };
        let Ok(address) = server.local_addr() else { return };
        let calls = self.call_each_once(format!("http://{address}"));
        // A warm-up that goes wrong costs the first event a little time, and nothing else.
        tokio::select! { () = answer_all(server) => {}, _ = tokio::time::timeout(WARM_UP, calls) => {} }
    }

    async fn call_each_once(&self, endpoint: String) {
        const ARN: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/warm-up";
        let kinesis = || aws_sdk_kinesis::config::Builder::new().endpoint_url(&endpoint);
        let cloudwatch = || aws_sdk_cloudwatch::config::Builder::new().endpoint_url(&endpoint);
        let summary = self.kinesis.describe_stream_summary().stream_arn(ARN);
        let limits = self.kinesis.describe_limits();
        let tags = self.kinesis.list_tags_for_resource().resource_arn(ARN);
        let metrics = self.cloudwatch.get_metric_data();
        let tag = self.kinesis.tag_resource().resource_arn(ARN);
        let update = self.kinesis_once.update_shard_count().stream_arn(ARN);
        let put = self.cloudwatch.put_metric_data();
        let (_, _, _, _, _, _, _) = tokio::join!(
            summary.customize().config_override(kinesis()).send(),
            limits.customize().config_override(kinesis()).send(),
            tags.customize().config_override(kinesis()).send(),
            metrics.customize().config_override(cloudwatch()).send(),
            tag.customize().config_override(kinesis()).send(),
            update.customize().config_override(kinesis()).send(),
            put.customize().config_override(cloudwatch()).send(),
        );
    }

    /// How many requests these clients have sent so far, retries included.
    pub fn calls(&self) -> u32 {
        self.calls.0.load(Ordering::Relaxed)
    }
}

/// One HTTP connector for all clients. The SDK would make one for each, load the TLS roots for each again, and open
/// connections for each.
#[derive(Debug)]
struct OneConnector(SharedHttpConnector);

impl OneConnector {
    fn new() -> OneConnector {
        // As the SDK's own: rustls, and the proxy of the environment.
        let connector = Connector::builder().proxy_config(ProxyConfig::from_env());
        OneConnector(SharedHttpConnector::new(connector.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build()))
    }
}

impl HttpClient for OneConnector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.0.clone()
    }
}

/// Answers every request with an empty success, for ever.
async fn answer_all(server: TcpListener) {
    while let Ok((mut socket, _)) = server.accept().await {
        tokio::spawn(async move {
            let mut request = Vec::with_capacity(4096);
            while !is_whole(&request) && socket.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
            let answer =
                "HTTP/1.1 200 OK\r\nsmithy-protocol: rpc-v2-cbor\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            drop(socket.write_all(answer.as_bytes()).await);
        });
    }
}

/// Whether an HTTP request has come with all of its body.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    request.len() >= head.len() + 4 + length.unwrap_or(0)
}

#[derive(Debug, Default)]
struct CallCount(AtomicU32);

#[derive(Debug)]
struct Counter(Arc<CallCount>);

impl Intercept for Counter {
    fn name(&self) -> &'static str {
        "count requests"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
