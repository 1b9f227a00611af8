//! The rules of the house that a machine can check: which module may import which, the length of files and functions,
//! and words that an engineer on call has to read twice. CONTRIBUTING.md has the rules of prose.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// Every file with this extension in these folders, below the root.
fn files(folders: &[&str], extension: &str) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    let mut found = vec![];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("readable").path();
            // What a tool has installed is not ours.
            if path.is_dir() && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no *.{extension} in {folders:?}");
    found.sort();
    found
}

const CODE: [&str; 5] = ["src", "crates", "tests", "benches", "examples"];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Nothing is in the list, or each item of it is said.
fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// The modules of a crate (a file or a folder beside its lib.rs), and which others each of them imports.
fn imports(crate_source: &str) -> BTreeMap<String, BTreeSet<String>> {
    let source = root().join(crate_source);
    let mut graph = BTreeMap::<String, BTreeSet<String>>::new();
    for path in files(&[crate_source], "rs") {
        let inside = path.strip_prefix(&source).expect("in the crate");
        let module = inside.iter().next().expect("a name").to_string_lossy().replace(".rs", "");
        if ["lib", "main", "bin"].contains(&module.as_str()) {
            continue;
        }
        let text = read(&path);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let named = code.flat_map(|line| line.split("crate::").skip(1).map(first_word).collect::<Vec<_>>());
        let is_module = |name: &String| name.starts_with(|c: char| c.is_ascii_lowercase()) && *name != module;
        graph.entry(module.clone()).or_default().extend(named.filter(is_module));
    }
    graph
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// The modules that `from` imports, and those that they import, and so on.
fn reached(graph: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(module) = next.pop() {
        let news = graph.get(&module).into_iter().flatten().filter(|it| seen.insert((*it).clone()));
        next.extend(news.cloned().collect::<Vec<_>>());
    }
    seen
}

#[test]
fn no_module_imports_itself_by_way_of_another() {
    for source in ["src", "crates/core/src", "crates/lab/src", "crates/writer/src", "crates/cli/src"] {
        let graph = imports(source);
        let circles = graph.keys().filter(|module| reached(&graph, module).contains(*module));
        let circles: Vec<String> = circles.map(|module| format!("{source}/{module}")).collect();
        none(&circles, "these modules import each other in a circle");
    }
}

#[test]
fn reporting_only_renders() {
    let graph = imports("crates/core/src");
    assert!(
        graph["run"].contains("report") && graph["run"].contains("decide"),
        "the test reads the modules: {graph:?}"
    );
    assert!(!reached(&graph, "report").contains("run"), "{graph:?}");
    assert!(!reached(&graph, "decide").contains("report"), "{graph:?}");
}

/// The most lines of a file. A longer one gives the reason in its first ten lines, with these words.
const MOST_LINES: usize = 400;
const REASON: &str = "in one file because";

#[test]
fn no_file_is_longer_than_a_room_without_a_reason_at_its_top() {
    let long = files(&CODE, "rs").into_iter().filter_map(|path| {
        let text = read(&path);
        let lines = text.lines().count();
        let has_reason = text.lines().take(10).any(|line| line.contains(REASON));
        (lines > MOST_LINES && !has_reason).then(|| format!("{}: {lines} lines", path.display()))
    });
    none(&long.collect::<Vec<_>>(), "more than 400 lines");
}

/// The most lines of a function.
const MOST_LINES_OF_FUNCTION: usize = 60;

#[test]
fn no_function_is_longer_than_a_screen() {
    let mut long = vec![];
    for path in files(&CODE, "rs") {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        for (first, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
            let indent = line.len() - line.trim_start().len();
            let is_end = |line: &&str| line.trim_end() == format!("{}}}", " ".repeat(indent));
            let length = lines[first..].iter().position(is_end).unwrap_or_default() + 1;
            if length > MOST_LINES_OF_FUNCTION {
                long.push(format!("{}:{}: {length} lines", path.display(), first + 1));
            }
        }
    }
    none(&long, "functions of more than 60 lines");
}

/// Whether a line begins a function that has a body.
fn is_function(line: &str) -> bool {
    let words = line.split_whitespace().take_while(|word| !word.contains('('));
    let is_named = line.trim_start().split_once("fn ").is_some_and(|(before, _)| {
        before.split_whitespace().all(|word| ["pub", "async", "const"].contains(&word) || word.starts_with("pub("))
    });
    is_named && words.count() < 6 && !line.trim_end().ends_with(';') && !line.trim_end().ends_with('}')
}

/// The widest line of prose, in characters.
const WIDEST: usize = 120;

#[test]
fn no_line_is_wider_than_a_screen() {
    let mut wide = vec![];
    for path in files(&CODE, "rs") {
        for (number, line) in read(&path).lines().enumerate() {
            let is_table = line.trim_start().starts_with("//! |") || line.trim_start().starts_with("/// |");
            // A regular expression or a query is not prose.
            let is_one_word = line.split_whitespace().any(|word| word.len() > 60);
            if line.chars().count() > WIDEST && !is_table && !is_one_word {
                wide.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    none(&wide, "lines of more than 120 characters");
}

/// Words that hide who acts, or that have a plainer one. CONTRIBUTING.md has the rules of prose.
const RIDDLES: [&str; 12] = [
    "so many",
    "but for ",
    "of which",
    "whom",
    "nobody",
    "somebody",
    "is told",
    "are told",
    "tells of",
    "tell of",
    "taken back",
    "given back",
];

/// The comments of a source file, or the prose of a page.
fn prose(path: &Path) -> Vec<(usize, String)> {
    let text = read(path);
    let is_rust = path.extension().is_some_and(|it| it == "rs");
    let is_prose = |line: &str| !is_rust || line.trim_start().starts_with("//");
    // Code in backticks is a name, and names of metrics and tags stay as they are.
    let without_code = |line: &str| line.split('`').step_by(2).collect::<Vec<_>>().join(" ").to_lowercase();
    let lines = text.lines().enumerate().filter(|(_, line)| is_prose(line));
    lines.map(|(number, line)| (number + 1, without_code(line))).collect()
}

#[test]
fn the_prose_has_no_riddles() {
    let pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(|page| root().join(page));
    let rust = files(&["src", "crates"], "rs").into_iter().filter(|path| !path.ends_with("tests/house.rs"));
    let all = rust.chain(files(&["docs", "infra"], "md")).chain(pages);
    let found = all.flat_map(|path| {
        let name = path.display().to_string();
        let riddles = prose(&path).into_iter().filter_map(move |(number, line)| {
            let riddle = RIDDLES.iter().find(|riddle| line.contains(*riddle))?;
            Some(format!("{name}:{number}: `{riddle}`"))
        });
        riddles.collect::<Vec<_>>()
    });
    none(&found.collect::<Vec<_>>(), "plainer words are there");
}
