//! Files of a past: right ones, wrong ones, and ones that no person would write.

use super::*;
use proptest::prelude::*;

fn wrong(text: &str) -> (u64, String) {
    match rows(text.as_bytes()) {
        Err(Problem { line, problem }) => (line, problem),
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_kinds_of_time_are_read_with_a_header_and_without() {
    let text = "timestamp,incoming_bytes,incoming_records,write_throttled\n\
                2026-11-20T13:04:00Z,1000,2,0\n2026-11-20T15:05:59+02:00, 2000 , 4,1.5\n";
    let known = rows(text.as_bytes()).expect("right").sums;
    let passed: Vec<Passed> = known.values().copied().collect();
    assert_eq!(passed[1], Passed { bytes: 2000.0, records: 4.0, throttled: 1.5 });
    let minutes: Vec<String> = known.keys().map(|minute| name(*minute)).collect();
    assert_eq!(minutes, ["2026-11-20T13:04Z", "2026-11-20T13:05Z"]);
    let seconds = rows(b"1795179840,1000,2,0\n").expect("right").sums;
    assert_eq!(seconds.keys().next(), known.keys().next());
}

#[test]
fn a_bad_row_is_an_error_with_its_line_and_what_would_be_right() {
    let right = "1795179840,1000,2,0\n";
    for (text, line, says) in [
        ("time,bytes,records,throttled\n", 1, "must be `timestamp,incoming_bytes"),
        ("timestamp,incoming_bytes,incoming_records\n", 1, "must be `timestamp"),
        ("1795179840,1000,2\n", 1, "3 columns"),
        ("1795179840,1000,2,0,\n", 1, "5 columns"),
        ("1795179840,-1,2,0\n", 1, "incoming_bytes is `-1`"),
        ("1795179840,1000,many,0\n", 1, "incoming_records is `many`"),
        ("1795179840,1000,2,NaN\n", 1, "write_throttled is `NaN`"),
        ("1795179840,1000,0,0\n", 1, "bytes without records"),
        ("1795179840,2,1000,0\n", 1, "swapped"),
        ("1795179840,99999999999,2,0\n", 1, "at most 10 MiB"),
        ("1795179840000,1000,2,0\n", 1, "milliseconds"),
        ("2026-11-20 13:04,1000,2,0\n", 1, "must be as 2026-11-20T13:04:00Z"),
        ("-5,1000,2,0\n", 1, "timestamp is `-5`"),
        (&format!("{right}\n{right}"), 3, "2026-11-20T13:04Z is there twice"),
        (&format!("{right}1795179839,1000,2,0\n"), 2, "stands after"),
        (&format!("{right}1895179840,1000,2,0\n"), 2, "more than 366 days"),
        (&format!("{right}timestamp,incoming_bytes,incoming_records,write_throttled\n"), 2, "timestamp is `timestamp`"),
    ] {
        let (at, problem) = wrong(text);
        assert_eq!(at, line, "{text:?}: {problem}");
        assert!(problem.contains(says), "{text:?}: {problem}");
    }
    assert!(matches!(rows(b"1795179840,1000,2,\xff\n"), Err(Problem { line: 1, .. })));
}

/// Times of rows, far away from each other and near, and numbers that no stream has.
fn hostile_rows() -> impl Strategy<Value = String> {
    let time = prop_oneof![
        4 => (0..4_000_i64).prop_map(|minute| (1_795_179_840 + 60 * minute).to_string()),
        1 => any::<i64>().prop_map(|seconds| seconds.to_string()),
        1 => "[0-9T:Z+. -]{0,25}",
    ];
    let number = || {
        prop_oneof![
            4 => (0..1_000_000_u32).prop_map(|number| number.to_string()),
            1 => any::<f64>().prop_map(|number| number.to_string()),
            1 => proptest::sample::select(vec!["1e30", "1e9", "-1", "NaN", "inf", "1e308", "", "0", "6e8", "1e-300"])
                .prop_map(str::to_owned),
        ]
    };
    let row = (time, number(), number(), number()).prop_map(|(time, a, b, c)| format!("{time},{a},{b},{c}"));
    let rows = proptest::collection::vec(row, 0..12);
    (rows, any::<bool>()).prop_map(|(mut rows, is_sorted)| {
        if is_sorted {
            rows.sort();
        }
        rows.join("\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No sum, no number of shards and no number of minutes is beyond what AWS can take.
    #[test]
    fn a_hostile_file_is_an_error_with_its_line_or_a_bounded_past(
        text in hostile_rows(),
        period in proptest::option::of(proptest::sample::select(vec![1_u32, 5, 60])),
    ) {
        match past(text.as_bytes(), period) {
            Err(Problem { line, problem }) => {
                prop_assert!((1..=1 + text.lines().count() as u64).contains(&line), "{line}: {problem}");
                prop_assert!(!problem.is_empty());
            }
            Ok(FilePast { history, period, .. }) => {
                prop_assert!(history.minutes().iter().all(|minute| minute.impossible().is_none()));
                prop_assert!(history.minutes().len() as i64 <= (MOST_DAYS + 1) * 24 * 60);
                prop_assert!((1..=10_000).contains(&history.fewest_shards()));
                prop_assert!(history.known() >= period.minutes as usize);
            }
        }
    }
}
