//! The checks that a person wants.

use super::read::Asked;
use crate::CliError;
use crate::nearest::nearest;
use std::collections::{BTreeMap, BTreeSet};
use unthrottle_core::checks::{CHECKS, Check, find};
use unthrottle_core::policy::DOCTOR_SKIP_TAG;

#[derive(clap::Args)]
pub(super) struct Choice {
    /// Make only these checks: codes, with commas between them
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    only: Vec<String>,
    /// Leave these checks out
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    skip: Vec<String>,
}

/// The checks that a person wants, by code.
pub(super) struct Selection(BTreeSet<&'static str>);

impl Selection {
    /// # Errors
    /// Bad usage if a code is unknown, or if no check is left.
    pub fn of(args: &Choice, asked: &Asked) -> Result<Selection, CliError> {
        let (only, skip) = (codes(&args.only)?, codes(&args.skip)?);
        let options = [("kms-rights", asked.role.is_some()), ("kcl", asked.kcl.is_some())];
        let is_asked = |code: &str| options.iter().all(|(of, is_given)| *of != code || *is_given);
        if let Some(check) = only.iter().filter_map(|code| find(code)).find(|check| !is_asked(check.code)) {
            let option = check.option.unwrap_or_default();
            return Err(CliError::Usage(format!("the check {} needs {option}", check.code)));
        }
        let all = CHECKS.iter().map(|check| check.code).filter(|code| is_asked(code));
        let wanted: BTreeSet<_> = all.filter(|code| only.is_empty() || only.contains(code)).collect();
        let wanted: BTreeSet<_> = wanted.difference(&skip).copied().collect();
        if wanted.is_empty() {
            return Err(CliError::Usage("--only and --skip leave no check".into()));
        }
        Ok(Selection(wanted))
    }

    /// Whether a stream may have the check with this code.
    pub fn has(&self, code: &str) -> bool {
        self.0.contains(code)
    }

    /// Whether to make the check for a stream with these tags. The tag may name unknown codes: the check `unthrottle`
    /// reports them.
    pub fn wants(&self, check: &Check, tags: Option<&BTreeMap<String, String>>) -> bool {
        let skipped = tags.and_then(|tags| tags.get(DOCTOR_SKIP_TAG)).map(String::as_str).unwrap_or_default();
        self.0.contains(check.code) && !skipped.split_whitespace().any(|code| code == check.code)
    }
}

fn codes(given: &[String]) -> Result<BTreeSet<&'static str>, CliError> {
    given.iter().map(|text| find(text.trim()).map(|check| check.code).ok_or_else(|| unknown(text))).collect()
}

fn unknown(text: &str) -> CliError {
    let codes: Vec<&str> = CHECKS.iter().map(|check| check.code).collect();
    let nearest = nearest(text, codes.iter().copied()).join(", ");
    let codes = codes.join(", ");
    CliError::Usage(format!("`{text}` is not the code of a check. The nearest: {nearest}. The codes: {codes}"))
}
