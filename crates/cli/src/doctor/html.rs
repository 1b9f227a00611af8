//! The doctor's page as HTML.

use super::report::{Page as OfStream, Report};
use super::text::per_month;
use crate::pages::{Card, Cards, Page, Section, Table, context};
use serde_json::Value;
use std::cmp::Reverse;
use strum::IntoEnumIterator as _;
use unthrottle_core::checks::{Finding, Group, Status};
use unthrottle_core::words::many;

pub(super) fn page(report: &Report) -> Page {
    let pages = report.worst_first();
    let (title, result) = match pages.as_slice() {
        [one] => (format!("Doctor: {}", one.name), result_of(one)),
        all => (format!("Doctor: {} streams", all.len()), result(all)),
    };
    let about = report.streams.first().map(|page| context(&page.arn, report.read_at)).into_iter().collect();
    let caveats = vec![
        "Each check is ok, warn, fail or unknown. The command below a finding mends it. Money is USD a month of 730 \
         hours at list prices. docs/doctor.md explains the checks and their thresholds."
            .to_owned(),
    ];
    let overview = (pages.len() > 1).then(|| Section {
        title: "Streams, the worst first".into(),
        tables: vec![table(&pages)],
        ..Section::default()
    });
    let sections = overview.into_iter().chain(pages.iter().map(|page| section(page, pages.len() == 1))).collect();
    Page { title, result, about, sections, caveats, ..Page::default() }
}

/// The result of one stream: how many of its checks are of each status, or why it was not read.
fn result_of(page: &OfStream) -> String {
    page.error.clone().unwrap_or_else(|| format!("{}: {}.", page.name, page.counts()))
}

/// The result of several streams.
fn result(pages: &[&OfStream]) -> String {
    let number = |is_of: fn(&OfStream) -> bool| pages.iter().filter(|page| is_of(page)).count();
    let with_finding = number(|page| page.count(Status::Fail) + page.count(Status::Warn) > 0);
    let unread = match number(|page| page.error.is_some()) {
        0 => String::new(),
        unread => format!(" {unread} could not be read."),
    };
    format!("{with_finding} of {} with a warning or a failure.{unread}", many(pages.len(), "stream"))
}

fn table(pages: &[&OfStream]) -> Table {
    let heads = ["stream", "fail", "warn", "unknown", "largest $ a month"].map(str::to_owned).into();
    let row = |page: &&OfStream| {
        let counts = [Status::Fail, Status::Warn, Status::Unknown].map(|status| page.count(status).to_string().into());
        let money = page.usd_per_month().map_or_else(String::new, |usd| format!("{usd:.2}"));
        std::iter::once(page.name.clone().into()).chain(counts).chain([money.into()]).collect()
    };
    Table { heads, rows: pages.iter().map(row).collect() }
}

/// `is_only`: the result of the page says the counts already.
fn section(page: &OfStream, is_only: bool) -> Section {
    let cards = Group::iter().filter_map(|group| {
        let findings = page.findings.iter().filter(|finding| finding.group == group);
        let (folded, mut open): (Vec<&Finding>, Vec<&Finding>) = findings.partition(|f| f.status == Status::Ok);
        open.sort_by_key(|finding| Reverse(finding.status));
        let cards = |findings: Vec<&Finding>| findings.into_iter().map(card).collect::<Vec<_>>();
        let is_empty = open.is_empty() && folded.is_empty();
        (!is_empty).then(|| Cards { title: group.to_string(), open: cards(open), folded: cards(folded) })
    });
    let counts = (!is_only).then(|| page.error.clone().unwrap_or_else(|| page.counts()));
    Section {
        title: page.name.clone(),
        about: std::iter::once(page.about.clone()).chain(counts).collect(),
        cards: cards.collect(),
        ..Section::default()
    }
}

fn card(finding: &Finding) -> Card {
    Card {
        status: finding.status.to_string(),
        code: finding.code.into(),
        text: finding.sentence.clone(),
        money: finding.usd_per_month.map(per_month),
        fix: finding.fix.clone(),
        evidence: finding.evidence.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        source: finding.source.into(),
    }
}

/// A number, a word or a list of the evidence.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // Without the `.0` of a whole number.
        Value::Number(n) => n.as_f64().map_or_else(|| n.to_string(), |number| number.to_string()),
        Value::Array(values) if values.is_empty() => "none".into(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
