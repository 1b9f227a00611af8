//! `unthrottle put`: writes lines to a stream, and accounts for every record.

mod args;
mod observer;
mod stream;

pub(super) use args::Args;
pub(super) use observer::{Screen, summary};
pub(super) use stream::{Stream, find};

use crate::CliError;
use crate::screen::{EVERY, print_json, print_note};
use crate::stop::stop_signal;
use args::Plan;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use unthrottle_writer::{
    DeadLetters, DeadLettersError, End, Fatal, FeedSender, Input, InputError, KeyRule, Limits, Source, feed,
};

/// The name of standard input in messages.
const STDIN: &str = "stdin";

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let mut plan = args.plan()?;
    plan.warnings.iter().for_each(|warning| print_note(&format!("warning: {warning}")));
    let sources = sources(&plan)?;
    let stream = find(&plan.stream, &plan.aws, plan.credentials.as_ref()).await?;
    let letters = plan.dead_letter.as_deref().map(DeadLetters::open).transpose()?;
    if let KeyRule::FieldOrLiteral(name) = &plan.rule {
        print_note(&format!(
            "partition key: the value of the field `{name}` of a JSON record; the text `{name}` itself where a record \
             has no such field"
        ));
    }
    plan.options.seed = seed();
    if !plan.is_json {
        plan.options.tick = EVERY;
    }
    let limits = Limits { record_bytes: stream.record_bytes, batch_bytes: plan.options.batch.max_bytes };
    let mut screen = Screen::new(plan.is_json, letters);
    let (sender, feed) = feed();
    let input = Arc::new(Mutex::new(Input::default()));
    let reader = start_reader(sources, &plan, sender, input.clone());
    let options = (plan.options.clone(), limits);
    let end = unthrottle_writer::run(stream.client, stream.target, options, feed, stop_signal(), &mut screen).await;
    // A reader that waits for standard input stays behind: the end of the process ends it.
    let read = if end.is_stopped { Ok(()) } else { reader.await.unwrap_or(Ok(())) };
    let letters = screen.end().map(DeadLetters::close).transpose();
    report(&plan, &end, &lock(&input))?;
    conclude(&plan, &end, read, letters, &lock(&input))
}

/// A new seed for each run: two writers must not draw the same keys.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one("unthrottle")
}

/// Opens every source once, so that a missing one is found before the first record is written.
fn sources(plan: &Plan) -> Result<Vec<std::path::PathBuf>, CliError> {
    let mut stdin = 0;
    for path in &plan.files {
        if path == Path::new("-") {
            stdin += 1;
            continue;
        }
        let error = |source| CliError::File { path: path.clone(), source };
        let metadata = File::open(path).and_then(|file| file.metadata()).map_err(error)?;
        if metadata.is_dir() {
            return Err(CliError::Usage(format!("{}: is a folder; name its files", path.display())));
        }
        if let Some(letters) = &plan.dead_letter
            && path.canonicalize().is_ok_and(|path| letters.canonicalize().is_ok_and(|letters| letters == path))
        {
            let path = path.display();
            return Err(CliError::Usage(format!("{path}: is read and is also --dead-letter: name another file there")));
        }
    }
    if stdin > 1 {
        return Err(CliError::Usage("standard input (-) can be read only once".into()));
    }
    Ok(plan.files.clone())
}

/// Reads the sources in a thread of its own: standard input may wait without end.
fn start_reader(
    paths: Vec<std::path::PathBuf>,
    plan: &Plan,
    sender: FeedSender,
    input: Arc<Mutex<Input>>,
) -> oneshot::Receiver<Result<(), InputError>> {
    let (done, result) = oneshot::channel();
    let (form, rule) = (plan.form, plan.rule.clone());
    std::thread::spawn(move || {
        let read = paths.into_iter().try_for_each(|path| {
            let is_stdin = path == Path::new("-");
            let name: Arc<str> = if is_stdin { STDIN.into() } else { path.display().to_string().into() };
            let reader: Box<dyn Read + Send> = if is_stdin {
                Box::new(std::io::stdin())
            } else {
                let origin = unthrottle_writer::Origin { source: name.clone(), line: 1 };
                Box::new(File::open(&path).map_err(|source| InputError::Io { origin, source })?)
            };
            unthrottle_writer::read(Source { name, reader }, form, &rule, &sender, &input)
        });
        // The command has ended if nothing waits for the result.
        let _ = done.send(read);
    });
    result
}

fn lock(input: &Mutex<Input>) -> MutexGuard<'_, Input> {
    input.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints the summary.
fn report(plan: &Plan, end: &End, input: &Input) -> Result<(), CliError> {
    if plan.is_json {
        print_json(&end.stats.summary(end.elapsed, true))?;
    } else {
        write!(std::io::stdout(), "  {}", summary(end))?;
    }
    if let KeyRule::FieldOrLiteral(name) = &plan.rule
        && input.keys_of_field > 0
        && input.keys_of_literal > 0
    {
        print_note(&format!(
            "{} records have no field `{name}`, so their key is `{name}`: they are all on one shard",
            input.keys_of_literal
        ));
    }
    if end.is_stopped {
        let last = input.last.as_ref().map_or_else(|| "no line".into(), ToString::to_string);
        print_note(&format!("stopped. The input was read up to {last}"));
    }
    Ok(())
}

/// The result of the command. A loss is an error.
fn conclude(
    plan: &Plan,
    end: &End,
    read: Result<(), InputError>,
    letters: Result<Option<u64>, DeadLettersError>,
    input: &Input,
) -> Result<(), CliError> {
    let lost = end.stats.lost;
    if let Some(fatal) = &end.fatal {
        let last = input.last.as_ref().map_or_else(|| "no line".into(), ToString::to_string);
        let rest = format!("The input was read up to {last}; {} lost", records_are(lost));
        return Err(CliError::Partly(match fatal {
            Fatal::Aws(cause) => format!("AWS refused the records: {cause}. {rest}{}", kept(plan, &letters)),
            Fatal::Unkept(problem) => format!("{problem}. {rest}; {} of them are not in that file", end.unkept),
        }));
    }
    let kept = kept(plan, &letters);
    letters?;
    read?;
    if lost > 0 {
        return Err(CliError::Partly(format!("{} lost{kept}", records_are(lost))));
    }
    Ok(())
}

fn records_are(count: u64) -> String {
    if count == 1 { "1 record is".into() } else { format!("{count} records are") }
}

/// Where the lost records are.
fn kept(plan: &Plan, letters: &Result<Option<u64>, DeadLettersError>) -> String {
    match (&plan.dead_letter, letters) {
        (Some(path), Ok(Some(letters))) => {
            let path = path.display();
            format!("; {path} has {letters} of them. To send these again: unthrottle put {} {path}", plan.stream)
        }
        _ => ", and --dead-letter was not given".into(),
    }
}
