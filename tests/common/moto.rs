//! moto, which this project did not write, as another process.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// moto, with a function, keys and a bucket. It ends with the test.
pub struct Moto {
    process: Child,
    /// Its address and the ids of its keys.
    pub ready: Value,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}

impl Moto {
    /// Starts it. `root`: the repository.
    pub fn start(root: &Path) -> Moto {
        let how = "`make test` installs it, and so does `make .venv/tests`";
        assert!(root.join(".venv/tests").is_file(), "moto is not installed: {how}");
        let mut process = Command::new(root.join(".venv/bin/python"))
            .arg(root.join("tests/second_emulator/consumers.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.take().expect("piped"));
        out.read_line(&mut line).expect("a line");
        let ready = line.strip_prefix("ready ").unwrap_or_else(|| panic!("moto did not start: {line}"));
        Moto { process, ready: serde_json::from_str(ready).expect("JSON") }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        self.ready["url"].as_str().expect("an address")
    }
}
