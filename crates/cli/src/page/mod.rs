//! Runs as one HTML file that a person can read without a manual: nothing is loaded, and no script runs.

mod chart;

use super::CliError;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::BTreeSet;
use strum::VariantNames as _;
use unthrottle_core::decision::{Reason, Remedy};
use unthrottle_lab::sim::timeline::{Mark, Timeline};
use unthrottle_lab::sim::world::By;

const STYLE: &str = include_str!("style.css");

/// Where every code stands with its meaning, in the first and second cells of its tables; a test holds it to the code.
const README: &str = include_str!("../../../../README.md");

/// The whole page. All text is escaped.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub title: String,
    /// What was done, and how the numbers came about: a paragraph each.
    pub about: Vec<String>,
    pub sections: Vec<Section>,
}

/// What belongs together, such as the runs of one workload.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// Unique in the page.
    pub title: String,
    pub about: Vec<String>,
    pub tables: Vec<Table>,
    pub runs: Vec<Run>,
}

/// The first cell of each row names it.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub heads: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Default)]
pub(super) struct Cell {
    pub text: String,
    /// Whether it is the least of its column.
    pub is_least: bool,
}

/// A policy's run.
#[derive(Debug)]
pub(super) struct Run {
    pub name: String,
    pub timeline: Timeline,
    pub clock: Clock,
    /// Whether its chart is shown before it is asked for.
    pub is_open: bool,
}

/// How seconds of a run are told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    /// From its beginning.
    OfRun,
    /// As times of day, of a run that began then.
    Utc(DateTime<Utc>),
}

impl Clock {
    /// To the second.
    fn exactly(self, second: i64) -> String {
        match self {
            Clock::OfRun => format!("{}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60),
            Clock::Utc(begin) => (begin + TimeDelta::seconds(second)).format("%Y-%m-%d %H:%M:%S").to_string(),
        }
    }

    /// To the minute, and shorter.
    fn roughly(self, second: i64) -> String {
        match self {
            Clock::OfRun => format!("{}:{:02}", second / 3_600, second / 60 % 60),
            Clock::Utc(begin) => (begin + TimeDelta::seconds(second)).format("%d %b %H:%M").to_string(),
        }
    }
}

impl Page {
    /// The same page gives the same text.
    ///
    /// # Errors
    /// A chart cannot be drawn.
    pub fn html(&self) -> Result<String, CliError> {
        let sections = self.sections.iter().map(Section::html).collect::<Result<Vec<_>, _>>()?;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (self.title) }
                    @for text in &self.about { p { (text) } }
                    (legend())
                    @if self.sections.len() > 1 {
                        ul .contents { @for section in &self.sections { li { a href={ "#" (section.title) } { (section.title) } } } }
                    }
                    @for section in &sections { (section) }
                    (self.glossary())
                }
            }
        };
        Ok(page.into_string())
    }

    /// What the codes on this page mean.
    fn glossary(&self) -> Markup {
        let runs = self.sections.iter().flat_map(|section| &section.runs);
        let codes: BTreeSet<&str> = runs.flat_map(|run| run.timeline.marks()).map(|mark| mark.code).collect();
        html! {
            @if !codes.is_empty() {
                h2 { "What the codes mean" }
                dl { @for (names, meaning) in meanings(&codes) { dt { (names) } dd { (meaning) } } }
            }
        }
    }
}

impl Section {
    fn html(&self) -> Result<Markup, CliError> {
        let runs = self.runs.iter().map(Run::html).collect::<Result<Vec<_>, _>>()?;
        Ok(html! {
            section id=(self.title) {
                h2 { (self.title) }
                @for text in &self.about { p { (text) } }
                @for table in &self.tables { (table.html()) }
                @for run in &runs { (run) }
            }
        })
    }
}

impl Table {
    fn html(&self) -> Markup {
        html! {
            div .scroll {
                table {
                    thead { tr { @for head in &self.heads { th scope="col" { (head) } } } }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (place, cell) in row.iter().enumerate() {
                                    @if place == 0 {
                                        th scope="row" { (cell.text) }
                                    } @else {
                                        td .least[cell.is_least] { (cell.text) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Run {
    fn html(&self) -> Result<Markup, CliError> {
        let chart = chart::draw(self, chart::whole(&self.timeline))?;
        let closer = chart::closer(&self.timeline).filter(|_| self.is_open);
        let closer = closer.map(|times| chart::draw(self, times)).transpose()?;
        let marks = self.timeline.marks();
        Ok(html! {
            details open=[self.is_open.then_some("")] {
                summary { (self.name) }
                div .scroll { (chart) }
                @if let Some(closer) = closer {
                    p { "The first incident, closer:" }
                    div .scroll { (closer) }
                }
                @if !marks.is_empty() {
                    details .marks {
                        summary { "changes and holds: " (marks.len()) }
                        @let rows = marks.iter().map(|mark| vec![self.clock.exactly(mark.second).into(), mark.code.into(), step(mark).into()]);
                        (Table { heads: ["when", "code", "what"].map(str::to_owned).into(), rows: rows.collect() }.html())
                    }
                }
            }
        })
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), is_least: false }
    }
}

/// What a mark stands for.
fn step(mark: &Mark) -> String {
    match mark.change {
        None => "decided, and no capacity changed".into(),
        Some(change) => {
            let by = if change.by == By::Others { ", by somebody else" } else { "" };
            let shards = if change.to == 1 { "shard" } else { "shards" };
            if change.from == change.to {
                format!("at {} {shards}{by}", change.from)
            } else {
                format!("{} → {} {shards}{by}", change.from, change.to)
            }
        }
    }
}

fn legend() -> Markup {
    html! {
        ul .legend {
            li .offered { "offered: new records that producers had, a second" }
            li .accepted { "accepted: what the stream took of them, and of those that were sent again" }
            li .capacity { "capacity: what its open shards take of writes, if keys are even" }
            li .throttled { "throttled: refused records, and refused calls of readers, a second, in a chart of their own; what is refused three times counts three times" }
            li .change { "a change of capacity, with its code; what somebody else changed is in another colour" }
            li .hold { "a decision to change nothing, where it is another than the one before" }
        }
        p { "Each level is the busiest minute of its stretch. Point at a mark to read when it was, and what; one that has no room for its code is a short line, and stands in the table below." }
    }
}

/// Codes and their meanings: the rows of the README that have any of these.
fn meanings(codes: &BTreeSet<&str>) -> Vec<(String, String)> {
    let known = |code: &&str| Remedy::VARIANTS.contains(code) || Reason::VARIANTS.contains(code);
    let mut meanings = vec![];
    for row in README.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<String> = row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let [names, meaning, ..] = cells.as_slice() else { continue };
        if names.split(", ").any(|code| codes.contains(code) && known(&code)) {
            meanings.push((names.clone(), meaning.clone()));
        }
    }
    let others = [
        ("reshard", "another number of shards, or a split, that no decision of unthrottle's stands behind"),
        ("switch_mode", "the other capacity mode, likewise"),
    ];
    let others = others.into_iter().filter(|(code, _)| codes.contains(code));
    meanings.extend(others.map(|(code, meaning)| (code.to_owned(), meaning.to_owned())));
    meanings
}

#[cfg(test)]
mod tests;
