//! Encryption.

use super::Key;
use super::finding::{Answer, Verdict};
use super::fix::Fix;
use super::load::known;
use super::readings::Readings;
use crate::cost::Prices;

pub(super) fn encryption(readings: &Readings, _: &Prices) -> Answer {
    let name = &readings.stream.name;
    let Some(key) = &readings.stream.kms_key else {
        let fix = format!(
            "aws kinesis start-stream-encryption --stream-name {name} --encryption-type KMS --key-id alias/aws/kinesis"
        );
        return Ok(Verdict::warn("Records are not encrypted at rest.", fix).with("key", "none"));
    };
    let verdict = match known(&readings.key)? {
        None => Verdict::ok("A key that AWS manages encrypts the records."),
        Some(Key { state, .. }) if state == "Enabled" => {
            Verdict::ok("A key of yours encrypts the records, and it is enabled.")
        }
        Some(Key { arn, state }) => {
            let sentence =
                format!("The key of the stream has the state {state}. Producers and consumers of {name} fail.");
            // These two commands take no alias. A cancelled deletion leaves the key disabled.
            let enable = Fix::run(format!("aws kms enable-key --key-id {arn}"));
            let fix = match state.as_str() {
                "Disabled" => enable,
                "PendingDeletion" => Fix::run(format!("aws kms cancel-key-deletion --key-id {arn}")).and(enable),
                _ => Fix::note("make the key available again, or give the stream another one"),
            };
            Verdict::fail(sentence, fix).with("key_state", state.as_str())
        }
    };
    Ok(verdict.with("key", key.as_str()))
}
