//! Figures of numbers: a map of heat, and bars.

use maud::{Markup, html};

/// The height of the bars in their own units. The page scales it.
const BARS: usize = 160;
/// The steps of heat that a person can tell apart.
const STEPS: f64 = 8.0;

/// A figure.
#[derive(Debug)]
pub(crate) enum Figure {
    /// A row of cells for each name.
    Heat(HeatMap),
    /// A bar for each value.
    Bars(Bars),
}

/// A map of heat.
#[derive(Debug, Default)]
pub(crate) struct HeatMap {
    pub title: String,
    pub rows: Vec<Row>,
    /// The words below the first and the last column.
    pub ends: (String, String),
}

#[derive(Debug, Default)]
pub(crate) struct Row {
    pub name: String,
    /// The heat of each cell, 0–1 or more, with its words. `None`: nothing is known.
    pub cells: Vec<Option<(f64, String)>>,
}

/// Bars side by side.
#[derive(Debug, Default)]
pub(crate) struct Bars {
    pub title: String,
    /// The height of each bar in any unit, with its words.
    pub values: Vec<(f64, String)>,
    /// Lines between the bars: their places, 0–1, with their words.
    pub lines: Vec<Line>,
    /// The words below the first and the last bar.
    pub ends: (String, String),
}

#[derive(Debug, Default)]
pub(crate) struct Line {
    pub place: f64,
    pub words: String,
    /// Whether the line proposes something. Otherwise it is an edge that is there.
    pub is_proposal: bool,
}

impl Figure {
    pub(super) fn html(&self) -> Markup {
        match self {
            Figure::Heat(heat) => heat.html(),
            Figure::Bars(bars) => bars.html(),
        }
    }
}

/// The names, and the words below the ends, are text beside the pictures. A picture is as wide as the screen, so a
/// phone shows all of it, and its words keep their size.
impl HeatMap {
    fn html(&self) -> Markup {
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or_default().max(1);
        html! {
            h3 { (self.title) }
            div .heat {
                @for row in &self.rows {
                    div .name { (row.name) }
                    svg viewBox={ "0 0 " (columns) " 1" } preserveAspectRatio="none" role="img" aria-label=(row.name) {
                        @for (column, value) in row.cells.iter().enumerate() {
                            @if let Some((heat, words)) = value {
                                rect class={ "cell h" (step(*heat)) } x=(column) y="0" width="1" height="1" {
                                    title { (words) }
                                }
                            }
                        }
                    }
                }
                (ends(&self.ends))
            }
        }
    }
}

impl Bars {
    fn html(&self) -> Markup {
        let count = self.values.len().max(1);
        let most = self.values.iter().map(|(value, _)| *value).fold(f64::MIN_POSITIVE, f64::max);
        html! {
            h3 { (self.title) }
            div .bars {
                svg viewBox={ "0 0 " (count) " " (BARS) } preserveAspectRatio="none" role="img"
                    aria-label=(self.title) {
                    @for (place, (value, words)) in self.values.iter().enumerate() {
                        @if *value > 0.0 {
                            @let height = (value / most * BARS as f64).max(1.0);
                            rect .bar x=(place) y=(tenth(BARS as f64 - height)) width="1" height=(tenth(height)) {
                                title { (words) }
                            }
                        }
                    }
                    @for line in &self.lines {
                        @let x = format!("{:.3}", line.place * count as f64);
                        line .edge .proposal[line.is_proposal] x1=(x) x2=(x) y1="0" y2=(BARS) {
                            title { (line.words) }
                        }
                    }
                }
                (ends(&self.ends))
            }
        }
    }
}

fn ends((first, last): &(String, String)) -> Markup {
    html! {
        div .ends { span { (first) } span { (last) } }
    }
}

/// The step of the colour, 0–8. A shard that is more than full has the last one.
fn step(heat: f64) -> u8 {
    // The cast saturates.
    (heat.clamp(0.0, 1.0) * STEPS).ceil() as u8
}

/// A number of pixels with one digit after the point.
fn tenth(pixels: f64) -> String {
    format!("{pixels:.1}")
}
