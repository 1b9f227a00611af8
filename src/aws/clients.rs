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
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// One attempt of a call. Kinesis and CloudWatch answer in milliseconds; three seconds is a lost one.
pub const ATTEMPT: Duration = Duration::from_secs(3);
/// The attempt of a change of capacity. A look is good for three seconds before it leaves, AWS's shortest change takes
/// about four: with this, no other change can have begun and ended in between.
pub const ATTEMPT_ONCE: Duration = Duration::from_secs(1);
/// A call with its retries. A run at its worst (a look, the intent, a second look, a change, its datum) takes four of
/// these and one attempt, and a closer look one more: less than 30 s.
pub const CALL: Duration = Duration::from_secs(6);
/// Attempts of a call that changes no capacity.
const ATTEMPTS: u32 = 3;
/// The first pause between two attempts; the SDK's own second is longer than a look may take.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

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
