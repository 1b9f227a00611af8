//! `unthrottle man`: the manual pages.

use crate::{CliError, files};
use clap::Command;
use clap_mangen::Man;
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub(super) const ABOUT: &str = "\
Print the manual page of unthrottle, or write the pages of all commands.

  unthrottle man | man -l -
  unthrottle man ~/.local/share/man/man1";

#[derive(clap::Args)]
pub(super) struct Args {
    /// Write the pages of all commands into this folder, such as .../share/man/man1. It is created if it is not there
    folder: Option<PathBuf>,
}

pub(super) fn run(args: &Args, mut command: Command) -> Result<(), CliError> {
    command.build();
    match &args.folder {
        None => Ok(std::io::stdout().write_all(&page(command, "unthrottle".into())?)?),
        Some(folder) => {
            files::create_folder(folder)?;
            write_all(folder, &command, "unthrottle")
        }
    }
}

/// Writes the page of a command, and those of its commands.
fn write_all(folder: &Path, command: &Command, name: &str) -> Result<(), CliError> {
    let page = String::from_utf8(page(command.clone(), name.to_owned())?).map_err(std::io::Error::other)?;
    files::write(&folder.join(format!("{name}.1")), &page)?;
    for part in command.get_subcommands().filter(|part| part.get_name() != "help") {
        write_all(folder, part, &format!("{name}-{}", part.get_name()))?;
    }
    Ok(())
}

fn page(command: Command, name: String) -> Result<Vec<u8>, CliError> {
    let mut page = vec![];
    Man::new(command.display_name(name)).manual("unthrottle").render(&mut page)?;
    Ok(page)
}
