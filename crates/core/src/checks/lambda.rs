//! Consumers that are Lambda functions: their event source mappings.

use super::finding::{Answer, NAMED, Status, Verdict};
use super::fix::Fix;
use super::lambda_load::end_throttles;
use super::load::known;
use super::readings::{LambdaReader, Readings, Unread};
use crate::cost::Prices;
use crate::words::{many, time};

/// The most batches of one shard at the same time (ParallelizationFactor).
const MOST_PARALLEL: u32 = 10;

/// An iterator age below this is no delay: a batching window may be five minutes long. AWS gives no number.
const NO_DELAY_MS: f64 = 300_000.0;

/// An age that grew by this much over the last hours still grows. AWS gives no number.
const GREW: f64 = 1.5;

/// The option that sends batches that a mapping gives up to a bucket. A person puts in its ARN.
const TO_BUCKET: &str = "--destination-config 'OnFailure={Destination=BUCKET_ARN}'";

/// What is wrong with one function.
pub(super) struct Problem {
    status: Status,
    sentence: String,
    fix: Fix,
    /// What a mended function saves, in USD a month.
    saves: f64,
}

impl Problem {
    pub fn warn(sentence: String, fix: Fix) -> Problem {
        Problem { status: Status::Warn, sentence, fix, saves: 0.0 }
    }

    pub fn fail(sentence: String, fix: Fix) -> Problem {
        Problem { status: Status::Fail, ..Problem::warn(sentence, fix) }
    }

    /// `usd_per_month`: what a mended function saves.
    pub fn saving(self, usd_per_month: f64) -> Problem {
        Problem { saves: usd_per_month, ..self }
    }
}

/// The worst problem of all functions, with the number of the others. A function that could not be read makes the check
/// unknown only if no other one has a problem.
pub(super) fn judge(
    readings: &Readings,
    fine: &str,
    problem: impl Fn(&LambdaReader) -> Result<Option<Problem>, Unread>,
) -> Answer {
    let lambdas: Vec<&LambdaReader> = known(&readings.lambdas)?.iter().filter(|lambda| lambda.stays()).collect();
    if lambdas.is_empty() {
        return Ok(Verdict::ok("No Lambda function reads the stream."));
    }
    let (mut problems, mut unread) = (vec![], None);
    for lambda in &lambdas {
        match problem(lambda) {
            Ok(found) => problems.extend(found.map(|found| (lambda, found))),
            Err(error) => unread = Some(error),
        }
    }
    problems.sort_by_key(|(_, problem)| std::cmp::Reverse(problem.status));
    let functions: Vec<&str> = problems.iter().map(|(lambda, _)| lambda.function.as_str()).collect();
    let saves: f64 = problems.iter().map(|(_, problem)| problem.saves).sum();
    let Some((_, worst)) = problems.first() else {
        return unread.map_or_else(|| Ok(Verdict::ok(fine).with("functions", lambdas.len())), Err);
    };
    let (status, sentence) = (worst.status, format!("{}{}", worst.sentence, also(&functions)));
    // A command names a mapping by its id alone.
    let is_named = problems.len() > 1;
    let mut fixes = problems.iter_mut().map(|(lambda, problem)| {
        let fix = std::mem::take(&mut problem.fix);
        if is_named { Fix::note(format!("{}:", lambda.function)).and(fix) } else { fix }
    });
    let fix = fixes.by_ref().take(NAMED).reduce(Fix::and).unwrap_or_default();
    let fix = match fixes.count() {
        0 => fix,
        _ => fix.and_note(format!("the same for {}", functions[NAMED..].join(", "))),
    };
    let verdict = match status {
        Status::Fail => Verdict::fail(sentence, fix),
        _ => Verdict::warn(sentence, fix),
    };
    let verdict = verdict.with("functions", functions);
    Ok(if saves > 0.0 { verdict.costs(saves) } else { verdict })
}

/// The functions after the first one that have a problem, too. It may be another one than that of the first.
fn also(functions: &[&str]) -> String {
    match &functions[1..] {
        [] => String::new(),
        [one] => format!(" {one} needs a fix, too."),
        others if others.len() < NAMED => format!(" {} need a fix, too.", others.join(" and ")),
        others => {
            let (named, more) = (others[..NAMED - 1].join(", "), others.len() + 1 - NAMED);
            format!(" {named} and {more} more need a fix, too.")
        }
    }
}

/// The name of a function without its alias or version. Its log group and its reserved concurrency have it.
pub fn unqualified(function: &str) -> &str {
    function.split(':').next().unwrap_or(function)
}

/// The command that shows the log of a function.
pub(super) fn logs(lambda: &LambdaReader) -> Fix {
    Fix::run(format!("aws logs tail /aws/lambda/{} --since 1h", unqualified(&lambda.function)))
}

/// The command that changes a mapping.
pub(super) fn update(lambda: &LambdaReader, options: &str) -> Fix {
    Fix::run(format!("aws lambda update-event-source-mapping --uuid {} {options}", lambda.uuid))
}

/// The states of a mapping that is about to read (API reference of GetEventSourceMapping).
const PASSING: [&str; 3] = ["Creating", "Enabling", "Updating"];

pub(super) fn state(readings: &Readings, _: &Prices) -> Answer {
    judge(readings, "Each mapping is enabled, and its last result is no problem.", |lambda| {
        let name = &lambda.function;
        if PASSING.contains(&lambda.state.as_str()) {
            let why = format!("the mapping of {name} is {}, which passes within a minute", lambda.state);
            return Err(Unread { action: "lambda:ListEventSourceMappings", why, is_denied: false });
        }
        if lambda.state != "Enabled" {
            let sentence = format!("The mapping of {name} is {}, so {name} reads nothing.", lambda.state);
            let enable = update(lambda, "--enabled");
            // AWS refuses a change of a mapping that is changing.
            let fix = match lambda.state.as_str() {
                "Disabling" => Fix::note("once its state is Disabled:").and(enable),
                _ => enable,
            };
            return Ok(Some(Problem::fail(sentence, fix)));
        }
        let problem = lambda.last_result.as_ref().filter(|result| result.to_uppercase().starts_with("PROBLEM"));
        Ok(problem.map(|result| {
            let sentence = format!("The last batch of {name} failed: {result}.");
            Problem::fail(sentence, logs(lambda))
        }))
    })
}

/// Whether a destination gets only where the records of a batch are: a queue or a topic
/// (kinesis-on-failure-destination.html). A bucket gets the whole invocation.
fn gets_positions(destination: &str) -> bool {
    ["sqs", "sns"].contains(&destination.split(':').nth(2).unwrap_or_default())
}

/// What a queue or a topic gets, and until when the data of the records can be read.
fn positions(gets: &str, readings: &Readings) -> String {
    let kept = time(f64::from(readings.stream.retention_hours) * 3_600_000.0);
    format!(
        "{gets} only the positions of the records, and the stream deletes their data {kept} after they were written"
    )
}

/// Why a bucket is the destination.
fn to_bucket(readings: &Readings) -> Fix {
    Fix::note("a bucket gets the whole records").and_note(positions("a queue or a topic gets", readings))
}

pub(super) fn poison(readings: &Readings, _: &Prices) -> Answer {
    judge(readings, "Each mapping gives up a bad batch in time.", |lambda| {
        let is_endless = lambda.max_retries == -1 && lambda.max_age_seconds == -1;
        Ok(is_endless.then(|| {
            let kept = time(f64::from(readings.stream.retention_hours) * 3_600_000.0);
            let sentence = format!(
                "{} tries a failed batch again without end. One bad record stops its shard for {kept}.",
                lambda.function
            );
            // No age: with a backlog, AWS would discard all records that are older.
            let mut options = vec!["--maximum-retry-attempts 5"];
            if !lambda.bisects && !lambda.reports_failures {
                options.push("--bisect-batch-on-function-error");
            }
            let fix = match &lambda.destination {
                Some(arn) if gets_positions(arn) => {
                    Fix::note(positions("the destination of the mapping gets", readings))
                        .and(update(lambda, &options.join(" ")))
                }
                Some(_) => update(lambda, &options.join(" ")),
                None => {
                    options.push(TO_BUCKET);
                    Fix::note("records that the mapping gives up are lost without a destination")
                        .and(to_bucket(readings))
                        .and(update(lambda, &options.join(" ")))
                }
            };
            Problem::fail(sentence, fix)
        }))
    })
}

pub(super) fn destination(readings: &Readings, _: &Prices) -> Answer {
    judge(readings, "Each mapping has a destination for batches that it gives up.", |lambda| {
        Ok(lambda.destination.is_none().then(|| {
            let sentence =
                format!("{} has no on-failure destination, so a batch that it gives up is lost.", lambda.function);
            Problem::warn(sentence, to_bucket(readings).and(update(lambda, TO_BUCKET)))
        }))
    })
}

pub(super) fn bisect(readings: &Readings, _: &Prices) -> Answer {
    judge(readings, "Each mapping isolates a bad record.", |lambda| {
        Ok((!lambda.bisects && !lambda.reports_failures).then(|| {
            let sentence = format!(
                "{} neither splits a failed batch nor reports the failed records, so good records fail with a bad one.",
                lambda.function
            );
            Problem::warn(sentence, update(lambda, "--bisect-batch-on-function-error"))
        }))
    })
}

/// A registered consumer's function that works on several batches of a shard, where records are aggregated: Lambda
/// takes aggregates apart only for registered consumers, and the batches of a shard are by the keys of the aggregates.
fn splits_aggregates(readings: &Readings, lambda: &LambdaReader) -> Result<Option<Problem>, Unread> {
    let consumer = lambda.consumer.as_ref().filter(|_| lambda.factor > 1);
    let (Some(sample), Some(consumer)) = (&readings.sample, consumer) else { return Ok(None) };
    Ok((known(sample)?.aggregated > 0).then(|| {
        let sentence = format!(
            "{} reads aggregated records by the consumer {consumer} with the factor {}. The order of the records of a \
             key is lost.",
            lambda.function, lambda.factor
        );
        Problem::fail(sentence, update(lambda, "--parallelization-factor 1"))
    }))
}

/// What helps a function that falls behind, and why nothing simpler does.
fn catch_up(readings: &Readings, lambda: &LambdaReader, throttles: f64) -> (String, Fix) {
    let faster = || Fix::note("make the function faster, such as with more memory, or give the stream more shards");
    // Without a record, it is not known whether any is aggregated.
    let sample = readings.sample.as_ref().and_then(|sample| sample.as_ref().ok()).filter(|sample| sample.records > 0);
    let is_ordered = lambda.consumer.is_some();
    if throttles > 0.0 {
        (
            format!(" AWS throttled {} in these hours.", many(throttles.round() as u64, "more attempt")),
            end_throttles(readings, lambda),
        )
    } else if lambda.factor >= MOST_PARALLEL {
        (" AWS allows no more.".to_owned(), faster())
    } else if is_ordered && sample.is_some_and(|sample| sample.aggregated > 0) {
        (" With more, the order of aggregated records of a key is lost.".to_owned(), faster())
    } else {
        let factor = (lambda.factor * 2).min(MOST_PARALLEL);
        let raise = update(lambda, &format!("--parallelization-factor {factor}"));
        let ask = format!("unthrottle doctor {} --sample --only aggregation", readings.stream.name);
        let first = || Fix::note("only if no record is aggregated, or the order of a key is lost:").and_run(ask);
        (String::new(), if is_ordered && sample.is_none() { first().and(raise) } else { raise })
    }
}

pub(super) fn parallel(readings: &Readings, _: &Prices) -> Answer {
    judge(readings, "No Lambda function falls behind.", |lambda| match splits_aggregates(readings, lambda) {
        Ok(Some(problem)) => Ok(Some(problem)),
        none => falls_behind(readings, lambda)?.map_or(none, |problem| Ok(Some(problem))),
    })
}

/// A function whose iterator age grows from hour to hour.
fn falls_behind(readings: &Readings, lambda: &LambdaReader) -> Result<Option<Problem>, Unread> {
    let metrics = known(&lambda.metrics)?;
    let (Some(first), Some(last)) = (metrics.ages_ms.first(), metrics.ages_ms.last()) else { return Ok(None) };
    let grows = metrics.ages_ms.len() > 1 && *last > NO_DELAY_MS && *last > GREW * first;
    Ok(grows.then(|| {
        let (why, fix) = catch_up(readings, lambda, metrics.throttles_of_ages);
        let sentence = format!(
            "{} falls behind: {} in the last hour, {} before. It works on {} of a shard at a time.{why}",
            lambda.function,
            time(*last),
            time(*first),
            many(lambda.factor as usize, "batch").replace("batchs", "batches"),
        );
        Problem::warn(sentence, fix)
    }))
}
