//! The doctor's page on a terminal.

use super::report::{Page, Report};
use crate::screen::{Console, fill};
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
        return console.line(&fill(error, width, "", ""));
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
    let text = fill(&finding.sentence, width, &below, &below);
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
        for (place, line) in fix.lines().enumerate() {
            detail(console, if place == 0 { "fix" } else { "" }, line)?;
        }
    }
    detail(console, "source", finding.source)
}

/// An amount of money in a month.
pub(super) fn per_month(usd: f64) -> String {
    format!("{} a month", words::usd(usd))
}

/// One line, however long: a person copies a command from it.
fn detail(console: &mut Console, name: &str, text: &str) -> io::Result<()> {
    console.line(&format!("{:1$}{name:<CODE$}{text}", "", INDENT + STATUS))
}
