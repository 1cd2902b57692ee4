//! Text in lines that fit a terminal.

/// Columns of a terminal that every line fits into.
pub const WIDTH: usize = 100;

/// `text` in lines of [`WIDTH`], the first behind `bullet`, the others as far in. Commands stay whole where a line can
/// hold them, so that they can be copied.
pub fn paragraph(bullet: &str, text: &str) -> String {
    let room = WIDTH.saturating_sub(bullet.len()).max(1);
    let mut lines = vec![String::new()];
    for word in words(text, room) {
        // A word that no line can hold, such as a command line without spaces, is cut.
        let letters: Vec<char> = word.chars().collect();
        for part in letters.chunks(room) {
            let line = lines.last_mut().expect("there is one");
            if line.is_empty() {
                line.extend(part);
            } else if line.chars().count() + 1 + part.len() <= room {
                line.push(' ');
                line.extend(part);
            } else {
                lines.push(part.iter().collect());
            }
        }
    }
    let indent = " ".repeat(bullet.len());
    let starts = std::iter::once(bullet).chain(std::iter::repeat(indent.as_str()));
    starts.zip(&lines).map(|(start, line)| format!("{start}{line}\n")).collect()
}

/// The words of `text`; what stands in backticks is one, unless it is longer than `room`.
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

/// A name, broken behind hyphens and their like, so that its lines are no longer than `width` where its parts are not.
pub(super) fn broken(name: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for part in name.split_inclusive(['-', ':', ' ', '.', '_']) {
        let full = lines.last().is_some_and(|line| line.len() + part.len() > width);
        if full && !lines.last().is_some_and(String::is_empty) {
            lines.push(String::new());
        }
        lines.last_mut().expect("there is one").push_str(part);
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
