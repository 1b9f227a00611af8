//! The words of forecasts and of planned capacity.

use super::Word;
use super::anchor::{TIME, list, parts, time};
use crate::memory::{Forecast, Planned};

/// Written after all other words.
pub(super) const WORDS: [Word; 5] = [
    Word {
        key: "aheads",
        read: |memory, value, anchor| {
            memory.aheads = value.split('-').map(|ago| anchor.before(ago)).collect::<Option<_>>()?;
            Some(())
        },
        write: |memory, anchor| {
            list(memory.aheads.iter().map(|at| anchor.seconds_before(*at).map(|ago| ago.to_string())), "-")
        },
    },
    Word {
        key: "levels",
        read: |memory, value, anchor| {
            memory.levels = value.split('.').map(|at| anchor.moment(at)).collect::<Option<_>>()?;
            Some(())
        },
        write: |memory, anchor| list(memory.levels.iter().map(|at| Some(anchor.write_moment(*at))), "."),
    },
    Word {
        key: "fore",
        read: |memory, value, anchor| {
            let [shards, wrong, at] = parts(value, '.')?;
            let shards = Some(shards.parse().ok()?).filter(|shards| *shards > 0);
            memory.forecast = Some(Forecast { at: anchor.moment(at)?, shards, wrong: wrong.parse().ok()? });
            Some(())
        },
        write: |memory, anchor| {
            let Forecast { at, shards, wrong } = memory.forecast?;
            Some(format!("{}.{wrong}.{}", shards.unwrap_or_default(), anchor.write_moment(at)))
        },
    },
    Word {
        key: "plan",
        read: |memory, value, _| {
            let [at_least, until] = parts(value, '/')?;
            memory.planned = Some(Planned { at_least: at_least.parse().ok()?, until: time(until)? });
            Some(())
        },
        write: |memory, _| {
            let Planned { at_least, until } = memory.planned?;
            Some(format!("{at_least}/{}", until.format(TIME)))
        },
    },
    Word {
        key: "early",
        read: |memory, value, _| {
            memory.early_restores = value.parse().ok()?;
            Some(())
        },
        write: |memory, _| (memory.early_restores > 0).then(|| memory.early_restores.to_string()),
    },
];
