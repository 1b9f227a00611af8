//! The files that a command reads: what they are, whether they can be read, and what is left of them.

use super::STDIN;
use super::args::Plan;
use crate::CliError;
use crate::files::is_stdin;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use unthrottle_writer::{FeedSender, InputError, KeyRule, Origin, Source, are_dead_letters};

/// Opens a source.
///
/// # Errors
/// The system cannot open it.
pub(super) fn open(path: &Path, sender: &FeedSender) -> Result<Source, InputError> {
    if is_stdin(path) {
        let reader: Box<dyn Read + Send> = Box::new(io::stdin());
        return Ok(Source { name: STDIN.into(), reader, has_more: Box::new(stdin_has_bytes) });
    }
    let name: Arc<str> = path.display().to_string().into();
    let error = |source| InputError::Io { origin: Origin { source: name.clone(), line: 1 }, source };
    // A pipe opens when another process writes to it.
    let file = sender.while_waiting(|| File::open(path)).map_err(error)?;
    let same = file.try_clone().map_err(error)?;
    Ok(Source { name, reader: Box::new(file), has_more: Box::new(move || has_bytes(&same)) })
}

/// Whether standard input has bytes that were not read.
pub(super) fn stdin_has_bytes() -> bool {
    has_bytes(io::stdin())
}

/// Whether a file, a pipe or a terminal has bytes to read now.
#[cfg(unix)]
fn has_bytes(source: impl std::os::fd::AsFd) -> bool {
    rustix::io::ioctl_fionread(source).is_ok_and(|bytes| bytes > 0)
}

/// Not known here without a wait.
#[cfg(not(unix))]
fn has_bytes<T>(_: T) -> bool {
    false
}

/// What standard input is; `None`: that is not known.
#[cfg(unix)]
fn of_stdin() -> Option<Metadata> {
    use std::os::fd::AsFd as _;
    let same = io::stdin().as_fd().try_clone_to_owned().ok()?;
    File::from(same).metadata().ok()
}

/// What standard input is; `None`: that is not known.
#[cfg(not(unix))]
fn of_stdin() -> Option<Metadata> {
    None
}

/// What a source is; `None`: that is not known.
fn metadata(path: &Path) -> Option<Metadata> {
    if is_stdin(path) { of_stdin() } else { path.metadata().ok() }
}

/// Whether the source is a regular file, which has an end that is known.
pub(super) fn is_file(path: &Path) -> bool {
    metadata(path).is_some_and(|metadata| metadata.is_file())
}

/// A source in a message.
pub(super) fn in_words(path: &Path) -> String {
    if is_stdin(path) { "standard input".into() } else { path.display().to_string() }
}

/// Whether both are the same regular file, whatever their names. A device may be both.
#[cfg(unix)]
fn is_same(path: &Path, letters: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let of_file = |metadata: &Metadata| (metadata.dev(), metadata.ino());
    let (source, letters) = (metadata(path).filter(Metadata::is_file), letters.metadata().ok());
    source.is_some_and(|source| letters.is_some_and(|letters| of_file(&source) == of_file(&letters)))
}

/// Whether both are the same file.
#[cfg(not(unix))]
fn is_same(path: &Path, letters: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| letters.canonicalize().is_ok_and(|letters| letters == path))
}

/// Finds a source that cannot be read before the first record is written. Only files are opened for that: the reader
/// of a pipe takes its data, and a pipe that is opened twice has lost it.
pub(super) fn check(plan: &Plan) -> Result<(), CliError> {
    let (mut stdin, mut without_keys) = (0, false);
    for (place, path) in plan.files.iter().enumerate() {
        if plan.dead_letter.as_deref().is_some_and(|letters| is_same(path, letters)) {
            let name = in_words(path);
            return Err(CliError::Usage(format!("{name}: is read and is also --dead-letter: name another file there")));
        }
        if is_stdin(path) {
            (stdin, without_keys) = (stdin + 1, true);
            continue;
        }
        let error = |source: io::Error| match source.kind() {
            ErrorKind::NotFound if plan.config.is_some() && place == 0 => CliError::Usage(format!(
                "{0}: there is no such file. With --config, the words are files; to name the stream, give --stream {0}",
                path.display()
            )),
            _ => CliError::File { path: path.clone(), source },
        };
        let metadata = path.metadata().map_err(error)?;
        if metadata.is_dir() {
            return Err(CliError::Usage(format!("{}: is a folder; name its files", path.display())));
        }
        without_keys |= !metadata.is_file() || !are_dead_letters(File::open(path).map_err(error)?);
    }
    if stdin > 1 {
        return Err(CliError::Usage("standard input (-) can be read only once".into()));
    }
    if plan.options.is_ordered && plan.rule == KeyRule::Random && without_keys {
        return Err(CliError::Usage(
            "--ordered needs --partition-key: records with random keys have no order. Only files of dead letters have \
             keys of their own"
                .into(),
        ));
    }
    Ok(())
}
