//! `unthrottle put`: writes lines to a stream, and accounts for every record.

mod args;
mod conclude;
mod observer;
mod stop;
mod stream;

pub(super) use args::Args;
pub(super) use conclude::unwritten;
pub(super) use observer::{Screen, stopping, summary};
pub(super) use stop::{at_each_key, at_each_signal};
pub(super) use stream::{Stream, find};

use crate::CliError;
use crate::screen::{EVERY, print_note};
use args::Plan;
use conclude::{Outcome, Read as ReadInput};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use unthrottle_writer::{
    DeadLetters, FeedSender, Input, InputError, KeyRule, Limits, Source, are_dead_letters, feed, stops,
};

/// The name of standard input in messages.
const STDIN: &str = "stdin";

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let mut plan = args.plan()?;
    plan.warnings.iter().for_each(|warning| print_note(&format!("warning: {warning}")));
    check_sources(&plan)?;
    let stream = find(&plan.stream, &plan.aws, plan.credentials.as_ref()).await?;
    let letters = plan.dead_letter.as_deref().map(DeadLetters::open).transpose()?;
    print_note(&match &plan.rule {
        KeyRule::FieldOrLiteral(name) => format!(
            "partition key: the value of the field `{name}` of a JSON record; the text `{name}` itself where a record \
             has no such field"
        ),
        KeyRule::Random => "partition key: a random UUID for each record; dead letters keep their keys".into(),
    });
    plan.options.seed = seed();
    if !plan.is_json {
        plan.options.tick = EVERY;
    }
    let limits = Limits { record_bytes: stream.record_bytes, batch_bytes: plan.options.batch.max_bytes };
    let mut screen = Screen::new(plan.is_json, letters).with_refusals();
    let (sender, feed) = feed();
    let (stopper, stops) = stops();
    let signals = tokio::spawn(at_each_signal(move || stopper.stop()));
    let input = Arc::new(Mutex::new(Input::default()));
    let reader = start_reader(plan.files.clone(), &plan, sender, input.clone());
    let options = (plan.options.clone(), limits);
    let end = unthrottle_writer::run(stream.client, stream.target, options, feed, stops, &mut screen).await;
    signals.abort();
    // A reader that waits for standard input or for a pipe stays behind: the end of the process ends it.
    let read = match end.is_stopped || end.fatal.is_some() {
        true => ReadInput::Partly,
        false => reader.await.map_or(ReadInput::Broken, ReadInput::Wholly),
    };
    let incomplete = screen.incomplete();
    let letters = screen.end(&end.stats).map(DeadLetters::close).transpose();
    let input = input.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Outcome { plan: &plan, end: &end, input: &input, incomplete, letters }.conclude(read)
}

/// A new seed for each run: two writers must not draw the same keys.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one("unthrottle")
}

/// Finds a source that cannot be read before the first record is written. Only files are opened for that: the reader
/// of a pipe takes its data, and a pipe that is opened twice has lost it.
fn check_sources(plan: &Plan) -> Result<(), CliError> {
    let (mut stdin, mut without_keys) = (0, false);
    for (place, path) in plan.files.iter().enumerate() {
        if path == Path::new("-") {
            (stdin, without_keys) = (stdin + 1, true);
            continue;
        }
        let error = |source: std::io::Error| match source.kind() {
            ErrorKind::NotFound if plan.config.is_some() && place == 0 => CliError::Usage(format!(
                "{0}: there is no such file. With --config, the words are files; to name the stream, give --stream {0}",
                path.display()
            )),
            _ => CliError::File { path: path.clone(), source },
        };
        let metadata = path.metadata().map_err(error)?;
        if metadata.is_dir() {
            return Err(CliError::Usage(format!("{}: is a folder; name its files", path.display())));
        }
        without_keys |= !metadata.is_file() || !are_dead_letters(File::open(path).map_err(error)?);
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
    if plan.options.is_ordered && plan.rule == KeyRule::Random && without_keys {
        return Err(CliError::Usage(
            "--ordered needs --partition-key: records with random keys have no order. Only files of dead letters have \
             keys of their own"
                .into(),
        ));
    }
    Ok(())
}

/// Reads the sources in a thread of its own: standard input may wait without end.
fn start_reader(
    paths: Vec<PathBuf>,
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
                // A pipe opens when another process writes to it.
                let opened = sender.while_waiting(|| File::open(&path));
                Box::new(opened.map_err(|source| InputError::Io { origin, source })?)
            };
            unthrottle_writer::read(Source { name, reader }, form, &rule, &sender, &input)
        });
        // The command has ended if nothing waits for the result.
        let _ = done.send(read);
    });
    result
}
