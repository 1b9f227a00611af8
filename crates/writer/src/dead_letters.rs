//! Dead letters: a file of lost records that `put` reads again.
//!
//! The first line is a mark. Each other line is a JSON object: `data` in base64, `partition_key` (`null`: a random
//! one), `explicit_hash_key` if it has one, `maybe_written` (AWS may have the record already), `fault` (the record was
//! never complete), and for people `origin`, `why` and `attempts`.

use crate::record::{Key, Lost, Origin, Record, Why};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The first line of a file of dead letters.
const HEADER: &str = r#"{"unthrottle_dead_letters":1}"#;

#[derive(Serialize, Deserialize)]
struct Letter<'a> {
    data: Cow<'a, str>,
    partition_key: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    explicit_hash_key: Option<String>,
    #[serde(default)]
    origin: Cow<'a, str>,
    #[serde(default)]
    why: Cow<'a, str>,
    #[serde(default)]
    attempts: u32,
    #[serde(default)]
    maybe_written: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<Fault>,
}

/// Why a record was never complete. It has no key then, and a random one would put it on any shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// No partition key was found in its data.
    NoPartitionKey,
    /// `data` is the line as it stood, because the line was not base64.
    NotBase64,
}

/// Whether a line is the mark of dead letters.
pub(crate) fn is_header(line: &[u8]) -> bool {
    line == HEADER.as_bytes()
}

/// Whether a file begins as dead letters do. A file that cannot be read begins with nothing.
pub fn are_dead_letters(file: impl Read) -> bool {
    let mut first = vec![];
    let limited = BufReader::new(file.take(HEADER.len() as u64 + 2)).read_until(b'\n', &mut first);
    limited.is_ok() && is_header(first.trim_ascii_end())
}

/// The record of a dead letter, and its fault.
pub(crate) fn parse(line: &[u8], origin: &Origin) -> Result<(Record, Option<Fault>), String> {
    let letter: Letter<'_> = serde_json::from_slice(line).map_err(|error| match error.is_eof() {
        true => "the line is cut off, as after a run that was killed. Delete it to go on".to_owned(),
        // The place is one in this line, which would read as a line of the file.
        false => format!("not a dead letter: {}", error.to_string().split(" at line ").next().unwrap_or_default()),
    })?;
    let data = base64_simd::STANDARD.decode_to_vec(letter.data.as_bytes());
    let data = data.map_err(|error| format!("field `data`: not base64: {error}"))?;
    let hash_key = letter.explicit_hash_key.map(|text| text.parse().map_err(|_| text)).transpose();
    let hash_key = hash_key.map_err(|text| format!("field `explicit_hash_key`: `{text}` is no number below 2^128"))?;
    let key = letter.partition_key.map_or(Key::Random, |key| Key::Given(key.into_owned()));
    let is_maybe_written = letter.maybe_written;
    Ok((Record { hash_key, is_maybe_written, ..Record::new(data, key, origin.clone()) }, letter.fault))
}

/// The file cannot take dead letters.
#[derive(Debug, thiserror::Error)]
pub enum DeadLettersError {
    /// The system cannot open or write it.
    #[error("--dead-letter {}: cannot be written: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// It holds something else.
    #[error(
        "--dead-letter {}: the file is there and holds no dead letters, so it stays as it is. Name another file",
        path.display()
    )]
    Other {
        /// The file.
        path: PathBuf,
    },
}

/// A file that takes dead letters. Letters that it has stay.
pub struct DeadLetters {
    path: PathBuf,
    file: File,
    is_new: bool,
    letters: u64,
}

impl DeadLetters {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// It cannot be opened, or it holds something else.
    pub fn open(path: &Path) -> Result<DeadLetters, DeadLettersError> {
        let error = |source| DeadLettersError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new().append(true).read(true).create(true).open(path).map_err(error)?;
        // A device has no length and nothing to read.
        let is_new = file.metadata().map_err(error)?.len() == 0;
        if !is_new {
            if !are_dead_letters(&file) {
                return Err(DeadLettersError::Other { path: path.to_owned() });
            }
            end_last_line(&file).map_err(error)?;
        }
        Ok(DeadLetters { path: path.to_owned(), file, is_new, letters: 0 })
    }

    /// Writes a letter, in full.
    ///
    /// # Errors
    /// It cannot be written, as on a full disk.
    pub fn write(&mut self, lost: &Lost) -> Result<(), DeadLettersError> {
        let record = &lost.record;
        let letter = Letter {
            data: base64_simd::STANDARD.encode_to_string(&record.data).into(),
            partition_key: match &record.key {
                Key::Random => None,
                Key::Given(key) => Some(key.into()),
            },
            explicit_hash_key: record.hash_key.map(|key| key.to_string()),
            origin: record.origin.to_string().into(),
            why: lost.why.to_string().into(),
            attempts: lost.attempts,
            maybe_written: lost.is_maybe_written,
            fault: match &lost.why {
                Why::NoKey(_) => Some(Fault::NoPartitionKey),
                Why::NotBase64(_) => Some(Fault::NotBase64),
                _ => None,
            },
        };
        let mut line = if self.is_new { format!("{HEADER}\n").into_bytes() } else { vec![] };
        let text = serde_json::to_writer(&mut line, &letter).map_err(io::Error::from);
        line.push(b'\n');
        let length = self.file.metadata().map(|metadata| metadata.len());
        let written = text.and_then(|()| self.file.write_all(&line)).inspect_err(|_| {
            // A part of a letter would make the whole file unreadable for `put`. A device cannot be cut.
            let _ = length.and_then(|length| self.file.set_len(length));
        });
        written.map_err(|source| DeadLettersError::Io { path: self.path.clone(), source })?;
        self.is_new = false;
        self.letters += 1;
        Ok(())
    }

    /// The letters that were written. An empty file that this opened is removed.
    ///
    /// # Errors
    /// The system cannot make sure that the letters are on the disk.
    pub fn close(self) -> Result<u64, DeadLettersError> {
        let is_file = self.file.metadata().is_ok_and(|metadata| metadata.is_file());
        if self.is_new && is_file {
            // Nothing is lost with it, so an error here is none of the user's.
            let _ = std::fs::remove_file(&self.path);
        } else if is_file {
            self.file.sync_all().map_err(|source| DeadLettersError::Io { path: self.path.clone(), source })?;
        }
        Ok(self.letters)
    }
}

/// Ends the last line, which a run that was killed may have left without its end. The next letter would be a part of
/// it.
fn end_last_line(mut file: &File) -> io::Result<()> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(key: Key, data: &[u8]) -> Lost {
        let origin = Origin { source: "stdin".into(), line: 3 };
        let record = Record { hash_key: Some(u128::MAX), ..Record::new(data.into(), key, origin) };
        Lost { record, why: Why::AfterLost, attempts: 2, is_maybe_written: true }
    }

    #[test]
    fn a_letter_keeps_data_key_and_hash_key_and_a_second_run_adds_to_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lost.jsonl");
        for key in [Key::Given("é\"".into()), Key::Random] {
            let mut letters = DeadLetters::open(&path).expect("opened");
            letters.write(&lost(key, b"\xff\n")).expect("written");
            assert_eq!(letters.close().expect("closed"), 1);
        }
        let text = std::fs::read_to_string(&path).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert!(is_header(lines[0].as_bytes()) && lines.len() == 3, "{text}");
        let origin = Origin { source: "lost.jsonl".into(), line: 2 };
        let parse = |line: &str| parse(line.as_bytes(), &origin).expect("a letter").0;
        let (first, second) = (parse(lines[1]), parse(lines[2]));
        assert_eq!((first.key, second.key), (Key::Given("é\"".into()), Key::Random));
        assert!(first.is_maybe_written, "a second run still knows that AWS may have it");
        assert_eq!((first.data, first.hash_key), (b"\xff\n".to_vec(), Some(u128::MAX)));
    }

    #[test]
    fn a_letter_after_a_line_that_a_killed_run_cut_off_is_a_line_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lost.jsonl");
        for cut in [r#"{"data":"aGk=","partition_key":"k"}"#, r#"{"data":"aG"#, ""] {
            std::fs::write(&path, format!("{HEADER}\n{cut}")).expect("written");
            let mut letters = DeadLetters::open(&path).expect("opened");
            letters.write(&lost(Key::Random, b"next")).expect("written");
            letters.close().expect("closed");
            let text = std::fs::read_to_string(&path).expect("text");
            let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
            let origin = Origin { source: "lost.jsonl".into(), line: 3 };
            let last = parse(lines[lines.len() - 1].as_bytes(), &origin).expect("a letter").0;
            assert_eq!((last.data.as_slice(), lines.len()), (b"next".as_slice(), 2 + usize::from(!cut.is_empty())));
        }
        let origin = Origin { source: "lost.jsonl".into(), line: 2 };
        assert!(parse(br#"{"data":"aG"#, &origin).expect_err("cut").contains("cut off"), "it says what is wrong");
    }

    #[test]
    fn a_record_that_was_never_complete_says_so_in_its_letter() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lost.jsonl");
        let mut letters = DeadLetters::open(&path).expect("opened");
        let whys = [Why::NoKey("null".into()), Why::NotBase64("!".into()), Why::Rejected("large".into())];
        for why in whys {
            letters.write(&Lost { why, ..lost(Key::Random, b"x") }).expect("written");
        }
        letters.close().expect("closed");
        let text = std::fs::read_to_string(&path).expect("text");
        let origin = Origin { source: "lost.jsonl".into(), line: 2 };
        let fault = |line: &str| parse(line.as_bytes(), &origin).expect("a letter").1;
        let faults: Vec<Option<Fault>> = text.lines().skip(1).map(fault).collect();
        assert_eq!(faults, [Some(Fault::NoPartitionKey), Some(Fault::NotBase64), None]);
    }

    #[test]
    fn a_file_of_something_else_stays_and_an_unused_file_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let other = folder.path().join("orders.csv");
        std::fs::write(&other, "a,b\n").expect("written");
        assert!(matches!(DeadLetters::open(&other), Err(DeadLettersError::Other { .. })));
        assert_eq!(std::fs::read_to_string(&other).expect("there"), "a,b\n");
        let unused = folder.path().join("lost.jsonl");
        assert_eq!(DeadLetters::open(&unused).expect("opened").close().expect("closed"), 0);
        assert!(!unused.exists());
        let nowhere = DeadLetters::open(&folder.path().join("no/lost.jsonl")).err().expect("no folder").to_string();
        assert!(nowhere.contains("--dead-letter") && nowhere.contains("no/lost.jsonl"), "{nowhere}");
    }
}
