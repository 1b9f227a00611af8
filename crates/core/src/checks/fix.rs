//! What mends a finding: a command a line, and what a person has to know between them.

/// What mends a finding. As text each line is a command, or a note that a shell takes as a comment. A person pastes all
/// of it, or one line.
#[derive(Default)]
pub(super) struct Fix(Vec<Line>);

enum Line {
    Command(String),
    Note(String),
}

impl Fix {
    /// A command. It has no prose, and no further command.
    pub fn run(command: impl Into<String>) -> Fix {
        Fix(vec![Line::Command(command.into())])
    }

    /// What a person has to know or to do.
    pub fn note(text: impl Into<String>) -> Fix {
        Fix(vec![Line::Note(text.into())])
    }

    /// Adds a command.
    pub fn and_run(self, command: impl Into<String>) -> Fix {
        self.and(Fix::run(command))
    }

    /// Adds what a person has to know or to do.
    pub fn and_note(self, text: impl Into<String>) -> Fix {
        self.and(Fix::note(text))
    }

    /// Adds the lines of another one.
    pub fn and(mut self, other: Fix) -> Fix {
        self.0.extend(other.0);
        self
    }
}

impl From<Fix> for String {
    fn from(Fix(lines): Fix) -> String {
        let has_command = lines.iter().any(|line| matches!(line, Line::Command(_)));
        let mut texts: Vec<String> = vec![];
        for line in lines {
            let text = match line {
                Line::Note(text) if has_command => format!("# {text}"),
                Line::Command(text) | Line::Note(text) => text,
            };
            // Several parts may have the same note.
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts.join("\n")
    }
}

/// The command that gives a stream this number of shards. AWS at most halves and at most doubles them in one call, so
/// the first step may be a part.
pub(super) fn resize(stream: &str, open_shards: u32, target: u32) -> Fix {
    let step = target.clamp(open_shards.div_ceil(2), open_shards.saturating_mul(2).max(1));
    let fix = Fix::run(format!(
        "aws kinesis update-shard-count --stream-name {stream} --target-shard-count {step} --scaling-type \
         UNIFORM_SCALING"
    ));
    match target {
        less if less < step => {
            fix.and_note(format!("wait until the stream is ACTIVE, and halve again, down to {less}"))
        }
        more if more > step => fix.and_note(format!("wait until the stream is ACTIVE, and double again, up to {more}")),
        _ => fix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_beside_a_command_is_a_comment_and_alone_it_is_a_sentence() {
        let text: String = Fix::note("first").and_run("aws a b").into();
        assert_eq!(text, "# first\naws a b");
        assert_eq!(String::from(Fix::note("only this")), "only this");
    }

    #[test]
    fn a_step_is_one_that_aws_accepts() {
        for (open, target, step, note) in
            [(4, 1, 2, "down to 1"), (10, 2, 5, "down to 2"), (4, 2, 2, ""), (2, 8, 4, "up to 8"), (3, 4, 4, "")]
        {
            let text = String::from(resize("orders", open, target));
            assert!(text.contains(&format!("--target-shard-count {step} ")), "{open} to {target}: {text}");
            assert!(text.ends_with(note) && (note.is_empty() != text.contains('#')), "{open} to {target}: {text}");
        }
    }
}
