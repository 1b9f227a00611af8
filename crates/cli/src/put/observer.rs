//! What a person sees of a writer at work, and where lost records go.

use crate::screen::{StatusLine, print_json, print_note, visible};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;
use unthrottle_core::words::{count, many, short};
use unthrottle_writer::{DeadLetters, End, Lost, Observer, Stats, Why};

/// The lost records that are shown one by one. More would hide everything else; the dead letters have them all.
const SHOWN: u64 = 10;

/// The time from one line about refusals to the next, where no terminal shows them. More would fill a log.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The shards whose refusals are listed. The others are counted together.
const SHARDS_SHOWN: usize = 5;

/// Shows progress on standard error, and JSON on standard output. Keeps lost records.
pub(crate) struct Screen {
    is_json: bool,
    line: StatusLine,
    letters: Option<DeadLetters>,
    /// Lost records so far.
    lost: u64,
    /// Of these, records that were never complete.
    incomplete: u64,
    /// The last trouble that was shown.
    trouble: String,
    /// Refusals that were logged, and when the next line is due; `None`: nothing is logged.
    logged: Option<(u64, Duration)>,
}

impl Screen {
    pub fn new(is_json: bool, letters: Option<DeadLetters>) -> Screen {
        let (line, trouble) = (StatusLine::new(), String::new());
        Screen { is_json, line, letters, lost: 0, incomplete: 0, trouble, logged: None }
    }

    /// Logs refusals, unless a terminal or JSON shows them.
    pub fn with_refusals(mut self) -> Screen {
        self.logged = (!self.is_json && !self.line.is_on_terminal()).then_some((0, Duration::ZERO));
        self
    }

    /// Lost records that were never complete.
    pub fn incomplete(&self) -> u64 {
        self.incomplete
    }

    /// Shows a message on standard error.
    pub fn say(&mut self, text: &str) {
        self.line.clear();
        print_note(text);
    }

    /// Shows something that happened to the stream: on standard error if standard output is for JSON.
    pub fn event(&mut self, text: &str) {
        self.line.clear();
        let text = visible(text);
        let _ = match self.is_json {
            true => writeln!(io::stderr(), "  {text}"),
            false => writeln!(io::stdout(), "  {text}"),
        };
    }

    /// Ends the progress. Returns the dead letters, to close them.
    pub fn end(mut self, stats: &Stats) -> Option<DeadLetters> {
        self.log_refusals(stats, Duration::MAX);
        self.line.clear();
        if self.lost > SHOWN {
            self.say(&format!("lost: {} more", many(self.lost - SHOWN, "record")));
        }
        self.letters.take()
    }

    fn log_refusals(&mut self, stats: &Stats, elapsed: Duration) {
        if let Some((logged, due)) = self.logged
            && stats.refused > logged
            && elapsed >= due
        {
            let (refused, accepted) = (count(stats.refused as f64), many(stats.accepted, "record"));
            self.say(&format!(
                "AWS refused {refused} times so far, and accepted {accepted}. Refused ones are sent again"
            ));
            self.logged = Some((stats.refused, elapsed.saturating_add(LOG_EVERY)));
        }
    }
}

impl Observer for Screen {
    fn lost(&mut self, lost: &Lost) -> Result<(), String> {
        self.lost += 1;
        self.incomplete += u64::from(matches!(lost.why, Why::NoKey(_) | Why::NotBase64(_)));
        if self.lost <= SHOWN {
            let maybe = if lost.is_maybe_written { " (AWS may have written it)" } else { "" };
            self.say(&format!("lost: {}: {}{maybe}", lost.record.origin, lost.why));
        }
        match &mut self.letters {
            // Its line was not kept, and the message says so.
            _ if matches!(lost.why, Why::TooLong(_)) => Ok(()),
            Some(letters) => letters.write(lost).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    fn tick(&mut self, stats: &Stats, elapsed: Duration) {
        // The records matter more than a reader that has gone.
        if self.is_json {
            let _ = print_json(&stats.summary(elapsed, false));
        }
        self.log_refusals(stats, elapsed);
        self.line.show(&progress(stats, elapsed));
    }

    fn stopping(&mut self, waiting: u64, most: Duration) {
        self.say(&stopping(waiting, most));
    }

    fn trouble(&mut self, cause: &str) {
        if self.trouble != cause {
            cause.clone_into(&mut self.trouble);
            self.say(&format!("a request failed and is sent again: {cause}"));
        }
    }
}

/// The most characters of the line of progress. In the last column, a terminal might begin another line.
const MOST_COLUMNS: usize = 79;

/// The line of progress. With large counts, what matters less is not shown: records on their way, and then the rate.
fn progress(stats: &Stats, elapsed: Duration) -> String {
    let waiting = stats.attempted - stats.accepted - stats.lost;
    let rate = count(stats.accepted as f64 / elapsed.as_secs_f64().max(0.001));
    let [accepted, waiting, refused, lost] =
        [stats.accepted, waiting, stats.refused, stats.lost].map(|records| count(records as f64));
    let lines = [
        format!("{accepted} accepted ({rate}/s), {waiting} on their way, {refused} refused, {lost} lost"),
        format!("{accepted} accepted ({rate}/s), {refused} refused, {lost} lost"),
        format!("{accepted} accepted, {refused} refused, {lost} lost"),
    ];
    let [.., shortest] = &lines;
    lines.iter().find(|line| line.len() <= MOST_COLUMNS).unwrap_or(shortest).clone()
}

/// What a writer does after a stop.
pub(crate) fn stopping(waiting: u64, most: Duration) -> String {
    format!(
        "stopping: {} on the way, for at most {} s. Ctrl-C ends this at once",
        many(waiting, "record"),
        most.as_secs()
    )
}

/// The summary for a person.
pub(crate) fn summary(end: &End) -> String {
    let stats = &end.stats;
    let seconds = end.elapsed.as_secs_f64();
    let number = |records: u64| count(records as f64);
    let mut text = format!(
        "accepted    {} of {} ({:.1} MB) in {seconds:.1} s: {} records/s\n",
        number(stats.accepted),
        many(stats.attempted, "record"),
        stats.accepted_bytes as f64 / 1e6,
        count(stats.accepted as f64 / seconds.max(0.001)),
    );
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<11} {value}"); // writing to a String cannot fail
    };
    if stats.refused > 0 {
        line("refused", format!("{} times; sent again: {}", number(stats.refused), number(stats.retried)));
        let mut shards: Vec<_> = stats.refused_by_shard.iter().collect();
        // The sort keeps the order of the shards where their counts are the same.
        shards.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
        for (shard, times) in shards.iter().take(SHARDS_SHOWN) {
            line("", format!("{} {}", visible(shard), number(**times)));
        }
        if let Some(others) = shards.get(SHARDS_SHOWN..).filter(|others| !others.is_empty()) {
            let times = number(others.iter().map(|(_, times)| **times).sum());
            line("", format!("{} more: {times}", many(others.len() as u64, "shard")));
        }
    }
    if stats.lost_replies > 0 || stats.possible_duplicates > 0 {
        let requests = many(stats.lost_replies, "request");
        line("no reply", format!("{requests}; may be there twice: {}", many(stats.possible_duplicates, "record")));
    }
    let latency = stats.latency();
    let [p50, p99, max] = [latency.p50, latency.p99, latency.max].map(short);
    line("latency", format!("p50 {p50} ms, p99 {p99} ms, max {max} ms"));
    if stats.lost > 0 {
        let mut lost = many(stats.lost, "record");
        if stats.rejected > 0 {
            let _ = write!(lost, "; never sent: {}", number(stats.rejected));
        }
        if stats.lost_maybe_written > 0 {
            let _ = write!(lost, "; AWS may have written {}", number(stats.lost_maybe_written));
        }
        line("lost", lost);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_progress_fits_a_terminal_whatever_the_counts() {
        let line = |accepted: u64, refused: u64, lost: u64| {
            let mut stats = Stats::default();
            (stats.attempted, stats.accepted) = (accepted + lost + 10_000, accepted);
            (stats.refused, stats.lost) = (refused, lost);
            progress(&stats, Duration::from_secs(accepted / 100_000))
        };
        let small = line(12_300_000, 4567, 0);
        assert_eq!(small, "12,300,000 accepted (100,000/s), 10,000 on their way, 4,567 refused, 0 lost");
        let large = line(123_400_000, 1_234_567, 1000);
        assert_eq!(large, "123,400,000 accepted (100,000/s), 1,234,567 refused, 1,000 lost");
        let larger = line(123_400_000_000, 123_456_789_012, 123_456_789_012);
        assert_eq!(larger, "123,400,000,000 accepted, 123,456,789,012 refused, 123,456,789,012 lost");
        assert!([small, large, larger].iter().all(|line| line.len() < 80));
    }

    #[test]
    fn a_summary_names_five_shards_has_its_thousands_apart_and_fits_80_columns() {
        let mut stats = Stats::default();
        stats.attempted = 245_001;
        for shard in 0..200 {
            stats.refuse(Some(&format!("shardId-{shard:012}")), 1_000 + shard);
        }
        stats.accept(136, Duration::from_micros(10_616_800));
        let end = End { stats, elapsed: Duration::from_secs(2), fatal: None, is_stopped: false, unkept: 0 };
        let summary = summary(&end);
        let lines: Vec<&str> = summary.lines().collect();
        assert!(lines[0].starts_with("accepted    1 of 245,001 records"), "{summary}");
        assert_eq!(lines[1], "  refused     219,900 times; sent again: 0");
        assert_eq!(
            (lines[2], lines[7]),
            ("              shardId-000000000199 1,199", "              195 shards more: 213,915")
        );
        assert!(lines[8].ends_with("max 10,617 ms") && lines.len() == 9, "{summary}");
        assert!(lines.iter().all(|line| line.chars().count() <= 78), "{summary}");
    }
}
