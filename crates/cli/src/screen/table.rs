//! Tables that choose their columns by the width of the screen.

use super::wrap::fill;
use textwrap::core::display_width;

/// A column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub head: String,
    /// Numbers stand at the right of the column, text at the left.
    pub is_number: bool,
    /// 0: always shown. A narrow screen leaves out the columns with the highest ranks first.
    pub rank: u8,
}

impl Column {
    /// A column of text.
    pub fn text(head: &str, rank: u8) -> Column {
        Column { head: head.into(), is_number: false, rank }
    }

    /// A column of numbers.
    pub fn number(head: &str, rank: u8) -> Column {
        Column { head: head.into(), is_number: true, rank }
    }
}

/// A table of a terminal.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
    /// Show all columns on any screen.
    pub is_wide: bool,
}

/// The spaces before each row.
const INDENT: &str = "  ";

/// The spaces between two columns.
const GAP: usize = 2;

impl Table {
    /// The table in lines of at most `width` columns; `None`: of any length.
    pub fn text(&self, width: Option<usize>) -> String {
        let width = width.filter(|_| !self.is_wide).unwrap_or(usize::MAX);
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let mut out = vec![];
        while self.width_of(&shown) > width {
            let worst = shown.iter().copied().max_by_key(|column| (self.columns[*column].rank, *column));
            match worst.filter(|column| self.columns[*column].rank > 0) {
                Some(worst) => {
                    shown.retain(|column| *column != worst);
                    out.push(worst);
                }
                None => return self.stacked(width),
            }
        }
        let mut text = self.lines(&shown);
        if !out.is_empty() {
            out.sort_unstable();
            let names: Vec<&str> = out.iter().map(|column| self.columns[*column].head.trim()).collect();
            text += &fill(&format!("--wide shows also: {}", names.join(", ")), width, INDENT, "    ");
            text.push('\n');
        }
        text
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        let cells = self.rows.iter().map(move |row| row.get(column).map_or("", String::as_str));
        std::iter::once(self.columns[column].head.as_str()).chain(cells)
    }

    fn width_of_column(&self, column: usize) -> usize {
        self.cells(column).map(display_width).max().unwrap_or_default()
    }

    fn width_of(&self, shown: &[usize]) -> usize {
        let columns: usize = shown.iter().map(|column| self.width_of_column(*column) + GAP).sum();
        INDENT.len() + columns.saturating_sub(GAP)
    }

    fn lines(&self, shown: &[usize]) -> String {
        let mut text = String::new();
        let heads = self.columns.iter().map(|column| column.head.clone()).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = INDENT.to_owned();
            for column in shown {
                let cell = row.get(*column).map_or("", String::as_str);
                let room = " ".repeat(self.width_of_column(*column).saturating_sub(display_width(cell)));
                let (left, right) =
                    if self.columns[*column].is_number { (room.as_str(), "") } else { ("", room.as_str()) };
                line += &format!("{left}{cell}{right}{:GAP$}", "");
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    /// Each row below the other, a line for each cell: for a screen on which no row fits.
    fn stacked(&self, width: usize) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let cells = self.columns.iter().zip(row).filter(|(column, cell)| column.rank == 0 && !cell.is_empty());
            for (place, (column, cell)) in cells.enumerate() {
                let named = if column.head.is_empty() { cell.clone() } else { format!("{}: {cell}", column.head) };
                text += &fill(&named, width, if place == 0 { INDENT } else { "    " }, "      ");
                text.push('\n');
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let columns = vec![Column::text("", 0), Column::number("throttled", 0), Column::number("changes", 1)];
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = vec![row(["as it was", "14,400,000", "0"]), row(["unthrottle", "7", "12"])];
        Table { columns, rows, is_wide: false }
    }

    #[test]
    fn a_narrow_screen_leaves_out_columns_and_names_them() {
        let whole =
            "               throttled  changes\n  as it was   14,400,000        0\n  unthrottle           7       12\n";
        assert_eq!(table().text(None), whole);
        assert_eq!(table().text(Some(33)), whole);
        assert_eq!(
            table().text(Some(30)),
            "               throttled\n  as it was   14,400,000\n  unthrottle           7\n\
             \u{20} --wide shows also: changes\n"
        );
        assert_eq!(Table { is_wide: true, ..table() }.text(Some(30)), whole);
    }

    #[test]
    fn a_screen_that_is_too_narrow_gets_a_line_for_each_cell() {
        let text = table().text(Some(23));
        assert_eq!(text, "  as it was\n    throttled:\n      14,400,000\n  unthrottle\n    throttled: 7\n");
    }
}
