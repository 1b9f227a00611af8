//! How long a plan lasts.

use crate::CliError;
use unthrottle_core::words::many;

/// The longest plan, in minutes: 31 days, as the function takes it.
const MAX_MINUTES: u32 = 31 * 24 * 60;

/// A duration in the largest unit that it has whole.
pub(super) fn in_words(minutes: u64) -> String {
    match minutes {
        _ if minutes > 0 && minutes.is_multiple_of(24 * 60) => many(minutes / (24 * 60), "day"),
        _ if minutes > 0 && minutes.is_multiple_of(60) => many(minutes / 60, "hour"),
        _ => many(minutes, "minute"),
    }
}

/// A duration such as `90m`, `10h` or `2d`, in minutes.
///
/// # Errors
/// It is no duration, or longer than a month.
pub(super) fn minutes(text: &str) -> Result<u32, CliError> {
    let bad = || {
        CliError::Usage(format!("--for {text}: must be minutes, hours or days, such as 90m, 10h or 2d; at most 31d"))
    };
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
    let of_unit = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => return Err(bad()),
    };
    let number: u32 = number.parse().map_err(|_| bad())?;
    let minutes = number.checked_mul(of_unit).filter(|minutes| (1..=MAX_MINUTES).contains(minutes));
    minutes.ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_minutes_hours_or_days_up_to_a_month() {
        let of = |text| minutes(text).ok();
        assert_eq!([of("90m"), of("10h"), of("2d"), of("31d")], [Some(90), Some(600), Some(2_880), Some(MAX_MINUTES)]);
        for text in ["", "h", "10", "0h", "-1h", "32d", "10 h", "1w", "99999999999h", "10ü"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
