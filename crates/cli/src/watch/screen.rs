//! The screen of `watch`: the list of the streams, or one of them.

use super::cells;
use super::row::{Part, Row};
use super::stream_page;
use super::ui::{Page, Ui, Wish};
use super::watcher::{Shared, View, lock};
use crate::full_screen::FullScreen;
use chrono::{DateTime, Utc};
use crossterm::event::{self, Event, KeyEventKind};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table, TableState, Wrap};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use unthrottle_lab::local::Clock;

/// How long to wait for a key before the view is looked at again. A person sees no delay, and an idle screen costs
/// next to nothing.
const KEY_WAIT: Duration = Duration::from_millis(100);

/// How often the screen is drawn where nothing changes: its times count seconds.
const DRAW_EVERY: Duration = Duration::from_secs(1);

/// A terminal that is at least as wide also has the column `why`.
const WIDE: u16 = 120;

/// The characters of the reason below the list: 60 words, with the space that wrapped lines leave. Fewer would cut it.
const WHY_CHARACTERS: u16 = 480;

/// Shows the view until a person quits, or `stop` is set.
///
/// # Errors
/// The terminal cannot be read or written.
pub(super) fn run(
    mut terminal: FullScreen,
    view: &Shared,
    clock: &Clock,
    ask: &UnboundedSender<String>,
    region: &str,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut ui = Ui::default();
    let mut shown: Vec<String> = vec![];
    let (mut drawn, mut drawn_at) = (None, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let version = lock(view).version;
        if drawn != Some(version) || drawn_at.elapsed() >= DRAW_EVERY {
            terminal.draw(|frame| shown = draw(frame, &lock(view), &mut ui, region, clock.now()))?;
            (drawn, drawn_at) = (Some(version), Instant::now());
        }
        if !event::poll(KEY_WAIT)? {
            continue;
        }
        // A key or a new size changes the screen.
        drawn = None;
        if let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            match (ui.key(key, &shown), &ui.selected) {
                (Some(Wish::Quit), _) => return Ok(()),
                // The receiver is there as long as the screen.
                (Some(Wish::Explain), Some(name)) => drop(ask.send(name.clone())),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Draws the view. Gives the names of the rows on the list.
fn draw(frame: &mut Frame, view: &View, ui: &mut Ui, region: &str, now: DateTime<Utc>) -> Vec<String> {
    let [top, middle, bottom] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(3), Constraint::Length(1)]).areas(frame.area());
    let rows = ui.shown(&view.rows, now);
    draw_title(frame, top, view, rows.len(), region);
    let selected = rows.iter().find(|row| Some(&row.stream.name) == ui.selected.as_ref());
    match (ui.page, selected) {
        (Page::Stream { scroll }, Some(row)) => {
            let scroll = stream_page::draw(frame, middle, row, scroll, now);
            ui.page = Page::Stream { scroll };
        }
        (Page::Keys, _) => frame.render_widget(Paragraph::new(KEYS).wrap(Wrap { trim: false }), middle),
        _ => {
            let lines = WHY_CHARACTERS.div_ceil(middle.width.max(1));
            let [list, why] = Layout::vertical([Constraint::Min(3), Constraint::Length(lines)]).areas(middle);
            draw_list(frame, list, &rows, ui, now);
            draw_why(frame, why, selected.copied());
        }
    }
    frame.render_widget(Paragraph::new(footer(view, ui, bottom.width)), bottom);
    rows.iter().map(|row| row.stream.name.clone()).collect()
}

const KEYS: &str = "
  ↑ ↓ j k          move          PgUp PgDn g G   far
  Enter            open a stream
  e                explain the stream: check it now
  s                sort by urgency, load, refused, name
  /                filter by name or code; Esc removes the filter
  Esc              back
  q                quit

  load       the accepted load of the newest minute, of what the shards take
  last hour  the busiest minute of each part; red: AWS refused something
  refused    records that AWS refused in the hour; r: calls of GetRecords
  state      →  unthrottle would change the stream;  !  it needs a person
  next       the time until the next check";

fn draw_title(frame: &mut Frame, area: Rect, view: &View, shown: usize, region: &str) {
    let of = if shown == view.rows.len() { String::new() } else { format!("{shown} of ") };
    let plural = if view.rows.len() == 1 { "" } else { "s" };
    let title = format!("unthrottle watch: {of}{} stream{plural}, {region}", view.rows.len());
    let room = usize::from(area.width).saturating_sub(title.chars().count() + 2);
    let calls = format!("AWS calls: {} of {} a minute", view.calls.0, view.calls.1);
    let calls = if calls.len() > room { format!("calls: {}/{}", view.calls.0, view.calls.1) } else { calls };
    frame.render_widget(Paragraph::new(title).bold(), area);
    frame.render_widget(Paragraph::new(calls).right_aligned(), area);
}

fn draw_list(frame: &mut Frame, area: Rect, rows: &[&Row], ui: &Ui, now: DateTime<Utc>) {
    let is_wide = area.width >= WIDE;
    let mut columns: Vec<(&str, u16)> = cells::COLUMNS.to_vec();
    if is_wide {
        // A cell for each two minutes, and longer names.
        (columns[0].1, columns[2].1) = (30, 30);
    }
    let places = cells::fitting(area.width);
    let mut widths: Vec<Constraint> = places.iter().map(|place| Constraint::Length(columns[*place].1)).collect();
    let mut header: Vec<&str> = places.iter().map(|place| columns[*place].0).collect();
    if is_wide {
        widths.push(Constraint::Min(10));
        header.push("why");
    }
    let body = rows.iter().map(|row| {
        let cell = |place: &usize| match *place {
            0 => Cell::from(row.stream.name.clone()),
            1 => Cell::from(Line::from(cells::load(row, now)).right_aligned()),
            2 => Cell::from(sparkline(&row.hour(usize::from(columns[2].1), now))),
            3 => Cell::from(Line::from(cells::refused(row)).right_aligned()),
            4 => Cell::from(cells::state(row)).style(state_style(row, now)),
            _ => Cell::from(Line::from(cells::next(row, now)).right_aligned()),
        };
        let why = is_wide.then(|| Cell::from(cells::why(row).to_owned()));
        TableRow::new(places.iter().map(cell).chain(why))
    });
    let table = Table::new(body, widths).header(TableRow::new(header).style(Style::new().add_modifier(Modifier::DIM)));
    let table = table.row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let place = rows.iter().position(|row| Some(&row.stream.name) == ui.selected.as_ref());
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(place));
}

fn sparkline(hour: &[Part]) -> Line<'static> {
    let span = |part: &Part| {
        let block = Span::raw(cells::block(*part).to_string());
        if part.is_refused { block.fg(Color::Red) } else { block.fg(Color::Cyan) }
    };
    Line::from(hour.iter().map(span).collect::<Vec<_>>())
}

fn state_style(row: &Row, now: DateTime<Utc>) -> Style {
    match row.urgency(now) {
        0 | 1 => Style::new().fg(Color::Red),
        2 | 3 => Style::new().fg(Color::Yellow),
        _ => Style::new(),
    }
}

/// What would be done about the selected stream, and why.
fn draw_why(frame: &mut Frame, area: Rect, row: Option<&Row>) {
    let Some(row) = row else {
        return frame.render_widget(Paragraph::new("No stream fits the filter. Esc removes it.").dim(), area);
    };
    let text =
        format!("{}: {}", row.stream.name, cells::why(row).trim_start_matches(&format!("{}: ", row.stream.name)));
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
}

fn footer(view: &View, ui: &Ui, width: u16) -> Line<'static> {
    if ui.page == Page::Filter {
        return Line::from(format!("filter: {}▏  Enter keeps it, Esc removes it", ui.filter));
    }
    if let Some(trouble) = &view.trouble {
        return Line::from(format!("last read failed: {trouble}")).fg(Color::Red);
    }
    let waits = if view.is_waiting { "  checks wait for the bound of calls" } else { "" };
    let filter = if ui.filter.is_empty() { String::new() } else { format!("  filter: {}", ui.filter) };
    let all = format!("q quit  Enter open  e explain  s sort: {}  / filter  ? keys{filter}{waits}", ui.sort);
    let is_narrow = all.chars().count() > usize::from(width);
    let few = || format!("q quit  ? keys  s sort: {}{filter}{waits}", ui.sort);
    Line::from(if is_narrow { few() } else { all }).dim()
}
