//! The commands in a text that a person pastes into a shell. They call the account that this process calls, and stand
//! on one line.

use std::ops::Range;
use std::sync::OnceLock;
use unthrottle_core::text::quoted;

/// The commands of unthrottle that call an account.
const COMMANDS: [&str; 13] = [
    "backtest", "doctor", "explain", "history", "keys", "pause", "plan", "prove", "put", "restore", "resume", "smoke",
    "sweep",
];

/// The services whose commands unthrottle prints.
const SERVICES: [&str; 9] =
    ["cloudwatch", "dynamodb", "events", "kinesis", "kms", "lambda", "logs", "scheduler", "service-quotas"];

/// Where a command ends. A quote and a backslash end it in JSON.
const ENDS: [&str; 8] = ["`", "\n", "\"", "\\", "; ", ". ", ", ", ")"];

/// An option of the account. Both programs have it.
#[derive(Clone, Debug)]
pub(crate) struct AccountOption {
    /// Such as `--region`.
    pub flag: &'static str,
    /// `None`: the flag has no value.
    pub value: Option<String>,
    /// Whether only the AWS CLI has it.
    pub of_aws: bool,
}

/// The options of the account that this process calls. Empty: the environment names it, and a pasted command reads the
/// same environment.
static ACCOUNT: OnceLock<Vec<AccountOption>> = OnceLock::new();

/// From now on, printed commands have these options. Only the first call counts: a process calls one account.
pub(crate) fn run_on(options: Vec<AccountOption>) {
    let _ = ACCOUNT.set(options);
}

/// The text with its commands for the account that this process calls.
pub(crate) fn for_account(text: &str) -> String {
    with_options(text, ACCOUNT.get().map_or(&[], Vec::as_slice), str::to_owned)
}

/// The same for a line of JSON.
pub(super) fn for_account_in_json(json: &str) -> String {
    let escaped = |text: &str| {
        let quoted = serde_json::Value::from(text).to_string();
        quoted.trim_matches('"').to_owned()
    };
    with_options(json, ACCOUNT.get().map_or(&[], Vec::as_slice), escaped)
}

fn with_options(text: &str, options: &[AccountOption], escaped: impl Fn(&str) -> String) -> String {
    let mut done = String::new();
    let mut from = 0;
    for Command { range, options_at, program } in commands(text) {
        let command = &text[range];
        done += &text[from..options_at];
        for AccountOption { flag, value, of_aws } in options {
            if program == Program::Make {
                let profile = value.as_ref().filter(|_| *flag == "--profile" && !command.contains("AWS_PROFILE="));
                done += &profile.map_or(String::new(), |name| format!(" AWS_PROFILE={}", escaped(&quoted(name))));
                continue;
            }
            if (*of_aws && program != Program::Aws) || command.contains(flag) {
                continue;
            }
            done += &format!(" {flag}");
            if let Some(value) = value {
                done += &format!(" {}", escaped(&quoted(value)));
            }
        }
        from = options_at;
    }
    done + &text[from..]
}

/// A command in a text.
struct Command {
    range: Range<usize>,
    /// Where options may stand: after the name of the command of unthrottle, after `aws`, or after `make deploy`.
    options_at: usize,
    program: Program,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Program {
    Aws,
    Unthrottle,
    Make,
}

/// The places of the commands in a text.
pub(crate) fn places(text: &str) -> Vec<Range<usize>> {
    commands(text).into_iter().map(|command| command.range).collect()
}

/// The text after the options of the account, which stand before the service of the AWS CLI.
fn after_options(mut text: &str) -> &str {
    let is_service =
        |text: &str| SERVICES.iter().any(|name| text.strip_prefix(name).is_some_and(|t| t.starts_with(' ')));
    while text.starts_with("--")
        && let Some((_, rest)) = text.split_once(' ')
    {
        // A value follows, unless the flag has none.
        let value = if rest.starts_with('\'') { rest.split_once("' ") } else { rest.split_once(' ') };
        text = match value {
            Some((_, after)) if !rest.starts_with("--") && !is_service(rest) => after,
            _ => rest,
        };
    }
    text
}

/// The end of the command that begins here.
fn end_of(text: &str, begin: usize) -> usize {
    let length = ENDS.iter().filter_map(|end| text[begin..].find(end)).min().unwrap_or(text.len() - begin);
    begin + text[begin..begin + length].trim_end().trim_end_matches('.').len()
}

fn commands(text: &str) -> Vec<Command> {
    let mut found: Vec<Command> = vec![];
    let is_word = |c: char| c.is_alphanumeric() || "-_./:".contains(c);
    // A deployment takes the account from variables, because `make` hands them to the programs that it runs.
    let programs = [
        (Program::Unthrottle, "unthrottle ", &COMMANDS[..]),
        (Program::Aws, "aws ", &SERVICES[..]),
        (Program::Make, "make ", &["deploy"][..]),
    ];
    for (program, name, known) in programs {
        for (begin, _) in text.match_indices(name) {
            // In JSON the letter of a line break stands before a command, and is no part of a word.
            if text[..begin].ends_with(is_word) && !text[..begin].ends_with("\\n") {
                continue;
            }
            let rest = after_options(&text[begin + name.len()..]);
            let word = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default();
            if !known.contains(&word) {
                continue;
            }
            let options_at = begin + if program == Program::Aws { name.len() - 1 } else { name.len() + word.len() };
            found.push(Command { range: begin..end_of(text, begin), options_at, program });
        }
    }
    found.sort_by_key(|command| command.range.start);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Vec<AccountOption> {
        let option =
            |flag, value: Option<&str>, of_aws| AccountOption { flag, value: value.map(str::to_owned), of_aws };
        vec![
            option("--endpoint-url", Some("http://127.0.0.1:4566"), false),
            option("--profile", Some("my team"), false),
            option("--region", Some("eu-west-1"), false),
            option("--no-sign-request", None, true),
        ]
    }

    fn with(text: &str) -> String {
        with_options(text, &options(), str::to_owned)
    }

    #[test]
    fn each_command_gets_the_account_of_the_process_and_keeps_what_it_names() {
        assert_eq!(
            with("Changed. To undo it: unthrottle restore orders --region us-east-1 --yes."),
            "Changed. To undo it: unthrottle restore --endpoint-url http://127.0.0.1:4566 --profile 'my team' orders \
             --region us-east-1 --yes."
        );
        assert_eq!(
            with("aws kinesis update-stream-mode --stream-arn a"),
            "aws --endpoint-url http://127.0.0.1:4566 --profile 'my team' --region eu-west-1 --no-sign-request kinesis \
             update-stream-mode --stream-arn a"
        );
        let json = with(r#""fix":"aws kinesis a\n# then:\naws kinesis b\nunthrottle doctor c""#);
        assert_eq!(json.matches("--endpoint-url").count(), 3, "{json}");
        assert!(with("`unthrottle resume` undoes this").starts_with("`unthrottle resume --endpoint-url"));
        assert_eq!(with("a; then aws kinesis b").matches("--endpoint-url").count(), 1);
        let clean = with("Run `unthrottle prove --clean --out a` first");
        assert!(
            clean.starts_with("Run `unthrottle prove --endpoint-url") && clean.ends_with(" --clean --out a` first")
        );
    }

    #[test]
    fn a_deployment_gets_the_profile_as_a_variable() {
        let of = |profile| format!("make deploy AWS_PROFILE={profile} AWS_REGION=eu-west-1");
        assert_eq!(with("make deploy AWS_REGION=eu-west-1"), of("'my team'"));
        assert_eq!(with(&of("other")), of("other"));
        let json = with(r#""fix":"this command:\nmake deploy AWS_REGION=eu-west-1\nuntil then""#);
        assert_eq!(
            json,
            r#""fix":"this command:\nmake deploy AWS_PROFILE='my team' AWS_REGION=eu-west-1\nuntil then""#
        );
        for text in ["make deploy-all", "remake deploy"] {
            assert_eq!(with(text), text);
        }
    }

    #[test]
    fn prose_stays_as_it_is() {
        for text in
            ["unthrottle looks again", "docs.aws kinesis", "the aws cli", "unthrottle.max-shards", "nothing", "aws "]
        {
            assert_eq!(with(text), text);
        }
        let all = options();
        assert_eq!(with_options("unthrottle pause", &[], str::to_owned), "unthrottle pause");
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_command_ends_before_the_next_sentence() {
        let text = "Run aws kinesis split-shard --stream-name a.b. It is in `unthrottle keys a`, or not.";
        let found: Vec<&str> = places(text).into_iter().map(|place| &text[place]).collect();
        assert_eq!(found, ["aws kinesis split-shard --stream-name a.b", "unthrottle keys a"]);
    }

    #[test]
    fn a_command_with_the_options_of_the_account_is_still_one_command() {
        for text in ["aws kinesis split-shard --stream-name a", "unthrottle keys orders"] {
            let done = with(text);
            let found: Vec<&str> = places(&done).into_iter().map(|place| &done[place]).collect();
            assert_eq!(found, [done.as_str()]);
            assert_eq!(with(&done), done, "the options stand once");
        }
        assert_eq!(places("aws --help").len(), 0);
    }
}
