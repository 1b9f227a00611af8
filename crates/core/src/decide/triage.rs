//! Holds that the signal alone decides, without a call of AWS's.

use crate::decision::{Foreign, ReadCall, Reason};
use crate::policy::{Mode, Policy};
use crate::signal::{Alarm, Ask, Call, Caller, Home, Signal};

/// The calls that a stream's capacity serves. AWS limits `GetShardIterator` per shard and account, whatever the
/// capacity.
const DATA_PLANE: [&str; 3] = ["PutRecord", "PutRecords", "GetRecords"];

/// The call by which a registered consumer subscribes to a shard. AWS allows it once a second for each consumer and
/// shard, so shards cannot help a consumer that subscribes too often.
const SUBSCRIBE: &str = "SubscribeToShard";
/// The metric of refused subscriptions.
const SUBSCRIBE_REFUSED: &str = "SubscribeToShard.RateExceeded";

/// The cause that an error code names.
enum Cause {
    Throttled,
    AccessDenied,
    KmsDenied,
    KmsThrottled,
    Other,
}

/// Holds a signal that needs no observation. `None`: observe the stream, and call [`decide`](super::decide).
pub fn triage(signal: &Signal, policy: &Policy, home: &Home) -> Option<Reason> {
    let reason = match signal {
        Signal::Throttle(call) => of_call(call, policy, home),
        Signal::Alarm(alarm) => of_alarm(alarm, home),
        Signal::Ask(Ask { stream, .. }) | Signal::Sweep(stream) => {
            (stream.home != *home).then_some(Reason::NotOurs(Foreign::Home))
        }
    };
    // A function that is switched off stays off without an observation.
    reason.or_else(|| (policy.mode == Mode::Off).then_some(Reason::OptedOut))
}

fn of_call(call: &Call, policy: &Policy, home: &Home) -> Option<Reason> {
    let cause = cause(call);
    if let Cause::Other = cause {
        return Some(Reason::NotAThrottle);
    }
    if is_elsewhere(home, call.account.as_deref(), call.region.as_deref())
        || call.stream.as_ref().is_some_and(|s| s.home != *home)
    {
        return Some(Reason::NotOurs(Foreign::Home));
    }
    if policy.role_arn.as_deref().is_some_and(|role| is_made_by(&call.caller, role)) {
        return Some(Reason::OwnCall);
    }
    match cause {
        Cause::AccessDenied => Some(Reason::AccessDenied),
        Cause::KmsDenied => Some(Reason::KmsDenied),
        Cause::KmsThrottled => Some(Reason::KmsThrottled),
        Cause::Throttled | Cause::Other => throttled(call),
    }
}

fn throttled(call: &Call) -> Option<Reason> {
    if call.operation == SUBSCRIBE {
        return Some(Reason::TooManyReaders(ReadCall::SubscribeToShard));
    }
    // Every operation outside the data plane declares LimitExceededException, so it never means a lack of capacity.
    let by_capacity =
        DATA_PLANE.contains(&call.operation.as_str()) && call.error_code.as_deref() != Some("LimitExceededException");
    if !by_capacity && !is_queue_data(&call.operation) {
        return Some(Reason::ControlPlaneThrottled);
    }
    (call.stream.is_none() || !by_capacity).then_some(Reason::NotOurs(Foreign::NoStream))
}

/// Whether the operation carries the data of a queue (the seven that declare `ThrottlingException`). A queue is no
/// stream.
fn is_queue_data(operation: &str) -> bool {
    operation.contains("Queue")
        && (["Receive", "Acknowledge", "Restore"].iter().any(|verb| operation.starts_with(verb))
            || operation.ends_with("Visibility"))
}

fn cause(call: &Call) -> Cause {
    let code = call.error_code.as_deref().unwrap_or_default();
    match code {
        "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "ThrottlingException"
        | "Throttling"
        | "ThrottledException" => Cause::Throttled,
        // CloudTrail writes the first, and SDKs get the second.
        "AccessDenied" | "AccessDeniedException" => {
            // AWS does not document how CloudTrail spells a denial by KMS. The denied action is in the message.
            let by_kms = call.error_message.as_deref().is_some_and(|m| m.contains("kms:"));
            if by_kms { Cause::KmsDenied } else { Cause::AccessDenied }
        }
        _ if code.get(..3).is_some_and(|kms| kms.eq_ignore_ascii_case("KMS")) => {
            if code.contains("Throttling") {
                Cause::KmsThrottled
            } else {
                Cause::KmsDenied
            }
        }
        _ => Cause::Other,
    }
}

fn of_alarm(alarm: &Alarm, home: &Home) -> Option<Reason> {
    if is_elsewhere(home, alarm.account.as_deref(), alarm.region.as_deref()) {
        return Some(Reason::NotOurs(Foreign::Home));
    }
    if alarm.is_composite {
        return Some(Reason::NotOurs(Foreign::Composite));
    }
    if !alarm.on_kinesis {
        return Some(Reason::NotOurs(Foreign::Metric));
    }
    if alarm.stream.is_none() {
        return Some(Reason::NotOurs(Foreign::NoStream));
    }
    if let Some(rule) = &alarm.muted_by {
        return Some(Reason::Muted(rule.clone()));
    }
    if alarm.state != "ALARM" {
        return Some(Reason::Recovered);
    }
    is_on_subscriptions(alarm).then_some(Reason::TooManyReaders(ReadCall::SubscribeToShard))
}

/// Whether the alarm watches refused subscriptions, alone or as a share of all subscriptions, and nothing else.
fn is_on_subscriptions(alarm: &Alarm) -> bool {
    let of_subscriptions = |metric: &String| metric.split('.').next() == Some(SUBSCRIBE);
    alarm.metrics.contains(SUBSCRIBE_REFUSED) && alarm.metrics.iter().all(of_subscriptions)
}

fn is_elsewhere(home: &Home, account: Option<&str>, region: Option<&str>) -> bool {
    account.is_some_and(|a| a != home.account) || region.is_some_and(|r| r != home.region)
}

/// Whether the caller is the role `role_arn`, or a session of it.
fn is_made_by(caller: &Caller, role_arn: &str) -> bool {
    if [&caller.role, &caller.principal].into_iter().flatten().any(|arn| arn == role_arn) {
        return true;
    }
    // arn:aws:iam::123456789012:role/path/NAME opens sessions arn:aws:sts::123456789012:assumed-role/NAME/SESSION.
    let session = || {
        let name = role_arn.rsplit('/').next()?;
        let (head, _) = role_arn.split_once(":role/")?;
        let session = format!("{}:assumed-role/{name}/", head.replacen(":iam:", ":sts:", 1));
        Some(caller.principal.as_deref()?.starts_with(&session))
    };
    session().unwrap_or(false)
}
