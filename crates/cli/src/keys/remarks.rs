//! What a person has to know about a reading: what it left out, and how its numbers compare.

use super::report::{Report, Shard};
use chrono::TimeDelta;
use unthrottle_core::words::{many, short};

/// A reader at the present is this far behind at most: the time between two calls at the least share, and a little. A
/// shorter time would call each reading late.
const AT_PRESENT: TimeDelta = TimeDelta::seconds(25);

/// How many times the seconds of one shard another covers, from which a person has to know it.
const UNEVEN: f64 = 1.5;

/// The shards that a remark names. A person looks at the first few.
const NAMED: usize = 3;

/// One sentence or two for each.
pub(super) fn remarks(report: &Report) -> Vec<String> {
    [cut(report), hardly(report), late(report), throttled(report), failed(report), uneven(report)]
        .into_iter()
        .flatten()
        .collect()
}

fn cut(report: &Report) -> Option<String> {
    report.is_cut.then(|| "--max-mb ended the reading".to_owned())
}

/// The shards that were read too little to say how full they are. The first three, and how many more.
fn hardly(report: &Report) -> Option<String> {
    let hardly: Vec<&str> = report.shards.iter().filter(|s| s.is_hardly_read).map(|s| s.shard.as_str()).collect();
    let (named, others) = hardly.split_at(hardly.len().min(NAMED));
    let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
    let named = named.join(", ");
    (!named.is_empty()).then(|| format!("less than a second is read of {named}{more}: how full is not known"))
}

/// The reading ended before the present.
fn late(report: &Report) -> Option<String> {
    let late = |shard: &&Shard| shard.ended_by == "time" && report.read_at - shard.read_until > AT_PRESENT;
    let first = report.shards.iter().filter(late).min_by_key(|shard| shard.read_until)?;
    let until = first.read_until.format("%H:%M:%S");
    Some(format!("the time ended the reading: {} is read to {until} UTC. Give a longer --for", first.shard))
}

fn throttled(report: &Report) -> Option<String> {
    let calls = report.throttled_calls;
    (calls > 0).then(|| {
        format!("AWS throttled {}: all readers together ask for more than the shards give", many(calls, "call"))
    })
}

fn failed(report: &Report) -> Option<String> {
    let mut failed = report.shards.iter().filter_map(|shard| Some((shard, shard.error.as_ref()?)));
    let ((first, why), others) = (failed.next()?, failed.count());
    let others = if others > 0 { format!(", and so did {} more", many(others, "shard")) } else { String::new() };
    Some(format!("{} was not read to the end: {why}{others}", first.shard))
}

/// The shards cover unequal times.
fn uneven(report: &Report) -> Option<String> {
    let seconds = || report.shards.iter().filter(|shard| shard.records > 0).map(|shard| shard.seconds_read);
    let (least, most) = (seconds().reduce(f64::min)?, seconds().reduce(f64::max)?);
    (most > UNEVEN * least).then(|| {
        format!(
            "busy shards are read more slowly: {} s of one, {} s of another. Shares are of the load a second",
            short(least),
            short(most)
        )
    })
}
