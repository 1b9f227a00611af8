//! What goes wrong, and when: data that is drawn from a seed, that a person can read, and of which parts can be left out.
//!
//! - here: the schedule and the events in it.
//! - `situation`: the stream, what it is offered, and what is allowed.
//! - `drawn`: how a seed makes a schedule.
//! - `words`: a schedule as text.

mod drawn;
mod situation;
mod words;

pub(super) use situation::MANY_SHARDS;
pub use situation::{Kind, Situation};

/// Things go wrong until then, in seconds of the run: time for a load of four times the shards to be healed but for them.
pub const TROUBLE_ENDS: i64 = 20 * 60;

/// Nothing goes wrong after that, and the run ends then. Four sweeps: a run that failed at the end is tried again for three
/// minutes, a datum that is missing is sent after five, and one that was sent twice is seen after three.
pub const ENDS: i64 = TROUBLE_ENDS + 20 * 60;

/// A stream that is neither healed nor held by name for good is given time until then: after two refusals AWS is left alone for
/// an hour, and where the alarm stays raised, the sweep makes a step in ten minutes, and a hot key takes five.
pub const LATEST: i64 = ENDS + 2 * 60 * 60;

/// Something that happens at a second of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When.
    pub at: i64,
    /// What.
    pub event: Event,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A signal arrives beside those of the alarm and the sweep.
    Signal(ExtraSignal),
    /// What becomes of the next word of the alarm.
    Alarm(Delivery),
    /// What goes wrong with the next call of this kind, whoever makes it.
    Next(CallKind, Trouble),
    /// What a person does.
    Person(Action),
}

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraSignal {
    /// CloudTrail tells of a call that was throttled so many seconds ago.
    Throttle(i64),
    /// The alarm is raised; it was so many seconds ago.
    Alarm(i64),
    /// A person asks.
    Ask,
    /// The scheduled sweep finds the stream.
    Sweep,
}

/// What becomes of an event on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It never arrives.
    Lost,
    /// It arrives twice.
    Twice,
    /// It arrives so many seconds later, maybe after the next.
    Late(i64),
}

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum CallKind {
    /// The reads of a look.
    #[strum(serialize = "look")]
    Observe,
    /// The reads of a closer look.
    #[strum(serialize = "closer_look")]
    Complete,
    /// `TagResource`.
    Tag,
    /// The change itself.
    Change,
    /// `PutMetricData`.
    Count,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The container dies before AWS gets it.
    CrashBefore,
    /// The container dies after AWS has carried it out.
    CrashAfter,
    /// AWS carries it out, and its answers are lost.
    AnswerLost,
    /// AWS answers 5xx and does nothing.
    Failed,
    /// AWS refuses it for its rate.
    Refused,
    /// The first answer is lost, and the client asks again three seconds later.
    Twice,
    /// It takes so many seconds.
    Slow(i64),
    /// The summary and the tags are those of so many seconds ago.
    Stale(i64),
}

/// What a person does to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Doubles its shards.
    Double,
    /// Halves them.
    Halve,
    /// Adds one.
    AddOne,
    /// Switches its capacity mode to the other one.
    SwitchMode,
    /// Deletes all its tags, as Terraform does.
    Untag,
    /// Sets `unthrottle.mode=off`.
    SwitchOff,
    /// Takes that back.
    SwitchOn,
}

/// A stream and what happens to it and to those who look after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// What chance has for the durations of calls, and for the world.
    pub seed: u64,
    /// The stream.
    pub situation: Situation,
    /// In the order of time.
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
