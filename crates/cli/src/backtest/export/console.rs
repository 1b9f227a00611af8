//! The CSV that the CloudWatch console downloads from a graph, also after a spreadsheet has saved it. AWS documents no
//! form: some rows with the names of the columns, then rows that begin with a time.

use super::time;
use super::{Metric, Points, Problem};
use csv::StringRecord;
use unthrottle_core::observation::Minute;

/// Names of statistics that are no Sum, as a cell of their own or as the first word of a label.
const OTHER_STATISTICS: [&str; 5] = ["average", "maximum", "minimum", "samplecount", "sample count"];

/// What the rows before the first time say of the columns.
#[derive(Default)]
struct Columns {
    /// All cells above each column.
    heads: Vec<Vec<String>>,
}

impl Columns {
    fn add(&mut self, record: &StringRecord) {
        for (place, cell) in record.iter().enumerate() {
            if self.heads.len() <= place {
                self.heads.resize(place + 1, vec![]);
            }
            self.heads[place].push(cell.to_owned());
        }
    }

    /// The metric of each column. `None`: the column has another.
    fn metrics(&self) -> Result<Vec<Option<Metric>>, String> {
        let mut metrics: Vec<Option<Metric>> = vec![];
        for (place, heads) in self.heads.iter().enumerate() {
            let metric = heads.iter().find_map(|head| Metric::in_text(head)).filter(|_| place > 0);
            if let Some(metric) = metric {
                let of = metric.name();
                if metrics.contains(&Some(metric)) {
                    return Err(format!("two columns have {of}: export one stream"));
                }
                let other = heads.iter().find(|head| is_other_statistic(head));
                if let Some(other) = other {
                    return Err(format!("the column {of} has the statistic `{other}`: export the Sum"));
                }
            }
            metrics.push(metric);
        }
        let known: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        if metrics.iter().all(Option::is_none) {
            return Err(format!("no column is named {}", known.join(", ")));
        }
        Ok(metrics)
    }
}

fn is_other_statistic(head: &str) -> bool {
    let head = head.to_lowercase();
    OTHER_STATISTICS.iter().any(|other| head == *other || head.starts_with(&format!("{other} ")))
}

pub(super) fn read(text: &str, points: &mut Points) -> Result<(), Problem> {
    let delimiter = delimiter(text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let (mut columns, mut metrics) = (Columns::default(), None);
    for record in reader.records() {
        let record = record.map_err(|error| Problem {
            line: error.position().map(csv::Position::line),
            problem: format!("not CSV: {error}"),
        })?;
        let wrong = |problem| Problem { line: record.position().map(csv::Position::line), problem };
        let first = record.get(0).unwrap_or_default();
        if metrics.is_none() && !time::is_meant(first) {
            columns.add(&record);
            continue;
        }
        if metrics.is_none() {
            metrics = Some(columns.metrics().map_err(wrong)?);
        }
        if record.iter().all(str::is_empty) {
            continue;
        }
        let minute = Minute::of(time::read(first).map_err(wrong)?);
        row(&record, minute, metrics.as_deref().unwrap_or_default(), delimiter, points).map_err(wrong)?;
    }
    if metrics.is_none() {
        return Err(Problem::of("no row begins with a time"));
    }
    Ok(())
}

/// `;` where the file has no comma before its first `;`, as spreadsheets save it where the comma is for decimals.
fn delimiter(text: &str) -> u8 {
    let first = text.find([',', ';', '\t']).and_then(|at| text.as_bytes().get(at).copied());
    first.unwrap_or(b',')
}

fn row(
    record: &StringRecord,
    minute: Minute,
    metrics: &[Option<Metric>],
    delimiter: u8,
    points: &mut Points,
) -> Result<(), String> {
    for (place, metric) in metrics.iter().enumerate() {
        let Some(metric) = *metric else { continue };
        points.knows(metric);
        // A minute without traffic has no datapoint.
        let Some(cell) = record.get(place).filter(|cell| !cell.is_empty()) else { continue };
        points.put(metric, minute, number(cell, delimiter, metric)?)?;
    }
    Ok(())
}

/// A number, with a decimal comma where the comma does not separate the cells.
fn number(cell: &str, delimiter: u8, metric: Metric) -> Result<f64, String> {
    let is_comma = delimiter != b',' && cell.matches(',').count() == 1 && !cell.contains('.');
    let text = if is_comma { cell.replace(',', ".") } else { cell.to_owned() };
    text.parse().map_err(|_| format!("{} is `{cell}`, and must be a number", metric.name()))
}
