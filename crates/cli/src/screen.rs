//! Everything that a person sees on a terminal: steps as they happen, JSON lines, and the progress of a long command.

mod commands;
mod table;
mod wrap;

pub(crate) use commands::{AccountOption, for_account, places, run_on};
pub(crate) use table::{Column, Table};
pub(crate) use wrap::fill;

use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Prints a value as one line of JSON on standard output.
pub(crate) fn print_json(value: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_string(value)?;
    writeln!(io::stdout(), "{}", escaped(&commands::for_account_in_json(&json)))
}

/// JSON with the escapes of all characters that have no shape, such as those that a terminal obeys or that turn the
/// direction of a text. A reader of JSON gets the same text. They stand only within strings.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if has_shape(c) {
            escaped.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        }
    }
    escaped
}

/// Whether a person sees the character as it is.
fn has_shape(c: char) -> bool {
    c.is_ascii_graphic() || c == ' ' || matches!(c.escape_debug().len(), 1)
}

/// A text from outside on one line, with the escapes of all characters that have no shape.
pub(crate) fn visible(text: &str) -> String {
    text.chars().map(|c| if has_shape(c) { c.to_string() } else { c.escape_default().to_string() }).collect()
}

/// The same with the lines that the text has.
fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<String>>().join("\n")
}

/// Prints an error of the command on standard error. Names of files and answers of an endpoint are texts from outside.
pub(crate) fn print_error(text: &str) {
    let text = for_account(&format!("unthrottle: {}", visible_lines(text)));
    let text = wrap::width(&io::stderr()).map_or(text.clone(), |width| wrap::fill(&text, width, "", "  "));
    // The terminal may be gone. A panic here would end the command before it has cleaned up.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints a document on standard output. Tags, callers and logs in it are texts from outside.
pub(crate) fn print_document(text: &str) -> io::Result<()> {
    io::stdout().write_all(visible_lines(text).as_bytes())
}

/// Prints a note of the command on standard error, on one line. An error does not stop the command.
pub(crate) fn print_note(text: &str) {
    let _ = writeln!(io::stderr(), "unthrottle: {}", visible(text));
}

/// Whether a stream shows colours and lines that replace themselves (https://no-color.org).
fn has_escapes(stream: &impl IsTerminal) -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    stream.is_terminal() && !is_dumb
}

/// Where steps are shown: on standard output, or on standard error if standard output is for JSON.
pub(crate) struct Console {
    out: Box<dyn Write + Send>,
    colour: bool,
    /// The columns of the screen; `None`: lines stay whole.
    width: Option<usize>,
}

impl Console {
    /// Shows steps to a person. `json`: standard output is for JSON.
    pub fn new(json: bool) -> Console {
        let (escapes, width) = match json {
            true => (has_escapes(&io::stderr()), wrap::width(&io::stderr())),
            false => (has_escapes(&io::stdout()), wrap::width(&io::stdout())),
        };
        let colour = escapes && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let out: Box<dyn Write + Send> = if json { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
        Console { out, colour, width }
    }

    /// Shows nothing.
    pub fn silent() -> Console {
        Console { out: Box::new(io::sink()), colour: false, width: None }
    }

    /// Writes into memory, as on a screen of this width.
    pub fn in_memory(width: usize) -> (Console, Written) {
        let written = Written::default();
        (Console { out: Box::new(written.clone()), colour: false, width: Some(width) }, written)
    }

    /// The columns of the screen. `None`: it is no screen.
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    /// Shows a heading.
    pub fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = self.paint(Style::new().bold(), &self.fill(text, "", "  "));
        writeln!(self.out, "{text}")
    }

    /// Shows a line as it is.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", for_account(text))
    }

    /// Shows a paragraph.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", self.fill(text, "", ""))
    }

    /// Shows a name and its value, the value at column `column`. A long value goes on below its beginning, or on a
    /// narrow screen below the name.
    pub fn field(&mut self, name: &str, column: usize, value: &str) -> io::Result<()> {
        let is_narrow = self.width.is_some_and(|width| width < 2 * column);
        let before = column.saturating_sub(1);
        let below = if is_narrow { "      ".to_owned() } else { " ".repeat(2 + column) };
        let text = if is_narrow { format!("{name}: {value}") } else { format!("{name:<before$} {value}") };
        writeln!(self.out, "{}", self.fill(&text, "  ", &below))
    }

    /// Shows a table.
    pub fn table(&mut self, table: &Table) -> io::Result<()> {
        let rows = table.rows.iter().map(|row| row.iter().map(|cell| visible(cell)).collect()).collect();
        let table = Table { columns: table.columns.clone(), rows, is_wide: table.is_wide };
        self.out.write_all(table.text(self.width).as_bytes())
    }

    /// The text in this colour, where the output has colours.
    pub fn coloured(&self, colour: AnsiColor, text: &str) -> String {
        self.paint(colour.on_default(), text)
    }

    /// Shows a step that begins, or that is complete.
    pub fn step(&mut self, text: &str) -> io::Result<()> {
        let own = text.len() - text.trim_start_matches(' ').len();
        let (first, next) = (" ".repeat(2 + own), " ".repeat(4 + own));
        writeln!(self.out, "{}", self.fill(&text[own..], &first, &next))?;
        self.out.flush()
    }

    /// Shows the result of a command.
    pub fn result(&mut self, good: bool, text: &str) -> io::Result<()> {
        let colour = if good { AnsiColor::Green } else { AnsiColor::Yellow };
        let text = self.paint(colour.on_default().bold(), &self.fill(text, "  ", "  "));
        writeln!(self.out, "{text}")
    }

    /// The text within the screen, with its commands for the account that this process calls. A part of it may be from
    /// outside.
    fn fill(&self, text: &str, first: &str, next: &str) -> String {
        let text = visible_lines(&for_account(text));
        match self.width {
            Some(width) => wrap::fill(&text, width, first, next),
            None => format!("{first}{text}"),
        }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.into() }
    }
}

/// What a console has written into memory.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// The text so far.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
        let next = has_escapes(&io::stderr()).then(|| Instant::now() + SILENT_FOR);
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
        StatusLine { is_terminal: has_escapes(&io::stderr()), is_shown: false }
    }

    /// Whether a person sees it.
    pub fn is_on_terminal(&self) -> bool {
        self.is_terminal
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_letters_of_all_languages_and_escapes_what_has_no_shape() {
        let key = "ключ-東京-zoë \u{202e}\u{9b}2J\u{7f}\u{1b}[31m\u{e0001}";
        let json = escaped(&serde_json::to_string(key).expect("JSON"));
        assert!(json.contains("ключ-東京-zoë") && json.chars().all(has_shape), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), key);
        assert_eq!(visible("zoë\u{202e}\n"), "zoë\\u{202e}\\n");
    }

    /// Tags of a stream and names of callers are texts from outside.
    #[test]
    fn a_screen_obeys_no_text_from_outside() {
        let (mut console, written) = Console::in_memory(80);
        let text = "\u{1b}[31mzoë\u{202e}";
        console.heading(text).expect("memory");
        console.text(text).expect("memory");
        console.field("tag", 10, text).expect("memory");
        console.step(text).expect("memory");
        console.result(true, text).expect("memory");
        let (columns, rows) = (vec![Column::text("by", 0)], vec![vec![text.to_owned()]]);
        console.table(&Table { columns, rows, is_wide: false }).expect("memory");
        let shown = written.text();
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
        assert_eq!(shown.matches("\\u{1b}[31mzoë\\u{202e}").count(), 6, "{shown}");
    }
}
