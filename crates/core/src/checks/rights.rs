//! The rights of a role on the key of a stream.

use super::finding::{Answer, Verdict};
use super::load::known;
use super::readings::Readings;
use super::{Allowed, Rights, key_policy};
use crate::cost::Prices;

/// A right, what needs it, and what the role's own policies say.
struct Need {
    action: &'static str,
    does: &'static str,
    allowed: Allowed,
}

pub(super) fn kms_rights(readings: &Readings, _: &Prices) -> Answer {
    let Some(rights) = &readings.rights else {
        return Ok(Verdict::unknown("No role was given.", "give --role ARN"));
    };
    let rights = known(rights)?;
    let role = rights.role.rsplit('/').next().unwrap_or(&rights.role);
    let verdict = if !rights.writes && !rights.reads {
        let stream = &readings.stream.arn;
        let fix = format!(
            "if it is the role of a producer or consumer: allow kinesis:PutRecords or kinesis:GetRecords on {stream}"
        );
        Verdict::warn(format!("{role} may neither write to the stream nor read from it."), fix)
    } else if let Some(key) = known(&readings.key)? {
        let lacking = lacking(rights)?;
        if lacking.is_empty() {
            Verdict::ok(format!("{role} has the rights on the key that it needs."))
        } else {
            let words: Vec<String> = lacking.iter().map(|need| format!("{} to {}", need.action, need.does)).collect();
            let actions: Vec<&str> = lacking.iter().map(|need| need.action).collect();
            let is_denied = lacking.iter().any(|need| need.allowed == Allowed::Denied);
            let fix = if is_denied { "remove the statement that denies it, and allow" } else { "allow" };
            let fix =
                format!("{fix} {} on {} to {role}, in its policy or in the key's", actions.join(" and "), key.arn);
            let sentence = format!("{role} lacks {}. KMS refuses its calls.", words.join(" and "));
            Verdict::fail(sentence, fix).with("lacks", actions)
        }
    } else {
        Verdict::ok("No key of yours encrypts the records, so a role needs no right on a key.")
    };
    let verdict = verdict.with("role", rights.role.as_str());
    Ok(verdict.with("writes", rights.writes).with("reads", rights.reads))
}

/// The rights that the role needs and does not have.
fn lacking(rights: &Rights) -> Result<Vec<Need>, super::Unread> {
    let write = rights.writes.then_some(Need {
        action: "kms:GenerateDataKey",
        does: "write",
        allowed: rights.generate_data_key,
    });
    let read = rights.reads.then_some(Need { action: "kms:Decrypt", does: "read", allowed: rights.decrypt });
    let mut lacking = vec![];
    for need in write.into_iter().chain(read) {
        let has = match need.allowed {
            Allowed::Denied => false,
            Allowed::Yes | Allowed::No => {
                let policy = known(&rights.key_policy)?.as_deref();
                let by_own = need.allowed == Allowed::Yes;
                policy.is_none_or(|policy| key_policy::allows(policy, &rights.role, need.action, by_own))
            }
        };
        if !has {
            lacking.push(need);
        }
    }
    Ok(lacking)
}
