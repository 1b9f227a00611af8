//! The names that a person may have meant.

/// How much like the text a further name is, 0–1. With less, names with hardly a letter in common would be suggested.
const ALIKE: f64 = 0.75;

/// The name that is most like `text`, and up to two further ones that are much like it, the nearest first. The case of
/// letters does not count: a person who types `ORDERS` means `orders`.
pub(crate) fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let text = text.to_lowercase();
    let alike = |name: &str| strsim::jaro_winkler(&text, &name.to_lowercase());
    let mut names: Vec<(f64, &str)> = names.map(|name| (alike(name), name)).collect();
    names.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
    let alike = names.iter().enumerate().take(3).filter(|(place, (alike, _))| *place == 0 || *alike >= ALIKE);
    alike.map(|(_, (_, name))| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_case_of_letters_does_not_count() {
        for (text, name) in [("ORDERS", "orders"), ("PUT-RECORD", "put-record"), ("clicks", "Clicks")] {
            let names = ["Clicks", "orders", "put-units", "put-record"];
            assert_eq!(nearest(text, names.into_iter()).first(), Some(&name), "{text}");
        }
    }
}
