//! The live view of a load: what is offered, accepted and refused, what the stream takes, and what happens to it.

use super::healing::Seen;
use crate::full_screen::FullScreen;
use aws_sdk_kinesis::types::StreamMode;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph};
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use unthrottle_core::words::{count, many};
use unthrottle_writer::Stats;

/// The seconds that the chart shows. With more, a phone's screen shows no single second.
const SHOWN_S: usize = 120;

/// The lines of events on the screen. A whole incident has about as many.
const MOST_EVENTS: u16 = 9;

/// The width from which the numbers stand side by side.
const TWO_COLUMNS: u16 = 76;

/// The time over which a rate is measured.
const SAMPLE: Duration = Duration::from_secs(1);

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub offered: u64,
    pub accepted: u64,
    pub refused: u64,
}

/// Records a second, at a time in seconds since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    at: f64,
    offered: f64,
    accepted: f64,
    refused: f64,
    /// `None`: on-demand mode, which has no fixed capacity.
    capacity: Option<f64>,
}

/// What is on the screen.
pub(super) struct Model {
    title: String,
    /// Records a second that one shard takes.
    shard_takes: f64,
    counts: Counts,
    /// The counts at the newest of `rates`, and its time.
    sampled: (Counts, Duration),
    rates: VecDeque<Rates>,
    capacity: String,
    numbers: String,
    on_their_way: String,
    events: Vec<String>,
    elapsed: Duration,
    is_stopping: bool,
}

impl Model {
    /// `title`: what is offered, and when it ends. `shard_takes`: records a second that one shard takes.
    pub fn new(title: String, shard_takes: f64) -> Model {
        Model {
            title,
            shard_takes,
            counts: Counts::default(),
            sampled: Default::default(),
            rates: VecDeque::new(),
            capacity: String::new(),
            numbers: String::new(),
            on_their_way: String::new(),
            events: vec![],
            elapsed: Duration::ZERO,
            is_stopping: false,
        }
    }

    /// Something happened.
    pub fn event(&mut self, text: String) {
        self.events.push(text);
    }

    /// The load has ended, and the records that were offered are sent.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// All that happened, oldest first.
    pub fn into_events(self) -> Vec<String> {
        self.events
    }

    /// Takes the counts of now. `behind`: records that did not leave in time.
    pub fn update(&mut self, stats: &Stats, (offered, behind): (u64, u64), seen: &Seen, elapsed: Duration) {
        let counts = Counts { offered, accepted: stats.accepted, refused: stats.refused };
        (self.counts, self.elapsed) = (counts, elapsed);
        let is_on_demand = seen.mode == Some(StreamMode::OnDemand);
        let capacity = (!is_on_demand).then(|| f64::from(seen.shards_after) * self.shard_takes);
        let status = if seen.is_updating { "UPDATING" } else { "ACTIVE" };
        let takes = capacity.map_or_else(|| "on-demand".into(), |capacity| format!("{}/s", count(capacity)));
        let shards = many(seen.shards_after, "shard");
        self.capacity = format!("{takes:>9}   {shards}, {status}");
        let latency = stats.latency();
        self.numbers = format!("p50 {} ms, p99 {} ms", count(latency.p50), count(latency.p99));
        let waiting = stats.attempted - stats.accepted - stats.lost;
        let [waiting, lost, behind] = [waiting, stats.lost, behind].map(|records| count(records as f64));
        self.on_their_way = format!("{waiting}   lost {lost}   behind {behind}");
        let (before, since) = self.sampled;
        let seconds = elapsed.saturating_sub(since).as_secs_f64();
        if seconds >= SAMPLE.as_secs_f64() {
            let rate = |now: u64, before: u64| (now - before) as f64 / seconds;
            self.rates.push_back(Rates {
                at: elapsed.as_secs_f64(),
                offered: rate(counts.offered, before.offered),
                accepted: rate(counts.accepted, before.accepted),
                refused: rate(counts.refused, before.refused),
                capacity,
            });
            if self.rates.len() > SHOWN_S {
                self.rates.pop_front();
            }
            self.sampled = (counts, elapsed);
        }
    }

    /// Draws it.
    pub fn render(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let is_wide = area.width >= TWO_COLUMNS;
        let heights = [Constraint::Length(1), Constraint::Length(if is_wide { 3 } else { 6 })];
        let events = Constraint::Length((area.height / 3).clamp(3, MOST_EVENTS + 2));
        let [title, numbers, chart, log] =
            Layout::vertical([heights[0], heights[1], Constraint::Min(0), events]).areas(area);
        frame.render_widget(Line::from(self.title()).bold(), title);
        self.render_numbers(frame, numbers, is_wide);
        self.render_chart(frame, chart);
        let shown = usize::from(log.height.saturating_sub(2));
        let newest = self.events.len().saturating_sub(shown);
        let lines: Vec<Line<'_>> = self.events[newest..].iter().map(|event| Line::from(event.as_str())).collect();
        frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" events ")), log);
    }

    fn title(&self) -> String {
        let state = if self.is_stopping { "stopping · q ends at once" } else { "q stops" };
        format!(" {} · {} s · {state}", self.title, self.elapsed.as_secs())
    }

    fn render_numbers(&self, frame: &mut Frame<'_>, area: Rect, is_wide: bool) {
        let now = self.rates.back().copied().unwrap_or_default();
        let rate = |name: &'static str, colour: Color, rate: f64, all: u64| {
            let numbers = format!("{:>9}/s {:>11}", count(rate), count(all as f64));
            Line::from(vec![Span::from(format!(" {name:<9}")).fg(colour), numbers.into()])
        };
        let line = |name: &'static str, colour: Color, text: &str| {
            Line::from(vec![Span::from(format!(" {name:<12}")).fg(colour), text.to_owned().into()])
        };
        let counts = vec![
            rate("offered", OFFERED, now.offered, self.counts.offered),
            rate("accepted", ACCEPTED, now.accepted, self.counts.accepted),
            rate("refused", REFUSED, now.refused, self.counts.refused),
        ];
        let others = vec![
            line("capacity", CAPACITY, &self.capacity),
            line("latency", Color::Reset, &self.numbers),
            line("on their way", Color::Reset, &format!(" {}", self.on_their_way)),
        ];
        if is_wide {
            let [left, right] = Layout::horizontal([Constraint::Length(36), Constraint::Min(0)]).areas(area);
            frame.render_widget(Paragraph::new(counts), left);
            frame.render_widget(Paragraph::new(others), right);
        } else {
            frame.render_widget(Paragraph::new([counts, others].concat()), area);
        }
    }

    fn render_chart(&self, frame: &mut Frame<'_>, area: Rect) {
        let line = |of: fn(&Rates) -> Option<f64>| -> Vec<(f64, f64)> {
            self.rates.iter().filter_map(|rates| Some((rates.at, of(rates)?))).collect()
        };
        let lines = [
            (line(|rates| rates.capacity), CAPACITY, Marker::Dot),
            (line(|rates| Some(rates.offered)), OFFERED, Marker::Braille),
            (line(|rates| Some(rates.refused)), REFUSED, Marker::Braille),
            (line(|rates| Some(rates.accepted)), ACCEPTED, Marker::Braille),
        ];
        let most = lines.iter().flat_map(|(line, ..)| line.iter().map(|(_, rate)| *rate)).fold(1.0, f64::max);
        let begin = self.rates.front().map_or(0.0, |rates| rates.at);
        let end = self.rates.back().map_or(1.0, |rates| rates.at).max(begin + 1.0);
        let datasets = lines.iter().map(|(line, colour, marker)| {
            let dataset = Dataset::default().data(line).marker(*marker).graph_type(GraphType::Line);
            dataset.style(Style::new().fg(*colour))
        });
        let labels = [0.0, most / 2.0, most].map(count);
        let seconds = [begin, end].map(|at| format!("{at:.0} s"));
        let chart = Chart::new(datasets.collect())
            .block(Block::bordered().title(" records/s "))
            .x_axis(Axis::default().bounds([begin, end]).labels(seconds))
            .y_axis(Axis::default().bounds([0.0, most]).labels(labels));
        frame.render_widget(chart, area);
    }
}

/// The colours of names and lines. Terminals without colours show them in the default one.
const OFFERED: Color = Color::Cyan;
const ACCEPTED: Color = Color::Green;
const REFUSED: Color = Color::Red;
const CAPACITY: Color = Color::Yellow;

/// The live view on a screen.
pub(super) struct View {
    screen: FullScreen,
    pub model: Model,
}

impl View {
    /// Enters the screen.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn enter(model: Model) -> io::Result<View> {
        let mut view = View { screen: FullScreen::enter()?, model };
        view.draw();
        Ok(view)
    }

    /// Draws the model. The load matters more than a terminal that has gone.
    pub fn draw(&mut self) {
        let _ = self.screen.draw(|frame| self.model.render(frame));
    }

    /// Leaves the screen. Returns what was on it.
    pub fn leave(self) -> Model {
        self.model
    }
}
