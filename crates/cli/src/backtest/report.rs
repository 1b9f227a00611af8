//! The result of a backtest: a table, the hours, and the assumptions of the estimate.

use super::period::Period;
use super::result::{HEALED_PAST, MEANINGS};
use super::text::{cents, tenths};
use crate::changes::ShardsOverTime;
use crate::pages::{self, Clock, Page, Section, Table};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Serialize;
use unthrottle_core::cost::Prices;
use unthrottle_core::observation::CapacityMode;
use unthrottle_core::words::{count, many};
use unthrottle_lab::sim::Run;
use unthrottle_lab::sim::account::Account;
use unthrottle_lab::sim::backtest::{Backtested, Before, Demand, History, Hour};
use unthrottle_lab::sim::timeline::Mark;

/// The source of the number of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum From {
    /// `--shards`.
    Given,
    /// The stream of today.
    Now,
    /// The memory tag and the metric AutoFix, which show the shards over time.
    Changes,
    /// The fewest shards that could accept the records.
    Fewest,
}

pub(super) struct Report {
    pub name: String,
    pub history: History,
    pub before: Before,
    pub from: From,
    /// What unthrottle changed meanwhile.
    pub over_time: ShardsOverTime,
    /// `None`: the past is not from a file.
    pub period: Option<Period>,
    pub prices: Prices,
    /// The past comes first, unthrottle second.
    pub runs: Vec<(Backtested, Run)>,
}

/// The document of `--json`. Only additive changes.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Document {
    version: u32,
    stream: String,
    begins: String,
    ends: String,
    minutes_with_data: usize,
    /// The minutes that each row of the file counts. `null`: the past is not from a file.
    row_minutes: Option<u32>,
    shards: u32,
    shards_from: From,
    mode: &'static str,
    /// Minutes in which the stream accepted more than these shards can.
    minutes_beyond_shards: usize,
    offered_records_at_least: f64,
    offered_records_at_most: f64,
    /// As CloudWatch counted it.
    throttled: f64,
    /// As the simulated stream without changes refused it. The nearer to `throttled`, the better the estimate.
    throttled_simulated: u64,
    prices: String,
    policies: Vec<Outcome>,
    hours: Vec<Line>,
    caveats: Vec<String>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Outcome {
    pub policy: &'static str,
    /// Hours without throttling before unthrottle restores. `null`: never, or another policy.
    restore_after_hours: Option<u32>,
    shards_at_the_beginning: u32,
    shards_at_the_end: u32,
    pub throttled: f64,
    /// Changes of capacity in the simulation. `null`: unknown.
    pub changes: Option<u64>,
    shard_hours: f64,
    pub usd: f64,
}

/// One hour of the run of unthrottle.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct Line {
    begins: String,
    what: Vec<What>,
    throttled_then: f64,
    throttled_now: u64,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct What {
    code: &'static str,
    from: Option<u32>,
    to: Option<u32>,
}

pub(super) const HEADS: [&str; 6] = ["", "shards", "throttled", "changes", "shard-h", "$"];

pub(super) const HOUR_HEADS: [&str; 3] = ["hour (UTC)", "unthrottle", "throttled then → now"];

impl Report {
    fn begins(&self) -> DateTime<Utc> {
        self.history.first().start()
    }

    fn ends(&self) -> DateTime<Utc> {
        self.begins() + TimeDelta::minutes(self.history.minutes().len() as i64)
    }

    /// The run of unthrottle.
    fn ours(&self) -> Option<&Run> {
        self.runs.iter().find(|(who, _)| matches!(who, Backtested::Ours(_))).map(|(_, run)| run)
    }

    fn simulated(&self) -> u64 {
        self.runs.first().map_or(0, |(_, run)| run.score.throttled)
    }

    pub(super) fn hours(&self) -> Vec<Hour> {
        self.ours().map(|run| self.history.hours(&run.timeline)).unwrap_or_default()
    }

    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        let mut restores = [false, true].into_iter();
        let outcome = |(who, run): &(Backtested, Run)| {
            let is_past = matches!(who, Backtested::AsItWas);
            let shards =
                |slice: Option<&unthrottle_lab::sim::timeline::Slice>| slice.map_or(0, |slice| slice.open_shards);
            let score = &run.score;
            Outcome {
                policy: match who {
                    Backtested::AsItWas => "as it was",
                    Backtested::Ours(_) if who.is_foreseeing() => "unthrottle, foreseeing",
                    Backtested::Ours(_) if restores.next() == Some(true) => "unthrottle, restoring",
                    Backtested::Ours(_) => "unthrottle",
                    Backtested::OnDemand => "on-demand",
                    Backtested::Static(_) => "best static",
                },
                restore_after_hours: who.restores_after(),
                shards_at_the_beginning: shards(run.timeline.minutes().first()),
                shards_at_the_end: shards(run.timeline.minutes().last()),
                throttled: if is_past { self.history.throttled() } else { score.throttled as f64 },
                changes: (!is_past).then_some(score.changes),
                shard_hours: score.shard_hours,
                usd: score.usd,
            }
        };
        self.runs.iter().map(outcome).collect()
    }

    /// The cells of the table, under [`HEADS`].
    pub(super) fn rows(&self) -> Vec<[String; 6]> {
        let row = |outcome: Outcome| {
            let number = |number: u32| count(f64::from(number));
            let (begin, end) = (outcome.shards_at_the_beginning, outcome.shards_at_the_end);
            [
                outcome.policy.to_owned(),
                if begin == end { number(begin) } else { format!("{} → {}", number(begin), number(end)) },
                count(outcome.throttled),
                outcome.changes.map_or_else(|| "?".into(), |changes| count(changes as f64)),
                tenths(outcome.shard_hours),
                cents(outcome.usd),
            ]
        };
        self.outcomes().into_iter().map(row).collect()
    }

    /// The first line: the stream, the time, and the shards.
    pub(super) fn about(&self) -> String {
        let time = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M");
        let is_doubtful = !self.over_time.doubts().is_empty();
        let from = match self.from {
            From::Given => "as --shards says",
            From::Now if is_doubtful => "as many as today, which is doubtful: see the end",
            From::Now => "as many as today: no known change of unthrottle, and CloudWatch does not keep the number",
            From::Changes if is_doubtful => "then changed as its memory tag and AutoFix show, in part: see the end",
            From::Changes => "then changed as its memory tag and AutoFix show: the past follows these changes",
            From::Fewest => "the fewest that could accept these records; --shards gives another number",
        };
        format!(
            "{}: {} to {} (UTC), {} known, on {} in {} mode, {from}.",
            self.name,
            time(self.begins()),
            time(self.ends()),
            many(self.history.known(), "minute"),
            shards(self.before.shards),
            self.mode()
        )
    }

    fn mode(&self) -> &'static str {
        if self.before.mode == CapacityMode::OnDemand { "on-demand" } else { "provisioned" }
    }

    /// The assumptions of the estimate, and its doubtful parts.
    pub(super) fn caveats(&self) -> Vec<String> {
        let mut caveats = self.assumptions();
        caveats.extend(self.coarse());
        caveats.extend((self.from == From::Changes).then(|| HEALED_PAST.to_owned()));
        if let Some(hours) = self.runs.iter().filter_map(|(who, _)| who.restores_after()).next_back() {
            let hours = if hours == 1 { "one hour".to_owned() } else { format!("{hours} hours") };
            caveats.push(format!(
                "Restoring undoes a change after {hours} without throttling (UNTHROTTLE_RESTORE_AFTER_HOURS)."
            ));
            caveats.push(
                "Foreseeing also adds shards before the load (UNTHROTTLE_FORESIGHT and the stream's own tag). It knows \
                 the days of this past only, so its first day has none."
                    .to_owned(),
            );
        }
        caveats.extend(self.doubts());
        caveats
    }

    fn assumptions(&self) -> Vec<String> {
        let Demand { at_least, at_most, busiest_at_least, busiest_at_most } = self.history.demand();
        let (region, as_of) = (&self.prices.region, &self.prices.as_of);
        vec![
            format!(
                "An estimate: CloudWatch shows what a stream accepts, not what producers offer. They offered \
                 {} to {} records, {} to {} a second in the busiest minute. The larger number adds every refused try \
                 to the accepted records. The simulation sends the larger number, and sends no refused record again.",
                count(at_least),
                count(at_most),
                count(busiest_at_least),
                count(busiest_at_most)
            ),
            "A minute does not show its seconds and keys. Records that were refused in a minute that was not full \
             count as a burst with even keys at its beginning. If a hot key was the cause, no policy would have helped \
             as much as shown here."
                .to_owned(),
            format!(
                "Dollars are list prices ({region} {as_of}) for writes, without readers. On-demand mode begins with \
                 the shards of that time, and with four or more. The account is assumed to have a quota of {} shards, \
                 and no throughput commitment.",
                count(Account::default().shard_limit.into())
            ),
        ]
    }

    fn doubts(&self) -> Vec<String> {
        let mut doubts = vec![];
        let (then, simulated) = (self.history.throttled(), self.simulated());
        // A difference of a tenth is normal: the simulation has whole seconds and whole records at the ends of bursts.
        if (then - simulated as f64).abs() > 0.1 * then.max(1_000.0) {
            doubts.push(format!(
                "Doubtful: a simulated stream without changes refuses {}, and the real stream refused {}. \
                 The stream had another number of shards then (--shards), or very uneven keys.",
                many(simulated, "record"),
                count(then)
            ));
        }
        doubts.extend(self.over_time.doubts());
        let beyond = self.history.beyond(self.before.shards);
        if beyond > 0 && self.before.mode != CapacityMode::OnDemand {
            doubts.push(format!(
                "Doubtful: in {} more was accepted than {} {}, so the stream had more shards then: {} at least. Give \
                 their number with --shards.",
                many(beyond, "minute"),
                shards(self.before.shards),
                if self.before.shards == 1 { "takes" } else { "take" },
                self.history.fewest_shards()
            ));
        }
        doubts
    }

    /// What rows of more than a minute hide.
    fn coarse(&self) -> Option<String> {
        let Period { minutes, is_given } = self.period.filter(|period| period.minutes > 1)?;
        let how = if is_given { "as --period says" } else { "as the rows are apart; --period gives another number" };
        Some(format!(
            "Each row counts {minutes} minutes ({how}). Each of these minutes gets the same part of its sums, so \
             shorter peaks are not visible and a real stream may need more shards."
        ))
    }

    pub fn document(&self) -> Document {
        let demand = self.history.demand();
        Document {
            version: 1,
            stream: self.name.clone(),
            begins: self.begins().to_rfc3339_opts(SecondsFormat::Secs, true),
            ends: self.ends().to_rfc3339_opts(SecondsFormat::Secs, true),
            minutes_with_data: self.history.known(),
            row_minutes: self.period.map(|period| period.minutes),
            shards: self.before.shards,
            shards_from: self.from,
            mode: self.mode(),
            minutes_beyond_shards: self.history.beyond(self.before.shards),
            offered_records_at_least: demand.at_least,
            offered_records_at_most: demand.at_most,
            throttled: self.history.throttled(),
            throttled_simulated: self.simulated(),
            prices: format!("{} {}", self.prices.region, self.prices.as_of),
            policies: self.outcomes(),
            hours: self.hours().iter().map(|hour| self.line(hour)).collect(),
            caveats: self.caveats(),
        }
    }

    fn begin_of(&self, hour: &Hour) -> DateTime<Utc> {
        self.begins() + TimeDelta::hours(hour.number as i64)
    }

    fn line(&self, hour: &Hour) -> Line {
        let what = |mark: &Mark| What {
            code: mark.code,
            from: mark.change.map(|change| change.from),
            to: mark.change.map(|change| change.to),
        };
        Line {
            begins: self.begin_of(hour).to_rfc3339_opts(SecondsFormat::Secs, true),
            what: telling(hour).into_iter().map(what).collect(),
            throttled_then: hour.then,
            throttled_now: hour.now,
        }
    }

    /// The cells of one hour: time, decisions, refusals.
    pub(super) fn cells(&self, hour: &Hour) -> [String; 3] {
        let what = |mark: &Mark| match mark.change {
            Some(change) if change.from != change.to => format!("{} {} → {}", mark.code, change.from, change.to),
            _ => mark.code.to_owned(),
        };
        let what: Vec<String> = telling(hour).into_iter().map(what).collect();
        [
            self.begin_of(hour).format("%Y-%m-%d %H:%M").to_string(),
            if what.is_empty() { "-".into() } else { what.join(", ") },
            format!("{} → {}", count(hour.then), count(hour.now as f64)),
        ]
    }

    /// The report as a page.
    pub fn page(&self) -> Page {
        let cells = |cells: &[String]| cells.iter().map(pages::Cell::from).collect();
        let heads = |heads: &[&str]| heads.iter().map(|head| (*head).to_owned()).collect();
        let policies =
            Table { heads: heads(&HEADS), rows: self.rows().iter().map(|row| cells(row.as_slice())).collect() };
        let hours = self.hours();
        let hours =
            Table { heads: heads(&HOUR_HEADS), rows: hours.iter().map(|hour| cells(&self.cells(hour))).collect() };
        let run = |((_, run), outcome): (&(Backtested, Run), Outcome)| pages::Run {
            name: match outcome.policy {
                "as it was" => "as it was, simulated".into(),
                policy => policy.to_owned(),
            },
            timeline: run.timeline.clone(),
            clock: Clock::Utc(self.begins()),
            is_open: matches!(outcome.policy, "as it was" | "unthrottle"),
        };
        let section = Section {
            title: self.name.clone(),
            about: vec![self.about()],
            tables: vec![policies, hours],
            runs: self.runs.iter().zip(self.outcomes()).map(run).collect(),
            ..Section::default()
        };
        let title = format!("unthrottle backtest: {}", self.name);
        Page {
            title,
            result: self.result(),
            about: vec![],
            sections: vec![section],
            policies: MEANINGS.map(|(name, meaning)| (name.to_owned(), meaning.to_owned())).into(),
            caveats: self.caveats(),
        }
    }
}

fn shards(number: u32) -> String {
    many(number, "shard")
}

/// The changes of an hour. Without changes: each decision once.
fn telling(hour: &Hour) -> Vec<&Mark> {
    let changes: Vec<&Mark> = hour.marks.iter().filter(|mark| mark.change.is_some()).collect();
    if !changes.is_empty() {
        return changes;
    }
    let is_first = |(place, mark): &(usize, &Mark)| hour.marks[..*place].iter().all(|other| other.code != mark.code);
    hour.marks.iter().enumerate().filter(is_first).map(|(_, mark)| mark).collect()
}
