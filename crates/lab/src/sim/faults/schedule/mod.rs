//! The faults and their times: data that is drawn from a seed. A person can read it, and leave parts out.
//!
//! - here: the schedule and the events in it.
//! - `situation`: the stream, its load, and the permissions.
//! - `drawn`: how a seed makes a schedule.
//! - `swarm`: which kinds of faults a batch of schedules has.
//! - `words`: a schedule as text.

mod drawn;
mod situation;
mod swarm;
mod words;

pub(super) use situation::MANY_SHARDS;
pub use situation::{Kind, Situation};
pub use swarm::{BATCH, Swarm};

/// The end of all faults, in seconds of the run. Without faults, unthrottle heals four times the load in this time.
pub const TROUBLE_ENDS: i64 = 20 * 60;

/// The regular end of a run, in seconds. The time from [`TROUBLE_ENDS`] on has no faults and four sweeps. Lambda
/// retries a failed run for three minutes. unthrottle sends a missing datum after five minutes, and sees a repeated
/// datum after three.
pub const ENDS: i64 = TROUBLE_ENDS + 20 * 60;

/// The latest end of a run, in seconds, for a stream that is neither healed nor held for good. After two refusals,
/// unthrottle pauses for an hour. While the alarm stays raised, the sweep makes a step in ten minutes, and a hot key
/// needs five steps.
pub const LATEST: i64 = ENDS + 2 * 60 * 60;

/// An event at a second of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The second of the run.
    pub at: i64,
    /// The event.
    pub event: Event,
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A signal besides those of the alarm and the sweep.
    Signal(ExtraSignal),
    /// The delivery of the next notification of the alarm.
    Alarm(Delivery),
    /// A trouble with the next call of this kind, by any run.
    Next(CallKind, Trouble),
    /// An action of a person.
    Person(Action),
}

/// An additional signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraSignal {
    /// CloudTrail reports a call that was throttled this number of seconds ago.
    Throttle(i64),
    /// The alarm was raised this number of seconds ago.
    Alarm(i64),
    /// A person asks.
    Ask,
    /// The scheduled sweep finds the stream.
    Sweep,
}

/// The delivery of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It never arrives.
    Lost,
    /// It arrives twice.
    Twice,
    /// It arrives this number of seconds later, perhaps after the next event.
    Late(i64),
}

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum CallKind {
    /// The reads of an observation.
    #[strum(serialize = "look")]
    Observe,
    /// The reads of data that a decision misses.
    #[strum(serialize = "closer_look")]
    Complete,
    /// `TagResource`.
    Tag,
    /// The change itself.
    Change,
    /// `PutMetricData`.
    Count,
}

/// A trouble with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The container crashes before AWS gets the call.
    CrashBefore,
    /// The container crashes after AWS has carried out the call.
    CrashAfter,
    /// AWS carries out the call, and its answers are lost.
    AnswerLost,
    /// AWS answers 5xx and does not carry out the call.
    Failed,
    /// AWS refuses the call because of a rate.
    Refused,
    /// The first answer is lost, and the client sends the call again three seconds later.
    Twice,
    /// The call takes this number of seconds.
    Slow(i64),
    /// The summary and the tags are this number of seconds old.
    Stale(i64),
}

/// An action of a person on the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Doubles the shards.
    Double,
    /// Halves the shards.
    Halve,
    /// Adds a shard.
    AddOne,
    /// Switches to the other capacity mode.
    SwitchMode,
    /// Deletes all tags, as Terraform does.
    Untag,
    /// Sets `unthrottle.mode=off`.
    SwitchOff,
    /// Deletes `unthrottle.mode`.
    SwitchOn,
    /// Writes a memory of a raise that never was. `kinesis:TagResource` allows it.
    ForgeRaise,
    /// Writes a memory of a switch to on-demand mode that never was.
    ForgeSwitch,
    /// Sends an AutoFix datum of no change. `cloudwatch:PutMetricData` allows it.
    ForgeFix,
    /// Deletes the stream, and makes a stream with the same name and the shards of the beginning.
    Recreate,
    /// Begins to split every shard, and stops after half of them.
    HalfReshard,
}

/// A stream, and the events during a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The seed of the durations of calls, and of the world.
    pub seed: u64,
    /// The stream at the beginning.
    pub situation: Situation,
    /// The events, by time.
    pub entries: Vec<Entry>,
}

impl Trouble {
    /// Its name in a summary.
    pub fn name(self) -> &'static str {
        match self {
            Trouble::CrashBefore | Trouble::CrashAfter => "crash",
            Trouble::AnswerLost => "lost reply",
            Trouble::Failed => "5xx",
            Trouble::Refused => "refusal",
            Trouble::Twice => "sent twice",
            Trouble::Slow(_) => "slow call",
            Trouble::Stale(_) => "stale read",
        }
    }
}
