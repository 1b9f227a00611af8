//! The table of checks, and the doctor's round through it.

use super::finding::{Answer, Finding, Group, Verdict};
use super::readings::Readings;
use super::{aggregation, capacity, consumers, control_plane, kcl, lambda, money, own, producers, rights, security};
use crate::cost::Prices;

/// A check.
pub struct Check {
    /// The code, such as `put-record`.
    pub code: &'static str,
    /// The part of the page that it stands in.
    pub group: Group,
    /// The page that the check stands on.
    pub source: &'static str,
    /// The option of `unthrottle doctor` without which the check is not made, such as `--role ARN`. `None`: it is made
    /// always.
    pub option: Option<&'static str>,
    run: fn(&Readings, &Prices) -> Answer,
}

const fn row(code: &'static str, group: Group, source: &'static str, run: fn(&Readings, &Prices) -> Answer) -> Check {
    Check { code, group, source, option: None, run }
}

/// A check that an option asks for.
const fn asked(option: &'static str, check: Check) -> Check {
    Check { option: Some(option), ..check }
}

const LIMITS: &str = "https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html";
const METRICS: &str = "https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html";
const PRODUCERS: &str = "https://docs.aws.amazon.com/streams/latest/dev/troubleshooting-producers.html";
const CONSUMERS: &str = "https://docs.aws.amazon.com/streams/latest/dev/troubleshooting-consumers.html";
const FAN_OUT: &str = "https://docs.aws.amazon.com/streams/latest/dev/enhanced-consumers.html";
const AGGREGATION: &str = "https://docs.aws.amazon.com/streams/latest/dev/kinesis-kpl-concepts.html";
const ENCRYPTION: &str = "https://docs.aws.amazon.com/streams/latest/dev/what-is-sse.html";
const LARGE_RECORDS: &str = "https://docs.aws.amazon.com/streams/latest/dev/large-records.html";
const MODES: &str = "https://docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html";
const PRICES: &str = "https://aws.amazon.com/kinesis/data-streams/pricing/";
const RESHARDING: &str = "https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-resharding.html";
const PUT_RECORDS: &str = "https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html";
const MAPPINGS: &str = "https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html";
const RETRIES: &str = "https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html";
const CONCURRENCY: &str = "https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html";
const LAMBDA_METRICS: &str = "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html";
const CONTROL_PLANE: &str = "https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html";
const KCL: &str = "https://docs.aws.amazon.com/streams/latest/dev/kcl-dynamoDB.html";
const KEY_RIGHTS: &str = "https://docs.aws.amazon.com/streams/latest/dev/permissions-user-key-KMS.html";
const OWN: &str = "docs/operations.md";

/// Every check, in the order of the page.
pub const CHECKS: [Check; 32] = [
    row("quota", Group::Capacity, LIMITS, capacity::quota),
    row("ranges", Group::Capacity, RESHARDING, capacity::ranges),
    row("shard-metrics", Group::Capacity, METRICS, capacity::shard_metrics),
    row("put-record", Group::Producers, PRODUCERS, producers::put_record),
    row("batch", Group::Producers, PUT_RECORDS, producers::batch),
    row("small-records", Group::Producers, AGGREGATION, producers::small_records),
    row("put-units", Group::Producers, PRICES, producers::put_units),
    row("aggregation", Group::Producers, AGGREGATION, aggregation::aggregation),
    row("large-records", Group::Producers, LARGE_RECORDS, producers::large_records),
    row("bursts", Group::Producers, PRODUCERS, producers::bursts),
    row("failed-records", Group::Producers, PUT_RECORDS, producers::failed_records),
    row("control-plane", Group::Producers, CONTROL_PLANE, control_plane::control_plane),
    row("retention", Group::Consumers, CONSUMERS, consumers::retention),
    row("pollers", Group::Consumers, CONSUMERS, consumers::pollers),
    row("fan-out-idle", Group::Consumers, FAN_OUT, consumers::fan_out_idle),
    row("fan-out-limits", Group::Consumers, LIMITS, consumers::fan_out_limits),
    asked("--kcl TABLE", row("kcl", Group::Consumers, KCL, kcl::kcl)),
    row("lambda-state", Group::Lambda, MAPPINGS, lambda::state),
    row("lambda-poison", Group::Lambda, RETRIES, lambda::poison),
    row("lambda-destination", Group::Lambda, RETRIES, lambda::destination),
    row("lambda-bisect", Group::Lambda, RETRIES, lambda::bisect),
    row("lambda-parallel", Group::Lambda, MAPPINGS, lambda::parallel),
    row("lambda-concurrency", Group::Lambda, CONCURRENCY, lambda::concurrency),
    row("lambda-errors", Group::Lambda, LAMBDA_METRICS, lambda::errors),
    row("lambda-window", Group::Lambda, MAPPINGS, lambda::window),
    row("encryption", Group::Security, ENCRYPTION, security::encryption),
    asked("--role ARN", row("kms-rights", Group::Security, KEY_RIGHTS, rights::kms_rights)),
    row("mode", Group::Cost, MODES, money::mode),
    row("oversized", Group::Cost, PRICES, money::oversized),
    row("commitment", Group::Cost, PRICES, money::commitment),
    row("alarms", Group::Unthrottle, METRICS, own::alarms),
    row("unthrottle", Group::Unthrottle, OWN, own::unthrottle),
];

/// The check of this code.
pub fn find(code: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.code == code)
}

/// Makes the checks that `is_wanted`, in the order of the page.
pub fn check(readings: &Readings, prices: &Prices, is_wanted: impl Fn(&Check) -> bool) -> Vec<Finding> {
    CHECKS.iter().filter(|check| is_wanted(check)).map(|check| check.find(readings, prices)).collect()
}

impl Check {
    fn find(&self, readings: &Readings, prices: &Prices) -> Finding {
        let verdict = (self.run)(readings, prices).unwrap_or_else(|unread| Verdict::unread(&unread));
        let Verdict { status, evidence, usd_per_month, sentence, fix } = verdict;
        let Check { code, group, source, .. } = *self;
        Finding { code, group, status, evidence, usd_per_month, sentence, fix, source }
    }
}
