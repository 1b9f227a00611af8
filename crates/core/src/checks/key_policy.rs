//! What the policy of a KMS key says of a role. AWS's simulation leaves key policies out for roles.

use serde_json::Value;

/// Whether the role may take the action on the key with this policy. `by_own`: the role's own policies allow it, which
/// counts only where the key's policy delegates to the account. Conditions are taken as met.
pub(super) fn allows(policy: &str, role: &str, action: &str, by_own: bool) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else { return by_own };
    let account = role.split(':').nth(4).unwrap_or_default();
    let is_account = |principal: &str| principal == account || is_root(principal, account);
    let (mut allowed, mut denied) = (false, false);
    for statement in list(&policy["Statement"]) {
        let has_action = list(&statement["Action"]).iter().filter_map(Value::as_str).any(|of| matches(of, action));
        if !has_action {
            continue;
        }
        let principals = principals(&statement["Principal"]);
        let names = |wanted: &dyn Fn(&str) -> bool| principals.iter().any(|principal| wanted(principal));
        let is_named = names(&|principal| principal == "*" || principal == role);
        if statement["Effect"] == "Deny" {
            denied |= is_named || names(&is_account);
        } else {
            allowed |= is_named || (by_own && names(&is_account));
        }
    }
    allowed && !denied
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

/// Whether a pattern of a policy, such as `kms:GenerateDataKey*`, matches an action. Only its last character may be a
/// star, as in each policy that AWS proposes for keys.
fn matches(pattern: &str, action: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => action.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)),
        None => pattern.eq_ignore_ascii_case(action),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROLE: &str = "arn:aws:iam::123456789012:role/writer";

    fn may(statements: Value, by_own: bool) -> bool {
        allows(&json!({ "Version": "2012-10-17", "Statement": statements }).to_string(), ROLE, "kms:Decrypt", by_own)
    }

    #[test]
    fn the_default_policy_of_a_key_leaves_it_to_the_policies_of_the_role() {
        let root = json!({ "Effect": "Allow", "Action": "kms:*", "Resource": "*",
                           "Principal": { "AWS": "arn:aws:iam::123456789012:root" } });
        assert!(may(root.clone(), true) && !may(root, false));
        let other = json!({ "Effect": "Allow", "Action": "kms:*", "Principal": { "AWS": "arn:aws:iam::9:root" } });
        assert!(!may(json!([other]), true), "another account");
    }

    #[test]
    fn a_key_may_name_the_role_itself_and_may_deny_it() {
        let named =
            json!({ "Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decr*"], "Principal": { "AWS": [ROLE] } });
        assert!(may(json!([named]), false));
        let denied = json!({ "Effect": "Deny", "Action": "kms:Decrypt", "Principal": "*" });
        assert!(!may(json!([named, denied]), true));
        let service =
            json!({ "Effect": "Allow", "Action": "kms:*", "Principal": { "Service": "kinesis.amazonaws.com" } });
        assert!(!may(service, true), "the key delegates to no account");
    }
}
