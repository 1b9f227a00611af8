//! The partition key of a record, from what the user asked for.

use crate::record::Key;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// How a record gets its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRule {
    /// A random UUID for each record.
    Random,
    /// The value of this field, if the record is a JSON object that has it. Otherwise this text itself.
    FieldOrLiteral(String),
}

/// Where the key of a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// It is random.
    Random,
    /// It is the value of the field.
    Field,
    /// It is the literal text.
    Literal,
}

impl KeyRule {
    /// The key of a record with this data.
    ///
    /// # Errors
    /// The record has the field, but its value can be no key.
    pub fn key(&self, data: &[u8]) -> Result<(Key, KeyUse), String> {
        let KeyRule::FieldOrLiteral(name) = self else { return Ok((Key::Random, KeyUse::Random)) };
        let is_object = data.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        match if is_object { field(data, name)? } else { None } {
            Some(value) => Ok((Key::Given(value), KeyUse::Field)),
            None => Ok((Key::Given(name.clone()), KeyUse::Literal)),
        }
    }
}

/// The value of a top-level field of a JSON object, as text. `None`: it has no such field, or it is no JSON.
fn field(data: &[u8], name: &str) -> Result<Option<String>, String> {
    let mut json = serde_json::Deserializer::from_slice(data);
    let found = Field(name).deserialize(&mut json).and_then(|found| json.end().map(|()| found));
    match found {
        Ok(Some(Value::Text(text))) => Ok(Some(text)),
        Ok(Some(Value::Other(kind))) => {
            Err(format!("the field `{name}` is {kind}; a partition key needs a string, a number, true or false"))
        }
        Ok(None) => Ok(None),
        // serde_json does not check the text of fields that it skips, so the fault is in a name or in this field.
        Err(_) if std::str::from_utf8(data).is_err() => {
            Err(format!("the record is not valid UTF-8, so its field `{name}` cannot be read as a partition key"))
        }
        Err(_) => Ok(None),
    }
}

/// The value of a field.
enum Value {
    Text(String),
    Other(&'static str),
}

/// Reads one field of an object, and skips the others without memory for them.
struct Field<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Option<Value>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Value>, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Name<'de>>()? {
            // As most readers do, the last of two fields with the same name counts.
            if name.is(self.0) {
                found = Some(Value::of(map.next_value::<&RawValue>()?.get()));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A name as it is written, in its quotes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] &'a RawValue);

impl Name<'_> {
    /// Whether the name stands for this text. One with a lone surrogate stands for no text.
    fn is(&self, text: &str) -> bool {
        serde_json::from_str(self.0.get()).is_ok_and(|Text(name)| name == text)
    }
}

/// A text, without a copy where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Value {
    /// The value of this JSON. A number stays as it is written: as a number of the machine, two ids of twenty digits
    /// could become the same.
    fn of(json: &str) -> Value {
        match json.as_bytes().first() {
            // JSON allows half of a surrogate pair, such as `\ud800`. No UTF-8 text has one (RFC 8259, section 8.2).
            Some(b'"') => serde_json::from_str(json).map_or(Value::Other("a text with a lone surrogate"), Value::Text),
            Some(b'n') => Value::Other("null"),
            Some(b'[') => Value::Other("a list"),
            Some(b'{') => Value::Other("an object"),
            _ => Value::Text(json.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(data: &[u8]) -> Result<(Key, KeyUse), String> {
        KeyRule::FieldOrLiteral("customer_id".into()).key(data)
    }

    #[test]
    fn a_json_record_gives_the_value_of_the_field_and_any_other_record_the_literal() {
        let field = |value: &str| Ok((Key::Given(value.into()), KeyUse::Field));
        let literal = Ok((Key::Given("customer_id".into()), KeyUse::Literal));
        assert_eq!(key(br#"{"a":[1,{"customer_id":2}],"customer_id":"c-7"}"#), field("c-7"));
        assert_eq!(key(br#"  {"customer_id":"\u00e9\"x"}"#), field("é\"x"));
        assert_eq!(key(br#"{"customer_id":4711}"#), field("4711"));
        assert_eq!(key(br#"{"customer_id":true}"#), field("true"));
        assert_eq!(key(br#"{"customer_id": -1.50 }"#), field("-1.50"));
        assert_eq!(key(br#"{"order_id":1}"#), literal);
        assert_eq!(key(br#"{"customer_id":"c-7""#), literal, "it is no JSON");
        assert_eq!(key(br#"{"customer_id":"c-7"} more"#), literal, "it is no JSON");
        assert_eq!(key(b"plain customer_id text"), literal);
        assert_eq!(key(br#"["customer_id"]"#), literal);
        assert_eq!(KeyRule::Random.key(b"{}"), Ok((Key::Random, KeyUse::Random)));
    }

    #[test]
    fn numbers_of_any_length_keep_all_their_digits() {
        let key = |digits: &str| key(format!(r#"{{"customer_id":{digits}}}"#).as_bytes()).expect(digits).0;
        for digits in ["18446744073709551616", "18446744073709551617", "-9223372036854775809", "0.1234567890123456789"]
        {
            assert_eq!(key(digits), Key::Given(digits.into()));
        }
    }

    #[test]
    fn half_of_a_surrogate_pair_is_no_key_and_in_another_field_it_changes_nothing() {
        for value in [r#""\ud800""#, r#""a\udfffb""#, r#""\ud800\ud800""#] {
            let problem = key(format!(r#"{{"customer_id":{value}}}"#).as_bytes()).expect_err(value);
            assert!(problem.contains("`customer_id` is a text with a lone surrogate"), "{problem}");
        }
        let field = Ok((Key::Given("c-7".into()), KeyUse::Field));
        assert_eq!(key(br#"{"a":"\ud800","\ud800":1,"customer_id":"c-7"}"#), field);
        assert_eq!(key(br#"{"customer_id":"\ud800","customer\u005fid":"c-7"}"#), field, "the last one counts");
        assert_eq!(key(br#"{"customer_id":"\ud83d\ude00"}"#), Ok((Key::Given("\u{1f600}".into()), KeyUse::Field)));
    }

    #[test]
    fn a_value_that_can_be_no_key_is_refused_by_its_name() {
        for (data, kind) in [("null", "null"), ("[1]", "a list"), (r#"{"a":1}"#, "an object")] {
            let problem = key(format!(r#"{{"customer_id":{data}}}"#).as_bytes()).expect_err(data);
            assert!(problem.contains("`customer_id`") && problem.contains(kind), "{problem}");
        }
        let problem = key(b"{\"customer_id\":\"\xff\xfe\"}").expect_err("no UTF-8");
        assert!(problem.contains("UTF-8") && problem.contains("`customer_id`"), "{problem}");
        assert!(key(b"{\"other\":\"\xff\xfe\",\"customer_id\":\"x\"}").is_ok(), "data may be anything");
    }
}
