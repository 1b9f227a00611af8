//! What a person sees: steps as they happen, colour only on a terminal.

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// A value as one line of JSON on standard output.
pub(super) fn print_json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout();
    serde_json::to_writer(&mut out, value)?;
    writeln!(out)
}

/// Where steps are told: standard output, or standard error when that is kept for JSON.
pub(super) struct Console {
    out: Box<dyn Write + Send>,
    colour: bool,
}

impl Console {
    /// Steps for a person; on standard error when standard output is for JSON.
    pub fn new(json: bool) -> Console {
        let colour = if json { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
        // https://no-color.org
        let colour = colour && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let out: Box<dyn Write + Send> = if json { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
        Console { out, colour }
    }

    /// Tells nothing.
    pub fn silent() -> Console {
        Console { out: Box::new(io::sink()), colour: false }
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = self.paint(Style::new().bold(), text);
        writeln!(self.out, "{text}")
    }

    /// A step that has just been done, or begins.
    pub fn step(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "  {text}")?;
        self.out.flush()
    }

    /// What it comes down to.
    pub fn result(&mut self, good: bool, text: &str) -> io::Result<()> {
        let colour = if good { AnsiColor::Green } else { AnsiColor::Yellow };
        let text = self.paint(colour.on_default().bold(), text);
        writeln!(self.out, "  {text}")
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.into() }
    }
}
