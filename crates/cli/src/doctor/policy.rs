//! The IAM policy that the doctor needs.

use super::read::{ACTIONS, KCL_ACTIONS, ROLE_ACTIONS, SAMPLE_ACTIONS};
use serde_json::{Value, json};
use std::io::{self, Write};

/// A statement for the reads that the doctor always makes, and one for each option that reads more. Most of these
/// actions take no resource but `*`, and the doctor changes nothing.
pub(super) fn policy() -> Value {
    let statements = [
        ("UnthrottleDoctor", &ACTIONS[..]),
        ("UnthrottleDoctorSample", &SAMPLE_ACTIONS),
        ("UnthrottleDoctorRole", &ROLE_ACTIONS),
        ("UnthrottleDoctorKcl", &KCL_ACTIONS),
    ];
    let statement = |(id, actions): (&str, &[&str])| {
        json!({
            "Sid": id, "Effect": "Allow", "Action": actions, "Resource": "*",
        })
    };
    json!({ "Version": "2012-10-17", "Statement": statements.map(statement) })
}

pub(super) fn print() -> io::Result<()> {
    let mut out = io::stdout();
    serde_json::to_writer_pretty(&mut out, &policy())?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The code of the reads. `read/mod.rs` also has the lists of the policy.
    const READS: [&str; 10] = [
        include_str!("read/account.rs"),
        include_str!("read/alarms.rs"),
        include_str!("read/consumers.rs"),
        include_str!("read/lambda.rs"),
        include_str!("read/leases.rs"),
        include_str!("read/metrics.rs"),
        include_str!("read/own.rs"),
        include_str!("read/rights.rs"),
        include_str!("read/sample.rs"),
        include_str!("read/throttled.rs"),
    ];

    /// Actions that are only simulated, and keys of conditions.
    const SIMULATED: [&str; 10] = [
        "aws:RequestedRegion",
        "aws:TagKeys",
        "kinesis:PutRecord",
        "kinesis:PutRecords",
        "kinesis:SubscribeToShard",
        "kinesis:SplitShard",
        "kinesis:TagResource",
        "kinesis:UpdateShardCount",
        "kms:GenerateDataKey",
        "kms:ViaService",
    ];

    /// Actions that no finding names: those whose failure is the command's, those of `read/mod.rs`, and the action that
    /// `GetRecords` needs for a stream with a key.
    const OTHERS: [&str; 6] = [
        "dynamodb:ListTables",
        "kinesis:DescribeStreamSummary",
        "kinesis:ListStreams",
        "kinesis:ListTagsForResource",
        "kms:Decrypt",
        "kms:DescribeKey",
    ];

    fn is_action(text: &&str) -> bool {
        let Some((service, name)) = text.split_once(':') else { return false };
        let is_name = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(char::is_alphanumeric);
        is_name && service.len() > 2 && service.chars().all(|c| c.is_ascii_lowercase())
    }

    /// A denied read names its action, so the policy must have each action that a read names.
    #[test]
    fn the_policy_has_exactly_the_actions_that_the_reads_name() {
        let named = READS.iter().flat_map(|code| code.split('"').skip(1).step_by(2)).filter(is_action);
        let named: BTreeSet<&str> = named.filter(|action| !SIMULATED.contains(action)).chain(OTHERS).collect();
        let policy = policy();
        let statements = policy["Statement"].as_array().expect("a list").iter();
        let actions = statements.flat_map(|s| s["Action"].as_array().expect("a list")).filter_map(Value::as_str);
        assert_eq!(actions.collect::<BTreeSet<_>>(), named);
    }
}
