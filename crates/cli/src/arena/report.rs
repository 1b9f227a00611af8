//! The page of `--report`.

use super::scores::Row;
use super::table::{CALLS, COLUMNS, Column, cure_of, is_least};
use crate::pages::{self, Cell, Page, Section, Table};
use unthrottle_lab::sim::workloads::Workload;

/// The runs of one workload, as a section of the page.
pub(super) fn section(workload: &Workload, rows: &[Row], runs: Vec<pages::Run>) -> Section {
    let cells = |row: &Row| {
        let cell = |column: &Column| Cell { text: (column.text)(&row.score), is_least: is_least(column, rows, row) };
        std::iter::once(Cell::from(&row.policy)).chain(COLUMNS.iter().map(cell)).collect()
    };
    let heads = std::iter::once("policy").chain(COLUMNS.iter().map(|column| column.head)).map(str::to_owned).collect();
    let cure = Some(cure_of(workload).trim()).filter(|cure| !cure.is_empty()).map(str::to_owned);
    let first_only = (workload.streams > 1).then(|| "The charts show the first stream.".to_owned());
    Section {
        title: workload.name.into(),
        about: std::iter::once(workload.about.to_owned()).chain(cure).chain(first_only).collect(),
        tables: vec![Table { heads, rows: rows.iter().map(cells).collect() }],
        runs,
        ..Section::default()
    }
}

/// The page.
pub(super) fn page(sections: Vec<Section>, seed: u64) -> Page {
    let about = [
        "Policies that manage a simulated Kinesis stream in virtual time. The limits and durations of AWS and the \
         delays of CloudWatch are modelled; unthrottle decides with the same code as in the Lambda."
            .to_owned(),
        format!(
            "Heal times are in seconds, from the first refusal of an incident to its last. * marks the least number of \
             a column. {CALLS} Seed {seed}; the same seed gives the same page."
        ),
    ];
    Page { title: "unthrottle arena".into(), about: about.into(), sections }
}
