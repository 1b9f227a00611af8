//! The page of one stream: an hour of its load, the decision, and its evidence.

use super::cells;
use super::row::{Row, SHOWN_MINUTES};
use crate::explain::evidence;
use chrono::{DateTime, Utc};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Stylize as _};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Sparkline, SparklineBar, Wrap};
use unthrottle_core::words::many;

/// The lines of the chart.
const CHART: u16 = 4;

/// Draws the page from its line `scroll` on.
pub(super) fn draw(frame: &mut Frame, area: Rect, row: &Row, scroll: u16, now: DateTime<Utc>) {
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
    frame.render_widget(Paragraph::new(body(row, area.width)).wrap(Wrap { trim: false }).scroll((scroll, 0)), text);
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

fn body(row: &Row, width: u16) -> Vec<Line<'static>> {
    let is_narrow = usize::from(width) < 2 * VALUES - 4;
    let mut lines = vec![Line::from(cells::why(row).to_owned()), Line::default()];
    let checked = row.checked_at.map(|at| at.format("%H:%M:%S UTC").to_string());
    let asked = if row.is_asked { "; a new check is asked for" } else { "" };
    let checked = format!("{}{asked}", checked.as_deref().unwrap_or("not yet"));
    let mut field = |name: &str, value: &str| {
        lines.push(Line::from(match is_narrow {
            true => format!("  {name}: {value}"),
            false => format!("  {name:<VALUES$} {value}"),
        }));
    };
    field("checked", &checked);
    if let Some(document) = row.document() {
        field("decision", &format!("{} ({})", document.code, document.outcome));
        evidence(document).iter().for_each(|(name, value)| field(name, value));
        document.advice.iter().for_each(|advice| field("advice", &format!("{}: {}", advice.code, advice.sentence)));
    }
    lines
}
