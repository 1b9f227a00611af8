//! The report as Markdown, for a page of a wiki or a pull request.

use super::document::{Change, Incident, Report, StreamReport, Totals};
use chrono::{DateTime, Utc};
use std::fmt::Write as _;
use unthrottle_core::words::{are, count, many, percent, usd};

/// The rows of a table, its header first.
pub(super) type Rows = Vec<Vec<String>>;

/// The whole report.
pub(super) fn text(report: &Report) -> String {
    let mut text = format!("# {}\n\n", title(report));
    for sentence in summary(report) {
        line(&mut text, &format!("- {sentence}"));
    }
    for (title, rows) in tables(report) {
        line(&mut text, &format!("\n## {title}\n"));
        table(&mut text, &rows);
    }
    line(&mut text, "\n## How the numbers were made\n");
    for note in notes(report) {
        line(&mut text, &format!("- {note}"));
    }
    text
}

pub(super) fn title(report: &Report) -> String {
    let day = |at: DateTime<Utc>| at.format("%Y-%m-%d").to_string();
    format!("Kinesis streams in {}, {} to {}", report.region, day(report.from), day(report.to))
}

/// The result, one sentence each.
pub(super) fn summary(report: &Report) -> Vec<String> {
    let Totals { streams, incidents, incidents_with_a_change, open_incidents, .. } = report.totals;
    let totals = &report.totals;
    let [with_a_change, open] = [incidents_with_a_change, open_incidents].map(|number| count(number as f64));
    let mut all = vec![format!(
        "{}: {}, {with_a_change} with a change of unthrottle, {open} not over.",
        many(streams, "stream"),
        many(incidents, "incident")
    )];
    all.push(format!(
        "AWS refused {} and {}.",
        many(totals.refused_records as u64, "record"),
        many(totals.refused_reads as u64, "GetRecords call")
    ));
    let heal = totals.median_time_to_heal_seconds;
    let heal = heal.map_or_else(String::new, |seconds| format!("; half of them within {}", minutes(seconds)));
    all.push(format!(
        "unthrottle made {}. It verified that {} healed a stream{heal}.",
        many(totals.changes, "change"),
        count(totals.healed.into())
    ));
    let unknown = match totals.changes_of_unknown_cost {
        0 => String::new(),
        unknown => format!(" The cost of {} is unknown.", many(unknown, "change")),
    };
    all.push(format!(
        "The changes cost {} so far, and saved {}.{unknown}",
        usd(totals.cost_added_usd),
        usd(totals.cost_saved_usd)
    ));
    all.push(format!(
        "{} at a limit. {} more than their peaks need: {} a month.",
        are(totals.streams_at_limit as u64, "stream"),
        many(totals.slack_shards, "open shard"),
        usd(totals.slack_usd_per_month)
    ));
    if report.logged_decisions.is_some() {
        all.push(format!("Mode observe would have made {}.", many(totals.planned, "change")));
    }
    all
}

/// The tables that have rows, with their titles.
pub(super) fn tables(report: &Report) -> Vec<(&'static str, Rows)> {
    let all = [
        ("Incidents", incidents(report)),
        ("Changes", changes(report)),
        ("What mode observe would have done", planned(report)),
        ("Streams at their limit", limits(report)),
        ("Slack and right size", slack(report)),
        ("Not read", errors(report)),
    ];
    all.into_iter().filter(|(_, rows)| rows.len() > 1).collect()
}

fn heads(heads: &[&str]) -> Vec<String> {
    heads.iter().map(|head| (*head).to_owned()).collect()
}

fn incidents(report: &Report) -> Rows {
    let mut rows =
        vec![heads(&["stream", "from (UTC)", "minutes", "refused records", "refused reads", "changes", "healed in"])];
    let row = |stream: &StreamReport, incident: &Incident| {
        let minutes = (incident.to - incident.from).num_minutes();
        let open = if incident.is_open { "+" } else { "" };
        let healed = incident.time_to_heal_seconds.map_or_else(|| "–".to_owned(), self::minutes);
        vec![
            stream.name.clone(),
            time(incident.from),
            format!("{}{open}", count(minutes as f64)),
            count(incident.refused_records),
            count(incident.refused_reads),
            count(incident.changes.into()),
            healed,
        ]
    };
    for stream in &report.streams {
        rows.extend(stream.incidents.iter().map(|incident| row(stream, incident)));
    }
    rows
}

fn changes(report: &Report) -> Rows {
    let mut rows = vec![heads(&[
        "stream",
        "at (UTC)",
        "change",
        "refused the hour before",
        "the hour after",
        "$ an hour",
        "$ so far",
    ])];
    let row = |stream: &StreamReport, change: &Change| {
        let step = |(from, to): (u32, u32)| format!(" {} → {}", count(from.into()), count(to.into()));
        let step = change.from.zip(change.to).map_or_else(String::new, step);
        let times = if change.count > 1 { format!(" ×{}", count(change.count.into())) } else { String::new() };
        let signed = |usd: Option<f64>, digits: usize| usd.map_or_else(|| "?".into(), |usd| signed(usd, digits));
        vec![
            stream.name.clone(),
            time(change.at),
            format!("{}{step}{times}", change.action),
            count(change.refused_hour_before),
            count(change.refused_hour_after),
            signed(change.usd_per_hour, 3),
            signed(change.usd_so_far, 2),
        ]
    };
    for stream in &report.streams {
        rows.extend(stream.changes.iter().map(|change| row(stream, change)));
    }
    rows
}

fn planned(report: &Report) -> Rows {
    let mut rows = vec![heads(&["stream", "at (UTC)", "change", "why"])];
    for stream in &report.streams {
        let row = |planned: &super::document::Planned| {
            vec![stream.name.clone(), time(planned.at), planned.action.clone(), planned.sentence.clone()]
        };
        rows.extend(stream.planned.iter().map(row));
    }
    rows
}

fn limits(report: &Report) -> Rows {
    let mut rows = vec![heads(&["stream", "open shards", "at the limit of"])];
    for stream in &report.streams {
        let shards = stream.open_shards.map_or_else(|| "–".to_owned(), |shards| count(shards.into()));
        rows.extend(stream.at_limit.iter().map(|limit| vec![stream.name.clone(), shards.clone(), limit.clone()]));
    }
    rows
}

fn slack(report: &Report) -> Rows {
    let mut rows = vec![heads(&["stream", "open shards", "right size", "slack", "peak", "peak at (UTC)", "$ a month"])];
    let mut with_slack: Vec<&StreamReport> =
        report.streams.iter().filter(|stream| stream.slack_shards.is_some_and(|slack| slack > 0)).collect();
    with_slack.sort_by_key(|stream| std::cmp::Reverse(stream.slack_shards));
    let number = |number: Option<u32>| number.map_or_else(|| "–".to_owned(), |number| count(number.into()));
    rows.extend(with_slack.into_iter().map(|stream| {
        vec![
            stream.name.clone(),
            number(stream.open_shards),
            number(stream.right_size_shards),
            number(stream.slack_shards),
            stream.peak_utilization.map_or_else(|| "–".to_owned(), percent),
            stream.peak_at.map_or_else(|| "no traffic".to_owned(), time),
            usd(stream.slack_usd_per_month.unwrap_or_default()),
        ]
    }));
    rows
}

fn errors(report: &Report) -> Rows {
    let mut rows = vec![heads(&["stream", "why"])];
    let of = |stream: &StreamReport| Some(vec![stream.name.clone(), stream.error.clone()?]);
    rows.extend(report.streams.iter().filter_map(of));
    rows
}

/// What a reader must know to trust the numbers.
pub(super) fn notes(report: &Report) -> Vec<String> {
    let log = match report.logged_decisions {
        None => "No log was given: only the last change of a stream has a cost, and what mode observe would have \
                 done is unknown. --log adds both."
            .to_owned(),
        Some(decisions) => format!("The log has {} of this time.", many(decisions, "decision")),
    };
    vec![
        "Metrics are read in steps of five minutes. A peak is the mean of five minutes, so a minute of it was fuller. \
         An incident ends when half an hour without a refusal follows."
            .into(),
        format!(
            "The report ends at {} UTC. The five minutes that have begun then are not complete, and are left out.",
            report.to.format("%H:%M")
        ),
        "A refused record that a producer sends again counts each time.".into(),
        format!(
            "Money is USD at list prices ({}), without taxes, discounts and free tiers. A change costs or saves from \
             its time to the end of the report. A month has 730 hours.",
            report.prices
        ),
        "The right size holds the peak at UNTHROTTLE_TARGET_UTILIZATION. A stream that refused in the last day needs \
         all that it has. Streams in on-demand mode have no right size, and streams younger than 7 days have none yet."
            .into(),
        log,
    ]
}

fn table(text: &mut String, rows: &Rows) {
    for (place, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        line(text, &format!("| {} |", cells.join(" | ")));
        if place == 0 {
            line(text, &format!("|{}", "---|".repeat(row.len())));
        }
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M").to_string()
}

fn minutes(seconds: f64) -> String {
    format!("{} min", count((seconds / 60.0).ceil()))
}

/// A number with its sign, `digits` after the point, and its thousands apart.
fn signed(number: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", number.abs());
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let sign = if number < 0.0 { '-' } else { '+' };
    format!("{sign}{}.{rest}", count(whole.parse().unwrap_or_default()))
}

fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}"); // writing to a String cannot fail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_its_sign_and_its_thousands_apart() {
        let all = [(12_345.678, 2), (-0.03, 3), (-1_234.5, 2), (0.0, 2)].map(|(usd, digits)| signed(usd, digits));
        assert_eq!(all, ["+12,345.68", "-0.030", "-1,234.50", "+0.00"]);
    }
}
