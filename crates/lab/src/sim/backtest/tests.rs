use super::*;
use std::collections::BTreeMap;
use unthrottle_core::observation::Minute;

fn minute(records: f64, throttled: f64) -> Passed {
    Passed { bytes: 500.0 * records, records, throttled }
}

fn history(minutes: impl IntoIterator<Item = Passed>) -> History {
    let first = Minute::of(crate::sim::time(0));
    let known: BTreeMap<Minute, Passed> = (0..).map(|n| first.plus(n)).zip(minutes).collect();
    History::of(first, first.plus(known.len() as i64), &known)
}

fn before(shards: u32) -> Before {
    Before { shards, mode: CapacityMode::Provisioned }
}

fn run(history: &History, shards: u32, who: &Backtested) -> Run {
    history.run(&before(shards), who, &Prices::default(), || ())
}

/// One hour of 3,000 records a second, one of 5,500 (four shards accept 4,000), and one without throttling.
fn step() -> History {
    let hour = |passed: Passed| std::iter::repeat_n(passed, 60);
    history(hour(minute(180_000.0, 0.0)).chain(hour(minute(240_000.0, 90_000.0))).chain(hour(minute(120_000.0, 0.0))))
}

#[test]
fn the_original_shards_accept_and_refuse_the_same_records() {
    let bursts = [(240_000.0, 90_000.0), (100_000.0, 7_000.0), (180_000.0, 0.0), (9_500.0, 40.0), (0.0, 0.0)];
    let history = history(bursts.map(|(records, throttled)| minute(records, throttled)));
    let run = run(&history, 4, &Backtested::AsItWas);
    for (slice, passed) in run.timeline.minutes().iter().zip(history.minutes()) {
        let is_near = |simulated: u64, real: f64| (simulated as f64 - real).abs() <= 0.002 * real + 8.0;
        assert!(is_near(slice.accepted, passed.records), "{slice:?} {passed:?}");
        assert!(is_near(slice.throttled, passed.throttled), "{slice:?} {passed:?}");
    }
}

#[test]
fn the_offered_load_is_a_range() {
    let Demand { at_least, at_most, busiest_at_least, busiest_at_most } = step().demand();
    assert_eq!((at_least, at_most), (60.0 * 540_000.0, 60.0 * 630_000.0));
    assert_eq!((busiest_at_least, busiest_at_most), (4_000.0, 5_500.0));
    assert_eq!(step().fewest_shards(), 4);
    assert_eq!((step().beyond(4), step().beyond(3)), (0, 60));
}

#[test]
fn unthrottle_stops_throttling_that_a_static_stream_keeps() {
    let history = step();
    let ours = run(&history, 4, &Backtested::ours(&Policy::default()));
    let unattended = run(&history, 4, &Backtested::AsItWas);
    assert!(unattended.score.throttled.abs_diff(60 * 90_000) < 60_000, "{:?}", unattended.score);
    assert!(ours.score.throttled < unattended.score.throttled / 4, "{:?}", ours.score);
    let hours = history.hours(&ours.timeline);
    assert_eq!(hours.iter().map(|hour| hour.number).collect::<Vec<_>>(), [1]);
    let change = hours[0].marks.iter().find(|mark| mark.change.is_some()).expect("a change");
    assert_eq!(change.code, "scale_shards");
    assert_eq!((hours[0].then, hours[0].now), (60.0 * 90_000.0, ours.score.throttled));
}

#[test]
fn only_the_restoring_policy_restores_a_raise() {
    let quiet = std::iter::repeat_n(minute(60_000.0, 0.0), 9 * 60);
    let history = history(step().minutes().iter().copied().chain(quiet));
    let policy = Policy::default();
    let codes = |who| {
        let run = run(&history, 4, &who);
        run.timeline.marks().iter().filter(|mark| mark.change.is_some()).map(|mark| mark.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(Backtested::ours(&policy)), ["scale_shards"]);
    assert_eq!(codes(Backtested::ours_restoring(&policy)), ["scale_shards", "restore"]);
}

#[test]
fn the_best_static_stream_refuses_nothing_and_one_shard_less_refuses_records() {
    let history = step();
    let best = history.shards_without_throttling(&before(4));
    assert_eq!(best, 6);
    assert_eq!(run(&history, 4, &Backtested::Static(best)).score.throttled, 0);
    assert!(run(&history, 4, &Backtested::Static(best - 1)).score.throttled > 0);
}

#[test]
fn on_demand_mode_is_billed_by_volume_and_the_others_by_shards() {
    let history = history(std::iter::repeat_n(minute(60_000.0, 0.0), 60));
    let usd = |who| run(&history, 2, &who).score.usd;
    let static_hour = 2.0 * 0.015 + 3.6 * 0.014;
    assert!((usd(Backtested::AsItWas) - static_hour).abs() < 1e-6, "{}", usd(Backtested::AsItWas));
    let gigabytes = 3.6e6 * 1024.0 / 1024_f64.powi(3);
    assert!((usd(Backtested::OnDemand) - (0.04 + 0.08 * gigabytes)).abs() < 1e-6);
}

#[test]
fn records_of_other_sizes_fill_a_shard_by_their_bytes() {
    let large = Passed { bytes: 60.0 * 1_048_576.0, records: 60.0 * 16.0, throttled: 320.0 };
    let history = history([minute(60_000.0, 0.0), large, minute(60_000.0, 0.0)]);
    let run = run(&history, 1, &Backtested::AsItWas);
    let taken: Vec<(u64, u64)> = run.timeline.minutes().iter().map(|m| (m.accepted, m.throttled)).collect();
    // A part of a record may be left over.
    assert!(matches!(taken[..], [(60_000, 0), (960, 319..=320), (60_000, 0)]), "{taken:?}");
}

#[test]
fn the_past_follows_the_shards_that_the_stream_had() {
    // Two shards are full for an hour. Then the stream has four, and the same load passes.
    let hours = std::iter::repeat_n(minute(120_000.0, 60_000.0), 60);
    let history = history(hours.chain(std::iter::repeat_n(minute(180_000.0, 0.0), 60)));
    let changed = history.clone().with_changes(vec![(history.first().plus(60), 4)]);
    assert_eq!((history.beyond(2), changed.beyond(2)), (60, 0));
    let past = run(&changed, 2, &Backtested::AsItWas);
    let shards: Vec<u32> = past.timeline.minutes().iter().map(|slice| slice.open_shards).collect();
    assert_eq!((shards[0], shards[59], shards[63], shards[119]), (2, 2, 4, 4));
    let simulated = past.score.throttled as f64;
    assert!((simulated / (60.0 * 60_000.0) - 1.0).abs() < 0.06, "{simulated}");
}
