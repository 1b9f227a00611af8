//! The cron expressions of EventBridge Scheduler: six fields. A wrong one is found before any call of AWS's.

use std::collections::BTreeSet;

/// A field of an expression.
pub(super) struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// The words that stand for numbers, from `least` on.
    words: &'static [&'static str],
    /// The marks beside numbers, `,`, `-`, `*` and `/`.
    marks: &'static str,
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The fields in their order (the user guide of EventBridge Scheduler, "Schedule types").
const FIELDS: [Field; 6] = [
    Field { name: "minutes", least: 0, most: 59, words: &[], marks: "" },
    Field { name: "hours", least: 0, most: 23, words: &[], marks: "" },
    Field { name: "day of month", least: 1, most: 31, words: &[], marks: "?LW" },
    Field { name: "month", least: 1, most: 12, words: &MONTHS, marks: "" },
    Field { name: "day of week", least: 1, most: 7, words: &WEEKDAYS, marks: "?L#" },
    Field { name: "year", least: 1970, most: 2199, words: &[], marks: "" },
];

pub(super) fn minutes() -> &'static Field {
    &FIELDS[0]
}

pub(super) fn hours() -> &'static Field {
    &FIELDS[1]
}

pub(super) fn days_of_month() -> &'static Field {
    &FIELDS[2]
}

pub(super) fn months() -> &'static Field {
    &FIELDS[3]
}

pub(super) fn days_of_week() -> &'static Field {
    &FIELDS[4]
}

pub(super) fn years() -> &'static Field {
    &FIELDS[5]
}

/// The expression as Scheduler takes it: `cron(0 8 ? * MON-FRI *)`. `text`: with or without `cron()`.
///
/// # Errors
/// The field that is wrong, and what it may be.
pub(super) fn expression(text: &str) -> Result<String, String> {
    let inner = text.trim();
    let inner = inner.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(inner);
    let fields: Vec<&str> = inner.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!(
            "`{text}` has {}, and a cron expression of EventBridge Scheduler has six: minutes, hours, day of month, \
             month, day of week, year. For 08:00 on working days: \"0 8 ? * MON-FRI *\"",
            if fields.len() == 1 { "1 field".to_owned() } else { format!("{} fields", fields.len()) }
        ));
    }
    for (field, value) in FIELDS.iter().zip(&fields) {
        if !field.takes(value) {
            return Err(field.error(value));
        }
    }
    // AWS fires on both days if both are given, and refuses it.
    if (fields[2] == "?") == (fields[4] == "?") {
        return Err(format!(
            "`{text}`: one of day of month (`{}`) and day of week (`{}`) must be `?`, and the other must not",
            fields[2], fields[4]
        ));
    }
    Ok(format!("cron({})", fields.join(" ")))
}

impl Field {
    fn error(&self, value: &str) -> String {
        let Field { name, least, most, words, marks } = self;
        let words = match (words.first(), words.last()) {
            (Some(first), Some(last)) => format!(" or {first} to {last}"),
            _ => String::new(),
        };
        let marks: String =
            [", - * /", marks].concat().chars().filter(|c| *c != ' ').map(|c| format!(" {c}")).collect();
        format!("the {name} `{value}` must be {least} to {most}{words}, with any of{marks}")
    }

    fn takes(&self, value: &str) -> bool {
        let whole = value == "*" || (value == "?" && self.marks.contains('?'));
        whole || value.split(',').all(|part| self.takes_part(part))
    }

    /// A number, a range or a step; in a day also `L`, `LW`, `15W`, `6L` or `6#3`.
    fn takes_part(&self, part: &str) -> bool {
        let has = |mark| self.marks.contains(mark);
        if (part == "L" && has('L')) || (part == "LW" && has('L') && has('W')) {
            return true;
        }
        if let Some(day) = part.strip_suffix('W').filter(|_| has('W')) {
            return self.number(day).is_some();
        }
        if let Some(day) = part.strip_suffix('L').filter(|_| has('#')) {
            return self.number(day).is_some();
        }
        if let Some((day, nth)) = part.split_once('#').filter(|_| has('#')) {
            return self.number(day).is_some() && nth.parse().is_ok_and(|nth: u32| (1..=5).contains(&nth));
        }
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let is_step = step.is_none_or(|step| step.parse().is_ok_and(|step: u32| (1..=self.most).contains(&step)));
        let is_range = match range.split_once('-') {
            Some((first, last)) => self.number(first).zip(self.number(last)).is_some_and(|(first, last)| first <= last),
            None => range == "*" || self.number(range).is_some(),
        };
        is_step && is_range && (range != "*" || step.is_some())
    }

    /// The numbers that a value stands for: of numbers, ranges and steps, or `*`.
    pub(super) fn numbers(&self, value: &str) -> BTreeSet<u32> {
        let of_part = |part: &str| {
            let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, step.parse().ok()));
            let (first, last) = match range.split_once('-') {
                _ if range == "*" => (Some(self.least), Some(self.most)),
                Some((first, last)) => (self.number(first), self.number(last)),
                None => (self.number(range), if step.is_some() { Some(self.most) } else { self.number(range) }),
            };
            let all = first.zip(last).map(|(first, last)| (first..=last).step_by(step.unwrap_or(1)));
            all.into_iter().flatten().collect::<Vec<_>>()
        };
        value.split(',').flat_map(of_part).collect()
    }

    fn number(&self, text: &str) -> Option<u32> {
        let word = self.words.iter().position(|word| *word == text);
        let of_word = word.and_then(|place| u32::try_from(place).ok()).map(|place| self.least + place);
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = of_word.or_else(|| text.parse().ok().filter(|_| is_plain))?;
        (self.least..=self.most).contains(&number).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scheduler_takes_is_taken() {
        for text in [
            "0 8 ? * MON-FRI *",
            "cron(0 8 ? * MON-FRI *)",
            "0,30 */2 1 JAN,JUL ? 2026-2030",
            "15 10 L * ? *",
            "15 10 LW * ? *",
            "15 10 15W * ? *",
            "0 8 ? * 6L *",
            "0 8 ? * 6#3 *",
            "0/15 8-17 ? 1/3 2 *",
        ] {
            let inner = text.trim_start_matches("cron(").trim_end_matches(')');
            assert_eq!(expression(text), Ok(format!("cron({inner})")), "{text}");
        }
    }

    #[test]
    fn a_wrong_expression_names_the_field_and_what_it_may_be() {
        for (text, says) in [
            ("0 8 * * *", "has 5 fields"),
            ("60 8 ? * MON *", "the minutes `60` must be 0 to 59, with any of , - * /"),
            ("0 24 ? * MON *", "the hours `24`"),
            ("0 8 32 * ? *", "the day of month `32` must be 1 to 31, with any of , - * / ? L W"),
            ("0 8 ? FOO MON *", "the month `FOO` must be 1 to 12 or JAN to DEC"),
            ("0 8 ? * 0 *", "the day of week `0` must be 1 to 7 or SUN to SAT"),
            ("0 8 ? * MON 1969", "the year `1969`"),
            ("0 8 ? * FRI-MON *", "the day of week `FRI-MON`"),
            ("0 8 1 * MON *", "must be `?`"),
            ("0 8 ? * ? *", "must be `?`"),
            ("0 8 ? * 6#6 *", "the day of week `6#6`"),
            ("0/0 8 ? * MON *", "the minutes `0/0`"),
            ("+5 8 ? * MON *", "the minutes `+5`"),
            ("", "has 0 fields"),
        ] {
            let error = expression(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
