//! `unthrottle schema`: the JSON Schema of the documents, from their types.

mod compatible;

use crate::{CliError, backtest, config, doctor, files, history, keys, plan, report, smoke, watch};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use unthrottle_core::report::{Document, SweepDocument};
use unthrottle_writer::Summary;

pub(super) const ABOUT: &str = "\
Print the JSON Schema (2020-12) of a document.

  decision  the answer of the function, `explain --json`, and the field
            `decision` of its log lines
  sweep     the answer of a scheduled sweep, and `sweep --json`
  doctor    `doctor --json`
  history   `history --json`
  report    `report --json`
  put       each line of `put --json`, and those of `smoke --json` before the
            last one
  smoke     the last line of `smoke --json`
  keys      `keys --json`
  plan      `plan --json`; `plan --list --json` prints a list of them
  backtest  `backtest --json`
  config    `config show --json`
  watch     `watch --once --json`

A version of a document only gets more fields and more words. A program that
reads it must pass over fields that it does not know.

  unthrottle schema decision > decision.schema.json";

#[derive(clap::Args)]
#[command(next_line_help = true)]
pub(super) struct Args {
    /// The document
    document: Name,
    #[arg(
        long,
        value_name = "FILE",
        help = "Compare with an older schema in this file. Exit code 3: a program that \
                reads the older documents may not read the newer ones"
    )]
    compatible_with: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Name {
    Decision,
    Sweep,
    Doctor,
    History,
    Report,
    Put,
    Smoke,
    Keys,
    Plan,
    Backtest,
    Config,
    Watch,
}

pub(super) fn run(args: &Args) -> Result<(), CliError> {
    let schema = match args.document {
        Name::Decision => of::<Document>(),
        Name::Sweep => of::<SweepDocument>(),
        Name::Doctor => of::<doctor::Report>(),
        Name::History => of::<history::History>(),
        Name::Report => of::<report::Report>(),
        Name::Put => of::<Summary<'_>>(),
        Name::Smoke => of::<smoke::Smoked<'_>>(),
        Name::Keys => of::<keys::Report>(),
        Name::Plan => of::<plan::Plan>(),
        Name::Backtest => of::<backtest::Document>(),
        Name::Config => of::<config::Settings>(),
        Name::Watch => of::<watch::Watched<'_>>(),
    };
    if let Some(path) = &args.compatible_with {
        let text = files::read(path, files::MOST_JSON)?;
        let old: Value =
            serde_json::from_str(&text).map_err(|source| CliError::Json { path: files::name(path), source })?;
        if !old["properties"].is_object() {
            let problem = "is no JSON Schema of a document: it has no `properties`";
            return Err(CliError::Usage(format!("{}: {problem}", files::name(path).display())));
        }
        let lost = compatible::lost(&old, schema.as_value());
        if !lost.is_empty() {
            return Err(CliError::Found(format!("not compatible with {}: {}", path.display(), lost.join("; "))));
        }
    }
    let mut text = serde_json::to_string_pretty(&schema).map_err(std::io::Error::from)?;
    text.push('\n');
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// The schema of what is written: a field that may be left out is not required.
fn of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}
