//! `unthrottle put`: writes lines to a stream, and accounts for every record.

mod args;
mod conclude;
mod observer;
mod source;
mod stop;
mod stream;

pub(super) use args::Args;
pub(super) use conclude::unwritten;
pub(super) use observer::{Screen, stopping, summary};
pub(super) use stop::{at_each_key, at_each_signal};
pub(super) use stream::{OfFile, Stream, find};

use crate::CliError;
use crate::screen::{EVERY, print_note};
use args::Plan;
use conclude::{Outcome, Read as ReadInput};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use unthrottle_writer::{DeadLetters, FeedSender, Input, InputError, KeyRule, Limits, feed, stops};

/// The name of standard input in messages.
const STDIN: &str = "stdin";

/// The wait for a reader after a stop. It needs microseconds, and a person does not notice this time.
const LEFT_WITHIN: Duration = Duration::from_millis(50);

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let mut plan = args.plan()?;
    plan.warnings.iter().for_each(|warning| print_note(&format!("warning: {warning}")));
    source::check(&plan)?;
    let stream = find(&plan.stream, &plan.aws, plan.credentials.as_ref(), &plan.of_file).await?;
    if stream.summary.is_none() {
        print_note(
            "this caller may not call kinesis:DescribeStreamSummary, so the limit of a record is taken as 1 MiB",
        );
    }
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
    let mut reader = start_reader(plan.files.clone(), &plan, sender, input.clone());
    let options = (plan.options.clone(), limits);
    let end = unthrottle_writer::run(stream.client, stream.target, options, feed, stops, &mut screen).await;
    signals.abort();
    if end.is_stopped {
        // A reader that waits for standard input or for a pipe stays behind: the end of the process ends it. Any other
        // says at once what it left.
        let _ = timeout(LEFT_WITHIN, &mut reader).await;
    }
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
        let read = paths.iter().try_for_each(|path| match sender.is_closed() {
            true => Ok(()),
            false => unthrottle_writer::read(source::open(path, &sender)?, form, &rule, &sender, &input),
        });
        // The command has ended if nothing waits for the result.
        let _ = done.send(read);
    });
    result
}
