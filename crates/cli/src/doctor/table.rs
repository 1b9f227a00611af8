//! The table of all streams on a terminal, the worst first.

use super::report::{Page, Report};
use crate::screen::Console;
use std::io;
use unthrottle_core::checks::Status;

/// The columns of the table. A phone and a split screen have no more.
const WIDTH: usize = 80;
/// The columns of a name. A longer one is cut, and `--json` has it.
const NAME: usize = 28;

pub(super) fn print(console: &mut Console, report: &Report) -> io::Result<()> {
    console.heading(&row("stream", ["fail", "warn", "unknown", "$/month"].map(str::to_owned), "checks"))?;
    for page in report.worst_first() {
        console.line(&line(page))?;
    }
    console.line("")?;
    let ill = report.streams.iter().filter(|page| !page.open().is_empty()).count();
    console.line(&format!(
        "{ill} of {} streams have a finding. $/month is the largest amount of one finding.",
        report.streams.len()
    ))?;
    console.line("Details of one stream, or of all with --html FILE.html:")?;
    console.line("  unthrottle doctor STREAM")
}

fn line(page: &Page) -> String {
    if let Some(error) = &page.error {
        return row(&page.name, ["-", "-", "-", "-"].map(str::to_owned), error);
    }
    let number = |status| match page.count(status) {
        0 => "-".to_owned(),
        count => count.to_string(),
    };
    let money = page.usd_per_month().map_or_else(|| "-".into(), |usd| format!("{usd:.0}"));
    let codes: Vec<&str> = page.open().iter().map(|finding| finding.code).collect();
    row(&page.name, [number(Status::Fail), number(Status::Warn), number(Status::Unknown), money], &codes.join(" "))
}

fn row(name: &str, [fail, warn, unknown, usd]: [String; 4], codes: &str) -> String {
    let before = format!("{:<NAME$}  {fail:>4}  {warn:>4}  {unknown:>7}  {usd:>7}  ", cut(name, NAME));
    let left = WIDTH - before.chars().count();
    format!("{before}{}", cut(codes, left)).trim_end().to_owned()
}

/// The text within this number of columns.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(columns - 1).collect();
    cut.push('…');
    cut
}
