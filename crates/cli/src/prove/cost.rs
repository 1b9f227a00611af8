//! What a run may cost, and what the user accepts.

use super::clean;
use super::clients::Clients;
use super::step::Step;
use super::trouble::Trouble;
use crate::CliError;
use unthrottle_core::cost::Prices;

/// Full cents upwards: a user who reads $0.00 and accepts it pays nothing.
pub(super) fn cents(usd: f64) -> f64 {
    // A thousandth of a cent is the error of a sum, and no cost.
    let cents = (usd * 100.0 - 0.001).ceil();
    // Without steps, the sum and its cents are -0.
    if cents > 0.0 { cents / 100.0 } else { 0.0 }
}

/// The most that these steps cost at list prices, in USD, in an account with this many streams.
pub(super) fn of(steps: &[&'static Step], prices: &Prices, streams: usize) -> f64 {
    steps.iter().map(|step| step.uses.usd(prices, streams)).sum()
}

/// Compares the cost with what the user accepts. `account`: what makes it that much, before "these steps".
pub(super) fn accept(accepted: Option<f64>, usd: f64, account: &str) -> Result<(), CliError> {
    let usd = cents(usd);
    match accepted {
        None => Err(CliError::Usage(format!(
            "{account}these steps cost up to ${usd:.2} at list prices, in an account that should be a sandbox. To \
             accept, give --i-know-this-costs-up-to {usd:.2}. --dry-run lists the steps"
        ))),
        Some(accepted) if accepted.is_nan() || accepted < usd => Err(CliError::Usage(format!(
            "{account}these steps cost up to ${usd:.2} at list prices, and --i-know-this-costs-up-to allows \
             ${accepted:.2}. --only and --skip choose steps"
        ))),
        Some(_) => Ok(()),
    }
}

/// The number of streams that the account has. The steps that look at all streams pay for each.
///
/// # Errors
/// AWS does not say, so that the cost has no bound.
pub(super) async fn streams(clients: &Clients) -> Result<usize, CliError> {
    match clean::streams(clients).await {
        Ok(names) => Ok(names.len()),
        Err(Trouble::NotServed(_)) if !clients.is_aws => Ok(0),
        Err(trouble) => Err(CliError::Partly(format!(
            "nothing was created: the cost depends on the number of streams in the account. {trouble}"
        ))),
    }
}

/// What no figure has: the trail records the writes of all streams. `None`: no other stream, or no trail.
pub(super) fn beyond(steps: &[&'static Step], has_trail: bool, streams: usize) -> Option<String> {
    let has_trail = has_trail && steps.iter().any(|step| step.records_all_writes);
    (has_trail && streams > 0).then(|| {
        format!(
            "not in this cost: the trail also records the writes to the other streams of the account ({streams}). \
             AWS bills $0.10 for 100,000 of these calls, for about {TRAIL_MINUTES} min"
        )
    })
}

/// The longest time that the trail records.
const TRAIL_MINUTES: u32 = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_accepted() {
        for (usd, shown) in [(0.0, 0.0), (0.631, 0.64), (0.64, 0.64), (0.1 + 0.2, 0.3), (0.0001, 0.01)] {
            assert!((cents(usd) - shown).abs() < 1e-9, "{usd}: {}", cents(usd));
            accept(Some(cents(usd)), usd, "").expect("accepted");
        }
        assert_eq!(format!("{:.2}", cents(of(&[], &Prices::default(), 0))), "0.00");
        accept(Some(0.63), 0.631, "").expect_err("less than the cost");
    }
}
