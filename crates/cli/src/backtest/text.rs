//! The report on a terminal.

use super::report::{HEADS, HOUR_HEADS, Report};
use crate::screen::{Column, Console, Table};
use unthrottle_core::words::count;

impl Report {
    /// Prints the report.
    pub fn print(&self, console: &mut Console, is_wide: bool) -> std::io::Result<()> {
        console.heading(&self.result())?;
        console.line("")?;
        console.text(&self.about())?;
        console.line("")?;
        let ranks = [0, 1, 0, 2, 3, 0];
        let columns = HEADS.iter().zip(ranks).map(|(head, rank)| match *head {
            "" => Column::text(head, rank),
            head => Column::number(head, rank),
        });
        let rows = self.rows().into_iter().map(Vec::from).collect();
        console.table(&Table { columns: columns.collect(), rows, is_wide })?;
        console.line("")?;
        let hours = self.hours();
        if hours.is_empty() {
            console.text("Nothing was throttled, and unthrottle would have changed nothing.")?;
        } else {
            console.text(
                "Hour by hour, what unthrottle would have done. \"Then\" counts what AWS refused in the past, \"now\" \
                 what the simulated stream refuses. Hours without throttling and without changes are left out.",
            )?;
            console.line("")?;
            let columns = HOUR_HEADS.map(|head| Column::text(head, 0)).into();
            let rows = hours.iter().map(|hour| self.cells(hour).into()).collect();
            console.table(&Table { columns, rows, is_wide })?;
        }
        for caveat in self.caveats() {
            console.line("")?;
            console.text(&caveat)?;
        }
        Ok(())
    }
}

/// A number with one digit after the point, and its thousands apart.
pub(crate) fn tenths(number: f64) -> String {
    let tenths = (number * 10.0).round();
    format!("{}.{:.0}", count((tenths / 10.0).floor()), tenths % 10.0)
}

/// US dollars with cents, and the thousands apart.
pub(crate) fn cents(usd: f64) -> String {
    let cents = (usd * 100.0).round();
    format!("{}.{:02.0}", count((cents / 100.0).floor()), cents % 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_thousands_apart() {
        assert_eq!((tenths(10_166.66), tenths(0.96), tenths(12.0)), ("10,166.7".into(), "1.0".into(), "12.0".into()));
        assert_eq!((cents(1_188.444), cents(0.999), cents(0.05)), ("1,188.44".into(), "1.00".into(), "0.05".into()));
    }
}
