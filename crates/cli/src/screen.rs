//! Everything that a person sees on a terminal: steps as they happen, JSON lines, and the progress of a long command.

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Prints a value as one line of JSON on standard output.
pub(crate) fn print_json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)
}

/// Where steps are shown: on standard output, or on standard error if standard output is for JSON.
pub(crate) struct Console {
    out: Box<dyn Write + Send>,
    colour: bool,
}

impl Console {
    /// Shows steps to a person. `json`: standard output is for JSON.
    pub fn new(json: bool) -> Console {
        let colour = if json { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
        // https://no-color.org
        let colour = colour && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let out: Box<dyn Write + Send> = if json { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
        Console { out, colour }
    }

    /// Shows nothing.
    pub fn silent() -> Console {
        Console { out: Box::new(io::sink()), colour: false }
    }

    /// Shows a heading.
    pub fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = self.paint(Style::new().bold(), text);
        writeln!(self.out, "{text}")
    }

    /// Shows a line as it is.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    /// The text in this colour, where the output has colours.
    pub fn coloured(&self, colour: AnsiColor, text: &str) -> String {
        self.paint(colour.on_default(), text)
    }

    /// Shows a step that begins, or that is complete.
    pub fn step(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "  {text}")?;
        self.out.flush()
    }

    /// Shows the result of a command.
    pub fn result(&mut self, good: bool, text: &str) -> io::Result<()> {
        let colour = if good { AnsiColor::Green } else { AnsiColor::Yellow };
        let text = self.paint(colour.on_default().bold(), text);
        writeln!(self.out, "  {text}")
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.into() }
    }
}

/// Seconds without a line of progress. A person waits that long without a question.
const SILENT_FOR: Duration = Duration::from_secs(1);

/// The time from one line of progress to the next. A person cannot read faster.
pub(crate) const EVERY: Duration = Duration::from_millis(200);

/// The progress of a long command: a line on standard error that replaces itself. Only a terminal shows it.
pub(crate) struct Progress {
    what: &'static str,
    all: usize,
    done: usize,
    next: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    /// Nothing of `all` is done yet.
    pub fn new(what: &'static str, all: usize) -> Progress {
        let next = io::stderr().is_terminal().then(|| Instant::now() + SILENT_FOR);
        Progress { what, all, done: 0, next, is_shown: false }
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.set(self.done + 1);
    }

    /// `done` of all are done.
    pub fn set(&mut self, done: usize) {
        self.done = done.min(self.all);
        self.show();
    }

    /// Shows the line again when its time has come.
    pub fn show(&mut self) {
        if self.next.is_some_and(|next| Instant::now() >= next) {
            write_status(&format!("\r{} of {} {}", self.done, self.all, self.what));
            (self.next, self.is_shown) = (Some(Instant::now() + EVERY), true);
        }
    }

    /// Removes the line, so that something else can be printed.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            write_status("\r\x1b[K");
        }
    }
}

/// A line on standard error that replaces itself. Only a terminal shows it.
pub(crate) struct StatusLine {
    is_terminal: bool,
    is_shown: bool,
}

impl StatusLine {
    /// Nothing is shown yet.
    pub fn new() -> StatusLine {
        StatusLine { is_terminal: io::stderr().is_terminal(), is_shown: false }
    }

    /// Shows a text in the place of the one before. It must fit into 80 columns.
    pub fn show(&mut self, text: &str) {
        if self.is_terminal {
            self.is_shown = true;
            write_status(&format!("\r\x1b[K{text}"));
        }
    }

    /// Removes the line, so that something else can be printed.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            write_status("\r\x1b[K");
        }
    }
}

/// An error does not stop the command: the line is only for information.
fn write_status(text: &str) {
    let mut err = io::stderr();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}
