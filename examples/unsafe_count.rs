//! Counts the keyword `unsafe` in the source of what the Lambda is made of: `make supply`. It counts what is in the
//! packages, whether this platform compiles it or not.

use proc_macro2::{TokenStream, TokenTree};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let wanted = of_the_lambda(&metadata);
    let (mut with, mut without, mut rows) = (0, 0, vec![]);
    for package in packages.iter().filter(|package| wanted.contains(text(package, "id"))) {
        let (count, unread) = count(Path::new(text(package, "manifest_path")).parent().expect("a folder"));
        let is_ours = package["source"].is_null();
        assert!(!is_ours || count == 0, "{} is ours and has unsafe code", text(package, "name"));
        if count > 0 {
            with += 1
        } else {
            without += 1
        }
        rows.push((count, unread, format!("{} {}", text(package, "name"), text(package, "version"))));
    }
    rows.sort();
    for (count, unread, name) in rows.iter().rev().filter(|(count, ..)| *count > 0) {
        println!(
            "{count:>6} {name}{}",
            if *unread > 0 { format!(" ({unread} files are no Rust)") } else { String::new() }
        );
    }
    let all: usize = rows.iter().map(|(count, ..)| count).sum();
    println!("unsafe: {all} times in {with} of {} packages of the Lambda; none in its own", with + without);
}

fn metadata() -> Value {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let rustc = String::from_utf8(rustc.stdout).expect("UTF-8");
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host").to_owned();
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", &host];
    let metadata = Command::new(cargo).args(arguments).output().expect("Cargo runs");
    serde_json::from_slice(&metadata.stdout).expect("JSON")
}

/// The ids of the packages that are linked into the Lambda, and of the macros that write code for it.
fn of_the_lambda(metadata: &Value) -> BTreeSet<String> {
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let root = metadata["resolve"]["root"].as_str().expect("the root package").to_owned();
    let (mut found, mut next) = (BTreeSet::new(), vec![root]);
    while let Some(id) = next.pop() {
        if !found.insert(id.clone()) {
            continue;
        }
        let node = nodes.iter().find(|node| text(node, "id") == id).expect("a node");
        for dependency in node["deps"].as_array().expect("dependencies") {
            let kinds = dependency["dep_kinds"].as_array().expect("kinds");
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                next.push(text(dependency, "pkg").to_owned());
            }
        }
    }
    found
}

/// The keyword in all Rust files of `src`, and the files that are no Rust by themselves.
fn count(package: &Path) -> (usize, usize) {
    let (mut folders, mut count, mut unread) = (vec![package.join("src")], 0, 0);
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().into_iter().flatten() {
            let path: PathBuf = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                match std::fs::read_to_string(&path).expect("UTF-8").parse::<TokenStream>() {
                    Ok(tokens) => count += keywords(tokens),
                    Err(_) => unread += 1,
                }
            }
        }
    }
    (count, unread)
}

fn keywords(tokens: TokenStream) -> usize {
    let of = |token| match token {
        TokenTree::Ident(ident) => usize::from(ident == "unsafe"),
        TokenTree::Group(group) => keywords(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => 0,
    };
    tokens.into_iter().map(of).sum()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}
