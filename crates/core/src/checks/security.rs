//! Encryption.

use super::finding::{Answer, Verdict};
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
    let verdict = match known(&readings.key)?.as_ref().map(|key| key.state.as_str()) {
        None => Verdict::ok("A key that AWS manages encrypts the records."),
        Some("Enabled") => Verdict::ok("A key of yours encrypts the records, and it is enabled."),
        Some(state) => {
            let sentence =
                format!("The key of the stream has the state {state}. Producers and consumers of {name} fail.");
            let fix = format!(
                "aws kms cancel-key-deletion --key-id {key} where it is pending deletion; then aws kms enable-key \
                 --key-id {key}"
            );
            Verdict::fail(sentence, fix).with("key_state", state)
        }
    };
    Ok(verdict.with("key", key.as_str()))
}
