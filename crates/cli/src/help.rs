//! Help and errors of the arguments.

use crate::Cli;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Command, CommandFactory as _};

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
    ("man", "unthrottle man man1"),
];

/// The names of values that are times. Their options refuse `-3s` by themselves.
const TIMES: [&str; 4] = ["DURATION", "TIME", "SECONDS", "MINUTES"];

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
            let is_time = arg.get_value_names().is_some_and(|names| TIMES.contains(&names[0].as_str()));
            match takes_value && arg.get_long().is_some() {
                true if is_time => arg.allow_hyphen_values(true),
                true => arg.allow_negative_numbers(true),
                false => arg,
            }
        })
    })
}

/// Prints an error of the arguments, and ends the process.
pub(super) fn exit(error: &clap::Error) -> ! {
    if error.kind() != ErrorKind::ValueValidation {
        error.exit();
    }
    let typed: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    eprint!("{}", plain(error, &typed));
    std::process::exit(error.exit_code())
}

/// What Rust says of a text that is no whole number, or none of the type's size.
const NO_NUMBER: [&str; 4] = [
    "invalid digit found in string",
    "cannot parse integer from empty string",
    "number too large to fit in target type",
    "number too small to fit in target type",
];

/// Whole numbers that no range has, if it has an end. An option refuses them with its range.
const OUT_OF_RANGE: [&str; 2] = ["-1", "18446744073709551615"];

/// An error of clap whose reason is in plain words, where Rust says it in its own. `typed`: the words of the command.
fn plain(error: &clap::Error, typed: &[String]) -> String {
    let text = error.to_string();
    let Some((value, reason, rest)) = parts(&text) else { return text };
    let reason = match range(reason) {
        Some(range) => range,
        None if NO_NUMBER.contains(&reason) => {
            range_of_option(error, typed).unwrap_or_else(|| "it must be a whole number from 0 on".into())
        }
        None => reason.to_owned(),
    };
    format!("{value}': {reason}\n{rest}")
}

/// The value, the reason, and the lines below it.
fn parts(error: &str) -> Option<(&str, &str, &str)> {
    let (first, rest) = error.split_once('\n').unwrap_or((error, ""));
    let (value, reason) = first.rsplit_once("': ")?;
    Some((value, reason, rest))
}

/// The range that a reason names, in words.
fn range(reason: &str) -> Option<String> {
    let (_, range) = reason.split_once(" is not in ")?;
    let (least, most) = range.split_once("..").unwrap_or((range, ""));
    Some(match most.trim_start_matches('=') {
        "" | "255" | "4294967295" | "9223372036854775807" => format!("it must be a whole number of at least {least}"),
        most => format!("it must be a whole number from {least} to {most}"),
    })
}

/// The range of the option that refused a text as no number. The same command with a number out of range names it.
fn range_of_option(error: &clap::Error, typed: &[String]) -> Option<String> {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidValue) else { return None };
    let places = 0..typed.len();
    places.flat_map(|place| OUT_OF_RANGE.map(|number| (place, number))).find_map(|(place, number)| {
        let option = typed[place].strip_suffix(wrong.as_str())?;
        if !option.is_empty() && !option.ends_with('=') {
            return None;
        }
        let mut words = typed.to_vec();
        words[place] = format!("{option}{number}");
        let other = complete(Cli::command()).try_get_matches_from(words).err()?;
        let is_same = other.get(ContextKind::InvalidArg) == error.get(ContextKind::InvalidArg);
        parts(&other.to_string()).filter(|_| is_same).and_then(|(_, reason, _)| range(reason))
    })
}

/// An amount of US dollars.
///
/// # Errors
/// It is no finite number from 0 on. A comparison with any other would let every amount pass, or none.
pub(crate) fn amount(text: &str) -> Result<f64, String> {
    let amount = text.trim().parse().ok().filter(|amount: &f64| amount.is_finite() && *amount >= 0.0);
    amount.ok_or_else(|| "it must be an amount in USD from 0 on, such as 1 or 0.50".into())
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
            ("history orders --days -1", "a whole number from 1 to 455"),
            ("backtest orders --days -1", "a whole number from 1 to 14"),
            ("sweep --within -1", "must be a whole number from 0 on"),
            ("arena --seed -1", "must be a whole number from 0 on"),
            ("arena --seeds -1", "from 1 to 1000"),
            ("restore orders --to -1", "a whole number of at least 1"),
            ("local --port -1", "from 0 to 65535"),
            ("local --metric-lag -1", "must be a whole number from 0 on"),
            ("smoke orders --seed -1", "must be a whole number from 0 on"),
            ("keys orders --for -3s", "'-3s' for '--for <TIME>'"),
            ("put orders --ttl -5s", "'-5s' for '--ttl <DURATION>'"),
            ("prove --i-know-this-costs-up-to x", "must be an amount in USD from 0 on, such as 1 or 0.50"),
            ("prove --i-know-this-costs-up-to -1", "must be an amount in USD from 0 on"),
            ("prove --i-know-this-costs-up-to nan", "must be an amount in USD from 0 on"),
            ("history orders --days abc", "a whole number from 1 to 455"),
            ("history orders --days=1.5", "a whole number from 1 to 455"),
            ("history orders --days 99999999999999999999", "a whole number from 1 to 455"),
            ("backtest orders --days ", "a whole number from 1 to 14"),
            ("restore orders --to abc", "a whole number of at least 1"),
            ("plan orders --at-least abc", "a whole number from 1 to 10000"),
            ("keys orders --max-mb abc", "a whole number from 1 to 1024"),
            ("local --port abc", "from 0 to 65535"),
            ("smoke orders --seed abc", "a whole number from 0 on"),
        ] {
            let words: Vec<String> = format!("unthrottle {typed}").split(' ').map(str::to_owned).collect();
            let error = complete(Cli::command()).try_get_matches_from(&words).expect_err(typed);
            let error = plain(&error, &words);
            assert!(error.contains(says), "{typed}: {error}");
            assert!(!error.contains("..") && !error.contains("literal") && error.ends_with('\n'), "{typed}: {error}");
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

    #[test]
    fn no_line_of_a_help_text_ends_after_a_word_or_two() {
        fn all(command: Command) -> Vec<Command> {
            let subs: Vec<Command> = command.get_subcommands().cloned().collect();
            subs.into_iter().flat_map(all).chain([command]).collect()
        }
        let mut built = complete(Cli::command());
        // The width of the command goes to those below it.
        built.build();
        for mut command in all(built) {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            let lines: Vec<&str> = help.lines().collect();
            assert!(lines.iter().all(|line| line.chars().count() <= 80), "{name}: {help}");
            for pair in lines.windows(2) {
                let indent = |line: &str| line.len() - line.trim_start().len();
                // The help of an option stands ten columns to the right.
                let is_of_option = pair.iter().all(|line| indent(line) == 10 && !line.trim().is_empty());
                let is_short = pair[0].split_whitespace().count() <= 2 && pair[0].len() < 60 && !pair[0].ends_with(':');
                assert!(!(is_of_option && is_short), "{name}: {pair:?}");
            }
        }
    }
}
