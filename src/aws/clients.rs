//! The AWS clients, with their retries and time limits. A process builds them once.

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
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The time limit of one attempt of a call. Kinesis and CloudWatch answer in milliseconds, so after three seconds the
/// answer is lost. A shorter limit could end a slow attempt; a longer limit would leave less time for the retries.
pub const ATTEMPT: Duration = Duration::from_secs(3);
/// The time limit of the one attempt of a capacity change. The function sends a change at most three seconds after the
/// observation, and AWS's shortest change takes about four seconds. With this limit no other change can begin and end
/// between the observation and the change. With a longer limit one could; a shorter limit would lose more answers.
pub const ATTEMPT_ONCE: Duration = Duration::from_secs(1);
/// The time limit of a call with its retries. The longest run is an observation, the intent, a second observation, a
/// change and its metric. Such a run takes at most four of these limits and one attempt, and one limit more for missing
/// data. This is less than 30 s, which a larger limit would exceed. A smaller limit would leave no time for a retry.
pub const CALL: Duration = Duration::from_secs(6);
/// Attempts of a call that changes no capacity, the SDK's default. With fewer, a short disturbance would end a run;
/// more do not fit into [`CALL`].
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt. The SDK's default of one second would use up the time that an observation may
/// take. A much shorter pause would repeat the call while AWS still throttles it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The clients for all AWS services that unthrottle calls. A clone is cheap: it shares the connections and the count of
/// requests.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Kinesis, with retries.
    pub kinesis: aws_sdk_kinesis::Client,
    /// Kinesis, with one attempt a call: for capacity changes. The SDK retries `LimitExceededException` as a throttle,
    /// for two seconds, and each attempt is one more CloudTrail event.
    pub kinesis_once: aws_sdk_kinesis::Client,
    /// CloudWatch, with retries.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// The clients that few events need.
    seldom: Arc<Seldom>,
    calls: Arc<CallCount>,
}

/// Clients that are built when they are needed. Each client of another service reads the SDK's list of AWS partitions
/// anew, which takes a large part of a start.
#[derive(Debug)]
struct Seldom {
    config: SdkConfig,
    tagging: OnceLock<aws_sdk_resourcegroupstagging::Client>,
    sns: OnceLock<aws_sdk_sns::Client>,
}

impl Clients {
    /// Builds the clients from the environment, as the AWS SDKs read it.
    pub async fn from_env() -> Clients {
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(OneConnector::new());
        Clients::new(&config.load().await)
    }

    /// Builds the clients from `config`, with the retries and time limits of this file.
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
        Clients {
            kinesis: kinesis(&patient),
            kinesis_once: kinesis(&once),
            cloudwatch: aws_sdk_cloudwatch::Client::from_conf(cloudwatch.build()),
            seldom: Arc::new(Seldom { config: patient, tagging: OnceLock::new(), sns: OnceLock::new() }),
            calls,
        }
    }

    /// The Resource Groups Tagging API, with retries.
    pub fn tagging(&self) -> &aws_sdk_resourcegroupstagging::Client {
        self.seldom.tagging.get_or_init(|| {
            let config = aws_sdk_resourcegroupstagging::config::Builder::from(&self.seldom.config);
            aws_sdk_resourcegroupstagging::Client::from_conf(config.interceptor(Counter(self.calls.clone())).build())
        })
    }

    /// SNS, with retries.
    pub fn sns(&self) -> &aws_sdk_sns::Client {
        self.seldom.sns.get_or_init(|| {
            let config = aws_sdk_sns::config::Builder::from(&self.seldom.config);
            aws_sdk_sns::Client::from_conf(config.interceptor(Counter(self.calls.clone())).build())
        })
    }

    /// How many requests these clients and their clones have sent so far. Each retry counts.
    pub fn calls(&self) -> u32 {
        self.calls.0.load(Ordering::Relaxed)
    }
}

/// One HTTP connector for all clients. By default the SDK builds one for each client, and loads the TLS roots and opens
/// connections again for each.
#[derive(Debug)]
struct OneConnector(SharedHttpConnector);

impl OneConnector {
    fn new() -> OneConnector {
        // The same as the SDK's default: rustls, and the proxy of the environment.
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
