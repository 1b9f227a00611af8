//! `unthrottle completions`: a script that lets a shell complete commands and options.

use crate::CliError;
use clap_complete::Shell;
use std::io::Write as _;

pub(super) const ABOUT: &str = "\
Print the script that lets a shell complete commands, options and their values.

  bash   unthrottle completions bash > ~/.local/share/bash-completion/completions/unthrottle
  zsh    unthrottle completions zsh > ~/.zfunc/_unthrottle, with ~/.zfunc in fpath
  fish   unthrottle completions fish > ~/.config/fish/completions/unthrottle.fish";

#[derive(clap::Args)]
pub(super) struct Args {
    /// The shell: bash, zsh, fish, elvish or powershell
    shell: Shell,
}

pub(super) fn run(args: &Args, mut command: clap::Command) -> Result<(), CliError> {
    let name = command.get_name().to_owned();
    // Into memory first: the generator ends the process where a pipe is closed.
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    Ok(std::io::stdout().write_all(&script)?)
}
