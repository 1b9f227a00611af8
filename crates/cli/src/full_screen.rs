//! The whole screen of a terminal, for a command with a live view: how it is entered, drawn on, asked for keys, and left
//! on every way out.
//!
//! The screen is the terminal's alternate one, so everything that was on it before is there again afterwards. It is left
//! when it is dropped, and when the process panics. A caller must end on Ctrl-C, which is a key here, and on SIGTERM.

use crossterm::event::{Event, EventStream, KeyCode, KeyEventKind, KeyModifiers};
use futures_util::StreamExt as _;
use ratatui::{DefaultTerminal, Frame};
use std::io::{self, IsTerminal};

/// A terminal whose whole screen this process draws.
pub(crate) struct FullScreen {
    terminal: DefaultTerminal,
}

impl FullScreen {
    /// Whether a person can see a whole screen and press keys on it.
    pub fn is_possible() -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        !is_dumb && io::stdout().is_terminal() && io::stdin().is_terminal()
    }

    /// Enters the screen.
    ///
    /// # Errors
    /// The terminal refuses.
    pub fn enter() -> io::Result<FullScreen> {
        // It also adds a panic hook, which leaves the screen before the message of the panic is printed.
        let mut screen = FullScreen { terminal: ratatui::try_init()? };
        // Some terminals have no second screen, and show what was there.
        screen.terminal.clear()?;
        Ok(screen)
    }

    /// Draws the whole screen. Its size may have changed since the last call.
    ///
    /// # Errors
    /// The terminal cannot be written.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(render).map(drop)
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Ends when a person presses Ctrl-C or `q` on a screen that is entered. Without a readable keyboard it never ends.
pub(crate) async fn quit_key() {
    let mut events = EventStream::new();
    while let Some(Ok(event)) = events.next().await {
        let Event::Key(key) = event else { continue };
        let is_control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        if key.kind == KeyEventKind::Press && (is_control_c || key.code == KeyCode::Char('q')) {
            return;
        }
    }
    std::future::pending().await
}

#[cfg(test)]
#[path = "../tests/terminal/mod.rs"]
mod terminal;

#[cfg(test)]
mod tests {
    use super::terminal::Terminal;
    use super::*;
    use pty_process::blocking::Command;

    /// Set in the process that panics on a terminal.
    const PANICS: &str = "UNTHROTTLE_TEST_PANICS";

    #[test]
    fn a_panic_leaves_the_screen_and_is_readable() {
        if std::env::var_os(PANICS).is_some() {
            let mut screen = FullScreen::enter().expect("a terminal");
            screen.draw(|frame| frame.render_widget("the view", frame.area())).expect("it draws");
            panic!("the reason of the panic");
        }
        let this = std::env::current_exe().expect("this test");
        let name = "full_screen::tests::a_panic_leaves_the_screen_and_is_readable";
        let mut terminal = Terminal::start(Command::new(this).args(["--exact", name, "--nocapture"]).env(PANICS, "1"));
        terminal.wait_for("message", |screen| screen.contains("the reason of the panic"));
        assert!(!terminal.end().success());
        assert!(!terminal.is_whole() && terminal.has_cursor(), "{}", terminal.text());
        assert!(!terminal.text().contains("the view"), "{}", terminal.text());
    }
}
