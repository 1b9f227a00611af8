//! `unthrottle config`, and the settings of the command line: the environment, then the file `unthrottle.toml`.

mod file;
mod show;

use crate::CliError;
pub(super) use file::VARIABLE;
use file::{Aws, File};
#[cfg(feature = "schema")]
pub(super) use show::Settings;
use std::sync::OnceLock;
use unthrottle::settings;
use unthrottle_core::policy::Policy;

pub(super) const ABOUT: &str = "\
Show the settings of the command line, and where each comes from.

A setting comes from the environment, else from the file unthrottle.toml, else
it has its default. The first of these files is read, and no other:

  the path in UNTHROTTLE_CONFIG
  unthrottle.toml in the current folder
  unthrottle/unthrottle.toml in the folder for settings of the user, such as
  ~/.config

An example of the file:

  [aws]
  profile = \"staging\"
  region = \"eu-central-1\"

  [settings]
  UNTHROTTLE_MODE = \"observe\"
  UNTHROTTLE_MAX_SHARDS = 40

The options --profile, --region and --endpoint-url come before all of them. The
deployed function does not read the file.";

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List every setting with its value and its origin
    #[command(after_help = "Example:\n  unthrottle config show")]
    Show {
        /// Print the settings as JSON
        #[arg(long)]
        json: bool,
    },
}

/// The file of this process. It is read once, before any command runs.
static FILE: OnceLock<File> = OnceLock::new();

/// Reads the file for this process.
///
/// # Errors
/// The file cannot be read, is not TOML, or has a name or a value that cannot be used.
pub(super) fn load() -> Result<(), CliError> {
    let file = file::find()?;
    FILE.get_or_init(|| file);
    Ok(())
}

/// The file. Without one, it is empty.
fn file() -> &'static File {
    FILE.get_or_init(File::default)
}

/// The value of a variable: that of the environment, else that of the file.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).or_else(|| file().settings.get(name).cloned())
}

/// The policy of this process.
///
/// # Errors
/// The first setting that cannot be used.
pub(super) fn policy() -> Result<Policy, CliError> {
    Ok(settings::read_with(variable)?)
}

/// What the file says of the AWS account, where the environment says nothing.
pub(super) fn aws() -> Aws {
    let unless = |names: &[&str], value: &Option<String>| value.clone().filter(|_| is_unset(names));
    let Aws { profile, region, endpoint_url } = &file().aws;
    Aws {
        profile: unless(PROFILE, profile),
        region: unless(REGION, region),
        endpoint_url: unless(ENDPOINT_URL, endpoint_url),
    }
}

/// The variables of AWS for the same.
const PROFILE: &[&str] = &["AWS_PROFILE"];
const REGION: &[&str] = &["AWS_REGION", "AWS_DEFAULT_REGION"];
const ENDPOINT_URL: &[&str] = &["AWS_ENDPOINT_URL"];

fn is_unset(names: &[&str]) -> bool {
    names.iter().all(|name| std::env::var_os(name).is_none_or(|value| value.is_empty()))
}

pub(super) fn run(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Show { json } => show::run(file(), json),
    }
}
