//! The whole terminal, for a command that draws on it: entered once, and left as it was, also after an error.

use crate::CliError;
use ratatui::DefaultTerminal;
use std::io::{self, IsTerminal};

/// The terminal while a command draws on all of it.
pub(crate) struct FullScreen(DefaultTerminal);

impl FullScreen {
    /// Checks that there is a terminal to draw on.
    ///
    /// # Errors
    /// Bad usage, with `instead`, if standard output or input is no terminal, or cannot draw.
    pub fn is_possible(instead: &str) -> Result<(), CliError> {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if is_dumb || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(CliError::Usage(format!("this needs a terminal that can draw: {instead}")));
        }
        Ok(())
    }

    /// Enters the alternate screen. A panic leaves it, too, before it is shown.
    ///
    /// # Errors
    /// An error of the terminal.
    pub fn enter() -> io::Result<FullScreen> {
        Ok(FullScreen(ratatui::try_init()?))
    }

    /// Draws a frame.
    pub fn draw(&mut self, render: impl FnOnce(&mut ratatui::Frame)) -> io::Result<()> {
        self.0.draw(render).map(|_| ())
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
