//! Whether a load may be offered: the owner's word, its time and its cost.

use super::args::Args;
use crate::CliError;
use crate::aws::called;
use crate::put::Stream;
use aws_sdk_kinesis::types::{StreamDescriptionSummary, StreamMode};
use std::time::Duration;
use unthrottle_core::cost::{BillingMode, Load, Prices, Shape};
use unthrottle_core::policy::SMOKE_ALLOWED;
use unthrottle_core::signal::StreamArn;
use unthrottle_core::words::short;
use unthrottle_writer::load::{Profile, SizesByMinute, Span};

/// The parts of a range of sizes whose cost is computed. More would change the bound by less than a thousandth.
const SIZES: usize = 1000;

/// Refuses a load on a stream whose owner has not allowed it.
///
/// # Errors
/// The stream has no tag that allows it, and its name was not typed again. Or the tags cannot be read.
pub(super) async fn owner_allows(args: &Args, stream: &Stream, arn: &str) -> Result<(), CliError> {
    match &args.i_own {
        Some(typed) if is_typed_again(typed, &args.stream, arn) => return Ok(()),
        Some(typed) => {
            let stream = &args.stream;
            return Err(CliError::Usage(format!("--i-own is `{typed}`, and the stream is `{stream}`")));
        }
        None => {}
    }
    let answer = stream.client.list_tags_for_resource().resource_arn(arn).send().await;
    let answer = called("ListTagsForResource", answer)?;
    if answer.tags().iter().any(|tag| tag.key() == SMOKE_ALLOWED && tag.value() == Some("allow")) {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "smoke can throttle every producer of `{0}`. If it is yours, and its other users know, give --i-own {0}, or \
         tag the stream {SMOKE_ALLOWED}=allow",
        args.stream
    )))
}

/// Whether a person typed the stream again: as before, or by its name or its ARN.
fn is_typed_again(typed: &str, stream: &str, arn: &str) -> bool {
    typed == stream || typed == arn || StreamArn::parse(arn).is_some_and(|arn| arn.name == typed)
}

/// The time that a load takes, at most.
///
/// # Errors
/// It is longer than `--max-duration`.
pub(super) fn bounded_time(args: &Args, profile: &Profile) -> Result<Duration, CliError> {
    let (takes, most) = (profile.duration(), args.max_duration);
    if takes > most {
        return Err(CliError::Usage(format!(
            "the stages take {} s, and --max-duration allows {} s",
            takes.as_secs(),
            most.as_secs()
        )));
    }
    Ok(if args.until_healed { most } else { takes })
}

/// What the records of a load cost, at most, in USD. Capacity that unthrottle adds costs extra.
///
/// # Errors
/// It is more than `--max-usd`.
pub(super) fn bounded_cost(
    args: &Args,
    summary: &StreamDescriptionSummary,
    (profile, sizes): (&Profile, &SizesByMinute),
    time: Duration,
) -> Result<f64, CliError> {
    let mode = summary.stream_mode_details().map(|details| details.stream_mode());
    let mode = match mode {
        Some(StreamMode::OnDemand) => BillingMode::OnDemand { committed: false },
        _ => BillingMode::Provisioned,
    };
    let prices = Prices::default();
    let cost_at = |load| {
        let shape = Shape { mode, shards: 1, consumers: 0, retention_hours: 24, shard_metrics: 0, load };
        prices.per_hour(&shape)
    };
    let idle = cost_at(Load::default());
    let cost_of = |span: &Span| {
        let records = profile.due(span.to) - profile.due(span.from);
        let seconds = (span.to - span.from).as_secs_f64();
        let rate = records as f64 / seconds;
        // AWS rounds each record up to a unit, so the cost of a mean size is not the mean of the costs.
        let sizes = span.sizes.parts(SIZES);
        let added = |data: &usize| {
            let bytes_per_second = rate * (data + args.keys.bytes()) as f64;
            cost_at(Load { records_per_second: rate, bytes_per_second, ..Load::default() }) - idle
        };
        sizes.iter().map(added).sum::<f64>() / sizes.len() as f64 * seconds / 3600.0
    };
    let usd: f64 = sizes.spans(time).iter().map(cost_of).sum();
    if usd > args.max_usd {
        return Err(CliError::Usage(format!(
            "these records could cost {} at list prices, and --max-usd allows {}",
            dollars(usd),
            dollars(args.max_usd)
        )));
    }
    Ok(usd)
}

/// A time in seconds, or a longer one in minutes.
pub(super) fn length(time: Duration) -> String {
    if time < Duration::from_secs(120) {
        return format!("{} s", time.as_secs_f64().ceil());
    }
    format!("{} min", short(time.as_secs_f64() / 60.0))
}

/// An amount with cents, or with enough digits that a small one is not 0.
pub(super) fn dollars(amount: f64) -> String {
    if amount == 0.0 || amount >= 0.1 { format!("${amount:.2}") } else { format!("${:.4}", amount.max(0.0001)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_load_is_not_said_to_take_and_to_cost_nothing() {
        assert_eq!(length(Duration::from_millis(1_500)), "2 s");
        assert_eq!(
            (length(Duration::from_secs(90)), length(Duration::from_secs(330))),
            ("90 s".into(), "5.5 min".into())
        );
        assert_eq!(
            (dollars(0.000_003), dollars(0.0), dollars(1.5)),
            ("$0.0001".into(), "$0.00".into(), "$1.50".into())
        );
    }

    #[test]
    fn a_stream_is_typed_again_by_its_name_or_its_arn_and_by_no_other() {
        let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/orders";
        for (typed, stream, is_same) in [
            ("orders", "orders", true),
            ("orders", arn, true),
            (arn, "orders", true),
            (arn, arn, true),
            ("order", arn, false),
            ("arn:aws:kinesis:us-east-1:111111111111:stream/orders", arn, false),
            ("", arn, false),
        ] {
            assert_eq!(is_typed_again(typed, stream, arn), is_same, "{typed} for {stream}");
        }
    }
}
