//! The concurrency, the errors and the invocations of Lambda functions.

use super::finding::Answer;
use super::fix::Fix;
use super::lambda::{Problem, judge, logs, unqualified, update};
use super::load::known;
use super::readings::{LambdaReader, Readings};
use crate::cost::{Prices, monthly};
use crate::words::{many, mean_of, percent, usd};

/// The share of failed invocations that is worth a look. AWS gives no number.
const MANY_ERRORS: f64 = 0.01;

/// The share of the timeout at which the slowest twentieth of the invocations soon fails. AWS gives no number.
const NEARLY_TIMED_OUT: f64 = 0.8;

/// The longest timeout of a function, in seconds (gettingstarted-limits.html).
const LONGEST_TIMEOUT: f64 = 900.0;

/// Records of an invocation below which a batching window is worth it: a batch may have 100 by default. AWS gives no
/// number.
const SMALL_BATCH: f64 = 10.0;

/// The window that the doctor proposes, in seconds. It delays a record by as much at most, and makes at most 0.2
/// invocations a second and shard.
const WINDOW_SECONDS: f64 = 5.0;

/// A million invocations, in USD (the price list of Lambda, us-east-1). Time of the function is not part of it.
const INVOCATIONS_MILLION: f64 = 0.20;

/// The days of the metrics. A month has a little more than twice as many.
const DAYS_SECONDS: f64 = 14.0 * 86_400.0;

/// What is worth a change of a mapping, in USD a month. AWS gives no number.
const WORTH_IT: f64 = 1.0;

/// What gives a function more executions at the same time: `wanted` of its own, if it has a reservation.
fn more_executions(lambda: &LambdaReader, wanted: u32) -> Fix {
    match &lambda.reserved_concurrency {
        Ok(Some(_)) => Fix::run(format!(
            "aws lambda put-function-concurrency --function-name {} --reserved-concurrent-executions {wanted}",
            unqualified(&lambda.function)
        )),
        _ => Fix::note("ask AWS for more: Service Quotas, AWS Lambda, Concurrent executions"),
    }
}

/// The batches of a mapping that all shards give out at the same time.
fn batches(readings: &Readings, lambda: &LambdaReader) -> u32 {
    readings.stream.open_shards.saturating_mul(lambda.factor)
}

/// What ends throttles of a function: twice of what is reserved, or of what its shards need.
pub(super) fn end_throttles(readings: &Readings, lambda: &LambdaReader) -> Fix {
    let reserved = lambda.reserved_concurrency.as_ref().ok().copied().flatten().unwrap_or_default();
    more_executions(lambda, batches(readings, lambda).max(reserved).saturating_mul(2))
}

/// The executions that a mapping needs at the same time. 0: it reads nothing.
fn executions(readings: &Readings, lambda: &LambdaReader) -> u32 {
    if lambda.reads() { batches(readings, lambda) } else { 0 }
}

/// The executions at the same time that the mappings of the stream need for which this holds.
fn all_executions(readings: &Readings, is_wanted: impl Fn(&LambdaReader) -> bool) -> u32 {
    let wanted = readings.lambdas.iter().flatten().filter(|lambda| is_wanted(lambda));
    wanted.fold(0, |sum: u32, lambda| sum.saturating_add(executions(readings, lambda)))
}

/// The executions that the functions of the stream without a reservation need at the same time. They share what the
/// account has.
pub fn unreserved_executions(readings: &Readings) -> u32 {
    all_executions(readings, |lambda| matches!(lambda.reserved_concurrency, Ok(None)))
}

pub(super) fn concurrency(readings: &Readings, _: &Prices) -> Answer {
    judge(readings, "Each function may run for all shards at the same time.", |lambda| {
        let name = unqualified(&lambda.function);
        if executions(readings, lambda) == 0 {
            return Ok(None);
        }
        // A reservation is of the function. It counts for each of its mappings.
        let own = all_executions(readings, |other| unqualified(&other.function) == name);
        let (needed, more, have, whose) = match known(&lambda.reserved_concurrency)? {
            Some(reserved) => (own, own, *reserved, "its reserved concurrency"),
            None => {
                let of_stream = unreserved_executions(readings);
                let needed = of_stream.saturating_add(readings.unreserved_elsewhere);
                (needed, of_stream, *known(&readings.unreserved_concurrency)?, "the account's unreserved concurrency")
            }
        };
        let needs = format!("{} needs {} at the same time (shards × factor)", lambda.function, many(own, "execution"));
        let sentence = match needed > own {
            true => format!(
                "{needs}. All functions without a reservation that the doctor knows need {needed}, and {whose} is \
                 {have}."
            ),
            false => format!("{needs}, and {whose} is {have}."),
        };
        let twice = needed.saturating_add(more);
        let fix = more_executions(lambda, twice);
        Ok(if needed > have {
            Some(Problem::fail(format!("{sentence} Some shards wait."), fix))
        } else if twice > have {
            Some(Problem::warn(format!("{sentence} After the next doubling, shards wait."), fix))
        } else {
            None
        })
    })
}

/// What gives a function more time than this timeout, in seconds. An alias keeps the settings of its version.
fn longer(function: &str, timeout: f64) -> Fix {
    if timeout >= LONGEST_TIMEOUT {
        let note = format!(
            "no timeout is longer than {LONGEST_TIMEOUT:.0} s: give {function} more memory, or smaller batches"
        );
        return Fix::note(note);
    }
    let (name, longer) = (unqualified(function), (timeout * 2.0).min(LONGEST_TIMEOUT));
    let fix =
        Fix::run(format!("aws lambda update-function-configuration --function-name {name} --timeout {longer:.0}"));
    match function.split_once(':') {
        None | Some((_, "$LATEST")) => fix,
        Some((_, version)) if version.bytes().all(|b| b.is_ascii_digit()) => fix
            .and_note(format!("the mapping reads version {version}, which keeps its timeout; publish the next one:"))
            .and_run(format!("aws lambda publish-version --function-name {name}"))
            .and_note("a mapping of that version takes over where this one stops"),
        Some((_, alias)) => fix
            .and_note(format!("{alias} keeps the timeout of its version; publish the next one, and move the alias:"))
            .and_run(format!("aws lambda publish-version --function-name {name}"))
            .and_run(format!(
                "aws lambda update-alias --function-name {name} --name {alias} --function-version VERSION"
            )),
    }
}

pub(super) fn errors(readings: &Readings, _: &Prices) -> Answer {
    judge(readings, "The functions have few errors, no throttles, and time to spare.", |lambda| {
        let metrics = known(&lambda.metrics)?;
        let timeout_ms = f64::from(*known(&lambda.timeout_seconds)?) * 1_000.0;
        let share = if metrics.invocations > 0.0 { metrics.errors / metrics.invocations } else { 0.0 };
        let name = &lambda.function;
        let (mut seen, mut fixes) = (vec![], vec![]);
        if share > MANY_ERRORS {
            fixes.push(logs(lambda));
            seen.push(format!("{} of its invocations fail", percent(share)));
        }
        if metrics.throttles > 0.0 {
            seen.push(format!("AWS throttled {}", many(metrics.throttles.round() as u64, "more attempt")));
            fixes.push(end_throttles(readings, lambda));
        }
        if metrics.longest_p95_ms > NEARLY_TIMED_OUT * timeout_ms {
            let (p95, timeout) = (metrics.longest_p95_ms / 1_000.0, timeout_ms / 1_000.0);
            seen.push(format!("its p95 reaches {p95:.1} s of a timeout of {timeout:.0} s"));
            fixes.push(longer(name, timeout));
        }
        Ok(fixes.into_iter().reduce(Fix::and).map(|fix| {
            let sentence = format!("{name}, 14 days: {}.", seen.join("; "));
            Problem::warn(sentence, fix)
        }))
    })
}

pub(super) fn window(readings: &Readings, _: &Prices) -> Answer {
    let records = known(&readings.hours)?.total(|p| p.incoming_records);
    judge(readings, "No function wastes invocations.", |lambda| {
        let metrics = known(&lambda.metrics)?;
        // Other callers of the function are no batches. A retry of a batch is one more of both.
        let invocations = metrics.invocations.min(metrics.batches);
        if invocations == 0.0 || lambda.window_seconds > 0 || lambda.has_other_streams {
            return Ok(None);
        }
        let mean = records / invocations;
        let with_window = f64::from(batches(readings, lambda)) / WINDOW_SECONDS;
        let saved = (invocations / DAYS_SECONDS - with_window).max(0.0);
        let saves = monthly(saved * 3_600.0 / 1e6 * INVOCATIONS_MILLION);
        Ok((mean < SMALL_BATCH && saves >= WORTH_IT).then(|| {
            let sentence = format!(
                "{} gets {} an invocation. A window of {WINDOW_SECONDS:.0} s saves {} of invocations a \
                 month, and the time of the function.",
                lambda.function,
                mean_of(mean, "record"),
                usd(saves)
            );
            let fix = update(lambda, &format!("--maximum-batching-window-in-seconds {WINDOW_SECONDS:.0}"));
            Problem::warn(sentence, fix).saving(saves)
        }))
    })
}
