//! Any value of the memory tag.

use crate::stream::{decided, throttled};
use arbitrary::{Arbitrary, Unstructured};
use std::collections::BTreeMap;
use unthrottle_core::memory::{MAX_LENGTH, Memory, TAG};
use unthrottle_core::policy::Policy;

/// The words of the tag, so that a mutation changes a value and not the key.
const KEYS: [&str; 28] = [
    "v", "change", "after", "since", "done", "heal", "readers", "sent", "seen", "owed", "resent", "base", "was",
    "lines", "watch", "scales", "modes", "downs", "refused", "reverts", "told", "tries", "aheads", "levels", "fore",
    "plan", "early", "tried",
];

/// Input that begins with this byte is the choice of words. Other input is the tag itself.
const CHOICE: u8 = 0;

/// A word of the tag: mostly of numbers around the last change, sometimes any text.
#[derive(Arbitrary, Debug)]
enum Value {
    Number(u32),
    Signed(i32),
    Pair(u16, u32),
    Triple(u16, u8, u32),
    List(Vec<u16>),
    Kind(u8, u32),
    Letters(u8, u32),
    Text(String),
}

/// The kinds of changes.
const KINDS: [&str; 11] =
    ["scale", "ahead", "split", "switch", "back", "warm", "watch", "unwatch", "restore", "theirs", "lost"];

impl Value {
    fn text(&self) -> String {
        match self {
            Value::Number(number) => number.to_string(),
            Value::Signed(number) => number.to_string(),
            Value::Pair(first, second) => format!("{first}/{second}"),
            Value::Triple(first, second, third) => format!("{first}.{second}.{third}"),
            Value::List(numbers) => numbers.iter().map(u16::to_string).collect::<Vec<_>>().join("-"),
            Value::Kind(kind, number) => format!("{}/{number}", KINDS[usize::from(*kind) % KINDS.len()]),
            Value::Letters(letters, number) => {
                format!("{}.{number}", ["b", "r", "w", "br", "brw", "off", "x"][usize::from(*letters) % 7])
            }
            Value::Text(text) => text.clone(),
        }
    }
}

/// A last change, `seconds` before now, and words around it.
fn chosen(input: &[u8]) -> arbitrary::Result<String> {
    let mut bytes = Unstructured::new(input);
    let kind = KINDS[usize::from(bytes.arbitrary::<u8>()?) % KINDS.len()];
    let (from, to): (u16, u16) = bytes.arbitrary()?;
    let ago = i64::from(bytes.arbitrary::<u32>()? % 200_000);
    let at = crate::stream::now() - chrono::TimeDelta::seconds(ago - 1000);
    let mut text = format!("v=1 change={kind}/{from}/{to}/{}", at.format("%Y%m%dT%H%M%SZ"));
    while !bytes.is_empty() {
        let key = KEYS[usize::from(bytes.arbitrary::<u8>()?) % KEYS.len()];
        text.push_str(&format!(" {key}={}", bytes.arbitrary::<Value>()?.text()));
    }
    Ok(text)
}

pub(crate) fn check(input: &[u8]) {
    let text = match input.split_first() {
        Some((&CHOICE, choice)) => chosen(choice).ok(),
        _ => std::str::from_utf8(input).ok().map(str::to_owned),
    };
    let Some(text) = text else { return };
    let parsed = Memory::parse(&text);
    if let Ok(written) = parsed.as_ref().map_or(Ok(String::new()), Memory::encode)
        && parsed.is_ok()
    {
        assert!(written.len() <= MAX_LENGTH, "{} bytes: {written}", written.len());
        let read = Memory::parse(&written).unwrap_or_else(|error| panic!("{error}: {written:?} of {text:?}"));
        assert_eq!(read.encode().as_deref(), Ok(written.as_str()), "a memory that is written again is the same");
    }
    let (signal, observation) = throttled(BTreeMap::from([(TAG.to_owned(), text)]));
    let (decision, _) = decided(&signal, observation, &Policy::default());
    if parsed.is_err() {
        assert_eq!(decision.verdict.code(), "bad_memory");
        assert_eq!(decision.memory, None, "an unreadable memory is left as it is");
    }
}
