//! The IAM policy that the doctor needs.

use super::read::ACTIONS;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Most of these actions take no resource but `*`, and the doctor changes nothing.
pub(super) fn policy() -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Sid": "UnthrottleDoctor", "Effect": "Allow", "Action": ACTIONS, "Resource": "*" }],
    })
}

pub(super) fn print() -> io::Result<()> {
    let mut out = io::stdout();
    serde_json::to_writer_pretty(&mut out, &policy())?;
    writeln!(out)
}
