//! The ARN of a Kinesis data stream.

use super::Home;
use std::fmt;

/// The parts of a stream's ARN, such as `arn:aws:kinesis:us-east-1:123456789012:stream/orders`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamArn {
    /// The account and region of the stream.
    pub home: Home,
    /// The stream's name: 1–128 characters of `[A-Za-z0-9_.-]`.
    pub name: String,
}

impl fmt::Display for StreamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Home { partition, region, account } = &self.home;
        write!(f, "arn:{partition}:kinesis:{region}:{account}:stream/{}", self.name)
    }
}

impl StreamArn {
    /// Parses the ARN of a stream, or of a registered consumer (`…:stream/NAME/consumer/…`). `None` for any other ARN,
    /// such as a queue's. Also `None` for `arn:aws:kinesis:us-east-1:NAME:stream/null`: CloudTrail writes this
    /// malformed ARN for calls by name, with the name in the place of the account.
    pub fn parse(arn: &str) -> Option<StreamArn> {
        let home = Home::of_arn(arn)?;
        let mut parts = arn.splitn(6, ':').skip(2);
        let service = parts.next()?;
        let resource = parts.nth(2)?;
        let name = resource.strip_prefix("stream/")?;
        let name = name.split_once("/consumer/").map_or(name, |(name, _)| name);
        (service == "kinesis").then(|| StreamArn::new(name, &home)).flatten()
    }

    /// The stream `name` at `home`. `None`: AWS does not allow such a name.
    pub fn new(name: &str, home: &Home) -> Option<StreamArn> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        ((1..=128).contains(&name.len()) && name.chars().all(legal))
            .then(|| StreamArn { home: home.clone(), name: name.into() })
    }

    /// Parses the name or the ARN of a stream, as a person gives it. `None`: the text is neither.
    pub fn of_name_or_arn(text: &str, home: &Home) -> Option<StreamArn> {
        if text.starts_with("arn:") { StreamArn::parse(text) } else { StreamArn::new(text, home) }
    }
}

/// The account in the ARN of any resource, such as a key or a role. Empty if the ARN has no account.
pub fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// Whether the text is `aws`, or one of AWS's other partitions, whose names all begin with `aws-`. AWS adds partitions,
/// such as `aws-eusc` for its European Sovereign Cloud, and the function must not need a new version for each.
pub(super) fn is_partition(text: &str) -> bool {
    text == "aws" || text.strip_prefix("aws-").is_some_and(is_word)
}

/// Whether the text can be the name of a region.
pub(super) fn is_region(text: &str) -> bool {
    is_word(text)
}

/// Small letters, digits and hyphens.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_in(arn: &str) -> Option<String> {
        StreamArn::parse(arn).map(|s| s.name)
    }

    #[test]
    fn the_arn_of_a_stream_or_of_its_consumer_gives_the_stream() {
        for partition in ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso-b"] {
            let arn = format!("arn:{partition}:kinesis:eu-west-1:123456789012:stream/orders.v2");
            assert_eq!(name_in(&arn).as_deref(), Some("orders.v2"));
            assert_eq!(StreamArn::parse(&arn).map(|s| s.to_string()), Some(arn));
        }
        let consumer = "arn:aws:kinesis:us-east-1:123456789012:stream/orders/consumer/app:1789813511";
        assert_eq!(name_in(consumer).as_deref(), Some("orders"));
    }

    #[test]
    fn any_other_arn_gives_no_stream() {
        for arn in [
            "arn:aws:kinesis:us-east-1:orders:stream/null",
            "arn:aws:kinesis:us-east-1:123456789012:queue/orders",
            "arn:aws:kinesis:us-east-1:123456789012:stream/",
            "arn:aws:kinesis:us-east-1:123456789012:stream/a/b",
            "arn:aws:kinesis:us-east-1:123456789012",
            "arn:aws:sqs:us-east-1:123456789012:stream/orders",
            "arn:other:kinesis:us-east-1:123456789012:stream/orders",
            "arn:aws-:kinesis:us-east-1:123456789012:stream/orders",
            "arn:awsome:kinesis:us-east-1:123456789012:stream/orders",
            "arn:aws-EUSC:kinesis:us-east-1:123456789012:stream/orders",
            "arn:aws:kinesis:us-east-1.evil.example/:123456789012:stream/orders",
            "arn:aws:kinesis::123456789012:stream/orders",
            "orders",
            "",
        ] {
            assert_eq!(name_in(arn), None, "{arn}");
        }
    }
}
