//! Text within the width of a screen.

use super::commands::places;
use std::io::IsTerminal;
use textwrap::{Options, WordSeparator, WordSplitter};

/// Stands for a space that is no place for a break: a character for private use, which no text has.
const GLUE: &str = "\u{e000}";

/// The narrowest width that is respected. Below it, each line would have one word.
const NARROWEST: usize = 24;

/// The widest line of sentences. Longer lines are hard to read on any screen.
const WIDEST: usize = 120;

/// The columns of the screen behind a stream: `COLUMNS`, or those of its terminal. `None`: no screen, such as a pipe or
/// a file, where lines stay whole for other programs.
pub(super) fn width(stream: &impl IsTerminal) -> Option<usize> {
    let named = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let of_terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    named
        .or_else(|| stream.is_terminal().then(of_terminal).flatten())
        .filter(|width| *width > 0)
        .map(|width| width.max(NARROWEST))
}

/// The text in lines of at most `width` columns. The first line begins with `first`, the others with `next`. Commands
/// and addresses stay whole, to be pasted, on lines that may be longer.
pub(crate) fn fill(text: &str, width: usize, first: &str, next: &str) -> String {
    let mut glued = String::new();
    let mut from = 0;
    for place in places(text) {
        glued += &text[from..place.start];
        glued += &text[place.clone()].replace(' ', GLUE);
        from = place.end;
    }
    glued += &text[from..];
    let options = Options::new(width.min(WIDEST))
        .initial_indent(first)
        .subsequent_indent(next)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(&glued, options).replace(GLUE, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_commands_stay_whole() {
        let text = "orders: 5,760 records refused. To undo it: unthrottle restore orders --region us-east-1 --yes";
        assert_eq!(
            fill(text, 32, "  ", "    "),
            "  orders: 5,760 records refused.\n    To undo it:\n    unthrottle restore orders --region us-east-1 --yes"
        );
    }
}
