//! The AWS clients, built once per process.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_kinesis::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_kinesis::error::BoxError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// One attempt of a call. Kinesis and CloudWatch answer in milliseconds; three seconds is a lost one.
const ATTEMPT: Duration = Duration::from_secs(3);
/// A call with its retries. A run at its worst (a look, the intent, a second look, a change, its datum) takes four of
/// these and one attempt: it ends before the function's timeout of 30 s.
const CALL: Duration = Duration::from_secs(6);
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
    calls: Arc<CallCount>,
}

impl Clients {
    /// Clients from the environment, as the AWS SDKs read it.
    pub async fn from_env() -> Clients {
        Clients::new(&aws_config::load_defaults(BehaviorVersion::latest()).await)
    }

    /// Clients of `config`, with our own retries and time limits.
    pub fn new(config: &SdkConfig) -> Clients {
        let calls = Arc::new(CallCount::default());
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_PAUSE);
        let kinesis = |retries| {
            let config = aws_sdk_kinesis::config::Builder::from(config);
            let config = config.retry_config(retries).timeout_config(timeouts.clone());
            aws_sdk_kinesis::Client::from_conf(config.interceptor(Counter(calls.clone())).build())
        };
        let cloudwatch = aws_sdk_cloudwatch::config::Builder::from(config);
        let cloudwatch = cloudwatch.retry_config(retries.clone()).timeout_config(timeouts.clone());
        Clients {
            kinesis: kinesis(retries),
            kinesis_once: kinesis(RetryConfig::disabled()),
            cloudwatch: aws_sdk_cloudwatch::Client::from_conf(cloudwatch.interceptor(Counter(calls.clone())).build()),
            calls,
        }
    }

    /// Does once, without a request, what the first call of each client would otherwise do while an event waits:
    /// credentials, endpoint rules, serialization, signing.
    pub async fn warm_up(&self) {
        let kinesis = aws_sdk_kinesis::config::Builder::new().interceptor(Unsent);
        let cloudwatch = aws_sdk_cloudwatch::config::Builder::new().interceptor(Unsent);
        let summary = self.kinesis.describe_stream_summary().stream_name("warm-up").customize();
        let metrics = self.cloudwatch.get_metric_data().customize();
        tokio::join!(async { drop(summary.config_override(kinesis).send().await) }, async {
            drop(metrics.config_override(cloudwatch).send().await)
        },);
    }

    /// How many requests these clients have sent so far, retries included.
    pub fn calls(&self) -> u32 {
        self.calls.0.load(Ordering::Relaxed)
    }
}

/// Stops a request before it is sent.
#[derive(Debug)]
struct Unsent;

impl Intercept for Unsent {
    fn name(&self) -> &'static str {
        "send nothing"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Err("warming up: not to be sent".into())
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
