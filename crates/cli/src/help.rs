//! Help and errors of the arguments.

use clap::{ArgAction, Command};

/// An example of each command. A test parses them.
const EXAMPLES: [(&str, &str); 24] = [
    ("replay", "unthrottle replay events/put_records_throttled__scale_shards.json"),
    ("explain", "unthrottle explain orders --region eu-west-1"),
    ("doctor", "unthrottle doctor orders --region eu-west-1"),
    ("keys", "unthrottle keys orders --region eu-west-1"),
    ("prove", "unthrottle prove --dry-run --region eu-west-1"),
    ("sweep", "unthrottle sweep --observe --region eu-west-1"),
    ("history", "unthrottle history orders --days 30 --region eu-west-1"),
    ("restore", "unthrottle restore orders --dry-run --region eu-west-1"),
    ("plan", "unthrottle plan --list --region eu-west-1"),
    ("runbook", "aws logs tail /aws/lambda/unthrottle --since 1h | unthrottle runbook -"),
    ("pause", "unthrottle pause --dry-run --region eu-west-1"),
    ("resume", "unthrottle resume --yes --region eu-west-1"),
    ("arena", "unthrottle arena --workload step-2"),
    ("backtest", "unthrottle backtest orders --days 7 --region eu-west-1"),
    ("put", "unthrottle put orders events.jsonl --region eu-west-1"),
    ("smoke", "unthrottle smoke orders --dry-run --region eu-west-1"),
    ("local", "unthrottle local --heal"),
    ("help", "unthrottle help explain"),
    ("watch", "unthrottle watch --all --region eu-west-1"),
    ("report", "unthrottle report --days 30 --region eu-west-1"),
    ("config", "unthrottle config show"),
    ("schema", "unthrottle schema decision"),
    ("completions", "unthrottle completions bash"),
    ("man", "unthrottle man explain"),
];

/// The command with an example in the help of each command. `-1` is then a value that an option refuses with its own
/// range, and no unknown option.
pub(super) fn complete(command: Command) -> Command {
    command.mut_subcommands(|sub| {
        let example = EXAMPLES.iter().find(|(name, _)| *name == sub.get_name());
        let after = sub.get_after_help().map(|text| format!("{text}\n\n")).unwrap_or_default();
        let sub = match example {
            Some((_, example)) => sub.after_help(format!("{after}Example:\n  {example}")),
            None => sub,
        };
        sub.mut_args(|arg| {
            let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
            if takes_value && arg.get_long().is_some() { arg.allow_negative_numbers(true) } else { arg }
        })
    })
}

/// A whole number from 0 on.
///
/// # Errors
/// The text is another number, or none.
pub(crate) fn whole(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "it must be a whole number from 0 on".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn each_command_has_an_example_that_parses() {
        for sub in Cli::command().get_subcommands() {
            let name = sub.get_name();
            let (_, example) = EXAMPLES.iter().find(|(of, _)| *of == name).unwrap_or_else(|| panic!("{name}"));
            let typed = example.rsplit("| ").next().unwrap_or(example);
            let parsed = complete(Cli::command()).try_get_matches_from(typed.split_whitespace());
            assert!(parsed.is_ok(), "{example}: {parsed:?}");
        }
    }

    #[test]
    fn a_negative_number_is_refused_with_the_numbers_that_are_right() {
        for (typed, says) in [
            ("history orders --days -1", "-1 is not in 1..=455"),
            ("backtest orders --days -1", "-1 is not in 1..=14"),
            ("sweep --within -1", "must be a whole number from 0 on"),
            ("arena --seed -1", "must be a whole number from 0 on"),
            ("arena --seeds -1", "1..=1000"),
            ("restore orders --to -1", "-1 is not in 1.."),
            ("local --port -1", "-1 is not in 0..=65535"),
            ("local --metric-lag -1", "must be a whole number from 0 on"),
        ] {
            let words = std::iter::once("unthrottle").chain(typed.split_whitespace());
            let error = complete(Cli::command()).try_get_matches_from(words).expect_err(typed).to_string();
            assert!(error.contains(says), "{typed}: {error}");
        }
    }

    #[test]
    fn a_wrong_word_is_refused_with_the_words_that_are_right() {
        for (typed, says) in [
            ("doctor orders --fail-on never", "[possible values: warn, fail]"),
            ("arena --weather bad", "fair, foul"),
            ("backtest --csv a --period 7", "must be one of 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60"),
        ] {
            let words = std::iter::once("unthrottle").chain(typed.split_whitespace());
            let error = complete(Cli::command()).try_get_matches_from(words).expect_err(typed).to_string();
            assert!(error.contains(says), "{typed}: {error}");
        }
    }
}
