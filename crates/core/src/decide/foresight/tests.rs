use super::forecast::{Expected, forecast};
use super::profile::{Profile, profile};
use super::trend::is_rising;
use crate::decision::ExpectedBy;
use crate::observation::Minute;

/// Thirty minutes of a load that begins with `from` and gains `a_minute` in each; full shards.
fn line(from: f64, a_minute: f64) -> Vec<f64> {
    (0..30).map(|minute| from + a_minute * f64::from(minute)).collect()
}

/// The same number of minutes with a saw of this height.
fn noisy(loads: &[f64], height: f64) -> Vec<f64> {
    loads.iter().enumerate().map(|(n, load)| load + if n % 2 == 0 { height } else { -height }).collect()
}

/// What is expected of a stream of four shards, without earlier days: why, the load in 20 minutes, and the load that it
/// gets shards for.
#[track_caller]
fn expects(loads: &[f64], expected: Option<(ExpectedBy, f64, f64)>) {
    let round = |load: f64| (100.0 * load).round() / 100.0;
    let found = forecast(loads, 4.0, 2, None).map(|e| (e.by, round(e.full_shards), round(e.to_carry)));
    assert_eq!(found, expected);
}

/// Makes a test of each row.
macro_rules! rows {
    ($($name:ident: $loads:expr => $expected:expr;)+) => {
        $(
            #[test]
            fn $name() {
                expects(&$loads, $expected);
            }
        )+
    };
}

rows! {
    a_calm_load_expects_nothing: line(2.0, 0.0) => None;
    a_steady_rise_that_fills_the_shards_soon_is_a_trend:
        line(2.6, 0.022) => Some((ExpectedBy::Trend, 3.72, 4.6));
    noise_does_not_hide_a_rise: noisy(&line(2.6, 0.022), 0.05) => Some((ExpectedBy::Trend, 3.71, 4.58));
    a_jump_is_no_trend: [line(2.0, 0.0)[..15].to_vec(), line(3.0, 0.0)[..15].to_vec()].concat() => None;
    a_fall_is_no_trend: line(3.0, -0.02) => None;
    a_noisy_load_is_no_trend: noisy(&line(2.8, 0.0), 0.3) => None;
    a_rise_of_a_load_that_fits_long_is_left_alone: line(1.0, 0.01) => None;
    a_trend_needs_thirty_minutes: line(2.0, 0.035)[5..] => None;
    a_minute_without_data_is_no_trend: [vec![0.0], line(2.6, 0.022)[1..].to_vec()].concat() => None;
    ten_high_minutes_are_a_level: line(3.2, 0.0) => Some((ExpectedBy::Level, 3.2, 3.2));
    nine_high_minutes_are_no_level: [line(3.0, 0.0)[..21].to_vec(), line(3.2, 0.0)[..9].to_vec()].concat() => None;
    a_load_at_the_target_utilization_is_no_level: line(3.0, 0.0) => None;
    an_idle_stream_expects_nothing: [0.0; 30] => None;
    no_minutes_expect_nothing: [] => None;
}

#[test]
fn a_rising_load_waits_for_its_trend_and_gets_no_level() {
    let loads = line(3.12, 0.006);
    assert!(is_rising(&loads));
    assert_eq!(forecast(&loads, 4.0, 2, None).map(|expected| expected.by), None);
}

const DAY: i64 = 24 * 60;

fn newest() -> Minute {
    Minute::of(chrono::DateTime::UNIX_EPOCH).plus(30_000_000)
}

/// Earlier days: each day ago that is known, with its load until now and its load from now on.
fn days(known: &[(i64, f64, f64)]) -> impl Fn(Minute) -> Option<f64> {
    let known = known.to_vec();
    move |minute| {
        let is_of = |(ago, ..): &&(i64, f64, f64)| {
            (-60..=180).contains(&((minute.start() - newest().plus(-DAY * ago).start()).num_minutes()))
        };
        let (ago, before, after) = known.iter().find(is_of)?;
        Some(if minute <= newest().plus(-DAY * ago) { *before } else { *after })
    }
}

/// What these earlier days lead to expect, where today's load is 2 full shards of four: the load, and the days ago.
fn expected_of(known: &[(i64, f64, f64)]) -> Option<(f64, Vec<i64>)> {
    let profile = profile(newest(), newest().plus(2), 2.0, 4.0, days(known));
    profile.as_ref().and_then(|profile| profile.expected(4.0)).map(|e| (e.full_shards, e.days))
}

#[test]
fn what_earlier_days_needed_is_expected_where_they_resemble_today() {
    for (known, expected) in [
        // Yesterday alone.
        (vec![(1, 2.0, 5.0)], Some((5.0, vec![1]))),
        // A day that had half of today's load is another kind of day.
        (vec![(1, 1.0, 5.0)], None),
        // A day that had a little more counts by as much less.
        (vec![(1, 2.5, 5.0)], Some((4.0, vec![1]))),
        // Both of the last days must have needed it.
        (vec![(1, 2.0, 5.0), (2, 2.0, 2.0)], None),
        (vec![(1, 2.0, 5.0), (2, 2.0, 4.0)], Some((4.0, vec![1, 2]))),
        // A day of another kind is no evidence against it.
        (vec![(1, 2.0, 5.0), (2, 1.0, 1.0)], Some((5.0, vec![1]))),
        // The same weekday comes first.
        (vec![(1, 2.0, 2.0), (7, 2.0, 5.0)], Some((5.0, vec![7]))),
        (vec![(1, 2.0, 5.0), (7, 2.0, 2.0)], None),
        (vec![(7, 2.0, 5.0), (14, 2.0, 2.0)], None),
        // A weekday that was another kind of day says nothing.
        (vec![(1, 2.0, 5.0), (7, 0.5, 1.0)], Some((5.0, vec![1]))),
        // Nothing is known.
        (vec![], None),
        (vec![(3, 2.0, 5.0)], None),
    ] {
        assert_eq!(expected_of(&known), expected, "{known:?}");
    }
}

#[test]
fn a_day_of_which_less_than_half_is_known_is_unknown() {
    let all = days(&[(1, 2.0, 5.0)]);
    let gaps = |minute: Minute| all(minute).filter(|_| minute <= newest().plus(-DAY));
    assert_eq!(profile(newest(), newest(), 2.0, 4.0, gaps), None);
}

#[test]
fn days_that_resemble_today_know_more_than_a_trend() {
    let rising = line(2.6, 0.022);
    let calm = profile(newest(), newest(), 3.0, 4.0, days(&[(1, 3.0, 3.0)])).expect("a day like today");
    assert_eq!(forecast(&rising, 4.0, 2, Some(&calm)), None);
    let busy = profile(newest(), newest(), 3.0, 4.0, days(&[(1, 3.0, 3.9)])).expect("a day like today");
    let Some(Expected { by, full_shards, to_carry, .. }) = forecast(&rising, 4.0, 2, Some(&busy)) else {
        panic!("yesterday needed it")
    };
    assert_eq!((by, full_shards, to_carry), (ExpectedBy::Profile, 3.9, 3.9));
}

#[test]
fn a_level_gets_the_shards_that_the_next_hours_of_earlier_days_needed() {
    let level = line(3.2, 0.0);
    let busy: Profile = profile(newest(), newest(), 3.2, 4.0, days(&[(1, 3.2, 3.6)])).expect("a day like today");
    let found = forecast(&level, 4.0, 2, Some(&busy)).map(|e| (e.by, (10.0 * e.to_carry).round()));
    assert_eq!(found, Some((ExpectedBy::Level, 36.0)));
}
