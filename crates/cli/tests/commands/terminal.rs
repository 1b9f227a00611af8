//! A terminal with a command in it.

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The longest wait for a text on the screen: a bound, and no pace.
const PATIENCE: Duration = Duration::from_secs(120);

/// The time from one look at the screen to the next.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    /// What the command has drawn.
    screen: Arc<Mutex<vt100::Parser>>,
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    pub fn start(command: &Command, columns: u16, lines: u16) -> Terminal {
        let size = PtySize { rows: lines, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let mut inside = CommandBuilder::new(command.get_program());
        inside.args(command.get_args());
        inside.env("TERM", "xterm-256color");
        for (name, value) in command.get_envs() {
            inside.env(name, value.unwrap_or_default());
        }
        let child = pair.slave.spawn_command(inside).expect("it starts");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(lines, columns, 0)));
        let (mut output, drawn) = (pair.master.try_clone_reader().expect("readable"), screen.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error is the end of the command.
            while let Ok(read) = output.read(&mut bytes).map(|read| &bytes[..read])
                && !read.is_empty()
            {
                drawn.lock().expect("no panic").process(read);
            }
        });
        let keys = pair.master.take_writer().expect("writable");
        Terminal { child, keys, screen, _master: pair.master }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("written");
    }

    /// The screen, once it has this text.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// The screen, once it is as wanted.
    pub fn wait_until(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen.lock().expect("no panic").screen().contents();
            if is_there(&screen) {
                return screen;
            }
            assert!(begun.elapsed() < PATIENCE, "never: {what}:\n{screen}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Whether the command ends well, and leaves the screen as it was.
    pub fn ends(mut self) -> bool {
        let code = self.child.wait().expect("it ends").exit_code();
        let is_left = || !self.screen.lock().expect("no panic").screen().alternate_screen();
        self.wait_until("the first screen", |_| is_left());
        code == 0
    }
}
