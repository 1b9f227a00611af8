//! The names that a person may have meant.

/// How much like the text a further name is, 0–1. With less, names with hardly a letter in common would be suggested.
const ALIKE: f64 = 0.75;

/// The name that is most like `text`, and up to two further ones that are much like it, the nearest first.
pub(crate) fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<(f64, &str)> = names.map(|name| (strsim::jaro_winkler(text, name), name)).collect();
    names.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
    let alike = names.iter().enumerate().take(3).filter(|(place, (alike, _))| *place == 0 || *alike >= ALIKE);
    alike.map(|(_, (_, name))| *name).collect()
}
