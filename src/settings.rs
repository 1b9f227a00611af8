//! The settings of this process: its environment, and the file of prices that the environment names.

use std::path::PathBuf;
use unthrottle_core::RELEASE;
use unthrottle_core::cost::{Prices, PricesError};
use unthrottle_core::policy::{InvalidSetting, Policy, UnknownName, unknown_settings};

/// The variable with the path of a file of prices, in the form of `infra/prices.json`. An operator sets it for another
/// region, or for negotiated prices.
const PRICES_FILE: &str = "UNTHROTTLE_PRICES_FILE";

/// The variable with the release of the stack that runs this process. The stack's template sets it.
const RELEASE_OF_STACK: &str = "UNTHROTTLE_VERSION";

/// Settings that cannot be used. The process called nothing and changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The value of a variable cannot be used.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// The file of prices cannot be read.
    #[error(
        "{PRICES_FILE}={}: the file cannot be read: {source}. Correct the path, or unset the variable for the built-in \
         prices",
        path.display()
    )]
    File {
        /// The path of the file.
        path: PathBuf,
        /// Why the file cannot be read.
        source: std::io::Error,
    },
    /// The file of prices has a price that cannot be used.
    #[error("{PRICES_FILE}={}: {source}. Give the file the form of infra/prices.json", path.display())]
    Prices {
        /// The path of the file.
        path: PathBuf,
        /// The price, and what is wrong with it.
        source: PricesError,
    },
}

/// Reads the policy of this process.
///
/// # Errors
/// The first variable that cannot be used, or the file of prices.
pub fn read() -> Result<Policy, SettingsError> {
    read_with(|name| std::env::var(name).ok())
}

/// Reads the policy with `get`, for a program that has its settings elsewhere, too.
///
/// # Errors
/// The first variable that cannot be used, or the file of prices.
pub fn read_with(get: impl Fn(&str) -> Option<String>) -> Result<Policy, SettingsError> {
    let mut policy = Policy::from_env(&get)?;
    if let Some(path) = get(PRICES_FILE).filter(|path| !path.is_empty()).map(PathBuf::from) {
        let text =
            std::fs::read_to_string(&path).map_err(|source| SettingsError::File { path: path.clone(), source })?;
        policy.prices = Prices::parse(&text).map_err(|source| SettingsError::Prices { path, source })?;
    }
    Ok(policy)
}

/// The variables of this process that look like a setting and are none. They change nothing, so a typing error in a
/// limit would be no limit: the start of a process reports them.
pub fn unknown() -> Vec<UnknownName> {
    unknown_in(std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()))
}

/// The names among these that look like a setting and are none.
pub fn unknown_in(names: impl IntoIterator<Item = String>) -> Vec<UnknownName> {
    unknown_settings(names, &[PRICES_FILE, RELEASE_OF_STACK])
}

/// The release of the stack, if it differs from the release of this binary. An older stack may lack a right or a
/// setting that this binary needs.
pub fn other_release_of_stack() -> Option<String> {
    std::env::var(RELEASE_OF_STACK).ok().filter(|stack| !stack.is_empty() && stack != RELEASE)
}
