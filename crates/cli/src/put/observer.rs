//! What a person sees of a writer at work, and where lost records go.

use crate::screen::{StatusLine, print_json, print_note};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;
use unthrottle_writer::{DeadLetters, End, Lost, Observer, Stats, Why};

/// The lost records that are shown one by one. More would hide everything else; the dead letters have them all.
const SHOWN: u64 = 10;

/// Shows progress on standard error, and JSON on standard output. Keeps lost records.
pub(crate) struct Screen {
    is_json: bool,
    line: StatusLine,
    letters: Option<DeadLetters>,
    /// Lost records so far.
    lost: u64,
    /// The last trouble that was shown.
    trouble: String,
}

impl Screen {
    pub fn new(is_json: bool, letters: Option<DeadLetters>) -> Screen {
        Screen { is_json, line: StatusLine::new(), letters, lost: 0, trouble: String::new() }
    }

    /// Shows a message on standard error.
    pub fn say(&mut self, text: &str) {
        self.line.clear();
        print_note(text);
    }

    /// Shows something that happened to the stream: on standard error if standard output is for JSON.
    pub fn event(&mut self, text: &str) {
        self.line.clear();
        // The terminal may be gone, and the records that are under way still have to be counted.
        let _ = match self.is_json {
            true => writeln!(std::io::stderr(), "  {text}"),
            false => writeln!(std::io::stdout(), "  {text}"),
        };
    }

    /// Ends the progress. Returns the dead letters, to close them.
    pub fn end(mut self) -> Option<DeadLetters> {
        self.line.clear();
        if self.lost > SHOWN {
            self.say(&format!("lost: {} records more", self.lost - SHOWN));
        }
        self.letters.take()
    }
}

impl Observer for Screen {
    fn lost(&mut self, lost: &Lost) -> Result<(), String> {
        self.lost += 1;
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
        let waiting = stats.attempted - stats.accepted - stats.lost;
        let rate = stats.accepted as f64 / elapsed.as_secs_f64().max(0.001);
        self.line.show(&format!(
            "{} accepted ({rate:.0}/s), {waiting} on their way, {} refused, {} lost",
            stats.accepted, stats.refused, stats.lost
        ));
    }

    fn trouble(&mut self, cause: &str) {
        if self.trouble != cause {
            cause.clone_into(&mut self.trouble);
            self.say(&format!("a request failed and is sent again: {cause}"));
        }
    }
}

/// The summary for a person.
pub(crate) fn summary(end: &End) -> String {
    let stats = &end.stats;
    let seconds = end.elapsed.as_secs_f64();
    let rate = stats.accepted as f64 / seconds.max(0.001);
    let mut text = format!(
        "accepted    {} of {} records ({:.1} MB) in {seconds:.1} s: {rate:.0} records/s\n",
        stats.accepted,
        stats.attempted,
        stats.accepted_bytes as f64 / 1e6,
    );
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<11} {value}"); // writing to a String cannot fail
    };
    if stats.refused > 0 {
        line("refused", format!("{} times; sent again: {}", stats.refused, stats.retried));
        for (shard, times) in &stats.refused_by_shard {
            line("", format!("{shard} {times}"));
        }
    }
    if stats.lost_replies > 0 {
        let duplicates = stats.possible_duplicates;
        line("no reply", format!("{} requests; records that may be there twice: {duplicates}", stats.lost_replies));
    }
    let latency = stats.latency();
    line("latency", format!("p50 {} ms, p99 {} ms, max {} ms", latency.p50, latency.p99, latency.max));
    if stats.lost > 0 {
        let mut lost = format!("{} records", stats.lost);
        if stats.rejected > 0 {
            let _ = write!(lost, "; never sent: {}", stats.rejected);
        }
        if stats.lost_maybe_written > 0 {
            let _ = write!(lost, "; AWS may have written {}", stats.lost_maybe_written);
        }
        line("lost", lost);
    }
    text
}
