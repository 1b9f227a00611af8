//! The invariants of what unthrottle says, and of what it gives back.

use super::{Check, Checked, Invariant};
use unthrottle_core::memory::ChangeKind;

/// The share of refused records from which a minute counts as loss.
const LOSS: f64 = 0.01;

/// Minutes of loss after which a person must know.
const LASTING: usize = 15;

/// Minutes until the message: CloudWatch publishes a minute up to three minutes late, the sweep comes every five
/// minutes, and Lambda tries a failed run again after one. With fewer, a legal run would break the invariant.
const GRACE: usize = 10;

/// The longest time between two messages, in seconds.
const AGAIN: i64 = 3_600;

/// What people know.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// When a person last got a message.
    at: Option<i64>,
    /// When a run last ended without its message, by a crash or a failed call. Its memory may say that it was sent.
    cut: Option<i64>,
    /// The minutes of loss in a row, up to now, without those in which a person had switched unthrottle off.
    lost_minutes: usize,
}

impl Told {
    /// Loss in a row begins anew.
    pub(super) fn restart(&mut self) {
        self.lost_minutes = 0;
    }
}

impl Check {
    /// Records the end of a run.
    pub(in crate::sim::faults) fn said(&mut self, is_notified: bool, sentence: &str) -> Checked {
        if is_notified {
            self.told.at = Some(self.now);
        }
        match contradiction(sentence) {
            None => Ok(()),
            Some(words) => self.fails(Invariant::OwnNumbers, format!("\"{words}\" in: {sentence}")),
        }
    }

    /// Records that a run ended before it could say anything.
    pub(in crate::sim::faults) fn said_nothing(&mut self) {
        self.told.cut = Some(self.now);
    }

    /// Checks the minute that has just ended.
    pub(super) fn loss_must_be_told(&mut self) -> Checked {
        let (sent, refused) = self.minutes.last().copied().unwrap_or_default();
        let is_loss = refused > 0 && refused as f64 >= LOSS * sent as f64 && self.off_since.is_none();
        self.told.lost_minutes = if is_loss { self.told.lost_minutes + 1 } else { 0 };
        if self.told.lost_minutes < LASTING + GRACE {
            return Ok(());
        }
        let latest = self.told.at.max(self.told.cut);
        if latest.is_some_and(|at| self.now - at <= AGAIN + 60 * GRACE as i64) {
            return Ok(());
        }
        let lasts = self.told.lost_minutes;
        let why =
            format!("{refused} of {sent} records refused in the last of {lasts} such minutes; message: {latest:?}");
        self.fails(Invariant::LossTold, why)
    }

    /// Whether unthrottle has raised the stream that a change gives back.
    pub(super) fn must_be_ours_to_give_back(&self, kind: ChangeKind) -> Checked {
        use ChangeKind::{Lost, Restore, Scale, Split, Switch, SwitchBack};
        let raises: &[ChangeKind] = match kind {
            Restore => &[Scale, Split, Lost],
            SwitchBack => &[Switch],
            _ => return Ok(()),
        };
        let is_raised_before = kind == Restore && self.reshards_before() > 0;
        if is_raised_before || self.made_on_this_stream().iter().any(|made| raises.contains(&made.kind)) {
            return Ok(());
        }
        self.fails(Invariant::GivenBack, format!("{kind} of a stream that unthrottle has not raised"))
    }
}

/// The words of a sentence that contradict each other: "N of M" where N is more than M.
fn contradiction(sentence: &str) -> Option<String> {
    let words: Vec<&str> = sentence.split_whitespace().collect();
    let number = |word: &str| {
        let word = word.trim_matches(|c| ".,;:()".contains(c));
        word.replace(',', "").parse::<u64>().ok()
    };
    words.windows(4).chain([&words[words.len().saturating_sub(3)..]]).find_map(|words| {
        let [part, of, rest @ ..] = words else { return None };
        let whole = match rest {
            ["its" | "the" | "your", whole, ..] => whole,
            [whole, ..] => whole,
            [] => return None,
        };
        let is_wrong = *of == "of" && number(part)? > number(whole)?;
        is_wrong.then(|| words.join(" "))
    })
}

#[cfg(test)]
mod tests {
    use super::contradiction;

    #[test]
    fn more_than_all_is_a_contradiction() {
        for wrong in
            ["it needs only 5 of its 4 shards: more", "refused in 6 of 5 minutes", "1,200 of 1,100 records now"]
        {
            assert!(contradiction(wrong).is_some(), "{wrong}");
        }
        for right in [
            "30,000 records refused in 5 of 5 minutes (up to 9 %); but a load needs only 3 of its 3 shards: more",
            "one of 3, 7 of them, a load of 1,133 records/s and 2.16 MiB/s of 5",
            "",
            "of",
        ] {
            assert_eq!(contradiction(right), None, "{right}");
        }
    }
}
