//! Numbers in words, for a person who reads them once.

/// A share in percent. Small shares have two digits more.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        // Something is not nothing.
        small if small > 0.0 && small < 1.0 => format!("{:.2} %", small.max(0.01)),
        percent => format!("{percent:.0} %"),
    }
}

/// US dollars a month.
pub fn usd(amount: f64) -> String {
    if amount >= 1_000.0 { format!("${}", count(amount)) } else { format!("${amount:.2}") }
}

/// A whole number with its thousands apart: 1,234,567.
pub fn count(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// A size in bytes, KiB or MiB.
pub fn size(bytes: f64) -> String {
    match bytes {
        small if small < 1_024.0 => format!("{small:.0} bytes"),
        middle if middle < 1_048_576.0 => format!("{:.1} KiB", middle / 1_024.0),
        large => format!("{:.1} MiB", large / 1_048_576.0),
    }
}

/// Minutes, hours or days.
pub fn time(milliseconds: f64) -> String {
    match (milliseconds / 60_000.0).round() {
        none if none < 1.0 => "less than a minute".into(),
        1.0 => "1 minute".into(),
        minutes if minutes < 120.0 => format!("{minutes:.0} minutes"),
        minutes if minutes < 2_880.0 => format!("{} hours", short(minutes / 60.0)),
        minutes => format!("{} days", short(minutes / 1_440.0)),
    }
}

/// A number with one digit after the point, unless it is whole or large.
pub fn short(number: f64) -> String {
    let one = format!("{number:.1}");
    match one.strip_suffix(".0") {
        Some(whole) if number < 1_000.0 => whole.to_owned(),
        None if number < 1_000.0 => one,
        _ => count(number),
    }
}

/// A number of things, with the noun in its right form.
pub fn many(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    if number == 1 { format!("1 {noun}") } else { format!("{} {noun}s", count(number as f64)) }
}

/// A mean number of things, with the noun in its right form.
pub fn mean_of(number: f64, noun: &str) -> String {
    let number = short(number);
    if number == "1" { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A number of things with its verb: 1 shard is, 2 shards are.
pub fn are(number: u64, noun: &str) -> String {
    format!("{} {}", many(number, noun), if number == 1 { "is" } else { "are" })
}

/// A change from one number of things to another, with the noun in the form of the second: 2 → 1 shard.
pub fn change(from: u32, to: u32, noun: &str) -> String {
    format!("{} → {}", count(f64::from(from)), many(to, noun))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_a_person_writes_them() {
        assert_eq!(count(1_234_567.4), "1,234,567");
        assert_eq!((percent(0.256), percent(0.0004)), ("26 %".into(), "0.04 %".into()));
        assert_eq!((usd(36.789), usd(12_345.6)), ("$36.79".into(), "$12,346".into()));
        assert_eq!(
            (size(512.0), size(51_200.0), size(3_145_728.0)),
            ("512 bytes".into(), "50.0 KiB".into(), "3.0 MiB".into())
        );
        assert_eq!(
            (time(60_000.0), time(5_400_000.0), time(1e8)),
            ("1 minute".into(), "90 minutes".into(), "27.8 hours".into())
        );
        assert_eq!(
            (time(86_400_000.0), short(5.25), short(75_630.3)),
            ("24 hours".into(), "5.2".into(), "75,630".into())
        );
        assert_eq!((many(1, "shard"), many(1_200, "shard")), ("1 shard".into(), "1,200 shards".into()));
        assert_eq!(time(20_000.0), "less than a minute");
        assert_eq!(change(2, 1, "shard"), "2 → 1 shard");
    }
}
