//! The clients of the doctor. They are patient: a throttled read backs off and finishes.

use aws_config::SdkConfig;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use std::time::Duration;

/// Attempts of a read. With pauses of up to [`LONGEST_PAUSE`] the last one comes after about a minute. A command that a
/// person started may wait so long; the Lambda may not.
const ATTEMPTS: u32 = 10;

/// The longest pause between two attempts. A longer one would let the person wait after AWS stopped to throttle.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The time limit of one attempt. 14 days of metrics take AWS a second or two.
const ATTEMPT: Duration = Duration::from_secs(20);

/// The clients for all services that the doctor reads.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    pub kinesis: aws_sdk_kinesis::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub cloudtrail: aws_sdk_cloudtrail::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub eventbridge: aws_sdk_eventbridge::Client,
    pub iam: aws_sdk_iam::Client,
    pub kms: aws_sdk_kms::Client,
    pub lambda: aws_sdk_lambda::Client,
    pub tagging: aws_sdk_resourcegroupstagging::Client,
}

impl Clients {
    pub fn new(config: &SdkConfig) -> Clients {
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(LONGEST_PAUSE);
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build();
        let config = config.clone().into_builder().retry_config(retries).timeout_config(timeouts).build();
        Clients {
            kinesis: aws_sdk_kinesis::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            cloudtrail: aws_sdk_cloudtrail::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            eventbridge: aws_sdk_eventbridge::Client::new(&config),
            iam: aws_sdk_iam::Client::new(&config),
            kms: aws_sdk_kms::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            tagging: aws_sdk_resourcegroupstagging::Client::new(&config),
        }
    }
}
