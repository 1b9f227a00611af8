//! The report as one HTML page.

use super::document::Report;
use super::markdown::{notes, summary, tables, title};
use crate::pages::{Page, Section, Table};

pub(super) fn page(report: &Report) -> Page {
    let sections = tables(report).into_iter().map(|(title, mut rows)| {
        let heads = rows.remove(0);
        let rows = rows.into_iter().map(|row| row.into_iter().map(Into::into).collect()).collect();
        Section { title: title.into(), tables: vec![Table { heads, rows }], ..Section::default() }
    });
    let mut summary = summary(report);
    let result = summary.remove(0);
    Page {
        title: title(report),
        result,
        about: summary,
        sections: sections.collect(),
        caveats: notes(report),
        ..Page::default()
    }
}
