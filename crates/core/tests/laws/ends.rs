//! Every hold of an observed stream names what would end it: a time, a condition, or what a person can do.

use crate::common::Fixture;
use crate::strategies::{fixture, raised};
use proptest::prelude::*;
use strum::VariantNames as _;
use unthrottle_core::decision::{Reason, Remedy, Verdict};

/// The codes of holds that the signal alone decides. They answer one event, so nothing has to end.
const OF_A_SIGNAL: [&str; 11] = [
    "not_a_throttle",
    "not_ours",
    "own_call",
    "access_denied",
    "kms_denied",
    "kms_throttled",
    "control_plane_throttled",
    "muted",
    "recovered",
    "just_looked",
    "stream_gone",
];

/// The words that name the end of a hold, by its code. A sentence has at least one of them.
const ENDS: [(&str, &[&str]); 37] = [
    ("not_ready", &["its status is "]),
    ("opted_out", &["UNTHROTTLE_MODE, UNTHROTTLE_SCOPE, tag unthrottle.mode"]),
    ("bad_policy_tag", &["until you correct or remove the tag"]),
    ("bad_memory", &["until you correct or remove the tag"]),
    ("resharding", &["The next signal checks again"]),
    ("settling", &["unthrottle waits for the minute"]),
    ("evidence_pending", &["signal checks again", "the next sweep looks again", "until about "]),
    ("healthy", &["no throttling in the newest published minutes", "healed: throttling has stopped"]),
    ("consumer_slow", &["Raise the retention now"]),
    ("readers_stopped", &["Restart the consumer"]),
    ("negligible", &["below the floor"]),
    ("unconfirmed", &["a change needs "]),
    ("refused_lately", &["The next attempt is not before "]),
    ("skew_suspected", &["Look for hot shards or keys", "To see hot shards, "]),
    ("hot_key", &["pread the key"]),
    ("split_budget_spent", &["plit it by hand"]),
    ("micro_burst", &["let producers spread their records"]),
    ("nothing_accepted", &["Look for an error"]),
    ("large_records", &["Split them, or keep the data in S3"]),
    ("at_max_shards", &["raise UNTHROTTLE_MAX_SHARDS"]),
    ("at_max_cost", &["raise UNTHROTTLE_MAX_HOURLY_COST"]),
    ("at_account_quota", &["Ask for a higher"]),
    ("reshard_budget_spent", &["Slow the producers", "reshard by hand"]),
    ("not_restorable", &["not restored: ", "does not switch it back: "]),
    ("not_planned", &["Correct the plan, and ask again"]),
    ("plan_not_reached", &["aise UNTHROTTLE_MAX_", "Ask for a higher", "reshard by hand"]),
    ("tug_of_war", &["let it ignore", "unthrottle.mode=off"]),
    ("fleet_limit", &["allow more", "The next sweep goes on", "check who writes to it"]),
    ("on_demand_adapting", &["takes up to 15 minutes"]),
    ("on_demand_ceiling", &["You can: ", "raise UNTHROTTLE_MAX_WARM_MIBPS", "ask AWS for", "use enhanced fan-out"]),
    ("reader_catching_up", &["works off a backlog and gains ground"]),
    ("too_many_readers", &["poll less often"]),
    ("uneven_reads", &["check each shard's iterator age"]),
    ("refused", &["unthrottle tries again"]),
    ("change_denied", &["unthrottle tries again"]),
    ("cannot_remember", &["Allow kinesis:TagResource"]),
    // What a hold says after a change that did not help is what its cause says.
    ("not_healed", &["still throttled after "]),
];

fn ends_of(code: &str) -> Option<&'static [&'static str]> {
    ENDS.iter().find(|(of, _)| *of == code).map(|(_, words)| *words)
}

fn names_its_end(fixture: &Fixture) -> Result<(), TestCaseError> {
    let decision = fixture.decide();
    let Verdict::Hold(reason) = &decision.verdict else { return Ok(()) };
    let sentence = fixture.sentence();
    let cause = if let Reason::NotHealed { why, .. } = reason { why } else { reason };
    let code = <&str>::from(cause);
    if !OF_A_SIGNAL.contains(&code) {
        let words = ends_of(code).ok_or_else(|| TestCaseError::fail(format!("{code}: {sentence}")))?;
        prop_assert!(words.iter().any(|words| sentence.contains(words)), "{code}: {sentence}");
    }
    if let Reason::RefusedLately { until } = reason {
        prop_assert!(*until > fixture.now, "the next attempt is over: {sentence}");
    }
    Ok(())
}

#[test]
fn each_hold_has_words_that_name_its_end() {
    for code in Reason::VARIANTS {
        assert!(OF_A_SIGNAL.contains(code) != ends_of(code).is_some(), "{code}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn every_hold_names_what_would_end_it(fixture in fixture()) {
        names_its_end(&fixture)?;
    }

    #[test]
    fn every_hold_of_a_raised_stream_names_what_would_end_it(fixture in raised()) {
        names_its_end(&fixture)?;
    }

    #[test]
    fn the_shards_of_a_sentence_are_those_of_the_change(fixture in fixture()) {
        if let Verdict::Act(Remedy::ScaleShards { from, to, .. }) = fixture.decide().verdict {
            let sentence = fixture.sentence();
            prop_assert!(sentence.contains(&format!("{from} → {to} shards")), "{sentence}");
        }
    }
}
