//! The end of `unthrottle put`: the summary, and what is left undone.

use super::args::Plan;
use super::observer::summary;
use super::source::{in_words, is_file, stdin_has_bytes};
use crate::CliError;
use crate::files::is_stdin;
use crate::screen::{print_json, print_note};
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use unthrottle_core::text::quoted;
use unthrottle_core::words::{are, many};
use unthrottle_writer::{DeadLettersError, End, Fatal, Input, InputError, KeyRule};

/// How the input ended.
pub(super) enum Read {
    /// The reader came to an end, or to an error.
    Wholly(Result<(), InputError>),
    /// The writer ended before. The reader may still wait.
    Partly,
    /// The reader ended without a word.
    Broken,
}

/// What the writer and the reader did.
pub(super) struct Outcome<'a> {
    pub plan: &'a Plan,
    pub end: &'a End,
    pub input: &'a Input,
    /// Lost records that were never complete.
    pub incomplete: u64,
    /// The letters that were written; `None`: no file was named.
    pub letters: Result<Option<u64>, DeadLettersError>,
}

impl Outcome<'_> {
    /// Prints the summary. What is lost or not read is an error, whether or not the summary has a reader.
    pub fn conclude(self, read: Read) -> Result<(), CliError> {
        let printed = self.report();
        let result = self.result(read);
        if result.is_err()
            && let Err(error) = &printed
            && !is_broken_pipe(error)
        {
            print_note(&error.to_string());
        }
        result.and(printed)
    }

    fn report(&self) -> Result<(), CliError> {
        let Outcome { plan, end, input, .. } = self;
        if let KeyRule::FieldOrLiteral(name) = &plan.rule
            && input.keys_of_field > 0
            && input.keys_of_literal > 0
        {
            let records = many(input.keys_of_literal, "record");
            print_note(&format!(
                "{records} without a field `{name}`: their key is `{name}`, so they are all on one shard"
            ));
        }
        if end.is_stopped {
            print_note(&format!("stopped. The input was read up to {}", self.last()));
        }
        let printed = match plan.is_json {
            true => print_json(&end.stats.summary(end.elapsed, true)),
            false => write!(io::stdout(), "  {}", summary(end)).and_then(|()| io::stdout().flush()),
        };
        printed.map_err(unwritten)
    }

    fn result(self, read: Read) -> Result<(), CliError> {
        let lost = self.end.stats.lost;
        if let Some(fatal) = &self.end.fatal {
            let rest = format!("The input was read up to {}; {} lost", self.last(), are(lost, "record"));
            return Err(CliError::Partly(match fatal {
                Fatal::Aws(cause) => {
                    format!("AWS refused the records: {}. {rest}{}", cause.trim_end_matches('.'), self.kept())
                }
                Fatal::Unkept(problem) => {
                    format!("{problem}. {rest}; {} not in that file", are(self.end.unkept, "record"))
                }
            }));
        }
        let kept = if lost > 0 { format!("{} lost{}", are(lost, "record"), self.kept()) } else { String::new() };
        let unread = self.unread(&read);
        let (done, last) = (many(self.end.stats.accepted, "record"), self.last());
        self.letters?;
        match read {
            Read::Wholly(Err(source)) => {
                let mut rest = format!(". {done} of the input were written before");
                if !kept.is_empty() {
                    let _ = write!(rest, ", and {kept}");
                }
                if !unread.is_empty() {
                    let _ = write!(rest, ". Not read: {}", unread.join(", "));
                }
                Err(CliError::Input { source, rest })
            }
            Read::Broken => Err(CliError::Broken(format!(
                "a fault of this program ended the reading. The input was read up to {last}; {done} written. {kept}"
            ))),
            Read::Wholly(Ok(())) | Read::Partly if !unread.is_empty() => {
                let names = unread.join(", ");
                let lost = if kept.is_empty() { kept } else { format!(". {kept}") };
                Err(CliError::Partly(format!("not read to the end: {names}{lost}")))
            }
            Read::Wholly(Ok(())) | Read::Partly if lost > 0 => Err(CliError::Partly(kept)),
            Read::Wholly(Ok(())) | Read::Partly => Ok(()),
        }
    }

    /// The sources that were not read to their ends.
    fn unread(&self, read: &Read) -> Vec<String> {
        let finished = self.input.finished;
        // The first source after a fault is in the message of the fault.
        let done = finished + usize::from(matches!(read, Read::Wholly(Err(_))));
        let rest = self.plan.files.iter().enumerate().skip(done);
        let unread = rest.filter(|(place, path)| has_more(path, self.input.has_more.filter(|_| *place == finished)));
        unread.map(|(_, path)| in_words(path)).collect()
    }

    fn last(&self) -> String {
        self.input.last.as_ref().map_or_else(|| "no line".into(), ToString::to_string)
    }

    /// Where the lost records are, and how they are sent again.
    fn kept(&self) -> String {
        match (&self.plan.dead_letter, &self.letters) {
            (None, _) => ", and --dead-letter was not given".into(),
            (Some(path), Ok(Some(0))) => {
                format!(". {} has none of them: a line that is too long is not kept", path.display())
            }
            (Some(path), Ok(Some(letters))) => {
                let mut text = format!("; {} has {letters} of them. ", path.display());
                if self.incomplete > 0 {
                    let _ = write!(text, "{} without a usable key or data: see `why` there. ", self.incomplete);
                }
                text + "To send these again: " + &self.again(path)
            }
            (Some(path), _) => format!("; {} may not have all of them", path.display()),
        }
    }

    /// The command that sends the dead letters again. Their keys are in the file.
    fn again(&self, letters: &Path) -> String {
        let plan = self.plan;
        let mut command = match &plan.config {
            Some(config) => format!("unthrottle put --config {}", quoted(&config.display().to_string())),
            None => format!("unthrottle put {}", quoted(&plan.stream)),
        };
        if plan.config.is_some() && plan.is_other_stream {
            let _ = write!(command, " --stream {}", quoted(&plan.stream));
        }
        command += if plan.options.is_ordered { " --ordered" } else { "" };
        command += if plan.options.aggregates { " --aggregate" } else { "" };
        let path = letters.display().to_string();
        // A name that begins with a dash would be an option.
        let path = if path.starts_with('-') { format!("./{path}") } else { path };
        command + " " + &quoted(&path)
    }
}

/// Whether a source was not read to its end. `left`: what its reader says. A file has an end that is known. Standard
/// input may have bytes that nothing read. A pipe with a name that was not opened has nothing yet.
fn has_more(path: &Path, left: Option<bool>) -> bool {
    left.unwrap_or_else(|| is_file(path) || (is_stdin(path) && stdin_has_bytes()))
}

fn is_broken_pipe(error: &CliError) -> bool {
    matches!(error, CliError::Io(error) if error.kind() == ErrorKind::BrokenPipe)
}

/// Standard output cannot be written. A reader that has gone, as `head` does, stays an error without a name.
pub(crate) fn unwritten(source: io::Error) -> CliError {
    match source.kind() {
        ErrorKind::BrokenPipe => CliError::Io(source),
        _ => CliError::Unwritten { path: "standard output".into(), source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use unthrottle_writer::{Form, Options, Origin, Stats};

    /// The error of a run with these counts. The input ends as `read` says.
    fn error(read: Read, lost: u64) -> CliError {
        let plan = Plan {
            stream: "orders".into(),
            config: None,
            is_other_stream: false,
            files: vec!["-".into()],
            form: Form::Raw,
            rule: KeyRule::Random,
            options: Options::default(),
            aws: crate::aws::AwsArgs::default(),
            credentials: None,
            of_file: crate::put::OfFile::default(),
            dead_letter: Some("lost letters.jsonl".into()),
            is_json: false,
            warnings: vec![],
        };
        let mut stats = Stats::default();
        stats.lost = lost;
        let end = End { stats, elapsed: Duration::ZERO, fatal: None, is_stopped: false, unkept: 0 };
        let last = Some(Origin { source: "stdin".into(), line: 7 });
        let input = Input { last, ..Input::default() };
        let outcome = Outcome { plan: &plan, end: &end, input: &input, incomplete: 0, letters: Ok(Some(lost)) };
        outcome.result(read).expect_err("an error")
    }

    #[test]
    fn a_reader_that_panics_is_no_end_of_the_input() {
        let error = error(Read::Broken, 0);
        assert_eq!(error.code(), 1);
        let says = "a fault of this program ended the reading. The input was read up to stdin:7";
        assert!(error.to_string().starts_with(says), "{error}");
    }

    #[test]
    fn the_hint_is_a_command_that_a_shell_takes() {
        let hint = "To send these again: unthrottle put orders 'lost letters.jsonl'";
        let error = error(Read::Wholly(Ok(())), 2).to_string();
        assert!(error.starts_with("2 records are lost; ") && error.ends_with(hint), "{error}");
    }
}
