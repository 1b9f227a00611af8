//! Whether a program that reads documents of an older schema can read those of a newer one.

use serde_json::Value;

/// What the newer schema has lost: fields, fields that were always there, types and words. Empty: nothing.
pub(super) fn lost(old: &Value, new: &Value) -> Vec<String> {
    let mut lost = vec![];
    compare("", (old, old), (new, new), &mut lost);
    lost
}

/// A part of a schema, and the whole schema that it refers to.
type Part<'a> = (&'a Value, &'a Value);

fn compare(path: &str, old: Part<'_>, new: Part<'_>, lost: &mut Vec<String>) {
    let (old, new) = (resolved(old), resolved(new));
    let at = if path.is_empty() { "the document" } else { path };
    let is_open = |schema: &Value| ["type", "anyOf", "oneOf", "const", "enum"].iter().all(|key| schema[*key].is_null());
    // What was of any type is read as any type.
    if is_open(old.0) {
        return;
    }
    let (before, after) = (types(old), types(new));
    for added in after.iter().filter(|added| !before.contains(added)) {
        lost.push(format!("{at} can be {added}, and could not"));
    }
    for removed in before.iter().filter(|removed| !after.contains(removed) && **removed != "null") {
        lost.push(format!("{at} is no longer {removed}"));
    }
    for word in words(old).iter().filter(|word| !words(new).contains(word)) {
        lost.push(format!("{at} has no more the word {word}"));
    }
    let (old_forms, new_forms) = (forms(old), forms(new));
    let Some(new_form) = new_forms.iter().find(|form| form.0["properties"].is_object()) else {
        return items(path, &old_forms, &new_forms, lost);
    };
    if new_forms.iter().filter(|form| form.0["properties"].is_object()).count() > 1 {
        return forms_of_objects(path, &old_forms, &new_forms, lost);
    }
    for old_form in old_forms.iter().filter(|form| form.0["properties"].is_object()) {
        fields(path, *old_form, *new_form, lost);
    }
}

/// The fields of an object.
fn fields(path: &str, old: Part<'_>, new: Part<'_>, lost: &mut Vec<String>) {
    for (name, of_old) in old.0["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}").trim_start_matches('.').to_owned();
        match new.0["properties"].get(name) {
            Some(of_new) => compare(&path, (of_old, old.1), (of_new, new.1), lost),
            None => lost.push(format!("{path} is gone")),
        }
    }
    for name in required(old.0).iter().filter(|name| !required(new.0).contains(name)) {
        // A field that is gone is named already.
        if new.0["properties"].get(*name).is_some() {
            lost.push(format!("{path}.{name} may be missing").trim_start_matches('.').to_owned());
        }
    }
}

/// Objects of several forms: each old form must fit one of the new ones.
fn forms_of_objects(path: &str, old: &[Part<'_>], new: &[Part<'_>], lost: &mut Vec<String>) {
    for old in old.iter().filter(|form| form.0["properties"].is_object()) {
        let losses = new.iter().filter(|form| form.0["properties"].is_object()).map(|new| {
            let mut lost = vec![];
            fields(path, *old, *new, &mut lost);
            lost
        });
        lost.extend(losses.min_by_key(Vec::len).unwrap_or_default());
    }
}

/// The elements of lists, and the values of maps.
fn items(path: &str, old: &[Part<'_>], new: &[Part<'_>], lost: &mut Vec<String>) {
    for key in ["items", "additionalProperties"] {
        let of = |forms: &[Part<'_>]| forms.iter().find(|form| form.0[key].is_object()).map(|form| form.0[key].clone());
        if let (Some(old_items), Some(new_items)) = (of(old), of(new)) {
            let (old_root, new_root) = (old[0].1, new[0].1);
            compare(&format!("{path}[]"), (&old_items, old_root), (&new_items, new_root), lost);
        }
    }
}

/// The schema that a reference names.
fn resolved(part: Part<'_>) -> Part<'_> {
    let name = part.0["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
    name.and_then(|pointer| part.1.pointer(pointer)).map_or(part, |schema| (schema, part.1))
}

/// The alternatives of a schema.
fn forms(part: Part<'_>) -> Vec<Part<'_>> {
    let list = part.0["anyOf"].as_array().or_else(|| part.0["oneOf"].as_array());
    list.map_or_else(|| vec![part], |all| all.iter().flat_map(|one| forms(resolved((one, part.1)))).collect())
}

/// The JSON types that a value can have. An integer is a number.
fn types<'a>(part: Part<'a>) -> Vec<&'a str> {
    let mut types = vec![];
    for (form, _) in forms(part) {
        let many = form["type"].as_array().into_iter().flatten();
        types.extend(many.chain([&form["type"]]).filter_map(Value::as_str));
    }
    types.sort_unstable();
    types.dedup();
    types
}

/// The words that a value can be.
fn words<'a>(part: Part<'a>) -> Vec<&'a str> {
    let mut words = vec![];
    for (form, _) in forms(part) {
        let many = form["enum"].as_array().into_iter().flatten();
        words.extend(many.chain([&form["const"]]).filter_map(Value::as_str));
    }
    words
}

fn required(schema: &Value) -> Vec<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn old() -> Value {
        json!({
            "type": "object",
            "required": ["code", "stream"],
            "properties": {
                "code": { "type": "string" },
                "mode": { "type": ["string", "null"] },
                "outcome": { "oneOf": [{ "type": "string", "const": "acted" }, { "type": "string", "const": "held" }] },
                "stream": { "anyOf": [{ "$ref": "#/$defs/Stream" }, { "type": "null" }] },
                "all": { "type": "array", "items": { "$ref": "#/$defs/Stream" } },
                "any": true,
            },
            "$defs": { "Stream": { "type": "object", "properties": { "name": { "type": "string" } } } },
        })
    }

    fn lost_by(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut new = old();
        change(&mut new);
        lost(&old(), &new)
    }

    #[test]
    fn more_fields_and_more_words_are_compatible() {
        assert_eq!(lost_by(|_| {}), Vec::<String>::new());
        let more = lost_by(|new| {
            new["properties"]["new"] = json!({ "type": "string" });
            new["$defs"]["Stream"]["properties"]["arn"] = json!({ "type": "string" });
            new["properties"]["outcome"]["oneOf"][2] = json!({ "type": "string", "const": "healed" });
            new["required"][2] = json!("new");
        });
        assert_eq!(more, Vec::<String>::new());
    }

    #[test]
    fn what_a_reader_would_miss_is_named() {
        let gone = lost_by(|new| drop(new["properties"].as_object_mut().expect("fields").remove("code")));
        assert_eq!(gone, ["code is gone"]);
        assert_eq!(lost_by(|new| new["required"] = json!(["stream"])), ["code may be missing"]);
        assert_eq!(
            lost_by(|new| new["properties"]["code"] = json!({ "type": "number" })),
            ["code can be number, and could not", "code is no longer string"]
        );
        assert_eq!(
            lost_by(|new| new["properties"]["code"]["type"] = json!(["string", "null"])),
            ["code can be null, and could not"]
        );
        let word =
            lost_by(|new| new["properties"]["outcome"]["oneOf"] = json!([{ "type": "string", "const": "held" }]));
        assert_eq!(word, ["outcome has no more the word acted"]);
        let inside = lost_by(|new| new["$defs"]["Stream"]["properties"] = json!({ "title": { "type": "string" } }));
        assert_eq!(inside, ["all[].name is gone", "stream.name is gone"]);
        assert_eq!(lost_by(|new| new["properties"]["mode"]["type"] = json!("string")), Vec::<String>::new());
    }
}
