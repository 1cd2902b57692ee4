//! A journal's lines, from its text or from the campaign that was made of it. This module takes
//! text, not files: the caller reads them.

use crate::{
    error::{Error, Result},
    model::{
        campaign::{Campaign, JournalLine},
        trial::Trial,
    },
};

/// A journal's text, parsed as far as possible.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// Its complete lines.
    pub lines: Vec<JournalLine>,
    /// Whether an incomplete last line, as left by a kill, was ignored.
    pub cut: bool,
}

/// Reads a journal.
///
/// # Errors
/// A line is not a journal line, and is not an incomplete last one; or the only line is incomplete,
/// and is not the beginning of a journal. The error names the line, not the file.
pub fn parse_journal(text: &[u8]) -> Result<Parsed> {
    let mut parsed = Parsed { lines: Vec::new(), cut: false };
    // Split by bytes: an incomplete line may end within a character, and must not affect other
    // lines.
    let lines = text.split_inclusive(|byte| *byte == b'\n').enumerate();
    let is_last = |line: &[u8]| !line.ends_with(b"\n");
    for (number, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
        match serde_json::from_slice(line) {
            Ok(found) => parsed.lines.push(found),
            // A file that starts differently is not an incomplete journal but another file.
            Err(error) if is_last(line) && (error.is_eof() || !parsed.lines.is_empty()) => {
                parsed.cut = true;
            }
            Err(error) => {
                let column = error.column();
                return Err(Error::malformed(
                    format!("line {}, column {column}", number.saturating_add(1)),
                    without_place(&error),
                ));
            }
        }
    }
    Ok(parsed)
}

/// The journals from which a campaign was made, one per run. Blocks keep their numbers of the
/// campaign.
///
/// # Errors
/// A trial belongs to a run that the campaign does not have.
pub fn journals(campaign: Campaign) -> Result<Vec<Vec<JournalLine>>> {
    let Campaign { schema_version, design, runs, trials, summary: _ } = campaign;
    let start = |run| JournalLine::Start {
        schema_version,
        planned: None,
        design: Box::new(design.clone()),
        run: Box::new(run),
    };
    let mut journals: Vec<_> = runs.into_iter().map(|run| vec![start(run)]).collect();
    let runs = journals.len();
    for trial in trials {
        let journal = journals.get_mut(trial.run).ok_or_else(|| {
            Error::malformed(format!("a trial of run {}", trial.run), format!("of {runs} runs"))
        })?;
        journal.push(JournalLine::Trial(Box::new(Trial { run: 0, ..trial })));
    }
    Ok(journals)
}

/// The error's text without serde_json's "at line 1 column n", which counts within the one line.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(before, _)| before).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::fixture::Lab,
        model::{
            figure::Platform,
            trial::{Pace, Part},
        },
    };

    /// One run of two blocks, with `off` and one method in each.
    fn journal() -> Vec<JournalLine> {
        let mut lab = Lab::new();
        lab.run(Platform::Counted);
        for block in [3, 7] {
            for method in ["off", "ftrace-function"] {
                lab.done(block, (Part::Overhead, Pace::Saturated), method, |_| {});
            }
        }
        lab.journal()
    }

    fn text(journal: &[JournalLine]) -> String {
        journal.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect()
    }

    #[test]
    fn a_killed_runs_journal_gives_its_whole_lines() {
        let journal = journal();
        let text = text(&journal);
        let whole = parse_journal(text.as_bytes()).unwrap();
        assert_eq!((whole.lines.len(), whole.cut), (5, false));
        assert_eq!(whole.lines, journal);
        // Cut anywhere within the last line, even just before its end.
        let last = text.trim_end().rfind('\n').unwrap() + 1;
        for cut in [last + 1, last + 50, text.len() - 2] {
            let parsed = parse_journal(&text.as_bytes()[..cut]).unwrap();
            assert_eq!((parsed.lines.len(), parsed.cut), (4, true));
            assert_eq!(parsed.lines, journal[..4]);
        }
        // Only the newline is missing: nothing is lost.
        let parsed = parse_journal(text.trim_end().as_bytes()).unwrap();
        assert_eq!((parsed.lines.len(), parsed.cut), (5, false));
    }

    #[test]
    fn a_cut_within_a_character_costs_no_other_line() {
        let mut lab = Lab::new();
        lab.run(Platform::Counted);
        let kind = (Part::Overhead, Pace::Saturated);
        lab.failed(0, kind, "off", "first");
        lab.failed(0, kind, "ftrace-function", "Überlauf");
        let text = text(&lab.journal());
        let within = text.find('Ü').unwrap() + 1;
        assert!(!text.is_char_boundary(within));
        let parsed = parse_journal(&text.as_bytes()[..within]).unwrap();
        assert_eq!((parsed.lines.len(), parsed.cut), (2, true));
        assert_eq!(parsed.lines, lab.journal()[..2]);
        // An incomplete line within the file is an error.
        let mut broken = text.into_bytes();
        broken.remove(within);
        let error = parse_journal(&broken).unwrap_err().to_string();
        assert!(error.starts_with("line 3, column ") && error.contains("unicode"), "{error}");
    }

    #[test]
    fn a_first_line_that_is_cut_is_told_from_what_is_no_journal() {
        let text = text(&journal());
        for cut in [1, 300] {
            let parsed = parse_journal(&text.as_bytes()[..cut]).unwrap();
            assert_eq!((parsed.lines.len(), parsed.cut), (0, true));
        }
        let error = parse_journal(b"garbage").unwrap_err().to_string();
        assert!(error.starts_with("line 1, column 1: expected value"), "{error}");
    }

    #[test]
    fn a_broken_line_within_is_named() {
        let text = text(&journal()).replacen("{\"trial\"", "{\"trail\"", 1);
        let error = parse_journal(text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("line 2, column 8: unknown variant `trail`"), "{error}");
        assert!(!error.contains("at line 1"), "{error}");
    }
}
