//! The readers that poll a stream: their calls and bytes, and how far they fall behind.
//!
//! They read all shards evenly. No reader uses enhanced fan-out.

use crate::rules::{READ_BYTES_A_SECOND, READ_CALLS_A_SECOND};

/// The numbers of [`crate::rules`] as f64, for shares of calls and bytes.
const CALLS_A_SECOND: f64 = READ_CALLS_A_SECOND as f64;
const BYTES_A_SECOND: f64 = READ_BYTES_A_SECOND as f64;

/// The age of a record when a reader that keeps up reads it, in milliseconds: half of the second between two polls.
const KEEPS_UP_MS: f64 = 500.0;

/// The seconds of writes that a replay reads: nearly a day, which is the retention of the stream.
const REPLAYED_SECONDS: f64 = 23.5 * 3_600.0;

/// Applications that each poll every shard once a second, as the KCL and Lambda do, and read all records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readers {
    /// Readers at the beginning.
    pub first: u32,
    /// Readers from [`Readers::at`] on.
    pub then: u32,
    /// The second of the run at which the number changes.
    pub at: i64,
}

/// What readers do beside polling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Habit {
    /// They find the new shards of a reshard.
    #[default]
    Follow,
    /// They stop at a reshard: their library reads a closed shard to its end, and finds no new one.
    StopAtReshard,
    /// At [`Readers::at`] one of them begins at the oldest record of a day. It reads it with the bytes that the others
    /// leave.
    Replay,
}

/// CloudWatch's counts of reads in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reads {
    /// Bytes.
    pub bytes: f64,
    /// Answered calls.
    pub calls: f64,
    /// Refused calls.
    pub refused: f64,
    /// Age of the oldest record read, in milliseconds.
    pub age_ms: f64,
}

/// How far the readers of a stream have read.
#[derive(Clone, Debug)]
pub struct Reading {
    readers: Readers,
    /// Bytes that wait in the open shards, and bytes that wait in closed shards: new shards cannot drain old ones.
    open: f64,
    closed: f64,
    shards: u32,
    closed_shards: u32,
    habit: Habit,
    /// Whether they have stopped for good.
    is_stopped: bool,
    /// Bytes of the past that one of them still reads.
    replay: f64,
    minute: Reads,
}

impl Reading {
    /// Readers with no bytes to read.
    pub fn new(readers: Readers, shards: u32) -> Reading {
        let habit = Habit::default();
        let (is_stopped, replay, minute) = (false, 0.0, Reads::default());
        Reading { readers, open: 0.0, closed: 0.0, shards, closed_shards: 0, habit, is_stopped, replay, minute }
    }

    /// The same readers with this habit.
    pub fn with_habit(self, habit: Habit) -> Reading {
        Reading { habit, ..self }
    }

    /// Passes a second in which the stream accepted `written` bytes. Returns the refused calls.
    pub fn pass(&mut self, now: i64, written: f64, shards: u32) -> f64 {
        if shards != self.shards {
            (self.closed, self.closed_shards) = (self.closed + self.open, self.shards);
            (self.open, self.shards) = (0.0, shards);
            self.is_stopped |= self.habit == Habit::StopAtReshard;
        }
        if self.is_stopped {
            return 0.0;
        }
        let readers = f64::from(if now < self.readers.at { self.readers.first } else { self.readers.then });
        self.open += written * readers;
        let wanted = self.open;
        let read = wanted.min(BYTES_A_SECOND * f64::from(shards));
        let drained = self.closed.min(BYTES_A_SECOND * f64::from(self.closed_shards));
        (self.open, self.closed) = (self.open - read, self.closed - drained);
        let calls = readers * f64::from(shards);
        let served = if wanted > 0.0 { read / wanted } else { 1.0 };
        let answered = calls.min(CALLS_A_SECOND * f64::from(shards)) * served;
        let behind = (self.open + self.closed) / (written * readers).max(1.0) * 1000.0;
        let replayed = self.replayed(now, written, (BYTES_A_SECOND * f64::from(shards) - read).max(0.0));
        let behind = behind.max(self.replay / written.max(1.0) * 1000.0);
        self.minute.bytes += read + drained + replayed;
        self.minute.calls += answered;
        self.minute.refused += calls - answered;
        self.minute.age_ms = self.minute.age_ms.max(behind.max(KEEPS_UP_MS));
        calls - answered
    }

    /// The bytes of the past that are read in this second, where `left` are left for them.
    fn replayed(&mut self, now: i64, written: f64, left: f64) -> f64 {
        if self.habit == Habit::Replay && now == self.readers.at {
            self.replay = written * REPLAYED_SECONDS;
        }
        let read = self.replay.min(left);
        self.replay -= read;
        read
    }

    /// Ends the minute, and returns its counts.
    pub fn close_minute(&mut self) -> Reads {
        std::mem::take(&mut self.minute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1024.0 * 1024.0;

    fn minute(readers: u32, written: f64, shards: u32) -> (Reading, Reads) {
        let mut reading = Reading::new(Readers { first: readers, then: readers, at: 0 }, shards);
        for now in 0..60 {
            let _ = reading.pass(now, written, shards);
        }
        let reads = reading.close_minute();
        (reading, reads)
    }

    #[test]
    fn a_shard_answers_five_calls_a_second() {
        let (_, reads) = minute(5, 0.1 * MIB, 2);
        assert_eq!((reads.calls, reads.refused, reads.age_ms), (600.0, 0.0, KEEPS_UP_MS));
        let (_, reads) = minute(7, 0.1 * MIB, 2);
        assert_eq!((reads.calls, reads.refused), (600.0, 240.0));
    }

    #[test]
    fn readers_that_stop_at_a_reshard_make_no_call_after_it() {
        let readers = Readers { first: 2, then: 2, at: 0 };
        let mut reading = Reading::new(readers, 1).with_habit(Habit::StopAtReshard);
        (0..60).for_each(|now| assert_eq!(reading.pass(now, 0.1 * MIB, 1), 0.0));
        assert_eq!(reading.close_minute().calls, 120.0);
        (60..120).for_each(|now| assert_eq!(reading.pass(now, 0.1 * MIB, 2), 0.0));
        assert_eq!(reading.close_minute(), Reads::default());
    }

    #[test]
    fn a_replay_begins_a_day_behind_and_gains() {
        let readers = Readers { first: 1, then: 2, at: 60 };
        let mut reading = Reading::new(readers, 2).with_habit(Habit::Replay);
        let mut minute = |first: i64| {
            (first..first + 60).for_each(|now| assert_eq!(reading.pass(now, MIB, 2), 0.0));
            reading.close_minute().age_ms
        };
        let ages: Vec<f64> = [0, 60, 120].map(&mut minute).into();
        assert_eq!(ages[0], KEEPS_UP_MS);
        // Two of four MiB a second are left for the past, which has one for each of its seconds.
        assert!((ages[1] - 23.5 * 3_600_000.0).abs() < 3_000.0, "{ages:?}");
        assert!((ages[1] - ages[2] - 120_000.0).abs() < 1.0, "{ages:?}");
    }

    #[test]
    fn unread_bytes_wait_and_grow_old() {
        // Two readers want 1.5 MiB a second each, from one shard that sends 2 MiB a second.
        let (mut reading, reads) = minute(2, 1.5 * MIB, 1);
        assert!((reads.bytes - 120.0 * MIB).abs() < 1.0 && reads.refused > 0.0, "{reads:?}");
        assert!((reads.age_ms - 20_000.0).abs() < 1.0, "60 MiB at 3 a second: {reads:?}");
        // Two new shards take the new bytes. The old one is drained in half a minute.
        let passed: Vec<f64> = (60..120).map(|now| reading.pass(now, 1.5 * MIB, 2)).collect();
        assert_eq!(passed, [0.0; 60]);
        assert_eq!((reading.open, reading.closed), (0.0, 0.0));
        assert!((reading.close_minute().bytes - 240.0 * MIB).abs() < 1.0);
    }
}
