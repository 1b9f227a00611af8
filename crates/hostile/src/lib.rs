//! What unthrottle must keep when its input is hostile. Each [`Target`] is the body of a fuzz target in `fuzz/`, and
//! `tests/corpus.rs` replays the committed inputs with it, without a nightly compiler.
//!
//! Two laws hold everywhere: no input causes a panic, and input that cannot be read changes nothing. A target panics
//! where a law is broken.

#[cfg(feature = "edges")]
mod answers;
mod events;
#[cfg(feature = "edges")]
mod files;
mod memory;
mod policy;
mod stream;
mod traffic;

/// One kind of input, and the laws for it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the fuzz target, and of the folder of its inputs.
    pub name: &'static str,
    /// Reads an input and checks the laws.
    ///
    /// # Panics
    /// A law is broken.
    pub check: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "events", check: events::check },
    Target { name: "memory", check: memory::check },
    Target { name: "policy", check: policy::check },
    Target { name: "traffic", check: traffic::check },
    #[cfg(feature = "edges")]
    Target { name: "answers", check: answers::check },
    #[cfg(feature = "edges")]
    Target { name: "csv", check: files::csv },
    #[cfg(feature = "edges")]
    Target { name: "export", check: files::export },
    #[cfg(feature = "edges")]
    Target { name: "documents", check: files::documents },
    #[cfg(feature = "edges")]
    Target { name: "yaml", check: files::yaml },
];

/// Runs the target of this name.
///
/// # Panics
/// A law is broken, or no target has this name.
pub fn check(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("no target `{name}`")).check)(input);
}
