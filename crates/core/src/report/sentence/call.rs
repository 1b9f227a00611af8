//! Sentences about one failed call, which need no observation.

use super::UNKNOWN_CALLER;
use crate::decision::{ReadCall, Reason};
use crate::signal::Call;

/// What helps readers that subscribe too often.
pub(super) const SUBSCRIBE_LESS: &str = "Each registered consumer may subscribe to each shard once a second, so shards \
    cannot help: give each reader a registered consumer of its own, and back off between re-subscriptions.";

/// The sentence of a hold that the call itself explains. `None`: the reason is about the stream.
pub(super) fn of_call(reason: &Reason, call: &Call) -> Option<String> {
    let Call { operation, .. } = call;
    let who = call.caller.principal.as_deref().unwrap_or(UNKNOWN_CALLER);
    let code = call.error_code.as_deref().unwrap_or("no error");
    let on = call.resource.as_deref().map(|r| format!(" on {r}")).unwrap_or_default();
    Some(match reason {
        Reason::NotAThrottle => format!("{operation} ended with {code}, which is no throttle. Nothing to do."),
        Reason::OwnCall => format!("{operation} was our own call and got {code}. It never wakes us a second time."),
        Reason::AccessDenied => format!(
            "{who} may not call kinesis:{operation}{on} ({code}). Capacity cannot help and IAM is never touched: \
             check that principal's policies (IAM Access Analyzer shows what they allow)."
        ),
        Reason::KmsDenied => format!(
            "KMS refused {operation} of {who}{on} ({code}). Capacity cannot help and keys are never touched: check \
             the key's state and policy, and the principal's kms: permissions (IAM Access Analyzer shows them)."
        ),
        Reason::KmsThrottled => format!(
            "KMS throttled {operation} of {who} ({code}). Shards cannot help: raise the KMS request quota, or let \
             producers batch with PutRecords."
        ),
        Reason::ControlPlaneThrottled => format!(
            "{operation} of {who} was throttled ({code}). No stream's capacity serves this call, so shards cannot \
             help: let that caller ({}) cache and back off.",
            call.caller.user_agent.as_deref().unwrap_or("unknown user agent")
        ),
        Reason::TooManyReaders(ReadCall::SubscribeToShard) => {
            format!("{operation} of {who}{on} was throttled ({code}). {SUBSCRIBE_LESS}")
        }
        _ => return None,
    })
}
