//! Consumers that are Lambda functions: their event source mappings, their concurrency and their errors.

use super::finding::{Answer, NAMED, Status, Verdict};
use super::fix::Fix;
use super::load::known;
use super::readings::{LambdaReader, Readings, Unread};
use crate::cost::{Prices, monthly};
use crate::words::{count, many, percent, short, time, usd};

/// The most batches of one shard at the same time (ParallelizationFactor).
const MOST_PARALLEL: u32 = 10;

/// An iterator age below this is no delay: a batching window may be five minutes long. AWS gives no number.
const NO_DELAY_MS: f64 = 300_000.0;

/// An age that grew by this much over the last hours still grows. AWS gives no number.
const GREW: f64 = 1.5;

/// The share of failed invocations that is worth a look. AWS gives no number.
const MANY_ERRORS: f64 = 0.01;

/// The share of the timeout at which the slowest twentieth of the invocations soon fails. AWS gives no number.
const NEARLY_TIMED_OUT: f64 = 0.8;

/// The longest timeout of a function, in seconds (gettingstarted-limits.html).
const LONGEST_TIMEOUT: f64 = 900.0;

/// The option that sends batches that a mapping gives up to a queue. A person puts in its ARN.
const TO_QUEUE: &str = "--destination-config 'OnFailure={Destination=QUEUE_ARN}'";

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

/// What is wrong with one function.
struct Problem {
    status: Status,
    sentence: String,
    fix: Fix,
    saves: f64,
}

impl Problem {
    fn warn(sentence: String, fix: Fix) -> Problem {
        Problem { status: Status::Warn, sentence, fix, saves: 0.0 }
    }

    fn fail(sentence: String, fix: Fix) -> Problem {
        Problem { status: Status::Fail, ..Problem::warn(sentence, fix) }
    }
}

/// The worst problem of all functions, with the number of the others. A function that could not be read makes the check
/// unknown only if no other one has a problem.
fn judge(
    readings: &Readings,
    fine: &str,
    problem: impl Fn(&LambdaReader) -> Result<Option<Problem>, Unread>,
) -> Answer {
    let lambdas = known(&readings.lambdas)?;
    if lambdas.is_empty() {
        return Ok(Verdict::ok("No Lambda function reads the stream."));
    }
    let (mut problems, mut unread) = (vec![], None);
    for lambda in lambdas {
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

/// The functions after the first one that have a problem, too.
fn also(functions: &[&str]) -> String {
    match &functions[1..] {
        [] => String::new(),
        [one] => format!(" {one} has this problem, too."),
        others if others.len() < NAMED => format!(" {} have this problem, too.", others.join(" and ")),
        others => {
            let (named, more) = (others[..NAMED - 1].join(", "), others.len() + 1 - NAMED);
            format!(" {named} and {more} more have this problem, too.")
        }
    }
}

/// The name of a function without its alias or version. Its log group and its reserved concurrency have it.
fn unqualified(function: &str) -> &str {
    function.split(':').next().unwrap_or(function)
}

/// The command that shows the log of a function.
fn logs(lambda: &LambdaReader) -> Fix {
    Fix::run(format!("aws logs tail /aws/lambda/{} --since 1h", unqualified(&lambda.function)))
}

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

/// The command that changes a mapping.
fn update(lambda: &LambdaReader, options: &str) -> Fix {
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
            return Ok(Some(Problem::fail(sentence, update(lambda, "--enabled"))));
        }
        let problem = lambda.last_result.as_ref().filter(|result| result.to_uppercase().starts_with("PROBLEM"));
        Ok(problem.map(|result| {
            let sentence = format!("The last batch of {name} failed: {result}.");
            Problem::fail(sentence, logs(lambda))
        }))
    })
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
            let fix = match lambda.has_destination {
                true => update(lambda, &options.join(" ")),
                false => {
                    options.push(TO_QUEUE);
                    Fix::note("records that the mapping gives up are lost without a destination")
                        .and(update(lambda, &options.join(" ")))
                }
            };
            Problem::fail(sentence, fix)
        }))
    })
}

pub(super) fn destination(readings: &Readings, _: &Prices) -> Answer {
    judge(readings, "Each mapping has a destination for batches that it gives up.", |lambda| {
        Ok((!lambda.has_destination).then(|| {
            let sentence =
                format!("{} has no on-failure destination, so a batch that it gives up is lost.", lambda.function);
            Problem::warn(sentence, update(lambda, TO_QUEUE))
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
fn splits_aggregates(readings: &Readings, lambda: &LambdaReader) -> Option<Problem> {
    let sample = readings.sample.as_ref()?.as_ref().ok()?;
    let consumer = lambda.consumer.as_ref()?;
    (lambda.factor > 1 && sample.aggregated > 0).then(|| {
        let sentence = format!(
            "{} reads aggregated records by the consumer {consumer} with the factor {}. The order of the records of a \
             key is lost.",
            lambda.function, lambda.factor
        );
        Problem::fail(sentence, update(lambda, "--parallelization-factor 1"))
    })
}

pub(super) fn parallel(readings: &Readings, _: &Prices) -> Answer {
    judge(readings, "No Lambda function falls behind.", |lambda| {
        if let Some(problem) = splits_aggregates(readings, lambda) {
            return Ok(Some(problem));
        }
        let metrics = known(&lambda.metrics)?;
        let (Some(first), Some(last)) = (metrics.ages_ms.first(), metrics.ages_ms.last()) else { return Ok(None) };
        let grows = metrics.ages_ms.len() > 1 && *last > NO_DELAY_MS && *last > GREW * first;
        let may_raise = lambda.factor < MOST_PARALLEL && metrics.throttles == 0.0;
        Ok((grows && may_raise).then(|| {
            let factor = (lambda.factor * 2).min(MOST_PARALLEL);
            let sentence = format!(
                "{} falls behind: {} in the last hour, {} before. It works on {} of a shard at a time.",
                lambda.function,
                time(*last),
                time(*first),
                many(lambda.factor as usize, "batch").replace("batchs", "batches"),
            );
            Problem::warn(sentence, update(lambda, &format!("--parallelization-factor {factor}")))
        }))
    })
}

pub(super) fn concurrency(readings: &Readings, _: &Prices) -> Answer {
    judge(readings, "Each function may run for all shards at the same time.", |lambda| {
        let needed = readings.stream.open_shards.saturating_mul(lambda.factor);
        let (have, whose) = match known(&lambda.reserved_concurrency)? {
            Some(reserved) => (*reserved, "its reserved concurrency"),
            None => (*known(&readings.unreserved_concurrency)?, "the account's unreserved concurrency"),
        };
        let name = &lambda.function;
        let sentence =
            format!("{name} needs {needed} executions at the same time (shards × factor), and {whose} is {have}.");
        let twice = needed.saturating_mul(2);
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
            let attempt = if metrics.throttles == 1.0 { "attempt" } else { "attempts" };
            seen.push(format!("AWS throttled {} more {attempt}", count(metrics.throttles)));
            // Twice of what is reserved, or of what its shards need.
            let needed = readings.stream.open_shards.saturating_mul(lambda.factor);
            let reserved = lambda.reserved_concurrency.as_ref().ok().copied().flatten().unwrap_or_default();
            fixes.push(more_executions(lambda, needed.max(reserved).saturating_mul(2)));
        }
        if metrics.longest_p95_ms > NEARLY_TIMED_OUT * timeout_ms {
            let (p95, timeout) = (metrics.longest_p95_ms / 1_000.0, timeout_ms / 1_000.0);
            seen.push(format!("its p95 reaches {p95:.1} s of a timeout of {timeout:.0} s"));
            fixes.push(Fix::run(format!(
                "aws lambda update-function-configuration --function-name {} --timeout {:.0}",
                unqualified(name),
                (timeout * 2.0).min(LONGEST_TIMEOUT)
            )));
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
        let invocations = known(&lambda.metrics)?.invocations;
        if invocations == 0.0 || lambda.window_seconds > 0 {
            return Ok(None);
        }
        let mean = records / invocations;
        let batches = f64::from(readings.stream.open_shards) * f64::from(lambda.factor);
        let saved = (invocations / DAYS_SECONDS - batches / WINDOW_SECONDS).max(0.0);
        let saves = monthly(saved * 3_600.0 / 1e6 * INVOCATIONS_MILLION);
        Ok((mean < SMALL_BATCH && saves >= WORTH_IT).then(|| {
            let sentence = format!(
                "{} gets {} records an invocation. A window of {WINDOW_SECONDS:.0} s saves {} of invocations a \
                 month, and the time of the function.",
                lambda.function,
                short(mean),
                usd(saves)
            );
            let fix = update(lambda, &format!("--maximum-batching-window-in-seconds {WINDOW_SECONDS:.0}"));
            Problem { saves, ..Problem::warn(sentence, fix) }
        }))
    })
}
