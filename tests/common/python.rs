//! A second emulator: a Python process that prints `ready JSON` when it answers.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// An emulator. It ends with the test.
pub struct Python {
    process: Child,
    /// What it printed: its address, and what it holds.
    pub ready: Value,
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}

impl Python {
    /// Starts a script of `tests/second_emulator` in the repository at `root`. `how`: how to install what it needs.
    pub fn start(root: &Path, python: &Path, script: &str, args: &[&str], how: &str) -> Python {
        assert!(python.is_file(), "{} is not installed: {how}", python.display());
        let mut process = Command::new(python)
            .arg(root.join("tests/second_emulator").join(script))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.take().expect("piped"));
        out.read_line(&mut line).expect("a line");
        let ready = line.strip_prefix("ready ").unwrap_or_else(|| panic!("{script} did not start: {line}. {how}"));
        Python { process, ready: serde_json::from_str(ready).expect("JSON") }
    }
}
