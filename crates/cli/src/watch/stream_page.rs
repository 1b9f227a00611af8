//! The page of one stream: an hour of its load, the decision, and its evidence.

use super::cells;
use super::row::{Row, SHOWN_MINUTES};
use crate::explain::evidence;
use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Sparkline, SparklineBar};
use unthrottle_core::words::many;

/// The lines of the chart.
const CHART: u16 = 4;

/// Draws the page from its line `scroll` on. Gives the line from which it is drawn: the last page is full.
pub(super) fn draw(frame: &mut Frame, area: Rect, row: &Row, scroll: u16, now: DateTime<Utc>) -> u16 {
    let [head, chart, text] =
        Layout::vertical([Constraint::Length(2), Constraint::Length(CHART), Constraint::Min(3)]).areas(area);
    frame.render_widget(Paragraph::new(heading(row, now, area.width)), head);
    // A bar for each minute. In permille: a sparkline takes whole numbers.
    let bars = row.hour(SHOWN_MINUTES as usize, now).into_iter().map(|part| {
        let colour = if part.is_refused { Color::Red } else { Color::Cyan };
        let height = (part.utilization * 1000.0).round() as u64;
        SparklineBar::from(Some(height.max(u64::from(part.is_refused) * 125))).style(Some(colour.into()))
    });
    frame.render_widget(Sparkline::default().data(bars.collect::<Vec<_>>()).max(1000), chart);
    let lines = wrapped(&body(row, area.width), area.width);
    let last = lines.len().saturating_sub(usize::from(text.height));
    let scroll = scroll.min(u16::try_from(last).unwrap_or(u16::MAX));
    frame.render_widget(Paragraph::new(lines).scroll((scroll, 0)), text);
    scroll
}

/// The lines of the body as a screen of this width shows them.
fn wrapped(body: &[String], width: u16) -> Vec<Line<'static>> {
    let wrap = |line: &String| -> Vec<Line<'static>> {
        textwrap::wrap(line, usize::from(width.max(1))).into_iter().map(|part| Line::from(part.into_owned())).collect()
    };
    body.iter().flat_map(wrap).collect()
}

fn heading(row: &Row, now: DateTime<Utc>, width: u16) -> Vec<Line<'static>> {
    let stream = row.document().and_then(|document| document.stream.as_ref());
    let mode = stream.and_then(|stream| stream.mode.clone()).unwrap_or_else(|| "unknown mode".into());
    let shards = stream
        .and_then(|stream| stream.open_shards)
        .map_or_else(String::new, |n| format!(", {}", many(n, "open shard")));
    let (records, reads) = row.refused();
    let (records, reads) = (many(records as u64, "record"), reads as u64);
    let chart = format!("the last hour, full at the top; refused: {records}, {} of GetRecords", many(reads, "call"));
    let chart = match chart.chars().count() > usize::from(width) {
        true => format!("last hour; refused: {records}, {}", many(reads, "read")),
        false => chart,
    };
    vec![
        Line::from(format!("{}: {mode}{shards}, load {}", row.stream.name, cells::load(row, now))).bold(),
        Line::from(chart),
    ]
}

/// The column of the values of the evidence. A screen that is narrower than twice as much has them after a colon.
const VALUES: usize = 42;

fn body(row: &Row, width: u16) -> Vec<String> {
    let is_narrow = usize::from(width) < 2 * VALUES - 4;
    let mut lines = vec![cells::why(row).to_owned(), String::new()];
    let checked = row.checked_at.map(|at| at.format("%H:%M:%S UTC").to_string());
    let asked = if row.is_asked { "; a new check is asked for" } else { "" };
    let checked = format!("{}{asked}", checked.as_deref().unwrap_or("not yet"));
    let mut field = |name: &str, value: &str| {
        lines.push(match is_narrow {
            true => format!("  {name}: {value}"),
            false => format!("  {name:<VALUES$} {value}"),
        });
    };
    field("checked", &checked);
    if let Some(document) = row.document() {
        field("decision", &format!("{} ({})", document.code, document.outcome));
        evidence(document).iter().for_each(|(name, value)| field(name, value));
        document.advice.iter().for_each(|advice| field("advice", &format!("{}: {}", advice.code, advice.sentence)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use unthrottle_core::signal::{Home, StreamArn};

    #[test]
    fn a_page_never_scrolls_beyond_its_last_lines() {
        let home = Home { partition: "aws".into(), region: "us-east-1".into(), account: "123456789012".into() };
        let mut row = Row::new(StreamArn::new("orders", &home).expect("a name"));
        row.check = Some(Err("AWS denied a call. ".repeat(40)));
        let mut terminal = Terminal::new(TestBackend::new(60, 12)).expect("in memory");
        let mut scrolls = vec![];
        for scroll in [0, 3, 60_000] {
            let draw = |frame: &mut Frame| scrolls.push(self::draw(frame, frame.area(), &row, scroll, Utc::now()));
            terminal.draw(draw).expect("in memory");
        }
        // 760 characters in 60 columns, an empty line, and the line of the check: the screen has six lines for them.
        let lines = wrapped(&body(&row, 60), 60).len();
        assert_eq!(scrolls, [0, 3, u16::try_from(lines - 6).expect("few")]);
        assert!(terminal.backend().to_string().contains("checked"), "{}", terminal.backend());
    }
}
