//! `unthrottle runbook`: writes decision documents as an incident entry in Markdown.

pub(crate) mod documents;

use crate::explain::in_words;
use crate::screen::print_document;
use crate::{CliError, files};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    #[arg(
        required = true,
        value_name = "DOCUMENT",
        help = "Files with decision documents, or - for standard input: answers of the \
                function, also of a sweep, its log lines, and what `aws logs tail`, \
                `filter-log-events`, `get-query-results` and Logs Insights give"
    )]
    documents: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let mut documents = vec![];
    for path in &args.documents {
        documents.extend(read(path)?);
    }
    documents.sort_by_key(|document| when(document).to_owned());
    print_document(&markdown(&documents))?;
    Ok(())
}

/// Reads the documents of a file.
pub(super) fn read(path: &Path) -> Result<Vec<Value>, CliError> {
    let text = files::read(path, files::MOST_JSON)?;
    let documents = documents::of(&text).map_err(|source| CliError::Json { path: files::name(path), source })?;
    if documents.is_empty() {
        return Err(CliError::Usage(format!("{}: {NO_DOCUMENT}", files::name(path).display())));
    }
    Ok(documents)
}

/// Where a person finds a document. The lines of `unthrottle local --heal` look like some.
const NO_DOCUMENT: &str = "holds no decision document. An answer of the function and a line of its log are some, and \
    `unthrottle explain STREAM --json` and `unthrottle sweep --json` print some. `unthrottle local --heal` prints only \
    sentences";

/// When a decision was made. Empty: unknown.
pub(super) fn when(document: &Value) -> &str {
    document["evidence"]["observed_at"].as_str().or(document["signal"]["time"].as_str()).unwrap_or_default()
}

fn name(document: &Value) -> &str {
    document["stream"]["name"].as_str().unwrap_or(NO_STREAM)
}

/// The name in place of a stream if a document names none, such as that of a denied call.
const NO_STREAM: &str = "no stream";

/// The incident entry.
pub(crate) fn markdown(documents: &[Value]) -> String {
    let mut names: Vec<&str> = documents.iter().map(name).collect();
    names.sort_unstable();
    names.dedup();
    let acted: Vec<&Value> = documents.iter().filter(|document| document["outcome"] == "acted").collect();
    names.retain(|name| *name != NO_STREAM);
    let title =
        if names.is_empty() { "Calls of Kinesis".into() } else { format!("Throttling of {}", names.join(", ")) };
    let mut text = format!("# {title}\n\n## Timeline (UTC)\n\n");
    for document in documents {
        let (outcome, code) = (text_of(document, "outcome"), text_of(document, "code"));
        line(&mut text, &format!("- {} `{code}` ({outcome}): {}", when(document), text_of(document, "sentence")));
    }
    evidence(&mut text, documents);
    changes(&mut text, &acted);
    line(&mut text, "\n## What to check for the next 48 hours\n");
    if names.is_empty() {
        line(&mut text, "- that the callers named above are no longer refused");
    }
    for name in &names {
        line(&mut text, &format!("- `unthrottle explain {name}`: no throttling, and no pending change"));
        line(
            &mut text,
            &format!("- consumers of {name}: iterator age falls back (a reshard leaves a backlog on closed shards)"),
        );
        line(&mut text, &format!("- `unthrottle history {name}`: no further changes; the AutoFix alarm is quiet"));
    }
    if !acted.is_empty() {
        line(&mut text, "- the cost: the table above, as long as the change stays");
        line(&mut text, "\n## How to undo\n");
        for document in acted.iter().rev() {
            let undo = document["undo"].as_str().unwrap_or("unthrottle history shows the change");
            line(&mut text, &format!("- `{}` of {}: `{undo}`", text_of(document, "code"), self::name(document)));
        }
        line(
            &mut text,
            "\nWithout `--yes`, `unthrottle restore` asks before it changes something. The tag `unthrottle.mode=off` \
             then stops",
        );
        line(&mut text, "further changes of a stream.");
    }
    text
}

/// Adds the numbers of the last document of each stream.
fn evidence(text: &mut String, documents: &[Value]) {
    if documents.iter().all(|document| name(document) == NO_STREAM) {
        return;
    }
    line(text, "\n## Evidence\n\n| stream | what | value |\n|---|---|---|");
    for (place, document) in documents.iter().enumerate() {
        let is_last = !documents[place + 1..].iter().any(|later| name(later) == name(document));
        let numbers = document["evidence"].as_object().filter(|_| is_last);
        for (what, value) in numbers.into_iter().flatten() {
            line(text, &format!("| {} | {} | {} |", name(document), what.replace('_', " "), cell(value)));
        }
    }
}

fn changes(text: &mut String, acted: &[&Value]) {
    line(text, "\n## What was changed\n");
    if acted.is_empty() {
        line(text, "Nothing.");
        return;
    }
    line(text, "| when | stream | change | remedy | USD an hour before | after |\n|---|---|---|---|---|---|");
    for document in acted {
        let cost =
            |which: &str| document["cost"][which].as_f64().map_or_else(|| "?".to_owned(), |usd| format!("{usd:.4}"));
        line(
            text,
            &format!(
                "| {} | {} | `{}` | {} | {} | {} |",
                when(document),
                name(document),
                text_of(document, "code"),
                cell(&document["remedy"]),
                cost("before_usd_per_hour"),
                cost("after_usd_per_hour")
            ),
        );
    }
}

fn text_of<'a>(document: &'a Value, field: &str) -> &'a str {
    document[field].as_str().unwrap_or_default()
}

/// A value as a table cell. A bar in it would end the cell.
fn cell(value: &Value) -> String {
    in_words(value).replace('|', "\\|")
}

fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{line}"); // writing to a String cannot fail
}
