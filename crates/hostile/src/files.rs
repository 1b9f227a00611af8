//! Files that people give to commands: the past of a stream, decision documents, and the configuration of `put`.

use serde_json::Value;
use unthrottle_cli::readers;
use unthrottle_lab::sim::backtest::History;
use unthrottle_writer::config;
use unthrottle_writer::{MAX_BATCH_BYTES, MAX_BATCH_SIZE};

/// The longest past in minutes: a year, the rest of the hour of the first row, and the last row's own hour.
const MOST_MINUTES: usize = (366 * 24 + 2) * 60;

/// A CSV file of `backtest`. An error names a line of the file.
pub(crate) fn csv(input: &[u8]) {
    match readers::csv(input) {
        Ok(past) => is_possible(&past),
        Err((line, problem)) => {
            let lines = 1 + input.iter().filter(|byte| **byte == b'\n').count() as u64;
            assert!((1..=lines).contains(&line), "line {line} of {lines}: {problem}");
        }
    }
}

/// An export of CloudWatch: the console's CSV, or the JSON of the AWS CLI.
pub(crate) fn export(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(past) = readers::export(text) {
        is_possible(&past);
    }
}

/// A past is one that AWS can have counted, and its figures are numbers.
fn is_possible(past: &History) {
    assert!(past.minutes().len() <= MOST_MINUTES, "{} minutes", past.minutes().len());
    assert!((1..=past.minutes().len()).contains(&past.known()), "{} known minutes", past.known());
    let impossible = past.minutes().iter().find_map(|minute| minute.impossible());
    assert_eq!(impossible, None);
    let demand = past.demand();
    assert!(demand.at_most.is_finite() && demand.at_least <= demand.at_most, "{demand:?}");
    assert!((1..=10_000).contains(&past.fewest_shards()), "{} shards", past.fewest_shards());
}

/// A text with decision documents. Each document that is found is found again in itself.
pub(crate) fn documents(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(found) = readers::documents(text) else { return };
    for document in &found {
        assert!(document["outcome"].is_string() && document["evidence"].is_object(), "{document}");
        let again = readers::documents(&document.to_string()).expect("JSON");
        assert_eq!(again, std::slice::from_ref::<Value>(document));
    }
    let entry = readers::incident(&found);
    assert!(entry.starts_with("# "), "{entry}");
}

/// The YAML file of `put`. An error names a line, and credentials hide their secret.
pub(crate) fn yaml(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let variable = |name: &str| (name == "SECRET").then(|| "hunter2".to_owned());
    match config::parse(text, &variable) {
        Ok(read) => {
            assert!((1..=MAX_BATCH_SIZE).contains(&read.batch.size), "{:?}", read.batch);
            assert!((1..=MAX_BATCH_BYTES).contains(&read.batch.max_bytes), "{:?}", read.batch);
            assert!(!read.stream_name.trim().is_empty());
            if let Some(credentials) = &read.credentials
                && credentials.secret_access_key.contains("hunter2")
                && !credentials.access_key_id.contains("hunter2")
            {
                assert!(!format!("{credentials:?}").contains("hunter2"), "a secret is printed");
            }
        }
        Err(problem) => assert!(problem.line >= 1, "{problem}"),
    }
}
