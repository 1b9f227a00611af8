//! The JSON of `aws cloudwatch get-metric-data` and `get-metric-statistics`: one document, or several in a row.

use super::time;
use super::{Metric, Points, Problem};
use serde::Deserialize;
use serde_json::Value;
use unthrottle_core::observation::Minute;

/// The answer of GetMetricData, or that of GetMetricStatistics.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    #[serde(rename_all = "PascalCase")]
    Data { metric_data_results: Vec<Series> },
    #[serde(rename_all = "PascalCase")]
    Statistics { label: String, datapoints: Vec<Datapoint> },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Series {
    #[serde(default)]
    id: String,
    #[serde(default)]
    label: String,
    timestamps: Vec<Value>,
    values: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Datapoint {
    timestamp: Value,
    sum: Option<f64>,
}

pub(super) fn read(text: &str, points: &mut Points) -> Result<(), Problem> {
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    loop {
        let begun = documents.byte_offset();
        let Some(document) = documents.next() else { return Ok(()) };
        let at = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count() as u64;
        let document = document
            .map_err(|error| Problem { line: Some(error.line() as u64), problem: format!("not JSON: {error}") })?;
        // The space before a document belongs to the one before it.
        let blank = text[begun..].len() - text[begun..].trim_start().len();
        let line = at(begun + blank);
        let all = if let Value::Array(all) = document { all } else { vec![document] };
        for answer in all {
            add(answer, points).map_err(|problem| Problem { line: Some(line), problem })?;
        }
    }
}

fn add(answer: Value, points: &mut Points) -> Result<(), String> {
    let answer: Answer = serde_json::from_value(answer).map_err(|_| {
        "neither the answer of get-metric-data (MetricDataResults) nor of get-metric-statistics (Label, Datapoints)"
    })?;
    match answer {
        Answer::Data { metric_data_results } => metric_data_results.into_iter().try_for_each(|one| series(one, points)),
        Answer::Statistics { label, datapoints } => statistics(&label, datapoints, points),
    }
}

/// A series of another metric is passed over: an export may have more than this needs.
fn series(series: Series, points: &mut Points) -> Result<(), String> {
    let Some(metric) = Metric::in_text(&series.label).or_else(|| Metric::in_text(&series.id)) else { return Ok(()) };
    if series.timestamps.len() != series.values.len() {
        let (times, values) = (series.timestamps.len(), series.values.len());
        return Err(format!("{} has {times} Timestamps and {values} Values", metric.name()));
    }
    points.knows(metric);
    series.timestamps.iter().zip(series.values).try_for_each(|(time, value)| points.put(metric, minute(time)?, value))
}

fn statistics(label: &str, datapoints: Vec<Datapoint>, points: &mut Points) -> Result<(), String> {
    let Some(metric) = Metric::in_text(label) else { return Ok(()) };
    points.knows(metric);
    datapoints.into_iter().try_for_each(|point| {
        let sum = point.sum.ok_or_else(|| format!("a datapoint of {label} has no Sum: export --statistics Sum"))?;
        points.put(metric, minute(&point.timestamp)?, sum)
    })
}

fn minute(value: &Value) -> Result<Minute, String> {
    let time = match value {
        Value::String(text) => time::read(text)?,
        Value::Number(number) => {
            let time = number.as_f64().and_then(time::of_number);
            time.ok_or_else(|| format!("{number} is not a time in seconds since 1970"))?
        }
        other => return Err(format!("{other} is not a time")),
    };
    Ok(Minute::of(time))
}
