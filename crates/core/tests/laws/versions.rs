//! Containers of different releases on one stream: a memory with words that this release does not know, and a memory
//! without words that this release would have written.

use crate::strategies::{fixture, raised};
use proptest::prelude::*;
use unthrottle_core::memory::{Memory, TAG};

/// Words of a release to come, and what they take in the tag.
const NEWER: &str = " zeal=3/1 hue=7";

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn words_of_a_newer_release_change_no_decision_and_are_kept(fixture in prop_oneof![fixture(), raised()]) {
        let Some(text) = fixture.observation.tags.get(TAG).cloned() else { return Ok(()) };
        let (known, newer) = (fixture.decide(), fixture.tag(TAG, &format!("{text}{NEWER}")).decide());
        prop_assert_eq!(&known.verdict, &newer.verdict);
        if let Some(Ok(text)) = newer.memory.as_ref().map(Memory::encode) {
            prop_assert!(text.ends_with(NEWER), "{text}");
        }
        let without = |memory: Option<Memory>| memory.map(|memory| Memory { newer: vec![], ..memory });
        prop_assert_eq!(without(known.memory), without(newer.memory));
    }

    #[test]
    fn a_memory_without_some_of_its_words_is_read(
        fixture in prop_oneof![fixture(), raised()],
        kept in proptest::collection::vec(any::<bool>(), 24),
    ) {
        let Some(text) = fixture.observation.tags.get(TAG).cloned() else { return Ok(()) };
        let is_kept = |(n, _): &(usize, &str)| *n < 2 || kept.get(*n).copied().unwrap_or_default();
        let words = text.split(' ').enumerate().filter(is_kept).map(|(_, word)| word).collect::<Vec<_>>().join(" ");
        let decision = fixture.tag(TAG, &words).decide();
        prop_assert_ne!(decision.verdict.code(), "bad_memory", "{}", words);
        if let Some(memory) = &decision.memory {
            let encoded = memory.encode().expect("fits");
            prop_assert_eq!(&Memory::parse(&encoded).map(|again| again.change), &Ok(memory.change.clone()));
        }
    }
}
