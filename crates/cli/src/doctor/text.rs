//! The doctor's page on a terminal.

use super::report::{Page, Report};
use crate::screen::Console;
use clap::builder::styling::AnsiColor;
use std::cmp::Reverse;
use std::io;
use strum::IntoEnumIterator as _;
use unthrottle_core::checks::{Finding, Group, Status};

/// The columns of the page. A phone and a split screen have no more.
const WIDTH: usize = 80;
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
    console.heading(&format!("{}: {}", page.name, page.about))?;
    if let Some(error) = &page.error {
        return console.line(&textwrap::fill(error, WIDTH));
    }
    console.line(&textwrap::fill(&page.counts(), WIDTH))?;
    for group in Group::iter() {
        let mut findings: Vec<&Finding> = page.findings.iter().filter(|finding| finding.group == group).collect();
        if findings.is_empty() {
            continue;
        }
        findings.sort_by_key(|finding| Reverse(finding.status));
        console.line("")?;
        console.heading(&group.to_string())?;
        for alike in findings.chunk_by(|a, b| a.status == Status::Ok && a.sentence == b.sentence) {
            print_finding(console, alike)?;
        }
    }
    Ok(())
}

/// Prints a finding, or several that are ok and say the same.
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
    let text = finding.sentence.as_str();
    let mut lines = textwrap::wrap(text, WIDTH - INDENT - STATUS - CODE).into_iter();
    let first = lines.next().unwrap_or_default();
    console.line(&format!("{:INDENT$}{status}{code:<CODE$}{first}", ""))?;
    for line in lines {
        console.line(&format!("{:1$}{line}", "", INDENT + STATUS + CODE))?;
    }
    if finding.status == Status::Ok {
        return Ok(());
    }
    if let Some(fix) = &finding.fix {
        detail(console, "fix", fix)?;
    }
    detail(console, "source", finding.source)
}

/// One line, however long: a person copies a command from it.
fn detail(console: &mut Console, name: &str, text: &str) -> io::Result<()> {
    console.line(&format!("{:1$}{name:<CODE$}{text}", "", INDENT + STATUS))
}
