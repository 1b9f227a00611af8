//! Records from lines of files and of standard input.

use crate::dead_letters::{self, Fault};
use crate::feed::{FeedSender, Item};
use crate::key_rule::{KeyRule, KeyUse};
use crate::record::{Key, Origin, Record, Why};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest line that is kept. The largest record of a stream has 10 MiB (`MaxRecordSizeInKiB`, API reference).
/// In base64 it is a third longer.
const LONGEST_LINE: usize = 16 << 20;

/// The records that go to the writer together, at most: enough that the hand-over costs nothing.
const GROUP: usize = 500;

/// The bytes that go to the writer together. A single record may have more.
pub(crate) const GROUP_BYTES: usize = 256 << 10;

/// The byte order mark, with which some editors begin a file. It belongs to no record.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Lines to read.
pub struct Source {
    /// The name of the file, or `stdin`.
    pub name: Arc<str>,
    /// Its content.
    pub reader: Box<dyn Read + Send>,
}

/// How a line becomes data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The bytes of the line, without its end (`\n` or `\r\n`).
    Raw,
    /// The line is base64.
    Base64,
}

/// The input ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The system cannot read it.
    #[error("{origin}: cannot be read: {source}")]
    Io {
        /// The line that was to come.
        origin: Origin,
        /// The error of the system.
        source: io::Error,
    },
    /// A line of a file of dead letters cannot be used.
    #[error("{origin}: {problem}")]
    Letter {
        /// The line.
        origin: Origin,
        /// What is wrong.
        problem: String,
    },
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// The last line that became a record.
    pub last: Option<Origin>,
    /// Records whose key is the value of the field.
    pub keys_of_field: u64,
    /// Records whose key is the literal text.
    pub keys_of_literal: u64,
    /// Records that come from dead letters, and kept their keys.
    pub dead_letters: u64,
    /// Sources that were read to their ends.
    pub finished: usize,
}

/// Reads all records of a source, hands them over, and counts them in `input` at once. Empty lines are no records. Ends
/// early if the writer takes no more.
///
/// # Errors
/// The source cannot be read, or a dead letter cannot be used. The records before are handed over.
pub fn read(
    source: Source,
    form: Form,
    rule: &KeyRule,
    feed: &FeedSender,
    input: &Mutex<Input>,
) -> Result<(), InputError> {
    let Source { name, reader } = source;
    let mut reader = BufReader::with_capacity(GROUP_BYTES, reader);
    let mut group = Group { feed, items: vec![], bytes: 0 };
    let mut are_letters = false;
    let mut line = vec![];
    for number in 1.. {
        let origin = Origin { source: name.clone(), line: number };
        let read = next_line(&mut reader, &mut line, &mut group);
        let length = read.map_err(|source| InputError::Io { origin: origin.clone(), source });
        let Some(length) = length.inspect_err(|_| group.send())? else {
            lock(input).finished += 1;
            break;
        };
        if feed.is_closed() {
            break;
        }
        if number == 1 && line.starts_with(MARK) {
            line.drain(..MARK.len());
        }
        let item = if length > LONGEST_LINE as u64 {
            Some(Item::Rejected(Record::new(vec![], Key::Random, origin.clone()), Why::TooLong(length)))
        } else if dead_letters::is_header(&line) && (number == 1 || are_letters) {
            // Files of dead letters may be joined.
            are_letters = true;
            None
        } else if line.is_empty() || (are_letters && line.trim_ascii().is_empty()) {
            None
        } else if are_letters {
            let letter = dead_letters::parse(&line, &origin).inspect_err(|_| group.send());
            let letter = letter.map_err(|problem| InputError::Letter { origin: origin.clone(), problem })?;
            Some(item_of_letter(letter, form, rule, input))
        } else {
            Some(item_of(&line, form, rule, &origin, input))
        };
        if let Some(item) = item {
            lock(input).last = Some(origin);
            group.push(item);
        }
    }
    group.send();
    Ok(())
}

fn lock(input: &Mutex<Input>) -> MutexGuard<'_, Input> {
    input.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The record of a dead letter keeps its key. One that was never complete is read as a line again, if the options say
/// how.
fn item_of_letter((record, fault): (Record, Option<Fault>), form: Form, rule: &KeyRule, input: &Mutex<Input>) -> Item {
    let (has_rule, is_base64) = (*rule != KeyRule::Random, form == Form::Base64);
    let unusable = "the dead letter has a record that was never complete";
    match fault {
        None => {
            lock(input).dead_letters += 1;
            Item::Record(record)
        }
        Some(Fault::NoPartitionKey) if has_rule => with_key(record.data, rule, &record.origin, input),
        Some(Fault::NotBase64) if has_rule || is_base64 => item_of(&record.data, form, rule, &record.origin, input),
        Some(Fault::NoPartitionKey) => {
            Item::Rejected(record, Why::NoKey(format!("{unusable}: it has no key. Give --partition-key")))
        }
        Some(Fault::NotBase64) => {
            let why = format!("{unusable}: its line was not base64. Give --partition-key to send the line as it is");
            Item::Rejected(record, Why::NotBase64(why))
        }
    }
}

fn item_of(line: &[u8], form: Form, rule: &KeyRule, origin: &Origin, input: &Mutex<Input>) -> Item {
    let data = match form {
        Form::Raw => line.to_vec(),
        Form::Base64 => match base64_simd::STANDARD.decode_to_vec(line) {
            Ok(data) => data,
            // The line goes to the dead letters as it is.
            Err(_) => {
                let record = Record::new(line.to_vec(), Key::Random, origin.clone());
                return Item::Rejected(record, Why::NotBase64("the line is not base64, and --base64 is set".into()));
            }
        },
    };
    with_key(data, rule, origin, input)
}

/// The record of this data, with the key that the rule gives it.
fn with_key(data: Vec<u8>, rule: &KeyRule, origin: &Origin, input: &Mutex<Input>) -> Item {
    match rule.key(&data) {
        Ok((key, by)) => {
            let mut input = lock(input);
            input.keys_of_field += u64::from(by == KeyUse::Field);
            input.keys_of_literal += u64::from(by == KeyUse::Literal);
            Item::Record(Record::new(data, key, origin.clone()))
        }
        Err(problem) => Item::Rejected(Record::new(data, Key::Random, origin.clone()), Why::NoKey(problem)),
    }
}

type Reader = BufReader<Box<dyn Read + Send>>;

/// Reads a line without its end, and returns its length; `None`: the source has ended. Of a line that is longer than
/// [`LONGEST_LINE`], the rest is skipped.
fn next_line(reader: &mut Reader, line: &mut Vec<u8>, group: &mut Group<'_>) -> io::Result<Option<u64>> {
    line.clear();
    let mut length = 0;
    loop {
        let bytes = loop {
            match group.fill(reader) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                filled => break filled?,
            }
        };
        if bytes.is_empty() {
            return Ok((length > 0).then_some(length));
        }
        let end = memchr::memchr(b'\n', bytes);
        let part = &bytes[..end.unwrap_or(bytes.len())];
        length += part.len() as u64;
        let room = (LONGEST_LINE + 1).saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(bytes.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            if line.last() == Some(&b'\r') && length <= LONGEST_LINE as u64 {
                line.pop();
            }
            return Ok(Some(length));
        }
    }
}

/// Records on the way to the writer.
struct Group<'a> {
    feed: &'a FeedSender,
    items: Vec<Item>,
    bytes: usize,
}

impl Group<'_> {
    fn push(&mut self, item: Item) {
        self.bytes += match &item {
            Item::Record(record) | Item::Rejected(record, _) => record.bytes(),
        };
        self.items.push(item);
        if self.items.len() >= GROUP || self.bytes >= GROUP_BYTES {
            self.send();
        }
    }

    fn send(&mut self) {
        self.bytes = 0;
        self.feed.send(std::mem::take(&mut self.items));
    }

    /// The bytes that come next. The source may let this wait, so the records go to the writer before.
    fn fill<'r>(&mut self, reader: &'r mut Reader) -> io::Result<&'r [u8]> {
        if !reader.buffer().is_empty() {
            return reader.fill_buf();
        }
        self.send();
        self.feed.while_waiting(|| reader.fill_buf())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::feed;

    /// All items of a text, and what was read.
    async fn items(text: &[u8], form: Form, rule: KeyRule) -> (Vec<Item>, Result<Input, InputError>) {
        let (sender, mut feed) = feed();
        let source = Source { name: "orders.jsonl".into(), reader: Box::new(io::Cursor::new(text.to_vec())) };
        let reader = tokio::task::spawn_blocking(move || {
            let input = Mutex::new(Input::default());
            read(source, form, &rule, &sender, &input).map(|()| lock(&input).clone())
        });
        let mut items = vec![];
        while let Some(group) = feed.next().await {
            items.extend(group);
        }
        (items, reader.await.expect("no panic"))
    }

    fn data(items: &[Item]) -> Vec<(u64, &[u8])> {
        let of = |item: &Item| match item {
            Item::Record(record) | Item::Rejected(record, _) => record.clone(),
        };
        let numbers = items.iter().map(|item| of(item).origin.line);
        let data = items.iter().map(|item| match item {
            Item::Record(record) | Item::Rejected(record, _) => record.data.as_slice(),
        });
        numbers.zip(data).collect()
    }

    #[tokio::test]
    async fn each_line_is_a_record_with_its_number_whatever_its_bytes_and_its_end() {
        let (items, input) = items(b"a\r\n\n\xff\xfe\nlast", Form::Raw, KeyRule::Random).await;
        assert_eq!(data(&items), [(1, b"a".as_slice()), (3, b"\xff\xfe"), (4, b"last")]);
        assert_eq!(input.expect("read").last.expect("a line").to_string(), "orders.jsonl:4");
    }

    #[tokio::test]
    async fn a_mark_at_the_beginning_belongs_to_no_record() {
        let (items, _) = items(b"\xEF\xBB\xBFa\n\xEF\xBB\xBFb\n", Form::Raw, KeyRule::Random).await;
        assert_eq!(data(&items), [(1, b"a".as_slice()), (2, b"\xEF\xBB\xBFb")]);
    }

    #[tokio::test]
    async fn a_line_that_is_not_base64_is_rejected_and_the_rest_goes_on() {
        let (items, _) = items(b"aGk=\n!\naGk=\n", Form::Base64, KeyRule::Random).await;
        assert_eq!(data(&items), [(1, b"hi".as_slice()), (2, b"!"), (3, b"hi")]);
        assert!(
            matches!(&items[1], Item::Rejected(_, Why::NotBase64(problem)) if problem.contains("base64")),
            "{items:?}"
        );
    }

    #[tokio::test]
    async fn a_line_beyond_every_limit_is_counted_and_not_kept() {
        let mut text = vec![b'x'; LONGEST_LINE + 10];
        text.extend(b"\nnext\n");
        let (items, _) = items(&text, Form::Raw, KeyRule::Random).await;
        assert!(matches!(&items[0], Item::Rejected(_, Why::TooLong(bytes)) if *bytes == LONGEST_LINE as u64 + 10));
        assert_eq!(data(&items)[1], (2, b"next".as_slice()));
    }

    #[tokio::test]
    async fn dead_letters_are_found_by_their_first_line_and_a_broken_one_names_its_line() {
        let letters = "{\"unthrottle_dead_letters\":1}\n{\"data\":\"aGk=\",\"partition_key\":\"k\"}\n";
        let joined = format!("{letters}{letters}{{\"data\":1}}\n");
        let (items, input) = items(joined.as_bytes(), Form::Raw, KeyRule::FieldOrLiteral("x".into())).await;
        assert_eq!(data(&items), [(2, b"hi".as_slice()), (4, b"hi")]);
        let problem = input.expect_err("broken").to_string();
        assert!(problem.starts_with("orders.jsonl:5: not a dead letter"), "{problem}");
    }
}
