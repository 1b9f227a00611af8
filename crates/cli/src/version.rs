//! What `unthrottle --version` says.

/// The version, the commit, and what this build can do. `build.rs` gives the commit and the features.
pub(super) const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit:   ",
    env!("UNTHROTTLE_BUILT_FROM"),
    "\nfeatures: ",
    env!("UNTHROTTLE_BUILT_WITH"),
    "\nbuild:    ",
    env!("UNTHROTTLE_BUILT_AS"),
);
