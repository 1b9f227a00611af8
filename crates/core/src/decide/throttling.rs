//! Which side of a stream is throttled, and whether that is enough to act.

use super::Case;
use super::history::History;
use crate::decision::{Evidence, Reason, Side};
use crate::observation::{CapacityMode, Minute, MinuteTraffic};

/// A stream is throttled now if one of this many newest minutes was. The newest minute alone may be only half
/// published.
pub(super) const RECENT_MINUTES: usize = 2;

/// In a minute in which a stream takes this share of its capacity, one refused record counts, whatever the floor, 0–1.
/// The floor leaves bursts and retries alone, which more shards would not help. A stream that is this full lacks
/// shards, and a load that grows slowly would refuse records for an hour before a thousandth of them is refused. With a
/// larger share, keys that are a little uneven would hide a full stream; with a smaller one, bursts would count.
pub(super) const FULL_MINUTE: f64 = 0.85;

/// Why neither side is throttled enough to act.
pub(super) enum Quiet {
    /// Nothing was refused in the newest minutes.
    Stopped,
    /// Something was refused, and is not enough.
    Hold(Reason),
}

impl Case<'_> {
    /// The side whose throughput is exceeded now. Writes come first: a record that is not written is lost, and a record
    /// that is not read waits.
    pub(super) fn throttled_side(&mut self, history: &History) -> Result<Side, Quiet> {
        let needed = self.confirming_minutes(history);
        let mut quiet = Quiet::Stopped;
        for side in [Side::Writes, Side::Reads] {
            let window = self.window_up_to(self.newest_of(side), history);
            let minutes: Vec<MinuteTraffic> = window.iter().map(|m| self.observation.traffic.minute(*m)).collect();
            let last = window.iter().zip(&minutes).rev().find(|(_, minute)| side.refused(minute) > 0.0);
            let last = last.map(|(minute, _)| minute.start());
            let known = &mut self.decision.evidence.last_throttled_minute;
            *known = (*known).max(last);
            let seen = Throttling::seen(side, &minutes, |minute| self.counts(side, minute));
            seen.record(side, &mut self.decision.evidence);
            if !seen.recent {
                continue;
            }
            if seen.recent_counts && seen.minutes >= needed {
                self.decision.evidence.throttled_minutes = Some(seen.minutes);
                self.decision.evidence.throttled_side = Some(side);
                return Ok(side);
            }
            let hold = match seen.minutes {
                minutes if seen.recent_counts => Reason::Unconfirmed { minutes, needed },
                _ => Reason::Negligible,
            };
            if !matches!(quiet, Quiet::Hold(Reason::Unconfirmed { .. })) {
                quiet = Quiet::Hold(hold);
            }
        }
        Err(quiet)
    }

    /// Whether reads are throttled enough to act. Records what the window shows of them.
    pub(super) fn are_reads_throttled(&mut self, window: &[Minute], history: &History) -> bool {
        let minutes: Vec<MinuteTraffic> = window.iter().map(|m| self.observation.traffic.minute(*m)).collect();
        let seen = Throttling::seen(Side::Reads, &minutes, |minute| self.counts(Side::Reads, minute));
        seen.record(Side::Reads, &mut self.decision.evidence);
        let evidence = &mut self.decision.evidence;
        (evidence.throttled_minutes, evidence.throttled_side) = (Some(seen.minutes), Some(Side::Reads));
        seen.recent_counts && seen.minutes >= self.confirming_minutes(history)
    }

    /// Whether a minute counts as throttled: AWS refused a share of it that reaches the floor, or the stream was full.
    pub(super) fn counts(&self, side: Side, minute: &MinuteTraffic) -> bool {
        let share = side.refused_share(minute);
        share > 0.0 && (share >= self.policy.floor || (side == Side::Writes && self.is_full_in(minute)))
    }

    /// Whether a provisioned stream took nearly all that its shards take. AWS does not say how many shards an on-demand
    /// stream is really given.
    fn is_full_in(&self, minute: &MinuteTraffic) -> bool {
        let stream = self.observation.stream.as_ref().filter(|stream| stream.mode == CapacityMode::Provisioned);
        stream.is_some_and(|stream| minute.accepted_shards() >= FULL_MINUTE * f64::from(stream.open_shards))
    }

    /// The throttled minutes that a change needs.
    fn confirming_minutes(&self, history: &History) -> u32 {
        if history.in_incident(self.now) { 1 } else { self.policy.confirm_minutes }
    }
}

/// What the window shows of one side.
pub(super) struct Throttling {
    /// Throttled at all in the newest minutes.
    recent: bool,
    /// One of the newest minutes counts.
    recent_counts: bool,
    /// Minutes that count.
    minutes: u32,
    /// Refused records or calls.
    refused: f64,
    /// The highest share of a minute, 0–1.
    share: f64,
}

impl Throttling {
    pub fn seen(side: Side, minutes: &[MinuteTraffic], counts: impl Fn(&MinuteTraffic) -> bool) -> Throttling {
        let shares = minutes.iter().map(|minute| side.refused_share(minute));
        Throttling {
            recent: minutes.iter().rev().take(RECENT_MINUTES).any(|m| side.refused(m) > 0.0),
            recent_counts: minutes.iter().rev().take(RECENT_MINUTES).any(&counts),
            minutes: minutes.iter().map(|minute| u32::from(counts(minute))).sum(),
            refused: minutes.iter().map(|m| side.refused(m)).sum(),
            share: shares.fold(0.0, f64::max),
        }
    }

    pub fn record(&self, side: Side, evidence: &mut Evidence) {
        let most = evidence.throttled_minutes.unwrap_or(0).max(self.minutes);
        evidence.throttled_minutes = Some(most);
        match side {
            Side::Writes => {
                evidence.write_throttled_records = Some(self.refused);
                evidence.write_throttled_share = Some(self.share);
            }
            Side::Reads => {
                evidence.read_throttled_calls = Some(self.refused);
                evidence.read_throttled_share = Some(self.share);
            }
        }
    }
}
