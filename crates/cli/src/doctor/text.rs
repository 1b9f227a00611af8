//! The doctor's page on a terminal.

use super::report::{Page, Report};
use crate::screen::{Console, fill, places, visible};
use clap::builder::styling::AnsiColor;
use std::cmp::Reverse;
use std::io;
use strum::IntoEnumIterator as _;
use unthrottle_core::checks::{Finding, Group, Status};
use unthrottle_core::words;

/// The columns of the page without a screen. A phone and a split screen have no more.
pub(super) const WIDTH: usize = 80;
/// The columns of a status, and of a code, with the space after them.
const STATUS: usize = 8;
const CODE: usize = 20;
/// The columns before a status.
const INDENT: usize = 2;

pub(super) fn print(console: &mut Console, report: &Report) -> io::Result<()> {
    for (place, page) in report.streams.iter().enumerate() {
        if place > 0 {
            console.line("")?;
        }
        print_page(console, page)?;
    }
    Ok(())
}

fn print_page(console: &mut Console, page: &Page) -> io::Result<()> {
    let width = console.width().unwrap_or(WIDTH);
    console.heading(&format!("{}: {}", page.name, page.about))?;
    if let Some(error) = &page.error {
        return console.line(&fill(&visible(error), width, "", ""));
    }
    console.line(&fill(&page.counts(), width, "", ""))?;
    for group in Group::iter() {
        let mut findings: Vec<&Finding> = page.findings.iter().filter(|finding| finding.group == group).collect();
        if findings.is_empty() {
            continue;
        }
        let all = findings.clone();
        let first = |finding: &Finding| all.iter().position(|other| is_alike(finding, other));
        findings.sort_by_key(|finding| (Reverse(finding.status), first(finding)));
        console.line("")?;
        console.heading(&group.to_string())?;
        for alike in findings.chunk_by(|a, b| is_alike(a, b)) {
            print_finding(console, alike)?;
        }
    }
    Ok(())
}

/// Whether two findings say the same: nothing is wrong, or one read failed.
fn is_alike(a: &Finding, b: &Finding) -> bool {
    std::ptr::eq(a, b) || (a.status == b.status && a.status <= Status::Unknown && a.sentence == b.sentence)
}

/// Prints a finding, or several that say the same.
fn print_finding(console: &mut Console, alike: &[&Finding]) -> io::Result<()> {
    let Some(finding) = alike.first() else { return Ok(()) };
    let code = match alike.len() {
        1 => finding.code.to_owned(),
        count => format!("{count} checks"),
    };
    let colour = match finding.status {
        Status::Ok => AnsiColor::Green,
        Status::Unknown => AnsiColor::Cyan,
        Status::Warn => AnsiColor::Yellow,
        Status::Fail => AnsiColor::Red,
    };
    // The colour's own characters have no width.
    let status = console.coloured(colour, &format!("{:<STATUS$}", finding.status.to_string()));
    let below = " ".repeat(INDENT + STATUS + CODE);
    let width = console.width().unwrap_or(WIDTH);
    let text = fill(&visible(&finding.sentence), width, &below, &below);
    console.line(&format!("{:INDENT$}{status}{code:<CODE$}{}", "", text.trim_start()))?;
    if finding.status == Status::Ok {
        return Ok(());
    }
    if alike.len() > 1 {
        let codes: Vec<&str> = alike.iter().map(|finding| finding.code).collect();
        let first = format!("{:1$}{2:<CODE$}", "", INDENT + STATUS, "checks");
        console.line(&fill(&codes.join(" "), width, &first, &below))?;
    }
    if let Some(usd) = finding.usd_per_month {
        detail(console, "money", &per_month(usd))?;
    }
    if let Some(fix) = &finding.fix {
        // Beside a command, each note is a comment.
        let has_notes = fix.lines().any(|line| line.starts_with(COMMENT));
        for (place, line) in fix.lines().enumerate() {
            let name = if place == 0 { "fix" } else { "" };
            match line.strip_prefix(COMMENT) {
                Some(note) => prose(console, name, note, COMMENT)?,
                None if has_notes || is_command(line) => detail(console, name, line)?,
                None => prose(console, name, line, "")?,
            }
        }
    }
    prose(console, "source", finding.source, "")
}

/// What a note in a fix begins with, so that a shell passes over it.
const COMMENT: &str = "# ";

/// Whether a fix without a note is a command.
fn is_command(line: &str) -> bool {
    places(line).first().is_some_and(|place| place.start == 0)
}

/// Prose within the width of the screen. Each of its lines has the mark. Commands and addresses in it stay whole.
fn prose(console: &mut Console, name: &str, text: &str, mark: &str) -> io::Result<()> {
    let first = format!("{:1$}{name:<CODE$}{mark}", "", INDENT + STATUS);
    let below = format!("{:1$}{mark}", "", INDENT + STATUS + CODE);
    console.line(&fill(&visible(text), console.width().unwrap_or(WIDTH), &first, &below))
}

/// An amount of money in a month.
pub(super) fn per_month(usd: f64) -> String {
    format!("{} a month", words::usd(usd))
}

/// One line, however long: a person copies a command from it.
fn detail(console: &mut Console, name: &str, text: &str) -> io::Result<()> {
    let text = visible(text);
    console.line(&format!("{:1$}{name:<CODE$}{text}", "", INDENT + STATUS))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a finding with this fix on a screen of 72 columns.
    fn lines(fix: &str) -> Vec<String> {
        lines_of("Something is wrong.", fix)
    }

    fn lines_of(sentence: &str, fix: &str) -> Vec<String> {
        let finding = Finding {
            code: "put-record",
            group: Group::Capacity,
            status: Status::Warn,
            evidence: Default::default(),
            usd_per_month: None,
            sentence: sentence.into(),
            fix: Some(fix.into()),
            source: "https://docs.aws.amazon.com/streams/latest/dev/a-page-whose-address-is-longer-than-a-line.html",
        };
        let (mut console, written) = Console::in_memory(72);
        print_finding(&mut console, &[&finding]).expect("memory");
        written.text().lines().map(str::to_owned).collect()
    }

    /// A worker of the KCL has any name, and a result of a mapping any text.
    #[test]
    fn a_terminal_obeys_no_text_from_outside() {
        let found =
            lines_of("The worker \u{1b}[31mzoë\u{202e} is stuck.", "# look at \u{1b}[2J\naws x \u{9b}2J").join("\n");
        assert!(!found.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{found}");
        for shown in ["\\u{1b}[31mzoë\\u{202e}", "# look at \\u{1b}[2J", "aws x \\u{9b}2J"] {
            assert!(found.contains(shown), "{shown}: {found}");
        }
    }

    #[test]
    fn prose_is_wrapped_and_commands_and_addresses_stay_whole() {
        let prose = "send many records in one call of PutRecords, or put small records together before they are sent";
        let found = lines(prose);
        assert!(found[2].starts_with(&" ".repeat(30)) && found[2].trim().starts_with("PutRecords,"), "{found:#?}");
        assert!(found[..4].iter().all(|line| line.chars().count() <= 72), "{found:#?}");
        assert!(found.last().is_some_and(|line| line.ends_with("longer-than-a-line.html")), "{found:#?}");

        let beginning = lines("make the function faster, such as with more memory, or give the stream more shards");
        assert!(beginning[1].chars().count() <= 72, "{beginning:#?}");

        let command =
            "aws kinesis update-shard-count --stream-name orders --target-shard-count 8 --scaling-type UNIFORM";
        let found = lines(&format!("# {prose}:\nmake deploy AWS_REGION=eu-west-1\n{command}"));
        assert!(found[1..4].iter().all(|line| line[30..].starts_with("# ")), "{found:#?}");
        let whole = |text: &str| found.iter().any(|line| line[30.min(line.len())..] == *text);
        assert!(whole(command) && whole("make deploy AWS_REGION=eu-west-1"), "{found:#?}");
        assert!(lines(command)[1].ends_with(command));
    }
}
