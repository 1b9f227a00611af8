//! No sentence contradicts its own numbers.

use crate::common::{Fixture, newest};
use crate::strategies::{fixture, raised};
use proptest::prelude::*;
use unthrottle_core::decision::{Decision, Evidence, Reason, Remedy, Verdict};
use unthrottle_core::observation::{CapacityMode, MinuteTraffic};
use unthrottle_core::signal::Undo;

/// The most words of a sentence, before the cost and the command that undoes the change.
const MOST_WORDS: usize = 60;

/// A whole number as a sentence writes it: `1,234`, `(8`, `10,`.
fn number(word: &str) -> Option<u64> {
    let digits: String = word.chars().filter(|c| !matches!(c, '(' | ')' | ',' | ';' | '.' | ':')).collect();
    digits.parse().ok()
}

/// The pairs of numbers in `3 of 8`, `3 of its 8` and `3 of the 8`.
fn parts_of_a_whole(sentence: &str) -> Vec<(u64, u64)> {
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let pair = |at: usize| {
        let whole = words.get(at + 1).filter(|word| !matches!(**word, "its" | "the")).or(words.get(at + 2))?;
        Some((number(words.get(at.checked_sub(1)?)?)?, number(whole)?))
    };
    words.iter().enumerate().filter(|(_, word)| **word == "of").filter_map(|(at, _)| pair(at)).collect()
}

/// The number of a sentence before ` %`, after these words.
fn share_said(sentence: &str, after: &str) -> Option<f64> {
    let (_, rest) = sentence.split_once(after)?;
    rest.split_once(" %")?.0.parse().ok()
}

/// Whether a sentence may say these per cent of a share, 0–1. Below one per cent it has two digits more.
fn is_said(percent: f64, share: f64) -> bool {
    (percent - 100.0 * share).abs() <= if percent < 1.0 { 0.0101 } else { 0.501 }
}

/// The capacity that a sentence compares the accepted load with, in full shards: what the shards that it names take, or
/// what a stream in on-demand mode takes.
fn capacity_said(fixture: &Fixture, sentence: &str) -> Option<f64> {
    let stream = fixture.observation.stream.as_ref()?;
    if let Some((_, shards)) = sentence.split_once("of what its ") {
        return number(shards.split(' ').next()?).map(|shards| shards as f64);
    }
    let is_on_demand = stream.mode == CapacityMode::OnDemand && sentence.contains(" of its capacity, despite");
    let warm = stream.warm_throughput.map_or(stream.open_shards, |warm| warm.current_mibps);
    is_on_demand.then_some(f64::from(warm))
}

fn throttled_minutes(fixture: &Fixture) -> impl Iterator<Item = MinuteTraffic> + Clone {
    let traffic = &fixture.observation.traffic;
    let minutes = (-60..=0).map(|ago| traffic.minute(newest().plus(ago)));
    minutes.filter(|minute| minute.write_throttled > 0.0)
}

/// The accepted load of a minute, in full shards. AWS charges a record of PutRecord in whole KiB.
fn accepted_shards(minute: &MinuteTraffic) -> f64 {
    let (single, count) = (minute.put_record_bytes, minute.put_record_count);
    let charged = if count > 0.0 { (single / count / 1024.0).ceil() * 1024.0 * count } else { 0.0 };
    let bytes = minute.incoming_bytes - single + charged;
    (bytes / 1_048_576.0).max(minute.incoming_records / 1000.0) / 60.0
}

/// What the sentence of any decision says of its evidence.
fn is_consistent(fixture: &Fixture, decision: &Decision) -> Result<(), TestCaseError> {
    let (sentence, evidence, open) = (fixture.sentence(), &decision.evidence, fixture.open_shards());
    for (part, whole) in parts_of_a_whole(&sentence) {
        prop_assert!(part <= whole, "{part} of {whole}: {sentence}");
    }
    let refuses = [evidence.write_throttled_records, evidence.read_throttled_calls].into_iter().flatten().sum::<f64>();
    if sentence.contains("not throttled") || sentence.contains("no throttling") {
        let before = sentence.contains(" refused (up to ") || sentence.contains("in the newest minutes");
        prop_assert!(refuses == 0.0 || before, "{refuses} refused: {sentence}");
    }
    if sentence.contains("no shard is busy") {
        prop_assert!(evidence.busy_shards.unwrap_or_default() == 0, "{:?} busy: {sentence}", evidence.busy_shards);
    }
    if sentence.contains("accepts no more than") {
        let accepted = evidence.accepted_utilization.expect("known");
        prop_assert!(accepted < 0.6, "it is full: {sentence}");
        let said = share_said(&sentence, "accepts no more than ").expect("a share");
        let capacity = capacity_said(fixture, &sentence).expect("a capacity");
        let shares = throttled_minutes(fixture).map(|minute| accepted_shards(&minute) / capacity);
        prop_assert!(shares.clone().any(|share| is_said(said, share)), "{:?}: {sentence}", shares.collect::<Vec<_>>());
    }
    if sentence.contains("below the floor") && !sentence.contains("the newest is below the floor") {
        let shares = [evidence.write_throttled_share, evidence.read_throttled_share].into_iter().flatten();
        prop_assert!(shares.fold(0.0, f64::max) < fixture.policy.floor, "{sentence}");
    }
    if sentence.contains("Aggregated") {
        prop_assert!(evidence.shards_needed_if_aggregated < evidence.shards_needed, "{sentence}");
    }
    match &decision.verdict {
        Verdict::Hold(Reason::MicroBurst | Reason::LargeRecords) => {
            let is_short = evidence.shards_needed > Some(open) && evidence.accepted_utilization >= Some(0.6);
            prop_assert!(!is_short, "it lacks shards: {sentence}");
        }
        Verdict::Act(Remedy::ScaleShards { to, partial, .. }) => {
            prop_assert!(evidence.shards_needed > Some(open), "it needs no more: {sentence}");
            prop_assert!(needs_what_it_says(evidence), "{evidence:?}: {sentence}");
            prop_assert_eq!(Some(*to) < evidence.shards_needed, partial.is_some(), "{}", &sentence);
            prop_assert_eq!(sentence.contains("a partial step"), partial.is_some(), "{}", &sentence);
        }
        Verdict::Hold(Reason::AtMaxShards { max }) => prop_assert!(*max <= open, "{sentence}"),
        Verdict::Hold(Reason::AtMaxCost { max, would_be }) => prop_assert!(would_be > max, "{sentence}"),
        _ => {}
    }
    Ok(())
}

/// Whether the shards are those that the load of the sentence needs at the target utilization, where nothing else is
/// what they are needed for. The load of readers, and one of unknown size, are other numbers.
fn needs_what_it_says(evidence: &Evidence) -> bool {
    let load = |without_retries: Option<f64>, offered: Option<f64>| without_retries.or(offered);
    let records = load(evidence.load_records_per_second, evidence.offered_records_per_second);
    let bytes = load(evidence.load_bytes_per_second, evidence.offered_bytes_per_second);
    let (Some(records), Some(bytes), None) = (records, bytes, evidence.shards_needed_for) else { return true };
    let target = evidence.target_utilization.expect("known");
    let needed = (records / 1000.0).max(bytes / 1_048_576.0) / target;
    (f64::from(evidence.shards_needed.unwrap_or_default()) - needed).abs() <= 1.0 + 1e-6
}

/// The words before the cost of the change and the command that undoes it. A sign such as an arrow is no word.
fn words(sentence: &str) -> usize {
    let end =
        [" About $", " To undo it: ", " It is undone by itself"].iter().filter_map(|end| sentence.find(end)).min();
    let text = &sentence[..end.unwrap_or(sentence.len())];
    text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn no_sentence_contradicts_its_own_numbers(fixture in fixture()) {
        is_consistent(&fixture, &fixture.decide())?;
    }

    #[test]
    fn no_sentence_of_a_restore_contradicts_its_own_numbers(
        raised in raised(),
        undo in proptest::option::of((proptest::option::of(1u32..50), any::<bool>())),
    ) {
        let by_hand = undo.map(|(to, force)| Undo { to, force });
        let fixture = if by_hand.is_some() { raised.asked_to(|ask| ask.undo = by_hand) } else { raised };
        let decision = fixture.decide();
        is_consistent(&fixture, &decision)?;
        let sentence = fixture.sentence();
        let Evidence { peak_shards_needed, peak_minute, .. } = decision.evidence;
        if let Verdict::Act(Remedy::Restore { from, to, .. }) = decision.verdict {
            prop_assert!(to < from && 2 * to >= from && to >= fixture.policy.min_shards, "{sentence}");
            let is_forced = by_hand.is_some_and(|undo| undo.force);
            prop_assert_eq!(sentence.contains("its load needs no more"), !is_forced, "{}", &sentence);
            prop_assert!(is_forced || peak_shards_needed.is_some_and(|needed| needed <= to), "{sentence}");
            prop_assert!(peak_minute.is_none_or(|minute| minute <= newest().start()));
        }
        if sentence.contains("needs all") {
            prop_assert!(peak_shards_needed >= Some(fixture.open_shards()), "{sentence}");
        }
    }

    #[test]
    fn no_sentence_has_more_words_than_a_person_reads_at_night(fixture in fixture()) {
        let sentence = fixture.sentence();
        let warnings =
            [" A reader is so far behind that", " In the last 15 minutes AWS refused", " Its readers stopped at"];
        let loss = warnings.iter().filter_map(|warning| sentence.find(warning)).min().unwrap_or(sentence.len());
        prop_assert!(words(&sentence[..loss]) <= MOST_WORDS, "{} words: {sentence}", words(&sentence));
    }
}
