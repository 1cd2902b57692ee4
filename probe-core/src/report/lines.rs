//! Wraps text to lines that fit a terminal.

/// Maximum width of a line in a terminal.
pub const WIDTH: usize = 100;

/// `text` in lines of [`WIDTH`], the first after `bullet`, the others indented as far. Commands are
/// not broken if a line can hold them, so that they can be copied.
pub fn paragraph(bullet: &str, text: &str) -> String {
    let room = WIDTH.saturating_sub(bullet.len()).max(1);
    let lines = filled(words(text, room), room);
    let indent = " ".repeat(bullet.len());
    let starts = std::iter::once(bullet).chain(std::iter::repeat(indent.as_str()));
    starts.zip(&lines).map(|(start, line)| format!("{start}{line}\n")).collect()
}

/// Words in lines of `room` columns, at least one line. A word that fits no line, such as a command
/// line without spaces, is cut.
pub(super) fn filled(words: impl IntoIterator<Item = impl AsRef<str>>, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in words {
        let letters: Vec<char> = word.as_ref().chars().collect();
        for part in letters.chunks(room.max(1)) {
            if !line.is_empty() {
                // Both must fit, including the blank between them.
                if line.chars().count().saturating_add(part.len()) < room {
                    line.push(' ');
                } else {
                    lines.push(std::mem::take(&mut line));
                }
            }
            line.extend(part);
        }
    }
    lines.push(line);
    lines
}

/// The words of `text`. Text in backticks is one word, unless it is longer than `room`.
fn words(text: &str, room: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match words.last_mut().filter(|last| last.matches('`').count() % 2 == 1) {
            Some(open) => open.extend([" ", word]),
            None => words.push(word.to_owned()),
        }
    }
    let cut = |word: String| match word.chars().count() > room {
        true => word.split_whitespace().map(str::to_owned).collect(),
        false => vec![word],
    };
    words.into_iter().flat_map(cut).collect()
}

/// A name, broken after hyphens and similar characters, so that its lines are not longer than
/// `width` unless one of its parts is.
pub(super) fn broken(name: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for part in name.split_inclusive(['-', ':', ' ', '.', '_']) {
        let fits = |line: &&mut String| line.len().saturating_add(part.len()) <= width;
        match lines.last_mut().filter(fits) {
            Some(line) => line.push_str(part),
            None => lines.push(part.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_stays_whole_where_a_line_can_hold_it() {
        let before = "word ".repeat(18);
        let told = paragraph("- ", &format!("{before}`cargo xtask run --on vm` and on"));
        assert!(
            told.lines().nth(1).is_some_and(|line| line == "  `cargo xtask run --on vm` and on")
        );
    }

    #[test]
    fn nothing_is_lost_where_no_line_can_hold_a_command() {
        let command = format!("`{}`", "cargo xtask run ".repeat(9).trim());
        let long = "x".repeat(WIDTH + 1);
        for text in [command, format!("an `odd backtick {}", "word ".repeat(30).trim()), long] {
            let told = paragraph("", &text);
            assert!(told.lines().all(|line| line.chars().count() <= WIDTH), "{told}");
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(letters(&told), letters(&text));
        }
    }
}
