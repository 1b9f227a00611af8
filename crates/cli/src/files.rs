//! Writes the files of commands.

use crate::CliError;
use std::io::Write as _;
use std::path::Path;

/// Writes a file in full or not at all.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let error = |source| CliError::Unwritten { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".unthrottle-");
    // The user's mask applies, as to any other file. By default only the user could read a temporary file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(error)?;
    file.write_all(text.as_bytes()).map_err(error)?;
    file.persist(path).map_err(|failed| error(failed.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(matches!(write(&folder.path().join("no/page.html"), ""), Err(error) if error.code() == 2));
    }
}
