//! What the policy of a KMS key says of a role. AWS's simulation leaves key policies out for roles.

use crate::signal::account_of;
use serde_json::Value;

/// What the policy of a key says of an action of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// The role may take the action. Conditions of statements that allow are taken as met.
    Allows,
    /// No statement allows it.
    Lacks,
    /// A statement denies it.
    Denies,
    /// A statement denies it under a condition, and another one allows it.
    DeniesUnderCondition,
}

/// What the policy says of the action. `by_own`: the role's own policies allow it, which counts only where the key's
/// policy delegates to the account.
pub(super) fn says(policy: &str, role: &str, action: &str, by_own: bool) -> Says {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        return if by_own { Says::Allows } else { Says::Lacks };
    };
    let account = account_of(role);
    let is_account = |principal: &str| principal == account || is_root(principal, account);
    let is_role = |principal: &str| principal == "*" || principal == role;
    let (mut allowed, mut denied, mut conditional) = (false, false, false);
    for statement in list(&policy["Statement"]).iter().filter(|statement| is_about(statement, action)) {
        if statement["Effect"] == "Deny" {
            let is_meant = is_of(statement, &|principal| is_role(principal) || is_account(principal));
            let has_condition = statement["Condition"].as_object().is_some_and(|conditions| !conditions.is_empty());
            denied |= is_meant && !has_condition;
            conditional |= is_meant && has_condition;
        } else {
            allowed |= is_of(statement, &is_role) || (by_own && is_of(statement, &is_account));
        }
    }
    match (denied, allowed) {
        (true, _) => Says::Denies,
        (false, false) => Says::Lacks,
        (false, true) if conditional => Says::DeniesUnderCondition,
        (false, true) => Says::Allows,
    }
}

/// Whether a statement is about the action, by `Action` or by `NotAction`.
fn is_about(statement: &Value, action: &str) -> bool {
    let has = |patterns: &Value| list(patterns).iter().filter_map(Value::as_str).any(|of| matches(of, action));
    if statement["NotAction"].is_null() { has(&statement["Action"]) } else { !has(&statement["NotAction"]) }
}

/// Whether a statement is of such a principal, by `Principal` or by `NotPrincipal`.
fn is_of(statement: &Value, wanted: &dyn Fn(&str) -> bool) -> bool {
    let has = |value: &Value| principals(value).into_iter().any(wanted);
    if statement["NotPrincipal"].is_null() { has(&statement["Principal"]) } else { !has(&statement["NotPrincipal"]) }
}

/// `arn:PARTITION:iam::ACCOUNT:root`
fn is_root(principal: &str, account: &str) -> bool {
    let mut parts = principal.split(':').skip(4);
    (parts.next(), parts.next()) == (Some(account), Some("root"))
}

/// A value, or the values of a list.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

/// The principals of AWS in a statement.
fn principals(value: &Value) -> Vec<&str> {
    let of_aws = if value.is_object() { &value["AWS"] } else { value };
    list(of_aws).iter().filter_map(Value::as_str).collect()
}

/// Whether a pattern of a policy, such as `kms:GenerateDataKey*`, matches an action. A star stands for any characters,
/// a question mark for one, and the case of letters does not count.
fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let (pattern, action) = (pattern.as_bytes(), action.as_bytes());
    // `reached[n]`: the pattern so far matches the first `n` characters.
    let mut reached = vec![false; action.len() + 1];
    reached[0] = true;
    for of in pattern {
        let before = reached.clone();
        for n in 0..=action.len() {
            let steps = n > 0 && before[n - 1] && (*of == b'?' || *of == action[n - 1]);
            reached[n] = if *of == b'*' { before[n] || (n > 0 && reached[n - 1]) } else { steps };
        }
    }
    reached[action.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROLE: &str = "arn:aws:iam::123456789012:role/writer";

    fn of(statements: Value, by_own: bool) -> Says {
        says(&json!({ "Version": "2012-10-17", "Statement": statements }).to_string(), ROLE, "kms:Decrypt", by_own)
    }

    fn may(statements: Value, by_own: bool) -> bool {
        of(statements, by_own) == Says::Allows
    }

    fn root() -> Value {
        json!({ "Effect": "Allow", "Action": "kms:*", "Resource": "*",
                "Principal": { "AWS": "arn:aws:iam::123456789012:root" } })
    }

    #[test]
    fn a_deny_under_a_condition_says_neither_yes_nor_no() {
        let of_others = json!({ "Effect": "Deny", "Action": "kms:*", "Principal": "*",
                                "Condition": { "StringNotEquals": { "aws:PrincipalOrgID": "o-1" } } });
        assert_eq!(of(json!([root(), of_others]), true), Says::DeniesUnderCondition);
        assert_eq!(of(json!([root(), of_others]), false), Says::Lacks, "no statement allows it in any case");
        let denied = json!({ "Effect": "Deny", "Action": "kms:Decrypt", "Principal": { "AWS": ROLE } });
        assert_eq!(of(json!([root(), of_others, denied]), true), Says::Denies);
        let other = json!({ "Effect": "Deny", "Action": "kms:*", "Principal": { "AWS": "arn:aws:iam::1:role/other" },
                            "Condition": { "Bool": { "aws:SecureTransport": "false" } } });
        assert_eq!(of(json!([root(), other]), true), Says::Allows, "it is of another role");
    }

    #[test]
    fn a_deny_of_all_other_actions_or_principals_counts() {
        let but = |name: &str, value: Value| {
            let mut deny = json!({ "Effect": "Deny", "Action": "kms:*", "Principal": "*" });
            deny.as_object_mut().expect("an object").remove(&name.replace("Not", ""));
            deny[name] = value;
            json!([root(), deny])
        };
        assert_eq!(of(but("NotAction", json!("kms:Describe*")), true), Says::Denies);
        assert_eq!(of(but("NotAction", json!(["kms:*crypt"])), true), Says::Allows);
        assert_eq!(of(but("NotPrincipal", json!({ "AWS": "arn:aws:iam::1:role/admin" })), true), Says::Denies);
        assert_eq!(of(but("NotPrincipal", json!({ "AWS": [ROLE] })), true), Says::Allows);
    }

    #[test]
    fn stars_and_question_marks_match_anywhere() {
        for (pattern, is_match) in [
            ("kms:*", true),
            ("*", true),
            ("KMS:decrypt", true),
            ("kms:*crypt", true),
            ("k*:De*t", true),
            ("kms:Decryp?", true),
            ("kms:Decrypt?", false),
            ("kms:Encrypt", false),
            ("kms:De*k", false),
            ("", false),
        ] {
            assert_eq!(matches(pattern, "kms:Decrypt"), is_match, "{pattern}");
        }
    }

    #[test]
    fn the_default_policy_of_a_key_leaves_it_to_the_policies_of_the_role() {
        assert!(may(root(), true) && !may(root(), false));
        let other = json!({ "Effect": "Allow", "Action": "kms:*", "Principal": { "AWS": "arn:aws:iam::9:root" } });
        assert!(!may(json!([other]), true), "another account");
    }

    #[test]
    fn a_key_may_name_the_role_itself_and_may_deny_it() {
        let named =
            json!({ "Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decr*"], "Principal": { "AWS": [ROLE] } });
        assert!(may(json!([named]), false));
        let denied = json!({ "Effect": "Deny", "Action": "kms:Decrypt", "Principal": "*" });
        assert_eq!(of(json!([named, denied]), true), Says::Denies);
        let service =
            json!({ "Effect": "Allow", "Action": "kms:*", "Principal": { "Service": "kinesis.amazonaws.com" } });
        assert!(!may(service, true), "the key delegates to no account");
    }
}
