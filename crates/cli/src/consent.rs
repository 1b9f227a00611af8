//! The consent of a person before a command changes something.

use crate::CliError;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

/// The option that gives the consent in advance.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct Consent {
    #[arg(long, help = "Do it without a question. Without a terminal and without this option, nothing is changed")]
    yes: bool,
}

impl Consent {
    /// Whether it was given in advance.
    pub fn is_given(self) -> bool {
        self.yes
    }

    /// Whether it was given, or a person can be asked for it.
    pub fn is_possible(self) -> bool {
        self.yes || (io::stdin().is_terminal() && io::stderr().is_terminal())
    }

    /// Asks for it on a terminal, after the command has shown what it would do.
    ///
    /// # Errors
    /// Bad usage without a terminal, where no person can answer. Not done if the answer is no.
    pub fn ask(self, question: &str) -> Result<(), CliError> {
        if self.yes {
            return Ok(());
        }
        let (mut err, input) = (io::stderr(), io::stdin());
        if !self.is_possible() {
            return Err(CliError::Usage("nothing was changed. To do this without a terminal, give --yes".into()));
        }
        write!(err, "{question} [y/N] ")?;
        err.flush()?;
        let mut answer = String::new();
        input.lock().read_line(&mut answer)?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(CliError::Partly("nothing was changed: the answer was not yes".into())),
        }
    }
}
