#[cfg(feature = "cli")]
pub mod local;
