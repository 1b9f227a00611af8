//! A schedule as text.

use super::{Action, Delivery, Event, ExtraSignal, Schedule, Situation, Trouble};
use std::fmt;

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.situation)?;
        for entry in &self.entries {
            writeln!(f, "  {:02}:{:02}  {}", entry.at / 60, entry.at % 60, entry.event)?;
        }
        if self.entries.is_empty() { writeln!(f, "  nothing goes wrong") } else { Ok(()) }
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Situation { kind, shards, load, max_shards, on_demand, diagnose, restore, changes_an_hour, .. } = self;
        let word = |is: &bool| if *is { "allowed" } else { "denied" };
        write!(
            f,
            "{kind}: {shards} shards (at most {max_shards}), offered {load:.2} times what they take; on-demand {}, \
             diagnosis {}, restore {}; at most {changes_an_hour} changes an hour",
            word(on_demand),
            word(diagnose),
            word(restore)
        )?;
        self.usd_an_hour.map_or(Ok(()), |usd| write!(f, ", ${usd:.4} an hour"))?;
        f.write_str(if self.older { "; half of the containers are of an older release" } else { "" })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Signal(ExtraSignal::Throttle(ago)) => write!(f, "signal: a call was throttled {ago} s ago"),
            Event::Signal(ExtraSignal::Alarm(ago)) => write!(f, "signal: the alarm was raised {ago} s ago"),
            Event::Signal(ExtraSignal::Ask) => f.write_str("signal: a person asks"),
            Event::Signal(ExtraSignal::Sweep) => f.write_str("signal: the sweep finds the stream"),
            Event::Alarm(Delivery::Lost) => f.write_str("the alarm's next word is lost"),
            Event::Alarm(Delivery::Twice) => f.write_str("the alarm's next word arrives twice"),
            Event::Alarm(Delivery::Late(by)) => write!(f, "the alarm's next word arrives {by} s late"),
            Event::Next(on, trouble) => write!(f, "the next {on}: {trouble}"),
            Event::Person(action) => write!(f, "a person {action}"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::CrashBefore => f.write_str("the container dies before it"),
            Trouble::CrashAfter => f.write_str("the container dies after it"),
            Trouble::AnswerLost => f.write_str("is carried out, and never answered"),
            Trouble::Failed => f.write_str("is answered 5xx, and not carried out"),
            Trouble::Refused => f.write_str("is refused for its rate"),
            Trouble::Twice => f.write_str("is sent again after three seconds"),
            Trouble::Slow(seconds) => write!(f, "takes {seconds} s"),
            Trouble::Stale(seconds) => write!(f, "sees the summary and the tags of {seconds} s before"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Double => "doubles the shards",
            Action::Halve => "halves the shards",
            Action::AddOne => "adds a shard",
            Action::SwitchMode => "switches the capacity mode",
            Action::Untag => "deletes the tags",
            Action::SwitchOff => "sets unthrottle.mode=off",
            Action::SwitchOn => "deletes unthrottle.mode",
            Action::ForgeRaise => "writes a memory of a raise that never was",
            Action::ForgeSwitch => "writes a memory of a switch that never was",
            Action::ForgeFix => "sends an AutoFix datum of no change",
            Action::Recreate => "deletes the stream and makes it anew",
            Action::HalfReshard => "splits half of the shards",
        })
    }
}
