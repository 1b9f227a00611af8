//! Text from outside, made safe for a message, a log line and a terminal: no link, no control character, no length.
//!
//! A caller chooses its user agent, its session's name and a path of its role. Whoever may tag a stream, name an alarm
//! or publish to a topic chooses more. A mail client makes links of such text, and a terminal obeys its escapes.

/// The longest user agent. The first product of every SDK is shorter; a longer text could carry a message of its own.
const LONGEST_AGENT: usize = 64;

/// The longest text that is quoted in a sentence, such as an error message of AWS's. Its causes stand in the first
/// words. A larger number would bury the sentence; a smaller one would cut AWS's longer ARNs.
pub(crate) const QUOTED: usize = 500;

/// The longest ARN or name that is kept. A role's ARN has at most 613 characters, so a smaller number would cut it.
/// Without a limit a caller could fill the memory.
pub(crate) const NAME: usize = 640;

/// The first product of a user agent, such as `aws-sdk-java/2.34.6`: at most 64 characters of `[A-Za-z0-9._+/-]`.
/// `None`: the text has no such character at all.
pub fn agent(text: &str) -> Option<String> {
    let is_legal = |c: &char| c.is_ascii_alphanumeric() || "._+/-".contains(*c);
    let text = text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let agent: String = text.chars().take_while(is_legal).take(LONGEST_AGENT).collect();
    (!agent.is_empty()).then_some(agent)
}

/// The first `most` characters of a text, on one line, in printable ASCII, and without `://`.
pub fn plain(text: &str, most: usize) -> String {
    let mut plain = String::new();
    for c in text.chars().take(most) {
        match c {
            '/' if plain.ends_with(":/") => {}
            c if c.is_ascii_graphic() => plain.push(c),
            c if c.is_whitespace() => plain.push(' '),
            _ => plain.push('?'),
        }
    }
    plain
}

/// A word of a command that a person or AWS chose, such as a path or the name of an alarm, for a shell.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@=+-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_is_its_first_product_and_never_a_link() {
        for (text, agent) in [
            ("aws-sdk-java/2.34.6 md/io#async lang/java#21", Some("aws-sdk-java/2.34.6")),
            ("[Boto3/1.34.0 md/Botocore#1.34.0]", Some("Boto3/1.34.0")),
            ("kinesis.amazonaws.com", Some("kinesis.amazonaws.com")),
            ("https://unthrottle.example/login?a=orders\u{1b}[2J", Some("https")),
            ("//unthrottle.example/a", Some("unthrottle.example/a")),
            ("\u{202e}gnp.exe", Some("gnp.exe")),
            ("a\nSubject: b", Some("a")),
            ("\u{7}", None),
            ("", None),
        ] {
            assert_eq!(self::agent(text).as_deref(), agent, "{text:?}");
        }
        assert_eq!(self::agent(&"x".repeat(1000)).map(|agent| agent.len()), Some(LONGEST_AGENT));
    }

    #[test]
    fn plain_text_has_one_line_and_no_link() {
        for (text, plain) in [
            ("arn:aws:sts::123456789012:assumed-role/p/i-1", "arn:aws:sts::123456789012:assumed-role/p/i-1"),
            ("a\r\nb\tc", "a  b c"),
            ("https://e.example/x", "https:/e.example/x"),
            ("a:///////b", "a:/b"),
            ("\u{1b}[31mred\u{0}", "?[31mred?"),
            ("zoë \u{202e}", "zo? ?"),
        ] {
            assert_eq!(self::plain(text, QUOTED), plain, "{text:?}");
        }
        assert_eq!(self::plain(&"ü".repeat(9), 4), "????");
    }

    #[test]
    fn words_with_spaces_and_quotes_are_quoted() {
        assert_eq!(quoted("orders-age"), "orders-age");
        assert_eq!(quoted("it's late"), r"'it'\''s late'");
    }
}
