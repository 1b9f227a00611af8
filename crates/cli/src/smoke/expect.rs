//! `--expect`: what must hold at the end.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use unthrottle_core::words::{count, short};
use unthrottle_writer::Stats;
use unthrottle_writer::config::duration;

/// A check, such as `lost=0` or `healed<10m`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expectation {
    text: String,
    what: What,
    relation: Relation,
    /// A count, or milliseconds.
    bound: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Lost,
    Refused,
    Behind,
    Accepted,
    PossibleDuplicates,
    Healed,
    P50,
    P99,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

/// What is checked.
pub(crate) struct Outcome<'a> {
    pub stats: &'a Stats,
    pub behind: u64,
    /// From the first refusal to the last; `None`: the stream has not healed.
    pub healed: Option<Duration>,
}

impl Expectation {
    /// The line that says how this was missed; `None`: it holds.
    pub fn missed(&self, outcome: &Outcome<'_>) -> Option<String> {
        let stats = outcome.stats;
        let found = match self.what {
            What::Lost => Some(stats.lost as f64),
            What::Refused => Some(stats.refused as f64),
            What::Behind => Some(outcome.behind as f64),
            What::Accepted => Some(stats.accepted as f64),
            What::PossibleDuplicates => Some(stats.possible_duplicates as f64),
            What::Healed => outcome.healed.map(|healed| healed.as_secs_f64() * 1000.0),
            // Nothing has no latency, so no bound of it holds.
            What::P50 | What::P99 | What::Max if stats.accepted == 0 => None,
            What::P50 => Some(stats.latency().p50),
            What::P99 => Some(stats.latency().p99),
            What::Max => Some(stats.latency().max),
        };
        let Some(found) = found else {
            let why = if self.what == What::Healed { "it has not healed" } else { "no record was accepted" };
            return Some(format!("expected {self}: {why}"));
        };
        let holds = match self.relation {
            Relation::Less => found < self.bound,
            Relation::AtMost => found <= self.bound,
            Relation::Equal => found == self.bound,
            Relation::AtLeast => found >= self.bound,
            Relation::More => found > self.bound,
        };
        let found = match self.what.is_time() {
            true if found < 10_000.0 => format!("{} ms", count(found)),
            true => format!("{} s", short(found / 1000.0)),
            false => count(found),
        };
        (!holds).then(|| format!("expected {self}: it is {found}"))
    }
}

impl What {
    fn is_time(self) -> bool {
        matches!(self, What::Healed | What::P50 | What::P99 | What::Max)
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Expectation, String> {
        // Two characters first: `<=` begins with `<`.
        let relations = [
            ("<=", Relation::AtMost),
            (">=", Relation::AtLeast),
            ("<", Relation::Less),
            (">", Relation::More),
            ("=", Relation::Equal),
        ];
        let split = |(sign, relation): &(&str, Relation)| {
            text.split_once(sign).map(|(what, bound)| (what.trim(), *relation, bound.trim()))
        };
        let form = || format!("`{text}` is no check: give one such as lost=0, healed<10m or p99<500ms");
        let (what, relation, bound) = relations.iter().find_map(split).ok_or_else(form)?;
        let names = [
            ("lost", What::Lost),
            ("refused", What::Refused),
            ("behind", What::Behind),
            ("accepted", What::Accepted),
            ("possible_duplicates", What::PossibleDuplicates),
            ("healed", What::Healed),
            ("p50", What::P50),
            ("p99", What::P99),
            ("max", What::Max),
        ];
        let known = names.map(|(name, _)| name).join(", ");
        let what = names.iter().find(|(name, _)| *name == what).map(|(_, what)| *what);
        let what = what.ok_or_else(|| format!("`{text}`: it must begin with one of: {known}"))?;
        let bound = if what.is_time() {
            duration(bound).map_err(|why| format!("`{text}`: {why}"))?.as_secs_f64() * 1000.0
        } else {
            bound.parse::<u64>().map_err(|_| format!("`{text}`: `{bound}` must be a whole number"))? as f64
        };
        Ok(Expectation { text: text.to_owned(), what, relation, bound })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(text: &str, healed: Option<u64>) -> Option<String> {
        let mut stats = Stats::default();
        stats.accept(1, Duration::from_millis(400));
        stats.lost = 2;
        let outcome = Outcome { stats: &stats, behind: 3, healed: healed.map(Duration::from_secs) };
        text.parse::<Expectation>().expect(text).missed(&outcome)
    }

    #[test]
    fn an_expectation_holds_or_says_what_it_found() {
        for text in ["lost=2", "lost<=2", "lost<3", "behind>2", "p99<500ms", "max >= 300ms", "accepted=1"] {
            assert_eq!(missed(text, None), None, "{text}");
        }
        assert_eq!(missed("lost=0", None).as_deref(), Some("expected lost=0: it is 2"));
        assert_eq!(missed("healed<10m", None).as_deref(), Some("expected healed<10m: it has not healed"));
        assert_eq!(missed("healed<10m", Some(599)), None);
        assert_eq!(missed("healed<10m", Some(600)).as_deref(), Some("expected healed<10m: it is 600 s"));
        assert_eq!(missed("p50<400ms", None).as_deref(), Some("expected p50<400ms: it is 400 ms"));
    }

    #[test]
    fn no_bound_of_a_latency_holds_where_nothing_was_accepted() {
        let outcome = Outcome { stats: &Stats::default(), behind: 0, healed: None };
        for text in ["p50<1h", "p99<500ms", "max>=0s"] {
            let missed = text.parse::<Expectation>().expect(text).missed(&outcome);
            assert_eq!(missed, Some(format!("expected {text}: no record was accepted")));
        }
    }

    #[test]
    fn a_check_that_cannot_be_read_is_named() {
        for (text, says) in [
            ("lost", "`lost` is no check"),
            ("los=0", "must begin with one of: lost, refused"),
            ("lost=none", "`none` must be a whole number"),
            ("p99<500", "`500` is no duration"),
        ] {
            assert!(text.parse::<Expectation>().expect_err(text).contains(says), "{text}");
        }
    }
}
