//! The chart of one run: load and capacity above, refusals below, and the marks over both.

use super::{Clock, Run, step};
use crate::CliError;
use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use unthrottle_lab::sim::timeline::{Mark, Slice, Timeline};
use unthrottle_lab::sim::world::By;

/// The width in pixels. The page scales a wider screen, and a phone scrolls sideways: smaller text would be unreadable.
const WIDTH: i32 = 960;
/// Pixels for the axis title (`EDGE`), for title and numbers at the left, and for half of the last time at the right.
const EDGE: i32 = 12;
const LEFT: i32 = 72;
const RIGHT: i32 = 42;
/// Heights in pixels of the chart of the load, and of the chart of refusals with the times below it.
const LOAD: i32 = 220;
const REFUSED: i32 = 110;
/// Pixels between the charts, and pixels for the times.
const GAP: i32 = 10;
const TIMES: i32 = 24;

/// The most points of a line: one for three pixels. More would make the page larger, and the picture no better.
const POINTS: usize = 290;

/// The most labels on top of each other. A mark without room is a short line, and the table below the chart has it.
const LANES: usize = 12;
const LANE: i32 = 14;
/// Pixels of one character of a label (11 px, monospaced), and free pixels beside a label.
const CHARACTER: i32 = 7;
const SPACE: i32 = 8;

/// Seconds from one time on the axis to the next. The first step that gives at most [`TICKS`] times is used.
const STEPS: [i64; 12] = [300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 2 * 86_400, 7 * 86_400];
const TICKS: i64 = 12;

const OFFERED: RGBColor = RGBColor(0x2f, 0x6f, 0xde);
const ACCEPTED: RGBColor = RGBColor(0x2e, 0x9e, 0x5b);
const THROTTLED: RGBColor = RGBColor(0xd6, 0x45, 0x3d);
const EXPECTED: RGBColor = RGBColor(0x8e, 0x44, 0xad);
/// The radius of an expected load, in pixels.
const DOT: i32 = 3;

/// If the run is this many times longer than its first incident, a second chart shows the incident. In the whole chart
/// the incident is only a line.
const CLOSER: i64 = 6;
/// Seconds that a chart shows before and after an incident, and seconds between the marks of two incidents.
const AROUND: i64 = 10 * 60;
const APART: i64 = 45 * 60;

/// The times of the whole run.
pub(crate) fn whole(timeline: &Timeline) -> Times {
    Times { first: 0, last: (60 * timeline.minutes().len() as i64).max(60) }
}

/// The times of the first incident, if it is a small part of the run.
pub(crate) fn closer(timeline: &Timeline) -> Option<Times> {
    let seconds = timeline.marks().iter().map(|mark| mark.second);
    let begins = timeline.marks().first()?.second;
    let ends = seconds.fold(begins, |end, second| if second - end < APART { second } else { end });
    let all = whole(timeline);
    let first = (begins - AROUND).max(0) / 60 * 60;
    let last = ((ends + AROUND) / 60 * 60 + 60).min(all.last);
    ((last - first) * CLOSER < all.last).then_some(Times { first, last })
}

/// Draws these seconds of a run.
///
/// # Errors
/// The drawing library failed.
pub(crate) fn draw(run: &Run, times: Times) -> Result<Markup, CliError> {
    let marks: Vec<&Mark> = run.timeline.marks().iter().filter(|mark| times.has(mark.second)).collect();
    let labels = Labels::of(&marks, times);
    let top = LANE * labels.lanes.len() as i32 + GAP;
    let height = top + LOAD + REFUSED;
    let lines = lines(&run.timeline, run.clock, times, top).map_err(|e| CliError::Io(std::io::Error::other(e)))?;
    let what = format!("{}: offered, accepted and throttled records a second, and capacity", run.name);
    Ok(html! {
        svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(what) {
            (PreEscaped(lines))
            @for (mark, label) in marks.iter().zip(&labels.of_marks) {
                g .mark .(kind(mark)) {
                    title { (run.clock.exactly(mark.second)) " " (mark.code) ": " (step(mark)) }
                    line x1=(label.x) x2=(label.x) y1=(label.top(top)) y2=(label.bottom(top)) {}
                    @if label.lane.is_some() {
                        text x=(label.text_x()) y=(label.top(top) + LANE - 4) text-anchor=(label.anchor()) {
                            (mark.code)
                        }
                    }
                }
            }
        }
    })
}

fn kind(mark: &Mark) -> &'static str {
    match mark.change {
        None => "hold",
        Some(change) if change.by == By::Others => "others",
        Some(_) => "change",
    }
}

/// The lines of both charts, as the elements of an SVG.
fn lines(timeline: &Timeline, clock: Clock, times: Times, top: i32) -> Result<String, String> {
    let mut svg = String::new();
    {
        let height = top + LOAD + REFUSED;
        let root = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        let (above, below) = root.split_vertically(top + LOAD);
        load(&above.margin(top, 0, 0, 0), timeline, times)?;
        refused(&below, timeline, clock, times)?;
        root.present().map_err(|e| e.to_string())?;
    }
    // The element around them is the page's own.
    let begin = svg.find('>').map_or(0, |end| end + 1);
    Ok(svg[begin..].trim_end().trim_end_matches("</svg>").to_owned())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn load(area: &Area<'_>, timeline: &Timeline, times: Times) -> Result<(), String> {
    let offered = busiest(timeline, times, |slice| slice.offered as f64 / 60.0);
    let accepted = busiest(timeline, times, |slice| slice.accepted as f64 / 60.0);
    let capacity = busiest(timeline, times, Slice::capacity_records);
    let expected = expected(timeline, times);
    let most = highest([&offered, &accepted, &capacity, &expected]);
    let mut builder = ChartBuilder::on(area);
    builder.margin_left(EDGE).margin_right(RIGHT).y_label_area_size(LEFT - EDGE).margin_bottom(GAP);
    let mut chart = builder.build_cartesian_2d(times, 0.0..most).map_err(|e| e.to_string())?;
    let mut mesh = chart.configure_mesh();
    mesh.y_desc("records a second").y_labels(5).y_label_formatter(&|rate| short(*rate)).label_style(("sans-serif", 12));
    mesh.light_line_style(TRANSPARENT).bold_line_style(BLACK.mix(0.12)).draw().map_err(|e| e.to_string())?;
    let area = AreaSeries::new(accepted, 0.0, ACCEPTED.mix(0.35));
    chart.draw_series(area).map_err(|e| e.to_string())?;
    chart.draw_series(LineSeries::new(capacity, BLACK.stroke_width(2))).map_err(|e| e.to_string())?;
    chart.draw_series(LineSeries::new(offered, OFFERED.stroke_width(2))).map_err(|e| e.to_string())?;
    let dots = expected.into_iter().map(|point| Circle::new(point, DOT, EXPECTED.filled()));
    chart.draw_series(dots).map_err(|e| e.to_string())?;
    Ok(())
}

/// The loads that the policy expected, in records a second.
fn expected(timeline: &Timeline, times: Times) -> Vec<(i64, f64)> {
    let of_shard = timeline.minutes().first().map_or(0.0, Slice::shard_records);
    let shown = timeline.forecasts().iter().filter(|forecast| times.has(forecast.second));
    shown.map(|forecast| (forecast.second, forecast.full_shards * of_shard)).collect()
}

fn refused(area: &Area<'_>, timeline: &Timeline, clock: Clock, times: Times) -> Result<(), String> {
    let throttled = busiest(timeline, times, |slice| (slice.throttled + slice.reads_throttled) as f64 / 60.0);
    let most = highest([&throttled]);
    let mut builder = ChartBuilder::on(area);
    builder.margin_left(EDGE).margin_right(RIGHT).y_label_area_size(LEFT - EDGE).x_label_area_size(TIMES);
    let mut chart = builder.build_cartesian_2d(times, 0.0..most).map_err(|e| e.to_string())?;
    let time = |second: &i64| clock.roughly(*second);
    let mut mesh = chart.configure_mesh();
    mesh.y_desc("throttled").y_labels(3).y_label_formatter(&|rate| short(*rate)).label_style(("sans-serif", 12));
    mesh.x_labels(TICKS as usize + 1).x_label_formatter(&time);
    mesh.light_line_style(TRANSPARENT).bold_line_style(BLACK.mix(0.12)).draw().map_err(|e| e.to_string())?;
    chart.draw_series(AreaSeries::new(throttled, 0.0, THROTTLED.mix(0.8))).map_err(|e| e.to_string())?;
    Ok(())
}

/// A range of seconds, of whole minutes. The times on its axis are round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    first: i64,
    last: i64,
}

impl Times {
    fn has(self, second: i64) -> bool {
        (self.first..=self.last).contains(&second)
    }

    /// The pixel of a second, if the range has `pixels` pixels.
    fn pixel(self, second: i64, pixels: i32) -> i32 {
        (i64::from(pixels) * (second.clamp(self.first, self.last) - self.first) / (self.last - self.first)) as i32
    }
}

impl Ranged for Times {
    type FormatOption = DefaultFormatting;
    type ValueType = i64;

    fn map(&self, second: &i64, (first, last): (i32, i32)) -> i32 {
        first + self.pixel(*second, last - first)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<i64> {
        let length = self.last - self.first;
        let step = STEPS.into_iter().find(|step| length / step <= TICKS).unwrap_or(length / TICKS);
        ((self.first + step - 1) / step..=self.last / step).map(|n| n * step).collect()
    }

    fn range(&self) -> std::ops::Range<i64> {
        self.first..self.last
    }
}

/// The busiest minute of each stretch, as a line of steps. A point has the second at which its stretch begins.
fn busiest(timeline: &Timeline, times: Times, of: impl Fn(&Slice) -> f64) -> Vec<(i64, f64)> {
    let [first, last] = [times.first, times.last].map(|second| usize::try_from(second / 60).unwrap_or_default());
    let minutes = timeline.minutes().get(first..last).unwrap_or_default();
    let stretch = minutes.len().div_ceil(POINTS).max(1);
    let begins = (times.first..).step_by(60 * stretch);
    let points = begins.zip(minutes.chunks(stretch).map(|slices| slices.iter().map(&of).fold(0.0, f64::max)));
    steps(points, times.last)
}

/// The points as a line that stays level up to the next point.
fn steps(points: impl Iterator<Item = (i64, f64)>, end: i64) -> Vec<(i64, f64)> {
    let mut line: Vec<(i64, f64)> = vec![];
    for (second, value) in points {
        if let Some((_, last)) = line.last().copied().filter(|(_, last)| *last != value) {
            line.push((second, last));
        }
        if line.last().is_none_or(|(_, last)| *last != value) {
            line.push((second, value));
        }
    }
    line.extend(line.last().map(|(_, last)| (end, *last)));
    line
}

/// The top of a chart: 5 % above the highest point. Without points: 1.
fn highest<'a>(lines: impl IntoIterator<Item = &'a Vec<(i64, f64)>>) -> f64 {
    let most = lines.into_iter().flatten().map(|(_, value)| *value).fold(0.0, f64::max);
    if most > 0.0 { most * 1.05 } else { 1.0 }
}

/// A rate in at most six characters.
fn short(rate: f64) -> String {
    match rate {
        1e6.. => format!("{}M", (rate / 1e5).round() / 10.0),
        1e3.. => format!("{}k", (rate / 1e2).round() / 10.0),
        _ => format!("{}", (rate * 10.0).round() / 10.0),
    }
}

/// The places of the labels: in lanes above the charts, so that no label covers another.
#[derive(Debug)]
struct Labels {
    /// The used pixels of each lane, from and to.
    lanes: Vec<Vec<(i32, i32)>>,
    of_marks: Vec<Label>,
}

#[derive(Debug)]
struct Label {
    /// The pixel of the mark.
    x: i32,
    /// Whether the text ends at the mark. Otherwise it begins there.
    ends: bool,
    /// The lane, counted upwards from the charts.
    lane: Option<usize>,
}

impl Labels {
    /// Places the labels of changes first, then those of holds.
    fn of(marks: &[&Mark], times: Times) -> Labels {
        let mut labels = Labels { lanes: vec![], of_marks: vec![] };
        for mark in marks {
            let x = LEFT + times.pixel(mark.second, WIDTH - LEFT - RIGHT);
            labels.of_marks.push(Label { x, ends: x + long(mark) > WIDTH, lane: None });
        }
        for is_change in [true, false] {
            for (place, mark) in marks.iter().enumerate().filter(|(_, mark)| mark.change.is_some() == is_change) {
                let Label { x, ends, .. } = labels.of_marks[place];
                let taken = if ends { (x - long(mark), x + SPACE) } else { (x - SPACE, x + long(mark)) };
                labels.of_marks[place].lane = labels.take(taken);
            }
        }
        labels
    }

    fn take(&mut self, taken: (i32, i32)) -> Option<usize> {
        let is_free = |lane: &Vec<(i32, i32)>| lane.iter().all(|(from, to)| taken.1 <= *from || *to <= taken.0);
        let lane = self.lanes.iter().position(is_free).unwrap_or(self.lanes.len());
        if lane == self.lanes.len() {
            if lane == LANES {
                return None;
            }
            self.lanes.push(vec![]);
        }
        self.lanes[lane].push(taken);
        Some(lane)
    }
}

/// The width in pixels of the text of a mark.
fn long(mark: &Mark) -> i32 {
    CHARACTER * mark.code.len() as i32 + SPACE
}

impl Label {
    /// The top of the line of the mark. `charts`: the top of the charts.
    fn top(&self, charts: i32) -> i32 {
        self.lane.map_or(charts, |lane| charts - GAP - LANE * (lane as i32 + 1))
    }

    /// The bottom of the line: the axis of times. A line without a label is short, so that it does not hide the charts.
    fn bottom(&self, charts: i32) -> i32 {
        if self.lane.is_some() { charts + LOAD + REFUSED - TIMES } else { charts + GAP }
    }

    fn text_x(&self) -> i32 {
        if self.ends { self.x - 3 } else { self.x + 3 }
    }

    fn anchor(&self) -> &'static str {
        if self.ends { "end" } else { "start" }
    }
}
