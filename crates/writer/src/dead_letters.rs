//! Dead letters: a file of lost records that `put` reads again.
//!
//! The first line is a mark. Each other line is a JSON object: `data` in base64, `partition_key` (`null`: a random
//! one), `explicit_hash_key` if it has one, `maybe_written` (AWS may have the record already), `fault` (the record was
//! never complete), and for people `origin`, `why` and `attempts`.

use crate::record::{Key, Lost, Origin, Record, Why};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::{File, OpenOptions, TryLockError};
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
    /// Another run writes to it.
    #[error(
        "--dead-letter {}: another run writes to this file. Name another file, or wait until that run ends",
        path.display()
    )]
    Busy {
        /// The file.
        path: PathBuf,
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

/// A file that takes dead letters. Letters that it has stay. The first letter creates it, so that a run without a loss
/// leaves nothing behind. Nothing removes it: it may have the letters of another run.
pub struct DeadLetters {
    path: PathBuf,
    /// `None`: nothing has that name yet.
    file: Option<File>,
    letters: u64,
}

impl DeadLetters {
    /// Makes sure that the file can take letters. Opens it if it is there.
    ///
    /// # Errors
    /// It cannot be opened or created, it holds something else, or another run writes to it.
    pub fn open(path: &Path) -> Result<DeadLetters, DeadLettersError> {
        let error = |source| DeadLettersError::Io { path: path.to_owned(), source };
        let file = match writable().open(path) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                can_create(path).map_err(error)?;
                None
            }
            opened => Some(taken(path, opened.map_err(error)?)?),
        };
        Ok(DeadLetters { path: path.to_owned(), file, letters: 0 })
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
        let error = |source| DeadLettersError::Io { path: self.path.clone(), source };
        let file = match &self.file {
            Some(file) => file,
            None => {
                let created = writable().create(true).open(&self.path).map_err(error)?;
                self.file.insert(taken(&self.path, created)?)
            }
        };
        append(file, &letter).map_err(error)?;
        self.letters += 1;
        Ok(())
    }

    /// The letters that were written.
    ///
    /// # Errors
    /// The system cannot make sure that the letters are on the disk.
    pub fn close(self) -> Result<u64, DeadLettersError> {
        if let Some(file) = self.file.filter(is_regular) {
            file.sync_all().map_err(|source| DeadLettersError::Io { path: self.path, source })?;
        }
        Ok(self.letters)
    }
}

fn writable() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true).read(true);
    options
}

/// A device or a pipe has no length, nothing to read and no lock.
fn is_regular(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file())
}

/// Whether the folder of a file that is not there takes a new file. A link to nothing names the file that it would be.
fn can_create(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let target = std::fs::read_link(path).map_or_else(|_| path.to_owned(), |target| folder.join(target));
    // The name is of this process, and is removed at once. The name of the letters could be another run's by then.
    let probe = target.with_file_name(format!(".unthrottle-{}", std::process::id()));
    match OpenOptions::new().write(true).create_new(true).open(&probe) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => Ok(()),
        Ok(_) => std::fs::remove_file(&probe),
    }
}

/// The file for this run alone, until it ends: two runs would cut letters of each other after a full disk.
fn taken(path: &Path, file: File) -> Result<File, DeadLettersError> {
    if !is_regular(&file) {
        return Ok(file);
    }
    let path = || path.to_owned();
    // Some network file systems have no locks. A run there is as safe as its user makes it.
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return Err(DeadLettersError::Busy { path: path() });
    }
    let error = |source| DeadLettersError::Io { path: path(), source };
    if file.metadata().map_err(error)?.len() > 0 {
        if !are_dead_letters(&file) {
            return Err(DeadLettersError::Other { path: path() });
        }
        end_last_line(&file).map_err(error)?;
    }
    Ok(file)
}

/// Writes a letter as a line, below the mark. A part of a letter is cut off again.
fn append(mut file: &File, letter: &Letter<'_>) -> io::Result<()> {
    // A device has no length, so each of its letters has a mark. Files of dead letters may be joined.
    let length = file.metadata()?.len();
    let mut line = if length == 0 { format!("{HEADER}\n").into_bytes() } else { vec![] };
    serde_json::to_writer(&mut line, letter)?;
    line.push(b'\n');
    file.write_all(&line).inspect_err(|_| {
        // A part of a letter would make the whole file unreadable for `put`. A device cannot be cut.
        let _ = file.set_len(length);
    })
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
    fn a_file_of_something_else_stays_and_a_run_without_a_loss_creates_none() {
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

    #[test]
    fn a_run_without_a_loss_leaves_what_another_run_an_empty_file_or_a_link_has_at_that_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lost.jsonl");
        let first = DeadLetters::open(&path).expect("nothing is there");
        let mut second = DeadLetters::open(&path).expect("nothing is there");
        second.write(&lost(Key::Random, b"x")).expect("written");
        assert_eq!(second.close().expect("closed"), 1);
        assert_eq!(first.close().expect("closed"), 0);
        assert_eq!(std::fs::read_to_string(&path).expect("it stays").lines().count(), 2);
        let empty = folder.path().join("empty.jsonl");
        std::fs::write(&empty, "").expect("written");
        DeadLetters::open(&empty).expect("opened").close().expect("closed");
        assert!(empty.exists(), "it is the user's");
        #[cfg(unix)]
        {
            let link = folder.path().join("link.jsonl");
            std::os::unix::fs::symlink(&empty, &link).expect("linked");
            DeadLetters::open(&link).expect("opened").close().expect("closed");
            assert!(link.is_symlink(), "it is the user's");
            std::fs::remove_file(link).expect("there");
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2, "no other file stays");
    }

    #[test]
    fn a_second_run_is_refused_while_the_first_writes_and_adds_to_the_file_afterwards() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lost.jsonl");
        let mut early = DeadLetters::open(&path).expect("nothing is there");
        let mut first = DeadLetters::open(&path).expect("nothing is there");
        first.write(&lost(Key::Random, b"x")).expect("written");
        let busy = |refused: Option<DeadLettersError>| matches!(refused, Some(DeadLettersError::Busy { .. }));
        assert!(busy(DeadLetters::open(&path).err()), "it starts later");
        assert!(busy(early.write(&lost(Key::Random, b"y")).err()), "it loses a record later");
        first.close().expect("closed");
        early.write(&lost(Key::Random, b"z")).expect("written");
        early.close().expect("closed");
        let text = std::fs::read_to_string(&path).expect("text");
        assert_eq!((text.lines().count(), text.matches(HEADER).count()), (3, 1), "{text}");
    }
}
