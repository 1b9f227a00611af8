//! Runs and findings as one HTML file. The file explains itself, loads nothing, and runs no script.

mod cards;
mod chart;
mod figure;

pub(crate) use cards::{Card, Cards};
pub(crate) use figure::{Bars, Figure, HeatMap, Line, Row};

use crate::CliError;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::BTreeSet;
use strum::VariantNames as _;
use unthrottle_core::decision::{Reason, Remedy};
use unthrottle_lab::sim::timeline::{Mark, Timeline};
use unthrottle_lab::sim::world::By;

const STYLE: &str = include_str!("style.css");

/// The page with the meaning of every code, in the second cell of a row. The first cell has the code. A test compares
/// the codes with those of the program.
const DECISIONS: &str = include_str!("../../../../docs/decisions.md");

/// The account and the region of a stream, and when it was read: the context of numbers.
pub(crate) fn context(arn: &str, read_at: DateTime<Utc>) -> String {
    let at = read_at.format("%Y-%m-%d %H:%M:%S");
    // arn:PARTITION:kinesis:REGION:ACCOUNT:stream/NAME
    match arn.split(':').collect::<Vec<_>>().as_slice() {
        [_, _, _, region, account, ..] => format!("Account {account}, region {region}. Read at {at} UTC."),
        _ => format!("Read at {at} UTC."),
    }
}

/// A page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub title: String,
    /// The result in one sentence. Empty: the page has no single result.
    pub result: String,
    /// What the page shows: one paragraph each.
    pub about: Vec<String>,
    pub sections: Vec<Section>,
    /// The policies by name, with what each does.
    pub policies: Vec<(String, String)>,
    /// How the numbers were made, and their doubtful parts: one paragraph each, at the end.
    pub caveats: Vec<String>,
}

/// A part of the page, such as the runs of one workload.
#[derive(Debug, Default)]
pub(crate) struct Section {
    /// The title. Unique in the page: it is the address of the section, too.
    pub title: String,
    pub about: Vec<String>,
    pub tables: Vec<Table>,
    pub cards: Vec<Cards>,
    pub figures: Vec<Figure>,
    pub runs: Vec<Run>,
}

/// A table. The first cell of each row is its heading.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub heads: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Default)]
pub(crate) struct Cell {
    pub text: String,
    /// Whether it has the least number of its column.
    pub is_least: bool,
}

/// A policy's run.
#[derive(Debug)]
pub(crate) struct Run {
    pub name: String,
    pub timeline: Timeline,
    pub clock: Clock,
    /// Whether the page shows the chart before a click.
    pub is_open: bool,
}

/// How the page writes the seconds of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// As time since the run began.
    OfRun,
    /// As date and time of day (UTC). The value is the time at which the run began.
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
    /// The page as HTML, with all text escaped. The same page gives the same HTML.
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
                    @if !self.result.is_empty() { p .result { (self.result) } }
                    @for text in &self.about { p { (text) } }
                    @if self.sections.len() > 1 {
                        ul .contents {
                            @for section in &self.sections { li { a href={ "#" (section.title) } { (section.title) } } }
                        }
                    }
                    @for section in &sections { (section) }
                    @if self.sections.iter().any(|section| !section.runs.is_empty()) {
                        h2 { "How to read the charts" }
                        (legend(self.has_forecasts()))
                    }
                    @if !self.policies.is_empty() {
                        h2 { "What the policies do" }
                        dl { @for (name, meaning) in &self.policies { dt { (name) } dd { (meaning) } } }
                    }
                    @if !self.caveats.is_empty() {
                        h2 { "How the numbers were made" }
                        @for text in &self.caveats { p { (text) } }
                    }
                    (self.glossary())
                }
            }
        };
        Ok(page.into_string())
    }

    fn has_forecasts(&self) -> bool {
        let mut runs = self.sections.iter().flat_map(|section| &section.runs);
        runs.any(|run| !run.timeline.forecasts().is_empty())
    }

    /// The meanings of the codes on this page.
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
                @for figure in &self.figures { (figure.html()) }
                @for table in &self.tables { (table.html()) }
                @for cards in &self.cards { (cards.html()) }
                @for run in &runs { (run) }
            }
        })
    }
}

/// A column with a longer cell has sentences. Its cells wrap, so that a sentence is not cut, and stand left.
const LONGEST_LABEL: usize = 40;

impl Table {
    /// Whether the column at this place has sentences.
    fn has_words(&self, place: usize) -> bool {
        self.rows.iter().filter_map(|row| row.get(place)).any(|cell| cell.text.chars().count() > LONGEST_LABEL)
    }

    fn html(&self) -> Markup {
        let places = self.heads.len().max(self.rows.iter().map(Vec::len).max().unwrap_or_default());
        let words: Vec<bool> = (0..places).map(|place| self.has_words(place)).collect();
        html! {
            div .scroll {
                table {
                    thead {
                        tr {
                            @for (place, head) in self.heads.iter().enumerate() {
                                th class=[class(false, words[place])] scope="col" { (head) }
                            }
                        }
                    }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (place, cell) in row.iter().enumerate() {
                                    @if place == 0 {
                                        th class=[class(false, words[place])] scope="row" { (cell.text) }
                                    } @else {
                                        td class=[class(cell.is_least, words[place])]
                                            data-head=[self.heads.get(place)] { (cell.text) }
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

/// The class of a cell. `None`: it has none.
fn class(is_least: bool, has_words: bool) -> Option<&'static str> {
    match (is_least, has_words) {
        (true, true) => Some("least words"),
        (true, false) => Some("least"),
        (false, true) => Some("words"),
        (false, false) => None,
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
                        (self.marks().html())
                    }
                }
            }
        })
    }
}

impl Run {
    /// The table of the marks.
    fn marks(&self) -> Table {
        let row = |mark: &Mark| vec![self.clock.exactly(mark.second).into(), mark.code.into(), step(mark).into()];
        let heads = ["when", "code", "what"].map(str::to_owned).into();
        Table { heads, rows: self.timeline.marks().iter().map(row).collect() }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), is_least: false }
    }
}

/// The meaning of a mark.
fn step(mark: &Mark) -> String {
    match mark.change {
        None => "decided, and no capacity changed".into(),
        Some(change) => {
            let by = if change.by == By::Others { ", by another person or tool" } else { "" };
            let shards = if change.to == 1 { "shard" } else { "shards" };
            if change.from == change.to {
                format!("at {} {shards}{by}", change.from)
            } else {
                format!("{} → {} {shards}{by}", change.from, change.to)
            }
        }
    }
}

/// A cell of a Markdown table as plain text: no backticks, and of a link only its words.
fn plain(cell: &str) -> String {
    let mut text = cell.trim().replace('`', "");
    while let Some((before, rest)) = text.split_once('[') {
        let Some((words, (_, after))) =
            rest.split_once("](").and_then(|(words, rest)| Some((words, rest.split_once(')')?)))
        else {
            break;
        };
        text = format!("{before}{words}{after}");
    }
    text
}

/// `with_forecasts`: whether a chart has dots.
fn legend(with_forecasts: bool) -> Markup {
    html! {
        ul .legend {
            li .offered { "offered: new records of the producers, a second" }
            li .accepted { "accepted: records that the stream accepted, new ones and repeated ones, a second" }
            li .capacity { "capacity: records that the open shards can accept with even keys, a second" }
            @if with_forecasts {
                li .expected {
                    "expected: a load that the policy expects, at the time for which it expects it. Its distance from "
                    "the offered load is the error of the forecast"
                }
            }
            li .throttled {
                "throttled: refused records and refused calls of readers, a second, in the lower chart; a record that "
                "is refused three times counts three times"
            }
            li .change { "a change of capacity, with its code; a change by another person or tool has another colour" }
            li .hold { "a decision to change nothing, if it differs from the decision before" }
        }
        p {
            "Each level shows the busiest minute of its stretch. Point at a mark to read its time and meaning. A mark "
            "without room for its code is a short line; the table below has it, too."
        }
    }
}

/// The codes with their meanings, from the rows of docs/decisions.md that have one of `codes`. Links become plain text.
fn meanings(codes: &BTreeSet<&str>) -> Vec<(String, String)> {
    let known = |code: &&str| Remedy::VARIANTS.contains(code) || Reason::VARIANTS.contains(code);
    let mut meanings = vec![];
    for row in DECISIONS.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<String> = row.trim_matches('|').split('|').map(plain).collect();
        let [names, meaning, ..] = cells.as_slice() else { continue };
        if names.split(", ").any(|code| codes.contains(code) && known(&code)) {
            meanings.push((names.clone(), meaning.clone()));
        }
    }
    let others = [
        ("reshard", "a reshard or a split that unthrottle did not decide"),
        ("switch_mode", "a switch of the capacity mode that unthrottle did not decide"),
    ];
    let others = others.into_iter().filter(|(code, _)| codes.contains(code));
    meanings.extend(others.map(|(code, meaning)| (code.to_owned(), meaning.to_owned())));
    meanings
}

#[cfg(test)]
mod tests;
