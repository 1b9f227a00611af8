//! moto, which this project did not write, as another process.

use crate::python::Python;
use std::path::Path;

/// moto, with a function, keys and a bucket. It ends with the test. `ready` has its address and the ids of its keys.
pub struct Moto(pub Python);

impl Moto {
    /// Starts it. `root`: the repository.
    pub fn start(root: &Path) -> Moto {
        let how = "`make test` installs it, and so does `make .venv/tests`";
        assert!(root.join(".venv/tests").is_file(), "moto is not installed: {how}");
        Moto(Python::start(root, &root.join(".venv/bin/python"), "consumers.py", &[], how))
    }

    /// Its address.
    pub fn url(&self) -> &str {
        self.0.ready["url"].as_str().expect("an address")
    }
}
