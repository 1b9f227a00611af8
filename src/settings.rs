//! The settings as a process finds them: its environment, and the file of prices that this names.

use std::path::PathBuf;
use unthrottle_core::cost::{Prices, PricesError};
use unthrottle_core::policy::{InvalidSetting, Policy};

/// The variable that names a file of prices, in the form of `infra/prices.json`: another region's, or your own.
const PRICES_FILE: &str = "UNTHROTTLE_PRICES_FILE";

/// Settings that cannot be used. Nothing was called.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A variable's value.
    #[error("{0}")]
    Setting(#[from] InvalidSetting),
    /// The file of prices cannot be read.
    #[error("{PRICES_FILE}={}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file of prices cannot be understood.
    #[error("{PRICES_FILE}={}: {source} (infra/prices.json has the form)", path.display())]
    Prices {
        /// The file.
        path: PathBuf,
        /// Which price, and why.
        source: PricesError,
    },
}

/// The policy of this process.
///
/// # Errors
/// The first variable or file that cannot be used.
pub fn read() -> Result<Policy, SettingsError> {
    let get = |name: &str| std::env::var(name).ok();
    let mut policy = Policy::from_env(get)?;
    if let Some(path) = get(PRICES_FILE).filter(|path| !path.is_empty()).map(PathBuf::from) {
        let text =
            std::fs::read_to_string(&path).map_err(|source| SettingsError::File { path: path.clone(), source })?;
        policy.prices = Prices::parse(&text).map_err(|source| SettingsError::Prices { path, source })?;
    }
    Ok(policy)
}
