//! A container of an older release, as while a deployment is under way: words of the memory that it does not know.
//!
//! The words are those that the code has got since its memory first had the format `v=1`. An older release keeps a
//! word that it does not know as it is, and neither uses it nor writes it.

/// Words that the older release does not know.
const NEWER: [&str; 9] = ["readers", "downs", "told-before", "tries", "aheads", "levels", "fore", "plan", "early"];

/// Marks a word whose key no release knows.
const UNKNOWN: &str = "x-";

/// A memory as the older release understands it: what is newer is unknown.
pub(super) fn read(text: &str) -> String {
    words(text, |word| if is_newer(word) { Some(format!("{UNKNOWN}{word}")) } else { Some(word.to_owned()) })
}

/// A memory as the older release writes it: what it does not know stays, and it writes no newer word of its own.
pub(super) fn written(text: &str) -> String {
    words(text, |word| match word.strip_prefix(UNKNOWN) {
        Some(kept) => Some(kept.to_owned()),
        None => (!is_newer(word)).then(|| word.to_owned()),
    })
}

fn is_newer(word: &str) -> bool {
    word.split_once('=').is_some_and(|(key, _)| NEWER.contains(&key))
}

fn words(text: &str, change: impl Fn(&str) -> Option<String>) -> String {
    text.split_whitespace().filter_map(change).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use unthrottle_core::memory::Memory;

    const TEXT: &str = "v=1 change=scale/2/4/20261120T170440Z done=30 scales=0 tries=3 early=1";

    #[test]
    fn an_older_release_keeps_what_it_does_not_know_and_does_not_use_it() {
        let memory = Memory::parse(&read(TEXT)).expect("readable");
        assert_eq!((memory.tries, memory.early_restores), (None, 0));
        assert_eq!(written(&memory.encode().expect("fits")), TEXT);
    }

    #[test]
    fn an_older_release_writes_no_newer_word() {
        assert_eq!(written(TEXT), "v=1 change=scale/2/4/20261120T170440Z done=30 scales=0");
    }
}
