//! A change is followed by the next one once its effect is known, or once the least load is known to need more.

use crate::common::{Fixture, settled};
use crate::strategies::fixture;
use proptest::prelude::*;
use unthrottle_core::decision::{Remedy, Verdict};
use unthrottle_core::memory::Memory;

/// A stream whose last change has no evidence waits, or gets more shards, because the least that its load can be
/// already fills those that it has.
pub fn waits_or_is_certain(fixture: &Fixture) -> Result<(), TestCaseError> {
    let decision = fixture.decide();
    match &decision.verdict {
        Verdict::Act(Remedy::ScaleShards { from, to, .. }) => {
            let evidence = &decision.evidence;
            let (Some(records), Some(bytes)) = (evidence.load_records_per_second, evidence.load_bytes_per_second)
            else {
                return Err(TestCaseError::fail("no load"));
            };
            let full = (records / 1000.0).max(bytes / 1_048_576.0);
            prop_assert!(evidence.tries.is_some() && full > f64::from(*from) - 1e-6 && *to <= 2 * from, "{evidence:?}");
        }
        verdict => prop_assert_eq!(verdict.code(), "settling"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_that_settles_is_never_changed_unless_its_load_surely_fills_its_shards(
        fixture in fixture(),
        ago in 0i64..60,
        from in 1u32..50,
        tries in proptest::option::of(1u32..=64),
    ) {
        let shards = fixture.open_shards();
        let memory = Memory { tries, ..settled(from.min(shards), shards, ago + 30, 30) };
        waits_or_is_certain(&fixture.memory(&memory))?;
    }
}
