//! The tag [`TAG`]: how a memory is written and read.
//!
//! The tag's value is words such as `change=scale/4/8/20261120T170440Z`, at most 255 characters of
//! `[A-Za-z0-9 _./=+@-]` (AWS allows more in most places, but its documents disagree; this is what all allow).
//! Words with an unknown key are kept, so that an older binary keeps the memory of a newer one.
//!
//! | word | meaning |
//! |---|---|
//! | `v=1` | this format |
//! | `change=KIND/FROM/TO/WHEN` | the last change, or the intent of one; the times below are seconds before or after WHEN |
//! | `after=N` | when the change before it had settled, N s earlier: evidence from before that never counts |
//! | `since=N` | when the first throttled minute of the incident began, N s earlier |
//! | `done=N` | the stream was first found ACTIVE after the change, N s later |
//! | `heal=N` | throttling was found to have stopped, N s later |
//! | `readers=N` | the stream had readers at the change, and they are watched until N s later |
//! | `sent=N` | its AutoFix datum was missing, and was sent again, N s later |
//! | `seen=N` | its AutoFix datum was found in the metric, N s later |
//! | `owed=KIND/N` | the change before it, N s earlier, whose AutoFix datum CloudWatch did not show yet |
//! | `resent=N` | that datum was sent again, N s later, or -N s earlier |
//! | `base=N` | the shards before the incident |
//! | `was=p` | the stream is in on-demand mode because we switched it from provisioned |
//! | `lines=SHARD.SPLITS.N-…` | a shard that was split N s earlier, as the last of SPLITS splits in one split history |
//! | `watch=METRICS.N` | shard-level metrics that we switched on N s earlier: `b`ytes, `r`ecords, `w`rites refused; `off`: switched off again |
//! | `scales=N-N-…`, `modes=N-N` | the changes of the last 24 h: seconds before WHEN |
//! | `downs=N-N-…` | those of `scales` that were restores: seconds before WHEN |
//! | `refused=KIND/N/WHEN` | AWS refused a change for a limit, once (N = 1), or again and again for N minutes; WHEN is in seconds after the change, where there is one |
//! | `reverts=N.N` | another person or tool was found to have reverted our changes, N s later, or -N s earlier |
//! | `told=CODE/N` | people got a message about the hold with this code, N s later; without a change, WHEN |
//! | `told-before=CODE/N` | the same of another hold, before that one |
//! | `tries=N` | how often the producers try a record at most |
//! | `aheads=N-N-…` | those of `scales` that were made before the load came: seconds before WHEN |
//! | `levels=N.N` | when levels of the last 24 h were only reported: N s later, or -N s earlier; without a change, WHEN |
//! | `fore=SHARDS.WRONG.N` | the last forecast, made N s later, or -N s earlier, of a stream with SHARDS shards (0: it is checked); WRONG in a row were wrong |
//! | `plan=SHARDS/UNTIL` | a person has planned at least SHARDS shards until this time |
//! | `early=N` | N restores were too early |
//! | `tried=N` | something last prevented a restore, N s later; without a change, WHEN |

mod anchor;
mod foreseen;

use super::{Change, MOST_TRIES, Memory, Refusal, ShardMetrics, SplitHistory};
use anchor::{Anchor, TIME, list, parts, time};
use chrono::{DateTime, Utc};
use std::fmt::Write as _;

/// The tag's key.
pub const TAG: &str = "unthrottle.memory";

/// The longest value. AWS documents 255 in one place and 256 in another.
pub const MAX_LENGTH: usize = 255;

/// How the tag names each of [`SHARD_METRICS`].
const METRIC_LETTERS: [char; 3] = ['b', 'r', 'w'];

/// A memory that cannot be read or written. It holds the stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// A word is not `key=value`.
    #[error("`{0}` is not key=value")]
    NotAWord(String),
    /// A word cannot be understood.
    #[error("`{0}` cannot be read")]
    Word(String),
    /// Two words have the same key.
    #[error("duplicate key `{0}`")]
    DuplicateKey(String),
    /// Another format.
    #[error("its version is {0}, and this binary reads version 1")]
    Version(String),
    /// The words do not fit.
    #[error("it would take {0} characters, and a tag has room for {MAX_LENGTH}")]
    TooLong(usize),
}

/// A word of the tag: how its value is read into a memory (`None`: it cannot be understood), and how it is written
/// (`None`: the memory does not have it).
struct Word {
    key: &'static str,
    read: fn(&mut Memory, &str, Anchor) -> Option<()>,
    write: fn(&Memory, Anchor) -> Option<String>,
}

/// A word of the last change that is a time before it.
macro_rules! before_change {
    ($key:literal, $field:ident) => {
        Word {
            key: $key,
            read: |memory, value, anchor| {
                memory.change.as_mut()?.$field = Some(anchor.before(value)?);
                Some(())
            },
            write: |memory, anchor| Some(anchor.seconds_before(memory.change.as_ref()?.$field?)?.to_string()),
        }
    };
}

/// A word of the last change that is a time after it.
macro_rules! after_change {
    ($key:literal, $field:ident) => {
        Word {
            key: $key,
            read: |memory, value, anchor| {
                memory.change.as_mut()?.$field = Some(anchor.after(value)?);
                Some(())
            },
            write: |memory, anchor| Some(anchor.seconds_after(memory.change.as_ref()?.$field?)?.to_string()),
        }
    };
}

/// A word that is a list of times before the last change.
macro_rules! times_before_change {
    ($key:literal, $field:ident) => {
        Word {
            key: $key,
            read: |memory, value, anchor| {
                memory.$field = value.split('-').map(|ago| anchor.before(ago)).collect::<Option<_>>()?;
                Some(())
            },
            write: |memory, anchor| {
                let ago = |at: &DateTime<Utc>| anchor.seconds_before(*at).map(|ago| ago.to_string());
                list(memory.$field.iter().map(ago), "-")
            },
        }
    };
}

/// A word that is the code of a hold that people got a message about, and when.
macro_rules! notified_word {
    ($key:literal, $field:ident) => {
        Word {
            key: $key,
            read: |memory, value, anchor| {
                let (code, at) = value.split_once('/')?;
                memory.$field = Some((code.into(), anchor.moment(at)?));
                Some(())
            },
            write: |memory, anchor| {
                let (code, at) = memory.$field.as_ref()?;
                Some(format!("{code}/{}", anchor.write_moment(*at)))
            },
        }
    };
}

/// Every word after `v` and `change`, in the order in which they are written.
const WORDS: [Word; 22] = [
    before_change!("after", after),
    before_change!("since", since),
    after_change!("done", settled),
    after_change!("heal", healed),
    after_change!("readers", readers_until),
    Word {
        key: "sent",
        read: |memory, value, anchor| {
            memory.change.as_mut()?.resent = Some(anchor.after(value)?);
            Some(())
        },
        write: |memory, anchor| {
            let change = memory.change.as_ref()?;
            // Once the datum is found, no run needs to know when it was sent.
            Some(anchor.seconds_after(change.resent.filter(|_| change.published.is_none())?)?.to_string())
        },
    },
    after_change!("seen", published),
    Word {
        key: "owed",
        read: |memory, value, anchor| {
            let (kind, ago) = value.split_once('/')?;
            memory.unpublished = Some((kind.parse().ok()?, anchor.before(ago)?));
            Some(())
        },
        write: |memory, anchor| {
            let (kind, at) = memory.unpublished?;
            Some(format!("{kind}/{}", anchor.seconds_before(at)?))
        },
    },
    Word {
        key: "resent",
        read: |memory, value, anchor| {
            memory.resent = Some(anchor.moment(value)?);
            Some(())
        },
        write: |memory, anchor| Some(anchor.signed(memory.resent?)?.to_string()),
    },
    times_before_change!("scales", reshards),
    times_before_change!("modes", switches),
    times_before_change!("downs", restores),
    Word {
        key: "reverts",
        read: |memory, value, anchor| {
            memory.reverts = value.split('.').map(|n| anchor.moment(n)).collect::<Option<_>>()?;
            Some(())
        },
        write: |memory, anchor| {
            list(memory.reverts.iter().map(|at| anchor.signed(*at).map(|seconds| seconds.to_string())), ".")
        },
    },
    Word {
        key: "lines",
        read: |memory, value, anchor| {
            memory.split_histories = value.split('-').map(|split| read_split(split, anchor)).collect::<Option<_>>()?;
            Some(())
        },
        write: |memory, anchor| {
            let split = |s: &SplitHistory| Some(format!("{}.{}.{}", s.shard, s.splits, anchor.seconds_before(s.at)?));
            list(memory.split_histories.iter().map(split), "-")
        },
    },
    Word {
        key: "watch",
        read: |memory, value, anchor| {
            let (metrics, ago) = value.split_once('.')?;
            let letters = METRIC_LETTERS.map(|letter| metrics.contains(letter));
            let on = (metrics != "off").then_some(letters);
            memory.shard_metrics = Some(ShardMetrics { on, at: anchor.before(ago)? });
            Some(())
        },
        write: |memory, anchor| {
            let ShardMetrics { on, at } = memory.shard_metrics?;
            let letters = |on: [bool; 3]| METRIC_LETTERS.into_iter().zip(on).filter(|(_, on)| *on);
            let on = on.map_or_else(|| "off".to_owned(), |on| letters(on).map(|(letter, _)| letter).collect());
            Some(format!("{on}.{}", anchor.seconds_before(at)?))
        },
    },
    Word {
        key: "was",
        read: |memory, value, _| {
            memory.was_provisioned = (value == "p").then_some(true)?;
            Some(())
        },
        write: |memory, _| memory.was_provisioned.then(|| "p".to_owned()),
    },
    Word {
        key: "base",
        read: |memory, value, _| {
            memory.base = Some(value.parse().ok()?);
            Some(())
        },
        write: |memory, _| memory.base.map(|base| base.to_string()),
    },
    Word {
        key: "refused",
        read: |memory, value, anchor| {
            memory.refused = Some(read_refusal(value, anchor)?);
            Some(())
        },
        write: |memory, anchor| {
            let Refusal { kind, minutes, at } = memory.refused?;
            Some(format!("{kind}/{minutes}/{}", anchor.write_moment(at)))
        },
    },
    Word {
        key: "tries",
        read: |memory, value, _| {
            memory.tries = Some(value.parse().ok().filter(|tries| (1..=MOST_TRIES).contains(tries))?);
            Some(())
        },
        write: |memory, _| memory.tries.map(|tries| tries.to_string()),
    },
    notified_word!("told", notified),
    notified_word!("told-before", notified_before),
    Word {
        key: "tried",
        read: |memory, value, anchor| {
            memory.restore_tried = Some(anchor.moment(value)?);
            Some(())
        },
        write: |memory, anchor| memory.restore_tried.map(|at| anchor.write_moment(at)),
    },
];

impl Memory {
    /// Reads the tag's value.
    ///
    /// # Errors
    /// The first word that cannot be understood.
    pub fn parse(text: &str) -> Result<Memory, MemoryError> {
        let mut words = Vec::<(&str, &str)>::new();
        for word in text.split_whitespace() {
            let (key, value) = word.split_once('=').ok_or_else(|| MemoryError::NotAWord(word.into()))?;
            if words.iter().any(|(known, _)| *known == key) {
                return Err(MemoryError::DuplicateKey(key.into()));
            }
            words.push((key, value));
        }
        let value = |key: &str| words.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
        let version = value("v").unwrap_or("missing");
        if version != "1" {
            return Err(MemoryError::Version(version.into()));
        }
        let change = value("change").map(read_change).transpose()?;
        let anchor = Anchor(change.as_ref().map(|change| change.at));
        let mut memory = Memory { change, ..Memory::default() };
        for (key, value) in words.into_iter().filter(|(key, _)| !matches!(*key, "v" | "change")) {
            let Some(word) = WORDS.iter().chain(&foreseen::WORDS).find(|word| word.key == key) else {
                memory.newer.push((key.into(), value.into()));
                continue;
            };
            (word.read)(&mut memory, value, anchor).ok_or_else(|| MemoryError::Word(format!("{key}={value}")))?;
        }
        Ok(memory)
    }

    /// The tag's value. A memory that is too long loses what no change depends on: how long readers are watched,
    /// notifications, the earlier one first, tried restores, the unpublished datum. Then it loses the forecasts, then
    /// which reshards were restores, and then the reverts and the plan: a memory so full has no reshards left either.
    ///
    /// # Errors
    /// [`MemoryError::TooLong`] when the words of a newer version leave no room.
    pub fn encode(&self) -> Result<String, MemoryError> {
        let change = self.change.clone().map(|change| Change { readers_until: None, ..change });
        let told = Memory { notified_before: None, ..self.clone() };
        let (notified, restore_tried, unpublished, resent, tries) = (None, None, None, None, None);
        let short = Memory { change, notified, restore_tried, unpublished, resent, tries, ..told.clone() };
        let unforeseen = Memory { aheads: vec![], levels: vec![], forecast: None, early_restores: 0, ..short.clone() };
        let shorter = Memory { restores: vec![], ..unforeseen.clone() };
        let shortest = Memory { reverts: vec![], planned: None, ..shorter.clone() };
        let texts = [self, &told, &short, &unforeseen, &shorter, &shortest].map(Memory::words);
        let length = texts[5].len();
        texts.into_iter().find(|text| text.len() <= MAX_LENGTH).ok_or(MemoryError::TooLong(length))
    }

    fn words(&self) -> String {
        let mut text = String::from("v=1");
        let mut word = |key: &str, value: &str| {
            let _ = write!(text, " {key}={value}"); // writing to a String cannot fail
        };
        if let Some(Change { kind, from, to, at, .. }) = &self.change {
            word("change", &format!("{kind}/{from}/{to}/{}", at.format(TIME)));
        }
        let anchor = Anchor(self.change.as_ref().map(|change| change.at));
        for Word { key, write, .. } in WORDS.iter().chain(&foreseen::WORDS) {
            if let Some(value) = write(self, anchor) {
                word(key, &value);
            }
        }
        self.newer.iter().for_each(|(key, value)| word(key, value));
        text
    }
}

fn read_change(value: &str) -> Result<Change, MemoryError> {
    let read = || {
        let [kind, from, to, at] = parts(value, '/')?;
        Some(Change::intent(kind.parse().ok()?, from.parse().ok()?, to.parse().ok()?, time(at)?))
    };
    read().ok_or_else(|| MemoryError::Word(format!("change={value}")))
}

fn read_split(value: &str, anchor: Anchor) -> Option<SplitHistory> {
    let [shard, splits, ago] = parts(value, '.')?;
    Some(SplitHistory { shard: shard.parse().ok()?, splits: splits.parse().ok()?, at: anchor.before(ago)? })
}

fn read_refusal(value: &str, anchor: Anchor) -> Option<Refusal> {
    let [kind, minutes, at] = parts(value, '/')?;
    Some(Refusal { kind: kind.parse().ok()?, minutes: minutes.parse().ok()?, at: anchor.moment(at)? })
}

#[cfg(test)]
mod tests;
