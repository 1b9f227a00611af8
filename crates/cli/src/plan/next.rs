//! Whether a cron expression has a time to come.

use super::cron::{Field, days_of_month, days_of_week, hours, minutes, months, years};
use chrono::{Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, Weekday};

/// Whether the expression, such as `cron(0 8 ? * MON-FRI *)`, has a time after `now`. It must be one that
/// [`expression`](super::cron::expression) gave. `now`: in the time zone of the expression.
pub(super) fn has_next(expression: &str, now: NaiveDateTime) -> bool {
    let inner = expression.trim_start_matches("cron(").trim_end_matches(')');
    let fields: Vec<&str> = inner.split_whitespace().collect();
    let [minute, hour, day, month, weekday, year] = fields[..] else { return false };
    let (all_months, all_years) = (months().numbers(month), years().numbers(year));
    let last =
        all_years.iter().next_back().and_then(|year| NaiveDate::from_ymd_opt(i32::try_from(*year).ok()?, 12, 31));
    let is_day = |date: &NaiveDate| {
        all_years.contains(&date.year().unsigned_abs())
            && all_months.contains(&date.month())
            && is_day_of_month(day, *date)
            && is_day_of_week(weekday, *date)
    };
    let all_minutes = minutes().numbers(minute);
    let times = hours()
        .numbers(hour)
        .into_iter()
        .flat_map(|hour| all_minutes.iter().filter_map(move |minute| NaiveTime::from_hms_opt(hour, *minute, 0)));
    let latest = times.max();
    let days = now.date().iter_days().take_while(|date| last.is_some_and(|last| *date <= last));
    days.filter(is_day).any(|date| date > now.date() || latest.is_some_and(|latest| latest > now.time()))
}

fn is_day_of_month(field: &str, date: NaiveDate) -> bool {
    let last = u32::from(date.num_days_in_month());
    field == "?"
        || field.split(',').any(|part| match part {
            "L" => date.day() == last,
            "LW" => Some(date) == nearest_weekday(date, last),
            _ => match part.strip_suffix('W').and_then(|day| day.parse().ok()) {
                Some(day) => Some(date) == nearest_weekday(date, day),
                None => days_of_month().numbers(part).contains(&date.day()),
            },
        })
}

/// The working day of the month of `date` that is nearest to this day. `None`: the month has no such day.
fn nearest_weekday(date: NaiveDate, day: u32) -> Option<NaiveDate> {
    let date = date.with_day(day)?;
    let (before, after) = match date.weekday() {
        Weekday::Sat => (1, 2),
        Weekday::Sun => (2, 1),
        _ => return Some(date),
    };
    let (before, after) =
        (date.day().checked_sub(before).and_then(|day| date.with_day(day)), date.with_day(day + after));
    if date.weekday() == Weekday::Sat { before.or(after) } else { after.or(before) }
}

fn is_day_of_week(field: &str, date: NaiveDate) -> bool {
    let field_of: &Field = days_of_week();
    let weekday = date.weekday().number_from_sunday();
    let is_last = date.day() + 7 > u32::from(date.num_days_in_month());
    field == "?"
        || field.split(',').any(|part| match (part, part.strip_suffix('L'), part.split_once('#')) {
            ("L", ..) => weekday == Weekday::Sat.number_from_sunday(),
            (_, Some(day), _) => is_last && field_of.numbers(day).contains(&weekday),
            (_, _, Some((day, nth))) => {
                field_of.numbers(day).contains(&weekday) && nth.parse() == Ok((date.day() - 1) / 7 + 1)
            }
            _ => field_of.numbers(part).contains(&weekday),
        })
}

#[cfg(test)]
mod tests {
    use super::super::cron::expression;
    use super::*;

    #[test]
    fn an_expression_has_a_time_to_come_or_none() {
        // A Friday.
        let now = NaiveDate::from_ymd_opt(2026, 11, 27).and_then(|date| date.and_hms_opt(9, 0, 0)).expect("a time");
        for (text, is_next) in [
            ("0 8 ? * MON-FRI *", true),
            ("0 8 1 1 ? 2020", false),
            ("0 8 31 2 ? *", false),
            ("0 8 30 2,4 ? *", true),
            ("0 8 29 2 ? 2027", false),
            ("0 8 29 2 ? 2028", true),
            ("0 8 27 11 ? 2026", false),
            ("0 9 27 11 ? 2026", false),
            ("1 9 27 11 ? 2026", true),
            ("0/30 8-9 27 NOV ? 2026", true),
            ("0 8 L 11 ? 2026", true),
            ("0 8 LW 11 ? 2026", true),
            ("0 8 28W 11 ? 2026", false),
            ("0 8 29W 11 ? 2026", true),
            ("0 8 31W 2 ? *", false),
            ("0 8 ? 11 6L 2026", false),
            ("0 8 ? 11 2L 2026", true),
            ("0 8 ? 11 7#4 2026", true),
            ("0 8 ? 2 1#5 2027", false),
            ("0 8 ? 11 L 2026", true),
            ("0 8 ? * 2 2026-2030/4", true),
        ] {
            assert_eq!(has_next(&expression(text).expect(text), now), is_next, "{text}");
        }
    }
}
