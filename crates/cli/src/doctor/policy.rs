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
