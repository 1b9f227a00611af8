//! A terminal of 80 columns for a command under test, and what a person sees on it.

// Each test uses a part of it.
#![allow(dead_code)]

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No test waits this long on any machine that is alive.
const TIMEOUT: Duration = Duration::from_secs(240);

/// The size of a terminal that is as it opened.
const ROWS: NonZero<u16> = NonZero::new(24).expect("more than 0");
const COLUMNS: NonZero<u16> = NonZero::new(80).expect("more than 0");

/// A command on a terminal. It ends with the test.
pub struct Terminal {
    pty: Arc<Pty>,
    screen: Arc<Mutex<vt100::Parser>>,
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Starts a command on a new terminal.
    pub fn start(command: Command) -> Terminal {
        Terminal::with_columns(COLUMNS, command)
    }

    /// The same on a terminal with this number of columns.
    pub fn with_columns(columns: NonZero<u16>, command: Command) -> Terminal {
        let (pty, pts) = open().expect("a terminal");
        pty.resize(Size::new(ROWS.get(), columns.get())).expect("a size");
        let child = command.env("TERM", "xterm-256color").spawn(pts).expect("it starts");
        let pty = Arc::new(pty);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, columns, 1000)));
        let (from, to) = (pty.clone(), screen.clone());
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end of the command is an error here.
            while let Ok(count) = (&*from).read(&mut bytes)
                && count > 0
            {
                to.lock().unwrap_or_else(PoisonError::into_inner).process(&bytes[..count]);
            }
        });
        Terminal { pty, screen, child, reader: Some(reader) }
    }

    fn with<T>(&self, see: impl FnOnce(&vt100::Screen) -> T) -> T {
        see(self.screen.lock().unwrap_or_else(PoisonError::into_inner).screen())
    }

    /// The number of the command's process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The text on the screen.
    pub fn text(&self) -> String {
        self.with(vt100::Screen::contents)
    }

    /// Whether a program has the whole screen.
    pub fn is_whole(&self) -> bool {
        self.with(vt100::Screen::alternate_screen)
    }

    /// Whether a person sees where they type.
    pub fn has_cursor(&self) -> bool {
        self.with(|screen| !screen.hide_cursor())
    }

    /// Waits for something on the screen.
    pub fn wait_for(&self, what: &str, is_there: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while !is_there(&self.text()) {
            assert!(begun.elapsed() < TIMEOUT, "no {what} on the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses keys.
    pub fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).expect("the terminal lives");
    }

    /// Waits for the end of the command, and for its last output.
    pub fn end(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("it ends");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no panic");
        }
        status
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}
