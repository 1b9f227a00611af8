//! Encryption.

use super::Key;
use super::finding::{Answer, Verdict};
use super::fix::Fix;
use super::load::known;
use super::readings::Readings;
use crate::cost::Prices;

/// The command that encrypts the records from now on with this key.
fn encrypt(stream: &str, key: &str) -> Fix {
    Fix::run(format!("aws kinesis start-stream-encryption --stream-name {stream} --encryption-type KMS --key-id {key}"))
}

pub(super) fn encryption(readings: &Readings, _: &Prices) -> Answer {
    let name = &readings.stream.name;
    let Some(key) = &readings.stream.kms_key else {
        let fix = encrypt(name, "alias/aws/kinesis")
            .and_note("if another account writes or reads: use a key of yours whose policy names it");
        return Ok(Verdict::warn("Records are not encrypted at rest.", fix).with("key", "none"));
    };
    let verdict = match known(&readings.key)? {
        None => Verdict::ok("A key that AWS manages encrypts the records."),
        Some(Key { state, .. }) if state == "Enabled" => {
            Verdict::ok("A key of yours encrypts the records, and it is enabled.")
        }
        Some(Key { arn, state }) if state == Key::NOT_FOUND => {
            let sentence = format!("The key {arn} does not exist. Producers and consumers of {name} fail.");
            let fix = Fix::note("give the stream another key; records of the old one cannot be read any more:");
            Verdict::fail(sentence, fix.and(encrypt(name, "KEY_ARN"))).with("key_state", state.as_str())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixture::{stream, unread};

    #[test]
    fn the_key_of_aws_is_none_for_another_account_and_the_fix_says_so() {
        let fix = encryption(&unread(), &Prices::default()).expect("read").fix.expect("a fix");
        let lines: Vec<&str> = fix.lines().collect();
        assert!(lines[0].ends_with(" --key-id alias/aws/kinesis"), "{fix}");
        assert_eq!(lines[1], "# if another account writes or reads: use a key of yours whose policy names it");
    }

    #[test]
    fn a_key_that_does_not_exist_fails() {
        let arn = "arn:aws:kms:us-east-1:123456789012:key/1";
        let stream = crate::observation::Stream { kms_key: Some(arn.into()), ..stream(1) };
        let key = Ok(Some(Key { arn: arn.into(), state: Key::NOT_FOUND.into() }));
        let verdict = encryption(&Readings { stream, key, ..unread() }, &Prices::default()).expect("read");
        assert_eq!(verdict.status, crate::checks::Status::Fail);
        let says = format!("The key {arn} does not exist. Producers and consumers of orders fail.");
        assert_eq!(verdict.sentence, says);
    }
}
