//! How far a long command is: a line on a terminal that replaces itself.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Sooner nothing is said: nobody wonders yet.
const SILENT_FOR: Duration = Duration::from_secs(1);

/// From one line to the next.
pub(super) const EVERY: Duration = Duration::from_millis(200);

/// How much of so many is done. Says it on standard error, and only on a terminal.
pub(super) struct Progress {
    what: &'static str,
    all: usize,
    done: usize,
    next: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    /// Nothing of `all` is done.
    pub fn new(what: &'static str, all: usize) -> Progress {
        let next = std::io::stderr().is_terminal().then(|| Instant::now() + SILENT_FOR);
        Progress { what, all, done: 0, next, is_shown: false }
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.done += 1;
        self.show();
    }

    /// Says it anew, if it is time to.
    pub fn show(&mut self) {
        if self.next.is_some_and(|next| Instant::now() >= next) {
            self.say(&format!("\r{} of {} {}", self.done, self.all, self.what));
            (self.next, self.is_shown) = (Some(Instant::now() + EVERY), true);
        }
    }

    /// Takes the line away, before something else is printed.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            self.say("\r\x1b[K");
        }
    }

    /// A terminal that cannot be written to is no reason to stop.
    fn say(&self, text: &str) {
        let mut err = std::io::stderr();
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }
}
