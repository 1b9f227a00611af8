//! Reads and writes the files of commands.

use crate::CliError;
use std::io::{self, ErrorKind, Read, Write as _};
use std::path::{Path, PathBuf};

/// The most bytes of a file of JSON: a log of a busy month. Without a bound, `/dev/zero` would fill the memory.
pub(super) const MOST_JSON: u64 = 256 << 20;

/// Reads a text file of at most `most` bytes, or standard input for `-`. Skips a byte order mark.
///
/// # Errors
/// The file cannot be read, is larger, or is not UTF-8.
pub(super) fn read(path: &Path, most: u64) -> Result<String, CliError> {
    match is_stdin(path) {
        true => read_all(path, io::stdin().lock(), most),
        false => read_file(path, most),
    }
}

/// Reads a text file of at most `most` bytes. Skips a byte order mark.
///
/// # Errors
/// The file cannot be read, is larger, or is not UTF-8.
pub(super) fn read_file(path: &Path, most: u64) -> Result<String, CliError> {
    let file = std::fs::File::open(path).map_err(|source| CliError::File { path: path.to_owned(), source })?;
    read_all(path, file, most)
}

fn read_all(path: &Path, reader: impl Read, most: u64) -> Result<String, CliError> {
    let error = |source| CliError::File { path: name(path), source };
    let mut bytes = vec![];
    reader.take(most + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() as u64 > most {
        let problem = format!("larger than {} MiB", most >> 20);
        return Err(error(io::Error::new(ErrorKind::FileTooLarge, problem)));
    }
    text(bytes).map_err(|problem| error(io::Error::new(ErrorKind::InvalidData, problem)))
}

/// Whether a path means standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// The name of an input in a message.
pub(super) fn name(path: &Path) -> PathBuf {
    if is_stdin(path) { "stdin".into() } else { path.to_owned() }
}

/// UTF-8 without its byte order mark.
fn text(mut bytes: Vec<u8>) -> Result<String, String> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|error| {
        let bytes = error.as_bytes();
        let line = bytes[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        match bytes {
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "UTF-16. Save it as UTF-8".to_owned(),
            _ => format!("not UTF-8 (line {line})"),
        }
    })
}

/// Whether the user gave a path that can never be read or written: another path is needed.
pub(super) fn is_wrong_path(error: &io::Error) -> bool {
    use ErrorKind::{FileTooLarge, InvalidData, InvalidInput, IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | IsADirectory | NotADirectory | InvalidData | InvalidInput | FileTooLarge)
}

/// Creates a folder and those above it, if they are not there.
///
/// # Errors
/// A folder cannot be created.
pub(super) fn create_folder(path: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(path).map_err(|source| CliError::Unwritten { path: path.to_owned(), source })
}

/// Writes a file in full or not at all.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let error = |source| CliError::Unwritten { path: path.to_owned(), source };
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".unthrottle-");
    // The user's mask applies, as to any other file. By default only the user could read a temporary file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    // Its error has the name of the temporary file, which says nothing to a person.
    let mut file = builder.tempfile_in(folder).map_err(|failed| error(failed.kind().into()))?;
    file.write_all(text.as_bytes()).map_err(error)?;
    file.persist(path).map_err(|failed| error(failed.error))?;
    Ok(())
}

/// Checks before the work that [`write`] can write this file after it.
///
/// # Errors
/// The folder does not exist, or the path is a folder.
pub(super) fn can_write(path: &Path) -> Result<(), CliError> {
    let error = |kind: ErrorKind| CliError::Unwritten { path: path.to_owned(), source: kind.into() };
    if path.is_dir() {
        return Err(error(ErrorKind::IsADirectory));
    }
    let is_folder = std::fs::metadata(folder_of(path)).map(|folder| folder.is_dir());
    match is_folder {
        Ok(true) => Ok(()),
        Ok(false) => Err(error(ErrorKind::NotADirectory)),
        Err(source) => Err(CliError::Unwritten { path: path.to_owned(), source }),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_utf_8_without_its_byte_order_mark() {
        assert_eq!(text(b"\xEF\xBB\xBF{}".to_vec()), Ok("{}".into()));
        assert_eq!(text(b"a\nb\xFF".to_vec()), Err("not UTF-8 (line 2)".into()));
        assert_eq!(text(b"\xFF\xFE{\x00".to_vec()), Err("UTF-16. Save it as UTF-8".into()));
    }

    #[test]
    fn a_folder_and_an_endless_file_are_wrong_paths() {
        let code = |path: &str| read(Path::new(path), 1 << 20).expect_err("no text").code();
        assert_eq!(code("/"), 2);
        assert_eq!(code("/dev/zero"), 2);
        assert_eq!(code("/none/such"), 2);
        assert!(matches!(can_write(Path::new("/none/such/page.html")), Err(error) if error.code() == 2));
        assert!(matches!(can_write(Path::new("/dev/null/page.html")), Err(error) if error.code() == 2));
    }

    #[test]
    fn a_file_is_replaced_in_full_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("page.html");
        write(&path, "first").expect("written");
        write(&path, "second").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), "second");
        std::fs::create_dir(folder.path().join("taken")).expect("made");
        let error = write(&folder.path().join("taken"), "third").expect_err("a folder").to_string();
        assert!(error.contains("taken: cannot be written"), "{error}");
        let left = std::fs::read_dir(folder.path()).expect("readable").count();
        assert_eq!(left, 2, "nothing partial is left");
        let error = write(&folder.path().join("no/page.html"), "").expect_err("no folder");
        assert_eq!(error.code(), 2);
        assert!(error.to_string().contains("no/page.html") && !error.to_string().contains(".unthrottle-"), "{error}");
    }
}
