//! The changes of a stream: those of the metric AutoFix, with the sizes that the log, the memory tag and the shards of
//! today give.

use super::collect::Span;
use super::document::{Change, STEP_MINUTES};
use super::logs::Logged;
use super::stream::{Readings, per_hour};
use crate::changes::{Counted, ShardsOverTime, changes_shards};
use chrono::{DateTime, TimeDelta, Utc};
use unthrottle_core::cost::Prices;
use unthrottle_core::decision::Remedy;
use unthrottle_core::memory::{Memory, Size, TAG};
use unthrottle_core::observation::{CapacityMode, Stream};

/// A change of the metric and one of a log or a tag are the same within this time: a step of the metric, and the
/// minute in which two runs may both announce a change.
const SAME: TimeDelta = TimeDelta::minutes(STEP_MINUTES + 1);

/// The clocks of the metric and of the tag differ by less than this.
const APART: TimeDelta = TimeDelta::minutes(1);

impl Logged {
    /// Whether both are the same change, told twice.
    fn is_same(&self, other: &Logged) -> bool {
        let is_alike = |one: Option<u32>, other: Option<u32>| one.is_none() || other.is_none() || one == other;
        self.action == other.action
            && (self.at - other.at).abs() < SAME
            && is_alike(self.from, other.from)
            && is_alike(self.to, other.to)
    }
}

/// The changes of the metric, of the log and of the memory tag, each once, the oldest first.
pub(super) fn changes(of: &Readings<'_>, prices: &Prices, span: Span) -> Vec<Change> {
    let mut steps = of.fixes.clone();
    let mut changes: Vec<Change> = vec![];
    for told in told(of, prices, span) {
        if let Some(place) = step_of(&steps, &told) {
            steps[place].2 -= 1;
        }
        let Logged { at, action, from, to, usd_per_hour } = told;
        changes.push(Change { from, to, usd_per_hour, ..bare(at, &action, 1) });
    }
    let over_time = over_time(of);
    for (at, action, left) in steps.into_iter().filter(|(.., left)| *left > 0) {
        match sized(of, &over_time, &changes, (at, action, left), prices) {
            Some(sized) => changes.extend(sized),
            None => changes.push(bare(at, action, left)),
        }
    }
    changes.sort_by_key(|change| change.at);
    for change in &mut changes {
        let hour = TimeDelta::hours(1);
        let refused =
            |from, to| of.steps.range(from..to).map(|(_, step)| step.refused()).fold(0.0, |sum, one| sum + one);
        change.refused_hour_before = refused(change.at - hour, change.at);
        change.refused_hour_after = refused(change.at, change.at + hour);
        let hours = (span.to - change.at).num_seconds().max(0) as f64 / 3600.0;
        change.usd_so_far = change.usd_per_hour.map(|usd| usd * f64::from(change.count) * hours);
    }
    changes
}

fn bare(at: DateTime<Utc>, action: &str, count: u32) -> Change {
    Change {
        at,
        action: action.to_owned(),
        count,
        from: None,
        to: None,
        refused_hour_before: 0.0,
        refused_hour_after: 0.0,
        usd_per_hour: None,
        usd_so_far: None,
    }
}

/// The changes of the log and of the memory tag, each once.
fn told(of: &Readings<'_>, prices: &Prices, span: Span) -> Vec<Logged> {
    let logged = of.logged.iter().flat_map(|logged| logged.made.iter().cloned());
    let mut all: Vec<Logged> = vec![];
    for told in logged.chain(remembered(of, prices)).filter(|told| span.has(told.at)) {
        if !all.iter().any(|other| other.is_same(&told)) {
            all.push(told);
        }
    }
    all
}

/// The last change of ours in the memory tag.
fn remembered(of: &Readings<'_>, prices: &Prices) -> Option<Logged> {
    let memory = Memory::parse(of.tags.get(TAG)?).ok()?;
    let change = memory.own_change()?;
    let action = Remedy::code_of(change.kind);
    let shards = |size: Size| size.shards().filter(|_| changes_shards(action));
    let usd_per_hour = shards(change.from).zip(shards(change.to)).zip(of.stream.as_ref());
    Some(Logged {
        at: change.at,
        action: action.to_owned(),
        from: Some(change.from.number()),
        to: Some(change.to.number()),
        usd_per_hour: usd_per_hour.map(|((from, to), stream)| added(prices, stream, from, to)),
    })
}

/// What a change of the shards adds to the cost, USD an hour.
fn added(prices: &Prices, stream: &Stream, from: u32, to: u32) -> f64 {
    per_hour(prices, stream, to) - per_hour(prices, stream, from)
}

/// The place of the step of the metric that has a change: the newest that has begun, or one that begins a moment later.
fn step_of(steps: &[(DateTime<Utc>, &str, u32)], told: &Logged) -> Option<usize> {
    let is_near = |at: DateTime<Utc>| told.at - at < SAME && at - told.at < APART;
    let of_it = |(_, (at, action, left)): &(usize, &(DateTime<Utc>, &str, u32))| {
        *action == told.action && *left > 0 && is_near(*at)
    };
    let all = steps.iter().enumerate().filter(of_it);
    all.max_by_key(|(_, (at, ..))| (*at <= told.at, *at)).map(|(place, _)| place)
}

/// The shards of a provisioned stream over time, as the memory tag and the metric show them.
fn over_time(of: &Readings<'_>) -> ShardsOverTime {
    let stream = of.stream.as_ref().filter(|stream| stream.mode == CapacityMode::Provisioned);
    let memory = of.tags.get(TAG).and_then(|tag| Memory::parse(tag).ok()).unwrap_or_default();
    let counted = |(at, action, count): &(DateTime<Utc>, &'static str, u32)| Counted {
        at: *at,
        action,
        count: f64::from(*count),
    };
    let counted: Vec<Counted> = of.fixes.iter().map(counted).collect();
    stream.map(|stream| ShardsOverTime::of(&memory, &counted, stream.open_shards, STEP_MINUTES)).unwrap_or_default()
}

/// The changes of a step that the log and the memory do not name. The shards over time give their sizes. `None`: the
/// sizes are not known.
fn sized(
    of: &Readings<'_>,
    over_time: &ShardsOverTime,
    told: &[Change],
    (at, action, left): (DateTime<Utc>, &str, u32),
    prices: &Prices,
) -> Option<Vec<Change>> {
    let stream = of.stream.as_ref()?;
    let within = at..at + TimeDelta::minutes(STEP_MINUTES);
    let steps = over_time.certain().filter(|step| within.contains(&step.minute.start()));
    let is_told = |from: u32, to: u32, time: DateTime<Utc>| {
        told.iter().any(|it| (it.from, it.to) == (Some(from), Some(to)) && (it.at - time).abs() < SAME)
    };
    let steps: Vec<_> = steps.filter(|step| !is_told(step.from, step.to, step.minute.start())).collect();
    if steps.len() != left as usize {
        return None;
    }
    let change = |(from, to): (u32, u32)| Change {
        from: Some(from),
        to: Some(to),
        usd_per_hour: Some(added(prices, stream, from, to)),
        ..bare(at, action, 1)
    };
    Some(steps.into_iter().map(|step| change((step.from, step.to))).collect())
}

#[cfg(test)]
mod tests {
    use super::super::logs::OfStream;
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use unthrottle_core::memory::ChangeKind;
    use unthrottle_core::observation::Status;

    fn at(minute: i64, second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(22) + TimeDelta::minutes(minute) + TimeDelta::seconds(second)
    }

    fn stream(open_shards: u32) -> Stream {
        Stream {
            name: "orders".into(),
            arn: "arn:aws:kinesis:us-east-1:123456789012:stream/orders".into(),
            status: Status::Active,
            mode: CapacityMode::Provisioned,
            open_shards,
            retention_hours: 24,
            consumers: 0,
            shard_metrics: BTreeSet::new(),
            warm_throughput: None,
            spreads_records: false,
            channels: None,
            queues: None,
            kms_key: None,
            created_at: None,
        }
    }

    /// The time of a change, its sizes, and how often.
    type Found = (DateTime<Utc>, Option<u32>, Option<u32>, u32);

    /// The changes of a stream with 14 shards whose memory has 8 → 14 as the last one: the minute, the sizes, and how
    /// often. The cost of each is that of its shards from its time to one hour after 22:40.
    fn of(fixes: &[(i64, u32)], logged: Option<&OfStream>) -> Vec<Found> {
        let change = unthrottle_core::memory::Change::intent(ChangeKind::Scale, 8, 14, at(40, 20));
        let memory = Memory { base: Some(2), ..Memory::default().intend(change, false) };
        let readings = Readings {
            name: "orders",
            stream: Some(stream(14)),
            tags: BTreeMap::from([(TAG.to_owned(), memory.encode().expect("short"))]),
            steps: BTreeMap::new(),
            fixes: fixes.iter().map(|(minute, count)| (at(*minute, 0), "scale_shards", *count)).collect(),
            logged,
        };
        let changes = changes(&readings, &Prices::default(), Span { from: at(0, 0), to: at(100, 0) });
        for change in &changes {
            let hours = (at(100, 0) - change.at).num_seconds() as f64 / 3600.0;
            let shards = change.to.zip(change.from).map(|(to, from)| f64::from(to) - f64::from(from));
            let usd = shards.map(|shards| shards * 0.015 * hours);
            let is_right = usd.zip(change.usd_so_far).map(|(usd, found)| (usd - found).abs() < 1e-9);
            assert_eq!(is_right, usd.map(|_| true), "{change:?}");
        }
        changes.into_iter().map(|change| (change.at, change.from, change.to, change.count)).collect()
    }

    fn row(at: DateTime<Utc>, from: u32, to: u32) -> Found {
        (at, Some(from), Some(to), 1)
    }

    #[test]
    fn three_changes_in_six_minutes_each_have_their_own_size_and_cost() {
        let known = [row(at(35, 0), 2, 4), row(at(35, 0), 4, 8), row(at(40, 20), 8, 14)];
        assert_eq!(of(&[(35, 2), (40, 1)], None), known);
        let two = [row(at(30, 0), 2, 4), row(at(35, 0), 4, 8), row(at(40, 20), 8, 14)];
        assert_eq!(of(&[(30, 1), (35, 1), (40, 1)], None), two);
    }

    #[test]
    fn a_log_line_takes_one_of_the_changes_of_its_step() {
        let made = |from, to, at| Logged {
            at,
            action: "scale_shards".into(),
            from: Some(from),
            to: Some(to),
            usd_per_hour: Some(0.015 * f64::from(to - from)),
        };
        let all = [made(2, 4, at(37, 5)), made(4, 8, at(39, 5)), made(8, 14, at(40, 15))];
        // A line that stands in two files counts once.
        let logged = OfStream { made: [&all[..], &all[..]].concat(), ..OfStream::default() };
        let known = [row(at(37, 5), 2, 4), row(at(39, 5), 4, 8), row(at(40, 15), 8, 14)];
        assert_eq!(of(&[(35, 2), (40, 1)], Some(&logged)), known);
        let logged = OfStream { made: vec![all[1].clone()], ..OfStream::default() };
        let known = [row(at(35, 0), 2, 4), row(at(39, 5), 4, 8), row(at(40, 20), 8, 14)];
        assert_eq!(of(&[(35, 2), (40, 1)], Some(&logged)), known);
    }

    #[test]
    fn changes_whose_sizes_have_more_than_one_answer_have_none() {
        let mut known = vec![(at(35, 0), None, None, 3), row(at(40, 20), 8, 14)];
        assert_eq!(of(&[(35, 3), (40, 1)], None), known);
        known[0].3 = 1_000_000;
        assert_eq!(of(&[(35, 1_000_000), (40, 1)], None), known);
    }
}
