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

/// The records that go to the writer together, at most: enough that the hand-over costs nothing. After a stop, the
/// groups on the way are still to be written: larger ones would leave more than a shard takes in that time.
const GROUP: usize = 250;

/// The bytes that go to the writer together. A single record may have more.
pub(crate) const GROUP_BYTES: usize = 256 << 10;

/// The bytes of a source that are read together, at most. Less would cost time for large records.
const READ_BYTES: usize = 32 << 10;

/// The bytes of the first read, as the lengths of the lines are not known. The next ones have about [`GROUP`] lines of
/// the lengths seen: after a stop, the lines of a read are still to be written. With more, a stream of one shard would
/// not take the short ones in that time. With fewer, short lines would need many reads.
const FIRST_READ: usize = 8 << 10;

/// The byte order mark, with which some editors begin a file. It belongs to no record.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Lines to read.
pub struct Source {
    /// The name of the file, or `stdin`.
    pub name: Arc<str>,
    /// Its content.
    pub reader: Box<dyn Read + Send>,
    /// Whether it has bytes that were not read, as far as that is known without waiting. Asked after a stop.
    pub has_more: Box<dyn Fn() -> bool + Send>,
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
    /// Whether a stop leaves bytes of the source after these: they were not read, or are no complete line. `None`: that
    /// is not known, as its reader waits.
    pub has_more: Option<bool>,
}

/// Reads all records of a source, hands them over, and counts them in `input` at once. Empty lines are no records. If
/// the writer takes no more, this reads no more: the complete lines that it has are the last records.
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
    let Source { name, reader, has_more } = source;
    let mut reader = BufReader::with_capacity(READ_BYTES, Bounded { source: reader, most: FIRST_READ });
    let mut group = Group { feed, input, items: vec![], bytes: 0 };
    let mut are_letters = false;
    let mut line = vec![];
    for number in 1.. {
        let origin = Origin { source: name.clone(), line: number };
        let read = next_line(&mut reader, &mut line, &mut group);
        let length = read.map_err(|source| InputError::Io { origin: origin.clone(), source });
        let length = match length.inspect_err(|_| group.send())? {
            Line::Of(length) => length,
            Line::End => {
                let mut input = lock(input);
                (input.finished, input.has_more) = (input.finished + 1, None);
                break;
            }
            Line::Stopped { is_begun } => {
                lock(input).has_more = Some(is_begun || has_more());
                break;
            }
        };
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

type Reader = BufReader<Bounded>;

/// A source that gives at most this number of bytes at once.
struct Bounded {
    source: Box<dyn Read + Send>,
    most: usize,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.most);
        self.source.read(&mut buffer[..most])
    }
}

impl Bounded {
    /// Sets the bound to about [`GROUP`] lines such as these.
    fn learn(&mut self, bytes: usize, lines: usize) {
        self.most = (bytes * GROUP).checked_div(lines).map_or(READ_BYTES, |most| most.min(READ_BYTES));
    }
}

/// What comes next in a source.
enum Line {
    /// A line of this length.
    Of(u64),
    /// Nothing.
    End,
    /// The writer takes no more. `is_begun`: bytes were taken, and are no complete line.
    Stopped { is_begun: bool },
}

/// Reads a line without its end. Of a line that is longer than [`LONGEST_LINE`], the rest is skipped.
fn next_line(reader: &mut Reader, line: &mut Vec<u8>, group: &mut Group<'_>) -> io::Result<Line> {
    line.clear();
    let mut length = 0;
    loop {
        let has_bytes = !reader.buffer().is_empty();
        if !has_bytes {
            // The source may let this wait, so the records go to the writer before.
            group.send();
            if group.feed.is_closed() {
                return Ok(Line::Stopped { is_begun: length > 0 });
            }
            lock(group.input).has_more = (length > 0).then_some(true);
        }
        let bytes = loop {
            match group.fill(reader) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                filled => break filled?,
            }
        };
        if bytes.is_empty() {
            return Ok(if length > 0 { Line::Of(length) } else { Line::End });
        }
        // The writer did not wait for a source that lets this wait.
        if !has_bytes && group.feed.is_closed() {
            return Ok(Line::Stopped { is_begun: true });
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
            return Ok(Line::Of(length));
        }
    }
}

/// Records on the way to the writer.
struct Group<'a> {
    feed: &'a FeedSender,
    input: &'a Mutex<Input>,
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

    /// The bytes that come next. Those of a new read set the bound of the next one.
    fn fill<'r>(&self, reader: &'r mut Reader) -> io::Result<&'r [u8]> {
        if reader.buffer().is_empty() {
            let bytes = self.feed.while_waiting(|| reader.fill_buf())?;
            let (length, lines) = (bytes.len(), memchr::memchr_iter(b'\n', bytes).count());
            if length > 0 {
                reader.get_mut().learn(length, lines);
            }
        }
        Ok(reader.buffer())
    }
}

#[cfg(test)]
mod tests;
