//! The rights of a role on the key of a stream.

use super::finding::{Answer, Verdict};
use super::fix::Fix;
use super::key_policy::{self, Says};
use super::load::known;
use super::readings::Readings;
use super::{Allowed, Rights};
use crate::cost::Prices;
use crate::signal::account_of;

/// A right that a role needs and does not have, and what needs it.
struct Need {
    action: &'static str,
    does: &'static str,
    why: Why,
}

/// Why a role does not have a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// No policy allows it.
    Lacks,
    /// A policy of the role denies it.
    DeniedByOwn,
    /// The policy of the key denies it.
    DeniedByKey,
    /// The policy of the key denies it under a condition.
    Condition,
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
        of_key(rights, role, &key.arn)?
    } else {
        Verdict::ok("No key of yours encrypts the records, so a role needs no right on a key.")
    };
    let verdict = verdict.with("role", rights.role.as_str());
    Ok(verdict.with("writes", rights.writes).with("reads", rights.reads))
}

/// Whether the role has the rights on the key that it needs.
fn of_key(rights: &Rights, role: &str, key: &str) -> Answer {
    let is_foreign = account_of(key) != account_of(&rights.role);
    let lacking = lacking(rights, is_foreign)?;
    let words = |of: &dyn Fn(&Need) -> bool| -> Vec<String> {
        lacking.iter().filter(|need| of(need)).map(|need| format!("{} to {}", need.action, need.does)).collect()
    };
    let (certain, doubtful) = (words(&|need| need.why != Why::Condition), words(&|need| need.why == Why::Condition));
    let policy = format!("aws kms get-key-policy --key-id {key} --policy-name default");
    let Some(first) = lacking.iter().find(|need| need.why != Why::Condition) else {
        if doubtful.is_empty() {
            return Ok(Verdict::ok(format!("{role} has the rights on the key that it needs.")));
        }
        let sentence = format!(
            "The policy of the key denies {role} {} under a condition, which the doctor does not judge.",
            doubtful.join(" and ")
        );
        let fix = Fix::note("read the condition of the statement that denies it:").and_run(policy);
        return Ok(Verdict::unknown(sentence, fix));
    };
    let actions: Vec<&str> = lacking.iter().filter(|need| need.why != Why::Condition).map(|need| need.action).collect();
    let fix = match first.why {
        Why::DeniedByKey => Fix::note("remove the statement of the key's policy that denies it:").and_run(policy),
        Why::DeniedByOwn => Fix::note(format!(
            "remove the statement of the policies of {role} that denies {} on {key}",
            actions.join(" and ")
        )),
        Why::Lacks | Why::Condition => {
            let policies = if is_foreign { "in its policy and in the key's" } else { "in its policy or in the key's" };
            Fix::note(format!("allow {} on {key} to {role}, {policies}", actions.join(" and ")))
        }
    };
    let verb = if first.why == Why::Lacks { "lacks" } else { "is denied" };
    let sentence = format!("{role} {verb} {}. KMS refuses its calls.", certain.join(" and "));
    Ok(Verdict::fail(sentence, fix).with("lacks", actions))
}

/// The rights that the role needs and does not have, or may not have. `is_foreign`: the key is of another account, so
/// the policy of the key and those of the role must both allow (key-policy-modifying-external-accounts.html).
fn lacking(rights: &Rights, is_foreign: bool) -> Result<Vec<Need>, super::Unread> {
    let write = rights.writes.then_some(("kms:GenerateDataKey", "write", rights.generate_data_key));
    let read = rights.reads.then_some(("kms:Decrypt", "read", rights.decrypt));
    let mut lacking = vec![];
    for (action, does, allowed) in write.into_iter().chain(read) {
        let says = |by_own| -> Result<Says, super::Unread> {
            let policy = known(&rights.key_policy)?.as_deref();
            Ok(policy.map_or(Says::Allows, |policy| key_policy::says(policy, &rights.role, action, by_own)))
        };
        let why = match allowed {
            Allowed::Denied => Some(Why::DeniedByOwn),
            Allowed::No if is_foreign => Some(Why::Lacks),
            Allowed::Yes | Allowed::No => match says(allowed == Allowed::Yes)? {
                Says::Allows => None,
                Says::Lacks => Some(Why::Lacks),
                Says::Denies => Some(Why::DeniedByKey),
                Says::DeniesUnderCondition => Some(Why::Condition),
            },
        };
        lacking.extend(why.map(|why| Need { action, does, why }));
    }
    Ok(lacking)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixture::unread;
    use crate::checks::{Key, Status};

    const ROLE: &str = "arn:aws:iam::123456789012:role/writer";

    /// The finding of a role that writes with a key of this account, whose policy names the role.
    fn of(account: &str, own: Allowed) -> Verdict {
        let arn = format!("arn:aws:kms:us-east-1:{account}:key/1");
        let policy = serde_json::json!({ "Statement": [{ "Effect": "Allow", "Action": "kms:*", "Resource": "*",
                                                         "Principal": { "AWS": ROLE } }] });
        let rights = Rights {
            role: ROLE.into(),
            writes: true,
            reads: false,
            generate_data_key: own,
            decrypt: Allowed::No,
            key_policy: Ok(Some(policy.to_string())),
        };
        let key = Ok(Some(Key { arn, state: "Enabled".into() }));
        let readings = Readings { rights: Some(Ok(rights)), key, ..unread() };
        kms_rights(&readings, &Prices::default()).expect("read")
    }

    #[test]
    fn the_policy_of_a_key_of_another_account_is_not_enough() {
        assert_eq!(of("123456789012", Allowed::No).status, Status::Ok, "the policy of the key alone is enough");
        let foreign = of("999999999999", Allowed::No);
        assert_eq!(foreign.status, Status::Fail, "{}", foreign.sentence);
        let fix = foreign.fix.expect("a fix");
        assert!(fix.ends_with("to writer, in its policy and in the key's"), "{fix}");
        assert_eq!(of("999999999999", Allowed::Yes).status, Status::Ok, "both allow it");
    }
}
