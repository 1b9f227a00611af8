//! Sentences about one failed call, which need no observation.

use super::UNKNOWN_CALLER;
use crate::decision::{ReadCall, Reason};
use crate::denial::{Denial, Denier};
use crate::signal::Call;
use crate::text::{NAME, agent, plain};

/// What helps readers that subscribe too often.
pub(super) const SUBSCRIBE_LESS: &str = "Each registered consumer may subscribe to each shard once a second, so shards \
    cannot help: give each reader a registered consumer of its own, and back off between re-subscriptions.";

/// The sentence of a hold that the call itself explains. `None`: the reason is about the stream.
pub(super) fn of_call(reason: &Reason, call: &Call) -> Option<String> {
    let name = |text: &Option<String>| text.as_deref().map(|text| plain(text, NAME));
    let operation = plain(&call.operation, NAME);
    let who = name(&call.caller.principal).unwrap_or_else(|| UNKNOWN_CALLER.to_owned());
    let code = name(&call.error_code).unwrap_or_else(|| "no error".to_owned());
    let on = name(&call.resource).map(|resource| format!(" on {resource}")).unwrap_or_default();
    let by = denied_by(call, &operation);
    Some(match reason {
        Reason::NotAThrottle => format!("{operation} ended with {code}, which is no throttle. Nothing to do."),
        Reason::OwnCall => format!("{operation} was our own call and got {code}. It never wakes us a second time."),
        Reason::AccessDenied => format!(
            "{who} may not call kinesis:{operation}{on} ({code}{by}). Capacity cannot help and IAM is never touched: \
             check that principal's policies (IAM Access Analyzer shows what they allow)."
        ),
        Reason::KmsDenied => format!(
            "KMS refused {operation} of {who}{on} ({code}{by}). Capacity cannot help and keys are never touched: check \
             the key's state and policy, and the principal's kms: permissions (IAM Access Analyzer shows them)."
        ),
        Reason::KmsThrottled => format!(
            "KMS throttled {operation} of {who} ({code}). Shards cannot help: raise the KMS request quota, or let \
             producers batch with PutRecords."
        ),
        Reason::ControlPlaneThrottled => format!(
            "{operation} of {who} was throttled ({code}). No stream's capacity serves this call, so shards cannot \
             help: let that caller ({}) cache and back off.",
            call.caller.user_agent.as_deref().and_then(agent).unwrap_or_else(|| "unknown user agent".to_owned())
        ),
        Reason::TooManyReaders(ReadCall::SubscribeToShard) => {
            format!("{operation} of {who}{on} was throttled ({code}). {SUBSCRIBE_LESS}")
        }
        _ => return None,
    })
}

/// What denied the call, where AWS's message names the type of policy.
fn denied_by(call: &Call, operation: &str) -> String {
    let (code, message) = (call.error_code.as_deref().unwrap_or_default(), call.error_message.as_deref());
    let denial = Denial::of(code, message.unwrap_or_default(), &format!("kinesis:{operation}"));
    let named = denial.filter(|denial| denial.by != Denier::Unnamed);
    named.map(|denial| format!(": {denial}")).unwrap_or_default()
}
