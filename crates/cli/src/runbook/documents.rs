//! Finds decision documents in the forms in which people have them.

use serde_json::{Deserializer, Value};

/// The documents of a text: JSON values one after another, log lines with anything before their JSON, as `aws logs
/// tail` prints them, and a table of Logs Insights as CSV. The JSON may hold documents at any depth, and in strings, as
/// `aws logs filter-log-events` and `aws logs get-query-results` have them.
///
/// # Errors
/// The text begins as JSON and is none, and no document is in it.
pub(crate) fn of(text: &str) -> Result<Vec<Value>, serde_json::Error> {
    let mut found = vec![];
    let whole = Deserializer::from_str(text).into_iter::<Value>().try_for_each(|value| {
        collect(value?, &mut found);
        Ok(())
    });
    if whole.is_ok() {
        return Ok(found);
    }
    found.clear();
    let cells = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    for cell in
        cells.into_records().filter_map(Result::ok).flat_map(|row| row.iter().map(str::to_owned).collect::<Vec<_>>())
    {
        collect(Value::String(cell), &mut found);
    }
    if found.is_empty() {
        in_lines(text, &mut found);
    }
    match whole {
        Err(error) if found.is_empty() && text.trim_start().starts_with(['{', '[']) => Err(error),
        _ => Ok(found),
    }
}

/// Looks in each line for JSON that begins in it. It may end in a later line.
fn in_lines(text: &str, found: &mut Vec<Value>) {
    let mut from = 0;
    while let Some(begin) = text[from..].find('{').map(|place| from + place) {
        let mut values = Deserializer::from_str(&text[begin..]).into_iter::<Value>();
        from = match values.next() {
            Some(Ok(value)) => {
                collect(value, found);
                begin + values.byte_offset()
            }
            _ => text[begin..].find('\n').map_or(text.len(), |end| begin + end),
        };
    }
}

/// Adds the documents in a value.
fn collect(value: Value, found: &mut Vec<Value>) {
    match value {
        value if is_document(&value) => found.push(value),
        Value::Array(items) => items.into_iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.into_iter().for_each(|(_, field)| collect(field, found)),
        Value::String(text) if text.trim_start().starts_with('{') => {
            if let Ok(value) = serde_json::from_str(&text) {
                collect(value, found);
            }
        }
        _ => {}
    }
}

fn is_document(value: &Value) -> bool {
    value["outcome"].is_string() && value["sentence"].is_string() && value["evidence"].is_object()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Value {
        json!({ "outcome": "acted", "code": "c", "sentence": "a, \"b\" {c}", "evidence": {"shards_needed": 4} })
    }

    #[test]
    fn a_document_is_found_in_each_form_in_which_people_have_it() {
        let document = document();
        let line = json!({ "decision": document, "message": "m" }).to_string();
        let pretty = serde_json::to_string_pretty(&json!({ "decision": document })).expect("JSON");
        let event = json!({ "timestamp": 1, "message": format!("{line}\n") });
        let field = json!([{ "field": "@timestamp", "value": "t" }, { "field": "@message", "value": line }]);
        let quoted = line.replace('"', "\"\"");
        for text in [
            document.to_string(),
            json!({ "decisions": [document], "sentence": "s" }).to_string(),
            format!("START RequestId: 1\n{line}\nREPORT RequestId: 1\tDuration: 9 ms\n"),
            format!("2026-11-20T17:04:12.345000+00:00 2026/11/20/[$LATEST]ab {line}\n"),
            format!("2026-11-20T17:04:12 {pretty}\n2026-11-20T17:04:13 END RequestId: 1\n"),
            json!({ "events": [event], "searchedLogStreams": [] }).to_string(),
            json!({ "results": [field], "status": "Complete" }).to_string(),
            json!([{ "@timestamp": "t", "@message": line }]).to_string(),
            format!("@timestamp,@message\n2026-11-20 17:04:12.345,\"{quoted}\"\n"),
        ] {
            assert_eq!(of(&text).expect("readable"), std::slice::from_ref(&document), "{text}");
        }
        assert_eq!(of("no document").expect("no JSON"), Vec::<Value>::new());
        assert!(of("{\"a\": ").is_err());
    }
}
