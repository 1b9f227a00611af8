//! The table of checks, and the doctor's round through it.

use super::finding::{Answer, Finding, Group, Verdict};
use super::readings::Readings;
use super::{
    aggregation, capacity, consumers, control_plane, kcl, lambda, lambda_load, money, own, pollers, producers,
};
use super::{rights, security};
use crate::cost::Prices;

/// A check.
pub struct Check {
    /// The code, such as `put-record`.
    pub code: &'static str,
    /// What it looks for: how the stream should be, in one sentence.
    pub about: &'static str,
    /// The part of the page that it stands in.
    pub group: Group,
    /// The page that the check stands on.
    pub source: &'static str,
    /// The option of `unthrottle doctor` without which the check is not made, such as `--role ARN`. `None`: it is made
    /// always.
    pub option: Option<&'static str>,
    run: fn(&Readings, &Prices) -> Answer,
}

const fn row(
    code: &'static str,
    about: &'static str,
    group: Group,
    source: &'static str,
    run: fn(&Readings, &Prices) -> Answer,
) -> Check {
    Check { code, about, group, source, option: None, run }
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
    row("quota", "The account has room for more shards.", Group::Capacity, LIMITS, capacity::quota),
    row("ranges", "The shards have even ranges of hash keys.", Group::Capacity, RESHARDING, capacity::ranges),
    row(
        "shard-metrics",
        "Shard-level metrics are on where they help, and only there.",
        Group::Capacity,
        METRICS,
        capacity::shard_metrics,
    ),
    row(
        "put-record",
        "Producers write in batches, and not with PutRecord.",
        Group::Producers,
        PRODUCERS,
        producers::put_record,
    ),
    row("batch", "A PutRecords call has many records.", Group::Producers, PUT_RECORDS, producers::batch),
    row(
        "small-records",
        "Records are large enough to fill shards by their bytes.",
        Group::Producers,
        AGGREGATION,
        producers::small_records,
    ),
    row("put-units", "Records fill the 25 KB units that AWS bills.", Group::Producers, PRICES, producers::put_units),
    row("aggregation", "Nothing breaks aggregated records.", Group::Producers, AGGREGATION, aggregation::aggregation),
    row(
        "large-records",
        "No record is larger than a second of a shard.",
        Group::Producers,
        LARGE_RECORDS,
        producers::large_records,
    ),
    row("bursts", "Producers spread their records over each minute.", Group::Producers, PRODUCERS, producers::bursts),
    row("failed-records", "No record failed inside AWS.", Group::Producers, PUT_RECORDS, producers::failed_records),
    row(
        "control-plane",
        "AWS throttles no call of the control plane.",
        Group::Producers,
        CONTROL_PLANE,
        control_plane::control_plane,
    ),
    row(
        "retention",
        "Readers read records long before AWS deletes them.",
        Group::Consumers,
        CONSUMERS,
        consumers::retention,
    ),
    row("pollers", "Few readers share the throughput of the shards.", Group::Consumers, CONSUMERS, pollers::pollers),
    row(
        "fan-out-idle",
        "Each registered consumer receives events.",
        Group::Consumers,
        FAN_OUT,
        consumers::fan_out_idle,
    ),
    row(
        "fan-out-limits",
        "There is room for more registered consumers.",
        Group::Consumers,
        LIMITS,
        consumers::fan_out_limits,
    ),
    asked(
        "--kcl TABLE",
        row("kcl", "Workers of the KCL have all leases, evenly, and renew them.", Group::Consumers, KCL, kcl::kcl),
    ),
    row("lambda-state", "Each event source mapping is enabled and works.", Group::Lambda, MAPPINGS, lambda::state),
    row("lambda-poison", "No bad record stops its shard.", Group::Lambda, RETRIES, lambda::poison),
    row(
        "lambda-destination",
        "Batches that a function gives up have a destination.",
        Group::Lambda,
        RETRIES,
        lambda::destination,
    ),
    row("lambda-bisect", "Good records do not fail with a bad one.", Group::Lambda, RETRIES, lambda::bisect),
    row("lambda-parallel", "Functions keep up with the stream.", Group::Lambda, MAPPINGS, lambda::parallel),
    row(
        "lambda-concurrency",
        "Functions may run for all shards at the same time.",
        Group::Lambda,
        CONCURRENCY,
        lambda_load::concurrency,
    ),
    row(
        "lambda-errors",
        "Functions have few errors, no throttles, and time to spare.",
        Group::Lambda,
        LAMBDA_METRICS,
        lambda_load::errors,
    ),
    row("lambda-window", "Functions do not waste invocations.", Group::Lambda, MAPPINGS, lambda_load::window),
    row("encryption", "A key that works encrypts the records.", Group::Security, ENCRYPTION, security::encryption),
    asked(
        "--role ARN",
        row(
            "kms-rights",
            "The role has the rights on the key that it needs.",
            Group::Security,
            KEY_RIGHTS,
            rights::kms_rights,
        ),
    ),
    row("mode", "The stream has the cheaper capacity mode.", Group::Cost, MODES, money::mode),
    row("oversized", "The stream has no idle shards.", Group::Cost, PRICES, money::oversized),
    row("commitment", "On-demand traffic has the cheaper billing.", Group::Cost, PRICES, money::commitment),
    row("alarms", "Alarms tell a person of late readers and refused writes.", Group::Unthrottle, METRICS, own::alarms),
    row("unthrottle", "unthrottle is deployed, and it can work.", Group::Unthrottle, OWN, own::unthrottle),
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
