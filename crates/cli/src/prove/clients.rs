//! The clients of a step. They keep the answers for the proof.

use super::account::is_aws;
use super::record::Recorder;
use super::time::Time;
use aws_config::SdkConfig;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use std::time::Duration;

/// Attempts of a call that only prepares or cleans up. A short failure of AWS must not end a step of minutes.
const ATTEMPTS: u32 = 4;

/// The longest pause between two attempts, in the time of the account.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The time limit of one attempt. `CreateTrail` and `CreateKey` take AWS a few seconds.
const ATTEMPT: Duration = Duration::from_secs(15);

/// The clients for one step.
#[derive(Clone)]
pub(super) struct Clients {
    /// Calls that are part of what is measured: single attempts. A second attempt would hide the first answer.
    pub once: aws_sdk_kinesis::Client,
    pub kinesis: aws_sdk_kinesis::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub cloudtrail: aws_sdk_cloudtrail::Client,
    pub events: aws_sdk_eventbridge::Client,
    pub fis: aws_sdk_fis::Client,
    pub kms: aws_sdk_kms::Client,
    pub lambda: aws_sdk_lambda::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub sts: aws_sdk_sts::Client,
    /// Whether every service is called at AWS's own endpoint, which has all operations of the steps.
    pub is_aws: bool,
}

impl Clients {
    pub fn new(config: &SdkConfig, time: &Time, recorder: &Recorder) -> Clients {
        let is_aws = is_aws(config);
        let pause = time.of_machine(LONGEST_PAUSE);
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        let retries = retries.with_initial_backoff(pause / 5).with_max_backoff(pause);
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build();
        let config = config.clone().into_builder().retry_config(retries).timeout_config(timeouts).build();
        macro_rules! client {
            ($sdk:ident) => {
                $sdk::Client::from_conf($sdk::config::Builder::from(&config).interceptor(recorder.clone()).build())
            };
        }
        let once = aws_sdk_kinesis::config::Builder::from(&config).interceptor(recorder.clone());
        Clients {
            once: aws_sdk_kinesis::Client::from_conf(once.retry_config(RetryConfig::disabled()).build()),
            kinesis: client!(aws_sdk_kinesis),
            cloudwatch: client!(aws_sdk_cloudwatch),
            cloudtrail: client!(aws_sdk_cloudtrail),
            events: client!(aws_sdk_eventbridge),
            fis: client!(aws_sdk_fis),
            kms: client!(aws_sdk_kms),
            lambda: client!(aws_sdk_lambda),
            sqs: client!(aws_sdk_sqs),
            sts: client!(aws_sdk_sts),
            is_aws,
        }
    }
}
