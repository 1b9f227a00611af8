//! The table of all streams on a terminal, the worst first.

use super::report::{Page, Report};
use super::text::WIDTH;
use crate::screen::{Console, fill, visible};
use std::io;
use unthrottle_core::checks::Status;
use unthrottle_core::words::many;

/// The columns before the codes of a stream, on the lines below its numbers.
const INDENT: &str = "    ";

pub(super) fn print(console: &mut Console, report: &Report) -> io::Result<()> {
    let width = console.width().unwrap_or(WIDTH);
    console.heading(&row(["fail", "warn", "unknown", "$/month"].map(str::to_owned), "stream"))?;
    for page in report.worst_first() {
        console.line(&line(page))?;
        let codes: Vec<&str> = page.open().iter().map(|finding| finding.code).collect();
        let below = match &page.error {
            Some(_) => "not read".to_owned(),
            None if page.findings.is_empty() => page.counts(),
            None => codes.join(" "),
        };
        if !below.is_empty() {
            console.line(&fill(&below, width, INDENT, INDENT))?;
        }
    }
    console.line("")?;
    let ill = report.streams.iter().filter(|page| !page.open().is_empty()).count();
    let unread = report.streams.iter().filter(|page| page.error.is_some()).count();
    let read = many(report.streams.len() - unread, "stream");
    console.line(&fill(&format!("{ill} of {read} that were read have a finding."), width, "", ""))?;
    console.line(&fill("$/month is the largest amount of one finding.", width, "", ""))?;
    for (error, count) in report.errors() {
        console.line(&fill(&format!("{} not read: {}.", many(count, "stream"), visible(error)), width, "", "  "))?;
    }
    console.line("Details of one stream, or of all with --html FILE.html:")?;
    console.line("  unthrottle doctor STREAM")
}

fn line(page: &Page) -> String {
    if page.error.is_some() {
        return row(["-", "-", "-", "-"].map(str::to_owned), &page.name);
    }
    let number = |status| match page.count(status) {
        0 => "-".to_owned(),
        count => count.to_string(),
    };
    let money = page.usd_per_month().map_or_else(|| "-".into(), |usd| format!("{usd:.0}"));
    row([number(Status::Fail), number(Status::Warn), number(Status::Unknown), money], &page.name)
}

/// The name is last: it is never cut, so that a person can copy it.
fn row([fail, warn, unknown, usd]: [String; 4], name: &str) -> String {
    format!("{fail:>4} {warn:>4} {unknown:>7} {usd:>7}  {name}")
}
