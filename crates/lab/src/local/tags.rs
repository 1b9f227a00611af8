//! Tags of streams, with AWS's rules.

use super::Account;
use super::limits::{Refusal, refuse};
use ferrokinesis::types::Stream;
use serde_json::{Value, json};

/// Tags that one resource can have ([tagging]).
///
/// [tagging]: https://docs.aws.amazon.com/streams/latest/dev/tagging.html
const MAX_TAGS: usize = 50;

/// Characters of a tag's key (tagging, as above).
const MAX_KEY: usize = 128;

/// Characters of a tag's value: the service model says 256, the guide 255.
const MAX_VALUE: usize = 256;

/// AddTagsToStream and TagResource: all tags, or none.
pub(super) async fn add(account: &Account, stream: &str, input: &Value) -> Answer {
    let tags = parse(&input["Tags"])?;
    account.store.update_stream(stream, |stream| set(stream, tags)).await?;
    Ok(None)
}

/// ListTagsForResource of a stream.
pub(super) async fn list(account: &Account, stream: &str) -> Answer {
    let tags = account.store.get_stream(stream).await?.tags;
    let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    Ok(Some(json!({ "Tags": tags })))
}

type Answer = Result<Option<Value>, Refusal>;

/// The checked tags of a request.
pub(super) fn parse(tags: &Value) -> Result<Vec<(String, String)>, Refusal> {
    let tags = tags.as_object().into_iter().flatten();
    let tags: Vec<_> = tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    for (key, value) in &tags {
        check(key, value).map_err(|problem| refuse("InvalidArgumentException", problem))?;
    }
    Ok(tags)
}

/// Sets tags on a stream, unless the stream would have too many.
pub(super) fn set(stream: &mut Stream, tags: Vec<(String, String)>) -> Result<(), Refusal> {
    let mut all = stream.tags.clone();
    all.extend(tags);
    if all.len() > MAX_TAGS {
        return Err(refuse("InvalidArgumentException", format!("A resource cannot have more than {MAX_TAGS} tags.")));
    }
    stream.tags = all;
    Ok(())
}

fn check(key: &str, value: &str) -> Result<(), String> {
    let (keyed, valued) = (key.chars().count(), value.chars().count());
    if !(1..=MAX_KEY).contains(&keyed) {
        return Err(format!("A tag key has 1 to {MAX_KEY} characters, not {keyed}."));
    }
    if valued > MAX_VALUE {
        return Err(format!("A tag value has at most {MAX_VALUE} characters, not {valued}."));
    }
    if key.starts_with("aws:") || !(key.chars().chain(value.chars())).all(is_allowed) {
        return Err("Some tags contain invalid characters. Valid characters: Unicode letters, digits, \
             white space, _ . / = + - % @."
            .into());
    }
    Ok(())
}

/// The characters of the guide. The text of TagResource adds a colon, but no other emulator confirms it.
fn is_allowed(character: char) -> bool {
    character.is_alphanumeric() || " _./=+-%@".contains(character)
}
