//! `${NAME}` in values: environment variables.

/// The value with each `${NAME}` replaced. A replacement is not searched again.
pub(super) fn replace(value: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut replaced = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        replaced.push_str(before);
        let (name, after) = after.split_once('}').ok_or("a `${` has no `}`")?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return Err(format!("`${{{name}}}`: `{name}` is no name of an environment variable"));
        }
        let found = variable(name);
        replaced.push_str(&found.ok_or_else(|| format!("the environment variable `{name}` is not set"))?);
        rest = after;
    }
    Ok(replaced + rest)
}
