//! What the records say, as a page with pictures.

use super::heat::{Heat, RANGES, SHARDS, place};
use super::remarks::remarks;
use super::report::{Key, Report, Shard};
use super::text::size;
use crate::pages::{Bars, Figure, HeatMap, Line, Page, Row, Section, Table, context};
use crate::screen::visible;
use chrono::DateTime;
use unthrottle_core::words::many;

pub(super) fn page(report: &Report) -> Page {
    let what = if report.by_bytes { "bytes" } else { "records" };
    let about = vec![
        context(&report.arn, report.read_at),
        format!("{}, {} from {}.", many(report.records, "record"), size(report.bytes), of_shards(report)),
    ];
    let mut caveats = vec![format!(
        "Shares are shares of {what} a second, which fill the shards first. A share of a key is at most {:.2} % too \
         low.",
        report.keys_error_share * 100.0
    )];
    caveats.extend(remarks(report).into_iter().map(|remark| format!("Note: {remark}.")));
    let keys = Section { title: "Partition keys".into(), tables: vec![keys(&report.top_keys)], ..Section::default() };
    Page {
        title: format!("Keys: {}", report.stream),
        result: result(report),
        about,
        sections: vec![shards(report), keys],
        caveats,
        ..Page::default()
    }
}

/// The fullest shard and its first key, in one sentence.
fn result(report: &Report) -> String {
    let Some(shard) = report.hottest() else { return "No record of an open shard was read.".into() };
    let key = shard.top_keys.first().map_or_else(String::new, |key| {
        format!("; its first key {} has {:.0} % of its load", visible(&key.key), key.share * 100.0)
    });
    let full = shard.full_share * 100.0;
    format!("The fullest of {} is {}: {full:.0} % full on average{key}.", of_shards(report), shard.shard)
}

fn of_shards(report: &Report) -> String {
    many(report.shards.len(), "shard")
}

fn shards(report: &Report) -> Section {
    let mut about = vec![
        "A cell is the part of a second's capacity (1 MiB or 1,000 records) that the records of a shard filled. The \
         last colour is full. An empty cell: no record was read."
            .to_owned(),
    ];
    if report.shards.len() > SHARDS {
        about.push(format!("The picture shows the {SHARDS} fullest of {} shards.", report.shards.len()));
    }
    let figures = match report.heat.shards.is_empty() {
        true => vec![],
        false => vec![Figure::Heat(over_time(&report.heat)), Figure::Bars(over_hash_keys(report))],
    };
    Section { title: "Shards".into(), about, figures, tables: vec![table(&report.shards)], ..Section::default() }
}

fn over_time(heat: &Heat) -> HeatMap {
    let time = |second: i64| {
        DateTime::from_timestamp(second, 0)
            .map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
    };
    let columns = heat.shards.first().map_or(0, |shard| shard.columns.len()) as i64;
    let row = |shard: &super::heat::OfShard| {
        let cells = shard.columns.iter().zip(0..).map(|(full, column)| {
            let full = (*full)?;
            let at = time(heat.first + column * heat.column_seconds);
            Some((full, format!("{} at {at}: {:.0} % full", shard.id, full * 100.0)))
        });
        Row { name: shard.id.clone(), cells: cells.collect() }
    };
    HeatMap {
        title: format!("Load over time: a column is {} s (UTC)", heat.column_seconds),
        rows: heat.shards.iter().map(row).collect(),
        ends: (time(heat.first), time(heat.first + columns * heat.column_seconds)),
    }
}

fn over_hash_keys(report: &Report) -> Bars {
    let heat = &report.heat;
    let value = |(place, share): (usize, &f64)| {
        let from = place as f64 / RANGES as f64 * 100.0;
        (*share, format!("{:.1} % of the load at {from:.1} % of the hash keys", share * 100.0))
    };
    let edges = heat.shards.iter().map(|shard| Line {
        place: shard.begins,
        words: format!("{} begins", shard.id),
        is_proposal: false,
    });
    let split = report.hottest().and_then(|shard| {
        let key = shard.split.as_ref().filter(|split| split.is_worth_it())?.new_starting_hash_key.parse().ok()?;
        Some(Line { place: place(key), words: format!("splits the load of {}", shard.shard), is_proposal: true })
    });
    let proposal = if split.is_some() { "; the broken line halves the load of the fullest one" } else { "" };
    Bars {
        title: format!("Load over the hash keys: the lines are the edges of shards{proposal}"),
        values: heat.ranges.iter().enumerate().map(value).collect(),
        lines: edges.chain(split).collect(),
        ends: ("hash key 0".into(), "2^128".into()),
    }
}

fn keys(keys: &[Key]) -> Table {
    let row = |key: &Key| {
        let cells = [format!("{:.1} %", key.share * 100.0), key.records.to_string(), size(key.bytes)];
        std::iter::once(visible(&key.key)).chain(cells).map(Into::into).collect()
    };
    Table { heads: ["key", "share", "records", "size"].map(str::to_owned).into(), rows: keys.iter().map(row).collect() }
}

fn table(shards: &[Shard]) -> Table {
    let row = |shard: &Shard| {
        let peak = shard.peak.as_ref().map_or_else(String::new, |peak| {
            format!("{:.0} % full at {}", peak.share_of_shard * 100.0, peak.at.format("%Y-%m-%d %H:%M:%S"))
        });
        let split = shard.split.as_ref().map_or_else(
            || "-".to_owned(),
            |split| format!("{:.0} % : {:.0} %", split.fuller_share * 100.0, (1.0 - split.fuller_share) * 100.0),
        );
        let first = shard.top_keys.first().map_or_else(String::new, |key| visible(&key.key));
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let records = shard.records.to_string();
        let cells = [percent(shard.share), percent(shard.full_share), records, peak, split, first];
        std::iter::once(shard.shard.clone()).chain(cells).map(Into::into).collect()
    };
    let heads = ["shard", "share", "full", "records", "busiest second", "best split", "first key"];
    Table { heads: heads.map(str::to_owned).into(), rows: shards.iter().map(row).collect() }
}
