//! Hides whose account a proof comes from.

use serde_json::Value;
use std::collections::BTreeSet;

/// Fields whose values name the caller: those of CloudTrail's events.
const OF_CALLER: [&str; 5] = ["userIdentity", "sourceIPAddress", "userAgent", "accessKeyId", "principalId"];

/// What stands for a hidden account id, and for a hidden principal.
const ACCOUNT: &str = "ACCOUNT";
const PRINCIPAL: &str = "PRINCIPAL";

/// Hides the account ids that it knows or found in ARNs, wherever they stand. A shard's id has twelve digits as well,
/// and stays.
#[derive(Debug, Default)]
pub(super) struct Redactor(BTreeSet<String>);

impl Redactor {
    /// Knows this account, and finds those in the ARNs of these values.
    pub fn of<'a>(account: Option<&str>, values: impl Iterator<Item = &'a Value>) -> Redactor {
        let mut redactor = Redactor(account.map(str::to_owned).into_iter().collect());
        values.for_each(|value| redactor.find(value));
        redactor
    }

    fn find(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.0.extend(accounts(text)),
            Value::Array(items) => items.iter().for_each(|item| self.find(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.find(field)),
            _ => {}
        }
    }

    /// The value without accounts and callers.
    pub fn hide(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.hide_in(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.hide(item)).collect()),
            Value::Object(fields) => {
                let is_kept = |(name, _): &(String, Value)| !OF_CALLER.contains(&name.as_str());
                Value::Object(fields.into_iter().filter(is_kept).map(|(name, it)| (name, self.hide(it))).collect())
            }
            other => other,
        }
    }

    /// The text without accounts and callers.
    pub fn hide_in(&self, text: &str) -> String {
        // A document in a text, such as the body of a queue's message.
        if let Ok(inner @ Value::Object(_)) = serde_json::from_str(text) {
            let mut found = Redactor(self.0.clone());
            found.find(&inner);
            return found.hide(inner).to_string();
        }
        let hide = |text: String, account: &String| text.replace(account, ACCOUNT);
        let all: BTreeSet<String> = self.0.iter().cloned().chain(accounts(text)).collect();
        all.iter().fold(without_principals(text), hide)
    }
}

/// Where an ARN ends in a message.
fn is_end(c: char) -> bool {
    c.is_whitespace() || "\"',;()[]{}<>".contains(c)
}

/// The account ids of the ARNs in a text.
fn accounts(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(is_end).filter_map(|word| word.find("arn:aws").map(|at| &word[at..]));
    let accounts = words.filter_map(|arn| arn.split(':').nth(4));
    accounts.filter(|id| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned)
}

/// The text with the principals of ARNs such as `arn:aws:iam::123456789012:user/alice` hidden.
fn without_principals(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    for word in text.split_inclusive(is_end) {
        let arn = word.trim_end_matches(is_end);
        match arn.find("arn:aws").map(|at| arn[at..].splitn(6, ':').collect::<Vec<_>>()).as_deref() {
            Some([_, _, "iam" | "sts", _, _, principal]) => {
                hidden.push_str(&word[..arn.len() - principal.len()]);
                hidden.push_str(PRINCIPAL);
                hidden.push_str(&word[arn.len()..]);
            }
            _ => hidden.push_str(word),
        }
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn accounts_and_callers_are_hidden_and_shards_are_not() {
        let answer = json!({
            "StreamARN": "arn:aws:kinesis:us-east-1:210987654321:stream/orders",
            "message": "Rate exceeded for shard shardId-000000000000 in stream orders under account 210987654321.",
            "userIdentity": {"userName": "alice"},
            "Body": r#"{"account":"210987654321","detail":{"sourceIPAddress":"203.0.113.7"}}"#,
        });
        let hidden = Redactor::of(None, [&answer].into_iter()).hide(answer);
        assert_eq!(hidden["StreamARN"], "arn:aws:kinesis:us-east-1:ACCOUNT:stream/orders");
        let says = "Rate exceeded for shard shardId-000000000000 in stream orders under account ACCOUNT.";
        assert_eq!(hidden["message"], says);
        assert_eq!(hidden["Body"], r#"{"account":"ACCOUNT","detail":{}}"#);
        assert_eq!(hidden.get("userIdentity"), None);
    }

    #[test]
    fn the_callers_account_is_hidden_also_where_no_arn_has_it() {
        let redactor = Redactor::of(Some("210987654321"), std::iter::empty());
        let hidden = redactor.hide_in("S3 bucket aws-cloudtrail-logs-210987654321-0a1b2c3d does not exist!");
        assert_eq!(hidden, "S3 bucket aws-cloudtrail-logs-ACCOUNT-0a1b2c3d does not exist!");
    }

    #[test]
    fn a_denial_names_its_action_and_not_its_caller() {
        let says = "User: arn:aws:sts::210987654321:assumed-role/admin/alice@example.com is not authorized to perform: \
                    cloudwatch:DescribeAlarmContributors on resource: \
                    arn:aws:cloudwatch:us-east-1:210987654321:alarm:a";
        let hidden = Redactor::default().hide_in(says);
        assert!(hidden.starts_with("User: arn:aws:sts::ACCOUNT:PRINCIPAL is not authorized to perform: cloudwatch:De"));
        assert!(hidden.ends_with("arn:aws:cloudwatch:us-east-1:ACCOUNT:alarm:a"), "{hidden}");
    }
}
