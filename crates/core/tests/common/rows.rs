//! Table tests: each row is a `#[test]` of its own, so that it can be run alone by its name.

/// Makes a test of each row. `check` asserts that the input yields the expected value.
///
/// ```text
/// rows! { check;
///     name_of_the_row: input => expected;
/// }
/// ```
macro_rules! rows {
    ($check:path; $($name:ident: $input:expr => $expected:expr;)+) => {
        $(
            #[test]
            fn $name() {
                $check($input, $expected);
            }
        )+
    };
}
